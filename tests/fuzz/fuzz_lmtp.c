/* fuzz_lmtp - any bytes as a path with its parameters, and as mail data cut in two at a place the input chooses.
 *
 * Held against: a parsed path lies within its line, parameters come to an end, and mail data yields the same message and
 * the same end however it is cut.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "server/lmtp/dots.h"
#include "server/lmtp/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_lmtp: broken: %s\n", what);
		abort();
	}
}

static bool
within(struct slice part, struct slice whole)
{
	return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void
try_path(struct slice line)
{
	struct lmtp_parser p;
	struct lmtp_param param;
	struct lmtp_path path;
	struct arena a;
	size_t n = 0;

	arena_init(&a, 1u << 20);
	lmtp_parser_init(&p, line);
	if (lmtp_parse_forward_path(&p, &a, &path)) {
		require(within(path.text, line) && within(path.domain, line), "a path within its line");
		require(path.local.len <= LMTP_LOCAL_MAX && path.domain.len <= LMTP_DOMAIN_MAX, "limits");
		while (lmtp_parse_param(&p, &param))
			require(++n <= line.len, "an end of parameters");
	} else {
		require(p.expected != NULL, "a reason");
	}
	(void)lmtp_domain_valid(line);
	arena_fini(&a);
}

/* Bytes of `in` that were taken. */
static size_t
unstuff(struct dots *d, struct slice in, struct buf *out)
{
	size_t used = 0;

	while (used < in.len && d->state != DOTS_END) {
		struct slice piece;

		used += dots_next(d, slice_sub(in, used, in.len), &piece);
		buf_append_slice(out, piece);
	}
	return used;
}

static void
try_data(struct slice in, size_t cut)
{
	struct buf whole, parts;
	struct dots a, b;
	size_t used;

	buf_init(&whole, in.len + 1);
	buf_init(&parts, in.len + 1);
	dots_init(&a);
	dots_init(&b);
	used = unstuff(&a, in, &whole);
	require(a.state == DOTS_END || used == in.len, "all taken without an end");
	if (unstuff(&b, slice_sub(in, 0, cut), &parts) == cut)
		(void)unstuff(&b, slice_sub(in, cut, in.len), &parts);
	require(!whole.failed && slice_eq(buf_slice(&whole), buf_slice(&parts)), "the same message");
	require(a.state == b.state, "the same end");
	buf_fini(&whole);
	buf_fini(&parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);

	if (size == 0)
		return 0;
	try_path(slice_sub(in, 1, size));
	try_data(slice_sub(in, 1, size), data[0] < size ? data[0] : size - 1);
	return 0;
}
