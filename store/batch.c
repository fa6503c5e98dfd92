/* batch - frames collected in memory, written with one vectored write.
 *
 * Small bytes are gathered in one buffer, blob data stays where it is until it is written. Headers
 * are filled in at the append: only then are segment, place and synced mark known.
 */
#include "store/log_impl.h"

#include "lib/siphash.h"

#include <assert.h>
#include <stdlib.h>

#define BATCH_BYTES_MAX (64u << 20)     /* of the buffer; blob data is not in it */
#define BORROW_MIN      512u            /* shorter data is copied: a vector costs more */

/* Room for one more element. */
static bool
grow(void **array, size_t *cap, size_t count, size_t size)
{
	size_t want = *cap > 0 ? *cap * 2 : 16;
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

#define GROW(b, what) \
	grow((void **)&(b)->what##s, &(b)->what##_cap, (b)->what##_count, sizeof *(b)->what##s)

enum rc
log_batch_new(struct log *log, struct log_batch **out, struct err *e)
{
	struct log_batch *b = calloc(1, sizeof *b);

	*out = b;
	if (b == NULL)
		return err_nomem(e);
	b->log = log;
	buf_init(&b->bytes, BATCH_BYTES_MAX);
	log_batch_reset(b);
	return RC_OK;
}

void
log_batch_free(struct log_batch **b)
{
	if (*b == NULL)
		return;
	buf_fini(&(*b)->bytes);
	free((*b)->pieces);
	free((*b)->frames);
	free((*b)->blobs);
	free((*b)->iov);
	free(*b);
	*b = NULL;
}

void
log_batch_reset(struct log_batch *b)
{
	buf_reset(&b->bytes);
	b->piece_count = b->frame_count = b->blob_count = b->total = 0;
	b->next_lsn = b->log->next_lsn;
	b->open = b->failed = b->appended = false;
}

/* Bytes at the end of the buffer become a piece, or part of the piece before them. */
static bool
add_own(struct log_batch *b, size_t at)
{
	struct piece *last = b->piece_count > 0 ? &b->pieces[b->piece_count - 1] : NULL;

	b->total += b->bytes.len - at;
	if (last != NULL && last->borrowed == NULL && last->at + last->len == at &&
	    b->piece_count > b->frames[b->frame_count - 1].first_piece) {
		last->len += b->bytes.len - at;
		return true;
	}
	if (!GROW(b, piece))
		return false;
	b->pieces[b->piece_count++] = (struct piece){ NULL, at, b->bytes.len - at };
	return true;
}

static bool
add_borrowed(struct log_batch *b, struct slice s)
{
	size_t at = b->bytes.len;

	if (s.len < BORROW_MIN)
		return buf_append_slice(&b->bytes, s) && (s.len == 0 || add_own(b, at));
	if (!GROW(b, piece))
		return false;
	b->pieces[b->piece_count++] = (struct piece){ s.ptr, 0, s.len };
	b->total += s.len;
	return true;
}

/* What abandoning goes back to. */
static void
note_before(struct log_batch *b)
{
	assert(!b->open && !b->appended);
	b->before.bytes = b->bytes.len;
	b->before.pieces = b->piece_count;
	b->before.last_len = b->piece_count > 0 ? b->pieces[b->piece_count - 1].len : 0;
	b->before.frames = b->frame_count;
	if (b->frame_count > 0)
		b->before.last = b->frames[b->frame_count - 1];
	b->before.blobs = b->blob_count;
	b->before.total = b->total;
	b->before.lsn = b->next_lsn;
	b->open = true;
}

void
log_frame_begin(struct log_batch *b, const struct frame_who *who)
{
	note_before(b);
	b->failed = !GROW(b, frame);
	if (b->failed)
		return;
	b->frames[b->frame_count++] = (struct batch_frame){
		.who = *who,
		.first_piece = b->piece_count,
		.hdr_at = b->bytes.len,
		.start = b->total,
		.first_lsn = b->next_lsn,
	};
	if (buf_reserve(&b->bytes, FRAME_HDR_LEN) == NULL) {
		b->failed = true;
		return;
	}
	buf_commit(&b->bytes, FRAME_HDR_LEN);
	b->failed = !add_own(b, b->before.bytes);
}

const struct frame_who *
log_batch_last_who(const struct log_batch *b)
{
	return b->frame_count > 0 ? &b->frames[b->frame_count - 1].who : NULL;
}

void
log_frame_resume(struct log_batch *b, const struct frame_who *who)
{
	assert(b->frame_count > 0);
	note_before(b);
	b->failed = false;
	b->frames[b->frame_count - 1].who = *who;
}

log_lsn
log_next_lsn(const struct log_batch *b)
{
	return b->next_lsn;
}

static enum rc
note_blob(struct log_batch *b, log_lsn lsn, uint64_t offset, uint64_t len, uint64_t data_offset,
    struct err *e)
{
	if (!GROW(b, blob))
		return err_nomem(e);
	b->blobs[b->blob_count++] =
	    (struct batch_blob){ lsn, b->frame_count - 1, offset, len, data_offset };
	return RC_OK;
}

enum rc
log_frame_add(struct log_batch *b, struct record *r, struct err *e)
{
	struct slice data = r->type == RECORD_BLOB ? r->u.blob.data : SLICE_NONE;
	struct record_hdr hdr = { .type = record_stored_type(r),
		.flags = record_is_skippable(r->type) ? RECORD_SKIPPABLE : 0 };
	struct batch_frame *f;
	size_t at = b->bytes.len, own, offset;

	assert(b->open);
	if (b->failed || buf_reserve(&b->bytes, RECORD_HDR_LEN) == NULL)
		return err_nomem(e);
	f = &b->frames[b->frame_count - 1];
	r->lsn = b->next_lsn;
	buf_commit(&b->bytes, RECORD_HDR_LEN);
	if (!record_encode(r, &b->bytes))
		return err_set(
		    e, RC_LIMIT, "a %s record does not fit a batch", record_type_name(r->type));
	own = b->bytes.len - at - RECORD_HDR_LEN;
	offset = b->total - f->start - FRAME_HDR_LEN + RECORD_HDR_LEN;
	if (own + data.len > b->log->caps.max_append - FRAME_HDR_LEN - offset ||
	    offset > b->log->caps.max_append - FRAME_HDR_LEN)
		return err_set(e, RC_LIMIT, "a frame would pass %u bytes", b->log->caps.max_append);
	hdr.len = (uint32_t)(own + data.len);
	record_hdr_encode(&hdr, b->bytes.ptr + at);
	if (!add_own(b, at) || !add_borrowed(b, data))
		return err_nomem(e);
	f->record_count++;
	b->next_lsn++;
	return r->type == RECORD_BLOB ? note_blob(b, r->lsn, offset, hdr.len, own, e) : RC_OK;
}

void
log_frame_abandon(struct log_batch *b)
{
	assert(b->open);
	b->open = b->failed = false;
	b->bytes.failed = false;
	b->bytes.len = b->before.bytes;
	b->piece_count = b->before.pieces;
	b->blob_count = b->before.blobs;
	b->total = b->before.total;
	b->next_lsn = b->before.lsn;
	b->frame_count = b->before.frames;
	if (b->frame_count > 0)
		b->frames[b->frame_count - 1] = b->before.last;
	if (b->piece_count > 0)
		b->pieces[b->piece_count - 1].len = b->before.last_len;
}

void
log_frame_end(struct log_batch *b)
{
	struct batch_frame *f;

	assert(b->open);
	f = b->frame_count > 0 ? &b->frames[b->frame_count - 1] : NULL;
	if (b->failed || f == NULL || f->record_count == 0) {
		log_frame_abandon(b);
		return;
	}
	f->pieces = b->piece_count - f->first_piece;
	f->body_len = b->total - f->start - FRAME_HDR_LEN;
	b->open = false;
}

enum rc
batch_add_raw(struct log_batch *b, const struct kept_frame *k, struct err *e)
{
	log_frame_begin(b, &k->who);
	if (b->failed || !add_borrowed(b, slice_of(k->body, k->len))) {
		log_frame_abandon(b);
		return err_nomem(e);
	}
	b->frames[b->frame_count - 1].record_count = k->record_count;
	b->next_lsn += k->record_count;
	log_frame_end(b);
	return RC_OK;
}

bool
log_batch_empty(const struct log_batch *b)
{
	return b->frame_count == 0;
}

size_t
log_batch_bytes(const struct log_batch *b)
{
	return b->total;
}

static const uint8_t *
piece_bytes(const struct log_batch *b, const struct piece *p)
{
	return p->borrowed != NULL ? p->borrowed : b->bytes.ptr + p->at;
}

/* The sum of a frame's body, which follows the header within the first piece and goes on
 * in the others. */
static uint64_t
body_sum(const struct log_batch *b, const struct batch_frame *f, const uint8_t *key)
{
	struct siphash h;

	siphash_init(&h, key);
	for (size_t i = 0; i < f->pieces; i++) {
		const struct piece *p = &b->pieces[f->first_piece + i];
		size_t skip = i == 0 ? FRAME_HDR_LEN : 0;

		siphash_add(&h, piece_bytes(b, p) + skip, p->len - skip);
	}
	return siphash_sum(&h);
}

static void
seal_frame(
    struct log_batch *b, struct batch_frame *f, const struct root_segment *seg, struct frame_hdr *h)
{
	h->body_len = (uint32_t)f->body_len;
	h->record_count = f->record_count;
	h->first_lsn = f->first_lsn;
	h->who = f->who;
	h->body_sum = body_sum(b, f, seg->key);
	frame_hdr_encode(h, seg->key, f->offset, b->bytes.ptr + f->hdr_at);
}

enum rc
batch_seal(struct log_batch *b, const struct root_segment *seg, uint64_t offset, log_lsn synced,
    uint64_t time_us, uint8_t flags, struct err *e)
{
	struct frame_hdr h = { .synced_lsn = synced, .time_us = time_us, .flags = flags };
	struct iovec *iov;

	assert(!b->open);
	if (b->iov_cap < b->piece_count) {
		iov = realloc(b->iov, b->piece_count * sizeof *iov);
		if (iov == NULL)
			return err_nomem(e);
		b->iov = iov;
		b->iov_cap = b->piece_count;
	}
	for (size_t i = 0; i < b->frame_count; i++) {
		struct batch_frame *f = &b->frames[i];

		f->offset = offset;
		seal_frame(b, f, seg, &h);
		offset += FRAME_HDR_LEN + f->body_len;
	}
	for (size_t i = 0; i < b->piece_count; i++)
		b->iov[i] = (struct iovec){ (void *)(uintptr_t)piece_bytes(b, &b->pieces[i]),
			b->pieces[i].len };
	b->seg = seg->id;
	return RC_OK;
}

struct kept_frame *
batch_keep(const struct log_batch *b, const struct batch_frame *f)
{
	struct kept_frame *k = malloc(sizeof *k + f->body_len);
	uint8_t *dst;

	if (k == NULL)
		return NULL;
	*k = (struct kept_frame){ .who = f->who, .record_count = f->record_count,
	                          .len = f->body_len };
	dst = k->body;
	for (size_t i = 0; i < f->pieces; i++) {
		const struct piece *p = &b->pieces[f->first_piece + i];
		size_t skip = i == 0 ? FRAME_HDR_LEN : 0;

		memcpy(dst, piece_bytes(b, p) + skip, p->len - skip);
		dst += p->len - skip;
	}
	return k;
}

bool
log_batch_blob_addr(
    const struct log_batch *b, blob_id id, struct log_addr *addr, uint64_t *data_offset)
{
	size_t lo = 0, hi = b->blob_count;

	if (!b->appended)
		return false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->blobs[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == b->blob_count || b->blobs[lo].id != id)
		return false;
	*addr = (struct log_addr){
		.seg = b->seg,
		.offset =
		    b->frames[b->blobs[lo].frame].offset + FRAME_HDR_LEN + b->blobs[lo].offset,
		.len = b->blobs[lo].len,
	};
	*data_offset = b->blobs[lo].data_offset;
	return true;
}
