/* session - the life of one connection. See session.h for its contract with protocols.
 *
 * session_run is the one function that moves a session; callbacks record what happened and call it. Who owns a session:
 *
 *     reactor        all states but the next two
 *     a pool thread  SESS_WORK
 *     nobody         SESS_PARKED, until session_wake
 *
 * In the last two the reactor touches nothing but `changed` and `stopping`, and the session cannot end: a
 * client that leaves is noticed afterwards. So there is no moment at which a step, a writer's answer or a notification
 * could meet a session that is gone:
 *   - the pool answers every step, and only then is the session ours again;
 *   - the writer answers every change, and a parked session waits for it;
 *   - the hub is left (hub_unwatch) before anything is freed, then the reactor's queue (reactor_unpost).
 *
 * The socket is polled rather than read by libuv: TLS then works on the socket itself and a session without traffic owns
 * no buffer. Polling is stopped lazily: only when something happens that is not wanted now.
 */
#include "server/session_state.h"

#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"

#define TURNS_MAX            32u        /* commands in a row before other sessions get their turn */
#define TURN_OCTETS          4096u      /* of input count as one: some are dear to look at, and inflated ones come fast */
#define FLUSH_MAX            131072u    /* octets written in a row; compressing so many takes some milliseconds */
#define HANDSHAKE_TIMEOUT_MS 60000u
#define BYE_TIMEOUT_MS       10000u     /* to take our last words */
#define LINGER_MS            2000u
#define REST_MS              3000u      /* of silence; longer than a client takes between two commands of one task */

static void session_run(struct session *s);
static void session_close(struct session *s, const char *why);

/* ---- what we wait for ---- */

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct session *s = poll->data;

	(void)events;
	if (status != 0)
		s->polled = 0;  /* libuv has stopped polling; the error itself shows when we read or write */
	if (s->st == SESS_WORK || s->st == SESS_PARKED || s->st == SESS_STEP || s->st == SESS_ADVANCE ||
	    s->st == SESS_DELAY) {
		uv_poll_stop(&s->poll);
		s->polled = 0;
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

static void
session_deadline(struct session *s, uint32_t ms)
{
	wheel_set(reactor_wheel(s->reactor), &s->timer, reactor_now(s->reactor) + ms);
}

/* ---- messages of other threads ---- */

static void
on_post(struct post *p, unsigned events)
{
	struct session *s = (struct session *)(void *)((char *)p - offsetof(struct session, post));

	if ((events & EVENT_CHANGED) != 0)
		s->changed = true;
	if ((events & EVENT_WAKE) != 0) {
		assert(s->st == SESS_PARKED);
		atomic_store_explicit(&s->wake, WAKE_NONE, memory_order_relaxed);
		s->st = s->woken;
		session_run(s);
	} else if (s->st == SESS_ADVANCE || (s->st == SESS_READ && s->changed) ||
	           (s->st == SESS_FLUSH && (events & EVENT_RUN) != 0)) {
		session_run(s);
	}
}

void
session_wake(struct session *s)
{
	/* If the step has not returned, this exchange is our last touch: step_done finds it. */
	if (atomic_exchange_explicit(&s->wake, WAKE_CAME, memory_order_acq_rel) == WAKE_AWAITED)
		reactor_post(s->reactor, &s->post, EVENT_WAKE);
}

static void
on_changed(struct watcher *w)
{
	struct session *s = (struct session *)(void *)((char *)w - offsetof(struct session, watcher));

	reactor_post(s->reactor, &s->post, EVENT_CHANGED);
}

/* ---- steps ---- */

static void
step_work(uv_work_t *work)
{
	struct session *s = work->data;

	s->result = s->protocol->step(s->state);
}

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

static void
step_done(uv_work_t *work, int status)
{
	struct session *s = work->data;

	assert(status == 0);            /* we never cancel what is queued */
	switch (s->result) {
	case STEP_MORE:
		flush_then(s, AFTER_STEP);
		break;
	case STEP_DONE:
		flush_then(s, AFTER_ADVANCE);
		break;
	case STEP_WAIT:
	case STEP_WAIT_ADVANCE:
		s->owes_answer = s->result == STEP_WAIT_ADVANCE;
		s->woken = s->owes_answer ? SESS_ADVANCE : SESS_STEP;
		s->st = SESS_PARKED;
		if (atomic_exchange_explicit(&s->wake, WAKE_AWAITED, memory_order_acq_rel) != WAKE_CAME)
			return;
		atomic_store_explicit(&s->wake, WAKE_NONE, memory_order_relaxed);
		s->st = s->woken;
		break;
	case STEP_CLOSE:
		flush_then(s, AFTER_CLOSE);
		break;
	}
	session_run(s);
}

static void
session_start_step(struct session *s)
{
	int failed;

	s->st = SESS_WORK;
	wheel_clear(&s->timer);
	failed = uv_queue_work(reactor_loop(s->reactor), &s->work, step_work, step_done);
	assert(failed == 0);
}

/* ---- one state each; false: wait for a callback ---- */

static void
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

static bool
session_greet(struct session *s)
{
	if (s->stopping) {
		session_close(s, "shutdown");
		return false;
	}
	s->greeted = true;
	session_next(s, s->protocol->greet(s->state));
	return true;
}

static bool
session_handshake(struct session *s)
{
	enum stream_result r = stream_handshake(&s->stream);
	struct logline l;

	switch (r) {
	case STREAM_OK:
		session_log(s, &l, LOGLEVEL_DEBUG, "session.tls");
		log_cstr(&l, "version", stream_tls_version(&s->stream));
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
	session_close(s, "tls handshake failed");
	return false;
}

static void
session_begin_tls(struct session *s)
{
	/* What came before the handshake was not protected: it must not count as said under TLS [RFC 3207 s4.2]. What
	 * the kernel still holds of it makes the handshake fail. */
	buf_fini(&s->in);
	if (s->settings->tls == NULL || !stream_start_tls(&s->stream, s->settings->tls, s->protocol->alpn)) {
		session_close(s, "tls cannot start");
		return;
	}
	s->st = SESS_HANDSHAKE;
	session_deadline(s, HANDSHAKE_TIMEOUT_MS);
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

/* Octets that came compressed, behind the command that ended compression, were not for us [RFC 8437 s4.1]. */
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

/* Nothing to do: give memory back and sleep. */
static void
session_sleep(struct session *s, enum stream_result want)
{
	if (s->in.len == 0)
		buf_fini(&s->in);
	buf_fini(&s->out);
	s->turns = 0;
	if (stream_is_compressed(&s->stream))
		wheel_set(reactor_rests(s->reactor), &s->rest, reactor_now(s->reactor) + REST_MS);
	session_poll_for(s, want);
}

static bool
session_take_input(struct session *s, size_t n)
{
	s->bytes_in += n;
	s->turns += (unsigned)(n / TURN_OCTETS);
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
		session_bye(s, END_SHUTDOWN, "shutdown");
		return true;
	}
	if (s->changed) {
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
	r = stream_read(&s->stream, reactor_scratch(s->reactor), room < REACTOR_SCRATCH ? room : REACTOR_SCRATCH, &n);
	switch (r) {
	case STREAM_OK:
		return session_take_input(s, n);
	case STREAM_EOF:
		s->eof = true;
		s->st = SESS_ADVANCE;
		return true;
	case STREAM_WANT_READ:
	case STREAM_WANT_WRITE:
		session_sleep(s, r);
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
		session_bye(s, END_SHUTDOWN, "shutdown");
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

/* Who sends a command byte by byte gets no more time for it than who sends nothing. */
static void
session_await_input(struct session *s)
{
	bool same_command = s->partial > 0 && s->in.len > s->partial;

	s->st = SESS_READ;
	s->partial = s->in.len;
	if (!same_command || s->timer.next == NULL)
		session_deadline(s, s->timeout_ms);
}

static void
session_flushed(struct session *s)
{
	buf_reset(&s->out);
	s->out_at = 0;
	switch (s->after) {
	case AFTER_READ:
		session_await_input(s);
		break;
	case AFTER_ADVANCE:
		s->st = SESS_ADVANCE;
		break;
	case AFTER_STEP:
		if (s->stopping)        /* in the middle of an answer there is no place for a farewell */
			session_close(s, "shutdown");
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

static uint32_t
flush_timeout(const struct session *s)
{
	return s->stopping || s->after == AFTER_CLOSE ? BYE_TIMEOUT_MS : s->timeout_ms;
}

static bool
session_flush(struct session *s)
{
	if (s->out.failed) {
		session_close(s, "answer too large");
		return false;
	}
	for (size_t sent = 0; sent < FLUSH_MAX;) {
		size_t n = 0;
		bool all = s->out_at == s->out.len;
		enum stream_result r = all ? stream_flush(&s->stream)
		                           : stream_write(&s->stream, s->out.ptr + s->out_at, s->out.len - s->out_at, &n);

		switch (r) {
		case STREAM_OK:
			if (all) {
				session_flushed(s);
				return true;
			}
			sent += n;
			s->out_at += n;
			s->bytes_out += n;
			session_deadline(s, flush_timeout(s));
			break;
		case STREAM_WANT_READ:
		case STREAM_WANT_WRITE:
			if (s->timer.next == NULL)
				session_deadline(s, flush_timeout(s));
			session_poll_for(s, r);
			return false;
		case STREAM_EOF:
		case STREAM_GARBLED:
		case STREAM_ERROR:
			session_close(s, "connection lost");
			return false;
		}
	}
	reactor_post(s->reactor, &s->post, EVENT_RUN);
	return false;
}

/* Closing a socket that holds unread bytes resets the connection, and the peer may lose our last answer. */
static bool
session_linger(struct session *s)
{
	ssize_t n = 0;

	for (unsigned i = 0; i < 16 && !s->eof; i++) {
		n = recv(s->stream.fd, reactor_scratch(s->reactor), REACTOR_SCRATCH, MSG_DONTWAIT);
		if (n <= 0)
			break;
	}
	if (s->eof || n == 0 || s->stopping || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
		session_close(s, "closed");
		return false;
	}
	session_poll(s, UV_READABLE);
	return false;
}

/* The whole life of a session, top to bottom. */
static void
session_run(struct session *s)
{
	bool go = true;

	while (go) {
		switch (s->st) {
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
			session_start_step(s);
			return;
		case SESS_FLUSH:
			go = session_flush(s);
			break;
		case SESS_LINGER:
			go = session_linger(s);
			break;
		case SESS_WORK:
		case SESS_PARKED:
		case SESS_DELAY:
		case SESS_CLOSED:
			return;
		}
	}
}

/* ---- the end ---- */

static void
session_free(struct session *s)
{
	struct reactor *r = s->reactor;

	buf_fini(&s->in);
	buf_fini(&s->out);
	settings_unref(&s->settings);
	free(s->user);
	reactor_remove(r, s);
	free(s);
}

static void
session_end(struct session *s)
{
	struct logline l;

	session_log(s, &l, LOGLEVEL_INFO, "session.end");
	log_cstr(&l, "why", s->ended);
	log_u64(&l, "in", s->bytes_in);
	log_u64(&l, "out", s->bytes_out);
	log_u64(&l, "ms", clock_mono_ms() - s->began_ms);
	log_end(&l);
	if (s->state != NULL)
		s->protocol->close(s->state);
	session_free(s);
}

static void
cleanup_work(uv_work_t *work)
{
	struct session *s = work->data;

	s->protocol->cleanup(s->state);
}

static void
cleanup_done(uv_work_t *work, int status)
{
	assert(status == 0);
	session_end(work->data);
}

static void
on_poll_closed(uv_handle_t *handle)
{
	struct session *s = handle->data;
	int failed;

	stream_fini(&s->stream);
	peers_leave(server_peers(s->srv), s->is_unix ? NULL : &s->key);
	if (s->protocol->cleanup == NULL || s->state == NULL) {
		session_end(s);
		return;
	}
	failed = uv_queue_work(reactor_loop(s->reactor), &s->work, cleanup_work, cleanup_done);
	assert(failed == 0);
}

/* Reactor, no step under way. Idempotent. The session is freed later. */
static void
session_close(struct session *s, const char *why)
{
	assert(s->st != SESS_WORK && s->st != SESS_PARKED);
	if (s->st == SESS_CLOSED)
		return;
	s->st = SESS_CLOSED;
	if (s->ended == NULL)
		s->ended = why;
	wheel_clear(&s->timer);
	wheel_clear(&s->rest);
	session_unwatch(s);
	reactor_unpost(s->reactor, &s->post);
	uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void
session_delay_over(struct session *s)
{
	wheel_clear(&s->timer);
	s->st = SESS_FLUSH;
	session_run(s);
}

void
session_stop(struct session *s)
{
	s->stopping = true;
	if (s->st == SESS_HANDSHAKE)
		session_close(s, "shutdown");
	else if (s->st == SESS_READ || s->st == SESS_LINGER)
		session_run(s);
	else if (s->st == SESS_DELAY)
		session_delay_over(s);
}

void
session_cut(struct session *s)
{
	s->stopping = true;
	if (s->st != SESS_WORK && s->st != SESS_PARKED)
		session_close(s, "shutdown");
}

void
session_expired(struct wheel_node *n)
{
	struct session *s = (struct session *)(void *)((char *)n - offsetof(struct session, timer));

	if (s->st == SESS_DELAY) {
		session_delay_over(s);
		return;
	}
	if (s->st != SESS_READ) {
		session_close(s, "timeout");
		return;
	}
	session_bye(s, END_TIMEOUT, "timeout");
	session_deadline(s, BYE_TIMEOUT_MS);
	session_run(s);
}

void
session_rest_due(struct wheel_node *n)
{
	struct session *s = (struct session *)(void *)((char *)n - offsetof(struct session, rest));

	if (s->st == SESS_READ)         /* else it is awake, and sleeps again */
		stream_rest(&s->stream);
}

/* ---- the beginning ---- */

/* Unique over restarts, short in logs. */
static uint64_t
next_id(void)
{
	static atomic_uint_least64_t last;
	uint64_t zero = 0;

	if (atomic_load(&last) == 0)
		atomic_compare_exchange_strong(&last, &zero, clock_wall_us() / 1000000u << 20);
	return atomic_fetch_add(&last, 1) + 1;
}

static void
session_set_peer(struct session *s, const struct sockaddr_storage *ss)
{
	if (ss == NULL) {
		s->is_unix = s->loopback = true;
		strcpy(s->peer, "unix");
		return;
	}
	peer_key_set(&s->key, ss);
	if (ss->ss_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr;

		s->loopback = IN6_IS_ADDR_LOOPBACK(a);
		inet_ntop(AF_INET6, a, s->peer, sizeof s->peer);
		return;
	}
	s->loopback = s->key.ip[12] == 127;
	inet_ntop(AF_INET, s->key.ip + 12, s->peer, sizeof s->peer);
}

static struct session *
session_new(struct reactor *r, const struct listener *l, int fd, const struct sockaddr_storage *peer)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->reactor = r;
	s->srv = reactor_server(r);
	s->settings = server_settings(s->srv);
	s->protocol = l->protocol;
	s->id = next_id();
	s->began_ms = clock_mono_ms();
	s->st = SESS_GREET;
	s->post.run = on_post;
	s->watcher.changed = on_changed;
	buf_init(&s->in, SESSION_IN_MAX);
	buf_init(&s->out, SESSION_OUT_MAX);
	session_set_timeout(s, 0);
	session_set_peer(s, peer);
	if (uv_poll_init(reactor_loop(r), &s->poll, fd) != 0) {
		settings_unref(&s->settings);
		free(s);
		return NULL;
	}
	s->poll.data = s->work.data = s;
	stream_init(&s->stream, fd);
	return s;
}

static void
drop_arrival(struct reactor *r, int fd, const struct sockaddr_storage *peer)
{
	struct session key_only = { .is_unix = false };

	session_set_peer(&key_only, peer);
	peers_leave(server_peers(reactor_server(r)), peer == NULL ? NULL : &key_only.key);
	close(fd);
}

void
session_begin(struct reactor *r, const struct listener *l, int fd, const struct sockaddr_storage *peer)
{
	struct session *s = reactor_stopping(r) ? NULL : session_new(r, l, fd, peer);
	struct logline line;

	if (s == NULL) {
		drop_arrival(r, fd, peer);
		return;
	}
	reactor_add(r, s);
	session_log(s, &line, LOGLEVEL_DEBUG, "session.begin");
	log_cstr(&line, "listener", l->name);
	log_end(&line);
	s->state = s->protocol->open(s);
	if (s->state == NULL) {
		session_close(s, "no memory");
		return;
	}
	if (l->tls)
		session_begin_tls(s);
	session_run(s);
}

struct session *
session_next_on_reactor(const struct session *s)
{
	return s->next;
}

void
session_link(struct session *s, struct session **head)
{
	s->prev = NULL;
	s->next = *head;
	if (s->next != NULL)
		s->next->prev = s;
	*head = s;
}

void
session_unlink(struct session *s, struct session **head)
{
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		*head = s->next;
}
