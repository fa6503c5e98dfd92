/* apply_blob - records of contents, and which thread they belong to. See apply.h and threads.h.
 *
 * A batch that is being made knows its blobs before their addresses: they wait as `pending`, and
 * what is asked of a blob is answered from there too.
 */
#include "index/apply_impl.h"
#include "index/learnt.h"

#include <assert.h>

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

/* Append the row's form of a summary. */
static enum rc
pack_summary(struct apply *ap, struct slice summary, struct buf *out, struct err *e)
{
	if (ap->packer == NULL)
		ap->packer = packed_summary_packer();
	return ap->packer != NULL && packed_summary_put(ap->packer, summary, out) ? RC_OK
	                                                                           : err_nomem(e);
}

static enum rc
insert_blob(struct apply *ap, blob_id id, const struct record_blob *b, const struct log_addr *data,
            uint64_t thread_key, struct err *e)
{
	struct buf chunks, summary;
	enum rc rc;

	buf_init(&chunks, 64u << 20);
	buf_init(&summary, b->summary.len + PACKED_MORE);
	rc = pack_summary(ap, b->summary, &summary, e);
	if (rc == RC_OK && !blob_chunks_encode(b->chunks, b->chunk_count, &chunks))
		rc = err_nomem(e);
	if (rc == RC_OK)
		rc = db_run(ap->db,
		            "INSERT OR IGNORE INTO blob VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		            "?10, ?11, ?12, ?13)",
		            DB_ARGS(DB_NUM(id), DB_NUM(data->seg.seq), DB_NUM(data->seg.epoch),
		                    DB_NUM(data->seg.kind), DB_NUM(data->offset),
		                    DB_NUM(chunks_len(b)), DB_NUM(b->size), DB_NUM(b->header_len),
		                    DB_NUM(b->lines),
		                    DB_BYTES(slice_of(b->sha256, sizeof b->sha256)),
		                    DB_NUM(thread_key), DB_BYTES(buf_slice(&chunks)),
		                    DB_BYTES(buf_slice(&summary))),
		            e);
	buf_fini(&summary);
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
	struct pending_blob *p = apply_grow(ap->pending, ap->pending_count, &ap->pending_cap,
	                                    sizeof *p);

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

enum rc
apply_blob_size(struct apply *ap, blob_id id, uint64_t *size, struct err *e)
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
	struct slice summary;
	sqlite3_stmt *q;
	enum rc rc;

	if (k != NULL) {
		*out = *k;
		return RC_OK;
	}
	rc = db_first(ap->db, &q,
	              "SELECT sha256, summary FROM blob WHERE id=?1 AND length(sha256)=32",
	              DB_ARGS(DB_NUM(id)), e);
	if (rc != RC_OK)
		return rc;
	rc = packed_summary_get(db_bytes(q, 1), &ap->scratch, &summary, e);
	if (rc == RC_OK)
		rc = threads_make_keys(ap->meta.volume, summary, db_bytes(q, 0).ptr, &ap->scratch,
		                       out, e);
	db_end(q);
	return rc;
}

_Static_assert(SHA256_LEN == 32, "the SQL above names it");

#define THREAD_AWAY (UINT64_C(1) << 62) /* a bit that no blob's id has, as epochs do
                                         * not come that far */

/* Threads that came with an account from another volume are called by blobs of that one: RC_OK, one
 * has this name. */
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

enum rc
apply_derive_thread(struct apply *ap, blob_id id, uint64_t *thread, struct err *e)
{
	struct thread_keys k;
	enum rc rc = blob_keys(ap, id, &k, e);

	*thread = rc == RC_OK ? threads_derive(&k) : 0;
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
	rc = db_first(ap->db, &q, "SELECT thread_key FROM blob WHERE id=?1", DB_ARGS(DB_NUM(id)),
	              e);
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

enum rc
apply_note_threads_of(struct apply *ap, mailbox_id mailbox, account_id account, struct err *e)
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

/* ---- records ---- */

enum rc
apply_blob(struct apply *ap, const struct record *r, const struct log_addr *data, struct err *e)
{
	enum rc rc;

	if (data == NULL)
		return keep_pending(ap, r->lsn, &r->u.blob, e);
	ap->keys_of = 0;
	rc = threads_make_keys(ap->meta.volume, r->u.blob.summary, r->u.blob.sha256, &ap->scratch,
	                       &ap->keys, e);
	if (rc != RC_OK)
		return rc;
	ap->keys_of = r->lsn;
	return insert_blob(ap, r->lsn, &r->u.blob, data, ap->keys.own, e);
}

/* What searches learnt of a content, all of it, as it is not noted where that is: purges and reparses are rare. */
static enum rc
forget_learnt(struct apply *ap, struct err *e)
{
	ap->purged = true;
	return learnt_forget(ap->db, e);
}

/* The content goes at once; who still shows the message is told that it is gone. */
enum rc
apply_purge(struct apply *ap, const struct record_purge *r, struct err *e)
{
	enum rc rc = db_run(ap->db, "DELETE FROM blob WHERE id=?1", DB_ARGS(DB_NUM(r->blob)), e);

	if (rc == RC_OK)
		ap->meta.blobs -= db_changes(ap->db);
	return rc == RC_OK ? forget_learnt(ap, e) : rc;
}

/* A blob that is not known has died, or its record is lost. What its messages have told of threads
 * stays as it is. */
enum rc
apply_summary(struct apply *ap, const struct record_summary *r, struct err *e)
{
	struct thread_keys keys;
	struct buf summary;
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q,
	                      "SELECT sha256, thread_key FROM blob WHERE id=?1 AND "
	                      "length(sha256)=32",
	                      DB_ARGS(DB_NUM(r->blob)), e);

	if (ap->keys_of == r->blob)
		ap->keys_of = 0;
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	rc = threads_make_keys(ap->meta.volume, r->summary, db_bytes(q, 0).ptr, &ap->scratch, &keys,
	                       e);
	if (rc == RC_OK && keys.own != db_u64(q, 1))
		ap->meta.rekeyed = 1;
	db_end(q);
	if (rc != RC_OK)
		return rc;
	buf_init(&summary, r->summary.len + PACKED_MORE);
	rc = pack_summary(ap, r->summary, &summary, e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "UPDATE blob SET summary=?2, thread_key=?3 WHERE id=?1",
		            DB_ARGS(DB_NUM(r->blob), DB_BYTES(buf_slice(&summary)),
		                    DB_NUM(keys.own)), e);
	buf_fini(&summary);
	return rc == RC_OK ? forget_learnt(ap, e) : rc;
}
