/* The pace of sessions: how long a client may be silent, how slow it may be, and how the server
 * makes it wait. */
#include "tests/unit/session_fixture.h"

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
		say(busy, busy_first ? "a\nb" : "\na\nb");  /* the last command is not complete */
		usleep(100000);
		expect(busy, busy_first ? "= a\n" : "= b\n= a\n");
		busy_first = false;
	}
	assert_string_equal(got, "timeout\n");
	assert_in_range(clock_mono_ms() - began, 1500, 4000);
	close(slow);
	close(busy);
}

/* min_rate is 20000 here. Of two that send data slower, and so for longer than the purse, only one
 * keeps the rate. */
static void
test_rate_of_data(void **state)
{
	int slow = dial(), steady = dial();
	char got[64] = "", piece[3000];
	uint64_t began;

	(void)state;
	memset(piece, 'x', sizeof piece);
	say(slow, "timeout 1500\ndata 900000\n");
	say(steady, "timeout 1500\ndata 150000\n");
	expect(slow, "hello\n= timeout 1500\n");
	expect(steady, "hello\n= timeout 1500\n");
	began = clock_mono_ms();
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(send(steady, piece, sizeof piece, MSG_NOSIGNAL), sizeof piece);
		if (got[0] == '\0' && recv(slow, got, sizeof got, MSG_DONTWAIT) > 0)
			assert_in_range(clock_mono_ms() - began, 1500, 4000);
		(void)send(slow, "x", 1, MSG_NOSIGNAL);
		usleep(100000);
	}
	expect(steady, "all\n");
	assert_true(clock_mono_ms() - began >= 5000);
	assert_string_equal(got, "timeout\n");
	close(slow);
	close(steady);
}

/* A burst at first does not pay for a rest later. */
static void
test_rate_is_no_credit(void **state)
{
	static char burst[60000];
	int fd = dial();
	uint64_t began;

	(void)state;
	say(fd, "timeout 1500\ndata 900000\n");
	expect(fd, "hello\n= timeout 1500\n");
	assert_int_equal(send(fd, burst, sizeof burst, MSG_NOSIGNAL), sizeof burst);
	began = clock_mono_ms();
	expect(fd, "timeout\n");
	assert_in_range(clock_mono_ms() - began, 1000, 4000);
	close(fd);
}

/* Of two clients that take their answers slowly, only one keeps the rate; the other's socket takes
 * some now and then. */
static void
test_rate_of_answers(void **state)
{
	int slow = dial_with(&unix_listener, 4608), fast = dial();
	static char sink[65536];
	uint64_t began;

	(void)state;
	expect(slow, "hello\n");
	expect(fast, "hello\n");
	say(slow, "timeout 1500\nflood 200\n");
	say(fast, "timeout 1500\nflood 200\n");
	began = clock_mono_ms();
	while (atomic_load(&closed) == 0 && clock_mono_ms() - began < 9000) {
		(void)recv(slow, sink, 1000, MSG_DONTWAIT);
		assert_true(recv(fast, sink, 25000, 0) > 0);
		usleep(100000);
	}
	assert_in_range(clock_mono_ms() - began, 2000, 8000);
	assert_true(recv(fast, sink, sizeof sink, 0) > 0);
	assert_int_equal(atomic_load(&closed), 1);
	close(slow);
	close(fast);
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
	/* What a client sends during its delay is read behind it, and the next answer
	 * is not delayed. */
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_timeout),
		SESSION_TEST(test_timeout_of_one_command),
		SESSION_TEST(test_rate_of_data),
		SESSION_TEST(test_rate_is_no_credit),
		SESSION_TEST(test_rate_of_answers),
		SESSION_TEST(test_no_timeout_in_step),
		SESSION_TEST(test_delay),
		SESSION_TEST(test_delay_grows),
		SESSION_TEST(test_delay_cut_short),
	};

	log_set_level(LOGLEVEL_ERROR);
	return cmocka_run_group_tests_name("session pace", tests, NULL, NULL);
}
