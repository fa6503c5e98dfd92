/* lmtp - one LMTP session: what the core calls. See lmtp.h. */
#include "server/lmtp/lmtp.h"

#include <stdlib.h>

static void *
lmtp_open(struct session *s)
{
	struct lmtp *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->s = s;
	arena_init(&l->arena, LMTP_ARENA_MAX);
	lmtp_transaction_init(l);
	session_set_timeout(s, LMTP_TIMEOUT_MS);
	return l;
}

static void
lmtp_cleanup(void *state)
{
	lmtp_transaction_reset(state);
}

static void
lmtp_close(void *state)
{
	struct lmtp *l = state;

	arena_fini(&l->arena);
	free(l);
}

static enum session_next
lmtp_greet(void *state)
{
	struct lmtp *l = state;

	lmtp_reply(l, "220 %s LMTP " SERVER_NAME, server_hostname(session_server(l->s)));
	return NEXT_INPUT;
}

/* Is there something for a step to do? */
static bool
lmtp_has_work(struct lmtp *l)
{
	struct slice in = lmtp_input(l);

	switch (l->mode) {
	case LMTP_COMMANDS:
		return in.len >= LMTP_LINE_MAX || slice_find_byte(in, '\n') < in.len;
	case LMTP_LONG_LINE:
	case LMTP_DATA:
		return in.len > 0;
	case LMTP_COMMIT:
		return true;
	}
	return false;
}

static enum session_next
lmtp_advance(void *state)
{
	struct lmtp *l = state;

	if (l->mode == LMTP_COMMIT && lmtp_commit_is_small(l)) {
		lmtp_commit_answer(l);
		l->mode = LMTP_COMMANDS;
		return NEXT_AGAIN;
	}
	switch (l->want) {
	case LMTP_GO_ON:
		return lmtp_has_work(l) ? NEXT_STEP : NEXT_INPUT;
	case LMTP_STARTTLS:
		/* The client begins anew, and what it said in clear is forgotten [RFC 3207 s4.2]. */
		l->want = LMTP_GO_ON;
		l->helo_given = false;
		return NEXT_STARTTLS;
	case LMTP_QUIT:
		return NEXT_CLOSE;
	}
	return NEXT_CLOSE;
}

/* A bare LF ends no line, but waiting for its CRLF would leave somebody at a keyboard without an answer. */
static void
take_line(struct lmtp *l, struct slice line)
{
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		lmtp_command(l, slice_sub(line, 0, line.len - 1));
	else
		lmtp_bad(l, "500 5.5.2 A line ends with CRLF");
}

/* One line of the input, if there is one. */
static bool
command_turn(struct lmtp *l)
{
	struct slice bytes = slice_sub(lmtp_input(l), 0, LMTP_LINE_MAX);
	size_t lf = slice_find_byte(bytes, '\n');

	if (lf < bytes.len) {
		l->used += lf + 1;
		take_line(l, slice_sub(bytes, 0, lf));
		return true;
	}
	if (bytes.len < LMTP_LINE_MAX)
		return false;
	lmtp_bad(l, "500 5.5.2 Line too long (limit %u octets)", LMTP_LINE_MAX);
	l->mode = LMTP_LONG_LINE;
	l->long_cr = false;
	return true;
}

/* Up to its CRLF: a bare LF in it must not begin a command. */
static bool
long_line_turn(struct lmtp *l)
{
	struct slice bytes = lmtp_input(l);
	size_t end = slice_find(bytes, SLICE("\r\n"));

	if (bytes.len == 0)
		return false;
	if (l->long_cr && bytes.ptr[0] == '\n')
		end = 1;
	else
		end = end < bytes.len ? end + 2 : 0;
	if (end > 0) {
		l->used += end;
		l->mode = LMTP_COMMANDS;
		return true;
	}
	l->long_cr = bytes.ptr[bytes.len - 1] == '\r';
	l->used += bytes.len;
	return false;
}

static enum step_result
lmtp_work(struct lmtp *l)
{
	bool more = true;

	while (more && l->want == LMTP_GO_ON) {
		if (session_out_full(l->s))
			return STEP_MORE;
		switch (l->mode) {
		case LMTP_COMMANDS:
			more = command_turn(l);
			break;
		case LMTP_LONG_LINE:
			more = long_line_turn(l);
			break;
		case LMTP_DATA:
			if (!lmtp_data_feed(l))
				return STEP_DONE;
			l->mode = LMTP_COMMIT;
			if (lmtp_commit(l))
				return STEP_WAIT_ADVANCE;
			break;
		case LMTP_COMMIT:
			lmtp_commit_answer(l);
			l->mode = LMTP_COMMANDS;
			break;
		}
	}
	return STEP_DONE;
}

static enum step_result
lmtp_step(void *state)
{
	struct lmtp *l = state;
	enum step_result result = lmtp_work(l);

	buf_consume(session_in(l->s), l->used);
	l->used = 0;
	return result;
}

static void
lmtp_bye(void *state, enum session_end why)
{
	struct lmtp *l = state;

	switch (why) {
	case END_TIMEOUT:
		lmtp_reply(l, "421 4.4.2 Timeout");
		break;
	case END_SHUTDOWN:
		lmtp_reply(l, "421 4.3.2 Shutting down");
		break;
	case END_OVERFLOW:
		lmtp_reply(l, "421 4.5.0 Input too long");
		break;
	}
}

const struct protocol lmtp_protocol = {
	.name = "lmtp",
	.who = PROTO_LMTP,
	.open = lmtp_open,
	.close = lmtp_close,
	.cleanup = lmtp_cleanup,
	.greet = lmtp_greet,
	.advance = lmtp_advance,
	.step = lmtp_step,
	.bye = lmtp_bye,
};
