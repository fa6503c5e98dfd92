/* resolve_restore - what was deleted comes back: messages by reference to their old bytes, or
 * whole accounts.
 *
 * A restored message is a new message, with a new UID behind all others: an old UID was told to be
 * gone and can never mean anything again. The same holds for mailboxes and accounts: they come back
 * under their old names with new ids and new UIDVALIDITYs. A blob that is not in the index any more
 * is in no segment that we may rely on, so its message is refused; the others come back. While the
 * index does not know yet what a compaction has dropped, a row says nothing: RC_BUSY.
 *
 * Bytes that come from another log go first, each blob in a frame of its own, unreferenced; then
 * one frame of references, as APPEND does it. What is refused is known before the first of them.
 */
#include "index/resolve.h"

#include "index/ingest.h"

/* ---- messages ---- */

static enum rc
blob_is_there(struct resolver *rs, blob_id id, bool *there, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(rs->db, &q, "SELECT 1 FROM blob WHERE id=?1", DB_ARGS(DB_NUM(id)), e);

	*there = rc == RC_OK;
	if (rc == RC_OK)
		db_end(q);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* What can come back, without its blob ids where bytes were given; `from` says which message of the
 * change each is. */
struct restoring {
	struct mailbox_info    target;
	struct record_message *out;
	uint32_t              *from;
	uint32_t               count;
};

static enum rc
plan_message(struct resolver *rs, struct restoring *g, uint32_t i, struct err *e)
{
	const struct restore_message *m = &rs->c->u.restore.messages[i];
	struct record_message *out = &g->out[g->count];
	bool there = m->content != NULL;
	enum rc rc = RC_OK;

	if (!there && rs->relocating)
		return resolve_refuse(rs, RC_BUSY, e,
		                      "compaction is replacing segments; try again in a moment");
	if (!there)
		rc = blob_is_there(rs, m->blob, &there, e);
	if (rc != RC_OK || !there)
		return rc;
	*out = (struct record_message){
		.blob = m->blob,
		.flags = m->flags,
		.internaldate = m->internaldate,
		.savedate = { (int64_t)(resolve_now_us() / 1000000u), 0 },
		.threadid = m->threadid,
	};
	g->from[g->count++] = i;
	return resolve_keywords(rs, g->target.id, m->keywords, &out->keywords, e);
}

static enum rc
plan_messages(struct resolver *rs, struct restoring *g, struct err *e)
{
	const struct change_restore *c = &rs->c->u.restore;
	enum rc rc;

	rc = resolve_mailbox(rs, c->mailbox, &g->target, e);
	if (rc != RC_OK)
		return rc;
	g->out = arena_array(&rs->scratch, c->count + 1u, sizeof *g->out);
	g->from = arena_array(&rs->scratch, c->count + 1u, sizeof *g->from);
	if (g->out == NULL || g->from == NULL)
		return err_nomem(e);
	for (uint32_t i = 0; rc == RC_OK && i < c->count; i++)
		rc = plan_message(rs, g, i, e);
	if (rc == RC_OK && g->count > UINT32_MAX - g->target.uidnext)
		rc = resolve_refuse(rs, RC_LIMIT, e, "not enough UIDs are left in this mailbox");
	return rc;
}

static enum rc
add_blob(struct resolver *rs, const struct ingested *content, blob_id *id, struct err *e)
{
	struct record r = { .type = RECORD_BLOB };
	enum rc rc = resolve_frame_begin(rs, e);

	r.u.blob = *ingested_blob(content);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	*id = r.lsn;
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

static enum rc
add_blobs(struct resolver *rs, struct restoring *g, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < g->count; i++) {
		const struct ingested *content = rs->c->u.restore.messages[g->from[i]].content;

		if (content != NULL)
			rc = add_blob(rs, content, &g->out[i].blob, e);
	}
	return rc;
}

/* Each is noted before the next is looked up: they may belong together. */
static enum rc
find_threads(struct resolver *rs, struct restoring *g, struct err *e)
{
	account_id account = g->target.account;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < g->count; i++) {
		if (g->out[i].threadid != 0)
			continue;
		rc = apply_find_thread(rs->ap, account, g->out[i].blob, &g->out[i].threadid, e);
		if (rc == RC_OK)
			rc = apply_note_thread(rs->ap, account, g->out[i].blob, g->out[i].threadid,
			                       e);
		arena_reset(&rs->ap->scratch);
	}
	return rc;
}

static enum rc
add_references(struct resolver *rs, struct restoring *g, struct err *e)
{
	struct change_restore *c = &rs->c->u.restore;
	struct record r = { .type = RECORD_MESSAGES };
	struct record_messages *m = &r.u.messages;
	enum rc rc = resolve_frame_begin(rs, e);

	if (rc == RC_OK)
		rc = find_threads(rs, g, e);
	m->mailbox = g->target.id;
	m->modseq = resolve_next_modseq(rs, &g->target);
	m->first_uid = g->target.uidnext;
	m->messages = g->out;
	m->count = g->count;
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	if (rc == RC_OK)
		rc = resolve_frame_end(rs, e);
	if (rc != RC_OK)
		return rc;
	c->modseq = m->modseq;
	for (uint32_t i = 0; i < g->count; i++)
		c->messages[g->from[i]].uid = m->first_uid + i;
	return RC_OK;
}

enum rc
resolve_restore(struct resolver *rs, struct err *e)
{
	struct change_restore *c = &rs->c->u.restore;
	struct restoring g = { .count = 0 };
	enum rc rc;

	c->modseq = 0;
	if (c->count > RESTORE_MAX)
		return resolve_refuse(rs, RC_LIMIT, e, "too many messages at a time");
	for (uint32_t i = 0; i < c->count; i++)
		c->messages[i].uid = 0;
	rc = plan_messages(rs, &g, e);
	if (rc != RC_OK)
		return rc;
	c->lost = c->count - g.count;
	if (g.count == 0)
		return RC_OK;
	rc = add_blobs(rs, &g, e);
	return rc == RC_OK ? add_references(rs, &g, e) : rc;
}

/* ---- accounts ---- */

static enum rc
add_account(struct resolver *rs, struct err *e)
{
	struct change_account_restore *c = &rs->c->u.account_restore;
	struct record r = { .type = RECORD_ACCOUNT };
	enum rc rc;

	r.u.account = (struct record_account){
		.generation = 1,
		.created_us = c->created_us,
		.quota_bytes = c->quota_bytes,
		.quota_messages = c->quota_messages,
		.hidden = c->hidden,
		.flags = c->flags,
	};
	rc = resolve_account_name(rs, c->name, &r.u.account.name, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	c->id = r.u.account.id;
	return rc;
}

static enum rc
add_belongings(struct resolver *rs, struct err *e)
{
	struct change_account_restore *c = &rs->c->u.account_restore;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < c->credential_count; i++) {
		struct record r = { .type = RECORD_CREDENTIAL };

		r.u.credential = (struct record_credential){ c->id, c->credentials[i].name,
		                                             c->credentials[i].value };
		rc = resolve_add(rs, &r, e);
	}
	for (size_t i = 0; rc == RC_OK && i < c->mailbox_count; i++)
		rc = resolve_new_mailbox(rs, c->id, c->mailboxes[i].name,
		                         c->mailboxes[i].special_use, &c->mailboxes[i].id, e);
	for (size_t i = 0; rc == RC_OK && i < c->subscription_count; i++) {
		struct record r = { .type = RECORD_SUBSCRIPTION };

		r.u.subscription = (struct record_subscription){ c->id, c->subscriptions[i], true };
		rc = resolve_add(rs, &r, e);
	}
	return rc;
}

enum rc
resolve_account_restore(struct resolver *rs, struct err *e)
{
	enum rc rc = add_account(rs, e);

	if (rc == RC_OK)
		rc = add_belongings(rs, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}
