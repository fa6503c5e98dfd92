/* autoexpunge - see autoexpunge.h. */
#include "index/autoexpunge.h"

#include <time.h>

#include "index/special_use.h"
#include "lib/logging.h"

#define PIECE     500u          /* messages of one expunge: nobody waits long for the writer */
#define ACCOUNTS  100u          /* read at a time */
#define ARENA_MAX (64u << 20)

bool
mailbox_is_called(const struct mailbox_info *m, const char *word)
{
	struct slice name = slice_str(word);

	if (slice_eq(m->name, name) ||
	    (slice_eq_nocase(m->name, SLICE("INBOX")) && slice_eq_nocase(name, m->name)))
		return true;
	if (name.len > 0 && name.ptr[0] == '\\')
		name = slice_sub(name, 1, name.len);
	return (m->special_use & special_use_named(name)) != 0;
}

static enum rc
expunge_piece(const struct expunge_old *x, mailbox_id mailbox, const struct uid_set *uids,
              struct err *e)
{
	struct change *c = change_new(CHANGE_EXPUNGE);
	enum rc rc;

	if (c == NULL || !uid_set_copy(&c->u.expunge.uids, uids)) {
		change_free(&c);
		return err_nomem(e);
	}
	c->who = x->who;
	c->u.expunge.mailbox = mailbox;
	c->u.expunge.any = true;
	rc = volume_submit_wait(x->v, c);
	if (rc != RC_OK && c->durable)
		rc = RC_OK;             /* the index follows */
	else if (rc != RC_OK)
		*e = c->err;
	change_free(&c);
	return rc;
}

enum rc
expunge_old(struct expunge_old *x, mailbox_id mailbox, struct err *e)
{
	enum rc rc = RC_OK;
	struct uid_set uids;
	mail_uid from = 1;

	uid_set_init(&uids, PIECE);
	while (rc == RC_OK && from != 0) {
		uint64_t bytes = 0;

		uid_set_reset(&uids);
		rc = volume_find_old(x->v, mailbox, x->before, PIECE, &from, &uids, &bytes, e);
		if (rc == RC_OK && uids.count > 0 && !x->dry_run)
			rc = expunge_piece(x, mailbox, &uids, e);
		if (rc != RC_OK)
			break;
		x->messages += uid_set_size(&uids);
		x->bytes += bytes;
		if (x->progress != NULL && !x->progress(x->arg, x->messages))
			rc = err_set(e, RC_CANCELLED, "cancelled");
	}
	uid_set_fini(&uids);
	return rc;
}

/* ---- by rules ---- */

struct run {
	struct volume            *v;
	const struct autoexpunge *a;
	atomic_bool              *stop;
	uint64_t                  now_s;
};

static bool
go_on(void *arg, uint64_t messages)
{
	const struct run *r = arg;

	(void)messages;
	return !atomic_load(r->stop);
}

static void
tell(const struct run *r, const struct account_info *account, const struct mailbox_info *m,
     const struct expunge_old *x)
{
	struct logline l;

	if (x->messages == 0)
		return;
	log_begin(&l, LOGLEVEL_INFO, "mailbox.autoexpunged");
	log_cstr(&l, "volume", volume_name(r->v));
	log_str(&l, "account", account->name);
	log_str(&l, "mailbox", m->name);
	log_u64(&l, "messages", x->messages);
	log_u64(&l, "bytes", x->bytes);
	log_end(&l);
}

static enum rc
run_mailbox(struct run *r, const struct account_info *account, const struct mailbox_info *m,
            struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < r->a->count; i++) {
		const struct autoexpunge_rule *rule = &r->a->rules[i];
		struct expunge_old x = { .v = r->v, .who = { .protocol = PROTO_SYSTEM },
		                         .progress = go_on, .arg = r };

		if (rule->age_s > r->now_s || !mailbox_is_called(m, rule->mailbox))
			continue;
		x.before = (int64_t)(r->now_s - rule->age_s);
		rc = expunge_old(&x, m->id, e);
		tell(r, account, m, &x);
	}
	return rc;
}

/* One that is being moved, or is deleted meanwhile, waits for the next time. */
static enum rc
run_account(struct run *r, const struct account_info *account, struct err *e)
{
	struct mailbox_info *list;
	struct arena a;
	size_t n = 0;
	enum rc rc;

	arena_init(&a, ARENA_MAX);
	rc = volume_list_mailboxes(r->v, account->id, &a, &list, &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = run_mailbox(r, account, &list[i], e);
	arena_fini(&a);
	if (rc == RC_BUSY || rc == RC_NOT_FOUND) {
		*e = (struct err)ERR_INIT;
		return RC_OK;
	}
	return rc == RC_OK ? RC_OK : err_add(e, "%.*s", SLICE_ARG(account->name));
}

enum rc
autoexpunge_run(struct volume *v, const struct autoexpunge *rules, atomic_bool *stop, struct err *e)
{
	struct run r = { v, rules, stop, (uint64_t)time(NULL) };
	char after[ACCOUNT_NAME_MAX + 1] = "";
	struct account_info *list;
	size_t n = rules->count > 0 ? ACCOUNTS : 0;
	enum rc rc = RC_OK;
	struct arena a;

	arena_init(&a, ARENA_MAX);
	while (rc == RC_OK && n == ACCOUNTS) {
		arena_reset(&a);
		rc = volume_list_accounts(v, slice_str(after), ACCOUNTS, &a, &list, &n, e);
		for (size_t i = 0; rc == RC_OK && i < n; i++)
			rc = atomic_load(stop) ? err_set(e, RC_CANCELLED, "stopped")
			                       : run_account(&r, &list[i], e);
		if (rc == RC_OK && n == ACCOUNTS &&
		    !slice_to_cstr(list[n - 1].name, after, sizeof after))
			rc = err_set(e, RC_CORRUPT, "an account's name is too long");
	}
	arena_fini(&a);
	return rc;
}
