/* writer - group commit over a queue. See writer.h.
 *
 * Invariants: a request is in the queue, in the batch, or the owner's; it is answered exactly once.
 * What the index commits is synced before (relaxed changes excepted), so a power cut leaves no
 * index that is ahead of its log. When the log is dead, or the index lags behind it, nothing is
 * resolved until ops->recover has succeeded; what is queued meanwhile is answered with the
 * failure at once.
 *
 * Lazy requests stay in the queue, in their place, until another comes behind them: then they are
 * of its batch, and its sync is theirs. Rejected: to commit them at once and sync later, which puts
 * the index ahead of the log; a queue of their own, as what comes behind is decided with them.
 */
#include "store/writer.h"

#include "lib/clock.h"
#include "store/space.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define MAX_REQUESTS   256u
#define MAX_BYTES      (4u << 20)
#define RELAXED_MS     500u /* how long written changes may wait for a sync; a second is promised */
#define LAZY_MS        500u /* how long lazy requests wait for others */
#define PAUSE_FIRST_MS 50u
#define PAUSE_LAST_MS  30000u
#define PAUSE_FULL_MS  1000u    /* looking whether there is room costs little */

/* Lives on the stack of who waits. */
struct call {
	struct call    *next;
	enum rc       (*f)(void *arg, struct err *e);
	void           *arg;
	struct err     *e;
	enum rc         rc;
	bool            done;
};

struct writer {
	struct writer_params    p;
	pthread_t               thread;
	struct log_batch       *batch;
	struct writer_request **taken;          /* of this batch, in order */
	bool                    unsynced;       /* something waits for sync_at, a clock_mono_ms */
	uint64_t                sync_at;
	bool                    broken;         /* recover before anything else */
	struct err              broken_by;
	uint32_t                pause_ms;
	bool                    refusing;       /* broken or full, and the owner was told so, */
	uint64_t                refusing_since; /* at this clock_mono_ms */
	bool                    made_room;      /* for the requests that are tried again */
	uint32_t alone; /* the next batch takes only so many: they may use the reserve */
	bool                    was_alone;      /* the last answer had none beside or behind it */

	pthread_mutex_t         lock;           /* over what follows */
	pthread_cond_t          wake;
	struct writer_request  *head, **tail;
	uint32_t                lazy;           /* so many of them are, */
	uint64_t                lazy_by;        /* waiting until this clock_mono_ms at most */
	bool                    lazy_came;      /* and some came since the thread last slept without end */
	uint64_t                asleep_until;   /* the thread, if it sleeps */
	bool                    stop;
	struct call            *calls;
	pthread_cond_t          called;         /* one is done */
	struct writer_stats     stats;
};

/* Of a clock_mono_ms. */
static struct timespec
moment(uint64_t ms)
{
	return (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000L };
}

/* With a signal before the unlock the thread would wake to wait for the lock. One for each lazy request
 * would wake it for nothing. */
void
writer_submit(struct writer *w, struct writer_request *req)
{
	bool wake = !req->lazy;

	req->next = NULL;
	pthread_mutex_lock(&w->lock);
	assert(!w->stop);
	*w->tail = req;
	w->tail = &req->next;
	w->stats.queued++;
	if (!wake) {
		if (w->lazy++ == 0)
			w->lazy_by = clock_mono_ms() + w->p.lazy_ms;
		w->lazy_came = true;
		wake = w->lazy >= w->p.max_requests || w->lazy_by < w->asleep_until;
	}
	pthread_mutex_unlock(&w->lock);
	if (wake)
		pthread_cond_signal(&w->wake);
}

/* Up to the limit of requests from the queue into w->taken, and of lazy ones as many beside: they
 * take nobody's place. */
static uint32_t
take_queued(struct writer *w)
{
	uint32_t n = 0, lazy = 0, max = w->alone > 0 ? w->alone : w->p.max_requests;

	w->alone = 0;
	while (w->head != NULL && n - lazy < max && (!w->head->lazy || lazy < w->p.max_requests)) {
		lazy += w->head->lazy;
		w->taken[n++] = w->head;
		w->head = w->head->next;
	}
	if (w->head == NULL)
		w->tail = &w->head;
	w->stats.queued -= n;
	w->lazy -= lazy;
	return n;
}

/* Put taken[from..n) back in front of the queue, in their order. */
static void
give_back(struct writer *w, uint32_t from, uint32_t n)
{
	pthread_mutex_lock(&w->lock);
	for (uint32_t i = n; i-- > from;) {
		w->taken[i]->next = w->head;
		if (w->head == NULL)
			w->tail = &w->taken[i]->next;
		w->head = w->taken[i];
		w->lazy += w->head->lazy;
	}
	w->stats.queued += n - from;
	pthread_mutex_unlock(&w->lock);
}

/* None but what nobody waits for, when this was asked. */
static bool
is_queue_empty(struct writer *w)
{
	bool empty;

	pthread_mutex_lock(&w->lock);
	empty = w->stats.queued == w->lazy;
	pthread_mutex_unlock(&w->lock);
	return empty;
}

static void
answer_all(struct writer *w, uint32_t n, enum rc rc, bool durable, const struct err *e)
{
	bool was_alone = w->was_alone;

	w->was_alone = n == 1 && is_queue_empty(w);
	for (uint32_t i = 0; i < n; i++) {
		w->taken[i]->alone = was_alone && w->was_alone;
		w->p.ops->answer(w->p.owner, w->taken[i], rc, durable, e);
	}
}

static void
count_failure(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->stats.failures++;
	pthread_mutex_unlock(&w->lock);
}

static void
tell_stalled(struct writer *w, const struct err *e)
{
	if (w->refusing)
		return;
	w->refusing = true;
	w->refusing_since = clock_mono_ms();
	if (w->p.ops->stalled != NULL)
		w->p.ops->stalled(w->p.owner, e);
}

static void
tell_resumed(struct writer *w)
{
	if (!w->refusing)
		return;
	w->refusing = false;
	if (w->p.ops->resumed != NULL)
		w->p.ops->resumed(w->p.owner, clock_mono_ms() - w->refusing_since);
}

static void
set_broken(struct writer *w, const struct err *e)
{
	tell_stalled(w, e);
	w->broken = true;
	w->broken_by = *e;
	w->unsynced = false;
	w->pause_ms = PAUSE_FIRST_MS;
	pthread_mutex_lock(&w->lock);
	w->stats.stalled = true;
	pthread_mutex_unlock(&w->lock);
}

/* Resolve the taken requests, as many as the batch has room for; the rest goes back. *relaxed:
 * those who wait for it wait for no sync. Lazy requests alone are synced. */
static enum rc
resolve_taken(struct writer *w, uint32_t *n, bool *relaxed, struct err *e)
{
	bool strict = false;

	*relaxed = false;
	for (uint32_t i = 0; i < *n; i++) {
		bool flags = w->p.relaxed && w->taken[i]->relaxed_ok;
		enum rc rc;

		if (i > 0 && log_batch_bytes(w->batch) >= w->p.max_bytes) {
			give_back(w, i, *n);
			*n = i;
			break;
		}
		rc = w->p.ops->resolve(w->p.owner, w->taken[i], w->batch, e);
		if (rc != RC_OK)
			return rc;
		strict = strict || !(flags || w->taken[i]->lazy);
		*relaxed = (*relaxed || flags) && !strict;
	}
	return RC_OK;
}

static void
note_batch(struct writer *w, uint32_t n, bool unsynced)
{
	pthread_mutex_lock(&w->lock);
	w->stats.batches++;
	w->stats.requests += n;
	w->stats.bytes += log_batch_bytes(w->batch);
	w->stats.syncs += !unsynced;
	pthread_mutex_unlock(&w->lock);
	if (!unsynced) {
		w->unsynced = false;
	} else if (!w->unsynced) {
		w->unsynced = true;
		w->sync_at = clock_mono_ms() + RELAXED_MS;
	}
}

/* The batch is in the log: whatever happens now, it has happened [design I1]. */
static void
commit_appended(struct writer *w, uint32_t n, bool reserve, struct err *e)
{
	enum rc rc = w->p.ops->appended(w->p.owner, w->batch, e);

	if (rc == RC_OK)
		rc = w->p.ops->commit(w->p.owner, e);
	if (rc != RC_OK) {
		w->p.ops->rollback(w->p.owner);
		if (space_is_full(e->os) && w->p.ops->catch_up != NULL)
			rc = w->p.ops->catch_up(w->p.owner, e);
	}
	if (rc != RC_OK) {
		count_failure(w);
		set_broken(w, e);
	} else {
		w->made_room = false;
		if (!reserve)
			tell_resumed(w);        /* what frees space goes on anyway */
	}
	answer_all(w, n, rc, true, e);
}

/* Without space, what frees space may still go through: it is tried alone, with the reserve. */
static void
refuse_batch(struct writer *w, uint32_t n, bool reserve, const struct err *e)
{
	uint32_t kept = 0;

	count_failure(w);
	if (space_is_full(e->os))
		tell_stalled(w, e);
	for (uint32_t i = 0; i < n; i++) {
		if (w->taken[i]->reserve_ok && !reserve)
			w->taken[kept++] = w->taken[i];
		else
			w->p.ops->answer(w->p.owner, w->taken[i], e->code, false, e);
	}
	w->alone = kept;
	give_back(w, 0, kept);
}

static void
append_batch(struct writer *w, uint32_t n, bool relaxed, bool reserve, struct err *e)
{
	enum rc rc = log_append(w->p.log, w->batch, relaxed, reserve, e);

	if (rc == RC_OK) {
		note_batch(w, n, relaxed);
		commit_appended(w, n, reserve, e);
		return;
	}
	w->p.ops->rollback(w->p.owner);
	if (log_is_dead(w->p.log)) {
		count_failure(w);
		set_broken(w, e);
		answer_all(w, n, rc, false, e);
	} else {
		refuse_batch(w, n, reserve, e);
	}
}

/* How many of the taken requests may use the reserve. */
static uint32_t
count_freeing(const struct writer *w, uint32_t n)
{
	uint32_t freeing = 0;

	for (uint32_t i = 0; i < n; i++)
		freeing += w->taken[i]->reserve_ok;
	return freeing;
}

/* The index failed before anything was appended. */
static void
fail_batch(struct writer *w, uint32_t n, const struct err *e)
{
	bool again = space_is_full(e->os) && !w->made_room && w->p.ops->make_room != NULL &&
	             count_freeing(w, n) > 0;

	w->made_room = again;
	if (again)
		w->p.ops->make_room(w->p.owner);
	refuse_batch(w, n, !again, e);
}

static void
run_batch(struct writer *w, uint32_t n)
{
	struct err e = ERR_INIT;
	bool relaxed;
	enum rc rc;

	log_batch_reset(w->batch);
	rc = w->p.ops->begin(w->p.owner, &e);
	if (rc == RC_OK) {
		rc = resolve_taken(w, &n, &relaxed, &e);
		if (rc == RC_OK && !log_batch_empty(w->batch)) {
			append_batch(w, n, relaxed, count_freeing(w, n) == n, &e);
			return;
		}
		w->p.ops->rollback(w->p.owner); /* failed, or nothing to commit: all were refused */
	}
	if (rc != RC_OK)
		fail_batch(w, n, &e);
	else
		answer_all(w, n, RC_OK, false, &e);
}

/* Written changes are owed a sync. */
static void
run_sync(struct writer *w)
{
	struct err e = ERR_INIT;

	w->unsynced = false;
	if (log_sync(w->p.log, &e) != RC_OK) {
		count_failure(w);
		set_broken(w, &e);
		return;
	}
	pthread_mutex_lock(&w->lock);
	w->stats.syncs++;
	pthread_mutex_unlock(&w->lock);
}

/* Sleep until the next try, but not through a stop. What comes meanwhile is answered with what
 * broke the volume: nobody waits for a repair that may take hours. */
static void
pause_refusing(struct writer *w)
{
	uint32_t last = space_is_full(w->broken_by.os) ? PAUSE_FULL_MS : PAUSE_LAST_MS;
	struct timespec until;
	int os = 0;

	if (w->pause_ms > last)
		w->pause_ms = last;
	until = moment(clock_mono_ms() + w->pause_ms);
	pthread_mutex_lock(&w->lock);
	w->asleep_until = UINT64_MAX;   /* lazy requests, too, are refused at once */
	while (!w->stop && os != ETIMEDOUT) {
		uint32_t n;

		if (w->calls != NULL)
			break;
		n = take_queued(w);
		if (n == 0) {
			os = pthread_cond_timedwait(&w->wake, &w->lock, &until);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		answer_all(w, n, w->broken_by.code, false, &w->broken_by);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	w->pause_ms = w->pause_ms > last / 2 ? last : w->pause_ms * 2;
}

static enum rc
try_recover(struct writer *w, struct err *e)
{
	enum rc rc;

	log_batch_reset(w->batch);
	rc = w->p.ops->recover(w->p.owner, e);
	if (rc != RC_OK)
		return rc;
	w->broken = false;
	pthread_mutex_lock(&w->lock);
	w->stats.stalled = false;
	pthread_mutex_unlock(&w->lock);
	if (!log_is_starved(w->p.log))  /* else the first ordinary batch that is taken tells */
		tell_resumed(w);
	return RC_OK;
}

/* The last of them, before a stop. */
static void
answer_queued(struct writer *w)
{
	uint32_t n;

	do {
		pthread_mutex_lock(&w->lock);
		n = take_queued(w);
		pthread_mutex_unlock(&w->lock);
		answer_all(w, n, w->broken_by.code, false, &w->broken_by);
	} while (n > 0);
}

static void
run_recover(struct writer *w, bool stop)
{
	struct err e = ERR_INIT;

	if (try_recover(w, &e) == RC_OK)
		return;
	w->broken_by = e;
	if (stop)
		answer_queued(w);
	else
		pause_refusing(w);
}

/* What is asked of us beside requests; while the volume is broken it is refused. */
static void
run_calls(struct writer *w)
{
	struct call *c;

	pthread_mutex_lock(&w->lock);
	while ((c = w->calls) != NULL) {
		w->calls = c->next;
		pthread_mutex_unlock(&w->lock);
		if (w->broken) {
			*c->e = w->broken_by;
			c->rc = c->e->code;
		} else {
			c->rc = c->f(c->arg, c->e);
		}
		if (!w->broken && log_is_dead(w->p.log)) {
			count_failure(w);
			set_broken(w, c->e);
		}
		pthread_mutex_lock(&w->lock);
		c->done = true;
		pthread_cond_broadcast(&w->called);
	}
	pthread_mutex_unlock(&w->lock);
}

enum rc
writer_run(struct writer *w, enum rc (*f)(void *arg, struct err *e), void *arg, struct err *e)
{
	struct call c = { .f = f, .arg = arg, .e = e };
	struct call **end;

	pthread_mutex_lock(&w->lock);
	assert(!w->stop);
	for (end = &w->calls; *end != NULL; end = &(*end)->next)
		;
	*end = &c;
	pthread_cond_signal(&w->wake);
	while (!c.done)
		pthread_cond_wait(&w->called, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return c.rc;
}

/* When nothing can wait any longer, as a clock_mono_ms. */
static uint64_t
next_deadline(const struct writer *w)
{
	uint64_t at = w->unsynced ? w->sync_at : UINT64_MAX;

	return w->lazy > 0 && w->lazy_by < at ? w->lazy_by : at;
}

static bool
has_work(const struct writer *w)
{
	return w->broken || w->calls != NULL || w->stop || w->stats.queued > w->lazy ||
	       w->lazy >= w->p.max_requests || clock_mono_ms() >= next_deadline(w);
}

/* Until there is something to do. Returns how many requests were taken: none before calls. *stop:
 * none will come any more. */
static uint32_t
wait_for_work(struct writer *w, bool *stop)
{
	uint32_t n;

	pthread_mutex_lock(&w->lock);
	while (!has_work(w)) {
		uint64_t at = next_deadline(w);
		struct timespec until;

		if (at == UINT64_MAX && w->lazy_came) {
			at = clock_mono_ms() + w->p.lazy_ms;    /* those that come now need not wake us */
			w->lazy_came = false;
		}
		until = moment(at);
		w->asleep_until = at;
		if (at != UINT64_MAX)
			(void)pthread_cond_timedwait(&w->wake, &w->lock, &until);
		else
			pthread_cond_wait(&w->wake, &w->lock);
	}
	n = w->broken || w->calls != NULL ? 0 : take_queued(w);
	*stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return n;
}

static bool
sync_is_due(const struct writer *w)
{
	return w->unsynced && clock_mono_ms() >= w->sync_at;
}

static void *
writer_main(void *arg)
{
	struct writer *w = arg;
	bool stop = false;

	for (;;) {
		uint32_t n = wait_for_work(w, &stop);

		if (n == 0)
			/* one that breaks the volume must not leave taken requests unanswered */
			run_calls(w);
		if (w->broken)
			run_recover(w, stop);
		else if (n > 0)
			run_batch(w, n);
		if (!w->broken && (sync_is_due(w) || (stop && n == 0 && w->unsynced)))
			run_sync(w);
		if (stop && n == 0 && (w->broken || !w->unsynced)) {
			pthread_mutex_lock(&w->lock);
			n = w->head != NULL;
			pthread_mutex_unlock(&w->lock);
			if (n == 0)
				return NULL;
		}
	}
}

static void
writer_free(struct writer *w)
{
	log_batch_free(&w->batch);
	free(w->taken);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->called);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

enum rc
writer_start(const struct writer_params *p, struct writer **out, struct err *e)
{
	struct writer *w = calloc(1, sizeof *w);
	pthread_condattr_t attr;
	enum rc rc;
	int os;

	*out = NULL;
	if (w == NULL)
		return err_nomem(e);
	w->p = *p;
	if (w->p.max_requests == 0)
		w->p.max_requests = MAX_REQUESTS;
	if (w->p.max_bytes == 0)
		w->p.max_bytes = MAX_BYTES;
	if (w->p.lazy_ms == 0)
		w->p.lazy_ms = LAZY_MS;
	w->tail = &w->head;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->called, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	w->taken = calloc(w->p.max_requests, 2 * sizeof *w->taken);
	if (p->broken_by != NULL)
		set_broken(w, p->broken_by);
	rc = w->taken != NULL ? log_batch_new(p->log, &w->batch, e) : err_nomem(e);
	if (rc == RC_OK && (os = pthread_create(&w->thread, NULL, writer_main, w)) != 0)
		rc = err_os(e, os, "start the writer");
	if (rc != RC_OK) {
		writer_free(w);
		return rc;
	}
	*out = w;
	return RC_OK;
}

void
writer_stop(struct writer **wp)
{
	struct writer *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	writer_free(w);
}

void
writer_get_stats(struct writer *w, struct writer_stats *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->stats;
	pthread_mutex_unlock(&w->lock);
}
