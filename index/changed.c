/* changed - see changed.h. */
#include "index/changed.h"

#include "index/mailbox_row.h"

enum rc
changed_find_stop(struct db *db, mailbox_id mailbox, mail_modseq since, uint64_t end,
                  uint64_t most, mail_uid *stop, struct err *e)
{
	uint64_t above = 0;
	enum db_step step;
	sqlite3_stmt *q = db_query(db,
	    "SELECT uid, modseq FROM message WHERE mailbox=?1 AND uid < ?2 ORDER BY uid DESC"
	    " LIMIT ?3",
	    DB_ARGS(DB_NUM(mailbox), DB_NUM(end), DB_NUM(most + 1)), e);

	*stop = 0;
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		if (db_u64(q, 1) <= since) {
			enum rc rc = uid_from_row(q, 0, stop, e);

			db_end(q);
			return rc;
		}
		above++;
	}
	if (step == DB_FAIL)
		return e->code;
	return above <= most ? RC_OK : RC_LIMIT;
}
