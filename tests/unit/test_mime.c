/* mime: summaries of good and malformed mail, fed whole, byte by byte and at random splits;
 * sections, keys. The stored form: test_mime_stored.c; the limits: test_mime_attack.c. */
#include "tests/unit/mime_fixture.h"

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
		struct mime_parser *p = parse_mail(k->in, split, &s);

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
		struct mime_parser *p = parse_mail(k->in, split, &s);
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
		struct mime_parser *p = parse_mail(slice_sub(k->in, 0, cut), cut % 3 == 0 ? 1 : 0,
		                                   &s);

		mime_parser_free(&p);
	}
}

/* --- sections --- */

static const struct slice simple_message = SLICE_INIT("Subject: s\r\n\r\ntext\r\n");
static const struct slice forwarded = SLICE_INIT(
    "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; "
    "boundary=f\r\n\r\n"
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
	{ "1", &mime_complex, { 1 }, 1, MIME_SECTION_ALL, "one" },
	{ "1.MIME is the blank line", &mime_complex, { 1 }, 1, MIME_SECTION_MIME, "\r\n" },
	{ "2", &mime_complex, { 2 }, 1, MIME_SECTION_ALL, "two=" },
	{ "3.HEADER", &mime_complex, { 3 }, 1, MIME_SECTION_HEADER,
	  "Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n" },
	{ "3.MIME", &mime_complex, { 3 }, 1, MIME_SECTION_MIME, "Content-Type: message/rfc822\r\n\r\n" },
	{ "3.TEXT", &mime_complex, { 3 }, 1, MIME_SECTION_TEXT,
	  "--B\r\n\r\nthree.one\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\nthree.two\r\n--B--" },
	{ "3.1", &mime_complex, { 3, 1 }, 2, MIME_SECTION_ALL, "three.one" },
	{ "3.2", &mime_complex, { 3, 2 }, 2, MIME_SECTION_ALL, "three.two" },
	{ "3.3", &mime_complex, { 3, 3 }, 2, MIME_SECTION_ALL, NULL },
	{ "4.1", &mime_complex, { 4, 1 }, 2, MIME_SECTION_ALL, "four.one" },
	{ "4.1.MIME", &mime_complex, { 4, 1 }, 2, MIME_SECTION_MIME, "Content-Type: image/gif\r\n\r\n" },
	{ "4.HEADER of a multipart", &mime_complex, { 4 }, 1, MIME_SECTION_HEADER, NULL },
	{ "4.2.HEADER", &mime_complex, { 4, 2 }, 2, MIME_SECTION_HEADER,
	  "Subject: four.two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n" },
	{ "4.2.1", &mime_complex, { 4, 2, 1 }, 3, MIME_SECTION_ALL, "four.two.one" },
	{ "4.2.2.1", &mime_complex, { 4, 2, 2, 1 }, 4, MIME_SECTION_ALL, "four.two.two.one" },
	{ "4.2.2.2", &mime_complex, { 4, 2, 2, 2 }, 4, MIME_SECTION_ALL, "four.two.two.two" },
	{ "5", &mime_complex, { 5 }, 1, MIME_SECTION_ALL, NULL },
	{ "0", &mime_complex, { 0 }, 1, MIME_SECTION_ALL, NULL },
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
	struct mime_parser *p = parse_mail(*k->in, 3, &s);
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
	struct mime_parser *p = parse_mail(mime_complex, 0, &s);
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
	struct mime_parser *p = parse_mail(k->in, 2, &s);

	assert_slice(s.keys.subject, k->subject);
	assert_slice(s.keys.from, k->from);
	assert_slice(s.keys.display_from, k->display);
	assert_slice(s.keys.message_id, k->message_id);
	assert_slice(s.keys.refs, k->refs);
	assert_int_equal(s.flags, k->flags);
	mime_parser_free(&p);
}

/* --- pieces of a message --- */

static void
test_body_refuses(void **state)
{
	static const char *const bad[] = { "", "NIL", "(", "()", "(\"a\" \"b\")", "((\"a\") \"b\")",
	                                   "(\"a\" \"b", "({9}\r\na)" };
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

/* Every prefix of a structure with literals, in a block of its size; whole ones come out
 * as they should. */
static void
test_quote_utf8(void **state)
{
	static const char in[] =
	    "(\"a{1}\" {2}\r\n\xc3\xa9 ({3}\r\na\"\\ NIL) {1}\r\n\xe9 {0}\r\n {2}\r\na\n)";
	static const char want[] =
	    "(\"a{1}\" \"\xc3\xa9\" (\"a\\\"\\\\\" NIL) {1}\r\n\xe9 \"\" {2}\r\na\n)";
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

static void
test_hint(void **state)
{
	struct mime_parser *p = mime_parser_new();
	struct slice in = mime_complex;
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

static void
check_flags(struct slice in, uint32_t want)
{
	for (uint32_t split = 0; split < 3; split++) {
		struct mime_summary s;
		struct mime_parser *p = parse_mail(in, split, &s);

		assert_int_equal(s.flags, want);
		mime_parser_free(&p);
	}
}

/* One octet that says something, at every place of a body's lines. */
static void
test_flags_anywhere(void **state)
{
	uint8_t mail[100];

	(void)state;
	for (size_t len = 3; len < sizeof mail; len += 7)
		for (size_t at = 2; at < len; at++) {
			memset(mail, 'a', len);
			mail[0] = mail[len / 2] = mail[len - 1] = '\n';
			mail[1] = '\n';
			check_flags(slice_of(mail, len), 0);
			mail[at] = 0;
			check_flags(slice_of(mail, len), MIME_HAS_NUL);
			mail[at] = 0x80;
			check_flags(slice_of(mail, len), MIME_HAS_8BIT);
		}
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(envelopes) + UNIT_COUNT(structures) +
	                               UNIT_COUNT(sections) + UNIT_COUNT(keys) + 5];
	size_t n = 0;

	MIME_ROWS(envelopes, test_envelope);
	MIME_ROWS(structures, test_structure);
	MIME_ROWS(sections, test_section);
	MIME_ROWS(keys, test_keys);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_part_table);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_body_refuses);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_quote_utf8);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_hint);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_flags_anywhere);
	return _cmocka_run_group_tests("mime", tests, n, NULL, NULL);
}
