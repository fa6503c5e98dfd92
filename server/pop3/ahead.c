/* ahead - short messages that RETR will ask for next, read before it does.
 *
 * Clients take a maildrop from front to back, each RETR after the last one's answer. The step of one RETR, its
 * answer sent, reads the messages behind it, as they go out: so many RETRs cost one turn of the pool and
 * one look at the index. What fails is left out, and told when it is asked for. Only who goes from one
 * message to the next is read for; a session that is silent gives the memory back (pop3_ahead_drop).
 */
#include "server/pop3/pop3.h"

#define AHEAD_OCTETS 65536u             /* of messages, as they are kept */

static bool
is_short(const struct pop3 *p, uint32_t row)
{
	return row < p->drop.count && !p->drop.messages[row].deleted &&
	       p->drop.messages[row].size <= AHEAD_OCTETS;
}

void
pop3_ahead_note(struct pop3 *p)
{
	p->ahead.follows = p->row == 0 || p->row == p->ahead.last + 1;
	p->ahead.last = p->row;
	p->ahead.wanted = p->ahead.follows;
}

bool
pop3_ahead_is_due(const struct pop3 *p)
{
	return p->ahead.follows && is_short(p, p->ahead.last + 1);
}

bool
pop3_ahead_take(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;
	uint32_t i = p->row - a->row;
	size_t from;

	if (p->row < a->row || i >= a->count)
		return false;
	from = i > 0 ? a->of[i - 1].end : 0;
	pop3_ok(p, "%llu octets", (unsigned long long)a->of[i].size);
	buf_append_slice(session_out(p->s), slice_sub(buf_slice(&a->bytes), from, a->of[i].end));
	if (i + 1 == a->count)
		pop3_ahead_drop(p);
	return true;
}

/* How many messages from `row` on. */
static uint32_t
count_next(const struct pop3 *p, uint32_t row)
{
	uint64_t octets = 0;
	uint32_t n = 0;

	while (n < POP3_AHEAD_MAX && is_short(p, row + n)) {
		octets += p->drop.messages[row + n].size;
		if (octets > AHEAD_OCTETS)
			break;
		n++;
	}
	return n;
}

/* False: it cannot be told ahead. */
static bool
put(struct pop3 *p, const struct message_row *row)
{
	struct pop3_ahead *a = &p->ahead;
	size_t had = a->bytes.len;
	struct err e = ERR_INIT;

	if (pop3_put_message(p, row, &a->bytes, &e) != RC_OK || a->bytes.failed) {
		a->bytes.len = had;
		return false;
	}
	a->of[a->count].size = row->size;
	a->of[a->count++].end = a->bytes.len;
	return true;
}

void
pop3_ahead_read(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;
	uint32_t first = a->last + 1, n = count_next(p, first);
	uint32_t want = WANT_PLACE | WANT_EXPUNGED | (p->utf8 ? 0 : WANT_SUMMARY);
	struct uid_range range;
	struct uid_set set = { .ranges = &range, .count = 1, .cap = 1, .max = 1 };
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t found = 0;

	pop3_ahead_drop(p);
	if (n == 0)
		return;
	range = (struct uid_range){ p->drop.messages[first].uid, p->drop.messages[first + n - 1].uid };
	arena_reset(&p->arena);
	if (volume_read_messages(p->volume, p->drop.mailbox, &set, range.first, n, want, &p->arena,
	                         &rows, &found, &e) != RC_OK)
		return;
	a->row = first;
	for (size_t i = 0; i < found; i++) {
		mail_uid due = p->drop.messages[first + a->count].uid;

		if (rows[i].uid < due)          /* expunged before the login */
			continue;
		if (rows[i].uid > due || !put(p, &rows[i]))
			break;
	}
}

void
pop3_ahead_drop(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;

	buf_fini(&a->bytes);
	arena_fini(&a->arena);
	a->count = 0;
	a->is_long = false;
}
