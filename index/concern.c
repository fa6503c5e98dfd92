/* concern - whom damage concerns. See concern.h.
 *
 * There is no index of messages by blob, as nothing else wants one: the table is searched through,
 * for a few findings. When there are many more, the damage is not a matter of single messages, and
 * LSNs and segments have to do.
 */
#include "index/concern.h"

#include "store/salvage.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMED_MAX   32u         /* mailboxes and accounts of one finding */
#define RANGES_MAX  256u        /* of UIDs in one mailbox */
#define LOOKS       200u
#define ARENA_MAX   (256u << 20)

void
concern_init(struct concern *c, struct log *log, struct db *db)
{
	*c = (struct concern){ .log = log, .db = db, .looks = LOOKS };
	arena_init(&c->arena, ARENA_MAX);
}

static void
forget(struct concern *c)
{
	for (size_t i = 0; i < c->count; i++)
		uid_set_fini(&c->named[i].uids);
	c->count = 0;
	c->more = false;
	c->records[0] = c->mended[0] = '\0';
	c->types = 0;
	c->sure = c->headers = true;
	c->lowest = c->highest = 0;
	c->walked = c->unread = 0;
	arena_reset(&c->arena);
}

void
concern_fini(struct concern *c)
{
	forget(c);
	free(c->named);
	arena_fini(&c->arena);
	*c = (struct concern){ .log = NULL };
}

/* ---- the list ---- */

static struct check_named *
entry_of(struct concern *c, account_id account, mailbox_id mailbox)
{
	struct check_named *n;

	for (size_t i = 0; i < c->count; i++) {
		n = &c->named[i];
		if (mailbox != 0 ? n->mailbox == mailbox : n->mailbox == 0 && n->account == account)
			return n;
	}
	if (c->named == NULL)
		c->named = calloc(NAMED_MAX, sizeof *c->named);
	if (c->named == NULL || c->count == NAMED_MAX) {
		c->more = true;
		return NULL;
	}
	n = &c->named[c->count++];
	*n = (struct check_named){ .account = account, .mailbox = mailbox };
	uid_set_init(&n->uids, RANGES_MAX);
	return n;
}

static void
add_uids(struct concern *c, mailbox_id mailbox, mail_uid first, mail_uid last)
{
	struct check_named *n = mailbox != 0 && first > 0 ? entry_of(c, 0, mailbox) : NULL;

	if (n != NULL && !uid_set_add(&n->uids, first, last))
		c->more = true;
}

/* ---- what the index knows ---- */

/* Adds the rows (mailbox, uid) of a query. How many there were. */
static uint64_t
add_rows(struct concern *c, const char *sql, const struct db_arg *args, int count)
{
	struct err e = ERR_INIT;
	sqlite3_stmt *q = c->db != NULL ? db_query(c->db, sql, args, count, &e) : NULL;
	uint64_t n = 0;

	while (q != NULL && db_next(c->db, q, &e) == DB_ROW) {
		add_uids(c, db_u64(q, 0), (mail_uid)db_u64(q, 1), (mail_uid)db_u64(q, 1));
		n++;
	}
	return n;
}

/* All messages of these blobs, expunged ones too. */
static void
add_blobs(struct concern *c, log_lsn first, log_lsn last)
{
	if (c->looks == 0) {
		c->more = true;
		return;
	}
	c->looks--;
	(void)add_rows(c,
	               "SELECT mailbox, uid FROM message WHERE blob BETWEEN ?1 AND ?2 UNION ALL"
	               " SELECT mailbox, uid FROM expunged WHERE blob BETWEEN ?1 AND ?2",
	               DB_ARGS(DB_NUM(first), DB_NUM(last)));
}

static void
add_objects(struct concern *c, const char *sql, bool mailboxes)
{
	struct err e = ERR_INIT;
	sqlite3_stmt *q = c->db == NULL ? NULL :
	                  db_query(c->db, sql, DB_ARGS(DB_NUM(c->first), DB_NUM(c->last)), &e);

	while (q != NULL && db_next(c->db, q, &e) == DB_ROW) {
		uint64_t id = db_u64(q, 0);

		(void)entry_of(c, mailboxes ? 0 : id, mailboxes ? id : 0);
	}
}

static void
add_range(struct concern *c)
{
	if (c->first == 0 || c->last < c->first)
		return;
	add_objects(c, "SELECT id FROM account WHERE id BETWEEN ?1 AND ?2", false);
	add_objects(c, "SELECT id FROM mailbox WHERE id BETWEEN ?1 AND ?2", true);
	if (!c->sure || (c->types & (1u << RECORD_BLOB)) != 0)
		add_blobs(c, c->first, c->last);
}

/* ---- what is left of the records ---- */

static void
see_messages(struct concern *c, const struct record_messages *r, bool sure)
{
	const struct uid_range whole = { r->first_uid, r->first_uid + r->count - 1 };
	const struct uid_range *range = r->uids != NULL ? r->uids : &whole;
	uint32_t i = 0;

	for (uint32_t k = 0; i < r->count && k < (r->uids != NULL ? r->range_count : 1u); k++) {
		for (mail_uid uid = range[k].first; i < r->count; uid++, i++) {
			const struct db_arg args[] = { DB_NUM(r->mailbox), DB_NUM(uid),
				                       DB_NUM(r->messages[i].blob) };

			if (sure)
				add_uids(c, r->mailbox, uid, uid);
			else if (add_rows(c,
			                  "SELECT mailbox, uid FROM message WHERE mailbox=?1 AND "
			                  "uid=?2 AND blob=?3"
			                  " UNION ALL SELECT mailbox, uid FROM expunged WHERE "
			                  "mailbox=?1 AND uid=?2"
			                  " AND blob=?3",
			                  args, 3) == 0)
				add_blobs(c, r->messages[i].blob, r->messages[i].blob);
			if (uid == range[k].last) {
				i++;
				break;
			}
		}
	}
}

static const char flagged[] =
    "SELECT mailbox, uid FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3"
    " AND modseq >= ?4";
static const char expunged[] =
    "SELECT mailbox, uid FROM expunged WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3"
    " AND modseq = ?4";

static void
see_ranges(struct concern *c, const struct record_flags *r, const char *sql, bool sure)
{
	for (uint32_t k = 0; k < r->range_count; k++) {
		if (sure)
			add_uids(c, r->mailbox, r->uids[k].first, r->uids[k].last);
		else
			(void)add_rows(c, sql, DB_ARGS(DB_NUM(r->mailbox), DB_NUM(r->uids[k].first),
			                               DB_NUM(r->uids[k].last), DB_NUM(r->modseq)));
	}
}

/* Ids that may be wrong themselves are believed when the index has them. */
static bool
is_known(struct concern *c, const char *sql, uint64_t id)
{
	struct err e = ERR_INIT;
	sqlite3_stmt *q;

	if (c->db == NULL || db_first(c->db, &q, sql, DB_ARGS(DB_NUM(id)), &e) != RC_OK)
		return false;
	db_end(q);
	return true;
}

static void
see_account(struct concern *c, account_id id, struct slice name, bool sure)
{
	struct check_named *n;

	if (!sure && !is_known(c, "SELECT 1 FROM account WHERE id=?1", id))
		return;
	n = entry_of(c, id, 0);
	if (n != NULL && name.len > 0)
		n->account_name = arena_dup(&c->arena, name);
}

static void
see_mailbox(struct concern *c, const struct record_mailbox *r, bool sure)
{
	struct check_named *n;

	if (!sure && !is_known(c, "SELECT 1 FROM mailbox WHERE id=?1", r->id))
		return;
	n = entry_of(c, 0, r->id);
	if (n == NULL)
		return;
	n->account = r->account;
	n->mailbox_name = arena_dup(&c->arena, r->name);
}

static void
see_record(struct concern *c, const struct record *r, bool sure)
{
	const struct record_expunge *x = &r->u.expunge;
	const struct record_flags gone = { .mailbox = x->mailbox, .modseq = x->modseq,
	                                   .uids = x->uids,
		                           .range_count = x->range_count };

	switch (r->type) {
	case RECORD_COUNTERS:
	case RECORD_GONE:
	case RECORD_BLOB:               /* by its LSN */
	case RECORD_SECRET:
	case RECORD_DELIVERY:
		return;
	case RECORD_ACCOUNT:
		see_account(c, r->u.account.id, r->u.account.name, sure);
		return;
	case RECORD_CREDENTIAL:
		see_account(c, r->u.credential.account, SLICE_NONE, sure);
		return;
	case RECORD_SUBSCRIPTION:
		see_account(c, r->u.subscription.account, SLICE_NONE, sure);
		return;
	case RECORD_MAILBOX:
		see_mailbox(c, &r->u.mailbox, sure);
		return;
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		see_messages(c, &r->u.messages, sure);
		return;
	case RECORD_FLAGS:
		see_ranges(c, &r->u.flags, flagged, sure);
		return;
	case RECORD_EXPUNGE:
		see_ranges(c, &gone, expunged, sure);
		return;
	case RECORD_PURGE:
		add_blobs(c, r->u.purge.blob, r->u.purge.blob);
		return;
	case RECORD_UIDL:
		if (sure)
			add_uids(c, r->u.uidl.mailbox, r->u.uidl.uid, r->u.uidl.uid);
		return;
	case RECORD_SUMMARY:
		add_blobs(c, r->u.summary.blob, r->u.summary.blob);
		return;
	}
}

static void
on_frame(void *arg, const struct frame_hdr *h, uint64_t offset, bool sure)
{
	struct concern *c = arg;

	c->walked = offset + FRAME_HDR_LEN + h->body_len;
	c->unread += h->record_count;
	c->headers = c->headers && sure;
	if (sure && (c->lowest == 0 || h->first_lsn < c->lowest))
		c->lowest = h->first_lsn;
	if (sure && frame_last_lsn(h) > c->highest)
		c->highest = frame_last_lsn(h);
	c->sure = c->sure && sure;
	if (sure && h->who.account != 0)
		(void)entry_of(c, h->who.account, 0);
}

/* What the neighbours of a stretch leave open is more than what was lost, if compaction has made
 * the segment: LSNs between frames are of records that had died. The headers of all frames of the
 * stretch tell it exactly. */
static void
settle_range(struct concern *c, const struct log_addr *stretch)
{
	bool exact = c->headers && c->walked == stretch->offset + stretch->len;

	if (c->highest == 0)
		return;
	if (exact || c->first == 0 || c->lowest < c->first)
		c->first = c->lowest;
	if (exact || c->highest > c->last)
		c->last = c->highest;
}

static void
on_record(void *arg, log_lsn lsn, uint8_t type, struct slice body, bool sure)
{
	struct concern *c = arg;
	struct err e = ERR_INIT;
	struct record r;

	c->unread--;
	c->sure = c->sure && sure;
	if (type >= 32 || record_type_name((enum record_type)type) == NULL)
		return;
	c->types |= 1u << record_type_of(type);
	if (record_decode((enum record_type)type, lsn, body, &c->arena, &r, &e) == RC_OK)
		see_record(c, &r, sure);
}

static void
on_byte(void *arg, uint64_t offset, uint8_t is, uint8_t was)
{
	struct concern *c = arg;

	(void)snprintf(c->mended, sizeof c->mended, "byte %llu is 0x%02x and was 0x%02x",
	               (unsigned long long)offset, is, was);
}

/* ---- names ---- */

static struct slice
name_of(struct concern *c, const char *sql, uint64_t id, account_id *owner)
{
	struct slice name = SLICE_NONE;
	struct err e = ERR_INIT;
	sqlite3_stmt *q;

	if (c->db == NULL || db_first(c->db, &q, sql, DB_ARGS(DB_NUM(id)), &e) != RC_OK)
		return name;
	name = arena_dup(&c->arena, db_bytes(q, 0));
	*owner = db_u64(q, 1);
	db_end(q);
	return name;
}

static void
add_names(struct concern *c, struct check_named *n)
{
	account_id self;
	struct slice name;

	if (n->mailbox != 0) {
		name = name_of(c, "SELECT name, account FROM mailbox WHERE id=?1", n->mailbox,
		               &n->account);
		n->mailbox_name = name.len > 0 ? name : n->mailbox_name;
	}
	name = name_of(c, "SELECT name, id FROM account WHERE id=?1", n->account, &self);
	n->account_name = name.len > 0 ? name : n->account_name;
}

/* Who is named with a mailbox need not be named alone. */
static bool
is_repeated(const struct concern *c, const struct check_named *n)
{
	for (size_t i = 0; i < c->count && n->mailbox == 0; i++)
		if (c->named[i].mailbox != 0 && c->named[i].account == n->account)
			return true;
	return false;
}

static void
finish_names(struct concern *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->count; i++)
		add_names(c, &c->named[i]);
	for (size_t i = 0; i < c->count; i++) {
		if (is_repeated(c, &c->named[i]))
			uid_set_fini(&c->named[i].uids);
		else
			c->named[kept++] = c->named[i];
	}
	c->count = kept;
}

static void
name_types(struct concern *c)
{
	size_t at = 0;

	for (unsigned t = 1; t < 32; t++) {
		if ((c->types & (1u << t)) == 0 || at >= sizeof c->records)
			continue;
		at += (size_t)snprintf(c->records + at, sizeof c->records - at, "%s%s",
		                       at > 0 ? ", " : "", record_type_name((enum record_type)t));
	}
}

void
concern_find(struct concern *c, const struct log_addr *stretch, log_lsn first, log_lsn last)
{
	const struct salvage s = { c, on_frame, on_record, on_byte };
	struct err e = ERR_INIT;

	forget(c);
	c->first = first;
	c->last = last;
	if (stretch->len == 0 || stretch->seg.kind != SEG_LOG || c->looks == 0) {
		c->sure = false;
	} else {
		c->looks--;
		if (log_salvage(c->log, stretch, first, last, &s, &e) != RC_OK)
			c->sure = false;
		settle_range(c, stretch);
		c->sure = c->sure && c->unread == 0;
	}
	add_range(c);
	finish_names(c);
	name_types(c);
}

void
concern_find_record(struct concern *c, enum record_type type, log_lsn lsn)
{
	forget(c);
	c->first = c->last = lsn;
	c->types = 1u << type;
	add_range(c);
	finish_names(c);
	name_types(c);
}
