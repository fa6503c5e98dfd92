/* resolve_mailbox - CREATE, DELETE, RENAME, SUBSCRIBE, and what an import takes over.
 *
 * Every name on the way to a mailbox is a mailbox itself: there are no \Noselect names. So CREATE
 * and RENAME make the missing parents, and a mailbox with children cannot be deleted: that would
 * leave a name without a mailbox. [RFC 9051 s6.3.5 lets a server refuse it; the response code is
 * HASCHILDREN.] Rejected: \Noselect rows, which every query and command would have to treat.
 */
#include "index/resolve.h"

#include "index/names.h"

static enum rc
find_name(struct resolver *rs, account_id account, struct slice name, struct mailbox_info *out,
          struct err *e)
{
	return mailbox_find(rs->db, account, name, &rs->scratch, out, e);
}

/* A name for something new: refused if it is not allowed or taken. */
static enum rc
new_name(struct resolver *rs, account_id account, struct slice name, struct slice *out,
         struct err *e)
{
	struct mailbox_info there;
	enum rc rc;

	rc = name_mailbox_make(name, &rs->scratch, out, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		rs->refused = true;
	if (rc != RC_OK)
		return rc;
	rc = find_name(rs, account, *out, &there, e);
	if (rc == RC_OK)
		return resolve_refuse(rs, RC_EXISTS, e, "mailbox exists");
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc
old_name(struct resolver *rs, struct slice name, struct mailbox_info *out, struct err *e)
{
	struct slice nfc;
	enum rc rc;

	rc = name_mailbox_find(name, &rs->scratch, &nfc, e);
	if (rc == RC_OK)
		rc = find_name(rs, rs->c->u.mailbox.account, nfc, out, e);
	return rc == RC_NOT_FOUND ? resolve_refuse(rs, rc, e, "no such mailbox") : rc;
}

/* Make the parents that `name` lacks, outermost first: the loop walks up to the first that is
 * there, then down. */
static enum rc
make_parents(struct resolver *rs, account_id account, struct slice name, struct err *e)
{
	struct mailbox_info there;
	struct slice missing[MAILBOX_LEVELS_MAX];
	size_t count = 0;
	enum rc rc = RC_OK;

	for (struct slice p = name_parent(name); p.len > 0; p = name_parent(p)) {
		rc = find_name(rs, account, p, &there, e);
		if (rc != RC_NOT_FOUND)
			break;
		missing[count++] = p;
		rc = RC_OK;
	}
	while (rc == RC_OK && count > 0) {
		mailbox_id id;

		rc = resolve_new_mailbox(rs, account, missing[--count], 0, &id, e);
	}
	return rc;
}

enum rc
resolve_mailbox_create(struct resolver *rs, struct err *e)
{
	struct change_mailbox *c = &rs->c->u.mailbox;
	struct account_info account;
	struct slice name;
	enum rc rc;

	rc = resolve_account(rs, c->account, &account, e);
	if (rc == RC_OK)
		rc = new_name(rs, c->account, c->name, &name, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = make_parents(rs, c->account, name, e);
	if (rc == RC_OK)
		rc = resolve_take_mailbox(rs, c->account, name, c->special_use, c->uidvalidity,
		                          &c->id, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

/* A client that saw this mailbox while it was empty has nothing that a new UIDVALIDITY could
 * confuse [RFC 9051 s2.3.1.1]. One that ever held a message keeps its own. */
enum rc
resolve_mailbox_adopt(struct resolver *rs, struct err *e)
{
	struct change_mailbox *c = &rs->c->u.mailbox;
	struct mailbox_info m;
	struct record r;
	enum rc rc;

	rc = old_name(rs, c->name, &m, e);
	if (rc != RC_OK)
		return rc;
	c->id = m.id;
	r = resolve_mailbox_record(&m);
	if (c->uidvalidity != 0 && c->uidvalidity != m.uidvalidity && m.uidnext > 1)
		return resolve_refuse(rs, RC_EXISTS, e,
		                      "the mailbox has had messages: its UIDVALIDITY stays");
	if (c->uidvalidity != 0)
		r.u.mailbox.uidvalidity = c->uidvalidity;
	if (c->uidnext > m.uidnext)
		r.u.mailbox.uidnext = c->uidnext;
	if (r.u.mailbox.uidvalidity == m.uidvalidity && r.u.mailbox.uidnext == m.uidnext)
		return RC_OK;
	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK && r.u.mailbox.uidvalidity != m.uidvalidity)
		rc = resolve_take_uidvalidity(rs, c->uidvalidity, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

/* Mailboxes below `top`, in the order of names. */
static enum rc
list_below(struct resolver *rs, const struct mailbox_info *top, struct mailbox_info **out,
           size_t *count, struct err *e)
{
	size_t cap = 0;
	enum db_step step;
	sqlite3_stmt *q = db_query(
		rs->db,
		"SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE account=?1"
		" AND name > CAST(?2 || X'2f' AS BLOB) AND name < CAST(?2 || X'30' AS BLOB)"
		" ORDER BY name",
		DB_ARGS(DB_NUM(top->account), DB_BYTES(top->name)), e);

	*out = NULL;
	*count = 0;
	if (q == NULL)
		return e->code;
	while ((step = db_next(rs->db, q, e)) == DB_ROW) {
		enum rc rc = RC_OK;

		if (*count == cap) {
			struct mailbox_info *bigger;

			cap = cap > 0 ? cap * 2 : 16;
			bigger = arena_array(&rs->scratch, cap, sizeof *bigger);
			if (bigger == NULL)
				rc = err_nomem(e);
			else if (*count > 0)
				memcpy(bigger, *out, *count * sizeof *bigger);
			*out = bigger;
		}
		if (rc == RC_OK)
			rc = mailbox_from_row(q, &rs->scratch, &(*out)[(*count)++], e);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

enum rc
resolve_mailbox_delete(struct resolver *rs, struct err *e)
{
	struct mailbox_info m;
	struct mailbox_info *below;
	size_t count;
	struct record r;
	enum rc rc;

	rc = old_name(rs, rs->c->u.mailbox.name, &m, e);
	if (rc != RC_OK)
		return rc;
	if (name_is_inbox(m.name))
		return resolve_refuse(rs, RC_DENIED, e, "INBOX cannot be deleted");
	rc = list_below(rs, &m, &below, &count, e);
	if (rc != RC_OK)
		return rc;
	if (count > 0)
		return resolve_refuse(rs, RC_DENIED, e, "mailbox has children");
	rs->c->u.mailbox.id = m.id;
	r = resolve_mailbox_record(&m);
	r.u.mailbox.deleted = true;
	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

/* ---- RENAME ---- */

static enum rc
rename_one(struct resolver *rs, const struct mailbox_info *m, struct slice old_top,
           struct slice new_top, struct err *e)
{
	struct record r = resolve_mailbox_record(m);
	struct slice name;
	struct mailbox_info there;
	enum rc rc;

	r.u.mailbox.name = arena_printf(&rs->scratch, "%.*s%.*s", SLICE_ARG(new_top),
	                                SLICE_ARG(slice_sub(m->name, old_top.len, m->name.len)));
	if (r.u.mailbox.name.ptr == NULL)
		return err_nomem(e);
	rc = name_mailbox_make(r.u.mailbox.name, &rs->scratch, &name, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		rs->refused = true;
	if (rc != RC_OK)
		return rc;
	rc = find_name(rs, m->account, name, &there, e);
	if (rc == RC_OK)
		return resolve_refuse(rs, RC_EXISTS, e, "a mailbox below has a name that exists");
	r.u.mailbox.name = name;
	return rc == RC_NOT_FOUND ? resolve_add(rs, &r, e) : rc;
}

static enum rc
rename_tree(struct resolver *rs, const struct mailbox_info *m, struct slice name, struct err *e)
{
	struct mailbox_info *below;
	size_t count;
	enum rc rc;

	rc = list_below(rs, m, &below, &count, e);
	if (rc == RC_OK)
		rc = rename_one(rs, m, m->name, name, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = rename_one(rs, &below[i], m->name, name, e);
	return rc;
}

/* "Renaming INBOX is permitted and [...] moves all messages in INBOX to a new mailbox with the
 * given name, leaving INBOX empty"; names below INBOX stay. [RFC 9051 s6.3.6] */
static enum rc
rename_inbox(struct resolver *rs, const struct mailbox_info *inbox, struct slice name,
             struct err *e)
{
	struct uid_set all;
	struct uid_set moved;
	struct mailbox_info target;
	struct transfer t = { inbox, &target, &all, &moved, 0, 0, 0 };
	struct record_message *messages;
	mailbox_id id;
	uint64_t bytes;
	enum rc rc;

	uid_set_init(&all, 1);
	uid_set_init(&moved, UINT32_MAX);
	rc = resolve_new_mailbox(rs, inbox->account, name, 0, &id, e);
	if (rc == RC_OK)
		rc = resolve_mailbox(rs, id, &target, e);
	if (rc == RC_OK && !uid_set_add(&all, 1, UINT32_MAX))
		rc = err_nomem(e);
	if (rc == RC_OK)
		rc = transfer_read(rs, &t, &messages, &bytes, e);
	if (rc == RC_OK && t.count > 0)
		rc = transfer_copy(rs, &t, messages, e);
	if (rc == RC_OK && t.count > 0)
		rc = transfer_expunge(rs, &t, e);
	rs->c->u.mailbox.id = id;
	uid_set_fini(&all);
	uid_set_fini(&moved);
	return rc;
}

enum rc
resolve_mailbox_rename(struct resolver *rs, struct err *e)
{
	struct change_mailbox *c = &rs->c->u.mailbox;
	struct mailbox_info m;
	struct slice name;
	enum rc rc;

	rc = old_name(rs, c->name, &m, e);
	if (rc == RC_OK)
		rc = new_name(rs, c->account, c->new_name, &name, e);
	if (rc != RC_OK)
		return rc;
	/* INBOX itself may be moved below INBOX: it stays where it is. */
	if (!name_is_inbox(m.name) && name_is_below(name, m.name))
		return resolve_refuse(rs, RC_DENIED, e, "a mailbox cannot go below itself");
	c->id = m.id;
	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = make_parents(rs, c->account, name, e);
	if (rc == RC_OK)
		rc = name_is_inbox(m.name) ? rename_inbox(rs, &m, name, e) :
		                             rename_tree(rs, &m, name, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

/* Names that are no mailbox may be subscribed too: a mailbox may come back [RFC 9051 s6.3.7]. */
enum rc
resolve_subscribe(struct resolver *rs, struct err *e)
{
	struct change_subscribe *c = &rs->c->u.subscribe;
	struct record r = { .type = RECORD_SUBSCRIPTION };
	struct account_info account;
	sqlite3_stmt *q;
	enum rc rc;

	rc = resolve_account(rs, c->account, &account, e);
	if (rc != RC_OK)
		return rc;
	r.u.subscription = (struct record_subscription){ c->account, c->name, c->subscribed };
	rc = name_mailbox_make(c->name, &rs->scratch, &r.u.subscription.name, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		rs->refused = true;
	if (rc != RC_OK)
		return rc;
	rc = db_first(rs->db, &q, "SELECT 1 FROM subscription WHERE account=?1 AND name=?2",
	              DB_ARGS(DB_NUM(c->account), DB_BYTES(r.u.subscription.name)), e);
	if (rc == RC_OK)
		db_end(q);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	if ((rc == RC_OK) == c->subscribed)
		return RC_OK;           /* it is so already */
	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}
