/* db_pool - read connections, a bounded number, the latest used first. See db.h.
 *
 * A connection costs about 100 KB with its statements and cache, so they are made on demand and
 * kept. Whoever comes when all are in use waits: reads are short, and the thread pool above is not
 * much larger.
 */
#include "index/db.h"
#include "index/vfs.h"
#include "lib/nowait.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* Of one statement, for who may not wait: some 0.3 ms. */
#define NOWAIT_STEPS 20000

/* Of all pools: what this thread has borrowed. */
static _Thread_local unsigned borrowed_here;

/* Of db_pool_moment_begin. */
static _Thread_local struct {
	struct db_pool *pool;
	struct db      *db;     /* that is given back until the next borrower; NULL: there is none */
} moment;

struct db_pool {
	char            *path;
	enum db_mode     mode;
	atomic_bool     *suspect;
	void           (*alarm)(void *arg);
	void            *alarm_arg;
	pthread_mutex_t  lock;
	pthread_cond_t   changed;
	uint32_t         max;
	uint32_t         borrowed;
	uint32_t         idle_count;
	uint32_t         paused;
	struct db       *idle[];        /* a stack */
};

enum rc
db_pool_new(const char *path, uint32_t max, atomic_bool *suspect, struct db_pool **out,
            struct err *e)
{
	struct db_pool *p;

	assert(max > 0);
	*out = NULL;
	p = calloc(1, sizeof *p + max * sizeof(struct db *));
	if (p == NULL)
		return err_nomem(e);
	p->path = strdup(path);
	if (p->path == NULL) {
		free(p);
		return err_nomem(e);
	}
	p->max = max;
	p->mode = DB_READ;
	p->suspect = suspect;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->changed, NULL);
	*out = p;
	return RC_OK;
}

void
db_pool_watch(struct db_pool *p, void (*alarm)(void *arg), void *arg)
{
	p->alarm = alarm;
	p->alarm_arg = arg;
}

void
db_pool_set_mode(struct db_pool *p, enum db_mode mode, struct db **first)
{
	(void)pthread_mutex_lock(&p->lock);
	assert(p->idle_count == 0);
	p->mode = mode;
	if (first != NULL) {
		p->idle[p->idle_count++] = *first;
		*first = NULL;
	}
	(void)pthread_mutex_unlock(&p->lock);
}

/* The lock is held, but not while one is closed: who may not wait for the disk takes it too. */
static void
close_idle(struct db_pool *p)
{
	struct db *db;

	while (p->idle_count > 0) {
		db = p->idle[--p->idle_count];
		(void)pthread_mutex_unlock(&p->lock);
		db_close(&db);
		(void)pthread_mutex_lock(&p->lock);
	}
}

void
db_pool_free(struct db_pool **pp)
{
	struct db_pool *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	assert(p->borrowed == 0);
	(void)pthread_mutex_lock(&p->lock);
	close_idle(p);
	(void)pthread_mutex_unlock(&p->lock);
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
	free(p->path);
	free(p);
}

static void
give_back(struct db_pool *p, struct db *db)
{
	(void)pthread_mutex_lock(&p->lock);
	p->borrowed--;
	if (db != NULL)
		p->idle[p->idle_count++] = db;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	if (p->alarm != NULL && p->suspect != NULL && atomic_load(p->suspect))
		p->alarm(p->alarm_arg);
}

static bool
is_taken(const struct db_pool *p)
{
	return p->paused > 0 || p->borrowed >= (p->mode == DB_ALONE ? 1 : p->max);
}

/* One that is open. */
static enum rc
borrow_now(struct db_pool *p, struct db **out, struct err *e)
{
	(void)pthread_mutex_lock(&p->lock);
	if (vfs_can_refuse() && !is_taken(p) && p->idle_count > 0) {
		*out = p->idle[--p->idle_count];
		p->borrowed++;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return *out != NULL ? RC_OK : nowait_refuse(e);
}

static enum rc
borrow_waiting(struct db_pool *p, struct db **out, struct err *e)
{
	enum db_mode mode;
	enum rc rc;

	(void)pthread_mutex_lock(&p->lock);
	while (is_taken(p))
		(void)pthread_cond_wait(&p->changed, &p->lock);
	p->borrowed++;
	if (p->idle_count > 0)
		*out = p->idle[--p->idle_count];
	mode = p->mode;
	(void)pthread_mutex_unlock(&p->lock);
	if (*out != NULL)
		return RC_OK;
	rc = db_open(p->path, mode, p->suspect, out, e);
	if (rc != RC_OK)
		give_back(p, NULL);
	return rc;
}

static int
stop_reading(void *arg)
{
	(void)arg;
	return 1;
}

/* Who may not wait may not take long either. */
static void
bound_reading(struct db *db)
{
	if (nowait_is_on())
		sqlite3_progress_handler(db_handle(db), NOWAIT_STEPS, stop_reading, NULL);
}

enum rc
db_pool_borrow(struct db_pool *p, struct db **out, struct err *e)
{
	struct db *db = NULL;
	enum rc rc;

	assert(borrowed_here == 0);
	*out = NULL;
	if (moment.pool == p && moment.db != NULL) {
		*out = moment.db;
		moment.db = NULL;
		borrowed_here++;
		return RC_OK;
	}
	rc = nowait_is_on() ? borrow_now(p, &db, e) : borrow_waiting(p, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = db_run(db, "BEGIN", DB_NO_ARGS, e);
	if (rc != RC_OK) {
		if (rc != RC_WAIT)
			db_close(&db);
		give_back(p, db);
		return rc;
	}
	bound_reading(db);
	borrowed_here++;
	*out = db;
	return RC_OK;
}

static void
end_reading(struct db_pool *p, struct db *db)
{
	if (nowait_is_on())
		sqlite3_progress_handler(db_handle(db), 0, NULL, NULL);
	if (db_in_transaction(db) && !db_end_reading(db))
		db_close(&db);
	give_back(p, db);
}

void
db_pool_return(struct db_pool *p, struct db **dbp)
{
	struct db *db = *dbp;

	*dbp = NULL;
	if (db == NULL)
		return;
	assert(borrowed_here > 0);
	borrowed_here--;
	if (moment.pool == p && db_in_transaction(db))
		moment.db = db;
	else
		end_reading(p, db);
}

void
db_pool_moment_begin(struct db_pool *p)
{
	assert(moment.pool == NULL && borrowed_here == 0);
	moment.pool = p;
}

void
db_pool_moment_end(struct db_pool *p)
{
	struct db *db = moment.db;

	assert(moment.pool == p && borrowed_here == 0);
	moment.pool = NULL;
	moment.db = NULL;
	if (db != NULL)
		end_reading(p, db);
}

void
db_pool_pause(struct db_pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->paused++;
	while (p->borrowed > 0)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	close_idle(p);
	(void)pthread_mutex_unlock(&p->lock);
}

void
db_pool_resume(struct db_pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
	assert(p->paused > 0);
	p->paused--;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

bool
db_pool_is_wanted(struct db_pool *p)
{
	bool wanted;

	(void)pthread_mutex_lock(&p->lock);
	wanted = p->paused > 0 || p->mode == DB_ALONE;
	(void)pthread_mutex_unlock(&p->lock);
	return wanted;
}
