/* cmd_append - APPEND and MULTIAPPEND [RFC 9051 s6.3.12, RFC 3502, RFC 4315], literals of every
 * kind.
 *
 * A message's octets never stand in the frame. When its literal is announced, the arguments
 * before it are parsed, and then the command goes through these stages, one input or one step at
 * a time:
 *
 *     OPEN -> FEED -> NEXT -> OPEN (another message) ... -> COMMIT -> RESULT
 *        \______\_______\--> SWALLOW -> OVER
 *
 * OPEN looks the mailbox up, so that a client that waits for a continuation is told TRYCREATE or
 * TOOBIG instead; FEED takes what is in the input buffer, so memory is bounded by it; after a
 * refusal the rest of the command is swallowed by the framer and then answered. All messages of
 * a MULTIAPPEND become one change: all are there, or none.
 */
#include "lib/clock.h"
#include "server/imap/commands.h"
#include "server/imap/private.h"

#define MULTI_COUNT 256u                /* messages in one MULTIAPPEND */
#define MULTI_BYTES (32u << 20)         /* of all of them but the last: they wait in memory */

enum append_stage {
	APPEND_OPEN,
	APPEND_FEED,
	APPEND_NEXT,
	APPEND_SWALLOW,
	APPEND_OVER,
	APPEND_COMMIT,
	APPEND_RESULT,
};

struct append_item {
	struct append_item *next;
	struct ingested    *content;
	uint32_t            flags;
	struct slice        keywords;
	struct mail_date    date;
	bool                dated;
};

struct append_args {
	enum append_stage   stage;
	struct slice        name;
	mailbox_id          mailbox;            /* 0: not looked up yet */
	struct ingest      *ingest;
	struct append_item *first, *last;       /* `last` is under way until its content is set */
	uint32_t            count;
	uint64_t            bytes;
};

/* ---- what stands before a literal ---- */

/* append-opts = [SP flag-list] [SP date-time], then SP and the literal       [RFC 9051 s9] */
static bool
parse_append_opts(struct imap *im, struct cursor *c, struct append_item *item)
{
	if (!cur_space(c))
		return false;
	if (cur_peek(c) == '(' &&
	    (!parse_flag_list(c, &im->arena, &item->flags, &item->keywords) || !cur_space(c)))
		return false;
	item->dated = cur_peek(c) == '"';
	if (item->dated && (!parse_date_time(c, &item->date) || !cur_space(c)))
		return false;
	if (cur_rest(c).len != im->priv->framer.literal.spec_len)
		return cur_fail(c, "flags, date-time or literal");
	c->pos = c->in.len;
	return true;
}

static struct append_item *
push_item(struct imap *im, struct append_args *args, struct cursor *c)
{
	struct append_item *item = arena_zalloc(&im->arena, sizeof *item);

	if (item == NULL || args->count == MULTI_COUNT) {
		cur_fail(c, "fewer messages in one command");
		return NULL;
	}
	item->keywords = SLICE("");
	if (args->last != NULL)
		args->last->next = item;
	else
		args->first = item;
	args->last = item;
	args->count++;
	return item;
}

/* append = "APPEND" SP mailbox 1*append-message. The mailbox may itself be a literal, which is
 * collected. */
static enum imap_literal
append_literal(struct imap *im, struct cursor *c)
{
	struct append_args *args = arena_zalloc(&im->arena, sizeof *args);
	struct append_item *item;

	if (args == NULL)
		return LITERAL_COLLECT;
	if (!cur_space(c))
		return LITERAL_REFUSE;
	if (cur_rest(c).len == im->priv->framer.literal.spec_len)
		return LITERAL_COLLECT;
	if (!parse_mailbox(im, c, &args->name))
		return LITERAL_REFUSE;
	item = push_item(im, args, c);
	if (item == NULL || !parse_append_opts(im, c, item))
		return LITERAL_REFUSE;
	im->args = args;
	return LITERAL_STREAM;
}

/* A command that ended without a message. */
static bool
append_parse(struct imap *im, struct cursor *c)
{
	(void)im;
	return cur_fail(c, "mailbox, flags, date-time and a literal");
}

/* ---- stages ---- */

/* The reply is set: swallow what the client sends of this command in any case, then answer. */
static enum imap_result
refuse(struct imap *im, bool sent)
{
	struct append_args *args = im->args;

	framer_refuse(&im->priv->framer, "", sent);
	args->stage = sent ? APPEND_SWALLOW : APPEND_OVER;
	return sent ? IMAP_INPUT : IMAP_DONE;
}

/* May a message of this size go into this mailbox? False: imap_reply was called. */
static bool
may_append(struct imap *im, struct append_args *args)
{
	uint64_t size = im->priv->framer.literal.size;
	struct mailbox_info box;
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	if (args->mailbox == 0) {
		rc = volume_find_mailbox(im->volume, im->account, args->name, &im->arena, &box, &e);
		args->mailbox = rc == RC_OK ? box.id : 0;
	}
	if (rc == RC_NOT_FOUND)
		imap_reply_no_target(im, args->name);
	else if (rc != RC_OK)
		imap_reply_error(im, rc, &e);
	else if (size == 0)
		imap_reply(im, IMAP_NO, "[CANNOT] Message is empty");
	else if (size > session_conf(im->s)->limits.message_size)
		imap_reply(im, IMAP_NO, "[TOOBIG] Message is over the limit message_size");
	else if (args->bytes > MULTI_BYTES)
		imap_reply(im, IMAP_NO, "[LIMIT] Too many octets in one MULTIAPPEND");
	else
		return true;
	return false;
}

static enum imap_result
run_open(struct imap *im, struct append_args *args)
{
	struct framer_literal lit = im->priv->framer.literal;
	struct err e = ERR_INIT;
	enum rc rc;

	if (!may_append(im, args))
		return refuse(im, !lit.sync);
	rc = ingest_new(im->volume, session_conf(im->s)->limits.message_size, &args->ingest, &e);
	if (rc != RC_OK) {
		imap_reply_error(im, rc, &e);
		return refuse(im, !lit.sync);
	}
	if (lit.sync)
		imap_continue(im, SLICE("Go on"));
	framer_stream(&im->priv->framer);
	args->stage = APPEND_FEED;
	return IMAP_INPUT;
}

static void
feed_failed(struct imap *im, enum rc rc, const struct err *e)
{
	if (rc == RC_LIMIT)
		imap_reply(im, IMAP_NO, "[TOOBIG] Message is over the limit message_size");
	else
		imap_reply_error(im, rc, e);
}

/* The message is complete. */
static enum imap_result
finish_message(struct imap *im, struct append_args *args)
{
	struct err e = ERR_INIT;
	enum rc rc = ingest_finish(&args->ingest, &args->last->content, &e);

	if (rc != RC_OK) {
		args->last->content = NULL;
		feed_failed(im, rc, &e);
		return refuse(im, true);
	}
	args->bytes += ingested_size(args->last->content);
	args->stage = APPEND_NEXT;
	return IMAP_INPUT;
}

static enum imap_result
run_feed(struct imap *im, struct append_args *args)
{
	struct framer *f = &im->priv->framer;
	struct slice in = imap_input(im);
	struct err e = ERR_INIT;
	enum rc rc;

	if (in.len > f->literal_left)
		in.len = (size_t)f->literal_left;
	if (!f->literal.binary && slice_find_byte(in, '\0') < in.len) {
		imap_reply(im, IMAP_BAD, "APPEND: a message with NUL needs a literal8");
		return refuse(im, true);
	}
	rc = ingest_feed(args->ingest, in, &e);
	if (rc != RC_OK) {
		feed_failed(im, rc, &e);
		return refuse(im, true);
	}
	framer_streamed(f, in.len);
	imap_input_taken(im, in.len);
	return f->literal_left > 0 ? IMAP_INPUT : finish_message(im, args);
}

/* Hand one message over to the change, with all it points to. */
static bool
fill_message(struct change *c, struct append_message *m, struct append_item *item,
	     mailbox_id mailbox)
{
	uint64_t now = clock_wall_us();

	m->targets = arena_array(&c->arena, 1, sizeof *m->targets);
	m->keywords = arena_dup(&c->arena, item->keywords);
	if (m->targets == NULL || m->keywords.ptr == NULL)
		return false;
	m->targets[0].mailbox = mailbox;
	m->target_count = 1;
	m->flags = item->flags;
	m->internaldate = item->date;
	if (!item->dated)
		m->internaldate = (struct mail_date){ (int64_t)(now / 1000000),
			(int16_t)clock_zone_minutes(now) };
	m->content = item->content;
	item->content = NULL;
	return true;
}

static enum imap_result
run_commit(struct imap *im, struct append_args *args)
{
	struct change *c = change_new(CHANGE_APPEND);
	struct append_message *messages =
	    c != NULL ? arena_array(&c->arena, args->count, sizeof *messages) : NULL;
	struct err e = ERR_INIT;
	bool ok = messages != NULL;

	if (c != NULL)
		c->u.append.messages = messages;
	for (struct append_item *item = args->first; ok && item != NULL; item = item->next) {
		ok = fill_message(c, &messages[c->u.append.message_count], item, args->mailbox);
		if (ok)
			c->u.append.message_count++;
	}
	if (!ok) {
		change_free(&c);
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	args->stage = APPEND_RESULT;
	return imap_submit(im, c);
}

/* resp-code-apnd = "APPENDUID" SP nz-number SP append-uid            [RFC 9051 s9] */
static void
reply_appenduid(struct imap *im, const struct change_append *done)
{
	struct uid_set uids;
	struct buf text;

	uid_set_init(&uids, MULTI_COUNT);
	buf_init(&text, MULTI_COUNT * 24);
	for (uint32_t i = 0; i < done->message_count; i++)
		uid_set_add(
		    &uids, done->messages[i].targets[0].uid, done->messages[i].targets[0].uid);
	if (uid_set_format(&uids, &text))
		imap_reply(im, IMAP_OK, "[APPENDUID %u %.*s] APPEND completed",
		           done->messages[0].targets[0].uidvalidity, SLICE_ARG(buf_slice(&text)));
	else
		imap_reply(im, IMAP_OK, "APPEND completed");
	uid_set_fini(&uids);
	buf_fini(&text);
}

static enum imap_result
run_result(struct imap *im)
{
	struct append_args *args = im->args;
	struct change *c = im->change;

	if (c->rc == RC_OK)
		reply_appenduid(im, &c->u.append);
	else if (c->rc == RC_NOT_FOUND && !c->durable)
		imap_reply_no_target(im, args->name);
	else
		imap_reply_error(im, c->rc, &c->err);
	return IMAP_DONE;
}

static enum imap_result
append_run(struct imap *im)
{
	struct append_args *args = im->args;

	switch (args->stage) {
	case APPEND_OPEN:
		return run_open(im, args);
	case APPEND_FEED:
		return run_feed(im, args);
	case APPEND_NEXT:
	case APPEND_SWALLOW:
		return IMAP_INPUT;
	case APPEND_OVER:
		return IMAP_DONE;
	case APPEND_COMMIT:
		return run_commit(im, args);
	case APPEND_RESULT:
		return run_result(im);
	}
	return IMAP_DONE;
}

/* ---- input between messages ---- */

/* Another literal: one more message, if what stands before it is right. */
static void
next_message(struct imap *im, struct append_args *args)
{
	struct framer *f = &im->priv->framer;
	struct cursor c;
	struct append_item *item;

	cur_init(&c, buf_slice(&f->frame));
	item = push_item(im, args, &c);
	args->stage = APPEND_OPEN;
	if (item != NULL && parse_append_opts(im, &c, item))
		return;
	imap_reply_expected(im, &c);
	refuse(im, !f->literal.sync);
}

static enum session_next
after_framer(struct imap *im, struct append_args *args, enum framer_event ev)
{
	struct framer *f = &im->priv->framer;

	switch (ev) {
	case FRAMER_MORE:
		return NEXT_INPUT;
	case FRAMER_COMMAND:
		args->stage = f->frame.len == 0 ? APPEND_COMMIT : APPEND_OVER;
		if (args->stage == APPEND_OVER)
			imap_reply(
			    im, IMAP_BAD, "APPEND: expected end of command or another message");
		return NEXT_STEP;
	case FRAMER_LITERAL:
		next_message(im, args);
		return NEXT_STEP;
	case FRAMER_REFUSED:
		if (args->stage != APPEND_SWALLOW)
			imap_reply(im, IMAP_BAD, "%s", f->refused);
		args->stage = APPEND_OVER;
		return NEXT_STEP;
	case FRAMER_CLOSE:
		imap_bye(im, "%s", f->refused);
		return NEXT_INPUT;
	}
	return NEXT_INPUT;
}

static enum session_next
append_input(struct imap *im)
{
	struct append_args *args = im->args;
	enum framer_event ev;
	size_t used;

	if (args->stage == APPEND_FEED)
		return imap_input(im).len > 0 ? NEXT_STEP : NEXT_INPUT;
	ev = framer_feed(&im->priv->framer, imap_input(im), &used);
	imap_input_taken(im, used);
	return after_framer(im, args, ev);
}

static void
append_drop(struct imap *im)
{
	struct append_args *args = im->args;

	if (args == NULL)
		return;
	if (args->ingest != NULL)
		ingest_abort(&args->ingest);
	for (struct append_item *item = args->first; item != NULL; item = item->next) {
		if (item->content != NULL)
			ingested_unref(&item->content);
	}
}

const struct imap_command imap_cmd_append = {
	.name = "APPEND",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = append_parse,
	.run = append_run,
	.input = append_input,
	.drop = append_drop,
	.literal = append_literal,
};
