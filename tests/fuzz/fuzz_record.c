/* fuzz_record - any bytes as a record: first byte the type, the rest its body.
 *
 * Held against: what decodes encodes again, and that decodes to the same bytes; slices lie within
 * the input or the arena; ranges ascend. A broken promise aborts.
 */
#include "store/record.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_record: broken: %s\n", what);
		abort();
	}
}

static void
check_ranges(const struct uid_range *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		require(r[i].first >= 1 && r[i].first <= r[i].last, "a range is ordered");
		require(i == 0 || r[i].first > r[i - 1].last, "ranges ascend");
	}
}

static void
encode(const struct record *r, struct buf *out)
{
	buf_reset(out);
	require(record_encode(r, out), "what was decoded can be encoded");
	if (r->type == RECORD_BLOB)
		require(buf_append_slice(out, r->u.blob.data), "and its data");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record first, second;
	struct buf one, two;
	struct err e = ERR_INIT;
	struct arena a;

	if (size == 0)
		return 0;
	arena_init(&a, 64u << 20);
	buf_init(&one, 64u << 20);
	buf_init(&two, 64u << 20);
	if (record_decode((enum record_type)data[0], 42, slice_of(data + 1, size - 1), &a, &first,
	                  &e) == RC_OK) {
		if (first.type == RECORD_FLAGS)
			check_ranges(first.u.flags.uids, first.u.flags.range_count);
		if (first.type == RECORD_EXPUNGE)
			check_ranges(first.u.expunge.uids, first.u.expunge.range_count);
		encode(&first, &one);
		require(record_decode((enum record_type)record_stored_type(&first), 42, buf_slice(&one), &a, &second, &e) == RC_OK,
		        "it decodes again");
		encode(&second, &two);
		require(slice_eq(buf_slice(&one), buf_slice(&two)), "to the same");
	}
	buf_fini(&one);
	buf_fini(&two);
	arena_fini(&a);
	return 0;
}
