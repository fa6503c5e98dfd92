/* downgrade: headers with raw 8-bit as ASCII [RFC 6858], and all else as it was. */
#include "tests/unit/unit.h"

#include "lib/downgrade.h"
#include "lib/text.h"

static const struct downgrade_case {
	const char  *name;
	struct slice in;
	const char  *want;
} cases[] = {
	{ "ASCII stays", SLICE_INIT("A:b \r\n\tc\r\nbroken line\r\n\r\n"), "A:b \r\n\tc\r\nbroken line\r\n\r\n" },
	{ "LF stays", SLICE_INIT("A: b\nC: d\n\n"), "A: b\nC: d\n\n" },
	{ "no blank line", SLICE_INIT("A: b\r\nC: d"), "A: b\r\nC: d" },
	{ "empty", SLICE_INIT(""), "" },
	{ "subject", SLICE_INIT("Subject: Gr\xc3\xbc\xc3\x9f" "e\r\nX: y\r\n\r\n"),
	  "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\nX: y\r\n\r\n" },
	{ "what is no UTF-8 is guessed", SLICE_INIT("subject: Gr\xfc\xdf" "e\r\n"), "subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n" },
	{ "old and new words do not mix", SLICE_INIT("Subject: =?iso-8859-1?Q?=FC?=\xc3\xbc\r\n"), "Subject: =?UTF-8?B?w7zDvA==?=\r\n" },
	{ "folded", SLICE_INIT("Subject: a\r\n \xc3\xbc\r\n"), "Subject: =?UTF-8?B?YSDDvA==?=\r\n" },
	{ "long", SLICE_INIT("Subject: \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"
	                     "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e!\r\n"),
	  "Subject: =?UTF-8?B?5pel5pys6Kqe5pel5pys6Kqe5pel5pys6Kqe5pel5pys6Kqe?=\r\n =?UTF-8?B?IQ==?=\r\n" },
	{ "long name", SLICE_INIT("Content-Description: \xc3\xbc\r\n"), "Content-Description:\r\n =?UTF-8?B?w7w=?=\r\n" },
	{ "display name", SLICE_INIT("From: J\xc3\xb6rg <j@example.com>, \"A B\" <a@b>, c@d\r\n"),
	  "From: =?UTF-8?B?SsO2cmc=?= <j@example.com>,\r\n \"A B\" <a@b>,\r\n c@d\r\n" },
	{ "address", SLICE_INIT("To: J <j\xc3\xb6rg@example.com>\r\n"),
	  "To: =?UTF-8?B?SiAiasO2cmciQGV4YW1wbGUuY29t?= <invalid@internationalized.invalid>\r\n" },
	{ "domain", SLICE_INIT("To: j@\xc3\xb6.example\r\n"), "To: =?UTF-8?B?akDDti5leGFtcGxl?= <invalid@internationalized.invalid>\r\n" },
	{ "group", SLICE_INIT("To: \xc3\xb6: a@b, c@d;, e@f\r\n"), "To: =?UTF-8?B?w7Y=?=: a@b,\r\n c@d;,\r\n e@f\r\n" },
	{ "quoting", SLICE_INIT("To: \"a\\\"b\" <\"x y\"@b>, \xc3\xb6 <c@d>\r\n"),
	  "To: \"a\\\"b\" <\"x y\"@b>,\r\n =?UTF-8?B?w7Y=?= <c@d>\r\n" },
	{ "file name", SLICE_INIT("Content-Disposition: attachment; filename=\"\xc3\xbc b.pdf\"; size=7\r\n"),
	  "Content-Disposition: attachment;\r\n filename*=utf-8''%C3%BC%20b.pdf;\r\n size=\"7\"\r\n" },
	{ "boundary beside it", SLICE_INIT("Content-Type: multipart/mixed; boundary=\"=_x\"; name=\xfc\r\n"),
	  "Content-Type: multipart/mixed;\r\n boundary=\"=_x\";\r\n name*=utf-8''%C3%BC\r\n" },
	{ "extended already", SLICE_INIT("Content-Type: a/b; x*=utf-8''%41; y=\xc3\xbc\r\n"),
	  "Content-Type: a/b;\r\n x*=utf-8''%41;\r\n y*=utf-8''%C3%BC\r\n" },
	{ "a type that is none", SLICE_INIT("Content-Type: \xc3\xbc/b; a=b\r\nX: y\r\n"), "X: y\r\n" },
	{ "what cannot be helped", SLICE_INIT("Message-ID: <\xc3\xbc@x>\r\nReceived: for <\xc3\xbc@x>\r\nX: y\r\n\r\n"), "X: y\r\n\r\n" },
	{ "a line without a name", SLICE_INIT("\xc3\xbc\r\nX: y\r\n"), "X: y\r\n" },
};

static void
run(struct slice in, struct buf *out)
{
	struct slice copy = unit_copy(in);

	buf_reset(out);
	assert_true(downgrade_header(copy, out));
	assert_true(text_is_ascii(buf_slice(out)));
	unit_drop(copy);
}

static void
test_downgrade(void **state)
{
	const struct downgrade_case *k = *state;
	struct buf out;

	buf_init(&out, 1u << 16);
	run(k->in, &out);
	if (!slice_eq(buf_slice(&out), slice_str(k->want)))
		fail_msg("got\n%.*swanted\n%s", SLICE_ARG(buf_slice(&out)), k->want);
	for (size_t cut = 0; cut < k->in.len; cut++)
		run(slice_sub(k->in, 0, cut), &out);
	buf_fini(&out);
}

static void
test_no_room(void **state)
{
	struct slice in = SLICE(
	    "Subject: \xc3\xbc\r\nFrom: \xc3\xbc <a@b>\r\nContent-Type: a/b; c=\xc3\xbc\r\n\r\n");
	struct buf out;

	(void)state;
	for (size_t room = 0; room < 300; room++) {
		bool ok;

		buf_init(&out, room);
		ok = downgrade_header(in, &out);
		assert_int_equal(ok, !out.failed);
		buf_fini(&out);
	}
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases) + 1];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_downgrade, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_no_room);
	return _cmocka_run_group_tests("downgrade", tests, n, NULL, NULL);
}
