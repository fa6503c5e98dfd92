/* junk_headers, and names of mailboxes that mail may make. */
#include "tests/unit/unit.h"

#include "server/lmtp/junk.h"
#include "server/lmtp/lmtp.h"

static const char *const words[] = { "X-Spam-Flag: YES", "X-Spam-Status: Yes*", "X-Virus",
                                     "X-Mid: *a*b*", "X-Empty:" };
static const struct conf_list rules = { words, sizeof words / sizeof words[0] };

static const struct junk_case {
	const char  *name;
	struct slice in;
	bool         want;
} cases[] = {
	{ "exact", SLICE_INIT("X-Spam-Flag: YES\r\n"), true },
	{ "no line end", SLICE_INIT("X-Spam-Flag: YES"), true },
	{ "second", SLICE_INIT("Subject: x\r\n y\r\nX-Spam-Flag:YES\r\n\r\n"), true },
	{ "bare line ends", SLICE_INIT("Subject: x\nX-Spam-Flag: YES\n\n"), true },
	{ "case and blanks", SLICE_INIT("x-SPAM-flag : \t yes \r\n"), true },
	{ "folded", SLICE_INIT("X-Spam-Flag:\r\n YES\r\n"), true },
	{ "folded within", SLICE_INIT("X-Spam-Status: Yes\r\n, x\r\n\tscore\r\n"), true },
	{ "more than that", SLICE_INIT("X-Spam-Flag: YES really\r\n"), false },
	{ "less than that", SLICE_INIT("X-Spam-Flag: YE\r\n"), false },
	{ "prefix", SLICE_INIT("X-Spam-Status: Yes\r\n"), true },
	{ "other value", SLICE_INIT("X-Spam-Status: No, not Yes\r\n"), false },
	{ "any value", SLICE_INIT("X-Virus: \r\n"), true },
	{ "name only begins so", SLICE_INIT("X-Virus-Scanned: x\r\n"), false },
	{ "no colon", SLICE_INIT("X-Virus\r\n"), false },
	{ "stars", SLICE_INIT("X-Mid: xxaxxaxbxx\r\n"), true },
	{ "stars in vain", SLICE_INIT("X-Mid: bbba\r\n"), false },
	{ "empty value", SLICE_INIT("X-Empty:  \r\n"), true },
	{ "no empty value", SLICE_INIT("X-Empty: x\r\n"), false },
	{ "in the body", SLICE_INIT("Subject: x\r\n\r\nX-Spam-Flag: YES\r\n"), false },
	{ "first line empty", SLICE_INIT("\r\nX-Spam-Flag: YES\r\n"), false },
	{ "nothing", SLICE_INIT(""), false },
	{ "begins folded", SLICE_INIT(" X-Spam-Flag: YES\r\n"), true },
};

static void
test_junk(void **state)
{
	const struct junk_case *k = *state;
	struct slice in = unit_copy(k->in);

	assert_int_equal(junk_header_matches(in, &rules), k->want);
	unit_drop(in);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		in = unit_copy(slice_sub(k->in, 0, cut));
		(void)junk_header_matches(in, &rules);
		unit_drop(in);
	}
}

static void
test_names(void **state)
{
	static const char *const good[] = { "a", "a/b/c", "INBOXES", "Lists/Inbox", "\xc3\xa4",
	                                    "a b", "...", "Trash2" };
	static const char *const bad[] = { "", "/", "a/", "/a", "a//b", "a/b/c/d", "inbox",
	                                   "Inbox/a", "TRASH", "Junk/x", "all", " a", "a ",
	                                   "a/ b", ".", "a/..", "a\tb", "a%", "*", "a\\b", "a\"", "a\x7f" };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(good); i++)
		assert_true(lmtp_folder_allowed(slice_str(good[i])));
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		assert_false(lmtp_folder_allowed(slice_str(bad[i])));
}

#define N_FIXED 1

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + N_FIXED] = {
		cmocka_unit_test(test_names),
	};
	size_t n = N_FIXED;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_junk, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	return cmocka_run_group_tests_name("lmtp_junk", tests, NULL, NULL);
}
