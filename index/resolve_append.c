/* resolve_append - messages come in: LMTP, APPEND, MULTIAPPEND, import.
 *
 * Two passes: first every target is decided (does the mailbox exist, does the quota hold with all
 * that this change adds to the account), then blobs and references are written, so that a refused
 * change leaves no blob behind. A blob is written once for all targets of its message. What fits
 * goes into one frame; if the blobs are large, each gets a frame of its own, unreferenced, and one
 * frame of references follows.
 *
 * REPLACE [RFC 8508] is an append whose last frame also expunges a message: behind the references,
 * so that the mailbox is never without the one or the other. Quotas see the difference only.
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
	uint64_t   seats;       /* messages left; UINT64_MAX: unlimited */
};

/* The lowest UID that is free in a mailbox, as the messages of this change take them. */
struct plan_mailbox {
	mailbox_id id;
	uint64_t   next;
};

struct plan {
	struct plan_account *accounts;
	size_t               count;
	struct plan_mailbox *mailboxes; /* NULL: no message wants a UID */
	size_t               mailbox_count;
	account_id           freed_of;  /* REPLACE: this account gets back, */
	uint64_t             freed;     /* bytes, of one message; 0 and no account otherwise */
};

/* What a limit leaves, and what is given back: who is over it may still replace like by like. */
static uint64_t
room_left(uint64_t limit, uint64_t used, uint64_t freed)
{
	if (limit == 0)
		return UINT64_MAX;
	return (limit > used ? limit - used : 0) + freed;
}

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
	**out = (struct plan_account){
		.id = id,
		.room = room_left(info.quota_bytes, info.used_bytes, id == p->freed_of ? p->freed
		                  : 0),
		.seats = room_left(info.quota_messages, info.used_messages, id == p->freed_of),
	};
	return RC_OK;
}

/* A wanted UID is given if it and all above it are free. */
static bool
uid_fits(struct plan *p, const struct mailbox_info *m, mail_uid wanted)
{
	struct plan_mailbox *pm = NULL;

	if (p->mailboxes == NULL)
		return true;
	for (size_t i = 0; i < p->mailbox_count && pm == NULL; i++)
		pm = p->mailboxes[i].id == m->id ? &p->mailboxes[i] : NULL;
	if (pm == NULL) {
		pm = &p->mailboxes[p->mailbox_count++];
		*pm = (struct plan_mailbox){ m->id, m->uidnext };
	}
	if ((wanted != 0 && wanted < pm->next) || (wanted != 0 ? wanted : pm->next) == UINT32_MAX)
		return false;
	pm->next = (wanted != 0 ? wanted : pm->next) + 1;
	return true;
}

/* Sets t->rc; any other result is the index's failure. */
static enum rc
decide_target(struct resolver *rs, struct plan *p, struct append_target *t, uint64_t size,
              mail_uid wanted, struct err *e)
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
	if (m.account == rs->frozen && !rs->c->of_move) {
		t->rc = RC_BUSY;
		return RC_OK;
	}
	if (m.uidnext == UINT32_MAX || size > pa->room || pa->seats == 0) {
		t->rc = RC_LIMIT;
		return RC_OK;
	}
	if (!uid_fits(p, &m, wanted)) {
		t->rc = RC_EXISTS;
		return RC_OK;
	}
	if (pa->room != UINT64_MAX)
		pa->room -= size;
	if (pa->seats != UINT64_MAX)
		pa->seats--;
	return RC_OK;
}

/* The message that gives way must be there still. */
static enum rc
decide_replaced(struct resolver *rs, const struct change_append *ca, struct plan *p, struct err *e)
{
	struct mailbox_info m;
	sqlite3_stmt *q;
	enum rc rc;

	if (ca->replaced_uid == 0)
		return RC_OK;
	rc = mailbox_get(rs->db, ca->replaced_mailbox, &rs->scratch, &m, e);
	if (rc == RC_OK)
		rc = db_first(rs->db, &q, "SELECT size FROM message WHERE mailbox=?1 AND uid=?2",
		              DB_ARGS(DB_NUM(ca->replaced_mailbox), DB_NUM(ca->replaced_uid)), e);
	if (rc == RC_NOT_FOUND)
		return resolve_refuse(rs, RC_CANCELLED, e, "the message to replace is gone");
	if (rc != RC_OK)
		return rc;
	p->freed_of = m.account;
	p->freed = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

static enum rc
make_plan(struct resolver *rs, const struct change_append *ca, struct plan *p, struct err *e)
{
	size_t targets = 0;
	bool uids = false;

	for (uint32_t i = 0; i < ca->message_count; i++) {
		targets += ca->messages[i].target_count;
		uids = uids || ca->messages[i].uid != 0;
	}
	p->accounts = arena_array(&rs->scratch, targets + 1, sizeof *p->accounts);
	if (uids)
		p->mailboxes = arena_array(&rs->scratch, targets + 1, sizeof *p->mailboxes);
	return p->accounts == NULL || (uids && p->mailboxes == NULL) ? err_nomem(e) : RC_OK;
}

static const char *
why_refused(enum rc rc)
{
	if (rc == RC_LIMIT)
		return "over quota";
	if (rc == RC_BUSY)
		return "the account is being moved to another volume; try again in a while";
	return rc == RC_EXISTS ? "the wanted UID is taken" : "no such mailbox";
}

/* What cannot be in a record is our callers' mistake, but they have it from outside. */
static bool
is_uidl(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7E)
			return false;
	return s.len <= UIDL_MAX;
}

/* The accounts of an alias: what they were promised in `plan` stays so, as the next
 * change plans anew. */
static void
refuse_sets(struct append_message *m)
{
	for (uint32_t k = 0; k < m->target_count; k++) {
		const struct append_target *t = &m->targets[k];

		for (uint32_t i = 0; t->set != 0 && t->rc != RC_OK && i < m->target_count; i++)
			if (m->targets[i].set == t->set && m->targets[i].rc == RC_OK) {
				m->targets[i].rc = t->rc;
				/* it comes once more with the others */
				m->targets[i].suppressed = false;
			}
	}
}

static enum rc
decide(struct resolver *rs, struct change_append *ca, struct err *e)
{
	struct plan p = { .accounts = NULL };
	enum rc rc = decide_replaced(rs, ca, &p, e);

	if (rc == RC_OK)
		rc = make_plan(rs, ca, &p, e);
	if (rc != RC_OK)
		return rc;
	for (uint32_t i = 0; i < ca->message_count; i++) {
		struct append_message *m = &ca->messages[i];
		struct keyword_list words;

		if (keywords_split(m->keywords, &rs->scratch, &words, e) != RC_OK)
			return resolve_refuse(rs, e->code, e, "bad keywords");
		if (!is_uidl(m->uidl))
			return resolve_refuse(rs, RC_SYNTAX, e, "bad unique-id");
		for (uint32_t k = 0; k < m->target_count; k++) {
			rc = resolve_delivered(rs, &m->targets[k], e);
			if (rc == RC_OK && !m->targets[k].suppressed)
				rc = decide_target(rs, &p, &m->targets[k],
				                   ingested_size(m->content), m->uid, e);
			if (rc != RC_OK)
				return rc;
			if (m->targets[k].rc != RC_OK && !ca->each_target)
				return resolve_refuse(rs, m->targets[k].rc, e,
				                      why_refused(m->targets[k].rc));
		}
		refuse_sets(m);
	}
	return RC_OK;
}

static bool
has_taker(const struct append_message *m)
{
	for (uint32_t k = 0; k < m->target_count; k++) {
		if (m->targets[k].rc == RC_OK && !m->targets[k].suppressed)
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
add_uidl(struct resolver *rs, const struct append_target *t, struct slice text, struct err *e)
{
	struct record r = { .type = RECORD_UIDL, .u.uidl = { t->mailbox, t->uid, text } };

	return resolve_add(rs, &r, e);
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
		rc = apply_find_thread(rs->ap, box.account, blob, &rm.threadid, e);
	if (rc == RC_OK)
		rc = resolve_keywords(rs, t->mailbox, m->keywords, &rm.keywords, e);
	if (rc != RC_OK)
		return rc;
	t->uidvalidity = box.uidvalidity;
	t->uid = m->uid > box.uidnext ? m->uid : box.uidnext;
	if (t->uid == UINT32_MAX)
		return resolve_refuse(rs, RC_LIMIT, e, "no UID is left in this mailbox");
	t->modseq = resolve_next_modseq(rs, &box);
	r.u.messages = (struct record_messages){
		.mailbox = box.id, .modseq = t->modseq, .first_uid = t->uid, .messages = &rm,
		.count = 1
	};
	t->savedate = rm.savedate;
	t->threadid = rm.threadid;
	rc = resolve_add(rs, &r, e);
	return rc == RC_OK && m->uidl.len > 0 ? add_uidl(rs, t, m->uidl, e) : rc;
}

static enum rc
add_references(struct resolver *rs, const struct append_message *m, blob_id blob, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t k = 0; rc == RC_OK && k < m->target_count; k++) {
		if (m->targets[k].rc != RC_OK)
			continue;
		if (!m->targets[k].suppressed)
			rc = add_reference(rs, m, blob, &m->targets[k], e);
		if (rc == RC_OK)
			rc = resolve_note_delivery(rs, &m->targets[k], e);
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

static enum rc
expunge_replaced(struct resolver *rs, struct change_append *ca, struct err *e)
{
	const struct uid_range range = { ca->replaced_uid, ca->replaced_uid };
	struct record r = { .type = RECORD_EXPUNGE };
	struct mailbox_info m;
	enum rc rc;

	if (ca->replaced_uid == 0)
		return RC_OK;
	/* Read now: the new message may have raised its MODSEQ. */
	rc = resolve_mailbox(rs, ca->replaced_mailbox, &m, e);
	if (rc != RC_OK)
		return rc;
	ca->replaced_modseq = resolve_next_modseq(rs, &m);
	r.u.expunge = (struct record_expunge){ m.id, ca->replaced_modseq, &range, 1 };
	return resolve_add(rs, &r, e);
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
	if (rc == RC_OK)
		rc = expunge_replaced(rs, ca, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}
