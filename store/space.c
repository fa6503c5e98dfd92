/* space - reserving and giving back disk space. See space.h.
 *
 * Why zeros: measured on ext4 (virtio disk, two cores), append of 4 KB and fdatasync: 0.19 ms when the file grows or
 * lies in allocated but unwritten extents, 0.09 ms over zeros; 64 KB: 0.22 and 0.09 ms.
 */
#define _GNU_SOURCE
#include "store/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool
space_is_full(int os)
{
	return os == ENOSPC || os == EDQUOT || os == EFBIG;
}

bool
space_measure(int fd, uint64_t *total, uint64_t *avail)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) != 0 || fs.f_blocks == 0)
		return false;
	*total = (uint64_t)fs.f_blocks * fs.f_frsize;
	*avail = (uint64_t)fs.f_bavail * fs.f_frsize;
	return true;
}

/* 0, EOPNOTSUPP where there is no such call, or another errno. */
static int
allocate(int fd, uint64_t from, uint64_t to)
{
#ifdef __linux__
	int os;

	do
		os = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) == 0 ? 0 : errno;
	while (os == EINTR);
	return os == ENOSYS ? EOPNOTSUPP : os;
#else
	(void)fd;
	(void)from;
	(void)to;
	return EOPNOTSUPP;
#endif
}

static int
fill_zeros(int fd, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[64 << 10];

	while (from < to) {
		size_t len = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
		ssize_t n = pwrite(fd, zeros, len, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		from += (uint64_t)n;
	}
	return 0;
}

enum rc
space_reserve(int fd, uint64_t from, uint64_t to, uint64_t zero_from, struct err *e)
{
	int os = allocate(fd, from, to);

	if (os == EOPNOTSUPP) {
		zero_from = from;
		os = 0;
	}
	if (zero_from >= to)
		zero_from = to - 1;     /* a file size limit shows itself only when a byte is written */
	if (os == 0)
		os = fill_zeros(fd, zero_from, to);
	return os == 0 ? RC_OK : err_os(e, os, "reserve %llu bytes", (unsigned long long)(to - from));
}

void
space_release(int fd, uint64_t from, uint64_t to)
{
#ifdef __linux__
	if (from < to && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) != 0)
		return;         /* the space stays taken until compaction: no harm */
#else
	(void)fd;
	(void)from;
	(void)to;
#endif
}

void
space_drop_cache(int fd)
{
#ifdef POSIX_FADV_DONTNEED
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
#else
	(void)fd;
#endif
}
