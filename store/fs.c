/* fs - POSIX behind the table. See fs.h. What differs between systems stands here. */
#define _GNU_SOURCE
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

const struct fs_ops *fs = &fs_posix;

static int
posix_open(int dirfd, const char *path, int flags, mode_t mode)
{
	return openat(dirfd, path, flags, mode);
}

static int
posix_unlink(int dirfd, const char *path)
{
	return unlinkat(dirfd, path, 0);
}

#ifdef __linux__
static int
posix_reserve(int fd, off_t off, off_t len)
{
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, off, len);
}

static int
posix_punch(int fd, off_t off, off_t len)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
}
#else
static int
posix_reserve(int fd, off_t off, off_t len)
{
	(void)fd, (void)off, (void)len;
	errno = EOPNOTSUPP;
	return -1;
}

static int
posix_punch(int fd, off_t off, off_t len)
{
	return posix_reserve(fd, off, len);
}
#endif

static void
posix_forget(int fd)
{
#ifdef POSIX_FADV_DONTNEED
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
#else
	(void)fd;
#endif
}

static bool
posix_measure(int fd, uint64_t *total, uint64_t *avail)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) != 0 || st.f_blocks == 0)
		return false;
	*total = (uint64_t)st.f_blocks * st.f_frsize;
	*avail = (uint64_t)st.f_bavail * st.f_frsize;
	return true;
}

const struct fs_ops fs_posix = {
	.open = posix_open,
	.close = close,
	.pread = pread,
	.pwritev = pwritev,
	.fsync = fsync,
	.fdatasync = fdatasync,
	.ftruncate = ftruncate,
	.reserve = posix_reserve,
	.punch = posix_punch,
	.forget = posix_forget,
	.mkdir = mkdirat,
	.unlink = posix_unlink,
	.rename = renameat,
	.measure = posix_measure,
};
