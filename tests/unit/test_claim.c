/* claims: what is done one at a time in a volume, is. */
#include "tests/unit/volume_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static void
nap(void)
{
	const struct timespec t = { 0, 1000000L };

	(void)nanosleep(&t, NULL);
}

static void
refused(struct claim *c, const char *text)
{
	struct err e = ERR_INIT;

	assert_int_equal(volume_claim(fx_v, c, &e), RC_BUSY);
	assert_non_null(strstr(e.text, text));
}

static void
granted(struct claim *c)
{
	struct err e = ERR_INIT;

	assert_int_equal(volume_claim(fx_v, c, &e), RC_OK);
}

static void
test_one_of_a_kind(void **state)
{
	struct claim first = { .kind = CLAIM_WORK, .what = "a restore" };
	struct claim second = { .kind = CLAIM_WORK, .what = "a purge" };

	(void)state;
	granted(&first);
	refused(&second, "volume v1: a restore is under way");
	volume_release(fx_v, &first);
	granted(&second);
	refused(&first, "a purge");
	volume_release(fx_v, &second);
}

/* Released in another order than they were taken in. */
static void
test_kinds_do_not_hinder_each_other(void **state)
{
	struct claim check = { .kind = CLAIM_MAINTENANCE, .what = "a check" };
	struct claim work = { .kind = CLAIM_WORK, .what = "a restore" };
	struct claim into = { .kind = CLAIM_IMPORT, .what = "an import", .account = 5 };
	struct claim again = check;

	(void)state;
	granted(&check);
	granted(&work);
	granted(&into);
	volume_release(fx_v, &work);
	refused(&again, "a check");
	granted(&work);
	volume_release(fx_v, &check);
	volume_release(fx_v, &into);
	volume_release(fx_v, &work);
	granted(&again);
	volume_release(fx_v, &again);
}

/* More than there ever were places for. */
static void
test_an_import_for_each_account(void **state)
{
	struct claim into[100], again = { .kind = CLAIM_IMPORT, .what = "an import",
	                                  .account = 64 };

	(void)state;
	for (account_id i = 0; i < UNIT_COUNT(into); i++) {
		into[i] = (struct claim){ .kind = CLAIM_IMPORT, .what = "an import",
		                          .account = i + 1 };
		granted(&into[i]);
	}
	refused(&again, "an import");
	volume_release(fx_v, &into[62]);
	refused(&again, "an import");
	volume_release(fx_v, &into[63]);
	granted(&again);
	volume_release(fx_v, &again);
	for (size_t i = 0; i < UNIT_COUNT(into); i++)
		if (i != 62 && i != 63)
			volume_release(fx_v, &into[i]);
}

static void
test_status_tells(void **state)
{
	struct claim check = { .kind = CLAIM_MAINTENANCE, .what = "a check" };
	struct claim work = { .kind = CLAIM_WORK, .what = "a purge" };
	struct claim into = { .kind = CLAIM_IMPORT, .what = "an import", .account = 1 };
	struct volume_status s;
	struct err e = ERR_INIT;

	(void)state;
	granted(&into);
	granted(&check);
	assert_int_equal(volume_get_status(fx_v, &s, &e), RC_OK);
	assert_string_equal(s.maintenance, "a check");
	assert_null(s.work);
	volume_release(fx_v, &check);
	granted(&work);
	assert_int_equal(volume_get_status(fx_v, &s, &e), RC_OK);
	assert_null(s.maintenance);
	assert_string_equal(s.work, "a purge");
	volume_release(fx_v, &work);
	volume_release(fx_v, &into);
}

/* ---- waiting ---- */

#define TURNS 20

struct worker {
	struct claim    claim;
	pthread_t       thread;
	atomic_int     *inside;
	atomic_uint    *turns;
};

static void *
work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < TURNS; i++) {
		volume_claim_wait(fx_v, &w->claim);
		if (atomic_fetch_add(w->inside, 1) != 0)
			abort();
		if (i % 4 == 0)
			nap();
		atomic_fetch_sub(w->inside, 1);
		volume_release(fx_v, &w->claim);
		atomic_fetch_add(w->turns, 1);
	}
	return NULL;
}

/* Two kinds, and two accounts, at once: each has its own turn, and nobody is forgotten. */
static void
test_all_that_wait_get_their_turn(void **state)
{
	static const struct claim kinds[] = {
		{ .kind = CLAIM_MAINTENANCE, .what = "a check" },
		{ .kind = CLAIM_IMPORT, .what = "an import", .account = 1 },
		{ .kind = CLAIM_IMPORT, .what = "an import", .account = 2 },
	};
	struct worker w[9];
	atomic_int inside[3] = { 0 };
	atomic_uint turns = 0;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(w); i++) {
		w[i] = (struct worker){ .claim = kinds[i % 3], .inside = &inside[i % 3],
		                        .turns = &turns };
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (size_t i = 0; i < UNIT_COUNT(w); i++)
		assert_int_equal(pthread_join(w[i].thread, NULL), 0);
	assert_int_equal(atomic_load(&turns), TURNS * UNIT_COUNT(w));
}

static void
start(struct worker *w, const struct claim *claim, atomic_int *inside, atomic_uint *turns)
{
	*w = (struct worker){ .claim = *claim, .inside = inside, .turns = turns };
	assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
	for (int i = 0; i < 30; i++)
		nap();
}

/* Who waits for a claim gets it when that one is released, not earlier, and whoever else waits,
 * for longer too. */
static void
test_waits_for_the_release(void **state)
{
	const struct claim check = { .kind = CLAIM_MAINTENANCE, .what = "a check" };
	const struct claim import = { .kind = CLAIM_IMPORT, .what = "an import", .account = 1 };
	struct claim backup = { .kind = CLAIM_MAINTENANCE, .what = "a backup" }, other = import;
	atomic_int inside[2] = { 0 };
	atomic_uint turns[2] = { 0 };
	struct worker first, second;

	(void)state;
	granted(&backup);
	granted(&other);
	start(&first, &check, &inside[0], &turns[0]);
	start(&second, &import, &inside[1], &turns[1]);
	volume_release(fx_v, &other);
	assert_int_equal(pthread_join(second.thread, NULL), 0);
	assert_int_equal(atomic_load(&turns[1]), TURNS);
	assert_int_equal(atomic_load(&turns[0]), 0);
	volume_release(fx_v, &backup);
	assert_int_equal(pthread_join(first.thread, NULL), 0);
	assert_int_equal(atomic_load(&turns[0]), TURNS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_of_a_kind, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_kinds_do_not_hinder_each_other, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_an_import_for_each_account, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_status_tells, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_all_that_wait_get_their_turn, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_the_release, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
