/* nowait_reads - preadv2 in the place of the system's, with which lib/nowait.h's readers read: as if all were in memory, but
 * the read `refuse_at`, or nothing. */
#ifndef RESTANTE_TESTS_UNIT_NOWAIT_READS_H
#define RESTANTE_TESTS_UNIT_NOWAIT_READS_H

#include <errno.h>
#include <stdbool.h>
#include <sys/uio.h>

static unsigned reads, refuse_at;
static bool     refuse_all;

ssize_t
preadv2(int fd, const struct iovec *v, int count, off_t off, int flags)
{
	(void)flags;
	if (refuse_all || ++reads == refuse_at) {
		errno = EAGAIN;
		return -1;
	}
	return preadv(fd, v, count, off);
}

#endif
