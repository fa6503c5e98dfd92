/* replace - see replace.h. */
#include "store/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "store/fs.h"

#define PATH_LEN 4096u

enum rc
file_sync_dir(const char *path, struct err *e)
{
	char dir[PATH_LEN];
	char *slash;
	int fd;
	int bad;

	(void)snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	if (slash != NULL)
		*slash = '\0';
	fd = fs->open(AT_FDCWD, slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_os(e, errno, "open directory of %s", path);
	bad = fs->fsync(fd) != 0 ? errno : 0;
	(void)fs->close(fd);
	return bad != 0 ? err_os(e, bad, "sync directory of %s", path) : RC_OK;
}

static enum rc
write_synced(const char *path, struct slice text, struct err *e)
{
	const struct iovec iov = { (void *)(uintptr_t)text.ptr, text.len };
	int fd = fs->open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	                  0600);
	int os = 0;
	ssize_t n;

	if (fd < 0)
		return err_os(e, errno, "make %s", path);
	n = fs->pwritev(fd, &iov, 1, 0);
	if (n != (ssize_t)text.len || fs->fsync(fd) != 0)
		os = n >= 0 && n != (ssize_t)text.len ? ENOSPC : errno;
	(void)fs->close(fd);
	return os == 0 ? RC_OK : err_os(e, os, "write %s", path);
}

enum rc
file_replace(const char *path, struct slice text, struct err *e)
{
	char part[PATH_LEN + 8];
	enum rc rc;

	(void)snprintf(part, sizeof part, "%s.new", path);
	rc = write_synced(part, text, e);
	if (rc == RC_OK && fs->rename(AT_FDCWD, part, AT_FDCWD, path) != 0)
		rc = err_os(e, errno, "rename %s", part);
	if (rc == RC_OK)
		return file_sync_dir(path, e);
	(void)fs->unlink(AT_FDCWD, part);
	return rc;
}
