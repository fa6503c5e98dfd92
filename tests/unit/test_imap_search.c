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
	{ "and of flags", "FLAGGED UNSEEN", " 2" },
	{ "two flags", "ANSWERED DELETED UNDRAFT", " 3" },
	{ "a flag and not", "SEEN UNSEEN", "" },
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
	{ "older", "OLDER 3600", " 1 2 3 4" },
	{ "not older", "OLDER 4294967295", "" },
	{ "younger", "YOUNGER 3600", "" },
	{ "younger than long", "YOUNGER 4294967295", " 1 2 3 4" },
	{ "older needs a number", "OLDER 0", "1 BAD SEARCH: expected nz-number" },
	{ "saved since", "SAVEDSINCE 1-Jan-2024", " 1 2 3 4" },
	{ "saved before", "SAVEDBEFORE 1-Jan-2024", "" },
	{ "saved on", "SAVEDON 14-Nov-2023", "" },
	{ "save dates are kept", "SAVEDATESUPPORTED", " 1 2 3 4" },
	{ "no such thread", "THREADID T0000000000000000", "" },
	{ "no such mail", "EMAILID E00", "" },
	{ "not an objectid", "EMAILID a.b", "1 BAD SEARCH: expected objectid" },
	{ "subject decoded", "CHARSET UTF-8 SUBJECT \"CAF\xc3\x89\"", " 1" },
	{ "subject in another charset", "CHARSET ISO-8859-1 SUBJECT {4+}\r\ncaf\xe9", " 1" },
	{ "subject in japanese", "CHARSET UTF-8 SUBJECT {6+}\r\n\xe6\x97\xa5\xe6\x9c\xac", " 2" },
	{ "subject", "SUBJECT pl", " 4" },
	{ "from, case", "FROM example.com", " 1" },
	{ "name and address", "FROM \"m=?x? <m@example.com>\"", " 1" },
	{ "header as it stands", "HEADER From \"\\\"M=?x?\\\"\"", " 1" },
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
	{ "body without accents", "BODY cafe", " 1" },
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
	{ "partial", "RETURN (PARTIAL 2:3) ALL", "* ESEARCH (TAG \"1\") PARTIAL (2:3 2:3)" },
	{ "partial backwards", "RETURN (partial 3:2) NOT 3", "* ESEARCH (TAG \"1\") PARTIAL (3:2 2,4)" },
	{ "partial from the end", "RETURN (PARTIAL -1:-2) ALL", "* ESEARCH (TAG \"1\") PARTIAL (-1:-2 3:4)" },
	{ "partial over the end", "RETURN (PARTIAL 3:9) NOT 2", "* ESEARCH (TAG \"1\") PARTIAL (3:9 4)" },
	{ "partial over the beginning", "RETURN (PARTIAL -4:-9) ALL", "* ESEARCH (TAG \"1\") PARTIAL (-4:-9 1)" },
	{ "partial of nothing", "RETURN (PARTIAL 5:9) ALL", "* ESEARCH (TAG \"1\") PARTIAL (5:9 NIL)" },
	{ "partial before all", "RETURN (PARTIAL -5:-9) ALL", "* ESEARCH (TAG \"1\") PARTIAL (-5:-9 NIL)" },
	{ "partial with others", "RETURN (COUNT PARTIAL 1:1 MIN MAX) UNSEEN",
	  "* ESEARCH (TAG \"1\") MIN 2 MAX 4 COUNT 3 PARTIAL (1:1 2)" },
	{ "partial and all", "RETURN (PARTIAL 1:1 ALL) ALL", "1 BAD SEARCH: expected either ALL or one PARTIAL" },
	{ "all and partial", "RETURN (ALL PARTIAL 1:1) ALL", "1 BAD SEARCH: expected either ALL or one PARTIAL" },
	{ "two partials", "RETURN (PARTIAL 1:1 PARTIAL 2:2) ALL", "1 BAD SEARCH: expected either ALL or one PARTIAL" },
	{ "partial from both ends", "RETURN (PARTIAL -1:2) ALL", "1 BAD SEARCH: expected another octet" },
	{ "partial with star", "RETURN (PARTIAL 1:*) ALL", "1 BAD SEARCH: expected nz-number" },
	{ "partial of one number", "RETURN (PARTIAL 1) ALL", "1 BAD SEARCH: expected :" },
	{ "return unknown", "RETURN (FOO) ALL", "1 BAD SEARCH: expected MIN, MAX, ALL, COUNT, SAVE or PARTIAL" },
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
	rig_expect(s, "2 FETCH $ UID",
	           "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n* 4 FETCH (UID 4)\r\n2 OK "
	           "FETCH completed\r\n");
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
	rig_expect(s, "13 SEARCH RETURN (SAVE) NOT $ 2:*",
	           "13 OK SEARCH completed, result saved\r\n");
	rig_expect(s, "14 SEARCH RETURN (SAVE) OR 1 $", "14 OK SEARCH completed, result saved\r\n");
	rig_expect(s, "15 SEARCH RETURN (SAVE) 99",
	           "15 BAD Message number 99 of 2 is not there\r\n");
	rig_expect(s, "16 SEARCH $", "* SEARCH 1\r\n16 OK SEARCH completed\r\n");
	(void)rig_send(s, "17 SEARCH RETURN (SAVE MAX) ALL");
	rig_expect(s, "18 SEARCH $", "* SEARCH 2\r\n18 OK SEARCH completed\r\n");
}

/* PARTIAL saves what it returns, with MIN and MAX; with COUNT all is saved [RFC 9394 s3.2]. */
static void
test_saved_partial(void **state)
{
	struct session *s = search_session;

	(void)state;
	rig_expect(s, "1 SEARCH RETURN (SAVE PARTIAL 2:3) ALL",
	           "* ESEARCH (TAG \"1\") PARTIAL (2:3 2:3)\r\n1 OK SEARCH completed\r\n");
	rig_expect(s, "2 SEARCH $", "* SEARCH 2 3\r\n2 OK SEARCH completed\r\n");
	(void)rig_send(s, "3 SEARCH RETURN (SAVE PARTIAL -2:-2 MIN) ALL");
	rig_expect(s, "4 SEARCH $", "* SEARCH 1 3\r\n4 OK SEARCH completed\r\n");
	(void)rig_send(s, "5 SEARCH RETURN (SAVE PARTIAL 2:2 MIN MAX) ALL");
	rig_expect(s, "6 SEARCH $", "* SEARCH 1 2 4\r\n6 OK SEARCH completed\r\n");
	(void)rig_send(s, "7 SEARCH RETURN (SAVE PARTIAL 2:2 MAX COUNT) ALL");
	rig_expect(s, "8 SEARCH $", "* SEARCH 1 2 3 4\r\n8 OK SEARCH completed\r\n");
	(void)rig_send(s, "9 SEARCH RETURN (SAVE PARTIAL 5:6) ALL");
	rig_expect(s, "10 SEARCH $", "* SEARCH\r\n10 OK SEARCH completed\r\n");
}

/* A result for which there is no room is not half saved [RFC 5182 s2.5]. */
static void
test_not_saved(void **state)
{
	struct session *s = search_session;
	struct uid_set *saved = &rig_imap(s)->view.saved;
	size_t max = saved->max;

	(void)state;
	(void)rig_send(s, "1 SEARCH RETURN (SAVE) ALL");
	saved->max = 1;
	rig_expect(s, "2 SEARCH RETURN (SAVE) OR 1 3",
	           "2 NO [NOTSAVED] The result is too large to be saved\r\n");
	rig_expect(s, "3 SEARCH $", "* SEARCH\r\n3 OK SEARCH completed\r\n");
	saved->max = max;
}

/* The highest MODSEQ of what is returned [RFC 7162 s3.1.6, RFC 4731 s3.2]. */
static void
test_modseq(void **state)
{
	struct session *s;
	mail_modseq first, last;
	char line[200], want[200];

	(void)state;
	fx_append_n(rig_inbox(), 4);
	last = fx_store(rig_inbox(), 2, 2, STORE_ADD, FLAG_SEEN, "");
	first = fx_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_SEEN, "");
	assert_true(first > last);
	s = rig_selected();
	rig_imap(s)->condstore = true;
#define FULL(m) (unsigned long long)(m)
	(void)snprintf(line, sizeof line, "1 SEARCH MODSEQ %llu", FULL(last));
	(void)snprintf(want, sizeof want, "* SEARCH 1 2 (MODSEQ %llu)\r\n1 OK SEARCH completed\r\n",
	               FULL(first));
	rig_expect(s, line, want);
	(void)snprintf(line, sizeof line, "2 UID SEARCH MODSEQ \"/flags/\\\\seen\" all %llu",
	               FULL(first));
	(void)snprintf(want, sizeof want,
	               "* SEARCH 1 (MODSEQ %llu)\r\n2 OK UID SEARCH completed\r\n", FULL(first));
	rig_expect(s, line, want);
	(void)snprintf(line, sizeof line, "3 SEARCH MODSEQ %llu", FULL(first + 1));
	rig_expect(s, line, "* SEARCH\r\n3 OK SEARCH completed\r\n");
	(void)snprintf(want, sizeof want,
	               "* ESEARCH (TAG \"4\") MAX 2 MODSEQ %llu\r\n4 OK SEARCH completed\r\n",
	               FULL(last));
	rig_expect(s, "4 SEARCH RETURN (MAX) MODSEQ 1 SEEN", want);
	(void)snprintf(want, sizeof want,
	    "* ESEARCH (TAG \"5\") MAX 2 COUNT 2 MODSEQ %llu\r\n5 OK SEARCH completed\r\n",
	    FULL(first));
	rig_expect(s, "5 SEARCH RETURN (MAX COUNT) MODSEQ 0 SEEN", want);
	(void)snprintf(want, sizeof want,
	    "* ESEARCH (TAG \"6\") PARTIAL (-1:-1 2) MODSEQ %llu\r\n6 OK SEARCH completed\r\n",
	    FULL(last));
	rig_expect(s, "6 SEARCH RETURN (PARTIAL -1:-1) MODSEQ 1 SEEN", want);
	rig_expect(s, "7 SEARCH RETURN (MIN) MODSEQ 1 DRAFT",
	           "* ESEARCH (TAG \"7\")\r\n7 OK SEARCH completed\r\n");
	rig_expect(s, "8 SEARCH MODSEQ \"/flags/x\" mine 1",
	           "8 BAD SEARCH: expected priv, shared or all\r\n");
	rig_expect(s, "9 SEARCH MODSEQ \"seen\" all 1",
	           "9 BAD SEARCH: expected \"/flags/FLAG\"\r\n");
	rig_end(s);
}

/* ObjectIDs as FETCH gives them; their case counts [RFC 8474 s6]. */
static void
test_objectids(void **state)
{
	struct session *s;
	const char *said;
	char line[200], id[100];

	(void)state;
	fx_append(rig_inbox(), SLICE("Subject: a\r\n\r\na"), 0, "");
	fx_append(rig_inbox(), SLICE("Subject: b\r\n\r\nb"), 0, "");
	fx_append(rig_inbox(), SLICE("Subject: a\r\n\r\na"), 0, "");
	s = rig_selected();
	said = strstr(rig_send(s, "1 FETCH 1 EMAILID"), "EMAILID (");
	assert_non_null(said);
	(void)snprintf(id, sizeof id, "%.*s", (int)strcspn(said + 9, ")"), said + 9);
	(void)snprintf(line, sizeof line, "2 SEARCH EMAILID %s", id);
	rig_expect(s, line, "* SEARCH 1 3\r\n2 OK SEARCH completed\r\n");
	(void)snprintf(line, sizeof line, "3 SEARCH NOT EMAILID %s", id);
	rig_expect(s, line, "* SEARCH 2\r\n3 OK SEARCH completed\r\n");
	id[0] = 'e';
	(void)snprintf(line, sizeof line, "4 SEARCH EMAILID %s", id);
	rig_expect(s, line, "* SEARCH\r\n4 OK SEARCH completed\r\n");
	rig_end(s);
}

static void
test_uidonly(void **state)
{
	struct session *s = search_session;

	(void)state;
	rig_imap(s)->uidonly = true;
	rig_expect(s, "1 SEARCH ALL",
	           "1 BAD [UIDREQUIRED] Message numbers are not allowed after ENABLE UIDONLY\r\n");
	rig_expect(s, "2 UID SEARCH 1:2",
	           "2 BAD [UIDREQUIRED] Message numbers are not allowed after ENABLE UIDONLY\r\n");
	rig_expect(s, "3 UID SEARCH OR SEEN 2",
	           "3 BAD [UIDREQUIRED] Message numbers are not allowed after ENABLE UIDONLY\r\n");
	rig_expect(s, "4 UID SEARCH UID 1:2", "* SEARCH 1 2\r\n4 OK UID SEARCH completed\r\n");
	rig_imap(s)->uidonly = false;
}

static void
test_charset_with_utf8(void **state)
{
	struct session *s = search_session;

	(void)state;
	rig_imap(s)->utf8_accept = true;
	rig_expect(s, "1 SEARCH CHARSET UTF-8 ALL",
	           "1 BAD CHARSET is not allowed after ENABLE UTF8=ACCEPT\r\n");
	rig_expect(s, "2 SEARCH SUBJECT \"caf\xc3\xa9\"",
	           "* SEARCH 1\r\n2 OK SEARCH completed\r\n");
	rig_imap(s)->utf8_accept = false;
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

/* ---- Subjects that their summaries do not say ---- */

static void
expect_subjects(struct session *s, const char *text, const char *found)
{
	char line[200], want[200];

	(void)snprintf(line, sizeof line, "1 SEARCH CHARSET UTF-8 SUBJECT \"%s\"", text);
	(void)snprintf(want, sizeof want, "* SEARCH%s\r\n1 OK SEARCH completed\r\n", found);
	rig_expect(s, line, want);
}

static void
test_odd_subjects(void **state)
{
	struct session *s;

	(void)state;
	fx_append(rig_inbox(), SLICE("Subject: one\r\nSubject: two\r\n\r\n"), 0, "");
	fx_append(rig_inbox(), SLICE("Subject: \xd4\xc5\xd3\xd4\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n"),
	          0, "");
	fx_append(rig_inbox(), SLICE("Subject: x; y*=utf-8''%c3%a9t%c3%a9\r\n\r\n"), 0, "");
	fx_append(rig_inbox(), SLICE("Subject\r\n : folded two\r\n\r\n"), 0, "");
	fx_append(rig_inbox(), SLICE("Subject:\r\n =?utf-8?q?plain?=\r\n =?utf-8?q?_TWO?=\r\n\r\n"), 0, "");
	fx_append(rig_inbox(), SLICE("Subject: A plain \"One\"\r\n\r\n"), 0, "");
	fx_append(rig_inbox(), SLICE("To: nobody\r\n\r\nSubject: two\r\n"), 0, "");
	fx_append(rig_inbox(), SLICE("Subject:\r\n\r\n"), 0, "");
	s = rig_selected();
	for (int turn = 0; turn < 2; turn++) {
		expect_subjects(s, "two", " 1 4 5");
		expect_subjects(s, "one", " 1 6");
		expect_subjects(s, "\xd1\x82\xd0\xb5\xd1\x81\xd1\x82", " 2");
		expect_subjects(s, "\xc3\xa9t\xc3\xa9", " 3");
		expect_subjects(s, "plain two", " 5");
		expect_subjects(s, "plain \\\"one\\\"", " 6");
		expect_subjects(s, "", " 1 2 3 4 5 6 8");
	}
	rig_end(s);
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
	rig_expect(s, line, "1 NO [LIMIT] SEARCH: expected less nesting\r\n");
	n = (size_t)snprintf(line, sizeof line, "1 SEARCH");
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, " OR");
	rig_expect(s, line, "1 NO [LIMIT] SEARCH: expected less nesting\r\n");
	n = (size_t)snprintf(line, sizeof line, "1 SEARCH");
	for (int i = 0; i < 65; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, " BODY a");
	rig_expect(s, line, "1 NO [LIMIT] SEARCH: expected at most 64 texts to search for\r\n");
	n = (size_t)snprintf(line, sizeof line, "1 SEARCH");
	for (int i = 0; i < 1100; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, " ALL");
	rig_expect(s, line, "1 NO [LIMIT] SEARCH: expected fewer search keys\r\n");
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
	rig_expect(s, "1 SEARCH RETURN () BODY \"nee dle\"",
	           "* ESEARCH (TAG \"1\") ALL 1:10\r\n1 OK SEARCH completed\r\n");
	rig_expect(s, "2 SEARCH RETURN () BODY {8+}\r\nNEE\r\nDLE",
	           "* ESEARCH (TAG \"2\") ALL 11:20\r\n2 OK SEARCH completed\r\n");
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
	rig_expect(s, "2 SEARCH RETURN (ALL) NOT UID 5",
	           "* ESEARCH (TAG \"2\") ALL 1:4,6:2490\r\n2 OK SEARCH completed\r\n");
	rig_end(s);
}

/* Headers of megabytes: a field behind all of them, and text across every cut of one that is too
 * long to be held. */
static void
test_long_headers(void **state)
{
	struct session *s;
	struct buf mail;

	(void)state;
	for (size_t before = 0; before < 10; before++) {
		buf_init(&mail, 8u << 20);
		for (unsigned i = 0; i < 30000; i++)
			buf_printf(&mail, "X-Filler-%u: %040u\r\n", i, i);
		buf_append_str(&mail, "X-Long: ");
		for (unsigned i = 0; i < 12000; i++)
			buf_append_str(&mail, "words and more words\r\n ");
		append_dots(&mail, 30000 + before);
		buf_append_str(&mail, "NEE DLE");
		append_dots(&mail, 400000);
		buf_append_str(&mail, "\r\nSubject: at the end\r\n\r\nbody\r\n");
		assert_false(mail.failed);
		fx_append(rig_inbox(), buf_slice(&mail), 0, "");
		buf_fini(&mail);
	}
	s = rig_selected();
	rig_expect(s, "1 SEARCH RETURN () SUBJECT \"the end\"",
	           "* ESEARCH (TAG \"1\") ALL 1:10\r\n1 OK SEARCH completed\r\n");
	rig_expect(s, "2 SEARCH RETURN () HEADER X-Long \".nee dle.\"",
	           "* ESEARCH (TAG \"2\") ALL 1:10\r\n2 OK SEARCH completed\r\n");
	rig_expect(s, "3 SEARCH RETURN () TEXT \".nee dle.\"",
	           "* ESEARCH (TAG \"3\") ALL 1:10\r\n3 OK SEARCH completed\r\n");
	rig_expect(s, "4 SEARCH HEADER X-Filler-29999 nee",
	           "* SEARCH\r\n4 OK SEARCH completed\r\n");
	rig_expect(s, "5 SEARCH BODY nee", "* SEARCH\r\n5 OK SEARCH completed\r\n");
	rig_end(s);
}

static const struct body_case {
	const char *name;
	const char *mail;
	const char *keys;
	bool        found;
} bodies[] = {
	{ "HTML over tags", "Content-Type: text/html\r\n\r\n<p>in<b>voi</b>ce<p>", "BODY invoice", true },
	{ "HTML over blocks", "Content-Type: text/html\r\n\r\n<p>in</p>voice", "BODY invoice", false },
	{ "HTML over lines", "Content-Type: text/html\r\n\r\n<p>the\r\n  invoice", "BODY \"the invoice\"", true },
	{ "no tags", "Content-Type: text/html\r\n\r\n<table class=invoice>", "BODY invoice", false },
	{ "no script", "Content-Type: text/html\r\n\r\n<script>invoice</script>", "TEXT invoice", false },
	{ "HTML references", "Content-Type: text/html\r\n\r\n&uuml;ber &#228", "BODY \"ueber\"", false },
	{ "HTML umlauts", "Content-Type: text/html\r\n\r\nSch&ouml;n", "BODY scho", true },
	{ "tags in plain text", "Content-Type: text/plain\r\n\r\n<b>x</b>", "BODY <b>x", true },
	{ "delivery status", "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n", "BODY failed", true },
	{ "other types", "Content-Type: image/png\r\n\r\nfailed\r\n", "BODY failed", false },
	{ "header type behind a comment", "Content-Type: (c) text/plain; charset=iso-8859-1\r\n\r\n\xe9t\xe9", "BODY te", true },
	{ "folded header", "Subject: one\r\n two\r\n\r\n", "SUBJECT \"one two\"", true },
	{ "several fields of the name", "To: a@b\r\nTo: c@d\r\n\r\n", "TO c@d", true },
	{ "address in pieces", "From: \"X \\\"Y\\\" Z\" <a (c) @ b . org>\r\n\r\n", "FROM {16+}\r\nx \"y\" z <a@b.org", true },
	{ "field without colon", "no colon\r\nSubject: x\r\n\r\n", "TEXT \"no colon\"", true },
	{ "BODY has no part headers", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	  "X-A: zebra\r\n\r\nx\r\n--b--\r\n", "BODY zebra", false },
	{ "TEXT has part headers", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	  "X-A: zebra\r\n\r\nx\r\n--b--\r\n", "TEXT zebra", true },
	{ "empty text", "Subject: x\r\n\r\n", "BODY \"\" TEXT \"\"", true },
	{ "field is not there", "Subject: x\r\n\r\n", "HEADER X-No \"\"", false },
};

static void
test_bodies(void **state)
{
	struct session *s;
	char line[300];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bodies); i++) {
		mail_uid uid = fx_append(rig_inbox(), slice_str(bodies[i].mail), 0, "");

		s = rig_selected();
		(void)snprintf(line, sizeof line, "1 SEARCH %s", bodies[i].keys);
		if (strstr(rig_send(s, line),
		           bodies[i].found ? "* SEARCH 1\r\n1 OK" : "* SEARCH\r\n1 OK") == NULL)
			fail_msg("%s: %s", bodies[i].name, rig_send(s, line));
		rig_end(s);
		(void)fx_expunge(rig_inbox(), uid, uid);
	}
}

/* A day is that of the message's zone, which can be another one than in UTC, on both sides. */
static void
test_days_of_zones(void **state)
{
	static const char *const dates[] = { "14-Nov-2023 23:50:00 -1200", "15-Nov-2023 00:10:00 +1400" };
	struct session *s = rig_selected();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char line[100];

		(void)snprintf(line, sizeof line, "1 APPEND INBOX \"%s\" {3+}\r\n\r\nx", dates[i]);
		(void)rig_send(s, line);
	}
	rig_expect(s, "2 SEARCH ON 14-Nov-2023", "* SEARCH 1\r\n2 OK SEARCH completed\r\n");
	rig_expect(s, "3 SEARCH ON 15-Nov-2023", "* SEARCH 2\r\n3 OK SEARCH completed\r\n");
	rig_expect(s, "4 SEARCH SINCE 15-Nov-2023", "* SEARCH 2\r\n4 OK SEARCH completed\r\n");
	rig_expect(s, "5 SEARCH BEFORE 15-Nov-2023", "* SEARCH 1\r\n5 OK SEARCH completed\r\n");
	rig_expect(s, "6 SEARCH NOT SINCE 15-Nov-2023", "* SEARCH 1\r\n6 OK SEARCH completed\r\n");
	rig_expect(s, "7 SEARCH NOT BEFORE 15-Nov-2023", "* SEARCH 2\r\n7 OK SEARCH completed\r\n");
	/* Far away from it, and two of a kind. */
	rig_expect(s, "8 SEARCH SINCE 1-Jan-2024", "* SEARCH\r\n8 OK SEARCH completed\r\n");
	rig_expect(s, "9 SEARCH BEFORE 1-Jan-2023", "* SEARCH\r\n9 OK SEARCH completed\r\n");
	rig_expect(s, "10 SEARCH NOT SINCE 1-Jan-2024 NOT BEFORE 1-Jan-2023 NOT ON 1-Jan-2020",
	           "* SEARCH 1 2\r\n10 OK SEARCH completed\r\n");
	rig_expect(s, "11 SEARCH SINCE 1-Jan-2023 SINCE 15-Nov-2023 BEFORE 1-Jan-2024 BEFORE 1-Jan-2025",
	           "* SEARCH 2\r\n11 OK SEARCH completed\r\n");
	rig_end(s);
}

/* Keys that are dear to look for are so too where the Subject is remembered: other sessions have
 * their turn all the same. */
static void
test_dear_keys(void **state)
{
	struct buf mail, keys;
	struct session *s;
	char *first;
	unsigned steps;

	(void)state;
	buf_init(&mail, 65536);
	buf_init(&keys, 65536);
	buf_printf(&mail, "Subject: %01900d\r\n\r\nx\r\n", 0);
	for (int i = 0; i < 200; i++)
		fx_append(rig_inbox(), buf_slice(&mail), 0, "");
	buf_append_str(&keys, "1 SEARCH");
	for (int i = 0; i < 60; i++)
		buf_printf(&keys, " NOT SUBJECT \"%0800d\"", 1);
	buf_append_byte(&keys, 0);
	s = rig_selected();
	first = strdup(rig_send(s, (const char *)keys.ptr));
	steps = imap_steps(s);
	rig_expect(s, (const char *)keys.ptr, first);
	assert_true(imap_steps(s) > steps + 4);
	free(first);
	rig_end(s);
	buf_fini(&mail);
	buf_fini(&keys);
}

int
main(void)
{
	static const struct CMUnitTest on_set[] = {
		cmocka_unit_test(test_saved_partial),
		cmocka_unit_test(test_not_saved),
		cmocka_unit_test(test_uidonly),
		cmocka_unit_test(test_charset_with_utf8),
		cmocka_unit_test(test_rev2_answers_esearch),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_saved),   /* expunges: the last one */
	};
	static const struct CMUnitTest others[] = {
		cmocka_unit_test_setup_teardown(test_across_pieces, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_many, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_modseq, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_objectids, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_odd_subjects, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_long_headers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_bodies, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_days_of_zones, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_dear_keys, rig_setup, rig_teardown),
	};
	struct CMUnitTest tests[UNIT_COUNT(cases) + UNIT_COUNT(on_set)];
	size_t n = 0;
	int failed;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_search, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(on_set); i++)
		tests[n++] = on_set[i];
	failed = _cmocka_run_group_tests("imap_search keys", tests, n, search_setup,
	                                 search_teardown);
	return failed + cmocka_run_group_tests_name("imap_search", others, NULL, NULL);
}
