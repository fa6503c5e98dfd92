/* admin_undelete_account - an account that was deleted comes back: name, credentials, quota,
 * subscriptions, mailboxes, mail.
 *
 * First, in one frame, the account with empty mailboxes; then its messages, in pieces. It can be
 * logged into and delivered to from the first step on. If the run is cut, the account is there with
 * a part of its mail, and the same command again brings the rest: it is known by its date of birth,
 * which it keeps. An account that somebody made anew meanwhile is left alone, unless --merge says
 * that the old mail goes into it.
 */
#include "index/admin_past.h"

struct revival {
	struct looking_back  lb;
	struct past_owner    owner;
	account_id           id;        /* the account as it is now; 0: not there yet */
	bool                 dry_run;
	struct past_mailbox *boxes;
	size_t               box_count;
	struct slice        *subscriptions;
	size_t               subscription_count;
};

/* Mailboxes that had been deleted before the account was stay so. */
static size_t
keep_open_ones(struct past_mailbox *boxes, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (boxes[i].deleted_us == 0)
			boxes[n++] = boxes[i];
	return n;
}

static enum rc
read_belongings(struct revival *r, struct err *e)
{
	struct arena *a = &r->lb.c->arena;
	enum rc rc = past_mailboxes(r->lb.past, a, &r->boxes, &r->box_count, e);

	if (rc == RC_OK)
		rc = past_subscriptions(r->lb.past, a, &r->subscriptions, &r->subscription_count,
		                        e);
	r->box_count = rc == RC_OK ? keep_open_ones(r->boxes, r->box_count) : 0;
	return rc;
}

/* ---- the account ---- */

static enum admin_exit
make_account(struct revival *r)
{
	struct admin_call *c = r->lb.c;
	struct change *ch = change_new(CHANGE_ACCOUNT_RESTORE);
	struct credential_info *credentials;
	struct account_info was;
	struct err e = ERR_INIT;
	size_t n;

	if (ch == NULL || past_account(r->lb.past, &c->arena, &was, &e) != RC_OK ||
	    past_credentials(r->lb.past, &c->arena, &credentials, &n, &e) != RC_OK) {
		change_free(&ch);
		return admin_fail(c, &e);
	}
	ch->u.account_restore = (struct change_account_restore){
		.name = was.name, .created_us = was.created_us,
		.quota_bytes = was.quota_bytes, .quota_messages = was.quota_messages,
		.hidden = was.hidden,
		.flags = was.flags,
		.credentials = credentials, .credential_count = n,
		.subscriptions = r->subscriptions, .subscription_count = r->subscription_count,
		.mailboxes = arena_array(&c->arena, r->box_count + 1,
		                         sizeof(struct restore_mailbox)),
		.mailbox_count = r->box_count,
	};
	if (ch->u.account_restore.mailboxes == NULL) {
		change_free(&ch);
		err_nomem(&e);
		return admin_fail(c, &e);
	}
	for (size_t i = 0; i < r->box_count; i++)
		ch->u.account_restore.mailboxes[i] =
		    (struct restore_mailbox){ .name = r->boxes[i].name,
		                              .special_use = r->boxes[i].special_use };
	return admin_change(c, r->lb.v, &ch, c->args[0]);
}

/* What is there already is subscribed once more, which changes nothing. */
static enum admin_exit
subscribe_all(struct revival *r)
{
	enum admin_exit status = ADMIN_OK;

	for (size_t i = 0; status == ADMIN_OK && i < r->subscription_count; i++) {
		struct change *ch = change_new(CHANGE_SUBSCRIBE);

		if (ch == NULL) {
			admin_complain(r->lb.c, "out of memory");
			return ADMIN_FAILED;
		}
		ch->u.subscribe = (struct change_subscribe){ r->id, r->subscriptions[i], true };
		status = admin_change(r->lb.c, r->lb.v, &ch, r->lb.c->args[0]);
	}
	return status;
}

static enum admin_exit
have_account(struct revival *r)
{
	struct account_info now;
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (r->dry_run)
		return ADMIN_OK;
	if (r->id != 0)
		return subscribe_all(r);
	status = make_account(r);
	if (status != ADMIN_OK)
		return status;
	if (volume_find_account(r->lb.v, r->owner.name, &r->lb.c->arena, &now, &e) != RC_OK)
		return admin_fail(r->lb.c, &e);
	r->id = now.id;
	return ADMIN_OK;
}

/* ---- its messages ---- */

static enum admin_exit
fill_mailbox(struct revival *r, const struct past_mailbox *m, struct restore_counts *k)
{
	const struct past_select s = { .mailbox = m->id, .choice = PAST_LIVE };
	struct restore how = {
		.volume = r->lb.v, .past = r->lb.past, .account = r->id, .dry_run = r->dry_run,
		.progress = admin_on_past, .progress_arg = &r->lb,
	};
	const struct restore_target to = { .name = m->name, .special_use = m->special_use,
	                                   .make_empty = true };
	const struct restore_line line = { m->name, m->name, 0, r->dry_run };
	struct err e = ERR_INIT;
	enum rc rc = restore_messages(&how, &s, &to, k, &e);

	if (!admin_tell_restored(r->lb.c, &line, k))
		return ADMIN_FAILED;
	if (rc == RC_OK)
		return ADMIN_OK;
	err_add(&e, "%.*s", SLICE_ARG(m->name));
	return admin_fail(r->lb.c, &e);
}

static enum admin_exit
fill_all(struct revival *r)
{
	struct restore_counts sum = { .restored = 0 }, k;
	enum admin_exit status = have_account(r);

	r->lb.what = "bringing messages back";
	for (size_t i = 0; status == ADMIN_OK && i < r->box_count; i++) {
		status = fill_mailbox(r, &r->boxes[i], &k);
		admin_add_counts(&sum, &k);
	}
	return status == ADMIN_OK ? admin_tell_sum(r->lb.c, &sum, r->dry_run) : status;
}

/* ---- the whole ---- */

static enum admin_exit
revive(struct revival *r)
{
	struct past_params pp = { .account = r->owner.id, .at_us = PAST_END };
	struct claim claim = { .kind = CLAIM_WORK, .what = "an undelete" };
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (volume_claim(r->lb.v, &claim, &e) != RC_OK)
		return admin_fail(r->lb.c, &e);
	status = admin_open_past(&r->lb, &pp);
	if (status == ADMIN_OK && read_belongings(r, &e) != RC_OK)
		status = admin_fail(r->lb.c, &e);
	if (status == ADMIN_OK)
		status = fill_all(r);
	status = admin_worse(status, admin_close_past(&r->lb));
	volume_release(r->lb.v, &claim);
	return status;
}

/* An account of this name that is there: its id into *id if the deleted one's mail goes into it, 0
 * if there is none. */
static enum admin_exit
find_present(struct admin_call *c, struct volume *v, const struct past_owner *owner, account_id *id)
{
	struct account_info now;
	char when[WHEN_TEXT_MAX];

	*id = 0;
	for (size_t i = 0; i < c->ad->volume_count; i++) {
		struct err e = ERR_INIT;
		enum rc rc = volume_find_account(c->ad->volumes[i], owner->name, &c->arena, &now,
		                                 &e);

		if (rc == RC_NOT_FOUND)
			continue;
		if (rc != RC_OK)
			return admin_fail(c, &e);
		if (c->ad->volumes[i] == v &&
		    (now.created_us == owner->created_us || admin_flag(c, "--merge"))) {
			*id = now.id;
			return ADMIN_OK;
		}
		when_format(now.created_us, when);
		admin_complain(c, "%s: there is an account of this name, made at %s%s%s",
		    c->args[0], when,
		    c->ad->volumes[i] == v ? "; --merge puts the deleted one's mail into it"
		                           : " in volume ",
		    c->ad->volumes[i] == v ? "" : volume_name(c->ad->volumes[i]));
		return ADMIN_FAILED;
	}
	return admin_may_give(c, c->args[0]) ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit
admin_undelete_account(struct admin_call *c)
{
	struct revival r = { .dry_run = admin_flag(c, "--dry-run") };
	struct past_owner owner;
	struct volume *v;
	enum admin_exit status = admin_find_deleted(c, c->args[0], true, &v, &owner);

	if (status == ADMIN_OK)
		status = admin_look_back(c, v, &r.lb);
	r.owner = owner;
	if (status == ADMIN_OK)
		status = find_present(c, v, &owner, &r.id);
	return status == ADMIN_OK ? revive(&r) : status;
}
