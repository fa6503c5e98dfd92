/* nowait - reads that do not wait. See nowait.h. */
#define _GNU_SOURCE
#include "lib/nowait.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/uio.h>

static _Thread_local bool on, refused;
static atomic_bool impossible;

void
nowait_begin(void)
{
	assert(!on);
	on = true;
	refused = false;
}

bool
nowait_end(void)
{
	assert(on);
	on = false;
	return refused;
}

bool
nowait_is_on(void)
{
	return on;
}

bool
nowait_is_possible(void)
{
	return !atomic_load_explicit(&impossible, memory_order_relaxed);
}

enum rc
nowait_refuse(struct err *e)
{
	assert(on);
	refused = true;
	return err_set(e, RC_WAIT, "would have to wait for the disk");
}

static ssize_t
read_now(int fd, void *dst, size_t len, off_t off)
{
#ifdef RWF_NOWAIT
	struct iovec v = { dst, len };

	if (nowait_is_possible())
		return preadv2(fd, &v, 1, off, RWF_NOWAIT);
#else
	(void)fd;
	(void)dst;
	(void)len;
	(void)off;
#endif
	errno = ENOSYS;
	return -1;
}

ssize_t
nowait_pread(int fd, void *dst, size_t len, off_t off)
{
	size_t got = 0;

	assert(on);
	while (got < len) {
		ssize_t n = read_now(fd, (char *)dst + got, len - got, off + (off_t)got);

		if (n == 0)
			break;
		if (n > 0) {    /* what is left is at the end, or not in memory: asking again tells */
			got += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EOPNOTSUPP || errno == ENOSYS)
			atomic_store_explicit(&impossible, true, memory_order_relaxed);
		refused = true;
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)got;
}
