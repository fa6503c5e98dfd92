/* cmd_select - SELECT, EXAMINE, CLOSE, UNSELECT [RFC 9051 s6.3.2, s6.3.3, s6.4.1, s6.4.2].
 *
 * SELECT reads counters of the mailbox's row, and messages only for UNSEEN and of mailboxes up to
 * UNSEEN_EXISTS_MAX, so it costs no more for a million than for a thousand. The watch is set
 * before what is told is read: a change in between is told twice at worst, never missed. \Recent is
 * claimed when all is read: what fails before, or is refused on the reactor, claims none.
 */
#include "server/imap/commands.h"
#include "server/imap/private.h"

#include <assert.h>

#include "index/box_cache.h"
#include "server/imap/resync.h"

#define UNSEEN_EXISTS_MAX 2000u         /* above, UNSEEN is told only where counters give it */

/* ---- SELECT and EXAMINE ---- */

enum select_phase {
	SELECT_OPEN,
	SELECT_RESYNC,
};

struct select_args {
	struct slice  name;
	struct slice  given;            /* of parse_mailbox_given */
	bool          condstore;
	bool          qresync;
	bool          closes;           /* another mailbox was open */
	struct resync resync;
	enum select_phase phase;
};

/* select-param = "CONDSTORE" / "QRESYNC" SP "(" ... ")"              [RFC 7162 s7] */
static bool
parse_param(struct imap *im, struct cursor *c, struct select_args *args)
{
	if (cur_take_word(c, "CONDSTORE")) {
		args->condstore = true;
		return true;
	}
	if (args->qresync || !cur_take_word(c, "QRESYNC"))
		return cur_fail(c, "CONDSTORE or one QRESYNC");
	args->qresync = true;
	return parse_resync(im, c, &args->resync);
}

/* select-params = SP "(" select-param *(SP select-param) ")"        [RFC 4466 s6] */
static bool
parse_params(struct imap *im, struct cursor *c, struct select_args *args)
{
	if (!cur_space(c) || !cur_want(c, '('))
		return false;
	do {
		if (!parse_param(im, c, args))
			return false;
		if (cur_take(c, ')'))
			return true;
	} while (cur_space(c));
	return false;
}

/* select = "SELECT" SP mailbox [select-params]; examine likewise    [RFC 9051 s9, RFC 4466 s6] */
static bool
select_parse(struct imap *im, struct cursor *c)
{
	struct select_args *args = arena_zalloc(&im->arena, sizeof *args);

	if (args == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = args;
	return cur_space(c) && parse_mailbox_given(im, c, &args->name, &args->given) &&
	       (cur_at_end(c) || parse_params(im, c, args));
}

/* Before the mailbox that is open now is closed [RFC 7162 s3.2.5]. */
static bool
select_check(struct imap *im)
{
	struct select_args *args = im->args;

	if (args->qresync && !im->qresync) {
		imap_reply(im, IMAP_BAD, "%s: QRESYNC needs ENABLE QRESYNC first", im->cmd->name);
		return false;
	}
	/* Sequence numbers [RFC 9586 s3.7]. */
	return !(args->resync.has_match && imap_refuse_numbers(im));
}

static void
select_drop(struct imap *im)
{
	struct select_args *args = im->args;

	if (args != NULL)
		resync_drop(&args->resync);
}

static void
out_select(struct imap *im, const struct mailbox_info *box, uint32_t unseen)
{
	struct buf *out = imap_out(im);

	buf_printf(out, "* %u EXISTS\r\n", im->view.exists);
	if (!im->rev2)
		buf_printf(out, "* %u RECENT\r\n", im->view.recent);
	if (unseen > 0)
		buf_printf(out, "* OK [UNSEEN %u] The first message without \\Seen\r\n", unseen);
	buf_printf(out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", box->uidvalidity);
	buf_printf(out, "* OK [UIDNEXT %u] Predicted next UID\r\n", box->uidnext);
	buf_append_str(out, "* OK [MAILBOXID (");       /* [RFC 8474 s4.2] */
	imap_out_mailboxid(out, box->mailboxid);
	buf_append_str(out, ")] The mailbox, whatever its name\r\n");
	imap_out_highestmodseq(im, "Highest");
	if (im->rev2)           /* [RFC 9051 s6.3.2] */
		imap_out_list(im, box, ((struct select_args *)im->args)->given);
}

static void
start_view(struct imap *im, const struct mailbox_info *box)
{
	im->mailbox = box->id;
	im->state = IMAP_SELECTED;
	im->read_only = im->cmd == &imap_cmd_examine || im->priv->login.read_only;
	imap_view_start(&im->view, box);
}

static void
claim_recent(struct imap *im, const struct mailbox_info *box)
{
	if (!im->read_only)
		imap_view_recent(&im->view,
		                 volume_claim_recent(im->volume, box->id, box->uidnext));
}

/* For UNSEEN of IMAP4rev1 [RFC 3501 s6.3.1]; rev2 has it no more, and it is a sequence number,
 * which UIDONLY forbids. 0: there is none, or it would cost too much: "if this is missing, the
 * client can not make any assumptions". */
static enum rc
find_unseen(struct imap *im, const struct mailbox_info *box, uint32_t *seq, struct err *e)
{
	struct view_walk walk = { 0, 0 };
	mail_uid uid = 0;
	enum rc rc;

	*seq = 0;
	if (im->rev2 || im->uidonly || box->unseen == 0)
		return RC_OK;
	if (box->unseen == box->exists) {
		*seq = 1;
		return RC_OK;
	}
	if (box->exists > UNSEEN_EXISTS_MAX)
		return RC_OK;
	rc = volume_find_unseen(im->volume, im->mailbox, &uid, e);
	if (rc == RC_OK && uid != 0)
		rc = imap_view_load(&im->view, im->volume, im->mailbox, e);
	if (rc == RC_OK && uid != 0)
		*seq = imap_view_seq(&im->view, &walk, uid);
	return rc;
}

static enum rc
read_watched(struct imap *im, struct mailbox_info *box, uint32_t *unseen, struct err *e)
{
	enum rc rc = volume_get_mailbox(im->volume, box->id, &im->arena, box, e);

	if (rc != RC_OK) {
		session_unwatch(im->s);
		return rc;
	}
	start_view(im, box);
	rc = imap_tell_keywords(im, true, e);
	return rc == RC_OK ? find_unseen(im, box, unseen, e) : rc;
}

/* Find it, watch it, and read it again, at one moment: what is told must not be older than the watch. */
static enum rc
find_and_read(struct imap *im, struct slice name, struct mailbox_info *box, uint32_t *unseen, struct err *e)
{
	enum rc rc = RC_OK;

	box->id = volume_recall_mailbox(im->volume, im->account, name, &im->arena);
	if (box->id == 0)
		rc = volume_find_mailbox(im->volume, im->account, name, &im->arena, box, e);
	if (rc != RC_OK)
		return rc;
	session_watch(im->s, im->volume, box->id);
	volume_moment_begin(im->volume);
	rc = read_watched(im, box, unseen, e);
	volume_moment_end(im->volume);
	return rc;
}

static enum imap_result
selected(struct imap *im)
{
	imap_reply(im, IMAP_OK, "[%s] %s completed", im->read_only ? "READ-ONLY" : "READ-WRITE",
	    im->cmd->name);
	return IMAP_DONE;
}

static enum imap_result
fail(struct imap *im, enum rc rc, const struct err *e)
{
	imap_unselect(im);
	imap_reply_error(im, rc, e);
	return IMAP_DONE;
}

/* The mailbox that is open now is closed in any case [RFC 9051 s6.3.2]. */
static void
close_previous(struct imap *im, struct select_args *args)
{
	args->closes = args->closes || im->mailbox != 0;
	imap_unselect(im);
	if (args->closes)
		buf_append_str(imap_out(im), "* OK [CLOSED] Previous mailbox is closed\r\n");
}

static enum imap_result
open_mailbox(struct imap *im, struct select_args *args)
{
	struct mailbox_info box;
	uint32_t unseen = 0;
	struct err e = ERR_INIT;
	enum rc rc;

	close_previous(im, args);
	if (args->condstore)
		imap_enable_condstore(im);
	rc = find_and_read(im, args->name, &box, &unseen, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	claim_recent(im, &box);
	out_select(im, &box, unseen);
	if (!args->qresync || args->resync.uidvalidity != box.uidvalidity)
		return selected(im);
	args->phase = SELECT_RESYNC;
	return IMAP_MORE;
}

/* What else QRESYNC asks for is read on the pool. A run that is refused something fails, so nothing is
 * selected before the next one; CONDSTORE stays enabled, which with no mailbox open says nothing. */
static bool
select_reads_little(struct imap *im)
{
	const struct select_args *args = im->args;

	return args->phase == SELECT_OPEN && !args->qresync;
}

static enum imap_result
resynchronize(struct imap *im, struct select_args *args)
{
	struct err e = ERR_INIT;
	bool done = false;

	do {
		enum rc rc = resync_tell(im, &args->resync, &done, &e);

		if (rc != RC_OK)
			return fail(im, rc, &e);
	} while (!done && !session_out_full(im->s) && args->resync.phase != RESYNC_CHANGED);
	return done ? selected(im) : IMAP_MORE;
}

static enum imap_result
select_run(struct imap *im)
{
	struct select_args *args = im->args;

	switch (args->phase) {
	case SELECT_OPEN:
		return open_mailbox(im, args);
	case SELECT_RESYNC:
		return resynchronize(im, args);
	}
	assert(false && "unknown phase");
	return IMAP_DONE;
}

/* ---- CLOSE and UNSELECT ---- */

static enum imap_result
unselect(struct imap *im)
{
	imap_unselect(im);
	imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	return IMAP_DONE;
}

enum deleted {
	DELETED_NONE,
	DELETED_SOME,
	DELETED_UNREAD,         /* it would have to wait */
};

/* Is there anything that CLOSE would expunge? An error is left to the writer to find. */
static enum deleted
look_for_deleted(struct imap *im)
{
	struct mailbox_info box;
	struct err e = ERR_INIT;
	enum rc rc = volume_get_mailbox(im->volume, im->mailbox, &im->arena, &box, &e);

	if (rc == RC_WAIT)
		return DELETED_UNREAD;
	return rc != RC_OK || box.deleted > 0 ? DELETED_SOME : DELETED_NONE;
}

static bool
close_reads_little(struct imap *im)
{
	return im->change == NULL;
}

/* Expunges without telling, unless the mailbox is open for reading only. */
static enum imap_result
close_run(struct imap *im)
{
	struct change *c = im->change;

	if (c == NULL) {
		enum deleted found = im->read_only ? DELETED_NONE : look_for_deleted(im);

		if (found == DELETED_UNREAD)
			return IMAP_MORE;       /* on the pool */
		if (found == DELETED_NONE)
			return unselect(im);
		c = change_new(CHANGE_EXPUNGE);
		if (c == NULL) {
			struct err e = ERR_INIT;

			imap_reply_error(im, err_nomem(&e), &e);
			return IMAP_DONE;
		}
		c->u.expunge.mailbox = im->mailbox;
		c->u.expunge.all = true;
		return imap_submit(im, c);
	}
	if (c->rc == RC_OK || c->rc == RC_NOT_FOUND)
		return unselect(im);
	imap_reply_error(im, c->rc, &c->err);
	return IMAP_DONE;
}

static bool
unselect_check(struct imap *im)
{
	unselect(im);
	return true;
}

const struct imap_command imap_cmd_select = {
	.name = "SELECT",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NO_VIEW,
	.parse = select_parse,
	.check = select_check,
	.run = select_run,
	.reads_little = select_reads_little,
	.drop = select_drop,
};

const struct imap_command imap_cmd_examine = {
	.name = "EXAMINE",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NO_VIEW,
	.parse = select_parse,
	.check = select_check,
	.run = select_run,
	.reads_little = select_reads_little,
	.drop = select_drop,
};

const struct imap_command imap_cmd_close = {
	.name = "CLOSE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NO_VIEW,
	.run = close_run,
	.reads_little = close_reads_little,
};

const struct imap_command imap_cmd_unselect = {
	.name = "UNSELECT",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NO_VIEW,
	.check = unselect_check,
};
