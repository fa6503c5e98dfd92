/* volume_writer - what the volume does in the writer's turns: begin, resolve, appended, commit,
 * answer, recover.
 *
 * One batch is one SQLite transaction. The rows of a batch's blobs wait for the append, which gives
 * them their address. Once the append is durable the batch has happened: if the commit then fails,
 * the answers say so, and recover brings the index up from the log before any further change. If
 * it failed for lack of space, the reserve pays for the commit, from the log, before the answers.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "index/volume_impl.h"
#include "lib/logging.h"
#include "store/compact.h"
#include "store/space.h"

#define HEAL_PAUSE    600       /* seconds */
#define REPLAY_RECORDS 2000u    /* per transaction when catching up */

static time_t
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Close the index and open it again, which replays or rebuilds it. Readers wait meanwhile. */
static enum rc
reopen_index(struct volume *v, struct err *e)
{
	enum rc rc;

	db_pool_pause(v->pool);
	checkpointer_stop(&v->checkpointer);
	wal_hold(&v->wal);
	index_close(v);
	column_store_forget(v->columns);
	db_pool_set_mode(v->pool, DB_READ, NULL);
	rc = index_open(v, e);
	wal_unhold(&v->wal);
	if (rc == RC_OK)
		rc = checkpointer_start(&v->wal, v->index_path, v->db, &v->checkpointer, e);
	else if (space_is_full(e->os))
		(void)index_serve_still(v);     /* else each reader is told */
	atomic_fetch_add(&v->accounts_version, 1);
	db_pool_resume(v->pool);
	v->resolver.ap = &v->apply;
	v->resolver.db = v->db;
	v->resolver.epoch = log_epoch(v->log);
	return rc;
}

/* Damage was met: make the index anew before more is built on it. Not again within a while, so that
 * damage which comes at once again (a failing disk) does not become a loop of rebuilds. */
static enum rc
heal(struct volume *v, struct err *e)
{
	enum rc rc = reopen_index(v, e);

	v->healed_at = seconds();
	v->healed = true;
	return rc;
}

static enum rc
volume_begin(void *owner, struct err *e)
{
	struct volume *v = owner;
	enum rc rc = RC_OK;

	if (v->db == NULL ||
	    (atomic_load(&v->suspect) && (!v->healed || seconds() - v->healed_at >= HEAL_PAUSE)))
		rc = heal(v, e);
	if (rc == RC_OK)
		rc = db_run(v->db, "BEGIN IMMEDIATE", DB_NO_ARGS, e);
	v->in_batch = rc == RC_OK;
	v->appended = false;
	return rc;
}

static enum rc
volume_resolve(void *owner, struct writer_request *req, struct log_batch *b, struct err *e)
{
	struct volume *v = owner;

	enum rc rc;

	v->resolver.batch = b;
	v->resolver.frozen = atomic_load(&v->frozen);
	v->resolver.volume = &v->p;
	v->resolver.relocating = v->apply.meta.compactions < log_compactions(v->log);
	rc = resolve_change(&v->resolver, (struct change *)req, e);
	if (rc == RC_CORRUPT)
		/* rows that SQLite could read but we cannot believe */
		atomic_store(&v->suspect, true);
	return rc;
}

static enum rc
volume_appended(void *owner, const struct log_batch *b, struct err *e)
{
	struct volume *v = owner;

	v->appended = true;
	/* Before the commit shows them: a SELECT that sees a message must find it recent. */
	for (size_t i = 0; i < v->apply.touched_count; i++) {
		if (v->apply.touched[i].first_new != 0)
			recent_note(v->recent, v->apply.touched[i].id,
			            v->apply.touched[i].first_new);
	}
	atomic_store(&v->last_lsn, log_last(v->log));
	return apply_place_blobs(&v->apply, b, e);
}

static void
notify_all(struct volume *v, const struct touched_mailbox *t, size_t count)
{
	for (size_t i = 0; v->p.notify != NULL && i < count; i++)
		v->p.notify(v->p.notify_arg, v, t[i].id, t[i].modseq);
}

static void
tell_accounts(struct volume *v, struct changed_accounts *c)
{
	for (size_t i = 0; v->p.account_changed != NULL && i < c->count; i++)
		v->p.account_changed(v->p.account_arg, v, c->ids[i]);
	if (v->p.account_changed != NULL && c->lost)
		v->p.account_changed(v->p.account_arg, v, 0);
	c->count = 0;
	c->lost = false;
}

/* So that the WAL's space is used again, as far as no reader holds it. On a full disk it may fail:
 * what then follows says so. */
static void
checkpoint_now(struct volume *v)
{
	if (v->db != NULL)
		(void)wal_checkpoint(&v->wal, v->index_path, v->db, WAL_GIVES_WAY);
}

static enum rc
volume_commit(void *owner, struct err *e)
{
	struct volume *v = owner;
	enum rc rc;

	if (log_is_synced(v->log))
		v->apply.meta.synced = v->apply.meta.applied;
	rc = schema_write_meta(v->db, &v->apply.meta, e);
	if (rc == RC_OK)
		rc = wal_commit(&v->wal, v->db, e);
	if (rc != RC_OK)
		return rc;
	v->in_batch = false;
	v->appended = false;
	if (v->apply.accounts)
		atomic_fetch_add(&v->accounts_version, 1);
	if (v->apply.mailboxes)
		atomic_fetch_add(&v->mailboxes_version, 1);
	for (uint32_t i = 0; i < v->apply.subscribed_count; i++)
		box_cache_forget(v->boxes, v->apply.subscribed[i]);
	if (v->apply.purged) {
		column_store_forget(v->columns);        /* what searches learnt of it */
		place_cache_forget(v->places);
	}
	notify_all(v, v->apply.touched, v->apply.touched_count);
	tell_accounts(v, &v->resolver.changed);
	apply_forget(&v->apply);
	if (log_is_starved(v->log))
		checkpoint_now(v);      /* the WAL must not eat what the reserve left */
	return RC_OK;
}

static void
volume_rollback(void *owner)
{
	struct volume *v = owner;
	struct err e = ERR_INIT;

	if (v->appended && v->owed == NULL) {
		v->owed = v->apply.touched;
		v->owed_count = v->apply.touched_count;
		v->apply.touched = NULL;
		v->apply.touched_cap = 0;
	}
	if (v->appended && v->resolver.changed.count > 0) {
		/* nothing is appended before it is settled */
		struct changed_accounts empty = v->owed_accounts;

		v->owed_accounts = v->resolver.changed;
		v->resolver.changed = empty;
	}
	v->appended = false;
	v->resolver.changed.count = 0;
	v->resolver.changed.lost = false;
	apply_forget(&v->apply);
	if (v->db == NULL || !v->in_batch)
		return;
	v->in_batch = false;
	index_roll_back(v);
	if (schema_read_meta(v->db, &v->apply.meta, &e) != RC_OK)
		atomic_store(&v->suspect, true);
}

static void
volume_answer(void *owner, struct writer_request *req, enum rc rc, bool durable,
              const struct err *e)
{
	struct volume *v = owner;
	struct change *c = (struct change *)req;
	bool refused = c->rc != RC_OK;

	atomic_fetch_add(&v->changes, 1);
	/* What was refused has not happened, whatever its neighbours in the batch did. */
	c->durable = durable && !refused;
	if (rc != RC_OK && !(durable && refused)) {
		c->rc = rc;
		c->err = *e;
	}
	if (c->rc == RC_OK)
		columns_follow(v, c);
	if (c->done != NULL)
		c->done(c, c->done_arg);
}

/* In place, so that readers go on. The log that lives has lost nothing, and settles what was
 * answered unsynced. */
static enum rc
reopen_log(struct volume *v, struct err *e)
{
	if (!log_is_dead(v->log) && log_sync(v->log, e) == RC_OK)
		return RC_OK;
	return log_reopen(v->log, &v->report, e);
}

/* Relaxed changes that were applied have new LSNs now: the index goes back to the last one that it
 * knows synced and meets them again. If this fails, the index is made anew. */
static void
step_back(struct volume *v)
{
	struct index_meta *m = &v->apply.meta;
	struct err e = ERR_INIT;

	if (v->db == NULL || m->applied == m->synced || log_has(v->log, m->applied) ||
	    !log_has(v->log, m->synced))
		return;
	m->applied = m->synced;
	if (schema_write_meta(v->db, m, &e) != RC_OK)
		atomic_store(&v->suspect, true);
}

/* Tell what has happened, now that it can be seen. */
static void
settle(struct volume *v)
{
	atomic_store(&v->last_lsn, log_last(v->log));
	atomic_fetch_add(&v->accounts_version, 1);
	notify_all(v, v->owed, v->owed_count);
	free(v->owed);
	v->owed = NULL;
	v->owed_count = 0;
	tell_accounts(v, &v->owed_accounts);
	v->reopened = false;
}

/* A part of the log was applied, of which nobody noted what it was: as of a purge, a mailbox, an account. */
static void
forget_what_was_read(struct volume *v)
{
	column_store_forget(v->columns);
	atomic_fetch_add(&v->accounts_version, 1);
}

/* Apply what the log has beyond the index, on the connection there is: readers notice nothing. If it fails, the part that
 * was committed by then stays. */
static enum rc
replay_tail(struct volume *v, struct err *e)
{
	struct index_meta *m = &v->apply.meta;
	enum rc rc;

	rc = db_run(v->db, "BEGIN IMMEDIATE", DB_NO_ARGS, e);
	if (rc != RC_OK)
		return rc;
	v->in_batch = true;
	rc = index_replay(v, &v->apply, UINT64_MAX, REPLAY_RECORDS, "replay", e);
	if (rc == RC_OK) {
		m->synced = m->applied;
		rc = schema_write_meta(v->db, m, e);
	}
	if (rc == RC_OK)
		rc = wal_commit(&v->wal, v->db, e);
	if (rc == RC_OK) {
		v->in_batch = false;
		apply_forget(&v->apply);
	} else {
		volume_rollback(v);
	}
	forget_what_was_read(v);
	return rc;
}

/* First with the space that a checkpoint gives back, then with the reserve's. The log is alive and
 * synced. */
static enum rc
replay_with_room(struct volume *v, struct err *e)
{
	enum rc rc;

	checkpoint_now(v);
	rc = replay_tail(v, e);
	if (rc != RC_OK && space_is_full(e->os) && log_give_up_reserve(v->log)) {
		checkpoint_now(v);
		rc = replay_tail(v, e);
	}
	if (rc == RC_OK && log_is_starved(v->log))
		checkpoint_now(v);
	return rc;
}

/* Right behind the failed commit, so that what is answered is seen at once and nothing stalls. */
static enum rc
volume_catch_up(void *owner, struct err *e)
{
	struct volume *v = owner;
	enum rc rc;

	if (v->db == NULL || atomic_load(&v->suspect))
		return e->code;
	rc = log_sync(v->log, e);
	if (rc == RC_OK)
		rc = replay_with_room(v, e);
	if (rc == RC_OK)
		settle(v);
	return rc;
}

static void
volume_make_room(void *owner)
{
	struct volume *v = owner;

	checkpoint_now(v);
	(void)log_give_up_reserve(v->log);
}

static enum rc
volume_recover(void *owner, struct err *e)
{
	struct volume *v = owner;
	bool in_place;
	enum rc rc;

	volume_rollback(v);
	rc = reopen_log(v, e);
	if (rc != RC_OK)
		return rc;
	step_back(v);
	if (v->db == NULL && !index_has_room(v))
		/* readers go on undisturbed */
		return err_os(e, ENOSPC, "the volume's disk is full");
	/* A fresh connection once, in case ours has a part in it; then only the tail, which
	 * disturbs nobody. */
	in_place = v->db != NULL && v->reopened && !atomic_load(&v->suspect);
	rc = in_place ? replay_with_room(v, e) : reopen_index(v, e);
	/* Only lack of space gets better without being opened anew. */
	v->reopened = rc != RC_OK && space_is_full(e->os);
	if (rc == RC_OK)
		settle(v);
	return rc;
}

/* ---- for the operator ---- */

static void
volume_stalled(void *owner, const struct err *e)
{
	struct volume *v = owner;
	struct logline l;

	log_begin(&l, LOGLEVEL_ERROR, "volume.stalled");
	log_cstr(&l, "volume", v->name);
	log_cstr(&l, "reason", space_is_full(e->os) ? "no space" : e->text);
	log_err(&l, e);
	log_end(&l);
}

static void
volume_resumed(void *owner, uint64_t ms)
{
	struct volume *v = owner;
	struct logline l;

	log_begin(&l, LOGLEVEL_INFO, "volume.recovered");
	log_cstr(&l, "volume", v->name);
	log_u64(&l, "ms", ms);
	log_end(&l);
}

const struct writer_ops volume_writer_ops = {
	.begin = volume_begin,
	.resolve = volume_resolve,
	.appended = volume_appended,
	.commit = volume_commit,
	.rollback = volume_rollback,
	.answer = volume_answer,
	.catch_up = volume_catch_up,
	.make_room = volume_make_room,
	.stalled = volume_stalled,
	.resumed = volume_resumed,
	.recover = volume_recover,
};
