/* fuzz_html - any bytes as HTML. Held against: however it is cut the text is the same; it is never
 * longer than what it was made of; UTF-8 stays UTF-8. */
#include "lib/html.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_html: broken: %s\n", what);
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	uint32_t seed = size > 0 ? data[0] : 0;
	struct html_text t;
	struct buf whole, pieces;

	buf_init(&whole, size);
	buf_init(&pieces, size);
	require(html_to_text(in, &whole), "no longer than the input");
	html_text_init(&t);
	for (size_t at = 0, n; at < size; at += n) {
		seed = seed * 1103515245u + 12345u;
		n = 1 + (seed >> 16) % 9;
		html_text_feed(&t, slice_sub(in, at, at + n), &pieces);
	}
	html_text_finish(&t, &pieces);
	require(slice_eq(buf_slice(&whole), buf_slice(&pieces)), "same however it is cut");
	require(!text_utf8_valid(in) || text_utf8_valid(buf_slice(&whole)), "UTF-8 stays UTF-8");
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
