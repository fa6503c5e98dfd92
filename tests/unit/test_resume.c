/* resume - a rebuild that was cut is gone on with, if that is safe; else it begins anew. What an
 * earlier one left is told from new work by a mark that no record made. */
#include <fcntl.h>
#include <sqlite3.h>

#include "lib/siphash.h"
#include "tests/unit/volume_fixture.h"

static void
path_of(const char *name, char path[512])
{
	(void)snprintf(path, 512, "%s/%s", fx_dir, name);
}

static void
run_sql(const char *name, const char *sql)
{
	char path[512];
	sqlite3 *h;

	path_of(name, path);
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

static uint32_t
boot_number(void)
{
	static const uint8_t no_key[SIPHASH_KEY_LEN];
	char id[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, id, sizeof id) : 0;

	if (fd < 0)
		return 0;       /* not told here: nothing is ever resumed */
	close(fd);
	return ((uint32_t)siphash(no_key, id, (size_t)n) & INT32_MAX) | 1;
}

/* The index as it is becomes a rebuild that was cut here: it knows the first account under a name
 * that nobody gave. */
static void
leave_partial(uint32_t boot)
{
	char command[1200], sql[128];

	(void)snprintf(command, sizeof command, "cp '%s/index.db' '%s/index.db.new'", fx_dir,
	               fx_dir);
	assert_int_equal(system(command), 0);
	(void)snprintf(sql, sizeof sql,
	               "UPDATE account SET name=X'6d61726b'; PRAGMA user_version=%u", boot);
	run_sql("index.db.new", sql);
}

/* Whether the mark is still there after a reindex, and ben too, whom the partial one lacked. */
static bool
resumed(void)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
	struct account_info info;
	struct reindex_result r;
	struct err e = ERR_INIT;
	char path[512];

	assert_int_equal(volume_reindex(&p, false, &r, &e), RC_OK);
	path_of("index.db.new", path);
	assert_int_not_equal(access(path, F_OK), 0);
	path_of("index.db-wal", path);
	assert_int_not_equal(access(path, F_OK), 0);
	fx_open();
	assert_int_equal(volume_find_account(fx_v, SLICE("ben"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	return slice_eq(info.name, SLICE("mark"));
}

static void
prepare(uint32_t boot)
{
	fx_append_n(fx_box(fx_account("anna"), "INBOX"), 5);
	volume_close(&fx_v);
	leave_partial(boot);
	fx_open_as(VOLUME_READ);        /* a look disturbs nothing */
	volume_close(&fx_v);
}

/* More mail after the cut: by an owner whose index is lost, else it would have removed
 * what is half done. */
static void
add_ben(void)
{
	char path[512], aside[512];

	path_of("index.db.new", path);
	path_of("aside", aside);
	assert_int_equal(rename(path, aside), 0);
	fx_open();
	(void)fx_account("ben");
	volume_close(&fx_v);
	assert_int_equal(rename(aside, path), 0);
}

static void
test_goes_on(void **state)
{
	(void)state;
	prepare(boot_number());
	add_ben();
	assert_int_equal(resumed(), boot_number() != 0);
}

/* What was not synced may be torn now. */
static void
test_other_boot(void **state)
{
	(void)state;
	prepare(boot_number() ^ 2);
	add_ben();
	assert_false(resumed());
}

static void
test_other_log(void **state)
{
	(void)state;
	prepare(boot_number());
	add_ben();
	run_sql("index.db.new", "UPDATE meta SET volume=zeroblob(16)");
	assert_false(resumed());
}

static void
test_damaged(void **state)
{
	(void)state;
	prepare(boot_number());
	add_ben();
	run_sql("index.db.new", "UPDATE meta SET damaged=1");
	assert_false(resumed());
}

/* Who opens the volume with a good index has no use for half of another. */
static void
test_given_up(void **state)
{
	char path[512];

	(void)state;
	prepare(boot_number());
	fx_open();
	path_of("index.db.new", path);
	assert_int_not_equal(access(path, F_OK), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_goes_on), CASE(test_other_boot), CASE(test_other_log), CASE(test_damaged), CASE(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
