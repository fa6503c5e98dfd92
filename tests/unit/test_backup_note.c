/* backup_note: the status tells of the last backup, also after a restart. */
#include "index/volume_impl.h"
#include "tests/unit/volume_fixture.h"

static void
told(uint64_t time_us, const char *where)
{
	struct volume_status s;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_status(fx_v, &s, &e), RC_OK);
	assert_int_equal(s.backed_up_us, time_us);
	assert_string_equal(s.backed_up_to, where);
}

static void
put_note(const char *text, size_t len)
{
	char path[300];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/backup", fx_dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
test_outlives_a_restart(void **state)
{
	(void)state;
	told(0, "");
	volume_note_backup(fx_v, 1763787600000000, "/var/backups/v1");
	told(1763787600000000, "/var/backups/v1");
	fx_reopen();
	told(1763787600000000, "/var/backups/v1");
	/* a later one, shorter and stranger */
	volume_note_backup(fx_v, 1763787600000001, "/a to b\n/v1 ");
	fx_reopen();
	told(1763787600000001, "/a to b\n/v1 ");
	volume_close(&fx_v);
	fx_open_as(VOLUME_READ);
	told(1763787600000001, "/a to b\n/v1 ");
}

/* Who only looks remembers, and writes nothing. */
static void
test_a_reader_writes_nothing(void **state)
{
	(void)state;
	volume_close(&fx_v);
	fx_open_as(VOLUME_READ);
	volume_note_backup(fx_v, 5, "/elsewhere");
	told(5, "/elsewhere");
	volume_close(&fx_v);
	fx_open();
	told(0, "");
}

/* No file can keep a volume from being opened. */
static void
test_what_is_no_note(void **state)
{
	static const struct {
		const char *text;
		size_t      len;
	} bad[] = {
		{ "", 0 },
		{ "\n", 1 },
		{ "backup 1 at ", 12 },
		{ "backup 1 at \n", 13 },
		{ "backup 1 at 7\n", 14 },
		{ "backup 1 at 7 to \n", 18 },
		{ "backup 1 at 0 to /x\n", 20 },
		{ "backup 1 at 7 to /x", 19 },                  /* cut */
		{ "backup 2 at 7 to /x\n", 20 },
		{ "backup 1 at x to /x\n", 20 },
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		put_note(bad[i].text, bad[i].len);
		fx_reopen();
		told(0, "");
	}
	put_note("backup 1 at 7 to /x\n", 20);
	fx_reopen();
	told(7, "/x");
}

/* A path that does not fit is not noted in part. */
static void
test_a_long_path(void **state)
{
	char where[6000];

	(void)state;
	memset(where, 'x', sizeof where - 1);
	where[sizeof where - 1] = '\0';
	volume_note_backup(fx_v, 7, "/x");
	volume_note_backup(fx_v, 8, where);
	fx_reopen();
	told(7, "/x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_outlives_a_restart, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_a_reader_writes_nothing, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_note, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_a_long_path, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
