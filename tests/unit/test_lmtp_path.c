/* Paths and parameters of MAIL and RCPT [RFC 5321 s4.1.2]: every row, and every prefix of
 * it for bounds. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "server/lmtp/path.h"

static const struct path_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* "local|domain|text|rest", or "!what was expected" */
} cases[] = {
	{ "plain", SLICE_INIT("<a@b.c>"), "a|b.c|a@b.c|" },
	{ "parameters are left", SLICE_INIT("<a@b> SIZE=1"), "a|b|a@b| SIZE=1" },
	{ "no domain", SLICE_INIT("<postmaster>"), "postmaster||postmaster|" },
	{ "null", SLICE_INIT("<>"), "null" },
	{ "space before", SLICE_INIT(" <a@b>"), "a|b|a@b|" },
	{ "source route", SLICE_INIT("<@x.y,@z:a@b>"), "a|b|a@b|" },
	{ "source route of a literal", SLICE_INIT("<@[1.2.3.4]:a@b>"), "a|b|a@b|" },
	{ "source route without colon", SLICE_INIT("<@x.y>"), "!\":\" behind the source route" },
	{ "source route without domain", SLICE_INIT("<@:a@b>"), "!a domain" },
	{ "empty quoted local part", SLICE_INIT("<\"\"@b>"), "|b|\"\"@b|" },
	{ "quoted", SLICE_INIT("<\"a b\\\"c\\\\\"@b>"), "a b\"c\\|b|\"a b\\\"c\\\\\"@b|" },
	{ "quoted at sign", SLICE_INIT("<\"a@x\"@b>"), "a@x|b|\"a@x\"@b|" },
	{ "quote not closed", SLICE_INIT("<\"a@b>"), "!a closing quote" },
	{ "backslash at the end", SLICE_INIT("<\"a\\"), "!a closing quote" },
	{ "control in quotes", SLICE_INIT("<\"a\tb\"@b>"), "!a quoted string without control characters" },
	{ "NUL in quotes", SLICE_INIT("<\"a\0b\"@b>"), "!a quoted string without control characters" },
	{ "text behind quotes", SLICE_INIT("<\"a\"b@c>"), "!\">\"" },
	{ "detail", SLICE_INIT("<a+b@c>"), "a+b|c|a+b@c|" },
	{ "dots anywhere (lenient)", SLICE_INIT("<.a..b.@c>"), ".a..b.|c|.a..b.@c|" },
	{ "specials", SLICE_INIT("<!#$%&'*+-/=?^_`{|}~@c>"), "!#$%&'*+-/=?^_`{|}~|c|!#$%&'*+-/=?^_`{|}~@c|" },
	{ "NUL in local part", SLICE_INIT("<a\0@c>"), "!\">\"" },
	{ "IPv4 literal", SLICE_INIT("<a@[192.0.2.1]>"), "a|[192.0.2.1]|a@[192.0.2.1]|" },
	{ "IPv6 literal", SLICE_INIT("<a@[IPv6:::1]>"), "a|[IPv6:::1]|a@[IPv6:::1]|" },
	{ "empty literal", SLICE_INIT("<a@[]>"), "!an address literal" },
	{ "literal not closed", SLICE_INIT("<a@[1.2>"), "!an address literal" },
	{ "empty label", SLICE_INIT("<a@b..c>"), "!a domain" },
	{ "trailing dot", SLICE_INIT("<a@b.>"), "!a domain" },
	{ "no domain behind at", SLICE_INIT("<a@>"), "!a domain" },
	{ "two ats", SLICE_INIT("<a@b@c>"), "!\">\"" },
	{ "space in domain", SLICE_INIT("<a@b c>"), "!\">\"" },
	{ "empty local part", SLICE_INIT("<@b>"), "!\":\" behind the source route" },
	{ "no bracket", SLICE_INIT("a@b"), "!\"<\"" },
	{ "not closed", SLICE_INIT("<a@b"), "!\">\"" },
	{ "nothing", SLICE_INIT(""), "!\"<\"" },
	{ "UTF-8", SLICE_INIT("<j\xc3\xb6rg@\xc3\xbc.de>"), "j\xc3\xb6rg|\xc3\xbc.de|j\xc3\xb6rg@\xc3\xbc.de|" },
	{ "not UTF-8", SLICE_INIT("<j\xf6rg@b>"), "!UTF-8" },
	{ "domain not UTF-8", SLICE_INIT("<a@\xf6>"), "!UTF-8" },
};

static void
render(struct slice in, char *out, size_t size)
{
	struct slice copy = unit_copy(in);
	struct lmtp_parser p;
	struct lmtp_path path;
	struct arena a;

	arena_init(&a, 10000);
	lmtp_parser_init(&p, copy);
	if (!lmtp_parse_reverse_path(&p, &a, &path))
		snprintf(out, size, "!%s", p.expected);
	else if (path.null)
		snprintf(out, size, "null");
	else
		snprintf(out, size, "%.*s|%.*s|%.*s|%.*s", SLICE_ARG(path.local),
		         SLICE_ARG(path.domain), SLICE_ARG(path.text), SLICE_ARG(p.rest));
	arena_fini(&a);
	unit_drop(copy);
}

static void
test_path(void **state)
{
	const struct path_case *k = *state;
	char text[256];

	render(k->in, text, sizeof text);
	assert_string_equal(text, k->want);
	for (size_t cut = 0; cut < k->in.len; cut++)
		render(slice_sub(k->in, 0, cut), text, sizeof text);
}

static void
test_limits(void **state)
{
	char in[600], out[700];

	(void)state;
	for (size_t n = 254; n < 258; n++) {
		memset(in, 'a', n + 1);
		in[0] = '<';
		strcpy(in + 1 + n, "@b>");
		render(slice_str(in), out, sizeof out);
		if (n <= LMTP_LOCAL_MAX)
			assert_int_equal(out[0], 'a');
		else
			assert_string_equal(out, "!a local part of at most 255 octets");
		strcpy(in, "<a@");
		memset(in + 3, 'b', n);
		strcpy(in + 3 + n, ">");
		render(slice_str(in), out, sizeof out);
		if (n <= LMTP_DOMAIN_MAX)
			assert_int_equal(out[0], 'a');
		else
			assert_string_equal(out, "!a domain of at most 255 octets");
	}
}

static void
test_forward_null(void **state)
{
	struct lmtp_parser p;
	struct lmtp_path path;
	struct arena a;

	(void)state;
	arena_init(&a, 1000);
	lmtp_parser_init(&p, SLICE("<>"));
	assert_false(lmtp_parse_forward_path(&p, &a, &path));
	assert_string_equal(p.expected, "a recipient");
	arena_fini(&a);
}

static const struct param_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* "NAME=value;NAME;" or with "!expected" at the end */
} params[] = {
	{ "none", SLICE_INIT(""), "" },
	{ "one", SLICE_INIT(" SIZE=10"), "SIZE=10;" },
	{ "two", SLICE_INIT(" BODY=8BITMIME SMTPUTF8"), "BODY=8BITMIME;SMTPUTF8;" },
	{ "trailing space", SLICE_INIT(" A "), "A;" },
	{ "no space", SLICE_INIT("SIZE=10"), "!a space before parameters" },
	{ "no name", SLICE_INIT(" =10"), "!a parameter's name" },
	{ "no value", SLICE_INIT(" SIZE="), "!a parameter's value" },
	{ "two equals", SLICE_INIT(" A=b=c"), "A=b;!a space before parameters" },
	{ "control", SLICE_INIT(" A=b\x01"), "A=b;!a space before parameters" },
};

static void
test_param(void **state)
{
	const struct param_case *k = *state;

	for (size_t cut = 0; cut <= k->in.len; cut++) {
		struct slice copy = unit_copy(slice_sub(k->in, 0, cut));
		char text[200] = "";
		struct lmtp_parser p;
		struct lmtp_param q;

		lmtp_parser_init(&p, copy);
		while (lmtp_parse_param(&p, &q))
			snprintf(text + strlen(text), sizeof text - strlen(text),
			         q.has_value ? "%.*s=%.*s;" : "%.*s%.*s;", SLICE_ARG(q.name),
			         SLICE_ARG(q.value));
		if (p.expected != NULL)
			snprintf(text + strlen(text), sizeof text - strlen(text), "!%s",
			         p.expected);
		if (cut == k->in.len)
			assert_string_equal(text, k->want);
		unit_drop(copy);
	}
}

static void
test_domain(void **state)
{
	(void)state;
	assert_true(lmtp_domain_valid(SLICE("mail.example.org")));
	assert_true(lmtp_domain_valid(SLICE("[192.0.2.1]")));
	assert_true(lmtp_domain_valid(SLICE("my_host")));
	assert_false(lmtp_domain_valid(SLICE("")));
	assert_false(lmtp_domain_valid(SLICE("a b")));
	assert_false(lmtp_domain_valid(SLICE("a\r\nX-Header: b")));
	assert_false(lmtp_domain_valid(SLICE("a;b")));
	assert_false(lmtp_domain_valid(SLICE("(a)")));
}

#define N_FIXED 3

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + UNIT_COUNT(params) + N_FIXED] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_forward_null),
		cmocka_unit_test(test_domain),
	};
	size_t n = N_FIXED;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_path, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(params); i++)
		tests[n++] = (struct CMUnitTest){ params[i].name, test_param, NULL, NULL,
		                                  (void *)(uintptr_t)&params[i] };
	return cmocka_run_group_tests_name("lmtp_path", tests, NULL, NULL);
}
