/* vfs - see vfs.h. SQLite's own VFS has a table of the system calls it makes, to be replaced one by one: so its pread
 * becomes ours, which outside the mode is the one that stood there. A refused read is SQLITE_IOERR_READ: SQLite drops
 * the page and rolls the read transaction back, and the connection is as good as before.
 *
 * Nothing is slept either: what a reader tries again after a pause (another process or thread has a lock for a moment) it
 * tries again at once in the mode, some hundred times, and then fails.
 *
 * What remains: the -shm is mapped memory, and the first write to one of its pages after the kernel has written that
 * back can wait for the file system's journal. Rejected: a VFS of our own around the files (a descriptor of its own for
 * the database, whose closing gives up the locks of all, or one more indirection for each call); mmap with mincore
 * (a page can go between the two).
 */
#include "index/vfs.h"

#include <sqlite3.h>
#include <stdint.h>

#include "lib/nowait.h"

typedef ssize_t (*pread_call)(int fd, void *dst, size_t len, int64_t off);

static pread_call   real_pread;
static sqlite3_vfs  ours;
static int        (*real_sleep)(sqlite3_vfs *v, int us);

static ssize_t
pread_or_refuse(int fd, void *dst, size_t len, int64_t off)
{
	return nowait_is_on() ? nowait_pread(fd, dst, len, (off_t)off) : real_pread(fd, dst, len, off);
}

static int
sleep_or_not(sqlite3_vfs *v, int us)
{
	return nowait_is_on() ? 0 : real_sleep(v, us);
}

static void
replace_pread(sqlite3_vfs *v, const char *name)
{
	sqlite3_syscall_ptr was = v->xGetSystemCall(v, name);

	if (was != NULL && v->xSetSystemCall(v, name, (sqlite3_syscall_ptr)pread_or_refuse) == SQLITE_OK)
		real_pread = (pread_call)was;
}

void
vfs_install(void)
{
	sqlite3_vfs *v = sqlite3_vfs_find(NULL);

	if (v == NULL || v->iVersion < 3 || v->xSetSystemCall == NULL)
		return;
	ours = *v;
	ours.zName = "restante";
	ours.xSleep = sleep_or_not;
	real_sleep = v->xSleep;
	if (sqlite3_vfs_register(&ours, 1) != SQLITE_OK)
		return;
	replace_pread(v, "pread64");    /* it has one of them */
	if (real_pread == NULL)
		replace_pread(v, "pread");
}

bool
vfs_can_refuse(void)
{
	return real_pread != NULL && nowait_is_possible();
}
