/* wal: no checkpoint begins where there is nothing to do, and none is left out where there is. */
#include "index/checkpoint.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char path[64];
static atomic_bool suspect;
static struct wal wal;
static struct db *writer;
static struct checkpointer *watch;

static atomic_bool disk_fails;

/* In place of libc's, for SQLite. */
int
fdatasync(int fd)
{
	if (atomic_load(&disk_fails)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static int
setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(path, sizeof path, "/tmp/restante-wal-%ld.db", (long)getpid());
	wal_init(&wal, &suspect);
	assert_int_equal(db_open(path, DB_WRITE, NULL, &writer, &e), RC_OK);
	assert_int_equal(db_exec(writer, "CREATE TABLE t(x)", &e), RC_OK);
	assert_int_equal(checkpointer_start(&wal, path, writer, &watch, &e), RC_OK);
	return 0;
}

static int
teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	checkpointer_stop(&watch);
	db_close(&writer);
	wal_fini(&wal);
	return db_unlink(path, &e) == RC_OK ? 0 : -1;
}

static void
change(void)
{
	struct err e = ERR_INIT;

	assert_int_equal(db_run(writer, "BEGIN IMMEDIATE", DB_NO_ARGS, &e), RC_OK);
	assert_int_equal(db_run(writer, "INSERT INTO t VALUES(randomblob(100))", DB_NO_ARGS, &e),
	                 RC_OK);
	assert_int_equal(wal_commit(&wal, writer, &e), RC_OK);
}

static void
change_much(void)
{
	struct err e = ERR_INIT;

	assert_int_equal(db_run(writer, "BEGIN IMMEDIATE", DB_NO_ARGS, &e), RC_OK);
	assert_int_equal(db_run(writer, "INSERT INTO t VALUES(zeroblob(8000000))", DB_NO_ARGS, &e),
	                 RC_OK);
	assert_int_equal(wal_commit(&wal, writer, &e), RC_OK);
}

/* How many pages of the WAL are not in the database, and cannot get there. */
static int
count_pending(void)
{
	int pages, moved;

	assert_int_equal(sqlite3_wal_checkpoint_v2(db_handle(writer), NULL,
	                                           SQLITE_CHECKPOINT_PASSIVE, &pages, &moved),
	                 SQLITE_OK);
	return pages - moved;
}

static bool
checkpoint(void)
{
	return wal_checkpoint(&wal, path, NULL, WAL_WAITS) == 0;
}

/* A checkpoint that did anything would miss the file. */
static bool
is_passed_over(void)
{
	return wal_checkpoint(&wal, "/nonexistent/index.db", NULL, WAL_WAITS) == 0;
}

static void
test_each_commit_is_moved(void **state)
{
	(void)state;
	assert_true(checkpoint());
	for (int i = 0; i < 50; i++) {
		change();               /* begins the WAL anew, with as many pages each time */
		assert_false(wal.settled);
		assert_false(is_passed_over());
		assert_true(checkpoint());
		assert_true(wal.settled);
		assert_true(is_passed_over());
	}
	assert_int_equal(count_pending(), 0);
}

/* A reader holds back what is newer than its snapshot: that is not settled. */
static void
test_what_is_held_back(void **state)
{
	struct db *reader;
	sqlite3_stmt *q;
	struct err e = ERR_INIT;

	(void)state;
	change();
	assert_true(checkpoint());
	change();
	assert_int_equal(db_open(path, DB_READ, NULL, &reader, &e), RC_OK);
	assert_int_equal(db_exec(reader, "BEGIN", &e), RC_OK);
	assert_int_equal(db_first(reader, &q, "SELECT count(*) FROM t", DB_NO_ARGS, &e), RC_OK);
	db_end(q);
	change();
	assert_false(checkpoint());
	assert_false(is_passed_over());
	db_close(&reader);
	assert_true(checkpoint());
	assert_true(wal.settled);
}

/* Nothing is known of an index that was opened anew. */
static void
test_opened_anew(void **state)
{
	(void)state;
	change();
	assert_true(checkpoint());
	wal_hold(&wal);
	assert_int_equal(wal_checkpoint(&wal, path, writer, WAL_GIVES_WAY), -1);
	wal_unhold(&wal);
	assert_false(wal.known);
	assert_int_equal(wal_checkpoint(&wal, path, writer, WAL_GIVES_WAY), 0);
	assert_true(wal.known && wal.settled);
}

static off_t
wal_len(void)
{
	struct stat st;
	char name[80];

	(void)snprintf(name, sizeof name, "%s-wal", path);
	assert_int_equal(stat(name, &st), 0);
	return st.st_size;
}

/* The sync behind one that failed says yes to what is lost. */
static void
test_failed_sync(void **state)
{
	(void)state;
	change();
	atomic_store(&disk_fails, true);
	assert_int_equal(wal_checkpoint(&wal, path, writer, WAL_WAITS), -1);
	atomic_store(&disk_fails, false);
	assert_true(atomic_load(&suspect));
	assert_int_equal(wal_checkpoint(&wal, path, writer, WAL_WAITS), -1);
	wal_finish(&wal, writer);
	assert_false(wal.settled);
	assert_true(wal_len() > 0);
	atomic_store(&suspect, false);
	assert_int_equal(wal_checkpoint(&wal, path, writer, WAL_WAITS), 0);
}

/* ---- several at once ---- */

#define ROUNDS 3000
#define BIG    20       /* each some 2,000 pages: for the checkpointer's thread and its hook */

static atomic_bool over;

static void *
checkpoint_on(void *arg)
{
	(void)arg;
	while (!atomic_load(&over))
		(void)checkpoint();
	return NULL;
}

static void
test_beside_commits(void **state)
{
	pthread_t threads[2];
	sqlite3_stmt *q;
	struct db *db;
	struct err e = ERR_INIT;

	(void)state;
	atomic_store(&over, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, checkpoint_on, NULL), 0);
	for (int i = 0; i < ROUNDS; i++)
		change();
	for (int i = 0; i < BIG; i++)
		change_much();
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(checkpoint());
	assert_int_equal(count_pending(), 0);
	assert_int_equal(db_open(path, DB_WRITE, NULL, &db, &e), RC_OK);
	assert_int_equal(db_first(db, &q,
	                          "SELECT count(*), (SELECT integrity_check = 'ok' FROM "
	                          "pragma_integrity_check)"
	                          " FROM t",
	                          DB_NO_ARGS, &e),
	                 RC_OK);
	assert_int_equal(db_u64(q, 0), ROUNDS + BIG);
	assert_int_equal(db_u64(q, 1), 1);
	db_end(q);
	db_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_commit_is_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_held_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opened_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_beside_commits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
