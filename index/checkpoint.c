/* checkpoint - see checkpoint.h.
 *
 * Passive checkpoints only: they wait for nobody and block nobody. What a long reader holds back,
 * the next one moves.
 *
 * SQLite begins the WAL anew when a transaction finds all of it moved. Under load the thread never
 * gets that far, as commits come while it works; so it moves nearly all, and the writer the rest
 * behind one of its commits: some pages, two syncs, once for WAL_PAGES. To run again for each
 * commit instead costs more syncs than the log's own.
 */
#include "index/checkpoint.h"

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

#define WAL_PAGES  4000         /* 16 MB: begin a checkpoint */
#define REST_PAGES 64           /* so few the writer may move */
#define ROUNDS     8

enum stage {
	STAGE_WAIT,             /* for the WAL to grow */
	STAGE_MOVE,             /* the thread's turn */
	STAGE_REST,             /* the writer's */
};

struct checkpointer {
	pthread_t       thread;
	pthread_mutex_t lock;
	pthread_cond_t  wake;
	enum stage      stage;
	int             due;            /* pages of the WAL */
	bool            stop;
	struct wal     *wal;
	struct db      *watched;
	struct db      *db;
};

/* The writer's thread, which holds no lock of the database here. */
static int
on_commit(void *arg, sqlite3 *h, const char *name, int pages)
{
	struct checkpointer *c = arg;
	bool rest = false;

	(void)h, (void)name;
	wal_note(c->wal, pages);
	(void)pthread_mutex_lock(&c->lock);
	if (pages < WAL_PAGES)
		c->due = WAL_PAGES;
	if (c->stage == STAGE_REST) {
		rest = true;
		c->stage = STAGE_WAIT;
		c->due = pages + WAL_PAGES;     /* if a reader holds it back */
	} else if (c->stage == STAGE_WAIT && pages >= c->due) {
		c->stage = STAGE_MOVE;
		(void)pthread_cond_signal(&c->wake);
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (rest)
		(void)wal_checkpoint(c->wal, NULL, c->watched, WAL_IN_COMMIT);
	return SQLITE_OK;
}

static void *
run(void *arg)
{
	struct checkpointer *c = arg;
	int left;

	(void)pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->stage != STAGE_MOVE && !c->stop)
			(void)pthread_cond_wait(&c->wake, &c->lock);
		if (c->stop)
			break;
		(void)pthread_mutex_unlock(&c->lock);
		/* A failure (full disk) leaves the WAL growing: what is due later tries again. */
		left = INT_MAX;
		for (int i = 0; i < ROUNDS && left > REST_PAGES; i++)
			left = wal_checkpoint(c->wal, NULL, c->db, WAL_WAITS);
		(void)pthread_mutex_lock(&c->lock);
		c->stage = STAGE_REST;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

enum rc
checkpointer_start(struct wal *wal, const char *path, struct db *writer, struct checkpointer **out,
                   struct err *e)
{
	struct checkpointer *c = calloc(1, sizeof *c);
	enum rc rc;
	int bad;

	*out = NULL;
	if (c == NULL)
		return err_nomem(e);
	rc = db_open(path, DB_WRITE, NULL, &c->db, e);
	if (rc != RC_OK) {
		free(c);
		return rc;
	}
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->wake, NULL);
	bad = pthread_create(&c->thread, NULL, run, c);
	if (bad != 0) {
		db_close(&c->db);
		free(c);
		return err_os(e, bad, "start checkpoint thread");
	}
	c->wal = wal;
	c->watched = writer;
	c->due = WAL_PAGES;
	(void)sqlite3_wal_hook(db_handle(writer), on_commit, c);
	*out = c;
	return RC_OK;
}

void
checkpointer_stop(struct checkpointer **cp)
{
	struct checkpointer *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	(void)sqlite3_wal_hook(db_handle(c->watched), NULL, NULL);
	(void)pthread_mutex_lock(&c->lock);
	c->stop = true;
	(void)pthread_cond_signal(&c->wake);
	(void)pthread_mutex_unlock(&c->lock);
	(void)pthread_join(c->thread, NULL);
	db_close(&c->db);
	(void)pthread_cond_destroy(&c->wake);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}
