/* resolve_reparse - new summaries of contents that are there: records, and with them the
 * rows of the index.
 *
 * Whoever parsed read the message before he came here: meanwhile it may have been purged, or
 * compaction may have taken it.
 */
#include "index/resolve.h"

/* RC_NOT_FOUND: the blob is gone. */
static enum rc
find_blob(struct resolver *rs, blob_id blob, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(rs->db, &q, "SELECT 1 FROM blob WHERE id=?1", DB_ARGS(DB_NUM(blob)),
	                      e);

	if (rc == RC_OK)
		db_end(q);
	return rc;
}

enum rc
resolve_reparse(struct resolver *rs, struct err *e)
{
	struct change_reparse *c = &rs->c->u.reparse;
	enum rc rc = resolve_frame_begin(rs, e);

	c->made = 0;
	for (uint32_t i = 0; rc == RC_OK && i < c->count; i++) {
		struct record r = { .type = RECORD_SUMMARY,
		                    .u.summary = { c->list[i].blob, c->list[i].summary } };

		rc = find_blob(rs, c->list[i].blob, e);
		if (rc == RC_OK)
			rc = resolve_add(rs, &r, e);
		if (rc == RC_OK)
			c->made++;
		rc = rc == RC_NOT_FOUND ? RC_OK : rc;
	}
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}
