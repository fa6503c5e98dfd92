/* session_fixture - a server of real reactors and a real pool for the tests of sessions, and a small protocol that
 * they speak over socket pairs. At the end of each test every session that was opened has been cleaned up and closed
 * once.
 */
#ifndef RESTANTE_TESTS_UNIT_SESSION_FIXTURE_H
#define RESTANTE_TESTS_UNIT_SESSION_FIXTURE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "server/core.h"
#include "server/session_state.h"

/* ---- the protocol: one command a line ---- */

enum verb {
	VERB_NONE,
	VERB_MORE,              /* "more N": N steps with one line each */
	VERB_FLOOD,             /* "flood N": N steps with 64 KiB each */
	VERB_WAIT,              /* "wait D": WAIT, woken by another thread after D us, maybe before the step returns */
	VERB_HERE,              /* "here D": light, WAIT, woken after D us by a thread that has time for the next step */
	VERB_EARLY,             /* "early": the same, but woken before the step returns */
	VERB_AWAIT,             /* "await D": likewise, but advance goes on */
	VERB_SLEEP,             /* "sleep D": a step that takes D us */
	VERB_LATE,              /* "late D": a step that takes D us, with a line */
	VERB_PUNISH,            /* "punish N": a step whose answer goes out N ms later */
};

struct toy {
	struct session *s;
	enum verb       verb;
	unsigned        n;
	unsigned        held;           /* "hold N" */
	unsigned        foresees, makes, made;  /* "foresee N M": so many turns, octets in each */
	unsigned        data_left;      /* "data N": so many octets follow */
	bool            waited;
	pthread_t       waker;
};

/* Watched by pointer only. */
static char volume_bytes[2];
static struct volume *const volume = (struct volume *)(void *)volume_bytes;
static struct volume *const other_volume = (struct volume *)(void *)(volume_bytes + 1);

static atomic_uint opened, cleaned, closed, steps, foreseen, rested;

static inline void *
toy_open(struct session *s)
{
	struct toy *t = calloc(1, sizeof *t);

	t->s = s;
	atomic_fetch_add(&opened, 1);
	return t;
}

static inline void
toy_cleanup(void *state)
{
	(void)state;
	atomic_fetch_add(&cleaned, 1);
}

static inline void
toy_close(void *state)
{
	free(state);
	atomic_fetch_add(&closed, 1);
}

static inline enum session_next
toy_greet(void *state)
{
	struct toy *t = state;

	buf_append_str(session_out(t->s), "hello\n");
	return NEXT_INPUT;
}

static inline enum session_next
toy_command(struct toy *t, const char *line)
{
	struct buf *out = session_out(t->s);

	if (sscanf(line, "more %u", &t->n) == 1)
		t->verb = VERB_MORE;
	else if (sscanf(line, "flood %u", &t->n) == 1)
		t->verb = VERB_FLOOD;
	else if (sscanf(line, "wait %u", &t->n) == 1)
		t->verb = VERB_WAIT;
	else if (sscanf(line, "here %u", &t->n) == 1)
		t->verb = VERB_HERE;
	else if (strcmp(line, "early") == 0)
		t->verb = VERB_EARLY;
	else if (sscanf(line, "await %u", &t->n) == 1)
		t->verb = VERB_AWAIT;
	else if (sscanf(line, "sleep %u", &t->n) == 1)
		t->verb = VERB_SLEEP;
	else if (sscanf(line, "late %u", &t->n) == 1)
		t->verb = VERB_LATE;
	else if (sscanf(line, "punish %u", &t->n) == 1)
		t->verb = VERB_PUNISH;
	session_good_command(t->s);
	if (t->verb != VERB_NONE)
		return NEXT_STEP;
	if (strcmp(line, "quit") == 0) {
		buf_append_str(out, "bye\n");
		return NEXT_CLOSE;
	}
	if (sscanf(line, "timeout %u", &t->n) == 1)
		session_set_timeout(t->s, t->n);
	(void)sscanf(line, "hold %u", &t->held);
	(void)sscanf(line, "foresee %u %u", &t->foresees, &t->makes);
	if (sscanf(line, "data %u", &t->data_left) == 1)
		return NEXT_AGAIN;
	if (sscanf(line, "delay %u", &t->n) == 1)
		session_delay(t->s, t->n);
	if (sscanf(line, "failure %u", &t->n) == 1)
		session_delay_login(t->s, t->n);
	if (sscanf(line, "watch %u", &t->n) == 1) {
		session_watch(t->s, volume, t->n);
		session_listen(t->s, true);
	}
	if (sscanf(line, "login %u", &t->n) == 1) {
		static const char *const entries[] = { "in", "full", "stale" };
		uint64_t since = session_login_moment(t->s);

		if (strchr(line, '!') != NULL)          /* the account changes while the password is checked */
			registry_account_changed(server_registry(session_server(t->s)), volume,
			                         t->n);
		buf_printf(out, "%s\n", entries[session_login(t->s, volume, t->n, "PLAIN", since)]);
		return NEXT_AGAIN;
	}
	buf_printf(out, "= %s\n", line);
	return NEXT_AGAIN;
}

static inline void
toy_woken(struct toy *t)
{
	if (t->verb != VERB_HERE && t->verb != VERB_EARLY)
		pthread_join(t->waker, NULL);
	t->waited = false;
	t->verb = VERB_NONE;
	buf_append_str(session_out(t->s), "woken\n");
}

static inline enum session_next
toy_data(struct toy *t, struct buf *in)
{
	size_t n = in->len < t->data_left ? in->len : t->data_left;

	buf_consume(in, n);
	t->data_left -= (unsigned)n;
	if (t->data_left > 0)
		return NEXT_INPUT;
	buf_append_str(session_out(t->s), "all\n");
	return NEXT_AGAIN;
}

static inline uint64_t
toy_held(const void *state)
{
	const struct toy *t = state;

	return t->held + t->made;
}

static inline bool
toy_foresee(void *state)
{
	struct toy *t = state;

	if (t->foresees == 0)
		return false;
	usleep(100);
	atomic_fetch_add(&foreseen, 1);
	t->made += t->makes;
	return --t->foresees > 0;
}

static inline void
toy_rest(void *state)
{
	((struct toy *)state)->made = 0;
	atomic_fetch_add(&rested, 1);
}

static inline enum session_awaits
toy_awaits(void *state)
{
	struct toy *t = state;

	if (t->data_left > 0)
		return AWAITS_DATA;
	return session_in(t->s)->len > 0 ? AWAITS_REST : AWAITS_COMMAND;
}

static inline enum session_next
toy_advance(void *state)
{
	struct toy *t = state;
	struct buf *in = session_in(t->s);
	size_t lf = slice_find_byte(buf_slice(in), '\n');
	char line[100];

	assert_false(t->s->post.expected);      /* or nobody wakes the reactor when it has to be */
	if (t->verb == VERB_AWAIT)
		toy_woken(t);
	if (session_take_notified(t->s))
		buf_append_str(session_out(t->s), "changed\n");
	if (t->data_left > 0)
		return toy_data(t, in);
	if (lf == in->len)
		return NEXT_INPUT;
	snprintf(line, sizeof line, "%.*s", (int)lf, (const char *)in->ptr);
	buf_consume(in, lf + 1);
	return toy_command(t, line);
}

static inline void *
waker_main(void *arg)
{
	struct toy *t = arg;

	if (t->n > 0)
		usleep(t->n);
	session_wake(t->s, t->verb == VERB_HERE);
	return NULL;
}

static inline void
start_waker(struct toy *t)
{
	pthread_t waker;

	if (t->verb == VERB_EARLY) {
		session_wake(t->s, true);
		return;
	}
	if (t->verb != VERB_HERE) {
		assert_int_equal(pthread_create(&t->waker, NULL, waker_main, t), 0);
		return;
	}
	/* It may have ended the session before we come back. */
	assert_int_equal(pthread_create(&waker, NULL, waker_main, t), 0);
	pthread_detach(waker);
}

static inline bool
toy_light(void *state)
{
	const struct toy *t = state;

	return t->verb == VERB_HERE || t->verb == VERB_EARLY;
}

static inline enum step_result
toy_wait(struct toy *t)
{
	enum verb verb = t->verb;

	if (!t->waited) {
		t->waited = true;
		start_waker(t);
		if (verb != VERB_EARLY && t->n % 2 == 1)
			usleep(t->n);           /* so that the wake comes about when this returns */
		return verb == VERB_AWAIT ? STEP_WAIT_ADVANCE : STEP_WAIT;
	}
	assert_int_not_equal(verb, VERB_AWAIT);
	toy_woken(t);
	return STEP_DONE;
}

static inline enum step_result
toy_more(struct toy *t, size_t bytes)
{
	if (t->n == 0) {
		t->verb = VERB_NONE;
		buf_append_str(session_out(t->s), "done\n");
		return STEP_DONE;
	}
	t->n--;
	for (size_t i = 0; i < bytes; i += 64)
		buf_append_str(session_out(t->s),
		               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n");
	return STEP_MORE;
}

static inline enum step_result
toy_step(void *state)
{
	struct toy *t = state;

	atomic_fetch_add(&steps, 1);
	switch (t->verb) {
	case VERB_MORE:
		return toy_more(t, 64);
	case VERB_FLOOD:
		return toy_more(t, 65536);
	case VERB_WAIT:
	case VERB_HERE:
	case VERB_EARLY:
	case VERB_AWAIT:
		return toy_wait(t);
	case VERB_SLEEP:
		usleep(t->n);
		t->n = 0;
		return toy_more(t, 0);
	case VERB_LATE:
		usleep(t->n);
		t->n = 1;
		t->verb = VERB_MORE;
		return toy_more(t, 64);
	case VERB_PUNISH:
		session_delay(t->s, t->n);
		t->n = 0;
		return toy_more(t, 0);
	case VERB_NONE:
		break;
	}
	return STEP_CLOSE;
}

static inline void
toy_bye(void *state, enum session_end why)
{
	static const char *const words[] = { "timeout\n", "shutdown\n", "overflow\n", "kicked\n",
	                                     "memory\n",  "changed\n" };
	struct toy *t = state;

	buf_append_str(session_out(t->s), words[why]);
}

static const struct protocol toy_protocol = {
	.name = "toy",
	.open = toy_open,
	.close = toy_close,
	.cleanup = toy_cleanup,
	.greet = toy_greet,
	.advance = toy_advance,
	.step = toy_step,
	.bye = toy_bye,
	.held = toy_held,
	.rest = toy_rest,
	.awaits = toy_awaits,
	.foresee = toy_foresee,
	.light = toy_light,
};

/* ---- a server of it ---- */

#define REACTORS 2

static struct server *srv;
static const struct listener unix_listener = { .name = (char *)"toy", .protocol = &toy_protocol,
                                               .is_unix = true };
static const struct listener tcp_listener = { .name = (char *)"tcp", .protocol = &toy_protocol };

static const char conf_text[] =
    "[server]\nreactors = 2\npool_threads = 4\ncontrol_socket = c\nidle_timeout = 20s\n"
    "[volume v]\npath = v\n[listen l]\nprotocol = lmtp\nport = 24\n"
    "[limits]\nauth_delay = 400\nmin_rate = 20000\nmemory = 1M\nlogin_memory = "
    "256K\nmax_connections_per_account = 2\n";

static inline int
start(void **state)
{
	char path[] = "/tmp/test_session.XXXXXX";
	struct settings *settings;
	struct err e = ERR_INIT;
	struct conf *conf;
	int fd = mkstemp(path);

	(void)state;
	atomic_store(&opened, 0);
	atomic_store(&cleaned, 0);
	atomic_store(&closed, 0);
	atomic_store(&foreseen, 0);
	atomic_store(&rested, 0);
	assert_int_equal(write(fd, conf_text, sizeof conf_text - 1), sizeof conf_text - 1);
	close(fd);
	if (conf_load(path, &conf, &e) != RC_OK)
		fail_msg("%s", e.text);
	unlink(path);
	assert_int_equal(settings_new(&conf, NULL, &settings, &e), RC_OK);
	assert_int_equal(server_new(&settings, &srv, &e), RC_OK);
	assert_int_equal(server_make_reactors(srv, REACTORS, &e), RC_OK);
	for (unsigned i = 0; i < REACTORS; i++)
		assert_int_equal(reactor_start(server_reactor(srv, i), &e), RC_OK);
	return 0;
}

static inline void
stop_all(void)
{
	for (unsigned i = 0; i < REACTORS; i++)
		reactor_stop(server_reactor(srv, i));
	for (unsigned i = 0; i < REACTORS; i++)
		reactor_join(server_reactor(srv, i));
}

static inline int
end(void **state)
{
	(void)state;
	stop_all();
	assert_int_equal(peers_count(server_peers(srv)), 0);
	assert_int_equal(atomic_load(&server_budget(srv)->all), 0);
	assert_int_equal(atomic_load(&server_budget(srv)->strangers), 0);
	assert_int_equal(atomic_load(&cleaned), atomic_load(&opened));
	assert_int_equal(atomic_load(&closed), atomic_load(&opened));
	server_free(&srv);
	return 0;
}

struct arrival {
	struct post     post;
	struct reactor *reactor;
	const struct listener *listener;
	struct sockaddr_storage peer;
	int             fd;
};

static inline void
on_arrival(struct post *p, unsigned bits)
{
	struct arrival *a = (struct arrival *)(void *)p;

	(void)bits;
	reactor_arrived(a->reactor);
	session_begin(a->reactor, a->listener, a->fd, a->listener->is_unix ? NULL : &a->peer,
	              REFUSAL_NONE);
	free(a);
}

/* A new session whose socket holds so much (0: what it holds); returns the client's end. */
static inline int
dial_with(const struct listener *l, int socket_bytes)
{
	struct arrival *a = calloc(1, sizeof *a);
	struct timeval limit = { 20, 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };
	struct peer_key key;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (socket_bytes > 0)
		setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &socket_bytes, sizeof socket_bytes);
	memcpy(&a->peer, &in, sizeof in);
	peer_key_set(&key, &a->peer);
	assert_int_equal(peers_enter(server_peers(srv), session_kind(l, REFUSAL_NONE),
	                             l->is_unix ? NULL : &key, 1000, 1000), PEERS_OK);
	a->post.run = on_arrival;
	a->listener = l;
	a->reactor = server_lightest_reactor(srv, server_reactor(srv, 0));
	a->fd = fds[1];
	reactor_expect(a->reactor);
	reactor_post(a->reactor, &a->post, 0);
	return fds[0];
}

static inline int
dial(void)
{
	return dial_with(&unix_listener, 0);
}

static inline int
dial_tcp(void)
{
	return dial_with(&tcp_listener, 0);
}

static inline void
say(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void
expect(int fd, const char *text)
{
	char got[4096] = "";
	size_t len = strlen(text), have = 0;

	while (have < len) {
		ssize_t n = recv(fd, got + have, len - have, 0);

		if (n <= 0)
			fail_msg("wanted '%s', got '%s' and then the end", text, got);
		have += (size_t)n;
	}
	assert_string_equal(got, text);
}

static inline void
expect_end(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

static inline void
wait_for_closed(unsigned n)
{
	for (unsigned i = 0; i < 2000 && atomic_load(&closed) < n; i++)
		usleep(10000);
	assert_int_equal(atomic_load(&closed), n);
}

/* Greeted and logged in. */
static inline int
dial_in(const char *login)
{
	int fd = dial();

	expect(fd, "hello\n");
	say(fd, login);
	expect(fd, "in\n");
	return fd;
}

#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

#endif
