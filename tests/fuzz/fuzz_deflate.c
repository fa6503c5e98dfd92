/* fuzz_deflate - the filter of COMPRESS. The first octet chooses: the rest is what a peer sends,
 * raw deflate or not, or what is to be sent; the second octet begins a series of lengths,
 * rests, flushes and splices.
 *
 * Held against zlib itself: the same octets come out whatever the pieces, and whenever the filter
 * gives memory back; nothing is inflated beyond the room there is; and what is sent is seen whole
 * by a peer after each flush.
 */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "lib/buf.h"
#include "server/deflate.h"

#define OUT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_deflate: broken: %s\n", what);
		abort();
	}
}

/* ---- the connection: an input that is there, an output that is kept ---- */

static struct slice input;
static struct buf sent;
static uint32_t seed;

static size_t
choose(size_t most)
{
	seed = seed * 1103515245u + 12345u;
	return 1 + (seed >> 16) % most;
}

static enum stream_result
wire_read(struct filter *f, uint8_t *ptr, size_t cap, size_t *n)
{
	(void)f;
	if (input.len == 0)
		return STREAM_EOF;
	if (choose(3) == 1)
		return STREAM_WANT_READ;
	*n = choose(300);
	*n = *n < cap ? *n : cap;
	*n = *n < input.len ? *n : input.len;
	memcpy(ptr, input.ptr, *n);
	input = slice_sub(input, *n, input.len);
	return STREAM_OK;
}

static enum stream_result
wire_write(struct filter *f, const uint8_t *ptr, size_t len, size_t *n)
{
	(void)f;
	if (choose(3) == 1)
		return STREAM_WANT_WRITE;
	*n = choose(300);
	*n = *n < len ? *n : len;
	require(buf_append(&sent, ptr, *n), "room");
	return STREAM_OK;
}

static enum stream_result
wire_flush(struct filter *f)
{
	(void)f;
	return STREAM_OK;
}

static void
wire_finish(struct filter *f)
{
	(void)f;
}

static const struct filter_ops wire_ops = { wire_read, wire_write, wire_flush, wire_finish,
                                            wire_finish };

/* ---- in ---- */

/* What zlib makes of it in one go. False: it is damaged somewhere. */
static bool
inflate_all(struct slice in, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.ptr, .avail_in = (uInt)in.len };
	int ret;

	require(inflateInit2(&z, -15) == Z_OK, "memory");
	do {
		z.next_out = buf_reserve(out, 65536);
		if (z.next_out == NULL)
			break;
		z.avail_out = 65536;
		ret = inflate(&z, Z_SYNC_FLUSH);
		buf_commit(out, 65536 - z.avail_out);
	} while (ret == Z_OK && z.avail_out == 0);
	inflateEnd(&z);
	return z.next_out != NULL && (ret == Z_OK || ret == Z_BUF_ERROR || ret == Z_STREAM_END);
}

static void
try_in(struct filter *f, struct slice in)
{
	struct buf want, got;
	enum stream_result r;
	bool sound;

	buf_init(&want, OUT_MAX);
	buf_init(&got, OUT_MAX);
	sound = inflate_all(in, &want);
	input = in;
	do {
		uint8_t room[512];
		size_t cap = choose(sizeof room), n = 0;

		r = f->ops->read(f, room, cap, &n);
		require(n <= cap, "room");
		if (r == STREAM_OK)
			require(n > 0 && (buf_append(&got, room, n) || want.len > OUT_MAX - 65536),
			        "something came");
		if (r == STREAM_WANT_READ && choose(2) == 1)
			deflate_rest(f);
	} while ((r == STREAM_OK || r == STREAM_WANT_READ) && !got.failed);
	require(!sound || r == STREAM_EOF, "sound input is taken to its end");
	require(got.len <= want.len, "no more than zlib has");
	require(slice_eq(buf_slice(&got), slice_sub(buf_slice(&want), 0, got.len)),
	        "as zlib has it");
	require(!sound || got.len == want.len, "all that zlib has");
	buf_fini(&want);
	buf_fini(&got);
}

/* ---- out ---- */

/* As a chunk of the log: raw deflate of some level, with a full flush. */
static void
splice(struct filter *f, struct slice s)
{
	uint8_t packed[4096];
	z_stream z = { .next_in = (Bytef *)(uintptr_t)s.ptr, .avail_in = (uInt)s.len,
	               .next_out = packed, .avail_out = sizeof packed };
	size_t len, n;

	require(deflateInit2(&z, (int)choose(10) - 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) ==
	            Z_OK && deflate(&z, Z_FULL_FLUSH) == Z_OK && z.avail_in == 0, "a chunk");
	len = sizeof packed - z.avail_out;
	deflateEnd(&z);
	for (size_t at = 0; at < len; at += n)
		if (deflate_splice(f, packed + at, len - at, &n) != STREAM_OK)
			n = 0;
}

static void
try_out(struct filter *f, struct slice out)
{
	struct buf seen;
	size_t at = 0;

	buf_init(&seen, OUT_MAX);
	while (at < out.len) {
		size_t end = at + choose(2000);

		end = end < out.len ? end : out.len;
		if (choose(3) == 1) {
			splice(f, slice_sub(out, at, end));
			at = end;
		}
		while (at < end) {
			size_t n = 0;

			if (f->ops->write(f, out.ptr + at, end - at, &n) == STREAM_OK)
				require(n > 0, "progress");
			at += n;
		}
		while (f->ops->flush(f) == STREAM_WANT_WRITE)
			;
		buf_reset(&seen);
		require(inflate_all(buf_slice(&sent), &seen), "what was sent is deflate");
		require(seen.len == at && memcmp(seen.ptr, out.ptr, at) == 0,
		        "and whole after a flush");
		if (choose(2) == 1)
			deflate_rest(f);
	}
	buf_fini(&seen);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct filter wire = { &wire_ops, NULL };
	struct filter *f;

	if (size < 2 || size > 65536)
		return 0;
	seed = data[1];
	buf_init(&sent, OUT_MAX);
	f = deflate_new(&wire, SLICE_NONE);
	require(f != NULL, "memory");
	if (data[0] % 4 != 0)
		try_in(f, slice_of(data + 2, size - 2));
	else
		try_out(f, slice_of(data + 2, size - 2));
	f->ops->free(f);
	buf_fini(&sent);
	return 0;
}
