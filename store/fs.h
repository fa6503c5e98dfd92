/* fs - the calls by which a volume's files are opened, read, changed and made durable: one table, so that a test can
 * put a simulated disk below everything that is to survive a power cut.
 *
 * The file backend and the files of the index (but for SQLite's own, which its VFS does) go through it. Not in it is
 * what only looks at names and sizes, and the lock: a simulated disk keeps real files, so that these need
 * no other answer.
 *
 * Each call is the POSIX one of its name: the same arguments, results and errno. `dirfd` may be AT_FDCWD. Any thread.
 *
 * Why the simulated disk stands here and not in the backend's table beside `file`: what a crash tears are the head's
 * slots, directory entries, reservations and the order of syncs, all of them the file backend's own work. A simulated
 * backend would put its own in their place, and test the log over a perfect disk.
 */
#ifndef RESTANTE_STORE_FS_H
#define RESTANTE_STORE_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct fs_ops {
	int     (*open)(int dirfd, const char *path, int flags, mode_t mode);
	int     (*close)(int fd);
	ssize_t (*pread)(int fd, void *dst, size_t len, off_t off);
	ssize_t (*pwritev)(int fd, const struct iovec *iov, int count, off_t off);
	int     (*fsync)(int fd);                       /* of a file, or of a directory: its entries */
	int     (*fdatasync)(int fd);
	int     (*ftruncate)(int fd, off_t len);
	/* Space for [off, off + len) without changing the size. EOPNOTSUPP: the system or the file system cannot. */
	int     (*reserve)(int fd, off_t off, off_t len);
	/* Give that space back; zeros are read there then. EOPNOTSUPP as above. */
	int     (*punch)(int fd, off_t off, off_t len);
	void    (*forget)(int fd);                      /* drop what the page cache holds of it */
	int     (*mkdir)(int dirfd, const char *path, mode_t mode);
	int     (*unlink)(int dirfd, const char *path);
	int     (*rename)(int from_dirfd, const char *from, int to_dirfd, const char *to);
	/* The file system's size and what is free in it for us, in bytes. False: not known. */
	bool    (*measure)(int fd, uint64_t *total, uint64_t *avail);
};

extern const struct fs_ops fs_posix;
/* The one in use: fs_posix, unless a test has put another here before anything was opened. */
extern const struct fs_ops *fs;

#endif
