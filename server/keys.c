/* keys - open files that the configuration names. See keys.h. */
#define _GNU_SOURCE
#include "server/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "server/parent.h"

enum rc
keys_open(const char *path, int *fd, struct err *e)
{
	struct stat st;

	if (parent_present())
		return parent_open(path, fd, e);
	/* Not blocking: a FIFO has nobody at its other end. */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return err_os(e, errno, "%s", path);
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return RC_OK;
	close(*fd);
	*fd = -1;
	return err_set(e, RC_SYNTAX, "%s: not a regular file", path);
}

enum rc
keys_stat(const char *path, struct stat *st, struct err *e)
{
	enum rc rc;
	int fd;

	rc = keys_open(path, &fd, e);
	if (rc != RC_OK)
		return rc;
	if (fstat(fd, st) != 0)
		rc = err_os(e, errno, "%s", path);
	close(fd);
	return rc;
}
