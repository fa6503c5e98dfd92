/* backend_local - what backend_file.c, backend_body.c and backend_compact.c share: one volume in a local directory. */
#ifndef RESTANTE_STORE_BACKEND_LOCAL_H
#define RESTANTE_STORE_BACKEND_LOCAL_H

#include "store/backend.h"
#include "store/debt.h"
#include "store/head.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#define BODY_PIECE (1u << 20)   /* bytes of a body written, and reserved, at once */

struct file_backend {
	struct backend  base;
	int             volfd, logfd, headfd, reservefd;
	struct fdcache *readers;
	struct root     root;
	uint64_t        generation;     /* of the head */
	dev_t           dev;            /* that it lies on */
	struct debt     debt;           /* of the reserve that was given up */
	atomic_bool     have_reserve;
	atomic_bool     starved;  /* there was no space, for the log or the reserve: only what frees space is written */

	int             segfd;          /* the open segment, -1: none */
	struct seg_id   seg;
	uint64_t        reserved_to;    /* in it */

	pthread_mutex_t lock;           /* over the two below: bodies are made by any thread */
	uint32_t        body_epoch;
	uint64_t        body_next;
};

/* The backend behind a vtable call. */
static inline struct file_backend *
file_backend_of(struct backend *b)
{
	assert(b->ops != NULL);
	return (struct file_backend *)b;
}

/* The lock of an owner; it goes with the descriptor. False with errno: EAGAIN or EACCES if somebody has it. */
bool head_try_lock(int fd);

/* backend_body.c: see struct backend_ops. */
/* As file_body_begin, for a piece of this name. */
enum rc file_piece_begin(struct file_backend *b, const struct seg_id *id, struct backend_body **out,
                         struct err *e);
enum rc file_body_begin(struct backend *base, struct backend_body **out, struct err *e);
enum rc file_body_write(struct backend_body *body, struct slice bytes, struct err *e);
void    file_body_abort(struct backend_body **body);
enum rc file_body_finish(struct backend_body **bodyp, struct log_addr *addr, struct err *e);
uint64_t file_body_count(struct backend *base);
enum rc file_body_list(struct backend *base, struct seg_id **ids, size_t *count, struct err *e);
enum rc file_body_remove(struct backend *base, const struct seg_id *id, struct err *e);

/* backend_compact.c: the same. */
enum rc file_segment_put(struct backend *base, const struct seg_id *id, struct slice header,
                         struct backend_body **out, struct err *e);
enum append_outcome file_root_change(struct backend *base, const struct root_change *c,
                                     struct err *e);
enum rc file_reap(struct backend *base, const struct seg_id *ids, uint32_t count, struct err *e);
bool    file_room(struct backend *base, uint64_t *bytes, uint64_t *reserve);

/* backend_orphan.c: segments that the root does not list. */
/* One copy of the root is lost, and the other may be older: put aside what may hold more than the log, and raise the epoch
 * past all names. For an owner who is about to take over. */
MUST_USE enum rc file_keep_orphans(struct file_backend *b, struct err *e);
/* If both copies hold remove them. For an owner who has just taken over. */
void    file_drop_orphans(struct file_backend *b);
/* How many were put aside, into the root. */
MUST_USE enum rc file_count_kept(struct file_backend *b, struct err *e);

#endif
