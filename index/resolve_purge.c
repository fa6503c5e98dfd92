/* resolve_purge - a content is removed for good: the record that says so, and with it the index's
 * row of the blob.
 *
 * Only a content that no message has any more: who purges expunges the messages first, which tells
 * every session in the usual way. The look is at the whole table of messages, on the writer's
 * thread; an index for it would cost every delivery, and a purge is rare.
 */
#include "index/resolve.h"

static enum rc
check_unused(struct resolver *rs, blob_id blob, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(rs->db, &q, "SELECT 1 FROM message WHERE blob=?1 LIMIT 1",
	                      DB_ARGS(DB_NUM(blob)), e);

	if (rc == RC_NOT_FOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	db_end(q);
	return resolve_refuse(rs, RC_EXISTS, e, "a message has this content");
}

static enum rc
read_hash(struct resolver *rs, blob_id blob, uint8_t sha256[SHA256_LEN], struct err *e)
{
	struct slice bytes;
	sqlite3_stmt *q;
	enum rc rc = db_first(rs->db, &q, "SELECT sha256 FROM blob WHERE id=?1",
	                      DB_ARGS(DB_NUM(blob)), e);

	if (rc == RC_NOT_FOUND)
		return resolve_refuse(rs, rc, e, "there is no such content any more");
	if (rc != RC_OK)
		return rc;
	bytes = db_bytes(q, 0);
	if (bytes.len == SHA256_LEN)
		memcpy(sha256, bytes.ptr, SHA256_LEN);
	else
		rc = err_set(e, RC_CORRUPT, "index: bad hash of a blob");
	db_end(q);
	return rc;
}

enum rc
resolve_purge(struct resolver *rs, struct err *e)
{
	const struct change_purge *c = &rs->c->u.purge;
	struct record r = { .type = RECORD_PURGE };
	enum rc rc;

	if (c->reason.len > PURGE_REASON_MAX)
		return resolve_refuse(rs, RC_LIMIT, e, "the reason is too long");
	r.u.purge.blob = c->blob;
	r.u.purge.reason = c->reason;
	rc = read_hash(rs, c->blob, r.u.purge.sha256, e);
	if (rc == RC_OK)
		rc = check_unused(rs, c->blob, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}
