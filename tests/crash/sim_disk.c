/* sim_disk - edits, entries, faults. See sim_disk.h.
 *
 * An edit keeps the old bytes and the new ones: what is durable is the file as it is with its edits taken back, so a
 * sync costs nothing but forgetting them, and no second copy of any file is kept.
 *
 * Rejected: a file system in memory (SQLite and mmap of its -shm want real files); overlapping writes that reach the
 * disk in the wrong order (no page cache does that; an older one without the newer is what a dropped edit gives).
 */
#define _GNU_SOURCE
#include "tests/crash/sim_disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LEN  512
#define FDS_MAX   4096
#define PAGE      4096u
#define SECTOR    512u
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define DISK_SIZE (UINT64_C(64) << 20)  /* what the disk tells of itself: a reserve of 8 MiB, never written in full */

const char *const sim_fault_names[SIM_FAULTS] = { "cut-before", "cut-in", "eio", "enospc", "short", "torn", "sync" };
const char *const sim_phase_names[SIM_PHASES] = { "before", "write", "written", "sync", "synced", "index", "head",
	                                          "reap", "takeover", "done" };

enum piece { PIECE_LOG, PIECE_HEAD, PIECE_INDEX, PIECE_OTHER };

/* One change of a file's bytes or length. A truncation has no new bytes, a punch zeros. */
struct edit {
	struct edit *next, *prev;
	uint64_t     seq;               /* over the whole disk */
	uint64_t     off, old_size, new_size;
	size_t       len, old_len;
	uint8_t     *bytes;             /* new ones, then old ones */
	bool         truncates;
};

/* A page that counts as clean and is not what the disk holds. */
struct stale {
	struct stale *next;
	uint64_t      off;
	size_t        len;
	uint8_t       disk[PAGE];
};

struct sim_file {
	struct sim_file *next;
	char             real[PATH_LEN];        /* where its bytes are now: in the tree, or in the graveyard */
	int              fd;                    /* ours */
	enum piece       piece;
	bool             is_dir;
	struct edit     *first, *last;
	struct stale    *stale;
};

/* A name in the tree, relative to the root. */
struct entry {
	struct entry    *next;
	char             path[PATH_LEN];
	struct sim_file *file;
};

/* An entry made (file), removed (no file) or moved (from) and not synced. */
struct entry_op {
	struct entry_op *next;
	uint64_t         seq;
	char             path[PATH_LEN];
	char             from[PATH_LEN];
	struct sim_file *file;
};

static struct {
	pthread_mutex_t  lock;
	char             root[PATH_LEN], grave[PATH_LEN];
	size_t           root_len;
	struct sim_file *files;
	struct entry    *now, *durable;
	struct entry_op *ops, **ops_end;
	struct sim_file *fds[FDS_MAX];
	uint64_t         random, seq, graves, boots;
	uint64_t         count, armed;
	enum sim_fault   fault;
	enum sim_phase   hit_phase;
	bool             hit, cut, takeover;
	bool             log_dirty, log_synced, index_touched, reaping;
} d = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
lock(void)
{
	pthread_mutex_lock(&d.lock);
}

static int
unlock(int result)
{
	int os = errno;

	pthread_mutex_unlock(&d.lock);
	errno = os;
	return result;
}

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* SplitMix64. */
static uint64_t
draw(uint64_t below)
{
	uint64_t z = d.random += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	return below > 0 ? z % below : z;
}

uint64_t
sim_random(uint64_t below)
{
	uint64_t r;

	lock();
	r = draw(below);
	unlock(0);
	return r;
}

void
sim_seed(uint64_t seed)
{
	lock();
	d.random = seed;
	unlock(0);
}

/* ---- names ---- */

static void
set_path(char *dst, size_t size, const char *dir, const char *name)
{
	int n = snprintf(dst, size, "%s%s%s", dir, dir[0] != '\0' && name[0] != '\0' ? "/" : "", name);

	if (n < 0 || (size_t)n >= size)
		abort();
}

static struct entry *
find_entry(struct entry *list, const char *path)
{
	while (list != NULL && strcmp(list->path, path) != 0)
		list = list->next;
	return list;
}

static void
set_entry(struct entry **list, const char *path, struct sim_file *f)
{
	struct entry *e = find_entry(*list, path);

	if (e == NULL) {
		e = must(calloc(1, sizeof *e));
		set_path(e->path, sizeof e->path, "", path);
		e->next = *list;
		*list = e;
	}
	e->file = f;
}

static void
drop_entry(struct entry **list, const char *path)
{
	for (struct entry **p = list; *p != NULL; p = &(*p)->next) {
		struct entry *e = *p;

		if (strcmp(e->path, path) == 0) {
			*p = e->next;
			free(e);
			return;
		}
	}
}

static void
free_entries(struct entry **list)
{
	while (*list != NULL)
		drop_entry(list, (*list)->path);
}

static enum piece
piece_of(const char *path)
{
	const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

	if (strncmp(name, "s-", 2) == 0 || strncmp(name, "b-", 2) == 0 || strcmp(name, "log") == 0)
		return PIECE_LOG;
	if (strncmp(name, "head", 4) == 0)
		return PIECE_HEAD;
	return strncmp(name, "index.db", 8) == 0 ? PIECE_INDEX : PIECE_OTHER;
}

static struct sim_file *
new_file(const char *path, bool is_dir)
{
	struct sim_file *f = must(calloc(1, sizeof *f));

	set_path(f->real, sizeof f->real, d.root, path);
	f->fd = -1;
	f->piece = piece_of(path);
	f->is_dir = is_dir;
	f->next = d.files;
	d.files = f;
	return f;
}

static bool
is_shm(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && strcmp(path + n - 4, "-shm") == 0;
}

/* The path below the root; false: elsewhere, or a file that is no part of what is durable. "" is the root itself. */
static bool
relative(int dirfd, const char *path, char out[PATH_LEN])
{
	char whole[2 * PATH_LEN];

	if (path[0] == '/') {
		set_path(whole, sizeof whole, "", path);
	} else if (dirfd >= 0 && dirfd < FDS_MAX && d.fds[dirfd] != NULL) {
		set_path(whole, sizeof whole, d.fds[dirfd]->real, strcmp(path, "..") == 0 ? "" : path);
		if (strcmp(path, "..") == 0)
			*strrchr(whole, '/') = '\0';
	} else {
		return false;
	}
	if (strncmp(whole, d.root, d.root_len) != 0 || is_shm(whole))
		return false;
	if (whole[d.root_len] == '\0')
		out[0] = '\0';
	else if (whole[d.root_len] == '/')
		set_path(out, PATH_LEN, "", whole + d.root_len + 1);
	else
		return false;
	return true;
}

static void
note_op(const char *path, const char *from, struct sim_file *f)
{
	struct entry_op *op = must(calloc(1, sizeof *op));

	op->seq = ++d.seq;
	set_path(op->path, sizeof op->path, "", path);
	set_path(op->from, sizeof op->from, "", from);
	op->file = f;
	*d.ops_end = op;
	d.ops_end = &op->next;
}

static bool
lies_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	const char *rest = n == 0 ? path : path + n + 1;

	return (n == 0 || (strncmp(path, dir, n) == 0 && path[n] == '/')) && strchr(rest, '/') == NULL;
}

static void
apply_op(struct entry **list, const struct entry_op *op)
{
	if (op->from[0] != '\0')
		drop_entry(list, op->from);
	if (op->file != NULL)
		set_entry(list, op->path, op->file);
	else
		drop_entry(list, op->path);
}

/* The directory's entries are durable as they are. */
static void
settle_entries(const char *dir)
{
	struct entry_op **p = &d.ops, *op;

	while ((op = *p) != NULL) {
		if (!lies_in(op->path, dir)) {
			p = &op->next;
			continue;
		}
		apply_op(&d.durable, op);
		*p = op->next;
		free(op);
	}
	d.ops_end = p;
}

/* ---- bytes ---- */

static int
our_fd(struct sim_file *f)
{
	if (f->fd < 0) {
		f->fd = open(f->real, O_RDWR | O_CLOEXEC);
		assert(f->fd >= 0);
	}
	return f->fd;
}

static uint64_t
size_of(struct sim_file *f)
{
	struct stat st;

	return fstat(our_fd(f), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static struct edit *
add_edit(struct sim_file *f, uint64_t off, size_t len, size_t old_len, const void *bytes)
{
	struct edit *ed = must(calloc(1, sizeof *ed));

	ed->seq = ++d.seq;
	ed->off = off;
	ed->len = len;
	ed->old_len = old_len;
	ed->bytes = must(malloc(len + old_len + 1));
	if (bytes != NULL)
		memcpy(ed->bytes, bytes, len);
	else
		memset(ed->bytes, 0, len);
	ed->prev = f->last;
	if (f->last != NULL)
		f->last->next = ed;
	else
		f->first = ed;
	f->last = ed;
	return ed;
}

static void
free_edits(struct sim_file *f)
{
	while (f->first != NULL) {
		struct edit *ed = f->first;

		f->first = ed->next;
		free(ed->bytes);
		free(ed);
	}
	f->last = NULL;
}

/* Pages that are written to again are dirty again, as a whole. */
static void
dirty_stale(struct sim_file *f, uint64_t off, uint64_t end)
{
	struct stale **p = &f->stale, *s;

	while ((s = *p) != NULL) {
		struct edit *ed;

		if (s->off >= end || s->off + s->len <= off) {
			p = &s->next;
			continue;
		}
		ed = add_edit(f, s->off, s->len, s->len, NULL);
		ed->old_size = ed->new_size = size_of(f);
		if (pread(f->fd, ed->bytes, s->len, (off_t)s->off) < 0)
			abort();
		memcpy(ed->bytes + ed->len, s->disk, s->len);
		*p = s->next;
		free(s);
	}
}

/* A write that is about to be done, or zeros with bytes NULL. */
static void
note_write(struct sim_file *f, uint64_t off, size_t len, const void *bytes)
{
	uint64_t size = size_of(f);
	size_t old_len = off >= size ? 0 : size - off < len ? (size_t)(size - off) : len;
	struct edit *ed;

	if (len == 0)
		return;
	dirty_stale(f, off / PAGE * PAGE, (off + len + PAGE - 1) / PAGE * PAGE);
	ed = add_edit(f, off, len, old_len, bytes);
	ed->old_size = size;
	ed->new_size = off + len > size ? off + len : size;
	if (old_len > 0 && pread(f->fd, ed->bytes + len, old_len, (off_t)off) != (ssize_t)old_len)
		abort();
}

static void
note_truncate(struct sim_file *f, uint64_t len)
{
	uint64_t size = size_of(f);
	size_t old_len = len < size ? (size_t)(size - len) : 0;
	struct edit *ed;

	dirty_stale(f, len / PAGE * PAGE, UINT64_MAX);
	ed = add_edit(f, len, 0, old_len, NULL);
	ed->old_size = size;
	ed->new_size = len;
	ed->truncates = true;
	if (old_len > 0 && pread(f->fd, ed->bytes, old_len, (off_t)len) != (ssize_t)old_len)
		abort();
}

/* ---- what the disk keeps ---- */

enum mood {
	KEEP_NONE,
	KEEP_ALL,
	KEEP_FIRST,             /* up to one edit, which is torn */
	KEEP_SOME,              /* each for itself; some torn */
	KEEP_LENGTHS,           /* as KEEP_SOME, but bytes may be missing from what was made longer */
	KEEP_FILES,             /* of some files all, of others nothing */
	MOODS,
};

struct fate {
	enum mood mood;
	uint64_t  up_to;        /* KEEP_FIRST */
};

struct image {
	uint8_t *bytes;
	uint64_t size, cap;
};

static bool
keeps(const struct fate *t, uint64_t seq)
{
	switch (t->mood) {
	case KEEP_NONE:
		return false;
	case KEEP_ALL:
		return true;
	case KEEP_FIRST:
		return seq <= t->up_to;
	case KEEP_SOME:
	case KEEP_LENGTHS:
	case KEEP_FILES:
		return draw(2) == 0;
	case MOODS:
		break;
	}
	return false;
}

/* The edit's sectors, each by chance, or a first part of them. */
static void
tear(const struct edit *ed, struct image *im)
{
	uint64_t unit = draw(2) == 0 ? SECTOR : PAGE, end = ed->off + ed->len;
	uint64_t until = draw(2) == 0 ? ed->off + draw(ed->len) : UINT64_MAX;

	for (uint64_t at = ed->off; at < end;) {
		uint64_t next = (at / unit + 1) * unit;
		size_t n = (size_t)((next < end ? next : end) - at);

		if (until == UINT64_MAX ? draw(2) == 0 : next <= until) {
			memcpy(im->bytes + at, ed->bytes + (at - ed->off), n);
			if (at + n > im->size)
				im->size = at + n;
		}
		at += n;
	}
}

static void
redo(const struct edit *ed, const struct fate *t, struct image *im)
{
	bool torn = (t->mood == KEEP_FIRST && ed->seq == t->up_to) || (t->mood >= KEEP_SOME && draw(4) == 0);

	if (!keeps(t, ed->seq)) {
		if (t->mood == KEEP_LENGTHS && ed->new_size > im->size && draw(2) == 0)
			im->size = ed->new_size;
		return;
	}
	if (ed->truncates) {
		if (ed->new_size < im->size)
			memset(im->bytes + ed->new_size, 0, im->size - ed->new_size);
		im->size = ed->new_size;
	} else if (torn) {
		tear(ed, im);
	} else {
		memcpy(im->bytes + ed->off, ed->bytes, ed->len);
		if (ed->off + ed->len > im->size)
			im->size = ed->off + ed->len;
	}
}

static void
undo(const struct edit *ed, struct image *im)
{
	memcpy(im->bytes + ed->off, ed->bytes + ed->len, ed->old_len);
	if (ed->old_size < im->size)
		memset(im->bytes + ed->old_size, 0, im->size - ed->old_size);
	im->size = ed->old_size;
}

/* What the disk holds of the file if these are the chances. */
static void
develop(struct sim_file *f, const struct fate *t, struct image *im)
{
	uint64_t size = size_of(f);

	im->cap = size;
	for (const struct edit *ed = f->first; ed != NULL; ed = ed->next) {
		uint64_t most = ed->old_size > ed->new_size ? ed->old_size : ed->new_size;

		if (most > im->cap)
			im->cap = most;
	}
	im->bytes = must(calloc(1, im->cap + 1));
	im->size = size;
	for (uint64_t at = 0; at < size;) {
		ssize_t n = pread(f->fd, im->bytes + at, size - at, (off_t)at);

		if (n <= 0)
			abort();
		at += (uint64_t)n;
	}
	for (const struct stale *s = f->stale; s != NULL; s = s->next)
		memcpy(im->bytes + s->off, s->disk, s->len);
	for (const struct edit *ed = f->last; ed != NULL; ed = ed->prev)
		undo(ed, im);
	for (const struct edit *ed = f->first; ed != NULL; ed = ed->next)
		redo(ed, t, im);
}

static void
free_stale(struct sim_file *f)
{
	while (f->stale != NULL) {
		struct stale *s = f->stale;

		f->stale = s->next;
		free(s);
	}
}

/* A sync that failed: by chance each edit is on the disk or not, and the pages that are not count as clean. */
static void
fail_sync(struct sim_file *f)
{
	struct fate t = { .mood = KEEP_SOME };
	struct image im;
	uint8_t cache[PAGE];
	uint64_t size = size_of(f);

	if (f->first == NULL)
		return;
	t.mood = draw(2) == 0 ? KEEP_NONE : KEEP_SOME;
	develop(f, &t, &im);
	free_edits(f);
	free_stale(f);
	if (im.cap < size)
		abort();
	for (uint64_t at = 0; at < size; at += PAGE) {
		size_t n = size - at < PAGE ? (size_t)(size - at) : PAGE;
		struct stale *s;

		if (pread(f->fd, cache, n, (off_t)at) != (ssize_t)n)
			abort();
		if (memcmp(cache, im.bytes + at, n) == 0)
			continue;
		s = must(calloc(1, sizeof *s));
		s->off = at;
		s->len = n;
		memcpy(s->disk, im.bytes + at, n);
		s->next = f->stale;
		f->stale = s;
	}
	free(im.bytes);
}

/* ---- faults ---- */

static enum sim_phase
phase_now(enum piece piece, bool is_write, bool is_sync, bool in)
{
	if (d.takeover)
		return SIM_TAKEOVER;
	if (d.reaping && piece != PIECE_INDEX)
		return SIM_REAP;
	if (piece == PIECE_HEAD)
		return SIM_HEAD;
	if (piece == PIECE_INDEX)
		return in || d.index_touched || !d.log_synced ? SIM_INDEX : SIM_SYNCED;
	if (in && piece == PIECE_LOG && is_write)
		return SIM_WRITE;
	if (in && piece == PIECE_LOG && is_sync)
		return SIM_IN_SYNC;
	if (d.log_dirty)
		return SIM_WRITTEN;
	return d.log_synced ? SIM_SYNCED : SIM_BEFORE;
}

enum verdict { GO, GO_PART, FAIL_EFFECT, FAIL };

/* One operation more. GO: it is to be done; GO_PART: a part of a write; FAIL_EFFECT: done (a sync: not), then EIO; FAIL:
 * errno says why. */
static enum verdict
admit(enum piece piece, bool is_write, bool is_sync)
{
	bool in = d.fault != SIM_CUT_BEFORE;

	errno = EIO;
	if (d.cut)
		return FAIL;
	if (++d.count != d.armed || d.hit) {
		if (piece == PIECE_LOG && is_write)
			d.log_dirty = true;
		if (piece == PIECE_LOG && is_sync && d.log_dirty) {
			d.log_dirty = false;
			d.log_synced = true;
		}
		d.index_touched = d.index_touched || (piece == PIECE_INDEX && d.log_synced);
		return GO;
	}
	d.hit = true;
	d.hit_phase = phase_now(piece, is_write, is_sync, in);
	switch (d.fault) {
	case SIM_CUT_BEFORE:
		d.cut = true;
		return FAIL;
	case SIM_CUT_IN:
		d.cut = true;
		return FAIL_EFFECT;
	case SIM_ENOSPC:
		errno = ENOSPC;
		return FAIL;
	case SIM_SHORT:
		return is_write ? GO_PART : FAIL;
	case SIM_TORN:
	case SIM_SYNC:
		return (d.fault == SIM_TORN ? is_write : is_sync) ? FAIL_EFFECT : FAIL;
	case SIM_EIO:
	case SIM_FAULTS:
		break;
	}
	return FAIL;
}

void
sim_arm(enum sim_fault fault, uint64_t n)
{
	lock();
	d.fault = fault;
	d.armed = n;
	d.count = 0;
	d.hit = d.log_dirty = d.log_synced = d.index_touched = d.reaping = false;
	d.hit_phase = SIM_DONE;
	unlock(0);
}

uint64_t
sim_count(void)
{
	uint64_t n;

	lock();
	n = d.count;
	unlock(0);
	return n;
}

bool
sim_hit(void)
{
	lock();
	return unlock(d.hit) != 0;
}

bool
sim_is_cut(void)
{
	lock();
	return unlock(d.cut) != 0;
}

enum sim_phase
sim_hit_phase(void)
{
	return d.hit_phase;
}

void
sim_in_takeover(bool yes)
{
	lock();
	d.takeover = yes;
	unlock(0);
}

void
sim_pause(void)
{
	lock();
	(void)admit(PIECE_OTHER, false, false);
	unlock(0);
}

void
sim_cut(void)
{
	lock();
	d.cut = true;
	unlock(0);
}

/* ---- the calls ---- */

static struct sim_file *
file_of(int fd)
{
	return fd >= 0 && fd < FDS_MAX ? d.fds[fd] : NULL;
}

/* A power cut starts the system anew. */
static int
open_boot_id(void)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)d.boots);
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

	lock();
	if (strcmp(path, BOOT_ID_FILE) == 0)
		return unlock(open_boot_id());
	ours = relative(dirfd, path, rel);
	e = ours ? find_entry(d.now, rel) : NULL;
	makes = ours && e == NULL && rel[0] != '\0' && (flags & O_CREAT) != 0;
	if (ours && d.cut) {
		errno = EIO;
		return unlock(-1);
	}
	if (makes && admit(piece_of(rel), false, false) == FAIL)
		return unlock(-1);
	fd = openat(dirfd, path, flags, mode);
	if (fd < 0 || !ours)
		return unlock(fd);
	if (fd >= FDS_MAX)
		abort();
	if (makes) {
		struct sim_file *f = new_file(rel, false);

		set_entry(&d.now, rel, f);
		note_op(rel, "", f);
		e = find_entry(d.now, rel);
	}
	d.fds[fd] = e != NULL ? e->file : NULL;
	if (d.cut) {            /* made, and then it was dark */
		d.fds[fd] = NULL;
		close(fd);
		errno = EIO;
		fd = -1;
	}
	return unlock(fd);
}

static int
sim_close(int fd)
{
	lock();
	if (fd >= 0 && fd < FDS_MAX)
		d.fds[fd] = NULL;
	return unlock(close(fd));
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
static int
write_bytes(struct sim_file *f, const void *bytes, size_t *len, uint64_t off)
{
	enum verdict v = admit(f->piece, true, false);
	size_t n = *len;

	if (v == FAIL)
		return -1;
	if (v == GO_PART && n > 1)
		*len = n = 1 + (size_t)draw(n - 1);
	if (v == FAIL_EFFECT && !d.cut)
		n = (size_t)((off + draw(n)) / SECTOR * SECTOR > off ? (off + draw(n)) / SECTOR * SECTOR - off : 0);
	if (n > *len)
		n = *len;
	note_write(f, off, n, bytes);
	if (n > 0 && pwrite(our_fd(f), bytes, n, (off_t)off) != (ssize_t)n)
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

	lock();
	f = file_of(fd);
	if (f == NULL)
		return unlock((int)pwritev(fd, iov, count, off));
	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	all = must(malloc(len + 1));
	for (int i = 0; i < count; at += iov[i++].iov_len)
		memcpy(all + at, iov[i].iov_base, iov[i].iov_len);
	result = write_bytes(f, all, &len, (uint64_t)off) == 0 ? (ssize_t)len : -1;
	free(all);
	return unlock((int)result);
}

static int
sync_file(struct sim_file *f)
{
	enum verdict v = admit(f->piece, false, true);

	if (v == GO) {
		free_edits(f);
		if (f->is_dir)
			settle_entries(strlen(f->real) > d.root_len ? f->real + d.root_len + 1 : "");
		return 0;
	}
	if (v == FAIL_EFFECT && !d.cut && !f->is_dir)
		fail_sync(f);
	errno = EIO;
	return -1;
}

static int
sim_fsync(int fd)
{
	struct sim_file *f;

	lock();
	f = file_of(fd);
	return unlock(f != NULL ? sync_file(f) : fsync(fd));
}

static int
truncate_to(struct sim_file *f, uint64_t len)
{
	enum verdict v = admit(f->piece, false, false);

	if (v == FAIL)
		return -1;
	note_truncate(f, len);
	if (ftruncate(our_fd(f), (off_t)len) != 0)
		abort();
	errno = EIO;
	return v == FAIL_EFFECT ? -1 : 0;
}

static int
sim_ftruncate(int fd, off_t len)
{
	struct sim_file *f;

	lock();
	f = file_of(fd);
	return unlock(f != NULL ? truncate_to(f, (uint64_t)len) : ftruncate(fd, len));
}

/* Space costs nothing here, so reserving it has no effect but to fail. */
static int
sim_reserve(int fd, off_t off, off_t len)
{
	struct sim_file *f;

	(void)off, (void)len;
	lock();
	f = file_of(fd);
	return unlock(f == NULL || admit(f->piece, false, false) == GO ? 0 : -1);
}

static int
sim_punch(int fd, off_t off, off_t len)
{
	struct sim_file *f;
	uint64_t size;
	size_t n;
	void *zeros;

	lock();
	f = file_of(fd);
	if (f == NULL || (size = size_of(f)) <= (uint64_t)off)
		return unlock(0);
	if (admit(f->piece, false, false) == FAIL)
		return unlock(-1);
	n = size - (uint64_t)off < (uint64_t)len ? (size_t)(size - (uint64_t)off) : (size_t)len;
	note_write(f, (uint64_t)off, n, NULL);
	zeros = must(calloc(1, n));
	if (pwrite(f->fd, zeros, n, off) != (ssize_t)n)
		abort();
	free(zeros);
	return unlock(0);
}

static void
sim_forget(int fd)
{
	struct sim_file *f;

	lock();
	f = file_of(fd);
	for (struct stale *s = f != NULL ? f->stale : NULL; s != NULL; s = s->next)
		if (pwrite(our_fd(f), s->disk, s->len, (off_t)s->off) != (ssize_t)s->len)
			abort();
	if (f != NULL)
		free_stale(f);
	unlock(0);
}

static int
sim_mkdir(int dirfd, const char *path, mode_t mode)
{
	char rel[PATH_LEN];
	struct sim_file *f;

	lock();
	if (!relative(dirfd, path, rel))
		return unlock(mkdirat(dirfd, path, mode));
	if (find_entry(d.now, rel) != NULL || rel[0] == '\0') {
		errno = EEXIST;
		return unlock(-1);
	}
	if (admit(PIECE_OTHER, false, false) == FAIL || mkdirat(dirfd, path, mode) != 0)
		return unlock(-1);
	f = new_file(rel, true);
	set_entry(&d.now, rel, f);
	note_op(rel, "", f);
	errno = EIO;
	return unlock(d.cut ? -1 : 0);
}

/* Its bytes are kept: the entry may come back. */
static void
bury(struct sim_file *f)
{
	char to[PATH_LEN], number[24];

	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)++d.graves);
	set_path(to, sizeof to, d.grave, number);
	if (rename(f->real, to) != 0)
		abort();
	set_path(f->real, sizeof f->real, "", to);
}

static int
sim_unlink(int dirfd, const char *path)
{
	char rel[PATH_LEN];
	struct entry *e;

	lock();
	if (!relative(dirfd, path, rel))
		return unlock(unlinkat(dirfd, path, 0));
	e = find_entry(d.now, rel);
	if (e == NULL) {
		errno = d.cut ? EIO : ENOENT;
		return unlock(-1);
	}
	d.reaping = d.reaping || e->file->piece == PIECE_LOG;
	if (admit(e->file->piece, false, false) == FAIL)
		return unlock(-1);
	bury(e->file);
	note_op(rel, "", NULL);
	drop_entry(&d.now, rel);
	errno = EIO;
	return unlock(d.cut ? -1 : 0);
}

static int
sim_rename(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	char rel_from[PATH_LEN], rel_to[PATH_LEN];
	struct entry *e, *over;
	struct sim_file *f;

	lock();
	if (!relative(from_dirfd, from, rel_from) || !relative(to_dirfd, to, rel_to))
		return unlock(renameat(from_dirfd, from, to_dirfd, to));
	e = find_entry(d.now, rel_from);
	over = find_entry(d.now, rel_to);
	if (e == NULL) {
		errno = d.cut ? EIO : ENOENT;
		return unlock(-1);
	}
	f = e->file;
	if (admit(piece_of(rel_to), false, false) == FAIL)
		return unlock(-1);
	if (over != NULL)
		bury(over->file);
	if (renameat(from_dirfd, from, to_dirfd, to) != 0)
		abort();
	set_path(f->real, sizeof f->real, d.root, rel_to);
	f->piece = piece_of(rel_to);
	note_op(rel_to, rel_from, f);
	drop_entry(&d.now, rel_from);
	set_entry(&d.now, rel_to, f);
	errno = EIO;
	return unlock(d.cut ? -1 : 0);
}

static bool
sim_measure(int fd, uint64_t *total, uint64_t *avail)
{
	(void)fd;
	*total = DISK_SIZE;
	*avail = DISK_SIZE / 2;
	return true;
}

static const struct fs_ops sim_fs = {
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

/* ---- SQLite's ---- */

struct sim_file *
sim_vfs_file(const char *path, bool made)
{
	char rel[PATH_LEN];
	struct entry *e;
	struct sim_file *f = NULL;

	lock();
	if (relative(-1, path, rel)) {
		e = find_entry(d.now, rel);
		if (e == NULL && made) {
			f = new_file(rel, false);
			set_entry(&d.now, rel, f);
			note_op(rel, "", f);
		} else if (e != NULL) {
			f = e->file;
		}
	}
	unlock(0);
	return f;
}

int
sim_vfs_open(const char *path)
{
	lock();
	return unlock(admit(piece_of(path), false, false) == FAIL ? errno : 0);
}

int
sim_vfs_write(struct sim_file *f, const void *bytes, size_t *len, uint64_t off)
{
	lock();
	return unlock(write_bytes(f, bytes, len, off) == 0 ? 0 : errno);
}

int
sim_vfs_truncate(struct sim_file *f, uint64_t len)
{
	lock();
	return unlock(truncate_to(f, len) == 0 ? 0 : errno);
}

int
sim_vfs_sync(struct sim_file *f)
{
	lock();
	return unlock(sync_file(f) == 0 ? 0 : errno);
}

int
sim_vfs_sync_dir(const char *path)
{
	char rel[PATH_LEN];
	char *slash;

	lock();
	if (!relative(-1, path, rel))
		return unlock(0);
	slash = strrchr(rel, '/');
	if (slash != NULL)
		*slash = '\0';
	else
		rel[0] = '\0';
	if (admit(PIECE_INDEX, false, true) != GO)
		return unlock(EIO);
	settle_entries(rel);
	return unlock(0);
}

int
sim_vfs_read(void)
{
	return sim_is_cut() ? EIO : 0;
}

/* ---- before and after ---- */

/* Everything below the root as it is. */
static void
scan(const char *rel)
{
	char path[2 * PATH_LEN], sub[2 * PATH_LEN];
	struct dirent *de;
	DIR *dir;

	set_path(path, sizeof path, d.root, rel);
	dir = must(opendir(path));
	while ((de = readdir(dir)) != NULL) {
		struct sim_file *f;
		bool is_dir = de->d_type == DT_DIR;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		set_path(sub, sizeof sub, rel, de->d_name);
		if (is_shm(sub)) {
			set_path(path, sizeof path, d.root, sub);
			(void)unlink(path);
			continue;
		}
		f = new_file(sub, is_dir);
		set_entry(&d.now, sub, f);
		set_entry(&d.durable, sub, f);
		if (is_dir)
			scan(sub);
	}
	closedir(dir);
}

static void
drop_all(void)
{
	while (d.files != NULL) {
		struct sim_file *f = d.files;

		d.files = f->next;
		free_edits(f);
		free_stale(f);
		if (f->fd >= 0)
			close(f->fd);
		if (strncmp(f->real, d.grave, strlen(d.grave)) == 0)
			(void)unlink(f->real);
		free(f);
	}
	while (d.ops != NULL) {
		struct entry_op *op = d.ops;

		d.ops = op->next;
		free(op);
	}
	d.ops_end = &d.ops;
	free_entries(&d.now);
	free_entries(&d.durable);
	memset(d.fds, 0, sizeof d.fds);
}

/* The root itself has a file: directories are opened through it. */
static void
load(void)
{
	struct sim_file *f = new_file("", true);

	set_path(f->real, sizeof f->real, "", d.root);
	set_entry(&d.now, "", f);
	set_entry(&d.durable, "", f);
	scan("");
	d.cut = d.takeover = false;
}

void
sim_reset(void)
{
	lock();
	drop_all();
	load();
	unlock(0);
}

void
sim_mount(const char *root)
{
	lock();
	d.ops_end = &d.ops;
	set_path(d.root, sizeof d.root, "", root);
	d.root_len = strlen(d.root);
	(void)snprintf(d.grave, sizeof d.grave, "%.400s.lost", root);
	if (mkdir(d.grave, 0700) != 0)
		abort();
	load();
	fs = &sim_fs;
	unlock(0);
}

void
sim_unmount(void)
{
	lock();
	fs = &fs_posix;
	drop_all();
	(void)rmdir(d.grave);
	unlock(0);
}

static void
put_image(struct sim_file *f, const struct fate *t)
{
	struct fate whole = *t;
	struct image im;

	if (f->is_dir || (f->first == NULL && f->stale == NULL))
		return;
	if (t->mood == KEEP_FILES)
		whole.mood = draw(2) == 0 ? KEEP_ALL : KEEP_NONE;
	develop(f, &whole, &im);
	if (ftruncate(f->fd, 0) != 0 || ftruncate(f->fd, (off_t)im.size) != 0)
		abort();
	if (im.size > 0 && pwrite(f->fd, im.bytes, im.size, 0) != (ssize_t)im.size)
		abort();
	free(im.bytes);
}

static bool
dir_survives(const char *path)
{
	char dir[PATH_LEN];
	char *slash;

	set_path(dir, sizeof dir, "", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return true;
	*slash = '\0';
	return find_entry(d.durable, dir) != NULL && dir_survives(dir);
}

/* Files that have no name on the disk go, those whose removal was lost come back. Directories stay where they are;
 * only one that was made and lost goes, when it is empty. */
static void
put_entries(void)
{
	char path[2 * PATH_LEN];

	for (struct sim_file *f = d.files; f != NULL; f = f->next)
		if (!f->is_dir && strncmp(f->real, d.grave, strlen(d.grave)) != 0)
			bury(f);
	for (struct entry *e = d.now; e != NULL; e = e->next) {
		set_path(path, sizeof path, d.root, e->path);
		if (e->file->is_dir && find_entry(d.durable, e->path) == NULL)
			(void)rmdir(path);
	}
	for (struct entry *e = d.durable; e != NULL; e = e->next) {
		if (e->file->is_dir || !dir_survives(e->path))
			continue;
		set_path(path, sizeof path, d.root, e->path);
		if (rename(e->file->real, path) != 0)
			abort();
		set_path(e->file->real, sizeof e->file->real, "", path);
	}
}

void
sim_restore(void)
{
	struct fate t;

	lock();
	d.cut = true;
	d.boots++;
	t.mood = (enum mood)draw(MOODS);
	t.up_to = d.seq > 40 ? d.seq - draw(40) : draw(d.seq + 1);
	for (struct sim_file *f = d.files; f != NULL; f = f->next)
		put_image(f, &t);
	for (const struct entry_op *op = d.ops; op != NULL; op = op->next)
		if (keeps(&t, op->seq))
			apply_op(&d.durable, op);
	put_entries();
	drop_all();
	load();
	unlock(0);
}
