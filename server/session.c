/* session - the life of one connection. See session.h for its contract with protocols.
 *
 * session_run is the one function that moves a session; callbacks record what happened and call it.
 * Who owns a session:
 *
 *     reactor        all states but SESS_WORK
 *     a pool thread  SESS_WORK, while a step runs; with the stream if nothing was left to send (step_sends)
 *     nobody         SESS_WORK, when a step has said WAIT, until session_wake: whoever calls that hands
 *                    it on, to the pool or the reactor
 *
 * In SESS_WORK the reactor touches nothing but `changed`, `stopping` and what is being sent, and
 * the session cannot end: a client that leaves is noticed afterwards. So there is no moment at
 * which a step, a writer's answer or a notification could meet a session that is gone:
 *   - every step ends in EVENT_STEPPED, and only then is the session ours again;
 *   - the writer answers every change, and a session that waits for it stays;
 *   - the hub is left (hub_unwatch) before anything is freed, then the reactor's queue
 *     (reactor_unpost).
 *
 * The socket is polled rather than read by libuv: TLS then works on the socket itself and a session
 * without traffic owns no buffer. Polling is stopped lazily: only when something happens that is
 * not wanted now.
 */
#include "server/session_state.h"

#include <assert.h>
#include <errno.h>

#include "lib/clock.h"

#define TURNS_MAX            32u        /* commands in a row before other sessions get their turn */
#define LIGHT_TURNS          8u         /* a light step counts as so many */
#define TURN_OCTETS          4096u      /* of input count as one: some are dear to look at, and
                                         * inflated ones come fast */
#define LINGER_MS            2000u
#define REFUSED_MS           5000u      /* a session that is one too many ends so soon */
#define STEPS_MS             5u         /* in a row on the pool, as others wait for it */

static void session_begin_tls(struct session *s);
static bool session_send_behind(struct session *s);

/* ---- what we wait for ---- */

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct session *s = poll->data;
	unsigned bits;

	(void)events;
	if (status != 0)
		/* libuv has stopped polling; the error itself shows when we read or write */
		s->polled = 0;
	if (s->st == SESS_WORK && (bits = reactor_take(s->reactor, &s->post)) != 0) {
		if ((bits & EVENT_STEPPED) != 0)
			s->turns = 0;   /* the loop has looked at the others' sockets */
		session_on_post(&s->post, bits);
		return;
	}
	if (s->st == SESS_WORK || s->st == SESS_STEP || s->st == SESS_ADVANCE ||
	    s->st == SESS_DELAY) {
		if (!session_send_behind(s)) {
			uv_poll_stop(&s->poll);
			s->polled = 0;
		}
		return;
	}
	session_run(s);
}

static void
session_poll(struct session *s, int events)
{
	int failed;

	if (s->polled == events)
		return;
	failed = uv_poll_start(&s->poll, events, on_poll);
	assert(failed == 0);
	s->polled = events;
}

static void
session_poll_for(struct session *s, enum stream_result want)
{
	session_poll(s, want == STREAM_WANT_WRITE ? UV_WRITABLE : UV_READABLE);
}

void
session_deadline(struct session *s, uint32_t ms)
{
	uint64_t due = reactor_now(s->reactor) + ms;

	if (s->refused != REFUSAL_NONE && due > s->refused_until_ms)
		due = s->refused_until_ms;
	wheel_set(reactor_wheel(s->reactor), &s->timer, due);
}

/* While a step is under way: the last one's output goes on, without deadlines, as a step does not
 * take long; what fails here fails again in session_flush. False: nothing is left that waits for
 * the socket. */
static bool
session_send_behind(struct session *s)
{
	enum stream_result want = STREAM_OK;

	if (s->step_sends)
		return false;
	switch (session_send(s, &s->moved_behind, &want)) {
	case SENT_WAITS:
		session_poll_for(s, want);
		return true;
	case SENT_SHARE:
		reactor_post(s->reactor, &s->post, EVENT_RUN);
		return true;
	case SENT_ALL:
	case SENT_LOST:
		break;
	}
	return false;
}

/* ---- steps ---- */

static void
flush_then(struct session *s, enum sess_after after)
{
	s->after = after;
	s->st = SESS_FLUSH;
	if (s->delay_ms != 0 && !s->stopping) {
		s->st = SESS_DELAY;
		session_deadline(s, s->delay_ms);
	}
	s->delay_ms = 0;
}

/* What a step took counts as waited: when a refusal comes does not tell what was hashed for
 * it, or for whom. */
static void
shorten_delay(struct session *s)
{
	uint64_t took = reactor_now(s->reactor) - s->step_since_ms;

	if (s->delay_ms != 0)
		s->delay_ms = took < s->delay_ms ? s->delay_ms - (uint32_t)took : 1;
}

static bool
waits(const struct session *s)
{
	return s->result == STEP_WAIT || s->result == STEP_WAIT_ADVANCE;
}

/* A step has said WAIT. True: session_wake has come already. Else it is nobody's until then, and
 * not touched here any more. */
static bool
park(struct session *s)
{
	if (atomic_exchange_explicit(&s->wake, WAKE_AWAITED, memory_order_acq_rel) != WAKE_CAME)
		return false;
	atomic_store_explicit(&s->wake, WAKE_NONE, memory_order_relaxed);
	return true;
}

/* What the step has made goes out from its thread while the socket takes it, as the reactor would have to be woken to do
 * so, and the pool for the next step. True: there is one, and it may follow at once. */
static bool
send_step(struct session *s)
{
	if (!s->step_sends || (s->result != STEP_MORE && s->result != STEP_DONE))
		return false;
	return session_send_step(s) && s->result == STEP_MORE;
}

/* Pool. What need not wait goes on at once. */
static void
step_work(struct pool_job *job)
{
	struct session *s = (struct session *)(void *)((char *)job - offsetof(struct session, job));
	uint64_t began = clock_mono_ms();

	do {
		s->result = s->protocol->step(s->state);
		if (waits(s) && !park(s))
			return;
	} while (s->result == STEP_WAIT || (send_step(s) && clock_mono_ms() - began < STEPS_MS));
	reactor_post(s->reactor, &s->post, EVENT_STEPPED);
}

/* The session is ours again. */
static void
step_over(struct session *s)
{
	s->step_sends = false;
	if (s->moved_behind > 0)
		session_moved(s, s->moved_behind);
	s->moved_behind = 0;
	shorten_delay(s);
	switch (s->result) {
	case STEP_MORE:
		flush_then(s, AFTER_STEP);
		break;
	case STEP_DONE:
		flush_then(s, AFTER_ADVANCE);
		break;
	case STEP_WAIT:
		s->st = SESS_STEP;
		break;
	case STEP_WAIT_ADVANCE:
		s->owes_answer = true;
		s->st = SESS_ADVANCE;
		break;
	case STEP_CLOSE:
		flush_then(s, AFTER_CLOSE);
		break;
	case STEP_POOL:
		assert(false && "the pool is where it goes on");
		break;
	}
}

void
session_took_long(struct session *s)
{
	s->turns += LIGHT_TURNS;
}

/* A light step costs less than two turns over the pool. By the session's owner. */
static bool
is_light(const struct session *s)
{
	return s->protocol->light != NULL && s->protocol->light(s->state);
}

static void
submit_step(struct session *s)
{
	s->job.run = step_work;
	pool_submit(server_pool(s->srv), &s->job);
}

static bool
has_sent(const struct session *s)
{
	return s->sending.at == s->sending.bytes.len;
}

/* Will nothing happen here before the client says more, and will that wake us? What filters have read does not. */
static bool
hears_next(const struct session *s)
{
	return s->polled == UV_READABLE && s->in.len == 0 && !s->eof && s->stream.tls == NULL &&
	       s->stream.deflate == NULL;
}

/* As park, of a step on the reactor. */
static bool
hand_over(struct session *s)
{
	bool hears;

	s->step_sends = has_sent(s);
	hears = s->step_sends && hears_next(s);
	if (hears)
		reactor_expect_post(s->reactor, &s->post);
	if (!park(s))
		return false;
	if (hears)
		reactor_expect_none(s->reactor, &s->post);
	return true;
}

static bool
session_step(struct session *s)
{
	s->st = SESS_WORK;
	s->step_since_ms = reactor_now(s->reactor);
	wheel_clear(&s->timer);
	s->result = is_light(s) ? s->protocol->step(s->state) : STEP_POOL;
	if (s->result != STEP_POOL) {
		session_took_long(s);
		if (waits(s) && !hand_over(s))
			return false;
		step_over(s);
		return true;
	}
	s->step_sends = has_sent(s);
	submit_step(s);
	if (!s->step_sends)
		(void)session_send_behind(s);
	return false;
}

/* ---- messages of other threads ---- */

/* A light step behind a wait, where it ended: the reactor is told when all is said. */
static void
step_here(struct session *s)
{
	s->result = s->protocol->step(s->state);
	session_took_long(s);
	if (s->result == STEP_POOL) {
		submit_step(s);
	} else if (s->result == STEP_DONE && session_send_step(s)) {
		reactor_post_expected(s->reactor, &s->post, EVENT_STEPPED);
	} else if (!waits(s) || park(s)) {
		reactor_post(s->reactor, &s->post, EVENT_STEPPED);
	}
}

/* If the step has not returned, the exchange is our last touch: park finds it. */
void
session_wake(struct session *s, bool here)
{
	if (atomic_exchange_explicit(&s->wake, WAKE_CAME, memory_order_acq_rel) != WAKE_AWAITED)
		return;
	atomic_store_explicit(&s->wake, WAKE_NONE, memory_order_relaxed);
	if (s->result == STEP_WAIT && !is_light(s))
		submit_step(s);
	else if (s->result == STEP_WAIT && here && s->step_sends)
		step_here(s);
	else
		reactor_post(s->reactor, &s->post, EVENT_STEPPED);
}

void
session_on_changed(struct watcher *w)
{
	struct session *s = (struct session *)(void *)((char *)w -
	                                               offsetof(struct session, watcher));

	reactor_post(s->reactor, &s->post, EVENT_CHANGED);
}

void
session_on_post(struct post *p, unsigned events)
{
	struct session *s = (struct session *)(void *)((char *)p - offsetof(struct session, post));

	if ((events & EVENT_CLEANED) != 0) {
		session_end(s);
		return;
	}
	if ((events & EVENT_CHANGED) != 0)
		s->changed = true;
	if ((events & EVENT_END) != 0)
		session_order_end(s, (enum session_end)atomic_load(&s->ordered));
	if ((events & EVENT_STEPPED) != 0) {
		assert(s->st == SESS_WORK);
		step_over(s);
		session_run(s);
	} else if (s->st == SESS_WORK && (events & EVENT_RUN) != 0) {
		(void)session_send_behind(s);
	} else if (s->st == SESS_ADVANCE || (s->st == SESS_READ && s->changed) ||
	           (s->st == SESS_FLUSH && (events & EVENT_RUN) != 0)) {
		session_run(s);
	}
}

/* ---- one state each; false: wait for a callback ---- */

void
session_bye(struct session *s, enum session_end end, const char *why)
{
	s->ended = why;
	if (s->greeted)
		s->protocol->bye(s->state, end);
	flush_then(s, AFTER_CLOSE);
}

static void
session_next(struct session *s, enum session_next next)
{
	switch (next) {
	case NEXT_INPUT:
		flush_then(s, AFTER_READ);
		break;
	case NEXT_STEP:
		s->st = SESS_STEP;
		break;
	case NEXT_AGAIN:
		/* Answers of pipelined commands go out together. */
		if (session_out_full(s) || s->delay_ms != 0)
			flush_then(s, AFTER_ADVANCE);
		else
			s->st = SESS_ADVANCE;
		break;
	case NEXT_STARTTLS:
		flush_then(s, AFTER_STARTTLS);
		break;
	case NEXT_COMPRESS:
		flush_then(s, AFTER_COMPRESS);
		break;
	case NEXT_PLAIN:
		stream_last_deflate(&s->stream);
		flush_then(s, AFTER_PLAIN);
		break;
	case NEXT_CLOSE:
		flush_then(s, AFTER_CLOSE);
		break;
	}
}

static void
session_tell_refused(struct session *s)
{
	char text[REFUSAL_TEXT];
	size_t n = refusal_text(s->protocol, s->refused, text);

	if (!buf_append(session_out(s), text, n)) {
		session_close(s, "no memory");
		return;
	}
	s->ended = refusal_name(s->refused);
	flush_then(s, AFTER_CLOSE);
}

void
session_refuse(struct session *s, enum refusal why)
{
	s->refused = why;
	s->refused_until_ms = reactor_now(s->reactor) + REFUSED_MS;
	session_weigh_nothing(s);
	session_deadline(s, REFUSED_MS);        /* it may have a later one, of its handshake */
}

static bool
session_greet(struct session *s)
{
	if (s->stopping) {
		session_close(s, session_stop_text(s));
		return false;
	}
	if (s->refused != REFUSAL_NONE) {
		session_tell_refused(s);
		return true;
	}
	s->greeted = true;
	session_next(s, s->protocol->greet(s->state));
	return true;
}

void
session_open(struct session *s)
{
	s->state = s->refused == REFUSAL_NONE ? s->protocol->open(s) : NULL;
	s->st = SESS_GREET;
	if (s->state == NULL && s->refused == REFUSAL_NONE)
		session_close(s, "no memory");
	else if (s->tls_first)
		session_begin_tls(s);
	else
		wheel_clear(&s->timer);
}

static bool
session_proxy(struct session *s)
{
	switch (session_read_proxy(s)) {
	case PROXY_OK:
		session_open(s);
		return true;
	case PROXY_MORE:
		session_poll(s, UV_READABLE);
		return false;
	case PROXY_BAD:
		break;
	}
	session_close(s, "no header of the proxy");
	return false;
}

static bool
session_handshake(struct session *s)
{
	enum stream_result r = stream_handshake(&s->stream);
	struct logline l;

	switch (r) {
	case STREAM_OK:
		session_log(s, &l, LOGLEVEL_DEBUG, "session.tls");
		session_log_tls(s, &l);
		atomic_store_explicit(&s->tls_version, session_tls_version(s),
		                      memory_order_relaxed);
		log_end(&l);
		s->st = s->greeted ? SESS_ADVANCE : SESS_GREET;
		return true;
	case STREAM_WANT_READ:
	case STREAM_WANT_WRITE:
		session_poll_for(s, r);
		return false;
	case STREAM_EOF:
	case STREAM_GARBLED:
	case STREAM_ERROR:
		break;
	}
	if (stream_tls(&s->stream)->failed != NULL) {
		session_log(s, &l, LOGLEVEL_INFO, "session.tls_failed");
		log_cstr(&l, "why", stream_tls(&s->stream)->failed);
		log_end(&l);
	}
	session_close(s, "tls handshake failed");
	return false;
}

uint32_t
session_handshake_ms(const struct session *s)
{
	return (uint32_t)(s->settings->conf->limits.handshake_timeout * 1000u);
}

static void
session_begin_tls(struct session *s)
{
	struct tls_params p = { s->protocol->alpn, s->protocol->name, s->client_certificates };

	/* What came before the handshake was not protected: it must not count as said under TLS
	 * [RFC 3207 s4.2]. What the kernel still holds of it makes the handshake fail. */
	buf_fini(&s->in);
	if (s->settings->tls == NULL || !stream_start_tls(&s->stream, s->settings->tls, &p)) {
		session_close(s, "tls cannot start");
		return;
	}
	s->st = SESS_HANDSHAKE;
	session_deadline(s, session_handshake_ms(s));
}

static void
session_begin_compress(struct session *s)
{
	if (!stream_start_deflate(&s->stream, buf_slice(&s->in))) {
		session_close(s, "no memory");
		return;
	}
	buf_fini(&s->in);
	s->st = SESS_ADVANCE;
}

/* Octets that came compressed, behind the command that ended compression, were not for us
 * [RFC 8437 s4.1]. */
static void
session_end_compress(struct session *s)
{
	if (s->in.len > 0) {
		session_close(s, "compressed input behind the end of compression");
		return;
	}
	stream_end_deflate(&s->stream);
	s->st = SESS_ADVANCE;
}

static bool
session_take_input(struct session *s, size_t n)
{
	atomic_fetch_add_explicit(&s->bytes_in, n, memory_order_relaxed);
	s->turns += (unsigned)(n / TURN_OCTETS);
	session_heard(s, n);
	if (!buf_append(&s->in, reactor_scratch(s->reactor), n)) {
		session_close(s, "no memory");
		return false;
	}
	s->st = SESS_ADVANCE;
	return true;
}

static bool
session_read(struct session *s)
{
	size_t room = buf_room(&s->in), n = 0;
	enum stream_result r;

	if (s->stopping) {
		session_bye(s, s->stop_as, session_stop_text(s));
		return true;
	}
	if (s->changed) {
		session_heard(s, 0);
		s->st = SESS_ADVANCE;
		return true;
	}
	if (s->eof) {
		session_close(s, "peer closed");
		return false;
	}
	if (room == 0) {
		session_bye(s, END_OVERFLOW, "input too long");
		return true;
	}
	r = stream_read(&s->stream, reactor_scratch(s->reactor),
	                room < REACTOR_SCRATCH ? room : REACTOR_SCRATCH, &n);
	switch (r) {
	case STREAM_OK:
		return session_take_input(s, n);
	case STREAM_EOF:
		s->eof = true;
		session_heard(s, 0);
		s->st = SESS_ADVANCE;
		return true;
	case STREAM_WANT_READ:
	case STREAM_WANT_WRITE:
		session_sleep(s);
		session_poll_for(s, r);
		return false;
	case STREAM_GARBLED:
		session_close(s, "compressed input is damaged");
		return false;
	case STREAM_ERROR:
		break;
	}
	session_close(s, "connection lost");
	return false;
}

static bool
session_advance(struct session *s)
{
	if (s->stopping && !s->owes_answer) {
		session_bye(s, s->stop_as, session_stop_text(s));
		return true;
	}
	if (s->turns++ >= TURNS_MAX) {
		s->turns = 0;
		reactor_post(s->reactor, &s->post, EVENT_RUN);
		return false;
	}
	if (s->changed) {
		s->changed = false;
		s->notified = true;
	}
	s->owes_answer = false;
	session_next(s, s->protocol->advance(s->state));
	return true;
}

static void
session_flushed(struct session *s)
{
	switch (s->after) {
	case AFTER_READ:
		s->st = SESS_READ;
		if (!session_await(s))
			session_bye(s, END_TIMEOUT, "timeout");
		break;
	case AFTER_ADVANCE:
		s->st = SESS_ADVANCE;
		break;
	case AFTER_STEP:
		if (s->stopping)  /* in the middle of an answer there is no place for a farewell */
			session_close(s, session_stop_text(s));
		else
			s->st = SESS_STEP;
		break;
	case AFTER_STARTTLS:
		session_begin_tls(s);
		break;
	case AFTER_COMPRESS:
		session_begin_compress(s);
		break;
	case AFTER_PLAIN:
		session_end_compress(s);
		break;
	case AFTER_CLOSE:
		stream_finish(&s->stream);
		s->st = SESS_LINGER;
		session_deadline(s, LINGER_MS);
		break;
	}
}

/* What a step has said and not sent itself (send_step) goes out while the next one runs: two outputs at most are held. */
static bool
session_flush(struct session *s)
{
	enum stream_result want = STREAM_OK;
	size_t moved = 0;
	enum sent sent;

	if (s->out.bytes.failed) {
		session_close(s, "answer too large");
		return false;
	}
	if (session_turn_output(s) && s->after == AFTER_STEP && !s->stopping) {
		s->st = SESS_STEP;
		return true;
	}
	if (s->after == AFTER_CLOSE)
		stream_ending(&s->stream);
	sent = session_send(s, &moved, &want);
	if (moved > 0 || sent == SENT_ALL)
		session_moved(s, moved);
	switch (sent) {
	case SENT_ALL:
		if (s->out.bytes.len == 0)
			session_flushed(s);
		return true;
	case SENT_SHARE:
		reactor_post(s->reactor, &s->post, EVENT_RUN);
		return false;
	case SENT_WAITS:
		if (session_stalled(s))
			session_poll_for(s, want);
		else
			session_close(s, "timeout");
		return false;
	case SENT_LOST:
		break;
	}
	session_close(s, "connection lost");
	return false;
}

/* Closing a socket that holds unread bytes resets the connection, and the peer may lose
 * our last answer. */
static bool
session_linger(struct session *s)
{
	ssize_t n = 0;

	for (unsigned i = 0; i < 16 && !s->eof; i++) {
		n = recv(s->stream.fd, reactor_scratch(s->reactor), REACTOR_SCRATCH, MSG_DONTWAIT);
		if (n <= 0)
			break;
	}
	if (s->eof || n == 0 || s->stopping ||
	    (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
		session_close(s, "closed");
		return false;
	}
	session_poll(s, UV_READABLE);
	return false;
}

/* The budget is spent: its protocol says so where it can. */
static void
session_out_of_memory(struct session *s)
{
	if (s->st == SESS_HANDSHAKE && !s->greeted && session_turn_away(s, REFUSAL_MEMORY))
		return;
	s->stopping = true;
	s->stop_as = END_MEMORY;
	if (s->st == SESS_PROXY || s->st == SESS_HANDSHAKE ||
	    (s->st == SESS_FLUSH && s->after == AFTER_STEP))
		session_close(s, session_stop_text(s));
}

/* The whole life of a session, top to bottom. */
void
session_run(struct session *s)
{
	bool go = true;

	while (go) {
		if (s->st != SESS_CLOSED && !session_weigh(s))
			session_out_of_memory(s);
		switch (s->st) {
		case SESS_PROXY:
			go = session_proxy(s);
			break;
		case SESS_HANDSHAKE:
			go = session_handshake(s);
			break;
		case SESS_GREET:
			go = session_greet(s);
			break;
		case SESS_READ:
			go = session_read(s);
			break;
		case SESS_ADVANCE:
			go = session_advance(s);
			break;
		case SESS_STEP:
			go = session_step(s);
			break;
		case SESS_FLUSH:
			go = session_flush(s);
			break;
		case SESS_LINGER:
			go = session_linger(s);
			break;
		case SESS_WORK:
		case SESS_DELAY:
		case SESS_CLOSED:
			return;
		}
	}
}
