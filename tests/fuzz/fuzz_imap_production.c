/* fuzz_imap_production - each production of the IMAP grammar alone: the first octet chooses it, the
 * second the encoding of names.
 *
 * Held against: no reading outside the input (a heap block of its exact size), bounded memory, the
 * cursor stays inside, a failure says what was expected and where, slices that come out lie within
 * the input or the arena, and a production that took n octets takes the same from these
 * n octets alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/imap/fetch.h"
#include "server/imap/imap.h"
#include "server/imap/private.h"
#include "server/imap/resync.h"
#include "server/imap/search.h"
#include "server/imap/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_imap_production: broken: %s\n", what);
		abort();
	}
}

/* Every octet of it may be read. */
static bool
touch(struct slice s)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum = (uint8_t)(sum + s.ptr[i]);
	return true;
}

#define TEXT_PRODUCTION(name)                                    \
	static bool do_##name(struct imap *im, struct cursor *c) \
	{                                                        \
		struct slice s;                                  \
                                                                 \
		return CALL_##name && touch(s);                  \
	}
#define CALL_tag          parse_tag(c, &s) && (im != NULL)
#define CALL_atom         parse_atom(c, &s) && (im != NULL)
#define CALL_astring      parse_astring(c, &im->arena, &s)
#define CALL_string       parse_string(c, &im->arena, &s)
#define CALL_nstring      parse_nstring(c, &im->arena, &s)
#define CALL_mailbox      parse_mailbox(im, c, &s)
#define CALL_list_mailbox parse_list_mailbox(c, &im->arena, &s)
TEXT_PRODUCTION(tag)
TEXT_PRODUCTION(atom)
TEXT_PRODUCTION(astring)
TEXT_PRODUCTION(string)
TEXT_PRODUCTION(nstring)
TEXT_PRODUCTION(mailbox)
TEXT_PRODUCTION(list_mailbox)

static bool
do_number(struct imap *im, struct cursor *c)
{
	uint32_t n;

	(void)im;
	return parse_number(c, &n);
}

static bool
do_number64(struct imap *im, struct cursor *c)
{
	uint64_t n;

	(void)im;
	return parse_number64(c, &n);
}

static bool
do_nz_number(struct imap *im, struct cursor *c)
{
	uint32_t n;

	(void)im;
	if (!parse_nz_number(c, &n))
		return false;
	require(n > 0, "nz-number");
	return true;
}

static bool
do_set(struct imap *im, struct cursor *c)
{
	struct seq_set set;

	return parse_sequence_set(c, &im->arena, &set);
}

static bool
do_flags(struct imap *im, struct cursor *c)
{
	struct slice keywords = SLICE("");
	uint32_t flags = 0;

	return parse_flag_list(c, &im->arena, &flags, &keywords) && touch(keywords);
}

static bool
do_date_time(struct imap *im, struct cursor *c)
{
	struct mail_date d;

	(void)im;
	return parse_date_time(c, &d);
}

static bool
do_date(struct imap *im, struct cursor *c)
{
	int64_t day;

	(void)im;
	return parse_date(c, &day);
}

static bool
do_partial(struct imap *im, struct cursor *c)
{
	struct partial_range r;

	(void)im;
	return parse_partial_range(c, &r);
}

static bool
do_status(struct imap *im, struct cursor *c)
{
	uint32_t items = 0;

	return parse_status_items(im, c, &items);
}

static bool
do_resync(struct imap *im, struct cursor *c)
{
	struct resync r = { 0 };

	return parse_resync(im, c, &r);
}

static bool
do_fetch(struct imap *im, struct cursor *c)
{
	struct fetch_request r;

	return fetch_parse_items(c, &im->arena, &r);
}

static bool (*const productions[])(struct imap *im, struct cursor *c) = {
	do_tag,     do_atom,      do_astring, do_string,    do_nstring, do_mailbox, do_list_mailbox, do_number, do_number64,
	do_nz_number, do_set,     do_flags,   do_date_time, do_date,    do_partial, do_status,       do_resync, do_fetch,
};

/* How many octets were taken; SIZE_MAX: refused. */
static size_t
run(uint8_t which, bool utf8, struct slice in)
{
	struct imap_private priv = { .phase = PHASE_COMMAND };
	struct imap im = { .priv = &priv, .utf8 = utf8 };
	uint8_t *copy = malloc(in.len > 0 ? in.len : 1);
	struct cursor c;
	size_t taken;

	require(copy != NULL, "memory");
	memcpy(copy, in.ptr, in.len);
	arena_init(&im.arena, 1u << 20);
	cur_init(&c, slice_of(copy, in.len));
	if (productions[which % (sizeof productions / sizeof productions[0])](&im, &c)) {
		taken = c.pos;
	} else {
		require(c.expected != NULL && c.failed_at <= c.in.len,
		        "a failure says what was expected, and where");
		taken = SIZE_MAX;
	}
	require(c.pos <= c.in.len, "the cursor stays inside");
	arena_fini(&im.arena);
	free(copy);
	return taken;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in;
	size_t taken;

	if (size < 2)
		return 0;
	in = slice_of(data + 2, size - 2);
	taken = run(data[0], (data[1] & 1) != 0, in);
	if (taken != SIZE_MAX)
		require(run(data[0], (data[1] & 1) != 0, slice_sub(in, 0, taken)) == taken,
		        "takes what it took before");
	return 0;
}
