/* imap productions: what each takes, where it stops, and what it says it expected; and every prefix
 * of every input. */
#include "tests/unit/unit.h"

#include "server/imap/imap.h"

struct parse_case {
	const char  *name;
	bool       (*production)(struct imap *im, struct cursor *c, struct buf *out);
	struct slice in;
	const char  *want;      /* the value in text, or "expected ..." */
	size_t       left;      /* octets the production leaves unread */
};

/* ---- productions, their values as text ---- */

static void
put(struct buf *out, struct slice s)
{
	if (s.ptr == NULL)
		buf_append_str(out, "<nil>");
	else
		buf_append_slice(out, s);
}

static bool
do_set(struct imap *im, struct cursor *c, struct buf *out)
{
	struct seq_set set;

	if (!parse_sequence_set(c, &im->arena, &set))
		return false;
	if (set.saved_result)
		buf_append_str(out, "$");
	for (uint32_t i = 0; i < set.count; i++) {
		const struct seq_range *r = &set.ranges[i];

		buf_append_str(out, i > 0 ? "," : "");
		if (r->first == SEQ_STAR)
			buf_append_str(out, "*");
		else
			buf_append_u64(out, r->first);
		if (r->last == r->first)
			continue;
		buf_append_str(out, ":");
		if (r->last == SEQ_STAR)
			buf_append_str(out, "*");
		else
			buf_append_u64(out, r->last);
	}
	return true;
}

static bool
do_atom(struct imap *im, struct cursor *c, struct buf *out)
{
	struct slice s;

	(void)im;
	if (!parse_atom(c, &s))
		return false;
	put(out, s);
	return true;
}

static bool
do_tag(struct imap *im, struct cursor *c, struct buf *out)
{
	struct slice s;

	(void)im;
	if (!parse_tag(c, &s))
		return false;
	put(out, s);
	return true;
}

static bool
do_astring(struct imap *im, struct cursor *c, struct buf *out)
{
	struct slice s;

	if (!parse_astring(c, &im->arena, &s))
		return false;
	put(out, s);
	return true;
}

static bool
do_nstring(struct imap *im, struct cursor *c, struct buf *out)
{
	struct slice s;

	if (!parse_nstring(c, &im->arena, &s))
		return false;
	put(out, s);
	return true;
}

static bool
do_pattern(struct imap *im, struct cursor *c, struct buf *out)
{
	struct slice s;

	if (!parse_list_mailbox(c, &im->arena, &s))
		return false;
	put(out, s);
	return true;
}

static bool
do_number(struct imap *im, struct cursor *c, struct buf *out)
{
	uint32_t n;

	(void)im;
	return parse_number(c, &n) && buf_append_u64(out, n);
}

static bool
do_number64(struct imap *im, struct cursor *c, struct buf *out)
{
	uint64_t n;

	(void)im;
	return parse_number64(c, &n) && buf_append_u64(out, n);
}

static bool
do_nz_number(struct imap *im, struct cursor *c, struct buf *out)
{
	uint32_t n;

	(void)im;
	return parse_nz_number(c, &n) && buf_append_u64(out, n);
}

static bool
do_mailbox(struct imap *im, struct cursor *c, struct buf *out)
{
	struct slice s;

	im->utf8 = false;
	if (!parse_mailbox(im, c, &s))
		return false;
	put(out, s);
	return true;
}

static bool
do_mailbox_utf8(struct imap *im, struct cursor *c, struct buf *out)
{
	struct slice s;

	im->utf8 = true;
	if (!parse_mailbox(im, c, &s))
		return false;
	put(out, s);
	return true;
}

static bool
do_flags(struct imap *im, struct cursor *c, struct buf *out)
{
	uint32_t flags;
	struct slice keywords;

	return parse_flag_list(c, &im->arena, &flags, &keywords) && buf_printf(out, "%u", flags) &&
	       buf_append_str(out, keywords.len > 0 ? " " : "") && buf_append_slice(out, keywords);
}

static bool
do_date_time(struct imap *im, struct cursor *c, struct buf *out)
{
	struct mail_date d;

	(void)im;
	return parse_date_time(c, &d) && buf_printf(out, "%lld %d", (long long)d.sec, d.zone_min);
}

static bool
do_date(struct imap *im, struct cursor *c, struct buf *out)
{
	int64_t sec;

	(void)im;
	return parse_date(c, &sec) && buf_printf(out, "%lld", (long long)sec);
}

static bool
do_end(struct imap *im, struct cursor *c, struct buf *out)
{
	(void)im;
	return parse_end(c) && buf_append_str(out, "end");
}

#define IN(s) SLICE_INIT(s)

static const struct parse_case cases[] = {
	{ "set: written order", do_set, IN("4:2,*"), "4:2,*", 0 },
	{ "set: stops at space", do_set, IN("1 FLAGS"), "1", 6 },
	{ "set: missing comma", do_set, IN("1*"), "1", 1 },
	{ "set: trailing comma", do_set, IN("1,"), "expected nz-number", 0 },
	{ "set: one past largest", do_set, IN("4294967296"), "expected number below 2^32", 10 },
	{ "set: largest", do_set, IN("4294967295:*"), "4294967295:*", 0 },
	{ "set: embedded NUL", do_set, IN("1:\0002"), "expected nz-number", 2 },
	{ "set: zero", do_set, IN("0"), "expected nz-number", 1 },
	{ "set: leading zero", do_set, IN("01"), "expected nz-number", 2 },
	{ "set: saved result", do_set, IN("$ X"), "$", 2 },
	{ "set: saved result stands alone", do_set, IN("1,$"), "expected nz-number", 1 },
	{ "set: empty", do_set, IN(""), "expected nz-number", 0 },
	{ "set: star range", do_set, IN("*:1"), "*:1", 0 },
	{ "set: more than the first room", do_set, IN("1,3,5,7,9,11"), "1,3,5,7,9,11", 0 },

	{ "atom", do_atom, IN("a.b-c/d&e+]"), "a.b-c/d&e+", 1 },
	{ "atom: specials end it", do_atom, IN("ab(c"), "ab", 2 },
	{ "atom: none", do_atom, IN("\"x\""), "expected atom", 3 },
	{ "atom: 8 bit", do_atom, IN("a\xc3\xa4"), "a", 2 },
	{ "atom: DEL", do_atom, IN("a\x7f"), "a", 1 },
	{ "tag", do_tag, IN("A1] NOOP"), "A1]", 5 },
	{ "tag: plus is reserved", do_tag, IN("a+ NOOP"), "expected tag", 7 },
	{ "tag: none", do_tag, IN(" NOOP"), "expected tag", 5 },

	{ "astring: atom with ]", do_astring, IN("a]b c"), "a]b", 2 },
	{ "astring: quoted", do_astring, IN("\"a b\"c"), "a b", 1 },
	{ "astring: empty quoted", do_astring, IN("\"\""), "", 0 },
	{ "astring: escapes", do_astring, IN("\"a\\\"b\\\\c\""), "a\"b\\c", 0 },
	{ "astring: other escape", do_astring, IN("\"a\\n\""), "expected quoted string", 4 },
	{ "astring: no closing quote", do_astring, IN("\"abc"), "expected quoted string", 3 },
	{ "astring: backslash at the end", do_astring, IN("\"abc\\"), "expected quoted string", 4 },
	{ "astring: NUL in quotes", do_astring, IN("\"a\0b\""), "expected quoted string", 4 },
	{ "astring: CR in quotes", do_astring, IN("\"a\rb\""), "expected quoted string", 4 },
	{ "astring: 8 bit in quotes (leniency)", do_astring, IN("\"\xc3\xa4\""), "\xc3\xa4", 0 },
	{ "astring: literal", do_astring, IN("{3}\r\na\"b c"), "a\"b", 2 },
	{ "astring: literal+", do_astring, IN("{0+}\r\n x"), "", 2 },
	{ "astring: short literal", do_astring, IN("{4}\r\nabc"), "expected octets of the literal", 3 },
	{ "astring: literal without CRLF", do_astring, IN("{1}a"), "expected literal", 1 },
	{ "astring: literal-", do_astring, IN("{1-}\r\na"), "expected literal", 5 },
	{ "astring: NUL in a literal", do_astring, IN("{1}\r\n\0"), "expected literal without NUL", 1 },
	{ "astring: huge literal", do_astring, IN("{9223372036854775807}\r\na"), "expected octets of the literal", 1 },
	{ "astring: none", do_astring, IN(" x"), "expected astring", 2 },
	{ "nstring: nil", do_nstring, IN("nil)"), "<nil>", 1 },
	{ "nstring: quoted nil", do_nstring, IN("\"NIL\""), "NIL", 0 },
	{ "nstring: an atom is none", do_nstring, IN("abc"), "expected string", 3 },
	{ "pattern", do_pattern, IN("a%*b] x"), "a%*b]", 2 },
	{ "pattern: quoted", do_pattern, IN("\"a b%\""), "a b%", 0 },
	{ "pattern: none", do_pattern, IN(")"), "expected mailbox pattern", 1 },

	{ "number: zero", do_number, IN("0x"), "0", 1 },
	{ "number: largest", do_number, IN("4294967295"), "4294967295", 0 },
	{ "number: too large", do_number, IN("4294967296"), "expected number below 2^32", 10 },
	{ "number: sign", do_number, IN("-1"), "expected number", 2 },
	{ "number64: largest", do_number64, IN("9223372036854775807"), "9223372036854775807", 0 },
	{ "number64: too large", do_number64, IN("9223372036854775808"), "expected number below 2^63", 19 },
	{ "number64: much too large", do_number64, IN("99999999999999999999999"), "expected number below 2^63", 23 },
	{ "nz-number: zero", do_nz_number, IN("0"), "expected nz-number", 1 },

	{ "mailbox: inbox in any case", do_mailbox, IN("iNbOx x"), "INBOX", 2 },
	{ "mailbox: below inbox", do_mailbox, IN("inbox/Foo"), "INBOX/Foo", 0 },
	{ "mailbox: begins like inbox", do_mailbox, IN("inboxes"), "inboxes", 0 },
	{ "mailbox: modified UTF-7", do_mailbox, IN("&U,BTFw-/a&-b"), "\xe5\x8f\xb0\xe5\x8c\x97/a&b", 0 },
	{ "mailbox: trailing separator kept", do_mailbox, IN("foo/"), "foo/", 0 },
	{ "mailbox: 8 bit in modified UTF-7", do_mailbox, IN("\"\xc3\xa4\""),
	  "expected mailbox name in modified UTF-7", 0 },
	{ "mailbox: open shift", do_mailbox, IN("&AOQ"), "\x7f", 0 },
	{ "mailbox: UTF-8 made NFC", do_mailbox_utf8, IN("\"a\xcc\x88&\""), "\xc3\xa4&", 0 },
	{ "mailbox: not UTF-8", do_mailbox_utf8, IN("\"\xff\""), "expected mailbox name in UTF-8", 0 },

	{ "flags", do_flags, IN("(\\Seen \\deleted $Fwd x)"), "12 $Fwd x", 0 },
	{ "flags: empty list", do_flags, IN("() "), "0", 1 },
	{ "flags: bare", do_flags, IN("\\Answered \\Draft"), "17", 0 },
	{ "flags: recent", do_flags, IN("(\\Recent)"),
	  "expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft or a keyword", 8 },
	{ "flags: two spaces", do_flags, IN("(a  b)"), "expected atom", 3 },
	{ "flags: not closed", do_flags, IN("(\\Seen"), "expected )", 0 },
	{ "flags: backslash alone", do_flags, IN("(\\)"), "expected atom", 1 },

	{ "date-time", do_date_time, IN("\"17-Jul-1996 02:44:25 -0700\" {"), "837596665 -420", 2 },
	{ "date-time: padded day", do_date_time, IN("\" 1-Jan-1970 00:00:00 +0000\""), "0 0", 0 },
	{ "date-time: one digit", do_date_time, IN("\"1-Jan-1970 00:00:00 +0000\""), "expected date-time", 27 },
	{ "date-time: not closed", do_date_time, IN("\"17-Jul-1996 02:44:25 -0700"), "expected date-time", 27 },
	{ "date-time: no such day", do_date_time, IN("\"31-Feb-1996 02:44:25 -0700\""), "expected date-time", 28 },
	{ "date", do_date, IN("1-Feb-1994 x"), "760060800", 2 },
	{ "date: quoted", do_date, IN("\"01-Feb-1994\""), "760060800", 0 },
	{ "date: half quoted", do_date, IN("\"1-Feb-1994"), "expected date", 11 },
	{ "date: month", do_date, IN("1-Foo-1994"), "expected date", 10 },

	{ "end", do_end, IN(""), "end", 0 },
	{ "not the end", do_end, IN(" "), "expected end of command", 1 },
};

static void
parse_copy(const struct parse_case *k, size_t len, struct buf *text, size_t *left)
{
	struct slice in = unit_copy(slice_sub(k->in, 0, len));
	struct imap im = { .utf8 = false };
	struct cursor c;

	arena_init(&im.arena, 1u << 20);
	cur_init(&c, in);
	buf_reset(text);
	if (!k->production(&im, &c, text)) {
		assert_non_null(c.expected);
		assert_true(c.failed_at <= in.len);
		buf_reset(text);
		buf_printf(text, "expected %s", c.expected);
	}
	assert_true(c.pos <= in.len);
	*left = in.len - c.pos;
	arena_fini(&im.arena);
	unit_drop(in);
}

static void
test_case(void **state)
{
	const struct parse_case *k = *state;
	struct buf text;
	size_t left;

	buf_init(&text, 65536);
	parse_copy(k, k->in.len, &text, &left);
	if (!slice_eq(buf_slice(&text), slice_str(k->want)))
		fail_msg("got \"%.*s\", wanted \"%s\"", SLICE_ARG(buf_slice(&text)), k->want);
	assert_int_equal(left, k->left);
	for (size_t cut = 0; cut < k->in.len; cut++)
		parse_copy(k, cut, &text, &left);
	buf_fini(&text);
}

/* ---- limits, and character classes on all octets ---- */

static void
test_set_limit(void **state)
{
	struct buf in;
	struct arena a;
	struct cursor c;
	struct seq_set set;

	(void)state;
	buf_init(&in, 65536);
	arena_init(&a, 1u << 20);
	for (unsigned i = 0; i < SEQ_SET_MAX; i++)
		buf_append_str(&in, i > 0 ? ",1" : "1");
	cur_init(&c, buf_slice(&in));
	assert_true(parse_sequence_set(&c, &a, &set));
	assert_int_equal(set.count, SEQ_SET_MAX);
	buf_append_str(&in, ",1");
	cur_init(&c, buf_slice(&in));
	assert_false(parse_sequence_set(&c, &a, &set));
	assert_string_equal(c.expected, "fewer ranges");
	arena_fini(&a);
	buf_fini(&in);
}

static void
test_flag_limit(void **state)
{
	struct buf in;
	struct arena a;
	struct cursor c;
	uint32_t flags;
	struct slice keywords;

	(void)state;
	buf_init(&in, 65536);
	arena_init(&a, 1u << 20);
	buf_append_byte(&in, '(');
	for (unsigned i = 0; i < KEYWORDS_MAX / 2 + 1; i++)
		buf_append_str(&in, i > 0 ? " k" : "k");
	buf_append_byte(&in, ')');
	cur_init(&c, buf_slice(&in));
	assert_false(parse_flag_list(&c, &a, &flags, &keywords));
	assert_string_equal(c.expected, "fewer keywords (4096 octets)");
	arena_fini(&a);
	buf_fini(&in);
}

/* ATOM-CHAR written once more, as the grammar has it. */
static void
test_atom_chars(void **state)
{
	(void)state;
	for (int ch = 0; ch < 256; ch++) {
		uint8_t octet = (uint8_t)ch;
		struct slice in = unit_copy(slice_of(&octet, 1));
		bool want = ch > 0x20 && ch < 0x7f && strchr("(){%*\"\\]", ch) == NULL;
		struct cursor c;
		struct slice out;

		if (ch == ')' || ch == '(')
			want = false;
		if (ch == '}')
			want = true;
		cur_init(&c, in);
		assert_int_equal(parse_atom(&c, &out), want);
		unit_drop(in);
	}
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + 3];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_case, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_set_limit);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_flag_limit);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_atom_chars);
	return cmocka_run_group_tests_name("imap_parse", tests, NULL, NULL);
}
