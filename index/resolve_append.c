/* resolve_append - messages come in: LMTP, APPEND, MULTIAPPEND, import.
 *
 * Two passes: first every target is decided (does the mailbox exist, does the quota hold with all
 * that this change adds to the account), then blobs and references are written, so that a refused
 * change leaves no blob behind. A blob is written once for all targets of its message. What fits
 * goes into one frame; if the blobs are large, each gets a frame of its own, unreferenced, and one
 * frame of references follows.
 */
#include "index/resolve.h"

#include "index/ingest.h"
#include "index/keywords.h"

/* Blobs of one change that share a frame with their references; far below what a frame may hold. */
#define ONE_FRAME_MAX (1u << 20)

/* What this change adds to one account. */
struct plan_account {
	account_id id;
	uint64_t   room;        /* bytes left; UINT64_MAX: unlimited */
};

struct plan {
	struct plan_account *accounts;
	size_t               count;
};

static enum rc
plan_account(struct resolver *rs, struct plan *p, account_id id, struct plan_account **out,
             struct err *e)
{
	struct account_info info;
	enum rc rc;

	for (size_t i = 0; i < p->count; i++) {
		if (p->accounts[i].id == id) {
			*out = &p->accounts[i];
			return RC_OK;
		}
	}
	rc = account_get(rs->db, id, &rs->scratch, &info, e);
	if (rc != RC_OK)
		return rc;
	*out = &p->accounts[p->count++];
	(*out)->id = id;
	if (info.quota_bytes == 0)
		(*out)->room = UINT64_MAX;
	else
		(*out)->room =
			info.quota_bytes > info.used_bytes ? info.quota_bytes - info.used_bytes : 0;
	return RC_OK;
}

/* Sets t->rc; any other result is the index's failure. */
static enum rc
decide_target(struct resolver *rs, struct plan *p, struct append_target *t, uint64_t size,
              struct err *e)
{
	struct plan_account *pa = NULL;
	struct mailbox_info m;
	enum rc rc;

	rc = mailbox_get(rs->db, t->mailbox, &rs->scratch, &m, e);
	if (rc == RC_OK)
		rc = plan_account(rs, p, m.account, &pa, e);
	t->rc = rc;
	if (rc == RC_NOT_FOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	if (m.uidnext == UINT32_MAX || (pa->room != UINT64_MAX && size > pa->room)) {
		t->rc = RC_LIMIT;
		return RC_OK;
	}
	if (pa->room != UINT64_MAX)
		pa->room -= size;
	return RC_OK;
}

static enum rc
decide(struct resolver *rs, struct change_append *ca, struct err *e)
{
	struct plan p = { NULL, 0 };
	size_t targets = 0;

	for (uint32_t i = 0; i < ca->message_count; i++)
		targets += ca->messages[i].target_count;
	p.accounts = arena_array(&rs->scratch, targets + 1, sizeof *p.accounts);
	if (p.accounts == NULL)
		return err_nomem(e);
	for (uint32_t i = 0; i < ca->message_count; i++) {
		struct append_message *m = &ca->messages[i];
		struct keyword_list words;

		if (keywords_split(m->keywords, &rs->scratch, &words, e) != RC_OK)
			return resolve_refuse(rs, e->code, e, "bad keywords");
		for (uint32_t k = 0; k < m->target_count; k++) {
			enum rc rc =
				decide_target(rs, &p, &m->targets[k], ingested_size(m->content), e);

			if (rc != RC_OK)
				return rc;
			if (m->targets[k].rc != RC_OK && !ca->each_target)
				return resolve_refuse(rs, m->targets[k].rc, e,
				                      m->targets[k].rc == RC_LIMIT ?
				                              "over quota" :
				                              "no such mailbox");
		}
	}
	return RC_OK;
}

static bool
has_taker(const struct append_message *m)
{
	for (uint32_t k = 0; k < m->target_count; k++) {
		if (m->targets[k].rc == RC_OK)
			return true;
	}
	return false;
}

static uint64_t
frame_bytes(const struct change_append *ca)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < ca->message_count; i++) {
		const struct record_blob *b = ingested_blob(ca->messages[i].content);

		n += b->data.len + b->summary.len + b->chunk_count * 16u;
	}
	return n;
}

static enum rc
add_blob(struct resolver *rs, const struct append_message *m, blob_id *id, struct err *e)
{
	struct record r = { .type = RECORD_BLOB };
	enum rc rc;

	r.u.blob = *ingested_blob(m->content);
	rc = resolve_add(rs, &r, e);
	*id = r.lsn;
	return rc;
}

static enum rc
add_reference(struct resolver *rs, const struct append_message *m, blob_id blob,
              struct append_target *t, struct err *e)
{
	struct record_message rm = {
		.blob = blob,
		.flags = m->flags,
		.internaldate = m->internaldate,
		.savedate = { (int64_t)(resolve_now_us() / 1000000u), 0 },
	};
	struct record r = { .type = RECORD_MESSAGES };
	struct mailbox_info box;
	enum rc rc;

	rc = resolve_mailbox(rs, t->mailbox, &box, e);
	if (rc == RC_OK)
		rc = resolve_keywords(rs, t->mailbox, m->keywords, &rm.keywords, e);
	if (rc != RC_OK)
		return rc;
	if (box.uidnext == UINT32_MAX)
		return resolve_refuse(rs, RC_LIMIT, e, "no UID is left in this mailbox");
	t->uidvalidity = box.uidvalidity;
	t->uid = box.uidnext;
	t->modseq = resolve_next_modseq(rs, &box);
	r.u.messages = (struct record_messages){ box.id, t->modseq, t->uid, &rm, 1 };
	return resolve_add(rs, &r, e);
}

static enum rc
add_references(struct resolver *rs, const struct append_message *m, blob_id blob, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t k = 0; rc == RC_OK && k < m->target_count; k++) {
		if (m->targets[k].rc == RC_OK)
			rc = add_reference(rs, m, blob, &m->targets[k], e);
	}
	return rc;
}

static enum rc
add_blobs(struct resolver *rs, const struct change_append *ca, bool frame_each, blob_id *ids,
          struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < ca->message_count; i++) {
		if (!has_taker(&ca->messages[i]))
			continue;
		if (frame_each)
			rc = resolve_frame_begin(rs, e);
		if (rc == RC_OK)
			rc = add_blob(rs, &ca->messages[i], &ids[i], e);
		if (rc == RC_OK && frame_each)
			rc = resolve_frame_end(rs, e);
	}
	return rc;
}

enum rc
resolve_append(struct resolver *rs, struct err *e)
{
	struct change_append *ca = &rs->c->u.append;
	bool frame_each = frame_bytes(ca) > ONE_FRAME_MAX;
	blob_id *ids = arena_array(&rs->scratch, ca->message_count + 1u, sizeof *ids);
	enum rc rc;

	if (ids == NULL)
		return err_nomem(e);
	rc = decide(rs, ca, e);
	if (rc == RC_OK && frame_each)
		rc = add_blobs(rs, ca, true, ids, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK && !frame_each)
		rc = add_blobs(rs, ca, false, ids, e);
	for (uint32_t i = 0; rc == RC_OK && i < ca->message_count; i++)
		rc = add_references(rs, &ca->messages[i], ids[i], e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}
