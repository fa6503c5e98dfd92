/* writer: order, group commit, one answer each, stop; failures of the log and of the owner,
 * with many threads. */
#include "tests/unit/writer_fixture.h"

static void
scene_open(struct scene *s, bool relaxed, uint32_t max_requests)
{
	scene_open_as(s, (struct writer_params){ .relaxed = relaxed,
	                                         .max_requests = max_requests });
}

#define THREADS 8
#define EACH    200

struct crowd {
	struct scene  *s;
	struct request reqs[EACH];
};

static void *
crowd_main(void *arg)
{
	struct crowd *c = arg;

	for (uint32_t i = 0; i < EACH; i++)
		writer_submit(c->s->w, &c->reqs[i].base);
	return NULL;
}

/* Many threads: each thread's requests in its order, all in the log, far fewer syncs
 * than requests. */
static void
test_crowd(void **state)
{
	struct crowd *crowd = calloc(THREADS, sizeof *crowd);
	struct told *t = told_new();
	pthread_t threads[THREADS];
	struct writer_stats st;
	struct scene s;

	(void)state;
	scene_open(&s, false, 64);
	for (uint32_t i = 0; i < THREADS; i++) {
		crowd[i].s = &s;
		for (uint32_t k = 0; k < EACH; k++)
			crowd[i].reqs[k].value = i * 1000 + k;
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, &crowd[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	wait_answers(&s.o, THREADS * EACH);
	writer_get_stats(s.w, &st);
	assert_int_equal(st.requests, THREADS * EACH);
	assert_int_equal(st.queued, 0);
	assert_true(st.batches >= THREADS * EACH / 64 && st.batches < THREADS * EACH);
	assert_int_equal(st.syncs, st.batches);
	replay_all(s.o.log, t, 0);
	assert_int_equal(t->count, THREADS * EACH);
	for (uint32_t i = 0; i < THREADS; i++)
		for (uint32_t k = 0; k < EACH; k++) {
			const struct request *r = &crowd[i].reqs[k];

			assert_int_equal(r->answers, 1);
			assert_int_equal(r->rc, RC_OK);
			assert_true(r->durable && (k == 0 || r->lsn > crowd[i].reqs[k - 1].lsn));
			assert_int_equal(t->value[r->lsn - LSN_MAKE(1, 1)], r->value);
		}
	assert_int_equal(s.o.committed, THREADS * EACH);
	scene_close(&s);
	free(crowd);
	free(t);
}

static void
test_stop_answers_all(void **state)
{
	struct request reqs[100];
	struct scene s;

	(void)state;
	scene_open(&s, false, 7);
	memset(reqs, 0, sizeof reqs);
	for (size_t i = 0; i < 100; i++)
		writer_submit(s.w, &reqs[i].base);
	writer_stop(&s.w);
	assert_int_equal(s.o.answers, 100);
	for (size_t i = 0; i < 100; i++)
		assert_true(reqs[i].answers == 1 && reqs[i].rc == RC_OK && reqs[i].durable);
	scene_close(&s);
}

static void
test_refused_requests(void **state)
{
	struct request r = { .refuse = true };
	struct writer_stats st;
	struct scene s;

	(void)state;
	scene_open(&s, false, 0);
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_OK);
	assert_false(r.durable);
	assert_int_equal(s.o.rollbacks, 1);
	s.o.resolve_fails = 1;
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_CORRUPT);
	s.o.begin_fails = 1;
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_BUSY);
	writer_get_stats(s.w, &st);
	assert_int_equal(st.batches, 0);
	assert_int_equal(st.failures, 2);
	scene_close(&s);
}

/* Without space the batch is refused and the volume goes on; what may use the
 * reserve goes through. */
static void
test_no_space(void **state)
{
	struct request plain = { .value = 1 }, frees = { .value = 2, .base.reserve_ok = true };
	struct told *t = told_new();
	struct scene s;

	(void)state;
	scene_open(&s, false, 0);
	submit_and_wait(&s, &plain);
	fault.only_reserve = true;
	submit_and_wait(&s, &plain);
	assert_int_equal(plain.rc, RC_IO);
	assert_int_equal(plain.os, ENOSPC);
	assert_false(plain.durable);
	submit_and_wait(&s, &frees);
	assert_int_equal(frees.rc, RC_OK);
	/* Both in one batch: hold the writer in begin by filling the queue at once. */
	plain.answers = frees.answers = 0;
	writer_submit(s.w, &plain.base);
	writer_submit(s.w, &frees.base);
	wait_answers(&s.o, 5);
	assert_int_equal(plain.rc, RC_IO);
	assert_int_equal(frees.rc, RC_OK);
	assert_int_equal(s.o.recovers, 0);
	fault.only_reserve = false;
	submit_and_wait(&s, &plain);
	assert_int_equal(plain.rc, RC_OK);
	replay_all(s.o.log, t, 0);
	assert_int_equal(t->count, 4);
	scene_close(&s);
	free(t);
}

/* What frees space goes before those that came later, however many they are. */
static void
test_reserve_goes_first(void **state)
{
	struct request reqs[20];
	struct scene s;

	(void)state;
	scene_open(&s, false, 2);
	memset(reqs, 0, sizeof reqs);
	reqs[1].base.reserve_ok = true;
	fault.only_reserve = true;
	pthread_mutex_lock(&s.o.gate);
	for (size_t i = 0; i < 20; i++)
		writer_submit(s.w, &reqs[i].base);
	pthread_mutex_unlock(&s.o.gate);
	wait_answers(&s.o, 20);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(reqs[i].rc, i == 1 ? RC_OK : RC_IO);
		assert_int_equal(reqs[i].answers, 1);
	}
	assert_true(reqs[1].order <= 2);
	scene_close(&s);
}

/* A full batch puts the rest back, in order. */
static void
test_batch_bytes(void **state)
{
	struct request reqs[50];
	struct writer_stats st;
	struct scene s;

	(void)state;
	scene_open_as(&s, (struct writer_params){ .max_requests = 10, .max_bytes = 200 });
	memset(reqs, 0, sizeof reqs);
	pthread_mutex_lock(&s.o.gate);
	for (size_t i = 0; i < 50; i++)
		writer_submit(s.w, &reqs[i].base);
	pthread_mutex_unlock(&s.o.gate);
	wait_answers(&s.o, 50);
	for (size_t i = 0; i < 50; i++) {
		assert_int_equal(reqs[i].order, i);
		assert_int_equal(reqs[i].rc, RC_OK);
	}
	writer_get_stats(s.w, &st);
	assert_true(st.batches >= 17 && st.batches <= 20);      /* three frames pass 200 bytes */
	scene_close(&s);
}

/* A dead log: the batch is answered as failed, the log taken over, with pauses when that fails;
 * then all goes on. */
static void
test_dead_log(void **state)
{
	struct request r = { .value = 1 };
	struct told *t = told_new();
	struct writer_stats st;
	struct scene s;

	(void)state;
	scene_open(&s, false, 0);
	submit_and_wait(&s, &r);
	fault.append_dead = 1;
	s.o.recover_fails = 1;
	r.value = 2;
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_IO);
	assert_false(r.durable);
	do {
		r.value = 3;
		submit_and_wait(&s, &r);  /* during the pause it may be answered with the failure */
	} while (r.rc != RC_OK);
	assert_int_equal(s.o.recovers, 2);
	assert_int_equal(log_epoch(s.o.log), 2);
	writer_get_stats(s.w, &st);
	assert_false(st.stalled);
	replay_all(s.o.log, t, 0);
	assert_int_equal(t->count, 2);
	assert_int_equal(t->value[1], 3);
	scene_close(&s);
	free(t);
}

/* A batch is held while more requests and a call are queued behind it; the call comes between two
 * batches, and where it breaks the log, the requests are answered nevertheless. */
static void
run_call_between(bool break_log)
{
	const struct timespec pause = { 0, 100 * 1000000L };
	struct request first = { .value = 1 }, behind = { .value = 2 }, last = { .value = 3 };
	struct asked a = { .break_log = break_log };
	struct scene s;
	pthread_t thread;

	scene_open(&s, false, 0);
	a.s = &s;
	pthread_mutex_lock(&s.o.gate);
	writer_submit(s.w, &first.base);
	(void)nanosleep(&pause, NULL);
	writer_submit(s.w, &behind.base);
	assert_int_equal(pthread_create(&thread, NULL, ask_main, &a), 0);
	while (a.begun == 0)
		(void)nanosleep(&pause, NULL);
	(void)nanosleep(&pause, NULL);
	pthread_mutex_unlock(&s.o.gate);
	assert_int_equal(pthread_join(thread, NULL), 0);
	wait_answers(&s.o, 2);
	assert_int_equal(first.rc, RC_OK);
	assert_int_equal(first.answers + behind.answers, 2);
	assert_int_equal(a.rc, break_log ? RC_IO : RC_OK);
	do
		submit_and_wait(&s, &last);
	while (last.rc != RC_OK);
	assert_int_equal(s.o.recovers, break_log ? 1 : 0);
	scene_close(&s);
}

static void
test_call(void **state)
{
	(void)state;
	run_call_between(false);
}

static void
test_call_that_breaks_the_log(void **state)
{
	(void)state;
	run_call_between(true);
}

/* A request and a call that come together while the log is being recovered, in vain. */
static void
test_call_while_broken(void **state)
{
	const struct timespec pause = { 0, 300 * 1000000L };
	struct request first = { .value = 1 }, behind = { .value = 2 };
	struct asked a = { .break_log = false };
	struct scene s;
	pthread_t thread;

	(void)state;
	scene_open(&s, false, 0);
	a.s = &s;
	fault.append_dead = 1;
	fault.reacquire_stuck = true;
	submit_and_wait(&s, &first);
	pthread_mutex_lock(&s.o.gate);
	(void)nanosleep(&pause, NULL);
	writer_submit(s.w, &behind.base);
	assert_int_equal(pthread_create(&thread, NULL, ask_main, &a), 0);
	(void)nanosleep(&pause, NULL);
	pthread_mutex_unlock(&s.o.gate);
	assert_int_equal(pthread_join(thread, NULL), 0);
	wait_answers(&s.o, 2);
	assert_int_equal(behind.rc, RC_IO);
	assert_int_equal(a.rc, RC_IO);
	fault.reacquire_stuck = false;
	scene_close(&s);
}

/* Applying fails after a durable append: it has happened, and the answer says so. */
static void
test_failed_commit(void **state)
{
	struct request r = { .value = 1 };
	struct scene s;

	(void)state;
	scene_open(&s, false, 0);
	s.o.commit_fails = 1;
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_IO);
	assert_true(r.durable);
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_OK);
	assert_int_equal(s.o.recovers, 1);
	assert_int_equal(log_epoch(s.o.log), 1);
	scene_close(&s);
}

/* The same for lack of space: made up for at once, or the volume waits for room. */
static void
test_full_index_after_append(void **state)
{
	struct request r = { .value = 1 };
	struct scene s;

	(void)state;
	scene_open(&s, false, 0);
	s.o.commit_full = 1;
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_OK);
	assert_true(r.durable);
	assert_int_equal(s.o.caught_up, 1);
	assert_int_equal(s.o.recovers, 0);
	assert_int_equal(s.o.stalls, 0);
	s.o.commit_full = 1;
	s.o.catch_up_fails = 1;
	submit_and_wait(&s, &r);
	assert_int_equal(r.os, ENOSPC);
	assert_true(r.durable);
	submit_and_wait(&s, &r);
	assert_int_equal(r.rc, RC_OK);
	assert_int_equal(s.o.recovers, 1);
	assert_int_equal(s.o.stalls, 1);
	assert_int_equal(s.o.resumes, 1);
	scene_close(&s);
}

/* Without space for the index before the append: what frees space is tried once more, when
 * room was made. */
static void
test_full_index_before_append(void **state)
{
	struct request plain = { .value = 1 }, frees = { .value = 2, .base.reserve_ok = true };
	struct scene s;

	(void)state;
	scene_open(&s, false, 0);
	s.o.resolve_full = 1;
	submit_and_wait(&s, &plain);
	assert_int_equal(plain.os, ENOSPC);
	assert_int_equal(s.o.rooms, 0);
	assert_int_equal(s.o.stalls, 1);
	s.o.resolve_full = 1;
	submit_and_wait(&s, &frees);
	assert_int_equal(frees.rc, RC_OK);
	assert_int_equal(s.o.rooms, 1);
	assert_int_equal(s.o.resumes, 0);       /* that says nothing about the others */
	submit_and_wait(&s, &plain);
	assert_int_equal(plain.rc, RC_OK);
	assert_int_equal(s.o.resumes, 1);
	scene_close(&s);
}

/* While the volume cannot be recovered nobody waits for the next try. */
static void
test_answered_while_broken(void **state)
{
	struct request r = { .value = 1 };
	uint64_t begun;
	struct scene s;

	(void)state;
	scene_open(&s, false, 0);
	fault.append_dead = 1;
	fault.reacquire_stuck = true;
	submit_and_wait(&s, &r);
	usleep(900000); /* 50 + 100 + 200 + 400 ms have passed: the pause is 800 ms */
	begun = clock_mono_ms();
	for (int i = 0; i < 20; i++) {
		submit_and_wait(&s, &r);
		assert_int_equal(r.rc, RC_IO);
		assert_false(r.durable);
	}
	assert_true(clock_mono_ms() - begun < 400);
	fault.reacquire_stuck = false;
	do {
		submit_and_wait(&s, &r);
		usleep(10000);
	} while (r.rc != RC_OK);
	assert_int_equal(s.o.stalls, 1);
	assert_int_equal(s.o.resumes, 1);
	scene_close(&s);
}

/* Relaxed: answered unsynced, synced within a second; a batch with anything else in it is
 * synced at once. */
static void
test_relaxed(void **state)
{
	struct request flags = { .value = 1, .base.relaxed_ok = true }, mail = { .value = 2 };
	struct writer_stats st;
	struct scene s;

	(void)state;
	scene_open(&s, true, 0);
	submit_and_wait(&s, &flags);
	writer_get_stats(s.w, &st);
	assert_int_equal(st.syncs, 0);
	submit_and_wait(&s, &mail);
	writer_get_stats(s.w, &st);
	assert_int_equal(st.syncs, 1);
	submit_and_wait(&s, &flags);
	for (int i = 0; i < 100 && st.syncs < 2; i++) {
		usleep(50000);
		writer_get_stats(s.w, &st);
	}
	assert_int_equal(st.syncs, 2);
	submit_and_wait(&s, &flags);
	writer_stop(&s.w);
	log_close(&s.o.log);
	s.o.log = volume_open(s.path);
	assert_int_equal(log_last(s.o.log), LSN_MAKE(1, 4));
	scene_close(&s);
}

/* The sync that is owed fails: the changes are in the log anew after the takeover. */
static void
test_relaxed_lost_and_found(void **state)
{
	struct request flags = { .value = 1, .base.relaxed_ok = true };
	struct told *t = told_new();
	struct scene s;

	(void)state;
	scene_open(&s, true, 0);
	submit_and_wait(&s, &flags);
	fault.sync_dead = 1;
	for (int i = 0; i < 100 && log_epoch(s.o.log) == 1; i++)
		usleep(50000);
	flags.value = 2;
	submit_and_wait(&s, &flags);
	assert_int_equal(flags.rc, RC_OK);
	replay_all(s.o.log, t, 0);
	assert_int_equal(t->count, 2);
	assert_int_equal(t->lsn[0], LSN_MAKE(2, 1));
	assert_int_equal(t->value[0], 1);
	assert_int_equal(t->value[1], 2);
	scene_close(&s);
	free(t);
}

/* Alone is who was answered with none beside or behind it, and the one before likewise. */
static void
test_alone(void **state)
{
	struct request r[7];
	struct scene s;

	(void)state;
	memset(r, 0, sizeof r);
	scene_open(&s, false, 0);
	for (uint32_t i = 0; i < 2; i++) {
		writer_submit(s.w, &r[i].base);
		wait_answers(&s.o, i + 1);
	}
	assert_true(r[1].base.alone);
	pthread_mutex_lock(&s.o.gate);
	for (uint32_t i = 2; i < 5; i++)
		writer_submit(s.w, &r[i].base);
	pthread_mutex_unlock(&s.o.gate);
	wait_answers(&s.o, 5);
	for (uint32_t i = 5; i < 7; i++) {
		writer_submit(s.w, &r[i].base);
		wait_answers(&s.o, i + 1);
	}
	for (uint32_t i = 2; i < 5; i++)
		assert_false(r[i].base.alone);
	assert_true(r[6].base.alone);
	scene_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone), cmocka_unit_test(test_crowd),         cmocka_unit_test(test_stop_answers_all),
		cmocka_unit_test(test_refused_requests), cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_reserve_goes_first), cmocka_unit_test(test_batch_bytes),
		cmocka_unit_test(test_dead_log),      cmocka_unit_test(test_failed_commit),
		cmocka_unit_test(test_call),          cmocka_unit_test(test_call_that_breaks_the_log),
		cmocka_unit_test(test_call_while_broken),
		cmocka_unit_test(test_full_index_after_append), cmocka_unit_test(test_full_index_before_append),
		cmocka_unit_test(test_answered_while_broken),
		cmocka_unit_test(test_relaxed),       cmocka_unit_test(test_relaxed_lost_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
