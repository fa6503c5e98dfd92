/* list_match: wildcards against names, checked against a plain recursive matcher
 * too; and its time. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "server/imap/list_match.h"
#include "server/imap/list_tree.h"

static const struct match_case {
	const char *pattern, *name;
	bool        want;
} cases[] = {
	{ "", "", true },           { "", "a", false },          { "a", "a", true },        { "a", "A", false },
	{ "a", "ab", false },       { "ab", "a", false },        { "*", "", true },         { "%", "", true },
	{ "*", "a/b/c", true },     { "%", "a/b", false },       { "%", "ab", true },       { "a%", "a", true },
	{ "a%", "ab", true },       { "a%", "a/b", false },      { "a*", "a/b", true },     { "a/%", "a/b", true },
	{ "a/%", "a", false },      { "a/%", "a/b/c", false },   { "%/%", "a/b", true },    { "%/%", "a", false },
	{ "%b", "aab", true },      { "%b%", "b", true },        { "*b", "a/b", true },     { "*%b", "a/xb", true },
	{ "%*b", "a/xb", true },    { "a*b*c", "abbc", true },   { "a*b*c", "acb", false }, { "%%", "ab", true },
	{ "%%", "a/b", false },     { "**", "a/b", true },       { "a%b%c", "aXb/c", false }, { "*/c", "a/b/c", true },
	{ "*/c", "c", false },      { "INBOX", "INBOX", true },  { "inbox", "INBOX", true }, { "iNb%", "INBOX", true },
	{ "%NBOX", "INBOX", true }, { "inbox/a", "INBOX/a", true }, { "inbox/A", "INBOX/a", false },
	{ "inboxes", "INBOXES", false }, { "\xc3\xa4*", "\xc3\xa4/b", true },
};

static bool
match(struct slice pattern, struct slice name)
{
	struct arena a;
	struct slice made, copy_p = unit_copy(pattern), copy_n = unit_copy(name);
	bool got;

	arena_init(&a, 65536);
	assert_true(list_pattern_make(SLICE(""), copy_p, &a, &made));
	got = list_match(made, copy_n);
	arena_fini(&a);
	unit_drop(copy_p);
	unit_drop(copy_n);
	return got;
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		if (match(slice_str(cases[i].pattern), slice_str(cases[i].name)) != cases[i].want)
			fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].name);
	}
}

static bool
plain_match(struct slice p, struct slice n)
{
	if (p.len == 0)
		return n.len == 0;
	if (p.ptr[0] != '*' && p.ptr[0] != '%')
		return n.len > 0 && p.ptr[0] == n.ptr[0] &&
		       plain_match(slice_sub(p, 1, p.len), slice_sub(n, 1, n.len));
	if (plain_match(slice_sub(p, 1, p.len), n))
		return true;
	return n.len > 0 && (p.ptr[0] == '*' || n.ptr[0] != '/') &&
	       plain_match(p, slice_sub(n, 1, n.len));
}

static void
test_against_plain(void **state)
{
	static const char pattern_chars[] = "ab/%*", name_chars[] = "ab/";
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		uint8_t p[8], n[8];
		size_t plen = (size_t)rand_r(&seed) % 8, nlen = (size_t)rand_r(&seed) % 8;

		for (size_t i = 0; i < plen; i++)
			p[i] = (uint8_t)pattern_chars[rand_r(&seed) % 5];
		for (size_t i = 0; i < nlen; i++)
			n[i] = (uint8_t)name_chars[rand_r(&seed) % 3];
		if (match(slice_of(p, plen), slice_of(n, nlen)) !=
		    plain_match(slice_of(p, plen), slice_of(n, nlen)))
			fail_msg("\"%.*s\" and \"%.*s\"", (int)plen, (char *)p, (int)nlen,
			         (char *)n);
	}
}

/* The pattern that makes backtracking exponential, at full size. */
static void
test_time(void **state)
{
	struct arena a;
	struct slice made;
	uint8_t pattern[LIST_PATTERN_MAX], name[1000];
	clock_t start = clock();

	(void)state;
	arena_init(&a, 65536);
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = i % 2 == 0 ? (i % 4 == 0 ? '*' : '%') : 'a';
	pattern[sizeof pattern - 1] = 'b';
	memset(name, 'a', sizeof name);
	assert_true(list_pattern_make(SLICE(""), slice_of(pattern, sizeof pattern), &a, &made));
	assert_false(list_match(made, slice_of(name, sizeof name)));
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 1.0);
	assert_false(list_pattern_make(SLICE("x"), slice_of(pattern, sizeof pattern), &a, &made));
	arena_fini(&a);
}

/* Matching many names takes several calls, and each of them ends soon. */
static void
test_tree_in_pieces(void **state)
{
	static struct list_node nodes[600];
	static char names[UNIT_COUNT(nodes)][900];
	struct slice pattern;
	struct list_query q = { .patterns = &pattern, .pattern_count = 1 };
	struct list_tree t = { .nodes = nodes, .count = UNIT_COUNT(nodes) };
	struct arena a;
	unsigned calls = 1;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(nodes); i++) {
		memset(names[i], 'a', sizeof names[i]);
		names[i][0] = i % 2 == 0 ? 'a' : 'b';
		nodes[i] = (struct list_node){ .name = slice_of(names[i], sizeof names[i]) };
	}
	arena_init(&a, 65536);
	assert_true(
	    list_pattern_make(SLICE("a*a%a*a%a*a%a*a%a*a%a*a%a*a%a*a%"), SLICE("*"), &a, &pattern));
	while (!list_tree_match(&t, &q)) {
		assert_true(t.matched < t.count);
		calls++;
	}
	assert_true(calls > 3 && calls < 100);
	for (size_t i = 0; i < UNIT_COUNT(nodes); i++)
		assert_int_equal(nodes[i].matched, i % 2 == 0);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_against_plain),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_tree_in_pieces),
	};

	return cmocka_run_group_tests_name("imap_list", tests, NULL, NULL);
}
