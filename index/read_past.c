/* read_past - what is asked of a past. See past.h. */
#include "index/past_impl.h"

#include "index/mailbox_row.h"

#define LAST_UID UINT32_MAX

/* The first number of the first row. */
static enum rc
read_number(struct past *p, const char *sql, const struct db_arg *args, int count, uint64_t *out,
            struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(p->db, &q, sql, args, count, e);

	if (rc != RC_OK)
		return rc;
	*out = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

enum rc
past_account(struct past *p, struct arena *a, struct account_info *out, struct err *e)
{
	return account_get(p->db, p->pp.account, a, out, e);
}

enum rc
past_credentials(struct past *p, struct arena *a, struct credential_info **out, size_t *count,
                 struct err *e)
{
	*count = 0;
	return account_list_credentials(p->db, p->pp.account, a, out, count, e);
}

/* Room for the rows that a count says; *n of them are used so far. */
static void *
make_rows(struct past *p, const char *sql, size_t size, struct arena *a, enum rc *rc, struct err *e)
{
	uint64_t n = 0;
	void *rows;

	*rc = read_number(p, sql, DB_ARGS(DB_NUM(p->pp.account)), &n, e);
	if (*rc != RC_OK)
		return NULL;
	rows = arena_array(a, n + 1, size);
	if (rows == NULL)
		*rc = err_nomem(e);
	return rows;
}

enum rc
past_subscriptions(struct past *p, struct arena *a, struct slice **out, size_t *count,
                   struct err *e)
{
	enum db_step step = DB_DONE;
	sqlite3_stmt *q;
	enum rc rc;

	*count = 0;
	*out = make_rows(p, "SELECT count(*) FROM subscription WHERE account=?1", sizeof **out, a,
	                 &rc, e);
	if (rc != RC_OK)
		return rc;
	q = db_query(p->db, "SELECT name FROM subscription WHERE account=?1 ORDER BY name",
	             DB_ARGS(DB_NUM(p->pp.account)), e);
	while (q != NULL && (step = db_next(p->db, q, e)) == DB_ROW) {
		struct slice name = arena_dup(a, db_bytes(q, 0));

		if (name.ptr == NULL) {
			db_end(q);
			return err_nomem(e);
		}
		(*out)[(*count)++] = name;
	}
	return q != NULL && step == DB_DONE ? RC_OK : e->code;
}

static const char mailbox_rows[] =
    "SELECT m.id, m.name, m.special_use, (SELECT count(*) FROM message x WHERE x.mailbox = m.id),"
    " coalesce(c.time, 0) FROM mailbox m LEFT JOIN closed c ON c.mailbox = m.id "
    "WHERE m.account = ?1"
    " ORDER BY m.name, c.time IS NULL, c.time, m.id";

enum rc
past_mailboxes(struct past *p, struct arena *a, struct past_mailbox **out, size_t *count,
               struct err *e)
{
	enum db_step step = DB_DONE;
	sqlite3_stmt *q;
	enum rc rc;

	*count = 0;
	*out = make_rows(p, "SELECT count(*) FROM mailbox WHERE account=?1", sizeof **out, a, &rc,
	                 e);
	if (rc != RC_OK)
		return rc;
	q = db_query(p->db, mailbox_rows, DB_ARGS(DB_NUM(p->pp.account)), e);
	while (q != NULL && (step = db_next(p->db, q, e)) == DB_ROW) {
		struct past_mailbox *m = &(*out)[(*count)++];

		*m = (struct past_mailbox){
			.id = db_u64(q, 0),
			.name = arena_dup(a, db_bytes(q, 1)),
			.special_use = (uint32_t)db_u64(q, 2),
			.exists = (uint32_t)db_u64(q, 3),
			.deleted_us = db_u64(q, 4),
		};
		if (m->name.ptr == NULL) {
			db_end(q);
			return err_nomem(e);
		}
	}
	return q != NULL && step == DB_DONE ? RC_OK : e->code;
}

/* ---- messages ---- */

static enum rc
ask_for(struct past *p, const struct uid_set *uids, struct err *e)
{
	const struct uid_range all = { 1, LAST_UID };
	size_t n = uids != NULL ? uids->count : 1;
	enum rc rc = db_exec(p->db, "DELETE FROM asked; DELETE FROM wanted", e);

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct uid_range r = uids != NULL ? uids->ranges[i] : all;

		rc = db_run(p->db, "INSERT INTO asked VALUES(?1, ?2)",
		            DB_ARGS(DB_NUM(r.first), DB_NUM(r.last)), e);
	}
	return rc;
}

#define ASKED "EXISTS(SELECT 1 FROM asked WHERE m.uid BETWEEN first AND last)"
#define GONE  " FROM expunged m JOIN gone g ON g.mailbox = m.mailbox AND g.modseq = m.modseq" \
	      " WHERE m.mailbox = ?1 AND g.time >= ?2 AND " ASKED

static enum rc
choose_live(struct past *p, const struct past_select *s, struct past_chosen *out, struct err *e)
{
	const struct db_arg args[] = { DB_NUM(s->mailbox) };
	enum rc rc;

	rc = read_number(p,
	    "SELECT count(*) FROM message m WHERE mailbox = ?1 AND blob = 0 AND " ASKED, args, 1,
	    &out->bare, e);
	return rc == RC_OK ? db_run(p->db,
	                            "INSERT INTO wanted SELECT NULL, uid, flags, kw, blob, "
	                            "internaldate, zone, threadid, 0"
	                            " FROM message m WHERE mailbox = ?1 AND blob != 0 AND " ASKED
	                            " ORDER BY uid",
	                            args, 1, e)
	                   : rc;
}

/* Of several with one content the row with the latest time: SQLite takes the other columns from the
 * row that has the maximum. */
static enum rc
choose_expunged(struct past *p, const struct past_select *s, struct past_chosen *out, struct err *e)
{
	const struct db_arg args[] = { DB_NUM(s->mailbox),
	                               DB_NUM(s->since_us < INT64_MAX ? s->since_us : INT64_MAX),
		                       DB_NUM(s->moved) };
	enum rc rc;

	rc = read_number(p, "SELECT count(*)" GONE " AND g.moved > ?3 AND m.blob != 0", args, 3,
	                 &out->moved, e);
	if (rc == RC_OK)
		rc = read_number(p, "SELECT count(*)" GONE " AND m.blob = 0", args, 2, &out->bare,
		                 e);
	return rc == RC_OK
	           ? db_run(p->db,
	                    "INSERT INTO wanted SELECT NULL, uid, flags, kw, blob, internaldate, "
	                    "zone, threadid, t"
	                    " FROM (SELECT m.*, max(g.time) AS t" GONE
	                    " AND g.moved <= ?3 AND m.blob != 0 GROUP BY m.blob) ORDER BY uid",
	                    args, 3, e)
	           : rc;
}

enum rc
past_choose(struct past *p, const struct past_select *s, struct past_chosen *out, struct err *e)
{
	enum rc rc = ask_for(p, s->uids, e);

	*out = (struct past_chosen){ .messages = 0 };
	if (rc == RC_OK)
		rc = s->choice == PAST_LIVE ? choose_live(p, s, out, e)
		                            : choose_expunged(p, s, out, e);
	return rc == RC_OK
	           ? read_number(p, "SELECT count(*) FROM wanted", DB_NO_ARGS, &out->messages, e)
	           : rc;
}

static enum rc
read_one(sqlite3_stmt *q, struct arena *a, struct past_message *out, struct err *e)
{
	enum rc rc;

	*out = (struct past_message){
		.n = db_u64(q, 0),
		.flags = (uint32_t)db_u64(q, 2),
		.keywords = arena_dup(a, db_bytes(q, 3)),
		.blob = db_u64(q, 4),
		.internaldate = { (int64_t)db_u64(q, 5), (int16_t)db_u64(q, 6) },
		.threadid = db_u64(q, 7),
		.expunged_us = db_u64(q, 8),
	};
	rc = uid_from_row(q, 1, &out->uid, e);
	return rc == RC_OK && out->keywords.ptr == NULL ? err_nomem(e) : rc;
}

enum rc
past_read(struct past *p, uint64_t from, uint32_t limit, struct arena *a, struct past_message **out,
          size_t *count, struct err *e)
{
	enum db_step step;
	sqlite3_stmt *q;

	*count = 0;
	*out = arena_array(a, limit, sizeof **out);
	if (*out == NULL)
		return err_nomem(e);
	q = db_query(p->db,
	             "SELECT m.n, m.uid, m.flags, coalesce(k.text, X''), m.blob, m.internaldate, "
	             "m.zone, m.threadid, m.time"
	             " FROM wanted m" MESSAGE_KEYWORDS " WHERE m.n >= ?1 ORDER BY m.n LIMIT ?2",
	             DB_ARGS(DB_NUM(from), DB_NUM(limit)), e);
	if (q == NULL)
		return e->code;
	while ((step = db_next(p->db, q, e)) == DB_ROW) {
		enum rc rc = read_one(q, a, &(*out)[*count], e);

		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
		(*count)++;
	}
	return step == DB_DONE ? RC_OK : e->code;
}
