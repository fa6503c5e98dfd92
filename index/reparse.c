/* reparse - summaries made anew from stored messages, by the parser of now. See
 * volume_reparse in volume.h.
 *
 * Page by page in the order of blobs: the rows whose summary is of another parser are noted, their
 * messages read and parsed, and what comes out differently goes to the writer as one change. A
 * summary says which parser made it, so who goes on after a cut finds only the rest to do. Where
 * all are parsed, those that come out the same are left alone.
 *
 * Nothing else must hold still meanwhile: a blob that goes before its summary is written is passed
 * over by the writer. Rejected: an index of blobs by their parser's version, which every delivery
 * would pay for, to be used once in years.
 */
#include "index/volume_impl.h"

#include "index/packed.h"

#include <stdlib.h>

#include "lib/mime.h"

#define PAGE_ROWS  512u                 /* looked at in one query */
#define PAGE_DUE   64u                  /* parsed and written together: some ten milliseconds
                                         * of the writer's */
#define PAGE_BYTES (1u << 20)           /* of their new summaries; one more fits into a frame */
#define PAGE_ARENA (64u << 20)
#define READ_PIECE (1u << 20)

/* What one row says. */
struct due {
	struct blob_place place;
	struct slice      summary;
};

struct run {
	struct volume               *v;
	const struct reparse_params *p;
	struct reparse_result       *out;
	struct arena                 page;
	struct due                   due[PAGE_DUE];
	size_t                       count, parsed;
	blob_id                      after;     /* rows up to here are looked at */
	bool                         end;
	uint64_t                     total;
	struct buf                   piece;
	struct buf                   encoded;
};

/* ---- rows ---- */

static enum rc
note_due(struct run *r, sqlite3_stmt *q, struct err *e)
{
	struct due *d = &r->due[r->count];
	struct blob_chunk *chunks;
	enum rc rc;

	d->place = (struct blob_place){
		.id = db_u64(q, 0),
		.addr = { { db_u64(q, 1), (uint32_t)db_u64(q, 2), (uint32_t)db_u64(q, 3) },
		          db_u64(q, 4), db_u64(q, 5) },
		.size = db_u64(q, 6),
	};
	rc = blob_chunks_decode(db_bytes(q, 7), &r->page, &chunks, &d->place.chunk_count, e);
	d->place.chunks = chunks;
	if (rc == RC_OK)
		rc = packed_summary_get(db_bytes(q, 8), &r->page, &d->summary, e);
	if (rc == RC_OK)
		r->count++;
	return rc;
}

static enum rc
look_at_row(struct run *r, sqlite3_stmt *q, struct err *e)
{
	bool other = packed_summary_version(db_bytes(q, 8)) != MIME_PARSER_VERSION;

	r->after = db_u64(q, 0);
	r->out->contents++;
	r->out->other += other;
	if (r->p->dry_run && !r->p->all) {
		r->out->made += other;  /* each will say another version at least */
		return RC_OK;
	}
	return other || r->p->all ? note_due(r, q, e) : RC_OK;
}

static enum rc
read_rows(struct run *r, struct db *db, struct err *e)
{
	enum db_step step = DB_ROW;
	uint32_t rows = 0;
	enum rc rc = RC_OK;
	sqlite3_stmt *q = db_query(db,
	    "SELECT id, seg, epoch, kind, offset, len, size, chunks, summary FROM blob"
	    " WHERE id > ?1 ORDER BY id LIMIT ?2",
	    DB_ARGS(DB_NUM(r->after), DB_NUM(PAGE_ROWS)), e);

	if (q == NULL)
		return e->code;
	while (rc == RC_OK && r->count < PAGE_DUE && r->page.used < PAGE_BYTES &&
	       (step = db_next(db, q, e)) == DB_ROW) {
		rc = look_at_row(r, q, e);
		rows++;
	}
	if (step == DB_FAIL)
		return e->code;
	if (step == DB_ROW)
		db_end(q);
	r->end = step == DB_DONE && rows < PAGE_ROWS;
	return rc;
}

static enum rc
read_page(struct run *r, struct err *e)
{
	struct db *db;
	enum rc rc;

	arena_reset(&r->page);
	r->count = r->parsed = 0;
	rc = db_pool_borrow(r->v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = read_rows(r, db, e);
	db_pool_return(r->v->pool, &db);
	return rc;
}

static enum rc
count_rows(struct run *r, struct err *e)
{
	struct index_meta m;
	struct db *db;
	enum rc rc = db_pool_borrow(r->v->pool, &db, e);

	if (rc != RC_OK)
		return rc;
	rc = schema_read_meta(db, &m, e);
	db_pool_return(r->v->pool, &db);
	r->total = rc == RC_OK ? m.blobs : 0;
	return rc;
}

/* ---- one message ---- */

static enum rc
feed_message(struct run *r, const struct blob_place *place, struct mime_parser *mime, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint64_t at = 0; rc == RC_OK && at < place->size; at += READ_PIECE) {
		buf_reset(&r->piece);
		rc = volume_read_blob(r->v, place, at, READ_PIECE, &r->piece, e);
		if (rc == RC_OK)
			mime_feed(mime, buf_slice(&r->piece));
	}
	return rc;
}

/* Into r->encoded. */
static enum rc
parse_message(struct run *r, const struct blob_place *place, struct err *e)
{
	struct mime_parser *mime = mime_parser_new();
	struct mime_summary s;
	enum rc rc;

	if (mime == NULL)
		return err_nomem(e);
	rc = feed_message(r, place, mime, e);
	if (rc == RC_OK)
		rc = mime_finish(mime, &s, e);
	buf_reset(&r->encoded);
	if (rc == RC_OK && !mime_summary_encode(&s, &r->encoded))
		rc = err_nomem(e);
	mime_parser_free(&mime);
	return rc;
}

static enum rc
add_summary(struct run *r, struct change *c, blob_id blob, struct err *e)
{
	struct new_summary *n = &c->u.reparse.list[c->u.reparse.count];

	*n = (struct new_summary){ blob, arena_dup(&c->arena, buf_slice(&r->encoded)) };
	if (n->summary.ptr == NULL)
		return err_nomem(e);
	c->u.reparse.count++;
	return RC_OK;
}

/* What cannot be read is told and stays; what is gone by now is nobody's concern. */
static enum rc
parse_due(struct run *r, const struct due *d, struct change *c, struct err *e)
{
	struct err why = ERR_INIT;
	enum rc rc = parse_message(r, &d->place, &why);

	if (rc == RC_NOT_FOUND)
		return RC_OK;
	if (rc == RC_CORRUPT || rc == RC_IO) {
		r->out->unreadable++;
		if (r->p->unreadable != NULL)
			r->p->unreadable(r->p->arg, d->place.id, why.text);
		return RC_OK;
	}
	if (rc != RC_OK) {
		*e = why;
		return rc;
	}
	return slice_eq(buf_slice(&r->encoded), d->summary) ? RC_OK
	                                                    : add_summary(r, c, d->place.id, e);
}

/* ---- pages ---- */

/* Ends and frees the change. */
static enum rc
write_change(struct run *r, struct change **c, struct err *e)
{
	struct change_reparse *made = &(*c)->u.reparse;
	enum rc rc = RC_OK;

	if (r->p->dry_run || made->count == 0) {
		r->out->made += made->count;
	} else {
		rc = volume_submit_wait(r->v, *c);
		if (rc != RC_OK && !(*c)->durable)
			*e = (*c)->err;
		else
			rc = RC_OK;
		r->out->made += rc == RC_OK ? made->made : 0;
	}
	change_free(c);
	return rc;
}

static enum rc
begin_change(struct change **c, struct err *e)
{
	*c = change_new(CHANGE_REPARSE);
	if (*c == NULL)
		return err_nomem(e);
	(*c)->who.protocol = PROTO_ADMIN;
	(*c)->u.reparse.list = arena_array(&(*c)->arena, PAGE_DUE, sizeof(struct new_summary));
	if ((*c)->u.reparse.list != NULL)
		return RC_OK;
	change_free(c);
	return err_nomem(e);
}

static enum rc
go_on(struct run *r, struct err *e)
{
	uint64_t done = r->out->contents - (r->count - r->parsed);

	if (done > r->total)
		r->total = done;        /* mail has come meanwhile */
	if (atomic_load(&r->v->ending) ||
	    (r->p->progress != NULL && !r->p->progress(r->p->arg, done, r->total)))
		return err_set(e, RC_CANCELLED, "cancelled");
	return RC_OK;
}

static enum rc
parse_page(struct run *r, struct err *e)
{
	struct change *c = NULL;
	uint64_t bytes = 0;
	enum rc rc = RC_OK;

	while (r->parsed < r->count && rc == RC_OK) {
		if (c == NULL)
			rc = begin_change(&c, e);
		if (rc == RC_OK)
			rc = parse_due(r, &r->due[r->parsed++], c, e);
		bytes += r->encoded.len;
		if (rc == RC_OK && bytes >= PAGE_BYTES) {
			rc = write_change(r, &c, e);
			bytes = 0;
		}
		if (rc == RC_OK)
			rc = go_on(r, e);
	}
	if (rc == RC_OK && c != NULL)
		rc = write_change(r, &c, e);
	change_free(&c);
	return rc;
}

static enum rc
run_pages(struct run *r, struct err *e)
{
	enum rc rc = count_rows(r, e);

	while (rc == RC_OK && !r->end) {
		rc = read_page(r, e);
		if (rc == RC_OK)
			rc = parse_page(r, e);
		if (rc == RC_OK)
			rc = go_on(r, e);
	}
	return rc;
}

enum rc
volume_reparse(struct volume *v, const struct reparse_params *p, struct reparse_result *out,
               struct err *e)
{
	struct run *r = calloc(1, sizeof *r);
	enum rc rc;

	*out = (struct reparse_result){ 0 };
	if (r == NULL)
		return err_nomem(e);
	if (atomic_exchange(&v->reparsing, true)) {
		free(r);
		return err_set(e, RC_BUSY, "volume %s: a reparse is under way", v->name);
	}
	r->v = v;
	r->p = p;
	r->out = out;
	arena_init(&r->page, PAGE_ARENA);
	buf_init(&r->piece, READ_PIECE);
	buf_init(&r->encoded, MIME_SUMMARY_MAX);
	rc = run_pages(r, e);
	atomic_store(&v->reparsing, false);
	arena_fini(&r->page);
	buf_fini(&r->piece);
	buf_fini(&r->encoded);
	free(r);
	return rc;
}
