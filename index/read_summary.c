/* read_summary - summaries alone, of many messages. See volume.h. */
#include "index/mailbox_row.h"
#include "index/packed.h"
#include "index/volume_impl.h"

static enum rc
take_summary(sqlite3_stmt *q, struct arena *a, struct message_summary *out, struct err *e)
{
	enum rc rc = uid_from_row(q, 0, &out->uid, e);

	return rc == RC_OK ? packed_summary_get(db_bytes(q, 1), a, &out->summary, e) : rc;
}

static enum rc
take_range(struct db *db, mailbox_id mailbox, struct uid_range range, uint32_t limit,
           struct arena *a, struct message_summary *rows, size_t *count, struct err *e)
{
	enum db_step step;
	sqlite3_stmt *q = db_query(db,
	    "SELECT m.uid, b.summary FROM message m CROSS JOIN blob b ON b.id = m.blob"
	    " WHERE m.mailbox=?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid LIMIT ?4",
	    DB_ARGS(DB_NUM(mailbox), DB_NUM(range.first), DB_NUM(range.last),
	            DB_NUM(limit - *count)),
	    e);

	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		enum rc rc = take_summary(q, a, &rows[(*count)++], e);

		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

enum rc
volume_list_summaries(struct volume *v, mailbox_id mailbox, const struct uid_set *uids,
                      mail_uid from, uint32_t limit, struct arena *a, struct message_summary **out,
                      size_t *count, struct err *e)
{
	struct db *db;
	enum rc rc;

	*count = 0;
	*out = arena_array(a, limit, sizeof **out);
	if (*out == NULL)
		return err_nomem(e);
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; rc == RC_OK && i < uids->count && *count < limit; i++) {
		struct uid_range r = uids->ranges[i];

		if (r.first < from)
			r.first = from;
		if (r.last >= r.first)
			rc = take_range(db, mailbox, r, limit, a, *out, count, e);
	}
	db_pool_return(v->pool, &db);
	return rc;
}
