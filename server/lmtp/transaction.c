/* transaction - a sender and its recipients, from MAIL to the end of DATA. See lmtp.h. */
#include <stdatomic.h>

#include "lib/clock.h"
#include "server/lmtp/lmtp.h"
#include "server/recipient.h"
#include "server/regulars.h"

#define TELL_MS 60000u

void
lmtp_transaction_init(struct lmtp *l)
{
	l->mail_given = l->mail_refused = l->smtputf8 = l->binary = false;
	l->chunked = l->chunk_failed = false;
	l->sender = l->envid = SLICE_NONE;
	l->declared_size = l->announced = 0;
	l->rcpts = NULL;
	l->rcpts_end = &l->rcpts;
	l->rcpt_count = l->place_count = 0;
	l->groups = NULL;
	l->makings = NULL;
	l->junk = false;
}

void
lmtp_transaction_reset(struct lmtp *l)
{
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		ingest_abort(&g->ingest);
		ingested_unref(&g->content);
		change_free(&g->change);
	}
	lmtp_folder_forget(l);
	buf_fini(&l->head);
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
	return (struct lmtp_usage){ a->quota_bytes, a->used_bytes, a->quota_messages,
	                            a->used_messages };
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

static enum rc
add_place(struct lmtp *l, struct lmtp_rcpt *r, const struct recipient_account *to, struct err *e)
{
	struct lmtp_group *g = group_of(l, to->volume);
	struct lmtp_place *p = arena_zalloc(&l->arena, sizeof *p);
	enum rc rc;

	if (g == NULL || p == NULL)
		return err_nomem(e);
	if (g->account == 0)
		g->account = to->info.id;
	p->group = g;
	p->account = to->info.id;
	p->name = arena_dup(&l->arena, to->info.name);
	p->usage = usage_of(&to->info);
	if (p->name.ptr == NULL)
		return err_nomem(e);
	rc = lmtp_folder_find(l, p, to->volume, to->detail, e);
	p->next = r->places;
	r->places = p;
	l->place_count++;
	return rc;
}

static void
link_rcpt(struct lmtp *l, struct lmtp_rcpt *r)
{
	*l->rcpts_end = r;
	l->rcpts_end = &r->next;
	l->rcpt_count++;
}

static enum rc
add_recipient(struct lmtp *l, const struct lmtp_path *path, const struct recipient *to,
              struct err *e)
{
	struct lmtp_rcpt *r = arena_zalloc(&l->arena, sizeof *r);
	enum rc rc = RC_OK;

	if (r == NULL)
		return err_nomem(e);
	r->text = arena_dup(&l->arena, path->text);
	if (r->text.ptr == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < to->count && rc == RC_OK; i++)
		rc = add_place(l, r, &to->accounts[i], e);
	if (rc != RC_OK)
		return rc;
	link_rcpt(l, r);
	return RC_OK;
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
static _Atomic uint64_t next_postponed_ms, next_missing_ms;

static bool
may_tell_again(_Atomic uint64_t *next_ms)
{
	uint64_t now = clock_mono_ms(), next = atomic_load(next_ms);

	return now >= next && atomic_compare_exchange_strong(next_ms, &next, now + TELL_MS);
}

/* The client may ask again when all volumes are well. */
static void
postpone_unknown(struct lmtp *l, const struct lmtp_path *path, const struct err *e)
{
	struct logline line;

	if (may_tell_again(&next_postponed_ms)) {
		session_log(l->s, &line, LOGLEVEL_ERROR, "lmtp.unknown_user_postponed");
		log_str(&line, "rcpt", path->text);
		log_err(&line, e);
		log_end(&line);
	}
	lmtp_reply(l, "451 4.3.0 Temporary failure, try again later");
}

/* An alias that names an account which is not there: the admin's mistake, and no reason to keep
 * mail from the others. */
static void
tell_missing(struct lmtp *l, const struct lmtp_path *path, const struct recipient *to)
{
	struct logline line;

	if (to->missing == 0 || !may_tell_again(&next_missing_ms))
		return;
	session_log(l->s, &line, LOGLEVEL_WARN, "lmtp.alias_without_account");
	log_str(&line, "rcpt", path->text);
	log_str(&line, "alias", to->alias);
	log_str(&line, "account", to->first_missing);
	log_end(&line);
}

static void
refuse_locked(struct lmtp *l, const struct lmtp_path *path, struct slice account)
{
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_INFO, "lmtp.locked");
	log_str(&line, "to", path->text);
	log_str(&line, "account", account);
	log_end(&line);
	switch (session_conf(l->s)->lmtp.locked_reply) {
	case CONF_LOCKED_550:
		lmtp_reply(l, "550 5.2.1 Mailbox disabled");
		break;
	case CONF_LOCKED_450:
		lmtp_reply(l, "450 4.2.1 Mailbox disabled for now");
		break;
	}
}

/* Locked accounts of an alias are passed over like those that do not exist, unless none is left. */
static bool
drop_locked(struct lmtp *l, const struct lmtp_path *path, struct recipient *to)
{
	size_t kept = 0;

	for (size_t i = 0; i < to->count; i++)
		if ((to->accounts[i].info.flags & ACCOUNT_LOCKED) == 0)
			to->accounts[kept++] = to->accounts[i];
	if (kept == 0)
		refuse_locked(l, path, to->accounts[0].info.name);
	to->count = kept;
	return kept > 0;
}

/* All accounts of the address, or none: if one is full, the others get nothing that
 * would come again. */
static bool
has_room(struct lmtp *l, const struct lmtp_path *path, const struct recipient *to)
{
	for (size_t i = 0; i < to->count; i++) {
		const struct account_info *info = &to->accounts[i].info;

		if (!over_quota(l, info))
			continue;
		lmtp_refuse_quota(l, path->text, info->name, usage_of(info));
		return false;
	}
	return true;
}

/* ---- who had mail a moment ago ---- */

/* Nothing about it needs to be asked for each message. */
static bool
is_regular(const struct recipient *to)
{
	const struct recipient_account *a = &to->accounts[0];

	return to->count == 1 && !to->unclaimed && to->missing == 0 && a->detail.len == 0 &&
	       a->info.quota_bytes == 0 && a->info.quota_messages == 0;
}

static enum rc
add_regular(struct lmtp *l, const struct lmtp_path *path, const struct regular *to, struct err *e)
{
	struct lmtp_group *g = group_of(l, to->volume);
	struct lmtp_rcpt *r = arena_zalloc(&l->arena, sizeof *r);
	struct lmtp_place *p = arena_zalloc(&l->arena, sizeof *p);

	if (g == NULL || r == NULL || p == NULL)
		return err_nomem(e);
	if (g->account == 0)
		g->account = to->account;
	p->group = g;
	p->account = to->account;
	p->mailbox = to->mailbox;
	p->name = to->name;
	p->folder = to->folder;
	r->text = arena_dup(&l->arena, path->text);
	if (r->text.ptr == NULL)
		return err_nomem(e);
	r->places = p;
	l->place_count++;
	link_rcpt(l, r);
	return RC_OK;
}

static enum rc
add_and_remember(struct lmtp *l, const struct lmtp_path *path, const struct recipient *to,
                 uint64_t version, uint64_t since_ms, struct err *e)
{
	struct lmtp_rcpt **end = l->rcpts_end;
	enum rc rc = add_recipient(l, path, to, e);
	const struct lmtp_place *p = rc == RC_OK ? (*end)->places : NULL;

	if (p != NULL && is_regular(to))
		regulars_put(server_regulars(session_server(l->s)), path->local, path->domain,
		             version, since_ms,
		             &(struct regular){ p->group->volume, p->account, p->mailbox, p->name,
		                                p->folder });
	return rc;
}

static void
answer_rcpt(struct lmtp *l, enum rc rc, const struct err *e)
{
	if (rc != RC_OK)
		temporary(l, e);
	else
		lmtp_reply(l, "250 2.1.5 Recipient ok");
}

/* By the index. */
static void
look_up(struct lmtp *l, const struct lmtp_path *path, uint64_t version, uint64_t since_ms)
{
	struct err e = ERR_INIT;
	struct recipient to;
	struct arena a;
	enum rc rc;

	arena_init(&a, 16u << 20);
	rc = server_find_recipient(session_server(l->s), path->local, path->domain, &a, &to, &e);
	tell_missing(l, path, &to);
	if ((rc == RC_OK || rc == RC_NOT_FOUND) && to.unsure) {
		postpone_unknown(l, path, &e);
		goto out;
	}
	if (rc == RC_NOT_FOUND) {
		refuse_unknown(l, path);
		goto out;
	}
	if (rc == RC_OK && (!drop_locked(l, path, &to) || !has_room(l, path, &to)))
		goto out;
	if (rc == RC_OK)
		rc = add_and_remember(l, path, &to, version, since_ms, &e);
	answer_rcpt(l, rc, &e);
out:
	arena_fini(&a);
}

void
lmtp_rcpt_add(struct lmtp *l, const struct lmtp_path *path)
{
	struct server *srv = session_server(l->s);
	uint64_t version = server_recipients_version(srv), now_ms = clock_mono_ms();
	struct err e = ERR_INIT;
	struct regular known;

	if (regulars_find(server_regulars(srv), path->local, path->domain, version, now_ms,
	                  &l->arena, &known))
		answer_rcpt(l, add_regular(l, path, &known, &e), &e);
	else if (l->light)
		l->heavy = true;
	else
		look_up(l, path, version, now_ms);
}
