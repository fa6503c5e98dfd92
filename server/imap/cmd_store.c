/* cmd_store - STORE and UID STORE [RFC 9051 s6.4.6, s6.4.9], conditional too [RFC 7162 s3.1.3].
 *
 * The writer decides (design, I2): this submits the intention, waits, and then tells the flags
 * as they are. Before the submission what others changed is told, so that afterwards the
 * session's own change is the only news and a .SILENT one is not echoed; if others came in
 * between, everything is told, own changes included, as the client cannot know the outcome [RFC
 * 9051 s6.4.6: "if ... a change to a message's flags from an external source is observed"].
 *
 * Where nothing is news and few messages change, all of it is light: the view says which ones, the
 * writer what they are then, and no thread but the reactor and the writer's is woken. Where the columns know
 * their flags (index/columns.h) and these stay as they are, the writer is not asked: a STORE behind the
 * last change and before the next finds what they say.
 */
#include "server/imap/commands.h"
#include "server/imap/private.h"

#include <assert.h>

#include "index/columns.h"

#define PAGE_ROWS      1000u
#define PAGE_ARENA_MAX (8u << 20)       /* PAGE_ROWS rows with KEYWORDS_MAX each, and room */

enum store_phase {
	STORE_RESOLVE,
	STORE_TELL_OTHERS,
	STORE_SUBMIT,
	STORE_RESULT,
	STORE_ANSWER,
};

struct store {
	struct seq_set   set;
	enum store_op    op;
	bool             silent;
	uint32_t         flags;
	struct slice     keywords;
	bool             conditional;   /* UNCHANGEDSINCE was given */
	mail_modseq      unchangedsince;

	enum store_phase phase;
	bool             quiet;         /* nothing of others is to be told before it */
	struct change   *result;        /* the writer's, of STORE_ANSWER */
	struct uid_set   uids;
	struct uid_set   changed;       /* whose flags are different now */
	struct uid_set   modified;      /* failed the UNCHANGEDSINCE test */
	bool             missing;       /* some were already expunged */
	mail_uid         next_uid;
	struct arena     page;
};

/* store-att-flags, its first half: (["+" / "-"] "FLAGS" [".SILENT"]) */
static bool
parse_operation(struct cursor *c, struct store *st)
{
	st->op = cur_take(c, '+') ? STORE_ADD : cur_take(c, '-') ? STORE_REMOVE : STORE_REPLACE;
	if (!cur_take_word(c, "FLAGS"))
		return cur_fail(c, "FLAGS, +FLAGS or -FLAGS");
	st->silent = cur_take_word(c, ".SILENT");
	return true;
}

/* store-modifiers = SP "(" store-modifier *(SP store-modifier) ")", behind the SP [RFC 4466 s6]
 * store-modifier = "UNCHANGEDSINCE" SP mod-sequence-valzer, once     [RFC 7162 s7] */
static bool
parse_modifiers(struct cursor *c, struct store *st)
{
	if (!cur_want(c, '('))
		return false;
	if (!cur_take_word(c, "UNCHANGEDSINCE"))
		return cur_fail(c, "UNCHANGEDSINCE");
	st->conditional = true;
	return cur_space(c) && parse_number64(c, &st->unchangedsince) && cur_want(c, ')');
}

/* store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags
 * store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static bool
parse_store(struct imap *im, struct cursor *c)
{
	struct store *st = arena_zalloc(&im->arena, sizeof *st);

	if (st == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = st;
	return cur_space(c) && parse_sequence_set(c, &im->arena, &st->set) && cur_space(c)
	       && (cur_peek(c) != '(' || (parse_modifiers(c, st) && cur_space(c)))
	       && parse_operation(c, st) && cur_space(c)
	       && parse_flag_list(c, &im->arena, &st->flags, &st->keywords) && parse_end(c);
}

static bool
check_store(struct imap *im)
{
	if (imap_refuse_command(im))
		return false;
	if (!im->read_only)
		return true;
	imap_reply(im, IMAP_NO, "[READ-ONLY] The mailbox was opened with EXAMINE");
	return false;
}

static void
drop_store(struct imap *im)
{
	struct store *st = im->args;

	if (st == NULL || st->phase == STORE_RESOLVE)
		return;
	uid_set_fini(&st->uids);
	uid_set_fini(&st->changed);
	uid_set_fini(&st->modified);
	change_free(&st->result);
	arena_fini(&st->page);
}

static enum imap_result
fail(struct imap *im, enum rc rc, const struct err *e)
{
	imap_reply_error(im, rc, e);
	return IMAP_DONE;
}

static enum imap_result
completed(struct imap *im)
{
	imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	return IMAP_DONE;
}

static enum imap_result
submit(struct imap *im, struct store *st)
{
	struct change *c = change_new(CHANGE_STORE);
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	if (c == NULL || !uid_set_copy(&c->u.store.uids, &st->uids))
		rc = err_nomem(&e);
	if (rc == RC_OK) {
		c->u.store.keywords = arena_dup(&c->arena, st->keywords);
		if (c->u.store.keywords.ptr == NULL)
			rc = err_nomem(&e);
	}
	if (rc != RC_OK) {
		change_free(&c);
		return fail(im, rc, &e);
	}
	c->u.store.mailbox = im->mailbox;
	c->u.store.op = st->op;
	c->u.store.flags = st->flags;
	c->u.store.conditional = st->conditional;
	c->u.store.unchangedsince = st->unchangedsince;
	st->phase = STORE_RESULT;
	return imap_submit(im, c);
}

/* Own changes that count as told, with nothing of others before them, leave nothing to tell at the
 * command's end but expunges that may not be told now. */
static bool
is_all_told(const struct imap *im)
{
	return im->view.expunged_told == im->view.changed_told
	    || (im->cmd->effect == EFFECT_USES_SEQ && !im->condstore);
}

/* What is said of one message. A conditional STORE shows the new MODSEQ of all that it did, and the
 * flags of those that it left, so that the client need not ask [RFC 7162 s3.1.3]. Without a
 * condition, .SILENT leaves the MODSEQ of what changed, for clients that keep them. One that is not
 * told yet goes with its flags: others may have changed them, and who expunges the message before
 * the news are read leaves nothing to tell them by. */
static void
out_message(struct imap *im, const struct store *st, uint32_t seq, const struct message_row *row)
{
	if (!st->silent || uid_set_contains(&st->modified, row->uid)
	    || row->modseq > im->view.changed_told)
		imap_out_fetch_flags(im, seq, row);
	else if (st->conditional || uid_set_contains(&st->changed, row->uid))
		imap_out_fetch_modseq(im, seq, row);
}

/* The set of messages in the client's numbers; they are all in the view, so a range stays one. */
static bool
number_modified(struct imap *im, struct store *st)
{
	struct view_walk walk = { 0, 0 };
	struct uid_set seqs;
	bool ok = true;

	if (im->uid_command)
		return true;
	uid_set_init(&seqs, VIEW_RANGES_MAX);
	for (size_t i = 0; ok && i < st->modified.count; i++) {
		const struct uid_range *r = &st->modified.ranges[i];
		uint32_t seq = imap_view_seq(&im->view, &walk, r->first);

		ok = uid_set_add(&seqs, seq, seq + (r->last - r->first));
	}
	uid_set_fini(&st->modified);
	st->modified = seqs;
	return ok;
}

/* MODIFIED names all messages that failed the test, also beside others that are gone [RFC 7162
 * s3.1.3, example 11]. Of those nothing is said, and the answer is NO [RFC 2180 s4.2.2, s4.2.4]:
 * the client then knows to ask for news. */
static enum imap_result
conclude(struct imap *im, struct store *st)
{
	bool no = st->missing && !st->silent;

	if (st->modified.count == 0 && !no)
		return completed(im);
	if (st->modified.count == 0) {
		imap_reply(im, IMAP_NO, "[EXPUNGEISSUED] Some of the messages no longer exist; "
					"the others were changed");
		return IMAP_DONE;
	}
	if (!number_modified(im, st)) {
		imap_bye(im, "[UNAVAILABLE] Out of memory");
		return IMAP_BYE;
	}
	imap_reply_set(im, no ? IMAP_NO : IMAP_OK, "[MODIFIED ", &st->modified,
		       no ? "] Some of the messages no longer exist"
			  : "] Some of the messages were changed meanwhile");
	return IMAP_DONE;
}

static void
out_messages(struct imap *im, const struct store *st, const struct message_row *rows, size_t n)
{
	struct view_walk walk = { 0, 0 };

	for (size_t i = 0; i < n; i++) {
		/* Changed again meanwhile: who is shown this MODSEQ is told all up to it. */
		im->all_told = im->all_told && rows[i].modseq <= im->view.changed_told;
		out_message(im, st, imap_view_seq(&im->view, &walk, rows[i].uid), &rows[i]);
	}
}

static bool
leaves(const struct store *st, const struct message_row *row)
{
	switch (st->op) {
	case STORE_ADD:
		return (row->flags | st->flags) == row->flags;
	case STORE_REMOVE:
		return (row->flags & st->flags) == 0;
	case STORE_REPLACE:
		return row->flags == st->flags && row->keywords.len == 0;
	}
	assert(false && "unknown operation");
	return false;
}

/* Nothing has happened since what the columns say: then who changes nothing asks nobody. */
static bool
changes_nothing(struct imap *im, const struct store *st, struct message_row *rows)
{
	uint64_t n = uid_set_size(&st->uids);

	if (!st->quiet || n > STORE_ROWS_MAX ||
	    !columns_peek(im->volume, im->mailbox, im->view.settled, &st->uids, &im->arena, rows))
		return false;
	for (uint64_t i = 0; i < n; i++)
		if (!leaves(st, &rows[i]))
			return false;
	return true;
}

static enum imap_result
tell_rows(struct imap *im, struct store *st, const struct message_row *rows, size_t n)
{
	/* .SILENT: OK also if some are gone [RFC 2180 s4.2.1]. */
	if (st->silent && !im->condstore)
		return completed(im);
	out_messages(im, st, rows, n);
	return conclude(im, st);
}

static enum imap_result
resolve(struct imap *im, struct store *st)
{
	struct message_row rows[STORE_ROWS_MAX];

	if (st->conditional)
		imap_enable_condstore(im);
	if (!imap_resolve_set(im, &st->set, &st->uids))
		return IMAP_DONE;
	uid_set_init(&st->changed, VIEW_RANGES_MAX);
	uid_set_init(&st->modified, VIEW_RANGES_MAX);
	arena_init(&st->page, PAGE_ARENA_MAX);
	st->next_uid = 1;
	st->phase = st->quiet ? STORE_SUBMIT : STORE_TELL_OTHERS;
	if (st->uids.count == 0)
		return completed(im);
	if (!changes_nothing(im, st, rows))
		return IMAP_MORE;
	return tell_rows(im, st, rows, uid_set_size(&st->uids));
}

static enum imap_result
take_result(struct imap *im, struct store *st)
{
	struct change *c = im->change;
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	if (c->rc == RC_LIMIT && !c->durable) {
		imap_reply(im, IMAP_NO, "[LIMIT] Too many keywords for one message");
		return IMAP_DONE;
	}
	if (c->rc != RC_OK)
		return fail(im, c->rc, &c->err);
	/* UIDs that are not there are no error [RFC 9051 s6.4.9]. */
	st->missing = c->u.store.missing.count > 0 && !im->uid_command;
	im->all_told = imap_view_own_change(&im->view, c->u.store.before, c->u.store.modseq)
		    && is_all_told(im);
	if (!uid_set_copy(&st->changed, &c->u.store.changed)
	    || !uid_set_copy(&st->modified, &c->u.store.modified))
		rc = err_nomem(&e);
	st->result = c;
	im->change = NULL;
	if (rc == RC_OK && st->keywords.len > 0)
		rc = imap_tell_keywords(im, false, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	st->phase = STORE_ANSWER;
	if (c->u.store.rows == NULL && !(st->silent && !im->condstore))
		return IMAP_MORE;
	return tell_rows(im, st, c->u.store.rows, c->u.store.row_count);
}

/* A page of messages per call. */
static enum imap_result
answer(struct imap *im, struct store *st)
{
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t n;
	enum rc rc;

	arena_reset(&st->page);
	rc = volume_read_messages(im->volume, im->mailbox, &st->uids, st->next_uid, PAGE_ROWS, 0,
				  &st->page, &rows, &n, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	out_messages(im, st, rows, n);
	if (n == PAGE_ROWS && rows[n - 1].uid < UINT32_MAX) {
		st->next_uid = rows[n - 1].uid + 1;
		return IMAP_MORE;
	}
	return conclude(im, st);
}

static enum imap_result
run_store(struct imap *im)
{
	struct store *st = im->args;

	switch (st->phase) {
	case STORE_RESOLVE:
		return resolve(im, st);
	case STORE_TELL_OTHERS:
		if (imap_tell_changes(im, false))
			st->phase = STORE_SUBMIT;
		return im->ended ? IMAP_BYE : IMAP_MORE;
	case STORE_SUBMIT:
		return submit(im, st);
	case STORE_RESULT:
		return take_result(im, st);
	case STORE_ANSWER:
		return answer(im, st);
	}
	assert(false && "unknown phase");
	return IMAP_DONE;
}

/* Keywords are looked up in the index, and CONDSTORE may have to be begun. */
static bool
may_be_light(const struct imap *im, const struct store *st)
{
	return im->view.loaded && imap_names_little(im, &st->set) && st->keywords.len == 0
	    && !st->conditional;
}

static bool
store_light(struct imap *im)
{
	struct store *st = im->args;

	switch (st->phase) {
	case STORE_RESOLVE:
		st->quiet = may_be_light(im, st) && imap_is_quiet(im, false);
		return st->quiet;
	case STORE_SUBMIT:
		return may_be_light(im, st);
	case STORE_RESULT:
		return may_be_light(im, st) && im->change->rc == RC_OK
		    && im->change->u.store.rows != NULL;
	case STORE_TELL_OTHERS:
	case STORE_ANSWER:
		break;
	}
	return false;
}

const struct imap_command imap_cmd_store = {
	.name = "STORE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_USES_SEQ,
	.parse = parse_store,
	.check = check_store,
	.run = run_store,
	.light = store_light,
	.drop = drop_store,
};

const struct imap_command imap_cmd_uid_store = {
	.name = "UID STORE",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_store,
	.check = check_store,
	.run = run_store,
	.light = store_light,
	.drop = drop_store,
};
