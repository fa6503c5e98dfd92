/* fuzz_imap_framer - any octets as a client's input: lines, literals, refusals.
 *
 * The first octet chooses limits and what becomes of literals. Held against: the same events,
 * frames and refusals however the input is cut; frames and swallowed literals within their limits;
 * input is always taken to its end.
 */
#include "server/imap/framer.h"

#include <stdio.h>
#include <stdlib.h>

#define LOG_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct driver {
	struct framer f;
	struct buf    log;
	uint8_t       choice;
	unsigned      offered;          /* literals so far */
	bool          closed;
};

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_imap_framer: broken: %s\n", what);
		abort();
	}
}

static void
on_literal(struct driver *d)
{
	unsigned what = (d->choice + d->offered++ * 5u) % 4u;
	const struct framer_literal *lit = &d->f.literal;

	require(lit->spec_len <= d->f.frame.len, "the literal stands at the end of the frame");
	buf_printf(&d->log, "L%llu%s%s", (unsigned long long)lit->size, lit->sync ? "s" : "",
	           lit->binary ? "b" : "");
	if (what == 0)
		framer_refuse(&d->f, "refused", !lit->sync);
	else if (what == 1)
		framer_stream(&d->f);
	else if (!framer_collect(&d->f))
		buf_append_str(&d->log, "!");
}

static size_t
take_stream(struct driver *d, struct slice in)
{
	size_t n = in.len < d->f.literal_left ? in.len : (size_t)d->f.literal_left;

	buf_append_slice(&d->log, slice_sub(in, 0, n));
	framer_streamed(&d->f, n);
	return n;
}

static void
feed(struct driver *d, struct slice in)
{
	while (!d->closed) {
		size_t used = 0;
		enum framer_event ev;

		if (d->f.state == FRAMER_STREAMING && d->f.literal_left > 0) {
			used = take_stream(d, in);
			in = slice_sub(in, used, in.len);
			if (d->f.literal_left > 0)
				return;
		}
		ev = framer_feed(&d->f, in, &used);
		require(used <= in.len, "used");
		require(d->f.frame.len <= d->f.limits.command, "frame within its limit");
		in = slice_sub(in, used, in.len);
		switch (ev) {
		case FRAMER_MORE:
			require(in.len == 0, "all input is taken");
			return;
		case FRAMER_COMMAND:
			require(d->f.refused == NULL, "a command is not refused");
			buf_append_str(&d->log, "C");
			buf_append_slice(&d->log, buf_slice(&d->f.frame));
			framer_next(&d->f);
			break;
		case FRAMER_LITERAL:
			on_literal(d);
			break;
		case FRAMER_REFUSED:
			buf_printf(&d->log, "R%s", d->f.refused);
			framer_next(&d->f);
			break;
		case FRAMER_CLOSE:
			buf_printf(&d->log, "X%s", d->f.refused);
			d->closed = true;
			break;
		}
	}
}

/* Pieces of pseudo-random lengths up to `most`. */
static void
play(struct driver *d, uint8_t choice, struct slice in, size_t most)
{
	struct framer_limits limits = { (choice & 4) != 0 ? 64 : 4096, 1 + (choice >> 3) % 4u, 300,
	                                (choice & 1) != 0 };
	uint32_t seed = choice;

	*d = (struct driver){ .choice = choice };
	buf_init(&d->log, LOG_MAX);
	framer_init(&d->f, &limits);
	for (size_t at = 0, n; at < in.len; at += n) {
		uint8_t *copy;

		seed = seed * 1103515245u + 12345u;
		n = 1 + (seed >> 16) % most;
		if (n > in.len - at)
			n = in.len - at;
		copy = malloc(n);
		require(copy != NULL, "memory");
		memcpy(copy, in.ptr + at, n);
		feed(d, slice_of(copy, n));
		free(copy);
	}
	framer_fini(&d->f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 7, 64 };
	struct driver whole, split;
	struct slice in = slice_of(data + 1, size - 1);

	if (size == 0 || size > 1u << 20)
		return 0;
	play(&whole, data[0], in, (size_t)1 << 30);
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		play(&split, data[0], in, pieces[i]);
		require(slice_eq(buf_slice(&whole.log), buf_slice(&split.log)),
		        "the same however it is cut");
		buf_fini(&split.log);
	}
	buf_fini(&whole.log);
	return 0;
}
