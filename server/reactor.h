/* reactor - one thread, one libuv loop, and the sessions that live on it from accept to close.
 *
 * What other threads have to say comes as a `struct post`, embedded in the object it concerns: queued at most once, run
 * on the reactor's thread. Everything else here belongs to the reactor's thread.
 */
#ifndef RESTANTE_SERVER_REACTOR_H
#define RESTANTE_SERVER_REACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "lib/err.h"
#include "server/wheel.h"

#define REACTOR_SCRATCH 65536u

struct acceptor;
struct reactor;
struct session;
struct server;

struct post {
	struct post *prev, *next;
	/* On the reactor's thread, with all bits that were posted since it ran last. */
	void       (*run)(struct post *p, unsigned bits);
	unsigned     bits;              /* under the reactor's lock, as the next one */
	bool         queued;
	bool         expected;          /* of reactor_expect_post */
};

/* Work that nobody waits for. */
struct spare {
	struct spare *prev, *next;
	void        (*run)(struct spare *sp);
	bool          queued;
};

/* RC_OK: *out is to be started or freed. */
MUST_USE enum rc reactor_new(struct server *srv, unsigned number, struct reactor **out,
                             struct err *e);
MUST_USE enum rc reactor_start(struct reactor *r, struct err *e);
/* Any thread: accept no more, say bye to all sessions; the thread ends when the last one has gone. */
void reactor_stop(struct reactor *r);
void reactor_join(struct reactor *r);
void reactor_free(struct reactor **r);

/* Any thread, as long as the reactor has not been joined. Queued already: the bits are added. The reactor may run p,
 * and end what it belongs to, as soon as the bits are set: nothing of p is touched after that. */
void reactor_post(struct reactor *r, struct post *p, unsigned bits);
/* As reactor_post, but if the reactor expects p it is not woken: p waits until something else wakes it, half a second at
 * most. */
void reactor_post_expected(struct reactor *r, struct post *p, unsigned bits);
/* Reactor: from now on p is expected. What p waits for will wake us, and is then followed by reactor_take. */
void reactor_expect_post(struct reactor *r, struct post *p);
/* Reactor: no more, as p is not to be posted. */
void reactor_expect_none(struct reactor *r, struct post *p);
/* Reactor: p is expected no more; if it was queued, it is not, and these are its bits. */
unsigned reactor_take(struct reactor *r, struct post *p);
/* Reactor: make sure that p is not queued. */
void reactor_unpost(struct reactor *r, struct post *p);

/* Any thread: sessions that live here, and connections that are on their way here. */
unsigned reactor_load(const struct reactor *r);
/* A connection is on its way; reactor_arrived is for its end, on the reactor's thread. Any thread. */
void reactor_expect(struct reactor *r);
void reactor_arrived(struct reactor *r);

/* Before the start: what accepts connections here; the reactor closes and frees it. */
struct acceptor **reactor_acceptor(struct reactor *r);

/* ---- reactor thread ---- */
struct server *reactor_server(const struct reactor *r);
uv_loop_t     *reactor_loop(struct reactor *r);
struct wheel  *reactor_wheel(struct reactor *r);
struct wheel  *reactor_rests(struct reactor *r);       /* of session_rest_due */
uint64_t       reactor_now(const struct reactor *r);   /* ms, of this turn of the loop */
uint8_t       *reactor_scratch(struct reactor *r);     /* REACTOR_SCRATCH bytes, for use within one call */
bool           reactor_stopping(const struct reactor *r);
/* Run sp behind all that is ready now, one such in a turn of the loop, in the order of calls. Queued already: it stays. */
void reactor_spare(struct reactor *r, struct spare *sp);
void reactor_unspare(struct reactor *r, struct spare *sp);
/* A session begins and ends on this reactor. */
void reactor_add(struct reactor *r, struct session *s);
void reactor_remove(struct reactor *r, struct session *s);

#endif
