/* read_view - which UIDs there are, were, and what changed: the queries behind every session's
 * view. See volume.h. */
#include "index/changed.h"
#include "index/mailbox_row.h"
#include "index/volume_impl.h"

#define CHANGED_RANGES_MAX (1u << 20)

static enum rc
add_uids(struct db *db, sqlite3_stmt *q, struct uid_set *out, struct err *e)
{
	enum db_step step;

	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		mail_uid uid = 0;
		enum rc rc = uid_from_row(q, 0, &uid, e);

		if (rc == RC_OK && !uid_set_add(out, uid, uid))
			rc = err_set(e, RC_LIMIT, "more than %zu ranges of UIDs", out->max);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

/* What a mailbox row and its ends say. */
struct extent {
	uint64_t exists, uidnext, first, last, change_floor;
};

static enum rc
read_extent(struct db *db, mailbox_id mailbox, struct extent *x, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc;

	rc = db_first(db, &q,
	              "SELECT exists_, uidnext, (SELECT min(uid) FROM message WHERE mailbox=?1),"
	              " (SELECT max(uid) FROM message WHERE mailbox=?1), change_floor FROM "
	              "mailbox WHERE id=?1",
	              DB_ARGS(DB_NUM(mailbox)), e);
	if (rc != RC_OK)
		return rc;
	*x = (struct extent){ db_u64(q, 0), db_u64(q, 1), db_u64(q, 2), db_u64(q, 3),
	                      db_u64(q, 4) };
	db_end(q);
	if (x->exists > 0 && (x->first == 0 || x->first > x->last || x->last >= x->uidnext))
		return err_set(e, RC_CORRUPT, "index: impossible UIDs in mailbox %llu",
		               (unsigned long long)mailbox);
	return RC_OK;
}

static bool
add_below(struct uid_set *out, uint64_t first, uint64_t last, mail_uid end)
{
	last = last < end ? last : end - UINT64_C(1);
	return first > last || uid_set_add(out, (mail_uid)first, (mail_uid)last);
}

/* UIDs are given without gaps, so what exists is what has no tombstone: where those are few, they
 * are read instead of the messages. *complete is false if tombstones are missing (they may have
 * been pruned): then nothing is known. */
static enum rc
add_untombed(struct db *db, mailbox_id mailbox, const struct extent *x, mail_uid end,
             struct uid_set *out, bool *complete, struct err *e)
{
	uint64_t from = 1;
	uint64_t dead = 0;
	enum db_step step;
	bool fits = true;
	sqlite3_stmt *q = db_query(db, "SELECT uid FROM expunged WHERE mailbox=?1 ORDER BY uid",
	                           DB_ARGS(DB_NUM(mailbox)), e);

	*complete = false;
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		uint64_t uid = db_u64(q, 0);

		fits = fits && add_below(out, from, uid - 1, end);
		from = uid + 1;
		dead++;
	}
	if (step == DB_FAIL)
		return e->code;
	fits = fits && add_below(out, from, x->uidnext - 1, end);
	*complete = fits && dead == x->uidnext - 1 - x->exists;
	if (!*complete)
		uid_set_reset(out);
	return RC_OK;
}

enum rc
mailbox_uids(struct db *db, mailbox_id mailbox, mail_uid end, struct uid_set *out, struct err *e)
{
	struct extent x;
	bool complete = false;
	enum rc rc;

	rc = read_extent(db, mailbox, &x, e);
	if (rc != RC_OK || x.exists == 0 || end == 0)
		return rc;
	if (x.last - x.first + 1 == x.exists)
		return add_below(out, x.first, x.last, end) ?
		               RC_OK :
		               err_set(e, RC_LIMIT, "no room for a range");
	if (x.uidnext - 1 - x.exists < x.exists / 4)
		rc = add_untombed(db, mailbox, &x, end, out, &complete, e);
	if (rc != RC_OK || complete)
		return rc;
	return add_uids(
		db,
		db_query(db, "SELECT uid FROM message WHERE mailbox=?1 AND uid < ?2 ORDER BY uid",
	                 DB_ARGS(DB_NUM(mailbox), DB_NUM(end)), e),
		out, e);
}

/* What was expunged with a MODSEQ above that, below a UID. */
static enum rc
add_expunged(struct db *db, mailbox_id mailbox, mail_modseq since, mail_uid end,
             struct uid_set *out, struct err *e)
{
	sqlite3_stmt *q = db_query(db,
	    "SELECT first, last FROM expunge_run WHERE mailbox=?1 AND modseq > ?2 AND first < ?3",
	    DB_ARGS(DB_NUM(mailbox), DB_NUM(since), DB_NUM(end)), e);
	enum db_step step;

	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		mail_uid first = 0, last = 0;
		enum rc rc = uid_from_row(q, 0, &first, e);

		if (rc == RC_OK)
			rc = uid_from_row(q, 1, &last, e);
		if (rc == RC_OK && !add_below(out, first, last, end))
			rc = err_set(e, RC_LIMIT, "more than %zu ranges of UIDs", out->max);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

enum rc
volume_read_view(struct volume *v, mailbox_id mailbox, mail_uid uidnext, mail_modseq modseq,
                 struct uid_set *out, struct err *e)
{
	struct db *db;
	enum rc rc;

	uid_set_reset(out);
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = mailbox_uids(db, mailbox, uidnext, out, e);
	/* What was expunged later than the view existed in it. */
	if (rc == RC_OK)
		rc = add_expunged(db, mailbox, modseq, uidnext, out, e);
	db_pool_return(v->pool, &db);
	return rc;
}

_Static_assert(FLAG_SEEN == 8, "the SQL below names this bit");

enum rc
volume_find_unseen(struct volume *v, mailbox_id mailbox, mail_uid *out, struct err *e)
{
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc;

	*out = 0;
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = db_first(db, &q,
	              "SELECT uid FROM message WHERE mailbox=?1 AND (flags & 8) = 0 ORDER BY uid"
	              " LIMIT 1",
	              DB_ARGS(DB_NUM(mailbox)), e);
	if (rc == RC_OK) {
		rc = uid_from_row(q, 0, out, e);
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc
read_changed(struct db *db, mailbox_id mailbox, mail_modseq since, mail_uid uidnext, uint32_t limit,
             struct arena *a, struct view_changes *out, struct err *e)
{
	enum db_step step;
	sqlite3_stmt *q;
	size_t cap = 0;
	mail_uid stop;
	enum rc found = changed_find_stop(db, mailbox, since, uidnext, limit, &stop, e);

	out->more = found == RC_LIMIT;
	if (found != RC_OK)
		return out->more ? RC_OK : found;
	q = db_query(db,
	             CHANGED_SELECT(MESSAGE_COLUMNS, MESSAGE_KEYWORDS) " ORDER BY 2, 1 LIMIT ?5",
	             DB_ARGS(CHANGED_ARGS(mailbox, since, stop, uidnext),
	                     DB_NUM(limit + UINT64_C(1))),
	             e);
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		enum rc rc = RC_OK;

		if (out->changed_count == limit) {
			out->more = true;
			db_end(q);
			return RC_OK;
		}
		if (out->changed_count == cap) {
			struct message_row *bigger =
				arena_array(a, cap = cap > 0 ? cap * 2 : 16, sizeof *bigger);

			if (bigger == NULL)
				rc = err_nomem(e);
			else if (out->changed_count > 0)
				memcpy(bigger, out->changed, out->changed_count * sizeof *bigger);
			out->changed = bigger;
		}
		if (rc == RC_OK)
			rc = message_from_row(q, out->now.change_floor, a,
			                      &out->changed[out->changed_count++], e);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

struct since {
	mail_modseq changed;
	mail_modseq expunged;
	mail_uid    uidnext;
	uint32_t    limit;
};

/* Expunges that are not remembered one by one: all that was there once, and is not now. */
static enum rc
read_absent(struct db *db, mailbox_id mailbox, mail_uid uidnext, struct uid_set *out, struct err *e)
{
	struct uid_set all, here;
	enum rc rc;

	if (uidnext <= 1)
		return RC_OK;
	uid_set_init(&all, 1);
	uid_set_init(&here, CHANGED_RANGES_MAX);
	rc = mailbox_uids(db, mailbox, uidnext, &here, e);
	if (rc == RC_OK && !uid_set_add(&all, 1, uidnext - 1))
		rc = err_nomem(e);
	if (rc == RC_OK && !uid_set_subtract(out, &all, &here))
		rc = err_set(e, RC_LIMIT, "more than %zu ranges of UIDs", out->max);
	uid_set_fini(&all);
	uid_set_fini(&here);
	return rc;
}

static enum rc
read_vanished(struct db *db, mailbox_id mailbox, const struct since *s, struct view_changes *out,
              struct err *e)
{
	mail_uid uidnext = out->now.uidnext < s->uidnext ? out->now.uidnext : s->uidnext;

	if (s->expunged < out->now.expunge_floor)
		return read_absent(db, mailbox, uidnext, &out->vanished, e);
	return add_expunged(db, mailbox, s->expunged, s->uidnext, &out->vanished, e);
}

static enum rc
read_changes(struct db *db, mailbox_id mailbox, const struct since *s, struct arena *a,
             struct view_changes *out, struct err *e)
{
	enum rc rc;

	rc = mailbox_get(db, mailbox, a, &out->now, e);
	if (rc == RC_NOT_FOUND) {
		out->gone = true;
		return RC_OK;
	}
	/* Most questions come when nothing happened, or when one message came. */
	if (rc == RC_OK && out->now.uidnext > s->uidnext)
		rc = add_uids(db,
		              db_query(db,
		                       "SELECT uid FROM message WHERE mailbox=?1 AND uid >= ?2 "
		                       "ORDER BY uid",
		                       DB_ARGS(DB_NUM(mailbox), DB_NUM(s->uidnext)), e),
		              &out->added, e);
	if (rc == RC_OK && out->now.highestmodseq > s->expunged)
		rc = read_vanished(db, mailbox, s, out, e);
	if (rc == RC_OK && out->now.highestmodseq > s->changed)
		rc = read_changed(db, mailbox, s->changed < out->now.change_floor ? 0 : s->changed,
		                  s->uidnext, s->limit, a, out, e);
	return rc;
}

enum rc
volume_read_changes(struct volume *v, mailbox_id mailbox, mail_modseq changed_since,
                    mail_modseq expunged_since, mail_uid uidnext, uint32_t limit, struct arena *a,
                    struct view_changes *out, struct err *e)
{
	struct since s = { changed_since, expunged_since, uidnext, limit };
	struct db *db;
	enum rc rc;

	*out = (struct view_changes){ 0 };
	uid_set_init(&out->added, CHANGED_RANGES_MAX);
	uid_set_init(&out->vanished, CHANGED_RANGES_MAX);
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = read_changes(db, mailbox, &s, a, out, e);
	db_pool_return(v->pool, &db);
	out->now.recent_from = recent_get(v->recent, mailbox, out->now.uidnext);
	if (rc != RC_OK)
		view_changes_fini(out);
	return rc;
}

void
view_changes_fini(struct view_changes *c)
{
	uid_set_fini(&c->added);
	uid_set_fini(&c->vanished);
}

/* ---- which of these have changed ---- */

#define FIND_ROWS 20000u                /* looked at in one call */

/* What the set can have at most in this mailbox. */
static uint64_t
count_members(const struct uid_set *uids, mail_uid uidnext)
{
	uint64_t n = 0;

	for (size_t i = 0; i < uids->count && uids->ranges[i].first < uidnext; i++) {
		uint64_t last = uids->ranges[i].last < uidnext ? uids->ranges[i].last : uidnext - 1;

		n += last - uids->ranges[i].first + 1;
	}
	return n;
}

/* Have fewer than `enough` messages changed? Looks at no more. */
static enum rc
are_few(struct db *db, mailbox_id mailbox, mail_modseq since, uint64_t enough, bool *few,
        mail_uid *stop, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = changed_find_stop(db, mailbox, since, CHANGED_END, enough - 1, stop, e);

	*few = false;
	if (rc == RC_LIMIT)
		return RC_OK;
	if (rc == RC_OK)
		rc = db_first(db, &q,
		              "SELECT count(*) FROM (" CHANGED_SELECT("1", "") " LIMIT ?5)",
		              DB_ARGS(CHANGED_ARGS(mailbox, since, *stop, CHANGED_END),
		                      DB_NUM(enough)),
		              e);
	if (rc != RC_OK)
		return rc;
	*few = db_u64(q, 0) < enough;
	db_end(q);
	return RC_OK;
}

static bool
add_common(struct uid_set *out, const struct uid_set *a, const struct uid_set *b)
{
	for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
		struct uid_range x = a->ranges[i], y = b->ranges[k];
		mail_uid first = x.first > y.first ? x.first : y.first;
		mail_uid last = x.last < y.last ? x.last : y.last;

		if (first <= last && !uid_set_add(out, first, last))
			return false;
		if (x.last < y.last)
			i++;
		else
			k++;
	}
	return true;
}

/* All that changed, sorted, and of them the members. */
static enum rc
find_by_modseq(struct db *db, mailbox_id mailbox, const struct uid_set *uids, mail_modseq since,
               mail_uid stop, struct uid_set *out, struct err *e)
{
	struct uid_set changed;
	enum rc rc;

	uid_set_init(&changed, CHANGED_RANGES_MAX);
	rc = add_uids(db,
	              db_query(db, CHANGED_SELECT("m.uid", "") " ORDER BY 1",
	                       DB_ARGS(CHANGED_ARGS(mailbox, since, stop, CHANGED_END)), e),
	              &changed, e);
	if (rc == RC_OK && !add_common(out, &changed, uids))
		rc = err_set(e, RC_LIMIT, "more than %zu ranges of UIDs", out->max);
	uid_set_fini(&changed);
	return rc;
}

/* Each member is looked at, from *from on. */
static enum rc
find_by_uid(struct db *db, mailbox_id mailbox, const struct uid_set *uids, mail_uid uidnext,
            mail_modseq since, mail_uid *from, struct uid_set *out, struct err *e)
{
	uint32_t left = FIND_ROWS;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < uids->count; i++) {
		struct uid_range r = uids->ranges[i];
		mail_uid first = r.first > *from ? r.first : *from;
		mail_uid end = r.last < uidnext ? r.last : uidnext - 1;
		mail_uid last;

		if (first > end)
			continue;
		if (left == 0)
			return RC_OK;
		last = end - first < left ? end : first + left - 1;
		rc = add_uids(db,
		    db_query(db,
		        "SELECT uid FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3"
		        " AND +modseq > ?4 ORDER BY uid",
		        DB_ARGS(DB_NUM(mailbox), DB_NUM(first), DB_NUM(last), DB_NUM(since)), e),
		    out, e);
		left -= last - first + 1;
		*from = last + 1;
		if (last < end)
			return rc;
	}
	*from = 0;
	return rc;
}

enum rc
volume_find_changed(struct volume *v, mailbox_id mailbox, const struct uid_set *uids,
                    mail_modseq since, mail_uid *from, struct uid_set *out, struct err *e)
{
	uint64_t enough;
	struct extent x;
	mail_uid stop = 0;
	bool few = false;
	struct db *db;
	enum rc rc;

	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = read_extent(db, mailbox, &x, e);
	if (rc == RC_OK && since < x.change_floor)
		since = 0;
	/* What changed must be sorted: it has to be much less to be worth it. */
	enough = rc == RC_OK ? count_members(uids, (mail_uid)x.uidnext) / 4 + 1 : 0;
	if (rc == RC_OK && *from == 1)
		rc = are_few(db, mailbox, since, enough < FIND_ROWS ? enough : FIND_ROWS, &few,
		             &stop, e);
	if (rc == RC_OK && few) {
		rc = find_by_modseq(db, mailbox, uids, since, stop, out, e);
		*from = 0;
	} else if (rc == RC_OK) {
		rc = find_by_uid(db, mailbox, uids, (mail_uid)x.uidnext, since, from, out, e);
	}
	db_pool_return(v->pool, &db);
	return rc;
}
