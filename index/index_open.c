/* index_open - an index that agrees with its log: trusted and brought up to date, or made anew.
 *
 * The index is discarded if it is missing, unreadable, of another volume or schema, if it has
 * applied more than the log holds (a relaxed change that was lost, or a log that was put back),
 * less than the log remembers (its floor), or was written by an owner whose takeover is not on the
 * log's chain. Otherwise the log's tail after `applied` is replayed.
 *
 * Before that the log itself asks what the index knows as synced: an acknowledged frame that no
 * longer holds is damage then, not a torn tail.
 */
#include "index/volume_impl.h"
#include "lib/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/logging.h"
#include "store/fs.h"
#include "store/space.h"

#define REPLAY_RECORDS 2000u    /* per transaction when catching up */
#define PROGRESS_AFTER_MS 2000u /* what takes less is not told */

/* What the log tells as soon as its head is read. */
static enum rc
examine_origin(const struct log *log, const struct index_meta *m, struct err *e)
{
	uint8_t id[16];

	log_volume_id(log, id);
	if (m->schema != SCHEMA_VERSION)
		return err_set(e, RC_CORRUPT, "index has schema %u, not %u", m->schema,
		               SCHEMA_VERSION);
	if (memcmp(id, m->volume, sizeof id) != 0)
		return err_set(e, RC_CORRUPT, "index belongs to another volume");
	if (!log_knows_takeover(log, m->takeover))
		return err_set(e, RC_CORRUPT,
		               "index was written by an owner that the log does not know");
	if (m->applied < log_floor(log))
		return err_set(e, RC_CORRUPT, "index is older than what the log remembers");
	return RC_OK;
}

enum rc
index_examine(const struct log *log, const struct index_meta *m, struct err *e)
{
	enum rc rc = examine_origin(log, m, e);

	if (rc == RC_OK && m->applied != 0 && !log_has(log, m->applied))
		return err_set(e, RC_CORRUPT, "index has applied what is not in the log");
	return rc;
}

static bool
peek_as(const struct volume *v, enum db_mode mode, struct index_meta *m, struct err *e)
{
	struct db *db;
	enum rc rc = db_open(v->index_path, mode, NULL, &db, e);

	if (rc != RC_OK)
		return false;
	rc = schema_read_meta(db, m, e);
	if (rc != RC_OK)
		*m = (struct index_meta){ .applied = 0 };
	db_close(&db);
	return rc == RC_OK;
}

void
index_peek(const struct volume *v, struct index_meta *m)
{
	struct err e = ERR_INIT;

	*m = (struct index_meta){ .applied = 0 };
	if (access(v->index_path, F_OK) != 0)
		return;
	/* On a full disk there may be no room for the memory that connections share. */
	if (!peek_as(v, DB_READ, m, &e) && space_is_full(e.os) && v->p.mode == VOLUME_WRITE)
		(void)peek_as(v, DB_ALONE, m, &e);
}

log_lsn
index_synced(void *arg, const struct log *log)
{
	const struct index_meta *m = arg;
	struct err e = ERR_INIT;

	return examine_origin(log, m, &e) == RC_OK && m->synced <= m->applied ? m->synced : 0;
}

/* ---- replay ---- */

struct replay_run {
	struct volume *v;
	struct apply  *ap;
	log_lsn        last;            /* stop behind this record */
	uint32_t       commit_every;
	uint32_t       uncommitted;     /* records of the transaction */
	const char    *what;
	uint64_t       began_ms;
	uint64_t       records;
};

static enum rc
replay_record(void *arg, const struct frame_info *f, const struct record *r,
              const struct log_addr *addr, struct err *e)
{
	struct replay_run *run = arg;
	const struct log_report *rep = &run->v->report;
	struct log_addr data = *addr;
	enum rc rc;

	if (r->lsn > run->last)
		return RC_OK;
	run->uncommitted++;
	if (r->type == RECORD_BLOB)
		data = apply_blob_data(r, addr);
	run->records++;
	run->ap->time_us = f->time_us;
	rc = apply_record(run->ap, r, &data, e);
	if (rc != RC_SYNTAX)
		return rc;
	rep->found(rep->arg, f->seg, addr->offset, addr->len, r->lsn, r->lsn, e->text);
	/* its bytes are as they were written */
	atomic_store(&run->v->damaged, INDEX_DAMAGED_FOR_GOOD);
	return RC_OK;
}

/* Records that are damaged will not be met again: the index remembers that they were. */
static void
note_damage(struct replay_run *run)
{
	uint64_t damaged = atomic_load(&run->v->damaged);

	if (damaged != 0)
		run->ap->meta.damaged = damaged;
}

static enum rc
replay_frame(void *arg, const struct frame_info *f, struct err *e)
{
	struct replay_run *run = arg;
	enum rc rc;

	(void)f;
	if (run->commit_every == 0 || run->uncommitted < run->commit_every)
		return RC_OK;
	run->uncommitted = 0;
	note_damage(run);
	rc = schema_write_meta(run->ap->db, &run->ap->meta, e);
	return rc == RC_OK ? db_exec(run->ap->db, "COMMIT; BEGIN IMMEDIATE", e) : rc;
}

static bool
replay_progress(void *arg, uint64_t done, uint64_t total)
{
	struct replay_run *run = arg;

	if (run->what != NULL && run->v->p.progress != NULL &&
	    clock_mono_ms() - run->began_ms >= PROGRESS_AFTER_MS)
		run->v->p.progress(run->v->p.progress_arg, run->what, done, total);
	return true;
}

enum rc
index_replay(struct volume *v, struct apply *ap, log_lsn last, uint32_t commit_every,
             const char *what, struct err *e)
{
	struct replay_run run = { v, ap, last, commit_every, 0, what, clock_mono_ms(), 0 };
	struct replay rp = {
		.arg = &run,
		.after = ap->meta.applied,
		.record = replay_record,
		.frame = replay_frame,
		.progress = replay_progress,
	};
	enum rc rc = log_replay(v->log, &rp, false, &v->report, e);

	note_damage(&run);
	if (v->writer == NULL)
		v->start.replayed += run.records;
	return rc;
}

/* ---- open ---- */

/* Make an index of the log and put it in the old one's place. */
static enum rc
rebuild(struct volume *v, struct err *e)
{
	enum rc rc = index_make(v, e);

	if (v->writer == NULL)
		v->start.rebuilt = true;
	return rc == RC_OK ? index_install(v, e) : rc;
}

static enum rc
ignore_record(void *arg, const struct frame_info *f, const struct record *r,
              const struct log_addr *addr, struct err *e)
{
	(void)arg, (void)f, (void)r, (void)addr, (void)e;
	return RC_OK;
}

/* An index that was made across damage: only the segment that it names is read. RC_CORRUPT: it is
 * sound now, so an index of more can be made. */
static enum rc
examine_damage(struct volume *v, struct err *e)
{
	struct replay rp = { .record = ignore_record, .only = v->apply.meta.damaged };
	enum rc rc;

	if (v->apply.meta.damaged == 0)
		return RC_OK;
	if (v->apply.meta.damaged != INDEX_DAMAGED_FOR_GOOD && atomic_load(&v->damaged) == 0) {
		rc = log_replay(v->log, &rp, false, &v->report, e);
		if (rc != RC_OK)
			return rc;
		if (atomic_load(&v->damaged) == 0)
			return err_set(e, RC_CORRUPT,
			               "index was made of a damaged log, which is sound now");
	}
	atomic_store(&v->damaged, v->apply.meta.damaged);
	return RC_OK;
}

/* Take over an index that is there: RC_CORRUPT or RC_NOT_FOUND: it must be rebuilt. */
static enum rc
try_open(struct volume *v, struct err *e)
{
	enum rc rc;

	if (access(v->index_path, F_OK) != 0)
		return err_set(e, RC_NOT_FOUND, "no index");
	rc = db_open(v->index_path, DB_WRITE, &v->suspect, &v->db, e);
	if (rc == RC_OK)
		rc = db_exec(v->db, "BEGIN IMMEDIATE", e);
	if (rc == RC_OK)
		rc = schema_verify(v->db, e);
	if (rc == RC_OK)
		rc = apply_init(&v->apply, v->db, e);   /* RC_NOT_FOUND: it was never finished */
	if (rc == RC_OK)
		rc = index_examine(v->log, &v->apply.meta, e);
	if (rc == RC_OK)
		rc = examine_damage(v, e);
	if (rc == RC_OK)
		rc = index_replay(v, &v->apply, UINT64_MAX, REPLAY_RECORDS, "replay", e);
	if (rc == RC_OK) {
		v->apply.meta.takeover = log_takeover_id(v->log);
		v->apply.meta.synced = v->apply.meta.applied;
		rc = schema_write_meta(v->db, &v->apply.meta, e);
	}
	if (rc == RC_OK)
		rc = db_exec(v->db, "COMMIT", e);
	v->apply.track = true;
	return rc;
}

static void
tell_suspect(const struct volume *v, const struct err *why)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_ERROR, "volume.index_damaged");
	log_cstr(&l, "volume", v->name);
	log_cstr(&l, "what", why->text);
	log_cstr(&l, "text",
	         "the index is made anew from the log, where the mail is; if this comes again, "
	         "look at the disk");
	log_end(&l);
}

enum rc
index_open(struct volume *v, struct err *e)
{
	struct err why = ERR_INIT;
	enum rc rc;

	assert(v->db == NULL);
	rc = atomic_load(&v->suspect) ? err_set(&why, RC_CORRUPT, "index is damaged") :
	                                try_open(v, &why);
	if (rc == RC_OK) {
		index_discard(v, &why);         /* what a reindex that was given up may have left */
		return RC_OK;
	}
	index_close(v);
	if (rc != RC_CORRUPT && rc != RC_NOT_FOUND && !atomic_load(&v->suspect)) {
		*e = why;
		return rc;
	}
	if (atomic_load(&v->suspect))
		tell_suspect(v, &why);
	if (v->p.progress != NULL)
		v->p.progress(v->p.progress_arg, why.text, 0, 0);
	rc = rebuild(v, e);
	if (rc == RC_OK)
		rc = try_open(v, e);
	if (rc != RC_OK)
		index_close(v);
	return rc;
}

void
index_close(struct volume *v)
{
	if (v->apply.db != NULL)
		apply_fini(&v->apply);
	db_close(&v->db);
}

void
index_roll_back(struct volume *v)
{
	struct err e = ERR_INIT;

	if (sqlite3_get_autocommit(db_handle(v->db)) == 0 &&
	    db_run(v->db, "ROLLBACK", DB_NO_ARGS, &e) != RC_OK)
		atomic_store(&v->suspect, true);
}
