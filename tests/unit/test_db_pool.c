/* db_pool: whoever holds a connection for long does not keep everybody waiting. */
#include "index/volume_impl.h"
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

/* ---- the index is to be replaced while a check reads it ---- */

struct pausing {
	pthread_t    thread;
	bool         begun;
	atomic_bool  over;
};

static void *
pause_once(void *arg)
{
	struct pausing *p = arg;

	db_pool_pause(fx_v->pool);
	db_pool_resume(fx_v->pool);
	atomic_store(&p->over, true);
	return NULL;
}

/* Called while the check has its connection. */
static bool
pause_at_first(void *arg, uint64_t done, uint64_t total)
{
	struct pausing *p = arg;

	(void)done, (void)total;
	if (p->begun)
		return true;
	p->begun = true;
	assert_int_equal(pthread_create(&p->thread, NULL, pause_once, p), 0);
	while (!db_pool_is_wanted(fx_v->pool))
		nap();
	return true;
}

static void
test_a_check_ends_for_a_pause(void **state)
{
	mailbox_id box = fx_box(fx_account("anna"), "INBOX");
	const struct check_report rep = { NULL, fx_check_found };
	struct pausing p = { .begun = false };
	struct check_result r;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(box, 50);
	assert_int_equal(volume_check(fx_v, &rep, pause_at_first, &p, &r, &e), RC_BUSY);
	assert_non_null(strstr(e.text, "try again"));
	assert_int_equal(pthread_join(p.thread, NULL), 0);
	assert_true(atomic_load(&p.over));
	assert_int_equal(fx_findings, 0);
	e = (struct err)ERR_INIT;
	assert_int_equal(volume_check(fx_v, &rep, pause_at_first, &p, &r, &e), RC_OK);
	assert_int_equal(fx_findings, 0);
}

/* ---- a disk with nothing left: one connection for all ---- */

static void
let_one_read(void)
{
	volume_close(&fx_v);
	fx_open_as(VOLUME_READ);
	db_pool_pause(fx_v->pool);
	db_pool_set_mode(fx_v->pool, DB_ALONE, NULL);
	db_pool_resume(fx_v->pool);
}

static void
test_a_check_leaves_the_only_connection_to_others(void **state)
{
	account_id anna = fx_account("anna");
	const struct check_report rep = { NULL, fx_check_found };
	struct check_result r;
	struct err e = ERR_INIT;

	(void)state;
	let_one_read();
	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_BUSY);
	assert_int_equal(fx_findings, 0);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
}

struct reader {
	pthread_t   thread;
	atomic_bool got;
};

static void *
borrow_once(void *arg)
{
	struct reader *r = arg;
	struct db *db;
	struct err e = ERR_INIT;

	if (db_pool_borrow(fx_v->pool, &db, &e) != RC_OK)
		abort();
	atomic_store(&r->got, true);
	db_pool_return(fx_v->pool, &db);
	return NULL;
}

static void
test_the_second_waits_for_the_first(void **state)
{
	struct reader r = { .got = false };
	struct db *db;
	struct err e = ERR_INIT;

	(void)state;
	let_one_read();
	assert_int_equal(db_pool_borrow(fx_v->pool, &db, &e), RC_OK);
	assert_int_equal(pthread_create(&r.thread, NULL, borrow_once, &r), 0);
	for (int i = 0; i < 30; i++)
		nap();
	assert_false(atomic_load(&r.got));
	db_pool_return(fx_v->pool, &db);
	assert_int_equal(pthread_join(r.thread, NULL), 0);
	assert_true(atomic_load(&r.got));
}

/* ---- reads of one moment ---- */

static void
test_a_moment_begins_with_the_first_read(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id box = fx_box(anna, "INBOX");

	(void)state;
	volume_moment_begin(fx_v);
	fx_append_n(box, 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	fx_append_n(box, 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	volume_moment_end(fx_v);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 2);
	volume_moment_begin(fx_v);      /* nothing is read */
	volume_moment_end(fx_v);
	db_pool_pause(fx_v->pool);      /* for ever, were one still borrowed */
	db_pool_resume(fx_v->pool);
}

/* As some failures of SQLite do. */
static void
test_a_read_ends_the_moment(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id box = fx_box(anna, "INBOX");
	struct err e = ERR_INIT;
	struct db *db;

	(void)state;
	volume_moment_begin(fx_v);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
	assert_int_equal(db_pool_borrow(fx_v->pool, &db, &e), RC_OK);
	assert_int_equal(db_run(db, "ROLLBACK", DB_NO_ARGS, &e), RC_OK);
	db_pool_return(fx_v->pool, &db);
	fx_append_n(box, 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	volume_moment_end(fx_v);
	db_pool_pause(fx_v->pool);
	db_pool_resume(fx_v->pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_check_ends_for_a_pause, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_a_check_leaves_the_only_connection_to_others, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_the_second_waits_for_the_first, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_a_moment_begins_with_the_first_read, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_a_read_ends_the_moment, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
