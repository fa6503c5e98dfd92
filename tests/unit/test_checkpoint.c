/* The index's WAL is moved into its database while commits go on, and begins anew. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "index/checkpoint.h"
#include "lib/bytes.h"
#include "tests/unit/unit.h"

#define ROW_BYTES 40000u

static char          path[64], wal_path[64];
static atomic_bool   suspect;
static struct wal    wal;
static struct db    *db;
static struct checkpointer *checkpointer;

static int
setup(void **state)
{
	struct err e = ERR_INIT;
	char dir[] = "/tmp/restante-checkpoint.XXXXXX";

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/index.db", dir);
	snprintf(wal_path, sizeof wal_path, "%s/index.db-wal", dir);
	wal_init(&wal, &suspect);
	return db_open(path, DB_WRITE, NULL, &db, &e) == RC_OK &&
	       db_exec(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, bytes BLOB)", &e) == RC_OK &&
	       checkpointer_start(&wal, path, db, &checkpointer, &e) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	checkpointer_stop(&checkpointer);
	db_close(&db);
	(void)unlink(path);
	(void)unlink(wal_path);
	wal_fini(&wal);
	*strrchr(path, '/') = '\0';
	return rmdir(path);
}

/* How often the WAL has begun anew: the checkpoint sequence number in its header. */
static uint32_t
wal_sequence(void)
{
	uint8_t header[32] = { 0 };
	int fd = open(wal_path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
	close(fd);
	return get_le32(header + 12);           /* of the other end, which does not matter here */
}

/* Rows, a commit each, without a pause. */
static void
write_row(unsigned i)
{
	static uint8_t bytes[ROW_BYTES];
	struct err e = ERR_INIT;

	memset(bytes, (int)i, sizeof bytes);
	assert_int_equal(db_run(db, "BEGIN IMMEDIATE", DB_NO_ARGS, &e), RC_OK);
	assert_int_equal(db_run(db, "INSERT INTO t(bytes) VALUES(?1)",
	                        DB_ARGS(DB_BYTES(slice_of(bytes, sizeof bytes))), &e), RC_OK);
	assert_int_equal(wal_commit(&wal, db, &e), RC_OK);
}

/* Far more than it takes, however slow the thread is. */
static void
write_until_anew(void)
{
	uint32_t was = wal_sequence();
	unsigned i;

	for (i = 0; i < 10000 && wal_sequence() == was; i++)
		write_row(i);
	assert_in_range(i, 1, 9999);
}

static void
test_wal_begins_anew_under_load(void **state)
{
	(void)state;
	write_row(0);
	for (int i = 0; i < 3; i++)
		write_until_anew();
}

/* What a reader holds back is moved when it has gone. */
static void
test_a_reader_holds_it_back_for_a_time(void **state)
{
	struct err e = ERR_INIT;
	struct db *reader;
	sqlite3_stmt *q;
	uint32_t was;

	(void)state;
	write_row(0);
	write_row(1);
	assert_int_equal(db_open(path, DB_READ, NULL, &reader, &e), RC_OK);
	q = db_query(reader, "SELECT id FROM t", DB_NO_ARGS, &e);
	assert_int_equal(db_next(reader, q, &e), DB_ROW);
	was = wal_sequence();
	for (unsigned i = 0; i < 1000; i++)
		write_row(i);
	assert_int_equal(wal_sequence(), was);
	db_end(q);
	db_close(&reader);
	write_until_anew();
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
