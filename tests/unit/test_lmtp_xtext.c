/* xtext and what is made of it [RFC 3461 s4]: every row, and every prefix of it for bounds. */
#include "tests/unit/unit.h"

#include "server/lmtp/xtext.h"

static const struct xtext_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* decoded; NULL: no xtext */
} cases[] = {
	{ "plain", SLICE_INIT("a@b.c!~"), "a@b.c!~" },
	{ "encoded", SLICE_INIT("a+2Bb+3Dc"), "a+b=c" },
	{ "control, encoded", SLICE_INIT("+0A"), "\n" },
	{ "nothing", SLICE_INIT(""), "" },
	{ "lower case digits", SLICE_INIT("+2b"), NULL },
	{ "one digit", SLICE_INIT("+2"), NULL },
	{ "no digit", SLICE_INIT("+"), NULL },
	{ "no hexadecimal digit", SLICE_INIT("+2G"), NULL },
	{ "equals sign", SLICE_INIT("a=b"), NULL },
	{ "space", SLICE_INIT("a b"), NULL },
	{ "DEL", SLICE_INIT("a\x7f"), NULL },
	{ "not ASCII", SLICE_INIT("\xc3\xa4"), NULL },
	{ "NUL", SLICE_INIT("a\0"), NULL },
};

static void
test_xtext(void **state)
{
	const struct xtext_case *k = *state;
	struct slice in = unit_copy(k->in), out = SLICE_NONE;
	struct arena a;

	arena_init(&a, 10000);
	assert_int_equal(xtext_valid(in), k->want != NULL);
	assert_int_equal(xtext_decode(in, &a, &out), k->want != NULL);
	if (k->want != NULL)
		assert_true(slice_eq(out, slice_str(k->want)));
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct slice part = unit_copy(slice_sub(k->in, 0, cut));

		(void)xtext_valid(part);
		(void)xtext_is_printable(part);
		(void)xtext_orcpt_valid(part, true);
		unit_drop(part);
	}
	unit_drop(in);
	arena_fini(&a);
}

static void
test_printable(void **state)
{
	(void)state;
	assert_true(xtext_is_printable(SLICE("QQ+20314159")));
	assert_false(xtext_is_printable(SLICE("a+09")));
	assert_false(xtext_is_printable(SLICE("a+7F")));
	assert_false(xtext_is_printable(SLICE("a+C3+A4")));
}

static void
test_orcpt(void **state)
{
	(void)state;
	assert_true(xtext_orcpt_valid(SLICE("rfc822;a+2Bb@c.d"), false));
	assert_false(xtext_orcpt_valid(SLICE("x400;/S=a"), false));
	assert_true(xtext_orcpt_valid(SLICE("UTF-8;a\\x{E4}@b"), false));
	assert_true(xtext_orcpt_valid(SLICE("utf-8;\xc3\xa4@b"), true));
	assert_false(xtext_orcpt_valid(SLICE("utf-8;\xc3\xa4@b"), false));
	assert_false(xtext_orcpt_valid(SLICE("utf-8;\xe4@b"), true));
	assert_false(xtext_orcpt_valid(SLICE("rfc822;\xc3\xa4@b"), true));
	assert_false(xtext_orcpt_valid(SLICE("rfc822"), false));
	assert_false(xtext_orcpt_valid(SLICE("rfc822;"), false));
	assert_false(xtext_orcpt_valid(SLICE(";a@b"), false));
	assert_false(xtext_orcpt_valid(SLICE("a b;a@b"), false));
}

#define N_FIXED 2

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + N_FIXED] = {
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_orcpt),
	};
	size_t n = N_FIXED;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_xtext, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	return cmocka_run_group_tests_name("lmtp_xtext", tests, NULL, NULL);
}
