/* The end of mail data and its dot-stuffing [RFC 5321 s4.5.2]: every row whole and split
 * at every byte. */
#include "tests/unit/unit.h"

#include "lib/buf.h"
#include "server/lmtp/dots.h"

static const struct dots_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* the message */
	size_t       left;      /* bytes behind the end; SIZE_MAX: no end */
} cases[] = {
	{ "a line", SLICE_INIT("abc\r\n.\r\n"), "abc\r\n", 0 },
	{ "empty message", SLICE_INIT(".\r\n"), "", 0 },
	{ "commands behind", SLICE_INIT("a\r\n.\r\nQUIT\r\n"), "a\r\n", 6 },
	{ "stuffed", SLICE_INIT("..\r\n..a\r\n.\r\n"), ".\r\n.a\r\n", 0 },
	{ "dot not stuffed", SLICE_INIT(".a\r\n.\r\n"), "a\r\n", 0 },
	{ "dots inside lines stay", SLICE_INIT("a.\r\nb..c\r\n.\r\n"), "a.\r\nb..c\r\n", 0 },
	{ "no end yet", SLICE_INIT("a\r\n."), "a\r\n", SIZE_MAX },
	{ "no end yet, CR", SLICE_INIT("a\r\n.\r"), "a\r\n", SIZE_MAX },
	{ "LF dot CRLF ends nothing", SLICE_INIT("a\n.\r\nb\r\n.\r\n"), "a\n.\r\nb\r\n", 0 },
	{ "LF dot LF ends nothing", SLICE_INIT("a\n.\nb\r\n.\r\n"), "a\n.\nb\r\n", 0 },
	{ "CR dot CR ends nothing", SLICE_INIT("a\r.\rb\r\n.\r\n"), "a\r.\rb\r\n", 0 },
	{ "CR dot CRLF ends nothing", SLICE_INIT("a\r.\r\n.\r\n"), "a\r.\r\n", 0 },
	{ "CRLF dot LF ends nothing", SLICE_INIT("a\r\n.\nb\r\n.\r\n"), "a\r\n\nb\r\n", 0 },
	{ "CRLF dot CR ends nothing", SLICE_INIT("a\r\n.\rb\r\n.\r\n"), "a\r\n\rb\r\n", 0 },
	{ "CRLF dot CR CR LF", SLICE_INIT("a\r\n.\r\r\n.\r\n"), "a\r\n\r\r\n", 0 },
	{ "CR CR LF", SLICE_INIT("a\r\r\n.\r\n"), "a\r\r\n", 0 },
	{ "LF at the beginning", SLICE_INIT("\n.\r\n\r\n.\r\n"), "\n.\r\n\r\n", 0 },
	{ "blank lines", SLICE_INIT("\r\n\r\n.\r\n"), "\r\n\r\n", 0 },
#define LONG "a line of more than sixty-four octets, that is, of more than one block of them\r\n"
	{ "long lines", SLICE_INIT(LONG LONG "." LONG "b\n.c\n" LONG ".\r\nd"), LONG LONG LONG "b\n.c\n" LONG, 1 },
};

static void
feed(struct dots *d, struct slice in, struct buf *out, size_t *left)
{
	struct slice copy = unit_copy(in), rest = copy;

	while (rest.len > 0 && d->state != DOTS_END) {
		enum dots_state before = d->state;
		struct slice piece;
		size_t n = dots_next(d, rest, &piece);

		assert_true(n <= rest.len);
		assert_true(n > 0 || d->state != before);
		buf_append_slice(out, piece);
		rest = slice_sub(rest, n, rest.len);
	}
	*left = rest.len;
	unit_drop(copy);
}

static void
check(const struct dots_case *k, size_t first, size_t second)
{
	size_t a, b, c;
	struct dots d;
	struct buf out;

	dots_init(&d);
	buf_init(&out, 1000);
	feed(&d, slice_sub(k->in, 0, first), &out, &a);
	feed(&d, slice_sub(k->in, first, second), &out, &b);
	feed(&d, slice_sub(k->in, second, k->in.len), &out, &c);
	assert_true(slice_eq(buf_slice(&out), slice_str(k->want)));
	if (k->left == SIZE_MAX)
		assert_int_not_equal(d.state, DOTS_END);
	else
		assert_int_equal(a + b + c, k->left);
	buf_fini(&out);
}

static void
test_dots(void **state)
{
	const struct dots_case *k = *state;

	for (size_t i = 0; i <= k->in.len; i++)
		for (size_t j = i; j <= k->in.len; j++)
			check(k, i, j);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases)];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, test_dots, NULL, NULL,
		                                (void *)(uintptr_t)&cases[i] };
	return cmocka_run_group_tests_name("lmtp_dots", tests, NULL, NULL);
}
