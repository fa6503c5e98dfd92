/* PREVIEW [RFC 8970] over a real volume: which part, which charset, how much is read. */
#include "tests/unit/imap_rig.h"

#define HTML_HEAD "Content-Type: text/html; charset=utf-8\r\n\r\n"
#define ALTERNATIVE(plain, html) \
	"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n" plain \
	"\r\n--x\r\n" HTML_HEAD html "\r\n--x--\r\n"

static const struct preview_case {
	const char *name, *mail;
	const char *want;       /* nstring as written */
} cases[] = {
	{ "plain", "Subject: x\r\n\r\nHello,\r\n  you.\r\n", "\"Hello, you.\"" },
	{ "empty", "Subject: x\r\n\r\n", "\"\"" },
	{ "quotes escaped", "\r\nsay \"x\\y\"", "\"say \\\"x\\\\y\\\"\"" },
	{ "html", HTML_HEAD "<style>p{}</style><p>Price:&nbsp;<b>5&euro;</b>", "{11}\r\nPrice: 5\xe2\x82\xac" },
	{ "alternative", ALTERNATIVE("plain words", "<p>html words"), "\"plain words\"" },
	{ "alternative without words", ALTERNATIVE("  \r\n", "<p>html words"), "\"html words\"" },
	{ "latin", "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n",
	  "{5}\r\ncaf\xc3\xa9" },
	{ "iso-2022-jp", "Content-Type: text/plain; charset=\"ISO-2022-JP\"\r\n\r\n\x1b$B@A5a=q\x1b(B\r\n",
	  "{9}\r\n\xe8\xab\x8b\xe6\xb1\x82\xe6\x9b\xb8" },
	{ "cp932 as shift_jis", "Content-Type: text/plain; charset=Shift_JIS\r\nContent-Transfer-Encoding: base64\r\n\r\nkL+LgYdA\r\n",
	  "{9}\r\n\xe8\xab\x8b\xe6\xb1\x82\xe2\x91\xa0" },
	{ "unlabelled 8-bit", "\r\ncaf\xc3\xa9\r\n", "{5}\r\ncaf\xc3\xa9" },
	{ "attachment is no text", "Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nlog line\r\n", "\"\"" },
	{ "image", "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n", "\"\"" },
	{ "encrypted", "Content-Type: multipart/encrypted; boundary=x\r\n\r\n--x\r\nContent-Type: application/pgp-encrypted\r\n\r\n"
	  "Version: 1\r\n--x\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--x--\r\n", "\"\"" },
	{ "unknown encoding", "Content-Transfer-Encoding: x-odd\r\n\r\nabc\r\n", "\"\"" },
};

static struct session *s;

static int
setup(void **state)
{
	int rc = rig_setup(state);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		fx_append(rig_inbox(), slice_str(cases[i].mail), 0, "");
	s = rig_selected();
	return rc;
}

static int
teardown(void **state)
{
	rig_end(s);
	return rig_teardown(state);
}

static void
test_case(void **state)
{
	const struct preview_case *k = *state;
	unsigned seq = (unsigned)(k - cases) + 1;
	char line[100], want[300];

	(void)snprintf(line, sizeof line, "1 FETCH %u PREVIEW", seq);
	(void)snprintf(want, sizeof want, "* %u FETCH (PREVIEW %s)\r\n1 OK FETCH completed\r\n",
	               seq, k->want);
	rig_expect(s, line, want);
	(void)snprintf(line, sizeof line, "1 FETCH %u (PREVIEW (LAZY LAZY) FLAGS)", seq);
	(void)snprintf(want, sizeof want,
	    "* %u FETCH (PREVIEW %s FLAGS (\\Recent))\r\n1 OK FETCH completed\r\n", seq, k->want);
	rig_expect(s, line, want);
}

/* With UTF-8 enabled, quoted. */
static void
test_utf8(void **state)
{
	(void)state;
	rig_imap(s)->utf8 = true;
	rig_expect(s, "1 FETCH 8 PREVIEW",
	           "* 8 FETCH (PREVIEW \"\xe8\xab\x8b\xe6\xb1\x82\xe6\x9b\xb8\")\r\n1 OK "
	           "FETCH completed\r\n");
	rig_imap(s)->utf8 = false;
}

static void
test_syntax(void **state)
{
	(void)state;
	assert_memory_equal(rig_send(s, "1 FETCH 1 PREVIEW (LAZY)"),
	                    "* 1 FETCH (PREVIEW \"Hello, you.\")", 33);
	assert_memory_equal(rig_send(s, "1 FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 1)"),
	                    "* OK [HIGHESTMODSEQ ", 20);
	assert_memory_equal(rig_send(s, "1 FETCH 1 PREVIEW (CHANGEDSINCE 1)"),
	                    "* 1 FETCH (MODSEQ (", 19);
	rig_expect(s, "1 FETCH 1 PREVIEW (LAZY ODD)", "1 BAD FETCH: expected LAZY\r\n");
	rig_expect(s, "1 FETCH 1 (PREVIEW (ODD))", "1 BAD FETCH: expected a FETCH data item\r\n");
}

/* Words behind 100 KB of styles, and characters split by what is read. */
static void
test_far_words(void **state)
{
	struct buf mail;
	const char *said;

	(void)state;
	buf_init(&mail, 1u << 20);
	buf_append_str(&mail, HTML_HEAD "<html><head><style>");
	for (unsigned i = 0; i < 10000; i++)
		buf_append_str(&mail, "p { x }\r\n");
	buf_append_str(&mail, "</style></head><p>");
	for (unsigned i = 0; i < 300; i++)
		buf_append_str(&mail, "\xe8\xab\x8b");
	fx_append(rig_inbox(), buf_slice(&mail), 0, "");
	buf_reset(&mail);
	buf_append_str(&mail, "\r\n");
	for (unsigned i = 0; i < 4096; i++)
		buf_append_str(&mail, i < 3900 ? "\n" : "\xe8\xab\x8b");
	fx_append(rig_inbox(), buf_slice(&mail), 0, "");
	(void)rig_send(s, "1 NOOP");
	for (unsigned k = 0; k < 2; k++) {
		said = rig_send(s, k == 0 ? "2 FETCH 15 PREVIEW" : "2 FETCH 16 PREVIEW");
		assert_memory_equal(said + 12, "PREVIEW {", 9);
		said = strstr(said, "\r\n") + 2;
		for (unsigned i = 0; i < (k == 0 ? 200 : 196); i++)
			assert_memory_equal(said + (size_t)i * 3, "\xe8\xab\x8b", 3);
	}
	buf_fini(&mail);
}

/* What is looked at ends in a tag, a reference or a comment, and held no words. */
static void
test_cut_markup(void **state)
{
	static const struct { const char *fill, *end; } cuts[] = {
		{ "<p>", "<" }, { "<p>", "<p" }, { "<p>", "</" }, { "<p>", "&" }, { "<p>", "&nbs" }, { "<!-- -->", "<!" },
	};
	struct buf mail;
	char line[40], want[100];

	(void)state;
	buf_init(&mail, 1u << 20);
	for (size_t i = 0; i < UNIT_COUNT(cuts); i++) {
		size_t head = strlen(HTML_HEAD), end = head + (256u << 10) - strlen(cuts[i].end);

		buf_reset(&mail);
		buf_append_str(&mail, HTML_HEAD);
		while (mail.len + strlen(cuts[i].fill) <= end)
			buf_append_str(&mail, cuts[i].fill);
		while (mail.len < end)
			buf_append_byte(&mail, ' ');
		buf_append_str(&mail, cuts[i].end);
		buf_append_str(&mail, "p;><p>words");
		fx_append(rig_inbox(), buf_slice(&mail), 0, "");
		(void)rig_send(s, "1 NOOP");
		(void)snprintf(line, sizeof line, "2 FETCH %zu PREVIEW", 17 + i);
		(void)snprintf(want, sizeof want,
		               "* %zu FETCH (PREVIEW \"\")\r\n2 OK FETCH completed\r\n", 17 + i);
		rig_expect(s, line, want);
	}
	buf_fini(&mail);
}

int
main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_far_words),
		cmocka_unit_test(test_cut_markup),
	};
	struct CMUnitTest tests[UNIT_COUNT(cases) + UNIT_COUNT(others)];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_case, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(others); i++)
		tests[n++] = others[i];
	return _cmocka_run_group_tests("imap_fetch_preview", tests, n, setup, teardown);
}
