/* session_end - how sessions end: by their protocol, their client, a deadline, an order, the
 * server's shutdown.
 *
 * Closing is idempotent and takes two turns: libuv lets go of the socket first (on_poll_closed),
 * then the protocol cleans up on the pool, then all is freed. Between, nobody can reach the session
 * any more: it is out of the registry, the hub and the reactor's queue.
 */
#include "server/session_state.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/clock.h"

const char *
session_stop_text(const struct session *s)
{
	switch (s->stop_as) {
	case END_SHUTDOWN:
	case END_TIMEOUT:
	case END_OVERFLOW:
		break;
	case END_MEMORY:
		return "memory";
	case END_KICKED:
		return "kicked";
	case END_CHANGED:
		return "account changed";
	}
	return "shutdown";
}

static void
session_free(struct session *s)
{
	struct reactor *r = s->reactor;

	buf_fini(&s->in);
	session_drop_output(s);
	settings_unref(&s->settings);
	free(s->user);
	reactor_remove(r, s);
	free(s);
}

void
session_end(struct session *s)
{
	enum log_level level = s->refused == REFUSAL_NONE ? LOGLEVEL_INFO : LOGLEVEL_DEBUG;
	struct logline l;

	session_log(s, &l, level, "session.end");
	log_cstr(&l, "why", s->ended);
	log_u64(&l, "in", atomic_load(&s->bytes_in));
	log_u64(&l, "out", atomic_load(&s->bytes_out));
	log_u64(&l, "ms", clock_mono_ms() - s->began_ms);
	log_end(&l);
	session_weigh_nothing(s);
	if (s->state != NULL)
		s->protocol->close(s->state);
	session_free(s);
}

static void
cleanup_work(struct pool_job *job)
{
	struct session *s = (struct session *)(void *)((char *)job - offsetof(struct session, job));

	s->protocol->cleanup(s->state);
	reactor_post(s->reactor, &s->post, EVENT_CLEANED);
}

/* A turn of the pool costs more than all else of a short session's end. */
static bool
needs_cleanup(const struct session *s)
{
	const struct protocol *p = s->protocol;

	return p->cleanup != NULL && s->state != NULL &&
	       (p->needs_cleanup == NULL || p->needs_cleanup(s->state));
}

static void
on_poll_closed(uv_handle_t *handle)
{
	struct session *s = handle->data;

	stream_fini(&s->stream);
	peers_leave(server_peers(s->srv), s->kind, s->counted ? &s->key : NULL);
	if (!needs_cleanup(s)) {
		session_end(s);
		return;
	}
	s->job.run = cleanup_work;
	pool_submit(server_pool(s->srv), &s->job);
}

void
session_close(struct session *s, const char *why)
{
	assert(s->st != SESS_WORK);
	if (s->st == SESS_CLOSED)
		return;
	s->st = SESS_CLOSED;
	if (s->ended == NULL)
		s->ended = why;
	wheel_clear(&s->timer);
	wheel_clear(&s->rest);
	reactor_unspare(s->reactor, &s->spare);
	session_unwatch(s);
	if (s->is_member)               /* nobody posts anything from here on */
		registry_remove(server_registry(s->srv), &s->member);
	s->is_member = false;
	reactor_unpost(s->reactor, &s->post);
	uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void
session_delay_over(struct session *s)
{
	wheel_clear(&s->timer);
	s->st = SESS_FLUSH;
	session_run(s);
}

void
session_order_end(struct session *s, enum session_end why)
{
	if (!s->stopping)
		s->stop_as = why;
	s->stopping = true;
	switch (s->st) {
	case SESS_PROXY:
	case SESS_HANDSHAKE:
		session_close(s, session_stop_text(s));
		break;
	case SESS_READ:
	case SESS_LINGER:
		session_run(s);
		break;
	case SESS_DELAY:
		session_delay_over(s);
		break;
	case SESS_FLUSH:
		if (why == END_SHUTDOWN)
			break;
		if (s->after == AFTER_STEP)
			session_close(s, session_stop_text(s));
		else
			session_deadline(s, SESSION_ORDERED_MS);
		break;
	case SESS_GREET:
	case SESS_ADVANCE:
	case SESS_STEP:
	case SESS_WORK:
	case SESS_CLOSED:
		break;
	}
}

void
session_stop(struct session *s)
{
	session_order_end(s, END_SHUTDOWN);
}

void
session_cut(struct session *s)
{
	s->stopping = true;
	if (s->st != SESS_WORK)
		session_close(s, session_stop_text(s));
}

void
session_expired(struct wheel_node *n)
{
	struct session *s = (struct session *)(void *)((char *)n - offsetof(struct session, timer));

	if (s->st == SESS_DELAY) {
		session_delay_over(s);
		return;
	}
	if (s->st != SESS_READ) {
		session_close(s, "timeout");
		return;
	}
	session_bye(s, END_TIMEOUT, "timeout");
	session_deadline(s, SESSION_BYE_MS);
	session_run(s);
}
