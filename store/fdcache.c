/* fdcache - least recently used of a few slots. See fdcache.h. A linear look through 32 slots is
 * cheaper than any tree. */
#include "store/fdcache.h"

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

static void
drop_idle(struct fdcache *c)
{
	for (int i = 0; i < FDCACHE_SLOTS; i++) {
		if (c->slots[i].fd >= 0 && c->slots[i].users == 0) {
			fs->close(c->slots[i].fd);
			c->slots[i].fd = -1;
		}
	}
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

static bool
same_piece(const struct seg_id *a, const struct seg_id *b)
{
	return a->seq == b->seq && a->epoch == b->epoch && a->kind == b->kind;
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

enum rc
fdcache_get(struct fdcache *c, const struct seg_id *id, int *fd, int *slot, struct err *e)
{
	int i, os = 0;

	pthread_mutex_lock(&c->lock);
	i = find_slot(c, id);
	if (i >= 0 && c->slots[i].fd >= 0 && same_piece(&c->slots[i].id, id)) {
		*fd = c->slots[i].fd;
	} else {
		*fd = open_piece(c, id);
		os = errno;
		if (*fd >= 0 && i >= 0) {
			if (c->slots[i].fd >= 0)
				fs->close(c->slots[i].fd);
			c->slots[i] = (struct slot){ .id = *id, .fd = *fd };
		}
	}
	if (*fd >= 0 && i >= 0) {
		c->slots[i].users++;
		c->slots[i].used = ++c->clock;
	}
	*slot = i;
	pthread_mutex_unlock(&c->lock);
	if (*fd >= 0)
		return RC_OK;
	return err_os(e, os, "open %s %llu-%u", id->kind == SEG_LOG ? "segment" : "body",
	    (unsigned long long)id->seq, id->epoch);
}

static void
close_slot(struct slot *s)
{
	fs->close(s->fd);
	*s = (struct slot){ .fd = -1 };
}

void
fdcache_forget(struct fdcache *c, const struct seg_id *id)
{
	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < FDCACHE_SLOTS; i++) {
		struct slot *s = &c->slots[i];

		if (s->fd < 0 || !same_piece(&s->id, id))
			continue;
		if (s->users == 0)
			close_slot(s);
		else
			s->doomed = true;
	}
	pthread_mutex_unlock(&c->lock);
}

void
fdcache_put(struct fdcache *c, int fd, int slot)
{
	if (slot < 0) {
		fs->close(fd);
		return;
	}
	pthread_mutex_lock(&c->lock);
	assert(c->slots[slot].users > 0 && c->slots[slot].fd == fd);
	if (--c->slots[slot].users == 0 && c->slots[slot].doomed)
		close_slot(&c->slots[slot]);
	pthread_mutex_unlock(&c->lock);
}
