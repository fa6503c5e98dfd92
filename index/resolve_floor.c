/* resolve_floor - what raises the floors of mailboxes: pruning of tombstones, and a copy that
 * becomes a volume of its own.
 *
 * A floor is a statement of the mailbox's record, so that a rebuild forgets the same tombstones and
 * no client learns from one index what another one would not have told it.
 */
#include "index/resolve.h"

#define RENEW_PAGE       500u           /* mailboxes of one frame */
#define UIDS_SKIPPED     (UINT32_C(1) << 20)
#define VALIDITY_SKIPPED (UINT32_C(1) << 16)

enum rc
resolve_prune(struct resolver *rs, struct err *e)
{
	const struct change_prune *c = &rs->c->u.prune;
	struct mailbox_info m;
	struct record r;
	enum rc rc;

	rc = resolve_mailbox(rs, c->mailbox, &m, e);
	if (rc != RC_OK)
		return rc;
	if (c->floor > m.highestmodseq)
		return resolve_refuse(rs, RC_DENIED, e, "a floor above HIGHESTMODSEQ");
	if (c->floor <= m.expunge_floor)
		return RC_OK;
	r = resolve_mailbox_record(&m);
	r.u.mailbox.expunge_floor = c->floor;
	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

/* ---- a copy becomes a volume of its own ---- */

/* The UIDs that each former life may have given since the copy was made are passed over, as far as
 * there are so many. */
static mail_uid
skip_uids(mail_uid uidnext, uint32_t lives)
{
	uint64_t skipped = (uint64_t)lives * UIDS_SKIPPED;
	uint32_t room = (UINT32_MAX - uidnext) / 2;

	return uidnext + (skipped < room ? (uint32_t)skipped : room);
}

static enum rc
renew_mailbox(struct resolver *rs, const struct mailbox_info *m, struct err *e)
{
	struct record r = resolve_mailbox_record(m);
	mail_modseq floor = EPOCH_MODSEQ(rs->epoch);

	if (floor <= m->highestmodseq)
		floor = m->highestmodseq + 1;
	r.u.mailbox.uidnext = skip_uids(m->uidnext, rs->c->u.renew.lives);
	r.u.mailbox.highestmodseq = floor;
	r.u.mailbox.expunge_floor = floor;
	r.u.mailbox.change_floor = floor;
	return resolve_add(rs, &r, e);
}

static enum rc
renew_counters(struct resolver *rs, struct err *e)
{
	struct record r = { .type = RECORD_COUNTERS };
	uint64_t skipped = (uint64_t)rs->c->u.renew.lives * VALIDITY_SKIPPED;
	uint32_t last = rs->ap->meta.uidvalidity;

	if (last == 0)
		last = (uint32_t)(resolve_now_us() / 1000000u);
	r.u.counters.uidvalidity = skipped < UINT32_MAX - last ? last + (uint32_t)skipped : last;
	return resolve_add(rs, &r, e);
}

static enum rc
next_mailboxes(struct resolver *rs, mailbox_id after, struct mailbox_info *out, size_t *count,
               struct err *e)
{
	enum db_step step;
	sqlite3_stmt *q = db_query(rs->db,
	                           "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE m.id > ?1"
	                           " AND m.account != 0 ORDER BY m.id LIMIT ?2",
	                           DB_ARGS(DB_NUM(after), DB_NUM(RENEW_PAGE)), e);

	*count = 0;
	if (q == NULL)
		return e->code;
	while ((step = db_next(rs->db, q, e)) == DB_ROW) {
		enum rc rc = mailbox_from_row(q, &rs->scratch, &out[(*count)++], e);

		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

enum rc
resolve_renew(struct resolver *rs, struct err *e)
{
	struct change_renew *c = &rs->c->u.renew;
	struct mailbox_info *boxes = arena_array(&rs->scratch, RENEW_PAGE, sizeof *boxes);
	size_t count;
	enum rc rc;

	if (boxes == NULL)
		return err_nomem(e);
	rc = next_mailboxes(rs, c->after, boxes, &count, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK && c->after == 0)
		rc = renew_counters(rs, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = renew_mailbox(rs, &boxes[i], e);
	if (rc != RC_OK)
		return rc;
	c->last = count == RENEW_PAGE ? boxes[count - 1].id : 0;
	return resolve_frame_end(rs, e);
}
