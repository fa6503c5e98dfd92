/* What is done for a client that is silent: never before others, never for one that has gone, and what it takes up is
 * given back. */
#include "tests/unit/session_fixture.h"

#define ENDLESS "4294967295"

static void
wait_for(atomic_uint *n, unsigned least)
{
	for (unsigned i = 0; i < 2000 && atomic_load(n) < least; i++)
		usleep(10000);
	assert_true(atomic_load(n) >= least);
}

/* Nobody foresees any more. */
static void
expect_still(void)
{
	unsigned n = atomic_load(&foreseen);

	usleep(50000);
	assert_int_equal(atomic_load(&foreseen), n);
}

static void
test_as_long_as_there_is_more(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "foresee 5 0\n");
	expect(fd, "hello\n= foresee 5 0\n");
	wait_for(&foreseen, 5);
	say(fd, "a\n");
	expect(fd, "= a\n");
	assert_int_equal(atomic_load(&foreseen), 5);
	close(fd);
}

/* Who would never end takes no turn from others, nor from himself. */
static void
test_others_are_served(void **state)
{
	int busy[REACTORS], others[4 * REACTORS];

	(void)state;
	for (unsigned i = 0; i < REACTORS; i++) {
		busy[i] = dial();
		say(busy[i], "foresee " ENDLESS " 0\n");
		expect(busy[i], "hello\n= foresee " ENDLESS " 0\n");
	}
	wait_for(&foreseen, 1);
	for (unsigned i = 0; i < 4 * REACTORS; i++) {
		others[i] = dial();
		expect(others[i], "hello\n");
	}
	for (unsigned round = 0; round < 20; round++)
		for (unsigned i = 0; i < 4 * REACTORS; i++) {
			say(others[i], round % 2 == 0 ? "a\n" : "more 0\n");
			expect(others[i], round % 2 == 0 ? "= a\n" : "done\n");
		}
	for (unsigned i = 0; i < REACTORS; i++) {
		say(busy[i], "b\n");
		expect(busy[i], "= b\n");
		close(busy[i]);
	}
	wait_for_closed(REACTORS);
	expect_still();
	for (unsigned i = 0; i < 4 * REACTORS; i++)
		close(others[i]);
}

/* However it ends. The last one is ended by the server. */
static void
test_ends(void **state)
{
	static const char *const ends[] = { "quit\n", "wait 10000\nquit\n", "sleep 10000\n", "account", "" };

	(void)state;
	for (unsigned i = 0; i < UNIT_COUNT(ends); i++) {
		int fd = dial_in("login 7\n");

		say(fd, "foresee " ENDLESS " 0\n");
		expect(fd, "= foresee " ENDLESS " 0\n");
		wait_for(&foreseen, atomic_load(&foreseen) + 1);
		if (strcmp(ends[i], "account") == 0)
			registry_account_changed(server_registry(srv), volume, 7);
		else
			say(fd, ends[i]);
		close(fd);
		wait_for_closed(i + 1);
		expect_still();
	}
	say(dial_in("login 7\n"), "foresee " ENDLESS " 0\n");
	wait_for(&foreseen, atomic_load(&foreseen) + 1);
}

/* Half of all there is must be free. */
static void
test_not_when_memory_is_short(void **state)
{
	int big = dial_in("login 7\n"), fd = dial_in("login 8\n");

	(void)state;
	say(big, "hold 700000\n");
	expect(big, "= hold 700000\n");
	say(fd, "foresee 3 0\n");
	expect(fd, "= foresee 3 0\n");
	say(fd, "a\n");
	expect(fd, "= a\n");
	expect_still();
	assert_int_equal(atomic_load(&foreseen), 0);
	say(big, "hold 1\n");
	expect(big, "= hold 1\n");
	say(fd, "b\n");
	expect(fd, "= b\n");
	wait_for(&foreseen, 3);
	close(big);
	close(fd);
}

/* What is more than all there is goes at once, and the session stays. */
static void
test_too_much(void **state)
{
	int fd = dial_in("login 8\n");

	(void)state;
	say(fd, "foresee 2 2000000\n");
	expect(fd, "= foresee 2 2000000\n");
	wait_for(&rested, 1);
	say(fd, "a\n");
	expect(fd, "= a\n");
	wait_for(&rested, 2);
	say(fd, "b\n");
	expect(fd, "= b\n");
	assert_int_equal(atomic_load(&foreseen), 2);
	assert_in_range(atomic_load(&server_budget(srv)->all), 0, 100000);
	close(fd);
}

/* A client that stays silent: nothing is made that would then stay. */
static void
test_rest(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "foresee " ENDLESS " 1\n");
	expect(fd, "hello\n= foresee " ENDLESS " 1\n");
	wait_for(&rested, 1);
	expect_still();
	assert_int_equal(atomic_load(&rested), 1);
	say(fd, "a\n");
	expect(fd, "= a\n");
	wait_for(&foreseen, atomic_load(&foreseen) + 1);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_as_long_as_there_is_more),
		SESSION_TEST(test_others_are_served),
		SESSION_TEST(test_ends),
		SESSION_TEST(test_not_when_memory_is_short),
		SESSION_TEST(test_too_much),
		SESSION_TEST(test_rest),
	};

	log_set_level(LOGLEVEL_ERROR);
	return cmocka_run_group_tests_name("session sleep", tests, NULL, NULL);
}
