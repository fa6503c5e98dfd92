/* imap - the protocol table's functions and the life of a command, top to bottom.
 *
 * One phase, moved by imap_advance (reactor) and imap_step (pool) alone; only one of them runs
 * at a time. Commands that need no I/O are parsed, checked and answered on the reactor, so a
 * client that pipelines NOOP before it has selected anything costs no pool thread. Everything of
 * a command lies in its arena and in the frame; both are given back when the tagged answer is
 * queued, so that an idle session holds no buffers.
 *
 * The tag is copied out of the frame, because the frame begins anew for lines that follow within
 * a command.
 */
#include "server/imap/imap.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/nowait.h"
#include "server/imap/commands.h"
#include "server/imap/private.h"

#define REPLY_MAX        (1u << 20)      /* APPENDUID holds a set */
#define COMMANDS_A_TURN  32              /* answered on the reactor before others have their turn */
#define STEP_MS          5u              /* of turns that write nothing */
#define LITERAL_MINUS_MAX 4096u

/* ---- input ---- */

struct slice
imap_input(const struct imap *im)
{
	struct slice in = buf_slice(session_in(im->s));

	return slice_sub(in, im->priv->in_taken, in.len);
}

/* The buffer moves its rest to the front only when half of it is done with: pipelined commands
 * cost no copies. */
void
imap_input_taken(struct imap *im, size_t n)
{
	struct imap_private *p = im->priv;
	struct buf *in = session_in(im->s);

	p->in_taken += n;
	assert(p->in_taken <= in->len);
	if (p->in_taken == in->len || p->in_taken >= SESSION_IN_MAX / 2) {
		buf_consume(in, p->in_taken);
		p->in_taken = 0;
	}
}

static enum framer_event
feed_framer(struct imap *im)
{
	size_t used;
	enum framer_event ev = framer_feed(&im->priv->framer, imap_input(im), &used);

	imap_input_taken(im, used);
	return ev;
}

bool
imap_input_line(struct imap *im)
{
	switch (feed_framer(im)) {
	case FRAMER_MORE:
		return false;
	case FRAMER_COMMAND:
		im->priv->got_line = true;
		return true;
	case FRAMER_LITERAL:
	case FRAMER_REFUSED:
	case FRAMER_CLOSE:
		break;
	}
	imap_bye(im, "%s", im->priv->framer.refused);
	return true;
}

/* ---- the end of a command ---- */

/* Give up what the command owns. Pool or reactor. */
static void
drop_command(struct imap *im)
{
	if (im->cmd != NULL && im->cmd->drop != NULL)
		im->cmd->drop(im);
	change_free(&im->change);
	im->cmd = NULL;
	im->args = NULL;
	im->uid_command = false;
	im->no_expunge = im->all_told = false;
	im->priv->heavy = false;
	im->priv->begun_ms = im->priv->progress_ms = 0;
	im->priv->ingests = 0;
	im->tag = SLICE_NONE;
	buf_fini(&im->reply);
	uid_set_fini(&im->reply_set);
	arena_fini(&im->arena);
	framer_next(&im->priv->framer);
}

static const char *
status_name(enum imap_status st)
{
	switch (st) {
	case IMAP_OK:
		return "OK";
	case IMAP_NO:
		return "NO";
	case IMAP_BAD:
		return "BAD";
	}
	return "BAD";
}

/* The tagged answer up to its set, or all of it but the line end. */
static void
begin_answer(struct imap *im)
{
	struct buf *out = imap_out(im);
	size_t n = im->reply_set.count > 0 ? im->reply_at : im->reply.len;

	if (im->tag.len > 0)
		buf_append_slice(out, im->tag);
	else
		buf_append_byte(out, '*');
	buf_printf(out, " %s ", status_name(im->status));
	buf_append_slice(out, slice_sub(buf_slice(&im->reply), 0, n));
}

/* The answer is written; the session is ready for the next command, or over. */
static void
end_command(struct imap *im)
{
	struct buf *out = imap_out(im);
	bool bad = im->status == IMAP_BAD;

	im->priv->phase = PHASE_COMMAND;
	session_set_activity(im->s, NULL);
	drop_command(im);
	if (!bad)
		session_good_command(im->s);
	else if (session_bad_command(im->s))
		imap_bye(im, "Too many bad commands");
	if (im->ended || out->failed || im->state == IMAP_LOGOUT)
		im->priv->phase = PHASE_CLOSE;
}

/* Queue the tagged answer, which has no set. */
static void
finish_command(struct imap *im)
{
	if (!im->ended) {
		begin_answer(im);
		buf_append_str(imap_out(im), "\r\n");
	}
	end_command(im);
}

/* ---- the beginning of a command ---- */

/* command name = atom, "UID" SP atom for those; into `name`, which is no longer than the longest
 * we know. */
static bool
parse_command_name(struct imap *im, struct cursor *c, struct slice *name)
{
	size_t from = c->pos;
	struct slice word;

	if (!parse_atom(c, &word))
		return cur_fail(c, "command name");
	im->uid_command = slice_eq_nocase(word, SLICE("UID"));
	if (im->uid_command && (!cur_space(c) || !parse_atom(c, &word)))
		return cur_fail(c, "command name");
	*name = slice_sub(c->in, from, c->pos);
	return true;
}

static const char *
state_text(const struct imap *im, unsigned states)
{
	if (im->state == IMAP_NOT_AUTH)
		return "Log in first";
	if ((states & (IMAP_AUTH | IMAP_SELECTED)) == 0)
		return "Already logged in";
	return "Select a mailbox first";
}

/* Tag and name. False: answered (imap_reply). */
static bool
find_command(struct imap *im, struct cursor *c)
{
	struct slice tag, name;

	cur_init(c, buf_slice(&im->priv->framer.frame));
	c->utf8 = im->utf8;
	if (!parse_tag(c, &tag) || !cur_space(c)) {
		imap_reply(im, IMAP_BAD, "Expected a tag and a command");
		return false;
	}
	im->tag = arena_dup(&im->arena, tag);
	if (!parse_command_name(im, c, &name)) {
		imap_reply(im, IMAP_BAD, "Expected a command name");
		return false;
	}
	im->cmd = imap_table_find(name);
	if (im->cmd == NULL) {
		imap_reply(im, IMAP_BAD, "Unknown command");
		return false;
	}
	if ((im->cmd->states & im->state) != 0)
		return true;
	imap_reply(im, IMAP_BAD, "%s: %s", im->cmd->name, state_text(im, im->cmd->states));
	return false;
}

/* The command is done but for telling and the tagged answer. */
static void
conclude(struct imap *im)
{
	bool tells = im->state == IMAP_SELECTED && im->cmd != NULL &&
		     im->cmd->effect != EFFECT_NO_VIEW && im->status != IMAP_BAD && !im->ended;

	if (tells)
		im->priv->phase = PHASE_TELL;
	else
		finish_command(im);
}

/* A session that nobody proved anything for only reads [RFC 4505 s3]. */
static bool
may_change(struct imap *im)
{
	if (!im->priv->login.read_only || imap_table_only_reads(im->cmd))
		return true;
	imap_reply(im, IMAP_NO, "[NOPERM] This login may only read");
	return false;
}

/* The arguments are parsed: may it run, and where? */
static void
launch(struct imap *im)
{
	session_set_activity(im->s, im->cmd->name);
	if (!may_change(im))
		conclude(im);
	else if (im->cmd->check != NULL && !im->cmd->check(im))
		conclude(im);
	else if (im->cmd->run == NULL)
		conclude(im);
	else
		im->priv->phase = PHASE_RUN;
}

static void
start_command(struct imap *im)
{
	struct cursor c;

	if (!find_command(im, &c)) {
		finish_command(im);
		return;
	}
	if ((im->cmd->parse != NULL && !im->cmd->parse(im, &c)) || !parse_end(&c)) {
		imap_reply_expected(im, &c);
		finish_command(im);
		return;
	}
	launch(im);
}

/* Forget what find_command found: the command is looked at again when more of it has come. */
static void
forget_command(struct imap *im)
{
	im->cmd = NULL;
	im->args = NULL;
	im->tag = SLICE_NONE;
	buf_reset(&im->reply);
	arena_reset(&im->arena);
}

static void
collect_literal(struct imap *im)
{
	struct framer *f = &im->priv->framer;
	bool sync = f->literal.sync;

	forget_command(im);
	if (framer_collect(f) && sync)
		imap_continue(im, SLICE("Go on"));
}

/* An account that is shown LITERAL- instead of LITERAL+ is held to it [RFC 7888 s5]. */
static bool
is_over_literal_minus(const struct imap *im)
{
	const struct framer_literal *lit = &im->priv->framer.literal;

	return !lit->sync && lit->size > LITERAL_MINUS_MAX && imap_is_hidden(im, SLICE("LITERAL+"));
}

/* A literal is announced: only a command that takes it as a stream looks at it before it is
 * collected. */
static void
offer_literal(struct imap *im)
{
	struct cursor c;
	enum imap_literal what = LITERAL_COLLECT;
	struct framer *f = &im->priv->framer;

	if (!find_command(im, &c)) {
		framer_refuse(f, "", !f->literal.sync);
		return;
	}
	if (is_over_literal_minus(im)) {
		imap_reply(im, IMAP_BAD, "[TOOBIG] %s: expected {n} without +", im->cmd->name);
		framer_refuse(f, "", true);
		return;
	}
	if (im->cmd->literal != NULL)
		what = im->cmd->literal(im, &c);
	switch (what) {
	case LITERAL_COLLECT:
		collect_literal(im);
		break;
	case LITERAL_STREAM:
		launch(im);
		break;
	case LITERAL_REFUSE:
		imap_reply_expected(im, &c);
		framer_refuse(f, "", !f->literal.sync);
		break;
	}
}

/* The framer has swallowed a command it refused. The reply may be there already (offer_literal). */
static void
answer_refused(struct imap *im)
{
	const char *why = im->priv->framer.refused;
	struct cursor c;

	if (im->reply.len == 0) {
		find_command(im, &c);
		imap_reply(im, IMAP_BAD, "%s", why);
	}
	finish_command(im);
}

/* ---- the protocol's functions ---- */

static void *
imap_open(struct session *s)
{
	struct imap *im = calloc(1, sizeof *im);
	struct imap_private *p = calloc(1, sizeof *p);
	static const struct framer_limits none;

	if (im == NULL || p == NULL) {
		free(im);
		free(p);
		return NULL;
	}
	im->s = s;
	im->srv = session_server(s);
	im->priv = p;
	arena_init(&im->arena, 0);
	buf_init(&im->reply, REPLY_MAX);
	uid_set_init(&im->reply_set, VIEW_RANGES_MAX);
	imap_view_init(&im->view);
	framer_init(&p->framer, &none);
	login_init(&p->login, s, "imap");
	p->due = NEXT_INPUT;
	imap_logged_out(im);
	return im;
}

void
imap_unselect(struct imap *im)
{
	if (im->mailbox == 0)
		return;
	session_unwatch(im->s);
	imap_view_reset(&im->view);
	im->mailbox = 0;
	im->read_only = false;
	if (im->state == IMAP_SELECTED)
		im->state = IMAP_AUTH;
}

static enum session_next
imap_greet(void *state)
{
	struct imap *im = state;
	struct buf *out = imap_out(im);

	buf_append_str(out, "* OK [CAPABILITY ");
	imap_out_capabilities(im, out);
	buf_append_str(out, "] " SERVER_NAME " ready\r\n");
	return NEXT_AGAIN;
}

/* PHASE_COMMAND: what the framer makes of the input. False: it wants more. */
static bool
take_command(struct imap *im)
{
	switch (feed_framer(im)) {
	case FRAMER_MORE:
		return false;
	case FRAMER_COMMAND:
		start_command(im);
		return true;
	case FRAMER_LITERAL:
		offer_literal(im);
		return true;
	case FRAMER_REFUSED:
		answer_refused(im);
		return true;
	case FRAMER_CLOSE:
		if (im->priv->framer.foreign)
			buf_append_str(imap_out(im), "* BAD Expected a tag and a command\r\n");
		imap_bye(im, "%s", im->priv->framer.refused);
		im->priv->phase = PHASE_CLOSE;
		return true;
	}
	return false;
}

/* PHASE_INPUT: the command under way looks at what came. False: it wants more. */
static bool
take_input(struct imap *im)
{
	enum session_next next = im->cmd->input(im);

	if (im->ended)
		im->priv->phase = PHASE_CLOSE;
	else if (next == NEXT_STEP)
		im->priv->phase = PHASE_RUN;
	return im->priv->phase != PHASE_INPUT;
}

static void
drop_taken_input(struct imap *im)
{
	struct imap_private *p = im->priv;

	if (p->in_taken > 0)
		buf_consume(session_in(im->s), p->in_taken);
	p->in_taken = 0;
}

/* Nothing more to do with the input that is there. */
static enum session_next
rest(struct imap *im)
{
	if (session_at_eof(im->s))
		return NEXT_CLOSE;
	drop_taken_input(im);
	return NEXT_INPUT;
}

/* The tagged answer of STARTTLS, COMPRESS or UNAUTHENTICATE is written: the stream changes. */
static enum session_next
take_due(struct imap *im)
{
	enum session_next due = im->priv->due;

	im->priv->due = NEXT_INPUT;
	drop_taken_input(im);
	return due;
}

/* The core's timeout ends a silent client; this one who talks and does not log in. */
static bool
is_login_overdue(const struct imap *im)
{
	uint64_t limit_ms = session_conf(im->s)->limits.auth_timeout * 1000;
	bool waits = im->priv->phase == PHASE_COMMAND || im->priv->phase == PHASE_INPUT;

	return im->state == IMAP_NOT_AUTH && waits &&
	       clock_mono_ms() - im->priv->opened_ms > limit_ms;
}

/* The whole life of a session on the reactor. */
static enum session_next
imap_advance(void *state)
{
	struct imap *im = state;
	struct imap_private *p = im->priv;

	if (session_take_notified(im->s))
		p->notified = true;
	if (is_login_overdue(im)) {
		imap_bye(im, "Timeout before login");
		p->phase = PHASE_CLOSE;
	}
	for (int turn = 0; turn < COMMANDS_A_TURN; turn++) {
		switch (p->phase) {
		case PHASE_COMMAND:
			if (p->due != NEXT_INPUT)
				return take_due(im);
			if (!take_command(im))
				return rest(im);
			break;
		case PHASE_INPUT:
			if (!take_input(im))
				return rest(im);
			break;
		case PHASE_RUN:
		case PHASE_TELL:
		case PHASE_ANSWER:
			return NEXT_STEP;
		case PHASE_CLOSE:
			return NEXT_CLOSE;
		}
		if (session_out_full(im->s))
			break;
	}
	return NEXT_AGAIN;
}

/* PHASE_ANSWER on the pool: the next piece of the set, and what stands behind it. */
static enum step_result
step_answer(struct imap *im)
{
	struct buf *out = imap_out(im);

	if (!imap_out_set_piece(im, &im->reply_set, &im->priv->answered))
		return STEP_MORE;
	buf_append_slice(out, slice_sub(buf_slice(&im->reply), im->reply_at, im->reply.len));
	buf_append_str(out, "\r\n");
	end_command(im);
	return STEP_DONE;
}

static bool
tells_expunges(const struct imap *im)
{
	return im->cmd->effect == EFFECT_NONE && !im->no_expunge;
}

/* PHASE_TELL: is it known without looking that there is nothing to tell? */
bool
imap_has_no_news(const struct imap *im)
{
	return im->ended || im->all_told || imap_is_quiet(im, tells_expunges(im));
}

/* PHASE_TELL. */
static enum step_result
step_tell(struct imap *im, bool no_news)
{
	if (!no_news && !imap_has_no_news(im) && !imap_tell_changes(im, tells_expunges(im)))
		return STEP_MORE;
	imap_tell_highest(im);
	if (im->ended || im->reply_set.count == 0) {
		finish_command(im);
		return STEP_DONE;
	}
	begin_answer(im);
	im->priv->answered = 0;
	im->priv->phase = PHASE_ANSWER;
	return step_answer(im);
}

static enum session_awaits
imap_awaits(void *state)
{
	const struct imap *im = state;
	const struct framer *f = &im->priv->framer;

	if (f->state == FRAMER_STREAMING || f->refused != NULL)
		return AWAITS_DATA;
	return framer_busy(f) ? AWAITS_REST : AWAITS_COMMAND;
}

static uint64_t
imap_held(const void *state)
{
	const struct imap *im = state;
	uint64_t n = im->priv->framer.frame.cap + im->arena.used + im->reply.cap +
	             im->priv->ingests;

	return n + (im->reply_set.cap + im->view.uids.cap) * sizeof im->view.uids.ranges[0];
}

/* ---- steps on the reactor ---- */

static bool
imap_light(void *state)
{
	struct imap *im = state;

	im->priv->light = imap_how_light(im);
	return im->priv->light != LIGHT_NO;
}

static enum step_result
tell_light(struct imap *im)
{
	struct imap_before before;
	enum step_result r;

	if (imap_has_no_news(im))
		return step_tell(im, true);
	if (!imap_tells_little(im))
		return STEP_POOL;
	before = imap_light_begin(im);
	r = step_tell(im, false);
	if (im->priv->phase != PHASE_TELL) {
		(void)nowait_end();     /* the command is over: nothing that counts was refused */
		return r;
	}
	/* At once, refused or in pieces: a session that is to end does so between steps. */
	if (!imap_light_end(im, &before))
		assert(r == STEP_MORE);
	return STEP_POOL;
}

/* ---- steps ---- */

/* A turn that wrote nothing is followed by the next one at once: a step of its own would wake two
 * threads for it. Not for long, as others wait for the pool. */
static enum imap_result
run_command(struct imap *im)
{
	size_t had = imap_out(im)->len;
	uint64_t began = clock_mono_ms();
	enum imap_result r;

	do
		r = im->cmd->run(im);
	while (r == IMAP_MORE && imap_out(im)->len == had && clock_mono_ms() - began < STEP_MS);
	return r;
}

static enum step_result
step_run(struct imap *im, enum imap_light light)
{
	struct imap_private *p = im->priv;

	switch (light != LIGHT_NO ? imap_run_light(im, light) : run_command(im)) {
	case IMAP_MORE:
		return STEP_MORE;
	case IMAP_POOL:
		return STEP_POOL;
	case IMAP_WAIT:
		return STEP_WAIT;
	case IMAP_INPUT:
		p->phase = PHASE_INPUT;
		return STEP_DONE;
	case IMAP_DONE:
		conclude(im);
		if (p->phase != PHASE_TELL)
			return STEP_DONE;
		return light != LIGHT_NO ? tell_light(im) : step_tell(im, imap_has_no_news(im));
	case IMAP_BYE:
		p->phase = PHASE_CLOSE;
		return STEP_CLOSE;
	}
	return STEP_CLOSE;
}

static enum step_result
step_phase(struct imap *im)
{
	struct imap_private *p = im->priv;
	enum imap_light light = p->light;
	enum step_result r;

	p->light = LIGHT_NO;
	switch (p->phase) {
	case PHASE_TELL:
		r = light != LIGHT_NO ? tell_light(im) : step_tell(im, false);
		break;
	case PHASE_ANSWER:
		return step_answer(im);
	default:
		assert(p->phase == PHASE_RUN);
		r = step_run(im, light);
		break;
	}
	/* What comes in several pieces goes on on the pool: others wait for the reactor. */
	p->heavy = r == STEP_POOL || r == STEP_MORE;
	return r;
}

static enum step_result
imap_step(void *state)
{
	struct imap *im = state;
	enum step_result r = step_phase(im);

	/* The reactor is not woken at once for a command that is over. */
	return r == STEP_DONE && im->priv->phase == PHASE_CLOSE ? STEP_CLOSE : r;
}

static void
imap_farewell(void *state, enum session_end why)
{
	struct imap *im = state;

	switch (why) {
	case END_TIMEOUT:
		imap_bye(im, im->state == IMAP_NOT_AUTH ? "Timeout before login"
							: "Autologout: idle for too long");
		break;
	case END_SHUTDOWN:
		imap_bye(im, "[UNAVAILABLE] Server is shutting down");
		break;
	case END_OVERFLOW:
		imap_bye(im, "Input is over a limit");
		break;
	case END_MEMORY:
		imap_bye(im, "[UNAVAILABLE] Short of memory, try again later");
		break;
	case END_KICKED:
		imap_bye(im, "[UNAVAILABLE] Ended by the administrator");
		break;
	case END_CHANGED:
		imap_bye(im, "The account has changed, log in again");
		break;
	}
}

/* Pool: what may need I/O to be given up (an ingest under way). */
static void
imap_cleanup(void *state)
{
	struct imap *im = state;

	if (im->cmd != NULL)
		drop_command(im);
}

static bool
imap_needs_cleanup(const void *state)
{
	const struct imap *im = state;

	return im->cmd != NULL;
}

static void
imap_close(void *state)
{
	struct imap *im = state;

	imap_view_reset(&im->view);
	buf_fini(&im->reply);
	uid_set_fini(&im->reply_set);
	arena_fini(&im->arena);
	framer_fini(&im->priv->framer);
	login_fini(&im->priv->login);
	free((void *)(uintptr_t)im->priv->user.ptr);
	free((void *)(uintptr_t)im->priv->hidden.ptr);
	free(im->priv);
	free(im);
}

/* ---- changes ---- */

/* Writer's thread: the change is ours again. */
static void
change_done(struct change *c, void *arg)
{
	session_wake(arg, change_is_alone(c));
}

enum imap_result
imap_submit(struct imap *im, struct change *c)
{
	assert(im->change == NULL || im->change == c);
	im->change = c;
	c->who = (struct frame_who){ im->account, session_id(im->s), PROTO_IMAP };
	c->done = change_done;
	c->done_arg = im->s;
	volume_submit(im->volume, c);
	return IMAP_WAIT;
}

const struct protocol imap_protocol = {
	.name = "imap",
	.who = PROTO_IMAP,
	.open = imap_open,
	.close = imap_close,
	.cleanup = imap_cleanup,
	.needs_cleanup = imap_needs_cleanup,
	.greet = imap_greet,
	.advance = imap_advance,
	.step = imap_step,
	.bye = imap_farewell,
	.light = imap_light,
	.alpn = "imap",
	.held = imap_held,
	.awaits = imap_awaits,
};
