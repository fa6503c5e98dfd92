/* rewrite - the survivors of some segments in a fresh one. See rewrite.h.
 *
 * Frames keep their time, author and LSNs; a record that died leaves a `gone` record, so that its
 * neighbours keep theirs, and a frame of nothing else vanishes. A record that lives is copied
 * byte for byte.
 */
#include "store/rewrite.h"

#include "lib/siphash.h"
#include "store/log_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define OUT_PIECE  (1u << 20)
#define DECODE_MAX (256u << 20)

struct run {
	struct log                  *log;
	const struct rewrite_params *p;
	struct rewritten            *out;
	struct backend_body         *put;
	uint64_t                     at;        /* where the next frame goes */
	struct buf                   in;        /* the frame that is read */
	struct buf                   body;      /* of the frame that is made */
	struct buf                   pending;   /* frames not written yet */
	struct arena                 arena;
};

static bool
add_id(struct seg_id **ids, uint32_t *count, size_t *cap, const struct seg_id *id)
{
	if (*count == *cap) {
		size_t want = *cap > 0 ? *cap * 2 : 16;
		struct seg_id *p = realloc(*ids, want * sizeof *p);

		if (p == NULL)
			return false;
		*ids = p;
		*cap = want;
	}
	(*ids)[(*count)++] = *id;
	return true;
}

static enum rc
drop(struct run *r, const struct seg_id *id, uint64_t len, struct err *e)
{
	r->out->replaced += len;
	return add_id(&r->out->drop, &r->out->drop_count, &r->out->drop_cap, id) ? RC_OK
	                                                                         : err_nomem(e);
}

static enum rc
work(struct run *r, uint64_t bytes, struct err *e)
{
	if (r->p->work != NULL && !r->p->work(r->p->arg, bytes))
		return err_set(e, RC_CANCELLED, "cancelled");
	return RC_OK;
}

/* ---- records ---- */

/* `data`: a blob's, which record_encode leaves to us. */
static enum rc
put_record(struct run *r, const struct record *rec, struct slice data, struct err *e)
{
	struct record_hdr hdr = { .type = record_stored_type(rec) };
	size_t at = r->body.len;

	if (record_is_skippable(rec->type))
		hdr.flags = RECORD_SKIPPABLE;
	if (buf_reserve(&r->body, RECORD_HDR_LEN) == NULL)
		return err_nomem(e);
	buf_commit(&r->body, RECORD_HDR_LEN);
	if (!record_encode(rec, &r->body) || !buf_append_slice(&r->body, data))
		return err_set(e, RC_LIMIT, "a frame would pass %u bytes", r->log->caps.max_append);
	hdr.len = (uint32_t)(r->body.len - at - RECORD_HDR_LEN);
	record_hdr_encode(&hdr, r->body.ptr + at);
	return RC_OK;
}

static enum rc
copy_record(struct run *r, const struct record_hdr *h, struct slice body, struct err *e)
{
	uint8_t hdr[RECORD_HDR_LEN];

	record_hdr_encode(h, hdr);
	if (buf_append(&r->body, hdr, sizeof hdr) && buf_append_slice(&r->body, body))
		return RC_OK;
	return err_set(e, RC_LIMIT, "a frame would pass %u bytes", r->log->caps.max_append);
}

/* Ranges that go up, and where a walk that goes up is among them. */
struct parts {
	const struct survey_part *at, *end;
};

static bool
parts_cover(struct parts *p, mail_uid uid)
{
	while (p->at < p->end && p->at->uids.last < uid)
		p->at++;
	return p->at < p->end && p->at->uids.first <= uid;
}

/* What is left of a messages record; a bare message keeps its place and keywords. */
static enum rc
reduce_messages(struct run *r, struct record *rec, const struct survey_part *parts, size_t count,
                struct err *e)
{
	struct record_messages *m = &rec->u.messages;
	struct record_message *left = arena_array(&r->arena, m->count, sizeof *left);
	struct uid_range whole = { m->first_uid, m->first_uid + m->count - 1 };
	const struct uid_range *ranges = m->uids != NULL ? m->uids : &whole;
	uint32_t range_count = m->uids != NULL ? m->range_count : 1, i = 0, n = 0;
	struct parts keep = { parts, parts }, bare = { parts, parts + count };
	struct uid_set uids;
	enum rc rc = RC_OK;

	if (left == NULL)
		return err_nomem(e);
	while (bare.at < bare.end && !bare.at->bare)
		keep.end = ++bare.at;
	uid_set_init(&uids, m->count);
	for (uint32_t k = 0; k < range_count && rc == RC_OK; k++) {
		for (uint64_t uid = ranges[k].first; uid <= ranges[k].last && rc == RC_OK;
		     uid++, i++) {
			if (parts_cover(&keep, (mail_uid)uid))
				left[n++] = m->messages[i];
			else if (parts_cover(&bare, (mail_uid)uid))
				left[n++] = (struct record_message){
					.keywords = m->messages[i].keywords
				};
			else
				continue;
			if (!uid_set_add(&uids, (mail_uid)uid, (mail_uid)uid))
				rc = err_nomem(e);
		}
	}
	rec->type = RECORD_SOME_MESSAGES;
	m->messages = left;
	m->count = n;
	m->uids = uids.ranges;
	m->range_count = (uint32_t)uids.count;
	m->first_uid = n > 0 ? uids.ranges[0].first : 0;
	if (rc == RC_OK)
		rc = put_record(r, rec, SLICE_NONE, e);
	uid_set_fini(&uids);
	return rc;
}

static enum rc
reduce_flags(struct run *r, struct record *rec, const struct survey_part *parts, size_t count,
             struct err *e)
{
	struct uid_range *uids = arena_array(&r->arena, count, sizeof *uids);

	if (uids == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < count; i++)
		uids[i] = parts[i].uids;
	rec->u.flags.uids = uids;
	rec->u.flags.range_count = (uint32_t)count;
	return put_record(r, rec, SLICE_NONE, e);
}

static enum rc
reduce(struct run *r, const struct survey_segment *seg, uint32_t index, struct record *rec,
       struct err *e)
{
	const struct survey_part *parts;
	size_t count;

	survey_find_parts(seg, index, &parts, &count);
	if (rec->type == RECORD_FLAGS)
		return reduce_flags(r, rec, parts, count, e);
	assert(rec->type == RECORD_MESSAGES || rec->type == RECORD_SOME_MESSAGES);
	return reduce_messages(r, rec, parts, count, e);
}

static enum rc
recompress(struct run *r, const struct record_hdr *h, struct slice body, struct record *rec,
           struct err *e)
{
	struct log_addr old = rec->u.blob.body;
	struct record anew = *rec;
	bool out_of_line = rec->u.blob.body.len > 0;
	enum rc rc = recompress_blob(r->log, &rec->u.blob, r->p->level, &r->arena, &anew.u.blob, e);

	if (rc == RC_CORRUPT)
		/* what is damaged stays as it is, to be told when it is read */
		return copy_record(r, h, body, e);
	if (rc != RC_OK)
		return rc;
	if (out_of_line) {
		if (!add_id(&r->out->made, &r->out->made_count, &r->out->made_cap,
		            &anew.u.blob.body.seg))
			return err_nomem(e);
		r->out->bytes += anew.u.blob.body.len;
		rc = drop(r, &old.seg, old.len, e);
	}
	return rc == RC_OK ? put_record(r, &anew, anew.u.blob.data, e) : rc;
}

/* A record that dies, is reduced, or is compressed anew. */
static enum rc
change_record(struct run *r, const struct survey_segment *seg, uint32_t index,
              const struct record_hdr *h, struct slice body, log_lsn lsn, struct err *e)
{
	enum fate fate = (enum fate)seg->fates[index];
	struct record gone = { .type = RECORD_GONE }, rec;
	enum rc rc;

	arena_reset(&r->arena);
	if (fate != FATE_KEEP && lsn > r->out->floor)
		r->out->floor = lsn;
	if (record_type_of(h->type) != RECORD_BLOB && fate != FATE_PART)
		return put_record(r, &gone, SLICE_NONE, e);
	rc = record_decode((enum record_type)h->type, lsn, body, &r->arena, &rec, e);
	if (rc != RC_OK)
		return rc;
	if (fate == FATE_PART)
		return reduce(r, seg, index, &rec, e);
	if (fate == FATE_KEEP)
		return recompress(r, h, body, &rec, e);
	if (rec.u.blob.body.len > 0)
		rc = drop(r, &rec.u.blob.body.seg, rec.u.blob.body.len, e);
	return rc == RC_OK ? put_record(r, &gone, SLICE_NONE, e) : rc;
}

/* ---- frames ---- */

static enum rc
flush(struct run *r, struct err *e)
{
	enum rc rc = r->log->b->ops->body_write(r->put, buf_slice(&r->pending), e);

	buf_reset(&r->pending);
	return rc;
}

static enum rc
put_frame(struct run *r, const struct frame_hdr *was, struct err *e)
{
	struct frame_hdr h = *was;
	uint8_t bytes[FRAME_HDR_LEN];
	enum rc rc;

	h.body_len = (uint32_t)r->body.len;
	h.body_sum = siphash(r->out->segment.key, r->body.ptr, r->body.len);
	frame_hdr_encode(&h, r->out->segment.key, r->at, bytes);
	if (!buf_append(&r->pending, bytes, sizeof bytes) ||
	    !buf_append_slice(&r->pending, buf_slice(&r->body)))
		return err_nomem(e);
	r->at += sizeof bytes + r->body.len;
	r->out->frames++;
	r->out->records += h.record_count;
	rc = work(r, sizeof bytes + r->body.len, e);
	return rc == RC_OK && r->pending.len >= OUT_PIECE ? flush(r, e) : rc;
}

static enum rc
read_frame(struct run *r, const struct survey_segment *seg, const struct survey_frame *f,
           struct frame_hdr *hdr, struct slice *body, struct err *e)
{
	uint8_t *dst;
	size_t got;
	enum rc rc;

	buf_reset(&r->in);
	dst = buf_reserve(&r->in, f->len);
	if (dst == NULL)
		return err_nomem(e);
	rc = r->log->b->ops->read(r->log->b, &seg->root.id, f->offset, dst, f->len, &got, e);
	if (rc != RC_OK)
		return rc;
	if (got < f->len || !frame_hdr_decode(dst, seg->root.key, f->offset, hdr))
		return err_set(e, RC_CORRUPT, "a frame of the survey is not there any more");
	*body = slice_of(dst + FRAME_HDR_LEN, f->len - FRAME_HDR_LEN);
	if (siphash(seg->root.key, body->ptr, body->len) != hdr->body_sum)
		return err_set(e, RC_CORRUPT, "a frame's body does not match its sum");
	return RC_OK;
}

static enum rc
rewrite_frame(struct run *r, const struct survey_segment *seg, const struct survey_frame *f,
              struct err *e)
{
	struct slice rest, body;
	struct record_hdr h;
	struct frame_hdr hdr;
	bool any = false;
	enum rc rc = read_frame(r, seg, f, &hdr, &rest, e);

	if (rc == RC_OK)
		rc = work(r, f->len, e);
	buf_reset(&r->body);
	for (uint32_t i = 0; rc == RC_OK && i < hdr.record_count; i++) {
		enum fate fate = (enum fate)seg->fates[f->first + i];

		if (!record_take(&rest, &h, &body))
			return err_set(e, RC_CORRUPT, "a frame's records are cut short");
		any = any || fate == FATE_KEEP || fate == FATE_PART;
		if (fate == FATE_KEEP && (r->p->level == REWRITE_AS_IT_IS ||
		                          record_type_of(h.type) != RECORD_BLOB))
			rc = copy_record(r, &h, body, e);
		else
			rc = change_record(r, seg, f->first + i, &h, body, hdr.first_lsn + i, e);
	}
	return rc == RC_OK && any ? put_frame(r, &hdr, e) : rc;
}

/* ---- the segment ---- */

/* The LSNs that the new segment stands for. Of two epochs, an index that was written in the earlier
 * one may have applied what was lost at its end: from here on it must have come beyond that. */
static void
cover(struct run *r)
{
	struct root_segment *s = &r->out->segment;
	bool any = false;

	for (uint32_t i = 0; i < r->p->count; i++) {
		const struct root_segment *from = &r->p->survey->segments[r->p->first + i].root;

		if (from->last_time_us > s->last_time_us)
			s->last_time_us = from->last_time_us;
		if (i == 0 || (!any && from->last_lsn >= from->first_lsn)) {
			s->first_lsn = from->first_lsn;
			s->last_lsn = from->last_lsn;
		}
		if (from->last_lsn < from->first_lsn)
			continue;
		if (any && LSN_EPOCH(from->first_lsn) != LSN_EPOCH(s->last_lsn) &&
		    from->first_lsn > r->out->floor)
			r->out->floor = from->first_lsn;
		any = true;
		s->last_lsn = from->last_lsn;
	}
}

static enum rc
begin(struct run *r, struct err *e)
{
	struct segment_hdr hdr = { .seq = log_take_seq(r->log), .epoch = log_epoch(r->log) };
	struct root_segment *s = &r->out->segment;
	uint8_t bytes[SEGMENT_HDR_LEN];

	if (getentropy(hdr.key, sizeof hdr.key) != 0)
		return err_set(e, RC_IO, "no random bytes from the system");
	log_volume_id(r->log, hdr.volume_id);
	segment_hdr_encode(&hdr, bytes);
	s->id = (struct seg_id){ hdr.seq, hdr.epoch, SEG_LOG };
	s->state = SEGMENT_COMPACTED;
	memcpy(s->key, hdr.key, sizeof s->key);
	r->at = SEGMENT_HDR_LEN;
	cover(r);
	return r->log->b->ops->segment_put(r->log->b, &s->id, slice_of(bytes, sizeof bytes),
	                                   &r->put, e);
}

static enum rc
rewrite(struct run *r, struct err *e)
{
	struct log_addr addr;
	enum rc rc = begin(r, e);

	for (uint32_t i = 0; rc == RC_OK && i < r->p->count; i++) {
		const struct survey_segment *seg = &r->p->survey->segments[r->p->first + i];

		assert(!seg->damaged && seg->root.state != SEGMENT_OPEN);
		rc = drop(r, &seg->root.id, seg->root.len, e);
		for (uint32_t k = 0; rc == RC_OK && k < seg->frame_count; k++)
			rc = rewrite_frame(r, seg, &seg->frames[k], e);
	}
	if (rc == RC_OK)
		rc = flush(r, e);
	if (rc == RC_OK)
		rc = r->log->b->ops->body_finish(&r->put, &addr, e);
	if (rc != RC_OK)
		return rc;
	assert(addr.len == r->at);
	r->out->segment.len = addr.len;
	r->out->bytes += addr.len;
	return rewrite_verify(r->log, r->out, r->p->level != REWRITE_AS_IT_IS, r->p, e);
}

enum rc
rewrite_segments(struct log *log, const struct rewrite_params *p, struct rewritten *out,
                 struct err *e)
{
	struct run r = { .log = log, .p = p, .out = out };
	enum rc rc;

	*out = (struct rewritten){ .drop = NULL };
	buf_init(&r.in, log->caps.max_append);
	buf_init(&r.body, log->caps.max_append - FRAME_HDR_LEN);
	buf_init(&r.pending, (size_t)log->caps.max_append + OUT_PIECE);
	arena_init(&r.arena, DECODE_MAX);
	log_hold(log);
	rc = rewrite(&r, e);
	log_unhold(log);
	log->b->ops->body_abort(&r.put);
	if (rc != RC_OK)
		rewritten_discard(log, out);
	buf_fini(&r.in);
	buf_fini(&r.body);
	buf_fini(&r.pending);
	arena_fini(&r.arena);
	return rc;
}

void
rewritten_fini(struct rewritten *r)
{
	free(r->drop);
	free(r->made);
	*r = (struct rewritten){ .drop = NULL };
}

void
rewritten_discard(struct log *log, struct rewritten *r)
{
	struct err e = ERR_INIT;

	/* What cannot be removed is an orphan: the next start does it. Nobody reads what
	 * was never listed. */
	if (r->segment.len > 0 && log->b->ops->reap(log->b, &r->segment.id, 1, &e) != RC_OK)
		r->segment.len = 0;
	if (r->made_count > 0 && log->b->ops->reap(log->b, r->made, r->made_count, &e) != RC_OK)
		r->made_count = 0;
	rewritten_fini(r);
}
