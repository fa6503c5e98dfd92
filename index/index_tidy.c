/* index_tidy - the end of a rebuild: what single records cannot promise.
 *
 * A log that was compacted or damaged may leave messages without a mailbox, two mailboxes of one
 * name, or counters that no longer fit. Here counters are counted anew, what belongs to nothing is
 * dropped, and of two mailboxes of one name the older one gets its UIDVALIDITY behind its name, so
 * that both can be reached. All of it follows from the tables alone, so every rebuild gives the
 * same.
 */
#include "index/volume_impl.h"

#include <stdio.h>

static const char tidy[] =
	"DELETE FROM mailbox WHERE account NOT IN (SELECT id FROM account);"
	"DELETE FROM message WHERE mailbox NOT IN (SELECT id FROM mailbox);"
	"DELETE FROM expunged WHERE mailbox NOT IN (SELECT id FROM mailbox);"
	"DELETE FROM expunged WHERE modseq <="
	" (SELECT expunge_floor FROM mailbox WHERE mailbox.id = expunged.mailbox);"
	"DELETE FROM expunge_run WHERE mailbox NOT IN (SELECT id FROM mailbox);"
	"DELETE FROM expunge_run WHERE modseq <="
	" (SELECT expunge_floor FROM mailbox WHERE mailbox.id = expunge_run.mailbox);"
	"DELETE FROM uidl WHERE mailbox NOT IN (SELECT id FROM mailbox);"
	"DELETE FROM mailbox_keyword WHERE mailbox NOT IN (SELECT id FROM mailbox);"
	"DELETE FROM credential WHERE account NOT IN (SELECT id FROM account);"
	"DELETE FROM subscription WHERE account NOT IN (SELECT id FROM account);"
	"DELETE FROM thread WHERE account NOT IN (SELECT id FROM account);"

	"UPDATE mailbox SET (exists_, unseen, deleted, size, deleted_size) ="
	" (SELECT count(*), coalesce(sum(flags & 8 = 0), 0), coalesce(sum(flags & 4 != 0), 0),"
	" coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE flags & 4 != 0), 0)"
	" FROM message WHERE message.mailbox = mailbox.id);"

	"UPDATE account SET (used_bytes, used_messages) ="
	" (SELECT coalesce(sum(size), 0), coalesce(sum(exists_), 0) FROM mailbox"
	" WHERE mailbox.account = account.id);"

	"UPDATE mailbox SET name = CAST(name || ' ' || uidvalidity AS BLOB) WHERE EXISTS"
	" (SELECT 1 FROM mailbox n WHERE n.account = mailbox.account AND n.name = mailbox.name"
	" AND n.id > mailbox.id);";

static const char ownerless[] =
	"SELECT m.id, m.name, m.account, X'' FROM mailbox m LEFT JOIN account a ON a.id = m.account"
	" WHERE a.id IS NULL";
static const char clashing[] =
	"SELECT m.id, m.name, m.account, coalesce(a.name, X'') FROM mailbox m JOIN mailbox n"
	" ON n.account = m.account AND n.name = m.name AND n.id > m.id"
	" LEFT JOIN account a ON a.id = m.account";

/* It is about no place in the log. */
static void
report(struct volume *v, const char *what)
{
	struct seg_id none = { 0, 0, 0 };

	if (v->p.report.found != NULL)
		v->p.report.found(v->p.report.arg, none, 0, 0, 0, 0, what);
}

#define NAME_MAX_TOLD 128
#define NAME_ARG(s)   ((s).len < NAME_MAX_TOLD ? (int)(s).len : NAME_MAX_TOLD), \
	((s).ptr != NULL ? (const char *)(s).ptr : "")

static enum rc
report_rows(struct volume *v, struct db *db, sqlite3_stmt *q, const char *what, struct err *e)
{
	enum db_step step;
	char text[512];

	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		uint64_t id = db_u64(q, 0), account = db_u64(q, 2);
		struct slice name = db_bytes(q, 1), owner = db_bytes(q, 3);

		(void)snprintf(text, sizeof text,
		               "mailbox " LSN_FORMAT " \"%.*s\" of account " LSN_FORMAT
		               "%s%.*s: %s",
		               LSN_ARG(id), NAME_ARG(name), LSN_ARG(account),
		               owner.len > 0 ? " " : "", NAME_ARG(owner), what);
		report(v, text);
	}
	return step == DB_DONE ? RC_OK : e->code;
}

/* Tombstones below a floor or of no mailbox were counted when they came. */
static enum rc
count_expunged(struct db *db, struct index_meta *m, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, "SELECT count(*) FROM expunged", DB_NO_ARGS, e);

	if (rc != RC_OK)
		return rc;
	m->expunged = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

enum rc
index_tidy(struct volume *v, struct db *db, struct index_meta *m, struct err *e)
{
	enum rc rc;

	rc = report_rows(v, db, db_query(db, ownerless, DB_NO_ARGS, e),
	                 "no such account, dropped", e);
	if (rc == RC_OK)
		rc = report_rows(v, db, db_query(db, clashing, DB_NO_ARGS, e),
		                 "a newer one has this name, renamed", e);
	if (rc == RC_OK)
		rc = db_exec(db, tidy, e);
	return rc == RC_OK ? count_expunged(db, m, e) : rc;
}
