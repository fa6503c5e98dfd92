/* load_late - 64 KB after 64 KB from the later half of the last part of the mailbox's largest
 * message. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"
#include "tests/bench/load_words.h"

#define PIECE 65536u

struct late {
	uint64_t   uid, size;           /* of the largest message */
	unsigned   part;                /* its last part */
	uint64_t   part_size;
	struct rng rng;
};

static uint64_t
value_of(const char *line, size_t len, const char *name)
{
	const char *p = memmem(line, len, name, strlen(name));

	return p != NULL ? strtoull(p + strlen(name), NULL, 10) : 0;
}

static void
keep_largest(void *arg, const char *line, size_t len)
{
	struct late *late = arg;
	uint64_t size = value_of(line, len, "RFC822.SIZE ");

	if (size <= late->size)
		return;
	late->size = size;
	late->uid = value_of(line, len, "UID ");
}

/* The end of the string, list or atom at `p`. */
static const char *
end_of_value(const char *p, const char *end)
{
	int depth = 0;
	bool quoted = false;

	for (; p < end; p++) {
		if (quoted && *p == '\\')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && *p == '(')
			depth++;
		else if (!quoted && *p == ')' && --depth < 0)
			return p;
		if (!quoted && depth == 0 && p + 1 < end &&
		    (p[1] == ' ' || p[1] == '(' || p[1] == ')'))
			return p + 1;
	}
	return end;
}

/* The seventh value of a part that is none of message/rfc822 or multipart: its size. */
static uint64_t
size_of_part(const char *p, const char *end)
{
	for (int i = 0; i < 6 && p < end; i++) {
		p = end_of_value(p, end);
		while (p < end && *p == ' ')
			p++;
	}
	return strtoull(p, NULL, 10);
}

/* The parts are the lists at the beginning of the structure. */
static void
count_parts(void *arg, const char *line, size_t len)
{
	static const char name[] = "BODYSTRUCTURE (";
	struct late *late = arg;
	const char *end = line + len, *p = memmem(line, len, name, sizeof name - 1);

	if (p == NULL)
		return;
	for (p += sizeof name - 1; p < end && *p == '('; late->part++) {
		late->part_size = size_of_part(p + 1, end);
		p = end_of_value(p, end);
		while (p < end && *p == ' ')
			p++;
	}
}

void
late_begin(struct load_worker *w)
{
	struct late *late = load_alloc(1, sizeof *late);

	session_begin_inbox(w);
	w->imap.arg = late;
	w->imap.on_line = keep_largest;
	imap_command(&w->imap, "FETCH 1:* (UID RFC822.SIZE)");
	w->imap.on_line = count_parts;
	imap_command(&w->imap, "UID FETCH %llu BODYSTRUCTURE", (unsigned long long)late->uid);
	w->imap.on_line = NULL;
	if (late->part < 2 || late->part_size < 4 * PIECE)
		load_fail("the largest message, UID %llu of %llu octets, has no large late part "
			  "(fill with --largest)",
		    (unsigned long long)late->uid, (unsigned long long)late->size);
	late->rng = rng_of(w->opt->recipe.seed, w->number);
	w->state = late;
}

void
late_op(struct load_worker *w)
{
	struct late *late = w->state;
	uint64_t half = late->part_size / 2,
		 at = half + rng_below(&late->rng, (uint32_t)(half - PIECE));
	double since = load_now_ms();

	imap_command(&w->imap, "UID FETCH %llu BODY.PEEK[%u]<%llu.%u>",
	    (unsigned long long)late->uid, late->part, (unsigned long long)at, PIECE);
	load_sample(w, since);
	if (w->imap.literal_bytes != PIECE)
		load_fail("%llu octets came instead of %u",
		    (unsigned long long)w->imap.literal_bytes, PIECE);
	w->bytes += PIECE;
}
