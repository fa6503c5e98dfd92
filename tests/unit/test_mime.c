/* mime: summaries of good and malformed mail, fed whole, byte by byte and at random splits; sections; stored form;
 * limits and the work they keep linear. */
#include "tests/unit/unit.h"

#include "lib/mime.h"

#include <stdio.h>
#include <time.h>

#define OUT_MAX (4u << 20)

/* Parse `in` in pieces: 0 whole, 1 byte by byte, else random lengths from that seed. The parser is the caller's. */
static struct mime_parser *
parse(struct slice in, uint32_t split, struct mime_summary *s)
{
	struct mime_parser *p = mime_parser_new();
	struct err e = ERR_INIT;

	assert_non_null(p);
	for (size_t at = 0, n; at < in.len; at += n) {
		struct slice piece;

		n = split == 0 ? in.len : 1;
		if (split > 1) {
			split = split * 1103515245u + 12345u;
			n = 1 + (split >> 16) % 50;
		}
		piece = unit_copy(slice_sub(in, at, at + n));
		mime_feed(p, piece);
		unit_drop(piece);
	}
	assert_int_equal(mime_finish(p, s, &e), RC_OK);
	return p;
}

static void
assert_slice(struct slice got, const char *want)
{
	if (!slice_eq(got, slice_str(want)))
		print_error("got:  %.*s\nwant: %s\n", SLICE_ARG(got), want);
	assert_true(slice_eq(got, slice_str(want)));
}

#define ADDR "((NIL NIL \"a\" \"b.example\"))"
#define NO_ENVELOPE "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
#define PLAIN_START "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" "
#define PLAIN(size, lines) PLAIN_START size " " lines " NIL NIL NIL NIL)"

static const struct envelope_case {
	const char  *name;
	struct slice in;
	const char  *want;
} envelopes[] = {
	{ "RFC 9051 section 8",
	  SLICE_INIT("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
	             "Subject: IMAP4rev2 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
	             "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
	             "Message-Id: <B27397-0100000@cac.washington.ed>\r\n\r\n"),
	  "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" "
	  "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	  "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) "
	  "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
	  "\"<B27397-0100000@cac.washington.ed>\")" },
	{ "nothing at all", SLICE_INIT(""), NO_ENVELOPE },
	{ "body only", SLICE_INIT("\r\nFrom: a@b.example\r\n"), NO_ENVELOPE },
	{ "no blank line", SLICE_INIT("From: a@b.example\r\nSubject: x"),
	  "(NIL \"x\" " ADDR " " ADDR " " ADDR " NIL NIL NIL NIL NIL)" },
	{ "present but empty", SLICE_INIT("Date:\r\nSubject: \r\nTo:\r\nSender:\r\nFrom: a@b.example\r\n"
	                                  "In-Reply-To:\r\nMessage-ID:\r\n\r\n"),
	  "(\"\" \"\" " ADDR " " ADDR " " ADDR " NIL NIL NIL \"\" \"\")" },
	{ "folded, quotes, backslash", SLICE_INIT("Subject: a\r\n \"b\" \\\r\n\tc\r\n\r\n"),
	  "(NIL \"a \\\"b\\\" \\\\\tc\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "8-bit is a literal", SLICE_INIT("Subject: gr\xc3\xbc\xc3\x9f\r\n\r\n"),
	  "(NIL {6}\r\ngr\xc3\xbc\xc3\x9f NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "NUL becomes 0x80", SLICE_INIT("Subject: a\0b\r\n\r\n"),
	  "(NIL {3}\r\na\x80" "b NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "bare CR is a literal", SLICE_INIT("Subject: a\rb\r\n\r\n"),
	  "(NIL {3}\r\na\rb NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "group", SLICE_INIT("To: A Group:Ed <a@b.example>, c@d;, e@f\r\n\r\n"),
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"A Group\" NIL)(\"Ed\" NIL \"a\" \"b.example\")(NIL NIL \"c\" \"d\")"
	  "(NIL NIL NIL NIL)(NIL NIL \"e\" \"f\")) NIL NIL NIL NIL)" },
	{ "empty group", SLICE_INIT("To: undisclosed-recipients:;\r\n\r\n"),
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)" },
	{ "first of two fields", SLICE_INIT("Subject: 1\r\nSubject: 2\r\n\r\n"),
	  "(NIL \"1\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "blanks before the colon", SLICE_INIT("Subject \t: 1\r\n\r\n"),
	  "(NIL \"1\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "mbox line and junk", SLICE_INIT("From x Mon\r\njunk\r\nSubject: 1\r\n\r\nSubject: 2\r\n"),
	  "(NIL \"1\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "bare LF ends", SLICE_INIT("Subject: 1\nTo: a@b.example\n\nSubject: 2\n"),
	  "(NIL \"1\" NIL NIL NIL " ADDR " NIL NIL NIL NIL)" },
	{ "own sender and reply-to", SLICE_INIT("Reply-To: r@s\r\nFrom: a@b.example\r\nSender: <s@t>\r\n\r\n"),
	  "(NIL NIL " ADDR " ((NIL NIL \"s\" \"t\")) ((NIL NIL \"r\" \"s\")) NIL NIL NIL NIL NIL)" },
};

static void
test_envelope(void **state)
{
	const struct envelope_case *k = *state;

	for (uint32_t split = 0; split < 4; split++) {
		struct mime_summary s;
		struct mime_parser *p = parse(k->in, split, &s);

		assert_slice(s.envelope, k->want);
		assert_int_equal(s.size, k->in.len);
		mime_parser_free(&p);
	}
}

static const struct structure_case {
	const char  *name;
	struct slice in;
	const char  *structure;
	const char  *body;      /* NULL: not looked at */
} structures[] = {
	{ "empty", SLICE_INIT(""), PLAIN("0", "0"), PLAIN_START "0 0)" },
	{ "RFC 9051 simple text",
	  SLICE_INIT("Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n1\r\n2\r\n"),
	  "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 6 2 NIL NIL NIL NIL)",
	  "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 6 2)" },
	{ "RFC 9051 two parts",
	  SLICE_INIT("Content-Type: multipart/MIXED; boundary=x\r\n\r\n--x\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
	             "\r\nabc\r\n\r\n--x\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\r\n"
	             "Content-ID: <960723163407.20117h@cac.washington.edu>\r\nContent-Description: Compiler diff\r\n"
	             "Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n"),
	  "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 5 1 NIL NIL NIL NIL)"
	  "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") "
	  "\"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4 0 NIL NIL NIL NIL) "
	  "\"MIXED\" (\"boundary\" \"x\") NIL NIL NIL)",
	  "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 5 1)"
	  "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") "
	  "\"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4 0) \"MIXED\")" },
	{ "all extension data",
	  SLICE_INIT("Content-Type: image/gif\r\nContent-MD5: Q2hlY2s=\r\nContent-Disposition: INLINE; filename=\"a b\"\r\n"
	             "Content-Language: en, de\r\nContent-Location: http://x/\r\n\r\n"),
	  "(\"image\" \"gif\" NIL NIL NIL \"7BIT\" 0 \"Q2hlY2s=\" (\"INLINE\" (\"filename\" \"a b\")) (\"en\" \"de\") "
	  "\"http://x/\")",
	  "(\"image\" \"gif\" NIL NIL NIL \"7BIT\" 0)" },
	{ "one language, no disposition value",
	  SLICE_INIT("Content-Type: image/gif\r\nContent-Language: en\r\nContent-Disposition: ; x=y\r\n\r\n"),
	  "(\"image\" \"gif\" NIL NIL NIL \"7BIT\" 0 NIL NIL \"en\" NIL)", NULL },
	{ "message/rfc822",
	  SLICE_INIT("Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n\r\nx\r\n"),
	  "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 24 (NIL NIL " ADDR " " ADDR " " ADDR " NIL NIL NIL NIL NIL) "
	  PLAIN("3", "1") " 3 NIL NIL NIL NIL)",
	  "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 24 (NIL NIL " ADDR " " ADDR " " ADDR " NIL NIL NIL NIL NIL) "
	  PLAIN_START "3 1) 3)" },
	{ "digest defaults to messages",
	  SLICE_INIT("Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: s\r\n\r\nx\r\n--d--\r\n"),
	  "((\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 15 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) " PLAIN("1", "0")
	  " 2 NIL NIL NIL NIL) \"digest\" (\"boundary\" \"d\") NIL NIL NIL)", NULL },
	{ "malformed type is text/plain", SLICE_INIT("Content-Type: text\r\n\r\n"), PLAIN("0", "0"), NULL },
	{ "type with a bad token", SLICE_INIT("Content-Type: a@b/c; x=y\r\n\r\n"), PLAIN("0", "0"), NULL },
	{ "comments in the type",
	  SLICE_INIT("Content-Type: text/(x)html (c); charset=us-ascii (Plain text)\r\n\r\n"),
	  "(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL)", NULL },
	{ "multipart without boundary shows its text",
	  SLICE_INIT("Content-Type: multipart/mixed\r\n\r\nhello\r\n"),
	  "(" PLAIN("7", "1") " \"mixed\" NIL NIL NIL NIL)", "(" PLAIN_START "7 1) \"mixed\")" },
	{ "multipart without a delimiter",
	  SLICE_INIT("Content-Type: multipart/mixed; boundary=q\r\n\r\nhello"),
	  "(" PLAIN("5", "0") " \"mixed\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "closed at once",
	  SLICE_INIT("Content-Type: multipart/mixed; boundary=q\r\n\r\n--q--\r\n"),
	  "(" PLAIN("7", "1") " \"mixed\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "not closed, cut within a delimiter",
	  SLICE_INIT("Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nx\r\n--q"),
	  "(" PLAIN("1", "0") PLAIN("0", "0") " \"mixed\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "delimiters with white space and more behind",
	  SLICE_INIT("Content-Type: multipart/mixed; boundary=q\r\n\r\n--q \t\r\n\r\nx\r\n--q--?\r\n--q\r\n"),
	  "(" PLAIN("1", "0") " \"mixed\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "inner boundary is longer than the outer",
	  SLICE_INIT("Content-Type: multipart/a; boundary=q\r\n\r\n--q\r\nContent-Type: multipart/b; boundary=qq\r\n\r\n"
	             "--qq\r\n\r\n1\r\n--qq--\r\n--q\r\n\r\n2\r\n--q--\r\n"),
	  "((" PLAIN("1", "0") " \"b\" (\"boundary\" \"qq\") NIL NIL NIL)" PLAIN("1", "0")
	  " \"a\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "one boundary twice: the innermost has it",
	  SLICE_INIT("Content-Type: multipart/a; boundary=q\r\n\r\n--q\r\nContent-Type: multipart/b; boundary=q\r\n\r\n"
	             "--q\r\n\r\n1\r\n--q--\r\n--q--\r\n"),
	  "((" PLAIN("1", "0") " \"b\" (\"boundary\" \"q\") NIL NIL NIL) \"a\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "inner multipart never closed",
	  SLICE_INIT("Content-Type: multipart/a; boundary=q\r\n\r\n--q\r\nContent-Type: multipart/b; boundary=w\r\n\r\n"
	             "--w\r\n\r\n1\r\n--q\r\n\r\n2\r\n--q--\r\n"),
	  "((" PLAIN("1", "0") " \"b\" (\"boundary\" \"w\") NIL NIL NIL)" PLAIN("1", "0")
	  " \"a\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "delimiter within a header",
	  SLICE_INIT("Content-Type: multipart/a; boundary=q\r\n\r\n--q\r\nContent-Type: message/rfc822\r\n--q--\r\n"),
	  "((\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 0 " NO_ENVELOPE " " PLAIN("0", "0") " 0 NIL NIL NIL NIL) "
	  "\"a\" (\"boundary\" \"q\") NIL NIL NIL)", NULL },
	{ "unknown encoding as written",
	  SLICE_INIT("Content-Transfer-Encoding: x-uuencode (c)\r\n\r\n"),
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"x-uuencode\" 0 0 NIL NIL NIL NIL)", NULL },
	{ "RFC 2231 pieces joined",
	  SLICE_INIT("Content-Type: x/y; t*1*=%20b; t*0*=utf-8''a; u*0=1; u*1=\"2;\"; v*=''z\r\n\r\n"),
	  "(\"x\" \"y\" (\"t*\" \"utf-8''a%20b\" \"u\" \"12;\" \"v*\" \"''z\") NIL NIL \"7BIT\" 0 NIL NIL NIL NIL)", NULL },
	{ "boundary by RFC 2231",
	  SLICE_INIT("Content-Type: multipart/a; boundary*0=q; boundary*1=w\r\n\r\n--qw\r\n\r\nx\r\n--qw--\r\n"),
	  "(" PLAIN("1", "0") " \"a\" (\"boundary\" \"qw\") NIL NIL NIL)", NULL },
};

static void
test_structure(void **state)
{
	const struct structure_case *k = *state;

	for (uint32_t split = 0; split < 6; split++) {
		struct mime_summary s;
		struct mime_parser *p = parse(k->in, split, &s);
		struct buf body;

		buf_init(&body, OUT_MAX);
		assert_slice(s.bodystructure, k->structure);
		assert_true(mime_render_structure(s.bodystructure, MIME_FORM_BODY, &body));
		if (k->body != NULL)
			assert_slice(buf_slice(&body), k->body);
		buf_fini(&body);
		mime_parser_free(&p);
	}
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct mime_summary s;
		struct mime_parser *p = parse(slice_sub(k->in, 0, cut), cut % 3 == 0 ? 1 : 0, &s);

		mime_parser_free(&p);
	}
}

/* --- sections: the message of RFC 9051 s6.4.5.1 --- */

static const struct slice complex_message = SLICE_INIT(
	"Subject: complex\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n"
	"--A\r\n\r\none\r\n"
	"--A\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\ntwo=\r\n"
	"--A\r\nContent-Type: message/rfc822\r\n\r\n"
	"Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
	"--B\r\n\r\nthree.one\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\nthree.two\r\n--B--\r\n"
	"--A\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n"
	"--C\r\nContent-Type: image/gif\r\n\r\nfour.one\r\n"
	"--C\r\nContent-Type: message/rfc822\r\n\r\n"
	"Subject: four.two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n"
	"--D\r\n\r\nfour.two.one\r\n"
	"--D\r\nContent-Type: multipart/alternative; boundary=E\r\n\r\n"
	"--E\r\n\r\nfour.two.two.one\r\n--E\r\nContent-Type: text/richtext\r\n\r\nfour.two.two.two\r\n--E--\r\n"
	"--D--\r\n--C--\r\n--A--\r\n");
static const struct slice simple_message = SLICE_INIT("Subject: s\r\n\r\ntext\r\n");
static const struct slice forwarded = SLICE_INIT(
	"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n"
	"--f\r\n\r\nF1\r\n--f--\r\n");

static const struct section_case {
	const char         *name;
	const struct slice *in;
	uint32_t            path[4];
	size_t              n;
	enum mime_section   what;
	const char         *want;       /* NULL: there is none */
} sections[] = {
	{ "HEADER", &simple_message, { 0 }, 0, MIME_SECTION_HEADER, "Subject: s\r\n\r\n" },
	{ "TEXT", &simple_message, { 0 }, 0, MIME_SECTION_TEXT, "text\r\n" },
	{ "empty", &simple_message, { 0 }, 0, MIME_SECTION_ALL, "Subject: s\r\n\r\ntext\r\n" },
	{ "MIME needs a part", &simple_message, { 0 }, 0, MIME_SECTION_MIME, NULL },
	{ "1 of a simple message", &simple_message, { 1 }, 1, MIME_SECTION_ALL, "text\r\n" },
	{ "1.MIME of a simple message", &simple_message, { 1 }, 1, MIME_SECTION_MIME, "Subject: s\r\n\r\n" },
	{ "2 of a simple message", &simple_message, { 2 }, 1, MIME_SECTION_ALL, NULL },
	{ "1.1 of a simple message", &simple_message, { 1, 1 }, 2, MIME_SECTION_ALL, NULL },
	{ "1.HEADER of a simple message", &simple_message, { 1 }, 1, MIME_SECTION_HEADER, NULL },
	{ "1.TEXT of a simple message", &simple_message, { 1 }, 1, MIME_SECTION_TEXT, NULL },
	{ "1", &complex_message, { 1 }, 1, MIME_SECTION_ALL, "one" },
	{ "1.MIME is the blank line", &complex_message, { 1 }, 1, MIME_SECTION_MIME, "\r\n" },
	{ "2", &complex_message, { 2 }, 1, MIME_SECTION_ALL, "two=" },
	{ "3.HEADER", &complex_message, { 3 }, 1, MIME_SECTION_HEADER,
	  "Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n" },
	{ "3.MIME", &complex_message, { 3 }, 1, MIME_SECTION_MIME, "Content-Type: message/rfc822\r\n\r\n" },
	{ "3.TEXT", &complex_message, { 3 }, 1, MIME_SECTION_TEXT,
	  "--B\r\n\r\nthree.one\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\nthree.two\r\n--B--" },
	{ "3.1", &complex_message, { 3, 1 }, 2, MIME_SECTION_ALL, "three.one" },
	{ "3.2", &complex_message, { 3, 2 }, 2, MIME_SECTION_ALL, "three.two" },
	{ "3.3", &complex_message, { 3, 3 }, 2, MIME_SECTION_ALL, NULL },
	{ "4.1", &complex_message, { 4, 1 }, 2, MIME_SECTION_ALL, "four.one" },
	{ "4.1.MIME", &complex_message, { 4, 1 }, 2, MIME_SECTION_MIME, "Content-Type: image/gif\r\n\r\n" },
	{ "4.HEADER of a multipart", &complex_message, { 4 }, 1, MIME_SECTION_HEADER, NULL },
	{ "4.2.HEADER", &complex_message, { 4, 2 }, 2, MIME_SECTION_HEADER,
	  "Subject: four.two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n" },
	{ "4.2.1", &complex_message, { 4, 2, 1 }, 3, MIME_SECTION_ALL, "four.two.one" },
	{ "4.2.2.1", &complex_message, { 4, 2, 2, 1 }, 4, MIME_SECTION_ALL, "four.two.two.one" },
	{ "4.2.2.2", &complex_message, { 4, 2, 2, 2 }, 4, MIME_SECTION_ALL, "four.two.two.two" },
	{ "5", &complex_message, { 5 }, 1, MIME_SECTION_ALL, NULL },
	{ "0", &complex_message, { 0 }, 1, MIME_SECTION_ALL, NULL },
	{ "1.HEADER of a message that is a message", &forwarded, { 1 }, 1, MIME_SECTION_HEADER,
	  "Subject: in\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n" },
	{ "1.1 of a message that is a message", &forwarded, { 1, 1 }, 2, MIME_SECTION_ALL, "F1" },
	{ "1.2 of a message that is a message", &forwarded, { 1, 2 }, 2, MIME_SECTION_ALL, NULL },
};

static void
test_section(void **state)
{
	const struct section_case *k = *state;
	struct mime_summary s;
	struct mime_parser *p = parse(*k->in, 3, &s);
	struct mime_range r;
	bool found = mime_find_section(&s, k->path, k->n, k->what, &r);

	assert_int_equal(found, k->want != NULL);
	if (found)
		assert_slice(slice_sub(*k->in, r.off, r.off + r.len), k->want);
	mime_parser_free(&p);
}

static void
test_part_table(void **state)
{
	static const uint32_t path[] = { 2 };
	struct mime_summary s;
	struct mime_parser *p = parse(complex_message, 0, &s);
	struct mime_range r;

	(void)state;
	assert_int_equal(s.nparts, 15);
	assert_int_equal(s.parts[0].next, 15);
	assert_int_equal(s.header_len, s.parts[0].header_len);
	assert_int_equal(s.lines, s.parts[0].lines + 3);
	assert_true(mime_find_section(&s, path, 1, MIME_SECTION_ALL, &r));
	assert_int_equal(r.part->encoding, TRANSFER_BASE64);
	assert_int_equal(r.part->kind, MIME_LEAF);
	assert_int_equal(s.parts[3].kind, MIME_MESSAGE);
	assert_int_equal(s.parts[4].flags & MIME_PART_ROOT, MIME_PART_ROOT);
	assert_int_equal(s.parts[4].parent, 3);
	mime_parser_free(&p);
}

/* --- keys and flags --- */

static const struct keys_case {
	const char *name;
	struct slice in;
	const char *subject, *from, *display, *message_id, *refs;
	uint32_t flags;
} keys[] = {
	{ "plain", SLICE_INIT("Subject: A  b\r\nFrom: Ann B <ANN@x>\r\nMessage-ID: <1@x>\r\n\r\n"),
	  "a b", "ann", "ann b", "<1@x>", "", 0 },
	{ "reply", SLICE_INIT("Subject: Re: FW: fwd[3]: [x] re [9] : a (fwd) (FWD)\r\n\r\n"), "a", "", "", "", "",
	  MIME_REPLY_OR_FWD },
	{ "blob is all there is", SLICE_INIT("Subject: Re: [a] [b]\r\n\r\n"), "[b]", "", "", "", "", MIME_REPLY_OR_FWD },
	{ "blobs go", SLICE_INIT("Subject: [a][b] c\r\n\r\n"), "c", "", "", "", "", 0 },
	{ "[Fwd: ...]", SLICE_INIT("Subject: [Fwd: re: [Fwd: x]]\r\n\r\n"), "x", "", "", "", "", MIME_REPLY_OR_FWD },
	{ "reinstall is no reply", SLICE_INIT("Subject: reinstall: x\r\n\r\n"), "reinstall: x", "", "", "", "", 0 },
	{ "only a prefix", SLICE_INIT("Subject: Re:\r\n\r\n"), "", "", "", "", "", MIME_REPLY_OR_FWD },
	{ "encoded", SLICE_INIT("Subject: =?utf-8?q?RE:_GR=C3=9C?= =?utf-8?b?w58=?=\r\nFrom: =?utf-8?q?=C3=84?= <a@b>\r\n\r\n"),
	  "gr\xc3\xbcss", "a", "\xc3\xa4", "", "", MIME_REPLY_OR_FWD },
	{ "no name", SLICE_INIT("From: g:; , Ann@X.example\r\n\r\n"), "", "ann", "ann@x.example", "", "", 0 },
	{ "references", SLICE_INIT("References: x <1@x> (c) <2\r\n @x>junk <3\r\nIn-Reply-To: <9@x>\r\n\r\n"),
	  "", "", "", "", "<1@x> <2@x>", 0 },
	{ "in-reply-to instead", SLICE_INIT("References: none\r\nIn-Reply-To: your mail <9@x> <8@x>\r\n\r\n"),
	  "", "", "", "", "<9@x>", 0 },
	{ "attachment by disposition", SLICE_INIT("Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\n"),
	  "", "", "", "", "", MIME_HAS_ATTACHMENT },
	{ "attachment by name", SLICE_INIT("Content-Type: image/png; name=x\r\n\r\n"), "", "", "", "", "",
	  MIME_HAS_ATTACHMENT },
	{ "inline is none", SLICE_INIT("Content-Type: image/png; name=x\r\nContent-Disposition: inline\r\n\r\n"),
	  "", "", "", "", "", 0 },
	{ "date", SLICE_INIT("Date: 1 Jan 1970 00:00:00 +0000\r\n\r\n"), "", "", "", "", "", MIME_HAS_DATE },
	{ "NUL and 8-bit in the body", SLICE_INIT("\r\n\0\xff"), "", "", "", "", "", MIME_HAS_NUL | MIME_HAS_8BIT },
	{ "8-bit in the header", SLICE_INIT("X: \xff\r\n\r\n"), "", "", "", "", "", MIME_HAS_8BIT | MIME_HAS_8BIT_HEADER },
};

static void
test_keys(void **state)
{
	const struct keys_case *k = *state;
	struct mime_summary s;
	struct mime_parser *p = parse(k->in, 2, &s);

	assert_slice(s.keys.subject, k->subject);
	assert_slice(s.keys.from, k->from);
	assert_slice(s.keys.display_from, k->display);
	assert_slice(s.keys.message_id, k->message_id);
	assert_slice(s.keys.refs, k->refs);
	assert_int_equal(s.flags, k->flags);
	mime_parser_free(&p);
}

/* --- stored form --- */

static void
assert_same_parts(const struct mime_summary *a, const struct mime_summary *b)
{
	assert_int_equal(a->nparts, b->nparts);
	for (uint32_t i = 0; i < a->nparts; i++) {
		const struct mime_part *x = &a->parts[i], *y = &b->parts[i];

		assert_true(x->parent == y->parent && x->number == y->number && x->next == y->next && x->kind == y->kind);
		assert_true(x->encoding == y->encoding && x->flags == y->flags && x->lines == y->lines);
		assert_true(x->header_off == y->header_off && x->header_len == y->header_len);
		assert_true(x->body_off == y->body_off && x->body_len == y->body_len);
	}
}

static void
test_stored(void **state)
{
	struct mime_summary s, t;
	struct mime_parser *p = parse(complex_message, 0, &s);
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	assert_true(mime_summary_encode(&s, &b));
	assert_int_equal(mime_summary_decode(buf_slice(&b), &a, &t, &e), RC_OK);
	assert_true(t.version == MIME_PARSER_VERSION && t.flags == s.flags && t.size == s.size);
	assert_true(t.header_len == s.header_len && t.lines == s.lines);
	assert_true(slice_eq(t.envelope, s.envelope) && slice_eq(t.bodystructure, s.bodystructure));
	assert_true(slice_eq(t.keys.subject, s.keys.subject) && t.keys.sent_time == s.keys.sent_time);
	assert_same_parts(&s, &t);
	for (size_t cut = 0; cut < b.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(buf_slice(&b), 0, cut));

		assert_int_equal(mime_summary_decode(prefix, &a, &t, &e), RC_CORRUPT);
		unit_drop(prefix);
		arena_reset(&a);
	}
	buf_fini(&b);
	arena_fini(&a);
	mime_parser_free(&p);
}

/* Any byte changed: refused, or decoded to something whose sections lie within the message. */
static void
test_stored_damage(void **state)
{
	static const uint32_t path[] = { 3, 1 };
	struct mime_summary s, t;
	struct mime_parser *p = parse(complex_message, 0, &s);
	struct err e = ERR_INIT;
	struct mime_range r;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	assert_true(mime_summary_encode(&s, &b));
	for (size_t i = 0; i < b.len * 8; i++) {
		b.ptr[i / 8] ^= (uint8_t)(1u << i % 8);
		if (mime_summary_decode(buf_slice(&b), &a, &t, &e) == RC_OK
		    && mime_find_section(&t, path, 2, MIME_SECTION_ALL, &r))
			assert_true(r.off <= t.size && r.len <= t.size - r.off);
		b.ptr[i / 8] ^= (uint8_t)(1u << i % 8);
		arena_reset(&a);
	}
	buf_fini(&b);
	arena_fini(&a);
	mime_parser_free(&p);
}

/* Part tables that would lead out of the table or out of the message. */
static void
lie_body(struct mime_part *p)
{
	p->body_len++;
}

static void
lie_header(struct mime_part *p)
{
	p->header_len += p->body_len + 1;
}

static void
lie_offset(struct mime_part *p)
{
	p->header_off += 1u << 20;
}

static void
lie_next(struct mime_part *p)
{
	p->next += 3;
}

static void
lie_next_zero(struct mime_part *p)
{
	p->next = 0;
}

static void
lie_lines(struct mime_part *p)
{
	p->lines += 1000;
}

static void
lie_flags(struct mime_part *p)
{
	p->flags |= 0x100;
}

static const struct lie_case {
	const char *name;
	uint32_t    part;
	void (*tell)(struct mime_part *);
} lies[] = {
	{ "body beyond the message", 0, lie_body }, { "body beyond its parent", 14, lie_offset },
	{ "header beyond the message", 0, lie_header }, { "last body beyond its parent", 14, lie_header },
	{ "next beyond the table", 0, lie_next }, { "next beyond the parent", 6, lie_next },
	{ "next backwards", 2, lie_next_zero }, { "more lines than there are", 1, lie_lines },
	{ "unknown flags", 1, lie_flags },
};

static void
test_lie(void **state)
{
	const struct lie_case *k = *state;
	struct mime_summary s, t;
	struct mime_parser *p = parse(complex_message, 0, &s);
	struct err e = ERR_INIT;
	struct mime_part *parts = malloc(s.nparts * sizeof *parts);
	struct arena a;
	struct buf b;

	assert_non_null(parts);
	memcpy(parts, s.parts, s.nparts * sizeof *parts);
	k->tell(&parts[k->part]);
	s.parts = parts;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	assert_true(mime_summary_encode(&s, &b));
	assert_int_equal(mime_summary_decode(buf_slice(&b), &a, &t, &e), RC_CORRUPT);
	buf_fini(&b);
	arena_fini(&a);
	free(parts);
	mime_parser_free(&p);
}

static void
test_body_refuses(void **state)
{
	static const char *const bad[] = { "", "NIL", "(", "()", "(\"a\" \"b\")", "((\"a\") \"b\")", "(\"a\" \"b", "({9}\r\na)" };
	struct buf out;

	(void)state;
	buf_init(&out, OUT_MAX);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		struct slice in = unit_copy(slice_str(bad[i]));

		assert_false(mime_render_structure(in, MIME_FORM_BODY, &out));
		unit_drop(in);
	}
	buf_fini(&out);
}

/* Every prefix of a structure with literals, in a block of its size; whole ones come out as they should. */
static void
test_quote_utf8(void **state)
{
	static const char in[] = "(\"a{1}\" {2}\r\n\xc3\xa9 ({3}\r\na\"\\ NIL) {1}\r\n\xe9 {0}\r\n {2}\r\na\n)";
	static const char want[] = "(\"a{1}\" \"\xc3\xa9\" (\"a\\\"\\\\\" NIL) {1}\r\n\xe9 \"\" {2}\r\na\n)";
	struct buf out;

	(void)state;
	buf_init(&out, OUT_MAX);
	for (size_t n = 0; n < sizeof in; n++) {
		struct slice prefix = unit_copy(slice_of(in, n));

		buf_reset(&out);
		(void)mime_quote_utf8(prefix, &out);
		unit_drop(prefix);
	}
	assert_true(slice_eq(buf_slice(&out), slice_str(want)));
	buf_fini(&out);
}

/* Summaries of the version before can be read. */
static void
test_older_version(void **state)
{
	struct mime_summary s, t;
	struct mime_parser *p = parse(complex_message, 0, &s);
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	for (uint32_t version = 0; version <= MIME_PARSER_VERSION + 1; version++) {
		s.version = version;
		buf_reset(&b);
		assert_true(mime_summary_encode(&s, &b));
		assert_int_equal(mime_summary_decode(buf_slice(&b), &a, &t, &e),
		                 version == 0 || version > MIME_PARSER_VERSION ? RC_CORRUPT : RC_OK);
	}
	buf_fini(&b);
	arena_fini(&a);
	mime_parser_free(&p);
}

static void
test_hint(void **state)
{
	struct mime_parser *p = mime_parser_new();
	struct slice in = complex_message;
	size_t two = slice_find(in, SLICE("two="));
	struct mime_hint h;

	(void)state;
	assert_non_null(p);
	mime_feed(p, slice_sub(in, 0, 5));
	assert_false(mime_boundary_hint(p).in_body);
	mime_feed(p, slice_sub(in, 5, two + 1));
	h = mime_boundary_hint(p);
	assert_true(h.in_body);
	assert_int_equal(h.body_off, two);
	assert_int_equal(h.encoding, TRANSFER_BASE64);
	mime_parser_free(&p);
}

/* --- attacks: bounded work and memory, and a summary all the same --- */

static void
repeat(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_append_str(b, s);
}

static void
attack_nested_multipart(struct buf *b)
{
	for (int i = 0; i < 20000; i++)
		buf_printf(b, "Content-Type: multipart/mixed; boundary=\"b%05d\"\r\n\r\n--b%05d\r\n", i, i);
}

static void
attack_nested_messages(struct buf *b)
{
	repeat(b, "Content-Type: message/rfc822\r\n\r\n", 30000);
}

static void
attack_same_boundary(struct buf *b)
{
	repeat(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 30000);
}

static void
attack_equal_prefixes(struct buf *b)
{
	char prefix[200];

	memset(prefix, 'x', sizeof prefix - 1);
	prefix[sizeof prefix - 1] = '\0';
	for (int i = 0; i < 99; i++)
		buf_printf(b, "Content-Type: multipart/mixed; boundary=%s%02d\r\n\r\n--%s%02d\r\n", prefix, i, prefix, i);
	buf_append_str(b, "\r\n");
	for (int i = 0; i < 5000; i++)
		buf_printf(b, "--%s??\r\n", prefix);
}

static void
attack_many_parts(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	repeat(b, "--b\r\n\r\nx\r\n", 200000);
}

static void
attack_many_messages(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/digest; boundary=b\r\n\r\n");
	repeat(b, "--b\r\n\r\n\r\n\r\n", 50000);
}

static void
attack_many_multiparts(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	repeat(b, "--b\r\nContent-Type: multipart/x\r\n\r\nx\r\n", 50000);
}

static void
attack_addresses(struct buf *b)
{
	buf_append_str(b, "To: ");
	repeat(b, "a@b,\r\n ", 500000);
	buf_append_str(b, "\r\n\r\n");
}

static void
attack_comments(struct buf *b)
{
	buf_append_str(b, "To: ");
	repeat(b, "(", 300000);
	buf_append_str(b, "\r\nFrom: ");
	repeat(b, "\"<", 300000);
	buf_append_str(b, "\r\n\r\n");
}

static void
attack_pieces(struct buf *b)
{
	buf_append_str(b, "Content-Type: a/b");
	for (int i = 50000; i > 0; i--)
		buf_printf(b, ";\r\n n*%d*=%%41", i);
	buf_append_str(b, "; n*0=x\r\n\r\n");
}

static void
attack_header_fields(struct buf *b)
{
	repeat(b, "X: y\r\n", 400000);
	repeat(b, "Subject: =?\r\n", 100000);
}

static void
attack_huge_field(struct buf *b)
{
	buf_append_str(b, "Subject: ");
	repeat(b, "=?utf-8?q?=CC=81=CC=A7?= ", 100000);
	buf_append_str(b, "\r\nReferences: ");
	repeat(b, "<a@b> ", 500000);
}

static void
attack_embedded_envelopes(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/digest; boundary=b\r\n\r\n");
	for (int i = 0; i < 800; i++) {
		buf_append_str(b, "--b\r\n\r\nFrom: ");
		repeat(b, "a@b, ", 600);
		buf_append_str(b, "\r\n\r\n");
	}
}

static void
attack_subject(struct buf *b)
{
	buf_append_str(b, "Subject: ");
	repeat(b, "[a]", 20000);
	repeat(b, "re:", 20000);
	repeat(b, "[fwd:", 20000);
	repeat(b, "]", 20000);
}

/* What grows most on its way into the summary: escapes in names, percent-encoding, lists copied to sender and reply-to. */
static void
attack_growth(struct buf *b)
{
	buf_append_str(b, "From: <");
	repeat(b, "@a,", 5000);
	buf_append_str(b, "@a:x@y>, ");
	for (int i = 0; i < 24; i++) {
		buf_append_str(b, "\"");
		repeat(b, "\\\"", 980);
		buf_append_str(b, "\" <a@b>,");
	}
	buf_append_str(b, "\r\nContent-Type: a/b; n*0*=''; n*1=\"");
	repeat(b, "\xff", 60000);
	buf_append_str(b, "\"\r\nContent-ID: ");
	repeat(b, "\"", 900);
	buf_append_str(b, "\r\n\r\n");
}

static const struct attack_case {
	const char *name;
	void (*make)(struct buf *);
	uint32_t nparts;
} attacks[] = {
	{ "deep multiparts", attack_nested_multipart, MIME_DEPTH_MAX + 1 },
	{ "deep messages", attack_nested_messages, MIME_DEPTH_MAX + 1 },
	{ "one boundary at every level", attack_same_boundary, 0 },
	{ "boundaries with one prefix", attack_equal_prefixes, 100 },
	{ "many parts", attack_many_parts, MIME_PARTS_MAX },
	{ "many messages", attack_many_messages, MIME_PARTS_MAX },
	{ "many multiparts", attack_many_multiparts, 0 },
	{ "many addresses", attack_addresses, 1 },
	{ "open comments and quotes", attack_comments, 1 },
	{ "RFC 2231 pieces backwards", attack_pieces, 1 },
	{ "many fields", attack_header_fields, 1 },
	{ "huge fields", attack_huge_field, 1 },
	{ "many envelopes", attack_embedded_envelopes, 0 },
	{ "subject of blobs", attack_subject, 1 },
	{ "what grows most", attack_growth, 1 },
};

static void
test_attack(void **state)
{
	const struct attack_case *k = *state;
	struct buf in, out, again;
	struct mime_parser *p;
	struct mime_summary s;
	clock_t t;

	buf_init(&in, 16u << 20);
	buf_init(&out, MIME_SUMMARY_MAX);
	buf_init(&again, MIME_SUMMARY_MAX);
	k->make(&in);
	assert_false(in.failed);
	t = clock();
	p = parse(buf_slice(&in), 0, &s);
	print_message("%s: %zu bytes, %.1f steps a byte, %.3f s, summary of %zu\n", k->name, in.len,
	              (double)mime_steps(p) / (double)in.len, (double)(clock() - t) / CLOCKS_PER_SEC,
	              s.envelope.len + s.bodystructure.len);
	assert_true(mime_steps(p) <= 2 * MIME_DEPTH_MAX * in.len);
	assert_true(k->nparts == 0 || s.nparts == k->nparts);
	assert_true(s.nparts <= 2 * MIME_PARTS_MAX);
	assert_int_equal(s.size, in.len);
	assert_true(mime_render_structure(s.bodystructure, MIME_FORM_BODY, &again));
	assert_true(mime_summary_encode(&s, &out));
	mime_parser_free(&p);
	buf_fini(&in);
	buf_fini(&out);
	buf_fini(&again);
}

#define ROWS(table, function) \
	for (size_t i = 0; i < UNIT_COUNT(table); i++) \
		tests[n++] = (struct CMUnitTest){ table[i].name, function, NULL, NULL, (void *)(uintptr_t)&table[i] }

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(envelopes) + UNIT_COUNT(structures) + UNIT_COUNT(sections)
	                               + UNIT_COUNT(keys) + UNIT_COUNT(lies) + UNIT_COUNT(attacks) + 7];
	size_t n = 0;

	ROWS(envelopes, test_envelope);
	ROWS(structures, test_structure);
	ROWS(sections, test_section);
	ROWS(keys, test_keys);
	ROWS(lies, test_lie);
	ROWS(attacks, test_attack);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_part_table);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_stored);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_stored_damage);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_body_refuses);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_quote_utf8);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_older_version);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_hint);
	return _cmocka_run_group_tests("mime", tests, n, NULL, NULL);
}
