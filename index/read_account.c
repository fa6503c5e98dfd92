/* read_account - queries over accounts and credentials. See volume.h. */
#include "index/names.h"
#include "index/volume_impl.h"

uint64_t
volume_accounts_version(const struct volume *v)
{
	return atomic_load(&v->accounts_version);
}

uint64_t
volume_places_version(const struct volume *v)
{
	return volume_accounts_version(v) + atomic_load(&v->mailboxes_version);
}

enum rc
volume_find_account(struct volume *v, struct slice name, struct arena *a, struct account_info *out,
                    struct err *e)
{
	struct slice key;
	struct db *db;
	enum rc rc;

	rc = name_account(name, a, NULL, &key, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		return err_set(e, RC_NOT_FOUND, "no such account");
	if (rc == RC_OK)
		rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = account_find(db, key, a, out, e);
	db_pool_return(v->pool, &db);
	return rc;
}

static enum rc
find_domain(struct db *db, struct slice domain, struct arena *a, struct err *e)
{
	struct slice end = arena_printf(a, "@%.*s", SLICE_ARG(domain)), key;
	sqlite3_stmt *q;
	enum rc rc;

	if (end.ptr == NULL)
		return err_nomem(e);
	rc = name_account(end, a, NULL, &key, e);
	if (rc == RC_OK)
		rc = db_first(db, &q,
		              "SELECT 1 FROM account WHERE arriving=0"
		              " AND substr(name_key, -length(?1))=?1 LIMIT 1",
		              DB_ARGS(DB_BYTES(key)), e);
	if (rc == RC_OK)
		db_end(q);
	return rc;
}

enum rc
volume_knows_domain(struct volume *v, struct slice domain, struct err *e)
{
	struct arena a;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	if (rc != RC_OK)
		return rc;
	arena_init(&a, 64u << 10);
	rc = find_domain(db, domain, &a, e);
	arena_fini(&a);
	db_pool_return(v->pool, &db);
	return rc;
}

enum rc
volume_get_account(struct volume *v, account_id id, struct arena *a, struct account_info *out,
                   struct err *e)
{
	struct db *db;
	enum rc rc;

	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = account_get(db, id, a, out, e);
	db_pool_return(v->pool, &db);
	return rc;
}

static enum rc
list_accounts(struct db *db, struct slice key, uint32_t limit, struct arena *a,
              struct account_info **out, size_t *count, struct err *e)
{
	sqlite3_stmt *q;
	uint64_t rows;
	enum db_step step;
	enum rc rc;

	rc = db_first(db, &q,
	              "SELECT count(*) FROM (SELECT 1 FROM account WHERE name_key > ?1 AND "
	              "arriving=0 LIMIT ?2)",
	              DB_ARGS(DB_BYTES(key), DB_NUM(limit)), e);
	if (rc != RC_OK)
		return rc;
	rows = db_u64(q, 0);
	db_end(q);
	*out = arena_array(a, rows + 1, sizeof **out);
	if (*out == NULL)
		return err_nomem(e);
	q = db_query(db,
	             "SELECT " ACCOUNT_COLUMNS
	             " FROM account WHERE name_key > ?1 AND arriving=0 ORDER BY name_key LIMIT ?2",
	             DB_ARGS(DB_BYTES(key), DB_NUM(rows)), e);
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		rc = account_from_row(q, a, &(*out)[(*count)++], e);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

enum rc
volume_list_accounts(struct volume *v, struct slice after, uint32_t limit, struct arena *a,
                     struct account_info **out, size_t *count, struct err *e)
{
	struct slice key = SLICE("");
	struct db *db;
	enum rc rc = RC_OK;

	*out = NULL;
	*count = 0;
	if (after.len > 0)
		rc = name_account(after, a, NULL, &key, e);
	if (rc == RC_OK)
		rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = list_accounts(db, key, limit, a, out, count, e);
	db_pool_return(v->pool, &db);
	return rc;
}

enum rc
account_list_credentials(struct db *db, account_id id, struct arena *a,
                         struct credential_info **out, size_t *count, struct err *e)
{
	sqlite3_stmt *q;
	uint64_t rows;
	enum db_step step;
	enum rc rc;

	rc = db_first(db, &q, "SELECT count(*) FROM credential WHERE account=?1",
	              DB_ARGS(DB_NUM(id)), e);
	if (rc != RC_OK)
		return rc;
	rows = db_u64(q, 0);
	db_end(q);
	*out = arena_array(a, rows + 1, sizeof **out);
	if (*out == NULL)
		return err_nomem(e);
	q = db_query(db, "SELECT name, value FROM credential WHERE account=?1 ORDER BY name",
	             DB_ARGS(DB_NUM(id)), e);
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		struct credential_info *c = &(*out)[(*count)++];

		c->name = arena_dup(a, db_bytes(q, 0));
		c->value = arena_dup(a, db_bytes(q, 1));
		if (c->name.ptr == NULL || c->value.ptr == NULL) {
			db_end(q);
			return err_nomem(e);
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

enum rc
volume_list_credentials(struct volume *v, account_id id, struct arena *a,
                        struct credential_info **out, size_t *count, struct err *e)
{
	struct db *db;
	enum rc rc;

	*out = NULL;
	*count = 0;
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = account_list_credentials(db, id, a, out, count, e);
	db_pool_return(v->pool, &db);
	return rc;
}

enum rc
volume_recount(struct volume *v, account_id id, uint64_t *bytes, uint64_t *messages,
               uint64_t *counted_bytes, uint64_t *counted_messages, struct err *e)
{
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	if (rc != RC_OK)
		return rc;
	rc = db_first(db, &q,
	    "SELECT a.used_bytes, a.used_messages, coalesce(sum(m.size), 0), "
	    "count(m.uid) FROM account a"
	    " LEFT JOIN mailbox b ON b.account = a.id LEFT JOIN message m ON m.mailbox = b.id"
	    " WHERE a.id = ?1 GROUP BY a.id",
	    DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK) {
		*bytes = db_u64(q, 0);
		*messages = db_u64(q, 1);
		*counted_bytes = db_u64(q, 2);
		*counted_messages = db_u64(q, 3);
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	return rc;
}
