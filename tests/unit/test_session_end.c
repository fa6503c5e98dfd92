/* Sessions that are ended from outside: for want of memory, as their account has changed, by the
 * administrator. */
#include "tests/unit/session_fixture.h"

static struct registry *
registry(void)
{
	return server_registry(srv);
}

/* Who grows above the budget of strangers ends, and is told; who has logged in, or wants
 * little, goes on. */
static void
test_memory_of_strangers(void **state)
{
	int first = dial_tcp(), second = dial_tcp(), little = dial_tcp(), known = dial_tcp(),
	    local = dial();

	(void)state;
	say(first, "hold 200000\n");
	expect(first, "hello\n= hold 200000\n");
	say(second, "hold 50000\n");
	expect(second, "hello\n= hold 50000\n");
	say(known, "login 7\nhold 400000\n");
	expect(known, "hello\nin\n= hold 400000\n");
	say(local, "hold 100000\n");
	expect(local, "hello\n= hold 100000\n");
	say(second, "hold 90000\n");
	expect(second, "= hold 90000\nmemory\n");
	expect_end(second);
	wait_for_closed(1);
	say(first, "hold 255000\n");
	expect(first, "= hold 255000\n");
	say(little, "hold 12000\n");
	expect(little, "hello\n= hold 12000\n");
	say(little, "a\n");
	expect(little, "= a\n");
	close(first);
	close(second);
	close(little);
	close(known);
	close(local);
}

/* The whole budget; in the middle of an answer there is no place for words. */
static void
test_memory_of_all(void **state)
{
	int big = dial_in("login 7\n"), other = dial_in("login 8\n"), flood = dial_in("login 9\n"),
	    fd;
	static char sink[65536];
	size_t got = 0;
	ssize_t n;

	(void)state;
	say(big, "hold 1000000\n");
	expect(big, "= hold 1000000\n");
	say(flood, "flood 20000\n");   /* more than any machine makes before it is weighed */
	while ((n = recv(flood, sink, sizeof sink, 0)) > 0)
		got += (size_t)n;
	assert_true(got < 20000u * 65536);
	say(other, "hold 60000\n");
	expect(other, "= hold 60000\nmemory\n");
	expect_end(other);
	wait_for_closed(2);
	say(big, "hold 1\na\n");
	expect(big, "= hold 1\n= a\n");
	fd = dial_in("login 8\n");
	say(fd, "hold 600000\n");
	expect(fd, "= hold 600000\n");
	close(fd);
	close(big);
	close(other);
	close(flood);
}

static size_t
members(void)
{
	const struct registry_filter all = { 0 };
	struct registry_row *rows;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(registry_list(registry(), &all, &rows, &n, &e), RC_OK);
	free(rows);
	return n;
}

/* A changed account ends its own sessions, whatever they do, and no others. */
static void
test_account_changed(void **state)
{
	int idle = dial_in("login 7\n"), other = dial_in("login 8\n"), nobody = dial();
	uint64_t began = clock_mono_ms();

	(void)state;
	expect(nobody, "hello\n");
	registry_account_changed(registry(), volume, 7);
	expect(idle, "changed\n");
	expect_end(idle);
	assert_true(clock_mono_ms() - began < 1000);
	registry_account_changed(registry(), other_volume, 8);
	say(other, "a\n");
	expect(other, "= a\n");
	registry_account_changed(registry(), volume, 0);        /* it is not known which */
	expect(other, "changed\n");
	expect_end(other);
	say(nobody, "b\n");
	expect(nobody, "= b\n");
	close(idle);
	close(other);
	close(nobody);
}

/* In a step, waiting for the writer, under a delay. */
static void
test_account_changed_at_work(void **state)
{
	static const struct { const char *does, *says; } rows[] = {
		{ "sleep 300000\n", "done\nchanged\n" },
		{ "wait 300000\n", "woken\nchanged\n" },
		{ "await 300000\n", "woken\nchanged\n" },
		{ "punish 9000\n", "done\nchanged\n" },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		int fd = dial_in("login 7\n");
		uint64_t began;

		say(fd, rows[i].does);
		usleep(100000);
		began = clock_mono_ms();
		registry_account_changed(registry(), volume, 7);
		expect(fd, rows[i].says);
		expect_end(fd);
		assert_true(clock_mono_ms() - began < 1000);
		close(fd);
	}
}

/* One who takes no answer is cut off: nothing goes on between the steps. */
static void
test_account_changed_slow_reader(void **state)
{
	int fd = dial_in("login 7\n");
	uint64_t began;

	(void)state;
	say(fd, "flood 1000\n");
	usleep(300000);
	began = clock_mono_ms();
	registry_account_changed(registry(), volume, 7);
	wait_for_closed(1);
	assert_true(clock_mono_ms() - began < 1000);
	assert_int_equal(members(), 0);
	close(fd);
}

/* The credentials that a login has read are old when it would enter. */
static void
test_account_changed_during_login(void **state)
{
	int fd = dial();

	(void)state;
	expect(fd, "hello\n");
	say(fd, "login 7 !\nlogin 7\n");
	expect(fd, "stale\nin\n");
	close(fd);
}

static void
test_too_many_of_an_account(void **state)
{
	int a = dial_in("login 7\n"), b = dial_in("login 7\n"), c = dial();

	(void)state;
	expect(c, "hello\n");
	say(c, "login 7\nlogin 8\n");
	expect(c, "full\nin\n");
	close(a);
	wait_for_closed(1);
	say(c, "login 7\n");
	expect(c, "in\n");
	close(b);
	close(c);
}

static void
test_kick(void **state)
{
	const struct registry_filter of_7 = { .volume = volume, .account = 7 };
	struct registry_filter by_id = { 0 };
	struct registry_row *rows;
	struct err e = ERR_INIT;
	int a = dial_in("login 7\n"), b = dial();
	size_t n;

	(void)state;
	expect(b, "hello\n");
	say(a, "watch 3\nsleep 200000\n");
	expect(a, "= watch 3\n");
	assert_int_equal(registry_list(registry(), &of_7, &rows, &n, &e), RC_OK);
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].protocol, "toy");
	assert_string_equal(rows[0].peer, "unix");
	assert_string_equal(rows[0].mechanism, "PLAIN");
	assert_true(rows[0].mailbox == 3 && rows[0].bytes_in > 15 && rows[0].bytes_out >= 9);
	free(rows);
	assert_int_equal(registry_end(registry(), &of_7, END_KICKED), 1);
	expect(a, "done\nkicked\n");
	expect_end(a);
	wait_for_closed(1);
	assert_int_equal(registry_end(registry(), &of_7, END_KICKED), 0);
	assert_int_equal(registry_list(registry(), &(struct registry_filter){ 0 }, &rows, &n, &e),
	                 RC_OK);
	assert_int_equal(n, 1);
	by_id.id = rows[0].id;
	free(rows);
	assert_int_equal(registry_end(registry(), &by_id, END_KICKED), 1);
	expect(b, "kicked\n");
	expect_end(b);
	close(a);
	close(b);
}

/* Logins, ends and changes of one account at once, from several threads. */
static void *
change_it(void *arg)
{
	for (int i = 0; i < 200; i++) {
		registry_account_changed(arg, volume, 7);
		usleep(1000);
	}
	return NULL;
}

static void
test_account_changed_storm(void **state)
{
	pthread_t changer;

	(void)state;
	assert_int_equal(pthread_create(&changer, NULL, change_it, registry()), 0);
	for (int i = 0; i < 100; i++) {
		int fd = dial();

		say(fd, "login 7\nmore 3\nwait 100\nlogin 7\n");
		usleep((unsigned)i * 50);
		close(fd);
	}
	pthread_join(changer, NULL);
	wait_for_closed(100);
	assert_int_equal(members(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_memory_of_strangers),
		SESSION_TEST(test_memory_of_all),
		SESSION_TEST(test_account_changed),
		SESSION_TEST(test_account_changed_at_work),
		SESSION_TEST(test_account_changed_slow_reader),
		SESSION_TEST(test_account_changed_during_login),
		SESSION_TEST(test_account_changed_storm),
		SESSION_TEST(test_too_many_of_an_account),
		SESSION_TEST(test_kick),
	};

	log_set_level(LOGLEVEL_ERROR);
	return cmocka_run_group_tests_name("session end", tests, NULL, NULL);
}
