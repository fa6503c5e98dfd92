/* resolve - the common part of resolving changes. See resolve.h. */
#include "index/resolve.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "index/keywords.h"

/* How many UIDVALIDITYs a mailbox taken over from elsewhere must leave to the volume's counter. */
#define UIDVALIDITY_RESERVE (1u << 24)

uint64_t
resolve_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

enum rc
resolve_refuse(struct resolver *rs, enum rc why, struct err *e, const char *text)
{
	rs->refused = true;
	return err_set(e, why, "%s", text);
}

void
resolve_note_account(struct resolver *rs, account_id id)
{
	struct changed_accounts *c = &rs->changed;

	if (c->count > 0 && c->ids[c->count - 1] == id)
		return;
	if (c->count == c->cap) {
		size_t cap = c->cap > 0 ? c->cap * 2 : 16;
		account_id *ids = realloc(c->ids, cap * sizeof *ids);

		if (ids == NULL) {
			c->lost = true;
			return;
		}
		c->ids = ids;
		c->cap = cap;
	}
	c->ids[c->count++] = id;
}

/* ---- frames and savepoints ---- */

/* A frame's header is longer than what confirms a delivery, so that goes with what its LMTP client or another delivered
 * in the same batch: into the frame before it, or the one behind it into its own. Either is durable or neither; that a
 * client has gone on may be lost at any time, and is none the less true if the other was. */
static bool
joins_last(const struct resolver *rs)
{
	const struct frame_who *last = log_batch_last_who(rs->batch);

	if (last == NULL || last->protocol != PROTO_LMTP || rs->c->who.protocol != PROTO_LMTP)
		return false;
	return rs->c->kind == CHANGE_CONFIRM ||
	       (rs->c->kind == CHANGE_APPEND && rs->only_confirms);
}

/* A delivery makes the frame its own; who confirms says so in each record. */
static void
open_frame(struct resolver *rs)
{
	rs->joined = joins_last(rs);
	if (!rs->joined)
		log_frame_begin(rs->batch, &rs->c->who);
	else if (rs->c->kind == CHANGE_CONFIRM)
		log_frame_resume(rs->batch, log_batch_last_who(rs->batch));
	else
		log_frame_resume(rs->batch, &rs->c->who);
}

enum rc
resolve_frame_begin(struct resolver *rs, struct err *e)
{
	enum rc rc;

	assert(!rs->in_frame);
	rc = db_run(rs->db, "SAVEPOINT frame", DB_NO_ARGS, e);
	if (rc != RC_OK)
		return rc;
	rs->mark = apply_get_mark(rs->ap);
	rs->in_frame = true;
	open_frame(rs);
	return RC_OK;
}

enum rc
resolve_frame_end(struct resolver *rs, struct err *e)
{
	assert(rs->in_frame);
	log_frame_end(rs->batch);
	rs->in_frame = false;
	rs->only_confirms = rs->c->kind == CHANGE_CONFIRM && (!rs->joined || rs->only_confirms);
	return db_run(rs->db, "RELEASE frame", DB_NO_ARGS, e);
}

/* Undo the open frame. If SQLite has rolled the whole transaction back by itself (it may, when the
 * disk is full or memory is out), there is no savepoint any more: the batch is lost, which `why`
 * says. */
static enum rc
abandon_frame(struct resolver *rs, const struct err *why, struct err *e)
{
	enum rc rc;

	log_frame_abandon(rs->batch);
	rs->in_frame = false;
	apply_set_mark(rs->ap, &rs->mark);
	if (sqlite3_get_autocommit(db_handle(rs->db)) != 0) {
		*e = *why;
		return why->code;
	}
	rc = db_run(rs->db, "ROLLBACK TO frame", DB_NO_ARGS, e);
	return rc == RC_OK ? db_run(rs->db, "RELEASE frame", DB_NO_ARGS, e) : rc;
}

enum rc
resolve_add(struct resolver *rs, struct record *r, struct err *e)
{
	enum rc rc;

	assert(rs->in_frame);
	rc = log_frame_add(rs->batch, r, e);
	if (rc == RC_LIMIT) {
		rs->refused = true;             /* more than one frame may hold */
		return rc;
	}
	if (rc != RC_OK)
		return rc;
	if (r->type == RECORD_ACCOUNT && r->u.account.id == 0)
		r->u.account.id = r->lsn;
	if (r->type == RECORD_MAILBOX && r->u.mailbox.id == 0)
		r->u.mailbox.id = r->lsn;
	return apply_record(rs->ap, r, NULL, e);
}

/* ---- lookups ---- */

mail_modseq
resolve_next_modseq(const struct resolver *rs, const struct mailbox_info *m)
{
	mail_modseq floor = EPOCH_MODSEQ(rs->epoch);

	return m->highestmodseq + 1 > floor ? m->highestmodseq + 1 : floor;
}

enum rc
resolve_frozen(struct resolver *rs, account_id account, struct err *e)
{
	if (account != rs->frozen || account == 0 || rs->c->of_move)
		return RC_OK;
	return resolve_refuse(rs, RC_BUSY, e,
	                      "the account is being moved to another volume; try again in a while");
}

enum rc
resolve_mailbox(struct resolver *rs, mailbox_id id, struct mailbox_info *out, struct err *e)
{
	enum rc rc = mailbox_get(rs->db, id, &rs->scratch, out, e);

	if (rc == RC_NOT_FOUND)
		return resolve_refuse(rs, rc, e, "no such mailbox");
	return rc == RC_OK ? resolve_frozen(rs, out->account, e) : rc;
}

enum rc
resolve_account(struct resolver *rs, account_id id, struct account_info *out, struct err *e)
{
	enum rc rc = account_get(rs->db, id, &rs->scratch, out, e);

	if (rc == RC_NOT_FOUND)
		return resolve_refuse(rs, rc, e, "no such account");
	return rc == RC_OK ? resolve_frozen(rs, id, e) : rc;
}

/* The spelling that the mailbox has for this keyword, or the one given. */
static enum rc
spell(struct resolver *rs, mailbox_id mailbox, struct slice *word, struct err *e)
{
	struct slice key = keyword_key(*word, &rs->scratch);
	sqlite3_stmt *q;
	enum rc rc;

	if (key.ptr == NULL)
		return err_nomem(e);
	rc = db_first(rs->db, &q, "SELECT keyword FROM mailbox_keyword WHERE mailbox=?1 AND key=?2",
	              DB_ARGS(DB_NUM(mailbox), DB_BYTES(key)), e);
	if (rc == RC_NOT_FOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	*word = arena_dup(&rs->scratch, db_bytes(q, 0));
	db_end(q);
	return word->ptr != NULL ? RC_OK : err_nomem(e);
}

enum rc
resolve_keywords(struct resolver *rs, mailbox_id mailbox, struct slice text, struct slice *out,
                 struct err *e)
{
	struct keyword_list l;
	enum rc rc;

	rc = keywords_split(text, &rs->scratch, &l, e);
	for (size_t i = 0; rc == RC_OK && i < l.count; i++) {
		rc = spell(rs, mailbox, &l.words[i], e);
		if (rc != RC_OK)
			return rc;
	}
	if (rc == RC_OK)
		rc = keywords_join(&l, &rs->scratch, out, e);
	if (rc == RC_LIMIT || rc == RC_DENIED)
		rs->refused = true;
	return rc;
}

/* ---- new mailboxes ---- */

static enum rc
next_uidvalidity(struct resolver *rs, uint32_t *out, struct err *e)
{
	struct record r = { .type = RECORD_COUNTERS };
	uint32_t last = rs->ap->meta.uidvalidity;

	/* The first one is a time, as clients are used to; from there it counts. */
	if (last == 0)
		last = (uint32_t)(resolve_now_us() / 1000000u) - 1;
	if (last == UINT32_MAX)
		return resolve_refuse(rs, RC_LIMIT, e, "no UIDVALIDITY is left");
	*out = r.u.counters.uidvalidity = last + 1;
	return resolve_add(rs, &r, e);
}

enum rc
resolve_take_uidvalidity(struct resolver *rs, uint32_t wanted, struct err *e)
{
	struct record r = { .type = RECORD_COUNTERS };

	if (wanted > UINT32_MAX - UIDVALIDITY_RESERVE)
		return resolve_refuse(rs, RC_LIMIT, e,
		    "this UIDVALIDITY leaves too few for the volume's other mailboxes");
	if (wanted <= rs->ap->meta.uidvalidity)
		return RC_OK;
	r.u.counters.uidvalidity = wanted;
	return resolve_add(rs, &r, e);
}

enum rc
resolve_new_mailbox(struct resolver *rs, account_id account, struct slice name,
                    uint32_t special_use, mailbox_id *id, struct err *e)
{
	return resolve_take_mailbox(rs, account, name, special_use, 0, id, e);
}

enum rc
resolve_take_mailbox(struct resolver *rs, account_id account, struct slice name,
                     uint32_t special_use, uint32_t uidvalidity, mailbox_id *id, struct err *e)
{
	struct record r = { .type = RECORD_MAILBOX };
	struct record_mailbox *m = &r.u.mailbox;
	enum rc rc;

	m->account = account;
	m->name = name;
	m->uidnext = 1;
	m->highestmodseq = EPOCH_MODSEQ(rs->epoch) > 0 ? EPOCH_MODSEQ(rs->epoch) : 1;
	m->special_use = special_use;
	if (getrandom(m->mailboxid, sizeof m->mailboxid, 0) != (ssize_t)sizeof m->mailboxid)
		return err_os(e, errno, "getrandom");
	m->uidvalidity = uidvalidity;
	rc = uidvalidity != 0 ? resolve_take_uidvalidity(rs, uidvalidity, e)
	                      : next_uidvalidity(rs, &m->uidvalidity, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	*id = m->id;
	return rc;
}

struct record
resolve_mailbox_record(const struct mailbox_info *m)
{
	struct record r = { .type = RECORD_MAILBOX };

	r.u.mailbox = (struct record_mailbox){
		.id = m->id,
		.account = m->account,
		.name = m->name,
		.uidvalidity = m->uidvalidity,
		.uidnext = m->uidnext,
		.highestmodseq = m->highestmodseq,
		.special_use = m->special_use,
		.expunge_floor = m->expunge_floor,
		.change_floor = m->change_floor,
	};
	memcpy(r.u.mailbox.mailboxid, m->mailboxid, sizeof m->mailboxid);
	return r;
}

/* ---- the dispatcher ---- */

static enum rc
dispatch(struct resolver *rs, struct err *e)
{
	switch (rs->c->kind) {
	case CHANGE_APPEND:
		return resolve_append(rs, e);
	case CHANGE_STORE:
		return resolve_store(rs, e);
	case CHANGE_EXPUNGE:
		return resolve_expunge(rs, e);
	case CHANGE_COPY:
		return resolve_copy(rs, false, e);
	case CHANGE_MOVE:
		return resolve_copy(rs, true, e);
	case CHANGE_MAILBOX_CREATE:
		return resolve_mailbox_create(rs, e);
	case CHANGE_MAILBOX_DELETE:
		return resolve_mailbox_delete(rs, e);
	case CHANGE_MAILBOX_RENAME:
		return resolve_mailbox_rename(rs, e);
	case CHANGE_MAILBOX_ADOPT:
		return resolve_mailbox_adopt(rs, e);
	case CHANGE_SUBSCRIBE:
		return resolve_subscribe(rs, e);
	case CHANGE_ACCOUNT_CREATE:
		return resolve_account_create(rs, e);
	case CHANGE_ACCOUNT_DELETE:
		return resolve_account_delete(rs, e);
	case CHANGE_ACCOUNT_QUOTA:
		return resolve_account_quota(rs, e);
	case CHANGE_ADOPT:
		return resolve_adopt(rs, e);
	case CHANGE_ACCOUNT_RENAME:
		return resolve_account_rename(rs, e);
	case CHANGE_ACCOUNT_FLAGS:
		return resolve_account_flags(rs, e);
	case CHANGE_ACCOUNT_HIDE:
		return resolve_account_hide(rs, e);
	case CHANGE_CREDENTIAL:
		return resolve_credential(rs, e);
	case CHANGE_PRUNE:
		return resolve_prune(rs, e);
	case CHANGE_RENEW:
		return resolve_renew(rs, e);
	case CHANGE_PURGE:
		return resolve_purge(rs, e);
	case CHANGE_RESTORE:
		return resolve_restore(rs, e);
	case CHANGE_ACCOUNT_RESTORE:
		return resolve_account_restore(rs, e);
	case CHANGE_REPARSE:
		return resolve_reparse(rs, e);
	case CHANGE_SECRET:
		return resolve_secret(rs, e);
	case CHANGE_CONFIRM:
		return resolve_confirm(rs, e);
	}
	return resolve_refuse(rs, RC_DENIED, e, "no such kind of change");
}

enum rc
resolve_change(struct resolver *rs, struct change *c, struct err *e)
{
	struct err sub = ERR_INIT;
	enum rc rc;

	rs->c = c;
	rs->ap->time_us = resolve_now_us();
	rs->refused = false;
	rc = dispatch(rs, &sub);
	if (rs->in_frame) {
		enum rc undone;

		assert(rc != RC_OK);
		undone = abandon_frame(rs, &sub, e);
		if (undone != RC_OK) {
			arena_reset(&rs->scratch);
			return undone;
		}
	}
	arena_reset(&rs->scratch);
	/* Memory is short for this change; the next one may be smaller. */
	if (rc != RC_OK && rc != RC_NOMEM && !rs->refused) {
		*e = sub;
		return rc;
	}
	c->rc = rc;
	c->err = rc != RC_OK ?
	                 sub :
	                 (struct err)ERR_INIT; /* lookups that found nothing leave their text */
	return RC_OK;
}
