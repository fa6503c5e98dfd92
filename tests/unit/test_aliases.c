/* The file of aliases: what is taken, what is refused and where, what is found. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/logging.h"
#include "server/aliases.h"

static const struct alias_case {
	const char  *name;
	struct slice in;
	const char  *ask;
	const char  *want;      /* targets, "-" for none, or "!the error" */
} cases[] = {
	{ "one", SLICE_INIT("a: b\n"), "a", "b" },
	{ "several", SLICE_INIT("a: b, c+d ,e@f\n"), "a", "b,c+d,e@f" },
	{ "blanks", SLICE_INIT("  \n# x: y\n\ta\n"), "a", "!f:3: nothing that this line continues" },
	{ "continued", SLICE_INIT("a: b,\n  c\n# between\n\td: e\nf: g\n"), "f", "!f:1: no account of this server: c\td: e" },
	{ "continued at a comma", SLICE_INIT("a: b,\n  c\n# between\n\t, d\n"), "a", "b,c,d" },
	{ "no line end", SLICE_INIT("a:b"), "a", "b" },
	{ "CRLF", SLICE_INIT("a: b,\r\n c\r\nd: e\r\n"), "a", "b,c" },
	{ "empty words", SLICE_INIT("a: ,b,,\n"), "a", "b" },
	{ "case", SLICE_INIT("Anna: b\n"), "aNNA", "b" },
	{ "case of letters beyond ASCII", SLICE_INIT("\xc3\x84nne: b\n"), "\xc3\xa4NNE", "b" },
	{ "address", SLICE_INIT("a@b.c: d\na: e\n"), "a@B.c", "d" },
	{ "domain", SLICE_INIT("@b.c: d\n"), "@b.c", "d" },
	{ "not there", SLICE_INIT("b: x\n"), "a", "-" },
	{ "nothing", SLICE_INIT(""), "a", "-" },
	{ "no colon", SLICE_INIT("x: y\na b\n"), "a", "!f:2: expected \"name: account, ...\"" },
	{ "no name", SLICE_INIT(": b\n"), "a", "!f:1: no name of an alias" },
	{ "at sign alone", SLICE_INIT("@: b\n"), "a", "!f:1: no name of an alias: @" },
	{ "name with a blank", SLICE_INIT("a b: c\n"), "a", "!f:1: no name of an alias: a b" },
	{ "no accounts", SLICE_INIT("a:\n"), "a", "!f:1: an alias for no account: a" },
	{ "command", SLICE_INIT("a: |x\n"), "a", "!f:1: no account of this server: |x" },
	{ "file", SLICE_INIT("a: /x\n"), "a", "!f:1: no account of this server: /x" },
	{ "include", SLICE_INIT("a: :include:/x\n"), "a", "!f:1: no account of this server: :include:/x" },
	{ "twice", SLICE_INIT("a: b\nc: d\nA: e\n"), "a", "!f:3: an alias that was there before: a" },
	{ "not UTF-8", SLICE_INIT("a: \xff\n"), "a", "!f:1: no account of this server: \xff" },
	{ "NUL", SLICE_INIT("a\0: b\n"), "a", "!f:1: no name of an alias: a" },
};

static void
ask(struct slice text, const char *name, char *out, size_t size)
{
	struct slice in = unit_copy(text);
	struct aliases *all;
	const struct alias *al;
	struct err e = ERR_INIT;
	struct arena a;
	size_t n = 0;

	if (aliases_parse(in, "f", &all, &e) != RC_OK) {
		assert_null(all);
		snprintf(out, size, "!%s", e.text);
		unit_drop(in);
		return;
	}
	unit_drop(in);
	arena_init(&a, 10000);
	if (aliases_find(all, slice_str(name), &a, &al, &e) != RC_OK)
		assert_null(al);
	snprintf(out, size, "%s", al == NULL ? "-" : "");
	for (size_t i = 0; al != NULL && i < al->count; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%.*s", i > 0 ? "," : "",
		                      SLICE_ARG(al->targets[i]));
	arena_fini(&a);
	aliases_unref(&all);
}

static void
test_case(void **state)
{
	const struct alias_case *k = *state;
	char text[512];

	ask(k->in, k->ask, text, sizeof text);
	assert_string_equal(text, k->want);
	for (size_t cut = 0; cut < k->in.len; cut++)
		ask(slice_sub(k->in, 0, cut), k->ask, text, sizeof text);
}

static void
test_too_many_accounts(void **state)
{
	struct buf text;
	char out[100];

	(void)state;
	buf_init(&text, 100000);
	buf_append_str(&text, "a: x");
	for (unsigned i = 1; i < ALIAS_TARGETS_MAX; i++)
		buf_append_str(&text, ",x");
	ask(buf_slice(&text), "b", out, sizeof out);
	assert_string_equal(out, "-");
	buf_append_str(&text, ",x");
	ask(buf_slice(&text), "b", out, sizeof out);
	assert_string_equal(out, "!f:1: too many accounts");
	buf_fini(&text);
}

/* What cannot be read leaves what was read before. */
static void
test_book(void **state)
{
	char path[] = "/tmp/restante-aliases-XXXXXX";
	int fd = mkstemp(path);
	struct alias_book *book;
	struct err e = ERR_INIT;
	struct aliases *all;
	const struct alias *al;
	struct arena a, none;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: b\n", 5), 5);
	arena_init(&a, 10000);
	assert_int_equal(alias_book_new(&book, &e), RC_OK);
	assert_null(alias_book_get(book));
	assert_int_equal(alias_book_load(book, path, &e), RC_OK);
	all = alias_book_get(book);
	assert_int_equal(write(fd, "a: c\n", 5), 5);
	assert_int_equal(alias_book_load(book, path, &e), RC_SYNTAX);
	assert_int_equal(aliases_find(all, SLICE("a"), &a, &al, &e), RC_OK);
	assert_int_equal(aliases_find(NULL, SLICE("a"), &a, &al, &e), RC_NOT_FOUND);
	/* Without memory for the name it is not "no such alias": its mail would bounce. */
	arena_init(&none, 0);
	assert_int_equal(aliases_find(all, SLICE("a"), &none, &al, &e), RC_NOMEM);
	assert_null(al);
	aliases_unref(&all);
	assert_int_equal(unlink(path), 0);
	e = (struct err)ERR_INIT;
	assert_int_equal(alias_book_load(book, path, &e), RC_NOT_FOUND);
	all = alias_book_get(book);
	assert_non_null(all);
	aliases_unref(&all);
	assert_int_equal(alias_book_load(book, "", &e), RC_OK);
	assert_null(alias_book_get(book));
	alias_book_free(&book);
	arena_fini(&a);
	close(fd);
}

#define N_FIXED 2

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + N_FIXED] = {
		cmocka_unit_test(test_too_many_accounts),
		cmocka_unit_test(test_book),
	};
	size_t n = N_FIXED;

	log_set_level(LOGLEVEL_ERROR);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_case, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	return cmocka_run_group_tests_name("aliases", tests, NULL, NULL);
}
