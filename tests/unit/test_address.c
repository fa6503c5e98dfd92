/* address: RFC 5322 examples, obsolete forms, and what stands there when nobody read the RFC. */
#include "tests/unit/unit.h"

#include "lib/address.h"

/* name|route|mailbox|host of each, "~" for NIL, one line each; groups "{name" and "}" */
static const struct address_case {
	const char  *name;
	struct slice in;
	const char  *want;
} cases[] = {
	{ "plain", SLICE_INIT("joe@example.org"), "~|~|joe|example.org\n" },
	{ "with name", SLICE_INIT("Joe Q. Public <john.q.public@example.com>"),
	  "Joe Q. Public|~|john.q.public|example.com\n" },
	{ "quoted name", SLICE_INIT("\"Giant; \\\"Big\\\" Box\" <a@b>, <boss@nil.test>"),
	  "Giant; \"Big\" Box|~|a|b\n~|~|boss|nil.test\n" },
	{ "group", SLICE_INIT("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
	  "{A Group\nEd Jones|~|c|a.test\n~|~|joe|where.test\nJohn|~|jdoe|one.test\n}\n" },
	{ "empty group", SLICE_INIT("Undisclosed recipients:;"), "{Undisclosed recipients\n}\n" },
	{ "RFC 5322 A.5 comments", SLICE_INIT("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
	  "Pete|~|pete|silly.test\n" },
	{ "RFC 5322 A.6.3 white space", SLICE_INIT("Mary Smith <@node.test:mary@example.net>, , jdoe@test   . example"),
	  "Mary Smith|@node.test|mary|example.net\n~|~|jdoe|test.example\n" },
	{ "long route", SLICE_INIT("<@a,@b:c@d>"), "~|@a,@b|c|d\n" },
	{ "comment is the name", SLICE_INIT("root@host (Cron Daemon)"), "Cron Daemon|~|root|host\n" },
	{ "nested comment", SLICE_INIT("a@b (x (y) z)"), "x (y) z|~|a|b\n" },
	{ "quoted local part", SLICE_INIT("\"a b\"@c, \"ab\"@c, \"\"@c"),
	  "~|~|a b|c\n~|~|ab|c\n~|~||c\n" },
	{ "quotes in a quoted local part", SLICE_INIT("\"a\\\"b\"@c"), "~|~|a\"b|c\n" },
	{ "domain literal", SLICE_INIT("a@[IPv6:2001::1], <b@[127.0.0.1]>"), "~|~|a|[IPv6:2001::1]\n~|~|b|[127.0.0.1]\n" },
	{ "no domain", SLICE_INIT("root, Foo Bar"), "~|~|root|\n~|~|Foo Bar|\n" },
	{ "empty brackets", SLICE_INIT("<>, x <>"), "~|~||\nx|~||\n" },
	{ "brackets not closed", SLICE_INIT("x <a@b, c@d"), "x|~|a|b\n~|~|c|d\n" },
	{ "quote not closed", SLICE_INIT("\"x <a@b>"), "~|~|x <a@b>|\n" },
	{ "two at signs", SLICE_INIT("a@b@c"), "~|~|a@b|c\n" },
	{ "address as name", SLICE_INIT("a@b <c@d>"), "a@b|~|c|d\n" },
	{ "name behind", SLICE_INIT("a@b Joe Doe"), "Joe Doe|~|a|b\n" },
	{ "semicolons between", SLICE_INIT("a@b; c@d"), "~|~|a|b\n~|~|c|d\n" },
	{ "group not ended", SLICE_INIT("g: a@b"), "{g\n~|~|a|b\n}\n" },
	{ "group in group", SLICE_INIT("g: h: a@b;, c@d"), "{g\n~|~|a|b\n}\n~|~|c|d\n" },
	{ "encoded-word kept", SLICE_INIT("=?utf-8?q?=C3=A4_b?= <a@b>"), "=?utf-8?q?=C3=A4_b?=|~|a|b\n" },
	{ "UTF-8", SLICE_INIT("\xc3\xa4 <\xc3\xb6@\xc3\xbc.example>"), "\xc3\xa4|~|\xc3\xb6|\xc3\xbc.example\n" },
	{ "folding goes", SLICE_INIT("Joe\r\n Doe <a@\r\n\tb>"), "Joe Doe|~|a|b\n" },
	{ "nothing", SLICE_INIT(""), "" },
	{ "commas only", SLICE_INIT(" ,, (x) ,"), "" },
	{ "NUL", SLICE_INIT("a\0@b"), NULL },
	{ "backslash at the end", SLICE_INIT("\"a\\"), NULL },
	{ "comment with backslash at the end", SLICE_INIT("a@b (c\\"), NULL },
};

static void
append_part(struct buf *out, struct slice s, const char *behind)
{
	buf_append_slice(out, s.ptr != NULL ? s : SLICE("~"));
	buf_append_str(out, behind);
}

static void
render(struct slice in, struct buf *out)
{
	struct address_iter it;
	struct address a;

	address_iter_init(&it, in);
	while (address_next(&it, &a)) {
		if (a.kind == ADDRESS_GROUP_START) {
			buf_append_byte(out, '{');
			append_part(out, a.name, "\n");
		} else if (a.kind == ADDRESS_GROUP_END) {
			buf_append_str(out, "}\n");
		} else {
			append_part(out, a.name, "|");
			append_part(out, a.route, "|");
			append_part(out, a.mailbox, "|");
			append_part(out, a.host, "\n");
		}
	}
	assert_false(it.failed);
	address_iter_fini(&it);
}

static void
test_address(void **state)
{
	const struct address_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out;

	buf_init(&out, 4096);
	render(in, &out);
	if (k->want != NULL && !slice_eq(buf_slice(&out), slice_str(k->want)))
		print_error("got:\n%.*swant:\n%s", SLICE_ARG(buf_slice(&out)), k->want);
	assert_true(k->want == NULL || slice_eq(buf_slice(&out), slice_str(k->want)));
	unit_drop(in);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(k->in, 0, cut));

		buf_reset(&out);
		render(prefix, &out);
		unit_drop(prefix);
	}
	buf_fini(&out);
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases)];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, test_address, NULL, NULL,
		                                (void *)(uintptr_t)&cases[i] };
	return _cmocka_run_group_tests("address", tests, UNIT_COUNT(cases), NULL, NULL);
}
