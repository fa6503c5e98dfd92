/* pop3 - the protocol table of POP3: lines in, commands found and started. See pop3.h and
 * server/session.h. */
#include "server/pop3/pop3.h"

#include "lib/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *
pop3_open(struct session *s)
{
	struct pop3 *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->s = s;
	p->state = POP3_AUTHORIZATION;
	p->lang = &pop3_languages[0];
	p->opened_ms = clock_mono_ms();
	arena_init(&p->arena, POP3_ARENA_MAX);
	buf_init(&p->ahead.bytes, POP3_AHEAD_BYTES);
	arena_init(&p->ahead.arena, POP3_ARENA_MAX);
	login_init(&p->login, s, "pop");        /* [RFC 5034 s4] */
	session_set_timeout(s, (uint32_t)(session_conf(s)->limits.auth_timeout * 1000));
	return p;
}

static void
pop3_close(void *state)
{
	struct pop3 *p = state;

	change_free(&p->change);
	login_fini(&p->login);
	secret_fini(&p->password);
	pop3_ahead_drop(p);
	pop3_maildrop_free(&p->drop);
	free((void *)(uintptr_t)p->user_name.ptr);
	arena_fini(&p->arena);
	free(p);
}

static enum session_next
pop3_greet(void *state)
{
	return pop3_ok(state, SERVER_NAME " ready");
}

/* A line has at most 512 octets [RFC 2449 s3]; texts are far from that. */
static enum session_next
put_answer(struct pop3 *p, const char *status, const char *fmt, va_list ap)
{
	char text[400];
	size_t code_len;
	const char *said = pop3_text(p->lang, fmt, &code_len);

	vsnprintf(text, sizeof text, said, ap);
	buf_printf(session_out(p->s), "%s %.*s%s\r\n", status, (int)code_len, fmt, text);
	return NEXT_AGAIN;
}

enum session_next
pop3_refuse(struct pop3 *p, const char *text)
{
	size_t code_len;
	const char *said = pop3_text(p->lang, text, &code_len);

	buf_printf(session_out(p->s), "-ERR %.*s%s\r\n", (int)code_len, text, said);
	return NEXT_AGAIN;
}

enum session_next
pop3_ok(struct pop3 *p, const char *fmt, ...)
{
	enum session_next next;
	va_list ap;

	va_start(ap, fmt);
	next = put_answer(p, "+OK", fmt, ap);
	va_end(ap);
	return next;
}

enum session_next
pop3_err(struct pop3 *p, const char *fmt, ...)
{
	enum session_next next;
	va_list ap;

	va_start(ap, fmt);
	next = put_answer(p, "-ERR", fmt, ap);
	va_end(ap);
	return next;
}

void
pop3_internal_error(struct pop3 *p, const char *ev, const struct err *e)
{
	struct logline l;

	session_log(p->s, &l, LOGLEVEL_ERROR, ev);
	log_err(&l, e);
	log_end(&l);
	if (e->code == RC_CORRUPT)
		pop3_err(p, "[SYS/PERM] Something is damaged here, please tell your administrator");
	else
		pop3_err(p, "[SYS/TEMP] Something failed here, try again later");
}

/* A protocol error: the answer, and the end when there were too many. */
static enum session_next
pop3_bad(struct pop3 *p, const char *text)
{
	pop3_refuse(p, text);
	return session_bad_command(p->s) ? NEXT_CLOSE : NEXT_AGAIN;
}

/* What speaks HTTP or TLS here is a browser led astray, or a mistaken port: nothing that follows
 * can be meant for us. */
static bool
is_other_protocol(struct slice name)
{
	static const char *const words[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS",
		"CONNECT", "PATCH", "TRACE", "PRI" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_eq(name, slice_str(words[i])))
			return true;
	return slice_starts(name, SLICE("\x16\x03"));
}

/* keyword [SP arguments] [RFC 1939 s3]: keywords in any case. Leniency "spaces": trailing ones are
 * some clients' habit (Outlook's "AUTH "), and several between arguments mean one. */
static enum session_next
pop3_dispatch(struct pop3 *p, struct slice line)
{
	size_t space = slice_find_byte(line, ' ');
	struct slice name = slice_sub(line, 0, space);
	struct slice arg = slice_sub(line, space + 1, line.len);
	const struct pop3_command *cmd = pop3_command_find(name);
	enum session_next next;

	if (cmd == NULL && is_other_protocol(name)) {
		pop3_err(p, "This is POP3");
		return NEXT_CLOSE;
	}
	if (slice_find_byte(line, 0) != line.len)
		return pop3_bad(p, "NUL is not allowed in a command");
	if (cmd == NULL)
		return pop3_bad(p, "Unknown command");
	if ((cmd->states & p->state) == 0)
		return pop3_bad(p, p->state == POP3_TRANSACTION ? "Already logged in"
		                                                : "Log in first");
	session_good_command(p->s);
	p->cmd = cmd;
	arena_reset(&p->arena);
	if (!cmd->keep_spaces)
		arg = slice_trim(arg);
	next = cmd->start(p, arg, arg.len > 0);
	if (next == NEXT_STEP)
		session_set_activity(p->s, cmd->name);
	return p->closing && next == NEXT_AGAIN ? NEXT_CLOSE : next;
}

/* One answer to an overlong line, as soon as it is one; an exchange that it belonged to is over. */
static enum session_next
pop3_line_too_long(struct pop3 *p)
{
	pop3_auth_end(p);
	return pop3_bad(p, "The line is too long");
}

/* The next line is not complete: throw an overlong one away, wait for the rest of another. */
static enum session_next
pop3_want_line(struct pop3 *p, struct buf *in, size_t max)
{
	if (in->len >= max || p->skip_line) {
		secret_wipe_buf(in);
		if (!p->skip_line) {
			p->skip_line = true;
			return pop3_line_too_long(p);
		}
	}
	return session_at_eof(p->s) ? NEXT_CLOSE : NEXT_INPUT;
}

/* The core's timeout ends a silent client; this one who talks and does not log in. */
static bool
is_login_overdue(const struct pop3 *p)
{
	uint64_t limit_ms = session_conf(p->s)->limits.auth_timeout * 1000;

	return p->state == POP3_AUTHORIZATION && clock_mono_ms() - p->opened_ms > limit_ms;
}

/* Leniency "bare LF": a line may end in LF alone, as people and scripts send it. A client of POP3
 * sends no message whose lines could be taken for commands, so nothing can be smuggled in by it. */
static enum session_next
pop3_advance(void *state)
{
	struct pop3 *p = state;
	struct buf *in = session_in(p->s);
	size_t max = p->state == POP3_AUTHORIZATION ? POP3_RESPONSE_MAX : POP3_LINE_MAX;
	size_t end = slice_find_byte(buf_slice(in), '\n');
	struct slice line;
	enum session_next next;

	if (is_login_overdue(p))
		return NEXT_CLOSE;
	if (end == in->len)
		return pop3_want_line(p, in, max);
	line = slice_sub(buf_slice(in), 0, end);
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (p->skip_line) {
		p->skip_line = false;
		next = NEXT_AGAIN;
	} else if (end + 1 > max) {
		next = pop3_line_too_long(p);
	} else if (p->in_auth) {
		next = pop3_auth_line(p, line);
	} else {
		next = pop3_dispatch(p, line);
	}
	secret_wipe(in->ptr, end + 1);          /* it may have held a password */
	buf_consume(in, end + 1);
	return next;
}

static uint64_t
pop3_held(const void *state)
{
	const struct pop3 *p = state;

	return p->arena.used + p->ahead.bytes.cap + p->ahead.arena.used + p->drop.cap * sizeof p->drop.messages[0];
}

static void
pop3_rest(void *state)
{
	pop3_ahead_drop(state);
}

static enum session_awaits
pop3_awaits(void *state)
{
	const struct pop3 *p = state;

	return p->skip_line || session_in(p->s)->len > 0 ? AWAITS_REST : AWAITS_COMMAND;
}

/* What is said already goes out before the pool makes the rest. */
static bool
pop3_light(void *state)
{
	const struct pop3 *p = state;

	return p->transfer.said;
}

static enum step_result
pop3_step(void *state)
{
	struct pop3 *p = state;
	enum step_result r = p->cmd->step(p);

	if (r == STEP_DONE)
		session_set_activity(p->s, NULL);
	return r == STEP_DONE && p->closing ? STEP_CLOSE : r;
}

static void
pop3_bye(void *state, enum session_end why)
{
	struct pop3 *p = state;

	switch (why) {
	case END_TIMEOUT:       /* "without ... sending any response to the client" [RFC 1939 s3] */
		break;
	case END_SHUTDOWN:
		pop3_err(p, "[SYS/TEMP] The server is going down, nothing was deleted");
		break;
	case END_OVERFLOW:
		pop3_err(p, "The line is too long");
		break;
	case END_MEMORY:
		pop3_err(p, "[SYS/TEMP] The server is short of memory, nothing was deleted");
		break;
	case END_KICKED:
		pop3_err(p, "[SYS/TEMP] Ended by the administrator, nothing was deleted");
		break;
	case END_CHANGED:
		pop3_err(p, "[AUTH] The account has changed, nothing was deleted");
		break;
	}
}

const struct protocol pop3_protocol = {
	.name = "pop3",
	.who = PROTO_POP3,
	.open = pop3_open,
	.close = pop3_close,
	.greet = pop3_greet,
	.advance = pop3_advance,
	.step = pop3_step,
	.bye = pop3_bye,
	.alpn = "pop3",
	.held = pop3_held,
	.rest = pop3_rest,
	.awaits = pop3_awaits,
	.foresee = pop3_foresee,
	.light = pop3_light,
};
