/* nosync - preloaded into servers while they are filled: what makes data durable returns at once. A benchmark's mail is
 * made once and never measured, and some servers sync several times for each message.
 */
#include <stddef.h>

int fsync(int fd);
int fdatasync(int fd);
int msync(void *at, size_t len, int flags);

int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int
msync(void *at, size_t len, int flags)
{
	(void)at;
	(void)len;
	(void)flags;
	return 0;
}
