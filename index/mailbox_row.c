/* mailbox_row - reading rows. See mailbox_row.h. */
#include "index/mailbox_row.h"

enum rc
mailbox_from_row(sqlite3_stmt *q, struct arena *a, struct mailbox_info *out, struct err *e)
{
	struct slice id = db_bytes(q, 11);

	*out = (struct mailbox_info){
		.id = db_u64(q, 0),
		.account = db_u64(q, 1),
		.name = arena_dup(a, db_bytes(q, 2)),
		.uidvalidity = (uint32_t)db_u64(q, 3),
		.uidnext = (mail_uid)db_u64(q, 4),
		.highestmodseq = db_u64(q, 5),
		.exists = (uint32_t)db_u64(q, 6),
		.unseen = (uint32_t)db_u64(q, 7),
		.deleted = (uint32_t)db_u64(q, 8),
		.size = db_u64(q, 9),
		.recent_from = (mail_uid)db_u64(q, 4),
		.special_use = (uint32_t)db_u64(q, 10),
		.deleted_size = db_u64(q, 12),
		.expunge_floor = db_u64(q, 13),
		.change_floor = db_u64(q, 14),
	};
	if (out->name.ptr == NULL)
		return err_nomem(e);
	if (db_u64(q, 4) - 1 >= UINT32_MAX || out->highestmodseq - 1 >= INT64_MAX - 1 ||
	    db_u64(q, 6) > UINT32_MAX)
		return err_set(e, RC_CORRUPT, "index: impossible numbers in mailbox %llu",
		               (unsigned long long)out->id);
	if (id.len == sizeof out->mailboxid)
		memcpy(out->mailboxid, id.ptr, id.len);
	return RC_OK;
}

/* What the first row of a query over MAILBOX_COLUMNS says. */
static enum rc
first_mailbox(struct db *db, const char *sql, const struct db_arg *args, int count, struct arena *a,
              struct mailbox_info *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, sql, args, count, e);

	if (rc != RC_OK)
		return rc;
	rc = mailbox_from_row(q, a, out, e);
	db_end(q);
	return rc;
}

enum rc
mailbox_get(struct db *db, mailbox_id id, struct arena *a, struct mailbox_info *out, struct err *e)
{
	return first_mailbox(db, "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE id=?1",
	                     DB_ARGS(DB_NUM(id)), a, out, e);
}

enum rc
mailbox_find(struct db *db, account_id account, struct slice name, struct arena *a,
             struct mailbox_info *out, struct err *e)
{
	return first_mailbox(db,
	                     "SELECT " MAILBOX_COLUMNS
	                     " FROM mailbox m WHERE account=?1 AND name=?2",
	                     DB_ARGS(DB_NUM(account), DB_BYTES(name)), a, out, e);
}

enum rc
account_from_row(sqlite3_stmt *q, struct arena *a, struct account_info *out, struct err *e)
{
	*out = (struct account_info){
		.id = db_u64(q, 0),
		.name = arena_dup(a, db_bytes(q, 1)),
		.generation = db_u64(q, 2),
		.created_us = db_u64(q, 3),
		.quota_bytes = db_u64(q, 4),
		.used_bytes = db_u64(q, 5),
		.used_messages = db_u64(q, 6),
		.quota_messages = db_u64(q, 7),
		.hidden = SLICE(""),
		.flags = (uint32_t)db_u64(q, 9),
	};
	if (db_bytes(q, 8).len > 0)
		out->hidden = arena_dup(a, db_bytes(q, 8));
	return out->name.ptr != NULL && out->hidden.ptr != NULL ? RC_OK : err_nomem(e);
}

/* What the first row of a query over ACCOUNT_COLUMNS says. */
static enum rc
first_account(struct db *db, const char *sql, const struct db_arg *args, int count, struct arena *a,
              struct account_info *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, sql, args, count, e);

	if (rc != RC_OK)
		return rc;
	rc = account_from_row(q, a, out, e);
	db_end(q);
	return rc;
}

enum rc
account_get(struct db *db, account_id id, struct arena *a, struct account_info *out, struct err *e)
{
	return first_account(db, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE id=?1",
	                     DB_ARGS(DB_NUM(id)), a, out, e);
}

enum rc
account_find(struct db *db, struct slice key, struct arena *a, struct account_info *out,
             struct err *e)
{
	return first_account(db,
	                     "SELECT " ACCOUNT_COLUMNS
	                     " FROM account WHERE name_key=?1 AND arriving=0",
	                     DB_ARGS(DB_BYTES(key)), a, out, e);
}

enum rc
uid_from_row(sqlite3_stmt *q, int column, mail_uid *out, struct err *e)
{
	uint64_t uid = db_u64(q, column);

	if (uid - 1 >= UINT32_MAX)
		return err_set(e, RC_CORRUPT, "index: %llu is no UID", (unsigned long long)uid);
	*out = (mail_uid)uid;
	return RC_OK;
}

enum rc
mailbox_change_floor(struct db *db, mailbox_id mailbox, mail_modseq *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, "SELECT change_floor FROM mailbox WHERE id=?1",
	                      DB_ARGS(DB_NUM(mailbox)), e);

	*out = 0;
	if (rc == RC_NOT_FOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	*out = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

enum rc
message_from_row(sqlite3_stmt *q, mail_modseq floor, struct arena *a, struct message_row *out,
                 struct err *e)
{
	struct slice kw = db_bytes(q, 3);
	mail_uid uid = 0;
	enum rc rc = uid_from_row(q, 0, &uid, e);

	if (rc != RC_OK)
		return rc;
	*out = (struct message_row){
		.uid = uid,
		.modseq = db_u64(q, 1),
		.flags = (uint32_t)db_u64(q, 2),
		.keywords = SLICE(""),
		.blob = db_u64(q, 4),
		.internaldate = { (int64_t)db_u64(q, 5), (int16_t)db_u64(q, 6) },
		.savedate = { (int64_t)db_u64(q, 7), (int16_t)db_u64(q, 8) },
		.threadid = db_u64(q, 9),
		.size = db_u64(q, 10),
	};
	if (out->modseq < floor)
		out->modseq = floor;
	if (kw.len == 0)
		return RC_OK;
	out->keywords = arena_dup(a, kw);
	return out->keywords.ptr != NULL ? RC_OK : err_nomem(e);
}
