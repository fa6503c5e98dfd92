/* backend_file - a volume in a local directory: `head`, `reserve`, `log/s-SEQ-EPOCH.seg`,
 * `log/b-EPOCH-N.blob`, and what was put aside, `log/s-SEQ-EPOCH.kept`.
 *
 * Invariants:
 * - The lock on `head` is liveness only; what fences is the epoch in it. It is an
 *   open-file-description lock, so that the process that holds it cannot lose it by closing another
 *   descriptor of the same file.
 * - Files are made with O_EXCL and O_NOFOLLOW, synced with their directory before
 *   anything names them.
 * - Space is reserved in steps before a byte of a batch is written, so a full disk refuses an
 *   append and does not break it. A `reserve` file is given up for batches that free space and for
 *   the index. From the first lack of space on no other batch is taken until there is room again:
 *   the disk counts as full while it can still be emptied. What one volume has given up no other
 *   takes (debt.h).
 *
 * Rejected: O_DIRECT for appends (alignment padding in a log of small frames), io_uring (one write
 * and one sync are under way at a time), mmap (an I/O error is a signal).
 */
#define _GNU_SOURCE
#include "lib/nowait.h"
#include "lib/process.h"
#include "store/backend_local.h"
#include "store/copy.h"
#include "store/fdcache.h"
#include "store/fs.h"
#include "store/piece.h"
#include "store/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef F_OFD_SETLK
#define LOCK_COMMAND F_OFD_SETLK
#else
#define LOCK_COMMAND F_SETLK
#endif

#define MAX_APPEND     (8u << 20)
#define MAX_SEGMENT    (128u << 20)
#define STEP_MIN       (64u << 10)
#define STEP_MAX       (1u << 20)
#define RESERVE_MAX    (8u << 20)
#define LOCK_PAUSE_MS  20

/* ---- making, opening, closing a volume ---- */

static enum rc
create_head(int volfd, const uint8_t volume_id[VOLUME_ID_LEN], struct err *e)
{
	struct root r = { .takeover_count = 0 };
	uint64_t generation = 0;
	int fd = fs->open(volfd, "head", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum rc rc;

	if (fd < 0)
		return err_os(e, errno, "make head");
	memcpy(r.volume_id, volume_id, VOLUME_ID_LEN);
	rc = space_reserve(fd, 0, HEAD_FILE_LEN, 0, e);
	if (rc == RC_OK && fs->fsync(fd) != 0)
		rc = err_os(e, errno, "sync head");
	if (rc == RC_OK)
		rc = head_write(fd, &r, &generation, e);
	if (rc == RC_OK)
		rc = dir_sync(volfd, e);
	fs->close(fd);
	if (rc != RC_OK)
		(void)fs->unlink(volfd, "head");
	return rc;
}

static enum rc
file_create(const char *path, const uint8_t volume_id[VOLUME_ID_LEN], struct err *e)
{
	int volfd = fs->open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	struct stat st;
	enum rc rc = RC_OK;

	if (volfd < 0)
		return err_os(e, errno, "open %s", path);
	if (fstatat(volfd, "head", &st, AT_SYMLINK_NOFOLLOW) == 0)
		rc = err_set(e, RC_EXISTS, "%s: there is a volume already", path);
	else if (fs->mkdir(volfd, "log", 0700) != 0 && errno != EEXIST)
		rc = err_os(e, errno, "make %s/log", path);
	if (rc == RC_OK)
		rc = dir_sync(volfd, e);        /* log/ is there for good before there is a head */
	if (rc == RC_OK)
		rc = create_head(volfd, volume_id, e);  /* last: only a volume with a head is one */
	fs->close(volfd);
	return rc;
}

/* Read the head; a follower may meet its owner half-way through a slot, and looks again. */
static enum rc
load_root(struct file_backend *b, enum log_mode mode, struct err *e)
{
	struct timespec pause = { 0, 2 * 1000000L };
	unsigned bad_slots;
	enum rc rc;

	for (int i = 0;; i++) {
		rc = head_read(b->headfd, &b->root, &b->generation, &bad_slots, e);
		b->root.bad_slots = bad_slots;
		if (mode == LOG_WRITE || i == 5 || (rc == RC_OK && b->root.bad_slots == 0))
			return rc;
		root_fini(&b->root);
		nanosleep(&pause, NULL);
	}
}

bool
head_try_lock(int fd)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, LOCK_COMMAND, &fl) == 0;
}

static enum rc
lock_head(struct file_backend *b, uint32_t wait_ms, struct err *e)
{
	struct timespec pause = { 0, LOCK_PAUSE_MS * 1000000L };

	for (uint32_t waited = 0;; waited += LOCK_PAUSE_MS) {
		if (head_try_lock(b->headfd))
			return RC_OK;
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return err_os(e, errno, "lock head");
		if (waited >= wait_ms)
			break;
		nanosleep(&pause, NULL);
	}
	if (load_root(b, LOG_READ, e) != RC_OK)
		return err_set(e, RC_BUSY, "the volume is in use");
	return err_set(e, RC_BUSY, "the volume is in use by process %u", b->root.pid);
}

/* Raise the epoch, durably: from here on no earlier owner can register anything. */
static enum rc
raise_epoch(struct file_backend *b, uint64_t takeover_id, struct err *e)
{
	struct root *r = &b->root;
	/* The original went on after a copy was made: its epochs are passed over. */
	uint32_t step = (r->flags & ROOT_COPY) != 0 ? COPY_EPOCHS : 0;

	/* What a killed owner wrote to one slot may be in the page cache only: it must be on disk
	 * before the other slot, perhaps the only one that is, is written over. */
	if (fs->fdatasync(b->headfd) != 0)
		return err_os(e, errno, "sync head");
	if (r->epoch >= LSN_EPOCH_MAX - step)
		return err_set(e, RC_LIMIT, "the volume has used up its %u epochs", LSN_EPOCH_MAX);
	if (r->takeover_count == TAKEOVERS_MAX)
		memmove(r->takeovers, r->takeovers + 1, --r->takeover_count * sizeof *r->takeovers);
	r->takeovers[r->takeover_count++] = takeover_id;
	r->epoch += step + 1;
	r->pid = (uint32_t)process_pid();
	return head_write(b->headfd, r, &b->generation, e);
}

/* The reserve pays for what must still be written when the disk is full, above all the index: the
 * commit that follows a batch already in the log, then the commits of what frees space. Between
 * checkpoints SQLite's WAL grows to 8 MB, and a checkpoint may take as much again in the database,
 * but gives the WAL back; a batch dirties some hundred pages. So 8 MiB carry many commits, but an
 * eighth of a small disk must do. */
static uint64_t
reserve_size(uint64_t disk)
{
	uint64_t part = disk / 8 / STEP_MIN * STEP_MIN;

	return part > RESERVE_MAX ? RESERVE_MAX : part < STEP_MIN ? STEP_MIN : part;
}

/* What must be free beside the reserve before a full disk counts as one with room: else it would be
 * full again at once. */
static uint64_t
slack_size(uint64_t disk)
{
	return reserve_size(disk) / 8;
}

/* Make the reserve, or complete it, if that leaves `slack`. 0 or an errno. */
static int
make_reserve(struct file_backend *b, bool slack)
{
	uint64_t disk, avail, size = RESERVE_MAX, have = 0;
	bool measured = space_measure(b->volfd, &disk, &avail);
	struct err e = ERR_INIT;
	struct stat st;

	if (b->reservefd < 0)
		b->reservefd =
		    fs->open(b->volfd, "reserve", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->reservefd < 0 || fstat(b->reservefd, &st) != 0)
		return errno;
	if (measured) {
		size = reserve_size(disk);
		have = (uint64_t)st.st_blocks * 512;
		if (avail < (have < size ? size - have : 0) + (slack ? slack_size(disk) : 0))
			return ENOSPC;
	}
	if (space_reserve(b->reservefd, 0, size, size, &e) == RC_OK)
		return 0;
	if (!b->have_reserve && fs->ftruncate(b->reservefd, 0) != 0)
		return errno;  /* what it got half-way is of no use, and stays until the next try */
	return e.os;
}

/* The reserve was spent for lack of space: until it is whole again, other volumes leave
 * that much alone. */
static void
note_debt(struct file_backend *b)
{
	uint64_t disk, avail, bytes = 0;

	if (atomic_load(&b->starved) && !b->have_reserve)
		bytes = space_measure(b->volfd, &disk, &avail) ? reserve_size(disk) : RESERVE_MAX;
	debt_set(&b->debt, b->dev, bytes);
}

/* Is there nothing free but what other volumes gave up? */
static bool
is_owed(struct file_backend *b)
{
	uint64_t disk, avail, debt = debt_of_others(&b->debt, b->dev);

	return debt > 0 && space_measure(b->volfd, &disk, &avail) &&
	       avail < debt + slack_size(disk);
}

/* True: ordinary changes may be written. A reserve that cannot be made for another reason than
 * space (no permission, a file size limit) stops nothing: the volume works without. */
static bool
refill_reserve(struct file_backend *b)
{
	bool starved = atomic_load(&b->starved);
	int os;

	if (b->have_reserve && !starved)
		return !is_owed(b);
	os = make_reserve(b, starved);
	if (os == 0)
		b->have_reserve = true;
	starved = os == ENOSPC || os == EDQUOT;
	atomic_store(&b->starved, starved);
	note_debt(b);
	return !starved && !is_owed(b);
}

static bool
file_give_up_reserve(struct backend *base)
{
	struct file_backend *b = file_backend_of(base);

	if (b->reservefd < 0 || !b->have_reserve)
		return false;
	b->have_reserve = false;
	atomic_store(&b->starved, true);
	note_debt(b);           /* before the space is there for others */
	if (fs->ftruncate(b->reservefd, 0) != 0)
		return false;
	(void)fs->fsync(b->reservefd);      /* some file systems free blocks only then */
	return true;
}

static bool
file_starved(struct backend *base)
{
	return atomic_load(&file_backend_of(base)->starved);
}

static void
file_release(struct backend **bp)
{
	struct file_backend *b;

	if (*bp == NULL)
		return;
	b = file_backend_of(*bp);
	*bp = NULL;
	debt_set(&b->debt, b->dev, 0);
	fdcache_free(&b->readers);
	if (b->segfd >= 0)
		fs->close(b->segfd);
	if (b->reservefd >= 0)
		fs->close(b->reservefd);
	if (b->headfd >= 0)
		fs->close(b->headfd);       /* the lock goes with it */
	if (b->logfd >= 0)
		fs->close(b->logfd);
	if (b->volfd >= 0)
		fs->close(b->volfd);
	root_fini(&b->root);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static struct file_backend *
file_new(void)
{
	struct file_backend *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->base.ops = &backend_file;
	b->volfd = b->logfd = b->headfd = b->reservefd = b->segfd = -1;
	pthread_mutex_init(&b->lock, NULL);
	return b;
}

static enum rc
open_files(struct file_backend *b, const char *path, enum log_mode mode, struct err *e)
{
	struct stat st;

	b->volfd = fs->open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (b->volfd < 0)
		return err_os(e, errno, "open");
	if (fstat(b->volfd, &st) == 0)
		b->dev = st.st_dev;
	b->headfd = fs->open(
	    b->volfd, "head", (mode == LOG_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW, 0);
	if (b->headfd < 0)
		return err_os(e, errno, "open head");
	b->logfd = fs->open(b->volfd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (b->logfd < 0)
		return err_os(e, errno, "open log");
	b->readers = fdcache_new(b->logfd, piece_open);
	return b->readers != NULL ? RC_OK : err_nomem(e);
}

static enum rc
file_acquire(
    const char *path, const struct backend_acquire *how, struct backend **out, struct err *e)
{
	struct file_backend *b = file_new();
	struct backend *base = b != NULL ? &b->base : NULL;
	enum rc rc;

	*out = NULL;
	if (b == NULL)
		return err_nomem(e);
	rc = open_files(b, path, how->mode, e);
	if (rc == RC_OK && how->mode == LOG_WRITE)
		rc = lock_head(b, how->lock_wait_ms, e);
	if (rc == RC_OK)
		rc = load_root(b, how->mode, e);
	if (rc == RC_OK && how->mode == LOG_WRITE)
		rc = file_keep_orphans(b, e);
	if (rc == RC_OK && how->mode == LOG_WRITE)
		rc = raise_epoch(b, how->takeover_id, e);
	if (rc == RC_OK)
		rc = file_count_kept(b, e);
	if (rc != RC_OK) {
		file_release(&base);
		return err_add(e, "%s", path);
	}
	if (how->mode == LOG_WRITE) {
		file_drop_orphans(b);
		(void)refill_reserve(b);
	}
	b->body_epoch = b->root.epoch;
	*out = base;
	return RC_OK;
}

static enum rc
file_reacquire(struct backend *base, uint64_t takeover_id, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	struct root fresh = { .takeover_count = 0 };
	uint64_t generation;
	unsigned bad_slots;
	enum rc rc;

	if (b->segfd >= 0)
		fs->close(b->segfd);
	b->segfd = -1;
	/* What a failed head write left on disk decides, not what we meant to write, nor what is
	 * left of it in memory. */
	space_drop_cache(b->headfd);
	rc = head_read(b->headfd, &fresh, &generation, &bad_slots, e);
	if (rc != RC_OK)
		return rc;
	fresh.kept = b->root.kept;
	root_fini(&b->root);
	b->root = fresh;
	b->generation = generation;
	rc = raise_epoch(b, takeover_id, e);
	if (rc != RC_OK)
		return rc;
	pthread_mutex_lock(&b->lock);
	b->body_epoch = b->root.epoch;
	b->body_next = 0;
	pthread_mutex_unlock(&b->lock);
	return RC_OK;
}

static void
file_caps(struct backend *base, struct backend_caps *out)
{
	(void)base;
	*out = (struct backend_caps){ .max_append = MAX_APPEND, .max_segment = MAX_SEGMENT,
	                              .body_piece = BODY_PIECE };
}

static enum rc
file_root(struct backend *base, struct root *out, struct err *e)
{
	return root_copy(out, &file_backend_of(base)->root, e);
}

/* ---- segments ---- */

/* Make [reserved_to, need) of the open segment ours, and a step more where there is room. */
static enum rc
reserve_space(struct file_backend *b, uint64_t tail, uint64_t need, bool reserve_ok, struct err *e)
{
	uint64_t step = tail < STEP_MIN ? STEP_MIN : tail > STEP_MAX ? STEP_MAX : tail;
	uint64_t to = need + step;
	enum rc rc;

	/* Also when the segment has room: the index's commit, which comes next, has none. */
	if (!reserve_ok && !refill_reserve(b))
		return err_os(e, ENOSPC, "the volume's disk is full");
	if (reserve_ok && is_owed(b))
		(void)file_give_up_reserve(&b->base);   /* ours before what others gave up */
	if (need <= b->reserved_to)
		return RC_OK;
	rc = space_reserve(b->segfd, b->reserved_to, to, need, e);
	if (rc != RC_OK && space_is_full(e->os)) {
		to = need;
		rc = space_reserve(b->segfd, b->reserved_to, to, need, e);
	}
	if (rc != RC_OK && space_is_full(e->os) && reserve_ok &&
	    file_give_up_reserve(&b->base)) {
		rc = space_reserve(b->segfd, b->reserved_to, to, need, e);
	}
	if (rc == RC_OK) {
		b->reserved_to = to;
	} else if (space_is_full(e->os)) {
		if (e->os != EFBIG)
			atomic_store(&b->starved, true);
		/* EFBIG is ENOSPC, too: to the caller it is the same. */
		return err_os(e, e->os == EDQUOT ? EDQUOT : ENOSPC,
		    "the volume's disk has no room for %llu bytes",
		    (unsigned long long)(need - b->reserved_to));
	}
	return rc;
}

static struct root_segment *
find_segment(struct root *r, const struct seg_id *id)
{
	for (uint32_t i = r->segment_count; i-- > 0;)
		if (r->segments[i].id.seq == id->seq && r->segments[i].id.epoch == id->epoch)
			return &r->segments[i];
	return NULL;
}

/* Give back what was reserved behind a sealed segment's end. */
static void
release_tail(struct file_backend *b, const struct root_segment *seg)
{
	char name[PIECE_NAME_LEN];
	struct stat st;
	int fd;

	piece_name(&seg->id, name);
	fd = fs->open(b->logfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size > seg->len)
		space_release(fd, seg->len, (uint64_t)st.st_size);
	fs->close(fd);
}

static enum rc
file_segment_seal(struct backend *base, const struct root_segment *seg, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	struct root_segment *s = find_segment(&b->root, &seg->id);
	enum rc rc;

	assert(s != NULL && seg->state == SEGMENT_SEALED);
	*s = *seg;
	rc = head_write(b->headfd, &b->root, &b->generation, e);
	if (rc == RC_OK && b->segfd >= 0 && b->seg.seq == seg->id.seq &&
	    b->seg.epoch == seg->id.epoch) {
		fs->close(b->segfd);
		b->segfd = -1;
	}
	if (rc == RC_OK)
		release_tail(b, seg);
	return rc;
}

/* The new segment's file with its header, durable. On failure there is none. */
static enum rc
make_segment_file(struct file_backend *b, const struct seg_id *id, struct slice header,
    bool reserve_ok, struct err *e)
{
	struct iovec iov = { (void *)(uintptr_t)header.ptr, header.len };
	enum rc rc;
	int os;

	b->segfd = piece_create(b->logfd, id);
	if (b->segfd < 0)
		return err_os(
		    e, errno, "make segment %llu-%u", (unsigned long long)id->seq, id->epoch);
	b->seg = *id;
	b->reserved_to = 0;
	rc = reserve_space(b, 0, header.len, reserve_ok, e);
	if (rc != RC_OK)
		return rc;
	os = write_all(b->segfd, &iov, 1, 0);
	if (os != 0)
		return err_os(e, os, "write segment header");
	if (fs->fdatasync(b->segfd) != 0)
		return err_os(e, errno, "sync segment header");
	return dir_sync(b->logfd, e);
}

static enum rc
register_segment(struct file_backend *b, const struct root_segment *seg,
    const struct root_segment *sealed, struct err *e)
{
	struct root *r = &b->root;
	struct root_segment *s;

	s = realloc(r->segments, (r->segment_count + 1u) * sizeof *s);
	if (s == NULL)
		return err_nomem(e);
	r->segments = s;
	if (sealed != NULL) {
		s = find_segment(r, &sealed->id);
		assert(s != NULL);
		*s = *sealed;
	}
	r->segments[r->segment_count++] = *seg;
	return head_write(b->headfd, r, &b->generation, e);
}

static enum append_outcome
file_segment_create(struct backend *base, const struct root_segment *seg, struct slice header,
    bool reserve_ok, const struct root_segment *sealed, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	int old_fd = b->segfd;
	struct seg_id old = b->seg;
	uint64_t old_reserved = b->reserved_to;

	if (make_segment_file(b, &seg->id, header, reserve_ok, e) != RC_OK) {
		if (b->segfd >= 0) {
			fs->close(b->segfd);
			piece_unlink(b->logfd, &seg->id);
		}
		b->segfd = old_fd;
		b->seg = old;
		b->reserved_to = old_reserved;
		return APPEND_REFUSED;
	}
	if (old_fd >= 0)
		fs->close(old_fd);
	if (register_segment(b, seg, sealed, e) != RC_OK)
		return APPEND_DEAD;
	if (sealed != NULL)
		release_tail(b, sealed);
	return APPEND_DONE;
}

static enum rc
file_segment_settle(struct backend *base, const struct seg_id *id, bool sync, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	int fd = piece_open(b->logfd, id);
	enum rc rc = RC_OK;

	if (fd < 0)
		return err_os(
		    e, errno, "open segment %llu-%u", (unsigned long long)id->seq, id->epoch);
	if (sync && fs->fdatasync(fd) != 0)
		rc = err_os(
		    e, errno, "sync segment %llu-%u", (unsigned long long)id->seq, id->epoch);
	space_drop_cache(fd);
	fs->close(fd);
	return rc;
}

static void
file_append(struct backend *base, struct backend_append *what, backend_done done, void *arg)
{
	struct file_backend *b = file_backend_of(base);
	struct err e = ERR_INIT;
	int os;

	assert(b->segfd >= 0);
	if (reserve_space(b, what->offset, what->offset + what->len, what->reserve_ok, &e) !=
	    RC_OK) {
		done(arg, APPEND_REFUSED, &e);
		return;
	}
	os = write_all(b->segfd, what->iov, what->iov_count, what->offset);
	if (os != 0)
		err_os(
		    &e, os, "write segment %llu-%u", (unsigned long long)b->seg.seq, b->seg.epoch);
	else if (!what->unsynced && fs->fdatasync(b->segfd) != 0)
		err_os(&e, os = errno, "sync segment %llu-%u", (unsigned long long)b->seg.seq,
		    b->seg.epoch);
	done(arg, os == 0 ? APPEND_DONE : APPEND_DEAD, &e);
}

static void
file_sync(struct backend *base, backend_done done, void *arg)
{
	struct file_backend *b = file_backend_of(base);
	struct err e = ERR_INIT;
	bool ok = b->segfd < 0 || fs->fdatasync(b->segfd) == 0;

	if (!ok)
		err_os(&e, errno, "sync segment %llu-%u", (unsigned long long)b->seg.seq,
		    b->seg.epoch);
	done(arg, ok ? APPEND_DONE : APPEND_DEAD, &e);
}

/* ---- bodies ---- */

/* What is free while the reserve is gone is for what frees space. */
static bool
file_full(struct backend *base)
{
	struct file_backend *b = file_backend_of(base);
	uint64_t disk, avail;

	return is_owed(b) ||
	       (atomic_load(&b->starved) && space_measure(b->volfd, &disk, &avail) &&
	           avail < (b->have_reserve ? 0 : reserve_size(disk)) + slack_size(disk));
}

/* It counts as room again when the next ordinary batch finds the reserve possible; a body must not
 * wait for that, as its batch comes after it. */
static enum rc
begin_body_with_room(struct backend *base, struct backend_body **out, struct err *e)
{
	if (file_full(base)) {
		*out = NULL;
		return err_os(e, ENOSPC, "the volume's disk is full");
	}
	return file_body_begin(base, out, e);
}

/* ---- reading ---- */

/* In the mode of not waiting: all of it, as far as the file goes, or RC_WAIT. */
static enum rc
read_now(int fd, uint64_t off, void *dst, size_t len, size_t *got, struct err *e)
{
	ssize_t n = nowait_pread(fd, dst, len, (off_t)off);

	if (n < 0)
		return nowait_refuse(e);
	*got = (size_t)n;
	return RC_OK;
}

static enum rc
read_waiting(int fd, uint64_t off, void *dst, size_t len, size_t *got, struct err *e)
{
	while (*got < len) {
		ssize_t n = fs->pread(fd, (uint8_t *)dst + *got, len - *got, (off_t)(off + *got));

		if (n == 0)
			break;
		if (n > 0)
			*got += (size_t)n;
		else if (errno != EINTR)
			return err_os(e, errno, "read");
	}
	return RC_OK;
}

static enum rc
file_read(struct backend *base, const struct seg_id *id, uint64_t off, void *dst, size_t len,
    size_t *got, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	int fd, slot;
	enum rc rc = fdcache_get(b->readers, id, &fd, &slot, e);

	*got = 0;
	if (rc != RC_OK)
		return rc;
	rc = nowait_is_on() ? read_now(fd, off, dst, len, got, e)
	                    : read_waiting(fd, off, dst, len, got, e);
	if (rc != RC_OK)
		(void)err_add(e, "piece %llu-%u", (unsigned long long)id->seq, id->epoch);
	fdcache_put(b->readers, fd, slot);
	return rc;
}

static enum rc
file_size(struct backend *base, const struct seg_id *id, uint64_t *len, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	struct stat st;
	int fd, slot;
	enum rc rc = fdcache_get(b->readers, id, &fd, &slot, e);

	if (rc != RC_OK)
		return rc;
	if (fstat(fd, &st) == 0)
		*len = (uint64_t)st.st_size;
	else
		rc = err_os(
		    e, errno, "size of piece %llu-%u", (unsigned long long)id->seq, id->epoch);
	fdcache_put(b->readers, fd, slot);
	return rc;
}

const struct backend_ops backend_file = {
	.create = file_create,
	.acquire = file_acquire,
	.reacquire = file_reacquire,
	.release = file_release,
	.caps = file_caps,
	.root = file_root,
	.segment_create = file_segment_create,
	.segment_seal = file_segment_seal,
	.segment_settle = file_segment_settle,
	.starved = file_starved,
	.full = file_full,
	.give_up_reserve = file_give_up_reserve,
	.append = file_append,
	.sync = file_sync,
	.read = file_read,
	.size = file_size,
	.body_begin = begin_body_with_room,
	.body_write = file_body_write,
	.body_finish = file_body_finish,
	.body_abort = file_body_abort,
	.body_count = file_body_count,
	.segment_put = file_segment_put,
	.root_change = file_root_change,
	.reap = file_reap,
	.room = file_room,
	.body_list = file_body_list,
	.body_remove = file_body_remove,
};
