/* pool - threads for what may block: the steps of sessions.
 *
 * A job is embedded in the object it is for, so nothing is allocated; it says itself to whom its result goes. Jobs begin
 * in the order in which they came. Any thread.
 */
#ifndef RESTANTE_SERVER_POOL_H
#define RESTANTE_SERVER_POOL_H

#include "lib/err.h"

struct pool;

struct pool_job {
	struct pool_job *next;
	/* On a thread of the pool; the job may be submitted again, or be gone, before it returns. */
	void           (*run)(struct pool_job *job);
};

/* 0 threads: as many as suit the machine. */
MUST_USE enum rc pool_new(uint64_t threads, struct pool **out, struct err *e);
/* Runs what was submitted, then ends the threads. Nothing may be submitted any more. Accepts a pointer to NULL. */
void pool_free(struct pool **p);
/* Until it runs the job is the pool's: it must not be submitted twice. */
void pool_submit(struct pool *p, struct pool_job *job);
/* A job waits for a thread: one that takes long should make room. */
bool pool_is_wanted(struct pool *p);

#endif
