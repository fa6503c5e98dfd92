/* append_stream - see append_stream.h. [RFC 9051 s6.3.12, RFC 3502, RFC 3516 s4.4, RFC 9755 s4]
 *
 * Literals of every kind are messages: synchronising or not, literal8 (with NUL), and the
 * "UTF8 (~{n}" of RFC 6855, which RFC 9755 took back and some clients still send; its content is a
 * message like any other.
 *
 * Header fields with octets above 0x7f are refused from clients that have enabled neither
 * UTF8=ACCEPT nor IMAP4rev2 [RFC 9755 s4 MUST]. The rule holds for a server that offers
 * UTF8=ACCEPT, so hiding that capability for an account lifts it: for moving old mail with a tool
 * that enables nothing. Looked at is the message's own header, not those of its parts.
 */
#include "server/imap/append_stream.h"

#include "index/box_cache.h"
#include "lib/clock.h"
#include "lib/nowait.h"
#include "server/imap/private.h"

/* Of all messages of a command but the last: they wait in memory. */
#define MULTI_BYTES (32u << 20)

struct append_item {
	struct append_item *next;
	struct ingested    *content;
	uint32_t            flags;
	struct slice        keywords;
	struct mail_date    date;
	bool                dated;
	bool                closes;             /* a ")" stands behind the literal */
};

/* ---- what stands before a literal ---- */

/* utf8-literal = "UTF8" SP "(" literal8 ")", up to the literal        [RFC 6855 s4] */
static bool
parse_utf8_data(struct imap *im, struct cursor *c, struct append_item *item)
{
	if (!im->priv->framer.literal.binary || !cur_take_word(c, "UTF8"))
		return true;
	item->closes = true;
	return cur_space(c) && cur_want(c, '(');
}

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
	if (!parse_utf8_data(im, c, item))
		return false;
	if (cur_rest(c).len != im->priv->framer.literal.spec_len)
		return cur_fail(c, "flags, date-time or literal");
	c->pos = c->in.len;
	return true;
}

static struct append_item *
push_item(struct imap *im, struct append_stream *st, struct cursor *c)
{
	struct append_item *item = arena_zalloc(&im->arena, sizeof *item);

	if (item == NULL || st->count == st->count_max) {
		cur_fail(c, st->count_max == 1 ? "end of command"
					       : "fewer messages in one command");
		return NULL;
	}
	item->keywords = SLICE("");
	if (st->last != NULL)
		st->last->next = item;
	else
		st->first = item;
	st->last = item;
	st->count++;
	return item;
}

/* mailbox append-message. The mailbox may itself be a literal, which is collected. */
enum imap_literal
append_stream_literal(struct imap *im, struct cursor *c, struct append_stream *st)
{
	struct append_item *item;

	if (cur_rest(c).len == im->priv->framer.literal.spec_len)
		return LITERAL_COLLECT;
	if (!parse_mailbox_given(im, c, &st->name, &st->given))
		return LITERAL_REFUSE;
	item = push_item(im, st, c);
	if (item == NULL || !parse_append_opts(im, c, item))
		return LITERAL_REFUSE;
	return LITERAL_STREAM;
}

/* ---- stages ---- */

static enum imap_result
refuse(struct imap *im, struct append_stream *st, bool sent)
{
	framer_refuse(&im->priv->framer, "", sent);
	st->stage = sent ? APPEND_SWALLOW : APPEND_OVER;
	return sent ? IMAP_INPUT : IMAP_DONE;
}

enum imap_result
append_stream_refuse(struct imap *im, struct append_stream *st)
{
	return refuse(im, st, !im->priv->framer.literal.sync);
}

/* Where the last message went is most often where the next one goes, and then no index is asked. */
static void
remember_target(struct imap *im, const struct append_stream *st, uint64_t version)
{
	struct append_target_memory *m = &im->priv->append_target;

	m->mailbox = 0;
	if (st->name.len > sizeof m->name)
		return;
	m->mailbox = st->box.id;
	m->account = im->account;
	m->version = version;
	m->len = (uint8_t)st->name.len;
	memcpy(m->name, st->name.ptr, st->name.len);
}

static void
recall_target(struct imap *im, struct append_stream *st)
{
	const struct append_target_memory *m = &im->priv->append_target;

	if (st->given.ptr != NULL)
		return;
	if (m->mailbox != 0 && m->account == im->account && slice_eq(st->name, slice_of(m->name, m->len)) &&
	    m->version == volume_places_version(im->volume))
		st->box.id = m->mailbox;
	else
		st->box.id = volume_recall_mailbox(im->volume, im->account, st->name, &im->arena);
}

static enum rc
find_target(struct imap *im, struct append_stream *st, struct err *e)
{
	uint64_t version = volume_places_version(im->volume);
	enum rc rc = volume_find_mailbox(im->volume, im->account, st->name, &im->arena, &st->box, e);

	if (rc == RC_OK)
		remember_target(im, st, version);
	return rc;
}

/* On the reactor: if that would have to wait, or fails, the pool looks. */
static void
find_target_now(struct imap *im, struct append_stream *st)
{
	struct err e = ERR_INIT;
	enum rc rc;

	if (im->priv->heavy || !nowait_is_possible())
		return;
	nowait_begin();
	rc = find_target(im, st, &e);
	if (nowait_end() || rc != RC_OK)
		st->box.id = 0;
}

/* May a message of this size go into this mailbox? False: imap_reply was called. */
static bool
may_append(struct imap *im, struct append_stream *st)
{
	uint64_t size = im->priv->framer.literal.size;
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	if (st->box.id == 0)
		rc = find_target(im, st, &e);
	if (rc == RC_NOT_FOUND)
		imap_reply_no_target(im, st->name);
	else if (rc != RC_OK)
		imap_reply_error(im, rc, &e);
	else if (size == 0)
		imap_reply(im, IMAP_NO, "[CANNOT] Message is empty");
	else if (size > session_conf(im->s)->limits.message_size)
		imap_reply(im, IMAP_NO, "[TOOBIG] Message is over the limit message_size");
	else if (st->bytes > MULTI_BYTES)
		imap_reply(im, IMAP_NO, "[LIMIT] Too many octets in one MULTIAPPEND");
	else
		return true;
	return false;
}

static enum imap_result
run_open(struct imap *im, struct append_stream *st)
{
	struct framer_literal lit = im->priv->framer.literal;
	struct err e = ERR_INIT;
	enum rc rc;

	if (!may_append(im, st))
		return refuse(im, st, !lit.sync);
	rc = ingest_new(im->volume, session_conf(im->s)->limits.message_size, &st->ingest, &e);
	if (rc != RC_OK) {
		imap_reply_error(im, rc, &e);
		return refuse(im, st, !lit.sync);
	}
	if (lit.sync)
		imap_continue(im, SLICE("Go on"));
	framer_stream(&im->priv->framer);
	st->in_header = true;
	st->line_empty = true;
	st->stage = APPEND_FEED;
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
finish_message(struct imap *im, struct append_stream *st)
{
	struct err e = ERR_INIT;
	enum rc rc = ingest_finish(&st->ingest, &st->last->content, &e);

	if (rc != RC_OK) {
		st->last->content = NULL;
		feed_failed(im, rc, &e);
		return refuse(im, st, true);
	}
	st->bytes += ingested_size(st->last->content);
	st->held += ingested_held(st->last->content);
	im->priv->ingests = st->held;
	st->stage = APPEND_NEXT;
	return IMAP_INPUT;
}

/* More of the message: has its header, which an empty line ends, an octet above 0x7f? */
static bool
has_8bit_header(struct append_stream *st, struct slice in)
{
	for (size_t i = 0; i < in.len && st->in_header; i++) {
		uint8_t ch = in.ptr[i];

		if (ch > 0x7f)
			return true;
		if (ch == '\n' && st->line_empty)
			st->in_header = false;
		else if (ch != '\r')
			st->line_empty = ch == '\n';
	}
	return false;
}

/* False: imap_reply was called. */
static bool
may_hold(struct imap *im, struct append_stream *st, struct slice in)
{
	bool strict = !im->utf8 && !imap_is_hidden(im, SLICE("UTF8=ACCEPT"));

	if (!im->priv->framer.literal.binary && slice_find_byte(in, '\0') < in.len)
		imap_reply(im, IMAP_BAD, "%s: a message with NUL needs a literal8", im->cmd->name);
	else if (strict && has_8bit_header(st, in))
		imap_reply(im, IMAP_NO, "[CANNOT] 8-bit header fields need ENABLE UTF8=ACCEPT");
	else
		return true;
	return false;
}

/* What has come of the literal. */
static struct slice
literal_input(const struct imap *im)
{
	struct slice in = imap_input(im);

	return slice_sub(in, 0, in.len < im->priv->framer.literal_left ? in.len : (size_t)im->priv->framer.literal_left);
}

static enum imap_result
run_feed(struct imap *im, struct append_stream *st)
{
	struct framer *f = &im->priv->framer;
	struct slice in = literal_input(im);
	struct err e = ERR_INIT;
	enum rc rc;

	if (!may_hold(im, st, in))
		return refuse(im, st, true);
	rc = ingest_feed(st->ingest, in, &e);
	if (rc != RC_OK) {
		feed_failed(im, rc, &e);
		return refuse(im, st, true);
	}
	im->priv->ingests = st->held + ingest_held(st->ingest);
	framer_streamed(f, in.len);
	imap_input_taken(im, in.len);
	return f->literal_left > 0 ? IMAP_INPUT : finish_message(im, st);
}

bool
append_stream_light(struct imap *im, struct append_stream *st)
{
	if (st->stage == APPEND_FEED)
		return ingest_is_quick(st->ingest, literal_input(im));
	if (st->stage != APPEND_OPEN)
		return false;
	if (st->box.id == 0)
		recall_target(im, st);
	if (st->box.id == 0)
		find_target_now(im, st);
	return st->box.id != 0;
}

enum imap_result
append_stream_run(struct imap *im, struct append_stream *st)
{
	switch (st->stage) {
	case APPEND_OPEN:
		return run_open(im, st);
	case APPEND_FEED:
		return run_feed(im, st);
	case APPEND_NEXT:
	case APPEND_SWALLOW:
		return IMAP_INPUT;
	case APPEND_OVER:
	case APPEND_COMMIT:
	case APPEND_RESULT:
		return IMAP_DONE;
	}
	return IMAP_DONE;
}

/* ---- input between messages ---- */

/* What must stand behind the literal, if anything. */
static bool
take_close(const struct append_stream *st, struct cursor *c)
{
	return !st->last->closes || cur_want(c, ')');
}

/* Another literal: one more message, if what stands before it is right. */
static void
next_message(struct imap *im, struct append_stream *st)
{
	struct framer *f = &im->priv->framer;
	struct cursor c;
	struct append_item *item = NULL;

	cur_init(&c, buf_slice(&f->frame));
	if (take_close(st, &c))
		item = push_item(im, st, &c);
	st->stage = APPEND_OPEN;
	if (item != NULL && parse_append_opts(im, &c, item))
		return;
	imap_reply_expected(im, &c);
	refuse(im, st, !f->literal.sync);
}

/* The end of the command. */
static void
end_of_messages(struct imap *im, struct append_stream *st)
{
	struct cursor c;

	cur_init(&c, buf_slice(&im->priv->framer.frame));
	st->stage = take_close(st, &c) && parse_end(&c) ? APPEND_COMMIT : APPEND_OVER;
	if (st->stage == APPEND_OVER)
		imap_reply_expected(im, &c);
}

static enum session_next
after_framer(struct imap *im, struct append_stream *st, enum framer_event ev)
{
	struct framer *f = &im->priv->framer;

	switch (ev) {
	case FRAMER_MORE:
		return NEXT_INPUT;
	case FRAMER_COMMAND:
		end_of_messages(im, st);
		return NEXT_STEP;
	case FRAMER_LITERAL:
		next_message(im, st);
		return NEXT_STEP;
	case FRAMER_REFUSED:
		if (st->stage != APPEND_SWALLOW)
			imap_reply(im, IMAP_BAD, "%s", f->refused);
		st->stage = APPEND_OVER;
		return NEXT_STEP;
	case FRAMER_CLOSE:
		imap_bye(im, "%s", f->refused);
		return NEXT_INPUT;
	}
	return NEXT_INPUT;
}

enum session_next
append_stream_input(struct imap *im, struct append_stream *st)
{
	enum framer_event ev;
	size_t used;

	if (st->stage == APPEND_FEED)
		return imap_input(im).len > 0 ? NEXT_STEP : NEXT_INPUT;
	ev = framer_feed(&im->priv->framer, imap_input(im), &used);
	imap_input_taken(im, used);
	return after_framer(im, st, ev);
}

void
append_stream_drop(struct append_stream *st)
{
	if (st->ingest != NULL)
		ingest_abort(&st->ingest);
	for (struct append_item *item = st->first; item != NULL; item = item->next) {
		if (item->content != NULL)
			ingested_unref(&item->content);
	}
}

/* ---- the change ---- */

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

struct change *
append_stream_change(struct append_stream *st)
{
	struct change *c = change_new(CHANGE_APPEND);
	struct append_message *messages =
	    c != NULL ? arena_array(&c->arena, st->count, sizeof *messages) : NULL;
	bool ok = messages != NULL;

	if (c != NULL)
		c->u.append.messages = messages;
	for (struct append_item *item = st->first; ok && item != NULL; item = item->next) {
		ok = fill_message(c, &messages[c->u.append.message_count], item, st->box.id);
		if (ok)
			c->u.append.message_count++;
	}
	if (!ok)
		change_free(&c);
	return c;
}

/* resp-code-apnd = "APPENDUID" SP nz-number SP append-uid            [RFC 9051 s9] */
void
append_stream_done(struct imap *im, struct append_stream *st, const struct change_append *done,
                   struct buf *code)
{
	struct uid_set uids;

	if (st->given.ptr != NULL && im->rev2)
		imap_out_list(im, &st->box, st->given);
	uid_set_init(&uids, st->count_max);
	for (uint32_t i = 0; i < done->message_count; i++)
		uid_set_add(
		    &uids, done->messages[i].targets[0].uid, done->messages[i].targets[0].uid);
	buf_printf(code, "APPENDUID %u ", done->messages[0].targets[0].uidvalidity);
	uid_set_format(&uids, code);
	uid_set_fini(&uids);
}

void
append_stream_tell_own(struct imap *im, const struct append_stream *st, const struct change_append *done)
{
	const struct append_target *t = &done->messages[0].targets[0];

	if (done->message_count == 1 && t->mailbox == im->mailbox && st->first->keywords.len == 0)
		imap_tell_own_append(im, t->uid, t->modseq);
}

void
append_stream_failed(struct imap *im, struct append_stream *st, const struct change *c)
{
	if (c->rc == RC_NOT_FOUND && !c->durable)
		imap_reply_no_target(im, st->name);
	else
		imap_reply_error(im, c->rc, &c->err);
}
