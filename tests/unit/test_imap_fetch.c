/* FETCH as a client sees it: transcripts over a real volume, each given whole and in the
 * smallest steps. */
#include "tests/unit/damage_tools.h"
#include "tests/unit/imap_rig.h"

#include "lib/nowait.h"

/* The structure of RFC 3501 s6.4.5: a multipart with text, base64, and an embedded message that
 * is a multipart whose second part is a multipart itself. */
#define HEAD "From: Anna <anna@example.org>\r\nTo: ben@example.org\r\nSubject: Nested\r\n" \
             "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <n@example.org>\r\nMIME-Version: 1.0\r\n" \
             "Content-Type: multipart/mixed; boundary=outer\r\n\r\n"
#define P1_MIME "Content-Type: text/plain\r\n\r\n"
#define P1_BODY "first\r\npart"
#define P2_MIME "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
#define P2_BODY "AAECAwQ=\r\n"
#define P3_MIME "Content-Type: message/rfc822\r\n\r\n"
#define P3_HEAD "From: Carl <carl@example.org>\r\nSubject: Inner\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n"
#define P31_MIME "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
#define P31_BODY "caf=C3=A9=\r\n!"
#define P32_MIME "Content-Type: multipart/alternative; boundary=deep\r\n\r\n"
#define P321_MIME "Content-Type: text/plain\r\n\r\n"
#define P321_BODY "deep"
#define P322_MIME "Content-Type: text/html\r\nContent-Transfer-Encoding: x-odd\r\n\r\n"
#define P322_BODY "<b>deep</b>"
#define P32_BODY "--deep\r\n" P321_MIME P321_BODY "\r\n--deep\r\n" P322_MIME P322_BODY "\r\n--deep--"
#define P3_TEXT "--inner\r\n" P31_MIME P31_BODY "\r\n--inner\r\n" P32_MIME P32_BODY "\r\n--inner--"
#define TEXT "preamble\r\n--outer\r\n" P1_MIME P1_BODY "\r\n--outer\r\n" P2_MIME P2_BODY "\r\n--outer\r\n" \
             P3_MIME P3_HEAD P3_TEXT "\r\n--outer--\r\nepilogue\r\n"

static const struct fetch_case {
	const char *name;
	const char *items;
	const char *label;      /* written before the string */
	struct slice want;      /* the octets of the literal; ptr NULL: NIL; empty: "" */
} sections[] = {
	{ "whole", "BODY.PEEK[]", "BODY[]", SLICE_INIT(HEAD TEXT) },
	{ "header", "BODY.PEEK[HEADER]", "BODY[HEADER]", SLICE_INIT(HEAD) },
	{ "rfc822.header", "RFC822.HEADER", "RFC822.HEADER", SLICE_INIT(HEAD) },
	{ "text", "BODY.PEEK[TEXT]", "BODY[TEXT]", SLICE_INIT(TEXT) },
	{ "part", "BODY.PEEK[1]", "BODY[1]", SLICE_INIT(P1_BODY) },
	{ "part mime", "BODY.PEEK[1.MIME]", "BODY[1.MIME]", SLICE_INIT(P1_MIME) },
	{ "part with base64", "BODY.PEEK[2]", "BODY[2]", SLICE_INIT(P2_BODY) },
	{ "message part", "BODY.PEEK[3]", "BODY[3]", SLICE_INIT(P3_HEAD P3_TEXT) },
	{ "message part header", "BODY.PEEK[3.HEADER]", "BODY[3.HEADER]", SLICE_INIT(P3_HEAD) },
	{ "message part text", "BODY.PEEK[3.TEXT]", "BODY[3.TEXT]", SLICE_INIT(P3_TEXT) },
	{ "message part mime", "BODY.PEEK[3.MIME]", "BODY[3.MIME]", SLICE_INIT(P3_MIME) },
	{ "inner part", "BODY.PEEK[3.1]", "BODY[3.1]", SLICE_INIT(P31_BODY) },
	{ "inner multipart", "BODY.PEEK[3.2]", "BODY[3.2]", SLICE_INIT(P32_BODY) },
	{ "inner multipart mime", "BODY.PEEK[3.2.MIME]", "BODY[3.2.MIME]", SLICE_INIT(P32_MIME) },
	{ "deepest", "BODY.PEEK[3.2.2]", "BODY[3.2.2]", SLICE_INIT(P322_BODY) },
	{ "deepest mime", "BODY.PEEK[3.2.2.MIME]", "BODY[3.2.2.MIME]", SLICE_INIT(P322_MIME) },
	{ "no such part", "BODY.PEEK[4]", "BODY[4]", { NULL, 0 } },
	{ "no such depth", "BODY.PEEK[1.2]", "BODY[1.2]", { NULL, 0 } },
	{ "header of what is no message", "BODY.PEEK[2.HEADER]", "BODY[2.HEADER]", { NULL, 0 } },
	{ "fields", "BODY.PEEK[HEADER.FIELDS (SUBJECT from)]", "BODY[HEADER.FIELDS (SUBJECT from)]",
	  SLICE_INIT("From: Anna <anna@example.org>\r\nSubject: Nested\r\n\r\n") },
	{ "fields not there", "BODY.PEEK[HEADER.FIELDS (X-None)]", "BODY[HEADER.FIELDS (X-None)]",
	  SLICE_INIT("\r\n") },
	{ "fields not", "BODY.PEEK[HEADER.FIELDS.NOT (From To Date Message-ID Content-Type)]",
	  "BODY[HEADER.FIELDS.NOT (From To Date Message-ID Content-Type)]",
	  SLICE_INIT("Subject: Nested\r\nMIME-Version: 1.0\r\n\r\n") },
	{ "fields of the inner message", "BODY.PEEK[3.HEADER.FIELDS (Subject)]", "BODY[3.HEADER.FIELDS (Subject)]",
	  SLICE_INIT("Subject: Inner\r\n\r\n") },
	{ "fields, partial", "BODY.PEEK[HEADER.FIELDS (Subject)]<9.6>", "BODY[HEADER.FIELDS (Subject)]<9>",
	  SLICE_INIT("Nested") },
	{ "partial from the start", "BODY.PEEK[1]<0.5>", "BODY[1]<0>", SLICE_INIT("first") },
	{ "partial inside", "BODY.PEEK[1]<7.2>", "BODY[1]<7>", SLICE_INIT("pa") },
	{ "partial over the end", "BODY.PEEK[1]<7.2000>", "BODY[1]<7>", SLICE_INIT("part") },
	{ "partial at the end", "BODY.PEEK[1]<11.1>", "BODY[1]<11>", SLICE_INIT("") },
	{ "partial beyond", "BODY.PEEK[1]<9223372036854775807.9223372036854775807>",
	  "BODY[1]<9223372036854775807>", SLICE_INIT("") },
	{ "binary of plain text", "BINARY.PEEK[1]", "BINARY[1]", SLICE_INIT(P1_BODY) },
	{ "binary of quoted-printable", "BINARY.PEEK[3.1]", "BINARY[3.1]", SLICE_INIT("caf\xc3\xa9!") },
	{ "binary partial", "BINARY.PEEK[3.1]<3.2>", "BINARY[3.1]<3>", SLICE_INIT("\xc3\xa9") },
	{ "binary partial beyond", "BINARY.PEEK[3.1]<60.2>", "BINARY[3.1]<60>", SLICE_INIT("") },
	{ "binary of no part", "BINARY.PEEK[9]", "BINARY[9]", { NULL, 0 } },
	{ "binary of the whole", "BINARY.PEEK[]", "BINARY[]", SLICE_INIT(HEAD TEXT) },
};

static void
format_want(const struct fetch_case *k, struct buf *out)
{
	buf_printf(out, "* 1 FETCH (%s ", k->label);
	if (k->want.ptr == NULL)
		buf_append_str(out, "NIL");
	else if (k->want.len == 0)
		buf_append_str(out, "\"\"");
	else
		buf_printf(out, "{%zu}\r\n%.*s", k->want.len, SLICE_ARG(k->want));
	buf_append_str(out, ")\r\n1 OK FETCH completed\r\n");
	buf_append_byte(out, 0);
}

static struct session *section_session;

static int
sections_setup(void **state)
{
	int rc = rig_setup(state);

	fx_append(rig_inbox(), SLICE(HEAD TEXT), FLAG_SEEN, "");
	section_session = rig_selected();
	return rc;
}

static int
sections_teardown(void **state)
{
	rig_end(section_session);
	return rig_teardown(state);
}

static void
test_section(void **state)
{
	const struct fetch_case *k = *state;
	char line[300];
	struct buf want;

	buf_init(&want, 65536);
	format_want(k, &want);
	(void)snprintf(line, sizeof line, "1 FETCH 1 %s", k->items);
	for (size_t soft = 1; soft <= SESSION_OUT_SOFT; soft *= SESSION_OUT_SOFT) {
		imap_set_out_soft(section_session, soft);
		rig_expect(section_session, line, (const char *)want.ptr);
	}
	buf_fini(&want);
}

static void
test_items(void **state)
{
	struct session *s = section_session;
	char fast[200];

	(void)state;
	(void)snprintf(fast, sizeof fast,
	    "* 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE \"14-Nov-2023 20:43:20 -0130\" "
	    "RFC822.SIZE %zu)\r\n1 OK FETCH completed\r\n",
	    sizeof(HEAD TEXT) - 1);
	rig_expect(s, "1 FETCH 1 FAST", fast);
	rig_expect(s, "1 UID FETCH 1 (ENVELOPE)",
	    "* 1 FETCH (UID 1 ENVELOPE (\"Mon, 7 Feb 1994 21:52:25 -0800\" \"Nested\" ((\"Anna\" "
	    "NIL \"anna\" \"example.org\")) ((\"Anna\" NIL \"anna\" \"example.org\")) ((\"Anna\" "
	    "NIL \"anna\" \"example.org\")) ((NIL NIL \"ben\" \"example.org\")) NIL NIL NIL "
	    "\"<n@example.org>\"))\r\n1 OK UID FETCH completed\r\n");
	rig_expect(s, "1 FETCH 1 (BINARY.SIZE[2] BINARY.SIZE[3.1] BINARY.SIZE[7] BINARY.SIZE[1])",
	    "* 1 FETCH (BINARY.SIZE[2] 5 BINARY.SIZE[3.1] 6 BINARY.SIZE[7] 0 BINARY.SIZE[1] 11)\r\n"
	    "1 OK FETCH completed\r\n");
	rig_expect(s, "1 UID FETCH 7:8 FLAGS", "1 OK UID FETCH completed\r\n");
	rig_expect(s, "1 FETCH 2 FLAGS", "1 BAD Message number 2 of 1 is not there\r\n");
	rig_expect(s, "1 FETCH 1 BODY[1.]",
	           "1 BAD FETCH: expected part number, HEADER, HEADER.FIELDS, TEXT or MIME\r\n");
	rig_expect(s, "1 FETCH 1 (FLAGS) FLAGS", "1 BAD FETCH: expected (\r\n");
}

static void
test_bodystructure(void **state)
{
	struct session *s = section_session;
	const char *said = rig_send(s, "1 FETCH 1 (BODY BODYSTRUCTURE)");

	(void)state;
	assert_non_null(strstr(said, "* 1 FETCH (BODY ((\"text\" \"plain\""));
	assert_non_null(strstr(said, " BODYSTRUCTURE ((\"text\" \"plain\""));
	assert_non_null(strstr(said, "\"mixed\") BODYSTRUCTURE"));  /* BODY has no extension data */
}

/* Raw UTF-8 in headers: a literal for sessions that know ASCII only, quoted for those that enabled
 * more; other octets stay literals. message/global is nested only for those that know it
 * [RFC 9755 s3, s6]. */
#define GLOBAL_HEAD "From: J\xc3\xb6rg <j@example.org>\r\nSubject: caf\xe9\r\n" \
                    "Content-Type: multipart/mixed; boundary=x\r\n\r\n"
#define GLOBAL_MAIL GLOBAL_HEAD "--x\r\nContent-Type: message/global\r\n\r\nSubject: \xc3\xbc\r\n\r\na\r\n--x--\r\n"
#define GLOBAL_BEGIN "((\"message\" \"global\" NIL NIL NIL \"7BIT\" 16"
#define GLOBAL_INSIDE "NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 1 0"

static void
test_utf8_forms(void **state)
{
	static const char ascii[] =
	    "* 1 FETCH (ENVELOPE (NIL {4}\r\ncaf\xe9 (({5}\r\nJ\xc3\xb6rg NIL \"j\"";
	static const char utf8[] =
	    "* 1 FETCH (ENVELOPE (NIL {4}\r\ncaf\xe9 ((\"J\xc3\xb6rg\" NIL \"j\"";
	struct session *s;

	(void)state;
	fx_append(rig_inbox(), SLICE(GLOBAL_MAIL), FLAG_SEEN, "");
	s = rig_selected();
	assert_memory_equal(rig_send(s, "1 FETCH 1 ENVELOPE"), ascii, sizeof ascii - 1);
	rig_expect(s, "2 FETCH 1 BODY",
	           "* 1 FETCH (BODY " GLOBAL_BEGIN ") \"mixed\"))\r\n2 OK FETCH completed\r\n");
	rig_expect(s, "3 FETCH 1 BODYSTRUCTURE",
	           "* 1 FETCH (BODYSTRUCTURE " GLOBAL_BEGIN " NIL NIL NIL NIL) \"mixed\" "
	           "(\"boundary\" \"x\") NIL NIL NIL))\r\n3 OK FETCH completed\r\n");
	rig_imap(s)->utf8 = true;
	assert_memory_equal(rig_send(s, "4 FETCH 1 ENVELOPE"), utf8, sizeof utf8 - 1);
	rig_expect(s, "5 FETCH 1 BODY",
	           "* 1 FETCH (BODY " GLOBAL_BEGIN " (NIL \"\xc3\xbc\" " GLOBAL_INSIDE
	           ") 2) \"mixed\"))\r\n5 OK FETCH completed\r\n");
	rig_expect(s, "6 FETCH 1 BODYSTRUCTURE",
	           "* 1 FETCH (BODYSTRUCTURE " GLOBAL_BEGIN " (NIL \"\xc3\xbc\" " GLOBAL_INSIDE
	           " NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"x\") NIL NIL "
	           "NIL))\r\n6 OK FETCH completed\r\n");
	rig_end(s);
}

/* Extended parameters: as in the message, or in UTF-8 for IMAP4rev2. */
static void
test_parameters(void **state)
{
	struct session *s;

	(void)state;
	fx_append(rig_inbox(),
	          SLICE("Content-Type: a/b; name*=utf-8''%C3%A9%22; x=\"*\"\r\n"
	                "Content-Disposition: inline; filename*0*=iso-8859-1'de'%E9; "
	                "filename*1=b\r\n\r\n"),
	          FLAG_SEEN, "");
	s = rig_selected();
	rig_expect(s, "1 FETCH 1 BODYSTRUCTURE",
	           "* 1 FETCH (BODYSTRUCTURE (\"a\" \"b\" (\"name*\" \"utf-8''%C3%A9%22\" \"x\" "
	           "\"*\") NIL NIL \"7BIT\" 0 NIL (\"inline\" (\"filename*\" "
	           "\"iso-8859-1'de'%E9b\")) NIL NIL))\r\n"
	           "1 OK FETCH completed\r\n");
	rig_imap(s)->rev2 = rig_imap(s)->utf8 = true;
	rig_expect(s, "2 FETCH 1 BODYSTRUCTURE",
	           "* 1 FETCH (BODYSTRUCTURE (\"a\" \"b\" (\"name*\" \"\xc3\xa9\\\"\" \"x\" \"*\") "
	           "NIL NIL \"7BIT\" 0 NIL (\"inline\" (\"filename*\" \"\xc3\xa9"
	           "b\")) NIL NIL))\r\n"
	           "2 OK FETCH completed\r\n");
	rig_expect(s, "3 FETCH 1 BODY",
	           "* 1 FETCH (BODY (\"a\" \"b\" (\"name*\" \"\xc3\xa9\\\"\" \"x\" \"*\") NIL NIL "
	           "\"7BIT\" 0))\r\n"
	           "3 OK FETCH completed\r\n");
	rig_end(s);
}

/* Decoded content with a NUL is a literal8, exact; without, a literal. Other data never have a
 * NUL. */
static void
test_nul(void **state)
{
	static const char want[] =
	    "* 1 FETCH (BINARY[2] ~{5}\r\n\0\1\2\3\4)\r\n1 OK FETCH completed\r\n";
	static const char plain[] = "* 2 FETCH (BINARY[1] ~{5}\r\na\0b\r\n)";
	struct session *s = section_session;
	const char *said = rig_send(s, "1 FETCH 1 BINARY.PEEK[2]");

	(void)state;
	assert_memory_equal(said, want, sizeof want);
	fx_append(rig_inbox(), SLICE("Subject: x\r\n\r\na\0b\r\n"), FLAG_SEEN, "");
	(void)rig_send(s, "2 NOOP");
	rig_expect(s, "3 FETCH 2 BODY.PEEK[TEXT]",
	           "* 2 FETCH (BODY[TEXT] {5}\r\na\x80"
	           "b\r\n)\r\n3 OK FETCH completed\r\n");
	said = rig_send(s, "4 FETCH 2 BINARY.PEEK[1]");
	assert_memory_equal(said, plain, sizeof plain - 1);
}

/* Decoded text has CRLF at its line ends, whatever was encoded; what is no text, or has NULs, is
 * exact. */
static void
test_binary_line_ends(void **state)
{
	static const struct { const char *mail, *want; size_t len; } lines[] = {
		{ "Content-Transfer-Encoding: base64\r\n\r\nYQpiDQpjCg==\r\n", "BINARY[1] {9}\r\na\r\nb\r\nc\r\n)", 25 },
		{ "Content-Transfer-Encoding: quoted-printable\r\n\r\na=0Ab=0D=0Ac\r\n",
		  "BINARY[1] {9}\r\na\r\nb\r\nc\r\n)", 25 },
		{ "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpiDQpjCg==\r\n",
		  "BINARY[1] {7}\r\na\nb\r\nc\n)", 23 },
		{ "Content-Transfer-Encoding: base64\r\n\r\nYQAKAA==\r\n", "BINARY[1] ~{4}\r\na\0\n\0)", 21 },
	};
	struct session *s;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(lines); i++)
		fx_append(rig_inbox(), slice_str(lines[i].mail), FLAG_SEEN, "");
	s = rig_selected();
	for (size_t i = 0; i < UNIT_COUNT(lines); i++) {
		char line[60];
		const char *said;

		(void)snprintf(line, sizeof line, "1 FETCH %zu BINARY.PEEK[1]", i + 1);
		said = strstr(rig_send(s, line), "BINARY");
		assert_non_null(said);
		assert_memory_equal(said, lines[i].want, lines[i].len);
	}
	rig_expect(s, "2 FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1]<2.3>)",
	    "* 1 FETCH (BINARY.SIZE[1] 9 BINARY[1]<2> {3}\r\n\nb\r)\r\n2 OK FETCH completed\r\n");
	rig_end(s);
}

/* An encoding that nobody knows: NO, that message left out, others served. */
static void
test_unknown_cte(void **state)
{
	struct session *s = section_session;

	(void)state;
	fx_append(rig_inbox(), SLICE(TEST_MAIL), FLAG_SEEN, "");
	fx_append(rig_inbox(), SLICE("Content-Transfer-Encoding: base64\r\n\r\nAA=A*\r\n"),
	          FLAG_SEEN, "");
	(void)rig_send(s, "1 NOOP");
	rig_expect(s, "2 FETCH 1:2 (UID BINARY.PEEK[3.2.2])",
	           "* 2 FETCH (UID 2 BINARY[3.2.2] NIL)\r\n"
	           "2 NO [UNKNOWN-CTE] A part of the message with UID 1 cannot be decoded\r\n");
	rig_expect(s, "3 FETCH 3 BINARY.SIZE[1]",
	           "3 NO [UNKNOWN-CTE] A part of the message with UID 3 cannot be decoded\r\n");
	rig_expect(s, "4 FETCH 3 BODY.PEEK[1]",
	           "* 3 FETCH (BODY[1] {7}\r\nAA=A*\r\n)\r\n4 OK FETCH completed\r\n");
}

/* ---- \Seen ---- */

static void
test_seen(void **state)
{
	struct session *a, *b;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	fx_append(rig_inbox(), SLICE(TEST_MAIL), FLAG_SEEN, "");
	a = rig_selected();
	b = rig_selected();
	rig_expect(a, "1 FETCH 1 BODY.PEEK[TEXT]",
	           "* 1 FETCH (BODY[TEXT] {10}\r\nAt five?\r\n)\r\n1 OK FETCH completed\r\n");
	rig_expect(a, "2 FETCH 1,3 BODY[TEXT]",
	           "* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {10}\r\nAt five?\r\n)\r\n"
	           "* 3 FETCH (BODY[TEXT] {10}\r\nAt five?\r\n)\r\n2 OK FETCH completed\r\n");
	rig_expect(a, "3 NOOP", "3 OK NOOP completed\r\n");
	rig_expect(b, "4 NOOP", "* 1 FETCH (FLAGS (\\Seen))\r\n4 OK NOOP completed\r\n");
	rig_expect(a, "5 FETCH 2 (RFC822.TEXT FLAGS)",
	           "* 2 FETCH (RFC822.TEXT {10}\r\nAt five?\r\n FLAGS (\\Seen \\Recent))\r\n5 OK "
	           "FETCH completed\r\n");
	rig_end(a);
	rig_end(b);
}

static void
test_examine_keeps_unseen(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 1);
	a = rig_session();
	(void)rig_send(a, "1 EXAMINE INBOX");
	rig_expect(a, "2 FETCH 1 (BODY[TEXT] FLAGS)",
	           "* 1 FETCH (BODY[TEXT] {10}\r\nAt five?\r\n FLAGS (\\Recent))\r\n"
	           "2 OK FETCH completed\r\n");
	rig_expect(a, "3 STORE 1 +FLAGS (\\Seen)",
	           "3 NO [READ-ONLY] The mailbox was opened with EXAMINE\r\n");
	rig_end(a);
}

/* ---- size ---- */

/* A message of several MiB goes out in pieces, byte for byte, with the output never much above
 * its soft limit; decoded as well, and from the middle. */
static void
test_large(void **state)
{
	static const char head[] = "Subject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n";
	struct session *s;
	struct buf mail;
	const char *said;
	size_t lines = 60000, body = lines * 78;
	char start[100];

	(void)state;
	buf_init(&mail, 16u << 20);
	buf_append_str(&mail, head);
	for (size_t i = 0; i < lines; i++) {
		for (size_t k = 0; k < 76; k++)
			buf_append_byte(&mail, (uint8_t)("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
			                                     [(i * 31 + k * 7) % 32]));
		buf_append_str(&mail, "\r\n");
	}
	fx_append(rig_inbox(), buf_slice(&mail), FLAG_SEEN, "");
	s = rig_selected();
	said = rig_send(s, "1 FETCH 1 BODY.PEEK[TEXT]");
	(void)snprintf(start, sizeof start, "* 1 FETCH (BODY[TEXT] {%zu}\r\n", body);
	assert_memory_equal(said, start, strlen(start));
	assert_memory_equal(said + strlen(start), mail.ptr + sizeof head - 1, body);
	assert_string_equal(said + strlen(start) + body, ")\r\n1 OK FETCH completed\r\n");
	assert_true(imap_largest_output(s) <= 2 * SESSION_OUT_SOFT);
	said = rig_send(s, "2 FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1]<3000000.100>)");
	(void)snprintf(start, sizeof start,
	               "* 1 FETCH (BINARY.SIZE[1] %zu BINARY[1]<3000000> ~{100}\r\n", lines * 57);
	assert_memory_equal(said, start, strlen(start));
	assert_string_equal(said + strlen(start) + 100, ")\r\n2 OK FETCH completed\r\n");
	rig_end(s);
	buf_fini(&mail);
}

/* An ENVELOPE that is long, asked for again and again: in pieces like what is longer still. */
static void
test_repeated(void **state)
{
	struct session *s;
	struct buf mail, ask;

	(void)state;
	buf_init(&mail, 65536);
	buf_append_str(&mail, "Subject: many\r\nTo: ");
	for (int i = 0; i < 800; i++)
		buf_printf(&mail, "%sfriend number %d <friend%d@example.org>",
		           i > 0 ? ",\r\n " : "", i, i);
	buf_append_str(&mail, "\r\n\r\nHello\r\n");
	fx_append(rig_inbox(), buf_slice(&mail), FLAG_SEEN, "");
	buf_init(&ask, 4096);
	buf_append_str(&ask, "1 FETCH 1 (ENVELOPE");
	for (int i = 0; i < 60; i++)
		buf_append_str(&ask, " ENVELOPE");
	buf_append(&ask, ")", 2);
	s = rig_selected();
	assert_non_null(strstr(rig_send(s, (const char *)ask.ptr), "1 OK FETCH completed"));
	assert_true(imap_largest_output(s) <= 2 * SESSION_OUT_SOFT);
	rig_end(s);
	buf_fini(&mail);
	buf_fini(&ask);
}

/* Many messages: pages, in any size of steps, with gaps in the UIDs. */
static void
test_many(void **state)
{
	struct session *s;
	unsigned steps;
	char *first;

	(void)state;
	fx_append_n(rig_inbox(), 1500);
	fx_expunge(rig_inbox(), 400, 480);
	fx_expunge(rig_inbox(), 1000, 1000);
	s = rig_selected();
	first = strdup(rig_send(s, "1 FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)"));
	assert_non_null(strstr(first, "* 399 FETCH (UID 399 "));
	assert_non_null(strstr(first, "* 400 FETCH (UID 481 "));
	assert_non_null(strstr(first, "* 1418 FETCH (UID 1500 "));
	assert_true(imap_largest_output(s) <= 2 * SESSION_OUT_SOFT);
	imap_set_out_soft(s, 100);
	steps = imap_steps(s);
	rig_expect(s, "1 FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)", first);
	assert_true(imap_steps(s) > steps + 1000);
	assert_true(imap_largest_output(s) <= 2 * SESSION_OUT_SOFT);
	free(first);
	rig_end(s);
}

/* Summaries too large for a page: fewer rows at once, all of them answered; for SEARCH too. */
static void
test_large_summaries(void **state)
{
	struct session *s;
	struct buf mail;
	const char *said;

	(void)state;
	buf_init(&mail, 1u << 20);
	buf_append_str(&mail, "Subject: many\r\nTo: ");
	for (int i = 0; i < 1900; i++)
		buf_printf(&mail, "A rather long name %d <person%d@department%d.example.org>,\r\n ",
		           i, i, i);
	buf_append_str(&mail, "last@example.org\r\n\r\nbody\r\n");
	for (int i = 0; i < 130; i++)
		fx_append(rig_inbox(), buf_slice(&mail), 0, "");
	s = rig_selected();
	said = rig_send(s, "1 FETCH 1:* ENVELOPE");
	for (unsigned i = 1; i <= 130; i++) {
		char start[40];

		(void)snprintf(start, sizeof start, "* %u FETCH (ENVELOPE (", i);
		said = strstr(said, start);
		assert_non_null(said);
	}
	assert_non_null(strstr(said, "\r\n1 OK FETCH completed\r\n"));
	rig_expect(s, "2 SEARCH RETURN (COUNT) SENTSINCE 1-Jan-1990",
	           "* ESEARCH (TAG \"2\") COUNT 130\r\n2 OK SEARCH completed\r\n");
	rig_end(s);
	buf_fini(&mail);
}

/* A message in the view that storage no longer has, not even as a tombstone. */
static void
test_beyond_retention(void **state)
{
	struct session *s;
	struct imap_view *view;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1 UID");
	view = &rig_imap(s)->view;
	assert_true(uid_set_add(&view->uids, 50, 50));
	view->exists++;
	rig_expect(s, "2 FETCH 1:3 UID", "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n"
	           "2 NO [EXPUNGEISSUED] Some of the messages no longer exist\r\n");
	rig_end(s);
}

/* ---- damage ---- */

static uint64_t
damage_told(void)
{
	struct volume_status st;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_false(volume_is_damaged(fx_v));
	return st.damage;
}

static void
test_damage_before_announcement(void **state)
{
	struct session *s;
	struct buf mail;

	(void)state;
	buf_init(&mail, 1u << 20);
	buf_append_str(&mail, "Subject: x\r\n\r\n");
	fill_random(&mail, 3000, 1);
	buf_append_str(&mail, "NEEDLE");
	fill_random(&mail, 3000, 2);
	fx_append(rig_inbox(), buf_slice(&mail), FLAG_SEEN, "");
	fx_append(rig_inbox(), SLICE(TEST_MAIL), FLAG_SEEN, "");
	damage_log("NEEDLE");
	s = rig_selected();
	assert_int_equal(damage_told(), 0);
	rig_expect(s, "1 FETCH 1:2 (UID BODY.PEEK[TEXT])",
	    "* 2 FETCH (UID 2 BODY[TEXT] {10}\r\nAt five?\r\n)\r\n"
	    "1 NO [CORRUPTION] The message with UID 1 is damaged in storage; others were sent\r\n");
	rig_expect(s, "2 FETCH 1 (UID BODY.PEEK[HEADER])",
	           "* 1 FETCH (UID 1 BODY[HEADER] {14}\r\nSubject: x\r\n\r\n)\r\n2 OK "
	           "FETCH completed\r\n");
	rig_expect(s, "3 FETCH 1 (BODY.PEEK[TEXT])",
	    "3 NO [CORRUPTION] The message with UID 1 is damaged in storage; others were sent\r\n");
	assert_int_equal(damage_told(), 1);
	/* light runs met it, and said nothing */
	assert_true(imap_refused_steps(s) > 0 || !nowait_is_possible());
	assert_false(imap_is_closed(s));
	rig_end(s);
	buf_fini(&mail);
}

/* A light run ends before the first part, and the second has not been looked at by then. */
static void
test_damage_before_light_end(void **state)
{
	struct session *s;
	struct buf mail;

	(void)state;
	buf_init(&mail, 1u << 20);
	buf_append_str(&mail, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n");
	fill_random(&mail, 4u * 65536 - 7, 5);          /* what follows is a chunk of its own */
	buf_append_str(&mail, "\r\n--b\r\n\r\n");
	fill_random(&mail, 3000, 6);
	buf_append_str(&mail, "NEEDLE");
	fill_random(&mail, 3000, 7);
	buf_append_str(&mail, "\r\n--b--\r\n");
	fx_append(rig_inbox(), buf_slice(&mail), FLAG_SEEN, "");
	damage_log("NEEDLE");
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1 BODY.PEEK[HEADER]");
	rig_expect(s, "2 FETCH 1 (BODY.PEEK[2] BODY.PEEK[1])",
	    "2 NO [CORRUPTION] The message with UID 1 is damaged in storage; others were sent\r\n");
	assert_false(imap_is_closed(s));
	rig_end(s);
	buf_fini(&mail);
}

static void
test_damage_after_announcement(void **state)
{
	struct session *s;
	struct buf mail;

	(void)state;
	buf_init(&mail, 8u << 20);
	buf_append_str(&mail, "Subject: x\r\n\r\n");
	fill_random(&mail, 2u << 20, 3);
	buf_append_str(&mail, "NEEDLE");
	fill_random(&mail, 3000, 4);
	fx_append(rig_inbox(), buf_slice(&mail), FLAG_SEEN, "");
	damage_log("NEEDLE");
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1 BODY.PEEK[]");
	assert_true(imap_is_closed(s));
	rig_end(s);
	buf_fini(&mail);
}

/* ---- without the pool ---- */

/* Turns of the pool that the command took; the answer must be `want`, if that is not NULL. */
static unsigned
turns_of(struct session *s, const char *line, const char *want)
{
	unsigned before = imap_steps(s) - imap_light_steps(s);
	const char *said = rig_send(s, line);

	if (want != NULL)
		assert_string_equal(said, want);
	return imap_steps(s) - imap_light_steps(s) - before;
}

static void
test_light(void **state)
{
	static char large[300000] = "Subject: l\r\n\r\n";
	struct session *s;

	(void)state;
	memset(large + 14, 'x', sizeof large - 15);
	for (unsigned i = 0; i < 3; i++)
		fx_append(rig_inbox(), SLICE("Subject: x\r\n\r\nhi\r\n"), 0, "");
	fx_append(rig_inbox(), slice_str(large), FLAG_SEEN, "");
	fx_append_n(rig_inbox(), 296);
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1 BODY.PEEK[]");     /* the pool opens the log */
	if (!nowait_is_possible())
		skip();
	assert_int_equal(turns_of(s, "2 UID FETCH 2 BODY.PEEK[]",
	                          "* 2 FETCH (UID 2 BODY[] {18}\r\nSubject: x\r\n\r\nhi\r\n)\r\n"
	                          "2 OK UID FETCH completed\r\n"), 0);
	assert_int_equal(turns_of(s, "3 FETCH 2 BODY[TEXT]",
	                          "* 2 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {4}\r\nhi\r\n)\r\n"
	                          "3 OK FETCH completed\r\n"), 0);
	assert_int_equal(turns_of(s, "4 FETCH 9 BODY.PEEK[7]",
	                          "* 9 FETCH (BODY[7] NIL)\r\n4 OK FETCH completed\r\n"), 0);
	assert_int_equal(turns_of(s, "5 FETCH 1:100 (UID FLAGS)", NULL), 0);
	assert_int_equal(turns_of(s, "6 FETCH 301 FLAGS", "6 BAD Message number 301 of 300 is not there\r\n"), 0);
	assert_true(turns_of(s, "7 FETCH 1:* (UID ENVELOPE BODYSTRUCTURE)", NULL) > 0);
	assert_true(turns_of(s, "8 FETCH 4 BODY.PEEK[]", NULL) > 0);
	assert_true(turns_of(s, "9 FETCH 1 BINARY.PEEK[1]", NULL) > 0);
	fx_append_n(rig_inbox(), 1);
	assert_int_equal(turns_of(s, "10 FETCH 3 UID", "* 3 FETCH (UID 3)\r\n* 301 EXISTS\r\n* 301 RECENT\r\n"
	                                               "10 OK FETCH completed\r\n"), 0);
	rig_end(s);
}

/* News that the view has no room for are told as far as they go, and not taken back when it has moved. */
static void
test_light_news_fail(void **state)
{
	struct session *s;
	struct imap *im;
	const char *said;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	fx_expunge(rig_inbox(), 3, 3);
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1:2 UID");
	im = imap_session_state(s);
	im->view.uids.max = im->view.uids.cap = im->view.uids.count;
	(void)fx_run(fx_make_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_FLAGGED, ""));
	fx_append_n(rig_inbox(), 1);
	said = rig_send(s, "2 NOOP");
	assert_non_null(strstr(said, "* 1 FETCH (FLAGS (\\Flagged"));
	im->view.uids.max = VIEW_RANGES_MAX;
	rig_expect(s, "3 NOOP", "* 3 EXISTS\r\n* 3 RECENT\r\n3 OK NOOP completed\r\n");
	rig_end(s);
}

/* Each message told looks through all ranges of the view. */
static void
test_light_ranges(void **state)
{
	struct session *s;
	struct buf set;

	(void)state;
	fx_append_n(rig_inbox(), 1202);
	buf_init(&set, 8192);
	buf_append_str(&set, "1 STORE 1");
	for (unsigned i = 3; i < 1200; i += 2)
		buf_printf(&set, ",%u", i);
	buf_append_str(&set, " +FLAGS.SILENT (\\Deleted)");
	buf_append_byte(&set, 0);
	s = rig_selected();
	(void)rig_send(s, (const char *)set.ptr);
	(void)rig_send(s, "2 EXPUNGE");
	(void)rig_send(s, "3 FETCH 1:2 UID");
	fx_append_n(rig_inbox(), 1);
	assert_true(turns_of(s, "4 NOOP", "* 603 EXISTS\r\n* 603 RECENT\r\n4 OK NOOP completed\r\n") > 0);
	fx_append_n(rig_inbox(), 1);
	assert_true(turns_of(s, "5 IDLE", NULL) > 0);
	rig_expect(s, "DONE", "5 OK IDLE completed\r\n");
	rig_end(s);
	buf_fini(&set);
}

int
main(void)
{
	static const struct CMUnitTest on_nested[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_bodystructure),
	};
	static const struct CMUnitTest others[] = {
		cmocka_unit_test_setup_teardown(test_nul, sections_setup, sections_teardown),
		cmocka_unit_test_setup_teardown(test_utf8_forms, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_parameters, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_binary_line_ends, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_cte, sections_setup, sections_teardown),
		cmocka_unit_test_setup_teardown(test_seen, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_examine_keeps_unseen, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_large, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_repeated, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_many, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_large_summaries, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_beyond_retention, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damage_before_light_end, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_light, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_light_news_fail, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_light_ranges, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damage_before_announcement, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damage_after_announcement, rig_setup, rig_teardown),
	};
	struct CMUnitTest tests[UNIT_COUNT(sections) + 2];
	size_t n = 0;
	int failed;

	for (size_t i = 0; i < UNIT_COUNT(sections); i++)
		tests[n++] = (struct CMUnitTest){ sections[i].name, test_section, NULL, NULL,
		                                  (void *)(uintptr_t)&sections[i] };
	tests[n++] = on_nested[0];
	tests[n++] = on_nested[1];
	failed = _cmocka_run_group_tests("imap_fetch sections", tests, n, sections_setup,
	                                 sections_teardown);
	failed += cmocka_run_group_tests_name("imap_fetch", others, NULL, NULL);
	return failed;
}
