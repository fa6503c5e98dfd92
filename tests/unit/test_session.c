/* The life of sessions on a real reactor with a real pool, spoken to over socket pairs in a small protocol of the test:
 * whatever the client does and whenever it leaves, every session that was opened is cleaned up and closed once. */
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
#include "server/session_core.h"

/* ---- the protocol: one command a line ---- */

enum verb {
	VERB_NONE,
	VERB_MORE,              /* "more N": N steps with one line each */
	VERB_FLOOD,             /* "flood N": N steps with 64 KiB each */
	VERB_WAIT,              /* "wait D": WAIT, woken by another thread after D us, maybe before the step returns */
	VERB_AWAIT,             /* "await D": likewise, but advance goes on */
	VERB_SLEEP,             /* "sleep D": a step that takes D us */
	VERB_PUNISH,            /* "punish N": a step whose answer goes out N ms later */
};

struct toy {
	struct session *s;
	enum verb       verb;
	unsigned        n;
	bool            waited;
	pthread_t       waker;
};

/* Watched by pointer only. */
static char volume_bytes[2];
static struct volume *const volume = (struct volume *)(void *)volume_bytes;
static struct volume *const other_volume = (struct volume *)(void *)(volume_bytes + 1);

static atomic_uint opened, cleaned, closed, steps;

static void *
toy_open(struct session *s)
{
	struct toy *t = calloc(1, sizeof *t);

	t->s = s;
	atomic_fetch_add(&opened, 1);
	return t;
}

static void
toy_cleanup(void *state)
{
	(void)state;
	atomic_fetch_add(&cleaned, 1);
}

static void
toy_close(void *state)
{
	free(state);
	atomic_fetch_add(&closed, 1);
}

static enum session_next
toy_greet(void *state)
{
	struct toy *t = state;

	buf_append_str(session_out(t->s), "hello\n");
	return NEXT_INPUT;
}

static enum session_next
toy_command(struct toy *t, const char *line)
{
	struct buf *out = session_out(t->s);

	if (sscanf(line, "more %u", &t->n) == 1)
		t->verb = VERB_MORE;
	else if (sscanf(line, "flood %u", &t->n) == 1)
		t->verb = VERB_FLOOD;
	else if (sscanf(line, "wait %u", &t->n) == 1)
		t->verb = VERB_WAIT;
	else if (sscanf(line, "await %u", &t->n) == 1)
		t->verb = VERB_AWAIT;
	else if (sscanf(line, "sleep %u", &t->n) == 1)
		t->verb = VERB_SLEEP;
	else if (sscanf(line, "punish %u", &t->n) == 1)
		t->verb = VERB_PUNISH;
	if (t->verb != VERB_NONE)
		return NEXT_STEP;
	if (strcmp(line, "quit") == 0) {
		buf_append_str(out, "bye\n");
		return NEXT_CLOSE;
	}
	if (sscanf(line, "timeout %u", &t->n) == 1)
		session_set_timeout(t->s, t->n);
	if (sscanf(line, "delay %u", &t->n) == 1)
		session_delay(t->s, t->n);
	if (sscanf(line, "failure %u", &t->n) == 1)
		session_delay_login(t->s, t->n);
	if (sscanf(line, "watch %u", &t->n) == 1)
		session_watch(t->s, volume, t->n);
	buf_printf(out, "= %s\n", line);
	return NEXT_AGAIN;
}

static void
toy_woken(struct toy *t)
{
	pthread_join(t->waker, NULL);
	t->waited = false;
	t->verb = VERB_NONE;
	buf_append_str(session_out(t->s), "woken\n");
}

static enum session_next
toy_advance(void *state)
{
	struct toy *t = state;
	struct buf *in = session_in(t->s);
	size_t lf = slice_find_byte(buf_slice(in), '\n');
	char line[100];

	if (t->verb == VERB_AWAIT)
		toy_woken(t);
	if (session_take_notified(t->s))
		buf_append_str(session_out(t->s), "changed\n");
	if (lf == in->len)
		return NEXT_INPUT;
	snprintf(line, sizeof line, "%.*s", (int)lf, (const char *)in->ptr);
	buf_consume(in, lf + 1);
	return toy_command(t, line);
}

static void *
waker_main(void *arg)
{
	struct toy *t = arg;

	if (t->n > 0)
		usleep(t->n);
	session_wake(t->s);
	return NULL;
}

static enum step_result
toy_wait(struct toy *t)
{
	if (!t->waited) {
		t->waited = true;
		assert_int_equal(pthread_create(&t->waker, NULL, waker_main, t), 0);
		if (t->n % 2 == 1)
			usleep(t->n);           /* so that the wake comes about when this returns */
		return t->verb == VERB_WAIT ? STEP_WAIT : STEP_WAIT_ADVANCE;
	}
	assert_int_equal(t->verb, VERB_WAIT);
	toy_woken(t);
	return STEP_DONE;
}

static enum step_result
toy_more(struct toy *t, size_t bytes)
{
	if (t->n == 0) {
		t->verb = VERB_NONE;
		buf_append_str(session_out(t->s), "done\n");
		return STEP_DONE;
	}
	t->n--;
	for (size_t i = 0; i < bytes; i += 64)
		buf_append_str(session_out(t->s), "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n");
	return STEP_MORE;
}

static enum step_result
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
	case VERB_AWAIT:
		return toy_wait(t);
	case VERB_SLEEP:
		usleep(t->n);
		t->n = 0;
		return toy_more(t, 0);
	case VERB_PUNISH:
		session_delay(t->s, t->n);
		t->n = 0;
		return toy_more(t, 0);
	case VERB_NONE:
		break;
	}
	return STEP_CLOSE;
}

static void
toy_bye(void *state, enum session_end why)
{
	static const char *const words[] = { "timeout\n", "shutdown\n", "overflow\n" };
	struct toy *t = state;

	buf_append_str(session_out(t->s), words[why]);
}

static const struct protocol toy_protocol = { "toy",       0,           toy_open, toy_close, toy_cleanup,
	                                      toy_greet, toy_advance, toy_step, toy_bye, NULL };

/* ---- a server of it ---- */

#define REACTORS 2

static struct server *srv;
static const struct listener unix_listener = { .name = (char *)"toy", .protocol = &toy_protocol, .is_unix = true };

static const char conf_text[] = "[server]\nreactors = 2\npool_threads = 4\ncontrol_socket = c\nidle_timeout = 20s\n"
                                "[volume v]\npath = v\n[listen l]\nprotocol = lmtp\nport = 24\n"
                                "[limits]\nauth_delay = 400\n";

static int
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
	assert_int_equal(write(fd, conf_text, sizeof conf_text - 1), sizeof conf_text - 1);
	close(fd);
	if (conf_load(path, &conf, &e) != RC_OK)
		fail_msg("%s", e.text);
	unlink(path);
	assert_int_equal(settings_new(&conf, &settings, &e), RC_OK);
	assert_int_equal(server_new(&settings, &srv, &e), RC_OK);
	assert_int_equal(server_make_reactors(srv, &e), RC_OK);
	for (unsigned i = 0; i < REACTORS; i++)
		assert_int_equal(reactor_start(server_reactor(srv, i), &e), RC_OK);
	return 0;
}

static void
stop_all(void)
{
	for (unsigned i = 0; i < REACTORS; i++)
		reactor_stop(server_reactor(srv, i));
	for (unsigned i = 0; i < REACTORS; i++)
		reactor_join(server_reactor(srv, i));
}

static int
end(void **state)
{
	(void)state;
	stop_all();
	assert_int_equal(peers_count(server_peers(srv)), 0);
	assert_int_equal(atomic_load(&cleaned), atomic_load(&opened));
	assert_int_equal(atomic_load(&closed), atomic_load(&opened));
	server_free(&srv);
	return 0;
}

struct arrival {
	struct post     post;
	struct reactor *reactor;
	int             fd;
};

static void
on_arrival(struct post *p, unsigned bits)
{
	struct arrival *a = (struct arrival *)(void *)p;

	(void)bits;
	session_begin(a->reactor, &unix_listener, a->fd, NULL);
	free(a);
}

/* A new session; returns the client's end. */
static int
dial(void)
{
	struct arrival *a = calloc(1, sizeof *a);
	struct timeval limit = { 20, 0 };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	assert_int_equal(peers_enter(server_peers(srv), NULL, 1000, 1000), PEERS_OK);
	a->post.run = on_arrival;
	a->reactor = server_next_reactor(srv);
	a->fd = fds[1];
	reactor_post(a->reactor, &a->post, 0);
	return fds[0];
}

static void
say(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void
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

static void
expect_end(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

static void
wait_for_closed(unsigned n)
{
	for (unsigned i = 0; i < 2000 && atomic_load(&closed) < n; i++)
		usleep(10000);
	assert_int_equal(atomic_load(&closed), n);
}

/* ---- the tests ---- */

static void
test_echo(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "a\nb\n");
	expect(fd, "hello\n= a\n= b\n");
	say(fd, "c");
	say(fd, "\nquit\n");
	expect(fd, "= c\nbye\n");
	expect_end(fd);
	close(fd);
	wait_for_closed(1);
}

/* More commands than a session may take in one turn. */
static void
test_pipelined(void **state)
{
	char text[8];
	int fd = dial();

	(void)state;
	expect(fd, "hello\n");
	for (unsigned i = 0; i < 500; i++) {
		snprintf(text, sizeof text, "%03u\n", i);
		say(fd, text);
	}
	for (unsigned i = 0; i < 500; i++) {
		snprintf(text, sizeof text, "= %03u\n", i);
		expect(fd, text);
	}
	close(fd);
}

/* What was sent before the end of input is answered. */
static void
test_half_closed(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "a\nmore 1\nb\n");
	shutdown(fd, SHUT_WR);
	expect(fd, "hello\n= a\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\ndone\n= b\n");
	expect_end(fd);
	close(fd);
	wait_for_closed(1);
}

/* A client that does not read stops the steps. */
static void
test_slow_reader(void **state)
{
	int fd = dial();
	unsigned before, after;
	char sink[65536];
	size_t left = 200u * 65536 + 5;

	(void)state;
	expect(fd, "hello\n");
	atomic_store(&steps, 0);
	say(fd, "flood 200\n");
	usleep(300000);
	before = atomic_load(&steps);
	usleep(300000);
	after = atomic_load(&steps);
	assert_int_equal(before, after);
	assert_in_range(after, 1, 100);
	while (left > 0) {
		ssize_t n = recv(fd, sink, left < sizeof sink ? left : sizeof sink, 0);

		assert_true(n > 0);
		left -= (size_t)n;
	}
	close(fd);
}

/* The wake meets every moment of the step's return. */
static void
test_wakes(void **state)
{
	enum { SESSIONS = 8, ROUNDS = 60 };
	int fds[SESSIONS];
	char text[16];

	(void)state;
	for (unsigned i = 0; i < SESSIONS; i++) {
		fds[i] = dial();
		expect(fds[i], "hello\n");
	}
	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < SESSIONS; i++) {
			snprintf(text, sizeof text, "%swait %u\n", i % 2 == 0 ? "" : "a", (r * 7 + i * 3) % 60);
			say(fds[i], text);
		}
		for (unsigned i = 0; i < SESSIONS; i++)
			expect(fds[i], "woken\n");
	}
	for (unsigned i = 0; i < SESSIONS; i++)
		close(fds[i]);
	wait_for_closed(SESSIONS);
}

/* The client leaves at any moment of a step, a wait, an answer. */
static void
test_leaving(void **state)
{
	static const char *const texts[] = { "", "a\n", "sleep 3000\n", "wait 3000\n", "await 3000\n", "flood 50\n", "wait 1\n", "more 9\n" };
	unsigned n = 0;

	(void)state;
	for (unsigned delay = 0; delay < 6000; delay += 900) {
		for (unsigned i = 0; i < UNIT_COUNT(texts); i++, n++) {
			int fd = dial();

			say(fd, texts[i]);
			if (delay > 0)
				usleep(delay);
			close(fd);
		}
	}
	wait_for_closed(n);
}

static void
test_overflow(void **state)
{
	char junk[8192];
	int fd = dial();
	char got[10];
	ssize_t n;

	(void)state;
	expect(fd, "hello\n");
	memset(junk, 'x', sizeof junk);
	for (unsigned i = 0; i < 12; i++)
		(void)send(fd, junk, sizeof junk, MSG_NOSIGNAL | MSG_DONTWAIT);
	n = recv(fd, got, 9, MSG_WAITALL);
	assert_int_equal(n, 9);
	assert_memory_equal(got, "overflow\n", 9);
	close(fd);
	wait_for_closed(1);
}

static void
test_timeout(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "timeout 300\n");
	expect(fd, "hello\n= timeout 300\ntimeout\n");
	expect_end(fd);
	close(fd);
	wait_for_closed(1);
}

/* A command that comes byte by byte is the client's silence, many small ones are not. */
static void
test_timeout_of_one_command(void **state)
{
	int slow = dial(), busy = dial();
	bool busy_first = true;
	uint64_t began;
	char got[64] = "";

	(void)state;
	say(slow, "timeout 1500\n");
	say(busy, "timeout 1500\n");
	expect(slow, "hello\n= timeout 1500\n");
	expect(busy, "hello\n= timeout 1500\n");
	began = clock_mono_ms();
	while (clock_mono_ms() - began < 6000 && recv(slow, got, sizeof got, MSG_DONTWAIT) < 0) {
		(void)send(slow, "x", 1, MSG_NOSIGNAL);
		say(busy, busy_first ? "a\nb" : "\na\nb");      /* the last command is not complete */
		usleep(100000);
		expect(busy, busy_first ? "= a\n" : "= b\n= a\n");
		busy_first = false;
	}
	assert_string_equal(got, "timeout\n");
	assert_in_range(clock_mono_ms() - began, 1500, 4000);
	close(slow);
	close(busy);
}

/* A step that lasts longer than the timeout is not the client's silence. */
static void
test_no_timeout_in_step(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "timeout 600\n");
	expect(fd, "hello\n= timeout 600\n");
	say(fd, "sleep 2500000\n");
	expect(fd, "done\n");
	close(fd);
}

static uint64_t
ms_until(int fd, const char *text)
{
	uint64_t began = clock_mono_ms();

	expect(fd, text);
	return clock_mono_ms() - began;
}

/* Delays hold no thread: there are four, and twelve sessions wait. */
static void
test_delay(void **state)
{
	enum { DELAYED = 12 };
	int fds[DELAYED], other = dial();

	(void)state;
	for (unsigned i = 0; i < DELAYED; i++) {
		fds[i] = dial();
		expect(fds[i], "hello\n");
		say(fds[i], i % 2 == 0 ? "a\ndelay 1600\nb\n" : "punish 1600\nb\n");
	}
	usleep(100000);
	say(other, "more 0\n");
	assert_in_range(ms_until(other, "hello\ndone\n"), 0, 1000);
	assert_in_range(ms_until(fds[0], "= a\n= delay 1600\n= b\n"), 1300, 5000);
	for (unsigned i = 1; i < DELAYED; i++)
		expect(fds[i], i % 2 == 0 ? "= a\n= delay 1600\n= b\n" : "done\n= b\n");
	/* What a client sends during its delay is read behind it, and the next answer is not delayed. */
	say(fds[0], "punish 600\n");
	say(fds[0], "c\n");
	expect(fds[0], "done\n= c\n");
	say(fds[0], "d\n");
	assert_in_range(ms_until(fds[0], "= d\n"), 0, 500);
	for (unsigned i = 0; i < DELAYED; i++)
		close(fds[i]);
	close(other);
	wait_for_closed(DELAYED + 1);
}

/* auth_delay is 400 here: 400, 800, 1600 ..., at most ten seconds. */
static void
test_delay_grows(void **state)
{
	int fd = dial();

	(void)state;
	expect(fd, "hello\n");
	say(fd, "failure 1\n");
	assert_in_range(ms_until(fd, "= failure 1\n"), 400, 1500);
	say(fd, "failure 3\n");
	assert_in_range(ms_until(fd, "= failure 3\n"), 1600, 3500);
	say(fd, "failure 4000000000\n");
	assert_in_range(ms_until(fd, "= failure 4000000000\n"), 10000, 14000);
	close(fd);
}

/* A client that leaves during its delay, and a shutdown, which does not wait for one. */
static void
test_delay_cut_short(void **state)
{
	int left = dial(), fd = dial(), step = dial();
	uint64_t began;

	(void)state;
	expect(fd, "hello\n");
	say(left, "delay 600\n");
	say(fd, "watch 7\ndelay 60000\n");
	say(step, "punish 60000\n");
	usleep(100000);
	hub_notify(server_hub(srv), volume, 7, 1);
	close(left);
	wait_for_closed(1);
	began = clock_mono_ms();
	stop_all();
	assert_in_range(clock_mono_ms() - began, 0, 5000);
	expect(fd, "= watch 7\n= delay 60000\nshutdown\n");
	expect(step, "hello\ndone\nshutdown\n");
	close(fd);
	close(step);
}

static void
test_notification(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "watch 7\n");
	expect(fd, "hello\n= watch 7\n");
	hub_notify(server_hub(srv), volume, 7, 1);
	expect(fd, "changed\n");
	hub_notify(server_hub(srv), other_volume, 7, 1);
	hub_notify(server_hub(srv), volume, 8, 1);
	say(fd, "a\n");
	expect(fd, "= a\n");
	/* What comes during a step is told behind it. */
	say(fd, "sleep 200000\n");
	usleep(50000);
	hub_notify(server_hub(srv), volume, 7, 2);
	expect(fd, "done\nchanged\n");
	say(fd, "watch 8\nb\n");
	expect(fd, "= watch 8\n= b\n");
	hub_notify(server_hub(srv), volume, 7, 3);
	hub_notify(server_hub(srv), volume, 8, 3);
	expect(fd, "changed\n");
	close(fd);
}

/* Writers notify while sessions come, watch and go. */
static void *
notify_main(void *arg)
{
	const atomic_bool *stop = arg;

	while (!atomic_load(stop))
		for (mailbox_id m = 0; m < 4; m++)
			hub_notify(server_hub(srv), volume, m, 1);
	return NULL;
}

static void
test_notification_storm(void **state)
{
	atomic_bool stop = false;
	pthread_t writer;
	char text[16];

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, notify_main, &stop), 0);
	for (unsigned i = 0; i < 200; i++) {
		int fd = dial();

		snprintf(text, sizeof text, "watch %u\n", i % 5);
		say(fd, text);
		usleep(i % 7 * 100);
		close(fd);
	}
	wait_for_closed(200);
	atomic_store(&stop, true);
	pthread_join(writer, NULL);
}

static void
test_shutdown(void **state)
{
	int idle = dial(), busy = dial(), waiting = dial(), owed = dial();

	(void)state;
	say(busy, "sleep 300000\n");
	say(waiting, "wait 300000\n");
	say(owed, "await 300000\n");
	expect(idle, "hello\n");
	usleep(100000);
	stop_all();
	expect(idle, "shutdown\n");
	expect(busy, "hello\ndone\nshutdown\n");
	expect(waiting, "hello\nwoken\nshutdown\n");
	expect(owed, "hello\nwoken\nshutdown\n");
	close(idle);
	close(busy);
	close(waiting);
	close(owed);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_echo),
		ROW(test_pipelined),
		ROW(test_half_closed),
		ROW(test_slow_reader),
		ROW(test_wakes),
		ROW(test_leaving),
		ROW(test_overflow),
		ROW(test_timeout),
		ROW(test_timeout_of_one_command),
		ROW(test_no_timeout_in_step),
		ROW(test_delay),
		ROW(test_delay_grows),
		ROW(test_delay_cut_short),
		ROW(test_notification),
		ROW(test_notification_storm),
		ROW(test_shutdown),
	};

	log_set_level(LOGLEVEL_ERROR);
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
