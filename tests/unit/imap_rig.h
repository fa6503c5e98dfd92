/* imap_rig - whole IMAP sessions on a real volume in a temporary directory, without sockets and threads of the core.
 *
 * A line goes in, the protocol's functions run as the core would run them, and everything that came out is compared with
 * what was expected. Several sessions share the volume. The soft limit of the output can be made small: then every
 * answer is given in as many steps as its machine can be cut into, and must be the same.
 */
#ifndef RESTANTE_TESTS_UNIT_IMAP_RIG_H
#define RESTANTE_TESTS_UNIT_IMAP_RIG_H

#include "tests/unit/volume_fixture.h"

#include <pthread.h>

#include "server/imap/private.h"

struct session {
	struct buf      in, out, said;  /* `said`: all output since the last rig_said */
	void           *state;
	size_t          soft;
	size_t          largest;        /* most octets that one step left in `out` */
	unsigned        steps;
	bool            closed;
	bool            notified;
	pthread_mutex_t lock;
	pthread_cond_t  woken;
	bool            wake;
};

static account_id rig_account;
static struct conf rig_conf = { .limits = { .message_size = 64u << 20, .command_size = 65536, .bad_commands = 100,
                                            .auth_timeout = 60, .auth_failures = 3 } };

/* ---- the core, as far as the protocol sees it ---- */

struct buf *session_in(struct session *s) { return &s->in; }
struct buf *session_out(struct session *s) { return &s->out; }
bool session_out_full(const struct session *s) { return s->out.len >= s->soft; }
bool session_at_eof(const struct session *s) { (void)s; return false; }
uint64_t session_id(const struct session *s) { (void)s; return 1; }
const char *session_peer(const struct session *s) { (void)s; return "unix"; }
bool session_is_loopback(const struct session *s) { (void)s; return true; }
bool session_is_unix(const struct session *s) { (void)s; return true; }
bool session_has_tls(const struct session *s) { (void)s; return false; }
bool session_can_starttls(const struct session *s) { (void)s; return false; }
bool session_plaintext_allowed(const struct session *s) { (void)s; return true; }
struct server *session_server(const struct session *s) { (void)s; return NULL; }
const struct conf *session_conf(const struct session *s) { (void)s; return &rig_conf; }
void session_set_timeout(struct session *s, uint32_t ms) { (void)s, (void)ms; }
void session_watch(struct session *s, struct volume *v, mailbox_id m) { (void)s, (void)v, (void)m; }
void session_unwatch(struct session *s) { (void)s; }
void session_set_user(struct session *s, struct slice name) { (void)s, (void)name; }
bool session_bad_command(struct session *s) { (void)s; return false; }
void session_good_command(struct session *s) { (void)s; }
const struct sasl_accounts *server_sasl_accounts(struct server *srv) { (void)srv; return NULL; }
const char *server_hostname(const struct server *srv) { (void)srv; return "test.example"; }

enum rc
server_find_account(struct server *srv, struct slice name, struct arena *a, struct volume **v,
                    struct account_info *out, struct err *e)
{
	(void)srv;
	*v = fx_v;
	return volume_find_account(fx_v, name, a, out, e);
}

bool
session_take_notified(struct session *s)
{
	bool n = s->notified;

	s->notified = false;
	return n;
}

void
session_wake(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	s->wake = true;
	pthread_cond_signal(&s->woken);
	pthread_mutex_unlock(&s->lock);
}

void
session_log(struct session *s, struct logline *l, enum log_level level, const char *ev)
{
	(void)s;
	log_begin(l, level, ev);
}

/* ---- running ---- */

static void
rig_drain(struct session *s)
{
	if (s->out.len > s->largest)
		s->largest = s->out.len;
	assert_false(s->out.failed);
	assert_true(buf_append_slice(&s->said, buf_slice(&s->out)));
	buf_reset(&s->out);
}

static void
rig_wait(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->wake)
		pthread_cond_wait(&s->woken, &s->lock);
	s->wake = false;
	pthread_mutex_unlock(&s->lock);
}

static void
rig_step(struct session *s)
{
	enum step_result r = STEP_MORE;

	while (r == STEP_MORE || r == STEP_WAIT) {
		r = imap_protocol.step(s->state);
		s->steps++;
		rig_drain(s);
		if (r == STEP_WAIT)
			rig_wait(s);
	}
	s->closed = s->closed || r == STEP_CLOSE;
}

/* Until the session wants more input. */
static void
rig_run(struct session *s)
{
	enum session_next next = NEXT_AGAIN;

	while (!s->closed && next != NEXT_INPUT) {
		next = imap_protocol.advance(s->state);
		rig_drain(s);
		if (next == NEXT_STEP)
			rig_step(s);
		s->closed = s->closed || next == NEXT_CLOSE;
	}
}

/* What was said since the last time, NUL-terminated. */
static const char *
rig_said(struct session *s)
{
	buf_append_byte(&s->said, 0);
	s->said.len = 0;
	return (const char *)s->said.ptr;
}

/* Send a line (CRLF is added) and run; what it says. */
static const char *
rig_send(struct session *s, const char *line)
{
	s->said.len = 0;
	buf_append_str(&s->in, line);
	buf_append_str(&s->in, "\r\n");
	rig_run(s);
	return rig_said(s);
}

static void
rig_expect(struct session *s, const char *line, const char *want)
{
	assert_string_equal(rig_send(s, line), want);
}

/* ---- setting up ---- */

static struct session *
rig_session(void)
{
	struct session *s = calloc(1, sizeof *s);
	struct account_info a = { .id = rig_account };

	assert_non_null(s);
	buf_init(&s->in, SESSION_IN_MAX);
	buf_init(&s->out, SESSION_OUT_MAX);
	buf_init(&s->said, 64u << 20);
	s->soft = SESSION_OUT_SOFT;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->woken, NULL);
	s->state = imap_protocol.open(s);
	assert_non_null(s->state);
	assert_true(imap_logged_in(s->state, fx_v, &a, SLICE("anna")));
	return s;
}

static void
rig_end(struct session *s)
{
	imap_protocol.cleanup(s->state);
	imap_protocol.close(s->state);
	buf_fini(&s->in);
	buf_fini(&s->out);
	buf_fini(&s->said);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->woken);
	free(s);
}

/* A session that has INBOX selected and has said what SELECT says. */
static struct session *
rig_selected(void)
{
	struct session *s = rig_session();

	(void)rig_send(s, "s SELECT INBOX");
	return s;
}

static inline struct imap *
rig_imap(struct session *s)
{
	return s->state;
}

static int
rig_setup(void **state)
{
	int rc = fx_setup(state);

	log_set_level(LOGLEVEL_ERROR);
	rig_account = fx_account("anna");
	return rc;
}

static inline mailbox_id
rig_inbox(void)
{
	return fx_box(rig_account, "INBOX");
}

#endif
