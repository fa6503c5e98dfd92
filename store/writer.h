/* writer - the volume's one writer: group commit over a queue of requests.
 *
 * Requests are intentions; only the writer decides [design I2]. Its thread takes everything queued (bounded), lets the
 * owner resolve each request against the state as the earlier ones left it, encoding frames into a batch, appends and
 * syncs once, lets the owner commit, then answers all. No artificial delay: batches grow by themselves under load; only
 * requests that nobody waits for are held.
 * A request owns its bytes and is never cancelled once queued. The owner is index/volume, through writer_ops; this
 * module knows nothing of SQLite.
 */
#ifndef RESTANTE_STORE_WRITER_H
#define RESTANTE_STORE_WRITER_H

#include "store/log.h"

struct writer;

/* Embedded first in the owner's request. */
struct writer_request {
	struct writer_request *next;    /* the queue's */
	bool relaxed_ok;                /* flags only: may be answered written but unsynced when
	                                 * durability is relaxed */
	bool lazy;                      /* nobody waits for it: held for a while, so as to share another's sync */
	bool reserve_ok;                /* frees space: may use the volume's reserve */
	bool alone;                     /* the writer's, when it is answered: of late requests came one by one */
};

/* All are called on the writer's thread, in this order per batch: begin, resolve*, then either
 * appended + commit (log_append succeeded) or rollback, then answer* for every request of the batch. A rollback follows
 * also when appended or commit fails, and when no request of the batch added a frame. A request may be resolved again
 * in a later batch after a rollback (it may use the reserve and is tried alone, or the batch was full). */
struct writer_ops {
	enum rc (*begin)(void *owner, struct err *e);
	/* Decide one request and add its frames to b. The result and what it needs to answer go into the request
	 * itself; a refused request (NO) adds no frame and still returns RC_OK. An error here means the index itself
	 * failed: the batch is rolled back and every request is answered with that error. */
	enum rc (*resolve)(void *owner, struct writer_request *req, struct log_batch *b,
	                   struct err *e);
	enum rc (*appended)(void *owner, const struct log_batch *b, struct err *e);
	enum rc (*commit)(void *owner, struct err *e);
	void    (*rollback)(void *owner);
	/* rc RC_OK: durable and applied. RC_IO (ENOSPC, ...): nothing was written. `durable`: the log has it even if rc
	 * is not RC_OK (applying failed): it has happened [design I1]. The request is the owner's again. */
	void    (*answer)(void *owner, struct writer_request *req, enum rc rc, bool durable,
	                  const struct err *e);
	/* A commit failed after a durable append for lack of space; rolled back by now. Find room and bring the index
	 * up to the log: RC_OK is as good as a commit. May be NULL. */
	enum rc (*catch_up)(void *owner, struct err *e);
	/* The index had no room for a batch with what frees space; rolled back by now. It is tried again after
	 * this. May be NULL. */
	void    (*make_room)(void *owner);
	/* For the log: changes are refused from now on, as the volume is broken or full; they are taken again, after so
	 * many milliseconds. Alternating. May be NULL. */
	void    (*stalled)(void *owner, const struct err *e);
	void    (*resumed)(void *owner, uint64_t ms);
	/* The log died (failed write or sync), or commit failed after a durable append: take the log over again if it
	 * is dead (log_reopen), settle it if it is not, and bring the index up to it. The batch is reset by then.
	 * Anything but RC_OK: the volume takes no further change, and this is tried again: every second for lack of
	 * space, else with growing pauses. What is submitted meanwhile is answered with the failure at once. */
	enum rc (*recover)(void *owner, struct err *e);
};

struct writer_params {
	struct log              *log;
	const struct writer_ops *ops;
	void                    *owner;
	bool                     relaxed;
	const struct err        *broken_by;     /* begin with recover; NULL: all is well. Copied */
	uint32_t                 max_requests;  /* per batch, and as many lazy ones; 0: 256 */
	uint32_t                 max_bytes;     /* per batch; 0: 4 MiB */
	uint32_t                 lazy_ms;       /* how long lazy requests are held at most; 0: 500 */
};

MUST_USE enum rc writer_start(const struct writer_params *p, struct writer **out, struct err *e);
/* Any thread. Takes the request; it is always answered, also during a stop. */
void writer_submit(struct writer *w, struct writer_request *req);
/* Run `f` on the writer's thread between two batches, and wait for it: for what changes log or index beside requests.
 * It must be short. Returns what f returns, or, without calling it, why the volume takes no changes now. Not from the
 * writer's thread itself. */
MUST_USE enum rc writer_run(struct writer *w, enum rc (*f)(void *arg, struct err *e), void *arg,
                            struct err *e);
/* Finish what is queued, sync, end the thread. No submit may come after. */
void writer_stop(struct writer **w);

struct writer_stats {
	uint64_t batches, requests, bytes, syncs, failures;
	uint32_t queued;
	bool     stalled;               /* waiting for recover */
};
void writer_get_stats(struct writer *w, struct writer_stats *out);

#endif
