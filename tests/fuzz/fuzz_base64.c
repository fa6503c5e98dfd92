/* fuzz_base64 - the first octet chooses: the rest is a chunk's text, or what is stored for one.
 *
 * Held against: a text that is packed is smaller and comes back octet by octet, whole, in any part, and as deflate
 * that zlib inflates; what is stored is refused or read within its bounds.
 */
#include "store/base64_chunk.h"
#include "store/base64_deflate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_base64: broken: %s\n", what);
		abort();
	}
}

/* A block of exactly that length, so that one byte too many is seen. */
static uint8_t *
block_of(size_t n)
{
	uint8_t *p = malloc(n > 0 ? n : 1);

	require(p != NULL, "memory");
	return p;
}

static void
inflates_to(struct slice in, struct slice want)
{
	uint8_t *out = block_of(want.len + 1);
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.ptr, .avail_in = (uInt)in.len, .next_out = out,
		       .avail_out = (uInt)want.len + 1 };

	require(inflateInit2(&z, -15) == Z_OK, "zlib begins");
	require(inflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in == 0, "zlib inflates");
	require(z.avail_out == 1 && memcmp(out, want.ptr, want.len) == 0, "the same text");
	inflateEnd(&z);
	free(out);
}

static void
read_text(struct codec *c, struct slice stored, struct slice text)
{
	struct buf out;
	bool fits;

	for (size_t from = 0; from < text.len; from += from / 2 + 1) {
		size_t to = from == 0 ? text.len : from + (text.len - from) * 2 / 3 + 1;
		uint8_t *dst = block_of(to - from);

		require(base64_unpack(c, stored, text.len, from, to, dst), "what was packed is read");
		require(memcmp(dst, text.ptr + from, to - from) == 0, "octet by octet");
		free(dst);
	}
	buf_init(&out, base64_deflate_max(text.len));
	require(base64_unpack_deflated(c, stored, text.len, &out, &fits) && fits, "deflated");
	inflates_to(buf_slice(&out), text);
	buf_fini(&out);
}

static void
try_text(struct codec *c, struct slice text, int level)
{
	uint8_t *out = block_of(CODEC_ROOM);
	size_t n = base64_pack(c, text, level, out);

	if (n > 0) {
		require(n < text.len, "it is smaller");
		read_text(c, slice_of(out, n), text);
	}
	free(out);
}

static void
try_stored(struct codec *c, struct slice stored, size_t raw_len)
{
	uint8_t *dst = block_of(raw_len);
	struct buf out;
	bool fits;

	buf_init(&out, base64_deflate_max(raw_len));
	if (base64_unpack(c, stored, raw_len, 0, raw_len, dst)) {
		require(base64_unpack_deflated(c, stored, raw_len, &out, &fits) && fits, "deflated too");
		inflates_to(buf_slice(&out), slice_of(dst, raw_len));
	}
	buf_fini(&out);
	free(dst);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec *c = codec_get();

	if (c != NULL && size > 3 && size < CODEC_ROOM) {
		if (data[0] < 128)
			try_text(c, slice_of(data + 1, size - 1), data[0] % 10);
		else
			try_stored(c, slice_of(data + 3, size - 3), (size_t)data[1] << 8 | data[2]);
	}
	codec_put(c);
	return 0;
}
