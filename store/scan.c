/* scan - frames of a segment, one by one. See scan.h.
 *
 * A header that holds has a length to trust, so a damaged body costs its frame only. A header that
 * does not hold costs a search, byte by byte, for the next one: magic first, then the keyed sum,
 * which no content can forge.
 */
#define _GNU_SOURCE
#include "store/scan.h"

#include "lib/siphash.h"

#include <errno.h>

#define WINDOW_LEN (256u << 10)
#define BLOCK_LEN  4096u                /* what is tried alone when the disk fails */

/* Read what can be read; blocks that cannot become zeros, which are no frame: a bad sector is
 * damage, not the end. */
static enum rc
read_around(struct scan *s, uint64_t at, uint8_t *dst, size_t len, size_t *got, struct err *e)
{
	for (size_t done = 0; done < len;) {
		size_t want = len - done < BLOCK_LEN ? len - done : BLOCK_LEN, n = 0;

		enum rc rc = s->b->ops->read(s->b, &s->seg.id, at + done, dst + done, want, &n, e);

		if (rc != RC_OK) {
			if (e->os != EIO)
				return rc;
			memset(dst + done, 0, want);
			s->unreadable = true;
			n = want;
		}
		done += n;
		*got = done;
		if (n < want)
			break;
	}
	return RC_OK;
}

/* Make the window hold [at, at + len); *got is shorter at the end of the range or of the file. */
static enum rc
look(struct scan *s, uint64_t at, size_t len, struct slice *got, struct err *e)
{
	size_t want = len > WINDOW_LEN ? len : WINDOW_LEN, n = 0;
	uint64_t have_to = s->window_at + s->window.len;
	uint8_t *dst;
	enum rc rc;

	if (len > s->end - at)
		len = (size_t)(s->end - at);
	if (at < s->window_at || at + len > have_to) {
		if (want > s->end - at)
			want = (size_t)(s->end - at);
		buf_reset(&s->window);
		dst = buf_reserve(&s->window, want > 0 ? want : 1);
		if (dst == NULL)
			return err_nomem(e);
		rc = s->b->ops->read(s->b, &s->seg.id, at, dst, want, &n, e);
		if (rc == RC_IO && e->os == EIO)
			rc = read_around(s, at, dst, want, &n, e);
		if (rc != RC_OK)
			return rc;
		buf_commit(&s->window, n);
		s->window_at = at;
	}
	*got = slice_sub(buf_slice(&s->window), (size_t)(at - s->window_at),
	                 (size_t)(at - s->window_at) + len);
	return RC_OK;
}

enum rc
scan_init(
    struct scan *s, struct backend *b, const struct root_segment *seg, uint64_t end, struct err *e)
{
	struct backend_caps caps;
	struct segment_hdr hdr;
	struct slice got;
	enum rc rc;

	b->ops->caps(b, &caps);
	*s = (struct scan){ .b = b, .seg = *seg, .max_frame = caps.max_append, .end = end };
	s->last_lsn = seg->first_lsn - 1;
	buf_init(&s->window, (size_t)caps.max_append + WINDOW_LEN);
	rc = look(s, 0, SEGMENT_HDR_LEN, &got, e);
	if (rc != RC_OK) {
		scan_fini(s);
		return rc;
	}
	if (segment_hdr_version(got) > LOG_FORMAT) {
		rc = err_set(e, RC_DENIED,
		    "segment s-%llu-%u is of format %u, written by a newer version of Restante; "
		    "this one reads format %u",
		    (unsigned long long)seg->id.seq, seg->id.epoch, segment_hdr_version(got),
		    LOG_FORMAT);
		scan_fini(s);
		return rc;
	}
	s->header_bad = !segment_hdr_decode(got, &hdr) || hdr.seq != seg->id.seq ||
			hdr.epoch != seg->id.epoch ||
			memcmp(hdr.key, seg->key, SEGMENT_KEY_LEN) != 0;
	s->pos = SEGMENT_HDR_LEN < end ? SEGMENT_HDR_LEN : end;
	return RC_OK;
}

void
scan_fini(struct scan *s)
{
	buf_fini(&s->window);
}

/* Whether a good header stands at the start of `at_pos`, which lies at `pos`. */
static bool
header_here(const struct scan *s, struct slice at_pos, uint64_t pos, struct frame_hdr *h)
{
	if (at_pos.len < FRAME_HDR_LEN || !frame_hdr_decode(at_pos.ptr, s->seg.key, pos, h))
		return false;
	if (h->body_len > s->max_frame - FRAME_HDR_LEN || h->first_lsn <= s->last_lsn)
		return false;
	/* A compacted segment has frames of those it was made of. */
	return s->seg.state == SEGMENT_COMPACTED ? frame_last_lsn(h) <= s->seg.last_lsn
						 : LSN_EPOCH(h->first_lsn) == s->seg.id.epoch;
}

static bool
all_zero(struct slice s)
{
	return s.len == 0 || (s.ptr[0] == 0 && memcmp(s.ptr, s.ptr + 1, s.len - 1) == 0);
}

/* The place of the first good header at or after `from`, else the end. */
static enum rc
find_header(struct scan *s, uint64_t from, uint64_t *found, bool *zeros, struct err *e)
{
	struct frame_hdr h;
	struct slice got;
	enum rc rc;

	while (s->end - from >= FRAME_HDR_LEN) {
		rc = look(s, from, WINDOW_LEN, &got, e);
		if (rc != RC_OK)
			return rc;
		if (got.len < FRAME_HDR_LEN)
			break;          /* the file is shorter than it should be */
		for (size_t i = 0; i + FRAME_HDR_LEN <= got.len; i++) {
			const uint8_t *p = memmem(got.ptr + i, got.len - i, FRAME_MAGIC, 4);

			if (p == NULL)
				break;
			i = (size_t)(p - got.ptr);
			if (header_here(s, slice_sub(got, i, got.len), from + i, &h)) {
				*zeros = *zeros && all_zero(slice_sub(got, 0, i));
				*found = from + i;
				return RC_OK;
			}
		}
		*zeros = *zeros && all_zero(got);
		from += got.len - (FRAME_HDR_LEN - 1); /* a header may lie across two windows */
	}
	if (*zeros && from < s->end) {
		rc = look(s, from, FRAME_HDR_LEN, &got, e);
		if (rc != RC_OK)
			return rc;
		*zeros = all_zero(got);
	}
	*found = s->end;
	return RC_OK;
}

static enum rc
gap(struct scan *s, const char *what, struct scan_item *out, struct err *e)
{
	uint64_t found;
	enum rc rc;

	out->kind = SCAN_GAP;
	out->what = what;
	out->zeros = true;
	rc = find_header(s, s->pos, &found, &out->zeros, e);
	if (rc != RC_OK)
		return rc;
	out->len = found - s->pos;
	s->pos = found;
	if (s->unreadable) {
		out->what = "the disk cannot read this";
		out->unreadable = true;
		s->unreadable = false;
	}
	return RC_OK;
}

static enum rc
frame_here(struct scan *s, struct scan_item *out, struct err *e)
{
	size_t len = FRAME_HDR_LEN + (size_t)out->hdr.body_len;
	struct slice got;
	enum rc rc;

	out->len = len;
	if (len > s->end - s->pos) {
		out->hdr.record_count = 0;
		out->kind = SCAN_GAP;
		out->what = "a frame reaches beyond the end";
		out->len = s->end - s->pos;
		s->pos = s->end;
		return RC_OK;
	}
	if (frame_last_lsn(&out->hdr) <= s->skip_upto) {
		out->kind = SCAN_SKIPPED;
		s->pos += len;
		s->last_lsn = frame_last_lsn(&out->hdr);
		return RC_OK;
	}
	rc = look(s, s->pos, len, &got, e);
	if (rc != RC_OK)
		return rc;
	out->body = slice_sub(got, FRAME_HDR_LEN, len);
	out->kind = SCAN_FRAME;
	if (got.len < len ||
	    siphash(s->seg.key, out->body.ptr, out->body.len) != out->hdr.body_sum) {
		out->kind = SCAN_GAP;
		out->what = s->unreadable ? "the disk cannot read this"
					  : "a frame's body does not match its sum";
		out->unreadable = s->unreadable;
		s->unreadable = false;
	}
	s->last_lsn = frame_last_lsn(&out->hdr);        /* lost or not, these LSNs were given */
	s->pos += len;
	return RC_OK;
}

enum rc
scan_next(struct scan *s, struct scan_item *out, struct err *e)
{
	struct slice got;
	enum rc rc;

	*out = (struct scan_item){ .kind = SCAN_END, .offset = s->pos };
	if (s->pos == s->end)
		return RC_OK;
	rc = look(s, s->pos, FRAME_HDR_LEN, &got, e);
	if (rc != RC_OK)
		return rc;
	if (header_here(s, got, s->pos, &out->hdr))
		return frame_here(s, out, e);
	memset(&out->hdr, 0, sizeof out->hdr);
	return gap(s, "no valid frame", out, e);
}
