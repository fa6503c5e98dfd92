/* cmd_replace - REPLACE and UID REPLACE [RFC 8508]: a new message comes in as by APPEND, and in the
 * same frame of the log the old one is expunged. Nothing of the old one is inherited.
 *
 * Which message is meant is settled before the literal is asked for: sequence numbers may change
 * while it comes. The session is told EXPUNGE and EXISTS after the command, behind the untagged
 * APPENDUID [s4.3], so that the client knows the new message before the old one goes. In all other
 * cases the old one stays as it is.
 */
#include "server/imap/append_stream.h"
#include "server/imap/commands.h"
#include "server/imap/private.h"

struct replace_args {
	struct append_stream stream;
	struct seq_set       set;       /* one number */
	mail_uid             uid;       /* of the old message; 0: not looked up yet */
	bool                 done;      /* but for telling */
};

/* seq-number = nz-number / "*"; for UID REPLACE a UID                 [RFC 8508 s5] */
static bool
parse_old(struct imap *im, struct cursor *c, struct replace_args *args)
{
	if (!parse_sequence_set(c, &im->arena, &args->set))
		return false;
	if (args->set.saved_result || args->set.count != 1 ||
	    args->set.ranges[0].first != args->set.ranges[0].last)
		return cur_fail(c, "one message number");
	return cur_space(c);
}

/* replace = "REPLACE" SP seq-number SP mailbox append-message         [RFC 8508 s5] */
static enum imap_literal
replace_literal(struct imap *im, struct cursor *c)
{
	struct replace_args *args = arena_zalloc(&im->arena, sizeof *args);

	if (args == NULL || !cur_space(c) || !parse_old(im, c, args))
		return LITERAL_REFUSE;
	args->stream.count_max = 1;
	im->args = args;
	return append_stream_literal(im, c, &args->stream);
}

/* A command that ended without a message. */
static bool
replace_parse(struct imap *im, struct cursor *c)
{
	(void)im;
	return cur_fail(c, "message number, mailbox, flags, date-time and a literal");
}

/* False: imap_reply was called. */
static bool
find_old(struct imap *im, struct replace_args *args)
{
	struct uid_set uids;

	if (imap_refuse_command(im))
		return false;
	if (im->read_only) {
		imap_reply(im, IMAP_NO, "[READ-ONLY] The mailbox was opened with EXAMINE");
		return false;
	}
	if (!imap_resolve_set(im, &args->set, &uids))
		return false;
	args->uid = uids.count > 0 ? uid_set_max(&uids) : 0;
	uid_set_fini(&uids);
	if (args->uid == 0)
		imap_reply(im, IMAP_NO, "[NONEXISTENT] There is no such message");
	return args->uid != 0;
}

static enum imap_result
run_commit(struct imap *im, struct replace_args *args)
{
	struct change *c = append_stream_change(&args->stream);
	struct err e = ERR_INIT;

	args->stream.stage = APPEND_RESULT;
	if (c == NULL) {
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	c->u.append.replaced_mailbox = im->mailbox;
	c->u.append.replaced_uid = args->uid;
	return imap_submit(im, c);
}

static enum imap_result
run_result(struct imap *im, struct replace_args *args)
{
	struct change *c = im->change;
	struct buf code;

	if (c->rc == RC_CANCELLED && !c->durable) {
		imap_reply(im, IMAP_NO, "[EXPUNGEISSUED] The message to replace is gone");
	} else if (c->rc != RC_OK) {
		append_stream_failed(im, &args->stream, c);
	} else {
		buf_init(&code, 64);
		append_stream_done(im, &args->stream, &c->u.append, &code);
		buf_printf(imap_out(im), "* OK [%.*s] Replacement is there\r\n",
		           SLICE_ARG(buf_slice(&code)));
		buf_fini(&code);
		imap_reply(im, IMAP_OK, "REPLACE completed");
		args->done = im->condstore;
	}
	return args->done ? IMAP_MORE : IMAP_DONE;
}

static enum imap_result
replace_run(struct imap *im)
{
	struct replace_args *args = im->args;

	/* "MUST treat the message being replaced as if it were being removed with a UID EXPUNGE
	 * command" [RFC 8508 s4.5]: HIGHESTMODSEQ in the tagged answer [RFC 7162 s3.2.9]. */
	if (args->done)
		return imap_tell_and_complete(im);
	if (args->stream.stage == APPEND_COMMIT)
		return run_commit(im, args);
	if (args->stream.stage == APPEND_RESULT)
		return run_result(im, args);
	if (args->uid == 0 && args->stream.stage == APPEND_OPEN && !find_old(im, args))
		return append_stream_refuse(im, &args->stream);
	return append_stream_run(im, &args->stream);
}

static enum session_next
replace_input(struct imap *im)
{
	struct replace_args *args = im->args;

	return append_stream_input(im, &args->stream);
}

static void
replace_drop(struct imap *im)
{
	struct replace_args *args = im->args;

	if (args != NULL)
		append_stream_drop(&args->stream);
}

const struct imap_command imap_cmd_replace = {
	.name = "REPLACE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = replace_parse,
	.run = replace_run,
	.input = replace_input,
	.drop = replace_drop,
	.literal = replace_literal,
};

const struct imap_command imap_cmd_uid_replace = {
	.name = "UID REPLACE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = replace_parse,
	.run = replace_run,
	.input = replace_input,
	.drop = replace_drop,
	.literal = replace_literal,
};
