/* piece - files of a local volume's log/ directory, and writing them. See piece.h. */
#define _GNU_SOURCE
#include "store/piece.h"

#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

void
piece_name(const struct seg_id *id, char name[PIECE_NAME_LEN])
{
	if (id->kind == SEG_LOG)
		snprintf(name, PIECE_NAME_LEN, "s-%llu-%u.seg", (unsigned long long)id->seq, id->epoch);
	else
		snprintf(name, PIECE_NAME_LEN, "b-%u-%llu.blob", id->epoch, (unsigned long long)id->seq);
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
		ssize_t n = fs->pwritev(fd, iov, count < IOV_MAX ? (int)count : IOV_MAX, (off_t)offset);

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
