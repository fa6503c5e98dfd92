/* wal - checkpoints of the index's WAL that keep out of the way of commits that begin it anew.
 *
 * SQLite before 3.51.3 may lose pages ("WAL-reset bug", https://sqlite.org/wal.html) when a checkpoint begins while all
 * of the WAL is in the database already, and a commit begins the WAL anew at that moment. So no checkpoint begins then:
 * there is nothing to do for it.
 *
 * What a failed sync leaves in the page cache counts as written from then on, whether the disk has it or not, and the next
 * sync succeeds. So after one the index is suspect, and nothing more of the WAL goes into the database.
 *
 * One per volume, for as long as the volume is open; all functions on any thread unless said. */
#ifndef RESTANTE_INDEX_WAL_H
#define RESTANTE_INDEX_WAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "index/db.h"

struct wal {
	atomic_bool    *suspect;        /* the volume's: the index is to be made anew */
	pthread_mutex_t one;            /* a checkpoint at a time, and none while the index is opened anew */
	pthread_mutex_t lock;           /* over the rest, and around a commit until it is noted */
	bool            known;          /* the rest is true */
	bool            settled;        /* all of the WAL is in the database */
	int             pages;          /* in it behind the last commit */
	uint64_t        resets;         /* it has been begun anew that often */
};

/* `suspect` outlives it. */
void wal_init(struct wal *w, atomic_bool *suspect);
void wal_fini(struct wal *w);

/* From here to wal_unhold no checkpoint runs, and nothing is known of the index that is opened meanwhile. */
void wal_hold(struct wal *w);
void wal_unhold(struct wal *w);

/* COMMIT on the writer's connection; the writer's thread. */
MUST_USE enum rc wal_commit(struct wal *w, struct db *db, struct err *e);
/* Within wal_commit: the WAL has this many pages now. SQLite's WAL hook calls it. */
void wal_note(struct wal *w, int pages);

enum wal_wait {
	WAL_WAITS,              /* for a checkpoint that is under way */
	WAL_GIVES_WAY,          /* to it */
	WAL_IN_COMMIT           /* the same, from SQLite's WAL hook */
};
/* A passive checkpoint of the index at `path` through `db`, or if that is NULL through a connection of its own. Returns
 * how many pages of the WAL a reader or a commit holds back; 0: each has its place in the database, and both are
 * synced. -1: unknown, as another checkpoint is under way, the files cannot be read or written, or the index is suspect. */
int wal_checkpoint(struct wal *w, const char *path, struct db *db, enum wal_wait wait);
/* All of the WAL into the database and the file empty, as far as nobody reads: the last act of the last connection. */
void wal_finish(struct wal *w, struct db *db);

#endif
