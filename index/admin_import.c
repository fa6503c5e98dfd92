/* admin_import - the verb behind restantectl import: reads a stream of messages (parcel.h)
 * and commits them.
 *
 * A message goes through the same ingest as LMTP's. What its mailbox had already when the import
 * began is not taken again (import_seen.h), so an import that was cut, here or there, is run again
 * and gives no message twice. Messages are committed in batches; while one batch is synced the next
 * is read. For each message of the stream there is one line of answer, once it is
 * decided and durable:
 *
 *     done SEQ UID       it is in the mailbox now
 *     there SEQ UID      the mailbox had it
 *     bad SEQ TEXT       it was not taken, the others are
 *     left SEQ TEXT      it was not taken, and the import ends: over quota, the volume
 *                        takes nothing ...
 *
 * A message over the limit message_size is not taken, as by LMTP. Nothing but the answers grows: at
 * most two batches are held, each of BATCH_MESSAGES or about BATCH_BYTES, of which large
 * ones lie on disk.
 */
#include "index/admin_impl.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/import_seen.h"
#include "index/ingest.h"
#include "index/keywords.h"
#include "index/parcel.h"

#define BATCH_MESSAGES 100u
#define BATCH_BYTES    (8u << 20)
#define READ_SIZE      65536u
#define TOO_LARGE      "it is over the limit message_size"

/* Messages on their way to the writer. */
struct batch {
	struct change *change;          /* NULL: empty */
	uint64_t       seqs[BATCH_MESSAGES];
	uint32_t       count;
	uint64_t       bytes;
};

struct import_run {
	struct admin_call  *c;
	struct volume      *v;
	struct account_info account;
	bool                dry_run, keep_uids, keep_uidl;
	struct import_seen *seen;

	struct mailbox_info box;  /* its name is not kept; id 0: it is refused, or would be made */
	struct buf          box_name;
	bool                box_refused;
	char                box_why[ERR_TEXT_MAX];
	struct seen_box    *box_seen;   /* NULL: it holds nothing */
	mail_uid            box_uidnext;        /* wanted when all its messages are in */

	struct ingest        *in;       /* NULL: what comes is dropped */
	struct parcel_message message;  /* its texts are in `texts` */
	struct buf            texts;
	char                  why[ERR_TEXT_MAX];        /* the message was dropped as */

	struct batch  filling, flying;
	sem_t         landed;           /* the flying one is decided */
	uint64_t      new_bytes, new_count;     /* --dry-run: what would come in */
	bool          over;             /* nothing more is taken; told */
};

/* ---- answers ---- */

static bool
answer(struct import_run *r, const char *what, uint64_t seq, const char *text)
{
	return admin_printf(r->c, "%s %llu %s", what, (unsigned long long)seq, text);
}

static bool
answer_uid(struct import_run *r, const char *what, uint64_t seq, mail_uid uid)
{
	return admin_printf(r->c, "%s %llu %u", what, (unsigned long long)seq, uid);
}

/* ---- batches ---- */

static void
on_landed(struct change *c, void *arg)
{
	struct import_run *r = arg;

	(void)c;
	sem_post(&r->landed);
}

static void
answer_target(struct import_run *r, uint64_t seq, const struct append_target *t)
{
	switch (t->rc) {
	case RC_OK:
		answer_uid(r, "done", seq, t->uid);
		return;
	case RC_LIMIT:
		answer(r, "left", seq, "over quota");
		r->over = true;
		return;
	case RC_EXISTS:
		answer(r, "bad", seq,
		       "its UID cannot be given: it is below the mailbox's UIDNEXT, or the "
		       "last that there is");
		return;
	case RC_NOT_FOUND:
		answer(r, "bad", seq, "the mailbox was deleted meanwhile");
		return;
	case RC_NOMEM:
	case RC_IO:
	case RC_CORRUPT:
	case RC_SYNTAX:
	case RC_DENIED:
	case RC_BUSY:
	case RC_CANCELLED:
	case RC_WAIT:
		answer(r, "bad", seq, rc_name(t->rc));
		return;
	}
}

/* Wait for the batch under way and answer for its messages. */
static void
land(struct import_run *r)
{
	struct batch *b = &r->flying;
	struct change *c = b->change;
	bool happened;

	if (c == NULL)
		return;
	while (sem_wait(&r->landed) != 0)
		continue;
	happened = c->rc == RC_OK || c->durable;
	for (uint32_t i = 0; i < b->count; i++) {
		if (happened)
			answer_target(r, b->seqs[i], &c->u.append.messages[i].targets[0]);
		else
			answer(r, "left", b->seqs[i],
			       c->err.text[0] != '\0' ? c->err.text : rc_name(c->rc));
	}
	r->over = r->over || !happened;
	change_free(&b->change);
	*b = (struct batch){ .change = NULL };
}

/* Send what was gathered on its way. */
static void
launch(struct import_run *r)
{
	land(r);
	if (r->filling.change == NULL)
		return;
	r->flying = r->filling;
	r->filling = (struct batch){ .change = NULL };
	r->flying.change->who = (struct frame_who){ .protocol = PROTO_ADMIN };
	r->flying.change->done = on_landed;
	r->flying.change->done_arg = r;
	volume_submit(r->v, r->flying.change);
}

static void
settle(struct import_run *r)
{
	launch(r);
	land(r);
}

static enum rc
batch_open(struct batch *b, struct err *e)
{
	struct change_append *ca;

	if (b->change != NULL)
		return RC_OK;
	b->change = change_new(CHANGE_APPEND);
	if (b->change == NULL)
		return err_nomem(e);
	ca = &b->change->u.append;
	ca->each_target = true;
	ca->messages = arena_array(&b->change->arena, BATCH_MESSAGES, sizeof *ca->messages);
	return ca->messages != NULL ? RC_OK : err_nomem(e);
}

/* Takes over *content. */
static enum rc
batch_add(struct import_run *r, struct ingested **content, struct err *e)
{
	struct batch *b = &r->filling;
	struct append_target *target;
	struct append_message *m;
	struct arena *a;
	enum rc rc = batch_open(b, e);

	if (rc != RC_OK)
		return rc;
	a = &b->change->arena;
	target = arena_array(a, 1, sizeof *target);
	if (target == NULL)
		return err_nomem(e);
	*target = (struct append_target){ .mailbox = r->box.id };
	m = &b->change->u.append.messages[b->count];
	*m = (struct append_message){
		.flags = r->message.flags,
		.keywords = arena_dup(a, r->message.keywords),
		.internaldate = r->message.internaldate,
		.targets = target,
		.target_count = 1,
		.uid = r->keep_uids ? r->message.uid : 0,
		.uidl = arena_dup(a, r->message.uidl),
	};
	if (m->keywords.ptr == NULL || m->uidl.ptr == NULL)
		return err_nomem(e);
	m->content = *content;
	*content = NULL;
	b->seqs[b->count++] = r->message.seq;
	b->change->u.append.message_count = b->count;
	b->bytes += ingested_size(m->content);
	if (b->count == BATCH_MESSAGES || b->bytes >= BATCH_BYTES)
		launch(r);
	return RC_OK;
}

/* ---- mailboxes ---- */

/* The messages of this mailbox are not taken. */
static void
refuse_box(struct import_run *r, struct slice name, const char *why)
{
	r->box = (struct mailbox_info){ .id = 0 };
	r->box_refused = true;
	snprintf(r->box_why, sizeof r->box_why, "%s", why);
	admin_complain(r->c, "%.*s: %s", SLICE_ARG(name), why);
}

/* A special use that another mailbox of the account has is not given twice. */
static enum rc
free_uses(struct import_run *r, uint32_t *uses, struct err *e)
{
	struct mailbox_info *all;
	size_t n;
	enum rc rc;

	if (*uses == 0)
		return RC_OK;
	rc = volume_list_mailboxes(r->v, r->account.id, &r->c->arena, &all, &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		*uses &= ~all[i].special_use;
	return rc;
}

static enum rc
submit_box(struct import_run *r, enum change_kind kind, struct slice name,
           const struct parcel_mailbox *m, mail_uid uidnext, struct err *e)
{
	struct change *c = change_new(kind);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	c->who = (struct frame_who){ .protocol = PROTO_ADMIN };
	c->u.mailbox.account = r->account.id;
	c->u.mailbox.name = arena_dup(&c->arena, name);
	c->u.mailbox.uidvalidity = m != NULL && r->keep_uids ? m->uidvalidity : 0;
	c->u.mailbox.uidnext = uidnext;
	c->u.mailbox.special_use = m != NULL ? m->special_use : 0;
	rc = c->u.mailbox.name.ptr == NULL ? err_nomem(e)
	     : m != NULL                   ? free_uses(r, &c->u.mailbox.special_use, e)
	                                   : RC_OK;
	if (rc == RC_OK)
		rc = volume_submit_wait(r->v, c);
	if (rc != RC_OK && c->durable)
		rc = RC_OK;
	else if (rc != RC_OK && c->rc != RC_OK)
		*e = c->err;
	change_free(&c);
	return rc;
}

static enum rc
subscribe(struct import_run *r, struct slice name, struct err *e)
{
	struct change *c;
	enum rc rc;

	if (r->dry_run)
		return RC_OK;
	c = change_new(CHANGE_SUBSCRIBE);
	if (c == NULL)
		return err_nomem(e);
	c->who = (struct frame_who){ .protocol = PROTO_ADMIN };
	c->u.subscribe = (struct change_subscribe){ r->account.id, arena_dup(&c->arena, name),
	                                            true };
	rc = c->u.subscribe.name.ptr == NULL ? err_nomem(e) : volume_submit_wait(r->v, c);
	if (rc != RC_OK && c->durable)
		rc = RC_OK;
	else if (rc != RC_OK && c->rc != RC_OK)
		*e = c->err;
	change_free(&c);
	return rc;
}

/* What keeps the messages' UIDs: the UIDVALIDITY is the source's, or becomes it. */
static enum rc
adopt_box(struct import_run *r, const struct parcel_mailbox *m, struct err *e)
{
	if (!r->keep_uids || m->uidvalidity == 0 || m->uidvalidity == r->box.uidvalidity)
		return RC_OK;
	if (r->box.uidnext > 1)
		return err_set(e, RC_EXISTS,
		               "it has had messages, so its UIDVALIDITY stays %u and the UIDs of "
		               "the source, of UIDVALIDITY %u, cannot be kept: import into a new "
		               "account or folder, or without --keep-uids",
		               r->box.uidvalidity, m->uidvalidity);
	return r->dry_run ? RC_OK : submit_box(r, CHANGE_MAILBOX_ADOPT, m->name, m, 0, e);
}

/* Find the mailbox or make it. */
static enum rc
open_box(struct import_run *r, const struct parcel_mailbox *m, struct err *e)
{
	struct admin_call *c = r->c;
	struct err sub = ERR_INIT;
	enum rc rc = volume_find_mailbox(r->v, r->account.id, m->name, &c->arena, &r->box, &sub);

	if (rc == RC_NOT_FOUND && r->dry_run)
		return RC_OK;
	if (rc == RC_NOT_FOUND)
		rc = submit_box(r, CHANGE_MAILBOX_CREATE, m->name, m, 0, e);
	else if (rc == RC_OK)
		rc = adopt_box(r, m, e);
	else
		*e = sub;
	if (rc != RC_OK)
		return rc;
	rc = volume_find_mailbox(r->v, r->account.id, m->name, &c->arena, &r->box, e);
	return rc == RC_OK ? import_seen_box(r->seen, r->box.id, &r->box_seen, e) : rc;
}

/* The mailbox's messages are all in: its UIDNEXT may go up to what the source said. */
static enum rc
close_box(struct import_run *r, struct err *e)
{
	mail_uid uidnext = r->box_uidnext;
	enum rc rc = RC_OK;

	settle(r);
	if (uidnext > 0 && r->box.id != 0 && !r->over && !r->dry_run)
		rc = submit_box(r, CHANGE_MAILBOX_ADOPT, buf_slice(&r->box_name), NULL, uidnext, e);
	r->box_uidnext = 0;
	return rc;
}

static enum rc
on_mailbox(void *arg, const struct parcel_mailbox *m, struct err *e)
{
	struct import_run *r = arg;
	struct err why = ERR_INIT;
	enum rc rc = close_box(r, e);

	if (rc != RC_OK)
		return rc;
	r->box_refused = false;
	r->box_seen = NULL;
	r->box = (struct mailbox_info){ .id = 0 };
	buf_reset(&r->box_name);
	if (!buf_append_slice(&r->box_name, m->name))
		return err_nomem(e);
	arena_reset(&r->c->arena);
	rc = open_box(r, m, &why);
	if (rc == RC_OK && m->subscribe)
		rc = subscribe(r, m->name, &why);
	if (rc == RC_NOMEM || rc == RC_IO || rc == RC_BUSY || rc == RC_CORRUPT) {
		*e = why;
		return rc;
	}
	if (rc != RC_OK)
		refuse_box(r, m->name, why.text[0] != '\0' ? why.text : rc_name(rc));
	else if (r->keep_uids)
		r->box_uidnext = m->uidnext;
	return RC_OK;
}

/* A name that no mailbox could have is of no use to any client. */
static enum rc
on_subscription(void *arg, struct slice name, struct err *e)
{
	struct import_run *r = arg;
	struct err why = ERR_INIT;
	enum rc rc = subscribe(r, name, &why);

	if (rc != RC_DENIED && rc != RC_LIMIT && rc != RC_NOT_FOUND) {
		*e = why;
		return rc;
	}
	admin_complain(r->c, "subscription of %.*s: %s", SLICE_ARG(name), why.text);
	return RC_OK;
}

/* ---- messages ---- */

/* Only what is a keyword, and no more than fits. */
static struct slice
keep_keywords(struct import_run *r, struct slice text)
{
	struct arena *a = &r->c->arena;
	struct keyword_list all = { NULL, 0 };
	struct err e = ERR_INIT;
	struct slice out = SLICE_NONE;

	while (text.len > 0) {
		size_t n = slice_find_byte(text, ' ');
		struct keyword_list one, more;

		if (n > 0 && keywords_split(slice_sub(text, 0, n), a, &one, &e) == RC_OK &&
		    keywords_add(&all, &one, a, &more, &e) == RC_OK &&
		    keywords_join(&more, a, &out, &e) == RC_OK)
			all = more;
		text = slice_sub(text, n + 1, text.len);
	}
	return keywords_join(&all, a, &out, &e) == RC_OK ? out : SLICE_NONE;
}

static bool
keep_texts(struct import_run *r)
{
	struct slice words = keep_keywords(r, r->message.keywords), uidl = r->message.uidl;

	buf_reset(&r->texts);
	if (!buf_append_slice(&r->texts, words) ||
	    (r->keep_uidl && !buf_append_slice(&r->texts, uidl)))
		return false;
	r->message.keywords = slice_sub(buf_slice(&r->texts), 0, words.len);
	r->message.uidl = slice_sub(buf_slice(&r->texts), words.len, r->texts.len);
	return true;
}

static void
drop_message(struct import_run *r, const char *why)
{
	ingest_abort(&r->in);
	snprintf(r->why, sizeof r->why, "%s", why);
}

static enum rc
on_message(void *arg, const struct parcel_message *m, struct err *e)
{
	struct import_run *r = arg;
	struct err why = ERR_INIT;

	arena_reset(&r->c->arena);
	r->message = *m;
	r->message.flags &= FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_SEEN | FLAG_DRAFT;
	if (m->internaldate.zone_min < -1439 || m->internaldate.zone_min > 1439)
		r->message.internaldate.zone_min = 0;
	r->why[0] = '\0';
	if (!keep_texts(r))
		return err_nomem(e);
	if (r->box_refused || r->over) {
		drop_message(r, r->over ? "" : r->box_why);
		return RC_OK;
	}
	if (ingest_new(r->v, r->c->ad->message_size, &r->in, &why) == RC_OK)
		return RC_OK;
	*e = why;
	return e->code;
}

static enum rc
on_data(void *arg, struct slice bytes, struct err *e)
{
	struct import_run *r = arg;
	struct err why = ERR_INIT;
	enum rc rc;

	if (r->in == NULL)
		return RC_OK;
	rc = ingest_feed(r->in, bytes, &why);
	if (rc == RC_IO || rc == RC_NOMEM || rc == RC_BUSY) {
		*e = why;
		return rc;
	}
	if (rc == RC_LIMIT)
		drop_message(r, TOO_LARGE);
	else if (rc != RC_OK)
		drop_message(r, why.text);
	return RC_OK;
}

/* Does the mailbox have it? *uid is 0 if not; *why says what forbids to take it, or is empty. */
static void
find_seen(struct import_run *r, const struct ingested *content, mail_uid *uid, const char **why)
{
	const uint8_t *sha = ingested_blob(content)->sha256;
	bool same = false;

	*uid = 0;
	*why = "";
	if (r->box_seen == NULL)
		return;
	if (!r->keep_uids || r->message.uid == 0) {
		*uid = seen_box_claim(r->box_seen, sha, r->message.internaldate.sec);
	} else if (seen_box_has_uid(r->box_seen, r->message.uid, sha, &same)) {
		*uid = same ? r->message.uid : 0;
		*why = same ? "" : "its UID is another message's in this mailbox";
	}
}

/* Of --dry-run: does the quota hold. */
static bool
would_fit(struct import_run *r, uint64_t size)
{
	const struct account_info *a = &r->account;

	r->new_bytes += size;
	r->new_count++;
	return (a->quota_bytes == 0 || a->used_bytes + r->new_bytes <= a->quota_bytes) &&
	    (a->quota_messages == 0 || a->used_messages + r->new_count <= a->quota_messages);
}

/* The message is whole: decide. */
static enum rc
take_message(struct import_run *r, struct ingested **content, struct err *e)
{
	uint64_t seq = r->message.seq;
	const char *why;
	bool ok = true;
	mail_uid uid;
	enum rc rc;

	find_seen(r, *content, &uid, &why);
	if (why[0] != '\0')
		return answer(r, "bad", seq, why) ? RC_OK : RC_CANCELLED;
	if (uid != 0)
		return answer_uid(r, "there", seq, uid) ? RC_OK : RC_CANCELLED;
	if (r->dry_run && !would_fit(r, ingested_size(*content))) {
		r->over = true;
		return answer(r, "left", seq, "over quota") ? RC_OK : RC_CANCELLED;
	}
	if (r->dry_run)
		return answer_uid(r, "done", seq, 0) ? RC_OK : RC_CANCELLED;
	if (r->message.uidl.len > 0) {
		rc = seen_box_take_uidl(r->seen, r->box_seen, r->box.uidvalidity, r->message.uidl,
		                        &ok, e);
		if (rc != RC_OK)
			return rc;
	}
	if (!ok)
		r->message.uidl = SLICE_NONE;
	return batch_add(r, content, e);
}

static enum rc
on_end(void *arg, bool whole, struct err *e)
{
	struct import_run *r = arg;
	struct ingested *content = NULL;
	struct err why = ERR_INIT;
	enum rc rc;

	if (!whole) {                   /* its sender knows why */
		ingest_abort(&r->in);
		return RC_OK;
	}
	if (r->in == NULL)
		return answer(r, r->over ? "left" : "bad", r->message.seq, r->why) ? RC_OK
		                                                                   : RC_CANCELLED;
	rc = ingest_finish(&r->in, &content, &why);
	if (rc == RC_LIMIT)
		return answer(r, "bad", r->message.seq, TOO_LARGE) ? RC_OK : RC_CANCELLED;
	if (rc == RC_OK)
		rc = take_message(r, &content, &why);
	if (rc != RC_OK)
		*e = why;
	ingested_unref(&content);
	return rc == RC_OK && (r->over || r->c->stopped) ? RC_CANCELLED : rc;
}

/* ---- the verb ---- */

static const struct parcel_handler handlers = {
	.mailbox = on_mailbox,
	.subscription = on_subscription,
	.message = on_message,
	.data = on_data,
	.end = on_end,
};

static enum rc
read_stream(struct import_run *r, struct err *e)
{
	const struct admin_input *input = r->c->ad->input;
	struct parcel_handler h = handlers;
	struct parcel_reader reader;
	uint8_t *bytes = malloc(READ_SIZE);
	size_t n = 1;
	enum rc rc = bytes != NULL ? RC_OK : err_nomem(e);

	h.arg = r;
	parcel_reader_init(&reader, &h);
	while (rc == RC_OK && n > 0) {
		rc = input->read(input->arg, bytes, READ_SIZE, &n, e);
		if (rc == RC_OK && n > 0)
			rc = parcel_feed(&reader, slice_of(bytes, n), e);
	}
	if (rc == RC_OK && !reader.closed)
		rc = err_set(e, RC_SYNTAX, "the stream of messages ended early");
	parcel_reader_fini(&reader);
	free(bytes);
	return rc;
}

/* Whatever ended the reading, what was gathered is committed: it came whole. */
static enum admin_exit
run_import(struct import_run *r)
{
	struct err e = ERR_INIT;
	struct err late = ERR_INIT;
	enum rc rc = read_stream(r, &e);

	ingest_abort(&r->in);
	if (rc == RC_OK)
		rc = close_box(r, &e);
	settle(r);
	if (r->over) {
		arena_reset(&r->c->arena);
		if (volume_get_account(r->v, r->account.id, &r->c->arena, &r->account, &late) ==
		    RC_OK)
			admin_complain(r->c,
			               "stopped: not all messages fit (in use: %llu byte%s, %llu "
			               "message%s); run it again when there is room, and what is "
			               "there is passed over",
			               (unsigned long long)r->account.used_bytes,
			               admin_plural(r->account.used_bytes),
			               (unsigned long long)r->account.used_messages,
			               admin_plural(r->account.used_messages));
		return ADMIN_FAILED;
	}
	if (rc == RC_CANCELLED)         /* who sent it knows */
		return ADMIN_FAILED;
	return rc == RC_OK ? ADMIN_OK : admin_fail(r->c, &e);
}

enum admin_exit
admin_import(struct admin_call *c)
{
	struct import_run r = {
		.c = c,
		.dry_run = admin_flag(c, "--dry-run"),
		.keep_uids = admin_flag(c, "--keep-uids"),
		.keep_uidl = admin_flag(c, "--keep-uidl"),
	};
	struct claim claim = { .kind = CLAIM_IMPORT, .what = "an import" };
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (c->ad->input == NULL) {
		admin_complain(c, "import needs messages on its input");
		return ADMIN_FAILED;
	}
	status = admin_find(c, c->args[0], &r.v, &r.account);
	if (status != ADMIN_OK)
		return status;
	claim.account = r.account.id;
	/* One whose tool was killed is still under way for a moment. */
	if (volume_claim(r.v, &claim, &e) != RC_OK) {
		admin_complain(c, "%s: another import is under way; waiting for its end",
		               c->args[0]);
		volume_claim_wait(r.v, &claim);
		e = (struct err)ERR_INIT;
	}
	if (import_seen_new(r.v, &r.seen, &e) != RC_OK) {
		volume_release(r.v, &claim);
		return admin_fail(c, &e);
	}
	sem_init(&r.landed, 0, 0);
	buf_init(&r.box_name, READ_SIZE);
	buf_init(&r.texts, KEYWORDS_MAX + UIDL_MAX + 64);
	status = run_import(&r);
	buf_fini(&r.texts);
	buf_fini(&r.box_name);
	sem_destroy(&r.landed);
	import_seen_free(&r.seen);
	volume_release(r.v, &claim);
	return status;
}
