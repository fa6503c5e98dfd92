/* fuzz_lz - the packer of summaries. Two octets are the length of the base, two that of what comes out; the rest is
 * unpacked as it is, and packed and unpacked again. Nothing is read or written beyond what there is (exact
 * allocations show it), and what was packed comes back. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/lz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_lz: broken: %s\n", what);
		abort();
	}
}

static uint8_t *
room(size_t len)
{
	uint8_t *p = malloc(len > 0 ? len : 1);

	require(p != NULL, "memory");
	return p;
}

static struct slice
copy(struct slice s)
{
	uint8_t *p = room(s.len);

	memcpy(p, s.ptr, s.len);
	return slice_of(p, s.len);
}

static void
unpack_again(struct slice base, struct slice packed, struct slice in)
{
	struct slice tight = copy(packed);
	uint8_t *out = room(in.len + LZ_SLACK);

	require(lz_unpack(base, tight, out, in.len) && memcmp(out, in.ptr, in.len) == 0, "it comes back");
	free((void *)(uintptr_t)tight.ptr);
	free(out);
}

/* `behind` of the base's bytes are a front. */
static void
there_and_back(struct slice base, size_t behind, struct slice in)
{
	size_t most = in.len + in.len / 15 + 16, border = base.len - behind, n;
	struct lz_packer *k = lz_packer_new();
	uint8_t *packed = room(most);

	require(k != NULL, "memory");
	lz_packer_base(k, slice_sub(base, 0, border));
	n = lz_pack_behind(k, slice_sub(base, border, base.len), in, packed, most);
	require(n > 0 || in.len == 0 || base.len + in.len > LZ_MAX, "it fits");
	if (n > 0)
		unpack_again(base, slice_of(packed, n), in);
	free(packed);
	lz_packer_free(&k);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice base, in, rest;
	uint8_t *out;
	size_t len;

	if (size < 4 || size > LZ_MAX)
		return 0;
	len = get_le16(data + 2);
	rest = slice_of(data + 4, size - 4);
	base = copy(slice_sub(rest, 0, get_le16(data)));
	in = copy(slice_sub(rest, base.len, rest.len));
	out = room(len + LZ_SLACK);
	require(!lz_unpack(base, in, out, len) || in.len > 0 || len == 0, "nothing gives nothing");
	there_and_back(base, 0, in);
	there_and_back(base, base.len / 2, in);
	free((void *)(uintptr_t)base.ptr);
	free((void *)(uintptr_t)in.ptr);
	free(out);
	return 0;
}
