/* fdcache - a bounded set of descriptors open for reading, by piece. Any thread. */
#ifndef RESTANTE_STORE_FDCACHE_H
#define RESTANTE_STORE_FDCACHE_H

#include "lib/err.h"
#include "store/types.h"

#define FDCACHE_SLOTS 32

struct fdcache;

/* `open` gives a descriptor for a piece, or -1 with errno; dirfd is passed on to it. */
typedef int (*fdcache_open)(int dirfd, const struct seg_id *id);

struct fdcache *fdcache_new(int dirfd, fdcache_open open);      /* NULL: no memory */
void fdcache_free(struct fdcache **c);                          /* nothing may be in use */

/* A descriptor for the piece, kept open until fdcache_put(slot). When all slots are in use it is opened apart, slot -1,
 * and fdcache_put closes it. */
MUST_USE enum rc fdcache_get(struct fdcache *c, const struct seg_id *id, int *fd, int *slot,
                             struct err *e);
/* The piece's file was deleted: hold it open no longer than somebody reads it. */
void fdcache_forget(struct fdcache *c, const struct seg_id *id);
void fdcache_put(struct fdcache *c, int fd, int slot);

#endif
