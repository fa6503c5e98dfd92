/* The log on a disk that fails: syncs that do, writes that are refused, a sector that cannot be
 * read. What was answered stays, and the same process goes on where it can. */
#define _GNU_SOURCE
#include "tests/unit/store_tools.h"
#include "tests/unit/store_faults.h"

/* A failed sync: the handle is dead, the same process goes on where the log was known synced. What
 * was answered unsynced before is in the log anew; the frame that failed is not. Readers
 * go on meanwhile. */
static void
test_failed_sync(void **state)
{
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open_as(path, LOG_WRITE, 0, faulty_backend(), NULL);
	append_counters(log, 1, 3);
	b = batch_make(log);
	assert_int_equal(append_counter(log, b, 4, true, &e), RC_OK);
	assert_int_equal(append_counter(log, b, 5, true, &e), RC_OK);
	fault.append_dead = 1;
	assert_int_equal(append_counter(log, b, 6, false, &e), RC_IO);
	assert_int_equal(e.os, EIO);
	assert_true(log_is_dead(log));
	assert_int_equal(append_counter(log, b, 7, false, &e), RC_IO);
	assert_int_equal(log_sync(log, &e), RC_IO);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 5);
	fault.reacquire_fails = 1;
	assert_int_equal(log_reopen(log, NULL, &e), RC_IO);
	fault.append_refused = 1;       /* no room for the kept frames yet */
	assert_int_equal(log_reopen(log, NULL, &e), RC_IO);
	assert_true(log_is_dead(log));
	assert_int_equal(log_reopen(log, NULL, &e), RC_OK);
	assert_false(log_is_dead(log));
	assert_int_equal(log_epoch(log), 3);
	assert_int_equal(append_counter(log, b, 8, false, &e), RC_OK);
	for (int again = 0; again < 2; again++) {
		static const struct { uint32_t epoch, n, value; } want[] = { { 1, 1, 1 },
		    { 1, 2, 2 }, { 1, 3, 3 },
			{ 3, 1, 4 }, { 3, 2, 5 }, { 3, 3, 8 } };

		replay_all(log, t, 0);
		assert_int_equal(t->findings, 0);
		assert_int_equal(t->count, 6);
		for (size_t i = 0; i < 6; i++) {
			assert_int_equal(t->value[i], want[i].value);
			assert_int_equal(t->lsn[i], LSN_MAKE(want[i].epoch, want[i].n));
		}
		if (again == 0) {
			log_batch_free(&b);
			log_close(&log);
			log = volume_open(path);
		}
	}
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* The same for who closes the dead log and opens it again; and when even that fails, the
 * log still opens. */
static void
test_close_dead(void **state)
{
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		volume_make(path);
		log = volume_open_as(path, LOG_WRITE, 0, faulty_backend(), NULL);
		append_counters(log, 1, 2);
		b = batch_make(log);
		assert_int_equal(append_counter(log, b, 3, true, &e), RC_OK);
		fault.append_dead = 1;
		assert_int_equal(append_counter(log, b, 4, false, &e), RC_IO);
		fault.reacquire_fails = fails;
		log_batch_free(&b);
		log_close(&log);
		log = volume_open(path);
		assert_int_equal(log_epoch(log), fails ? 2 : 3);
		replay_all(log, t, 0);
		assert_int_equal(t->findings, 0);
		assert_int_equal(t->count, fails ? 4 : 3);
		assert_int_equal(t->value[2], 3);
		assert_int_equal(t->lsn[2], fails ? LSN_MAKE(1, 3) : LSN_MAKE(2, 1));
		log_close(&log);
		volume_remove(path);
	}
	free(t);
}

static void
test_failed_log_sync(void **state)
{
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open_as(path, LOG_WRITE, 0, faulty_backend(), NULL);
	b = batch_make(log);
	assert_int_equal(append_counter(log, b, 1, true, &e), RC_OK);
	fault.sync_dead = 1;
	assert_int_equal(log_sync(log, &e), RC_IO);
	assert_true(log_is_dead(log));
	assert_int_equal(log_reopen(log, NULL, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 1);
	assert_int_equal(t->lsn[0], LSN_MAKE(2, 1));
	assert_int_equal(append_counter(log, b, 2, true, &e), RC_OK);
	assert_int_equal(log_sync(log, &e), RC_OK);
	fault.append_unwritten = 1;
	assert_int_equal(append_counter(log, b, 3, false, &e), RC_IO);
	assert_int_equal(log_reopen(log, NULL, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 2);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* No space, no descriptor: the operation fails, the log lives, LSNs are not used up. */
static void
test_refused(void **state)
{
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open_as(path, LOG_WRITE, 400, faulty_backend(), NULL);
	b = batch_make(log);
	fault.create_refused = 1;
	assert_int_equal(append_counter(log, b, 1, false, &e), RC_IO);
	assert_int_equal(e.os, EMFILE);
	for (uint32_t i = 1; i <= 30; i++) {
		fault.append_refused = i % 3 == 0;
		if (i % 3 == 0)
			assert_int_equal(append_counter(log, b, i, i % 2 == 0, &e), RC_IO);
		fault.create_refused = i % 5 == 0;
		if (append_counter(log, b, i, false, &e) != RC_OK)
			assert_int_equal(append_counter(log, b, i, false, &e), RC_OK);
		assert_false(log_is_dead(log));
	}
	replay_all(log, t, 0);
	assert_int_equal(t->count, 30);
	for (size_t i = 0; i < 30; i++) {
		assert_int_equal(t->value[i], i + 1);
		assert_int_equal(t->lsn[i], LSN_MAKE(1, i + 1));
	}
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* A bad sector costs the frames that lie in it; at the tail too it is damage, as nobody knows
 * what was there. */
static void
test_bad_sector(void **state)
{
	struct told *t = told_new(), *opening = told_new();
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	append_counters(log, 1, 300);
	log_close(&log);
	log = volume_open_as(path, LOG_WRITE, 0, faulty_backend(), NULL);
	fault.bad_from = 8192;
	fault.bad_to = 8193;
	replay_all(log, t, 0);
	assert_int_equal(t->findings, 1);
	assert_true(t->count > 240 && t->count < 255);
	assert_true(t->found_offset <= 8192 && t->found_offset + t->found_len >= 8192 + 4096);
	assert_int_equal(t->value[t->count - 1], 300);
	fault.bad_to = 0;
	append_counters(log, 301, 3);
	fault.seal_fails = 1;
	log_close(&log);                /* as a crash: the second segment stays open */
	faulty_backend();
	fault.bad_from = SEGMENT_HDR_LEN;
	fault.bad_to = 1u << 20;
	log = volume_open_as(path, LOG_WRITE, 0, &faulty, opening);
	assert_true(opening->findings > 0);
	log_close(&log);
	volume_remove(path);
	free(t);
	free(opening);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed_sync),
		cmocka_unit_test(test_close_dead),
		cmocka_unit_test(test_failed_log_sync),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bad_sector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
