/* deliver - the message of a transaction: ingested as it streams in, committed,
 * answered. See lmtp.h.
 *
 * A group (volume) that fails keeps its first error and takes no more bytes; the rest of the data
 * is read all the same, as the client gets an answer for each recipient only behind it.
 */
#include <errno.h>

#include "index/ingest.h"
#include "lib/clock.h"
#include "lib/mime.h"
#include "server/lmtp/junk.h"
#include "server/lmtp/lmtp.h"

#define PLACES_ON_REACTOR 16u
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
	else if (rc == RC_SYNTAX)
		lmtp_reply(l, "554 5.5.1 A chunk was refused");
	else if (disk_full(e))
		lmtp_reply(l, "452 4.3.1 Out of storage");
	else
		lmtp_reply(l, "451 4.3.0 Temporary failure, try again later");
}

/* ---- the data ---- */

static void
log_failure(struct lmtp *l, struct lmtp_group *g)
{
	struct logline line;

	if (g->told)
		return;
	g->told = true;
	session_log(l->s, &line,
	            g->rc == RC_LIMIT || g->rc == RC_SYNTAX ? LOGLEVEL_INFO : LOGLEVEL_ERROR,
	            "lmtp.failed");
	log_cstr(&line, "volume", volume_name(g->volume));
	log_err(&line, &g->err);
	log_end(&line);
}

void
lmtp_data_begin(struct lmtp *l)
{
	uint64_t limit = session_conf(l->s)->limits.message_size;
	struct buf trace;

	l->number++;
	l->began_ms = clock_mono_ms();
	dots_init(&l->dots);
	lmtp_retry_begin(l);
	buf_init(&trace, 16384);
	lmtp_trace(l, clock_wall_us(), &trace);
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		/* The limit is on what the client sends. */
		if (trace.failed)
			g->rc = err_nomem(&g->err);
		else
			g->rc = ingest_new(g->volume, limit + trace.len, &g->ingest, &g->err);
		if (g->rc == RC_LIMIT)          /* no word on the message's size, of which
		                                 * nothing has come */
			g->rc = g->err.code = RC_IO;
		if (g->rc == RC_OK && l->binary)
			ingest_keep_octets(g->ingest);
		group_feed(g, buf_slice(&trace));
	}
	buf_fini(&trace);
}

static void
fail_all(struct lmtp *l, enum rc rc, const char *text)
{
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		if (g->rc != RC_OK)
			continue;
		(void)err_set(&g->err, rc, "%s", text);
		group_fail(g);
	}
}

void
lmtp_data_expect(struct lmtp *l, uint64_t octets)
{
	uint64_t limit = session_conf(l->s)->limits.message_size;

	if (octets <= limit && l->announced <= limit - octets)
		l->announced += octets;
	else
		fail_all(l, RC_LIMIT, "the message is larger than message_size");
}

void
lmtp_data_spoil(struct lmtp *l)
{
	fail_all(l, RC_SYNTAX, "a chunk of the message was refused");
}

void
lmtp_data_take(struct lmtp *l, struct slice piece)
{
	if (session_conf(l->s)->lmtp.junk_headers.count > 0 && !l->head.failed)
		buf_append_slice(&l->head, slice_sub(piece, 0, buf_room(&l->head)));
	lmtp_retry_take(l, piece);
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		group_feed(g, piece);
}

bool
lmtp_data_failed(const struct lmtp *l)
{
	for (const struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		if (g->rc == RC_OK)
			return false;
	return true;
}

void
lmtp_data_answer_failure(struct lmtp *l)
{
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		log_failure(l, g);
	answer_failure(l, l->groups->rc, &l->groups->err);
}

bool
lmtp_data_is_light(struct lmtp *l)
{
	const struct lmtp_group *g = l->groups;

	/* where junk goes is asked of the index */
	if (session_conf(l->s)->lmtp.junk_headers.count > 0)
		return false;
	/* each volume deflates for itself, and each place is looked for among all others */
	return g->next == NULL && l->place_count <= PLACES_ON_REACTOR && g->rc == RC_OK &&
	       ingest_is_quick(g->ingest, lmtp_input(l));
}

bool
lmtp_data_feed(struct lmtp *l)
{
	struct slice rest = lmtp_input(l);

	while (rest.len > 0 && l->dots.state != DOTS_END) {
		struct slice piece;
		size_t n = dots_next(&l->dots, rest, &piece);

		lmtp_data_take(l, piece);
		rest = slice_sub(rest, n, rest.len);
		l->used += n;
	}
	return l->dots.state == DOTS_END;
}

/* ---- the commit ---- */

void
lmtp_await(struct lmtp *l, unsigned n)
{
	atomic_store_explicit(&l->pending, n, memory_order_release);
}

void
lmtp_answered(struct lmtp *l)
{
	if (atomic_fetch_sub_explicit(&l->pending, 1, memory_order_acq_rel) == 1)
		session_wake(l->s, false);
}

static void
on_committed(struct change *c, void *arg)
{
	(void)c;
	lmtp_answered(arg);
}

/* Recipients of one mailbox (anna, anna+nofolder) share a copy. */
static void
place_set_target(struct lmtp_group *g, struct lmtp_place *p)
{
	uint32_t k;

	for (k = 0; k < g->target_count && g->targets[k].mailbox != p->mailbox; k++)
		;
	if (k == g->target_count)
		g->targets[g->target_count++].mailbox = p->mailbox;
	p->target = k;
}

/* The accounts of an alias get their message together or not at all: what is refused to one would
 * come again to all. Where recipients share a copy their sets are one. */
static void
join_targets(struct lmtp_group *g, const struct lmtp_rcpt *r)
{
	uint32_t set = 0, n = 0;

	for (const struct lmtp_place *p = r->places; p != NULL; p = p->next) {
		if (p->group != g)
			continue;
		n++;
		if (set == 0)
			set = g->targets[p->target].set != 0 ? g->targets[p->target].set
			                                     : p->target + 1;
	}
	for (const struct lmtp_place *p = n > 1 ? r->places : NULL; p != NULL; p = p->next) {
		uint32_t old = p->group == g ? g->targets[p->target].set : 0;

		if (p->group == g)
			g->targets[p->target].set = set;
		for (uint32_t k = 0; old != 0 && old != set && k < g->target_count; k++)
			if (g->targets[k].set == old)
				g->targets[k].set = set;
	}
}

static enum rc
group_set_targets(struct lmtp *l, struct lmtp_group *g)
{
	uint32_t n = 0;

	for (const struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next)
		for (const struct lmtp_place *p = r->places; p != NULL; p = p->next)
			n += p->group == g;
	g->target_count = 0;
	g->targets = arena_array(&g->change->arena, n, sizeof *g->targets);
	if (g->targets == NULL)
		return err_nomem(&g->err);
	for (const struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next)
		for (struct lmtp_place *p = r->places; p != NULL; p = p->next)
			if (p->group == g)
				place_set_target(g, p);
	for (const struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next)
		join_targets(g, r);
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
	m->internaldate = (struct mail_date){ (int64_t)(now_us / 1000000u),
	                                      (int16_t)clock_zone_minutes(now_us) };
	m->targets = g->targets;
	m->target_count = g->target_count;
	g->change->u.append = (struct change_append){ .messages = m, .message_count = 1,
	                                              .each_target = true };
	rc = lmtp_retry_set_keys(l, g);
	if (rc != RC_OK)
		return rc;
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
		g->message_id = arena_dup(&l->arena,
		                          slice_sub(s.keys.message_id, 0, LMTP_MSGID_MAX));
	arena_fini(&a);
}

static void
group_finish(struct lmtp *l, struct lmtp_group *g)
{
	if (g->rc == RC_OK && ingest_finish(&g->ingest, &g->content, &g->err) != RC_OK)
		group_fail(g);
	if (g->rc != RC_OK)
		return;
	g->size = ingested_size(g->content);
	group_take_message_id(l, g);
}

bool
lmtp_complete(struct lmtp *l)
{
	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		group_finish(l, g);
	lmtp_retry_finish(l);
	l->junk = junk_header_matches(buf_slice(&l->head), &session_conf(l->s)->lmtp.junk_headers);
	if (l->junk)
		lmtp_folder_junk(l);
	return lmtp_folder_make(l);
}

bool
lmtp_commit(struct lmtp *l)
{
	uint64_t now_us = clock_wall_us();
	unsigned n = 0;

	for (struct lmtp_group *g = l->groups; g != NULL; g = g->next) {
		if (g->rc == RC_OK && group_make_change(l, g, now_us) != RC_OK) {
			group_fail(g);
			change_free(&g->change);
		}
		n += g->rc == RC_OK;
	}
	if (n == 0)
		return false;
	lmtp_await(l, n);
	/* All may be answered, and this session woken, before the loop ends; the next step begins
	 * only behind this one. */
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

/* For whom a trusted peer spoke, and what it calls the message. */
static void
log_forwarded(struct logline *line, const struct lmtp *l)
{
	const struct forward *f = l->forward.value[FORWARD_ADDR].len > 0 ? &l->forward : &l->client;

	if (l->forward.value[FORWARD_IDENT].len > 0)
		log_str(line, "queue_id", l->forward.value[FORWARD_IDENT]);
	if (f->value[FORWARD_ADDR].len > 0)
		log_str(line, "client", f->value[FORWARD_ADDR]);
	if (f->value[FORWARD_NAME].len > 0)
		log_str(line, "client_name", f->value[FORWARD_NAME]);
	if (l->client.value[FORWARD_LOGIN].len > 0)
		log_str(line, "client_login", l->client.value[FORWARD_LOGIN]);
}

static void
log_delivery(struct lmtp *l, const struct lmtp_rcpt *r, const struct lmtp_place *p, const char *id)
{
	const struct append_target *t = &p->group->targets[p->target];
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_INFO,
	            t->suppressed ? "lmtp.duplicate" : "lmtp.delivered");
	log_cstr(&line, "id", id);
	log_str(&line, "from", l->sender);
	log_str(&line, "to", r->text);
	log_str(&line, "account", p->name);
	log_str(&line, "mailbox", p->folder);
	log_str(&line, "msgid", p->group->message_id);
	log_forwarded(&line, l);
	if (l->envid.len > 0)
		log_str(&line, "envid", l->envid);
	if (l->junk)
		log_cstr(&line, "junk", "yes");
	log_u64(&line, "size", p->group->size);
	if (!t->suppressed)
		log_u64(&line, "uid", t->uid);
	log_u64(&line, "ms", clock_mono_ms() - l->began_ms);
	log_end(&line);
}

/* What the writer said of this place; a change that is durable has happened, whatever
 * came behind it. */
static enum rc
place_result(const struct lmtp_place *p)
{
	const struct lmtp_group *g = p->group;
	enum rc rc = g->change != NULL && g->targets != NULL ? g->targets[p->target].rc : RC_OK;

	return rc != RC_OK ? rc : g->rc;
}

static void
rcpt_answer(struct lmtp *l, const struct lmtp_rcpt *r, const char *id)
{
	const struct lmtp_place *failed = NULL;
	bool again = true;
	enum rc rc = RC_OK;

	for (const struct lmtp_place *p = r->places; p != NULL; p = p->next) {
		if (place_result(p) == RC_OK) {
			log_delivery(l, r, p, id);
			again = again && p->group->targets[p->target].suppressed;
		} else {
			failed = p;
			rc = place_result(p);
		}
	}
	if (failed == NULL) {
		lmtp_reply(l, "250 2.0.0 Delivered%s, id %s", again ? " before" : "", id);
		lmtp_retry_answered(l, r);
		return;
	}
	/* Those that have it all the same stay unconfirmed: when the message comes again,
	 * it is no other. */
	if (rc == RC_LIMIT && failed->group->change != NULL)
		lmtp_refuse_quota(l, r->text, failed->name, failed->usage);
	else
		/* Also a mailbox that was deleted meanwhile: the next try will find another
		 * place or none. */
		answer_failure(l, rc, &failed->group->err);
}

bool
lmtp_commit_is_small(const struct lmtp *l)
{
	for (const struct lmtp_group *g = l->groups; g != NULL; g = g->next)
		if (g->rc != RC_OK || g->change->rc != RC_OK)
			return false;           /* giving up what was ingested may touch files */
	/* a line of the log each: one alias may have a thousand */
	return l->place_count <= PLACES_ON_REACTOR;
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
	lmtp_retry_all_answered(l, lmtp_received(l));
	lmtp_transaction_reset(l);
	forward_reset(&l->forward);     /* it was for this message */
}
