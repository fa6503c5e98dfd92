/* maintenance - the tasks of a volume, one after the other, every now and then. See maintenance.h.
 *
 * A task decides itself whether it is due. One that fails is told once, and tried again at
 * the next look.
 */
#define _GNU_SOURCE
#include "index/maintenance.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "index/columns.h"
#include "index/compact.h"
#include "lib/clock.h"
#include "lib/logging.h"
#include "lib/lz.h"

#define FIRST_LOOK_S  5u
#define LOOK_S        60u
#define AUTOEXPUNGE_S 3600u
#define NICE          10        /* nearer to idle than the rest of the process */

struct maintainer {
	struct volume            *v;
	pthread_t                 thread;
	pthread_mutex_t           lock;         /* over what follows */
	pthread_cond_t            wake;
	struct maintenance_params p;
	bool                      changed;      /* look at once */
	bool                      ending;
	atomic_bool               stop;
	enum rc                   told[8];      /* the last failure of each task */
};

static uint64_t
wall_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* A clock that was set back must not put it off. */
static bool
is_due(uint64_t last_us, uint64_t interval_s)
{
	uint64_t now = wall_us();

	return now < last_us || now - last_us >= interval_s * 1000000u;
}

/* ---- the tasks ---- */

static enum rc
run_settle(struct volume *v, const struct maintenance_params *p, atomic_bool *stop, struct err *e)
{
	struct claim claim = { .kind = CLAIM_MAINTENANCE, .what = "the end of a compaction" };
	enum rc rc = volume_claim(v, &claim, e);

	(void)p, (void)stop;
	if (rc != RC_OK)
		return rc;
	rc = compact_settle(v, e);
	volume_release(v, &claim);
	return rc;
}

static enum rc
run_prune(struct volume *v, const struct maintenance_params *p, atomic_bool *stop, struct err *e)
{
	uint64_t now_s = wall_us() / 1000000u, dropped;
	struct logline l;
	enum rc rc = volume_prune(v, p->tombstones,
	                          now_s > p->retention_s ? now_s - p->retention_s : 0, &dropped, e);

	(void)stop;
	if (dropped == 0)
		return rc;
	log_begin(&l, LOGLEVEL_INFO, "volume.pruned");
	log_cstr(&l, "volume", volume_name(v));
	log_u64(&l, "tombstones", dropped);
	log_end(&l);
	return rc;
}

static enum rc
run_autoexpunge(struct volume *v, const struct maintenance_params *p, atomic_bool *stop,
                struct err *e)
{
	bool due;

	(void)pthread_mutex_lock(&v->maintenance.lock);
	due = is_due(v->maintenance.autoexpunged_us, AUTOEXPUNGE_S);
	if (due)
		v->maintenance.autoexpunged_us = wall_us();
	(void)pthread_mutex_unlock(&v->maintenance.lock);
	return due ? autoexpunge_run(v, &p->autoexpunge, stop, e) : RC_OK;
}

/* A log that has not grown since its last survey has nothing new to give, until the retention
 * lets go of more. */
static bool
is_survey_due(struct volume *v, const struct maintenance_params *p)
{
	uint64_t last;

	(void)pthread_mutex_lock(&v->maintenance.lock);
	last = v->maintenance.surveyed_us;
	(void)pthread_mutex_unlock(&v->maintenance.lock);
	return is_due(last, p->compact_interval_s);
}

static enum rc
run_compact(struct volume *v, const struct maintenance_params *p, atomic_bool *stop, struct err *e)
{
	const struct compact_params cp = {
		.retention_us = p->retention_s * 1000000u,
		.threshold = (unsigned)p->compact_threshold,
		.rate = p->compact_rate,
		.stop = stop,
	};
	struct compact_result r;

	if (p->compact_threshold == 0 || !is_survey_due(v, p))
		return RC_OK;
	return volume_compact(v, &cp, &r, e);
}

#define KEEP_MS 500u            /* at a time: it is tried again, but at the end */

/* What searches learnt since is worth a restart. */
static enum rc
run_learnt(struct volume *v, const struct maintenance_params *p, atomic_bool *stop, struct err *e)
{
	uint64_t began = clock_mono_ms();
	struct lz_packer *k = lz_packer_new();
	enum rc rc = k != NULL ? RC_OK : err_nomem(e);

	(void)p, (void)stop;
	while (rc == RC_OK && clock_mono_ms() - began < KEEP_MS)
		rc = columns_keep_texts(v, k, e);
	lz_packer_free(&k);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

#define TASK_LEARNT 0u

static const struct maintenance_task tasks[] = {
	[TASK_LEARNT] = { "learnt", run_learnt },
	{ "settle", run_settle },
	{ "autoexpunge", run_autoexpunge },
	{ "prune", run_prune },
	{ "compact", run_compact },
};

#define TASKS (sizeof tasks / sizeof tasks[0])
_Static_assert(TASKS <= 8, "as many as struct maintainer remembers");

/* ---- the thread ---- */

static void
run_task(struct maintainer *m, size_t i, const struct maintenance_params *p)
{
	struct err e = ERR_INIT;
	enum rc rc = tasks[i].run(m->v, p, &m->stop, &e);
	struct logline l;

	if (rc == RC_BUSY || rc == RC_CANCELLED)
		return;
	if (rc != RC_OK && rc != m->told[i]) {
		log_begin(&l, LOGLEVEL_WARN, "volume.maintenance_failed");
		log_cstr(&l, "volume", volume_name(m->v));
		log_cstr(&l, "task", tasks[i].name);
		log_err(&l, &e);
		log_end(&l);
	}
	m->told[i] = rc;
}

void
maintenance_be_low(void)
{
#ifdef __linux__
	/* Of this thread alone: Linux knows no other. */
	if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE) != 0)
		errno = 0;
#endif
}

/* False: the end. */
static bool
wait_for_look(struct maintainer *m, unsigned seconds, struct maintenance_params *p)
{
	struct timespec until;
	int os = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	(void)pthread_mutex_lock(&m->lock);
	while (!m->ending && !m->changed && os != ETIMEDOUT)
		os = pthread_cond_timedwait(&m->wake, &m->lock, &until);
	m->changed = false;
	*p = m->p;
	(void)pthread_mutex_unlock(&m->lock);
	return !atomic_load(&m->stop);
}

static void *
maintainer_main(void *arg)
{
	struct maintainer *m = arg;
	struct maintenance_params p = m->p;
	uint64_t look = FIRST_LOOK_S;

	maintenance_be_low();
	while (wait_for_look(m, (unsigned)look, &p)) {
		for (size_t i = 0; i < TASKS && !atomic_load(&m->stop); i++)
			run_task(m, i, &p);
		look = p.compact_interval_s < LOOK_S ? p.compact_interval_s : LOOK_S;
	}
	run_task(m, TASK_LEARNT, &p);   /* in memory it ends with the volume */
	return NULL;
}

enum rc
maintainer_start(struct volume *v, const struct maintenance_params *p, struct maintainer **out,
                 struct err *e)
{
	struct maintainer *m = calloc(1, sizeof *m);
	pthread_condattr_t attr;
	int os;

	*out = NULL;
	if (m == NULL)
		return err_nomem(e);
	m->v = v;
	m->p = *p;
	(void)pthread_mutex_init(&m->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&m->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	os = pthread_create(&m->thread, NULL, maintainer_main, m);
	if (os == 0) {
		*out = m;
		return RC_OK;
	}
	(void)pthread_mutex_destroy(&m->lock);
	(void)pthread_cond_destroy(&m->wake);
	free(m);
	return err_os(e, os, "start maintenance");
}

void
maintainer_configure(struct maintainer *m, const struct maintenance_params *p)
{
	(void)pthread_mutex_lock(&m->v->maintenance.lock);
	m->v->maintenance.autoexpunged_us = 0;          /* there may be new rules */
	(void)pthread_mutex_unlock(&m->v->maintenance.lock);
	(void)pthread_mutex_lock(&m->lock);
	m->p = *p;
	m->changed = true;
	(void)pthread_cond_signal(&m->wake);
	(void)pthread_mutex_unlock(&m->lock);
}

void
maintainer_stop(struct maintainer **mp)
{
	struct maintainer *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	atomic_store(&m->stop, true);
	(void)pthread_mutex_lock(&m->lock);
	m->ending = true;
	(void)pthread_cond_signal(&m->wake);
	(void)pthread_mutex_unlock(&m->lock);
	(void)pthread_join(m->thread, NULL);
	(void)pthread_mutex_destroy(&m->lock);
	(void)pthread_cond_destroy(&m->wake);
	free(m);
}
