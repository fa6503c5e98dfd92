/* schema - the tables of a volume's index. See schema.h. */
#include "index/schema.h"

/* kw is a kwset id, 0 for none. An expunged row's modseq is that of its expunge, seenmodseq the one
 * it had before. expunge_run has which UIDs went with which MODSEQ, each once, and `at` when that was
 * (seconds since 1970). The summary stands last in its row: it alone may need overflow pages. */
static const char tables[] =
	"CREATE TABLE meta(one INTEGER PRIMARY KEY, schema INTEGER, volume BLOB, takeover INTEGER,"
	" applied INTEGER, synced INTEGER, uidvalidity INTEGER, blobs INTEGER, expunged INTEGER,"
	" damaged INTEGER, compactions INTEGER, delivery_clock INTEGER, rekeyed INTEGER);"

	"CREATE TABLE account(id INTEGER PRIMARY KEY, name BLOB, name_key BLOB, generation INTEGER,"
	" created INTEGER, quota INTEGER, used_bytes INTEGER, used_messages INTEGER,"
	" quota_messages INTEGER, hidden BLOB, arriving INTEGER, flags INTEGER);"
	"CREATE INDEX account_name ON account(name_key);"

	"CREATE TABLE credential(account INTEGER, name BLOB, value BLOB,"
	" PRIMARY KEY(account, name)) WITHOUT ROWID;"

	"CREATE TABLE mailbox(id INTEGER PRIMARY KEY, account INTEGER, name BLOB,"
	" uidvalidity INTEGER, uidnext INTEGER, highestmodseq INTEGER, exists_ INTEGER,"
	" unseen INTEGER, deleted INTEGER, size INTEGER, deleted_size INTEGER,"
	" special_use INTEGER, mailboxid BLOB, expunge_floor INTEGER, change_floor INTEGER,"
	" ordered_from INTEGER);"
	"CREATE INDEX mailbox_name ON mailbox(account, name);"

	"CREATE TABLE subscription(account INTEGER, name BLOB,"
	" PRIMARY KEY(account, name)) WITHOUT ROWID;"

	"CREATE TABLE kwset(id INTEGER PRIMARY KEY, text BLOB UNIQUE);"

	"CREATE TABLE mailbox_keyword(mailbox INTEGER, key BLOB, keyword BLOB,"
	" PRIMARY KEY(mailbox, key)) WITHOUT ROWID;"

	"CREATE TABLE message(mailbox INTEGER, uid INTEGER, modseq INTEGER, flags INTEGER,"
	" kw INTEGER, blob INTEGER, internaldate INTEGER, zone INTEGER, savedate INTEGER,"
	" savezone INTEGER, threadid INTEGER, size INTEGER, changed INTEGER,"
	" PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"

	"CREATE TABLE expunged(mailbox INTEGER, uid INTEGER, modseq INTEGER, seenmodseq INTEGER,"
	" flags INTEGER, kw INTEGER, blob INTEGER, internaldate INTEGER, zone INTEGER,"
	" savedate INTEGER, savezone INTEGER, threadid INTEGER, size INTEGER,"
	" PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"

	"CREATE TABLE expunge_run(mailbox INTEGER, modseq INTEGER, first INTEGER, last INTEGER,"
	" at INTEGER, PRIMARY KEY(mailbox, modseq, first)) WITHOUT ROWID;"

	"CREATE TABLE uidl(mailbox INTEGER, uid INTEGER, text BLOB,"
	" PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"

	"CREATE TABLE secret(name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;"

	"CREATE TABLE delivery(key BLOB, session INTEGER, at INTEGER, until INTEGER,"
	" PRIMARY KEY(key, session)) WITHOUT ROWID;"
	"CREATE INDEX delivery_until ON delivery(until);"

	"CREATE TABLE thread(account INTEGER, key INTEGER, thread INTEGER, own INTEGER,"
	" PRIMARY KEY(account, key)) WITHOUT ROWID;"

	"CREATE TABLE learnt(mailbox INTEGER, last INTEGER, first INTEGER, maker INTEGER,"
	" texts BLOB, PRIMARY KEY(mailbox, last)) WITHOUT ROWID;"

	"CREATE TABLE blob(id INTEGER PRIMARY KEY, seg INTEGER, epoch INTEGER, kind INTEGER,"
	" offset INTEGER, len INTEGER, size INTEGER, header_len INTEGER, lines INTEGER,"
	" sha256 BLOB, thread_key INTEGER, chunks BLOB, summary BLOB);"
	"CREATE INDEX blob_body ON blob(epoch, seg) WHERE kind = 1;";

_Static_assert(SEG_BODY == 1, "the SQL above names it");

static const char indexes[] =
	"CREATE INDEX IF NOT EXISTS message_changed ON message(mailbox, modseq) WHERE changed;";

enum rc
schema_create(struct db *db, struct err *e)
{
	return db_exec(db, tables, e);
}

enum rc
schema_finish(struct db *db, struct err *e)
{
	return db_exec(db, indexes, e);
}

#define SCHEMA_OBJECTS 21u      /* in the two texts above */

enum rc
schema_verify(struct db *db, struct err *e)
{
	sqlite3_stmt *q;
	uint64_t n;
	enum rc rc;

	rc = db_first(db, &q, "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'",
	              DB_NO_ARGS, e);
	if (rc != RC_OK)
		return rc;
	n = db_u64(q, 0);
	db_end(q);
	return n == SCHEMA_OBJECTS ? RC_OK : err_set(e, RC_CORRUPT, "index: tables are missing");
}

enum rc
schema_read_version(struct db *db, uint32_t *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, "SELECT schema FROM meta", DB_NO_ARGS, e);

	if (rc != RC_OK)
		return rc;
	*out = (uint32_t)db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

enum rc
schema_read_meta(struct db *db, struct index_meta *out, struct err *e)
{
	sqlite3_stmt *q;
	struct slice volume;
	enum rc rc;

	rc = db_first(db, &q,
	              "SELECT schema, volume, takeover, applied, synced, uidvalidity, blobs, "
	              "expunged, damaged, compactions, delivery_clock, rekeyed FROM meta",
	              DB_NO_ARGS, e);
	if (rc != RC_OK)
		return rc;
	*out = (struct index_meta){
		.schema = (uint32_t)db_u64(q, 0),
		.takeover = db_u64(q, 2),
		.applied = db_u64(q, 3),
		.synced = db_u64(q, 4),
		.uidvalidity = (uint32_t)db_u64(q, 5),
		.blobs = db_u64(q, 6),
		.expunged = db_u64(q, 7),
		.damaged = db_u64(q, 8),
		.compactions = db_u64(q, 9),
		.delivery_clock = db_u64(q, 10),
		.rekeyed = db_u64(q, 11),
	};
	volume = db_bytes(q, 1);
	if (volume.len == sizeof out->volume)
		memcpy(out->volume, volume.ptr, volume.len);
	db_end(q);
	return volume.len == sizeof out->volume ? RC_OK :
	                                          err_set(e, RC_CORRUPT, "index: bad meta row");
}

enum rc
schema_write_meta(struct db *db, const struct index_meta *m, struct err *e)
{
	return db_run(db,
	    "INSERT OR REPLACE INTO meta VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
	    " ?12)",
	    DB_ARGS(DB_NUM(m->schema), DB_BYTES(slice_of(m->volume, sizeof m->volume)),
	        DB_NUM(m->takeover), DB_NUM(m->applied), DB_NUM(m->synced), DB_NUM(m->uidvalidity),
	        DB_NUM(m->blobs), DB_NUM(m->expunged), DB_NUM(m->damaged), DB_NUM(m->compactions),
	        DB_NUM(m->delivery_clock), DB_NUM(m->rekeyed)),
	    e);
}
