/* session_api - what protocols ask of their session. See session.h.
 *
 * All of it touches only what the session's present owner (reactor or step) may touch; session_wake and the watcher are
 * in session.c, where threads meet.
 */
#include "server/session_state.h"

#include <stdlib.h>

struct buf *
session_in(struct session *s)
{
	return &s->in;
}

struct buf *
session_out(struct session *s)
{
	return &s->out;
}

bool
session_out_full(const struct session *s)
{
	return s->out.len - s->out_at >= SESSION_OUT_SOFT;
}

bool
session_at_eof(const struct session *s)
{
	return s->eof;
}

uint64_t
session_id(const struct session *s)
{
	return s->id;
}

const char *
session_peer(const struct session *s)
{
	return s->peer;
}

bool
session_is_unix(const struct session *s)
{
	return s->is_unix;
}

bool
session_has_tls(const struct session *s)
{
	return s->stream.tls != NULL;
}

bool
session_is_compressed(const struct session *s)
{
	return stream_is_compressed(&s->stream);
}

bool
session_can_starttls(const struct session *s)
{
	return s->settings->tls != NULL && s->stream.tls == NULL;
}

bool
session_plaintext_allowed(const struct session *s)
{
	return session_has_tls(s) || (s->loopback && s->settings->conf->server.allow_plaintext_on_loopback);
}

struct server *
session_server(const struct session *s)
{
	return s->srv;
}

const struct conf *
session_conf(const struct session *s)
{
	return s->settings->conf;
}

void
session_set_timeout(struct session *s, uint32_t ms)
{
	s->timeout_ms = ms != 0 ? ms : (uint32_t)(s->settings->conf->server.idle_timeout * 1000u);
}

void
session_delay(struct session *s, uint32_t ms)
{
	s->delay_ms = ms;
}

void
session_delay_login(struct session *s, uint64_t failures)
{
	uint64_t ms = s->settings->conf->limits.auth_delay;

	for (; failures > 1 && ms < SESSION_DELAY_MAX_MS; failures--)
		ms *= 2;
	session_delay(s, ms < SESSION_DELAY_MAX_MS ? (uint32_t)ms : SESSION_DELAY_MAX_MS);
}

void
session_watch(struct session *s, struct volume *v, mailbox_id mailbox)
{
	hub_watch(server_hub(s->srv), &s->watcher, v, mailbox);
}

void
session_unwatch(struct session *s)
{
	hub_unwatch(server_hub(s->srv), &s->watcher);
}

bool
session_take_notified(struct session *s)
{
	bool was = s->notified;

	s->notified = false;
	return was;
}

void
session_set_user(struct session *s, struct slice name)
{
	char *copy = name.len > 0 ? malloc(name.len + 1) : NULL;

	if (copy != NULL && !slice_to_cstr(name, copy, name.len + 1)) {
		free(copy);
		copy = NULL;
	}
	free(s->user);
	s->user = copy;
}

void
session_log(struct session *s, struct logline *l, enum log_level level, const char *ev)
{
	log_begin(l, level, ev);
	log_hex(l, "sid", s->id);
	log_cstr(l, "proto", s->protocol->name);
	log_cstr(l, "peer", s->peer);
	if (s->user != NULL)
		log_cstr(l, "user", s->user);
}

bool
session_bad_command(struct session *s)
{
	s->bad_commands++;
	return s->bad_commands >= s->settings->conf->limits.bad_commands;
}

void
session_good_command(struct session *s)
{
	s->bad_commands = 0;
}
