/* fuzz_mutf7 - mailbox names: modified UTF-7 both ways, the rules of the index, the
 * patterns of LIST.
 *
 * Checked beside memory: what decodes encodes to the same octets, and what encodes decodes to the
 * same name, so that no mailbox has two forms on the wire; a name that the index makes is found
 * again, is made of itself, and has a form on the wire; a name without wildcards is a pattern
 * that matches it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "index/names.h"
#include "lib/mutf7.h"
#include "lib/text.h"
#include "server/imap/list_match.h"
#include "store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void
try_wire(struct slice in, struct buf *there, struct buf *back)
{
	buf_reset(there);
	buf_reset(back);
	if (mutf7_decode(in, there) != MUTF7_OK) {
		require(there->len == 0, "nothing is left of a failed decode");
		return;
	}
	require(text_utf8_valid(buf_slice(there)), "a decoded name is UTF-8");
	require(mutf7_encode(buf_slice(there), back) == MUTF7_OK, "what decodes encodes");
	require(slice_eq(buf_slice(back), in), "one form on the wire");
}

static void
try_text(struct slice in, struct buf *there, struct buf *back)
{
	buf_reset(there);
	buf_reset(back);
	if (mutf7_encode(in, there) != MUTF7_OK) {
		require(!text_utf8_valid(in), "UTF-8 encodes");
		return;
	}
	require(text_is_ascii(buf_slice(there)), "the wire is ASCII");
	require(mutf7_decode(buf_slice(there), back) == MUTF7_OK, "what encodes decodes");
	require(slice_eq(buf_slice(back), in), "one name");
}

static void
try_name(struct slice in, struct arena *a, struct buf *wire)
{
	struct slice name, again, pattern;
	struct err e = ERR_INIT;

	if (name_mailbox_make(in, a, &name, &e) != RC_OK)
		return;
	require(name.len > 0 && name.len <= MAILBOX_NAME_MAX && text_utf8_valid(name), "a name");
	require(name_mailbox_find(in, a, &again, &e) == RC_OK && slice_eq(name, again),
	        "what is made is found");
	require(name_mailbox_make(name, a, &again, &e) == RC_OK && slice_eq(name, again),
	        "a name is its own form");
	buf_reset(wire);
	require(mutf7_encode(name, wire) == MUTF7_OK, "a name has a form on the wire");
	require(list_pattern_make(SLICE(""), name, a, &pattern), "a name is a pattern");
	if (slice_find_byte(name, '*') == name.len && slice_find_byte(name, '%') == name.len)
		require(list_match(pattern, name), "a pattern matches its name");
}

/* The first line is a pattern for the rest. */
static void
try_pattern(struct slice in, struct arena *a)
{
	size_t n = slice_find_byte(in, '\n');
	struct slice pattern, name = slice_sub(in, n < in.len ? n + 1 : n, in.len);

	if (name.len <= MAILBOX_NAME_MAX &&
	    list_pattern_make(SLICE(""), slice_sub(in, 0, n), a, &pattern))
		(void)list_match(pattern, name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct buf there, back;
	struct arena a;

	buf_init(&there, 8 * size + 64);
	buf_init(&back, 8 * size + 64);
	arena_init(&a, 1u << 20);
	try_wire(in, &there, &back);
	try_text(in, &there, &back);
	try_name(in, &a, &there);
	try_pattern(in, &a);
	arena_fini(&a);
	buf_fini(&there);
	buf_fini(&back);
	return 0;
}
