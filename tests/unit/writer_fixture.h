/* writer_fixture - a writer over a log that fails on demand, and an owner that stands for the index. */
#ifndef RESTANTE_TESTS_UNIT_WRITER_FIXTURE_H
#define RESTANTE_TESTS_UNIT_WRITER_FIXTURE_H

#include "store/compact.h"
#include "store/writer.h"
#include "lib/clock.h"
#include "tests/unit/store_tools.h"
#include "tests/unit/store_faults.h"

#include <pthread.h>

struct request {
	struct writer_request base;
	uint32_t value;
	bool     refuse;                /* resolve adds no frame */
	log_lsn  lsn;
	enum rc  rc;
	int      os;
	bool     durable;
	int      answers;
	size_t   order;                 /* how many were answered before it */
};

/* Stands for the index: knows what it committed. */
struct owner {
	pthread_mutex_t lock;
	pthread_cond_t  answered;
	pthread_mutex_t gate;           /* held by a test: no batch begins, nothing recovers */
	struct log     *log;
	size_t          answers;
	uint32_t        committed, pending, last_in_batch;      /* how many values */
	uint32_t        rollbacks, recovers;
	bool            in_batch;
	_Atomic int     commit_fails, recover_fails, begin_fails, resolve_fails;
	_Atomic int     commit_full, resolve_full, catch_up_fails;      /* the same without space */
	_Atomic int     caught_up, rooms, stalls, resumes;
	log_lsn         last_lsn;
};

static enum rc
own_begin(void *arg, struct err *e)
{
	struct owner *o = arg;

	assert_false(o->in_batch);
	pthread_mutex_lock(&o->gate);
	pthread_mutex_unlock(&o->gate);
	if (fault_now(&o->begin_fails))
		return err_set(e, RC_BUSY, "injected: begin");
	o->in_batch = true;
	o->pending = 0;
	return RC_OK;
}

static enum rc
own_resolve(void *arg, struct writer_request *req, struct log_batch *b, struct err *e)
{
	struct request *r = (struct request *)req;
	struct owner *o = arg;

	assert_true(o->in_batch);
	if (fault_now(&o->resolve_fails))
		return err_set(e, RC_CORRUPT, "injected: resolve");
	if (fault_now(&o->resolve_full))
		return err_os(e, ENOSPC, "injected: resolve");
	if (r->refuse)
		return RC_OK;
	r->lsn = add_counter(b, r->value);
	o->pending++;
	return RC_OK;
}

static enum rc
own_appended(void *arg, const struct log_batch *b, struct err *e)
{
	struct owner *o = arg;

	(void)e;
	assert_true(o->in_batch && !log_batch_empty(b));
	return RC_OK;
}

static enum rc
own_commit(void *arg, struct err *e)
{
	struct owner *o = arg;

	assert_true(o->in_batch);
	if (fault_now(&o->commit_fails))
		return err_set(e, RC_IO, "injected: commit");
	if (fault_now(&o->commit_full))
		return err_os(e, ENOSPC, "injected: commit");
	o->in_batch = false;
	o->committed += o->pending;
	return RC_OK;
}

static void
own_rollback(void *arg)
{
	struct owner *o = arg;

	assert_true(o->in_batch);
	o->in_batch = false;
	o->rollbacks++;
}

static void
own_answer(void *arg, struct writer_request *req, enum rc rc, bool durable, const struct err *e)
{
	struct request *r = (struct request *)req;
	struct owner *o = arg;

	assert_false(o->in_batch);
	pthread_mutex_lock(&o->lock);
	r->rc = rc;
	r->os = rc == RC_OK ? 0 : e->os;
	r->durable = durable;
	r->answers++;
	if (rc == RC_OK && !r->refuse) {
		assert_true(r->lsn > o->last_lsn);      /* answered in the order of the log */
		o->last_lsn = r->lsn;
	}
	r->order = o->answers++;
	pthread_cond_broadcast(&o->answered);
	pthread_mutex_unlock(&o->lock);
}

static enum rc
own_recover(void *arg, struct err *e)
{
	struct owner *o = arg;

	assert_false(o->in_batch);
	pthread_mutex_lock(&o->gate);
	pthread_mutex_unlock(&o->gate);
	o->recovers++;
	if (fault_now(&o->recover_fails))
		return err_set(e, RC_IO, "injected: recover");
	if (log_is_dead(o->log))
		return log_reopen(o->log, NULL, e);
	return RC_OK;
}

static enum rc
own_catch_up(void *arg, struct err *e)
{
	struct owner *o = arg;

	assert_false(o->in_batch);
	if (fault_now(&o->catch_up_fails))
		return err_os(e, ENOSPC, "injected: catch up");
	o->committed += o->pending;
	o->caught_up++;
	return RC_OK;
}

static void
own_make_room(void *arg)
{
	struct owner *o = arg;

	assert_false(o->in_batch);
	o->rooms++;
}

static void
own_stalled(void *arg, const struct err *e)
{
	struct owner *o = arg;

	assert_int_not_equal(e->code, RC_OK);
	assert_int_equal(o->stalls, o->resumes);
	o->stalls++;
}

static void
own_resumed(void *arg, uint64_t ms)
{
	struct owner *o = arg;

	(void)ms;
	o->resumes++;
	assert_int_equal(o->stalls, o->resumes);
}

static const struct writer_ops ops = {
	.begin = own_begin,
	.resolve = own_resolve,
	.appended = own_appended,
	.commit = own_commit,
	.rollback = own_rollback,
	.answer = own_answer,
	.catch_up = own_catch_up,
	.make_room = own_make_room,
	.stalled = own_stalled,
	.resumed = own_resumed,
	.recover = own_recover,
};

struct scene {
	char           path[64];
	struct owner   o;
	struct writer *w;
};

static void
scene_open_as(struct scene *s, struct writer_params p)
{
	struct err e = ERR_INIT;

	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->o.lock, NULL);
	pthread_mutex_init(&s->o.gate, NULL);
	pthread_cond_init(&s->o.answered, NULL);
	volume_make(s->path);
	s->o.log = volume_open_as(s->path, LOG_WRITE, 0, faulty_backend(), NULL);
	p.log = s->o.log;
	p.ops = &ops;
	p.owner = &s->o;
	assert_int_equal(writer_start(&p, &s->w, &e), RC_OK);
}

static void
scene_close(struct scene *s)
{
	writer_stop(&s->w);
	log_close(&s->o.log);
	volume_remove(s->path);
	pthread_mutex_destroy(&s->o.lock);
	pthread_mutex_destroy(&s->o.gate);
	pthread_cond_destroy(&s->o.answered);
}

static void
wait_answers(struct owner *o, size_t n)
{
	pthread_mutex_lock(&o->lock);
	while (o->answers < n)
		pthread_cond_wait(&o->answered, &o->lock);
	pthread_mutex_unlock(&o->lock);
}

static void
submit_and_wait(struct scene *s, struct request *r)
{
	size_t before;

	pthread_mutex_lock(&s->o.lock);
	before = s->o.answers;
	pthread_mutex_unlock(&s->o.lock);
	r->answers = 0;
	writer_submit(s->w, &r->base);
	wait_answers(&s->o, before + 1);
}

/* ---- calls ---- */

struct asked {
	struct scene *s;
	_Atomic int   begun;
	bool          break_log;
	enum rc       rc;
};

static enum rc
called(void *arg, struct err *e)
{
	struct asked *a = arg;

	assert_false(a->s->o.in_batch);
	if (!a->break_log)
		return RC_OK;
	fault.seal_fails = 1;
	return log_seal(a->s->o.log, e);
}

static void *
ask_main(void *arg)
{
	struct asked *a = arg;
	struct err e = ERR_INIT;

	a->begun = 1;
	a->rc = writer_run(a->s->w, called, a, &e);
	return NULL;
}

#endif
