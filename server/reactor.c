/* reactor - one thread, one libuv loop, its sessions. See reactor.h.
 *
 * A stop has two parts: sessions are told to end (session_stop) and given STOP_GRACE_MS to take
 * their last bytes; those that still hang in a write then are cut off. Steps under way are
 * always waited for.
 */
#include "server/reactor.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/acceptor.h"
#include "server/doorbell.h"
#include "server/session_core.h"

#define STOP_GRACE_MS 5000u

struct reactor {
	struct server  *srv;
	unsigned        number;
	uv_loop_t       loop;
	struct doorbell bell;
	uv_timer_t      ticker;
	uv_idle_t       idle;           /* runs while there are spares */
	struct spare    spares;         /* list head */
	pthread_t       thread;
	bool            started;

	pthread_mutex_t lock;           /* of posts and stop_wanted */
	struct post     posts, turn;    /* list heads: posted, and those of them that run in this
	                                 * turn of the loop */
	bool            stop_wanted;
	bool            rung;           /* the bell, and posts were not looked at since */
	atomic_uint     wakers;         /* threads between the lock and the end of doorbell_ring */

	struct wheel    wheel, rests;
	struct session *sessions;
	atomic_uint     session_count;  /* written by the reactor */
	atomic_uint     expected;       /* connections that other reactors have dealt to this one */
	bool            stopping;
	bool            closed;         /* our own handles are closing: the loop is about to end */
	uint64_t        stop_at;        /* when patience ends */
	struct acceptor *acceptor;
	uint8_t         scratch[REACTOR_SCRATCH];
};

static void
reactor_end_if_empty(struct reactor *r)
{
	if (!r->stopping || atomic_load_explicit(&r->session_count, memory_order_relaxed) > 0 || r->closed)
		return;
	r->closed = true;
	doorbell_unplug(&r->bell);
	uv_close((uv_handle_t *)&r->ticker, NULL);
	uv_close((uv_handle_t *)&r->idle, NULL);
}

static void
reactor_begin_stop(struct reactor *r)
{
	struct session *next;

	if (r->stopping)
		return;
	r->stopping = true;
	r->stop_at = uv_now(&r->loop) + STOP_GRACE_MS;
	acceptor_close(r->acceptor);
	for (struct session *s = r->sessions; s != NULL; s = next) {
		next = session_next_on_reactor(s);
		session_stop(s);
	}
	reactor_end_if_empty(r);
}

/* Under the lock. Its bits. */
static unsigned
unlink_post(struct post *p)
{
	unsigned bits = p->bits;

	p->prev->next = p->next;
	p->next->prev = p->prev;
	p->queued = p->expected = false;
	p->bits = 0;
	return bits;
}

static struct post *
take_post(struct reactor *r, struct post *head, unsigned *bits)
{
	struct post *p = NULL;

	pthread_mutex_lock(&r->lock);
	if (head->next != head) {
		p = head->next;
		*bits = unlink_post(p);
	}
	pthread_mutex_unlock(&r->lock);
	return p;
}

/* All that is posted now goes to r->turn, which is empty. Should the reactor stop? */
static bool
begin_turn(struct reactor *r)
{
	bool stop;

	pthread_mutex_lock(&r->lock);
	stop = r->stop_wanted;
	r->rung = false;
	if (r->posts.next != &r->posts) {
		r->turn.next = r->posts.next;
		r->turn.prev = r->posts.prev;
		r->turn.next->prev = r->turn.prev->next = &r->turn;
		r->posts.prev = r->posts.next = &r->posts;
	}
	pthread_mutex_unlock(&r->lock);
	return stop;
}

/* What is posted meanwhile waits for the loop's next turn: a session that lets others go first
 * posts itself, and the others' sockets have to be looked at before it runs again. */
static void
run_posts(struct reactor *r)
{
	bool stop = begin_turn(r);
	struct post *p;
	unsigned bits;

	while ((p = take_post(r, &r->turn, &bits)) != NULL)
		p->run(p, bits);
	if (stop)
		reactor_begin_stop(r);
}

static void
on_rung(struct doorbell *bell)
{
	run_posts(bell->poll.data);
}

/* ---- spare time ---- */

/* The loop comes here right before it looks at the sockets, without waiting while we are started. */
static void
on_idle(uv_idle_t *idle)
{
	struct reactor *r = idle->data;
	struct spare *sp = r->spares.next;

	reactor_unspare(r, sp);
	sp->run(sp);
}

void
reactor_spare(struct reactor *r, struct spare *sp)
{
	if (sp->queued)
		return;
	sp->queued = true;
	sp->prev = r->spares.prev;
	sp->next = &r->spares;
	sp->prev->next = sp;
	r->spares.prev = sp;
	uv_idle_start(&r->idle, on_idle);
}

void
reactor_unspare(struct reactor *r, struct spare *sp)
{
	if (!sp->queued)
		return;
	sp->queued = false;
	sp->prev->next = sp->next;
	sp->next->prev = sp->prev;
	if (r->spares.next == &r->spares)
		uv_idle_stop(&r->idle);
}

static void
on_expired(struct wheel_node *n)
{
	session_expired(n);
}

static void
on_rest_due(struct wheel_node *n)
{
	session_rest_due(n);
}

static void
on_tick(uv_timer_t *ticker)
{
	struct reactor *r = ticker->data;
	struct session *next;

	run_posts(r);
	wheel_advance(&r->wheel, uv_now(&r->loop), on_expired);
	wheel_advance(&r->rests, uv_now(&r->loop), on_rest_due);
	if (!r->stopping || uv_now(&r->loop) < r->stop_at)
		return;
	for (struct session *s = r->sessions; s != NULL; s = next) {
		next = session_next_on_reactor(s);
		session_cut(s);
	}
}

enum rc
reactor_new(struct server *srv, unsigned number, struct reactor **out, struct err *e)
{
	struct reactor *r = calloc(1, sizeof *r);
	enum rc rc;
	int failed;

	*out = NULL;
	if (r == NULL)
		return err_nomem(e);
	r->srv = srv;
	r->number = number;
	failed = uv_loop_init(&r->loop);
	if (failed != 0) {
		free(r);
		return err_os(e, -failed, "event loop");
	}
	rc = doorbell_open(&r->bell, &r->loop, on_rung, e);
	if (rc != RC_OK) {
		uv_loop_close(&r->loop);
		free(r);
		return rc;
	}
	uv_timer_init(&r->loop, &r->ticker);
	uv_idle_init(&r->loop, &r->idle);
	r->bell.poll.data = r->ticker.data = r->idle.data = r;
	r->spares.prev = r->spares.next = &r->spares;
	pthread_mutex_init(&r->lock, NULL);
	r->posts.prev = r->posts.next = &r->posts;
	r->turn.prev = r->turn.next = &r->turn;
	wheel_init(&r->wheel, uv_now(&r->loop));
	wheel_init(&r->rests, uv_now(&r->loop));
	*out = r;
	return RC_OK;
}

static void *
reactor_main(void *arg)
{
	struct reactor *r = arg;

	uv_update_time(&r->loop);
	uv_timer_start(&r->ticker, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	return NULL;
}

enum rc
reactor_start(struct reactor *r, struct err *e)
{
	int failed = pthread_create(&r->thread, NULL, reactor_main, r);

	if (failed != 0)
		return err_os(e, failed, "thread of a reactor");
	r->started = true;
	return RC_OK;
}

void
reactor_stop(struct reactor *r)
{
	pthread_mutex_lock(&r->lock);
	r->stop_wanted = true;
	pthread_mutex_unlock(&r->lock);
	doorbell_ring(&r->bell);
}

void
reactor_join(struct reactor *r)
{
	if (r->started)
		pthread_join(r->thread, NULL);
	r->started = false;
}

void
reactor_free(struct reactor **rp)
{
	struct reactor *r = *rp;
	struct post *p;
	unsigned bits;
	int failed;

	if (r == NULL)
		return;
	*rp = NULL;
	assert(!r->started);
	while ((p = take_post(r, &r->posts, &bits)) != NULL)
		p->run(p, bits);              /* connections dealt to us when we had ended */
	if (!r->closed) {               /* it never ran */
		r->stopping = true;
		acceptor_close(r->acceptor);
		reactor_end_if_empty(r);
		uv_run(&r->loop, UV_RUN_DEFAULT);
	}
	acceptor_free(&r->acceptor);
	while (atomic_load(&r->wakers) > 0)
		sched_yield();
	failed = uv_loop_close(&r->loop);
	assert(failed == 0);
	doorbell_close(&r->bell);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void
post(struct reactor *r, struct post *p, unsigned bits, bool may_wait)
{
	bool wake;

	pthread_mutex_lock(&r->lock);
	p->bits |= bits;
	if (!p->queued) {
		p->queued = true;
		p->prev = r->posts.prev;
		p->next = &r->posts;
		p->prev->next = p;
		r->posts.prev = p;
	}
	wake = !r->rung && !(may_wait && p->expected && !r->stop_wanted);
	if (wake) {
		r->rung = true;
		atomic_fetch_add(&r->wakers, 1);
	}
	pthread_mutex_unlock(&r->lock);
	/* Behind the lock, or the reactor would wake only to wait for it. p may be gone, and with
	 * the last session the handle; reactor_free waits for us before it ends the loop. */
	if (wake) {
		doorbell_ring(&r->bell);
		atomic_fetch_sub(&r->wakers, 1);
	}
}

void
reactor_post(struct reactor *r, struct post *p, unsigned bits)
{
	post(r, p, bits, false);
}

void
reactor_post_expected(struct reactor *r, struct post *p, unsigned bits)
{
	post(r, p, bits, true);
}

static void
set_expected(struct reactor *r, struct post *p, bool expected)
{
	pthread_mutex_lock(&r->lock);
	p->expected = expected;
	pthread_mutex_unlock(&r->lock);
}

void
reactor_expect_post(struct reactor *r, struct post *p)
{
	set_expected(r, p, true);
}

void
reactor_expect_none(struct reactor *r, struct post *p)
{
	set_expected(r, p, false);
}

unsigned
reactor_take(struct reactor *r, struct post *p)
{
	unsigned bits = 0;

	pthread_mutex_lock(&r->lock);
	p->expected = false;
	if (p->queued)
		bits = unlink_post(p);
	pthread_mutex_unlock(&r->lock);
	return bits;
}

void
reactor_unpost(struct reactor *r, struct post *p)
{
	(void)reactor_take(r, p);
}

struct server *
reactor_server(const struct reactor *r)
{
	return r->srv;
}

uv_loop_t *
reactor_loop(struct reactor *r)
{
	return &r->loop;
}

struct wheel *
reactor_wheel(struct reactor *r)
{
	return &r->wheel;
}

struct wheel *
reactor_rests(struct reactor *r)
{
	return &r->rests;
}

uint64_t
reactor_now(const struct reactor *r)
{
	return uv_now(&r->loop);
}

uint8_t *
reactor_scratch(struct reactor *r)
{
	return r->scratch;
}

bool
reactor_stopping(const struct reactor *r)
{
	return r->stopping;
}

unsigned
reactor_load(const struct reactor *r)
{
	return atomic_load_explicit(&r->session_count, memory_order_relaxed) +
	       atomic_load_explicit(&r->expected, memory_order_relaxed);
}

void
reactor_expect(struct reactor *r)
{
	atomic_fetch_add_explicit(&r->expected, 1, memory_order_relaxed);
}

void
reactor_arrived(struct reactor *r)
{
	atomic_fetch_sub_explicit(&r->expected, 1, memory_order_relaxed);
}

struct acceptor **
reactor_acceptor(struct reactor *r)
{
	return &r->acceptor;
}

void
reactor_add(struct reactor *r, struct session *s)
{
	session_link(s, &r->sessions);
	atomic_fetch_add_explicit(&r->session_count, 1, memory_order_relaxed);
}

void
reactor_remove(struct reactor *r, struct session *s)
{
	session_unlink(s, &r->sessions);
	atomic_fetch_sub_explicit(&r->session_count, 1, memory_order_relaxed);
	reactor_end_if_empty(r);
}
