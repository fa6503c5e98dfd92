/* sim_calls - see sim_impl.h. */
#define _GNU_SOURCE
#include "tests/crash/sim_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define DISK_SIZE (UINT64_C(64) << 20)  /* what the disk tells of itself: a reserve of 8 MiB, never
                                         * written in full */

struct sim_file *
sim_file_of(int fd)
{
	return fd >= 0 && fd < FDS_MAX ? sim.fds[fd] : NULL;
}

/* A power cut starts the system anew. */
static int
open_boot_id(void)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)sim.boots);
	int fd = memfd_create("boot_id", 0);

	if (fd < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		abort();
	return fd;
}

static int
sim_open(int dirfd, const char *path, int flags, mode_t mode)
{
	char rel[PATH_LEN];
	struct entry *e = NULL;
	bool ours, makes;
	int fd;

	sim_lock();
	if (strcmp(path, BOOT_ID_FILE) == 0)
		return sim_unlock(open_boot_id());
	ours = sim_find_path(dirfd, path, rel);
	e = ours ? sim_find_entry(sim.now, rel) : NULL;
	makes = ours && e == NULL && rel[0] != '\0' && (flags & O_CREAT) != 0;
	if (ours && sim.cut) {
		errno = EIO;
		return sim_unlock(-1);
	}
	if (makes && sim_admit(sim_piece_of(rel), false, false) == FAIL)
		return sim_unlock(-1);
	fd = openat(dirfd, path, flags, mode);
	if (fd < 0 || !ours)
		return sim_unlock(fd);
	if (fd >= FDS_MAX)
		abort();
	if (makes) {
		struct sim_file *f = sim_new_file(rel, false);

		sim_set_entry(&sim.now, rel, f);
		sim_note_entry(rel, "", f);
		e = sim_find_entry(sim.now, rel);
	}
	sim.fds[fd] = e != NULL ? e->file : NULL;
	if (sim.cut) {            /* made, and then it was dark */
		sim.fds[fd] = NULL;
		close(fd);
		errno = EIO;
		fd = -1;
	}
	return sim_unlock(fd);
}

static int
sim_close(int fd)
{
	sim_lock();
	if (fd >= 0 && fd < FDS_MAX)
		sim.fds[fd] = NULL;
	return sim_unlock(close(fd));
}

static ssize_t
sim_pread(int fd, void *dst, size_t len, off_t off)
{
	if (sim_is_cut()) {
		errno = EIO;
		return -1;
	}
	return pread(fd, dst, len, off);
}

/* Write to the cache, noting it; *len may become less. */
int
sim_write_bytes(struct sim_file *f, const void *bytes, size_t *len, uint64_t off)
{
	enum verdict v = sim_admit(f->piece, true, false);
	size_t n = *len;

	if (v == FAIL)
		return -1;
	if (v == GO_PART && n > 1)
		*len = n = 1 + (size_t)sim_draw(n - 1);
	if (v == FAIL_EFFECT && !sim.cut)
		n = (size_t)((off + sim_draw(n)) / SECTOR * SECTOR > off
		                 ? (off + sim_draw(n)) / SECTOR * SECTOR - off
		                 : 0);
	if (n > *len)
		n = *len;
	sim_note_write(f, off, n, bytes);
	if (n > 0 && pwrite(sim_our_fd(f), bytes, n, (off_t)off) != (ssize_t)n)
		abort();
	errno = EIO;
	return v == FAIL_EFFECT ? -1 : 0;
}

static ssize_t
sim_pwritev(int fd, const struct iovec *iov, int count, off_t off)
{
	struct sim_file *f;
	size_t len = 0, at = 0;
	uint8_t *all;
	ssize_t result;

	sim_lock();
	f = sim_file_of(fd);
	if (f == NULL)
		return sim_unlock((int)pwritev(fd, iov, count, off));
	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	all = sim_must(malloc(len + 1));
	for (int i = 0; i < count; at += iov[i++].iov_len)
		memcpy(all + at, iov[i].iov_base, iov[i].iov_len);
	result = sim_write_bytes(f, all, &len, (uint64_t)off) == 0 ? (ssize_t)len : -1;
	free(all);
	return sim_unlock((int)result);
}

int
sim_sync_file(struct sim_file *f)
{
	enum verdict v = sim_admit(f->piece, false, true);

	if (v == GO) {
		sim_free_edits(f);
		if (f->is_dir)
			sim_settle_entries(
			    strlen(f->real) > sim.root_len ? f->real + sim.root_len + 1 : "");
		return 0;
	}
	if (v == FAIL_EFFECT && !sim.cut && !f->is_dir)
		sim_fail_sync(f);
	errno = EIO;
	return -1;
}

static int
sim_fsync(int fd)
{
	struct sim_file *f;

	sim_lock();
	f = sim_file_of(fd);
	return sim_unlock(f != NULL ? sim_sync_file(f) : fsync(fd));
}

int
sim_truncate_to(struct sim_file *f, uint64_t len)
{
	enum verdict v = sim_admit(f->piece, false, false);

	if (v == FAIL)
		return -1;
	sim_note_truncate(f, len);
	if (ftruncate(sim_our_fd(f), (off_t)len) != 0)
		abort();
	errno = EIO;
	return v == FAIL_EFFECT ? -1 : 0;
}

static int
sim_ftruncate(int fd, off_t len)
{
	struct sim_file *f;

	sim_lock();
	f = sim_file_of(fd);
	return sim_unlock(f != NULL ? sim_truncate_to(f, (uint64_t)len) : ftruncate(fd, len));
}

/* Space costs nothing here, so reserving it has no effect but to fail. */
static int
sim_reserve(int fd, off_t off, off_t len)
{
	struct sim_file *f;

	(void)off, (void)len;
	sim_lock();
	f = sim_file_of(fd);
	return sim_unlock(f == NULL || sim_admit(f->piece, false, false) == GO ? 0 : -1);
}

static int
sim_punch(int fd, off_t off, off_t len)
{
	struct sim_file *f;
	uint64_t size;
	size_t n;
	void *zeros;

	sim_lock();
	f = sim_file_of(fd);
	if (f == NULL || (size = sim_size_of(f)) <= (uint64_t)off)
		return sim_unlock(0);
	if (sim_admit(f->piece, false, false) == FAIL)
		return sim_unlock(-1);
	n = size - (uint64_t)off < (uint64_t)len ? (size_t)(size - (uint64_t)off) : (size_t)len;
	sim_note_write(f, (uint64_t)off, n, NULL);
	zeros = sim_must(calloc(1, n));
	if (pwrite(f->fd, zeros, n, off) != (ssize_t)n)
		abort();
	free(zeros);
	return sim_unlock(0);
}

static void
sim_forget(int fd)
{
	struct sim_file *f;

	sim_lock();
	f = sim_file_of(fd);
	for (struct stale *s = f != NULL ? f->stale : NULL; s != NULL; s = s->next)
		if (pwrite(sim_our_fd(f), s->disk, s->len, (off_t)s->off) != (ssize_t)s->len)
			abort();
	if (f != NULL)
		sim_free_stale(f);
	sim_unlock(0);
}

static int
sim_mkdir(int dirfd, const char *path, mode_t mode)
{
	char rel[PATH_LEN];
	struct sim_file *f;

	sim_lock();
	if (!sim_find_path(dirfd, path, rel))
		return sim_unlock(mkdirat(dirfd, path, mode));
	if (sim_find_entry(sim.now, rel) != NULL || rel[0] == '\0') {
		errno = EEXIST;
		return sim_unlock(-1);
	}
	if (sim_admit(PIECE_OTHER, false, false) == FAIL || mkdirat(dirfd, path, mode) != 0)
		return sim_unlock(-1);
	f = sim_new_file(rel, true);
	sim_set_entry(&sim.now, rel, f);
	sim_note_entry(rel, "", f);
	errno = EIO;
	return sim_unlock(sim.cut ? -1 : 0);
}

/* Its bytes are kept: the entry may come back. */
void
sim_bury(struct sim_file *f)
{
	char to[PATH_LEN], number[24];

	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)++sim.graves);
	sim_set_path(to, sizeof to, sim.grave, number);
	if (rename(f->real, to) != 0)
		abort();
	sim_set_path(f->real, sizeof f->real, "", to);
}

static int
sim_unlink(int dirfd, const char *path)
{
	char rel[PATH_LEN];
	struct entry *e;

	sim_lock();
	if (!sim_find_path(dirfd, path, rel))
		return sim_unlock(unlinkat(dirfd, path, 0));
	e = sim_find_entry(sim.now, rel);
	if (e == NULL) {
		errno = sim.cut ? EIO : ENOENT;
		return sim_unlock(-1);
	}
	sim.reaping = sim.reaping || e->file->piece == PIECE_LOG;
	if (sim_admit(e->file->piece, false, false) == FAIL)
		return sim_unlock(-1);
	sim_bury(e->file);
	sim_note_entry(rel, "", NULL);
	sim_drop_entry(&sim.now, rel);
	errno = EIO;
	return sim_unlock(sim.cut ? -1 : 0);
}

static int
sim_rename(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	char rel_from[PATH_LEN], rel_to[PATH_LEN];
	struct entry *e, *over;
	struct sim_file *f;

	sim_lock();
	if (!sim_find_path(from_dirfd, from, rel_from) || !sim_find_path(to_dirfd, to, rel_to))
		return sim_unlock(renameat(from_dirfd, from, to_dirfd, to));
	e = sim_find_entry(sim.now, rel_from);
	over = sim_find_entry(sim.now, rel_to);
	if (e == NULL) {
		errno = sim.cut ? EIO : ENOENT;
		return sim_unlock(-1);
	}
	f = e->file;
	if (sim_admit(sim_piece_of(rel_to), false, false) == FAIL)
		return sim_unlock(-1);
	if (over != NULL)
		sim_bury(over->file);
	if (renameat(from_dirfd, from, to_dirfd, to) != 0)
		abort();
	sim_set_path(f->real, sizeof f->real, sim.root, rel_to);
	f->piece = sim_piece_of(rel_to);
	sim_note_entry(rel_to, rel_from, f);
	sim_drop_entry(&sim.now, rel_from);
	sim_set_entry(&sim.now, rel_to, f);
	errno = EIO;
	return sim_unlock(sim.cut ? -1 : 0);
}

static bool
sim_measure(int fd, uint64_t *total, uint64_t *avail)
{
	(void)fd;
	*total = DISK_SIZE;
	*avail = DISK_SIZE / 2;
	return true;
}

const struct fs_ops sim_fs = {
	.open = sim_open,
	.close = sim_close,
	.pread = sim_pread,
	.pwritev = sim_pwritev,
	.fsync = sim_fsync,
	.fdatasync = sim_fsync,
	.ftruncate = sim_ftruncate,
	.reserve = sim_reserve,
	.punch = sim_punch,
	.forget = sim_forget,
	.mkdir = sim_mkdir,
	.unlink = sim_unlink,
	.rename = sim_rename,
	.measure = sim_measure,
};
