/* cmd_idle - IDLE [RFC 9051 s6.3.13]. The session sleeps in PHASE_INPUT without a thread; a
 * notification of the mailbox makes one step that tells what is new. Allowed without a mailbox
 * too, as the RFC has it.
 *
 * Nothing is said while nothing happens: a "still here" wakes phones and tells nobody anything that
 * the end of the connection would not. Clients begin IDLE anew before 29 minutes [RFC 2177], and
 * idle_timeout is 30 unless set. */
#include "server/imap/commands.h"
#include "server/imap/private.h"

struct idle_args {
	bool begun;
	bool beginning; /* the last run has begun it */
	bool quiet;     /* the next run has nothing to tell */
};

static bool
idle_parse(struct imap *im, struct cursor *c)
{
	im->args = arena_zalloc(&im->arena, sizeof(struct idle_args));
	return im->args != NULL || cur_fail(c, "available memory");
}

/* Before the first look at what is new. */
static bool
idle_check(struct imap *im)
{
	session_listen(im->s, true);
	return true;
}

static void
idle_drop(struct imap *im)
{
	session_listen(im->s, false);
}

static bool
idle_light(struct imap *im)
{
	struct idle_args *args = im->args;

	args->quiet = imap_is_quiet(im, true);
	return args->quiet || im->priv->got_line;
}

static bool
idle_reads_little(struct imap *im)
{
	return !im->priv->got_line && imap_tells_little(im);
}

static void
idle_undo(struct imap *im)
{
	struct idle_args *args = im->args;

	if (args->beginning)
		args->begun = false;
}

static void
idle_begin(struct imap *im, struct idle_args *args)
{
	args->begun = true;
	imap_continue(im, SLICE("idling"));
	framer_expect_line(&im->priv->framer);
	im->priv->got_line = false;
}

static enum imap_result
idle_run(struct imap *im)
{
	struct idle_args *args = im->args;
	struct imap_private *p = im->priv;

	args->beginning = !args->begun;
	if (args->beginning)
		idle_begin(im, args);
	p->notified = false;
	if (!p->got_line) {
		if (!args->quiet && !imap_tell_changes(im, true))
			return IMAP_MORE;
		imap_tell_highest(im);
		return im->ended ? IMAP_BYE : IMAP_INPUT;
	}
	if (slice_eq_nocase(buf_slice(&p->framer.frame), SLICE("DONE")))
		imap_reply(im, IMAP_OK, "IDLE completed");
	else
		imap_reply(im, IMAP_BAD, "IDLE: expected DONE");
	p->got_line = false;
	return IMAP_DONE;
}

static enum session_next
idle_input(struct imap *im)
{
	if (imap_input_line(im) || im->priv->notified)
		return NEXT_STEP;
	return NEXT_INPUT;
}

const struct imap_command imap_cmd_idle = {
	.name = "IDLE",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = idle_parse,
	.check = idle_check,
	.run = idle_run,
	.light = idle_light,
	.reads_little = idle_reads_little,
	.undo = idle_undo,
	.input = idle_input,
	.drop = idle_drop,
};
