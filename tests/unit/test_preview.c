/* preview: what of a text is shown, its bounds, and valid UTF-8 whatever comes in. */
#include "tests/unit/unit.h"

#include "lib/preview.h"
#include "lib/text.h"

static const struct preview_case {
	const char  *name;
	struct slice in;
	const char  *want;
} cases[] = {
	{ "empty", SLICE_INIT(""), "" },
	{ "blank", SLICE_INIT(" \r\n\t\r\n"), "" },
	{ "lines", SLICE_INIT("\r\nDear Ben,\r\n\r\nhow  are\tyou?\r\n"), "Dear Ben, how are you?" },
	{ "no line end", SLICE_INIT("a\nb"), "a b" },
	{ "wide spaces", SLICE_INIT("\xe3\x80\x80\xe8\xab\x8b\xe6\xb1\x82\xe3\x80\x80\xe6\x9b\xb8\xc2\xa0x"),
	  "\xe8\xab\x8b\xe6\xb1\x82 \xe6\x9b\xb8 x" },
	{ "unseen", SLICE_INIT("a\xe2\x80\x8b\xcd\x8f\xc2\xad" "b\xef\xbb\xbf\xe2\x80\xae" "c\x1b\x7f" "d\0e"), "abcde" },
	{ "joined emoji", SLICE_INIT("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7"), "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7" },
	{ "quotes", SLICE_INIT("> old\r\n>> older\r\nnew\r\n> old\r\nnewer"), "new newer" },
	{ "only quotes", SLICE_INIT("> old\r\n>> older\r\n"), "> old >> older" },
	{ "signature", SLICE_INIT("Yes.\r\n-- \r\nAnna\r\nExample Ltd"), "Yes." },
	{ "only signature", SLICE_INIT("-- \r\nAnna"), "-- Anna" },
	{ "dashes", SLICE_INIT("a\r\n--\r\nb"), "a -- b" },
	{ "encrypted", SLICE_INIT("-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n"), "" },
	{ "signed", SLICE_INIT("-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nHello\r\n-----BEGIN PGP SIGNATURE-----\r\nx"),
	  "Hello" },
	{ "not UTF-8", SLICE_INIT("a\xff\xc3(\xe3\x81"), "a(" },
};

static void
test_case(void **state)
{
	const struct preview_case *k = *state;

	for (size_t n = 0; n <= k->in.len; n++) {       /* every prefix, in a block of its size */
		struct slice in = unit_copy(slice_sub(k->in, 0, n));
		struct buf out;

		buf_init(&out, PREVIEW_MAX);
		(void)preview_make(in, &out);
		assert_true(text_utf8_valid(buf_slice(&out)));
		if (n == k->in.len)
			assert_true(slice_eq(buf_slice(&out), slice_str(k->want)));
		unit_drop(in);
		buf_fini(&out);
	}
}

static size_t
count_chars(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += (s.ptr[i] & 0xc0) != 0x80;
	return n;
}

/* 200 characters of any width, and "full" only when more would not be taken. */
static void
test_bounds(void **state)
{
	static const char *const units[] = { "a", "\xc3\xa9", "\xe8\xab\x8b", "\xf0\x9f\x98\x80",
	                                     "ab ", "\xe8\xab\x8b\n" };

	(void)state;
	for (size_t u = 0; u < UNIT_COUNT(units); u++) {
		struct buf in, out;

		buf_init(&in, 4096);
		buf_init(&out, PREVIEW_MAX);
		for (unsigned n = 0; n < 300; n++) {
			size_t chars;
			bool full;

			buf_reset(&out);
			full = preview_make(buf_slice(&in), &out);
			chars = count_chars(buf_slice(&out));
			assert_false(out.failed);
			assert_true(chars <= PREVIEW_CHARS);
			assert_true(!full || chars >= PREVIEW_CHARS - 1);
			buf_append_str(&in, units[u]);
		}
		assert_true(count_chars(buf_slice(&out)) >= PREVIEW_CHARS - 1);
		buf_fini(&in);
		buf_fini(&out);
	}
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + 1];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_case, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_bounds);
	return _cmocka_run_group_tests("preview", tests, n, NULL, NULL);
}
