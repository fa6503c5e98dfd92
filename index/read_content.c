/* read_content - what an import compares with, and the unique-ids that it brought. See volume.h.
 *
 * Both are lists over one mailbox, in pages, as their readers keep what they need of it.
 */
#include "index/volume_impl.h"

/* An array in the arena that grows by doubling. */
static void *
room_for(void *array, size_t count, size_t *cap, size_t size, struct arena *a)
{
	void *bigger;

	if (count < *cap)
		return array;
	*cap = *cap > 0 ? *cap * 2 : 64;
	bigger = arena_array(a, *cap, size);
	if (bigger != NULL && count > 0)
		memcpy(bigger, array, count * size);
	return bigger;
}

enum rc
volume_list_contents(struct volume *v, mailbox_id mailbox, mail_uid from, uint32_t limit, struct arena *a,
                     struct message_content **out, size_t *count, struct err *e)
{
	struct message_content *rows = NULL;
	size_t n = 0, cap = 0;
	enum db_step step = DB_DONE;
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	*out = NULL;
	*count = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db,
	             "SELECT m.uid, m.internaldate, b.sha256 FROM message m LEFT JOIN blob b ON b.id=m.blob"
	             " WHERE m.mailbox=?1 AND m.uid>=?2 ORDER BY m.uid LIMIT ?3",
	             DB_ARGS(DB_NUM(mailbox), DB_NUM(from), DB_NUM(limit)), e);
	if (q == NULL)
		rc = e->code;
	while (rc == RC_OK && (step = db_next(db, q, e)) == DB_ROW) {
		struct slice sha = db_bytes(q, 2);

		rows = room_for(rows, n, &cap, sizeof *rows, a);
		if (rows == NULL) {
			db_end(q);
			rc = err_nomem(e);
			break;
		}
		rows[n] = (struct message_content){ .uid = (mail_uid)db_u64(q, 0), .internaldate = (int64_t)db_u64(q, 1) };
		if (sha.len == sizeof rows->sha256)
			memcpy(rows[n].sha256, sha.ptr, sha.len);
		n++;
	}
	db_pool_return(v->pool, &db);
	if (rc == RC_OK && step != DB_DONE)
		rc = e->code;
	*out = rows;
	*count = n;
	return rc;
}

enum rc
volume_list_uidls(struct volume *v, mailbox_id mailbox, mail_uid from, uint32_t limit, struct arena *a,
                  struct message_uidl **out, size_t *count, struct err *e)
{
	struct message_uidl *rows = NULL;
	size_t n = 0, cap = 0;
	enum db_step step = DB_DONE;
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	*out = NULL;
	*count = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db, "SELECT uid, text FROM uidl WHERE mailbox=?1 AND uid>=?2 ORDER BY uid LIMIT ?3",
	             DB_ARGS(DB_NUM(mailbox), DB_NUM(from), DB_NUM(limit)), e);
	if (q == NULL)
		rc = e->code;
	while (rc == RC_OK && (step = db_next(db, q, e)) == DB_ROW) {
		rows = room_for(rows, n, &cap, sizeof *rows, a);
		if (rows != NULL)
			rows[n] = (struct message_uidl){ (mail_uid)db_u64(q, 0), arena_dup(a, db_bytes(q, 1)) };
		if (rows == NULL || rows[n].text.ptr == NULL) {
			db_end(q);
			rc = err_nomem(e);
			break;
		}
		n++;
	}
	db_pool_return(v->pool, &db);
	if (rc == RC_OK && step != DB_DONE)
		rc = e->code;
	*out = rows;
	*count = n;
	return rc;
}
