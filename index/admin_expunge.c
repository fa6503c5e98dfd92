/* admin_expunge - old messages out of mailboxes. See autoexpunge.h for how. */
#include "index/admin_impl.h"

#include "index/autoexpunge.h"
#include "lib/when.h"

#include <time.h>

struct run {
	struct admin_call *c;
	int64_t            before;      /* seconds since 1970 */
	bool               dry, json;
	uint64_t           messages;    /* of the mailboxes that are done */
};

/* Without a word: Trash and Junk. */
static bool
is_meant(const struct mailbox_info *m, const char *word)
{
	return word == NULL ? (m->special_use & (USE_TRASH | USE_JUNK)) != 0
	                    : mailbox_is_called(m, word);
}

static bool
on_progress(void *arg, uint64_t messages)
{
	struct run *r = arg;

	return admin_progress(r->c, "messages expunged", r->messages + messages, 0);
}

static enum admin_exit
expunge_mailbox(struct run *r, struct volume *v, const struct mailbox_info *m, uint64_t *messages,
                uint64_t *bytes)
{
	struct expunge_old x = {
		.v = v, .who = { .protocol = PROTO_ADMIN }, .before = r->before, .dry_run = r->dry,
		.progress = on_progress, .arg = r,
	};
	struct err e = ERR_INIT;
	enum rc rc = expunge_old(&x, m->id, &e);

	*messages = x.messages;
	*bytes = x.bytes;
	if (rc == RC_OK)
		return ADMIN_OK;
	err_add(&e, "expunge");
	return admin_fail(r->c, &e);
}

static bool
tell_mailbox(struct run *r, const struct account_info *a, const struct mailbox_info *m,
             uint64_t messages, uint64_t bytes)
{
	struct json j;

	if (!r->json)
		return admin_printf(r->c, "%.*s: %.*s: %s %llu message%s, %llu byte%s",
		    SLICE_ARG(a->name), SLICE_ARG(m->name), r->dry ? "would expunge" : "expunged",
		    (unsigned long long)messages, admin_plural(messages), (unsigned long long)bytes,
		    admin_plural(bytes));
	json_init(&j, &r->c->line);
	json_object(&j, NULL);
	json_str(&j, "account", a->name);
	json_str(&j, "mailbox", m->name);
	json_u64(&j, "messages", messages);
	json_u64(&j, "bytes", bytes);
	json_bool(&j, "dry_run", r->dry);
	json_end(&j);
	return admin_send(r->c);
}

static enum admin_exit
expunge_account(struct run *r, struct volume *v, const struct account_info *a)
{
	const char *word = admin_option(r->c, "--mailbox");
	enum admin_exit status = ADMIN_OK;
	struct mailbox_info *list;
	struct err e = ERR_INIT;
	bool any = false;
	size_t n;

	if (volume_list_mailboxes(v, a->id, &r->c->arena, &list, &n, &e) != RC_OK)
		return admin_fail(r->c, &e);
	for (size_t i = 0; i < n && status == ADMIN_OK; i++) {
		uint64_t messages = 0, bytes = 0;

		if (!is_meant(&list[i], word))
			continue;
		any = true;
		status = expunge_mailbox(r, v, &list[i], &messages, &bytes);
		r->messages += messages;
		if (status == ADMIN_OK && !tell_mailbox(r, a, &list[i], messages, bytes))
			status = ADMIN_FAILED;
	}
	if (any || admin_flag(r->c, "--all"))
		return status;
	admin_complain(r->c, "%.*s has no mailbox %s", SLICE_ARG(a->name),
	    word != NULL ? word : "\\Trash or \\Junk");
	return ADMIN_FAILED;
}

static enum admin_exit
expunge_one(struct admin_call *c, struct volume *v, const struct account_info *a)
{
	struct run *r = c->arg;

	return expunge_account(r, v, a);
}

enum admin_exit
admin_expunge(struct admin_call *c)
{
	const char *age = admin_option(c, "--older-than");
	struct run r = { .c = c, .dry = admin_flag(c, "--dry-run"),
	                 .json = admin_flag(c, "--json") };
	enum admin_exit status = ADMIN_OK;
	struct account_info account;
	struct err e = ERR_INIT;
	struct volume *v;
	uint64_t us;
	size_t i = 0;

	if (age == NULL || admin_flag(c, "--all") != (c->argc == 0))
		return ADMIN_USAGE;
	if (when_parse_age(slice_str(age), &us, &e) != RC_OK) {
		admin_complain(c, "%s", e.text);
		return ADMIN_USAGE;
	}
	r.before = (int64_t)time(NULL) - (int64_t)(us / 1000000u);
	c->arg = &r;
	if (c->argc == 0) {
		while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
			status = admin_worse(status, admin_each_account(c, v, expunge_one));
		return status;
	}
	status = admin_find(c, c->args[0], &v, &account);
	return status == ADMIN_OK ? expunge_account(&r, v, &account) : status;
}
