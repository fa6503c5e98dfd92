/* survey - what of a log is dead, by its records alone. See survey.h; fate.c judges. */
#include "store/survey.h"

#include "lib/siphash.h"
#include "store/log_impl.h"
#include "store/scan.h"

#include <stdlib.h>

#define DECODE_MAX (256u << 20)

struct run {
	struct log                 *log;
	const struct survey_params *p;
	const struct log_report    *rep;
	struct survey              *out;
	struct fates               *fates;
	struct verdict              verdict;
	struct arena                arena;
	struct buf                  frame;      /* the one being judged */
	uint64_t                    done, total;
};

void
survey_fini(struct survey *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		free(s->segments[i].frames);
		free(s->segments[i].fates);
		free(s->segments[i].parts);
		free(s->segments[i].dying);
	}
	free(s->segments);
	*s = (struct survey){ .segments = NULL };
}

static bool
grow(void **array, size_t *cap, size_t count, size_t size)
{
	size_t want = *cap > 0 ? *cap * 2 : 64;
	void *p;

	if (count < *cap)
		return true;
	p = realloc(*array, want * size);
	if (p == NULL)
		return false;
	*array = p;
	*cap = want;
	return true;
}

static void
found(struct run *r, struct survey_segment *seg, uint64_t offset, uint64_t len, const char *what)
{
	seg->damaged = true;
	r->out->damage++;
	report_found(r->rep, seg->root.id, offset, len, 0, 0, what);
}

static enum rc
tell(struct run *r, uint64_t bytes, struct err *e)
{
	r->done += bytes;
	if (r->p->progress != NULL && !r->p->progress(r->p->arg, r->done, r->total))
		return err_set(e, RC_CANCELLED, "cancelled");
	return RC_OK;
}

/* RC_NOT_FOUND: a type that this version may pass over. RC_CORRUPT: bad bytes, told. */
static enum rc
decode(struct run *r, struct survey_segment *seg, const struct record_hdr *h, log_lsn lsn,
       struct slice body, uint64_t offset, struct record *out, struct err *e)
{
	enum rc rc;

	arena_reset(&r->arena);
	if (record_type_name((enum record_type)h->type) == NULL) {
		if (h->flags & RECORD_SKIPPABLE)
			return RC_NOT_FOUND;
		return err_set(e, RC_DENIED,
		    "record type %u: the log was written by a newer version", h->type);
	}
	rc = record_decode((enum record_type)h->type, lsn, body, &r->arena, out, e);
	if (rc == RC_CORRUPT)
		found(r, seg, offset, body.len, e->text);
	return rc;
}

/* ---- the first pass: forward ---- */

static bool
is_noted(uint8_t type)
{
	switch (record_type_of(type)) {
	case RECORD_COUNTERS:
	case RECORD_ACCOUNT:
	case RECORD_CREDENTIAL:
	case RECORD_MAILBOX:
	case RECORD_SUBSCRIPTION:
	case RECORD_EXPUNGE:
	case RECORD_PURGE:
	case RECORD_SECRET:
	case RECORD_DELIVERY:
		return true;
	case RECORD_BLOB:
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
	case RECORD_FLAGS:
	case RECORD_GONE:
	case RECORD_UIDL:
	case RECORD_SUMMARY:
		return false;
	}
	return false;
}

static enum rc
note_frame(struct run *r, struct survey_segment *seg, const struct scan_item *item, struct err *e)
{
	bool old = item->hdr.time_us < r->p->before_us;
	struct slice rest = item->body, body;
	struct record_hdr h;
	struct record rec;
	enum rc rc;

	for (uint32_t i = 0; i < item->hdr.record_count; i++) {
		if (!record_take(&rest, &h, &body)) {
			found(r, seg, item->offset, item->len, "a frame's records are cut short");
			return RC_OK;
		}
		if (!is_noted(h.type))
			continue;
		rc = decode(r, seg, &h, item->hdr.first_lsn + i, body, item->offset, &rec, e);
		if (rc == RC_OK)
			rc = fates_note(r->fates, &rec, old, e);
		if (rc != RC_OK && rc != RC_CORRUPT)
			return rc;
	}
	return RC_OK;
}

static enum rc
keep_frame(struct survey_segment *seg, size_t *cap, const struct scan_item *item, struct err *e)
{
	if (item->hdr.record_count > UINT32_MAX - seg->record_count ||
	    !grow((void **)&seg->frames, cap, seg->frame_count, sizeof *seg->frames))
		return err_nomem(e);
	seg->frames[seg->frame_count++] =
	    (struct survey_frame){ (uint32_t)item->offset, (uint32_t)item->len, seg->record_count };
	seg->record_count += item->hdr.record_count;
	return RC_OK;
}

static enum rc
note_items(struct run *r, struct survey_segment *seg, struct scan *s, struct err *e)
{
	struct scan_item item;
	size_t cap = 0;
	enum rc rc;

	for (;;) {
		rc = scan_next(s, &item, e);
		if (rc != RC_OK || item.kind == SCAN_END)
			return rc;
		if (item.kind == SCAN_GAP)
			found(r, seg, item.offset, item.len, item.what);
		if (item.kind == SCAN_FRAME) {
			rc = keep_frame(seg, &cap, &item, e);
			if (rc == RC_OK)
				rc = note_frame(r, seg, &item, e);
		}
		if (rc == RC_OK)
			rc = tell(r, item.len, e);
		if (rc != RC_OK)
			return rc;
	}
}

static enum rc
note_segment(struct run *r, struct survey_segment *seg, struct err *e)
{
	uint64_t size;
	struct scan s;
	enum rc rc = r->log->b->ops->size(r->log->b, &seg->root.id, &size, e);

	if (rc == RC_OK && size < seg->root.len)
		found(r, seg, size, seg->root.len - size,
		    "the segment is shorter than the head says");
	if (rc == RC_OK)
		rc = scan_init(&s, r->log->b, &seg->root, seg->root.len, e);
	if (rc == RC_NOT_FOUND) {
		found(r, seg, 0, seg->root.len, "the segment is missing");
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	if (s.header_bad)
		found(r, seg, 0, SEGMENT_HDR_LEN, "the segment's header does not hold");
	rc = note_items(r, seg, &s, e);
	scan_fini(&s);
	if (rc != RC_OK)
		return rc;
	seg->fates = calloc(seg->record_count > 0 ? seg->record_count : 1, 1);
	return seg->fates != NULL ? RC_OK : err_nomem(e);
}

/* ---- the second pass: backward ---- */

static enum rc
keep_parts(struct survey_segment *seg, uint32_t record, const struct uid_set *set, bool bare,
           struct err *e)
{
	for (size_t i = 0; i < set->count; i++) {
		if (!grow((void **)&seg->parts, &seg->part_cap, seg->part_count,
		          sizeof *seg->parts))
			return err_nomem(e);
		seg->parts[seg->part_count++] = (struct survey_part){ record, bare,
		                                                      set->ranges[i] };
	}
	return RC_OK;
}

static enum rc
keep_dying(struct survey_segment *seg, blob_id id, struct err *e)
{
	if (!grow((void **)&seg->dying, &seg->dying_cap, seg->dying_count, sizeof *seg->dying))
		return err_nomem(e);
	seg->dying[seg->dying_count++] = id;
	return RC_OK;
}

/* What becomes of the record, and how many bytes that gives back. */
static enum rc
keep_verdict(struct run *r, struct survey_segment *seg, uint32_t index, const struct record *rec,
             size_t len, struct err *e)
{
	const struct verdict *v = &r->verdict;
	uint64_t body = rec->type == RECORD_BLOB ? rec->u.blob.body.len : 0;
	enum rc rc = RC_OK;

	seg->fates[index] = (uint8_t)v->fate;
	seg->bytes += body;
	r->out->records++;
	switch (v->fate) {
	case FATE_KEEP:
		return RC_OK;
	case FATE_BLOB:
		seg->dead_blobs += len + body;
		seg->dead += len + body;
		return keep_dying(seg, rec->lsn, e);
	case FATE_GONE:
		r->out->gone += rec->type == RECORD_GONE;
		seg->dead += len + body;
		return rec->type == RECORD_BLOB ? keep_dying(seg, rec->lsn, e) : RC_OK;
	case FATE_PART:
		seg->dead += len * v->dead / v->all;
		rc = keep_parts(seg, index, &v->keep, false, e);
		return rc == RC_OK ? keep_parts(seg, index, &v->bare, true, e) : rc;
	}
	return rc;
}

static enum rc
judge_record(struct run *r, struct survey_segment *seg, uint32_t index, const struct record_hdr *h,
             log_lsn lsn, struct slice body, bool old, uint64_t offset, struct err *e)
{
	uint64_t where = (uint64_t)(seg - r->out->segments) << 32 | index;
	struct record rec;
	enum rc rc = decode(r, seg, h, lsn, body, offset, &rec, e);

	if (rc == RC_NOT_FOUND || rc == RC_CORRUPT)
		return RC_OK;
	if (rc == RC_OK)
		rc = fates_decide(r->fates, &rec, old, where, &r->verdict, e);
	return rc == RC_OK ? keep_verdict(r, seg, index, &rec, body.len, e) : rc;
}

/* The records of a frame, from the last to the first. */
static enum rc
judge_records(struct run *r, struct survey_segment *seg, const struct survey_frame *f,
              const struct frame_hdr *hdr, struct slice body, struct err *e)
{
	bool old = hdr->time_us < r->p->before_us;
	uint32_t *starts = malloc(hdr->record_count * sizeof *starts);
	struct slice rest = body, one;
	struct record_hdr h;
	uint32_t n = 0;
	enum rc rc = RC_OK;

	if (starts == NULL)
		return err_nomem(e);
	while (n < hdr->record_count) {
		starts[n] = (uint32_t)(body.len - rest.len);
		if (!record_take(&rest, &h, &one))
			break;          /* told by the first pass */
		n++;
	}
	while (n-- > 0 && rc == RC_OK) {
		rest = slice_sub(body, starts[n], body.len);
		if (record_take(&rest, &h, &one))
			rc = judge_record(r, seg, f->first + n, &h, hdr->first_lsn + n, one, old,
			                  f->offset, e);
	}
	free(starts);
	return rc;
}

static enum rc
judge_frame(struct run *r, struct survey_segment *seg, const struct survey_frame *f, struct err *e)
{
	struct frame_hdr hdr;
	struct slice body;
	uint8_t *dst;
	size_t got;
	enum rc rc;

	buf_reset(&r->frame);
	dst = buf_reserve(&r->frame, f->len);
	if (dst == NULL)
		return err_nomem(e);
	rc = r->log->b->ops->read(r->log->b, &seg->root.id, f->offset, dst, f->len, &got, e);
	if (rc != RC_OK)
		return rc;
	body = slice_sub(slice_of(dst, got), got < FRAME_HDR_LEN ? got : FRAME_HDR_LEN, got);
	if (got < f->len || !frame_hdr_decode(dst, seg->root.key, f->offset, &hdr) ||
	    siphash(seg->root.key, body.ptr, body.len) != hdr.body_sum) {
		found(r, seg, f->offset, f->len, "a frame that held does not hold any more");
		return RC_OK;
	}
	rc = judge_records(r, seg, f, &hdr, body, e);
	return rc == RC_OK ? tell(r, f->len, e) : rc;
}

static const struct survey_frame *
frame_of(const struct survey_segment *seg, uint32_t record)
{
	size_t lo = 0, hi = seg->frame_count;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (seg->frames[mid].first <= record)
			lo = mid;
		else
			hi = mid;
	}
	return &seg->frames[lo];
}

/* Of what is judged at the end. Its length is not known any more; its share of the frame
 * is near enough. */
static void
dies_at_last(void *arg, uint64_t where)
{
	struct run *r = arg;
	struct survey_segment *seg = &r->out->segments[where >> 32];
	const struct survey_frame *f = frame_of(seg, (uint32_t)where);
	uint32_t end = f + 1 < seg->frames + seg->frame_count ? f[1].first : seg->record_count;
	uint32_t bodies = f->len - FRAME_HDR_LEN - (end - f->first) * RECORD_HDR_LEN;

	seg->fates[(uint32_t)where] = FATE_GONE;
	seg->dead += bodies / (end - f->first);
}

/* A frame whose records are all gone goes as a whole. A lost record may name any blob:
 * none goes then. */
static void
count_dead(struct run *r, struct survey_segment *seg)
{
	if (r->out->damage > 0) {
		seg->dead -= seg->dead_blobs;
		seg->dead_blobs = 0;
		for (uint32_t i = 0; i < seg->record_count; i++)
			if (seg->fates[i] == FATE_BLOB)
				seg->fates[i] = FATE_KEEP;
	}
	for (uint32_t i = 0; i < seg->frame_count; i++) {
		uint32_t k = seg->frames[i].first;
		uint32_t end = i + 1 < seg->frame_count ? seg->frames[i + 1].first
		                                        : seg->record_count;
		uint32_t n = end - k;

		while (k < end && (seg->fates[k] == FATE_GONE || seg->fates[k] == FATE_BLOB))
			k++;
		if (k == end)
			seg->dead += FRAME_HDR_LEN + n * RECORD_HDR_LEN;
	}
	seg->bytes += seg->root.len;
	if (seg->dead > seg->bytes)
		seg->dead = seg->bytes;
	r->out->bytes += seg->bytes;
	r->out->dead += seg->dead;
	for (uint32_t i = 0; i < seg->record_count; i++)
		r->out->dying += seg->fates[i] != FATE_KEEP;
}

static enum rc
take(struct run *r, struct err *e)
{
	struct survey *s = r->out;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < s->count && rc == RC_OK; i++)
		rc = note_segment(r, &s->segments[i], e);
	for (uint32_t i = s->count; i-- > 0 && rc == RC_OK;)
		for (uint32_t k = s->segments[i].frame_count; k-- > 0 && rc == RC_OK;)
			rc = judge_frame(r, &s->segments[i], &s->segments[i].frames[k], e);
	if (rc != RC_OK)
		return rc;
	if (s->damage == 0)
		fates_settle(r->fates, dies_at_last, r);
	for (uint32_t i = 0; i < s->count; i++)
		count_dead(r, &s->segments[i]);
	s->dying -= s->gone;
	return RC_OK;
}

static enum rc
list_segments(struct run *r, struct err *e)
{
	struct root root;
	enum rc rc = log_snapshot(r->log, &root, e);

	if (rc != RC_OK)
		return rc;
	r->out->segments = calloc(root.segment_count > 0 ? root.segment_count : 1,
	                          sizeof *r->out->segments);
	if (r->out->segments == NULL)
		rc = err_nomem(e);
	for (uint32_t i = 0; rc == RC_OK && i < root.segment_count; i++) {
		r->out->segments[r->out->count++].root = root.segments[i];
		r->total += 2 * root.segments[i].len;
		if (root.segments[i].last_lsn > r->out->last)
			r->out->last = root.segments[i].last_lsn;
	}
	root_fini(&root);
	return rc;
}

enum rc
survey_take(struct log *log, const struct survey_params *p, const struct log_report *rep,
            struct survey *out, struct err *e)
{
	struct run r = { .log = log, .p = p, .rep = rep, .out = out };
	enum rc rc;

	*out = (struct survey){ .segments = NULL, .max_frame = log->caps.max_append };
	arena_init(&r.arena, DECODE_MAX);
	buf_init(&r.frame, log->caps.max_append);
	verdict_init(&r.verdict);
	log_hold(log);
	rc = fates_new(&r.fates, e);
	if (rc == RC_OK)
		rc = list_segments(&r, e);
	if (rc == RC_OK)
		rc = take(&r, e);
	log_unhold(log);
	fates_free(&r.fates);
	verdict_fini(&r.verdict);
	buf_fini(&r.frame);
	arena_fini(&r.arena);
	return rc;
}

void
survey_find_parts(const struct survey_segment *seg, uint32_t record,
                  const struct survey_part **parts, size_t *count)
{
	size_t lo = 0, hi = seg->part_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (seg->parts[mid].record > record)
			lo = mid + 1;
		else
			hi = mid;
	}
	*parts = seg->parts + lo;
	*count = 0;
	while (lo + *count < seg->part_count && seg->parts[lo + *count].record == record)
		++*count;
}
