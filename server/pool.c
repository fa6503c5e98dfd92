/* pool - see pool.h.
 *
 * What costs here is threads that wake each other, so: a thread that has done a job takes the next
 * one without sleeping; it is woken after the lock is let go, or it would wait for that at once;
 * the one that slept last is woken first, as its caches are warm; and while one is on its way
 * nobody wakes another: it does so itself when it takes a job and leaves one behind.
 *
 * libuv's pool signals under the lock that the thread needs, and tells the loop of each job under
 * another: three quarters of the changes of thread in a STORE were these.
 *
 * The queue has no bound of its own: it holds one job of each session at most.
 */
#include "server/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MIN 4u
#define THREADS_MAX 1024u

struct worker {
	struct pool   *pool;
	struct worker *next_idle;
	pthread_t      thread;
	sem_t          wake;
};

struct pool {
	pthread_mutex_t  lock;
	struct pool_job *first, **last;
	struct worker   *idle;          /* the last one to sleep first */
	bool             waking;        /* one was woken and has not looked at the queue yet */
	bool             ending;
	unsigned         count;
	struct worker    workers[];
};

/* Under the lock: who is to be woken after it, or NULL. */
static struct worker *
choose_worker(struct pool *p)
{
	struct worker *w = p->idle;

	if (p->first == NULL || p->waking || w == NULL)
		return NULL;
	p->idle = w->next_idle;
	p->waking = true;
	return w;
}

static void
wake_worker(struct worker *w)
{
	if (w != NULL)
		sem_post(&w->wake);
}

static void
sleep_worker(struct worker *w)
{
	while (sem_wait(&w->wake) != 0)
		assert(errno == EINTR);
}

/* The next job; NULL: it is all over. */
static struct pool_job *
take_job(struct worker *w)
{
	struct pool *p = w->pool;
	struct worker *other = NULL;
	struct pool_job *job;

	pthread_mutex_lock(&p->lock);
	while (p->first == NULL && !p->ending) {
		w->next_idle = p->idle;
		p->idle = w;
		pthread_mutex_unlock(&p->lock);
		sleep_worker(w);
		pthread_mutex_lock(&p->lock);
		p->waking = false;
	}
	job = p->first;
	if (job != NULL) {
		p->first = job->next;
		if (p->first == NULL)
			p->last = &p->first;
		other = choose_worker(p);
	}
	pthread_mutex_unlock(&p->lock);
	wake_worker(other);
	return job;
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool_job *job;

	while ((job = take_job(w)) != NULL)
		job->run(job);
	return NULL;
}

void
pool_submit(struct pool *p, struct pool_job *job)
{
	struct worker *w;

	job->next = NULL;
	pthread_mutex_lock(&p->lock);
	assert(!p->ending);
	*p->last = job;
	p->last = &job->next;
	w = choose_worker(p);
	pthread_mutex_unlock(&p->lock);
	wake_worker(w);
}

bool
pool_is_wanted(struct pool *p)
{
	bool waits;

	pthread_mutex_lock(&p->lock);
	waits = p->first != NULL;
	pthread_mutex_unlock(&p->lock);
	return waits;
}

/* More than processors, as they wait for the disk. */
static unsigned
size_of(uint64_t configured)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t n = configured > 0 ? configured : cores > 0 ? 4u * (uint64_t)cores : 0;

	if (configured == 0 && n < THREADS_MIN)
		n = THREADS_MIN;
	return n < THREADS_MAX ? (unsigned)n : THREADS_MAX;
}

enum rc
pool_new(uint64_t configured, struct pool **out, struct err *e)
{
	unsigned threads = size_of(configured);
	struct pool *p = calloc(1, sizeof *p + threads * sizeof p->workers[0]);

	*out = NULL;
	if (p == NULL)
		return err_nomem(e);
	pthread_mutex_init(&p->lock, NULL);
	p->last = &p->first;
	while (p->count < threads) {
		struct worker *w = &p->workers[p->count];
		int failed;

		w->pool = p;
		sem_init(&w->wake, 0, 0);
		failed = pthread_create(&w->thread, NULL, worker_main, w);
		if (failed != 0) {
			sem_destroy(&w->wake);
			pool_free(&p);
			return err_os(e, failed, "thread of the pool");
		}
		p->count++;
	}
	*out = p;
	return RC_OK;
}

void
pool_free(struct pool **pp)
{
	struct pool *p = *pp;
	struct worker *idle;

	if (p == NULL)
		return;
	*pp = NULL;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	idle = p->idle;
	p->idle = NULL;
	pthread_mutex_unlock(&p->lock);
	while (idle != NULL) {
		struct worker *w = idle;

		idle = w->next_idle;
		wake_worker(w);
	}
	for (unsigned i = 0; i < p->count; i++)
		pthread_join(p->workers[i].thread, NULL);
	for (unsigned i = 0; i < p->count; i++)
		sem_destroy(&p->workers[i].wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
