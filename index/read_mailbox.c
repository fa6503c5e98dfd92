/* read_mailbox - queries over mailboxes, subscriptions and keywords. See volume.h. */
#include "index/names.h"
#include "index/volume_impl.h"

#define SELECT_MAILBOX "SELECT " MAILBOX_COLUMNS MAILBOX_EXTRA " FROM mailbox m "

static enum rc
public_row(struct volume *v, sqlite3_stmt *q, struct arena *a, struct mailbox_info *out,
           struct err *e)
{
	enum rc rc = mailbox_from_row(q, a, out, e);

	out->subscribed = db_u64(q, MAILBOX_EXTRA_COLUMN) != 0;
	out->has_children = db_u64(q, MAILBOX_EXTRA_COLUMN + 1) != 0;
	out->recent_from = recent_get(v->recent, out->id, out->uidnext);
	return rc;
}

void
volume_moment_begin(struct volume *v)
{
	db_pool_moment_begin(v->pool);
}

void
volume_moment_end(struct volume *v)
{
	db_pool_moment_end(v->pool);
}

enum rc
volume_find_mailbox(struct volume *v, account_id account, struct slice name, struct arena *a,
                    struct mailbox_info *out, struct err *e)
{
	struct slice nfc;
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc;

	rc = name_mailbox_find(name, a, &nfc, e);
	if (rc == RC_OK)
		rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = db_first(db, &q, SELECT_MAILBOX "WHERE m.account=?1 AND m.name=?2",
	              DB_ARGS(DB_NUM(account), DB_BYTES(nfc)), e);
	if (rc == RC_OK) {
		rc = public_row(v, q, a, out, e);
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	return rc;
}

enum rc
volume_get_mailbox(struct volume *v, mailbox_id id, struct arena *a, struct mailbox_info *out,
                   struct err *e)
{
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc;

	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = db_first(db, &q, SELECT_MAILBOX "WHERE m.id=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK) {
		rc = public_row(v, q, a, out, e);
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	return rc;
}

static enum rc
count_rows(struct db *db, const char *sql, uint64_t id, uint64_t *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, sql, DB_ARGS(DB_NUM(id)), e);

	if (rc != RC_OK)
		return rc;
	*out = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

static enum rc
list_mailboxes(struct volume *v, struct db *db, account_id account, struct arena *a,
               struct mailbox_info **out, size_t *count, struct err *e)
{
	sqlite3_stmt *q;
	uint64_t rows;
	enum db_step step;
	enum rc rc;

	rc = count_rows(db, "SELECT count(*) FROM mailbox WHERE account=?1", account, &rows, e);
	if (rc != RC_OK)
		return rc;
	*out = arena_array(a, rows + 1, sizeof **out);
	if (*out == NULL)
		return err_nomem(e);
	q = db_query(db,
	             SELECT_MAILBOX "WHERE m.account=?1 ORDER BY m.name != X'494e424f58', m.name",
	             DB_ARGS(DB_NUM(account)), e);
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		rc = public_row(v, q, a, &(*out)[(*count)++], e);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

enum rc
volume_list_mailboxes(struct volume *v, account_id account, struct arena *a,
                      struct mailbox_info **out, size_t *count, struct err *e)
{
	struct db *db;
	enum rc rc;

	*out = NULL;
	*count = 0;
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = list_mailboxes(v, db, account, a, out, count, e);
	db_pool_return(v->pool, &db);
	return rc;
}

/* Two queries over one table: how many rows, and their one column. */
struct name_query {
	const char *count;
	const char *rows;
};

static enum rc
list_names(struct db *db, const struct name_query *nq, uint64_t id, struct arena *a,
           struct slice **out, size_t *count, struct err *e)
{
	sqlite3_stmt *q;
	uint64_t rows;
	enum db_step step;
	enum rc rc;

	rc = count_rows(db, nq->count, id, &rows, e);
	if (rc != RC_OK)
		return rc;
	*out = arena_array(a, rows + 1, sizeof **out);
	if (*out == NULL)
		return err_nomem(e);
	q = db_query(db, nq->rows, DB_ARGS(DB_NUM(id)), e);
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		struct slice name = arena_dup(a, db_bytes(q, 0));

		if (name.ptr == NULL) {
			db_end(q);
			return err_nomem(e);
		}
		(*out)[(*count)++] = name;
	}
	return step == DB_DONE ? RC_OK : e->code;
}

static enum rc
borrow_and_list(struct volume *v, const struct name_query *nq, uint64_t id, struct arena *a,
                struct slice **out, size_t *count, struct err *e)
{
	struct db *db;
	enum rc rc;

	*out = NULL;
	*count = 0;
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = list_names(db, nq, id, a, out, count, e);
	db_pool_return(v->pool, &db);
	return rc;
}

enum rc
volume_list_subscriptions(struct volume *v, account_id account, struct arena *a, struct slice **out,
                          size_t *count, struct err *e)
{
	static const struct name_query nq = {
		"SELECT count(*) FROM subscription WHERE account=?1",
		"SELECT name FROM subscription WHERE account=?1 ORDER BY name",
	};

	return borrow_and_list(v, &nq, account, a, out, count, e);
}

enum rc
volume_list_keywords(struct volume *v, mailbox_id mailbox, struct arena *a, struct slice **out,
                     size_t *count, struct err *e)
{
	static const struct name_query nq = {
		"SELECT count(*) FROM mailbox_keyword WHERE mailbox=?1",
		"SELECT keyword FROM mailbox_keyword WHERE mailbox=?1 ORDER BY key",
	};

	return borrow_and_list(v, &nq, mailbox, a, out, count, e);
}

mail_uid
volume_claim_recent(struct volume *v, mailbox_id mailbox, mail_uid uidnext)
{
	return recent_claim(v->recent, mailbox, uidnext);
}
