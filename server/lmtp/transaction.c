/* transaction - a sender and its recipients, from MAIL to the end of DATA. See lmtp.h. */
#include <stdatomic.h>

#include "lib/clock.h"
#include "server/lmtp/lmtp.h"

#define DAMAGE_TELL_MS 60000u

static const struct slice inbox = SLICE_INIT("INBOX");

void
lmtp_transaction_init(struct lmtp *l)
{
	l->mail_given = l->mail_refused = l->smtputf8 = false;
	l->sender = SLICE_NONE;
	l->declared_size = 0;
	l->rcpts = NULL;
	l->rcpts_end = &l->rcpts;
	l->rcpt_count = 0;
	l->groups = NULL;
}

void
lmtp_transaction_reset(struct lmtp *l)
{
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		ingest_abort(&g->ingest);
		ingested_unref(&g->content);
		change_free(&g->change);
	}
	arena_reset(&l->arena);
	lmtp_transaction_init(l);
}

/* Our failure, or the volume's: the client may try again. */
static void
temporary(struct lmtp *l, const struct err *e)
{
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_ERROR, "lmtp.rcpt_failed");
	log_err(&line, e);
	log_end(&line);
	lmtp_reply(l, "451 4.3.0 Temporary failure, try again later");
}

/* The folder a detail names, in any case of ASCII letters; RC_NOT_FOUND if there is none. */
static enum rc
find_folder(struct volume *v, account_id account, struct slice detail, struct arena *a, struct mailbox_info *out,
            struct err *e)
{
	struct mailbox_info *all;
	size_t count;
	enum rc rc = volume_find_mailbox(v, account, detail, a, out, e);

	if (rc == RC_OK || rc == RC_IO || rc == RC_NOMEM)
		return rc;
	rc = volume_list_mailboxes(v, account, a, &all, &count, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (slice_eq_nocase(all[i].name, detail)) {
			*out = all[i];
			return RC_OK;
		}
	}
	return RC_NOT_FOUND;
}

static enum rc
find_mailbox(struct volume *v, account_id account, struct slice detail, struct arena *a, struct mailbox_info *out,
             struct err *e)
{
	enum rc rc;

	if (detail.len > 0) {
		rc = find_folder(v, account, detail, a, out, e);
		if (rc == RC_OK || rc == RC_IO || rc == RC_NOMEM)
			return rc;
	}
	return volume_find_mailbox(v, account, inbox, a, out, e);
}

static bool
over_quota(const struct lmtp *l, const struct account_info *info)
{
	if (info->quota_messages != 0 && info->used_messages >= info->quota_messages)
		return true;
	if (info->quota_bytes == 0)
		return false;
	return info->used_bytes >= info->quota_bytes ||
	       l->declared_size > info->quota_bytes - info->used_bytes;
}

static struct lmtp_usage
usage_of(const struct account_info *a)
{
	return (struct lmtp_usage){ a->quota_bytes, a->used_bytes, a->quota_messages, a->used_messages };
}

static struct lmtp_group *
group_of(struct lmtp *l, struct volume *v)
{
	struct lmtp_group *g;

	for (g = l->groups; g != NULL; g = g->next)
		if (g->volume == v)
			return g;
	g = arena_zalloc(&l->arena, sizeof *g);
	if (g == NULL)
		return NULL;
	g->volume = v;
	g->next = l->groups;
	l->groups = g;
	return g;
}

static bool
rcpt_append(struct lmtp *l, const struct lmtp_path *path, struct volume *v, const struct account_info *account,
            const struct mailbox_info *mailbox)
{
	struct lmtp_group *g = group_of(l, v);
	struct lmtp_rcpt *r = arena_zalloc(&l->arena, sizeof *r);

	if (g == NULL || r == NULL)
		return false;
	if (g->account == 0)
		g->account = account->id;
	r->text = arena_dup(&l->arena, path->text);
	r->group = g;
	r->mailbox = mailbox->id;
	r->account = arena_dup(&l->arena, account->name);
	r->folder = arena_dup(&l->arena, mailbox->name);
	r->usage = usage_of(account);
	if (r->text.ptr == NULL || r->account.ptr == NULL || r->folder.ptr == NULL)
		return false;
	*l->rcpts_end = r;
	l->rcpts_end = &r->next;
	l->rcpt_count++;
	return true;
}

void
lmtp_refuse_quota(struct lmtp *l, struct slice to, struct slice account, struct lmtp_usage u)
{
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_INFO, "lmtp.overquota");
	log_str(&line, "to", to);
	log_str(&line, "account", account);
	log_u64(&line, "quota", u.quota);
	log_u64(&line, "used", u.used);
	if (u.quota_messages != 0) {
		log_u64(&line, "quota_messages", u.quota_messages);
		log_u64(&line, "messages", u.messages);
	}
	log_end(&line);
	if (session_conf(l->s)->server.overquota_reply == CONF_OVERQUOTA_552)
		lmtp_reply(l, "552 5.2.2 Mailbox full (over quota)");
	else
		lmtp_reply(l, "452 4.2.2 Mailbox full (over quota)");
}

static void
refuse_unknown(struct lmtp *l, const struct lmtp_path *path)
{
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_INFO, "lmtp.unknown_user");
	log_str(&line, "rcpt", path->text);
	log_end(&line);
	lmtp_reply(l, "550 5.1.1 User unknown here");
}

/* Once a minute for all sessions, as an MTA tries again and again. */
static bool
may_tell_again(void)
{
	static _Atomic uint64_t next_ms;
	uint64_t now = clock_mono_ms(), next = atomic_load(&next_ms);

	return now >= next && atomic_compare_exchange_strong(&next_ms, &next, now + DAMAGE_TELL_MS);
}

/* The account may be one whose record is damaged: a refusal would have the MTA bounce its mail. */
static void
postpone_unknown(struct lmtp *l, const struct lmtp_path *path)
{
	struct logline line;

	if (may_tell_again()) {
		session_log(l->s, &line, LOGLEVEL_ERROR, "lmtp.unknown_user_postponed");
		log_str(&line, "rcpt", path->text);
		log_cstr(&line, "text", "a volume is damaged and accounts may be missing: unknown recipients get 451; "
		         "see restantectl check");
		log_end(&line);
	}
	lmtp_reply(l, "451 4.3.0 Temporary failure, try again later");
}

void
lmtp_rcpt_add(struct lmtp *l, const struct lmtp_path *path)
{
	struct account_info info;
	struct volume *v = NULL;
	struct err e = ERR_INIT;
	struct mailbox_info mailbox;
	struct slice detail;
	struct arena a;
	enum rc rc;

	arena_init(&a, 16u << 20);
	rc = server_find_recipient(session_server(l->s), path->local, path->domain, &a, &v, &info, &detail, &e);
	if (rc == RC_NOT_FOUND) {
		if (server_misses_accounts(session_server(l->s)))
			postpone_unknown(l, path);
		else
			refuse_unknown(l, path);
		goto out;
	}
	if (rc == RC_OK && over_quota(l, &info)) {
		lmtp_refuse_quota(l, path->text, info.name, usage_of(&info));
		goto out;
	}
	if (rc == RC_OK)
		rc = find_mailbox(v, info.id, detail, &a, &mailbox, &e);
	if (rc == RC_OK && !rcpt_append(l, path, v, &info, &mailbox))
		rc = err_nomem(&e);
	if (rc != RC_OK)
		temporary(l, &e);
	else
		lmtp_reply(l, "250 2.1.5 Recipient ok");
out:
	arena_fini(&a);
}
