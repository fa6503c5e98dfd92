/* scrub - one sealed segment after the other. See scrub.h.
 *
 * It takes minutes for a segment and does not hold reaping, as else no space would come back while
 * it goes on: compaction may take the segment away under it. What is found in one that is not
 * listed any more is not told.
 *
 * The cache is dropped before a piece is read, so that the disk is asked, and after, as nobody
 * wants these bytes. Rejected: O_DIRECT (alignment, and another path to the same bytes
 * for the backend).
 */
#include "store/scrub.h"

#include "store/blob.h"
#include "store/log_impl.h"

struct run {
	struct log       *log;
	struct log_scrub *s;
	struct seg_id     seg;
	uint64_t          told;         /* of the segment's bytes */
};

/* A blob under examination. */
struct examined {
	struct run              *r;
	const struct frame_info *f;
	const struct record     *rec;
	struct log_addr          data;
};

static void
uncache(struct log *log, const struct seg_id *id)
{
	struct err e = ERR_INIT;

	if (log->b->ops->segment_settle(log->b, id, false, &e) != RC_OK)
		return;         /* the read that follows says what is wrong */
}

static bool
is_listed(struct log *log, const struct seg_id *id)
{
	bool found = false;

	pthread_mutex_lock(&log->lock);
	for (uint32_t i = 0; i < log->root.segment_count && !found; i++)
		found = log->root.segments[i].id.seq == id->seq &&
		        log->root.segments[i].id.epoch == id->epoch;
	pthread_mutex_unlock(&log->lock);
	return found;
}

static void
found_in_blob(void *arg, uint64_t at, uint64_t len, const char *what)
{
	const struct examined *x = arg;
	const struct log_addr bad = { x->data.seg, x->data.offset + at, len };

	if (is_listed(x->r->log, &x->r->seg))
		x->r->s->found_blob(x->r->s->arg, x->f, x->rec, &bad, what);
}

static uint64_t
stored_len(const struct record_blob *b)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < b->chunk_count; i++)
		n += b->chunks[i].stored_len;
	return n;
}

static enum rc
scrub_record(void *arg, const struct frame_info *f, const struct record *rec,
             const struct log_addr *addr, struct err *e)
{
	struct run *r = arg;
	const struct record_blob *b = &rec->u.blob;
	struct examined x = { r, f, rec, *addr };
	struct blob_examine how = { .arg = &x, .found = found_in_blob };
	enum rc rc;

	if (rec->type != RECORD_BLOB)
		return RC_OK;
	if (b->body.len > 0) {
		x.data = b->body;
		uncache(r->log, &b->body.seg);
	} else {
		x.data.offset += b->data_offset;
		x.data.len = stored_len(b);
	}
	how.addr = x.data;
	how.chunks = b->chunks;
	how.chunk_count = b->chunk_count;
	how.data = b->data;
	how.sha256 = b->sha256;
	r->s->blobs++;
	rc = blob_examine(r->log, &how, e);
	if (b->body.len == 0 || rc != RC_OK)
		return rc;
	uncache(r->log, &b->body.seg);
	r->s->bytes += b->body.len;
	return r->s->progress(r->s->arg, b->body.len) ? RC_OK
	                                              : err_set(e, RC_CANCELLED, "cancelled");
}

static void
scrub_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first,
            log_lsn last, const char *what)
{
	struct run *r = arg;
	const struct log_addr stretch = { seg, offset, len };

	if (is_listed(r->log, &r->seg))
		r->s->found(r->s->arg, &stretch, first, last, what);
}

static bool
scrub_progress(void *arg, uint64_t done, uint64_t total)
{
	struct run *r = arg;
	uint64_t more = done - r->told;

	(void)total;
	r->told = done;
	r->s->bytes += more;
	return r->s->progress(r->s->arg, more);
}

static bool
next_segment(struct log *log, log_lsn after, struct root_segment *out)
{
	bool found = false;

	pthread_mutex_lock(&log->lock);
	for (uint32_t i = 0; i < log->root.segment_count && !found; i++) {
		const struct root_segment *seg = &log->root.segments[i];

		found = seg->state != SEGMENT_OPEN && seg->first_lsn > after;
		if (found)
			*out = *seg;
	}
	pthread_mutex_unlock(&log->lock);
	return found;
}

enum rc
log_scrub_next(struct log *log, log_lsn *after, struct log_scrub *s, struct err *e)
{
	struct run r = { .log = log, .s = s };
	const struct log_report rep = { &r, scrub_found };
	struct replay rp = { .arg = &r, .record = scrub_record, .progress = scrub_progress,
	                     .unheld = true };
	struct root_segment seg;
	enum rc rc;

	if (!next_segment(log, *after, &seg))
		return err_set(e, RC_NOT_FOUND, "no segment is left");
	r.seg = seg.id;
	rp.only = seg.id.seq;
	uncache(log, &seg.id);
	rc = log_replay(log, &rp, false, &rep, e);
	uncache(log, &seg.id);
	if (rc == RC_NOT_FOUND || (rc != RC_OK && !is_listed(log, &seg.id)))
		rc = RC_OK;     /* compaction has taken it away meanwhile */
	if (rc != RC_OK)
		return rc;
	s->segments++;
	*after = seg.first_lsn;
	return RC_OK;
}

uint64_t
log_scrub_total(struct log *log)
{
	uint64_t n = 0;

	pthread_mutex_lock(&log->lock);
	for (uint32_t i = 0; i < log->root.segment_count; i++)
		if (log->root.segments[i].state != SEGMENT_OPEN)
			n += log->root.segments[i].len;
	pthread_mutex_unlock(&log->lock);
	return n;
}
