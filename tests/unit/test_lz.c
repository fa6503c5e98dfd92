/* lz: what is packed comes back whole with the same base and in the same place; damage and other bases are
 * told or give other bytes, but never more than was asked for. */
#include "lib/lz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct slice base = SLICE_INIT("From: \"Ada\" <ada@example.org>\r\nSubject: a base of a few words\r\n");

/* Packs and unpacks in memory of exactly the size that is promised, so that a sanitizer sees one byte more. */
static size_t
there_and_back(struct lz_packer *k, struct slice with, struct slice in)
{
	size_t room = in.len + in.len / 15 + 16, n;
	uint8_t *packed = malloc(room), *tight, *back = malloc(in.len + LZ_SLACK);

	assert_non_null(packed);
	assert_non_null(back);
	lz_packer_base(k, with);
	n = lz_pack(k, in, packed, room);
	assert_true(n > 0);
	assert_int_equal(lz_pack(k, in, packed, n - 1), 0);
	assert_int_equal(lz_pack(k, in, packed, n), n);
	tight = malloc(n);
	assert_non_null(tight);
	memcpy(tight, packed, n);
	assert_true(lz_unpack(with, slice_of(tight, n), back, in.len));
	assert_memory_equal(back, in.ptr, in.len);
	assert_false(lz_unpack(with, slice_of(tight, n), back, in.len - 1));
	assert_false(lz_unpack(with, slice_of(tight, n - 1), back, in.len));
	free(packed);
	free(tight);
	free(back);
	return n;
}

static void
test_round(void **state)
{
	static uint8_t bytes[LZ_MAX], long_base[LZ_MAX + 1];
	struct lz_packer *k = lz_packer_new();
	uint32_t seed = 1;

	(void)state;
	assert_non_null(k);
	for (size_t i = 0; i < sizeof bytes; i++) {
		seed = seed * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(i % 97 < 60 ? seed >> 29 : 'a' + i % 7);
	}
	for (size_t len = 1; len < 700; len++) {
		there_and_back(k, SLICE_NONE, slice_of(bytes + len, len));
		there_and_back(k, base, slice_of(bytes, len));
		there_and_back(k, slice_of(bytes, len), slice_of(bytes + len / 2, len));
	}
	there_and_back(k, SLICE_NONE, slice_of(bytes, LZ_MAX));
	assert_int_equal(lz_pack(k, SLICE_NONE, bytes, 100), 0);
	lz_packer_base(k, base);
	assert_int_equal(lz_pack(k, slice_of(bytes, LZ_MAX - base.len + 1), bytes, sizeof bytes), 0);
	lz_packer_base(k, slice_of(long_base, sizeof long_base));
	assert_int_equal(lz_pack(k, slice_of(bytes, 100), bytes + 200, 200), 0);
	lz_packer_free(&k);
	assert_null(k);
}

/* A front behind the base is as good as part of it, and forgotten with the next one. */
static void
test_behind(void **state)
{
	const struct slice in = SLICE("to: grace@example.net, of a few words"), front = SLICE("Grace <grace@example.net>\r\n");
	struct lz_packer *k = lz_packer_new();
	uint8_t both[200], packed[100], again[100], out[100];
	static uint8_t much[LZ_MAX];
	size_t n, alone;

	(void)state;
	assert_non_null(k);
	memcpy(both, base.ptr, base.len);
	memcpy(both + base.len, front.ptr, front.len);
	lz_packer_base(k, base);
	alone = lz_pack(k, in, again, sizeof again);
	n = lz_pack_behind(k, front, in, packed, sizeof packed);
	assert_true(n > 0 && n + 5 < alone);
	assert_true(lz_unpack(slice_of(both, base.len + front.len), slice_of(packed, n), out, in.len));
	assert_memory_equal(out, in.ptr, in.len);
	assert_int_equal(lz_pack(k, in, packed, sizeof packed), alone);
	assert_memory_equal(packed, again, alone);
	/* where base and front meet is no border: one match, and two literals */
	n = lz_pack_behind(k, front, SLICE("few words\r\nGrace <grace@example.net>\r\nto"), packed, sizeof packed);
	assert_in_range(n, 6, 7);
	assert_int_equal(lz_pack_behind(k, slice_of(much, LZ_MAX - base.len), in, packed, sizeof packed), 0);
	assert_int_equal(lz_pack_behind(k, slice_of(much, LZ_MAX - base.len - in.len + 1), in, packed, sizeof packed), 0);
	assert_true(lz_pack_behind(k, slice_of(much, LZ_MAX - base.len - in.len), in, packed, sizeof packed) > 0);
	lz_packer_free(&k);
}

static void
test_what_it_gives(void **state)
{
	struct lz_packer *k = lz_packer_new();
	uint8_t many[5000];

	(void)state;
	assert_non_null(k);
	memset(many, 'x', sizeof many);
	assert_in_range(there_and_back(k, SLICE_NONE, slice_of(many, sizeof many)), 4, 8);
	for (size_t period = 1; period < 40; period++) {
		for (size_t i = 0; i < sizeof many; i++)
			many[i] = (uint8_t)(i % period);
		assert_in_range(there_and_back(k, SLICE_NONE, slice_of(many, sizeof many)), 4, period + 8);
	}
	assert_in_range(there_and_back(k, base, base), 3, 5);
	assert_in_range(there_and_back(k, base, SLICE("<ada@example.org>")), 2, 4);
	lz_packer_free(&k);
}

/* The form is on disk: literal, a match of 5 four back, which overlaps itself, and one in the base. */
static void
test_form(void **state)
{
	static const uint8_t packed[] = { 0x41, 'a', 'b', 'c', 'd', 4, 0x01, 14, 0x10, '!' };
	static const struct {
		uint8_t bytes[8];
		size_t  len, out;
	} bad[] = {
		{ { 0x10, 'a', 2 }, 3, 5 },             /* before the base */
		{ { 0x10, 'a', 60 }, 3, 5 },            /* the same, and it would end there too */
		{ { 0x10, 'a', 0 }, 3, 5 },             /* no distance */
		{ { 0x00, 2 }, 2, 4 },                  /* begins in the base, ends behind it */
		{ { 0x10, 'a', 1 }, 3, 4 },             /* more than is wanted */
		{ { 0x1f, 'a', 1, 20 }, 4, 4 },         /* much more */
		{ { 0x30, 'a', 'b' }, 3, 3 },           /* fewer literals than it says */
		{ { 0x30, 'a', 'b', 'c', 0 }, 5, 3 },   /* more behind the end */
		{ { 0x10, 'a', 0x81, 0x80, 0x80, 0x00 }, 6, 5 }, /* a number of four bytes */
		{ { 0xf0, 0xff, 0xff, 0x7f }, 4, 20 },
		{ { 0x10 }, 1, 1 },
	};
	uint8_t out[64];

	(void)state;
	assert_true(lz_unpack(SLICE("wxyz12"), slice_of(packed, sizeof packed), out, 15));
	assert_memory_equal(out, "abcdabcdaxyz12!", 15);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t *tight = malloc(bad[i].len);

		assert_non_null(tight);
		memcpy(tight, bad[i].bytes, bad[i].len);
		memset(out, 0xee, sizeof out);
		assert_false(lz_unpack(bad[i].bytes[0] == 0 ? SLICE("zz") : SLICE_NONE, slice_of(tight, bad[i].len),
		                       out, bad[i].out));
		free(tight);
		for (size_t k = bad[i].out + LZ_SLACK; k < sizeof out; k++)
			assert_int_equal(out[k], 0xee);
	}
	assert_true(lz_unpack(SLICE_NONE, SLICE_NONE, out, 0));
}

/* One letter and a match, as many bytes as there may be, and one more. */
static void
test_longest(void **state)
{
	static const uint8_t most[] = { 0x1f, 'a', 1, 0xec, 0xff, 0x01 }, more[] = { 0x1f, 'a', 1, 0xed, 0xff, 0x01 };
	static uint8_t out[LZ_MAX + 1 + LZ_SLACK];

	(void)state;
	assert_true(lz_unpack(SLICE_NONE, slice_of(most, sizeof most), out, LZ_MAX));
	assert_int_equal(out[LZ_MAX - 1], 'a');
	assert_false(lz_unpack(SLICE_NONE, slice_of(more, sizeof more), out, LZ_MAX + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_what_it_gives),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
