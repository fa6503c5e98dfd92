/* session_api - what protocols ask of their session. See session.h.
 *
 * All of it touches only what the session's present owner (reactor or step) may touch; session_wake
 * and the watcher are in session.c, where threads meet.
 */
#include "server/session_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/tls_binding.h"

struct buf *
session_in(struct session *s)
{
	return &s->in;
}

struct buf *
session_out(struct session *s)
{
	return &s->out.bytes;
}

bool
session_out_full(const struct session *s)
{
	return s->out.bytes.len >= SESSION_OUT_SOFT;
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
	return s->is_unix && !s->proxied;
}

bool
session_is_loopback(const struct session *s)
{
	return s->loopback;
}

uint8_t
session_protocol(const struct session *s)
{
	return s->protocol->who;
}

const uint8_t *
session_ip(const struct session *s)
{
	return s->is_unix ? NULL : s->key.ip;
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
	return s->settings->tls != NULL && s->settings->conf->tls.starttls && s->stream.tls == NULL;
}

_Static_assert(SESSION_BINDING_MAX == TLS_BINDING_MAX, "every binding fits");

bool
session_channel_binding(const struct session *s, struct slice type, uint8_t *out, size_t cap,
                        size_t *len)
{
	const struct tls_connection *tls = stream_tls(&s->stream);

	*len = 0;
	return tls != NULL && tls_binding(tls->ssl, type, out, cap, len);
}

struct slice
session_certificate_name(const struct session *s)
{
	const struct tls_connection *tls = stream_tls(&s->stream);

	return tls != NULL && tls->client != NULL ? slice_str(tls->client) : SLICE_NONE;
}

struct slice
session_tls_sni(const struct session *s)
{
	const struct tls_connection *tls = stream_tls(&s->stream);
	const char *name = tls != NULL ? SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name)
	                               : NULL;

	return name != NULL ? slice_str(name) : SLICE_NONE;
}

const char *
session_tls_version(const struct session *s)
{
	const struct tls_connection *tls = stream_tls(&s->stream);

	return tls != NULL ? SSL_get_version(tls->ssl) : NULL;
}

/* As IANA writes it [RFC 8314 s4.3]. */
const char *
session_tls_cipher(const struct session *s)
{
	const struct tls_connection *tls = stream_tls(&s->stream);
	const SSL_CIPHER *cipher = tls != NULL ? SSL_get_current_cipher(tls->ssl) : NULL;

	return cipher != NULL ? SSL_CIPHER_standard_name(cipher) : NULL;
}

void
session_log_tls(const struct session *s, struct logline *l)
{
	const struct tls_connection *tls = stream_tls(&s->stream);
	struct slice sni = session_tls_sni(s), client = session_certificate_name(s);
	const unsigned char *alpn = NULL;
	unsigned alpn_len = 0;

	if (tls == NULL)
		return;
	log_cstr(l, "tls", session_tls_version(s));
	if (session_tls_cipher(s) != NULL)
		log_cstr(l, "cipher", session_tls_cipher(s));
	if (sni.len > 0)
		log_str(l, "sni", sni);
	SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_len);
	if (alpn_len > 0)
		log_str(l, "alpn", slice_of(alpn, alpn_len));
	if (client.len > 0)
		log_str(l, "client", client);
	log_cstr(l, "resumed", SSL_session_reused(tls->ssl) ? "yes" : "no");
}

bool
session_plaintext_allowed(const struct session *s)
{
	return session_has_tls(s) ||
	       (s->loopback && s->settings->conf->server.allow_plaintext_on_loopback);
}

struct server *
session_server(const struct session *s)
{
	return s->srv;
}

const struct sasl_policy *
session_sasl_policy(const struct session *s)
{
	return &s->settings->policy;
}

const struct conf *
session_conf(const struct session *s)
{
	return s->settings->conf;
}

/* A protocol may say the same again and again: that gives the peer no more time. */
void
session_set_timeout(struct session *s, uint32_t ms)
{
	uint32_t before = s->timeout_ms;

	s->timeout_ms = ms != 0 ? ms : (uint32_t)(s->settings->conf->server.idle_timeout * 1000u);
	if (s->timeout_ms != before)
		session_begin_command(s);
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

uint64_t
session_login_moment(struct session *s)
{
	return registry_moment(server_registry(s->srv));
}

enum session_entry
session_login(struct session *s, struct volume *v, account_id account, const char *mechanism,
              uint64_t since)
{
	/* An MTA's connections are all of one account. */
	uint64_t max = s->protocol->who == PROTO_LMTP
	                   ? 0
	                   : s->settings->conf->limits.max_connections_per_account;

	session_logout(s);
	snprintf(s->mechanism, sizeof s->mechanism, "%s", mechanism);
	switch (registry_enter(server_registry(s->srv), &s->member, v, account, since, max)) {
	case REGISTRY_OK:
		return ENTRY_OK;
	case REGISTRY_FULL:
		return ENTRY_FULL;
	case REGISTRY_CHANGED:
		break;
	}
	return ENTRY_CHANGED;
}

enum session_entry
session_login_admin(struct session *s, struct volume *v, account_id account, uint64_t since)
{
	switch (registry_enter_admin(server_registry(s->srv), &s->member, v, account, since)) {
	case REGISTRY_OK:
		return ENTRY_OK;
	case REGISTRY_FULL:
	case REGISTRY_CHANGED:
		break;
	}
	session_logout(s);
	return ENTRY_CHANGED;
}

void
session_logout(struct session *s)
{
	registry_leave(server_registry(s->srv), &s->member);
}

void
session_set_activity(struct session *s, const char *what)
{
	atomic_store_explicit(&s->activity, what, memory_order_relaxed);
}

void
session_watch(struct session *s, struct volume *v, mailbox_id mailbox)
{
	atomic_store_explicit(&s->mailbox, mailbox, memory_order_relaxed);
	hub_watch(server_hub(s->srv), &s->watcher, v, mailbox);
}

void
session_unwatch(struct session *s)
{
	atomic_store_explicit(&s->mailbox, 0, memory_order_relaxed);
	hub_unwatch(server_hub(s->srv), &s->watcher);
}

mail_modseq
session_watched_modseq(const struct session *s)
{
	return hub_latest(&s->watcher);
}

void
session_listen(struct session *s, bool wanted)
{
	hub_listen(&s->watcher, wanted);
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
	session_begin_command(s);
	s->bad_commands++;
	return s->bad_commands >= s->settings->conf->limits.bad_commands;
}

void
session_good_command(struct session *s)
{
	session_begin_command(s);
	s->bad_commands = 0;
}
