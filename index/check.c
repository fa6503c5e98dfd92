/* check - does the log say what it should, and the index what the log says? See volume_check in
 * volume.h.
 *
 * One pass over the log verifies every frame, record and chunk and fills a second index, a
 * temporary one, with the same apply as always; then the two are compared table by table, row by
 * row in the order of keys. The real index is read in one snapshot, and records beyond what it had
 * applied then are not applied here, so the volume may go on working.
 */
#include <stdio.h>
#include <string.h>

#include "index/volume_impl.h"

struct check {
	struct volume           *v;
	const struct log_report *rep;
	bool                   (*progress)(void *arg, uint64_t done, uint64_t total);
	void                    *progress_arg;
	struct check_result     *out;
	struct log              *log;
	struct db               *real;          /* NULL: there is no usable index */
	struct db               *temp;
	struct apply             ap;
	struct index_meta        meta;          /* of the real one */
};

static void
found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
      const char *what)
{
	struct check *c = arg;

	c->out->damage++;
	if (c->rep != NULL && c->rep->found != NULL)
		c->rep->found(c->rep->arg, seg, offset, len, first, last, what);
}

static void
differs(struct check *c, const char *what)
{
	struct seg_id none = { 0, 0, 0 };

	c->out->differences++;
	if (c->rep != NULL && c->rep->found != NULL)
		c->rep->found(c->rep->arg, none, 0, 0, 0, 0, what);
}

/* ---- the log ---- */

static enum rc
check_body(struct check *c, const struct record *r, struct err *e)
{
	const struct record_blob *b = &r->u.blob;
	struct blob_place place = { b->body, b->chunks, b->chunk_count, b->size };
	enum rc rc = blob_verify(c->log, &place, 0, b->size, e);

	if (rc == RC_OK || (rc != RC_CORRUPT && rc != RC_NOT_FOUND))
		return rc;
	found(c, b->body.seg, b->body.offset, b->body.len, r->lsn, r->lsn, e->text);
	return RC_OK;
}

static enum rc
check_record(void *arg, const struct frame_info *f, const struct record *r,
             const struct log_addr *addr, struct err *e)
{
	struct check *c = arg;
	struct log_addr data = *addr;
	enum rc rc = RC_OK;

	c->out->records++;
	if (r->type == RECORD_BLOB) {
		c->out->blobs++;
		data = apply_blob_data(r, addr);
		if (r->u.blob.body.len > 0)
			rc = check_body(c, r, e);
	}
	if (rc != RC_OK || c->real == NULL || r->lsn > c->meta.applied)
		return rc;
	rc = apply_record(&c->ap, r, &data, e);
	if (rc != RC_SYNTAX)
		return rc;
	found(c, f->seg, addr->offset, addr->len, r->lsn, r->lsn, e->text);
	return RC_OK;
}

static enum rc
check_frame(void *arg, const struct frame_info *f, struct err *e)
{
	struct check *c = arg;

	(void)f;
	(void)e;
	c->out->frames++;
	return RC_OK;
}

static bool
check_progress(void *arg, uint64_t done, uint64_t total)
{
	struct check *c = arg;

	return c->progress == NULL || c->progress(c->progress_arg, done, total);
}

static enum rc
check_log(struct check *c, struct err *e)
{
	struct log_report rep = { c, found };
	struct replay rp = {
		.arg = c,
		.record = check_record,
		.frame = check_frame,
		.progress = check_progress,
	};

	return log_replay(c->log, &rp, true, &rep, e);
}

/* ---- the index ---- */

/* The first `keys` columns order the rows. */
struct table {
	const char *name;
	int         keys;
	const char *sql;
};

#define MESSAGE_FIELDS                                                                            \
	"m.flags, coalesce(k.text, X''), m.blob, m.internaldate, m.zone, m.savedate, m.savezone," \
	" m.threadid, m.size"

static const struct table tables[] = {
	{ "account", 1,
	  "SELECT id, name, name_key, generation, created, quota, used_bytes, used_messages"
	  " FROM account ORDER BY id" },
	{ "credential", 2, "SELECT account, name, value FROM credential ORDER BY account, name" },
	{ "mailbox", 1,
	  "SELECT id, account, name, uidvalidity, uidnext, highestmodseq, exists_, unseen, deleted,"
	  " size, special_use, mailboxid FROM mailbox ORDER BY id" },
	{ "subscription", 2, "SELECT account, name FROM subscription ORDER BY account, name" },
	{ "keyword", 2, "SELECT mailbox, key, keyword FROM mailbox_keyword ORDER BY mailbox, key" },
	{ "message", 2,
	  "SELECT m.mailbox, m.uid, m.modseq, " MESSAGE_FIELDS " FROM message m" MESSAGE_KEYWORDS
	  " ORDER BY m.mailbox, m.uid" },
	{ "expunged", 2,
	  "SELECT m.mailbox, m.uid, m.modseq, m.seenmodseq, " MESSAGE_FIELDS
	  " FROM expunged m" MESSAGE_KEYWORDS " ORDER BY m.mailbox, m.uid" },
	{ "blob", 1,
	  "SELECT id, seg, epoch, kind, offset, len, size, header_len, lines, sha256, chunks, "
	  "summary"
	  " FROM blob ORDER BY id" },
	{ "meta", 1, "SELECT 1, uidvalidity, blobs, expunged FROM meta" },
};

static int
compare_column(sqlite3_stmt *a, sqlite3_stmt *b, int i)
{
	if (sqlite3_column_type(a, i) != sqlite3_column_type(b, i))
		return sqlite3_column_type(a, i) < sqlite3_column_type(b, i) ? -1 : 1;
	if (sqlite3_column_type(a, i) == SQLITE_INTEGER) {
		int64_t x = sqlite3_column_int64(a, i);
		int64_t y = sqlite3_column_int64(b, i);

		return (x > y) - (x < y);
	}
	return slice_cmp(db_bytes(a, i), db_bytes(b, i));
}

static int
compare_columns(sqlite3_stmt *a, sqlite3_stmt *b, int from, int to)
{
	int d = 0;

	for (int i = from; d == 0 && i < to; i++)
		d = compare_column(a, b, i);
	return d;
}

static void
report_row(struct check *c, const struct table *t, sqlite3_stmt *row, const char *what)
{
	char text[160];

	(void)snprintf(text, sizeof text, "%s %llu/%llu: %s", t->name,
	               (unsigned long long)db_u64(row, 0),
	               (unsigned long long)(t->keys > 1 ? db_u64(row, 1) : 0), what);
	differs(c, text);
}

static enum rc
compare_table(struct check *c, const struct table *t, struct err *e)
{
	sqlite3_stmt *a = db_query(c->temp, t->sql, DB_NO_ARGS, e);
	sqlite3_stmt *b = db_query(c->real, t->sql, DB_NO_ARGS, e);
	enum db_step sa, sb;

	if (a == NULL || b == NULL)
		return e->code;
	sa = db_next(c->temp, a, e);
	sb = db_next(c->real, b, e);
	while (sa == DB_ROW || sb == DB_ROW) {
		int d = sa != DB_ROW ? 1 : sb != DB_ROW ? -1 : compare_columns(a, b, 0, t->keys);

		if (sa == DB_FAIL || sb == DB_FAIL)
			break;
		if (d < 0)
			report_row(c, t, a, "in the log, not in the index");
		else if (d > 0)
			report_row(c, t, b, "in the index, not in the log");
		else if (compare_columns(a, b, t->keys, sqlite3_column_count(a)) != 0)
			report_row(c, t, a, "index and log differ");
		if (d <= 0)
			sa = db_next(c->temp, a, e);
		if (d >= 0)
			sb = db_next(c->real, b, e);
	}
	db_end(a);
	db_end(b);
	if (sa == DB_FAIL || sb == DB_FAIL)
		return e->code;
	return RC_OK;
}

static enum rc
count_results(struct check *c, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc =
		db_first(c->temp, &q,
	                 "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM mailbox),"
	                 " (SELECT coalesce(sum(exists_), 0) FROM mailbox)",
	                 DB_NO_ARGS, e);

	if (rc != RC_OK)
		return rc;
	c->out->accounts = db_u64(q, 0);
	c->out->mailboxes = db_u64(q, 1);
	c->out->messages = db_u64(q, 2);
	db_end(q);
	return RC_OK;
}

static enum rc
compare_index(struct check *c, struct err *e)
{
	enum rc rc;

	if (c->real == NULL)
		return RC_OK;
	rc = index_tidy(c->v, c->temp, e);
	if (rc == RC_OK)
		rc = schema_write_meta(c->temp, &c->ap.meta, e);
	if (rc == RC_OK)
		rc = count_results(c, e);
	for (size_t i = 0; rc == RC_OK && i < sizeof tables / sizeof tables[0]; i++)
		rc = compare_table(c, &tables[i], e);
	/* Tables that cannot be read are a difference, not a failure of the check. */
	if (rc == RC_CORRUPT) {
		differs(c, e->text);
		return RC_OK;
	}
	return rc;
}

/* ---- the whole ---- */

static enum rc
open_temp(struct check *c, struct err *e)
{
	struct index_meta m = { .schema = SCHEMA_VERSION };
	enum rc rc;

	rc = db_open("", DB_BUILD, NULL, &c->temp, e);
	if (rc == RC_OK)
		rc = schema_create(c->temp, e);
	if (rc == RC_OK)
		rc = db_exec(c->temp, "BEGIN", e);
	if (rc == RC_OK)
		rc = schema_write_meta(c->temp, &m, e);
	return rc == RC_OK ? apply_init(&c->ap, c->temp, e) : rc;
}

/* A snapshot of the index, if it is one of this log. */
static void
open_real(struct check *c)
{
	struct err e = ERR_INIT;
	enum rc rc = db_pool_borrow(c->v->pool, &c->real, &e);

	if (rc == RC_OK)
		rc = schema_read_meta(c->real, &c->meta, &e);
	if (rc != RC_OK) {
		db_pool_return(c->v->pool, &c->real);
		differs(c, e.text);
	}
}

/* An index of another volume or time is one difference, not a million. */
static void
check_belongs(struct check *c)
{
	struct err e = ERR_INIT;

	if (index_examine(c->log, &c->meta, &e) == RC_OK)
		return;
	db_pool_return(c->v->pool, &c->real);
	differs(c, e.text);
}

enum rc
volume_check(struct volume *v, const struct log_report *rep,
             bool (*progress)(void *arg, uint64_t done, uint64_t total), void *progress_arg,
             struct check_result *out, struct err *e)
{
	struct check c = {
		.v = v, .rep = rep, .progress = progress, .progress_arg = progress_arg, .out = out
	};
	struct log_params lp = {
		.path = v->path, .mode = LOG_READ, .ask_synced = index_synced, .ask_arg = &c.meta
	};
	enum rc rc;

	*out = (struct check_result){ 0 };
	open_real(&c);
	/* A handle of its own, opened after the snapshot: it reaches at least as far. */
	rc = log_open(&lp, NULL, &c.log, e);      /* its findings come again with the replay */
	if (rc == RC_OK && c.real != NULL)
		check_belongs(&c);
	if (rc == RC_OK)
		rc = open_temp(&c, e);
	if (rc == RC_OK)
		rc = check_log(&c, e);
	if (rc == RC_OK)
		rc = compare_index(&c, e);
	log_close(&c.log);
	if (c.ap.db != NULL)
		apply_fini(&c.ap);
	db_close(&c.temp);
	db_pool_return(v->pool, &c.real);
	return rc;
}
