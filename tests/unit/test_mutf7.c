/* mutf7: mailbox names of RFC 3501 s5.1.3, and everything it forbids. */
#include "tests/unit/unit.h"

#include "lib/mutf7.h"
#include "lib/text.h"

static const struct mutf7_case {
	const char       *name;
	struct slice      in;
	enum mutf7_result result;
	struct slice      want;         /* UTF-8 */
} cases[] = {
	{ "ascii", SLICE_INIT("INBOX/a b~"), MUTF7_OK, SLICE_INIT("INBOX/a b~") },
	{ "ampersand", SLICE_INIT("a&-b&-"), MUTF7_OK, SLICE_INIT("a&b&") },
	{ "RFC 3501", SLICE_INIT("~peter/mail/&U,BTFw-/&ZeVnLIqe-"), MUTF7_OK,
	  SLICE_INIT("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e") },
	{ "umlaut", SLICE_INIT("Entw&APw-rfe"), MUTF7_OK, SLICE_INIT("Entw\xc3\xbcrfe") },
	{ "surrogate pair", SLICE_INIT("&2D3cjA-"), MUTF7_OK, SLICE_INIT("\xf0\x9f\x92\x8c") },
	{ "control", SLICE_INIT("&AAk-"), MUTF7_OK, SLICE_INIT("\t") },
	{ "empty", SLICE_INIT(""), MUTF7_OK, SLICE_INIT("") },
	{ "run, ampersand", SLICE_INIT("&APw-&-"), MUTF7_OK, SLICE_INIT("\xc3\xbc&") },
	{ "raw UTF-8", SLICE_INIT("\xc3\xbc"), MUTF7_BAD_CHAR, SLICE_INIT("") },
	{ "raw control", SLICE_INIT("a\tb"), MUTF7_BAD_CHAR, SLICE_INIT("") },
	{ "raw NUL", SLICE_INIT("a\0"), MUTF7_BAD_CHAR, SLICE_INIT("") },
	{ "not ended", SLICE_INIT("&APw"), MUTF7_UNTERMINATED, SLICE_INIT("") },
	{ "ampersand at the end", SLICE_INIT("a&"), MUTF7_UNTERMINATED, SLICE_INIT("") },
	{ "slash in base64", SLICE_INIT("&U/BTFw-"), MUTF7_BAD_BASE64, SLICE_INIT("") },
	{ "space in base64", SLICE_INIT("&AP w-"), MUTF7_BAD_BASE64, SLICE_INIT("") },
	{ "bits left over", SLICE_INIT("&APx-"), MUTF7_BAD_BASE64, SLICE_INIT("") },
	{ "a letter too many", SLICE_INIT("&APwA-"), MUTF7_BAD_BASE64, SLICE_INIT("") },
	{ "null shift", SLICE_INIT("&APw-&APw-"), MUTF7_NULL_SHIFT, SLICE_INIT("") },
	{ "lone high surrogate", SLICE_INIT("&2D0-"), MUTF7_BAD_UTF16, SLICE_INIT("") },
	{ "high surrogate and a letter", SLICE_INIT("&2D0A,A-"), MUTF7_BAD_UTF16, SLICE_INIT("") },
	{ "lone low surrogate", SLICE_INIT("&3Iw-"), MUTF7_BAD_UTF16, SLICE_INIT("") },
	{ "ASCII in base64", SLICE_INIT("&AGE-"), MUTF7_NOT_CANONICAL, SLICE_INIT("") },
	{ "ampersand in base64", SLICE_INIT("&ACY-"), MUTF7_NOT_CANONICAL, SLICE_INIT("") },
};

static void
test_mutf7(void **state)
{
	const struct mutf7_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out, back;

	buf_init(&out, 256);
	buf_init(&back, 256);
	assert_int_equal(mutf7_decode(in, &out), k->result);
	assert_true(slice_eq(buf_slice(&out), k->want));
	if (k->result == MUTF7_OK) {
		assert_int_equal(mutf7_encode(buf_slice(&out), &back), MUTF7_OK);
		assert_true(slice_eq(buf_slice(&back), in));
	}
	unit_drop(in);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(k->in, 0, cut));

		buf_reset(&out);
		if (mutf7_decode(prefix, &out) == MUTF7_OK)
			assert_true(text_utf8_valid(buf_slice(&out)));
		unit_drop(prefix);
	}
	buf_fini(&out);
	buf_fini(&back);
}

static void
test_room(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 3);
	assert_int_equal(mutf7_decode(SLICE("abcd"), &out), MUTF7_NO_ROOM);
	assert_int_equal(out.len, 0);
	buf_reset(&out);
	assert_int_equal(mutf7_encode(SLICE("\xc3\xbc"), &out), MUTF7_NO_ROOM);
	buf_reset(&out);
	assert_int_equal(mutf7_encode(SLICE("\xff"), &out), MUTF7_BAD_CHAR);
	buf_fini(&out);
}

/* Every Unicode character by itself, there and back. */
static void
test_all_characters(void **state)
{
	struct buf name, out, back;

	(void)state;
	buf_init(&name, 16);
	buf_init(&out, 64);
	buf_init(&back, 64);
	for (uint32_t cp = 0; cp <= 0x10ffff; cp += cp < 0x3000 ? 1 : 61) {
		buf_reset(&name);
		buf_reset(&out);
		buf_reset(&back);
		text_utf8_append(&name, cp);
		assert_int_equal(mutf7_encode(buf_slice(&name), &out), MUTF7_OK);
		assert_int_equal(mutf7_decode(buf_slice(&out), &back), MUTF7_OK);
		assert_true(slice_eq(buf_slice(&name), buf_slice(&back)));
	}
	buf_fini(&name);
	buf_fini(&out);
	buf_fini(&back);
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases) + 2];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_mutf7, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_room);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_all_characters);
	return _cmocka_run_group_tests("mutf7", tests, n, NULL, NULL);
}
