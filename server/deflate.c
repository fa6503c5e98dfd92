/* deflate - a filter that deflates what is written and inflates what is read. See deflate.h.
 *
 * Out: the session flushes when it has said all it has to say for now, and every flush ends in an
 * empty stored block (Z_SYNC_FLUSH), which is on an octet's boundary: no peer waits for the rest of
 * a line. Level 1, as this runs on the reactor: measured in pieces of 64 KiB with zlib 1.2.13,
 * FETCH responses shrink to 0.14 at 290 MB/s (level 6: 0.11 at 136), text to 0.34 at 124 MB/s (0.28
 * at 29), base64 to 0.77 at 43 MB/s (0.76 at 35). memLevel 8 and window 15: smaller ones save
 * memory that is given back anyway, and cost a tenth on text.
 *
 * A compressor that begins anew never refers to what an earlier one has sent. So behind a sync
 * flush its state may be thrown away, and a new one goes on in the same stream; what is lost is the
 * dictionary. For the same reason stored chunks of the log, which are raw deflate, refer to nothing
 * before them and end with a full flush, can be spliced into the stream as they are: flush, drop
 * the compressor (drop_deflater) or reset it, write the chunk below, go on. What stands ahead of
 * the chunk must not be referred to afterwards, as the compressor has not seen the chunk: hence the
 * reset, a full flush is not even needed.
 *
 * In: blocks are inflated one at a time (Z_BLOCK), at most as much as the session has room for, so
 * a compressed bomb meets the same limits as octets in clear; and nothing is inflated behind a
 * block that may hold UNAUTHENTICATE, since what follows that is no deflate any more
 * [RFC 8437 s4.1]. Between blocks, on an octet's boundary, the whole state of an inflater is its
 * dictionary: the last 32 KiB at most of what it gave. Then deflate_rest keeps these alone.
 *
 * The memory of each direction is one mapping, not pieces of the heap: what is given back is back
 * with the system. Rejected: one compressor for many sessions (the dictionary is what makes small
 * answers small).
 */
#define _GNU_SOURCE
#include "server/deflate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#define LEVEL       1
#define WINDOW_BITS (-15)               /* raw */
#define MEM_LEVEL   8
#define RAW_MAX     16384u              /* octets read from below at once */
#define WIRE_MAX    16384u              /* what a record of TLS holds */
#define FLUSH_ROOM  64u                 /* zlib wants more than 6 for the end of a flush */
#define PIECE_MAX   16384u              /* octets deflated at once */
#define DEFLATER_BYTES (512u << 10)     /* zlib takes about 270 KiB; what is not
                                         * touched costs nothing */
#define INFLATER_BYTES (128u << 10)     /* about 40 KiB */

/* One direction: zlib's stream and all its memory. */
struct coder {
	z_stream z;
	size_t   size, used;
	/* zlib's memory follows */
};

struct deflate_filter {
	struct filter filter;
	bool          on;  /* else both directions pass through, in: once the marker is found */

	/* out */
	struct coder *deflater;         /* NULL: made when something is written */
	uint8_t      *wire;             /* deflated, not yet with the layer below;
	                                 * with the deflater */
	size_t        wire_at, wire_len;
	bool          dirty;            /* written to since the last flush was complete */
	bool          stale;            /* a splice came since: it must not refer to what was before */
	bool          last;             /* the next flush ends the stream */

	/* in */
	struct coder *inflater;         /* NULL: made when something comes, with `dict` */
	uint8_t      *raw;              /* octets from below; NULL: none */
	size_t        raw_at, raw_len;
	uint8_t      *dict;
	size_t        dict_len;
	uint8_t       tail[4];          /* the last octets that were inflated */
	bool          more;             /* the inflater holds octets that there was no room for */
	bool          boundary;         /* between two blocks, and between two octets */
	bool          final;            /* the peer's final block is over */
	bool          ended;            /* after deflate_end: the marker is found */
};

static struct deflate_filter *
deflate_of(const struct filter *f)
{
	return (struct deflate_filter *)(uintptr_t)((const char *)f -
	                                            offsetof(struct deflate_filter, filter));
}

/* ---- memory ---- */

static voidpf
coder_alloc(voidpf opaque, uInt items, uInt size)
{
	struct coder *c = opaque;
	size_t want = ((size_t)items * size + 15) & ~(size_t)15;
	uint8_t *p = (uint8_t *)c + c->used;

	if (want > c->size - c->used)
		return Z_NULL;
	c->used += want;
	return p;
}

static void
coder_free(voidpf opaque, voidpf p)
{
	(void)opaque;
	(void)p;
}

static struct coder *
coder_new(size_t size)
{
	struct coder *c = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                       0);

	if (c == MAP_FAILED)
		return NULL;
	c->size = size;
	c->used = (sizeof *c + 15) & ~(size_t)15;
	c->z.zalloc = coder_alloc;
	c->z.zfree = coder_free;
	c->z.opaque = c;
	return c;
}

/* zlib's own end functions would only hand the same memory back in pieces. */
static void
coder_unmap(struct coder **c)
{
	if (*c != NULL)
		munmap(*c, (*c)->size);
	*c = NULL;
}

/* ---- out ---- */

static void
drop_deflater(struct deflate_filter *d)
{
	assert(!d->dirty && d->wire_at == d->wire_len);
	coder_unmap(&d->deflater);
	d->wire = NULL;
	d->wire_at = d->wire_len = 0;
	d->stale = false;
}

static bool
need_deflater(struct deflate_filter *d)
{
	if (d->deflater != NULL)
		return true;
	d->deflater = coder_new(DEFLATER_BYTES);
	if (d->deflater == NULL)
		return false;
	d->wire = coder_alloc(d->deflater, 1, WIRE_MAX);
	if (deflateInit2(&d->deflater->z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL,
	                 Z_DEFAULT_STRATEGY) == Z_OK)
		return true;
	coder_unmap(&d->deflater);
	return false;
}

/* Hand what is deflated to the layer below. */
static enum stream_result
push_wire(struct deflate_filter *d)
{
	struct filter *below = d->filter.below;

	while (d->wire_at < d->wire_len) {
		size_t n = 0;
		enum stream_result r = below->ops->write(below, d->wire + d->wire_at,
		                                         d->wire_len - d->wire_at, &n);

		if (r != STREAM_OK)
			return r;
		d->wire_at += n;
	}
	d->wire_at = d->wire_len = 0;
	return STREAM_OK;
}

/* Deflate into what is left of the wire; how much of the input was taken. When flushing, `dirty`
 * afterwards says whether there is more. */
static size_t
fill_wire(struct deflate_filter *d, const uint8_t *ptr, size_t len, int flush)
{
	z_stream *z = &d->deflater->z;
	int ret;

	z->next_in = (z_const Bytef *)(uintptr_t)ptr;
	z->avail_in = (uInt)len;
	z->next_out = d->wire + d->wire_len;
	z->avail_out = (uInt)(WIRE_MAX - d->wire_len);
	ret = deflate(z, flush);
	assert(ret == Z_OK || ret == Z_BUF_ERROR || ret == Z_STREAM_END);
	d->dirty = flush == Z_NO_FLUSH || z->avail_out == 0;
	d->wire_len = WIRE_MAX - z->avail_out;
	return len - z->avail_in;
}

/* All that was written is on the wire, which ends on an octet's boundary. */
static enum stream_result
end_block(struct deflate_filter *d)
{
	while (d->dirty) {
		enum stream_result r = WIRE_MAX - d->wire_len < FLUSH_ROOM ? push_wire(d)
		                                                           : STREAM_OK;

		if (r != STREAM_OK)
			return r;
		fill_wire(d, NULL, 0, d->last ? Z_FINISH : Z_SYNC_FLUSH);
	}
	return STREAM_OK;
}

/* Begin anew behind what was spliced. */
static void
forget_past(struct deflate_filter *d)
{
	int ret = d->stale ? deflateReset(&d->deflater->z) : Z_OK;

	assert(ret == Z_OK);
	d->stale = false;
}

static enum stream_result
filter_write(struct filter *f, const uint8_t *ptr, size_t len, size_t *n)
{
	struct deflate_filter *d = deflate_of(f);

	if (!d->on)
		return f->below->ops->write(f->below, ptr, len, n);
	if (!need_deflater(d))
		return STREAM_ERROR;
	forget_past(d);
	do {
		enum stream_result r = d->wire_len == WIRE_MAX ? push_wire(d) : STREAM_OK;

		if (r != STREAM_OK)
			return r;
		*n = fill_wire(d, ptr, len < PIECE_MAX ? len : PIECE_MAX, Z_NO_FLUSH);
	} while (*n == 0);
	return STREAM_OK;
}

/* What is short goes out together with what stands before and behind it; what is long is not
 * copied. */
enum stream_result
deflate_splice(struct filter *f, const uint8_t *ptr, size_t len, size_t *n)
{
	struct deflate_filter *d = deflate_of(f);
	enum stream_result r;

	assert(d->on && !d->last);
	if (!need_deflater(d))
		return STREAM_ERROR;
	r = end_block(d);
	if (r == STREAM_OK && len > WIRE_MAX - d->wire_len)
		r = push_wire(d);
	if (r != STREAM_OK)
		return r;
	d->stale = true;
	if (len > WIRE_MAX)
		return f->below->ops->write(f->below, ptr, len, n);
	memcpy(d->wire + d->wire_len, ptr, len);
	d->wire_len += len;
	*n = len;
	return STREAM_OK;
}

static enum stream_result
filter_flush(struct filter *f)
{
	struct deflate_filter *d = deflate_of(f);
	enum stream_result r = end_block(d);

	if (r == STREAM_OK)
		r = push_wire(d);
	return r == STREAM_OK ? f->below->ops->flush(f->below) : r;
}

/* ---- in ---- */

static void
drop_raw(struct deflate_filter *d)
{
	free(d->raw);
	d->raw = NULL;
	d->raw_at = d->raw_len = 0;
}

static bool
need_inflater(struct deflate_filter *d)
{
	int ret;

	if (d->inflater != NULL)
		return true;
	d->inflater = coder_new(INFLATER_BYTES);
	if (d->inflater == NULL)
		return false;
	ret = inflateInit2(&d->inflater->z, WINDOW_BITS);
	if (ret == Z_OK && d->dict_len > 0)
		ret = inflateSetDictionary(&d->inflater->z, d->dict, (uInt)d->dict_len);
	if (ret != Z_OK) {
		coder_unmap(&d->inflater);
		return false;
	}
	free(d->dict);
	d->dict = NULL;
	d->dict_len = 0;
	return true;
}

/* More octets from below. */
static enum stream_result
fill_raw(struct deflate_filter *d)
{
	struct filter *below = d->filter.below;
	enum stream_result r;

	if (d->raw == NULL)
		d->raw = malloc(RAW_MAX);
	if (d->raw == NULL)
		return STREAM_ERROR;
	d->raw_at = d->raw_len = 0;
	r = below->ops->read(below, d->raw, RAW_MAX, &d->raw_len);
	if (r != STREAM_OK)
		drop_raw(d);
	return r;
}

/* These octets have been inflated: remember the last of them. */
static void
note_tail(struct deflate_filter *d, const uint8_t *ptr, size_t len)
{
	size_t n = len < sizeof d->tail ? len : sizeof d->tail;

	memmove(d->tail, d->tail + n, sizeof d->tail - n);
	memcpy(d->tail + sizeof d->tail - n, ptr + len - n, n);
}

/* Inflate up to the end of a block, of the input or of the room. */
static enum stream_result
inflate_some(struct deflate_filter *d, uint8_t *ptr, size_t cap, size_t *n)
{
	z_stream *z = &d->inflater->z;
	size_t taken;
	int ret;

	z->next_in = d->raw != NULL ? d->raw + d->raw_at : ptr;
	z->avail_in = (uInt)(d->raw_len - d->raw_at);
	z->next_out = ptr;
	z->avail_out = (uInt)cap;
	ret = inflate(z, Z_BLOCK);
	taken = d->raw_len - d->raw_at - z->avail_in;
	*n = cap - z->avail_out;
	if (taken > 0)
		note_tail(d, d->raw + d->raw_at, taken);
	d->raw_at += taken;
	d->more = z->avail_out == 0;
	if (taken > 0 || *n > 0)        /* called at a boundary with nothing to do, zlib forgets
	                                 * that it is one */
		d->boundary = z->data_type == 128;
	d->final = ret == Z_STREAM_END;
	if (d->raw_at == d->raw_len)
		drop_raw(d);
	return ret == Z_OK || ret == Z_BUF_ERROR || ret == Z_STREAM_END ? STREAM_OK
	                                                                : STREAM_GARBLED;
}

/* After deflate_end: has the peer's compressor said its last? */
static bool
is_marker(const struct deflate_filter *d)
{
	static const uint8_t empty_block[4] = { 0x00, 0x00, 0xff, 0xff };

	return d->final || (d->boundary && memcmp(d->tail, empty_block, sizeof empty_block) == 0);
}

static enum stream_result
read_plain(struct deflate_filter *d, uint8_t *ptr, size_t cap, size_t *n)
{
	struct filter *below = d->filter.below;

	*n = d->raw_len - d->raw_at;
	if (*n == 0)
		return below->ops->read(below, ptr, cap, n);
	if (*n > cap)
		*n = cap;
	memcpy(ptr, d->raw + d->raw_at, *n);
	d->raw_at += *n;
	if (d->raw_at == d->raw_len)
		drop_raw(d);
	return STREAM_OK;
}

static void
end_input(struct deflate_filter *d)
{
	d->ended = true;
	coder_unmap(&d->inflater);
	free(d->dict);
	d->dict = NULL;
	d->dict_len = 0;
}

/* Octets that give none (empty blocks) are read once in a call: a peer that sends nothing else
 * would hold the reactor. Nothing is left in the layer below that polling does not show, as RAW_MAX
 * holds a whole record of TLS. */
static enum stream_result
filter_read(struct filter *f, uint8_t *ptr, size_t cap, size_t *n)
{
	struct deflate_filter *d = deflate_of(f);
	bool filled = false;
	enum stream_result r;

	do {
		*n = 0;
		if (d->ended)
			return read_plain(d, ptr, cap, n);
		if (d->final)
			return STREAM_EOF;
		if (d->raw_at == d->raw_len && !d->more) {
			if (filled)
				return STREAM_WANT_READ;
			r = fill_raw(d);
			if (r != STREAM_OK)
				return r;
			filled = true;
		}
		if (!need_inflater(d))
			return STREAM_ERROR;
		r = inflate_some(d, ptr, cap, n);
		if (r != STREAM_OK)
			return r;
		if (!d->on && *n > 0)
			/* compressed data behind the point where compression ended */
			return STREAM_GARBLED;
		if (!d->on && is_marker(d))
			end_input(d);
	} while (*n == 0);
	return STREAM_OK;
}

/* ---- the whole ---- */

/* TLS below says goodbye itself. No final block: peers take the end of the connection for the end
 * of the stream. */
static void
filter_finish(struct filter *f)
{
	f->below->ops->finish(f->below);
}

static void
filter_free(struct filter *f)
{
	struct deflate_filter *d = deflate_of(f);

	coder_unmap(&d->deflater);
	coder_unmap(&d->inflater);
	free(d->raw);
	free(d->dict);
	free(d);
}

static const struct filter_ops deflate_ops = { filter_read, filter_write, filter_flush,
                                               filter_finish, filter_free };

struct filter *
deflate_new(struct filter *below, struct slice early)
{
	struct deflate_filter *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->filter = (struct filter){ &deflate_ops, below };
	if (!deflate_again(&d->filter, early)) {
		free(d);
		return NULL;
	}
	return &d->filter;
}

bool
deflate_again(struct filter *f, struct slice early)
{
	struct deflate_filter *d = deflate_of(f);
	size_t left = d->raw_len - d->raw_at;
	uint8_t *raw = NULL;

	assert(!d->on && d->inflater == NULL && d->deflater == NULL);
	if (early.len + left > 0) {
		raw = malloc(early.len + left);
		if (raw == NULL)
			return false;
		if (early.len > 0)
			memcpy(raw, early.ptr, early.len);
		if (left > 0)
			memcpy(raw + early.len, d->raw + d->raw_at, left);
	}
	drop_raw(d);
	d->raw = raw;
	d->raw_len = early.len + left;
	d->on = true;
	d->last = d->more = d->boundary = d->final = d->ended = false;
	memset(d->tail, 0, sizeof d->tail);
	return true;
}

bool
deflate_is_on(const struct filter *f)
{
	return deflate_of(f)->on;
}

void
deflate_last(struct filter *f)
{
	deflate_of(f)->last = true;
}

void
deflate_end(struct filter *f)
{
	struct deflate_filter *d = deflate_of(f);

	drop_deflater(d);
	d->on = false;
	if (is_marker(d))
		end_input(d);
}

bool
deflate_is_over(const struct filter *f)
{
	const struct deflate_filter *d = deflate_of(f);

	return !d->on && d->ended && d->raw_at == d->raw_len;
}

void
deflate_rest(struct filter *f)
{
	struct deflate_filter *d = deflate_of(f);
	uInt len = 0;

	drop_deflater(d);
	if (d->inflater == NULL || !d->boundary || d->final || d->more || d->raw_at < d->raw_len)
		return;
	if (inflateGetDictionary(&d->inflater->z, NULL, &len) != Z_OK)
		return;
	d->dict = malloc(len > 0 ? len : 1);
	if (d->dict == NULL)
		return;
	(void)inflateGetDictionary(&d->inflater->z, d->dict, &len);
	d->dict_len = len;
	coder_unmap(&d->inflater);
}

size_t
deflate_held(const struct filter *f)
{
	const struct deflate_filter *d = deflate_of(f);
	size_t n = d->dict_len + (d->raw != NULL ? RAW_MAX : 0);

	if (d->deflater != NULL)
		n += d->deflater->used + WIRE_MAX;
	return d->inflater != NULL ? n + d->inflater->used : n;
}
