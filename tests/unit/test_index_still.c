/* test_index_still - a volume whose owner was killed is opened on a disk that has nothing left:
 * mail can be read, however often the memory that SQLite's connections share can still be made, and
 * changes are taken again when there is room.
 *
 * That memory is a file, which the first of the connections cuts and lets grow again: another
 * program may take its space meanwhile. SQLite's calls are wrapped, so that no file of the index
 * grows on a full disk, but for the first `makes` of the shared one. */
#include "tests/unit/volume_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/fs.h"

#define MAKES_MAX 8             /* more than an open and its recovery ever need */
#define FDS       1024

static atomic_bool full;
static atomic_int  makes;       /* of the shared memory that still succeed on the full disk */
static atomic_bool is_shared[FDS];

static bool
grows(int fd, size_t len, off_t off)
{
	struct stat st;

	return fstat(fd, &st) == 0 && off + (off_t)len > st.st_size;
}

static int
open_file(const char *path, int flags, int mode)
{
	int fd = open(path, flags, mode);
	size_t len = strlen(path);

	if (fd >= 0 && fd < FDS)
		atomic_store(&is_shared[fd], len > 4 && strcmp(path + len - 4, "-shm") == 0);
	return fd;
}

static int
cut_file(int fd, off_t len)
{
	if (atomic_load(&full) && atomic_load(&is_shared[fd]))
		atomic_fetch_sub(&makes, 1);
	return ftruncate(fd, len);
}

static ssize_t
write_file(int fd, const void *bytes, size_t len, off_t off)
{
	bool spared = atomic_load(&is_shared[fd]) && atomic_load(&makes) >= 0;

	if (atomic_load(&full) && !spared && grows(fd, len, off)) {
		errno = ENOSPC;
		return -1;
	}
	return pwrite(fd, bytes, len, off);
}

static bool
measure(int fd, uint64_t *total, uint64_t *avail)
{
	bool known = fs_posix.measure(fd, total, avail);

	if (known && atomic_load(&full))
		*avail = 0;
	return known;
}

/* In SQLite's table, where not every build has each of them. */
static void
wrap_calls(void)
{
	static struct fs_ops ours;
	sqlite3_vfs *vfs;

	assert_int_equal(sqlite3_initialize(), SQLITE_OK);
	vfs = sqlite3_vfs_find(NULL);
	assert_int_equal(vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)open_file),
	                 SQLITE_OK);
	assert_int_equal(vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)cut_file),
	                 SQLITE_OK);
	if (vfs->xGetSystemCall(vfs, "pwrite64") != NULL)
		assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64",
		                                     (sqlite3_syscall_ptr)write_file),
		                 SQLITE_OK);
	if (vfs->xGetSystemCall(vfs, "pwrite") != NULL)
		assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite",
		                                     (sqlite3_syscall_ptr)write_file),
		                 SQLITE_OK);
	ours = fs_posix;
	ours.measure = measure;
	fs = &ours;
}

static void
copy_dir(const char *from, const char *to)
{
	char cmd[1200];

	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
	assert_int_equal(system(cmd), 0);
}

static void
read_and_refuse(account_id anna, uint32_t have)
{
	struct change *c = fx_make_store(fx_box(anna, "INBOX"), 1, 1, STORE_ADD, FLAG_SEEN, "");

	for (int i = 0; i < 3; i++)
		assert_int_equal(fx_mailbox(anna, "INBOX").exists, have);
	assert_int_equal(volume_submit_wait(fx_v, c), RC_IO);
	assert_int_equal(c->err.os, ENOSPC);
	change_free(&c);
}

static void
append_until_taken(mailbox_id inbox)
{
	enum rc rc = RC_IO;

	for (int i = 0; rc != RC_OK && i < 1000; i++) {
		rc = fx_run(fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, ""));
		if (rc != RC_OK)
			(void)usleep(10000);
	}
	assert_int_equal(rc, RC_OK);
}

/* With `have` messages, and without the reserve. */
static void
open_killed_and_full(uint32_t have)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct check_result r;
	struct err e = ERR_INIT;
	char killed[300], name[400];

	fx_append_n(inbox, have);
	(void)snprintf(killed, sizeof killed, "%s.killed", fx_dir);
	(void)snprintf(name, sizeof name, "%s/reserve", killed);
	copy_dir(fx_dir, killed);
	assert_int_equal(truncate(name, 0), 0);
	for (int n = 0; n <= MAKES_MAX; n++) {
		volume_close(&fx_v);
		copy_dir(killed, fx_dir);
		atomic_store(&makes, n);
		atomic_store(&full, true);
		fx_open();
		read_and_refuse(anna, have);
		(void)usleep(100000);           /* some tries to recover */
		read_and_refuse(anna, have);
		atomic_store(&full, false);
		append_until_taken(inbox);
		assert_int_equal(fx_mailbox(anna, "INBOX").exists, have + 1);
		assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
		assert_int_equal(r.damage + r.differences, 0);
	}
	fx_remove(killed);
}

static void
test_wal_fits_the_database(void **state)
{
	(void)state;
	open_killed_and_full(3);
}

/* So the last connection that closes cannot put it there. */
static void
test_wal_is_longer_than_the_database(void **state)
{
	(void)state;
	open_killed_and_full(100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wal_fits_the_database, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_wal_is_longer_than_the_database, fx_setup, fx_teardown),
	};

	wrap_calls();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
