/* wal_file: a commit is one write, seen by others, and fails as a whole; whatever SQLite writes in another order is
 * there, too. */
#include "index/db.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

static char path[64];
static struct db *writer, *reader;
static unsigned writes;
static bool full;

static ssize_t
count_write(int fd, const void *bytes, size_t len, off_t at)
{
	writes++;
	if (full) {
		errno = ENOSPC;
		return -1;
	}
	return pwrite(fd, bytes, len, at);
}

static void
wrap(const char *call)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	if (vfs->xGetSystemCall(vfs, call) != NULL)
		assert_int_equal(vfs->xSetSystemCall(vfs, call, (sqlite3_syscall_ptr)count_write),
		                 SQLITE_OK);
}

static enum rc
try_run(const char *sql)
{
	struct err e = ERR_INIT;

	return db_exec(writer, sql, &e);
}

static void
run(const char *sql)
{
	assert_int_equal(try_run(sql), RC_OK);
}

static int
setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(path, sizeof path, "/tmp/restante-wal-file-%ld.db", (long)getpid());
	assert_int_equal(db_open(path, DB_WRITE, NULL, &writer, &e), RC_OK);
	wrap("pwrite");
	wrap("pwrite64");
	run("CREATE TABLE t(k INTEGER PRIMARY KEY, x)");
	assert_int_equal(db_open(path, DB_READ, NULL, &reader, &e), RC_OK);
	return 0;
}

static int
teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	db_close(&reader);
	db_close(&writer);
	return db_unlink(path, &e) == RC_OK ? 0 : -1;
}

static uint64_t
read_number(struct db *db, const char *sql)
{
	sqlite3_stmt *q;
	uint64_t n;

	assert_int_equal(sqlite3_prepare_v2(db_handle(db), sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(q, 0);
	(void)sqlite3_finalize(q);
	return n;
}

/* By a connection that shares no cache with the writer. */
static void
assert_holds(uint64_t rows, uint64_t sum)
{
	assert_int_equal(read_number(reader, "SELECT count(*) FROM t"), rows);
	assert_int_equal(read_number(reader, "SELECT coalesce(sum(length(x)), 0) FROM t"), sum);
	assert_int_equal(read_number(reader, "SELECT count(*) FROM pragma_integrity_check"
	                             " WHERE integrity_check='ok'"), 1);
}

static void
test_one_write(void **state)
{
	unsigned before;

	(void)state;
	run("INSERT INTO t VALUES(1, randomblob(30000))");
	before = writes;
	run("INSERT INTO t VALUES(2, randomblob(30000))");
	assert_int_equal(writes - before, 1);
	assert_holds(2, 60000);
}

/* What goes beyond the cache is written before the commit, may be written anew, or be of no commit. */
static void
test_spilled(void **state)
{
	(void)state;
	run("PRAGMA cache_size=10");
	run("BEGIN; INSERT INTO t VALUES(1, zeroblob(900000)); SAVEPOINT a;"
	    "INSERT INTO t VALUES(2, randomblob(500000)); UPDATE t SET x=randomblob(700000) WHERE k=1;"
	    "ROLLBACK TO a; INSERT INTO t VALUES(3, randomblob(20000)); COMMIT");
	assert_holds(2, 920000);
	run("BEGIN; INSERT INTO t VALUES(4, randomblob(900000)); UPDATE t SET x=x||'a'; ROLLBACK");
	assert_holds(2, 920000);
	run("INSERT INTO t VALUES(5, randomblob(10000))");
	assert_holds(3, 930000);
}

/* What was collected for a rollback is not in the way of a WAL that begins anew. */
static void
test_begun_anew(void **state)
{
	(void)state;
	run("PRAGMA cache_size=10");
	for (int i = 0; i < 3; i++) {
		run("BEGIN; INSERT INTO t VALUES(NULL, randomblob(100000)); ROLLBACK");
		run("INSERT INTO t VALUES(NULL, randomblob(70000))");
		assert_int_equal(sqlite3_wal_checkpoint_v2(db_handle(writer), NULL,
		                                           SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
		                 SQLITE_OK);
		assert_holds((uint64_t)i + 1, 70000 * ((uint64_t)i + 1));
	}
}

static void
test_full(void **state)
{
	(void)state;
	run("INSERT INTO t VALUES(1, randomblob(5000))");
	full = true;
	assert_int_equal(try_run("INSERT INTO t VALUES(2, randomblob(5000))"), RC_IO);
	full = false;
	assert_holds(1, 5000);
	run("INSERT INTO t VALUES(3, randomblob(3000))");
	assert_holds(2, 8000);
}

/* A statement that fails since what is to be read could not be written first is undone alone: the transaction goes on, and
 * must lack nothing. At some length of what is spilled it is the read that fails, and no write. */
static void
test_full_at_a_read(void **state)
{
	char sql[100];
	unsigned went_on = 0;

	(void)state;
	run("CREATE TABLE u(k INTEGER PRIMARY KEY, n UNIQUE)");
	run("INSERT INTO u WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)"
	    " SELECT i, i FROM c");
	run("PRAGMA cache_size=10");
	for (unsigned size = 50000; size < 250000; size += 10000) {
		(void)snprintf(sql, sizeof sql, "BEGIN; DELETE FROM t; INSERT INTO t VALUES(1, randomblob(%u))", size);
		run(sql);
		full = true;
		assert_int_not_equal(try_run("UPDATE u SET n = n + 100000"), RC_OK);
		full = false;
		if (sqlite3_get_autocommit(db_handle(writer)) == 0 && try_run("COMMIT") == RC_OK) {
			went_on++;
			assert_holds(1, size);
		}
		if (sqlite3_get_autocommit(db_handle(writer)) == 0)
			run("ROLLBACK");
		assert_int_equal(read_number(reader, "SELECT sum(n) FROM u"), 200010000);
	}
	assert_true(went_on > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spilled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_at_a_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
