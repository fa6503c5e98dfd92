/* session_output - what a session says, on its way to the stream.
 *
 * There are two outputs: one that the protocol fills, one that is sent. They change places when the
 * latter is empty. Where the client takes all of it at once, the thread of the step sends what it has made and
 * goes on with the next (session_send_step): nobody is woken for it. Else the reactor sends the rest, and then the next
 * step runs. A step that begins while something is left to send (a light one's answer, or a delayed one) has the reactor
 * send beside it: then the step owns s->out alone, the reactor s->sending and the stream, and they share nothing else. A
 * client that does not read stops both, as only two pieces are held.
 */
#include "server/session_state.h"

#include <assert.h>
#include <stdlib.h>

#define FLUSH_MAX 131072u       /* octets written in a row; compressing so many takes some
                                 * milliseconds */

/* ---- splices: the owner of s->out ---- */

bool
session_can_splice(struct session *s)
{
	struct output *o = &s->out;

	if (!stream_is_compressed(&s->stream) || o->splice_count == SPLICES_MAX)
		return false;
	if (o->splices == NULL)
		o->splices = malloc(SPLICES_MAX * sizeof *o->splices);
	return o->splices != NULL;
}

void
session_splice(struct session *s, size_t from)
{
	struct output *o = &s->out;

	assert(o->splice_count < SPLICES_MAX);
	if (from < o->bytes.len)
		o->splices[o->splice_count++] = (struct splice){ from, o->bytes.len };
}

void
session_unsay(struct session *s, size_t len)
{
	struct output *o = &s->out;

	assert(len <= o->bytes.len);
	while (o->splice_count > 0 && o->splices[o->splice_count - 1].to > len)
		o->splice_count--;
	o->bytes.len = len;
}

/* ---- sending ---- */

/* Some of it: up to the next splice, or of it. */
static enum stream_result
write_some(struct stream *st, struct output *o, size_t *n)
{
	const uint8_t *p = o->bytes.ptr + o->at;
	const struct splice *next;
	enum stream_result r;

	if (o->splice == o->splice_count)
		return stream_write(st, p, o->bytes.len - o->at, n);
	next = &o->splices[o->splice];
	if (o->at < next->from)
		return stream_write(st, p, next->from - o->at, n);
	r = stream_splice(st, p, next->to - o->at, n);
	if (r == STREAM_OK && o->at + *n == next->to)
		o->splice++;
	return r;
}

enum sent
session_send(struct session *s, size_t *moved, enum stream_result *want)
{
	struct output *o = &s->sending;

	for (size_t sent = 0; sent < FLUSH_MAX;) {
		size_t n = 0;
		bool all = o->at == o->bytes.len;

		*want = all ? stream_flush(&s->stream) : write_some(&s->stream, o, &n);
		switch (*want) {
		case STREAM_OK:
			if (all)
				return SENT_ALL;
			sent += n;
			*moved += n;
			o->at += n;
			atomic_fetch_add_explicit(&s->bytes_out, n, memory_order_relaxed);
			break;
		case STREAM_WANT_READ:
		case STREAM_WANT_WRITE:
			return SENT_WAITS;
		case STREAM_EOF:
		case STREAM_GARBLED:
		case STREAM_ERROR:
			return SENT_LOST;
		}
	}
	return SENT_SHARE;
}

static void
empty(struct output *o)
{
	buf_reset(&o->bytes);
	o->at = 0;
	o->splice = o->splice_count = 0;
}

bool
session_turn_output(struct session *s)
{
	struct output sent = s->sending;

	if (sent.at < sent.bytes.len || s->out.bytes.len == 0)
		return false;
	empty(&sent);
	s->sending = s->out;
	s->out = sent;
	return true;
}

bool
session_send_step(struct session *s)
{
	enum stream_result want;
	enum sent sent;

	if (s->out.bytes.failed || s->delay_ms != 0)
		return false;
	(void)session_turn_output(s);
	do
		sent = session_send(s, &s->moved_behind, &want);
	while (sent == SENT_SHARE);
	return sent == SENT_ALL;
}

/* What is not empty is to go before it. */
size_t
session_send_now(struct session *s, struct slice octets)
{
	size_t sent = 0, n;

	if (!s->step_sends || s->delay_ms != 0 || s->out.bytes.len > 0 || s->sending.at < s->sending.bytes.len ||
	    stream_is_compressed(&s->stream))
		return 0;
	while (sent < octets.len &&
	       stream_write(&s->stream, octets.ptr + sent, octets.len - sent, &n) == STREAM_OK)
		sent += n;
	s->moved_behind += sent;
	atomic_fetch_add_explicit(&s->bytes_out, sent, memory_order_relaxed);
	return sent;
}

/* ---- memory ---- */

void
session_init_output(struct session *s)
{
	buf_init(&s->out.bytes, SESSION_OUT_MAX);
	buf_init(&s->sending.bytes, SESSION_OUT_MAX);
}

static void
drop(struct output *o)
{
	empty(o);
	buf_fini(&o->bytes);
	free(o->splices);
	o->splices = NULL;
}

void
session_drop_output(struct session *s)
{
	drop(&s->out);
	drop(&s->sending);
}

static uint64_t
held(const struct output *o)
{
	return o->bytes.cap + (o->splices != NULL ? SPLICES_MAX * sizeof *o->splices : 0);
}

uint64_t
session_output_held(const struct session *s)
{
	return held(&s->out) + held(&s->sending);
}
