/* admin_history - what happened to an account, a mailbox or a message: when, what, by
 * whom. See admin.h.
 *
 * One pass over the log, with the account's past growing beside it: so each line has the mailbox's
 * name as it was then, and a message that appears is known to be new or a copy. A frame that copies
 * and expunges the same message is one move; its line therefore waits for the frame's end. What the
 * log says of mailboxes whose owner it does not say any more is not shown.
 */
#include "index/admin_past.h"

#include <stdio.h>

#define LINE_UIDS_MAX 10000u

struct flag_name {
	uint32_t    bit;
	const char *name;
};

static const struct flag_name flag_names[] = {
	{ FLAG_ANSWERED, "\\Answered" }, { FLAG_FLAGGED, "\\Flagged" },
	{ FLAG_DELETED, "\\Deleted" },
	{ FLAG_SEEN, "\\Seen" },         { FLAG_DRAFT, "\\Draft" },
};

/* A line: one event. Empty slices are left out. */
struct event {
	uint64_t         time_us;
	log_lsn          lsn;
	struct frame_who who;
	const char      *what;          /* "delivered" */
	struct slice     mailbox;       /* its name then */
	struct slice     uids;
	struct slice     other;         /* the other mailbox: where from, the new name */
	mail_uid         other_uid;     /* 0: more than one, or none */
	const char      *joint;         /* between `what` and `other`: "from" */
	struct slice     text;          /* flags; a reason */
};

struct history {
	struct looking_back lb;
	account_id      account;
	struct slice    mailbox;        /* empty: all */
	struct slice    message_id;
	struct uid_set  uids;
	bool            uids_given;
	uint64_t        since_us;
	uint64_t        told;
	struct arena    scratch;        /* of one frame */
	log_lsn         frame;          /* its first LSN */
	struct event    late;           /* an arrival that may become a move */
	bool            waiting;        /* it is not told yet */
	blob_id         copied;         /* the first message that this frame has put
	                                 * somewhere, 0: none; */
	struct slice    copied_to;      /* where: */
	mail_uid        copied_uid;     /* if it was one */
};

/* ---- lines ---- */

static const char *
protocol_name(uint8_t protocol)
{
	static const char *const names[] = {
		[PROTO_SYSTEM] = "system", [PROTO_LMTP] = "lmtp",   [PROTO_IMAP] = "imap",
		[PROTO_POP3] = "pop3",     [PROTO_ADMIN] = "admin",
	};

	return protocol < sizeof names / sizeof names[0] ? names[protocol] : "unknown";
}

static bool
send_text(struct history *h, const struct event *ev)
{
	struct buf *out = &h->lb.c->line;
	char when[WHEN_TEXT_MAX];

	when_format_us(ev->time_us, when);
	buf_printf(out, "%s  %s", when, protocol_name(ev->who.protocol));
	if (ev->who.session != 0)
		buf_printf(out, " %llx", (unsigned long long)ev->who.session);
	buf_append_str(out, "  ");
	if (ev->mailbox.len > 0)
		admin_append_quoted(out, ev->mailbox);
	if (ev->uids.len > 0)
		buf_printf(out, " UID %.*s", SLICE_ARG(ev->uids));
	buf_printf(out, "%s%s", ev->mailbox.len > 0 ? ": " : "", ev->what);
	if (ev->other.len > 0) {
		buf_printf(out, " %s ", ev->joint);
		admin_append_quoted(out, ev->other);
	}
	if (ev->other_uid != 0)
		buf_printf(out, " UID %u", ev->other_uid);
	if (ev->text.len > 0) {
		buf_append_str(out, ev->other.len > 0 ? ": " : " ");
		buf_append_slice(out, ev->text);
	}
	return admin_send(h->lb.c);
}

static bool
send_json(struct history *h, const struct event *ev)
{
	char when[WHEN_TEXT_MAX], session[24];
	struct json j;

	when_format_utc(ev->time_us, when);
	(void)snprintf(session, sizeof session, "%llx", (unsigned long long)ev->who.session);
	json_init(&j, &h->lb.c->line);
	json_object(&j, NULL);
	json_cstr(&j, "time", when);
	admin_json_lsn(&j, "lsn", ev->lsn);
	json_cstr(&j, "by", protocol_name(ev->who.protocol));
	json_cstr(&j, "session", session);
	json_cstr(&j, "event", ev->what);
	if (ev->mailbox.len > 0)
		json_str(&j, "mailbox", ev->mailbox);
	if (ev->uids.len > 0)
		json_str(&j, "uids", ev->uids);
	if (ev->other.len > 0)
		json_str(&j, ev->joint, ev->other);
	if (ev->other_uid != 0)
		json_u64(&j, "other_uid", ev->other_uid);
	if (ev->text.len > 0)
		json_str(&j, "text", ev->text);
	json_end(&j);
	return admin_send(h->lb.c);
}

static enum rc
tell(struct history *h, const struct event *ev, struct err *e)
{
	if (ev->time_us < h->since_us)
		return RC_OK;
	h->told++;
	if (h->lb.c->json ? send_json(h, ev) : send_text(h, ev))
		return RC_OK;
	return err_set(e, RC_CANCELLED, "nobody reads any more");
}

static enum rc
tell_late(struct history *h, struct err *e)
{
	if (!h->waiting)
		return RC_OK;
	h->waiting = false;
	return tell(h, &h->late, e);
}

static struct event
event_of(const struct frame_info *f, const struct record *r, const char *what)
{
	return (struct event){ .time_us = f->time_us, .lsn = r->lsn, .who = f->who, .what = what };
}

/* ---- mailboxes ---- */

/* The name it has had so far; of one that the log has not told yet, what it is called now, if it is
 * this account's. Empty: not ours, or nobody knows. */
static enum rc
mailbox_name(struct history *h, mailbox_id id, struct slice *out, struct err *e)
{
	struct mailbox_info now;
	sqlite3_stmt *q;
	enum rc rc = db_first(past_db(h->lb.past), &q,
	    "SELECT name FROM mailbox WHERE id=?1 AND account=?2",
	    DB_ARGS(DB_NUM(id), DB_NUM(h->account)), e);

	*out = SLICE("");
	if (rc == RC_OK) {
		*out = arena_dup(&h->scratch, db_bytes(q, 0));
		db_end(q);
		return out->ptr != NULL ? RC_OK : err_nomem(e);
	}
	if (rc != RC_NOT_FOUND)
		return rc;
	rc = volume_get_mailbox(h->lb.v, id, &h->scratch, &now, e);
	if (rc == RC_OK && now.account == h->account)
		*out = now.name;
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* A mailbox is followed from the moment on that it has the name, whatever it is called later. */
static enum rc
is_followed(struct history *h, mailbox_id id, struct slice name, bool *yes, struct err *e)
{
	struct db *db = past_db(h->lb.past);
	sqlite3_stmt *q;
	enum rc rc;

	*yes = h->mailbox.len == 0 || slice_eq(name, h->mailbox);
	if (h->mailbox.len == 0)
		return RC_OK;
	if (*yes)
		return db_run(db, "INSERT OR IGNORE INTO followed VALUES(?1)", DB_ARGS(DB_NUM(id)),
		              e);
	rc = db_first(db, &q, "SELECT 1 FROM followed WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	*yes = rc == RC_OK;
	if (rc == RC_OK)
		db_end(q);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* RC_NOT_FOUND: not to be told of. */
static enum rc
find_mailbox(struct history *h, mailbox_id id, struct slice *name, struct err *e)
{
	bool yes;
	enum rc rc = mailbox_name(h, id, name, e);

	if (rc == RC_OK && name->len == 0)
		return err_set(e, RC_NOT_FOUND, "not ours");
	if (rc == RC_OK)
		rc = is_followed(h, id, *name, &yes, e);
	return rc == RC_OK && !yes ? err_set(e, RC_NOT_FOUND, "not asked for") : rc;
}

static bool
is_about_messages(const struct history *h)
{
	return h->uids_given || h->message_id.len > 0;
}

static enum rc
on_closed(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct event ev = event_of(f, r, "mailbox deleted");
	sqlite3_stmt *q;
	enum rc rc = db_first(past_db(h->lb.past), &q,
	    "SELECT count(*) FROM message WHERE mailbox=?1", DB_ARGS(DB_NUM(r->u.mailbox.id)), e);

	if (rc != RC_OK)
		return rc;
	ev.mailbox = r->u.mailbox.name;
	ev.text = arena_printf(&h->scratch, "with %llu message%s", (unsigned long long)db_u64(q, 0),
	    admin_plural(db_u64(q, 0)));
	db_end(q);
	return tell(h, &ev, e);
}

static enum rc
on_mailbox(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct event ev = event_of(f, r, "mailbox created");
	struct slice before = SLICE("");
	sqlite3_stmt *q;
	bool yes;
	enum rc rc = is_followed(h, r->u.mailbox.id, r->u.mailbox.name, &yes, e);

	if (rc != RC_OK || !yes || is_about_messages(h))
		return rc;
	if (r->u.mailbox.deleted)
		return on_closed(h, f, r, e);
	rc = db_first(past_db(h->lb.past), &q,
	    "SELECT name FROM mailbox WHERE id=?1 AND account != 0",
	    DB_ARGS(DB_NUM(r->u.mailbox.id)), e);
	if (rc == RC_OK) {
		before = arena_dup(&h->scratch, db_bytes(q, 0));
		db_end(q);
	} else if (rc != RC_NOT_FOUND || r->u.mailbox.id != r->lsn) {
		return rc == RC_NOT_FOUND ? RC_OK : rc;         /* what made it is compacted away */
	}
	if (slice_eq(before, r->u.mailbox.name))
		return RC_OK;           /* stated once more */
	ev.mailbox = r->u.mailbox.name;
	if (before.len > 0) {
		ev.what = "mailbox renamed";
		ev.joint = "from";
		ev.other = before;
	}
	return tell(h, &ev, e);
}

/* ---- messages ---- */

static struct slice
uids_text(struct history *h, const struct uid_set *set)
{
	struct slice text;
	struct buf b;

	buf_init(&b, 1u << 20);
	text = uid_set_format(set, &b) ? arena_dup(&h->scratch, buf_slice(&b)) : SLICE("(many)");
	buf_fini(&b);
	return text;
}

/* Has the message with these bytes the Message-ID? It was noted when its blob came by. */
static enum rc
is_noted(struct history *h, const char *sql, const struct db_arg *args, int count, bool *yes,
         struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(past_db(h->lb.past), &q, sql, args, count, e);

	*yes = rc == RC_OK;
	if (rc == RC_OK)
		db_end(q);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc
is_wanted(struct history *h, blob_id blob, mail_uid uid, bool *yes, struct err *e)
{
	*yes = !h->uids_given || uid_set_contains(&h->uids, uid);
	if (!*yes || h->message_id.len == 0)
		return RC_OK;
	return is_noted(h, "SELECT 1 FROM noted WHERE blob=?1", DB_ARGS(DB_NUM(blob)), yes, e);
}

static mail_uid
uid_at(const struct record_messages *r, uint32_t i)
{
	if (r->uids == NULL)
		return r->first_uid + i;
	for (uint32_t k = 0; k < r->range_count; k++) {
		uint32_t n = r->uids[k].last - r->uids[k].first + 1;

		if (i < n)
			return r->uids[k].first + i;
		i -= n;
	}
	return 0;
}

/* Where in the account the same bytes are, if they are there already. */
static enum rc
find_source(struct history *h, blob_id blob, struct event *ev, bool single, struct err *e)
{
	mailbox_id from;
	mail_uid uid;
	sqlite3_stmt *q;
	enum rc rc = db_first(past_db(h->lb.past), &q,
	    "SELECT mailbox, uid FROM (SELECT mailbox, uid, 0 AS gone FROM message WHERE blob=?1"
	    " UNION ALL SELECT mailbox, uid, 1 FROM expunged WHERE blob=?1) ORDER BY "
	    "gone, mailbox LIMIT 1",
	    DB_ARGS(DB_NUM(blob)), e);

	if (rc != RC_OK)
		return rc;
	from = db_u64(q, 0);
	uid = (mail_uid)db_u64(q, 1);
	db_end(q);
	rc = mailbox_name(h, from, &ev->other, e);
	if (rc == RC_OK && ev->other.len > 0) {
		ev->joint = "from";
		ev->other_uid = single ? uid : 0;
	}
	return rc;
}

static enum rc
describe_arrival(struct history *h, const struct frame_info *f, blob_id blob, struct event *ev,
                 bool single, struct err *e)
{
	enum rc rc = blob < f->first_lsn ? find_source(h, blob, ev, single, e) : RC_NOT_FOUND;

	if (f->who.protocol == PROTO_LMTP)
		ev->what = "delivered";
	else if (rc == RC_NOT_FOUND)
		ev->what = f->who.protocol == PROTO_IMAP ? "appended" : "imported";
	else
		ev->what = f->who.protocol == PROTO_ADMIN ? "restored" : "copied";
	if (f->who.protocol == PROTO_LMTP) {
		ev->other = SLICE("");          /* the same bytes have come before */
		ev->other_uid = 0;
	}
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc
choose_arrivals(struct history *h, const struct record_messages *r, struct uid_set *out,
                blob_id *first, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < r->count; i++) {
		mail_uid uid = uid_at(r, i);
		bool yes = false;

		rc = uid != 0 ? is_wanted(h, r->messages[i].blob, uid, &yes, e) : RC_OK;
		if (rc != RC_OK || !yes)
			continue;
		*first = out->count == 0 ? r->messages[i].blob : *first;
		/* beyond the limit the line names some of them */
		(void)uid_set_add(out, uid, uid);
	}
	return rc;
}

/* Whether it is asked for or not: a move out of a mailbox that is says where to. */
static enum rc
note_copied(struct history *h, const struct record_messages *r, struct err *e)
{
	h->copied = r->count > 0 ? r->messages[0].blob : 0;
	h->copied_uid = r->count == 1 ? r->first_uid : 0;
	return mailbox_name(h, r->mailbox, &h->copied_to, e);
}

static enum rc
on_messages(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct event ev = event_of(f, r, "");
	struct uid_set chosen;
	blob_id first = 0;
	enum rc rc = note_copied(h, &r->u.messages, e);

	if (rc == RC_OK)
		rc = find_mailbox(h, r->u.messages.mailbox, &ev.mailbox, e);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	uid_set_init(&chosen, LINE_UIDS_MAX);
	rc = choose_arrivals(h, &r->u.messages, &chosen, &first, e);
	if (rc == RC_OK && chosen.count > 0) {
		ev.uids = uids_text(h, &chosen);
		rc = describe_arrival(h, f, first, &ev, uid_set_size(&chosen) == 1, e);
	}
	if (rc == RC_OK && chosen.count > 0)
		rc = tell_late(h, e);
	if (rc == RC_OK && chosen.count > 0) {
		h->waiting = true;
		h->late = ev;
	}
	uid_set_fini(&chosen);
	return rc;
}

/* Those of a record's messages that are known and wanted. */
static enum rc
choose_known(struct history *h, mailbox_id mailbox, struct uid_range range, struct uid_set *out,
             struct err *e)
{
	struct db *db = past_db(h->lb.past);
	enum db_step step;
	enum rc rc = RC_OK;
	sqlite3_stmt *q = db_query(db,
	    "SELECT uid, blob FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid",
	    DB_ARGS(DB_NUM(mailbox), DB_NUM(range.first), DB_NUM(range.last)), e);

	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		mail_uid uid = (mail_uid)db_u64(q, 0);
		bool yes;

		rc = is_wanted(h, db_u64(q, 1), uid, &yes, e);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
		if (yes && uid != 0)
			(void)uid_set_add(out, uid, uid);
	}
	return step == DB_DONE ? RC_OK : e->code;
}

static struct slice
flags_text(struct history *h, const struct record_flags *r)
{
	struct slice text = SLICE("");

	for (size_t i = 0; i < sizeof flag_names / sizeof flag_names[0]; i++)
		if ((r->flags & flag_names[i].bit) != 0 && text.ptr != NULL)
			text = arena_printf(&h->scratch, "%.*s%s%s", SLICE_ARG(text),
			    text.len > 0 ? " " : "", flag_names[i].name);
	if (r->keywords.len > 0 && text.ptr != NULL)
		text = arena_printf(&h->scratch, "%.*s%s%.*s", SLICE_ARG(text),
		    text.len > 0 ? " " : "", SLICE_ARG(r->keywords));
	return text.len > 0 ? text : SLICE("(none)");
}

/* The frame has put one of these elsewhere. */
static enum rc
is_move(struct history *h, const struct record_expunge *r, bool *yes, struct err *e)
{
	*yes = false;
	if (h->copied == 0 || r->range_count == 0)
		return RC_OK;
	return is_noted(h,
	    "SELECT 1 FROM message WHERE mailbox=?1 AND blob=?2 AND uid BETWEEN ?3 AND ?4",
	    DB_ARGS(DB_NUM(r->mailbox), DB_NUM(h->copied), DB_NUM(r->uids[0].first),
	        DB_NUM(r->uids[r->range_count - 1].last)),
	    yes, e);
}

static enum rc
on_change(struct history *h, struct event *ev, mailbox_id mailbox, const struct uid_range *uids,
          uint32_t count, struct err *e)
{
	struct uid_set chosen;
	enum rc rc = find_mailbox(h, mailbox, &ev->mailbox, e);

	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	uid_set_init(&chosen, LINE_UIDS_MAX);
	for (uint32_t i = 0; rc == RC_OK && i < count; i++)
		rc = choose_known(h, mailbox, uids[i], &chosen, e);
	if (rc == RC_OK && chosen.count > 0) {
		ev->uids = uids_text(h, &chosen);
		rc = tell(h, ev, e);
	}
	uid_set_fini(&chosen);
	return rc;
}

static enum rc
on_expunge(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct event ev = event_of(f, r, "expunged");
	bool move;
	enum rc rc = is_move(h, &r->u.expunge, &move, e);

	if (rc == RC_OK && move && h->waiting) {
		h->late.what = "moved";         /* one line for both */
		return tell_late(h, e);
	}
	if (rc == RC_OK && move) {
		ev.what = "moved";
		ev.joint = "to";
		ev.other = h->copied_to;
		ev.other_uid = h->copied_uid;
	}
	if (rc == RC_OK)
		rc = tell_late(h, e);
	return rc == RC_OK ? on_change(h, &ev, r->u.expunge.mailbox, r->u.expunge.uids,
	                         r->u.expunge.range_count, e)
	                   : rc;
}

static enum rc
on_flags(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct event ev = event_of(f, r, "flags");

	ev.text = flags_text(h, &r->u.flags);
	return on_change(h, &ev, r->u.flags.mailbox, r->u.flags.uids, r->u.flags.range_count, e);
}

static enum rc
on_blob(struct history *h, const struct record *r, const struct log_addr *addr, struct err *e)
{
	const struct record_blob *b = &r->u.blob;
	const struct restore_content c = {
		.log = past_log(h->lb.past),
		.place = { .addr = apply_blob_data(r, addr), .chunks = b->chunks,
		           .chunk_count = b->chunk_count, .size = b->size },
		.header_len = b->header_len,
		.summary = b->summary,
	};

	if (h->message_id.len == 0 || !restore_has_message_id(&c, h->message_id))
		return RC_OK;
	return db_run(past_db(h->lb.past), "INSERT OR IGNORE INTO noted VALUES(?1)",
	    DB_ARGS(DB_NUM(r->lsn)), e);
}

static enum rc
on_purge(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct event ev = event_of(f, r, "purged for good");
	bool yes;
	enum rc rc = is_wanted(h, r->u.purge.blob, 1, &yes, e);

	if (rc == RC_OK && (yes || h->uids_given))
		rc = find_source(h, r->u.purge.blob, &ev, true, e);
	if (rc != RC_OK || !yes || ev.other.len == 0)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	ev.text = r->u.purge.reason;
	return tell(h, &ev, e);
}

/* ---- the account ---- */

static enum rc
on_account(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	const struct record_account *now = &r->u.account;
	struct event ev = event_of(f, r, "account created");
	struct account_info was;
	enum rc rc = past_account(h->lb.past, &h->scratch, &was, e);

	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	if (now->deleted) {
		ev.what = "account deleted";
	} else if (rc == RC_OK && !slice_eq(was.name, now->name)) {
		ev.what = "account renamed";
		ev.joint = "to";
		ev.other = now->name;
	} else if (rc == RC_OK && (was.quota_bytes != now->quota_bytes ||
	                              was.quota_messages != now->quota_messages)) {
		ev.what = "quota set";
		ev.text = arena_printf(&h->scratch, "%llu byte%s, %llu message%s",
		    (unsigned long long)now->quota_bytes, admin_plural(now->quota_bytes),
		    (unsigned long long)now->quota_messages, admin_plural(now->quota_messages));
	} else if (rc == RC_OK && !slice_eq(was.hidden, now->hidden)) {
		ev.what = "capabilities hidden:";
		ev.text = now->hidden.len > 0 ? now->hidden : SLICE("none");
	} else if (rc == RC_OK && was.flags != now->flags) {
		ev.what = (now->flags & ACCOUNT_LOCKED) != 0 ? "account locked"
		                                             : "account unlocked";
	} else if (rc == RC_OK) {
		return RC_OK;
	}
	return tell(h, &ev, e);
}

static enum rc
on_credential(struct history *h, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct event ev = event_of(f, r,
	                           r->u.credential.value.len > 0 ? "credential set:"
	                                                         : "credential removed:");

	ev.text = r->u.credential.name;
	return tell(h, &ev, e);
}

static enum rc
on_subscription(struct history *h, const struct frame_info *f, const struct record *r,
                struct err *e)
{
	struct event ev = event_of(f, r,
	                           r->u.subscription.subscribed ? "subscribed" : "unsubscribed");

	if (h->mailbox.len > 0 && !slice_eq(h->mailbox, r->u.subscription.name))
		return RC_OK;
	ev.mailbox = r->u.subscription.name;
	return tell(h, &ev, e);
}

/* ---- the pass ---- */

static enum rc
one_record(struct history *h, const struct frame_info *f, const struct record *r,
           const struct log_addr *addr, struct err *e)
{
	bool account_too = h->mailbox.len == 0 && !is_about_messages(h);

	switch (r->type) {
	case RECORD_ACCOUNT:
		return account_too ? on_account(h, f, r, e) : RC_OK;
	case RECORD_CREDENTIAL:
		return account_too ? on_credential(h, f, r, e) : RC_OK;
	case RECORD_SUBSCRIPTION:
		return is_about_messages(h) ? RC_OK : on_subscription(h, f, r, e);
	case RECORD_MAILBOX:
		return on_mailbox(h, f, r, e);
	case RECORD_BLOB:
		return on_blob(h, r, addr, e);
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		return on_messages(h, f, r, e);
	case RECORD_FLAGS:
		return on_flags(h, f, r, e);
	case RECORD_EXPUNGE:
		return on_expunge(h, f, r, e);
	case RECORD_PURGE:
		return on_purge(h, f, r, e);
	case RECORD_COUNTERS:
	case RECORD_GONE:
	case RECORD_UIDL:
	case RECORD_SUMMARY:
	case RECORD_SECRET:
	case RECORD_DELIVERY:
		return RC_OK;
	}
	return RC_OK;
}

static enum rc
on_event(void *arg, struct past *p, const struct frame_info *f, const struct record *r,
         const struct log_addr *addr, struct err *e)
{
	struct history *h = arg;
	enum rc rc = RC_OK;

	if (h->lb.past == NULL) {
		h->lb.past = p;         /* it grows still */
		rc = db_exec(past_db(p),
		    "CREATE TABLE noted(blob INTEGER PRIMARY KEY); CREATE TABLE followed(id "
		    "INTEGER PRIMARY KEY);"
		    "CREATE INDEX expunged_blob ON expunged(blob)",
		    e);
	}
	if (rc == RC_OK && f->first_lsn != h->frame) {
		rc = tell_late(h, e);
		arena_reset(&h->scratch);
		h->frame = f->first_lsn;
		h->copied = 0;
	}
	return rc == RC_OK ? one_record(h, f, r, addr, e) : rc;
}

static enum admin_exit
tell_nothing(struct history *h)
{
	struct admin_call *c = h->lb.c;

	if (h->told > 0 || c->stopped)
		return ADMIN_OK;
	if (h->message_id.len > 0)
		admin_complain(c, "%s: the log knows no message %.*s; %s", c->args[0],
		    SLICE_ARG(h->message_id), admin_remembers(&h->lb));
	else
		admin_complain(c, "%s: nothing has happened that was asked for; %s", c->args[0],
		    admin_remembers(&h->lb));
	return ADMIN_FAILED;
}

static enum admin_exit
run_history(struct history *h)
{
	struct past_params pp = { .account = h->account, .at_us = PAST_END, .event = on_event,
	                          .event_arg = h };
	struct err e = ERR_INIT;
	enum admin_exit status;

	arena_init(&h->scratch, 64u << 20);
	status = admin_open_past(&h->lb, &pp);
	if (status == ADMIN_OK && tell_late(h, &e) != RC_OK)
		status = ADMIN_FAILED;
	if (status == ADMIN_OK)
		status = tell_nothing(h);
	arena_fini(&h->scratch);
	return admin_worse(status, admin_close_past(&h->lb));
}

/* The account of that name that is there, or the one that was deleted last. */
static enum admin_exit
find_account(struct admin_call *c, struct history *h, struct volume **v)
{
	struct account_info info;
	struct past_owner owner;
	struct err e = ERR_INIT;
	enum rc rc = admin_look_up(c, c->args[0], v, &info, &e);

	if (rc == RC_OK)
		h->account = info.id;
	if (rc != RC_NOT_FOUND)
		return rc == RC_OK ? ADMIN_OK : admin_fail(c, &e);
	if (admin_find_deleted(c, c->args[0], false, v, &owner) == ADMIN_OK) {
		h->account = owner.id;
		return ADMIN_OK;
	}
	admin_complain(c, "%s: there is no such account, and none of this name was deleted",
	               c->args[0]);
	return ADMIN_FAILED;
}

enum admin_exit
admin_history(struct admin_call *c)
{
	const char *id = admin_option(c, "--message-id");
	struct history h = { .message_id = slice_str(id) };
	uint64_t since_us = 0;
	struct volume *v;
	enum admin_exit status = admin_uids(c, &h.uids, &h.uids_given);

	if (status == ADMIN_OK && h.uids_given && admin_option(c, "--mailbox") == NULL) {
		admin_complain(c, "--uid needs --mailbox");
		status = ADMIN_USAGE;
	}
	if (status == ADMIN_OK)
		status = admin_mailbox_name(c, "--mailbox", &h.mailbox);
	if (status == ADMIN_OK)
		status = admin_moment(c, "--since", &since_us);
	if (status == ADMIN_OK)
		status = find_account(c, &h, &v);
	if (status == ADMIN_OK)
		status = admin_look_back(c, v, &h.lb);
	h.since_us = since_us;
	if (status == ADMIN_OK)
		status = run_history(&h);
	uid_set_fini(&h.uids);
	return status;
}
