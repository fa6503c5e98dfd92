/* The index, read by who may not wait for the disk: refused whole, at whatever read; nothing is marked damaged, and the
 * next question to the same connection is answered from the newest state. */
#define _GNU_SOURCE
#include "index/volume_impl.h"
#include "lib/nowait.h"
#include "tests/unit/nowait_reads.h"
#include "tests/unit/volume_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>

#define WANT (WANT_PLACE | WANT_SUMMARY | WANT_EXPUNGED)

static unsigned sleeps;

static int (*system_sleep)(sqlite3_vfs *v, int us);

static int
count_sleep(sqlite3_vfs *v, int us)
{
	sleeps++;
	return system_sleep(v, us);
}

/* SQLite's own cache is emptied, so that it reads. */
static void
forget_pages(void)
{
	struct err e = ERR_INIT;
	struct db *db;

	assert_int_equal(db_pool_borrow(fx_v->pool, &db, &e), RC_OK);
	(void)sqlite3_db_release_memory(db_handle(db));
	db_pool_return(fx_v->pool, &db);
}

static enum rc
read_box(mailbox_id box, bool now, size_t *count)
{
	struct uid_range one = { 1, UINT32_MAX };
	struct uid_set all = { .ranges = &one, .count = 1, .cap = 1, .max = 1 };
	struct message_row *rows;
	struct err e = ERR_INIT;
	struct arena a;
	bool refused = false;
	enum rc rc;

	arena_init(&a, 16u << 20);
	if (now)
		nowait_begin();
	rc = volume_read_messages(fx_v, box, &all, 1, 100000, WANT, &a, &rows, count, &e);
	if (now)
		refused = nowait_end();
	assert_true(refused == (rc == RC_WAIT));
	assert_true(rc == RC_OK || rc == e.code);
	for (size_t i = 0; rc == RC_OK && i < *count; i++)
		assert_false(rows[i].lost);
	arena_fini(&a);
	return rc;
}

static void
assert_unmarked(void)
{
	assert_false(atomic_load(&fx_v->suspect));
	assert_int_equal(fx_findings, 0);
}

static void
test_refused_at_each_read(void **state)
{
	mailbox_id box = fx_box(fx_account("anna"), "INBOX");
	size_t had = 60, n;
	unsigned at;

	(void)state;
	fx_append_n(box, 60);
	(void)fx_expunge(box, 10, 20);
	for (at = 1;; at++) {
		forget_pages();
		reads = 0;
		refuse_at = at;
		if (read_box(box, true, &n) == RC_OK)
			break;
		refuse_at = 0;
		assert_int_equal(reads, at);            /* it gives up at once */
		assert_unmarked();
		fx_append_n(box, 1);                    /* no old snapshot is left behind */
		had++;
		assert_int_equal(read_box(box, true, &n), RC_OK);
		assert_int_equal(n, had);
		assert_int_equal(read_box(box, false, &n), RC_OK);
		assert_int_equal(n, had);
	}
	assert_true(at > 5);
	assert_int_equal(n, had);
	assert_unmarked();
}

/* As it is: what the kernel has dropped is refused, comes with a read that waits, and is there then. */
static void
test_cold(void **state)
{
	mailbox_id box = fx_box(fx_account("anna"), "INBOX");
	const char *const ends[] = { "", "-wal" };
	int fds[2];
	size_t n;

	(void)state;
	refuse_at = 0;
	fx_append_n(box, 30);
	for (int i = 0; i < 2; i++) {
		char path[600];

		(void)snprintf(path, sizeof path, "%s%s", fx_v->index_path, ends[i]);
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fds[i] >= 0);
		assert_int_equal(fsync(fds[i]), 0);
		assert_int_equal(posix_fadvise(fds[i], 0, 0, POSIX_FADV_DONTNEED), 0);
	}
	forget_pages();
	(void)read_box(box, true, &n);          /* where the disk is memory, it is answered */
	assert_unmarked();
	assert_int_equal(read_box(box, false, &n), RC_OK);
	assert_int_equal(read_box(box, true, &n), RC_OK);
	assert_int_equal(n, 30);
	volume_close(&fx_v);                    /* closing a descriptor of the file drops all its locks */
	for (int i = 0; i < 2; i++)
		(void)close(fds[i]);
	fx_open();
}

/* None is opened for it, none is waited for. */
static void
test_no_connection(void **state)
{
	mailbox_id box = fx_box(fx_account("anna"), "INBOX");
	size_t n;

	(void)state;
	refuse_at = 0;
	db_pool_pause(fx_v->pool);
	assert_int_equal(read_box(box, true, &n), RC_WAIT);
	db_pool_resume(fx_v->pool);
	assert_int_equal(read_box(box, true, &n), RC_WAIT);
	assert_int_equal(read_box(box, false, &n), RC_OK);
	assert_int_equal(read_box(box, true, &n), RC_OK);
	assert_unmarked();
}

/* A lock that another has is not waited for. */
static void
test_busy(void **state)
{
	struct db *one, *two;
	struct err e = ERR_INIT;
	char path[400];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/busy.db", fx_dir);
	assert_int_equal(db_open(path, DB_WRITE, NULL, &one, &e), RC_OK);
	assert_int_equal(db_exec(one, "CREATE TABLE t(x)", &e), RC_OK);
	assert_int_equal(db_open(path, DB_WRITE, NULL, &two, &e), RC_OK);
	assert_int_equal(db_exec(one, "BEGIN IMMEDIATE", &e), RC_OK);
	sleeps = 0;
	nowait_begin();
	assert_int_equal(db_exec(two, "BEGIN IMMEDIATE", &e), RC_WAIT);
	assert_true(nowait_end());
	assert_int_equal(sleeps, 0);
	assert_int_equal(db_exec(one, "COMMIT", &e), RC_OK);
	assert_int_equal(db_exec(two, "BEGIN IMMEDIATE", &e), RC_OK);
	db_close(&two);
	db_close(&one);
}

/* Damage that is met is told by who may wait. */
static void
test_damage_is_left_to_others(void **state)
{
	mailbox_id box = fx_box(fx_account("anna"), "INBOX");
	struct message_row *rows;
	struct blob_place place;
	struct err e = ERR_INIT;
	struct buf out;
	size_t n;

	(void)state;
	refuse_at = 0;
	fx_append_n(box, 1);
	rows = fx_rows(box, WANT, &n);
	assert_int_equal(n, 1);
	place = rows[0].place;
	place.addr.offset++;
	buf_init(&out, 100000);
	assert_int_equal(volume_read_blob(fx_v, &rows[0].place, 0, 10, &out, &e), RC_OK);
	out.len = 1;
	nowait_begin();
	assert_int_equal(volume_read_blob(fx_v, &place, 0, 100, &out, &e), RC_WAIT);
	assert_true(nowait_end());
	assert_int_equal(out.len, 1);
	assert_int_equal(fx_findings, 0);
	assert_int_equal(volume_read_blob(fx_v, &place, 0, 100, &out, &e), RC_CORRUPT);
	assert_int_equal(fx_findings, 1);
	fx_findings = 0;
	buf_fini(&out);
}

/* What bounds a statement is what one run of it takes, not all its runs. */
static void
test_short_again_and_again(void **state)
{
	mailbox_id box = fx_box(fx_account("anna"), "INBOX");
	size_t n;

	(void)state;
	fx_append_n(box, 20);
	assert_int_equal(read_box(box, false, &n), RC_OK);
	refuse_at = 0;
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(read_box(box, true, &n), RC_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused_at_each_read, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_short_again_and_again, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_cold, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_no_connection, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_busy, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_left_to_others, fx_setup, fx_teardown),
	};
	sqlite3_vfs *v = sqlite3_vfs_find(NULL);

	system_sleep = v->xSleep;
	v->xSleep = count_sleep;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
