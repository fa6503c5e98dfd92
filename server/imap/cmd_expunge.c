/* cmd_expunge - EXPUNGE and UID EXPUNGE [RFC 9051 s6.4.3, s6.4.9; RFC 4315 s2.1]. The EXPUNGE
 * responses are told as those of other sessions' are, before the tagged answer. */
#include "server/imap/commands.h"

#include <assert.h>

enum expunge_phase {
	EXPUNGE_RESOLVE,
	EXPUNGE_SUBMITTED,
	EXPUNGE_TELL,
};

struct expunge {
	struct seq_set     set;
	bool               all;
	enum expunge_phase phase;
};

static struct expunge *
new_expunge(struct imap *im, struct cursor *c)
{
	im->args = arena_zalloc(&im->arena, sizeof(struct expunge));
	if (im->args == NULL)
		cur_limit(c, "shorter command (memory limit)");
	return im->args;
}

/* expunge = "EXPUNGE" */
static bool
parse_expunge(struct imap *im, struct cursor *c)
{
	struct expunge *x = new_expunge(im, c);

	if (x == NULL)
		return false;
	x->all = true;
	return parse_end(c);
}

/* uid-expunge = "UID EXPUNGE" SP sequence-set */
static bool
parse_uid_expunge(struct imap *im, struct cursor *c)
{
	struct expunge *x = new_expunge(im, c);

	return x != NULL && cur_space(c) && parse_sequence_set(c, &im->arena, &x->set)
	       && parse_end(c);
}

static bool
check_expunge(struct imap *im)
{
	if (!im->read_only)
		return true;
	imap_reply(im, IMAP_NO, "[READ-ONLY] The mailbox was opened with EXAMINE");
	return false;
}

static enum imap_result
submit(struct imap *im, struct expunge *x)
{
	struct change *c = change_new(CHANGE_EXPUNGE);
	struct err e = ERR_INIT;
	struct uid_set uids;
	bool ok = true;

	if (c == NULL) {
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	c->u.expunge.mailbox = im->mailbox;
	c->u.expunge.all = x->all;
	if (!x->all) {
		if (!imap_resolve_set(im, &x->set, &uids)) {
			change_free(&c);
			return IMAP_DONE;
		}
		ok = uid_set_copy(&c->u.expunge.uids, &uids);
		uid_set_fini(&uids);
	}
	if (!ok) {
		change_free(&c);
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	x->phase = EXPUNGE_SUBMITTED;
	return imap_submit(im, c);
}

/* HIGHESTMODSEQ in the tagged answer [RFC 7162 s3.2.7, s3.2.9] is good only for a client that has
 * been told all before it, so the telling comes first. */
static enum imap_result
take_result(struct imap *im, struct expunge *x)
{
	struct change *c = im->change;
	bool some = c->u.expunge.expunged.count > 0;

	if (c->rc != RC_OK)
		imap_reply_error(im, c->rc, &c->err);
	else
		imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	if (c->rc == RC_OK && some && im->condstore)
		x->phase = EXPUNGE_TELL;
	if (c->rc == RC_OK && some)
		imap_view_own_expunge(&im->view, &c->u.expunge.expunged, c->u.expunge.before,
				      c->u.expunge.modseq);
	change_free(&im->change);
	return x->phase == EXPUNGE_TELL ? IMAP_MORE : IMAP_DONE;
}

static enum imap_result
run_expunge(struct imap *im)
{
	struct expunge *x = im->args;

	switch (x->phase) {
	case EXPUNGE_RESOLVE:
		return submit(im, x);
	case EXPUNGE_SUBMITTED:
		return take_result(im, x);
	case EXPUNGE_TELL:
		return imap_tell_and_complete(im);
	}
	assert(false && "unknown phase");
	return IMAP_DONE;
}

const struct imap_command imap_cmd_expunge = {
	.name = "EXPUNGE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_expunge,
	.check = check_expunge,
	.run = run_expunge,
};

const struct imap_command imap_cmd_uid_expunge = {
	.name = "UID EXPUNGE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_uid_expunge,
	.check = check_expunge,
	.run = run_expunge,
};
