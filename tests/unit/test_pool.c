/* The threads of steps: every job runs once, several at a time, also those that wait at the end. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "server/pool.h"

#define THREADS 4

struct task {
	struct pool_job job;
	atomic_uint     ran;
};

static atomic_uint all;

static struct pool *
new_pool(unsigned threads)
{
	struct err e = ERR_INIT;
	struct pool *p;

	assert_int_equal(pool_new(threads, &p, &e), RC_OK);
	atomic_store(&all, 0);
	return p;
}

static void
run_task(struct pool_job *job)
{
	atomic_fetch_add(&((struct task *)(void *)job)->ran, 1);
	atomic_fetch_add(&all, 1);
}

static void
test_end_runs_what_waits(void **state)
{
	static struct task tasks[1000];
	struct pool *p = new_pool(1);

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		tasks[i].job.run = run_task;
		pool_submit(p, &tasks[i].job);
	}
	pool_free(&p);
	assert_null(p);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(atomic_load(&tasks[i].ran), 1);
}

static pthread_barrier_t together;

static void
run_meeting(struct pool_job *job)
{
	pthread_barrier_wait(&together);
	run_task(job);
}

/* Each of them ends only when all have begun: none may wait behind another while a thread is
 * free. */
static void
test_as_many_as_threads(void **state)
{
	struct task tasks[THREADS] = { 0 };
	struct pool *p = new_pool(THREADS);

	(void)state;
	pthread_barrier_init(&together, NULL, THREADS);
	for (unsigned round = 1; round <= 200; round++) {
		for (size_t i = 0; i < THREADS; i++) {
			tasks[i].job.run = run_meeting;
			pool_submit(p, &tasks[i].job);
		}
		while (atomic_load(&all) < round * THREADS)
			usleep(10);
	}
	pool_free(&p);
	pthread_barrier_destroy(&together);
}

struct chain {
	struct pool_job job;
	struct pool    *pool;
	unsigned        left;
};

static void
run_chain(struct pool_job *job)
{
	struct chain *c = (struct chain *)(void *)job;

	if (--c->left > 0)
		pool_submit(c->pool, job);
	else
		atomic_fetch_add(&all, 1);
}

static void *
submit_chains(void *arg)
{
	static struct chain chains[4][50];
	static atomic_uint turn;
	struct chain *mine = chains[atomic_fetch_add(&turn, 1)];

	for (size_t i = 0; i < 50; i++) {
		mine[i] = (struct chain){ { NULL, run_chain }, arg, 100 };
		pool_submit(arg, &mine[i].job);
		if (i % 10 == 0)
			usleep(100);    /* so that threads fall asleep between */
	}
	return NULL;
}

/* A job that is submitted by itself, and by many threads. */
static void
test_submitted_from_everywhere(void **state)
{
	struct pool *p = new_pool(THREADS);
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submit_chains, p), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	while (atomic_load(&all) < 4 * 50)
		usleep(100);
	pool_free(&p);
}

static void
test_freed_unused(void **state)
{
	struct pool *p = new_pool(THREADS), *none = NULL;

	(void)state;
	pool_free(&p);
	pool_free(&none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_runs_what_waits),
		cmocka_unit_test(test_as_many_as_threads),
		cmocka_unit_test(test_submitted_from_everywhere),
		cmocka_unit_test(test_freed_unused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
