/* session_memory - what a session holds, and its end when all of them hold too much.
 *
 * A session is weighed at every turn of its life on the reactor (session_run), so a step's growth
 * counts when it returns: what steps are under way may hold more for so long, bounded by what one
 * step makes. Who grows when the budget is spent ends; who does not grow, or holds so little that
 * anybody may (SESSION_SMALL), goes on.
 *
 * Whom we serve without a login is no stranger: a local socket, and MTAs of [lmtp] networks.
 *
 * Those who are told that they are too many weigh nothing: they are few (PEERS_REFUSED_MAX), and
 * what they are told may be that there is no memory.
 */
#include "server/session_state.h"

#define SESSION_SMALL 16384u            /* of a session that reads mail as clients do, it holds a
                                         * command and its answer */

static bool
is_stranger(const struct session *s)
{
	const struct conf *conf = s->settings->conf;

	if (session_is_unix(s) || s->member.owner.volume != NULL)
		return false;
	return s->protocol->who != PROTO_LMTP ||
	       (!s->loopback &&
	        !network_list_has(conf->lmtp.networks.list, conf->lmtp.networks.count, s->key.ip));
}

static uint64_t
weight(const struct session *s)
{
	uint64_t n = s->in.cap + session_output_held(s) + stream_held(&s->stream);

	return s->state != NULL && s->protocol->held != NULL ? n + s->protocol->held(s->state) : n;
}

static void
set_weight(struct session *s, uint64_t n, bool stranger)
{
	budget_change(server_budget(s->srv), s->held, s->held_as_stranger, n, stranger);
	s->held = n;
	s->held_as_stranger = stranger;
}

bool
session_weigh(struct session *s)
{
	uint64_t n = s->refused == REFUSAL_NONE ? weight(s) : 0, before = s->held;

	if (n == before && !(s->held_as_stranger && s->member.owner.volume != NULL))
		return true;
	set_weight(s, n, is_stranger(s));
	if (n <= before || n <= SESSION_SMALL || s->stopping)
		return true;
	return budget_passed(server_budget(s->srv), &s->settings->conf->limits,
	                     s->held_as_stranger) == REFUSAL_NONE;
}

void
session_weigh_nothing(struct session *s)
{
	set_weight(s, 0, false);
}

/* At once, not when the step returns: all others who ask meanwhile shall see it. */
struct pool *
session_helpers(struct session *s, uint64_t bytes)
{
	set_weight(s, s->held + bytes, s->held_as_stranger);
	if (budget_is_ample(server_budget(s->srv), &s->settings->conf->limits))
		return server_pool(s->srv);
	set_weight(s, s->held - bytes, s->held_as_stranger);
	return NULL;
}
