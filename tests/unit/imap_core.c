/* imap_core - server/session.h and server/server.h as the protocols find them in imap_harness:
 * answers from the world that the test has made, no sockets, no pool, no registry. */
#include "tests/unit/imap_harness_impl.h"

#include <string.h>

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
	return s->out.len >= s->soft;
}

/* Splices belong to the stream, which the harness has none of. */
bool
session_can_splice(struct session *s)
{
	(void)s;
	return false;
}

void
session_splice(struct session *s, size_t from)
{
	(void)s, (void)from;
	assert_true(false);
}

/* A client that takes a part. */
size_t
session_send_now(struct session *s, struct slice octets)
{
	size_t n = s->w->pool != NULL ? octets.len / 3 * 2 : 0;

	assert_int_equal(s->out.len, 0);
	buf_append(&s->received, octets.ptr, n);
	return n;
}

struct pool *
session_helpers(struct session *s, uint64_t bytes)
{
	(void)bytes;
	return s->w->pool;
}

void
session_took_long(struct session *s)
{
	s->long_turns++;
}

void
session_unsay(struct session *s, size_t len)
{
	assert_true(len <= s->out.len);
	s->out.len = len;
}

bool
session_at_eof(const struct session *s)
{
	return s->eof;
}

uint64_t
session_id(const struct session *s)
{
	(void)s;
	return 0x7f3a;
}

const char *
session_peer(const struct session *s)
{
	return s->peer;
}

bool
session_is_unix(const struct session *s)
{
	return strcmp(s->peer, "unix") == 0;
}

bool
session_is_loopback(const struct session *s)
{
	return strcmp(s->peer, "unix") == 0 || strncmp(s->peer, "127.", 4) == 0 ||
	       strcmp(s->peer, "::1") == 0;
}

uint8_t
session_protocol(const struct session *s)
{
	return s->w->protocol->who;
}

const uint8_t *
session_ip(const struct session *s)
{
	return session_is_unix(s) ? NULL : s->from.ip;
}

bool
session_has_tls(const struct session *s)
{
	return s->tls;
}

bool
session_channel_binding(const struct session *s, struct slice type, uint8_t *out, size_t cap,
                        size_t *len)
{
	(void)s, (void)type, (void)out, (void)cap;
	*len = 0;
	return false;
}

const struct sasl_policy *
session_sasl_policy(const struct session *s)
{
	static const struct sasl_policy policy = { .mechanisms = SASL_MECH_ALL,
	                                           .sources = { .own = true } };

	(void)s;
	return &policy;
}

struct slice
session_certificate_name(const struct session *s)
{
	return slice_str(s->certificate);
}

const char *
session_tls_version(const struct session *s)
{
	return s->tls ? "TLSv1.3" : NULL;
}

const char *
session_tls_cipher(const struct session *s)
{
	return s->tls ? "TLS_AES_256_GCM_SHA384" : NULL;
}

bool
session_is_compressed(const struct session *s)
{
	return s->compressed;
}

bool
session_can_starttls(const struct session *s)
{
	return s->starttls;
}

bool
session_plaintext_allowed(const struct session *s)
{
	return s->tls || s->plaintext;
}

struct server *
session_server(const struct session *s)
{
	return (struct server *)(void *)s->w;
}

const struct conf *
session_conf(const struct session *s)
{
	return &s->w->conf;
}

void
session_delay_login(struct session *s, uint64_t failures)
{
	(void)s;
	(void)failures;
}

void
session_set_timeout(struct session *s, uint32_t ms)
{
	(void)s;
	(void)ms;
}

void
session_watch(struct session *s, struct volume *v, mailbox_id mailbox)
{
	(void)v;
	pthread_mutex_lock(&s->w->lock);
	s->watched = mailbox;
	s->latest = 0;
	pthread_mutex_unlock(&s->w->lock);
}

void
session_unwatch(struct session *s)
{
	session_watch(s, NULL, 0);
}

mail_modseq
session_watched_modseq(const struct session *s)
{
	mail_modseq latest;

	pthread_mutex_lock(&s->w->lock);
	latest = s->latest;
	pthread_mutex_unlock(&s->w->lock);
	return latest;
}

void
session_listen(struct session *s, bool wanted)
{
	pthread_mutex_lock(&s->w->lock);
	s->listens = wanted;
	pthread_mutex_unlock(&s->w->lock);
}

bool
session_take_notified(struct session *s)
{
	bool was = s->notified;

	s->notified = false;
	return was;
}

void
session_wake(struct session *s, bool here)
{
	(void)here;
	pthread_mutex_lock(&s->w->lock);
	s->wake = true;
	pthread_cond_broadcast(&s->w->happened);
	pthread_mutex_unlock(&s->w->lock);
}

void
session_set_user(struct session *s, struct slice name)
{
	(void)s;
	(void)name;
}

void
session_log(struct session *s, struct logline *l, enum log_level level, const char *ev)
{
	(void)s;
	log_begin(l, level, ev);
}

uint64_t
session_login_moment(struct session *s)
{
	(void)s;
	return 0;
}

enum session_entry
session_login(struct session *s, struct volume *v, account_id account, const char *mechanism,
              uint64_t since)
{
	(void)s;
	(void)v;
	(void)account;
	(void)mechanism;
	(void)since;
	return ENTRY_OK;
}

enum session_entry
session_login_admin(struct session *s, struct volume *v, account_id account, uint64_t since)
{
	(void)s;
	(void)v;
	(void)account;
	(void)since;
	return ENTRY_OK;
}

void
session_logout(struct session *s)
{
	(void)s;
}

void
session_set_activity(struct session *s, const char *what)
{
	(void)s;
	(void)what;
}

bool
session_bad_command(struct session *s)
{
	return ++s->bad >= s->w->conf.limits.bad_commands;
}

void
session_good_command(struct session *s)
{
	s->bad = 0;
}

struct settings *
server_settings(struct server *srv)
{
	return &((struct imap_world *)(void *)srv)->settings;
}

void
settings_unref(struct settings **s)
{
	*s = NULL;
}

struct alias_book *
server_alias_book(struct server *srv)
{
	return ((struct imap_world *)(void *)srv)->aliases;
}

struct regulars *
server_regulars(struct server *srv)
{
	return ((struct imap_world *)(void *)srv)->regulars;
}

uint64_t
server_recipients_version(const struct server *srv)
{
	return volume_places_version(((const struct imap_world *)(const void *)srv)->volume);
}

bool
server_misses_accounts(const struct server *srv)
{
	(void)srv;
	return false;
}

bool
server_knows_domain(struct server *srv, struct slice domain)
{
	(void)srv;
	(void)domain;
	return false;
}

enum rc
server_find_account(struct server *srv, struct slice name, struct arena *a, struct volume **v,
                    struct account_info *out, struct err *e)
{
	struct imap_world *w = (struct imap_world *)(void *)srv;

	*v = w->volume;
	return volume_find_account(w->volume, name, a, out, e);
}

const struct sasl_accounts *
server_sasl_accounts(struct server *srv)
{
	return &((struct imap_world *)(void *)srv)->sasl;
}

struct slice
server_sasl_secret(const struct server *srv)
{
	(void)srv;
	return SLICE_NONE;
}

struct guard *
server_guard(struct server *srv)
{
	return ((struct imap_world *)(void *)srv)->guard;
}

struct familiar *
server_familiar(struct server *srv)
{
	return ((struct imap_world *)(void *)srv)->familiar;
}

uint64_t
server_accounts_version(const struct server *srv)
{
	return volume_accounts_version(((const struct imap_world *)(const void *)srv)->volume);
}

struct remember *
server_remember(struct server *srv)
{
	return ((struct imap_world *)(void *)srv)->remember;
}

const char *
server_hostname(const struct server *srv)
{
	(void)srv;
	return "mail.example";
}
