/* session_sleep - what is done while the peer is silent: memory is given back, some at once, the rest after a while; and
 * between, as soon as nothing else is ready, what the peer will ask for next is made, so that it is there when it does.
 */
#include "server/session_state.h"

#define REST_MS 3000u                   /* of silence; longer than a client takes between two commands of one task */

/* A protocol that has made more than there is room for gives it back. */
static void
foresee(struct spare *sp)
{
	struct session *s = (struct session *)(void *)((char *)sp - offsetof(struct session, spare));
	bool more;

	if (s->st != SESS_READ || s->stopping ||
	    !budget_is_ample(server_budget(s->srv), &s->settings->conf->limits))
		return;
	more = s->protocol->foresee(s->state);
	if (!session_weigh(s)) {
		s->protocol->rest(s->state);
		(void)session_weigh(s);
	} else if (more) {
		reactor_spare(s->reactor, sp);
	}
}

void
session_sleep(struct session *s)
{
	if (s->in.len == 0)
		buf_fini(&s->in);
	session_drop_output(s);
	s->turns = 0;
	if (stream_is_compressed(&s->stream) || s->protocol->rest != NULL)
		wheel_set(reactor_rests(s->reactor), &s->rest, reactor_now(s->reactor) + REST_MS);
	if (s->protocol->foresee == NULL)
		return;
	s->spare.run = foresee;
	reactor_spare(s->reactor, &s->spare);
}

void
session_rest_due(struct wheel_node *n)
{
	struct session *s = (struct session *)(void *)((char *)n - offsetof(struct session, rest));

	if (s->st != SESS_READ)         /* it is awake, and sleeps again */
		return;
	reactor_unspare(s->reactor, &s->spare); /* nobody would give back what it makes */
	stream_rest(&s->stream);
	if (s->protocol->rest != NULL)
		s->protocol->rest(s->state);
}
