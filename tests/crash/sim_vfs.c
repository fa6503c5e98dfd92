/* sim_vfs - see sim_vfs.h. As in SQLite's own VFS, each connection's first sync of a WAL or journal
 * also syncs its directory, whoever made the file. */
#define _GNU_SOURCE
#include "tests/crash/sim_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/sim_disk.h"

struct file {
	sqlite3_file     base;
	struct sim_file *sim;           /* NULL: not on the disk */
	bool             sync_dir;
	char             path[512];
	sqlite3_file    *real;          /* behind this struct */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs  vfs;

static struct file *
file_of(sqlite3_file *f)
{
	return (struct file *)(void *)f;
}

static int
code_of(int os, int code)
{
	return os == 0 ? SQLITE_OK : os == ENOSPC ? SQLITE_FULL : code;
}

static int
x_close(sqlite3_file *f)
{
	return file_of(f)->real->pMethods->xClose(file_of(f)->real);
}

static int
x_read(sqlite3_file *f, void *dst, int len, sqlite3_int64 off)
{
	if (file_of(f)->sim != NULL && sim_vfs_read() != 0)
		return SQLITE_IOERR_READ;
	return file_of(f)->real->pMethods->xRead(file_of(f)->real, dst, len, off);
}

static int
x_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 off)
{
	struct file *file = file_of(f);
	size_t n = (size_t)len;
	int os;

	if (file->sim == NULL)
		return file->real->pMethods->xWrite(file->real, bytes, len, off);
	os = sim_vfs_write(file->sim, bytes, &n, (uint64_t)off);
	if (os == 0 && n < (size_t)len)
		return SQLITE_FULL;     /* as the real one: what is left has no room */
	return code_of(os, SQLITE_IOERR_WRITE);
}

static int
x_truncate(sqlite3_file *f, sqlite3_int64 len)
{
	struct file *file = file_of(f);

	if (file->sim == NULL)
		return file->real->pMethods->xTruncate(file->real, len);
	return code_of(sim_vfs_truncate(file->sim, (uint64_t)len), SQLITE_IOERR_TRUNCATE);
}

static int
x_sync(sqlite3_file *f, int flags)
{
	struct file *file = file_of(f);
	int os;

	if (file->sim == NULL)
		return file->real->pMethods->xSync(file->real, flags);
	os = sim_vfs_sync(file->sim);
	if (os == 0 && file->sync_dir) {
		/* the real one does not look at the result either */
		(void)sim_vfs_sync_dir(file->path);
		file->sync_dir = false;
	}
	return code_of(os, SQLITE_IOERR_FSYNC);
}

static int
x_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return file_of(f)->real->pMethods->xFileSize(file_of(f)->real, size);
}

static int
x_lock(sqlite3_file *f, int level)
{
	return file_of(f)->real->pMethods->xLock(file_of(f)->real, level);
}

static int
x_unlock(sqlite3_file *f, int level)
{
	return file_of(f)->real->pMethods->xUnlock(file_of(f)->real, level);
}

static int
x_check_lock(sqlite3_file *f, int *result)
{
	return file_of(f)->real->pMethods->xCheckReservedLock(file_of(f)->real, result);
}

static int
x_control(sqlite3_file *f, int op, void *arg)
{
	return file_of(f)->real->pMethods->xFileControl(file_of(f)->real, op, arg);
}

static int
x_sector_size(sqlite3_file *f)
{
	return file_of(f)->real->pMethods->xSectorSize(file_of(f)->real);
}

static int
x_characteristics(sqlite3_file *f)
{
	return file_of(f)->real->pMethods->xDeviceCharacteristics(file_of(f)->real);
}

static int
x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return file_of(f)->real->pMethods->xShmMap(file_of(f)->real, page, size, extend, out);
}

static int
x_shm_lock(sqlite3_file *f, int off, int n, int flags)
{
	return file_of(f)->real->pMethods->xShmLock(file_of(f)->real, off, n, flags);
}

static void
x_shm_barrier(sqlite3_file *f)
{
	file_of(f)->real->pMethods->xShmBarrier(file_of(f)->real);
}

static int
x_shm_unmap(sqlite3_file *f, int remove)
{
	return file_of(f)->real->pMethods->xShmUnmap(file_of(f)->real, remove);
}

/* Version 2: no memory mapping of the database. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_file_size,
	.xLock = x_lock,
	.xUnlock = x_unlock,
	.xCheckReservedLock = x_check_lock,
	.xFileControl = x_control,
	.xSectorSize = x_sector_size,
	.xDeviceCharacteristics = x_characteristics,
	.xShmMap = x_shm_map,
	.xShmLock = x_shm_lock,
	.xShmBarrier = x_shm_barrier,
	.xShmUnmap = x_shm_unmap,
};

static int
x_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	struct file *file = file_of(f);
	bool keeps = name != NULL && (flags & SQLITE_OPEN_DELETEONCLOSE) == 0;
	bool made = keeps && access(name, F_OK) != 0;
	int rc;

	(void)v;
	memset(file, 0, sizeof *file);
	file->real = (sqlite3_file *)(void *)(file + 1);
	if (keeps && (sim_vfs_read() != 0 || (made && sim_vfs_open(name) != 0)))
		return SQLITE_CANTOPEN;
	rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
	if (rc != SQLITE_OK)
		return rc;
	if (keeps) {
		(void)snprintf(file->path, sizeof file->path, "%s", name);
		file->sim = sim_vfs_file(name, made);
		file->sync_dir = (flags & SQLITE_OPEN_CREATE) != 0 &&
		                 (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
	}
	file->base.pMethods = &methods;
	return SQLITE_OK;
}

static int
x_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
	(void)v;
	if (fs->unlink(AT_FDCWD, name) != 0)
		return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
	return sync_dir && sim_vfs_sync_dir(name) != 0 ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
}

void
sim_vfs_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	if (real_vfs == NULL)
		abort();
	vfs = *real_vfs;
	vfs.zName = "sim";
	vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
	vfs.xOpen = x_open;
	vfs.xDelete = x_delete;
	if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
		abort();
}
