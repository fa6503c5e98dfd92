/* read_message - rows of messages, and their bytes. See volume.h.
 *
 * Rows come by primary key, range by range. With a tombstone wanted, two ordered tables are merged
 * by SQLite. The summary stands last in the blob's row and is not touched unless it is asked for.
 */
#include "index/volume_impl.h"

#define LIVE                                                                              \
	"SELECT mailbox, uid, modseq, flags, kw, blob, internaldate, zone, savedate,"     \
	" savezone, threadid, size, 0 AS gone FROM message"                                  \
	" WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3"
/* A tombstone has the MODSEQ that its flags had. */
#define DEAD                                                                              \
	"SELECT mailbox, uid, seenmodseq, flags, kw, blob, internaldate, zone, savedate," \
	" savezone, threadid, size, 1 AS gone FROM expunged"                                 \
	" WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3"
/* A tombstone whose content was purged has nothing left to read: as if it were gone too. */
#define DEAD_BLOB DEAD " AND EXISTS(SELECT 1 FROM blob WHERE id=expunged.blob)"
#define PLACE   ", b.seg, b.epoch, b.kind, b.offset, b.len, b.sha256, b.chunks, b.summary"
#define BLOB    " LEFT JOIN blob b ON b.id = m.blob"
#define COLUMN_GONE    MESSAGE_COLUMN_COUNT
#define COLUMN_SEG     (COLUMN_GONE + 1)
#define COLUMN_EPOCH   (COLUMN_GONE + 2)
#define COLUMN_KIND    (COLUMN_GONE + 3)
#define COLUMN_OFFSET  (COLUMN_GONE + 4)
#define COLUMN_LEN     (COLUMN_GONE + 5)
#define COLUMN_SHA256  (COLUMN_GONE + 6)
#define COLUMN_CHUNKS  (COLUMN_GONE + 7)
#define COLUMN_SUMMARY (COLUMN_GONE + 8)

static const char plain_live[] =
	"SELECT " MESSAGE_COLUMNS ", 0 FROM message m" MESSAGE_KEYWORDS
	" WHERE m.mailbox=?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid LIMIT ?4";
static const char blob_live[] =
	"SELECT " MESSAGE_COLUMNS ", 0" PLACE " FROM message m" MESSAGE_KEYWORDS BLOB
	" WHERE m.mailbox=?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid LIMIT ?4";
static const char plain_all[] = "SELECT " MESSAGE_COLUMNS ", m.gone FROM (" LIVE " UNION ALL " DEAD
				" ORDER BY uid LIMIT ?4) m" MESSAGE_KEYWORDS " ORDER BY m.uid";
static const char blob_all[] =
	"SELECT " MESSAGE_COLUMNS ", m.gone" PLACE " FROM (" LIVE " UNION ALL " DEAD_BLOB
	" ORDER BY uid LIMIT ?4) m" MESSAGE_KEYWORDS BLOB " ORDER BY m.uid";

#define PLACE_MAX      (64u << 20)      /* memory for one blob's chunk table */

struct read_run {
	struct db          *db;
	mailbox_id          mailbox;
	const char         *sql;
	uint32_t            want;
	uint32_t            limit;
	mail_modseq         floor;
	struct arena       *a;
	struct message_row *rows;
	size_t              count, cap;
};

static enum rc
read_place(struct read_run *run, sqlite3_stmt *q, struct message_row *m, struct err *e)
{
	struct blob_chunk *chunks;
	struct slice sha = db_bytes(q, COLUMN_SHA256);
	enum rc rc;

	/* No row: the blob's frame is damaged; a place without chunks cannot be read. */
	if (sha.len != sizeof m->sha256)
		return RC_OK;
	memcpy(m->sha256, sha.ptr, sha.len);
	m->place.id = m->blob;
	m->place.addr.seg =
		(struct seg_id){ db_u64(q, COLUMN_SEG), (uint32_t)db_u64(q, COLUMN_EPOCH),
		                 (uint32_t)db_u64(q, COLUMN_KIND) };
	m->place.addr.offset = db_u64(q, COLUMN_OFFSET);
	m->place.addr.len = db_u64(q, COLUMN_LEN);
	m->place.size = m->size;
	rc = blob_chunks_decode(db_bytes(q, COLUMN_CHUNKS), run->a, &chunks, &m->place.chunk_count,
	                        e);
	m->place.chunks = chunks;
	return rc;
}

static enum rc
read_row(struct read_run *run, sqlite3_stmt *q, struct err *e)
{
	struct message_row *m;
	enum rc rc;

	if (run->count == run->cap) {
		size_t cap = run->cap > 0 ? run->cap * 2 : 16;
		struct message_row *bigger = arena_array(run->a, cap, sizeof *bigger);

		if (bigger == NULL)
			return err_nomem(e);
		if (run->count > 0)
			memcpy(bigger, run->rows, run->count * sizeof *bigger);
		run->rows = bigger;
		run->cap = cap;
	}
	m = &run->rows[run->count];
	rc = message_from_row(q, run->floor, run->a, m, e);
	if (rc != RC_OK)
		return rc;
	run->count++;
	m->expunged = db_u64(q, COLUMN_GONE) != 0;
	if ((run->want & WANT_PLACE) != 0)
		rc = read_place(run, q, m, e);
	if (rc == RC_OK && (run->want & WANT_SUMMARY) != 0) {
		m->summary = arena_dup(run->a, db_bytes(q, COLUMN_SUMMARY));
		if (m->summary.ptr == NULL)
			rc = err_nomem(e);
	}
	return rc;
}

static enum rc
read_range(struct read_run *run, mail_uid first, mail_uid last, struct err *e)
{
	enum db_step step;
	sqlite3_stmt *q = db_query(run->db, run->sql,
	                           DB_ARGS(DB_NUM(run->mailbox), DB_NUM(first), DB_NUM(last),
	                                   DB_NUM(run->limit - run->count)),
	                           e);

	if (q == NULL)
		return e->code;
	while ((step = db_next(run->db, q, e)) == DB_ROW) {
		enum rc rc = read_row(run, q, e);

		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

static const char *
choose_sql(uint32_t want)
{
	bool blob = (want & (WANT_SUMMARY | WANT_PLACE)) != 0;

	if ((want & WANT_EXPUNGED) != 0)
		return blob ? blob_all : plain_all;
	return blob ? blob_live : plain_live;
}

enum rc
volume_read_messages(struct volume *v, mailbox_id mailbox, const struct uid_set *uids,
                     mail_uid from, uint32_t limit, uint32_t want, struct arena *a,
                     struct message_row **out, size_t *count, struct err *e)
{
	struct read_run run = {
		.mailbox = mailbox, .sql = choose_sql(want), .want = want, .limit = limit, .a = a
	};
	enum rc rc;

	*out = NULL;
	*count = 0;
	rc = db_pool_borrow(v->pool, &run.db, e);
	if (rc != RC_OK)
		return rc;
	rc = mailbox_change_floor(run.db, mailbox, &run.floor, e);
	for (size_t i = 0; rc == RC_OK && i < uids->count && run.count < limit; i++) {
		struct uid_range r = uids->ranges[i];

		if (r.last >= from)
			rc = read_range(&run, r.first > from ? r.first : from, r.last, e);
	}
	db_pool_return(v->pool, &run.db);
	*out = run.rows;
	*count = run.count;
	return rc;
}

/* ---- bytes ---- */

static void
report_blob(struct volume *v, const struct blob_place *p, const struct err *e)
{
	volume_found_unreadable(v, p->addr.seg, p->addr.offset, p->addr.len, e->text);
}

static enum rc
check_place(const struct blob_place *place, struct err *e)
{
	if (place->addr.seg.seq == 0)
		return err_set(e, RC_CORRUPT, "the message's blob is not in the log");
	return RC_OK;
}

/* Where the blob lies now. RC_NOT_FOUND: it is gone. */
static enum rc
find_place(struct volume *v, const struct blob_place *old, struct arena *a, struct blob_place *out, struct err *e)
{
	struct blob_chunk *chunks;
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	if (rc != RC_OK)
		return rc;
	*out = *old;
	rc = db_first(db, &q, "SELECT seg, epoch, kind, offset, len, chunks FROM blob WHERE id=?1",
	              DB_ARGS(DB_NUM(old->id)), e);
	if (rc == RC_OK) {
		out->addr.seg = (struct seg_id){ db_u64(q, 0), (uint32_t)db_u64(q, 1), (uint32_t)db_u64(q, 2) };
		out->addr.offset = db_u64(q, 3);
		out->addr.len = db_u64(q, 4);
		rc = blob_chunks_decode(db_bytes(q, 5), a, &chunks, &out->chunk_count, e);
		out->chunks = chunks;
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	return rc;
}

/* The piece was there when the place was read, and has been compacted since: once more with the place of now. */
static enum rc
read_again(struct volume *v, const struct blob_place *old, uint64_t from, uint64_t len, struct buf *out, struct err *e)
{
	struct blob_place now;
	struct arena a;
	enum rc rc;

	if (old->id == 0)
		return e->code;
	arena_init(&a, PLACE_MAX);
	rc = find_place(v, old, &a, &now, e);
	if (rc == RC_OK)
		rc = out != NULL ? blob_read(v->log, &now, from, len, out, e) : blob_verify(v->log, &now, from, len, e);
	arena_fini(&a);
	return rc;
}

enum rc
volume_read_blob(struct volume *v, const struct blob_place *place, uint64_t from, uint64_t len,
                 struct buf *out, struct err *e)
{
	size_t had = out->len;
	enum rc rc;

	rc = check_place(place, e);
	if (rc == RC_OK)
		rc = blob_read(v->log, place, from, len, out, e);
	if (rc == RC_NOT_FOUND) {
		out->len = had;
		rc = read_again(v, place, from, len, out, e);
	}
	if (rc == RC_CORRUPT)
		report_blob(v, place, e);
	return rc;
}

enum rc
volume_verify_blob(struct volume *v, const struct blob_place *place, uint64_t from, uint64_t len,
                   struct err *e)
{
	enum rc rc;

	rc = check_place(place, e);
	if (rc == RC_OK)
		rc = blob_verify(v->log, place, from, len, e);
	if (rc == RC_NOT_FOUND)
		rc = read_again(v, place, from, len, NULL, e);
	if (rc == RC_CORRUPT)
		report_blob(v, place, e);
	return rc;
}
