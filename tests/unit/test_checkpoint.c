/* The index's WAL is moved into its database while commits go on, and begins anew: it stays small however many come. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/checkpoint.h"
#include "tests/unit/unit.h"

#define ROW_BYTES 40000u

static char          path[64], wal[64];
static struct db    *db;
static struct checkpointer *checkpointer;

static uint64_t
wal_bytes(void)
{
	struct stat st;

	return stat(wal, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int
setup(void **state)
{
	struct err e = ERR_INIT;
	char dir[] = "/tmp/restante-checkpoint.XXXXXX";

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/index.db", dir);
	snprintf(wal, sizeof wal, "%s/index.db-wal", dir);
	return db_open(path, DB_WRITE, NULL, &db, &e) == RC_OK &&
	       db_exec(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, bytes BLOB)", &e) == RC_OK &&
	       checkpointer_start(path, db, &checkpointer, &e) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	checkpointer_stop(&checkpointer);
	db_close(&db);
	(void)unlink(path);
	(void)unlink(wal);
	*strrchr(path, '/') = '\0';
	return rmdir(path);
}

/* So many rows, a commit each; returns the largest that the WAL was. */
static uint64_t
write_rows(unsigned count)
{
	static uint8_t bytes[ROW_BYTES];
	struct err e = ERR_INIT;
	uint64_t largest = 0;

	for (unsigned i = 0; i < count; i++) {
		memset(bytes, (int)i, sizeof bytes);
		assert_int_equal(db_run(db, "INSERT INTO t(bytes) VALUES(?1)",
		                        DB_ARGS(DB_BYTES(slice_of(bytes, sizeof bytes))), &e), RC_OK);
		largest = wal_bytes() > largest ? wal_bytes() : largest;
	}
	return largest;
}

static void
test_wal_begins_anew_under_load(void **state)
{
	uint64_t largest = write_rows(3000);    /* 120 MB */

	(void)state;
	assert_in_range(largest, 16u << 20, 60u << 20);
}

/* What a reader holds back is moved when it has gone. */
static void
test_a_reader_holds_it_back_for_a_time(void **state)
{
	struct err e = ERR_INIT;
	struct db *reader;
	sqlite3_stmt *q;
	uint64_t held;

	(void)state;
	(void)write_rows(2);
	assert_int_equal(db_open(path, DB_READ, NULL, &reader, &e), RC_OK);
	q = db_query(reader, "SELECT id FROM t", DB_NO_ARGS, &e);
	assert_int_equal(db_next(reader, q, &e), DB_ROW);
	held = write_rows(1500);
	assert_true(held > 60u << 20);
	db_end(q);
	db_close(&reader);
	assert_true(write_rows(3000) < held + (60u << 20));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wal_begins_anew_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_reader_holds_it_back_for_a_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
