/* SEARCH as a client sees it: every key over one small set of messages, the forms of the answer,
 * and bodies searched a piece at a time. */
#include "tests/unit/imap_rig.h"

#define LATIN1_QP "Subject: =?iso-8859-1?q?Caf=E9?= au lait\r\nFrom: \"M=?x?\" <M@Example.COM>\r\n" \
	"To: ben@example.org\r\nCc: carl@example.org\r\nDate: Tue, 1 Feb 1994 23:59:59 -0500\r\n" \
	"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" \
	"un caf=E9 noir, s'il vous pla=\r\n=EEt\r\n"
#define JAPANESE "Subject: =?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=\r\nFrom: jun@example.jp\r\n" \
	"Date: Sun, 1 Mar 2020 12:00:00 +0900\r\nX-Empty:\r\n" \
	"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\033$BF|K\\\033(B desu\r\n"
#define MULTI "Subject: parts\r\nFrom: dora@example.org\r\nBcc: eve@example.org\r\n" \
	"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n" \
	"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZSBhdXMgS8O2bG4=\r\n--b\r\n" \
	"Content-Type: application/octet-stream\r\nX-Part: hidden\r\n\r\nopaque words\r\n--b\r\n" \
	"Content-Type: message/rfc822\r\n\r\nSubject: inside story\r\n\r\nnested text\r\n--b--\r\n"
#define PLAIN "Subject: plain\r\nFrom: anna@example.org\r\n\r\nnothing here\r\n"

/* UIDs: 1 LATIN1_QP \Seen, 2 JAPANESE \Flagged $Work, 3 MULTI \Answered \Deleted, 4 PLAIN
 * \Draft. INTERNALDATE of all is 14 Nov 2023, 20:43 -0130. */
static const struct search_case {
	const char *name;
	const char *keys;
	const char *want;       /* numbers, or the whole tagged answer */
} cases[] = {
	{ "all", "ALL", " 1 2 3 4" },
	{ "seen", "SEEN", " 1" },
	{ "unseen", "UNSEEN", " 2 3 4" },
	{ "answered", "ANSWERED", " 3" },
	{ "deleted", "DELETED", " 3" },
	{ "undeleted", "undeleted", " 1 2 4" },
	{ "draft", "DRAFT", " 4" },
	{ "flagged", "FLAGGED", " 2" },
	{ "keyword", "KEYWORD $work", " 2" },
	{ "keyword is no prefix", "KEYWORD $wor", "" },
	{ "second keyword", "KEYWORD Zoo", " 2" },
	{ "unkeyword", "UNKEYWORD $Work", " 1 3 4" },
	{ "recent", "RECENT", " 1 2 3 4" },
	{ "new", "NEW", " 2 3 4" },
	{ "old", "OLD", "" },
	{ "not", "NOT SEEN", " 2 3 4" },
	{ "not not", "NOT NOT SEEN", " 1" },
	{ "not of a group", "NOT (SEEN FLAGGED)", " 1 2 3 4" },
	{ "or", "OR SEEN FLAGGED", " 1 2" },
	{ "not or", "NOT OR SEEN FLAGGED", " 3 4" },
	{ "or of groups", "OR (SEEN ALL) (FLAGGED KEYWORD $Work)", " 1 2" },
	{ "and", "UNSEEN NOT DELETED", " 2 4" },
	{ "set", "2:3", " 2 3" },
	{ "sets are all of them", "2:4 1:3 NOT 3", " 2" },
	{ "set in or", "OR 1 4", " 1 4" },
	{ "uid", "UID 3:*,1", " 1 3 4" },
	{ "number beyond", "9", "1 BAD Message number 9 of 4 is not there" },
	{ "on", "ON 14-Nov-2023", " 1 2 3 4" },
	{ "on, quoted", "ON \"14-Nov-2023\"", " 1 2 3 4" },
	{ "not on", "ON 15-Nov-2023", "" },
	{ "before is not on", "BEFORE 14-Nov-2023", "" },
	{ "before", "BEFORE 15-Nov-2023", " 1 2 3 4" },
	{ "since is on", "SINCE 14-Nov-2023", " 1 2 3 4" },
	{ "since", "SINCE 15-Nov-2023", "" },
	{ "sent on, as written", "SENTON 1-Feb-1994", " 1" },
	{ "sent before", "SENTBEFORE 1-Mar-2020", " 1" },
	{ "sent since, without Date", "SENTSINCE 1-Mar-2020", " 2 3 4" },
	{ "larger", "LARGER 200", " 1 3" },
	{ "smaller", "SMALLER 100", " 4" },
	{ "larger is not equal", "LARGER 64 SMALLER 65", "" },
	{ "subject decoded", "CHARSET UTF-8 SUBJECT \"CAF\xc3\x89\"", " 1" },
	{ "subject in another charset", "CHARSET ISO-8859-1 SUBJECT {4+}\r\ncaf\xe9", " 1" },
	{ "subject in japanese", "CHARSET UTF-8 SUBJECT {6+}\r\n\xe6\x97\xa5\xe6\x9c\xac", " 2" },
	{ "subject", "SUBJECT pl", " 4" },
	{ "from, case", "FROM example.com", " 1" },
	{ "to", "TO ben", " 1" },
	{ "cc", "CC carl", " 1" },
	{ "bcc", "BCC eve", " 3" },
	{ "header", "HEADER Content-Type iso-", " 1 2" },
	{ "header exists", "HEADER X-Empty \"\"", " 2" },
	{ "header not of a part", "HEADER X-Part hidden", "" },
	{ "not header", "NOT FROM example.org", " 1 2" },
	{ "body in latin-1 and quoted-printable", "CHARSET UTF-8 BODY {6+}\r\nCAF\xc3\x89 ", " 1" },
	{ "body over a soft line break", "CHARSET UTF-8 BODY {6+}\r\npla\xc3\xaet", " 1" },
	{ "body in iso-2022-jp", "CHARSET UTF-8 BODY {11+}\r\n\xe6\x97\xa5\xe6\x9c\xac Desu", " 2" },
	{ "body in base64, folded", "CHARSET UTF-8 BODY {7+}\r\nGR\xc3\x9cSSE", " 3" },
	{ "body not as written", "BODY R3LDv", "" },
	{ "body has no header", "BODY plain", "" },
	{ "body has no opaque part", "BODY opaque", "" },
	{ "body of the embedded message", "BODY nested", " 3" },
	{ "header of the embedded message", "BODY \"inside story\"", " 3" },
	{ "text is header", "TEXT plain", " 1 2 3 4" },
	{ "text is the subject", "TEXT \"subject: plain\"", " 4" },
	{ "text is body", "TEXT nothing", " 4" },
	{ "text is the header of a part", "TEXT hidden", " 3" },
	{ "text does not go on in the next part", "TEXT lncontent-type", "" },
	{ "not body", "NOT BODY nothing", " 1 2 3" },
	{ "body or header", "OR BODY nothing SUBJECT parts", " 3 4" },
	{ "two bodies", "BODY nested BODY desu", "" },
	{ "unknown charset", "CHARSET X-NONE SUBJECT a", "1 NO [BADCHARSET (US-ASCII UTF-8)] Charset not known" },
	{ "unknown key", "SEEN XYZZY", "1 BAD SEARCH: expected a search key" },
	{ "no key", "", "1 BAD SEARCH: expected a search key" },
	{ "open group", "(SEEN", "1 BAD SEARCH: expected )" },
	{ "or of one", "OR SEEN", "1 BAD SEARCH: expected one space" },
	{ "nothing saved", "$", "" },
	{ "return all", "RETURN () SEEN", "* ESEARCH (TAG \"1\") ALL 1" },
	{ "return ranges", "RETURN (ALL) NOT 3", "* ESEARCH (TAG \"1\") ALL 1:2,4" },
	{ "return min max count", "RETURN (COUNT MAX MIN) UNSEEN", "* ESEARCH (TAG \"1\") MIN 2 MAX 4 COUNT 3" },
	{ "return of nothing", "RETURN (MIN MAX ALL COUNT) OLD", "* ESEARCH (TAG \"1\") COUNT 0" },
	{ "return unknown", "RETURN (FOO) ALL", "1 BAD SEARCH: expected MIN, MAX, ALL, COUNT or SAVE" },
};

static struct session *search_session;

static int
search_setup(void **state)
{
	int rc = rig_setup(state);

	fx_append(rig_inbox(), SLICE(LATIN1_QP), FLAG_SEEN, "");
	fx_append(rig_inbox(), SLICE(JAPANESE), FLAG_FLAGGED, "Zoo $Work");
	fx_append(rig_inbox(), SLICE(MULTI), FLAG_ANSWERED | FLAG_DELETED, "");
	fx_append(rig_inbox(), SLICE(PLAIN), FLAG_DRAFT, "");
	search_session = rig_selected();
	return rc;
}

static int
search_teardown(void **state)
{
	rig_end(search_session);
	return rig_teardown(state);
}

static void
format_want(const struct search_case *k, char *want, size_t size)
{
	if (k->want[0] == '1')
		(void)snprintf(want, size, "%s\r\n", k->want);
	else if (k->want[0] == '*')
		(void)snprintf(want, size, "%s\r\n1 OK SEARCH completed\r\n", k->want);
	else
		(void)snprintf(want, size, "* SEARCH%s\r\n1 OK SEARCH completed\r\n", k->want);
}

static void
test_search(void **state)
{
	const struct search_case *k = *state;
	char line[300], want[300];

	(void)snprintf(line, sizeof line, "1 SEARCH %s", k->keys);
	format_want(k, want, sizeof want);
	for (size_t soft = 1; soft <= SESSION_OUT_SOFT; soft *= SESSION_OUT_SOFT) {
		imap_set_out_soft(search_session, soft);
		rig_expect(search_session, line, want);
	}
}

/* ---- the saved result ---- */

static void
test_saved(void **state)
{
	struct session *s = search_session;

	(void)state;
	rig_expect(s, "1 SEARCH RETURN (SAVE) UNSEEN", "1 OK SEARCH completed, result saved\r\n");
	rig_expect(s, "2 FETCH $ UID", "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n* 4 FETCH (UID 4)\r\n2 OK FETCH completed\r\n");
	rig_expect(s, "3 SEARCH $ FLAGGED", "* SEARCH 2\r\n3 OK SEARCH completed\r\n");
	rig_expect(s, "4 UID SEARCH RETURN (SAVE MAX) ALL",
	           "* ESEARCH (TAG \"4\") UID MAX 4\r\n4 OK UID SEARCH completed\r\n");
	rig_expect(s, "5 UID STORE $ +FLAGS.SILENT (\\Deleted)", "5 OK UID STORE completed\r\n");
	rig_expect(s, "6 SEARCH DELETED", "* SEARCH 3 4\r\n6 OK SEARCH completed\r\n");
	/* What is expunged is no longer in it. */
	rig_expect(s, "7 EXPUNGE", "* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n7 OK EXPUNGE completed\r\n");
	rig_expect(s, "8 SEARCH $", "* SEARCH\r\n8 OK SEARCH completed\r\n");
	/* One that fails empties it. */
	(void)rig_send(s, "9 SEARCH RETURN (SAVE) ALL");
	(void)rig_send(s, "10 SEARCH RETURN (SAVE) CHARSET X-NONE SUBJECT a");
	rig_expect(s, "11 SEARCH $", "* SEARCH\r\n11 OK SEARCH completed\r\n");
	/* "$" among the keys is what was saved before; BAD leaves it; MIN and MAX replace it. */
	(void)rig_send(s, "12 SEARCH RETURN (SAVE) 1:2");
	rig_expect(s, "13 SEARCH RETURN (SAVE) NOT $ 2:*", "13 OK SEARCH completed, result saved\r\n");
	rig_expect(s, "14 SEARCH RETURN (SAVE) OR 1 $", "14 OK SEARCH completed, result saved\r\n");
	rig_expect(s, "15 SEARCH RETURN (SAVE) 99", "15 BAD Message number 99 of 2 is not there\r\n");
	rig_expect(s, "16 SEARCH $", "* SEARCH 1\r\n16 OK SEARCH completed\r\n");
	(void)rig_send(s, "17 SEARCH RETURN (SAVE MAX) ALL");
	rig_expect(s, "18 SEARCH $", "* SEARCH 2\r\n18 OK SEARCH completed\r\n");
}

static void
test_rev2_answers_esearch(void **state)
{
	(void)state;
	rig_imap(search_session)->rev2 = true;
	rig_expect(search_session, "1 UID SEARCH UNSEEN",
	           "* ESEARCH (TAG \"1\") UID ALL 2:4\r\n1 OK UID SEARCH completed\r\n");
	rig_imap(search_session)->rev2 = false;
}

/* ---- limits and sizes ---- */

static void
test_limits(void **state)
{
	struct session *s = search_session;
	char line[20000];
	size_t n;

	(void)state;
	n = (size_t)snprintf(line, sizeof line, "1 SEARCH ");
	memset(line + n, '(', 60);
	(void)snprintf(line + n + 60, sizeof line - n - 60, "ALL");
	rig_expect(s, line, "1 BAD SEARCH: expected less nesting\r\n");
	n = (size_t)snprintf(line, sizeof line, "1 SEARCH");
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, " OR");
	rig_expect(s, line, "1 BAD SEARCH: expected less nesting\r\n");
	n = (size_t)snprintf(line, sizeof line, "1 SEARCH");
	for (int i = 0; i < 65; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, " BODY a");
	rig_expect(s, line, "1 BAD SEARCH: expected at most 64 texts to search for\r\n");
	n = (size_t)snprintf(line, sizeof line, "1 SEARCH");
	for (int i = 0; i < 1100; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, " ALL");
	rig_expect(s, line, "1 BAD SEARCH: expected fewer search keys\r\n");
}

static void
append_dots(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_append_byte(b, '.');
}

/* Found across every cut between pieces: in a body of one long line, which is cut anywhere;
 * across a line end, where others are cut; and with a character over the border of what is read
 * at once. */
static void
test_across_pieces(void **state)
{
	static const struct { size_t border; const char *text; const char *end; } bodies[] = {
		{ 4 * 65536, "NEE DLE", "" },
		{ 65536, "nee\r\ndle", "" },
		{ 65536, "h\xc3\xa9h\xc3\xa9h\xc3\xa9", "\r\nend\r\n" },
	};
	struct session *s;
	struct buf mail;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bodies); i++) {
		for (size_t before = 0; before < 10; before++) {
			buf_init(&mail, 1u << 20);
			buf_append_str(&mail, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
			append_dots(&mail, bodies[i].border - before);
			buf_append_str(&mail, bodies[i].text);
			append_dots(&mail, 100);
			buf_append_str(&mail, bodies[i].end);
			append_dots(&mail, 100000);
			fx_append(rig_inbox(), buf_slice(&mail), 0, "");
			buf_fini(&mail);
		}
	}
	s = rig_selected();
	rig_expect(s, "1 SEARCH RETURN () BODY \"nee dle\"", "* ESEARCH (TAG \"1\") ALL 1:10\r\n1 OK SEARCH completed\r\n");
	rig_expect(s, "2 SEARCH RETURN () BODY {8+}\r\nNEE\r\nDLE", "* ESEARCH (TAG \"2\") ALL 11:20\r\n2 OK SEARCH completed\r\n");
	rig_expect(s, "3 SEARCH RETURN () CHARSET UTF-8 BODY {9+}\r\nh\xc3\xa9h\xc3\x89h\xc3\xa9",
	           "* ESEARCH (TAG \"3\") ALL 21:30\r\n3 OK SEARCH completed\r\n");
	rig_expect(s, "4 SEARCH BODY \"nee  dle\"", "* SEARCH\r\n4 OK SEARCH completed\r\n");
	assert_true(imap_steps(s) > 10);
	rig_end(s);
}

/* Pages of rows, gaps, and numbers written in pieces. */
static void
test_many(void **state)
{
	struct session *s;
	const char *said;
	char number[16];

	(void)state;
	fx_append_n(rig_inbox(), 2500);
	fx_expunge(rig_inbox(), 10, 19);
	s = rig_selected();
	imap_set_out_soft(s, 100);
	said = rig_send(s, "1 UID SEARCH NOT UID 5 SUBJECT tea");
	assert_memory_equal(said, "* SEARCH", 8);
	said += 8;
	for (unsigned i = 1; i <= 2500; i++) {
		if (i == 5 || (i >= 10 && i <= 19))
			continue;
		(void)snprintf(number, sizeof number, " %u", i);
		assert_memory_equal(said, number, strlen(number));
		said += strlen(number);
	}
	assert_string_equal(said, "\r\n1 OK UID SEARCH completed\r\n");
	assert_true(imap_largest_output(s) < 1000);
	rig_expect(s, "2 SEARCH RETURN (ALL) NOT UID 5", "* ESEARCH (TAG \"2\") ALL 1:4,6:2490\r\n2 OK SEARCH completed\r\n");
	rig_end(s);
}

int
main(void)
{
	static const struct CMUnitTest on_set[] = {
		cmocka_unit_test(test_rev2_answers_esearch),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_saved),   /* expunges: the last one */
	};
	static const struct CMUnitTest others[] = {
		cmocka_unit_test_setup_teardown(test_across_pieces, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_many, rig_setup, rig_teardown),
	};
	struct CMUnitTest tests[UNIT_COUNT(cases) + UNIT_COUNT(on_set)];
	size_t n = 0;
	int failed;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_search, NULL, NULL, (void *)(uintptr_t)&cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(on_set); i++)
		tests[n++] = on_set[i];
	failed = _cmocka_run_group_tests("imap_search keys", tests, n, search_setup, search_teardown);
	return failed + cmocka_run_group_tests_name("imap_search", others, NULL, NULL);
}
