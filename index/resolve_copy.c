/* resolve_copy - COPY, MOVE, and the moving of messages that a RENAME of INBOX is.
 *
 * A copy is a reference to the same blob: nothing of the message is read. Target UIDs are
 * consecutive from the target's UIDNEXT, in the order of the source UIDs. All rows go in one
 * messages record: it is all of them or none [RFC 9051 s6.4.7]. A MOVE puts the expunge into the
 * same frame, so that no crash leaves the message twice [RFC 6851 s3.3].
 */
#include "index/resolve.h"

#include <stdlib.h>

static enum rc
read_row(struct resolver *rs, sqlite3_stmt *q, const struct transfer *t, struct record_message *out,
         uint64_t *bytes, struct err *e)
{
	struct message_row row;
	enum rc rc;

	rc = message_from_row(q, 0, &rs->scratch, &row, e);
	if (rc != RC_OK)
		return rc;
	if (!uid_set_add(t->source_uids, row.uid, row.uid))
		return resolve_refuse(rs, RC_LIMIT, e, "too many ranges");
	*bytes += row.size;
	*out = (struct record_message){
		.blob = row.blob,
		.flags = row.flags,
		.keywords = row.keywords,
		.internaldate = row.internaldate,
		.savedate = { (int64_t)(resolve_now_us() / 1000000u), 0 },
		.threadid = row.threadid,
		.size = row.size,
	};
	return RC_OK;
}

static enum rc
read_range(struct resolver *rs, struct transfer *t, struct uid_range range,
           struct record_message *out, uint64_t *bytes, struct err *e)
{
	enum db_step step;
	sqlite3_stmt *q = db_query(
		rs->db,
		"SELECT " MESSAGE_COLUMNS " FROM message m" MESSAGE_KEYWORDS
		" WHERE m.mailbox=?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid",
		DB_ARGS(DB_NUM(t->source->id), DB_NUM(range.first), DB_NUM(range.last)), e);

	if (q == NULL)
		return e->code;
	while ((step = db_next(rs->db, q, e)) == DB_ROW) {
		enum rc rc = t->count == t->source->exists ?
		                     err_set(e, RC_CORRUPT, "index: wrong message count") :
		                     read_row(rs, q, t, &out[t->count], bytes, e);

		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
		t->count++;
	}
	return step == DB_DONE ? RC_OK : e->code;
}

/* Each run of messages with one set of keywords asks for their spelling in the target once. */
static enum rc
respell(struct resolver *rs, struct transfer *t, struct record_message *m, struct err *e)
{
	struct slice was = SLICE("");
	struct slice now = SLICE("");

	for (uint32_t i = 0; i < t->count; i++) {
		if (!slice_eq(m[i].keywords, was)) {
			enum rc rc = resolve_keywords(rs, t->target->id, m[i].keywords, &now, e);

			if (rc != RC_OK)
				return rc;
			was = m[i].keywords;
		}
		m[i].keywords = now;
	}
	return RC_OK;
}

enum rc
transfer_read(struct resolver *rs, struct transfer *t, struct record_message **out, uint64_t *bytes,
              struct err *e)
{
	struct record_message *m = arena_array(&rs->scratch, t->source->exists + 1u, sizeof *m);
	enum rc rc = RC_OK;

	*bytes = 0;
	t->count = 0;
	if (m == NULL)
		return err_nomem(e);
	for (size_t i = 0; rc == RC_OK && i < t->uids->count; i++)
		rc = read_range(rs, t, t->uids->ranges[i], m, bytes, e);
	if (rc == RC_OK && t->count > UINT32_MAX - t->target->uidnext)
		rc = resolve_refuse(rs, RC_LIMIT, e, "not enough UIDs are left in this mailbox");
	*out = m;
	return rc == RC_OK ? respell(rs, t, m, e) : rc;
}

enum rc
transfer_copy(struct resolver *rs, struct transfer *t, const struct record_message *messages,
              struct err *e)
{
	struct record r = { .type = RECORD_MESSAGES };
	enum rc rc;

	t->first_uid = t->target->uidnext;
	r.u.messages = (struct record_messages){
		.mailbox = t->target->id,
		.modseq = resolve_next_modseq(rs, t->target),
		.first_uid = t->first_uid,
		.messages = messages,
		.count = t->count,
	};
	rs->ap->noted = rs->ap->meta.rekeyed == 0;
	rc = resolve_add(rs, &r, e);
	rs->ap->noted = false;
	return rc;
}

enum rc
transfer_expunge(struct resolver *rs, struct transfer *t, struct err *e)
{
	struct record r = { .type = RECORD_EXPUNGE };
	struct mailbox_info now;
	enum rc rc;

	/* Read again: within one mailbox the copy has raised its MODSEQ. */
	rc = resolve_mailbox(rs, t->source->id, &now, e);
	if (rc != RC_OK)
		return rc;
	t->source_modseq = resolve_next_modseq(rs, &now);
	r.u.expunge = (struct record_expunge){ now.id, t->source_modseq, t->source_uids->ranges,
	                                       (uint32_t)t->source_uids->count };
	return resolve_add(rs, &r, e);
}

/* A limit of 0 is none. */
static bool
over(uint64_t limit, uint64_t used, uint64_t more)
{
	return limit != 0 && (used > limit || more > limit - used);
}

static enum rc
check_quota(struct resolver *rs, account_id id, uint64_t bytes, uint32_t count, struct err *e)
{
	struct account_info a;
	enum rc rc = resolve_account(rs, id, &a, e);

	if (rc != RC_OK)
		return rc;
	if (over(a.quota_bytes, a.used_bytes, bytes) ||
	    over(a.quota_messages, a.used_messages, count))
		return resolve_refuse(rs, RC_LIMIT, e, "over quota");
	return RC_OK;
}

/* Another account has threads of its own. Each message is noted before the next is looked up: they
 * may belong together. */
static enum rc
rethread(struct resolver *rs, const struct transfer *t, struct record_message *m, struct err *e)
{
	account_id account = t->target->account;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < t->count; i++) {
		rc = apply_find_thread(rs->ap, account, m[i].blob, &m[i].threadid, e);
		if (rc == RC_OK)
			rc = apply_note_thread(rs->ap, account, m[i].blob, m[i].threadid, e);
		arena_reset(&rs->ap->scratch);
	}
	return rc;
}

static enum rc
write_transfer(struct resolver *rs, struct transfer *t, struct record_message *m, bool move,
               struct err *e)
{
	enum rc rc;

	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK && t->source->account != t->target->account)
		rc = rethread(rs, t, m, e);
	if (rc == RC_OK)
		rc = transfer_copy(rs, t, m, e);
	if (rc == RC_OK && move)
		rc = transfer_expunge(rs, t, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

enum rc
resolve_copy(struct resolver *rs, bool move, struct err *e)
{
	struct change_copy *c = &rs->c->u.copy;
	struct mailbox_info source;
	struct mailbox_info target;
	struct transfer t = { &source, &target, &c->uids, &c->source_uids, 0, 0, 0 };
	struct record_message *m;
	uint64_t bytes;
	enum rc rc;

	uid_set_reset(&c->source_uids);
	c->count = 0;
	rc = resolve_mailbox(rs, c->source, &source, e);
	if (rc == RC_OK)
		rc = resolve_mailbox(rs, c->target, &target, e);
	if (rc == RC_OK)
		rc = transfer_read(rs, &t, &m, &bytes, e);
	/* A move within an account changes no usage, nor does a copy of nothing. */
	if (rc == RC_OK && t.count > 0 && !(move && source.account == target.account))
		rc = check_quota(rs, target.account, bytes, t.count, e);
	if (rc != RC_OK)
		return rc;
	c->uidvalidity = target.uidvalidity;
	c->source_before = source.highestmodseq;
	if (t.count > 0)
		rc = write_transfer(rs, &t, m, move, e);
	if (rc != RC_OK)
		return rc;
	c->first_uid = t.first_uid;
	c->count = t.count;
	c->source_modseq = t.source_modseq;
	return RC_OK;
}
