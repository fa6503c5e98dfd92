/* checkpoint - see checkpoint.h.
 *
 * Passive checkpoints only: they wait for nobody and block nobody. What a long reader holds back,
 * the next one moves.
 */
#include "index/checkpoint.h"

#include <pthread.h>
#include <stdlib.h>

#define WAL_PAGES 2000          /* 8 MB: begin a checkpoint */

struct checkpointer {
	pthread_t       thread;
	pthread_mutex_t lock;
	pthread_cond_t  wake;
	bool            wanted;
	bool            stop;
	struct db      *watched;
	struct db      *db;
};

static int
on_commit(void *arg, sqlite3 *h, const char *name, int pages)
{
	struct checkpointer *c = arg;

	(void)h;
	(void)name;
	if (pages < WAL_PAGES)
		return SQLITE_OK;
	(void)pthread_mutex_lock(&c->lock);
	c->wanted = true;
	(void)pthread_cond_signal(&c->wake);
	(void)pthread_mutex_unlock(&c->lock);
	return SQLITE_OK;
}

static void *
run(void *arg)
{
	struct checkpointer *c = arg;

	(void)pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->wanted && !c->stop)
			(void)pthread_cond_wait(&c->wake, &c->lock);
		if (c->stop)
			break;
		c->wanted = false;
		(void)pthread_mutex_unlock(&c->lock);
		/* A failure (full disk) leaves the WAL growing: the next commit asks again. */
		(void)sqlite3_wal_checkpoint_v2(db_handle(c->db), NULL, SQLITE_CHECKPOINT_PASSIVE,
		                                NULL, NULL);
		(void)pthread_mutex_lock(&c->lock);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

enum rc
checkpointer_start(const char *path, struct db *writer, struct checkpointer **out, struct err *e)
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
	c->watched = writer;
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
