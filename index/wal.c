/* wal - see wal.h.
 *
 * What is known comes from the commits' page counts: a commit adds pages, so fewer than before, or
 * as many, are a WAL begun anew, which happens only to one that is in the database as a whole. To
 * that a checkpoint's end can bring it, not what comes before: so if afterwards there are no more
 * pages than it has seen, and the WAL was not begun anew, all of it is settled. Where nothing is
 * known (the index was just opened), commits wait for the checkpoint's end.
 */
#include "index/wal.h"

#include <sqlite3.h>

void
wal_init(struct wal *w, atomic_bool *suspect)
{
	*w = (struct wal){ .suspect = suspect };
	(void)pthread_mutex_init(&w->one, NULL);
	(void)pthread_mutex_init(&w->lock, NULL);
}

void
wal_fini(struct wal *w)
{
	(void)pthread_mutex_destroy(&w->one);
	(void)pthread_mutex_destroy(&w->lock);
}

void
wal_hold(struct wal *w)
{
	(void)pthread_mutex_lock(&w->one);
	(void)pthread_mutex_lock(&w->lock);
	w->known = w->settled = false;
	(void)pthread_mutex_unlock(&w->lock);
}

void
wal_unhold(struct wal *w)
{
	(void)pthread_mutex_unlock(&w->one);
}

enum rc
wal_commit(struct wal *w, struct db *db, struct err *e)
{
	enum rc rc;

	(void)pthread_mutex_lock(&w->lock);
	rc = db_run(db, "COMMIT", DB_NO_ARGS, e);
	(void)pthread_mutex_unlock(&w->lock);
	return rc;
}

void
wal_note(struct wal *w, int pages)
{
	w->resets += pages <= w->pages;
	w->pages = pages;
	w->settled = false;
}

static bool
checkpoint(struct wal *w, struct db *db, int mode, int *pages, int *moved)
{
	int rc;

	if (atomic_load(w->suspect))
		return false;
	rc = sqlite3_wal_checkpoint_v2(db_handle(db), NULL, mode, pages, moved);
	if (rc != SQLITE_OK && sqlite3_extended_errcode(db_handle(db)) == SQLITE_IOERR_FSYNC)
		atomic_store(w->suspect, true);
	return rc == SQLITE_OK;
}

static bool
move_pages(struct wal *w, const char *path, struct db *db, int *pages, int *moved)
{
	struct err e = ERR_INIT;
	struct db *own = NULL;
	bool ok = false;

	if (db != NULL || db_open(path, DB_WRITE, NULL, &own, &e) == RC_OK)
		ok = checkpoint(w, db != NULL ? db : own, SQLITE_CHECKPOINT_PASSIVE, pages, moved);
	db_close(&own);
	return ok;
}

void
wal_finish(struct wal *w, struct db *db)
{
	(void)checkpoint(w, db, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

/* `one` is held. */
static int
run(struct wal *w, const char *path, struct db *db, bool in_commit)
{
	int pages = -1, moved = -2;
	uint64_t resets;
	bool alone, done;

	if (!in_commit)
		(void)pthread_mutex_lock(&w->lock);
	alone = in_commit || !w->known;         /* no commit comes before the end */
	resets = w->resets;
	done = w->known && w->settled;
	if (!in_commit && (done || !alone))
		(void)pthread_mutex_unlock(&w->lock);
	if (done)
		return 0;
	done = move_pages(w, path, db, &pages, &moved);
	if (!alone)
		(void)pthread_mutex_lock(&w->lock);
	else if (done)
		w->pages = pages;
	w->known = w->known || done;
	w->settled = done && pages == moved && w->resets == resets && w->pages <= pages;
	if (!in_commit)
		(void)pthread_mutex_unlock(&w->lock);
	return done ? pages - moved : -1;
}

int
wal_checkpoint(struct wal *w, const char *path, struct db *db, enum wal_wait wait)
{
	int left;

	if (wait == WAL_WAITS)
		(void)pthread_mutex_lock(&w->one);
	else if (pthread_mutex_trylock(&w->one) != 0)
		return -1;
	left = run(w, path, db, wait == WAL_IN_COMMIT);
	(void)pthread_mutex_unlock(&w->one);
	return left;
}
