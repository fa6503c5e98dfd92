/* volume_impl - the inside of a volume, for the files of index/ only.
 *
 * Threads: `apply`, `resolver` and `db` belong to the writer's thread once it runs. `log` stays the same from open to
 * close: a recovery takes it over in place, and readers go on.
 */
#ifndef RESTANTE_INDEX_VOLUME_IMPL_H
#define RESTANTE_INDEX_VOLUME_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "index/apply.h"
#include "index/box_cache.h"
#include "index/checkpoint.h"
#include "index/columns.h"
#include "index/ingest.h"
#include "index/place_cache.h"
#include "index/recent.h"
#include "index/resolve.h"
#include "index/volume.h"
#include "store/writer.h"

#define TOLD_MAX 64u

/* A stretch of the log that was told as damaged: an open, a replay and a rebuild meet the same. */
struct told {
	struct seg_id seg;
	uint64_t      offset, end;
};

/* What is under way that must not be twice. */
struct claims {
	pthread_mutex_t lock;
	pthread_cond_t  released;
	struct claim   *held;           /* a list */
};

/* What was done beside the daily work. */
struct maintenance {
	pthread_mutex_t lock;           /* over all of it */
	uint64_t        surveyed_us;    /* the last survey of the log: when, and what it found */
	uint64_t        surveyed_bytes, dead_bytes;
	uint64_t        autoexpunged_us;        /* when that last began; 0: at once */
	uint64_t        backed_up_us;   /* the last backup: when it began, and where it is */
	char           *backed_up_to;   /* heap; NULL: none */
};

struct volume {
	struct volume_params p;
	char                *name;
	char                *path;
	char                *index_path;

	struct log          *log;
	bool                 owner;     /* `log` is open for writing: the index is ours to replace */
	struct log_report    report;    /* to p.report, counting in `damage` */
	_Atomic uint64_t     damage;    /* findings in the log since the open */
	_Atomic uint64_t     damaged;   /* as in index_meta: where they are, or what the index says */
	pthread_mutex_t      told_lock;
	struct told          told[TOLD_MAX];    /* findings told, the latest */
	size_t               told_count;

	struct volume_start  start;     /* of the index, until the writer runs */

	struct db           *db;        /* the writer's connection */
	struct apply         apply;
	struct resolver      resolver;
	bool                 in_batch;
	bool                 healed;    /* the index was made anew while running, */
	time_t               healed_at; /* monotonic seconds */
	bool                 reopened;  /* the index, since the volume broke for lack of space */
	bool                 appended;  /* the batch is in the log */
	struct touched_mailbox *owed;   /* what happened and was not told, as its commit failed */
	size_t               owed_count;
	struct changed_accounts owed_accounts;
	struct writer       *writer;
	_Atomic(struct scrubber *) scrubber;    /* NULL: never asked for */

	struct db_pool      *pool;
	struct checkpointer *checkpointer;
	struct wal           wal;
	struct recent       *recent;
	struct column_store *columns;
	struct place_cache  *places;
	struct box_cache    *boxes;
	atomic_bool          suspect;   /* SQLite found the index damaged: to be rebuilt */
	_Atomic int64_t      mend_asked;  /* when a reader last asked for it: monotonic seconds plus one; 0: never */
	_Atomic uint64_t     changes;
	struct claims        claims;
	struct maintenance   maintenance;
	_Atomic account_id   frozen;    /* is being moved away: its changes are refused; 0: none */
	atomic_bool          ending;    /* no long maintenance any more */
	atomic_bool          reparsing;
	_Atomic uint64_t     accounts_version, mailboxes_version;
	_Atomic log_lsn      last_lsn;  /* of the log: the log's own is the writer's */
};

/* ---- volume.c ---- */

/* Nothing is open yet; for volume_close. NULL: no memory. */
struct volume *volume_new(const struct volume_params *p);
/* A message's bytes are damaged: counted and told once per place. No record is lost by it, so the volume is not damaged
 * as volume_is_damaged means it. Any thread. */
void volume_found_unreadable(struct volume *v, struct seg_id seg, uint64_t offset, uint64_t len,
                             const char *what);

/* For who tells it in his own words: counts the place, false if it was told before. Any thread. */
bool volume_note_found(struct volume *v, struct seg_id seg, uint64_t offset, uint64_t len);

/* ---- index_open.c ---- */

/* Bring the index up to v->log: replay the tail, or rebuild. Leaves v->db and v->apply ready. The pool is paused or not
 * there yet. */
MUST_USE enum rc index_open(struct volume *v, struct err *e);
void index_close(struct volume *v);
/* End what is left of the writer's transaction: SQLite may have rolled back by itself. The writer's thread. */
void index_roll_back(struct volume *v);
/* RC_OK if what the index says of itself fits this log; RC_CORRUPT says why not. */
MUST_USE enum rc index_examine(const struct log *log, const struct index_meta *m, struct err *e);
/* ---- index_still.c ---- */

/* The index cannot be opened for want of space: let readers have it as it stands. The pool is paused or unused, v->db
 * is NULL. False: that is impossible, and the pool is as it was. */
bool index_serve_still(struct volume *v);
/* False while trying to open the index is vain. */
bool index_has_room(struct volume *v);

/* ---- rebuild.c ---- */

/* In two steps: an index of the log into a file beside the index (going on with one that was cut), and from there into
 * its place. index_discard removes that file instead. */
MUST_USE enum rc index_make(struct volume *v, struct err *e);
MUST_USE enum rc index_install(struct volume *v, struct err *e);
void index_discard(struct volume *v, struct err *e);
/* What the index there says of itself; all zero if it is missing or damaged. Read before the log is opened: it may not
 * be newer than the head, which its owner may be writing. */
void index_peek(const struct volume *v, struct index_meta *m);
/* For log_params.ask_synced, with the index_meta read before: 0 if that index is not of this log. */
log_lsn index_synced(void *arg, const struct log *log);

/* ---- renew.c ---- */

/* If the log is a copy: make a volume of it. The writer runs, nobody else knows the volume yet. */
MUST_USE enum rc volume_renew(struct volume *v, struct err *e);

/* ---- backup_note.c ---- */

/* What is known of the last backup, for the status: of a volume that is being opened. */
void backup_note_read(struct volume *v);

/* ---- orphans.c ---- */

/* Remove out-of-line bodies that no record names. For an owner that has just opened, before any message comes in. */
void orphans_drop(struct volume *v);
/* Apply the log's records after ap->meta.applied and up to `last` to ap. commit_every: a transaction ends behind the
 * frame in which it has so many records; 0: never */
MUST_USE enum rc index_replay(struct volume *v, struct apply *ap, log_lsn last,
                              uint32_t commit_every, const char *what, struct err *e);
/* Recompute counters; drop what belongs to no account or mailbox; rename the older of two mailboxes of one name.
 * Dropped and renamed mailboxes are reported. A name whose parent does not exist is left as it is: LIST
 * shows such parents. */
MUST_USE enum rc index_tidy(struct volume *v, struct db *db, struct index_meta *m, struct err *e);

/* ---- inboxes.c ---- */

/* Of a damaged volume: make an INBOX for each account that lost its own. The writer runs, nothing is served yet. */
void inboxes_mend(struct volume *v);

/* ---- volume_writer.c ---- */

extern const struct writer_ops volume_writer_ops;

#endif
