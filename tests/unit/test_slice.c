/* slice: cutting, comparing, finding and converting, on blocks of exact size. */
#include "tests/unit/unit.h"

#include "lib/slice.h"

static struct slice
heap(const char *s)
{
	return unit_copy(slice_str(s));
}

static void
test_sub_clips(void **state)
{
	struct slice s = heap("abcdef");

	(void)state;
	assert_true(slice_eq(slice_sub(s, 1, 3), SLICE("bc")));
	assert_true(slice_eq(slice_sub(s, 4, 99), SLICE("ef")));
	assert_int_equal(slice_sub(s, 9, 99).len, 0);
	assert_int_equal(slice_sub(s, 3, 1).len, 0);
	assert_int_equal(slice_sub(SLICE_NONE, 0, 1).len, 0);
	unit_drop(s);
}

static const struct cmp_case {
	const char *a, *b;
	int         exact, nocase;
} cmp_cases[] = {
	{ "", "", 0, 0 },      { "a", "a", 0, 0 },     { "a", "A", 1, 0 },   { "a", "ab", -1, -1 },
	{ "ab", "a", 1, 1 },   { "B", "a", -1, 1 },    { "", "a", -1, -1 },  { "\xe4", "\xc4", 1, 1 },
	{ "[", "{", -1, -1 },  { "@", "`", -1, -1 },
};

static int
sign(int v)
{
	return (v > 0) - (v < 0);
}

static void
test_compare(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cmp_cases / sizeof cmp_cases[0]; i++) {
		const struct cmp_case *k = &cmp_cases[i];
		struct slice a = heap(k->a), b = heap(k->b);

		assert_int_equal(sign(slice_cmp(a, b)), k->exact);
		assert_int_equal(sign(slice_cmp_nocase(a, b)), k->nocase);
		assert_int_equal(slice_eq(a, b), k->exact == 0);
		assert_int_equal(slice_eq_nocase(a, b), k->nocase == 0);
		unit_drop(a);
		unit_drop(b);
	}
}

static void
test_starts_and_ends(void **state)
{
	struct slice s = heap("Content-Type");

	(void)state;
	assert_true(slice_starts(s, SLICE("Content")));
	assert_false(slice_starts(s, SLICE("content")));
	assert_true(slice_starts_nocase(s, SLICE("content")));
	assert_true(slice_ends_nocase(s, SLICE("TYPE")));
	assert_false(slice_ends_nocase(s, SLICE("x-Content-Type")));
	assert_true(slice_starts(s, SLICE("")));
	unit_drop(s);
}

static const struct find_case {
	const char *in, *needle;
	size_t      at, at_nocase;
} find_cases[] = {
	{ "abcabc", "ca", 2, 2 }, { "abcabc", "CA", 6, 2 }, { "aab", "ab", 1, 1 },  { "abc", "abcd", 3, 3 },
	{ "", "a", 0, 0 },        { "abc", "", 0, 0 },      { "abc", "c", 2, 2 },   { "aaab", "aab", 1, 1 },
	{ "ab", "bb", 2, 2 },
};

static void
test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof find_cases / sizeof find_cases[0]; i++) {
		const struct find_case *k = &find_cases[i];
		struct slice in = heap(k->in), needle = heap(k->needle);

		assert_int_equal(slice_find(in, needle), k->at);
		assert_int_equal(slice_find_nocase(in, needle), k->at_nocase);
		unit_drop(in);
		unit_drop(needle);
	}
}

static void
test_trim(void **state)
{
	struct slice s = heap(" \t a b\r\n"), blank = heap(" \r\n");

	(void)state;
	assert_true(slice_eq(slice_trim(s), SLICE("a b")));
	assert_int_equal(slice_trim(blank).len, 0);
	unit_drop(s);
	unit_drop(blank);
}

static const struct number_case {
	const char *in;
	uint64_t    max;
	bool        ok;
	uint64_t    want;
} number_cases[] = {
	{ "0", 0, true, 0 },
	{ "1", 0, false, 0 },
	{ "007", 7, true, 7 },
	{ "4294967295", UINT32_MAX, true, UINT32_MAX },
	{ "4294967296", UINT32_MAX, false, 0 },
	{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
	{ "18446744073709551616", UINT64_MAX, false, 0 },
	{ "99999999999999999999999", UINT64_MAX, false, 0 },
	{ "", 9, false, 0 },
	{ "+1", 9, false, 0 },
	{ "-1", 9, false, 0 },
	{ "1 ", 9, false, 0 },
	{ "1a", 99, false, 0 },
};

static void
test_to_u64(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof number_cases / sizeof number_cases[0]; i++) {
		const struct number_case *k = &number_cases[i];
		struct slice in = heap(k->in);
		uint64_t v = 0;

		assert_int_equal(slice_to_u64(in, k->max, &v), k->ok);
		assert_true(v == k->want);
		unit_drop(in);
	}
}

static void
test_to_cstr(void **state)
{
	char dst[4];

	(void)state;
	assert_true(slice_to_cstr(SLICE("abc"), dst, sizeof dst));
	assert_string_equal(dst, "abc");
	assert_false(slice_to_cstr(SLICE("abcd"), dst, sizeof dst));
	assert_string_equal(dst, "");
	assert_false(slice_to_cstr(SLICE("a\0b"), dst, sizeof dst));
	assert_true(slice_to_cstr(SLICE_NONE, dst, sizeof dst));
	assert_string_equal(dst, "");
}

/* At every place of every length up to a few blocks; what stands apart or behind the end is no pair. */
static void
test_find_pair(void **state)
{
	uint8_t text[200];

	(void)state;
	for (size_t len = 0; len < sizeof text; len++) {
		struct slice in;

		memset(text, 'a', sizeof text);
		in = unit_copy(slice_of(text, len));
		assert_int_equal(slice_find_pair(in, 'a', 'b'), len);
		assert_int_equal(slice_find_pair(in, 'a', 'a'), len < 2 ? len : 0);
		unit_drop(in);
		for (size_t at = 0; at < len; at++) {
			text[at] = 'b';
			in = unit_copy(slice_of(text, len));
			assert_int_equal(slice_find_pair(in, 'a', 'b'), at > 0 ? at - 1 : len);
			assert_int_equal(slice_find_pair(in, 'b', 'a'), at + 1 < len ? at : len);
			assert_int_equal(slice_find_pair(in, 'b', 'b'), len);
			assert_int_equal(slice_count_byte(in, 'b'), 1);
			assert_int_equal(slice_count_byte(in, 'a'), len - 1);
			unit_drop(in);
			text[at] = 'a';
		}
	}
}

static void
test_count_many(void **state)
{
	static uint8_t text[10000];

	(void)state;
	memset(text, '\n', sizeof text);
	for (size_t len = 4000; len < 4200; len++)
		assert_int_equal(slice_count_byte(slice_of(text, len), '\n'), len);
	assert_int_equal(slice_count_byte(slice_of(text, sizeof text), '\n'), sizeof text);
	assert_int_equal(slice_count_byte(SLICE_NONE, '\n'), 0);
	assert_int_equal(slice_find_pair(SLICE_NONE, '\n', '-'), 0);
}

static void
test_ascii_hex_value(void **state)
{
	static const char digits[] = "0123456789abcdef";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *at = c != 0 ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c)
		                        : NULL;

		assert_int_equal(ascii_hex_value((uint8_t)c), at != NULL ? at - digits : -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sub_clips),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_starts_and_ends),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_pair),
		cmocka_unit_test(test_count_many),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_to_u64),
		cmocka_unit_test(test_to_cstr),
		cmocka_unit_test(test_ascii_hex_value),
	};

	return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
