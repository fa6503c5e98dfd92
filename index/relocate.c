/* relocate - the index learns where blobs lie after a compaction. See relocate.h.
 *
 * The segment itself says which blobs it has and where; rows of ids between them name blobs that
 * died. In pieces, each a transaction of its own, so that no delivery waits long; until the last
 * one commits, meta says that the segment is not done, and all of it is done again after a crash.
 * Until then the dropped pieces are there, so any row can be read.
 *
 * Damage in the segment ends it: a row whose record is lost there is not one of a blob that died,
 * and the dropped pieces still have that blob.
 */
#include "index/relocate.h"

#include <stdlib.h>

#include "index/learnt.h"
#include "store/compact.h"

#define ROWS_PIECE 64u          /* about a millisecond of the writer's time */
#define ARENA_MAX  (64u << 20)

struct row {
	blob_id                  id;
	struct log_addr          data;
	const struct blob_chunk *chunks;        /* in the arena */
	uint32_t                 chunk_count;
};

struct relocation {
	struct volume       *v;
	const struct root_segment *seg;
	struct arena         arena;
	struct row           rows[ROWS_PIECE];
	size_t               count;
	blob_id              upto;              /* ids up to here are done */
	bool                 last;              /* nothing follows this piece */
	bool                 damaged;           /* the segment does not hold */
};

/* ---- a piece: the writer's thread, or nobody writes yet ---- */

static enum rc
place_row(struct db *db, const struct row *r, struct err *e)
{
	struct buf chunks;
	enum rc rc = RC_OK;

	buf_init(&chunks, ARENA_MAX);
	if (!blob_chunks_encode(r->chunks, r->chunk_count, &chunks))
		rc = err_nomem(e);
	else
		rc = db_run(db,
		            "UPDATE blob SET seg=?2, epoch=?3, kind=?4, offset=?5, len=?6, "
		            "chunks=?7 WHERE id=?1",
		            DB_ARGS(DB_NUM(r->id), DB_NUM(r->data.seg.seq),
		                    DB_NUM(r->data.seg.epoch), DB_NUM(r->data.seg.kind),
		                    DB_NUM(r->data.offset), DB_NUM(r->data.len),
		                    DB_BYTES(buf_slice(&chunks))),
		            e);
	buf_fini(&chunks);
	return rc;
}

static enum rc
forget_rows(struct apply *ap, blob_id after, blob_id before, struct err *e)
{
	enum rc rc;

	if (before <= after + 1)
		return RC_OK;
	rc = db_run(ap->db, "DELETE FROM blob WHERE id > ?1 AND id < ?2",
	            DB_ARGS(DB_NUM(after), DB_NUM(before)), e);
	if (rc == RC_OK)
		ap->meta.blobs -= db_changes(ap->db);
	return rc;
}

static enum rc
apply_rows(struct relocation *r, struct err *e)
{
	struct apply *ap = &r->v->apply;
	blob_id done = r->upto;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < r->count; i++) {
		rc = forget_rows(ap, done, r->rows[i].id, e);
		if (rc == RC_OK)
			rc = place_row(ap->db, &r->rows[i], e);
		done = r->rows[i].id;
	}
	if (rc == RC_OK && r->last) {
		rc = forget_rows(ap, done, r->seg->last_lsn + 1, e);
		ap->meta.compactions = r->seg->id.seq;
		if (rc == RC_OK)
			rc = learnt_forget_expunged(ap->db, e);
	}
	return rc == RC_OK ? schema_write_meta(ap->db, &ap->meta, e) : rc;
}

static enum rc
run_piece(void *arg, struct err *e)
{
	struct relocation *r = arg;
	struct volume *v = r->v;
	struct err also = ERR_INIT;
	enum rc rc;

	if (v->db == NULL)
		return err_set(e, RC_BUSY, "the index is not open");
	rc = db_run(v->db, "BEGIN IMMEDIATE", DB_NO_ARGS, e);
	if (rc != RC_OK)
		return rc;
	rc = apply_rows(r, e);
	if (rc == RC_OK)
		rc = wal_commit(&v->wal, v->db, e);
	if (rc == RC_OK)
		return RC_OK;
	index_roll_back(v);
	if (schema_read_meta(v->db, &v->apply.meta, &also) != RC_OK)
		atomic_store(&v->suspect, true);
	return rc;
}

/* ---- one segment ---- */

static enum rc
flush(struct relocation *r, struct err *e)
{
	enum rc rc = r->v->writer != NULL ? writer_run(r->v->writer, run_piece, r, e)
	                                  : run_piece(r, e);

	if (r->count > 0)
		r->upto = r->rows[r->count - 1].id;
	r->count = 0;
	arena_reset(&r->arena);
	return rc;
}

static enum rc
err_damaged(const struct relocation *r, struct err *e)
{
	return err_set(e, RC_CORRUPT,
	               "segment %llu-%u, which compaction made, is damaged: what it replaces stays",
	               (unsigned long long)r->seg->id.seq, r->seg->id.epoch);
}

static void
see_damage(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
           const char *what)
{
	struct relocation *r = arg;
	const struct log_report *rep = &r->v->report;

	r->damaged = true;
	if (rep->found != NULL)
		rep->found(rep->arg, seg, offset, len, first, last, what);
}

static enum rc
see_record(void *arg, const struct frame_info *f, const struct record *rec,
           const struct log_addr *addr, struct err *e)
{
	struct relocation *r = arg;
	struct blob_chunk *chunks;
	struct row *row;

	(void)f;
	if (r->damaged)
		return err_damaged(r, e);
	if (rec->type != RECORD_BLOB)
		return RC_OK;
	if (r->count == ROWS_PIECE && flush(r, e) != RC_OK)
		return e->code;
	chunks = arena_array(&r->arena, rec->u.blob.chunk_count, sizeof *chunks);
	if (chunks == NULL)
		return err_nomem(e);
	if (rec->u.blob.chunk_count > 0)
		memcpy(chunks, rec->u.blob.chunks, rec->u.blob.chunk_count * sizeof *chunks);
	row = &r->rows[r->count++];
	*row = (struct row){ rec->lsn, apply_blob_data(rec, addr), chunks,
	                     rec->u.blob.chunk_count };
	if (rec->u.blob.body.len > 0)
		row->data = rec->u.blob.body;
	return RC_OK;
}

static enum rc
relocate_segment(struct volume *v, const struct root_segment *seg, struct err *e)
{
	struct relocation *r = calloc(1, sizeof *r);
	struct replay rp = { .arg = r, .record = see_record, .only = seg->id.seq };
	const struct log_report rep = { r, see_damage };
	enum rc rc;

	if (r == NULL)
		return err_nomem(e);
	r->v = v;
	r->seg = seg;
	r->upto = seg->first_lsn - 1;
	arena_init(&r->arena, ARENA_MAX);
	rc = log_replay(v->log, &rp, false, &rep, e);
	if (rc == RC_OK && r->damaged)
		rc = err_damaged(r, e);
	r->last = true;
	if (rc == RC_OK)
		rc = flush(r, e);
	arena_fini(&r->arena);
	free(r);
	return rc;
}

/* ---- all that are due ---- */

static enum rc
known_compactions(struct volume *v, uint64_t *out, struct err *e)
{
	struct index_meta m;
	struct db *db;
	enum rc rc;

	if (v->writer == NULL) {
		*out = v->apply.meta.compactions;
		return RC_OK;
	}
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = schema_read_meta(db, &m, e);
	db_pool_return(v->pool, &db);
	*out = m.compactions;
	return rc;
}

/* The segment with the lowest seq above `known`: they were listed in that order. */
static const struct root_segment *
next_due(const struct root_segment *segs, uint32_t count, uint64_t known)
{
	const struct root_segment *best = NULL;

	for (uint32_t i = 0; i < count; i++)
		if (segs[i].state == SEGMENT_COMPACTED && segs[i].id.seq > known &&
		    (best == NULL || segs[i].id.seq < best->id.seq))
			best = &segs[i];
	return best;
}

enum rc
index_relocate(struct volume *v, struct err *e)
{
	struct root_segment *segs = NULL;
	const struct root_segment *due;
	uint64_t known;
	uint32_t count;
	enum rc rc = known_compactions(v, &known, e);

	if (rc != RC_OK || known >= log_compactions(v->log))
		return rc;
	rc = log_list_segments(v->log, &segs, &count, e);
	while (rc == RC_OK && (due = next_due(segs, count, known)) != NULL) {
		known = due->id.seq;
		rc = relocate_segment(v, due, e);
	}
	free(segs);
	return rc;
}
