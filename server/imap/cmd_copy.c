/* cmd_copy - COPY and MOVE with their UID forms [RFC 9051 s6.4.7, s6.4.8, s6.4.9; RFC 4315 s3;
 * RFC 6851].
 *
 * Both are one change of the writer's: all or nothing. MOVE's EXPUNGEs are told as any others,
 * before the tagged answer and after the untagged COPYUID [RFC 6851 s4.3].
 *
 * Of few messages all of it is light, but for MOVE's last pieces where MODSEQs are told: answer and
 * news are one step, as a session that is to end does so between steps.
 */
#include "index/box_cache.h"
#include "server/imap/commands.h"
#include "server/imap/private.h"

#include <assert.h>
#include <stdio.h>

#define LIGHT_MESSAGES 64u              /* as many EXPUNGEs are told there */

enum copy_phase {
	COPY_RESOLVE,
	COPY_SUBMITTED,
	MOVE_ANSWER,
	MOVE_TELL,
};

struct copy {
	struct seq_set  set;
	struct slice    name;
	bool            move;
	enum copy_phase phase;
	size_t          answered;       /* MOVE_ANSWER: ranges of the source UIDs */
};

/* copy = "COPY" SP sequence-set SP mailbox; move = "MOVE" SP sequence-set SP mailbox */
static bool
parse_copy(struct imap *im, struct cursor *c)
{
	struct copy *cp = arena_zalloc(&im->arena, sizeof *cp);

	if (cp == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = cp;
	return cur_space(c) && parse_sequence_set(c, &im->arena, &cp->set) && cur_space(c)
	    && parse_mailbox(im, c, &cp->name) && parse_end(c);
}

static bool
parse_move(struct imap *im, struct cursor *c)
{
	if (!parse_copy(im, c))
		return false;
	((struct copy *)im->args)->move = true;
	return true;
}

static bool
check_copy(struct imap *im)
{
	return !imap_refuse_command(im);
}

static bool
check_move(struct imap *im)
{
	if (imap_refuse_command(im))
		return false;
	if (!im->read_only)
		return true;
	imap_reply(im, IMAP_NO, "[READ-ONLY] The mailbox was opened with EXAMINE");
	return false;
}

static enum imap_result
completed(struct imap *im)
{
	imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	return IMAP_DONE;
}

static enum imap_result
fail(struct imap *im, enum rc rc, const struct err *e)
{
	if (rc == RC_NOT_FOUND)
		imap_reply_no_target(im, ((struct copy *)im->args)->name);
	else
		imap_reply_error(im, rc, e);
	return IMAP_DONE;
}

static enum imap_result
submit(struct imap *im, struct copy *cp, struct uid_set *uids)
{
	struct change *c;
	struct mailbox_info box;
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	box.id = volume_recall_mailbox(im->volume, im->account, cp->name, &im->arena);
	if (box.id == 0)
		rc = volume_find_mailbox(im->volume, im->account, cp->name, &im->arena, &box, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	c = change_new(cp->move ? CHANGE_MOVE : CHANGE_COPY);
	if (c == NULL || !uid_set_copy(&c->u.copy.uids, uids)) {
		change_free(&c);
		return fail(im, err_nomem(&e), &e);
	}
	c->u.copy.source = im->mailbox;
	c->u.copy.target = box.id;
	cp->phase = COPY_SUBMITTED;
	return imap_submit(im, c);
}

static enum imap_result
resolve(struct imap *im, struct copy *cp)
{
	enum imap_result r;
	struct uid_set uids;

	if (!imap_resolve_set(im, &cp->set, &uids))
		return IMAP_DONE;
	r = uids.count > 0 ? submit(im, cp, &uids) : completed(im);
	uid_set_fini(&uids);
	return r;
}

/* resp-code-copy = "COPYUID" SP uid-set SP uid-set, with its uidvalidity [RFC 9051 s9]: what stands
 * in front of the first set, and what behind it. It may not be left out, however long it is
 * [s6.4.7, s6.4.8]. */
#define COPYUID_PART_MAX 64

static void
format_copyuid(const struct change_copy *r, char *head, char *tail)
{
	snprintf(head, COPYUID_PART_MAX, "[COPYUID %u ", r->uidvalidity);
	if (r->count > 1)
		snprintf(tail, COPYUID_PART_MAX, " %u:%u]", r->first_uid,
			 r->first_uid + (r->count - 1));
	else
		snprintf(tail, COPYUID_PART_MAX, " %u]", r->first_uid);
}

static enum imap_result
answer_copy(struct imap *im, struct change_copy *r)
{
	char head[COPYUID_PART_MAX], tail[COPYUID_PART_MAX], text[2 * COPYUID_PART_MAX];

	format_copyuid(r, head, tail);
	snprintf(text, sizeof text, "%s %s completed", tail, im->cmd->name);
	imap_reply_set(im, IMAP_OK, head, &r->source_uids, text);
	return IMAP_DONE;
}

/* Untagged, and before the EXPUNGEs [RFC 9051 s6.4.8]. */
static enum imap_result
answer_move(struct imap *im, struct copy *cp, const struct change_copy *r)
{
	char head[COPYUID_PART_MAX], tail[COPYUID_PART_MAX];
	struct buf *out = imap_out(im);

	format_copyuid(r, head, tail);
	if (cp->answered == 0)
		buf_printf(out, "* OK %s", head);
	if (!imap_out_set_piece(im, &r->source_uids, &cp->answered))
		return IMAP_MORE;
	buf_printf(out, "%s Moved\r\n", tail);
	imap_view_own_expunge(&im->view, &r->source_uids, r->source_before, r->source_modseq);
	change_free(&im->change);
	cp->phase = MOVE_TELL;
	completed(im);
	return im->condstore ? IMAP_MORE : IMAP_DONE;
}

/* Some of the messages may have been expunged by others: COPYUID says which ones went [RFC 2180
 * s4.4]. UIDs that are not there are no error [RFC 9051 s6.4.9]. */
static enum imap_result
take_result(struct imap *im, struct copy *cp)
{
	struct change *c = im->change;

	if (c->rc != RC_OK)
		return fail(im, c->rc, &c->err);
	if (c->u.copy.count > 0 && cp->move) {
		cp->phase = MOVE_ANSWER;
		return IMAP_MORE;
	}
	if (c->u.copy.count > 0)
		return answer_copy(im, &c->u.copy);
	if (im->uid_command)
		return completed(im);
	imap_reply(im, IMAP_NO, "[EXPUNGEISSUED] None of the messages exists any more");
	return IMAP_DONE;
}

static enum imap_result
run_copy(struct imap *im)
{
	struct copy *cp = im->args;

	switch (cp->phase) {
	case COPY_RESOLVE:
		return resolve(im, cp);
	case COPY_SUBMITTED:
		return take_result(im, cp);
	case MOVE_ANSWER:
		return answer_move(im, cp, &im->change->u.copy);
	case MOVE_TELL:         /* "MUST send ... HIGHESTMODSEQ" [RFC 6851 s4.4] */
		return imap_tell_and_complete(im);
	}
	assert(false && "unknown phase");
	return IMAP_DONE;
}

static bool
copy_reads_little(struct imap *im)
{
	const struct copy *cp = im->args;

	return cp->phase == COPY_RESOLVE && imap_names_little(im, &cp->set);
}

static bool
copy_light(struct imap *im)
{
	const struct copy *cp = im->args;

	switch (cp->phase) {
	case COPY_SUBMITTED:
		return im->change->rc == RC_OK && im->change->u.copy.count <= LIGHT_MESSAGES &&
		       imap_tells_little(im) && !(cp->move && im->condstore);
	case MOVE_ANSWER:
		return !im->condstore && im->change->u.copy.count <= LIGHT_MESSAGES;
	case COPY_RESOLVE:
	case MOVE_TELL:
		break;
	}
	return false;
}

const struct imap_command imap_cmd_copy = {
	.name = "COPY",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_copy,
	.check = check_copy,
	.run = run_copy,
	.light = copy_light,
	.reads_little = copy_reads_little,
};

const struct imap_command imap_cmd_uid_copy = {
	.name = "UID COPY",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_copy,
	.check = check_copy,
	.run = run_copy,
	.light = copy_light,
	.reads_little = copy_reads_little,
};

const struct imap_command imap_cmd_move = {
	.name = "MOVE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_move,
	.check = check_move,
	.run = run_copy,
	.light = copy_light,
	.reads_little = copy_reads_little,
};

const struct imap_command imap_cmd_uid_move = {
	.name = "UID MOVE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_move,
	.check = check_move,
	.run = run_copy,
	.light = copy_light,
	.reads_little = copy_reads_little,
};
