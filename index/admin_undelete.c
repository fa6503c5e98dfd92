/* admin_undelete - deleted messages, mailboxes and accounts come back. See admin.h.
 *
 * Of a mailbox that is there: what was expunged. Of one that was deleted: what was in it then. What
 * a MOVE took away was not deleted and stays where it is, unless --moved asks for it. A run that
 * was cut is run again: what is back is skipped.
 */
#include "index/admin_past.h"

struct undelete {
	struct looking_back  lb;
	struct account_info  account;
	struct slice         mailbox, into;     /* empty: all; where it was */
	struct slice         message_id;
	uint64_t             since_us;
	bool                 dry_run, picky;    /* picky: single messages are asked for */
	struct uid_set       uids;
	bool                 uids_given;
	struct past_mailbox *boxes;
	size_t               box_count;
	struct restore_counts sum;
	uint64_t             left_boxes;        /* deleted mailboxes that nobody asked for */
	uint64_t             taken;             /* mailboxes looked into */
};

/* ---- one mailbox ---- */

/* A use that another mailbox has taken over meanwhile is not given twice. */
static uint32_t
free_use(const struct undelete *u, const struct past_mailbox *m)
{
	uint32_t use = m->special_use;

	for (size_t i = 0; i < u->box_count; i++)
		if (u->boxes[i].deleted_us == 0)
			use &= ~u->boxes[i].special_use;
	return use;
}

static enum admin_exit
bring_back(struct undelete *u, const struct past_mailbox *m, enum past_choice choice)
{
	struct admin_call *c = u->lb.c;
	struct slice into = u->into.len > 0 ? u->into : m->name;
	const struct past_select s = {
		.mailbox = m->id,
		.choice = choice,
		.since_us = u->since_us,
		.moved = admin_flag(c, "--moved"),
		.uids = u->uids_given ? &u->uids : NULL,
	};
	struct restore r = {
		.volume = u->lb.v, .past = u->lb.past, .account = u->account.id,
		.dry_run = u->dry_run,
		.message_id = u->message_id, .progress = admin_on_past, .progress_arg = &u->lb,
	};
	const struct restore_target to = {
		.name = into,
		.special_use = u->into.len > 0 ? 0 : free_use(u, m),
		.subscribe = u->into.len > 0,
		.make_empty = choice == PAST_LIVE && !u->picky,
	};
	const struct restore_line line = { m->name, into, choice == PAST_LIVE ? m->deleted_us : 0,
	                                   u->dry_run };
	struct restore_counts k;
	struct err e = ERR_INIT;
	enum rc rc = restore_messages(&r, &s, &to, &k, &e);

	admin_add_counts(&u->sum, &k);
	u->taken++;
	if ((k.restored + k.present + k.lost + k.purged > 0 || k.made ||
	        (!u->picky && k.moved + k.bare > 0)) &&
	    !admin_tell_restored(c, &line, &k))
		return ADMIN_FAILED;
	if (rc == RC_OK)
		return ADMIN_OK;
	err_add(&e, "%.*s", SLICE_ARG(m->name));
	return admin_fail(c, &e);
}

/* ---- which mailboxes ---- */

static bool
is_newest_deleted(const struct undelete *u, size_t at)
{
	for (size_t i = 0; i < u->box_count; i++)
		if (i != at && u->boxes[i].deleted_us > u->boxes[at].deleted_us &&
		    slice_eq(u->boxes[i].name, u->boxes[at].name))
			return false;
	return true;
}

/* Deleted mailboxes come back when they are named, or when a message in them is. */
static enum admin_exit
undelete_closed(struct undelete *u, size_t at)
{
	const struct past_mailbox *m = &u->boxes[at];
	bool searched = u->message_id.len > 0;
	enum admin_exit status;

	if (m->deleted_us < u->since_us || (!searched && !is_newest_deleted(u, at)))
		return ADMIN_OK;
	if (u->mailbox.len == 0 && !searched) {
		u->left_boxes += m->exists > 0;
		return ADMIN_OK;
	}
	status = bring_back(u, m, PAST_LIVE);
	return status == ADMIN_OK && u->picky ? bring_back(u, m, PAST_EXPUNGED) : status;
}

static enum admin_exit
undelete_boxes(struct undelete *u)
{
	enum admin_exit status = ADMIN_OK;

	for (size_t i = 0; status == ADMIN_OK && i < u->box_count; i++) {
		const struct past_mailbox *m = &u->boxes[i];

		if (u->mailbox.len > 0 && !slice_eq(u->mailbox, m->name))
			continue;
		status = m->deleted_us == 0 ? bring_back(u, m, PAST_EXPUNGED)
		                            : undelete_closed(u, i);
	}
	return status;
}

/* ---- nothing found ---- */

static enum admin_exit
explain_nothing(struct undelete *u)
{
	struct admin_call *c = u->lb.c;
	char since[WHEN_TEXT_MAX];

	when_format(u->since_us, since);
	if (u->mailbox.len > 0 && u->taken == 0)
		admin_complain(c,
		    "%s: there is no mailbox \"%.*s\", and none of this name was "
		    "deleted since %s; %s",
		    c->args[0], SLICE_ARG(u->mailbox), since, admin_remembers(&u->lb));
	else if (u->message_id.len > 0)
		admin_complain(c, "%s: there is no message %.*s that was deleted since %s; %s",
		    c->args[0], SLICE_ARG(u->message_id), since, admin_remembers(&u->lb));
	else if (u->uids_given)
		admin_complain(c, "%s: no message of these UIDs was deleted since %s; %s",
		    c->args[0], since, admin_remembers(&u->lb));
	else
		return ADMIN_OK;
	return ADMIN_FAILED;
}

static enum admin_exit
tell_end(struct undelete *u)
{
	struct admin_call *c = u->lb.c;
	const struct restore_counts *k = &u->sum;

	if (k->restored + k->present + k->lost + k->purged == 0 && explain_nothing(u) != ADMIN_OK)
		return ADMIN_FAILED;
	if (u->left_boxes > 0 && !c->json)
		admin_printf(c,
		    "%llu deleted mailbox%s with messages %s left out: undelete --mailbox NAME brings "
		    "back what is missing of one (restantectl history tells their names)",
		    (unsigned long long)u->left_boxes, u->left_boxes == 1 ? "" : "es",
		    u->left_boxes == 1 ? "was" : "were");
	return admin_tell_sum(c, k, u->dry_run);
}

static enum admin_exit
run_undelete(struct undelete *u)
{
	struct past_params pp = { .account = u->account.id, .at_us = PAST_END };
	struct admin_call *c = u->lb.c;
	struct claim claim = { .kind = CLAIM_WORK, .what = "an undelete" };
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (volume_claim(u->lb.v, &claim, &e) != RC_OK)
		return admin_fail(c, &e);
	status = admin_open_past(&u->lb, &pp);
	if (status == ADMIN_OK &&
	    past_mailboxes(u->lb.past, &c->arena, &u->boxes, &u->box_count, &e) != RC_OK)
		status = admin_fail(c, &e);
	u->lb.what = "bringing messages back";
	if (status == ADMIN_OK)
		status = undelete_boxes(u);
	if (status == ADMIN_OK)
		status = tell_end(u);
	status = admin_worse(status, admin_close_past(&u->lb));
	volume_release(u->lb.v, &claim);
	return status;
}

static enum admin_exit
undelete_messages(struct admin_call *c)
{
	const char *id = admin_option(c, "--message-id");
	struct undelete u = { .message_id = slice_str(id), .dry_run = admin_flag(c, "--dry-run") };
	struct volume *v;
	enum admin_exit status = admin_uids(c, &u.uids, &u.uids_given);

	if (status == ADMIN_OK && u.uids_given && admin_option(c, "--mailbox") == NULL) {
		admin_complain(c, "--uid needs --mailbox");
		status = ADMIN_USAGE;
	}
	if (status == ADMIN_OK)
		status = admin_mailbox_name(c, "--mailbox", &u.mailbox);
	if (status == ADMIN_OK)
		status = admin_mailbox_name(c, "--into", &u.into);
	if (status == ADMIN_OK)
		status = admin_find_or_explain(c, c->args[0], &v, &u.account);
	if (status == ADMIN_OK)
		status = admin_look_back(c, v, &u.lb);
	if (status == ADMIN_OK) {
		u.picky = u.uids_given || u.message_id.len > 0;
		u.since_us = c->ad->retention_us > 0 ? u.lb.now_us - c->ad->retention_us
		                                     : u.lb.remembers_us;
		status = admin_moment(c, "--since", &u.since_us);
	}
	if (status == ADMIN_OK)
		status = run_undelete(&u);
	uid_set_fini(&u.uids);
	return status;
}

enum admin_exit
admin_undelete(struct admin_call *c)
{
	static const char *const messages_only[] = { "--mailbox", "--since", "--message-id",
	                                             "--uid", "--into" };

	if (!admin_flag(c, "--account")) {
		if (!admin_flag(c, "--merge"))
			return undelete_messages(c);
		admin_complain(c, "--merge goes with --account");
		return ADMIN_USAGE;
	}
	for (size_t i = 0; i < sizeof messages_only / sizeof messages_only[0]; i++) {
		if (admin_option(c, messages_only[i]) != NULL) {
			admin_complain(c, "%s does not go with --account", messages_only[i]);
			return ADMIN_USAGE;
		}
	}
	return admin_undelete_account(c);
}
