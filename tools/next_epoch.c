/* next_epoch - see next_epoch.h. A number in digits and a line end. */
#include "tools/next_epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/replace.h"

#define PATH_LEN   4096u
#define DIGITS_MAX 10u

enum rc
next_epoch_read(const char *dir, uint32_t *out, struct err *e)
{
	char path[PATH_LEN], text[DIGITS_MAX + 2];
	uint64_t epoch;
	ssize_t n;
	int fd, os;

	*out = 0;
	(void)snprintf(path, sizeof path, "%s/next-epoch", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? RC_OK : err_os(e, errno, "%s", path);
	n = read(fd, text, sizeof text);
	os = errno;
	(void)close(fd);
	if (n < 0)
		return err_os(e, os, "%s", path);
	if (n < 2 || text[n - 1] != '\n' ||
	    !slice_to_u64(slice_of(text, (size_t)n - 1), UINT32_MAX, &epoch))
		return err_set(e, RC_CORRUPT, "%s holds no epoch; see doc/runbook.md", path);
	*out = (uint32_t)epoch;
	return RC_OK;
}

enum rc
next_epoch_write(const char *dir, uint32_t epoch, struct err *e)
{
	char path[PATH_LEN], text[DIGITS_MAX + 2];
	int len = snprintf(text, sizeof text, "%u\n", epoch);

	(void)snprintf(path, sizeof path, "%s/next-epoch", dir);
	return file_replace(path, slice_of(text, (size_t)len), e);
}
