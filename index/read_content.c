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

/* What is listed: rows of a mailbox (?1) from a UID (?2) on, so many (?3). */
struct listing {
	const char *sql;
	size_t      size;               /* of an element */
	bool      (*take)(sqlite3_stmt *q, void *element, struct arena *a);  /* false: no memory */
};

static enum rc
take_rows(struct db *db, sqlite3_stmt *q, const struct listing *l, struct arena *a, void **out,
          size_t *count, struct err *e)
{
	enum db_step step;
	size_t cap = 0;

	while ((step = db_next(db, q, e)) == DB_ROW) {
		*out = room_for(*out, *count, &cap, l->size, a);
		if (*out == NULL || !l->take(q, (char *)*out + *count * l->size, a)) {
			db_end(q);
			return err_nomem(e);
		}
		++*count;
	}
	return step == DB_DONE ? RC_OK : e->code;
}

static enum rc
list_rows(struct volume *v, const struct listing *l, const struct db_arg args[3], struct arena *a,
          void **out, size_t *count, struct err *e)
{
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	*out = NULL;
	*count = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db, l->sql, args, 3, e);
	rc = q != NULL ? take_rows(db, q, l, a, out, count, e) : e->code;
	db_pool_return(v->pool, &db);
	return rc;
}

static bool
take_content(sqlite3_stmt *q, void *element, struct arena *a)
{
	struct message_content *c = element;
	struct slice sha = db_bytes(q, 2);

	(void)a;
	*c = (struct message_content){ .uid = (mail_uid)db_u64(q, 0),
	                               .internaldate = (int64_t)db_u64(q, 1) };
	if (sha.len == sizeof c->sha256)
		memcpy(c->sha256, sha.ptr, sha.len);
	return true;
}

enum rc
volume_list_contents(struct volume *v, mailbox_id mailbox, mail_uid from, uint32_t limit,
                     struct arena *a, struct message_content **out, size_t *count, struct err *e)
{
	static const struct listing l = {
		"SELECT m.uid, m.internaldate, b.sha256 FROM message m LEFT JOIN blob "
		"b ON b.id=m.blob"
		" WHERE m.mailbox=?1 AND m.uid>=?2 ORDER BY m.uid LIMIT ?3",
		sizeof **out, take_content
	};
	const struct db_arg args[3] = { DB_NUM(mailbox), DB_NUM(from), DB_NUM(limit) };
	void *rows;
	enum rc rc = list_rows(v, &l, args, a, &rows, count, e);

	*out = rows;
	return rc;
}

static bool
take_uidl(sqlite3_stmt *q, void *element, struct arena *a)
{
	struct message_uidl *u = element;

	*u = (struct message_uidl){ (mail_uid)db_u64(q, 0), arena_dup(a, db_bytes(q, 1)) };
	return u->text.ptr != NULL;
}

enum rc
volume_list_uidls(struct volume *v, mailbox_id mailbox, mail_uid from, uint32_t limit,
                  struct arena *a, struct message_uidl **out, size_t *count, struct err *e)
{
	static const struct listing l = {
		"SELECT uid, text FROM uidl WHERE mailbox=?1 AND uid>=?2 ORDER BY uid LIMIT ?3",
		sizeof **out, take_uidl
	};
	const struct db_arg args[3] = { DB_NUM(mailbox), DB_NUM(from), DB_NUM(limit) };
	void *rows;
	enum rc rc = list_rows(v, &l, args, a, &rows, count, e);

	*out = rows;
	return rc;
}
