/* text: UTF-8 validity over all sequences of two bytes and by table, normalisation, folding,
 * bounded output. */
#include "tests/unit/unit.h"

#include "lib/text.h"

#include <utf8proc.h>

static const struct valid_case {
	const char  *name;
	struct slice in;
	bool         ok;
} valid[] = {
	{ "empty", SLICE_INIT(""), true },
	{ "NUL", SLICE_INIT("a\0b"), true },
	{ "two", SLICE_INIT("\xc2\x80"), true },
	{ "three", SLICE_INIT("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"), true },
	{ "four", SLICE_INIT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true },
	{ "overlong two", SLICE_INIT("\xc1\xbf"), false },
	{ "overlong three", SLICE_INIT("\xe0\x9f\xbf"), false },
	{ "overlong four", SLICE_INIT("\xf0\x8f\xbf\xbf"), false },
	{ "surrogate", SLICE_INIT("\xed\xa0\x80"), false },
	{ "above U+10FFFF", SLICE_INIT("\xf4\x90\x80\x80"), false },
	{ "lead alone", SLICE_INIT("a\xc3"), false },
	{ "tail alone", SLICE_INIT("\x80"), false },
	{ "cut", SLICE_INIT("\xe3\x81"), false },
	{ "0xff", SLICE_INIT("\xff"), false },
};

static void
test_valid(void **state)
{
	const struct valid_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out;

	buf_init(&out, 64);
	assert_int_equal(text_utf8_valid(in), k->ok);
	assert_true(text_utf8_repair(in, &out));
	assert_true(text_utf8_valid(buf_slice(&out)));
	assert_int_equal(slice_eq(buf_slice(&out), in), k->ok);
	unit_drop(in);
	buf_fini(&out);
}

static void
test_for_terminal(void **state)
{
	struct slice in = unit_copy(SLICE("a\tb\x1b[2J\r\n\x7f\xc2\x9b\xc2\xa0\x9b\xc3\xa9"));
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	assert_true(text_for_terminal(in, &out));
	assert_true(slice_eq(buf_slice(&out), SLICE("a\tb?[2J????\xc2\xa0\xef\xbf\xbd\xc3\xa9")));
	unit_drop(in);
	buf_fini(&out);
}

static void
test_every_character(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	for (uint32_t cp = 0; cp < 0x110000; cp++) {
		uint32_t back = 0;

		if (cp == 0xd800)
			cp = 0xe000;
		buf_reset(&b);
		assert_true(text_utf8_append(&b, cp));
		assert_int_equal(text_utf8_next(buf_slice(&b), &back), b.len);
		assert_int_equal(back, cp);
	}
	buf_fini(&b);
}

static const struct fold_case {
	const char  *name;
	struct slice in;
	const char  *nfc;       /* NULL: refused */
	const char  *fold;
} folds[] = {
	{ "ascii", SLICE_INIT("AbC 1"), "AbC 1", "abc 1" },
	{ "sharp s", SLICE_INIT("Stra\xc3\x9f" "e"), "Stra\xc3\x9f" "e", "strasse" },
	{ "decomposed", SLICE_INIT("E\xcc\x81"), "\xc3\x89", "\xc3\xa9" },
	{ "full width", SLICE_INIT("\xef\xbc\xa1"), "\xef\xbc\xa1", "a" },
	{ "half-width kana with mark", SLICE_INIT("\xef\xbd\xb6\xef\xbe\x9e"), "\xef\xbd\xb6\xef\xbe\x9e", "\xe3\x82\xac" },
	{ "Hangul jamo", SLICE_INIT("\xe1\x84\x80\xe1\x85\xa1"), "\xea\xb0\x80", "\xea\xb0\x80" },
	{ "soft hyphen goes", SLICE_INIT("a\xc2\xad" "b"), "a\xc2\xad" "b", "ab" },
	{ "not UTF-8", SLICE_INIT("A\xff" "B"), NULL, "a\xef\xbf\xbd" "b" },
	{ "empty", SLICE_INIT(""), "", "" },
};

static void
test_fold(void **state)
{
	const struct fold_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out;

	buf_init(&out, 256);
	assert_int_equal(text_nfc(in, &out), k->nfc != NULL);
	assert_true(slice_eq(buf_slice(&out), slice_str(k->nfc)));
	buf_reset(&out);
	assert_true(text_casefold(in, &out));
	assert_true(slice_eq(buf_slice(&out), slice_str(k->fold)));
	unit_drop(in);
	buf_fini(&out);
}

/* Stretches are joined without a seam; output beyond the maximum is cut at a
 * character and said so. */
static void
test_long(void **state)
{
	struct buf in, out;

	(void)state;
	buf_init(&in, 1u << 20);
	buf_init(&out, 1u << 20);
	for (int i = 0; i < 20000; i++)
		buf_append_str(&in, "\xe3\x81\x8b\xe3\x82\x99");        /* ka, voiced mark */
	assert_true(text_casefold(buf_slice(&in), &out));
	assert_int_equal(out.len, 60000);
	for (size_t i = 0; i < out.len; i += 3)
		assert_memory_equal(out.ptr + i, "\xe3\x81\x8c", 3);
	buf_fini(&out);
	buf_init(&out, 1000);
	assert_false(text_casefold(buf_slice(&in), &out));
	assert_int_equal(out.len, 999);
	buf_fini(&in);
	buf_fini(&out);
}

/* A run of marks in the worst order is normalised in stretches, not in quadratic time. */
static void
test_marks(void **state)
{
	struct buf in, out;

	(void)state;
	buf_init(&in, 4u << 20);
	buf_init(&out, 8u << 20);
	buf_append_str(&in, "a");
	for (int i = 0; i < 250000; i++)
		buf_append_str(&in, "\xcc\x81\xcc\xa7");
	assert_true(text_casefold(buf_slice(&in), &out));
	assert_true(text_utf8_valid(buf_slice(&out)));
	buf_fini(&in);
	buf_fini(&out);
}

/* ---- searching ---- */

static const struct found_case {
	const char *name;
	const char *needle, *hay;
	bool        found;
} founds[] = {
	{ "base letter in accented", "cafe", "CAF\xc3\x89", true },
	{ "accented not in base letter", "caf\xc3\xa9", "cafe", false },
	{ "composed in decomposed", "\xc3\xa9t", "e\xcc\x81T", true },
	{ "sharp s", "STRASSE", "stra\xc3\x9f" "e", true },
	{ "capital sharp s", "ss", "\xe1\xba\x9e", true },
	{ "final sigma", "\xce\xa3", "\xcf\x82", true },
	{ "dotless i", "ISTANBUL", "\xc4\xb1stanbul", true },
	{ "dotted I", "i", "\xc4\xb0", true },
	{ "long s", "s", "\xc5\xbf", true },
	{ "digraph", "D\xc5\xbe", "\xc7\x86", true },
	{ "ligature", "office", "o\xef\xac\x83" "ce", true },
	{ "half-width kana", "\xe3\x82\xac", "\xef\xbd\xb6\xef\xbe\x9e", true },
	{ "full-width letters", "abc", "\xef\xbc\xa1\xef\xbc\xa2\xef\xbc\xa3", true },
	{ "unvoiced in voiced kana", "\xe3\x81\x8b", "\xe3\x81\x8c", true },
	{ "voiced in unvoiced kana", "\xe3\x81\x8c", "\xe3\x81\x8b", false },
	{ "beginning of a Hangul syllable", "\xea\xb0\x80", "\xea\xb0\x81", true },
	{ "wave dashes", "\xe3\x80\x9c", "\xef\xbd\x9e", true },
	{ "minus signs", "\xe2\x88\x92" "1", "\xef\xbc\x8d" "1", true },
	{ "soft hyphen in the text", "invoice", "in\xc2\xadvoice", true },
	{ "zero width space", "ab", "a\xe2\x80\x8b" "b", true },
	{ "nothing", "", "", true },
	{ "not UTF-8", "b", "a\xff" "B", true },
	{ "Greek alpha is not A", "a", "\xce\x91", false },
};

static void
test_found(void **state)
{
	const struct found_case *k = *state;
	struct buf needle, hay;
	size_t at;

	buf_init(&needle, 100);
	buf_init(&hay, 100);
	assert_true(text_searchfold(slice_str(k->needle), &needle));
	assert_true(text_searchfold(slice_str(k->hay), &hay));
	at = slice_find(buf_slice(&hay), buf_slice(&needle));
	assert_int_equal(needle.len == 0 || at < hay.len, k->found);
	buf_fini(&needle);
	buf_fini(&hay);
}

/* What i;unicode-casemap makes of one character [RFC 5051 s2]. */
static void
unicode_casemap(uint32_t cp, struct buf *out)
{
	utf8proc_int32_t parts[64], title = utf8proc_totitle((utf8proc_int32_t)cp);
	utf8proc_ssize_t n = utf8proc_decompose_char(title, parts, 64,
	                                             UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, NULL);

	assert_true(n > 0 && n <= 64);
	for (utf8proc_ssize_t i = 0; i < n; i++)
		text_utf8_append(out, (uint32_t)parts[i]);
}

/* Both foldings go character by character, and ours comes to the same whether or not
 * i;unicode-casemap came first. So texts that are equal there are equal here, and a substring
 * there is one here. */
static void
test_finds_what_unicode_casemap_finds(void **state)
{
	struct buf title, direct, after;

	(void)state;
	buf_init(&title, 200);
	buf_init(&direct, 200);
	buf_init(&after, 200);
	for (uint32_t cp = 0; cp < 0x110000; cp++) {
		if (cp == 0xd800)
			cp = 0xe000;
		buf_reset(&title);
		buf_reset(&direct);
		buf_reset(&after);
		unicode_casemap(cp, &title);
		assert_true(text_searchfold(buf_slice(&title), &after));
		buf_reset(&title);
		text_utf8_append(&title, cp);
		assert_true(text_searchfold(buf_slice(&title), &direct));
		if (!slice_eq(buf_slice(&after), buf_slice(&direct)))
			fail_msg("U+%04X", cp);
	}
	buf_fini(&title);
	buf_fini(&direct);
	buf_fini(&after);
}

static void
test_cut(void **state)
{
	(void)state;
	assert_int_equal(text_cut(SLICE("a\xc3\xa4"), 2).len, 1);
	assert_int_equal(text_cut(SLICE("a\xc3\xa4"), 3).len, 3);
	assert_int_equal(text_cut(SLICE("\xf0\x9f\x92\x8c"), 3).len, 0);
	assert_int_equal(text_cut(SLICE("abc"), 0).len, 0);
}

int
main(void)
{
	static struct CMUnitTest
	    tests[UNIT_COUNT(valid) + UNIT_COUNT(folds) + UNIT_COUNT(founds) + 6];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(valid); i++)
		tests[n++] = (struct CMUnitTest){ valid[i].name, test_valid, NULL, NULL,
		                                  (void *)(uintptr_t)&valid[i] };
	for (size_t i = 0; i < UNIT_COUNT(folds); i++)
		tests[n++] = (struct CMUnitTest){ folds[i].name, test_fold, NULL, NULL,
		                                  (void *)(uintptr_t)&folds[i] };
	for (size_t i = 0; i < UNIT_COUNT(founds); i++)
		tests[n++] = (struct CMUnitTest){ founds[i].name, test_found, NULL, NULL,
		                                  (void *)(uintptr_t)&founds[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_finds_what_unicode_casemap_finds);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_every_character);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_for_terminal);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_long);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_marks);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_cut);
	return _cmocka_run_group_tests("text", tests, n, NULL, NULL);
}
