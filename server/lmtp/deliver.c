/* deliver - the message of a transaction: ingested as it streams in, committed, answered. See lmtp.h.
 *
 * A group (volume) that fails keeps its first error and takes no more bytes; the rest of the data is read all the same,
 * as the client gets an answer for each recipient only behind it.
 */
#include <errno.h>

#include "index/ingest.h"
#include "lib/clock.h"
#include "lib/mime.h"
#include "server/lmtp/lmtp.h"

#define ANSWERS_ON_REACTOR 16u
#define SUMMARY_ARENA_MAX  (16u << 20)

static void
group_fail(struct lmtp_group *g)
{
	g->rc = g->err.code != RC_OK ? g->err.code : RC_IO;
	ingest_abort(&g->ingest);
}

static void
group_feed(struct lmtp_group *g, struct slice bytes)
{
	if (g->rc == RC_OK && bytes.len > 0 && ingest_feed(g->ingest, bytes, &g->err) != RC_OK)
		group_fail(g);
}

/* ---- answers ---- */

static bool
disk_full(const struct err *e)
{
	return e->os == ENOSPC || e->os == EDQUOT;
}

static void
answer_failure(struct lmtp *l, enum rc rc, const struct err *e)
{
	if (rc == RC_LIMIT)
		lmtp_reply(l, "552 5.3.4 Message too big (limit message_size, %llu octets)",
		           (unsigned long long)session_conf(l->s)->limits.message_size);
	else if (disk_full(e))
		lmtp_reply(l, "452 4.3.1 Out of storage");
	else
		lmtp_reply(l, "451 4.3.0 Temporary failure, try again later");
}

/* ---- the data ---- */

static void
log_failure(struct lmtp *l, const struct lmtp_group *g)
{
	struct logline line;

	session_log(l->s, &line, g->rc == RC_LIMIT ? LOGLEVEL_INFO : LOGLEVEL_ERROR, "lmtp.failed");
	log_cstr(&line, "volume", volume_name(g->volume));
	log_err(&line, &g->err);
	log_end(&line);
}

bool
lmtp_data_begin(struct lmtp *l)
{
	uint64_t limit = session_conf(l->s)->limits.message_size;
	struct buf trace;

	l->number++;
	l->began_ms = clock_mono_ms();
	dots_init(&l->dots);
	buf_init(&trace, 16384);
	lmtp_trace(l, clock_wall_us(), &trace);
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		/* The limit is on what the client sends. */
		enum rc rc = trace.failed ? err_nomem(&g->err) : ingest_new(g->volume, limit + trace.len, &g->ingest, &g->err);

		if (rc != RC_OK) {
			log_failure(l, g);
			answer_failure(l, rc == RC_LIMIT ? RC_IO : rc, &g->err);
			buf_fini(&trace);
			lmtp_transaction_reset(l);
			return false;
		}
		group_feed(g, buf_slice(&trace));
	}
	buf_fini(&trace);
	return true;
}

bool
lmtp_data_feed(struct lmtp *l)
{
	struct slice rest = lmtp_input(l);

	while (rest.len > 0 && l->dots.state != DOTS_END) {
		struct slice piece;
		size_t n = dots_next(&l->dots, rest, &piece);

		for (struct lmtp_group *g = l->groups; g != NULL; g = g->next)
			group_feed(g, piece);
		rest = slice_sub(rest, n, rest.len);
		l->used += n;
	}
	return l->dots.state == DOTS_END;
}

/* ---- the commit ---- */

static void
on_committed(struct change *c, void *arg)
{
	struct lmtp *l = arg;

	(void)c;
	if (atomic_fetch_sub_explicit(&l->pending, 1, memory_order_acq_rel) == 1)
		session_wake(l->s);
}

/* Recipients of one mailbox (anna, anna+nofolder) share a copy. */
static enum rc
group_set_targets(struct lmtp *l, struct lmtp_group *g)
{
	uint32_t n = 0, k;

	for (const struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next)
		n += r->group == g;
	g->targets = arena_array(&g->change->arena, n, sizeof *g->targets);
	if (g->targets == NULL)
		return err_nomem(&g->err);
	n = 0;
	for (struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next) {
		if (r->group != g)
			continue;
		for (k = 0; k < n && g->targets[k].mailbox != r->mailbox; k++)
			;
		if (k == n)
			g->targets[n++].mailbox = r->mailbox;
		r->target = k;
	}
	g->target_count = n;
	return RC_OK;
}

static enum rc
group_make_change(struct lmtp *l, struct lmtp_group *g, uint64_t now_us)
{
	struct append_message *m;
	enum rc rc;

	g->change = change_new(CHANGE_APPEND);
	if (g->change == NULL)
		return err_nomem(&g->err);
	m = arena_array(&g->change->arena, 1, sizeof *m);
	if (m == NULL)
		return err_nomem(&g->err);
	rc = group_set_targets(l, g);
	if (rc != RC_OK)
		return rc;
	m->content = g->content;        /* the change's reference from now on */
	g->content = NULL;
	m->internaldate = (struct mail_date){ (int64_t)(now_us / 1000000u), (int16_t)clock_zone_minutes(now_us) };
	m->targets = g->targets;
	m->target_count = g->target_count;
	g->change->u.append = (struct change_append){ .messages = m, .message_count = 1, .each_target = true };
	g->change->who = (struct frame_who){ g->account, session_id(l->s), PROTO_LMTP };
	g->change->done = on_committed;
	g->change->done_arg = l;
	return RC_OK;
}

/* For the log only: without it, whatever the reason, the line has an empty one. */
static void
group_take_message_id(struct lmtp *l, struct lmtp_group *g)
{
	struct err e = ERR_INIT;
	struct mime_summary s;
	struct arena a;

	if (!log_wanted(LOGLEVEL_INFO))
		return;
	arena_init(&a, SUMMARY_ARENA_MAX);
	if (mime_summary_decode(ingested_blob(g->content)->summary, &a, &s, &e) == RC_OK)
		g->message_id = arena_dup(&l->arena, slice_sub(s.keys.message_id, 0, LMTP_MSGID_MAX));
	arena_fini(&a);
}

static void
group_finish(struct lmtp *l, struct lmtp_group *g, uint64_t now_us)
{
	if (g->rc == RC_OK && ingest_finish(&g->ingest, &g->content, &g->err) != RC_OK)
		group_fail(g);
	if (g->rc != RC_OK)
		return;
	g->size = ingested_size(g->content);
	group_take_message_id(l, g);
	if (group_make_change(l, g, now_us) != RC_OK) {
		group_fail(g);
		change_free(&g->change);
	}
}

bool
lmtp_commit(struct lmtp *l)
{
	uint64_t now_us = clock_wall_us();
	unsigned n = 0;

	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		group_finish(l, g, now_us);
		n += g->rc == RC_OK;
	}
	if (n == 0)
		return false;
	atomic_store_explicit(&l->pending, n, memory_order_release);
	/* All may be answered, and this session woken, before the loop ends; the next step begins only behind this one. */
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		if (g->rc == RC_OK)
			volume_submit(g->volume, g->change);
	return true;
}

static void
group_take_result(struct lmtp *l, struct lmtp_group *g)
{
	struct change *c = g->change;

	if (g->rc == RC_OK && c->rc != RC_OK && !c->durable) {
		g->rc = c->rc;
		g->err = c->err;
	}
	if (g->rc != RC_OK)
		log_failure(l, g);
}

static void
log_delivery(struct lmtp *l, const struct lmtp_rcpt *r, const char *id)
{
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_INFO, "lmtp.delivered");
	log_cstr(&line, "id", id);
	log_str(&line, "from", l->sender);
	log_str(&line, "to", r->text);
	log_str(&line, "account", r->account);
	log_str(&line, "mailbox", r->folder);
	log_str(&line, "msgid", r->group->message_id);
	log_u64(&line, "size", r->group->size);
	log_u64(&line, "uid", r->group->targets[r->target].uid);
	log_u64(&line, "ms", clock_mono_ms() - l->began_ms);
	log_end(&line);
}

/* What the writer said of this recipient; a change that is durable has happened, whatever came behind it. */
static enum rc
rcpt_result(const struct lmtp_rcpt *r)
{
	const struct lmtp_group *g = r->group;
	enum rc rc = g->change != NULL && g->targets != NULL ? g->targets[r->target].rc : RC_OK;

	return rc != RC_OK ? rc : g->rc;
}

static void
rcpt_answer(struct lmtp *l, const struct lmtp_rcpt *r, const char *id)
{
	enum rc rc = rcpt_result(r);

	if (rc == RC_OK) {
		lmtp_reply(l, "250 2.0.0 Delivered, id %s", id);
		log_delivery(l, r, id);
	} else if (rc == RC_LIMIT && r->group->change != NULL) {
		lmtp_refuse_quota(l, r->text, r->account, r->usage);
	} else {
		/* Also a mailbox that was deleted meanwhile: the next try will find another place or none. */
		answer_failure(l, rc, &r->group->err);
	}
}

bool
lmtp_commit_is_small(const struct lmtp *l)
{
	for (const struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		if (g->rc != RC_OK || g->change->rc != RC_OK)
			return false;           /* giving up what was ingested may touch files */
	return l->rcpt_count <= ANSWERS_ON_REACTOR;
}

void
lmtp_commit_answer(struct lmtp *l)
{
	char id[LMTP_ID_MAX];

	lmtp_id(l, id);
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		group_take_result(l, g);
	for (const struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next)
		rcpt_answer(l, r, id);
	lmtp_transaction_reset(l);
}
