/* apply - one record into the index. See apply.h. */
#include "index/apply.h"

#include <assert.h>
#include <stdlib.h>

#include "index/keywords.h"
#include "index/names.h"

#define SCRATCH_MAX (16u << 20)

/* How a mailbox row changes. */
struct delta {
	int64_t     exists, unseen, deleted, size, deleted_size;
	mail_uid    uidnext;
	mail_modseq modseq;
	mail_uid    first_new;
};

enum rc
apply_init(struct apply *ap, struct db *db, struct err *e)
{
	*ap = (struct apply){ .db = db };
	arena_init(&ap->scratch, SCRATCH_MAX);
	return schema_read_meta(db, &ap->meta, e);
}

void
apply_fini(struct apply *ap)
{
	arena_fini(&ap->scratch);
	free(ap->pending);
	free(ap->touched);
	*ap = (struct apply){ 0 };
}

void
apply_forget(struct apply *ap)
{
	ap->pending_count = 0;
	ap->touched_count = 0;
}

struct apply_mark
apply_get_mark(const struct apply *ap)
{
	return (struct apply_mark){ ap->meta, ap->pending_count };
}

void
apply_set_mark(struct apply *ap, const struct apply_mark *m)
{
	ap->meta = m->meta;
	ap->pending_count = m->pending_count;
}

/* Room for one more element of an array that doubles. */
static void *
grow(void *array, size_t count, size_t *cap, size_t size)
{
	size_t want = *cap > 0 ? *cap * 2 : 16;
	void *p;

	if (count < *cap)
		return array;
	p = realloc(array, want * size);
	if (p != NULL)
		*cap = want;
	return p;
}

static enum rc
touch(struct apply *ap, mailbox_id id, const struct delta *d, struct err *e)
{
	struct touched_mailbox *t;

	if (!ap->track)
		return RC_OK;
	for (size_t i = ap->touched_count; i > 0; i--) {
		t = &ap->touched[i - 1];
		if (t->id == id) {
			t->modseq = d->modseq > t->modseq ? d->modseq : t->modseq;
			t->first_new = t->first_new != 0 ? t->first_new : d->first_new;
			return RC_OK;
		}
	}
	t = grow(ap->touched, ap->touched_count, &ap->touched_cap, sizeof *t);
	if (t == NULL)
		return err_nomem(e);
	ap->touched = t;
	t[ap->touched_count++] = (struct touched_mailbox){ id, d->modseq, d->first_new };
	return RC_OK;
}

/* ---- mailbox and account counters ---- */

static enum rc
update_mailbox(struct apply *ap, mailbox_id id, const struct delta *d, struct err *e)
{
	return db_run(ap->db,
	              "UPDATE mailbox SET exists_=exists_+?2, unseen=unseen+?3, "
	              "deleted=deleted+?4, size=size+?5, deleted_size=deleted_size+?8,"
	              " uidnext=max(uidnext, ?6), highestmodseq=max(highestmodseq, ?7) WHERE id=?1",
	              DB_ARGS(DB_NUM(id), DB_NUM(d->exists), DB_NUM(d->unseen), DB_NUM(d->deleted),
	                      DB_NUM(d->size), DB_NUM(d->uidnext), DB_NUM(d->modseq),
	                      DB_NUM(d->deleted_size)),
	              e);
}

static enum rc
make_stub(struct apply *ap, mailbox_id id, struct err *e)
{
	return db_run(ap->db, "INSERT INTO mailbox VALUES(?1, 0, X'', 0, 1, 1, 0, 0, 0, 0, 0, 0, X'', 0, 0)",
	              DB_ARGS(DB_NUM(id)), e);
}

static enum rc
count_mailbox(struct apply *ap, mailbox_id id, const struct delta *d, struct err *e)
{
	enum rc rc;

	rc = update_mailbox(ap, id, d, e);
	if (rc == RC_OK && db_changes(ap->db) == 0) {
		rc = make_stub(ap, id, e);
		if (rc == RC_OK)
			rc = update_mailbox(ap, id, d, e);
	}
	if (rc == RC_OK && (d->exists != 0 || d->size != 0))
		rc = db_run(ap->db,
		            "UPDATE account SET used_bytes=used_bytes+?2, "
		            "used_messages=used_messages+?3"
		            " WHERE id=(SELECT account FROM mailbox WHERE id=?1)",
		            DB_ARGS(DB_NUM(id), DB_NUM(d->size), DB_NUM(d->exists)), e);
	if (rc == RC_OK)
		rc = touch(ap, id, d, e);
	return rc;
}

/* ---- keywords ---- */

/* A mailbox lists each keyword in the spelling it had first. */
static enum rc
note_keywords(struct apply *ap, mailbox_id mailbox, struct slice text, struct err *e)
{
	struct keyword_list l;
	enum rc rc;

	rc = keywords_split(text, &ap->scratch, &l, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		return err_set(e, RC_SYNTAX, "record with bad keywords");
	for (size_t i = 0; rc == RC_OK && i < l.count; i++) {
		struct slice key = keyword_key(l.words[i], &ap->scratch);

		if (key.ptr == NULL)
			return err_nomem(e);
		rc = db_run(ap->db, "INSERT OR IGNORE INTO mailbox_keyword VALUES(?1, ?2, ?3)",
		            DB_ARGS(DB_NUM(mailbox), DB_BYTES(key), DB_BYTES(l.words[i])), e);
	}
	return rc;
}

/* The id of this set of keywords, made if new. */
static enum rc
intern_keywords(struct apply *ap, mailbox_id mailbox, struct slice text, uint64_t *id,
                struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc;

	*id = 0;
	if (text.len == 0)
		return RC_OK;
	rc = db_first(ap->db, &q, "SELECT id FROM kwset WHERE text=?1", DB_ARGS(DB_BYTES(text)), e);
	if (rc == RC_OK) {
		*id = db_u64(q, 0);
		db_end(q);
	} else if (rc == RC_NOT_FOUND) {
		rc = db_run(ap->db, "INSERT INTO kwset(text) VALUES(?1)", DB_ARGS(DB_BYTES(text)),
		            e);
		*id = (uint64_t)sqlite3_last_insert_rowid(db_handle(ap->db));
	}
	return rc == RC_OK ? note_keywords(ap, mailbox, text, e) : rc;
}

/* ---- accounts ---- */

static enum rc
delete_mailbox_rows(struct apply *ap, mailbox_id id, struct err *e)
{
	enum rc rc;

	rc = db_run(ap->db, "DELETE FROM message WHERE mailbox=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM expunged WHERE mailbox=?1", DB_ARGS(DB_NUM(id)),
		            e);
	if (rc == RC_OK) {
		ap->meta.expunged -= db_changes(ap->db);
		rc = db_run(ap->db, "DELETE FROM mailbox_keyword WHERE mailbox=?1",
		            DB_ARGS(DB_NUM(id)), e);
	}
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM uidl WHERE mailbox=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM mailbox WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	return rc;
}

static enum rc
delete_account(struct apply *ap, account_id id, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc;

	while ((rc = db_first(ap->db, &q,
	                      "SELECT id, highestmodseq FROM mailbox WHERE account=?1 LIMIT 1",
	                      DB_ARGS(DB_NUM(id)), e)) == RC_OK) {
		mailbox_id m = db_u64(q, 0);
		struct delta d = { .modseq = db_u64(q, 1) };

		db_end(q);
		rc = touch(ap, m, &d, e);
		if (rc == RC_OK)
			rc = delete_mailbox_rows(ap, m, e);
		if (rc != RC_OK)
			return rc;
	}
	if (rc != RC_NOT_FOUND)
		return rc;
	rc = db_run(ap->db, "DELETE FROM credential WHERE account=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM subscription WHERE account=?1",
		            DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM thread WHERE account=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM account WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	return rc;
}

static enum rc
apply_account(struct apply *ap, const struct record_account *r, struct err *e)
{
	struct slice key;
	enum rc rc;

	if (r->deleted)
		return delete_account(ap, r->id, e);
	rc = name_account(r->name, &ap->scratch, NULL, &key, e);
	if (rc != RC_OK)
		return rc == RC_NOMEM ? rc :
		                        err_set(e, RC_SYNTAX, "account record with a bad name");
	return db_run(ap->db,
	              "INSERT INTO account VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7, ?8, ?9) ON CONFLICT(id)"
	              " DO UPDATE SET name=?2, name_key=?3, generation=?4, created=?5, quota=?6,"
	              " quota_messages=?7, hidden=?8, arriving=?9",
	              DB_ARGS(DB_NUM(r->id), DB_BYTES(r->name), DB_BYTES(key),
	                      DB_NUM(r->generation), DB_NUM(r->created_us), DB_NUM(r->quota_bytes),
	                      DB_NUM(r->quota_messages), DB_BYTES(r->hidden), DB_NUM(r->arriving)),
	              e);
}

static enum rc
apply_credential(struct apply *ap, const struct record_credential *r, struct err *e)
{
	if (r->value.len == 0)
		return db_run(ap->db, "DELETE FROM credential WHERE account=?1 AND name=?2",
		              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name)), e);
	return db_run(ap->db, "INSERT OR REPLACE INTO credential VALUES(?1, ?2, ?3)",
	              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name), DB_BYTES(r->value)), e);
}

static enum rc
apply_subscription(struct apply *ap, const struct record_subscription *r, struct err *e)
{
	if (!r->subscribed)
		return db_run(ap->db, "DELETE FROM subscription WHERE account=?1 AND name=?2",
		              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name)), e);
	return db_run(ap->db, "INSERT OR IGNORE INTO subscription VALUES(?1, ?2)",
	              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name)), e);
}

/* ---- mailboxes ---- */

static enum rc
delete_mailbox(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	struct delta d = { .modseq = r->highestmodseq };
	enum rc rc;

	rc = db_run(ap->db,
	            "UPDATE account SET used_bytes=used_bytes-m.size, "
	            "used_messages=used_messages-m.exists_"
	            " FROM mailbox m WHERE m.id=?1 AND account.id=m.account",
	            DB_ARGS(DB_NUM(r->id)), e);
	if (rc == RC_OK)
		rc = delete_mailbox_rows(ap, r->id, e);
	return rc == RC_OK ? touch(ap, r->id, &d, e) : rc;
}

/* ---- blobs ---- */

static uint64_t
chunks_len(const struct record_blob *b)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < b->chunk_count; i++)
		n += b->chunks[i].stored_len;
	return n;
}

struct log_addr
apply_blob_data(const struct record *r, const struct log_addr *body)
{
	struct log_addr a = *body;

	if (r->u.blob.body.len > 0)
		return r->u.blob.body;
	a.offset += r->u.blob.data_offset;
	a.len = chunks_len(&r->u.blob);
	return a;
}

static enum rc
insert_blob(struct apply *ap, blob_id id, const struct record_blob *b, const struct log_addr *data,
            uint64_t thread_key, struct err *e)
{
	struct buf chunks;
	enum rc rc;

	buf_init(&chunks, 64u << 20);
	if (!blob_chunks_encode(b->chunks, b->chunk_count, &chunks))
		rc = err_nomem(e);
	else
		rc = db_run(ap->db,
		            "INSERT OR IGNORE INTO blob VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		            "?10, ?11, ?12, ?13)",
		            DB_ARGS(DB_NUM(id), DB_NUM(data->seg.seq), DB_NUM(data->seg.epoch),
		                    DB_NUM(data->seg.kind), DB_NUM(data->offset),
		                    DB_NUM(chunks_len(b)), DB_NUM(b->size), DB_NUM(b->header_len),
		                    DB_NUM(b->lines),
		                    DB_BYTES(slice_of(b->sha256, sizeof b->sha256)),
		                    DB_NUM(thread_key), DB_BYTES(buf_slice(&chunks)), DB_BYTES(b->summary)),
		            e);
	buf_fini(&chunks);
	if (rc == RC_OK)
		ap->meta.blobs += db_changes(ap->db);
	return rc;
}

/* They lie in the order of their ids, as LSNs only rise. NULL: not one of them. */
static const struct pending_blob *
find_pending(const struct apply *ap, blob_id id)
{
	size_t lo = 0, hi = ap->pending_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ap->pending[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ap->pending_count && ap->pending[lo].id == id ? &ap->pending[lo] : NULL;
}

static enum rc
keep_pending(struct apply *ap, blob_id id, const struct record_blob *b, struct err *e)
{
	struct pending_blob *p = grow(ap->pending, ap->pending_count, &ap->pending_cap, sizeof *p);

	if (p == NULL)
		return err_nomem(e);
	assert(ap->pending_count == 0 || p[ap->pending_count - 1].id < id);
	ap->pending = p;
	p[ap->pending_count] = (struct pending_blob){ .id = id, .blob = *b };
	return threads_make_keys(ap->meta.volume, b->summary, b->sha256, &ap->scratch,
	                         &p[ap->pending_count++].keys, e);
}

enum rc
apply_place_blobs(struct apply *ap, const struct log_batch *b, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < ap->pending_count; i++) {
		const struct pending_blob *p = &ap->pending[i];
		struct log_addr addr;
		uint64_t data_offset;

		if (!log_batch_blob_addr(b, p->id, &addr, &data_offset))
			return err_set(e, RC_CORRUPT, "the batch does not have blob %llu",
			               (unsigned long long)p->id);
		addr.offset += data_offset;
		rc = insert_blob(ap, p->id, &p->blob, p->blob.body.len > 0 ? &p->blob.body : &addr,
		                 p->keys.own, e);
	}
	return rc;
}

/* RFC822.SIZE of a blob, 0 if it is not known. */
static enum rc
blob_size(struct apply *ap, blob_id id, uint64_t *size, struct err *e)
{
	const struct pending_blob *p = find_pending(ap, id);
	sqlite3_stmt *q;
	enum rc rc;

	*size = p != NULL ? p->blob.size : 0;
	if (p != NULL)
		return RC_OK;
	rc = db_first(ap->db, &q, "SELECT size FROM blob WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_NOT_FOUND)
		return RC_OK; /* its frame is damaged: the message stays, its bytes are lost */
	if (rc != RC_OK)
		return rc;
	*size = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

/* ---- threads ---- */

/* Those that are at hand without a query; NULL if none are. */
static const struct thread_keys *
keys_at_hand(const struct apply *ap, blob_id id)
{
	const struct pending_blob *p = find_pending(ap, id);

	if (p != NULL)
		return &p->keys;
	return id != 0 && ap->keys_of == id ? &ap->keys : NULL;
}

/* RC_NOT_FOUND: no such blob. */
static enum rc
blob_keys(struct apply *ap, blob_id id, struct thread_keys *out, struct err *e)
{
	const struct thread_keys *k = keys_at_hand(ap, id);
	sqlite3_stmt *q;
	enum rc rc;

	if (k != NULL) {
		*out = *k;
		return RC_OK;
	}
	rc = db_first(ap->db, &q, "SELECT sha256, summary FROM blob WHERE id=?1 AND length(sha256)=32",
	              DB_ARGS(DB_NUM(id)), e);
	if (rc != RC_OK)
		return rc;
	rc = threads_make_keys(ap->meta.volume, db_bytes(q, 1), db_bytes(q, 0).ptr, &ap->scratch, out, e);
	db_end(q);
	return rc;
}

_Static_assert(SHA256_LEN == 32, "the SQL above names it");

#define THREAD_AWAY (UINT64_C(1) << 62) /* a bit that no blob's id has, as epochs do not come that far */

/* Threads that came with an account from another volume are called by blobs of that one: RC_OK, one has this name. */
static enum rc
thread_is_taken(struct apply *ap, account_id account, uint64_t thread, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q,
	                      "SELECT 1 FROM account a JOIN thread t ON t.account = a.id WHERE a.id = ?1"
	                      " AND a.generation > 1 AND t.thread = ?2 LIMIT 1",
	                      DB_ARGS(DB_NUM(account), DB_NUM(thread)), e);

	if (rc == RC_OK)
		db_end(q);
	return rc;
}

enum rc
apply_find_thread(struct apply *ap, account_id account, blob_id id, uint64_t *thread, struct err *e)
{
	struct thread_keys k;
	enum rc rc;

	*thread = 0;
	rc = blob_keys(ap, id, &k, e);
	if (rc == RC_OK)
		rc = threads_find(ap->db, account, &k, thread, e);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	if (*thread != 0)
		return RC_OK;
	*thread = id;
	rc = thread_is_taken(ap, account, id, e);
	if (rc == RC_OK)
		*thread |= THREAD_AWAY;
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* A copy of what the account has already: its own key alone says so. */
static enum rc
is_noted(struct apply *ap, account_id account, blob_id id, struct err *e)
{
	sqlite3_stmt *q;
	uint64_t own;
	enum rc rc;

	if (keys_at_hand(ap, id) != NULL)
		return RC_NOT_FOUND;
	rc = db_first(ap->db, &q, "SELECT thread_key FROM blob WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc != RC_OK)
		return rc;
	own = db_u64(q, 0);
	db_end(q);
	return threads_known(ap->db, account, own, e);
}

enum rc
apply_note_thread(struct apply *ap, account_id account, blob_id id, uint64_t thread, struct err *e)
{
	struct thread_keys k;
	enum rc rc;

	if (account == 0 || thread == 0)
		return RC_OK;
	rc = is_noted(ap, account, id, e);
	if (rc != RC_NOT_FOUND)
		return rc;
	rc = blob_keys(ap, id, &k, e);
	if (rc == RC_NOT_FOUND)
		return RC_OK;           /* its blob is lost */
	return rc == RC_OK ? threads_note(ap->db, account, &k, thread, e) : rc;
}

/* Messages that came before their mailbox were noted for no account. */
static enum rc
note_threads_of(struct apply *ap, mailbox_id mailbox, account_id account, struct err *e)
{
	enum db_step step;
	sqlite3_stmt *q = db_query(ap->db,
	                           "SELECT blob, threadid FROM message WHERE mailbox=?1 ORDER BY uid",
	                           DB_ARGS(DB_NUM(mailbox)), e);

	if (q == NULL)
		return e->code;
	while ((step = db_next(ap->db, q, e)) == DB_ROW) {
		enum rc rc = apply_note_thread(ap, account, db_u64(q, 0), db_u64(q, 1), e);

		arena_reset(&ap->scratch);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

/* 0: it is a stub, or not there yet. */
static enum rc
account_of(struct apply *ap, mailbox_id mailbox, account_id *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q, "SELECT account FROM mailbox WHERE id=?1",
	                      DB_ARGS(DB_NUM(mailbox)), e);

	*out = 0;
	if (rc == RC_OK) {
		*out = db_u64(q, 0);
		db_end(q);
	}
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- mailboxes of which there may be messages already ---- */

static enum rc
is_stub(struct apply *ap, mailbox_id id, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q, "SELECT 1 FROM mailbox WHERE id=?1 AND account=0",
	                      DB_ARGS(DB_NUM(id)), e);

	if (rc == RC_OK)
		db_end(q);
	return rc;
}

/* A stub's messages were counted for no account. */
static enum rc
adopt_stub(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	enum rc rc = db_run(ap->db,
	                    "UPDATE account SET used_bytes=used_bytes+m.size, "
	                    "used_messages=used_messages+m.exists_"
	                    " FROM mailbox m WHERE m.id=?1 AND account.id=?2",
	                    DB_ARGS(DB_NUM(r->id), DB_NUM(r->account)), e);

	return rc == RC_OK ? note_threads_of(ap, r->id, r->account, e) : rc;
}

/* Expunges up to the floor are not remembered one by one. Of a rebuild index_tidy does it, once: here there is no index
 * by MODSEQ then. */
static enum rc
drop_below_floor(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	enum rc rc;

	if (r->expunge_floor == 0 || ap->bulk)
		return RC_OK;
	rc = db_run(ap->db, "DELETE FROM expunged WHERE mailbox=?1 AND modseq <= ?2",
	            DB_ARGS(DB_NUM(r->id), DB_NUM(r->expunge_floor)), e);
	if (rc == RC_OK)
		ap->meta.expunged -= db_changes(ap->db);
	return rc;
}

static enum rc
apply_mailbox(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	enum rc rc;

	if (r->deleted)
		return delete_mailbox(ap, r, e);
	rc = is_stub(ap, r->id, e);
	if (rc == RC_OK)
		rc = adopt_stub(ap, r, e);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	rc = db_run(ap->db,
	            "INSERT INTO mailbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, 0, 0, ?7, ?8, ?9, ?10)"
	            " ON CONFLICT(id) DO UPDATE SET account=?2, name=?3, uidvalidity=?4, "
	            "uidnext=max(uidnext, ?5),"
	            " highestmodseq=max(highestmodseq, ?6), special_use=?7, mailboxid=?8,"
	            " expunge_floor=max(expunge_floor, ?9), change_floor=max(change_floor, ?10)",
	            DB_ARGS(DB_NUM(r->id), DB_NUM(r->account), DB_BYTES(r->name),
	                    DB_NUM(r->uidvalidity), DB_NUM(r->uidnext), DB_NUM(r->highestmodseq),
	                    DB_NUM(r->special_use),
	                    DB_BYTES(slice_of(r->mailboxid, sizeof r->mailboxid)),
	                    DB_NUM(r->expunge_floor), DB_NUM(r->change_floor)),
	            e);
	return rc == RC_OK ? drop_below_floor(ap, r, e) : rc;
}

/* ---- messages ---- */

static enum rc
insert_message(struct apply *ap, const struct record_messages *r, mail_uid uid,
               const struct record_message *m, struct delta *d, struct err *e)
{
	uint64_t size;
	uint64_t kw;
	enum rc rc;

	rc = blob_size(ap, m->blob, &size, e);
	if (rc == RC_OK)
		rc = intern_keywords(ap, r->mailbox, m->keywords, &kw, e);
	if (rc == RC_OK)
		rc = db_run(ap->db,
		            "INSERT OR IGNORE INTO message VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
		            "?9, ?10, ?11, ?12)",
		            DB_ARGS(DB_NUM(r->mailbox), DB_NUM(uid), DB_NUM(r->modseq),
		                    DB_NUM(m->flags), DB_NUM(kw), DB_NUM(m->blob),
		                    DB_NUM(m->internaldate.sec), DB_NUM(m->internaldate.zone_min),
		                    DB_NUM(m->savedate.sec), DB_NUM(m->savedate.zone_min),
		                    DB_NUM(m->threadid), DB_NUM(size)),
		            e);
	if (rc != RC_OK || db_changes(ap->db) == 0)
		return rc;
	d->exists++;
	d->unseen += (m->flags & FLAG_SEEN) == 0;
	d->deleted += (m->flags & FLAG_DELETED) != 0;
	d->size += (int64_t)size;
	d->deleted_size += (m->flags & FLAG_DELETED) != 0 ? (int64_t)size : 0;
	return RC_OK;
}

/* A record that is older than threads gets the thread that a new one would: equal bytes may come again. Of a stub's
 * messages nobody knows the account; they stay without. */
static enum rc
apply_message(struct apply *ap, const struct record_messages *r, mail_uid uid, const struct record_message *message,
              account_id account, struct delta *d, struct err *e)
{
	struct record_message m = *message;
	enum rc rc = RC_OK;

	if (m.threadid == 0 && account != 0)
		rc = apply_find_thread(ap, account, m.blob, &m.threadid, e);
	if (rc == RC_OK)
		rc = insert_message(ap, r, uid, &m, d, e);
	return rc == RC_OK ? apply_note_thread(ap, account, m.blob, m.threadid, e) : rc;
}

/* The messages of one range of UIDs, from the record's `i`-th on. */
static enum rc
apply_range(struct apply *ap, const struct record_messages *r, struct uid_range range, uint32_t i,
            account_id account, struct delta *d, struct err *e)
{
	enum rc rc = RC_OK;

	for (mail_uid uid = range.first; rc == RC_OK && uid <= range.last; uid++) {
		rc = apply_message(ap, r, uid, &r->messages[i++], account, d, e);
		arena_reset(&ap->scratch);
	}
	return rc;
}

static enum rc
apply_messages(struct apply *ap, const struct record_messages *r, struct err *e)
{
	struct uid_range all = { r->first_uid, r->first_uid + r->count - 1 };
	const struct uid_range *uids = r->uids != NULL ? r->uids : &all;
	uint32_t ranges = r->uids != NULL ? r->range_count : 1, done = 0;
	struct delta d = { .modseq = r->modseq, .first_new = r->first_uid };
	account_id account;
	enum rc rc;

	if (r->count == 0)
		return RC_OK;
	if (r->first_uid == 0 || r->count > UINT32_MAX - r->first_uid || uids[ranges - 1].last == UINT32_MAX)
		return err_set(e, RC_SYNTAX, "messages record with UIDs out of range");
	d.uidnext = uids[ranges - 1].last + 1;
	rc = account_of(ap, r->mailbox, &account, e);
	for (uint32_t i = 0; rc == RC_OK && i < ranges; i++) {
		rc = apply_range(ap, r, uids[i], done, account, &d, e);
		done += uids[i].last - uids[i].first + 1;
	}
	return rc == RC_OK ? count_mailbox(ap, r->mailbox, &d, e) : rc;
}

/* What a range of messages counts for at present. */
static enum rc
sum_range(struct apply *ap, mailbox_id mailbox, struct uid_range range, struct delta *d,
          struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc;

	rc = db_first(ap->db, &q,
	              "SELECT count(*), total(flags & 8 = 0), total(flags & 4 != 0), "
	              "coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE flags & 4 != 0), 0)"
	              " FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
	              DB_ARGS(DB_NUM(mailbox), DB_NUM(range.first), DB_NUM(range.last)), e);
	if (rc != RC_OK)
		return rc;
	d->exists = (int64_t)db_u64(q, 0);
	d->unseen = (int64_t)db_u64(q, 1);
	d->deleted = (int64_t)db_u64(q, 2);
	d->size = (int64_t)db_u64(q, 3);
	d->deleted_size = (int64_t)db_u64(q, 4);
	db_end(q);
	return RC_OK;
}

_Static_assert(FLAG_SEEN == 8 && FLAG_DELETED == 4, "the SQL above names these bits");

static enum rc
apply_flags(struct apply *ap, const struct record_flags *r, struct err *e)
{
	struct delta d = { .modseq = r->modseq };
	uint64_t kw;
	enum rc rc;

	rc = intern_keywords(ap, r->mailbox, r->keywords, &kw, e);
	for (uint32_t i = 0; rc == RC_OK && i < r->range_count; i++) {
		struct uid_range range = r->uids[i];
		struct delta old;

		rc = sum_range(ap, r->mailbox, range, &old, e);
		if (rc == RC_OK)
			rc = db_run(ap->db,
			            "UPDATE message SET flags=?4, kw=?5, modseq=?6"
			            " WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
			            DB_ARGS(DB_NUM(r->mailbox), DB_NUM(range.first),
			                    DB_NUM(range.last), DB_NUM(r->flags), DB_NUM(kw),
			                    DB_NUM(r->modseq)),
			            e);
		if (rc != RC_OK)
			return rc;
		d.unseen += ((r->flags & FLAG_SEEN) == 0 ? old.exists : 0) - old.unseen;
		d.deleted += ((r->flags & FLAG_DELETED) != 0 ? old.exists : 0) - old.deleted;
		d.deleted_size += ((r->flags & FLAG_DELETED) != 0 ? old.size : 0) - old.deleted_size;
	}
	return rc == RC_OK ? count_mailbox(ap, r->mailbox, &d, e) : rc;
}

/* The messages of these UIDs are not in the log any more, only that they are gone: tombstones that say no more. */
static enum rc
insert_bare(struct apply *ap, const struct record_expunge *r, struct uid_range range, struct err *e)
{
	enum rc rc = db_run(ap->db,
	                    "INSERT OR IGNORE INTO expunged WITH RECURSIVE u(uid) AS"
	                    " (SELECT ?2 UNION ALL SELECT uid + 1 FROM u WHERE uid < ?3)"
	                    " SELECT ?1, uid, ?4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ?5 FROM u",
	                    DB_ARGS(DB_NUM(r->mailbox), DB_NUM(range.first), DB_NUM(range.last),
	                            DB_NUM(r->modseq), DB_NUM(ap->time_us / 1000000u)),
	                    e);

	if (rc == RC_OK)
		ap->meta.expunged += db_changes(ap->db);
	return rc;
}

static enum rc
expunge_range(struct apply *ap, const struct record_expunge *r, struct uid_range range,
              struct err *e)
{
	const struct db_arg args[] = { DB_NUM(r->mailbox), DB_NUM(range.first), DB_NUM(range.last),
		                       DB_NUM(r->modseq), DB_NUM(ap->time_us / 1000000u) };
	uint64_t found;
	enum rc rc;

	rc = db_run(ap->db,
	            "INSERT OR IGNORE INTO expunged SELECT mailbox, uid, ?4, modseq, flags, kw, "
	            "blob, internaldate,"
	            " zone, savedate, savezone, threadid, size, ?5 FROM message WHERE mailbox=?1 AND "
	            "uid BETWEEN ?2 AND ?3",
	            args, 5, e);
	if (rc != RC_OK)
		return rc;
	found = db_changes(ap->db);
	ap->meta.expunged += found;
	if (found < (uint64_t)range.last - range.first + 1)
		rc = insert_bare(ap, r, range, e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
		            args, 3, e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM uidl WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3", args, 3,
		            e);
	return rc;
}

static enum rc
apply_expunge(struct apply *ap, const struct record_expunge *r, struct err *e)
{
	struct delta d = { .modseq = r->modseq };
	enum rc rc = RC_OK;

	if (r->range_count > 0 && r->uids[r->range_count - 1].last == UINT32_MAX)
		return err_set(e, RC_SYNTAX, "expunge record with UIDs out of range");
	for (uint32_t i = 0; rc == RC_OK && i < r->range_count; i++) {
		struct delta old;

		d.uidnext = r->uids[i].last + 1;
		rc = sum_range(ap, r->mailbox, r->uids[i], &old, e);
		if (rc == RC_OK)
			rc = expunge_range(ap, r, r->uids[i], e);
		if (rc != RC_OK)
			return rc;
		d.exists -= old.exists;
		d.unseen -= old.unseen;
		d.deleted -= old.deleted;
		d.size -= old.size;
		d.deleted_size -= old.deleted_size;
	}
	return rc == RC_OK ? count_mailbox(ap, r->mailbox, &d, e) : rc;
}

/* The content goes at once; who still shows the message is told that it is gone. */
static enum rc
apply_purge(struct apply *ap, const struct record_purge *r, struct err *e)
{
	enum rc rc = db_run(ap->db, "DELETE FROM blob WHERE id=?1", DB_ARGS(DB_NUM(r->blob)), e);

	if (rc == RC_OK)
		ap->meta.blobs -= db_changes(ap->db);
	return rc;
}

/* A blob that is not known has died, or its record is lost. What its messages have told of threads stays as it is. */
static enum rc
apply_summary(struct apply *ap, const struct record_summary *r, struct err *e)
{
	struct thread_keys keys;
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q, "SELECT sha256 FROM blob WHERE id=?1 AND length(sha256)=32",
	                      DB_ARGS(DB_NUM(r->blob)), e);

	if (ap->keys_of == r->blob)
		ap->keys_of = 0;
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	rc = threads_make_keys(ap->meta.volume, r->summary, db_bytes(q, 0).ptr, &ap->scratch, &keys, e);
	db_end(q);
	if (rc != RC_OK)
		return rc;
	return db_run(ap->db, "UPDATE blob SET summary=?2, thread_key=?3 WHERE id=?1",
	              DB_ARGS(DB_NUM(r->blob), DB_BYTES(r->summary), DB_NUM(keys.own)), e);
}

static enum rc
apply_uidl(struct apply *ap, const struct record_uidl *r, struct err *e)
{
	return db_run(ap->db, "INSERT OR REPLACE INTO uidl VALUES(?1, ?2, ?3)",
	              DB_ARGS(DB_NUM(r->mailbox), DB_NUM(r->uid), DB_BYTES(r->text)), e);
}

/* ---- the dispatcher ---- */

static enum rc
apply_blob(struct apply *ap, const struct record *r, const struct log_addr *data, struct err *e)
{
	enum rc rc;

	if (data == NULL)
		return keep_pending(ap, r->lsn, &r->u.blob, e);
	ap->keys_of = 0;
	rc = threads_make_keys(ap->meta.volume, r->u.blob.summary, r->u.blob.sha256, &ap->scratch, &ap->keys, e);
	if (rc != RC_OK)
		return rc;
	ap->keys_of = r->lsn;
	return insert_blob(ap, r->lsn, &r->u.blob, data, ap->keys.own, e);
}

static enum rc
apply_any(struct apply *ap, const struct record *r, const struct log_addr *data, struct err *e)
{
	switch (r->type) {
	case RECORD_COUNTERS:
		if (r->u.counters.uidvalidity > ap->meta.uidvalidity)
			ap->meta.uidvalidity = r->u.counters.uidvalidity;
		return RC_OK;
	case RECORD_ACCOUNT:
		return apply_account(ap, &r->u.account, e);
	case RECORD_CREDENTIAL:
		return apply_credential(ap, &r->u.credential, e);
	case RECORD_MAILBOX:
		return apply_mailbox(ap, &r->u.mailbox, e);
	case RECORD_SUBSCRIPTION:
		return apply_subscription(ap, &r->u.subscription, e);
	case RECORD_BLOB:
		return apply_blob(ap, r, data, e);
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		return apply_messages(ap, &r->u.messages, e);
	case RECORD_FLAGS:
		return apply_flags(ap, &r->u.flags, e);
	case RECORD_EXPUNGE:
		return apply_expunge(ap, &r->u.expunge, e);
	case RECORD_GONE:
		return RC_OK;
	case RECORD_PURGE:
		return apply_purge(ap, &r->u.purge, e);
	case RECORD_UIDL:
		return apply_uidl(ap, &r->u.uidl, e);
	case RECORD_SUMMARY:
		return apply_summary(ap, &r->u.summary, e);
	}
	return err_set(e, RC_SYNTAX, "record of unknown type %d", (int)r->type);
}

enum rc
apply_record(struct apply *ap, const struct record *r, const struct log_addr *data, struct err *e)
{
	enum rc rc;

	if (r->lsn <= ap->meta.applied)
		return RC_OK;
	rc = apply_any(ap, r, data, e);
	arena_reset(&ap->scratch);
	if (rc == RC_OK)
		ap->meta.applied = r->lsn;
	return rc;
}
