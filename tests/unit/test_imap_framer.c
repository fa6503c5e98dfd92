/* imap framer: what it makes of input, whole, in two pieces cut everywhere, and octet by octet.
 *
 * The driver collects literals, except that a frame that begins with "S" streams them and one that
 * begins with "R" refuses them. Events are written down as text: "C(frame)", "+", "R(why)",
 * "X(why)", "S(octets)". */
#include "tests/unit/unit.h"

#include "lib/buf.h"
#include "server/imap/framer.h"

static const struct framer_limits tight = { 32, 2, 16, false };
static const struct framer_limits person = { 32, 2, 16, true };

#define LONG "R(Command is over the limit command_size)"
#define ENDLESS "X([TOOBIG] Command is over the limit, and too long to skip)"
#define FLAW "R(Command holds NUL, or CR or LF that is no CRLF)"

static const struct framer_case {
	const char                 *name;
	const struct framer_limits *limits;
	struct slice                in;
	const char                 *want;
} cases[] = {
	{ "one line", &tight, SLICE_INIT("a NOOP\r\n"), "C(a NOOP)" },
	{ "pipelined", &tight, SLICE_INIT("a\r\nb\r\n\r\nc"), "C(a)C(b)C()" },
	{ "literal in place", &tight, SLICE_INIT("a {3}\r\nx\r\n y\r\n"), "+C(a {3}|x| y)" },
	{ "literal+", &tight, SLICE_INIT("a {3+}\r\nx{} y\r\n"), "C(a {3+}|x{} y)" },
	{ "literal8", &tight, SLICE_INIT("a ~{1}\r\n\0\r\n"), "8+C(a ~{1}|0)" },
	{ "empty literal at the end", &tight, SLICE_INIT("a {0+}\r\n\r\nb\r\n"), "C(a {0+}|)C(b)" },
	{ "no literal: minus", &tight, SLICE_INIT("a {3-}\r\n"), "C(a {3-})" },
	{ "no literal: not at the end", &tight, SLICE_INIT("a {3} \r\n"), "C(a {3} )" },
	{ "no literal: no digits", &tight, SLICE_INIT("a {}\r\nb {+}\r\n"), "C(a {})C(b {+})" },
	{ "no literal: brace missing", &tight, SLICE_INIT("a 3}\r\n"), "C(a 3})" },
	{ "too many literals", &tight, SLICE_INIT("a {1+}\r\nx{1+}\r\ny{1+}\r\nz\r\nb\r\n"),
	  "R(Command is over the limit of literals)C(b)" },
	{ "literal over the frame, sync", &tight, SLICE_INIT("a {99}\r\nb\r\n"), LONG "C(b)" },
	{ "literal over the frame, not sync", &tight, SLICE_INIT("a aaaaaaaaaaaaaaaaaa {16+}\r\nb NOOP\r\nc NOOP\r\n!\r\nd\r\n"),
	  LONG "C(d)" },
	{ "refused literal is no command", &tight, SLICE_INIT("R {8+}\r\nb NOOP\r\n\r\nc\r\n"), "R(test)C(c)" },
	{ "refused, and more literals follow", &tight, SLICE_INIT("R {4+}\r\nb\r\n!{6+}\r\nc\r\nd\r\n\r\ne\r\n"), "R(test)C(e)" },
	{ "refused, then a sync literal ends it", &tight, SLICE_INIT("R {1+}\r\nx {5}\r\nc\r\n"), "R(test)C(c)" },
	{ "refused sync", &tight, SLICE_INIT("R {5}\r\nc\r\n"), "R(test)C(c)" },
	{ "too large to skip", &tight, SLICE_INIT("R {17+}\r\n"), "X([TOOBIG] Literal is over the limit, and too large to skip)" },
	{ "size beyond 63 bits, sync", &tight, SLICE_INIT("a {9223372036854775808}\r\nc\r\n"),
	  "R([TOOBIG] Literal is over the limit of 63 bits)C(c)" },
	{ "size beyond 63 bits, not sync", &tight, SLICE_INIT("a {9223372036854775808+}\r\n"),
	  "X([TOOBIG] Literal is over the limit of 63 bits)" },
	{ "more digits than the tail keeps", &tight, SLICE_INIT("{0000000000000000000000000000000000000000003}\r\nc\r\n"),
	  "R([TOOBIG] Literal is over the limit of 63 bits)C(c)" },
	{ "exactly the limit", &tight, SLICE_INIT("123456789012345678901234567890\r\n"), "C(123456789012345678901234567890)" },
	{ "one over the limit", &tight, SLICE_INIT("1234567890123456789012345678901\r\nb\r\n"), LONG "C(b)" },
	{ "a long line's literal is swallowed", &tight,
	  SLICE_INIT("123456789012345678901234567890 {8+}\r\nb NOOP\r\n\r\nc\r\n"), LONG "C(c)" },
	{ "as much is swallowed as may be", &tight,
	  SLICE_INIT("12345678901234567890123456789012" "12345678901234\r\nb\r\n"), LONG "C(b)" },
	{ "one more closes", &tight, SLICE_INIT("12345678901234567890123456789012" "123456789012345\r\nb\r\n"), ENDLESS },
	{ "before the line ends", &tight, SLICE_INIT("12345678901234567890123456789012" "12345678901234567"), ENDLESS },
	{ "lines of a refused command add up", &tight,
	  SLICE_INIT("R {1+}\r\nx56 {1+}\r\nx4 {1+}\r\nxb\r\nc\r\n"), ENDLESS },
	{ "its literals do not", &tight, SLICE_INIT("R {16+}\r\n1234567890123456{9+}\r\n123456789\r\nc\r\n"), "R(test)C(c)" },
	{ "each command anew", &tight, SLICE_INIT("R {1+}\r\nx5678901234\r\nR {1+}\r\nx5678901234\r\nc\r\n"),
	  "R(test)R(test)C(c)" },
	{ "NUL", &tight, SLICE_INIT("a\0b\r\nc\r\n"), FLAW "C(c)" },
	{ "bare CR", &tight, SLICE_INIT("a\rb\r\nc\r\n"), FLAW "C(c)" },
	{ "CR CR LF", &tight, SLICE_INIT("a\r\r\nc\r\n"), FLAW "C(c)" },
	{ "bare LF does not end a line", &tight, SLICE_INIT("a\nb\r\nc\r\n"), FLAW "C(c)" },
	{ "bare LF from a person", &person, SLICE_INIT("a\nb\r\n"), FLAW "C(b)" },
	{ "flawed line's literal is swallowed", &tight, SLICE_INIT("a\0{3+}\r\nb\r\n\r\nc\r\n"), FLAW "C(c)" },
	{ "HTTP before its line ends", &tight, SLICE_INIT("PUT /x"), "X(This is IMAP)" },
	{ "HTTP by its version", &tight, SLICE_INIT("CONNECT a:1 HTTP/1.1\r\n"), "X(This is IMAP)" },
	{ "TLS in clear", &tight, SLICE_INIT("\x16\x03\x01\x02\x00\x01"), "X(This is IMAP)" },
	{ "HTTP", &tight, SLICE_INIT("GET / HTTP/1.1\r\n"), "X(This is IMAP)" },
	{ "HTTP later is just bad", &tight, SLICE_INIT("a\r\nGET / HTTP/1.1\r\n"), "C(a)C(GET / HTTP/1.1)" },
	{ "streamed", &tight, SLICE_INIT("S {5+}\r\na{0b\n x\r\nc\r\n"), "S(a{0bn)C( x)C(c)" },
	{ "streamed twice", &tight, SLICE_INIT("S {1}\r\na {2}\r\nbb\r\n"), "+S(a)+S(bb)C()" },
	{ "nothing streamed", &tight, SLICE_INIT("S {0+}\r\n\r\nc\r\n"), "S()C()C(c)" },
};

struct driver {
	struct framer f;
	struct buf    log;
	bool          streams;
	bool          closed;
};

/* Text with CRLF as |, NUL as 0, other control characters as letters. */
static void
note(struct driver *d, const char *before, struct slice s, const char *after)
{
	buf_append_str(&d->log, before);
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\r')
			buf_append_byte(&d->log, '|');
		else if (s.ptr[i] == '\n' && i > 0 && s.ptr[i - 1] == '\r')
			continue;
		else
			buf_append_byte(&d->log, s.ptr[i] == '\0'   ? '0'
			                         : s.ptr[i] == '\n' ? 'n'
			                                            : s.ptr[i]);
	}
	buf_append_str(&d->log, after);
}

static void
on_literal(struct driver *d)
{
	struct slice frame = buf_slice(&d->f.frame);

	if (d->f.literal.binary)
		buf_append_str(&d->log, "8");
	if (frame.ptr[0] == 'R') {
		framer_refuse(&d->f, "test", !d->f.literal.sync);
		return;
	}
	if (frame.ptr[0] == 'S')
		d->streams = true;
	if (d->streams) {
		if (d->f.literal.sync)
			buf_append_str(&d->log, "+");
		framer_stream(&d->f);
		buf_append_str(&d->log, "S(");
		if (d->f.literal_left == 0)
			buf_append_str(&d->log, ")");
		return;
	}
	if (framer_collect(&d->f) && d->f.literal.sync)
		buf_append_str(&d->log, "+");
}

static size_t
take_stream(struct driver *d, struct slice in)
{
	size_t n = in.len < d->f.literal_left ? in.len : (size_t)d->f.literal_left;

	note(d, "", slice_sub(in, 0, n), "");
	framer_streamed(&d->f, n);
	if (d->f.literal_left == 0 && n > 0)
		buf_append_str(&d->log, ")");
	return n;
}

static bool
is_streaming(const struct driver *d)
{
	return d->f.state == FRAMER_STREAMING && d->f.literal_left > 0;
}

static void
feed(struct driver *d, struct slice in)
{
	while (!d->closed) {
		size_t used = 0;

		if (is_streaming(d)) {
			used = take_stream(d, in);
			in = slice_sub(in, used, in.len);
			if (is_streaming(d))
				return;
		}
		switch (framer_feed(&d->f, in, &used)) {
		case FRAMER_MORE:
			assert_int_equal(used, in.len);
			return;
		case FRAMER_COMMAND:
			note(d, "C(", buf_slice(&d->f.frame), ")");
			d->streams = false;
			framer_next(&d->f);
			break;
		case FRAMER_LITERAL:
			on_literal(d);
			break;
		case FRAMER_REFUSED:
			note(d, "R(", slice_str(d->f.refused), ")");
			d->streams = false;
			framer_next(&d->f);
			break;
		case FRAMER_CLOSE:
			note(d, "X(", slice_str(d->f.refused), ")");
			d->closed = true;
			break;
		}
		in = slice_sub(in, used, in.len);
	}
}

/* Feed in pieces of `step` octets, the first of `first`. */
static void
check(const struct framer_case *k, size_t first, size_t step)
{
	struct driver d = { .streams = false };
	struct slice rest = k->in;
	size_t n = first;

	framer_init(&d.f, k->limits);
	buf_init(&d.log, 65536);
	while (rest.len > 0) {
		struct slice piece = unit_copy(slice_sub(rest, 0, n));

		feed(&d, piece);
		unit_drop(piece);
		rest = slice_sub(rest, n, rest.len);
		n = step;
	}
	if (!slice_eq(buf_slice(&d.log), slice_str(k->want)))
		fail_msg("first %zu, then %zu: got \"%.*s\", wanted \"%s\"", first, step,
		         SLICE_ARG(buf_slice(&d.log)), k->want);
	framer_fini(&d.f);
	buf_fini(&d.log);
}

static void
test_case(void **state)
{
	const struct framer_case *k = *state;

	check(k, k->in.len, 1);
	check(k, 1, 1);
	for (size_t cut = 1; cut < k->in.len; cut++)
		check(k, cut, k->in.len);
}

static void
test_expect_line(void **state)
{
	struct framer f;
	size_t used;

	(void)state;
	framer_init(&f, &tight);
	framer_expect_line(&f);
	assert_int_equal(framer_feed(&f, SLICE("x {3}\r\nabc"), &used), FRAMER_COMMAND);
	assert_true(slice_eq(buf_slice(&f.frame), SLICE("x {3}")));
	assert_int_equal(used, 7);
	assert_true(framer_busy(&f));
	framer_next(&f);
	assert_false(framer_busy(&f));
	assert_null(f.frame.ptr);               /* nothing is held between commands */
	framer_fini(&f);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + 1];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_case, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_expect_line);
	return cmocka_run_group_tests_name("imap_framer", tests, NULL, NULL);
}
