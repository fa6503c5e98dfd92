/* writer: requests that nobody waits for share another's sync or get one in time,
 * and delay nobody. */
#include "tests/unit/writer_fixture.h"

#define FOR_EVER 600000u        /* milliseconds: a test that waits for them does not end */

static struct writer_stats
stats_of(struct scene *s)
{
	struct writer_stats st;

	writer_get_stats(s->w, &st);
	return st;
}

static void
submit(struct scene *s, struct request *reqs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		writer_submit(s->w, &reqs[i].base);
}

static void
make_lazy(struct request *reqs, uint32_t n)
{
	memset(reqs, 0, n * sizeof *reqs);
	for (uint32_t i = 0; i < n; i++) {
		reqs[i].value = i;
		reqs[i].base.lazy = true;
	}
}

/* Whoever comes behind lazy requests does not wait, and they are synced with it, before it. */
static void
test_lazy_rides_along(void **state)
{
	struct request lazy[3], mail = { .value = 1 };
	struct scene s;

	(void)state;
	make_lazy(lazy, 3);
	scene_open_as(&s, (struct writer_params){ .lazy_ms = FOR_EVER });
	submit(&s, lazy, 3);
	usleep(100000);
	assert_int_equal(stats_of(&s).batches, 0);
	assert_int_equal(s.o.answers, 0);
	submit(&s, &mail, 1);
	wait_answers(&s.o, 4);
	assert_int_equal(mail.order, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(lazy[i].order == i && lazy[i].durable && lazy[i].lsn < mail.lsn);
	assert_int_equal(stats_of(&s).batches, 1);
	assert_int_equal(stats_of(&s).syncs, 1);
	assert_true(log_is_synced(s.o.log));
	scene_close(&s);
}

/* Alone they are a batch like any other, half a second later: the index has nothing unsynced. */
static void
run_lazy_alone(bool relaxed)
{
	struct request lazy[2] = { { .base.lazy = true }, { .base.lazy = true } };
	struct scene s;
	uint64_t begun;

	scene_open_as(&s, (struct writer_params){ .relaxed = relaxed });
	begun = clock_mono_ms();
	submit(&s, lazy, 1);
	usleep(100000);
	submit(&s, lazy + 1, 1);
	wait_answers(&s.o, 2);
	assert_true(clock_mono_ms() - begun >= 500);
	assert_int_equal(stats_of(&s).batches, 1);
	assert_int_equal(stats_of(&s).syncs, 1);
	assert_int_equal(s.o.committed, 2);
	assert_true(log_is_synced(s.o.log));
	scene_close(&s);
}

static void
test_lazy_alone(void **state)
{
	(void)state;
	run_lazy_alone(false);
	run_lazy_alone(true);
}

/* Where flags need not wait for a sync, lazy requests before them do not make them. */
static void
test_lazy_and_relaxed(void **state)
{
	struct request lazy = { .base.lazy = true }, flags = { .base.relaxed_ok = true };
	struct request mail = { .value = 2 };
	struct scene s;

	(void)state;
	scene_open_as(&s, (struct writer_params){ .relaxed = true, .lazy_ms = FOR_EVER });
	submit(&s, &lazy, 1);
	submit(&s, &flags, 1);
	wait_answers(&s.o, 2);
	assert_int_equal(stats_of(&s).syncs, 0);
	lazy.answers = 0;
	submit(&s, &lazy, 1);
	submit(&s, &mail, 1);
	wait_answers(&s.o, 4);
	assert_int_equal(stats_of(&s).syncs, 1);
	assert_true(log_is_synced(s.o.log));
	scene_close(&s);
}

/* As many as fill a batch wait no longer, and take nobody's place in one. */
static void
test_many_lazy(void **state)
{
	struct request lazy[5], mail[4];
	struct scene s;

	(void)state;
	memset(mail, 0, sizeof mail);
	make_lazy(lazy, 5);
	scene_open_as(&s, (struct writer_params){ .max_requests = 4, .lazy_ms = FOR_EVER });
	submit(&s, lazy, 4);
	wait_answers(&s.o, 4);
	assert_int_equal(stats_of(&s).syncs, 1);
	pthread_mutex_lock(&s.o.gate);
	submit(&s, mail, 1);
	while (stats_of(&s).queued > 0)
		usleep(1000);
	make_lazy(lazy, 5);
	submit(&s, lazy, 4);
	submit(&s, mail + 1, 3);
	submit(&s, lazy + 4, 1);
	pthread_mutex_unlock(&s.o.gate);
	wait_answers(&s.o, 12);
	assert_int_equal(stats_of(&s).batches, 3);
	assert_int_equal(stats_of(&s).syncs, 3);
	assert_int_equal(lazy[4].answers, 0);
	writer_stop(&s.w);
	assert_true(lazy[4].durable);
	scene_close(&s);
}

/* Held behind what fills a batch in octets: given back, and not forgotten. */
static void
test_lazy_given_back(void **state)
{
	struct request mail[6], lazy[2];
	struct scene s;

	(void)state;
	memset(mail, 0, sizeof mail);
	make_lazy(lazy, 2);
	scene_open_as(&s, (struct writer_params){ .max_bytes = 200, .lazy_ms = 1 });
	pthread_mutex_lock(&s.o.gate);
	submit(&s, mail, 6);
	submit(&s, lazy, 2);
	pthread_mutex_unlock(&s.o.gate);
	wait_answers(&s.o, 8);
	assert_true(lazy[0].rc == RC_OK && lazy[1].rc == RC_OK && lazy[1].lsn > lazy[0].lsn);
	assert_int_equal(stats_of(&s).queued, 0);
	scene_close(&s);
}

static void
test_stop_writes_lazy(void **state)
{
	struct request lazy[2];
	struct told *t = told_new();
	struct scene s;

	(void)state;
	make_lazy(lazy, 2);
	scene_open_as(&s, (struct writer_params){ .lazy_ms = FOR_EVER });
	submit(&s, lazy, 2);
	writer_stop(&s.w);
	for (size_t i = 0; i < 2; i++)
		assert_true(lazy[i].answers == 1 && lazy[i].durable);
	assert_true(log_is_synced(s.o.log));
	replay_all(s.o.log, t, 0);
	assert_int_equal(t->count, 2);
	assert_int_equal(t->value[1], 1);
	scene_close(&s);
	free(t);
}

/* Without space they are given up, once, and what frees space is not held up by them. */
static void
test_lazy_without_space(void **state)
{
	struct request lazy = { .base.lazy = true }, frees = { .base.reserve_ok = true };
	struct scene s;

	(void)state;
	scene_open_as(&s, (struct writer_params){ .lazy_ms = 100 });
	fault.only_reserve = true;
	submit(&s, &lazy, 1);
	wait_answers(&s.o, 1);
	assert_int_equal(lazy.os, ENOSPC);
	assert_false(lazy.durable);
	usleep(300000);
	assert_true(lazy.answers == 1 && s.o.answers == 1);
	assert_int_equal(stats_of(&s).failures, 1);
	submit(&s, &lazy, 1);
	submit(&s, &frees, 1);
	wait_answers(&s.o, 3);
	assert_int_equal(lazy.os, ENOSPC);
	assert_int_equal(frees.rc, RC_OK);
	fault.only_reserve = false;
	submit(&s, &lazy, 1);
	wait_answers(&s.o, 4);
	assert_int_equal(lazy.rc, RC_OK);
	assert_int_equal(stats_of(&s).queued, 0);
	scene_close(&s);
}

/* They outlive a log that dies in a call beside them; while it cannot be recovered
 * they are refused. */
static void
test_lazy_and_a_dead_log(void **state)
{
	struct request lazy = { .base.lazy = true }, mail = { .value = 1 };
	struct asked a = { .break_log = true };
	struct scene s;

	(void)state;
	scene_open_as(&s, (struct writer_params){ .lazy_ms = 200 });
	a.s = &s;
	submit_and_wait(&s, &mail);
	submit(&s, &lazy, 1);
	(void)ask_main(&a);
	assert_int_equal(a.rc, RC_IO);
	wait_answers(&s.o, 2);
	assert_int_equal(lazy.rc, RC_OK);
	assert_int_equal(s.o.recovers, 1);
	fault.append_dead = 1;
	fault.reacquire_stuck = true;
	submit(&s, &lazy, 1);
	wait_answers(&s.o, 3);
	assert_int_equal(lazy.rc, RC_IO);
	submit(&s, &lazy, 1);
	wait_answers(&s.o, 4);
	assert_int_equal(lazy.rc, RC_IO);
	fault.reacquire_stuck = false;
	scene_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lazy_rides_along),
		cmocka_unit_test(test_lazy_alone),
		cmocka_unit_test(test_lazy_and_relaxed),
		cmocka_unit_test(test_many_lazy),
		cmocka_unit_test(test_lazy_given_back),
		cmocka_unit_test(test_stop_writes_lazy),
		cmocka_unit_test(test_lazy_without_space),
		cmocka_unit_test(test_lazy_and_a_dead_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
