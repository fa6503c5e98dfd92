/* compact - a compaction of an open volume from its survey to the reaping. See compact.h and
 * store/compact.h. */
#include "index/compact.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "index/relocate.h"
#include "lib/clock.h"
#include "lib/logging.h"
#include "store/compact.h"
#include "store/rewrite.h"
#include "store/space.h"

#define SLACK           (4u << 20)      /* bytes kept free for the index beside what is written;
                                         * less for little */
#define CHECKPOINT_TRIES 25
#define TRY_PAUSE_MS    20
#define SLEEP_MAX_MS    200u            /* so that a stop is noticed */

struct compaction {
	struct volume              *v;
	const struct compact_params *p;
	struct compact_result      *out;
	struct survey               survey;
	struct compact_tail         tail;
	const blob_id             **dying;      /* of the group under way */
	size_t                     *dying_counts;
	size_t                      lists;
	uint64_t                    began_ms, worked;   /* for the rate */
	uint64_t                    done, total;        /* bytes of what is being rewritten, for
	                                                 * progress */
};

static uint64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void
sleep_ms(uint64_t ms)
{
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000L };

	(void)nanosleep(&t, NULL);
}

/* ---- not too fast ---- */

void
volume_stop_maintenance(struct volume *v)
{
	atomic_store(&v->ending, true);
}

static bool
is_stopped(const struct compaction *c)
{
	return atomic_load(&c->v->ending) || (c->p->stop != NULL && atomic_load(c->p->stop));
}

/* These bytes were read or written: sleep until the rate allows it. False: stop. */
static bool
account_for(struct compaction *c, uint64_t bytes)
{
	c->worked += bytes;
	while (c->p->rate > 0 && !is_stopped(c)) {
		uint64_t due = c->worked / c->p->rate * 1000 +
		               c->worked % c->p->rate * 1000 / c->p->rate;
		uint64_t spent = clock_mono_ms() - c->began_ms;

		if (due <= spent)
			break;
		sleep_ms(due - spent < SLEEP_MAX_MS ? due - spent : SLEEP_MAX_MS);
	}
	return !is_stopped(c);
}

static bool
survey_progress(void *arg, uint64_t done, uint64_t total)
{
	struct compaction *c = arg;
	bool go = account_for(c, done - c->done);

	c->done = done;
	return go &&
	       (c->p->progress == NULL || c->p->progress(c->p->arg, "surveying", done, total));
}

static bool
rewrite_work(void *arg, uint64_t bytes)
{
	struct compaction *c = arg;

	c->done += bytes;
	return account_for(c, bytes) &&
	       (c->p->progress == NULL ||
	        c->p->progress(c->p->arg, "compacting", c->done, c->total));
}

/* ---- settling what was begun ---- */

/* All of the WAL into the database, and both synced. RC_BUSY: a reader holds some of it back. */
static enum rc
checkpoint_all(struct volume *v, struct err *e)
{
	for (int i = 0; i < CHECKPOINT_TRIES; i++) {
		if (i > 0)
			sleep_ms(TRY_PAUSE_MS);
		if (wal_checkpoint(&v->wal, v->index_path, NULL, WAL_WAITS) == 0)
			return RC_OK;
	}
	return err_set(e, RC_BUSY, "the index could not be checkpointed yet");
}

struct forget {
	struct volume *v;
	struct seg_id *ids;
	uint32_t       count;
};

static enum rc
run_forget(void *arg, struct err *e)
{
	const struct forget *f = arg;
	const struct root_change change = { .forget = f->ids, .forget_count = f->count };

	return log_change_root(f->v->log, &change, e);
}

static enum rc
reap(struct volume *v, struct err *e)
{
	struct forget f = { .v = v };
	enum rc rc = log_list_dropped(v->log, &f.ids, &f.count, e);

	if (rc == RC_OK && f.count > 0) {
		rc = checkpoint_all(v, e);
		if (rc == RC_OK)
			rc = log_delete_pieces(v->log, f.ids, f.count, e);
		if (rc == RC_OK)
			rc = writer_run(v->writer, run_forget, &f, e);
	}
	free(f.ids);
	return rc;
}

enum rc
compact_settle(struct volume *v, struct err *e)
{
	enum rc rc = index_relocate(v, e);

	return rc == RC_OK ? reap(v, e) : rc;
}

/* ---- one group ---- */

struct swap {
	struct compaction      *c;
	const struct rewritten *r;
	bool                    referenced;
	bool                    doubtful;       /* the log decides what becomes of it */
};

/* The writer's thread: nothing is appended between the look and the change. */
static enum rc
run_swap(void *arg, struct err *e)
{
	struct swap *s = arg;
	struct compaction *c = s->c;
	const struct root_change change = {
		.add = &s->r->segment, .drop = s->r->drop, .drop_count = s->r->drop_count,
		.made = s->r->made, .made_count = s->r->made_count,
		.floor = s->r->floor,
		.time_us = now_us()
	};
	enum rc rc = compact_find_reference(c->v->log, c->dying, c->dying_counts, c->lists,
	                                    &c->tail, &s->referenced, e);

	if (rc != RC_OK || s->referenced)
		return rc;
	/* What justified each death must outlive a power cut as the death does:
	 * relaxed changes too. */
	rc = log_sync(c->v->log, e);
	if (rc != RC_OK)
		return rc;
	rc = log_change_root(c->v->log, &change, e);
	s->doubtful = rc != RC_OK && log_is_dead(c->v->log);
	return rc;
}

static enum rc
swap(struct compaction *c, struct rewritten *r, struct err *e)
{
	struct swap s = { c, r, false, false };
	bool found = false;
	enum rc rc;

	/* Most of the tail here, so that little is left for the writer to read. */
	rc = compact_find_reference(c->v->log, c->dying, c->dying_counts, c->lists, &c->tail,
	                            &found, e);
	if (rc == RC_OK && !found)
		rc = writer_run(c->v->writer, run_swap, &s, e);
	if (rc == RC_OK && !found && !s.referenced) {
		c->out->rewritten++;
		c->out->written += r->bytes;
		c->out->reclaimed += r->replaced > r->bytes ? r->replaced - r->bytes : 0;
		return RC_OK;
	}
	if (!s.doubtful)
		rewritten_discard(c->v->log, r);
	if (rc == RC_OK || rc == RC_BUSY)
		c->out->left_alone++;
	return rc == RC_BUSY ? RC_OK : rc;
}

/* Of the group; a reference that came after the survey saves a blob, and with it the group. */
static enum rc
list_dying(struct compaction *c, const struct compact_group *g, struct err *e)
{
	free(c->dying);
	free(c->dying_counts);
	c->dying = calloc(g->count, sizeof *c->dying);
	c->dying_counts = calloc(g->count, sizeof *c->dying_counts);
	if (c->dying == NULL || c->dying_counts == NULL)
		return err_nomem(e);
	for (c->lists = 0; c->lists < g->count; c->lists++) {
		const struct survey_segment *seg = &c->survey.segments[g->first + c->lists];

		c->dying[c->lists] = seg->dying;
		c->dying_counts[c->lists] = seg->dying_count;
	}
	c->tail = (struct compact_tail){ .upto = c->survey.last };
	return RC_OK;
}

static enum rc
run_give_up_reserve(void *arg, struct err *e)
{
	struct volume *v = arg;

	(void)e;
	(void)log_give_up_reserve(v->log);
	return RC_OK;
}

/* Compaction may have the reserve: it gives back more. But not in vain, as the disk counts as
 * full from then on. */
static bool
has_room(struct compaction *c, const struct compact_group *g)
{
	const uint64_t need = g->live + (g->live < SLACK / 8 ? g->live * 4 + SLACK / 16 : SLACK);
	uint64_t room, reserve;
	struct err e = ERR_INIT;

	if (!log_room(c->v->log, &room, &reserve) || room >= need)
		return true;
	return room + reserve >= need &&
	       writer_run(c->v->writer, run_give_up_reserve, c->v, &e) == RC_OK &&
	       log_room(c->v->log, &room, &reserve) && room >= need;
}

/* As many of the group's first segments as there is room for; at least one. */
static struct compact_group
first_that_fit(struct compaction *c, const struct compact_group *g)
{
	struct compact_group part = *g;

	while (part.count > 1 && !has_room(c, &part)) {
		const struct survey_segment *last = &c->survey.segments[part.first + --part.count];
		uint64_t dead = last->dead < last->root.len ? last->dead : last->root.len;

		part.live -= last->root.len - dead;
		part.dead -= last->dead;
	}
	return part;
}

static enum rc
compact_group(struct compaction *c, const struct compact_group *g, struct err *e)
{
	struct rewrite_params rp = { .survey = &c->survey, .first = g->first, .count = g->count,
		                     .level = c->p->level > 0 ? c->p->level : REWRITE_AS_IT_IS,
		                     .arg = c,
		                     .work = rewrite_work };
	struct rewritten r;
	enum rc rc;

	if (!has_room(c, g)) {
		c->out->no_room++;
		return RC_OK;
	}
	rc = list_dying(c, g, e);
	if (rc == RC_OK)
		rc = rewrite_segments(c->v->log, &rp, &r, e);
	if (rc == RC_IO && space_is_full(e->os)) {
		c->out->no_room++;
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	rc = swap(c, &r, e);
	rewritten_fini(&r);
	return rc == RC_OK ? index_relocate(c->v, e) : rc;
}

/* What does not fit is done in parts, each of which gives back something. One segment alone, of
 * which nothing is dead, is no use. */
static enum rc
compact_in_parts(struct compaction *c, struct compact_group g, struct err *e)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && g.count > 0) {
		const struct compact_group part = first_that_fit(c, &g);

		if (is_stopped(c))
			return err_set(e, RC_CANCELLED, "stopped");
		if (part.count == 1 && g.count > 1 && part.dead == 0 && c->p->level == 0)
			c->out->no_room++;
		else
			rc = compact_group(c, &part, e);
		g.first += part.count;
		g.count -= part.count;
		g.live -= part.live;
		g.dead -= part.dead;
	}
	return rc;
}

/* ---- the whole ---- */

static enum rc
run_seal(void *arg, struct err *e)
{
	struct volume *v = arg;

	return log_seal(v->log, e);
}

static void
keep_numbers(struct compaction *c)
{
	struct volume *v = c->v;

	(void)pthread_mutex_lock(&v->maintenance.lock);
	v->maintenance.surveyed_us = now_us();
	v->maintenance.surveyed_bytes = c->survey.bytes;
	v->maintenance.dead_bytes = c->survey.dead;
	(void)pthread_mutex_unlock(&v->maintenance.lock);
	c->out->damage = c->survey.damage;
	c->out->records = c->survey.records;
	c->out->dead_records = c->survey.dying;
	c->out->bytes = c->survey.bytes;
	c->out->dead_bytes = c->survey.dead;
	c->out->segments = c->survey.count;
}

static enum rc
take_survey(struct compaction *c, struct err *e)
{
	uint64_t now = now_us();
	const struct survey_params sp = {
		.before_us = now > c->p->retention_us ? now - c->p->retention_us : 0,
		.arg = c,
		.progress = survey_progress,
	};
	enum rc rc;

	if (c->p->all && !c->p->dry_run) {
		rc = writer_run(c->v->writer, run_seal, c->v, e);
		if (rc != RC_OK)
			return rc;
	}
	c->began_ms = clock_mono_ms();
	rc = survey_take(c->v->log, &sp, &c->v->report, &c->survey, e);
	if (rc == RC_OK)
		keep_numbers(c);
	return rc;
}

static enum rc
compact_groups(struct compaction *c, const struct compact_group *groups, size_t count,
               struct err *e)
{
	enum rc rc = RC_OK;

	c->began_ms = clock_mono_ms();
	c->worked = c->done = 0;
	for (size_t i = 0; i < count; i++) {
		c->out->chosen += groups[i].count;
		c->out->chosen_dead += groups[i].dead;
		c->total += 3 * groups[i].live + groups[i].dead;  /* read, written, read back */
	}
	if (c->p->dry_run || count == 0)
		return RC_OK;
	/* An index that a power cut sets back must not fall below the new floor. */
	rc = checkpoint_all(c->v, e);
	for (size_t i = 0; (rc == RC_OK || rc == RC_BUSY) && i < count; i++)
		rc = compact_in_parts(c, groups[i], e);
	return rc;
}

static enum rc
compact(struct compaction *c, struct err *e)
{
	struct compact_group *groups = NULL;
	size_t count;
	enum rc rc;

	rc = take_survey(c, e);
	if (rc == RC_OK)
		rc = compact_choose(&c->survey, c->p->threshold, c->p->all || c->p->level > 0,
		                    log_max_segment(c->v->log), &groups, &count, e);
	if (rc == RC_OK)
		rc = compact_groups(c, groups, count, e);
	free(groups);
	return rc;
}

/* For the admin's log, whoever asked for it. One that was stopped has done something if it has
 * made a segment. */
static void
tell_end(const struct compaction *c, enum rc rc)
{
	const struct compact_result *r = c->out;
	struct logline l;

	if (c->p->dry_run || (rc != RC_OK && (rc != RC_CANCELLED || r->rewritten == 0)))
		return;
	log_begin(&l, LOGLEVEL_INFO, "volume.compacted");
	log_cstr(&l, "volume", c->v->name);
	log_u64(&l, "segments", r->segments);
	log_u64(&l, "dead_bytes", r->dead_bytes);
	log_u64(&l, "chosen", r->chosen);
	log_u64(&l, "made", r->rewritten);
	log_u64(&l, "reclaimed", r->reclaimed);
	log_u64(&l, "damage", r->damage);
	log_cstr(&l, "end", rc == RC_OK ? "done" : "stopped");
	log_end(&l);
}

enum rc
volume_compact(struct volume *v, const struct compact_params *p, struct compact_result *out,
               struct err *e)
{
	struct compaction c = { .v = v, .p = p, .out = out };
	struct claim claim = { .kind = CLAIM_MAINTENANCE, .what = "a compaction" };
	struct err busy = ERR_INIT;
	enum rc rc = RC_OK;

	*out = (struct compact_result){ 0 };
	if (p->wait)
		volume_claim_wait(v, &claim);
	else
		rc = volume_claim(v, &claim, e);
	if (rc != RC_OK)
		return rc;
	/* It may have waited long for its turn. */
	rc = is_stopped(&c) ? err_set(e, RC_CANCELLED, "stopped")
	     : p->dry_run   ? RC_OK
	                    : compact_settle(v, e);
	if (rc == RC_BUSY)
		rc = RC_OK;     /* what waits goes on waiting */
	if (rc == RC_OK)
		rc = compact(&c, e);
	if (!p->dry_run && compact_settle(v, &busy) != RC_OK && rc == RC_OK &&
	    busy.code != RC_BUSY) {
		*e = busy;
		rc = busy.code;
	}
	survey_fini(&c.survey);
	free(c.dying);
	free(c.dying_counts);
	volume_release(v, &claim);
	tell_end(&c, rc);
	return rc;
}
