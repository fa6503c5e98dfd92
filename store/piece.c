/* piece - files of a local volume's log/ directory, and writing them. See piece.h. */
#define _GNU_SOURCE
#include "store/piece.h"

#include "store/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
piece_name(const struct seg_id *id, char name[PIECE_NAME_LEN])
{
	if (id->kind != SEG_BODY)
		snprintf(name, PIECE_NAME_LEN, "s-%llu-%u.%s", (unsigned long long)id->seq,
		         id->epoch, id->kind == SEG_LOG ? "seg" : "kept");
	else
		snprintf(name, PIECE_NAME_LEN, "b-%u-%llu.blob", id->epoch,
		         (unsigned long long)id->seq);
}

int
piece_open(int dirfd, const struct seg_id *id)
{
	char name[PIECE_NAME_LEN];

	piece_name(id, name);
	return fs->open(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
}

int
piece_create(int dirfd, const struct seg_id *id)
{
	char name[PIECE_NAME_LEN];

	piece_name(id, name);
	return fs->open(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void
piece_unlink(int dirfd, const struct seg_id *id)
{
	char name[PIECE_NAME_LEN];

	piece_name(id, name);
	(void)fs->unlink(dirfd, name);         /* what stays is an orphan that nothing names */
}

int
piece_remove(int dirfd, const struct seg_id *id)
{
	char name[PIECE_NAME_LEN];

	piece_name(id, name);
	return fs->unlink(dirfd, name) == 0 ? 0 : errno;
}

/* A name as piece_name writes it. */
static bool
parse_name(const char *name, enum seg_kind kind, struct seg_id *id)
{
	char again[PIECE_NAME_LEN];
	unsigned long long seq;
	unsigned epoch;
	int got;

	got = kind != SEG_BODY ? sscanf(name, "s-%19llu-%9u.", &seq, &epoch)
	                       : sscanf(name, "b-%9u-%19llu.", &epoch, &seq);
	if (got != 2)
		return false;
	*id = (struct seg_id){ seq, epoch, kind };
	piece_name(id, again);
	return strcmp(name, again) == 0;
}

static bool
add_id(struct seg_id **ids, size_t *count, size_t *cap, const struct seg_id *id)
{
	if (*count == *cap) {
		size_t want = *cap > 0 ? *cap * 2 : 64;
		struct seg_id *p = realloc(*ids, want * sizeof *p);

		if (p == NULL)
			return false;
		*ids = p;
		*cap = want;
	}
	(*ids)[(*count)++] = *id;
	return true;
}

enum rc
piece_list(int dirfd, enum seg_kind kind, struct seg_id **ids, size_t *count, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;
	struct seg_id id;
	size_t cap = 0;
	enum rc rc = RC_OK;

	*ids = NULL;
	*count = 0;
	if (dir == NULL) {
		rc = err_os(e, errno, "list the log's directory");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == RC_OK && (errno = 0, d = readdir(dir)) != NULL)
		if (parse_name(d->d_name, kind, &id) && !add_id(ids, count, &cap, &id))
			rc = err_nomem(e);
	if (rc == RC_OK && errno != 0)
		rc = err_os(e, errno, "list the log's directory");
	closedir(dir);
	if (rc != RC_OK) {
		free(*ids);
		*ids = NULL;
	}
	return rc;
}

enum rc
dir_sync(int fd, struct err *e)
{
	return fs->fsync(fd) == 0 ? RC_OK : err_os(e, errno, "sync directory");
}

/* All of the vectors at `offset`; uses them up. 0 or errno. */
int
write_all(int fd, struct iovec *iov, size_t count, uint64_t offset)
{
	while (count > 0) {
		ssize_t n = fs->pwritev(fd, iov, count < IOV_MAX ? (int)count : IOV_MAX,
		                        (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		offset += (uint64_t)n;
		while (count > 0 && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}
