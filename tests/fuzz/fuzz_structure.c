/* fuzz_structure - any octets as a stored BODYSTRUCTURE or ENVELOPE ('S' first), or as a
 * stored summary.
 *
 * These come from the index, so damage must be an error and nothing else. Held against: what can be
 * rendered can be rendered again in the same form and stays what it is (except that a flat
 * message/global has lost what the stored form must have); output is no more than a little longer
 * than the input.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/mime.h"

#define OUT_MAX (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_structure: broken: %s\n", what);
		abort();
	}
}

static void
try_forms(struct slice in)
{
	for (unsigned forms = 0; forms < 8; forms++) {
		struct buf once, twice;

		buf_init(&once, OUT_MAX);
		buf_init(&twice, OUT_MAX);
		if (mime_render_structure(in, forms, &once)) {
			require(once.len <= 2 * in.len + 64, "no longer than what it is made of");
			if ((forms & MIME_FORM_FLAT_GLOBAL) == 0)
				require(mime_render_structure(buf_slice(&once), forms, &twice) &&
				            slice_eq(buf_slice(&once), buf_slice(&twice)),
				        "the same again");
		}
		buf_fini(&once);
		buf_fini(&twice);
	}
	(void)mime_has_global(in);
}

static void
try_quote(struct slice in)
{
	struct buf once, twice;

	buf_init(&once, OUT_MAX);
	buf_init(&twice, OUT_MAX);
	if (mime_quote_utf8(in, &once)) {
		require(mime_quote_utf8(buf_slice(&once), &twice), "quoted again");
		require(slice_eq(buf_slice(&once), buf_slice(&twice)), "the same again");
	}
	buf_fini(&once);
	buf_fini(&twice);
}

static void
try_summary(struct slice in)
{
	struct mime_summary s;
	struct arena a;
	struct err e = ERR_INIT;
	struct buf again;

	arena_init(&a, 1u << 20);
	buf_init(&again, OUT_MAX);
	if (mime_summary_decode(in, &a, &s, &e) == RC_OK) {
		try_forms(s.bodystructure);
		try_quote(s.envelope);
		require(mime_summary_encode(&s, &again), "encoded again");
	}
	buf_fini(&again);
	arena_fini(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);

	if (size > 0 && data[0] == 'S') {
		try_forms(slice_sub(in, 1, size));
		try_quote(slice_sub(in, 1, size));
	} else {
		try_summary(in);
	}
	return 0;
}
