/* read_message - rows of messages, and their bytes. See volume.h.
 *
 * Rows come by primary key, range by range. Each column costs about as much as the step to the row,
 * so no more are asked for than are wanted, and keywords are looked up here, as most messages of a
 * mailbox have the same. Tombstones are a cursor of their own, merged by UID: one ordered union in
 * SQL was three times as dear for the many mailboxes that have none where one looks.
 */
#include "index/volume_impl.h"

#include "index/packed.h"
#include "lib/nowait.h"

#define FLAGS_OF(modseq) "SELECT m.uid, " modseq ", m.flags, m.kw"
#define REST      ", m.blob, m.internaldate, m.zone, m.savedate, m.savezone, m.threadid, m.size"
#define PLACE     ", b.seg, b.epoch, b.kind, b.offset, b.len, b.sha256, b.chunks"
#define LIVE      " FROM message m"
#define DEAD      " FROM expunged m"
#define BLOB      " LEFT JOIN blob b ON b.id = m.blob"
/* A tombstone whose content was purged has nothing left to read: as if it were gone too. */
#define DEAD_BLOB DEAD " JOIN blob b ON b.id = m.blob"
#define MEMBERS   " WHERE m.mailbox=?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid"

enum column {
	COLUMN_UID,
	COLUMN_MODSEQ,
	COLUMN_FLAGS,
	COLUMN_KW,
	COLUMN_BLOB,
	COLUMN_DATE,
	COLUMN_ZONE,
	COLUMN_SAVEDATE,
	COLUMN_SAVEZONE,
	COLUMN_THREADID,
	COLUMN_SIZE,
	COLUMN_SUMMARY,
	COLUMN_SEG,
	COLUMN_EPOCH,
	COLUMN_KIND,
	COLUMN_OFFSET,
	COLUMN_LEN,
	COLUMN_SHA256,
	COLUMN_CHUNKS,
};

/* How much of a row is read. */
enum extent {
	EXTENT_FLAGS,
	EXTENT_ROW,
	EXTENT_SUMMARY,
	EXTENT_PLACE,
	EXTENT_ALL,
};

/* A tombstone has the MODSEQ that its flags had. */
#define LIVE_FLAGS FLAGS_OF("m.modseq")
#define DEAD_FLAGS FLAGS_OF("m.seenmodseq")

static const char *const live_sql[] = {
	[EXTENT_FLAGS] = LIVE_FLAGS LIVE MEMBERS,
	[EXTENT_ROW] = LIVE_FLAGS REST LIVE MEMBERS,
	[EXTENT_SUMMARY] = LIVE_FLAGS REST ", b.summary" LIVE BLOB MEMBERS,
	[EXTENT_PLACE] = LIVE_FLAGS REST ", NULL" PLACE LIVE BLOB MEMBERS,
	[EXTENT_ALL] = LIVE_FLAGS REST ", b.summary" PLACE LIVE BLOB MEMBERS,
};
static const char *const dead_sql[] = {
	[EXTENT_FLAGS] = DEAD_FLAGS DEAD MEMBERS,
	[EXTENT_ROW] = DEAD_FLAGS REST DEAD MEMBERS,
	[EXTENT_SUMMARY] = DEAD_FLAGS REST ", b.summary" DEAD_BLOB MEMBERS,
	[EXTENT_PLACE] = DEAD_FLAGS REST ", NULL" PLACE DEAD_BLOB MEMBERS,
	[EXTENT_ALL] = DEAD_FLAGS REST ", b.summary" PLACE DEAD_BLOB MEMBERS,
};

#define PLACE_MAX     (64u << 20)       /* memory for one blob's chunk table */
#define ROWS_FIRST    256u
#define KEYWORD_SLOTS 8u
#define NOTED_ROWS    64u
#define NOTED_TABLE   64u               /* octets of a chunk table */

struct read_run {
	struct db          *db;
	mailbox_id          mailbox;
	enum extent         extent;
	uint32_t            want;
	uint32_t            limit;
	bool                notes;      /* places are read for place_cache, though nobody asked for them */
	mail_modseq         floor;
	struct arena       *a;
	struct message_row *rows;
	size_t              count, cap;
	struct {                                /* sets of keywords met so far; id 0: none */
		uint64_t     id;
		struct slice text;
	} keywords[KEYWORD_SLOTS];
};

static enum rc
read_place(struct read_run *run, sqlite3_stmt *q, struct message_row *m, struct err *e)
{
	struct blob_chunk *chunks;
	struct slice sha = db_bytes(q, COLUMN_SHA256);
	enum rc rc;

	/* No row: it is lost; a place without chunks cannot be read. */
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

/* The text of a set of keywords, "" of one that is not there. */
static enum rc
find_keywords(struct read_run *run, uint64_t id, struct slice *out, struct err *e)
{
	size_t slot = id % KEYWORD_SLOTS;
	sqlite3_stmt *q;
	enum rc rc;

	if (run->keywords[slot].id == id) {
		*out = run->keywords[slot].text;
		return RC_OK;
	}
	rc = db_first(run->db, &q, "SELECT text FROM kwset WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_NOT_FOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	*out = arena_dup(run->a, db_bytes(q, 0));
	db_end(q);
	if (out->ptr == NULL)
		return err_nomem(e);
	run->keywords[slot].id = id;
	run->keywords[slot].text = *out;
	return RC_OK;
}

static enum rc
read_flags(struct read_run *run, sqlite3_stmt *q, struct message_row *m, struct err *e)
{
	uint64_t kw = db_u64(q, COLUMN_KW);
	enum rc rc = uid_from_row(q, COLUMN_UID, &m->uid, e);

	m->modseq = db_u64(q, COLUMN_MODSEQ);
	if (m->modseq < run->floor)
		m->modseq = run->floor;
	m->flags = (uint32_t)db_u64(q, COLUMN_FLAGS);
	m->keywords = SLICE("");
	return rc == RC_OK && kw != 0 ? find_keywords(run, kw, &m->keywords, e) : rc;
}

static void
read_rest(sqlite3_stmt *q, struct message_row *m)
{
	m->blob = db_u64(q, COLUMN_BLOB);
	m->internaldate = (struct mail_date){ (int64_t)db_u64(q, COLUMN_DATE),
	                                      (int16_t)db_u64(q, COLUMN_ZONE) };
	m->savedate = (struct mail_date){ (int64_t)db_u64(q, COLUMN_SAVEDATE),
	                                  (int16_t)db_u64(q, COLUMN_SAVEZONE) };
	m->threadid = db_u64(q, COLUMN_THREADID);
	m->size = db_u64(q, COLUMN_SIZE);
}

/* A blob that the index does not have counts for no octets. */
static enum rc
find_lost(struct read_run *run, struct message_row *m, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc;

	if (m->size > 0)
		return RC_OK;
	rc = db_first(run->db, &q, "SELECT 1 FROM blob WHERE id=?1", DB_ARGS(DB_NUM(m->blob)), e);
	m->lost = rc == RC_NOT_FOUND;
	if (rc == RC_OK)
		db_end(q);
	return m->lost ? RC_OK : rc;
}

/* A fresh row at the end, zeroed; NULL without memory. */
static struct message_row *
next_row(struct read_run *run)
{
	struct message_row *bigger;
	size_t cap;

	if (run->count == run->cap) {
		cap = run->cap > 0 ? run->cap * 2 : run->limit < ROWS_FIRST ? run->limit : ROWS_FIRST;
		bigger = arena_array(run->a, cap, sizeof *bigger);
		if (bigger == NULL)
			return NULL;
		if (run->count > 0)
			memcpy(bigger, run->rows, run->count * sizeof *bigger);
		run->rows = bigger;
		run->cap = cap;
	}
	return &run->rows[run->count++];
}

/* Tables of chunks that are read by the way are short. */
static bool
wants_place(const struct read_run *run, sqlite3_stmt *q)
{
	return (run->want & WANT_PLACE) != 0 ||
	       (run->notes && db_bytes(q, COLUMN_CHUNKS).len <= NOTED_TABLE);
}

static enum rc
read_row(struct read_run *run, sqlite3_stmt *q, bool expunged, struct err *e)
{
	struct message_row *m = next_row(run);
	enum rc rc;

	if (m == NULL)
		return err_nomem(e);
	m->expunged = expunged;
	rc = read_flags(run, q, m, e);
	if (rc != RC_OK || run->extent == EXTENT_FLAGS)
		return rc;
	read_rest(q, m);
	rc = find_lost(run, m, e);
	if (rc == RC_OK && wants_place(run, q))
		rc = read_place(run, q, m, e);
	if (rc == RC_OK && (run->want & WANT_SUMMARY) != 0)
		rc = packed_summary_get(db_bytes(q, COLUMN_SUMMARY), run->a, &m->summary, e);
	return rc;
}

/* Rows of one table, in the order of UIDs. */
struct cursor {
	sqlite3_stmt *q;        /* NULL: at its end */
	uint64_t      uid;      /* of the row it stands on; at its end above all UIDs */
};

static enum rc
cursor_next(struct read_run *run, struct cursor *c, struct err *e)
{
	switch (db_next(run->db, c->q, e)) {
	case DB_ROW:
		c->uid = db_u64(c->q, COLUMN_UID);
		return RC_OK;
	case DB_DONE:
		*c = (struct cursor){ NULL, UINT64_MAX };
		return RC_OK;
	case DB_FAIL:
		break;
	}
	c->q = NULL;
	return e->code;
}

static enum rc
cursor_open(struct read_run *run, const char *sql, struct uid_range r, struct cursor *c,
            struct err *e)
{
	c->q = db_query(run->db, sql,
	                DB_ARGS(DB_NUM(run->mailbox), DB_NUM(r.first), DB_NUM(r.last)), e);
	return c->q != NULL ? cursor_next(run, c, e) : e->code;
}

static void
cursor_close(struct cursor *c)
{
	if (c->q != NULL)
		db_end(c->q);
}

static enum rc
read_range(struct read_run *run, struct uid_range r, struct err *e)
{
	struct cursor live = { NULL, UINT64_MAX }, dead = { NULL, UINT64_MAX };
	enum rc rc = cursor_open(run, live_sql[run->extent], r, &live, e);

	/* A UID is that of a message or of a tombstone. */
	if (rc == RC_OK && (run->want & WANT_EXPUNGED) != 0 && (r.first != r.last || live.q == NULL))
		rc = cursor_open(run, dead_sql[run->extent], r, &dead, e);
	while (rc == RC_OK && run->count < run->limit && (live.q != NULL || dead.q != NULL)) {
		struct cursor *c = live.uid <= dead.uid ? &live : &dead;

		rc = read_row(run, c->q, c == &dead, e);
		if (rc == RC_OK && run->count < run->limit)
			rc = cursor_next(run, c, e);
	}
	cursor_close(&live);
	cursor_close(&dead);
	return rc;
}

static enum extent
choose_extent(uint32_t want)
{
	bool summary = (want & WANT_SUMMARY) != 0;

	if ((want & WANT_PLACE) != 0)
		return summary ? EXTENT_ALL : EXTENT_PLACE;
	if (summary)
		return EXTENT_SUMMARY;
	return (want & WANT_ONLY_FLAGS) != 0 ? EXTENT_FLAGS : EXTENT_ROW;
}

/* Who lists few messages reads some of them next. */
static bool
takes_notes(const struct uid_set *uids, uint32_t want)
{
	return (want & WANT_SUMMARY) != 0 && nowait_is_on() && uid_set_size(uids) <= NOTED_ROWS;
}

/* What is remembered of the one message of the set. Only where what turns out to be gone is asked for again. */
static bool
recall_content(struct volume *v, struct read_run *run, const struct uid_set *uids, mail_uid from)
{
	bool one = uids->count == 1 && uids->ranges[0].first == uids->ranges[0].last;
	struct message_row *m;

	if (!one || uids->ranges[0].first < from || (run->want & WANT_ONLY_CONTENT) == 0 || !nowait_is_on())
		return false;
	m = next_row(run);
	if (m != NULL && place_cache_get(v, run->mailbox, uids->ranges[0].first, run->a, m))
		return true;
	run->count = 0;
	return false;
}

static enum rc
read_set(struct read_run *run, const struct uid_set *uids, mail_uid from, struct err *e)
{
	enum rc rc = RC_OK;

	if ((run->want & WANT_ONLY_CONTENT) == 0)
		rc = mailbox_change_floor(run->db, run->mailbox, &run->floor, e);
	for (size_t i = 0; rc == RC_OK && i < uids->count && run->count < run->limit; i++) {
		struct uid_range r = uids->ranges[i];

		if (r.first < from)
			r.first = from;
		if (r.last >= r.first)
			rc = read_range(run, r, e);
	}
	return rc;
}

enum rc
volume_read_messages(struct volume *v, mailbox_id mailbox, const struct uid_set *uids,
                     mail_uid from, uint32_t limit, uint32_t want, struct arena *a,
                     struct message_row **out, size_t *count, struct err *e)
{
	struct read_run run = { .mailbox = mailbox,
		                .want = want,
		                .notes = takes_notes(uids, want),
		                .limit = limit,
		                .a = a };
	uint64_t age = place_cache_age(v);
	enum rc rc = RC_OK;

	run.extent = run.notes ? EXTENT_ALL : choose_extent(want);
	*out = NULL;
	*count = 0;
	if (!recall_content(v, &run, uids, from)) {
		rc = db_pool_borrow(v->pool, &run.db, e);
		if (rc != RC_OK)
			return rc;
		rc = read_set(&run, uids, from, e);
		db_pool_return(v->pool, &run.db);
		if (rc == RC_OK && run.extent >= EXTENT_PLACE && run.count <= NOTED_ROWS)
			place_cache_put(v, age, mailbox, run.rows, run.count);
	}
	*out = run.rows;
	*count = run.count;
	return rc;
}

/* ---- bytes ---- */

static enum rc
set_lost(struct err *e)
{
	return err_set(e, RC_CORRUPT, "the message's blob is not in the log");
}

enum rc
message_row_check(const struct message_row *m, struct err *e)
{
	return m->lost ? set_lost(e) : RC_OK;
}

/* What is found is told, and noted, where one may wait. */
static enum rc
report_blob(struct volume *v, const struct blob_place *p, struct err *e)
{
	if (nowait_is_on())
		return nowait_refuse(e);
	volume_found_unreadable(v, p->addr.seg, p->addr.offset, p->addr.len, e->text);
	return RC_CORRUPT;
}

static enum rc
check_place(const struct blob_place *place, struct err *e)
{
	return place->addr.seg.seq == 0 ? set_lost(e) : RC_OK;
}

/* Where the blob lies now. RC_NOT_FOUND: it is gone. */
static enum rc
find_place(struct volume *v, const struct blob_place *old, struct arena *a, struct blob_place *out,
           struct err *e)
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
		out->addr.seg = (struct seg_id){ db_u64(q, 0), (uint32_t)db_u64(q, 1),
		                                 (uint32_t)db_u64(q, 2) };
		out->addr.offset = db_u64(q, 3);
		out->addr.len = db_u64(q, 4);
		rc = blob_chunks_decode(db_bytes(q, 5), a, &chunks, &out->chunk_count, e);
		out->chunks = chunks;
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	return rc;
}

/* The piece was there when the place was read, and has been compacted since: once more with
 * the place of now. */
static enum rc
read_again(struct volume *v, const struct blob_place *old, uint64_t from, uint64_t len,
           struct buf *out, struct err *e)
{
	struct blob_place now;
	struct arena a;
	enum rc rc;

	if (old->id == 0)
		return e->code;
	arena_init(&a, PLACE_MAX);
	rc = find_place(v, old, &a, &now, e);
	if (rc == RC_OK)
		rc = out != NULL ? blob_read(v->log, &now, from, len, out, e)
		                 : blob_verify(v->log, &now, from, len, e);
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
		rc = report_blob(v, place, e);
	if (rc == RC_WAIT)
		out->len = had;
	return rc;
}

enum rc
volume_read_deflated(struct volume *v, const struct blob_place *place, uint64_t from, uint64_t len,
                     struct buf *out, uint64_t *raw, struct err *e)
{
	enum rc rc;

	*raw = 0;
	rc = check_place(place, e);
	if (rc == RC_OK)
		rc = blob_read_deflated(v->log, place, from, len, out, raw, e);
	if (rc == RC_NOT_FOUND)         /* compacted since: volume_read_blob finds it */
		rc = RC_OK;
	if (rc == RC_CORRUPT)
		rc = report_blob(v, place, e);
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
		rc = report_blob(v, place, e);
	return rc;
}
