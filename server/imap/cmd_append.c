/* cmd_append - APPEND and MULTIAPPEND [RFC 9051 s6.3.12, RFC 3502, RFC 4315]; how the messages
 * come in is in append_stream.h. */
#include "server/imap/append_stream.h"
#include "server/imap/commands.h"
#include "server/imap/private.h"

#define MULTI_COUNT 256u                /* messages in one MULTIAPPEND */
#define LIGHT_COUNT 64u                 /* whose memory the reactor gives back */

/* append = "APPEND" SP mailbox 1*append-message                       [RFC 9051 s9] */
static enum imap_literal
append_literal(struct imap *im, struct cursor *c)
{
	struct append_stream *st = arena_zalloc(&im->arena, sizeof *st);

	if (st == NULL || !cur_space(c))
		return LITERAL_REFUSE;
	st->count_max = MULTI_COUNT;
	im->args = st;
	return append_stream_literal(im, c, st);
}

/* A command that ended without a message. */
static bool
append_parse(struct imap *im, struct cursor *c)
{
	(void)im;
	return cur_fail(c, "mailbox, flags, date-time and a literal");
}

static enum imap_result
run_commit(struct imap *im, struct append_stream *st)
{
	struct change *c = append_stream_change(st);
	struct err e = ERR_INIT;

	st->stage = APPEND_RESULT;
	if (c != NULL)
		return imap_submit(im, c);
	imap_reply_error(im, err_nomem(&e), &e);
	return IMAP_DONE;
}

static enum imap_result
run_result(struct imap *im, struct append_stream *st)
{
	struct change *c = im->change;
	struct buf code;

	if (c->rc != RC_OK) {
		append_stream_failed(im, st, c);
		return IMAP_DONE;
	}
	buf_init(&code, 64 + MULTI_COUNT * 24);
	append_stream_done(im, st, &c->u.append, &code);
	append_stream_tell_own(im, st, &c->u.append);
	imap_reply(im, IMAP_OK, "[%.*s] APPEND completed", SLICE_ARG(buf_slice(&code)));
	buf_fini(&code);
	return IMAP_DONE;
}

static enum imap_result
append_run(struct imap *im)
{
	struct append_stream *st = im->args;

	if (st->stage == APPEND_COMMIT)
		return run_commit(im, st);
	if (st->stage == APPEND_RESULT)
		return run_result(im, st);
	return append_stream_run(im, st);
}

/* Answer and news behind it are one step: a session that is to end does so between steps, and then nobody would be told of
 * what is durable. */
static bool
append_light(struct imap *im)
{
	struct append_stream *st = im->args;

	if (st->stage == APPEND_RESULT)
		return im->change->rc == RC_OK && st->given.ptr == NULL && st->count <= LIGHT_COUNT &&
		       (imap_is_quiet(im, true) || imap_tells_little(im));
	return st->stage == APPEND_COMMIT || append_stream_light(im, st);
}

static enum session_next
append_input(struct imap *im)
{
	return append_stream_input(im, im->args);
}

static void
append_drop(struct imap *im)
{
	if (im->args != NULL)
		append_stream_drop(im->args);
}

const struct imap_command imap_cmd_append = {
	.name = "APPEND",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = append_parse,
	.run = append_run,
	.light = append_light,
	.input = append_input,
	.drop = append_drop,
	.literal = append_literal,
};
