/* remote_response: responses of IMAP servers, good, bad and hostile, given whole and
 * octet by octet. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "tools/remote_response.h"

/* Octets in pieces of at most `step`, then the end of the connection. */
struct script {
	struct slice left;
	size_t       step;
};

static enum rc
script_fill(void *arg, struct slice *have, struct err *e)
{
	struct script *s = arg;

	*have = slice_sub(s->left, 0, s->step);
	return have->len > 0 ? RC_OK : err_set(e, RC_IO, "end");
}

static void
script_take(void *arg, size_t n)
{
	struct script *s = arg;

	assert_true(n <= s->left.len);
	s->left = slice_sub(s->left, n, s->left.len);
}

static void
render_fetch(const struct remote_response *r, struct buf *out)
{
	const struct remote_fetch *f = &r->fetch;

	buf_printf(out, "fetch %u", r->number);
	if (f->has_uid)
		buf_printf(out, " uid=%u", f->uid);
	if (f->has_flags)
		buf_printf(out, " flags=%x[%.*s]", f->flags, SLICE_ARG(f->keywords));
	if (f->has_date)
		buf_printf(out, " date=%lld%+d", (long long)f->date.sec, f->date.zone_min);
	if (f->has_size)
		buf_printf(out, " size=%llu", (unsigned long long)f->size);
}

static void
render_namespaces(const struct remote_response *r, struct buf *out)
{
	buf_printf(out, "namespaces");
	for (size_t n = 0; n < r->namespaces.personal_count; n++)
		buf_printf(out, " <%.*s>%c", SLICE_ARG(r->namespaces.personal[n].prefix),
		    r->namespaces.personal[n].separator != '\0'
		        ? r->namespaces.personal[n].separator
		        : '-');
	buf_append_str(out, " other");
	for (size_t n = 0; n < r->namespaces.other_count; n++)
		buf_printf(out, " <%.*s>", SLICE_ARG(r->namespaces.other[n].prefix));
}

static void
render(const struct remote_response *r, struct uid_set *found, struct buf *out)
{
	switch (r->kind) {
	case RESPONSE_CONTINUE:
		buf_printf(out, "continue %.*s", SLICE_ARG(r->text));
		break;
	case RESPONSE_TAGGED:
	case RESPONSE_CONDITION:
		buf_printf(out, "%.*s %d [%.*s|%.*s] %.*s", SLICE_ARG(r->tag), (int)r->condition,
		    SLICE_ARG(r->code), SLICE_ARG(r->code_text), SLICE_ARG(r->text));
		break;
	case RESPONSE_CAPABILITY:
		buf_printf(out, "capability %.*s", SLICE_ARG(r->text));
		break;
	case RESPONSE_LIST:
		buf_printf(out, "%s (%.*s) %c ", r->list.lsub ? "lsub" : "list",
		    SLICE_ARG(r->list.attributes),
		    r->list.separator != '\0' ? r->list.separator : '-');
		buf_append_slice(out, r->list.name);
		break;
	case RESPONSE_NAMESPACE:
		render_namespaces(r, out);
		break;
	case RESPONSE_STATUS:
		buf_printf(out, "status %.*s %u %u %u", SLICE_ARG(r->status.name),
		    r->status.uidvalidity, r->status.uidnext, r->status.messages);
		break;
	case RESPONSE_EXISTS:
		buf_printf(out, "exists %u", r->number);
		break;
	case RESPONSE_FETCH:
		render_fetch(r, out);
		break;
	case RESPONSE_SEARCH:
		buf_append_str(out, "search ");
		uid_set_sort(found);
		uid_set_format(found, out);
		break;
	case RESPONSE_ENABLED:
		buf_printf(out, "enabled %.*s", SLICE_ARG(r->text));
		break;
	case RESPONSE_OTHER:
		buf_append_str(out, "other");
		break;
	}
}

/* All responses of `in`, "; " between them, and how it ended. */
static void
read_all(struct slice in, size_t step, struct buf *out)
{
	struct script script = { in, step };
	struct remote_lex lex;
	struct remote_response r;
	struct uid_set found;
	const char *between = "";

	remote_lex_init(&lex, (struct remote_source){ script_fill, script_take, &script }, 0);
	uid_set_init(&found, 100);
	while (remote_response_read(&lex, &found, &r)) {
		buf_append_str(out, between);
		between = "; ";
		if (r.at_text) {
			struct slice piece;

			buf_printf(out, "text%llu(", (unsigned long long)r.text_len);
			while (remote_response_text(&lex, &r, 5, &piece) && piece.len > 0)
				buf_append_slice(out, piece);
			buf_append_str(out, ") ");
			if (!remote_response_resume(&lex, &r))
				break;
		}
		render(&r, &found, out);
	}
	if (lex.rc != RC_IO)
		buf_printf(out, "%s%s", between, lex.rc == RC_LIMIT ? "LIMIT" : lex.err.text);
	remote_lex_fini(&lex);
	uid_set_fini(&found);
}

#define BAD "the server's answer cannot be understood: "

static const struct response_case {
	const char  *name;
	struct slice in;
	const char  *want;
} cases[] = {
	{ "greeting", SLICE_INIT("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n"),
	  "* 0 [CAPABILITY|IMAP4rev1 AUTH=PLAIN] hello" },
	{ "preauth", SLICE_INIT("* PREAUTH\r\n"), "* 4 [|] " },
	{ "bye", SLICE_INIT("* BYE too many\r\n"), "* 3 [|] too many" },
	{ "tagged", SLICE_INIT("r1 OK done\r\nr2 NO [NOPERM] no\r\nr3 BAD\r\n"),
	  "r1 0 [|] done; r2 1 [NOPERM|] no; r3 2 [|] " },
	{ "code with brackets in its text", SLICE_INIT("* OK [PERMANENTFLAGS (\\Seen \\*)] ok [x]\r\n"),
	  "* 0 [PERMANENTFLAGS|(\\Seen \\*)] ok [x]" },
	{ "bare LF", SLICE_INIT("* OK x\n"), "* 0 [|] x" },
	{ "small letters", SLICE_INIT("* ok [uidnext 17] x\r\n"), "* 0 [uidnext|17] x" },
	{ "continuation", SLICE_INIT("+ Zm9v\r\n+\r\n+ \r\n"), "continue Zm9v; continue ; continue " },
	{ "capability", SLICE_INIT("* CAPABILITY IMAP4rev1 IDLE\r\n"), "capability IMAP4rev1 IDLE" },
	{ "list", SLICE_INIT("* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"), "list (\\HasNoChildren \\Sent) / Sent" },
	{ "list, no separator", SLICE_INIT("* LIST () NIL INBOX\r\n"), "list () - INBOX" },
	{ "list, quoted backslash", SLICE_INIT("* LIST () \"\\\\\" \"a \\\"b\\\\c\"\r\n"), "list () \\ a \"b\\c" },
	{ "list, literal", SLICE_INIT("* LIST () \".\" {5}\r\na\"\\ b\r\n"), "list () . a\"\\ b" },
	{ "list, extended", SLICE_INIT("* LIST (\\Subscribed) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"),
	  "list (\\Subscribed) / a" },
	{ "list, brackets", SLICE_INIT("* LIST () \"/\" [Gmail]/All\r\n"), "list () / [Gmail]/All" },
	{ "list, home", SLICE_INIT("* LIST () \"/\" ~anna/mail\r\n"), "list () / ~anna/mail" },
	{ "lsub", SLICE_INIT("* LSUB (\\NoSelect) \"/\" a\r\n"), "lsub (\\NoSelect) / a" },
	{ "namespace", SLICE_INIT("* NAMESPACE ((\"INBOX.\" \".\")) NIL ((\"Shared.\" \".\" \"X\" (\"a\" \"b\"))(\"P.\" \".\"))\r\n"),
	  "namespaces <INBOX.>. other <Shared.> <P.>" },
	{ "no namespaces", SLICE_INIT("* NAMESPACE NIL NIL NIL\r\n"), "namespaces other" },
	{ "status", SLICE_INIT("* STATUS \"a b\" (MESSAGES 3 X (1 2) UIDVALIDITY 7 UIDNEXT 9)\r\n"), "status a b 7 9 3" },
	{ "exists, expunge", SLICE_INIT("* 3 EXISTS\r\n* 1 EXPUNGE\r\n* 0 RECENT\r\n"), "exists 3; other; other" },
	{ "search", SLICE_INIT("* SEARCH 3 1 2 9\r\n* SEARCH\r\n* SEARCH 11 (MODSEQ 4)\r\n"),
	  "search 1:3,9; search 1:3,9; search 1:3,9,11" },
	{ "search, spaces", SLICE_INIT("* SEARCH 3  \r\n"), "search 3" },
	{ "esearch", SLICE_INIT("* ESEARCH (TAG \"r1\") UID ALL 1:3,7 COUNT 4\r\n"), "search 1:3,7" },
	{ "esearch, backwards", SLICE_INIT("* ESEARCH (TAG \"r1\") UID ALL 3:1\r\n"), "search 1:3" },
	{ "esearch, nothing", SLICE_INIT("* ESEARCH (TAG \"r1\") UID\r\n"), "search " },
	{ "fetch", SLICE_INIT("* 1 FETCH (UID 5 FLAGS (\\Seen $Junk \\Recent x) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" "
	      "RFC822.SIZE 44)\r\n"), "fetch 1 uid=5 flags=8[$Junk x] date=837596665-420 size=44" },
	{ "fetch, text", SLICE_INIT("* 1 FETCH (UID 5 BODY[] {11}\r\nab\0d\r\n)\r\nxy)\r\n"),
	  "text11(ab\0d\r\n)\r\nxy) fetch 1 uid=5" },
	{ "fetch, literal8", SLICE_INIT("* 1 FETCH (UID 5 BODY[] ~{2}\r\n\0\n)\r\n"), "text2(\0\n) fetch 1 uid=5" },
	{ "fetch, text first", SLICE_INIT("* 1 FETCH (BODY[] {1}\r\nx UID 5)\r\n"), "text1(x) fetch 1 uid=5" },
	{ "fetch, empty text", SLICE_INIT("* 1 FETCH (BODY[] {0}\r\n UID 5)\r\n"), "text0() fetch 1 uid=5" },
	{ "fetch, quoted text", SLICE_INIT("* 1 FETCH (BODY[] \"ab\\\"cdef\" UID 5)\r\n"), "text7(ab\"cdef) fetch 1 uid=5" },
	{ "fetch, no text", SLICE_INIT("* 1 FETCH (BODY[] NIL UID 5)\r\n"), "fetch 1 uid=5" },
	{ "fetch, RFC822", SLICE_INIT("* 1 FETCH (RFC822 {1}\r\nx)\r\n"), "text1(x) fetch 1" },
	{ "fetch, what was not asked for", SLICE_INIT("* 1 FETCH (MODSEQ (12) ENVELOPE (NIL \"a\" ((NIL NIL {1}\r\nx y))) "
	      "BODY[HEADER.FIELDS (A \"B\")]<0> {3}\r\na)b X-GM-LABELS (\"\\\\Inbox\" \"\") BINARY.SIZE[1] 4 UID 7)\r\n"),
	  "fetch 1 uid=7" },
	{ "fetch, broken date", SLICE_INIT("* 1 FETCH (UID 5 INTERNALDATE \"yesterday\")\r\n"), "fetch 1 uid=5" },
	{ "fetch, date NIL", SLICE_INIT("* 1 FETCH (UID 5 INTERNALDATE NIL)\r\n"), "fetch 1 uid=5" },
	{ "fetch, spaces", SLICE_INIT("* 1 FETCH ( UID  5  FLAGS ( )  ) \r\n"), "fetch 1 uid=5 flags=0[]" },
	{ "unknown responses", SLICE_INIT("* VANISHED (EARLIER) 1:5\r\n* X {3}\r\n\r\n* y\r\n* 7 NEW \"a\r\n"),
	  "other; other; " BAD "\"\"\" expected" },
	{ "unknown, parentheses", SLICE_INIT("* ID (\"name\" \"x\") )\r\n* FLAGS (\\Seen)\r\n"), "other; other" },

	{ "two texts", SLICE_INIT("* 1 FETCH (BODY[] {1}\r\nx BODY[] {1}\r\nx)\r\n"), "text1(x) ; " BAD "one text of a message expected" },
	{ "text too short", SLICE_INIT("* 1 FETCH (BODY[] {1}\r\nxy UID 5)\r\n"), "text1(x) ; " BAD "a word expected" },
	{ "literal without a number", SLICE_INIT("* 1 FETCH (BODY[] {}\r\n)\r\n"), BAD "a number expected" },
	{ "literal with a sign", SLICE_INIT("* 1 FETCH (BODY[] {-1}\r\n)\r\n"), BAD "a number expected" },
	{ "huge literal", SLICE_INIT("* 1 FETCH (BODY[] {9223372036854775807}\r\nx"), "text9223372036854775807(x) " },
	{ "literal beyond 63 bits", SLICE_INIT("* 1 FETCH (BODY[] {9223372036854775808}\r\n"), BAD "a smaller number expected" },
	{ "huge name", SLICE_INIT("* LIST () \"/\" {1048577}\r\n"), "LIMIT" },
	{ "UID 0", SLICE_INIT("* 1 FETCH (UID 0)\r\n"), BAD "a UID above 0 expected" },
	{ "UID too large", SLICE_INIT("* 1 FETCH (UID 4294967296)\r\n"), BAD "a smaller number expected" },
	{ "search for 0", SLICE_INIT("* SEARCH 0\r\n"), BAD "a UID above 0 expected" },
	{ "NUL in a word", SLICE_INIT("* OK\0x\r\n"), BAD "the end of the line expected" },
	{ "NUL in a quoted string", SLICE_INIT("* LIST () \"/\" \"a\0\"\r\n"), BAD "\"\"\" expected" },
	{ "line end in a quoted string", SLICE_INIT("* LIST () \"/\" \"a\r\n\"\r\n"), BAD "\"\"\" expected" },
	{ "two separators", SLICE_INIT("* LIST () \"//\" a\r\n"), BAD "one separator expected" },
	{ "tag alone", SLICE_INIT("r1\r\n"), BAD "a word expected" },
	{ "tagged nonsense", SLICE_INIT("r1 MAYBE\r\n"), BAD "OK, NO or BAD expected" },
	{ "HTTP", SLICE_INIT("HTTP/1.1 400 Bad Request\r\n"), BAD "OK, NO or BAD expected" },
	{ "empty line", SLICE_INIT("\r\n"), BAD "a word expected" },
	{ "list not ended", SLICE_INIT("* 1 FETCH (UID 5\r\n"), BAD "a word expected" },
};

static void
test_response(void **state)
{
	const struct response_case *k = *state;
	struct slice in = unit_copy(k->in), want;
	struct buf whole, single;

	buf_init(&whole, 8192);
	buf_init(&single, 8192);
	read_all(in, SIZE_MAX, &whole);
	read_all(in, 1, &single);
	want = slice_of(k->want, strlen(k->want));
	if (slice_find_byte(buf_slice(&whole), '\0') == whole.len) {
		buf_append_byte(&whole, '\0');
		assert_string_equal((const char *)whole.ptr, k->want);
		whole.len--;
	} else {
		assert_memory_equal(whole.ptr, want.ptr, want.len);
	}
	assert_true(slice_eq(buf_slice(&whole), buf_slice(&single)));
	unit_drop(in);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(k->in, 0, cut));

		buf_reset(&whole);
		read_all(prefix, SIZE_MAX, &whole);
		unit_drop(prefix);
	}
	buf_fini(&whole);
	buf_fini(&single);
}

/* An endless repetition of one piece. */
struct endless {
	struct slice begin, again;
	uint64_t     given;
};

static enum rc
endless_fill(void *arg, struct slice *have, struct err *e)
{
	struct endless *s = arg;

	if (s->given > (64u << 20))
		return err_set(e, RC_IO, "read on and on");
	*have = s->begin.len > 0 ? s->begin : s->again;
	return RC_OK;
}

static void
endless_take(void *arg, size_t n)
{
	struct endless *s = arg;

	s->given += n;
	if (s->begin.len > 0)
		s->begin = slice_sub(s->begin, n, s->begin.len);
	else
		assert_int_equal(n, s->again.len);
}

/* Whatever a server repeats without end, it is not read for long and not held. */
static void
test_endless(void **state)
{
	static const struct {
		struct slice begin, again;
	} servers[] = {
		{ SLICE_INIT("* "), SLICE_INIT("a") },
		{ SLICE_INIT("* OK "), SLICE_INIT("a b ") },
		{ SLICE_INIT("* OK [X "), SLICE_INIT("a ") },
		{ SLICE_INIT("* X "), SLICE_INIT(" ") },
		{ SLICE_INIT("* X "), SLICE_INIT("(") },
		{ SLICE_INIT("* X "), SLICE_INIT("\"a\" ") },
		{ SLICE_INIT("* LIST ("), SLICE_INIT("\\a ") },
		{ SLICE_INIT("* LIST () \"/\" \""), SLICE_INIT("a") },
		{ SLICE_INIT("* NAMESPACE ("), SLICE_INIT("(\"\" \"/\")") },
		{ SLICE_INIT("* STATUS a ("), SLICE_INIT("X 1 ") },
		{ SLICE_INIT("* 1 FETCH ("), SLICE_INIT("UID 5 ") },
		{ SLICE_INIT("* 1 FETCH (FLAGS ("), SLICE_INIT("a ") },
		{ SLICE_INIT("* 1 FETCH (X "), SLICE_INIT("(") },
		{ SLICE_INIT("* 1 FETCH ("), SLICE_INIT("X () ") },
		{ SLICE_INIT("* SEARCH "), SLICE_INIT("0000000000000000") },
		{ SLICE_INIT("* SEARCH"), SLICE_INIT("               ") },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(servers); i++) {
		struct endless s = { servers[i].begin, servers[i].again, 0 };
		struct remote_lex lex;
		struct remote_response r;

		remote_lex_init(&lex, (struct remote_source){ endless_fill, endless_take, &s }, 0);
		assert_false(remote_response_read(&lex, NULL, &r));
		assert_true(lex.rc == RC_LIMIT || lex.rc == RC_SYNTAX);
		assert_true(s.given <= REMOTE_RESPONSE_MAX + 4096);
		remote_lex_fini(&lex);
	}
}

/* What is within its limits, again and again, and what is said to be long. */
static void
test_noise(void **state)
{
	static const struct slice servers[] = {
		SLICE_INIT("* OK Still here\r\n"), SLICE_INIT("* SEARCH 7 7 7 7\r\n"), SLICE_INIT("* 1 EXISTS\r\n"),
		SLICE_INIT("* LIST () \"/\" a\r\n"), SLICE_INIT("* X {3}\r\nabc\r\n"), SLICE_INIT("* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(servers); i++) {
		struct endless s = { servers[i], servers[i], 0 };
		struct remote_lex lex;
		struct remote_response r;

		remote_lex_init(&lex, (struct remote_source){ endless_fill, endless_take, &s },
		                1u << 20);
		while (remote_response_read(&lex, NULL, &r) &&
		       (!r.at_text || remote_response_resume(&lex, &r)))
			;
		assert_int_equal(lex.rc, RC_LIMIT);
		assert_true(s.given >= (1u << 20) - 4096 && s.given <= (1u << 20) + 4096);
		remote_lex_fini(&lex);
	}
}

/* An announcement is enough. */
static void
test_long_literals(void **state)
{
	static const struct slice servers[] = {
		SLICE_INIT("* X {9223372036854775807}\r\n"), SLICE_INIT("* 1 FETCH (UID 1 BODY[] {9223372036854775807}\r\n"),
		SLICE_INIT("* 1 FETCH (X {16777217}\r\n"), SLICE_INIT("* LIST () \"/\" {1048577}\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(servers); i++) {
		struct endless s = { servers[i], SLICE_INIT("x"), 0 };
		struct remote_lex lex;
		struct remote_response r;

		remote_lex_init(&lex, (struct remote_source){ endless_fill, endless_take, &s }, 0);
		assert_false(remote_response_read(&lex, NULL, &r) &&
		             remote_response_resume(&lex, &r));
		assert_int_equal(lex.rc, RC_LIMIT);
		assert_true(s.given <= servers[i].len);
		remote_lex_fini(&lex);
	}
}

/* In whatever order UIDs are found. */
static void
test_found_in_disorder(void **state)
{
	struct script script = { SLICE("* SEARCH 9 3 4 4 1\r\n* ESEARCH UID ALL 2:5,8\r\n"
	                               "* SEARCH 4294967295\r\n"), 4000 };
	struct remote_lex lex;
	struct remote_response r;
	struct uid_set found;
	struct buf text;

	(void)state;
	uid_set_init(&found, 100);
	buf_init(&text, 100);
	remote_lex_init(&lex, (struct remote_source){ script_fill, script_take, &script }, 0);
	while (remote_response_read(&lex, &found, &r))
		;
	uid_set_sort(&found);
	assert_true(uid_set_format(&found, &text));
	assert_true(slice_eq(buf_slice(&text), SLICE("1:5,8:9,4294967295")));
	remote_lex_fini(&lex);
	uid_set_fini(&found);
	buf_fini(&text);
}

/* More UIDs than a response may hold octets are found all the same. */
static void
test_many_found(void **state)
{
	struct script script;
	struct remote_lex lex;
	struct remote_response r;
	struct uid_set found;
	struct buf in;

	(void)state;
	buf_init(&in, 16u << 20);
	buf_append_str(&in, "* SEARCH");
	for (unsigned uid = 1; uid <= 400000; uid++)
		buf_printf(&in, " %u", 4000000000u + uid);
	buf_append_str(&in, "\r\n");
	assert_true(in.len > 4 * REMOTE_RESPONSE_MAX);
	script = (struct script){ buf_slice(&in), 4000 };
	uid_set_init(&found, 10);
	remote_lex_init(&lex, (struct remote_source){ script_fill, script_take, &script }, 0);
	assert_true(remote_response_read(&lex, &found, &r));
	assert_int_equal(uid_set_size(&found), 400000);
	remote_lex_fini(&lex);
	uid_set_fini(&found);
	buf_fini(&in);
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases) + 5];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_response, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_endless);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_noise);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_long_literals);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_found_in_disorder);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_many_found);
	return _cmocka_run_group_tests("remote_response", tests, n, NULL, NULL);
}
