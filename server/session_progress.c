/* session_progress - how long the peer may take, so that nobody keeps a session busy with one
 * octet now and then.
 *
 * A session that has begun nothing may be silent for its timeout (session_set_timeout). For a
 * command that has begun the peer has a purse of time, limits.command_timeout: waiting for the rest
 * empties it, however often a little more comes. Where the peer may have much to send (AWAITS_DATA:
 * a message), every octet fills the purse a little, limits.min_rate of them by a second, but never
 * above what it held first. So the average rate over any span that is longer than the purse is
 * min_rate at least, a pause now and then is free, and a burst buys no hours.
 *
 * A peer that does not take its answer has a purse of the session's timeout, which is filled
 * in the same way.
 *
 * Only waiting counts: what a step takes, or a writer's answer, is not the peer's doing.
 *
 * Rejected: a deadline for a whole message (no number fits both 1 KiB and 100 MiB), a rate measured
 * in windows (whoever sends much at first rests for long).
 */
#include "server/session_state.h"

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
command_ms(const struct session *s)
{
	return smaller(s->settings->conf->limits.command_timeout * 1000u, s->timeout_ms);
}

static uint64_t
flush_ms(const struct session *s)
{
	if (s->stopping && s->stop_as != END_SHUTDOWN)
		return SESSION_ORDERED_MS;
	return s->stopping || s->after == AFTER_CLOSE ? SESSION_BYE_MS : s->timeout_ms;
}

/* n octets have moved; a rate of 0: any of them is enough. Whose time is over has come too late
 * with them: deadlines are looked at every half second only. */
static uint64_t
fill(const struct session *s, uint64_t left_ms, uint64_t n, uint64_t max_ms)
{
	uint64_t rate = s->settings->conf->limits.min_rate;

	if (left_ms == 0)
		return 0;
	return rate == 0 ? max_ms : smaller(left_ms + n * 1000u / rate, max_ms);
}

static uint64_t
spend(const struct session *s, uint64_t left_ms, uint64_t since_ms)
{
	uint64_t spent = reactor_now(s->reactor) - since_ms;

	return spent < left_ms ? left_ms - spent : 0;
}

void
session_begin_command(struct session *s)
{
	s->in_left_ms = command_ms(s);
	s->out_left_ms = s->timeout_ms;
}

/* ---- input ---- */

bool
session_await(struct session *s)
{
	if (s->protocol->awaits != NULL)
		s->awaits = s->protocol->awaits(s->state);
	else
		s->awaits = s->in.len > 0 ? AWAITS_REST : AWAITS_COMMAND;
	s->waits = true;
	s->waits_since_ms = reactor_now(s->reactor);
	if (s->awaits == AWAITS_COMMAND) {
		session_begin_command(s);
		session_deadline(s, s->timeout_ms);
		return true;
	}
	if (s->in_left_ms > 0)
		session_deadline(s, (uint32_t)smaller(s->in_left_ms, s->timeout_ms));
	return s->in_left_ms > 0;
}

void
session_heard(struct session *s, size_t n)
{
	if (!s->waits)
		return;
	s->waits = false;
	wheel_clear(&s->timer);
	if (s->awaits == AWAITS_COMMAND)
		return;
	s->in_left_ms = spend(s, s->in_left_ms, s->waits_since_ms);
	if (s->awaits == AWAITS_DATA)
		s->in_left_ms = fill(s, s->in_left_ms, n, command_ms(s));
}

/* ---- output ---- */

bool
session_stalled(struct session *s)
{
	if (s->stalls)
		return true;
	s->stalls = true;
	s->stalls_since_ms = reactor_now(s->reactor);
	session_deadline(s, (uint32_t)smaller(s->out_left_ms, flush_ms(s)));
	return s->out_left_ms > 0;
}

void
session_moved(struct session *s, size_t n)
{
	if (s->stalls) {
		wheel_clear(&s->timer);
		s->out_left_ms = spend(s, s->out_left_ms, s->stalls_since_ms);
	}
	s->stalls = false;
	s->out_left_ms = fill(s, s->out_left_ms, n, s->timeout_ms);
}
