/* read_found - messages by age, and contents by what they are: for expunge, purge and
 * dedup. See volume.h.
 *
 * The first walks the messages of one mailbox in pieces. The others look at a whole table once:
 * admins ask that seldom, and an index for it would cost every delivery. The Message-ID is found by
 * the sum that threads keep of it, and then compared, so that summaries of the hits only are read.
 */
#include "index/volume_impl.h"

#include "index/packed.h"
#include "index/schema.h"
#include "index/threads.h"
#include "lib/mime.h"

/* ---- by age ---- */

enum rc
volume_find_old(struct volume *v, mailbox_id mailbox, int64_t before, uint32_t limit,
                mail_uid *from, struct uid_set *out, uint64_t *bytes, struct err *e)
{
	enum db_step step = DB_FAIL;
	sqlite3_stmt *q;
	struct db *db;
	uint32_t n = 0;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	if (rc != RC_OK)
		return rc;
	q = db_query(db,
	             "SELECT uid, size FROM message WHERE mailbox=?1 AND uid>=?2"
	             " AND CASE WHEN savedate>0 THEN savedate ELSE internaldate END < ?3 "
	             "ORDER BY uid LIMIT ?4",
	             DB_ARGS(DB_NUM(mailbox), DB_NUM(*from), DB_NUM(before), DB_NUM(limit)), e);
	*from = 0;
	while (q != NULL && rc == RC_OK && (step = db_next(db, q, e)) == DB_ROW) {
		mail_uid uid = (mail_uid)db_u64(q, 0);

		if (!uid_set_add(out, uid, uid))
			rc = err_set(e, RC_LIMIT, "too many messages at a time");
		*bytes += db_u64(q, 1);
		*from = ++n == limit && uid < UINT32_MAX ? uid + 1 : 0;
	}
	if (rc != RC_OK)
		db_end(q);
	else if (step == DB_FAIL)
		rc = e->code;
	db_pool_return(v->pool, &db);
	return rc;
}

/* ---- by content ---- */

struct finding {
	struct volume        *v;
	struct db            *db;
	struct arena         *a;
	struct slice          message_id;       /* empty: by hash */
	struct found_content *out;
	size_t                count, cap;
};

/* Room for one more of `size` bytes each; NULL without memory. */
static void *
grow(struct arena *a, void *items, size_t count, size_t *cap, size_t size)
{
	size_t bigger = *cap > 0 ? *cap * 2 : 16;
	void *p;

	if (count < *cap)
		return items;
	p = arena_array(a, bigger, size);
	if (p == NULL)
		return NULL;
	if (count > 0)
		memcpy(p, items, count * size);
	*cap = bigger;
	return p;
}

/* Equal sums are no proof. */
static enum rc
is_wanted(struct finding *f, struct slice row, bool *wanted, struct err *e)
{
	struct mime_summary s;
	struct slice summary;
	enum rc rc;

	*wanted = f->message_id.len == 0;
	if (*wanted)
		return RC_OK;
	rc = packed_summary_get(row, f->a, &summary, e);
	if (rc == RC_OK)
		rc = mime_summary_decode(summary, f->a, &s, e);
	*wanted = rc == RC_OK && slice_eq(s.keys.message_id, f->message_id);
	return rc == RC_NOMEM ? rc : RC_OK;
}

static enum rc
add_content(struct finding *f, sqlite3_stmt *q, struct err *e)
{
	struct slice sha = db_bytes(q, 1);
	bool wanted;
	enum rc rc = is_wanted(f, db_bytes(q, 3), &wanted, e);
	struct found_content *c;

	if (rc != RC_OK || !wanted || sha.len != SHA256_LEN)
		return rc;
	f->out = grow(f->a, f->out, f->count, &f->cap, sizeof *f->out);
	if (f->out == NULL)
		return err_nomem(e);
	c = &f->out[f->count++];
	c->blob = db_u64(q, 0);
	c->size = db_u64(q, 2);
	memcpy(c->sha256, sha.ptr, SHA256_LEN);
	return RC_OK;
}

static enum rc
take_contents(struct finding *f, sqlite3_stmt *q, struct err *e)
{
	enum db_step step;

	if (q == NULL)
		return e->code;
	while ((step = db_next(f->db, q, e)) == DB_ROW) {
		enum rc rc = add_content(f, q, e);

		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

static enum rc
find_contents(struct finding *f, const uint8_t *sha256, struct err *e)
{
	static const char by_hash[] =
	    "SELECT id, sha256, size, X'' FROM blob WHERE sha256=?1 ORDER BY id";
	static const char by_key[] =
	    "SELECT id, sha256, size, summary FROM blob WHERE thread_key=?1 ORDER BY id";
	struct index_meta meta;
	uint64_t key;
	enum rc rc;

	if (sha256 != NULL)
		return take_contents(f,
		    db_query(f->db, by_hash, DB_ARGS(DB_BYTES(slice_of(sha256, SHA256_LEN))), e),
		    e);
	rc = schema_read_meta(f->db, &meta, e);
	if (rc != RC_OK)
		return rc;
	key = threads_id_key(meta.volume, f->message_id);
	return take_contents(f, db_query(f->db, by_key, DB_ARGS(DB_NUM(key)), e), e);
}

enum rc
volume_find_contents(struct volume *v, const uint8_t *sha256, struct slice message_id,
                     struct arena *a, struct found_content **out, size_t *count, struct err *e)
{
	struct finding f = { .v = v, .a = a, .message_id = message_id };
	enum rc rc = db_pool_borrow(v->pool, &f.db, e);

	*out = NULL;
	*count = 0;
	if (rc != RC_OK)
		return rc;
	rc = find_contents(&f, sha256, e);
	db_pool_return(v->pool, &f.db);
	*out = f.out;
	*count = rc == RC_OK ? f.count : 0;
	return rc;
}

/* ---- where a content is ---- */

enum rc
volume_find_copies(struct volume *v, blob_id blob, struct arena *a, struct found_copy **out,
                   size_t *count, struct err *e)
{
	enum db_step step = DB_FAIL;
	struct found_copy *copies = NULL;
	size_t n = 0, cap = 0;
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	*out = NULL;
	*count = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db,
	    "SELECT b.account, m.mailbox, m.uid FROM message m JOIN mailbox b ON b.id=m.mailbox"
	    " WHERE m.blob=?1 ORDER BY m.mailbox, m.uid",
	    DB_ARGS(DB_NUM(blob)), e);
	while (q != NULL && rc == RC_OK && (step = db_next(db, q, e)) == DB_ROW) {
		copies = grow(a, copies, n, &cap, sizeof *copies);
		if (copies == NULL)
			rc = err_nomem(e);
		else
			copies[n++] = (struct found_copy){ db_u64(q, 0), db_u64(q, 1),
			                                   (mail_uid)db_u64(q, 2) };
	}
	if (rc != RC_OK)
		db_end(q);
	else if (step == DB_FAIL)
		rc = e->code;
	db_pool_return(v->pool, &db);
	*out = copies;
	*count = rc == RC_OK ? n : 0;
	return rc;
}

/* ---- equal contents ---- */

#define TOTALS "SELECT coalesce(sum(n), 0), count(*), coalesce(sum(n > 1), 0), " \
               "coalesce(sum(n - 1), 0)," \
	" coalesce(sum(bytes - least), 0), coalesce(sum(size * (n - 1)), 0) FROM" \
	" (SELECT count(*) AS n, sum(len) AS bytes, min(len) AS least, max(size) AS " \
	"size FROM blob "

enum rc
volume_count_contents(struct volume *v, account_id account, struct content_totals *out,
                      struct err *e)
{
	static const char all[] = TOTALS "GROUP BY sha256)";
	static const char some[] = TOTALS
	    "WHERE id IN (SELECT m.blob FROM mailbox b JOIN message m ON m.mailbox=b.id"
	    " WHERE b.account=?1) GROUP BY sha256)";
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	if (rc != RC_OK)
		return rc;
	if (account == 0)
		rc = db_first(db, &q, all, DB_NO_ARGS, e);
	else
		rc = db_first(db, &q, some, DB_ARGS(DB_NUM(account)), e);
	if (rc == RC_OK) {
		*out = (struct content_totals){ db_u64(q, 0), db_u64(q, 1), db_u64(q, 2),
		                                db_u64(q, 3), db_u64(q, 4),
		                                db_u64(q, 5) };
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	return rc;
}
