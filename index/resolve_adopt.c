/* resolve_adopt - an account arrives from another volume, as it was there.
 *
 * UIDs, MODSEQs, UIDVALIDITYs, MAILBOXIDs, dates and THREADIDs are stated as they were; ids are
 * new, as they are LSNs. Until the last record, which makes the account an owner with a higher
 * generation, it is `arriving`: nobody finds it by its name, and whoever finds it at a start takes
 * it away. Expunges are not copied: the floor says from where on they would be missing.
 */
#include "index/resolve.h"

#include "index/ingest.h"

static enum rc
write_one(struct resolver *rs, struct record *r, struct err *e)
{
	enum rc rc = resolve_frame_begin(rs, e);

	if (rc == RC_OK)
		rc = resolve_add(rs, r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

static struct record
account_record(const struct account_info *a, account_id id, bool arriving)
{
	struct record r = { .type = RECORD_ACCOUNT };

	r.u.account = (struct record_account){
		.id = id,
		.generation = a->generation + 1,
		.name = a->name,
		.created_us = a->created_us,
		.quota_bytes = a->quota_bytes,
		.quota_messages = a->quota_messages,
		.hidden = a->hidden,
		.arriving = arriving,
		.flags = a->flags,
	};
	return r;
}

static enum rc
adopt_begin(struct resolver *rs, struct err *e)
{
	struct change_adopt *c = &rs->c->u.adopt;
	struct record r = account_record(c->from, 0, true);
	enum rc rc = write_one(rs, &r, e);

	c->account = r.u.account.id;
	return rc;
}

static enum rc
adopt_mailbox(struct resolver *rs, struct err *e)
{
	struct change_adopt *c = &rs->c->u.adopt;
	const struct mailbox_info *m = c->box;
	mail_modseq floor = m->highestmodseq > m->expunge_floor ? m->highestmodseq
	                                                        : m->expunge_floor;
	struct record r = { .type = RECORD_MAILBOX };
	enum rc rc;

	r.u.mailbox = (struct record_mailbox){
		.account = c->account,
		.name = m->name,
		.uidvalidity = m->uidvalidity,
		.uidnext = m->uidnext,
		.highestmodseq = m->highestmodseq,
		.special_use = m->special_use,
		.expunge_floor = floor,
		.change_floor = m->change_floor,
	};
	memcpy(r.u.mailbox.mailboxid, m->mailboxid, sizeof m->mailboxid);
	rc = write_one(rs, &r, e);
	c->mailbox = r.u.mailbox.id;
	return rc;
}

static enum rc
add_uidl(struct resolver *rs, const struct adopt_message *m, struct err *e)
{
	struct record r = { .type = RECORD_UIDL };

	if (m->uidl.len == 0)
		return RC_OK;
	r.u.uidl = (struct record_uidl){ rs->c->u.adopt.mailbox, m->row->uid, m->uidl };
	return resolve_add(rs, &r, e);
}

/* One frame: the blob, if it is not here yet, and the message. */
static enum rc
adopt_message(struct resolver *rs, struct adopt_message *m, struct err *e)
{
	const struct message_row *row = m->row;
	struct record blob = { .type = RECORD_BLOB }, r = { .type = RECORD_MESSAGES };
	struct record_message rm = {
		.flags = row->flags,
		.keywords = row->keywords,
		.internaldate = row->internaldate,
		.savedate = row->savedate,
		.threadid = row->threadid,
	};
	enum rc rc = resolve_frame_begin(rs, e);

	if (m->content != NULL && rc == RC_OK) {
		blob.u.blob = *ingested_blob(m->content);
		rc = resolve_add(rs, &blob, e);
		m->blob = blob.lsn;
	}
	rm.blob = m->blob;
	r.u.messages = (struct record_messages){
		.mailbox = rs->c->u.adopt.mailbox, .modseq = row->modseq, .first_uid = row->uid,
		.messages = &rm, .count = 1
	};
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	if (rc == RC_OK)
		rc = add_uidl(rs, m, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

static enum rc
adopt_messages(struct resolver *rs, struct err *e)
{
	struct change_adopt *c = &rs->c->u.adopt;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < c->message_count; i++)
		rc = adopt_message(rs, &c->messages[i], e);
	return rc;
}

/* From here on it is the owner. UIDVALIDITYs that came with it are never given again here. */
static enum rc
adopt_end(struct resolver *rs, struct err *e)
{
	struct change_adopt *c = &rs->c->u.adopt;
	struct record counters = { .type = RECORD_COUNTERS },
	              r = account_record(c->from, c->account, false);
	struct account_info there;
	enum rc rc = resolve_account(rs, c->account, &there, e);

	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	counters.u.counters.uidvalidity = c->uidvalidity;
	if (rc == RC_OK && c->uidvalidity > rs->ap->meta.uidvalidity)
		rc = resolve_add(rs, &counters, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

enum rc
resolve_adopt(struct resolver *rs, struct err *e)
{
	switch (rs->c->u.adopt.step) {
	case ADOPT_BEGIN:
		return adopt_begin(rs, e);
	case ADOPT_MAILBOX:
		return adopt_mailbox(rs, e);
	case ADOPT_MESSAGES:
		return adopt_messages(rs, e);
	case ADOPT_END:
		return adopt_end(rs, e);
	}
	return resolve_refuse(rs, RC_DENIED, e, "no such step");
}
