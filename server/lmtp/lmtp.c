/* lmtp - one LMTP session: what the core calls. See lmtp.h. */
#include "server/lmtp/lmtp.h"

#include <stdlib.h>

#include "lib/clock.h"

#define LIGHT_COMMANDS 64u      /* on the reactor at a time, some 3 us each */

/* Who may not deliver has as long as there is for logging in. False: that is over. */
static bool
set_patience(struct lmtp *l)
{
	uint64_t limit_ms = session_conf(l->s)->limits.auth_timeout * 1000;
	bool welcome = lmtp_is_welcome(l);

	session_set_timeout(l->s, welcome || limit_ms > LMTP_TIMEOUT_MS ? LMTP_TIMEOUT_MS
	                                                                : (uint32_t)limit_ms);
	return welcome || clock_mono_ms() - l->opened_ms <= limit_ms;
}

static void *
lmtp_open(struct session *s)
{
	struct lmtp *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->s = s;
	arena_init(&l->arena, LMTP_ARENA_MAX);
	buf_init(&l->head, LMTP_HEAD_MAX);
	lmtp_transaction_init(l);
	/* as Postfix and Cyrus say; "smtp" [RFC 4954 s4] is submission here */
	login_init(&l->login, s, "lmtp");
	forward_init(&l->client);
	forward_init(&l->forward);
	lmtp_retry_open(l);
	l->opened_ms = clock_mono_ms();
	(void)set_patience(l);
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

	lmtp_retry_close(l);
	login_fini(&l->login);
	forward_fini(&l->client);
	forward_fini(&l->forward);
	arena_fini(&l->arena);
	free(l);
}

static enum session_next
lmtp_greet(void *state)
{
	lmtp_greeting(state);
	return NEXT_INPUT;
}

static size_t
line_max(const struct lmtp *l)
{
	return l->mode == LMTP_AUTH ? LMTP_AUTH_LINE_MAX : LMTP_LINE_MAX;
}

/* Is there something for a step to do? */
static bool
lmtp_has_work(struct lmtp *l)
{
	struct slice in = lmtp_input(l);

	switch (l->mode) {
	case LMTP_COMMANDS:
	case LMTP_AUTH:
		return in.len >= line_max(l) || slice_find_byte(in, '\n') < in.len;
	case LMTP_LONG_LINE:
	case LMTP_DATA:
	case LMTP_CHUNK:
		return in.len > 0;
	case LMTP_FOLDERS:
	case LMTP_COMMIT:
		return true;
	}
	return false;
}

static enum session_next
lmtp_advance(void *state)
{
	struct lmtp *l = state;

	lmtp_retry_heard(l, lmtp_received(l));
	if (!set_patience(l)) {
		lmtp_reply(l, "421 4.7.0 Too long without a login (limit auth_timeout)");
		return NEXT_CLOSE;
	}
	if (l->mode == LMTP_COMMIT && lmtp_commit_is_small(l)) {
		lmtp_commit_answer(l);
		l->mode = LMTP_COMMANDS;
		return NEXT_AGAIN;
	}
	switch (l->want) {
	case LMTP_GO_ON:
		return lmtp_has_work(l) ? NEXT_STEP : NEXT_INPUT;
	case LMTP_STARTTLS:
		/* The client begins anew, and what it said in clear is forgotten
		 * [RFC 3207 s4.2]. */
		l->want = LMTP_GO_ON;
		l->helo_given = false;
		l->consumed = lmtp_received(l);
		return NEXT_STARTTLS;
	case LMTP_QUIT:
		return NEXT_CLOSE;
	}
	return NEXT_CLOSE;
}

static uint64_t
lmtp_held(const void *state)
{
	const struct lmtp *l = state;
	uint64_t n = l->arena.used + l->head.cap;

	for (const struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		if (g->ingest != NULL)
			n += ingest_held(g->ingest);
		if (g->content != NULL)
			n += ingested_held(g->content);
	}
	return n;
}

static enum session_awaits
lmtp_awaits(void *state)
{
	struct lmtp *l = state;

	switch (l->mode) {
	case LMTP_DATA:
	case LMTP_CHUNK:
		return AWAITS_DATA;
	case LMTP_LONG_LINE:
		return AWAITS_REST;
	case LMTP_COMMANDS:
	case LMTP_AUTH:
	case LMTP_FOLDERS:
	case LMTP_COMMIT:
		break;
	}
	return lmtp_input(l).len > 0 ? AWAITS_REST : AWAITS_COMMAND;
}

/* A bare LF ends no line, but waiting for its CRLF would leave somebody at a keyboard
 * without an answer. */
static void
take_line(struct lmtp *l, struct slice line)
{
	bool good = line.len > 0 && line.ptr[line.len - 1] == '\r';

	line = slice_sub(line, 0, line.len - good);
	if (l->mode == LMTP_AUTH)
		lmtp_auth_line(l, good ? line : SLICE("?"));    /* no base64 */
	else if (good)
		lmtp_command(l, line);
	else if (!lmtp_bdat_garbled(l, line))
		lmtp_bad(l, "500 5.5.2 A line ends with CRLF");
}

/* One line of the input, if there is one. */
static bool
command_turn(struct lmtp *l)
{
	struct slice bytes = slice_sub(lmtp_input(l), 0, line_max(l));
	size_t lf = slice_find_byte(bytes, '\n');

	if (lf < bytes.len) {
		l->used += lf + 1;
		take_line(l, slice_sub(bytes, 0, lf));
		if (l->heavy)
			l->used -= lf + 1;
		return true;
	}
	if (bytes.len < line_max(l))
		return false;
	if (l->mode == LMTP_AUTH)
		lmtp_auth_too_long(l);
	else if (!lmtp_bdat_garbled(l, bytes))
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

/* What a turn came to. */
enum turn {
	TURN_AGAIN,
	TURN_INPUT,             /* nothing to do without more of it */
	TURN_WAIT,              /* for mailboxes */
	TURN_WAIT_ANSWER,       /* for the writers */
};

static enum turn
commit_turn(struct lmtp *l)
{
	l->mode = LMTP_COMMIT;
	return lmtp_commit(l) ? TURN_WAIT_ANSWER : TURN_AGAIN;
}

/* The message is complete. */
static enum turn
complete_turn(struct lmtp *l)
{
	if (!lmtp_complete(l))
		return commit_turn(l);
	l->mode = LMTP_FOLDERS;
	return TURN_WAIT;
}

static enum turn
chunk_turn(struct lmtp *l)
{
	switch (lmtp_chunk_feed(l)) {
	case LMTP_CHUNK_MORE:
		return TURN_INPUT;
	case LMTP_CHUNK_OVER:
		l->mode = LMTP_COMMANDS;
		return TURN_AGAIN;
	case LMTP_CHUNK_LAST:
		break;
	}
	return complete_turn(l);
}

/* All transitions between modes but those of commands are here. */
static enum turn
lmtp_turn(struct lmtp *l)
{
	switch (l->mode) {
	case LMTP_COMMANDS:
	case LMTP_AUTH:
		return command_turn(l) ? TURN_AGAIN : TURN_INPUT;
	case LMTP_LONG_LINE:
		return long_line_turn(l) ? TURN_AGAIN : TURN_INPUT;
	case LMTP_DATA:
		return lmtp_data_feed(l) ? complete_turn(l) : TURN_INPUT;
	case LMTP_CHUNK:
		return chunk_turn(l);
	case LMTP_FOLDERS:
		lmtp_folder_made(l);
		return commit_turn(l);
	case LMTP_COMMIT:
		lmtp_commit_answer(l);
		l->mode = LMTP_COMMANDS;
		return TURN_AGAIN;
	}
	return TURN_INPUT;
}

/* Is what comes next a command, or mail, that is quickly taken? */
static bool
goes_on_light(struct lmtp *l)
{
	struct slice in = slice_sub(lmtp_input(l), 0, LMTP_LINE_MAX);
	size_t lf;

	if (l->mode == LMTP_DATA)
		return in.len > 0 && lmtp_data_is_light(l);
	if (l->mode != LMTP_COMMANDS || l->light_left == 0)
		return false;
	l->light_left--;
	lf = slice_find_byte(in, '\n');
	return lf < in.len && lmtp_command_is_light(slice_sub(in, 0, lf > 0 ? lf - 1 : 0));
}

static bool
lmtp_light(void *state)
{
	struct lmtp *l = state;

	l->light_left = LIGHT_COMMANDS;
	l->light = !l->heavy && goes_on_light(l);
	l->heavy = false;
	return l->light;
}

static enum step_result
lmtp_work(struct lmtp *l)
{
	while (l->want == LMTP_GO_ON) {
		if (session_out_full(l->s))
			return STEP_MORE;
		switch (lmtp_turn(l)) {
		case TURN_AGAIN:
			if (l->light && (l->heavy || !goes_on_light(l)))
				return STEP_DONE;
			break;
		case TURN_INPUT:
			return STEP_DONE;
		case TURN_WAIT:
			return STEP_WAIT;
		case TURN_WAIT_ANSWER:
			return STEP_WAIT_ADVANCE;
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
	l->consumed += l->used;
	l->used = 0;
	l->light = false;
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
	case END_MEMORY:
		lmtp_reply(l, "421 4.3.2 Short of memory, try again later");
		break;
	case END_KICKED:
		lmtp_reply(l, "421 4.3.2 Ended by the administrator");
		break;
	case END_CHANGED:
		lmtp_reply(l, "421 4.7.0 The account has changed, log in again");
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
	.held = lmtp_held,
	.awaits = lmtp_awaits,
	.light = lmtp_light,
};
