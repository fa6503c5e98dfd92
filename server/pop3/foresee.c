/* foresee - what RETR will ask for next, made while the client still reads the last answer.
 *
 * Without it client and server work one after the other: while one does the other waits, and the kernel wakes each of them
 * for every message. Short messages are read as ahead.c does. A long one is made piece by piece, a turn of the reactor each, up
 * to FORESEEN of it; what is missing when it is asked for is made then, by the pool if that is more than a piece: for that
 * the message is looked up anew, and verified as any other. What fails, or would have to wait, is thrown away: RETR does
 * it over, and tells.
 */
#include "server/pop3/pop3.h"

#include "lib/nowait.h"

#define FORESEEN    (256u << 10)        /* octets made of one message */
#define HERE_MAX    262144u             /* octets that the reactor makes at once */

static bool
make_room(struct pop3_ahead *a, uint64_t size)
{
	uint64_t n = size < FORESEEN ? size : FORESEEN;

	return buf_reserve(&a->bytes, (size_t)n + HERE_MAX) != NULL;
}

/* True: it is begun. */
static bool
begin_long(struct pop3 *p, uint32_t row)
{
	struct pop3_ahead *a = &p->ahead;
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t n = 0;

	pop3_ahead_drop(p);
	if (pop3_find_message(p, row, &a->arena, &rows, &n, &e) != RC_OK || n == 0 ||
	    pop3_transfer_open(p, &a->transfer, &rows[0], &a->arena, &e) != RC_OK || !make_room(a, rows[0].size)) {
		pop3_ahead_drop(p);
		return false;
	}
	a->row = row;
	a->is_long = true;
	return true;
}

/* True: there is more to do. */
static bool
go_on(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;
	struct pop3_transfer *t = &a->transfer;
	struct err e = ERR_INIT;

	if (t->at == t->place.size || t->at >= FORESEEN)
		return false;
	if (pop3_transfer_piece(p, t, &a->bytes, &e) != RC_OK || a->bytes.failed) {
		pop3_ahead_drop(p);
		return false;
	}
	return t->at < t->place.size && t->at < FORESEEN;
}

static bool
is_here(const struct pop3_ahead *a, uint32_t row)
{
	return a->is_long ? row == a->row : row >= a->row && row - a->row < a->count;
}

/* One turn's worth of it. */
static bool
foresee(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;
	uint32_t row = a->last + 1;

	if (row >= p->drop.count || p->drop.messages[row].deleted)
		return false;
	if (is_here(a, row))
		return a->is_long && go_on(p);
	if (!pop3_ahead_is_due(p))
		return begin_long(p, row);
	pop3_ahead_read(p);
	return false;
}

bool
pop3_foresee(void *state)
{
	struct pop3 *p = state;

	if (!p->ahead.wanted || !nowait_is_possible())
		return false;
	nowait_begin();
	p->ahead.wanted = foresee(p);
	(void)nowait_end();
	return p->ahead.wanted;
}

/* The rest of it, which is short. */
static bool
finish(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;
	struct pop3_transfer *t = &a->transfer;
	struct err e = ERR_INIT;
	bool ok = true;

	nowait_begin();
	while (ok && t->at < t->place.size)
		ok = pop3_transfer_piece(p, t, &a->bytes, &e) == RC_OK;
	(void)nowait_end();
	if (ok)
		pop3_transfer_end(t, &a->bytes);
	return ok && !a->bytes.failed;
}

static void
say(struct pop3 *p)
{
	pop3_ok(p, "%llu octets", (unsigned long long)p->ahead.transfer.place.size);
	buf_append_slice(session_out(p->s), buf_slice(&p->ahead.bytes));
}

bool
pop3_foreseen_take(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;
	struct pop3_transfer *t = &a->transfer;
	bool done;

	if (!a->is_long || a->row != p->row || t->place.size - t->at > HERE_MAX || pop3_transfer_is_slow(t))
		return false;
	if (t->at < t->place.size)
		session_took_long(p->s);
	done = finish(p);
	if (done)
		say(p);
	pop3_ahead_drop(p);
	return done;
}

/* Since it was begun the message may have been moved, or be gone. */
static bool
find_again(struct pop3 *p)
{
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t n = 0;
	bool ok;

	nowait_begin();
	ok = pop3_find_message(p, p->row, &p->arena, &rows, &n, &e) == RC_OK && n > 0 &&
	     pop3_transfer_open(p, &p->transfer, &rows[0], &p->arena, &e) == RC_OK &&
	     pop3_verify_begin(p, &rows[0].place, &e) == RC_OK;
	(void)nowait_end();
	return ok && p->transfer.place.size == p->ahead.transfer.place.size;
}

bool
pop3_foreseen_begin(struct pop3 *p)
{
	struct pop3_ahead *a = &p->ahead;
	bool ok = a->is_long && a->row == p->row && a->transfer.at > 0 && find_again(p);

	if (ok) {
		p->transfer.at = a->transfer.at;
		p->transfer.line_start = a->transfer.line_start;
		p->transfer.said = true;
		say(p);
	}
	if (a->is_long)
		pop3_ahead_drop(p);
	return ok;
}
