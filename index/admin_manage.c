/* admin_manage - the admin's hand on an account's mailboxes, its name, and its
 * counters. See admin.h.
 *
 * The mailbox verbs are the changes that IMAP's commands submit, so sessions that have the mailbox
 * selected are told of them in the same way.
 */
#include "index/admin_impl.h"

#include <stdio.h>

#include "index/special_use.h"

/* ---- mailboxes ---- */

/* A change of a mailbox, its name taken from the call's second word. */
static struct change *
new_mailbox_change(struct admin_call *c, enum change_kind kind, account_id account)
{
	struct change *ch = change_new(kind);

	if (ch == NULL) {
		admin_complain(c, "out of memory");
		return NULL;
	}
	ch->u.mailbox.account = account;
	ch->u.mailbox.name = slice_str(c->args[1]);
	return ch;
}

static enum admin_exit
run_mailbox_change(struct admin_call *c, struct volume *v, struct change **ch, const char *done)
{
	enum admin_exit status = admin_change(c, v, ch, c->args[1]);

	if (status == ADMIN_OK)
		admin_printf(c, "%s: %s %s", c->args[0], c->args[1], done);
	return status;
}

enum admin_exit
admin_mailbox_create(struct admin_call *c)
{
	const char *use = admin_option(c, "--special-use");
	struct account_info account;
	struct volume *v;
	uint32_t bit = use != NULL ? special_use_named(slice_str(use)) : 0;
	struct change *ch;
	enum admin_exit status;

	if (use != NULL && (bit & SPECIAL_USE_SETTABLE) == 0) {
		admin_complain(c, "%s: not a special use that a mailbox can be given", use);
		return ADMIN_USAGE;
	}
	status = admin_find(c, c->args[0], &v, &account);
	ch = status == ADMIN_OK ? new_mailbox_change(c, CHANGE_MAILBOX_CREATE, account.id) : NULL;
	if (ch == NULL)
		return ADMIN_FAILED;
	ch->u.mailbox.special_use = bit;
	return run_mailbox_change(c, v, &ch, "made");
}

enum admin_exit
admin_mailbox_delete(struct admin_call *c)
{
	struct account_info account;
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &account);
	struct change *ch = status == ADMIN_OK
	                        ? new_mailbox_change(c, CHANGE_MAILBOX_DELETE, account.id)
	                        : NULL;

	return ch != NULL ? run_mailbox_change(c, v, &ch, "deleted") : ADMIN_FAILED;
}

enum admin_exit
admin_mailbox_rename(struct admin_call *c)
{
	struct account_info account;
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &account);
	struct change *ch = status == ADMIN_OK
	                        ? new_mailbox_change(c, CHANGE_MAILBOX_RENAME, account.id)
	                        : NULL;
	char done[MAILBOX_NAME_MAX + 32];

	if (ch == NULL)
		return ADMIN_FAILED;
	ch->u.mailbox.new_name = slice_str(c->args[2]);
	(void)snprintf(done, sizeof done, "is %.*s now", MAILBOX_NAME_MAX, c->args[2]);
	return run_mailbox_change(c, v, &ch, done);
}

static enum admin_exit
subscribe(struct admin_call *c, bool subscribed)
{
	struct account_info account;
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &account);
	struct change *ch = status == ADMIN_OK ? change_new(CHANGE_SUBSCRIBE) : NULL;

	if (status != ADMIN_OK)
		return status;
	if (ch == NULL) {
		admin_complain(c, "out of memory");
		return ADMIN_FAILED;
	}
	ch->u.subscribe = (struct change_subscribe){ account.id, slice_str(c->args[1]),
	                                             subscribed };
	return run_mailbox_change(c, v, &ch, subscribed ? "subscribed" : "unsubscribed");
}

enum admin_exit
admin_mailbox_subscribe(struct admin_call *c)
{
	return subscribe(c, true);
}

enum admin_exit
admin_mailbox_unsubscribe(struct admin_call *c)
{
	return subscribe(c, false);
}

/* ---- the account's name ---- */

enum admin_exit
admin_user_rename(struct admin_call *c)
{
	struct account_info account, other;
	struct err e = ERR_INIT;
	struct volume *v;
	struct change *ch;
	size_t i = 0;
	enum admin_exit status;

	if (admin_check_name(slice_str(c->args[1]), &e) != RC_OK) {
		err_add(&e, "%.255s", c->args[1]);
		return admin_fail(c, &e);
	}
	status = admin_find(c, c->args[0], &v, &account);
	if (status != ADMIN_OK)
		return status;
	while (i < c->ad->volume_count) {
		struct volume *w = c->ad->volumes[i++];
		enum rc rc = volume_find_account(w, slice_str(c->args[1]), &c->arena, &other, &e);

		if (rc == RC_NOT_FOUND || (rc == RC_OK && w == v && other.id == account.id))
			continue;
		if (rc != RC_OK)
			return admin_fail(c, &e);
		admin_complain(c, "%s: there is an account %.*s already", c->args[1],
		               SLICE_ARG(other.name));
		return ADMIN_FAILED;
	}
	if (!admin_may_give(c, c->args[1]))
		return ADMIN_FAILED;
	ch = change_new(CHANGE_ACCOUNT_RENAME);
	if (ch == NULL) {
		admin_complain(c, "out of memory");
		return ADMIN_FAILED;
	}
	ch->u.account.id = account.id;
	ch->u.account.name = slice_str(c->args[1]);
	status = admin_change(c, v, &ch, c->args[0]);
	if (status == ADMIN_OK)
		admin_printf(c, "%s: is %s now", c->args[0], c->args[1]);
	return status;
}

/* ---- counters ---- */

/* The counters of an account beside its messages counted one by one. */
static enum admin_exit
recount(struct admin_call *c, struct volume *v, const struct account_info *a)
{
	uint64_t bytes, messages, told_bytes, told_messages;
	struct err e = ERR_INIT;
	struct json j;
	bool same;

	if (volume_recount(v, a->id, &told_bytes, &told_messages, &bytes, &messages, &e) != RC_OK)
		return admin_fail(c, &e);
	same = bytes == told_bytes && messages == told_messages;
	if (c->json) {
		json_init(&j, &c->line);
		json_object(&j, NULL);
		json_str(&j, "name", a->name);
		json_cstr(&j, "volume", volume_name(v));
		json_u64(&j, "bytes", told_bytes);
		json_u64(&j, "messages", told_messages);
		json_u64(&j, "counted_bytes", bytes);
		json_u64(&j, "counted_messages", messages);
		json_end(&j);
	} else {
		buf_append_slice(&c->line, a->name);
		buf_printf(&c->line, "\t%llu message%s\t%llu byte%s\t",
		    (unsigned long long)told_messages, admin_plural(told_messages),
		    (unsigned long long)told_bytes, admin_plural(told_bytes));
		if (same)
			buf_append_slice(&c->line, SLICE("difference 0"));
		else
			buf_printf(&c->line, "COUNTED %llu message%s\t%llu byte%s",
			    (unsigned long long)messages, admin_plural(messages),
			    (unsigned long long)bytes, admin_plural(bytes));
	}
	admin_send(c);
	return same ? ADMIN_OK : ADMIN_DAMAGE;
}

enum admin_exit
admin_quota_recount(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct account_info account;
	struct volume *v;
	size_t i = 0;

	if (c->argc > 0) {
		status = admin_find(c, c->args[0], &v, &account);
		return status == ADMIN_OK ? recount(c, v, &account) : status;
	}
	while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, admin_each_account(c, v, recount));
	if (status == ADMIN_DAMAGE)
		admin_complain(c, "counters differ from what they count: run restantectl check, "
		                  "and then reindex");
	return status;
}
