/* replay - every record of the log in LSN order, and reads by address. Any thread,
 * beside the writer.
 *
 * A replay sees the log as it was when it began: the list of segments and the tail are copied
 * under the lock.
 */
#include "store/codec.h"
#include "store/log_impl.h"
#include "store/scan.h"

#include <stdio.h>

#define DECODE_MAX (256u << 20)         /* memory for one record */

enum rc
log_read(struct log *log, const struct log_addr *addr, uint64_t off, void *dst, size_t len,
    struct err *e)
{
	size_t got;
	enum rc rc;

	if (off > addr->len || len > addr->len - off)
		return err_set(e, RC_CORRUPT, "a read reaches beyond its record");
	rc = log->b->ops->read(log->b, &addr->seg, addr->offset + off, dst, len, &got, e);
	if (rc == RC_OK && got < len)
		return err_set(e, RC_CORRUPT, "piece %llu-%u ends before byte %llu",
		    (unsigned long long)addr->seg.seq, addr->seg.epoch,
		    (unsigned long long)(addr->offset + off + len));
	return rc;
}

struct run {
	struct log              *log;
	const struct replay     *rp;
	const struct log_report *rep;
	bool                     verify_chunks;
	struct arena             arena;
	uint64_t                 done, total;
};

static void
verify_chunks(
    const struct run *r, const struct frame_info *f, const struct record *rec, uint64_t record_at)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < rec->u.blob.chunk_count && rec->u.blob.body.len == 0; i++) {
		const struct blob_chunk *c = &rec->u.blob.chunks[i];

		if (codec_crc(slice_sub(rec->u.blob.data, at, at + c->stored_len)) != c->crc)
			report_found(r->rep, f->seg, record_at + rec->u.blob.data_offset + at,
			    c->stored_len, rec->lsn, rec->lsn, "a chunk does not match its CRC");
		at += c->stored_len;
	}
}

static enum rc
one_record(struct run *r, const struct frame_info *f, const struct record_hdr *h, log_lsn lsn,
    struct slice body, uint64_t at, struct err *e)
{
	struct log_addr addr = { f->seg, at, body.len };
	struct record rec;
	enum rc rc;

	if (record_type_name((enum record_type)h->type) == NULL) {
		if (h->flags & RECORD_SKIPPABLE)
			return RC_OK;
		return err_set(e, RC_CORRUPT,
		    "record type %u: the log was written by a newer version", h->type);
	}
	arena_reset(&r->arena);
	rc = record_decode((enum record_type)h->type, lsn, body, &r->arena, &rec, e);
	if (rc == RC_CORRUPT) {
		report_found(r->rep, f->seg, at, body.len, lsn, lsn, e->text);
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	if (r->verify_chunks && rec.type == RECORD_BLOB)
		verify_chunks(r, f, &rec, at);
	return r->rp->record(r->rp->arg, f, &rec, &addr, e);
}

static enum rc
one_frame(
    struct run *r, const struct root_segment *seg, const struct scan_item *item, struct err *e)
{
	struct frame_info f = {
		.seg = seg->id,
		.offset = item->offset,
		.len = item->len,
		.first_lsn = item->hdr.first_lsn,
		.synced_lsn = item->hdr.synced_lsn,
		.record_count = item->hdr.record_count,
		.time_us = item->hdr.time_us,
		.who = item->hdr.who,
	};
	struct slice rest = item->body, body;
	struct record_hdr h;
	enum rc rc;

	for (uint32_t i = 0; i < f.record_count; i++) {
		uint64_t at =
		    item->offset + FRAME_HDR_LEN + (item->body.len - rest.len) + RECORD_HDR_LEN;
		log_lsn lsn = f.first_lsn + i;

		if (!record_take(&rest, &h, &body)) {
			report_found(r->rep, f.seg, at, rest.len, lsn,
			    f.first_lsn + f.record_count - 1, "a frame's records are cut short");
			break;
		}
		if (lsn <= r->rp->after)
			continue;
		rc = one_record(r, &f, &h, lsn, body, at, e);
		if (rc != RC_OK)
			return rc;
	}
	return r->rp->frame != NULL ? r->rp->frame(r->rp->arg, &f, e) : RC_OK;
}

/* What was lost ends before the first LSN behind it. */
static void
tell_gap(struct run *r, const struct root_segment *seg, const struct scan_item *gap, log_lsn before,
         log_lsn next)
{
	if (gap->kind == SCAN_GAP)
		report_found(r->rep, seg->id, gap->offset, gap->len, before + 1, next - 1,
		             gap->what);
}

static enum rc
one_segment(struct run *r, const struct root_segment *seg, struct err *e)
{
	struct scan_item item, gap = { .kind = SCAN_END };
	log_lsn gap_before = 0;
	struct scan s;
	enum rc rc = scan_init(&s, r->log->b, seg, seg->len, e);

	if (rc != RC_OK)
		return rc;
	if (s.header_bad)
		report_found(r->rep, seg->id, 0, SEGMENT_HDR_LEN, 0, 0,
		    "the segment's header does not hold");
	s.skip_upto = r->rp->after;
	if (r->rp->from.seq == seg->id.seq && r->rp->from.offset > s.pos &&
	    r->rp->from.offset <= s.end)
		s.pos = r->rp->from.offset;
	for (;;) {
		log_lsn before = s.last_lsn;

		rc = scan_next(&s, &item, e);
		if (rc != RC_OK)
			break;
		tell_gap(r, seg, &gap, gap_before,
		    item.hdr.record_count > 0 ? item.hdr.first_lsn : seg->last_lsn + 1);
		if (item.kind == SCAN_END)
			break;
		gap = item;
		gap_before = before;
		if (item.kind == SCAN_FRAME)
			rc = one_frame(r, seg, &item, e);
		r->done += item.len;
		if (rc == RC_OK && r->rp->progress != NULL &&
		    !r->rp->progress(r->rp->arg, r->done, r->total))
			rc = err_set(e, RC_CANCELLED, "cancelled");
		if (rc != RC_OK)
			break;
	}
	scan_fini(&s);
	return rc;
}

enum rc
log_snapshot(struct log *log, struct root *out, struct err *e)
{
	enum rc rc;

	*out = (struct root){ .segments = NULL };
	pthread_mutex_lock(&log->lock);
	rc = root_copy(out, &log->root, e);
	if (rc == RC_OK && log->has_open) {
		out->segments[out->segment_count - 1].len = log->tail;
		out->segments[out->segment_count - 1].last_lsn = log->last_lsn;
	}
	pthread_mutex_unlock(&log->lock);
	return rc;
}

/* A segment that cannot be read at all is damage, not the end: its neighbours are served. */
static enum rc
lost_segment(struct run *r, const struct root_segment *seg, struct err *e)
{
	if (e->code != RC_NOT_FOUND)
		return e->code;
	report_found(
	    r->rep, seg->id, 0, seg->len, seg->first_lsn, seg->last_lsn, "the segment is missing");
	return RC_OK;
}

static bool
is_wanted(const struct replay *rp, const struct root_segment *seg)
{
	return seg->last_lsn > rp->after && (rp->only == 0 || seg->id.seq == rp->only) &&
	       seg->id.epoch >= rp->made_since;
}

enum rc
log_replay(struct log *log, const struct replay *rp, bool verify, const struct log_report *rep,
    struct err *e)
{
	struct run r = { .log = log, .rp = rp, .rep = rep, .verify_chunks = verify };
	struct root root;
	enum rc rc;

	if (!rp->unheld)
		log_hold(log);          /* what the list names stays until it has been read */
	rc = log_snapshot(log, &root, e);
	if (rc != RC_OK)
		goto out;
	arena_init(&r.arena, DECODE_MAX);
	for (uint32_t i = 0; i < root.segment_count; i++)
		if (is_wanted(rp, &root.segments[i]))
			r.total += root.segments[i].len;
	for (uint32_t i = 0; i < root.segment_count && rc == RC_OK; i++) {
		uint64_t len;

		if (!is_wanted(rp, &root.segments[i]))
			continue;
		rc = log->b->ops->size(log->b, &root.segments[i].id, &len, e);
		rc = rc == RC_OK ? one_segment(&r, &root.segments[i], e)
				 : lost_segment(&r, &root.segments[i], e);
	}
	arena_fini(&r.arena);
	root_fini(&root);
out:
	if (!rp->unheld)
		log_unhold(log);
	return rc;
}
