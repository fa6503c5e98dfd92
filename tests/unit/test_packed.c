/* packed: a summary of any length comes back from its row; a damaged row gives none. */
#include "index/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define LONGEST (3u * LZ_MAX)

static struct slice
put(struct lz_packer *k, struct slice summary, struct buf *row)
{
	buf_reset(row);
	assert_true(packed_summary_put(k, summary, row));
	assert_in_range(row->len, 1, summary.len + PACKED_MORE);
	return buf_slice(row);
}

static void
test_round(void **state)
{
	static uint8_t text[LONGEST];
	static const size_t lens[] = { 0, 1, 20, 127, 128, 600, 16383, 16384, LZ_MAX - 1, LZ_MAX, LZ_MAX + 1, LONGEST };
	struct lz_packer *k = packed_summary_packer();
	struct err e = ERR_INIT;
	struct arena a;
	struct slice got;
	struct buf row;

	(void)state;
	assert_non_null(k);
	arena_init(&a, 1u << 20);
	buf_init(&row, LONGEST + PACKED_MORE);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)"\3NIL \"text\" \"plain\""[(i * i / 7) % 19];
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		struct slice in = slice_of(text, lens[i]);

		text[0] = (uint8_t)(1 + i);
		assert_int_equal(packed_summary_get(put(k, in, &row), &a, &got, &e), RC_OK);
		assert_true(slice_eq(got, in));
		assert_int_equal(packed_summary_version(buf_slice(&row)), in.len > 0 ? 1 + i : 0);
		arena_reset(&a);
	}
	buf_fini(&row);
	arena_fini(&a);
	lz_packer_free(&k);
}

static void
test_smaller(void **state)
{
	struct slice in = SLICE("(\"text\" \"plain\" (\"charset\" \"UTF-8\") NIL NIL \"QUOTED-PRINTABLE\" 12 1 NIL NIL NIL NIL)");
	struct lz_packer *k = packed_summary_packer();
	struct buf row;

	(void)state;
	assert_non_null(k);
	buf_init(&row, in.len + PACKED_MORE);
	assert_in_range(put(k, in, &row).len, 1, in.len / 3);
	buf_fini(&row);
	lz_packer_free(&k);
}

/* What packing makes no smaller stands as it is, a 0 in front. */
static void
test_not_smaller(void **state)
{
	struct lz_packer *k = packed_summary_packer();
	uint8_t text[600];
	uint32_t x = 1;
	struct buf row;

	(void)state;
	assert_non_null(k);
	for (size_t i = 0; i < sizeof text; i++) {
		x = x * 1664525u + 1013904223u;
		text[i] = (uint8_t)(x >> 24);
	}
	buf_init(&row, sizeof text + PACKED_MORE);
	for (size_t len = 1; len <= sizeof text; len += 23) {
		assert_int_equal(put(k, slice_of(text, len), &row).len, len + 1);
		assert_int_equal(row.ptr[0], 0);
		assert_memory_equal(row.ptr + 1, text, len);
	}
	buf_fini(&row);
	lz_packer_free(&k);
}

static void
test_damage(void **state)
{
	static const struct {
		uint8_t bytes[6];
		size_t  len;
	} bad[] = {
		{ { 0 }, 0 }, { { 0x80 }, 1 }, { { 0x80, 0x80, 0x80, 0x01 }, 4 }, { { 0xff, 0xff, 0x7f, 0x10, 'a' }, 5 },
		{ { 5, 0x10, 'a' }, 3 }, { { 2, 0x10, 'a' }, 3 }, { { 0 }, 1 },
	};
	struct err e = ERR_INIT;
	struct arena a;
	struct slice got;

	(void)state;
	arena_init(&a, 1u << 20);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(packed_summary_get(slice_of(bad[i].bytes, bad[i].len), &a, &got, &e), RC_OK);
		assert_int_equal(got.len, 0);
		assert_int_equal(packed_summary_version(slice_of(bad[i].bytes, bad[i].len)), 0);
	}
	arena_fini(&a);
	arena_init(&a, 16);
	assert_int_equal(packed_summary_get(SLICE("\144\20a"), &a, &got, &e), RC_NOMEM);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_smaller),
		cmocka_unit_test(test_not_smaller),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
