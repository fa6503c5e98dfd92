/* session_begin - a session is made of an accepted socket. */
#include "server/session_state.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"

/* Unique over restarts, also two within a second: deliveries that come again are known by it.
 * Short in logs. */
static uint64_t
next_id(void)
{
	static atomic_uint_least64_t last;
	uint64_t zero = 0, now_us = clock_wall_us();

	if (atomic_load(&last) == 0)
		atomic_compare_exchange_strong(&last, &zero,
		                               (now_us / 1000000u << 20) +
		                                   (now_us % 1000000u << 20) / 1000000u);
	return atomic_fetch_add(&last, 1) + 1;
}

enum peers_kind
session_kind(const struct listener *l, enum refusal why)
{
	if (why != REFUSAL_NONE)
		return PEERS_REFUSED;
	return l->is_unix && !l->proxy ? PEERS_LOCAL : PEERS_REMOTE;
}

static struct session *
session_new(struct reactor *r, const struct listener *l, int fd,
            const struct sockaddr_storage *peer)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->reactor = r;
	s->srv = reactor_server(r);
	s->settings = server_settings(s->srv);
	s->protocol = l->protocol;
	s->client_certificates = l->client_certificates;
	s->id = next_id();
	s->began_ms = clock_mono_ms();
	s->began_us = clock_wall_us();
	s->st = SESS_GREET;
	s->post.run = session_on_post;
	s->watcher.changed = session_on_changed;
	buf_init(&s->in, SESSION_IN_MAX);
	session_init_output(s);
	session_set_timeout(s, 0);
	session_set_peer(s, peer);
	s->tls_first = l->tls;
	s->proxied = l->proxy;
	s->counted = !s->is_unix && !l->proxy;
	s->loopback = s->loopback && !l->proxy;
	if (uv_poll_init(reactor_loop(r), &s->poll, fd) != 0) {
		settings_unref(&s->settings);
		free(s);
		return NULL;
	}
	s->poll.data = s;
	stream_init(&s->stream, fd);
	return s;
}

static void
drop_arrival(struct reactor *r, const struct listener *l, int fd,
             const struct sockaddr_storage *peer, enum refusal why)
{
	bool counted = peer != NULL && !l->proxy && why == REFUSAL_NONE;
	struct session key_only = { .is_unix = false };

	session_set_peer(&key_only, peer);
	peers_leave(server_peers(reactor_server(r)), session_kind(l, why),
	            counted ? &key_only.key : NULL);
	close(fd);
}

void
session_begin(struct reactor *r, const struct listener *l, int fd,
              const struct sockaddr_storage *peer, enum refusal why)
{
	struct session *s = reactor_stopping(r) ? NULL : session_new(r, l, fd, peer);
	struct logline line;

	if (s == NULL) {
		drop_arrival(r, l, fd, peer, why);
		return;
	}
	s->kind = session_kind(l, why);
	s->counted = s->counted && why == REFUSAL_NONE;
	if (why != REFUSAL_NONE)
		session_refuse(s, why);
	reactor_add(r, s);
	session_join_registry(s);
	session_log(s, &line, LOGLEVEL_DEBUG, "session.begin");
	log_cstr(&line, "listener", l->name);
	log_end(&line);
	if (l->proxy) {
		s->st = SESS_PROXY;
		session_deadline(s, session_handshake_ms(s));
	} else {
		session_open(s);
	}
	session_run(s);
}

struct session *
session_next_on_reactor(const struct session *s)
{
	return s->next;
}

void
session_link(struct session *s, struct session **head)
{
	s->prev = NULL;
	s->next = *head;
	if (s->next != NULL)
		s->next->prev = s;
	*head = s;
}

void
session_unlink(struct session *s, struct session **head)
{
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		*head = s->next;
}
