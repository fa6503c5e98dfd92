/* fdcache - least recently used of a few slots. See fdcache.h. A linear look through 32 slots is
 * cheaper than any tree. Nothing is opened or closed under the lock: who may not wait for the disk
 * takes it too. */
#include "store/fdcache.h"

#include "lib/nowait.h"
#include "store/fs.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct slot {
	struct seg_id id;
	int           fd;               /* -1: empty */
	unsigned      users;
	bool          doomed;           /* closed by its last user */
	uint64_t      used;             /* the clock when last taken */
};

struct fdcache {
	pthread_mutex_t lock;
	int             dirfd;
	fdcache_open    open;
	uint64_t        clock;
	uint64_t        forgotten;      /* calls of fdcache_forget */
	struct slot     slots[FDCACHE_SLOTS];
};

struct fdcache *
fdcache_new(int dirfd, fdcache_open open)
{
	struct fdcache *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->dirfd = dirfd;
	c->open = open;
	for (int i = 0; i < FDCACHE_SLOTS; i++)
		c->slots[i].fd = -1;
	return c;
}

static bool
same_piece(const struct seg_id *a, const struct seg_id *b)
{
	return a->seq == b->seq && a->epoch == b->epoch && a->kind == b->kind;
}

/* Descriptors to close once the lock is given back. */
struct closing {
	int fds[FDCACHE_SLOTS];
	int count;
};

static void
empty_slot(struct slot *s, struct closing *cl)
{
	if (s->fd >= 0)
		cl->fds[cl->count++] = s->fd;
	*s = (struct slot){ .fd = -1 };
}

static void
close_all(const struct closing *cl)
{
	for (int i = 0; i < cl->count; i++)
		fs->close(cl->fds[i]);
}

static void
drop_idle(struct fdcache *c)
{
	struct closing cl = { .count = 0 };

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < FDCACHE_SLOTS; i++)
		if (c->slots[i].users == 0)
			empty_slot(&c->slots[i], &cl);
	pthread_mutex_unlock(&c->lock);
	close_all(&cl);
}

void
fdcache_free(struct fdcache **c)
{
	if (*c == NULL)
		return;
	drop_idle(*c);
	for (int i = 0; i < FDCACHE_SLOTS; i++)
		assert((*c)->slots[i].fd < 0);
	pthread_mutex_destroy(&(*c)->lock);
	free(*c);
	*c = NULL;
}

/* The slot that holds `id`, else the best one to put it in (empty, or longest unused), else -1. */
static int
find_slot(const struct fdcache *c, const struct seg_id *id)
{
	int best = -1;

	for (int i = 0; i < FDCACHE_SLOTS; i++) {
		const struct slot *s = &c->slots[i];

		if (s->fd >= 0 && same_piece(&s->id, id))
			return i;
		if (s->users > 0)
			continue;
		if (best < 0 ||
		    (c->slots[best].fd >= 0 && (s->fd < 0 || s->used < c->slots[best].used)))
			best = i;
	}
	return best;
}

static int
open_piece(struct fdcache *c, const struct seg_id *id)
{
	int fd = c->open(c->dirfd, id);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		drop_idle(c);
		fd = c->open(c->dirfd, id);
	}
	return fd;
}

static bool
is_here(const struct fdcache *c, int i, const struct seg_id *id)
{
	return i >= 0 && c->slots[i].fd >= 0 && same_piece(&c->slots[i].id, id);
}

/* Its descriptor, if the piece is open here; the lock is held. */
static int
take(struct fdcache *c, int i, const struct seg_id *id)
{
	if (!is_here(c, i, id))
		return -1;
	c->slots[i].users++;
	c->slots[i].used = ++c->clock;
	return c->slots[i].fd;
}

/* A descriptor that was opened while `forgotten` stood there: into a slot, unless another thread
 * was first, or the file may have been deleted meanwhile. */
static void
keep(struct fdcache *c, const struct seg_id *id, uint64_t forgotten, int *fd, int *slot)
{
	struct closing cl = { .count = 0 };
	int i = -1;

	pthread_mutex_lock(&c->lock);
	if (c->forgotten == forgotten)
		i = find_slot(c, id);
	if (is_here(c, i, id)) {
		cl.fds[cl.count++] = *fd;
	} else if (i >= 0) {
		empty_slot(&c->slots[i], &cl);
		c->slots[i] = (struct slot){ .id = *id, .fd = *fd };
	}
	if (i >= 0)
		*fd = take(c, i, id);
	*slot = i;
	pthread_mutex_unlock(&c->lock);
	close_all(&cl);
}

enum rc
fdcache_get(struct fdcache *c, const struct seg_id *id, int *fd, int *slot, struct err *e)
{
	uint64_t forgotten;

	pthread_mutex_lock(&c->lock);
	forgotten = c->forgotten;
	*slot = find_slot(c, id);
	*fd = take(c, *slot, id);
	pthread_mutex_unlock(&c->lock);
	if (*fd >= 0)
		return RC_OK;
	if (nowait_is_on())
		return nowait_refuse(e);
	*fd = open_piece(c, id);
	if (*fd < 0)
		return err_os(e, errno, "open %s %llu-%u", id->kind == SEG_LOG ? "segment" : "body",
		    (unsigned long long)id->seq, id->epoch);
	keep(c, id, forgotten, fd, slot);
	return RC_OK;
}

/* The lock is held. */
static void
drop_doomed(struct fdcache *c, struct closing *cl)
{
	for (int i = 0; i < FDCACHE_SLOTS; i++)
		if (c->slots[i].doomed && c->slots[i].users == 0)
			empty_slot(&c->slots[i], cl);
}

void
fdcache_forget(struct fdcache *c, const struct seg_id *id)
{
	struct closing cl = { .count = 0 };

	pthread_mutex_lock(&c->lock);
	c->forgotten++;
	for (int i = 0; i < FDCACHE_SLOTS; i++) {
		struct slot *s = &c->slots[i];

		if (s->fd >= 0 && same_piece(&s->id, id))
			s->doomed = true;
	}
	drop_doomed(c, &cl);
	pthread_mutex_unlock(&c->lock);
	close_all(&cl);
}

void
fdcache_put(struct fdcache *c, int fd, int slot)
{
	struct closing cl = { .count = 0 };
	struct slot *s;

	if (slot < 0) {
		fs->close(fd);
		return;
	}
	pthread_mutex_lock(&c->lock);
	s = &c->slots[slot];
	assert(s->users > 0 && s->fd == fd);
	s->users--;
	/* The last close of a deleted file frees its blocks, which is no work for who may not wait: the next one who may
	 * does it for him. */
	if (!nowait_is_on())
		drop_doomed(c, &cl);
	pthread_mutex_unlock(&c->lock);
	close_all(&cl);
}
