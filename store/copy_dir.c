/* copy_dir - the directory that a copy is written to. See copy_dir.h. */
#define _GNU_SOURCE
#include "store/copy_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend_local.h"
#include "store/fs.h"
#include "store/piece.h"
#include "store/space.h"

#define HEAD_PART "head.part"
#define PART_END  ".part"
#define PART_NAME_LEN (PIECE_NAME_LEN + sizeof PART_END)

/* ---- opening ---- */

static bool
is_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The directory in which it lies gets its name durably. */
static enum rc
sync_parent(int dirfd, struct err *e)
{
	int fd = fs->open(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	enum rc rc;

	if (fd < 0)
		return err_os(e, errno, "open the directory above");
	rc = dir_sync(fd, e);
	fs->close(fd);
	return rc;
}

static enum rc
open_directory(struct copy_dir *d, const struct copy_dir_params *p, struct err *e)
{
	if (!p->dry_run && fs->mkdir(AT_FDCWD, p->path, 0700) != 0 && errno != EEXIST)
		return err_os(e, errno, "make directory %s", p->path);
	d->dirfd = fs->open(AT_FDCWD, p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (d->dirfd < 0 && p->dry_run && errno == ENOENT)
		return RC_OK;
	if (d->dirfd < 0)
		return err_os(e, errno, "open %s", p->path);
	return p->dry_run ? RC_OK : sync_parent(d->dirfd, e);
}

/* Nothing of somebody else is written into. */
static enum rc
want_empty(const struct copy_dir *d, const char *path, struct err *e)
{
	int fd = openat(d->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *f;
	enum rc rc = RC_OK;

	if (dir == NULL) {
		rc = err_os(e, errno, "list %s", path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == RC_OK && (f = readdir(dir)) != NULL)
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			rc = err_set(e, RC_EXISTS, "%s is not empty, and no backup", path);
	closedir(dir);
	return rc;
}

static enum rc
lock_it(const struct copy_dir *d, const char *path, struct err *e)
{
	if (head_try_lock(d->headfd))
		return RC_OK;
	if (errno != EAGAIN && errno != EACCES)
		return err_os(e, errno, "lock %s", path);
	return err_set(e, RC_BUSY, "%s is in use", path);
}

/* A head without segments: of which volume this will be. */
static enum rc
begin_head(struct copy_dir *d, const uint8_t *volume_id, struct err *e)
{
	enum rc rc;

	memcpy(d->former.volume_id, volume_id, VOLUME_ID_LEN);
	d->former.flags = ROOT_COPY;
	rc = space_reserve(d->headfd, 0, HEAD_FILE_LEN, 0, e);
	if (rc == RC_OK)
		rc = head_write(d->headfd, &d->former, &d->generation, e);
	return rc == RC_OK ? dir_sync(d->dirfd, e) : rc;
}

static enum rc
read_head(struct copy_dir *d, const struct copy_dir_params *p, struct err *e)
{
	unsigned bad_slots;
	enum rc rc = head_read(d->headfd, &d->former, &d->generation, &bad_slots, e);

	if (rc != RC_OK)
		return err_add(e, "%s", p->path);
	if (p->fresh_only && !d->fresh)
		return err_set(e, RC_EXISTS, "%s: there is a volume already", p->path);
	if ((d->former.flags & ROOT_COPY) == 0)
		return err_set(e, RC_EXISTS, "%s is a volume of its own, no backup", p->path);
	if (memcmp(d->former.volume_id, p->volume_id, VOLUME_ID_LEN) != 0)
		return err_set(e, RC_DENIED, "%s is a backup of another volume", p->path);
	return RC_OK;
}

/* What a try that was cut has left is taken up; a head.part that does not hold was cut
 * when it was made. */
static enum rc
open_part(struct copy_dir *d, const struct copy_dir_params *p, struct err *e)
{
	bool there = d->dirfd >= 0 && is_there(d->dirfd, HEAD_PART);
	enum rc rc = d->dirfd < 0 || there ? RC_OK : want_empty(d, p->path, e);

	d->fresh = true;
	if (rc != RC_OK || (p->dry_run && !there))
		return rc;
	d->headfd = fs->open(d->dirfd, HEAD_PART,
	    p->dry_run ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->headfd < 0)
		return err_os(e, errno, "make %s/" HEAD_PART, p->path);
	if (!p->dry_run)
		rc = lock_it(d, p->path, e);
	if (rc == RC_OK && is_there(d->dirfd, "head"))
		/* another one has just made it */
		return err_set(e, RC_BUSY, "%s is in use", p->path);
	if (rc != RC_OK)
		return rc;
	rc = there ? read_head(d, p, e) : RC_CORRUPT;
	if (rc == RC_CORRUPT && !p->dry_run)
		rc = begin_head(d, p->volume_id, e);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

static enum rc
open_head(struct copy_dir *d, const struct copy_dir_params *p, struct err *e)
{
	enum rc rc = RC_OK;

	if (d->dirfd < 0 || !is_there(d->dirfd, "head"))
		return open_part(d, p, e);
	d->headfd = fs->open(
	    d->dirfd, "head", (p->dry_run ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW, 0);
	if (d->headfd < 0)
		return err_os(e, errno, "open %s/head", p->path);
	if (!p->dry_run)
		rc = lock_it(d, p->path, e);
	return rc == RC_OK ? read_head(d, p, e) : rc;
}

static enum rc
open_log(struct copy_dir *d, const struct copy_dir_params *p, struct err *e)
{
	if (d->dirfd < 0)
		return RC_OK;
	if (!p->dry_run && fs->mkdir(d->dirfd, "log", 0700) != 0 && errno != EEXIST)
		return err_os(e, errno, "make %s/log", p->path);
	d->logfd = fs->open(d->dirfd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (d->logfd < 0 && !(p->dry_run && errno == ENOENT))
		return err_os(e, errno, "open %s/log", p->path);
	return RC_OK;
}

enum rc
copy_dir_open(const struct copy_dir_params *p, struct copy_dir *d, struct err *e)
{
	enum rc rc;

	*d = (struct copy_dir){ .dirfd = -1, .logfd = -1, .headfd = -1 };
	rc = open_directory(d, p, e);
	if (rc == RC_OK)
		rc = open_head(d, p, e);
	if (rc == RC_OK)
		rc = open_log(d, p, e);
	if (rc != RC_OK)
		copy_dir_close(d);
	return rc;
}

void
copy_dir_close(struct copy_dir *d)
{
	if (d->headfd >= 0)
		fs->close(d->headfd);   /* the lock goes with it */
	if (d->logfd >= 0)
		fs->close(d->logfd);
	if (d->dirfd >= 0)
		fs->close(d->dirfd);
	root_fini(&d->former);
	d->headfd = d->logfd = d->dirfd = -1;
}

/* ---- pieces ---- */

uint64_t
copy_dir_size(const struct copy_dir *d, const struct seg_id *id)
{
	char name[PIECE_NAME_LEN];
	struct stat st;

	piece_name(id, name);
	if (d->logfd < 0 || fstatat(d->logfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return 0;
	return (uint64_t)st.st_size;
}

bool
copy_dir_peek(const struct copy_dir *d, const struct seg_id *id, uint8_t *dst, size_t len)
{
	int fd = d->logfd >= 0 ? piece_open(d->logfd, id) : -1;
	size_t got = 0;
	ssize_t n = 1;

	if (fd < 0)
		return false;
	while (got < len && (n > 0 || (n < 0 && errno == EINTR))) {
		n = fs->pread(fd, dst + got, len - got, (off_t)got);
		got += n > 0 ? (size_t)n : 0;
	}
	fs->close(fd);
	return got == len;
}

static void
part_name(const struct seg_id *id, char name[PART_NAME_LEN])
{
	piece_name(id, name);
	strcat(name, PART_END);
}

int
copy_dir_begin(const struct copy_dir *d, const struct seg_id *id)
{
	char name[PART_NAME_LEN];

	part_name(id, name);
	(void)fs->unlink(d->logfd, name);       /* of a try that was cut */
	return fs->open(d->logfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int
copy_dir_continue(const struct copy_dir *d, const struct seg_id *id)
{
	char name[PIECE_NAME_LEN];

	piece_name(id, name);
	return fs->open(d->logfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
}

enum rc
copy_dir_finish(const struct copy_dir *d, const struct seg_id *id, int fd, bool begun,
                struct err *e)
{
	char part[PART_NAME_LEN], name[PIECE_NAME_LEN];
	int os = fs->fsync(fd) != 0 ? errno : 0;

	part_name(id, part);
	piece_name(id, name);
	fs->close(fd);
	if (os == 0 && begun && fs->rename(d->logfd, part, d->logfd, name) != 0)
		os = errno;
	if (os != 0 && begun)
		(void)fs->unlink(d->logfd, part);
	return os != 0 ? err_os(e, os, "end the copy of %s", name) : RC_OK;
}

void
copy_dir_abandon(const struct copy_dir *d, const struct seg_id *id, int fd, bool begun)
{
	char name[PART_NAME_LEN];

	fs->close(fd);
	part_name(id, name);
	if (begun)
		(void)fs->unlink(d->logfd, name);
}

/* ---- the head ---- */

enum rc
copy_dir_commit(struct copy_dir *d, const struct root *root, struct err *e)
{
	enum rc rc = dir_sync(d->logfd, e);

	if (rc == RC_OK)
		rc = head_write(d->headfd, root, &d->generation, e);
	if (rc != RC_OK || !d->fresh)
		return rc;
	if (fs->fsync(d->headfd) != 0)
		return err_os(e, errno, "sync head");
	/* log/ is there for good before the head names what is in it */
	rc = dir_sync(d->dirfd, e);
	if (rc != RC_OK)
		return rc;
	if (fs->rename(d->dirfd, HEAD_PART, d->dirfd, "head") != 0)
		return err_os(e, errno, "rename " HEAD_PART);
	return dir_sync(d->dirfd, e);
}

static uint64_t
sweep_kind(const struct copy_dir *d, enum seg_kind kind,
           bool (*wanted)(void *arg, const struct seg_id *id), void *arg, bool only_count)
{
	struct seg_id *ids = NULL;
	size_t count = 0;
	uint64_t n = 0;
	struct err e;

	if (piece_list(d->logfd, kind, &ids, &count, &e) != RC_OK)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (wanted(arg, &ids[i]))
			continue;
		n++;
		if (!only_count)
			piece_unlink(d->logfd, &ids[i]);
	}
	free(ids);
	return n;
}

static void
sweep_parts(const struct copy_dir *d)
{
	int fd = openat(d->logfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *f;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((f = readdir(dir)) != NULL) {
		size_t len = strlen(f->d_name);

		if (len > sizeof PART_END - 1 &&
		    strcmp(f->d_name + len - (sizeof PART_END - 1), PART_END) == 0)
			(void)fs->unlink(d->logfd, f->d_name);
	}
	closedir(dir);
}

uint64_t
copy_dir_sweep(const struct copy_dir *d, bool (*wanted)(void *arg, const struct seg_id *id),
               void *arg, bool only_count)
{
	if (d->logfd < 0)
		return 0;
	if (!only_count)
		sweep_parts(d);
	return sweep_kind(d, SEG_LOG, wanted, arg, only_count) +
	       sweep_kind(d, SEG_BODY, wanted, arg, only_count);
}

bool
copy_dir_room(const struct copy_dir *d, uint64_t *bytes)
{
	uint64_t disk;

	return d->logfd >= 0 && space_measure(d->logfd, &disk, bytes);
}
