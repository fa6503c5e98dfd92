/* space - reserving and giving back disk space. See space.h.
 *
 * Why zeros: measured on ext4 (virtio disk, two cores), append of 4 KB and fdatasync: 0.19 ms when
 * the file grows or lies in allocated but unwritten extents, 0.09 ms over zeros; 64 KB:
 * 0.22 and 0.09 ms.
 */
#include "store/space.h"

#include "store/fs.h"
#include "store/piece.h"

#include <errno.h>

bool
space_is_full(int os)
{
	return os == ENOSPC || os == EDQUOT || os == EFBIG;
}

bool
space_measure(int fd, uint64_t *total, uint64_t *avail)
{
	return fs->measure(fd, total, avail);
}

/* 0, EOPNOTSUPP where there is no such call, or another errno. */
static int
allocate(int fd, uint64_t from, uint64_t to)
{
	int os;

	do
		os = fs->reserve(fd, (off_t)from, (off_t)(to - from)) == 0 ? 0 : errno;
	while (os == EINTR);
	return os == ENOSYS ? EOPNOTSUPP : os;
}

static int
fill_zeros(int fd, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[64 << 10];

	while (from < to) {
		size_t len = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
		struct iovec iov = { (void *)(uintptr_t)zeros, len };
		int os = write_all(fd, &iov, 1, from);

		if (os != 0)
			return os;
		from += len;
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
		/* a file size limit shows itself only when a byte is written */
		zero_from = to - 1;
	if (os == 0)
		os = fill_zeros(fd, zero_from, to);
	return os == 0 ? RC_OK
	               : err_os(e, os, "reserve %llu bytes", (unsigned long long)(to - from));
}

void
space_release(int fd, uint64_t from, uint64_t to)
{
	if (from < to && fs->punch(fd, (off_t)from, (off_t)(to - from)) != 0)
		return;         /* the space stays taken until compaction: no harm */
}

void
space_drop_cache(int fd)
{
	fs->forget(fd);
}
