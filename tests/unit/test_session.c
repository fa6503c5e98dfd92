/* The life of sessions: whatever the client does and whenever it leaves, commands are answered in
 * order, what happens is told, and all ends with the client or the server. */
#include "tests/unit/session_fixture.h"

#include <poll.h>
#include <semaphore.h>

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

/* All came to one reactor: each has its share. A few more than elsewhere are no reason to move among many. */
static void
test_dealt_evenly(void **state)
{
	struct reactor *own = server_reactor(srv, 0);
	int fds[2 * REACTORS];

	(void)state;
	/* One after the other: two reactors that accept at the same time may choose the same one. */
	for (unsigned i = 0; i < 2 * REACTORS; i++) {
		fds[i] = dial_tcp();
		expect(fds[i], "hello\n");
	}
	for (unsigned i = 0; i < REACTORS; i++)
		assert_int_equal(reactor_load(server_reactor(srv, i)), 2);
	for (unsigned i = 0; i < REACTORS; i++)
		for (unsigned k = 0; k < 6; k++)
			reactor_expect(server_reactor(srv, i));
	reactor_expect(own);
	assert_ptr_equal(server_lightest_reactor(srv, own), own);
	reactor_expect(own);
	assert_ptr_not_equal(server_lightest_reactor(srv, own), own);
	reactor_arrived(own);
	reactor_arrived(own);
	for (unsigned i = 0; i < REACTORS; i++)
		for (unsigned k = 0; k < 6; k++)
			reactor_arrived(server_reactor(srv, i));
	for (unsigned i = 0; i < 2 * REACTORS; i++)
		close(fds[i]);
	wait_for_closed(2 * REACTORS);
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
	expect(fd,
	       "hello\n= "
	       "a\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\ndone\n= b\n");
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

static sem_t held, let_go;

static void
hold_up(struct post *p, unsigned bits)
{
	(void)p;
	(void)bits;
	sem_post(&held);
	sem_wait(&let_go);
}

/* What the command says goes out though no reactor does anything behind its first step's begin. */
static void
check_sent_beside(const char *command, const char *answer)
{
	struct post posts[REACTORS] = { 0 };
	int fd = dial(), came;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	sem_init(&held, 0, 0);
	sem_init(&let_go, 0, 0);
	expect(fd, "hello\n");
	atomic_store(&steps, 0);
	say(fd, command);
	while (atomic_load(&steps) == 0)
		usleep(1000);
	for (unsigned i = 0; i < REACTORS; i++) {
		posts[i].run = hold_up;
		reactor_post(server_reactor(srv, i), &posts[i], 0);
		sem_wait(&held);
	}
	came = poll(&p, 1, 10000);
	for (unsigned i = 0; i < REACTORS; i++)
		sem_post(&let_go);
	assert_int_equal(came, 1);
	expect(fd, answer);
	say(fd, "a\n");
	expect(fd, "= a\n");
	close(fd);
	wait_for_closed(1);
}

static void
test_step_sends(void **state)
{
	(void)state;
	check_sent_beside("late 200000\n",
	                  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\ndone\n");
}

static void
test_waker_sends(void **state)
{
	(void)state;
	check_sent_beside("here 200000\n", "woken\n");
}

/* What comes with the command, while it waits, and when it is answered. */
static void
test_input_behind_waker(void **state)
{
	int fd = dial();

	(void)state;
	expect(fd, "hello\n");
	for (unsigned i = 0; i < 20; i++) {
		say(fd, "here 2000\na\n");
		expect(fd, "woken\n= a\n");
		say(fd, "here 20000\n");
		usleep(i * 1500);
		say(fd, "a\n");
		expect(fd, "woken\n= a\n");
		say(fd, "here 0\n");
		expect(fd, "woken\n");
	}
	say(fd, "here 20000\n");
	shutdown(fd, SHUT_WR);
	expect(fd, "woken\n");
	close(fd);
	wait_for_closed(1);
}

/* Who was woken before the step had returned is not told beside the reactor, now or later. */
static void
test_woken_early(void **state)
{
	int fd = dial();

	(void)state;
	expect(fd, "hello\n");
	say(fd, "early\n");
	expect(fd, "woken\n");
	say(fd, "here 2000\na\n");
	expect(fd, "woken\n= a\n");
	close(fd);
	wait_for_closed(1);
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
			static const char *const verbs[] = { "wait", "await", "here" };

			snprintf(text, sizeof text, "%s %u\n", verbs[i % 3], (r * 7 + i * 3) % 60);
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
	static const char *const texts[] = { "", "a\n", "sleep 3000\n", "wait 3000\n",
	                                     "await 3000\n", "here 3000\n", "flood 50\n", "wait 1\n", "more 9\n" };
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_echo),
		SESSION_TEST(test_dealt_evenly),
		SESSION_TEST(test_pipelined),
		SESSION_TEST(test_half_closed),
		SESSION_TEST(test_slow_reader),
		SESSION_TEST(test_step_sends),
		SESSION_TEST(test_waker_sends),
		SESSION_TEST(test_input_behind_waker),
		SESSION_TEST(test_woken_early),
		SESSION_TEST(test_wakes),
		SESSION_TEST(test_leaving),
		SESSION_TEST(test_overflow),
		SESSION_TEST(test_notification),
		SESSION_TEST(test_notification_storm),
		SESSION_TEST(test_shutdown),
	};

	log_set_level(LOGLEVEL_ERROR);
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
