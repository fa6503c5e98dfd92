/* check - does the log say what it should, and the index what the log says? See volume_check in
 * volume.h.
 *
 * One pass over the log verifies every frame, record and chunk and fills a second index, a
 * temporary one, with the same apply as always; then the two are compared table by table, row by
 * row in the order of keys. The real index is read in one snapshot, and records beyond what it had
 * applied then are not applied here, so the volume may go on working. When the index itself is to
 * be replaced, or there is but one connection to it (on a disk with nothing left), the check ends:
 * everybody else would wait for it.
 *
 * An index that the next start makes anew in any case (there is none, or it is of another version)
 * is not judged. The whole log is applied then nevertheless: records that cannot be are damage.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/concern.h"
#include "index/volume_impl.h"
#include "store/compact.h"

#define KEPT_MAX 1000u          /* findings that wait for names */

/* A finding of the log before it is told. */
struct kept {
	struct seg_id seg;
	uint64_t      offset, len;
	log_lsn       first, last;
	char          what[160];
};

struct check {
	struct volume           *v;
	const struct check_report *rep;
	bool                   (*progress)(void *arg, uint64_t done, uint64_t total);
	void                    *progress_arg;
	struct check_result     *out;
	struct log              *log;
	struct db               *real;          /* NULL: there is no usable index */
	struct db               *temp;
	struct apply             ap;
	struct index_meta        meta;          /* of the real one */
	struct concern           concern;
	struct kept             *opened;        /* what the open found: most of it comes again
	                                         * with the replay */
	size_t                   opened_count;
	struct kept             *waiting;       /* for names, while there is no index to ask */
	size_t                   waiting_count;
	log_lsn                  until;         /* records up to here are applied */
	log_lsn                  begin;         /* the log's end when the check began */
	uint64_t                 behind;        /* records up to it that the real one
	                                         * has not applied */
	uint64_t                 alike;         /* differences told of the present table */
	uint64_t                 bytes;         /* of the log */
	bool                     gave_way;
};

/* ---- telling ---- */

static void
tell(struct check *c, const struct check_finding *f)
{
	if (c->rep != NULL && c->rep->found != NULL)
		c->rep->found(c->rep->arg, f);
}

static void
tell_named(struct check *c, struct check_finding *f)
{
	f->first = c->concern.first;
	f->last = c->concern.last;
	f->records = c->concern.records;
	f->mended = c->concern.mended;
	f->named = c->concern.named;
	f->named_count = c->concern.count;
	f->more = c->concern.more;
	tell(c, f);
}

/* A stretch of a segment: no frame that could be read there. */
static void
tell_stretch(struct check *c, const struct kept *k)
{
	const struct log_addr stretch = { k->seg, k->offset, k->len };
	struct check_finding f = {
		.what = k->what, .seg = k->seg, .offset = k->offset, .len = k->len,
		.has_frame = k->len > 0 &&
		k->offset > 0 && k->seg.kind == SEG_LOG, .frame_seg = k->seg, .frame = k->offset
	};

	concern_find(&c->concern, &stretch, k->first, k->last);
	tell_named(c, &f);
}

static bool
keep(struct kept **list, size_t *count, const struct kept *k)
{
	if (*list == NULL)
		*list = calloc(KEPT_MAX, sizeof **list);
	if (*list == NULL || *count == KEPT_MAX)
		return false;
	(*list)[(*count)++] = *k;
	return true;
}

static struct kept
make_kept(struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
          const char *what)
{
	struct kept k = { seg, offset, len, first, last, "" };

	(void)snprintf(k.what, sizeof k.what, "%s", what);
	return k;
}

static bool
same_stretch(const struct kept *a, const struct kept *b)
{
	return a->seg.seq == b->seg.seq && a->seg.epoch == b->seg.epoch &&
	       a->seg.kind == b->seg.kind &&
	       (a->offset == b->offset ||
	        (a->offset < b->offset + b->len && b->offset < a->offset + a->len));
}

static void
found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
      const char *what)
{
	struct check *c = arg;
	struct kept k = make_kept(seg, offset, len, first, last, what);

	for (size_t i = c->opened_count; i-- > 0;)
		if (same_stretch(&c->opened[i], &k))
			c->opened[i] = c->opened[--c->opened_count];
	c->out->damage++;
	if (c->real != NULL || !keep(&c->waiting, &c->waiting_count, &k))
		tell_stretch(c, &k);
}

/* Of what the open finds, most comes again with the replay, with more of its place. */
static void
found_open(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
           const char *what)
{
	struct check *c = arg;
	struct kept k = make_kept(seg, offset, len, first, last, what);

	if (seg.seq == 0)
		k.seg = (struct seg_id){ 0, 0, 0 };     /* about the head, of which there is one */
	(void)keep(&c->opened, &c->opened_count, &k);
}

/* What did not come again: a copy of the head, an end that came too soon. */
static void
tell_opened(struct check *c)
{
	for (size_t i = 0; i < c->opened_count; i++) {
		c->out->damage++;
		tell_stretch(c, &c->opened[i]);
	}
	c->opened_count = 0;
}

static void
tell_waiting(struct check *c)
{
	for (size_t i = 0; i < c->waiting_count; i++)
		tell_stretch(c, &c->waiting[i]);
	c->waiting_count = 0;
}

static void
differs(struct check *c, const char *what)
{
	const struct check_finding f = { .what = what, .difference = true, .records = "",
	                                 .mended = "" };

	c->out->differences++;
	tell(c, &f);
}

/* ---- the log ---- */

/* A blob record under examination. */
struct examined {
	struct check            *c;
	const struct frame_info *f;
	const struct record     *r;
	struct log_addr          data;
};

static void
found_in_blob(void *arg, uint64_t at, uint64_t len, const char *what)
{
	const struct examined *x = arg;
	struct check *c = x->c;
	struct check_finding f = {
		.what = what, .seg = x->data.seg, .offset = x->data.offset + at, .len = len,
		.has_frame = true,
		.frame_seg = x->f->seg, .frame = x->f->offset
	};

	c->out->damage++;
	concern_find_record(&c->concern, x->r->type, x->r->lsn);
	tell_named(c, &f);
}

static enum rc
check_blob(struct check *c, const struct frame_info *f, const struct record *r,
           const struct log_addr *data, struct err *e)
{
	const struct record_blob *b = &r->u.blob;
	struct examined x = { c, f, r, *data };
	const struct blob_examine how = {
		.addr = *data, .chunks = b->chunks, .chunk_count = b->chunk_count, .data = b->data,
		.sha256 = b->sha256, .arg = &x, .found = found_in_blob
	};

	c->out->blobs++;
	c->out->blob_bytes += b->size;
	return blob_examine(c->log, &how, e);
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
		data = apply_blob_data(r, addr);
		rc = check_blob(c, f, r, &data, e);
	}
	if (c->real != NULL && r->lsn > c->meta.applied && r->lsn <= c->begin)
		c->behind++;
	if (rc != RC_OK || r->lsn > c->until)
		return rc;
	c->ap.time_us = f->time_us;
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

/* Others wait for the connection that we hold. */
static bool
must_give_way(struct check *c)
{
	if (c->real != NULL && db_pool_is_wanted(c->v->pool))
		c->gave_way = true;
	return c->gave_way;
}

static bool
check_progress(void *arg, uint64_t done, uint64_t total)
{
	struct check *c = arg;

	c->bytes = total;
	if (must_give_way(c))
		return false;
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

	return log_replay(c->log, &rp, false, &rep, e); /* chunks are examined with their blob */
}

/* ---- the index ---- */

#define ALIKE_MAX   50u         /* differences of one table that are told one by one */
#define ROWS_A_LOOK 4096u       /* compared before it is asked whether to go on */

#define ACCOUNT_NAME "SELECT name, X'' FROM account WHERE id = ?1"
#define MAILBOX_NAME                                                                              \
	"SELECT coalesce(a.name, X''), m.name FROM mailbox m LEFT JOIN account a"                 \
	" ON a.id = m.account WHERE m.id = ?1"

/* The first `keys` columns order the rows; the first is an object's id (0: it has none, and is told
 * by the second), and `owner` finds what it is called. What a second is that
 * is a number: see number_of. */
struct table {
	const char *name;
	const char *owner;
	int         keys;
	const char *sql;
};

#define MESSAGE_FIELDS                                                                            \
	"m.flags, coalesce(k.text, X''), m.blob, m.internaldate, m.zone, m.savedate, m.savezone," \
	" m.threadid, m.size"

#define EXPUNGED_MODSEQ 2       /* column of "expunged" below */

static const struct table tables[] = {
	{ "account", ACCOUNT_NAME, 1,
	  "SELECT id, name, name_key, generation, created, quota, used_bytes, used_messages,"
	  " quota_messages, hidden, arriving, flags FROM account ORDER BY id" },
	{ "credential", ACCOUNT_NAME, 2,
	  "SELECT account, name, value FROM credential ORDER BY account, name" },
	{ "mailbox", MAILBOX_NAME, 1,
	  "SELECT id, account, name, uidvalidity, uidnext, highestmodseq, exists_, unseen, deleted,"
	  " size, deleted_size, special_use, mailboxid, expunge_floor, change_floor FROM "
	  "mailbox ORDER BY id" },
	{ "subscription", ACCOUNT_NAME, 2,
	  "SELECT account, name FROM subscription ORDER BY account, name" },
	{ "keyword", MAILBOX_NAME, 2,
	  "SELECT mailbox, key, keyword FROM mailbox_keyword ORDER BY mailbox, key" },
	{ "message", MAILBOX_NAME, 2,
	  "SELECT m.mailbox, m.uid, m.modseq, " MESSAGE_FIELDS " FROM message m" MESSAGE_KEYWORDS
	  " ORDER BY m.mailbox, m.uid" },
	{ "expunged", MAILBOX_NAME, 2,
	  "SELECT m.mailbox, m.uid, m.modseq, m.seenmodseq, " MESSAGE_FIELDS
	  " FROM expunged m" MESSAGE_KEYWORDS " ORDER BY m.mailbox, m.uid" },
	{ "expunge_run", MAILBOX_NAME, 2,
	  "SELECT mailbox, modseq, sum(last - first + 1), sum((last - first + 1) * (first + last))"
	  " FROM expunge_run GROUP BY mailbox, modseq ORDER BY mailbox, modseq" },
	{ "secret", NULL, 2, "SELECT 0, name, value FROM secret ORDER BY name" },
	{ "delivery", NULL, 3,
	  "SELECT 0, CAST(hex(key) AS BLOB), session, at, until FROM delivery ORDER "
	  "BY key, session" },
	{ "uidl", MAILBOX_NAME, 2, "SELECT mailbox, uid, text FROM uidl ORDER BY mailbox, uid" },
	{ "thread", ACCOUNT_NAME, 2,
	  "SELECT account, key, thread, own FROM thread ORDER BY account, key" },
	{ "blob", NULL, 1,
	  "SELECT id, seg, epoch, kind, offset, len, size, header_len, lines, sha256, thread_key,"
	  " chunks, summary"
	  " FROM blob ORDER BY id" },
	{ "meta", NULL, 0, "SELECT uidvalidity, blobs, expunged, delivery_clock FROM meta" },
};

/* Its rows mean nothing to anybody, so only their number is told; the messages that they were
 * made of are told. */
static bool
is_counted(const struct table *t)
{
	return strcmp(t->name, "thread") == 0;
}

static const char *
number_of(const struct table *t)
{
	return strcmp(t->name, "expunge_run") == 0 ? "MODSEQ" : "UID";
}

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

#define NAME_MAX_TOLD 128
#define NAME_ARG(s)   ((s).len < NAME_MAX_TOLD ? (int)(s).len : NAME_MAX_TOLD), \
	((s).ptr != NULL ? (const char *)(s).ptr : "")

/* " (anna/Archive)": what an account or mailbox is called, "" where neither side knows it. */
static void
name_object(struct check *c, const char *sql, uint64_t id, char *dst, size_t size)
{
	struct db *sides[] = { c->temp, c->real };
	struct err e = ERR_INIT;
	sqlite3_stmt *q;

	dst[0] = '\0';
	for (size_t i = 0; i < 2 && dst[0] == '\0'; i++) {
		struct slice owner, name;

		if (db_first(sides[i], &q, sql, DB_ARGS(DB_NUM(id)), &e) != RC_OK)
			continue;
		owner = db_bytes(q, 0);
		name = db_bytes(q, 1);
		(void)snprintf(dst, size, " (%.*s%s%.*s)", NAME_ARG(owner),
		               name.len > 0 ? "/" : "", NAME_ARG(name));
		db_end(q);
	}
}

static void
report_row(struct check *c, const struct table *t, sqlite3_stmt *row, const char *what)
{
	char text[512], name[300] = "", second[NAME_MAX_TOLD + 16] = "";
	uint64_t id = db_u64(row, 0);

	if (++c->alike > ALIKE_MAX || is_counted(t)) {
		c->out->differences++;
		return;
	}
	if (t->owner != NULL)
		name_object(c, t->owner, id, name, sizeof name);
	if (t->keys > 1 && sqlite3_column_type(row, 1) == SQLITE_INTEGER) {
		(void)snprintf(second, sizeof second, " %s %llu", number_of(t),
		               (unsigned long long)db_u64(row, 1));
	} else if (t->keys > 1) {
		struct slice key = db_bytes(row, 1);

		(void)snprintf(second, sizeof second, " \"%.*s\"", NAME_ARG(key));
	}
	if (t->keys > 0 && t->owner == NULL && id == 0)
		(void)snprintf(text, sizeof text, "%s%s: %s", t->name, second, what);
	else if (t->keys > 0)
		(void)snprintf(text, sizeof text, "%s " LSN_FORMAT "%s%s: %s", t->name, LSN_ARG(id),
		               name, second, what);
	else
		(void)snprintf(text, sizeof text, "%s: %s", t->name, what);
	differs(c, text);
}

static void
report_rest(struct check *c, const struct table *t)
{
	char text[80];
	const struct check_finding f = { .what = text, .difference = true, .records = "",
	                                 .mended = "" };

	if (is_counted(t) && c->alike > 0) {
		(void)snprintf(text, sizeof text, "%s: %llu row%s of index and log differ", t->name,
		               (unsigned long long)c->alike, c->alike == 1 ? "" : "s");
		tell(c, &f);
	} else if (c->alike > ALIKE_MAX) {
		(void)snprintf(text, sizeof text, "%s: and %llu more", t->name,
		               (unsigned long long)(c->alike - ALIKE_MAX));
		tell(c, &f);
	}
	c->alike = 0;
}

/* Of a message that went, a compacted log knows for sure when it did; the rest, or a part of it,
 * may have died. */
static bool
same_rest(struct check *c, const struct table *t, sqlite3_stmt *of_log, sqlite3_stmt *of_index)
{
	bool bare = strcmp(t->name, "expunged") == 0 && log_compactions(c->log) > 0;

	return compare_columns(of_log, of_index, t->keys,
	                       bare ? EXPUNGED_MODSEQ + 1 : sqlite3_column_count(of_log)) == 0;
}

static enum rc
compare_table(struct check *c, const struct table *t, struct err *e)
{
	sqlite3_stmt *a = db_query(c->temp, t->sql, DB_NO_ARGS, e);
	sqlite3_stmt *b = db_query(c->real, t->sql, DB_NO_ARGS, e);
	enum db_step sa, sb;
	bool stopped = false;

	if (a == NULL || b == NULL)
		return e->code;
	sa = db_next(c->temp, a, e);
	sb = db_next(c->real, b, e);
	for (uint64_t n = 1; sa == DB_ROW || sb == DB_ROW; n++) {
		int d = sa != DB_ROW ? 1 : sb != DB_ROW ? -1 : compare_columns(a, b, 0, t->keys);

		if (sa == DB_FAIL || sb == DB_FAIL)
			break;
		if (d < 0)
			report_row(c, t, a, "in the log, not in the index");
		else if (d > 0)
			report_row(c, t, b, "in the index, not in the log");
		else if (!same_rest(c, t, a, b))
			report_row(c, t, a, "index and log differ");
		if (d <= 0)
			sa = db_next(c->temp, a, e);
		if (d >= 0)
			sb = db_next(c->real, b, e);
		stopped = n % ROWS_A_LOOK == 0 && !check_progress(c, c->bytes, c->bytes);
		if (stopped)
			break;
	}
	db_end(a);
	db_end(b);
	if (sa == DB_FAIL || sb == DB_FAIL)
		return e->code;
	return stopped ? err_set(e, RC_CANCELLED, "stopped") : RC_OK;
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

static void
check_behind(struct check *c)
{
	char text[160];

	(void)snprintf(text, sizeof text,
	               "the index is behind the log by %llu records (the next start brings it up)",
	               (unsigned long long)c->behind);
	differs(c, text);
}

/* What messages that are gone have told of threads, the index alone knows once a log was compacted.
 * And as long as it has not learned the places of a compaction that was cut behind its swap, its
 * blobs lie where they were, in pieces that wait for that: the next start or maintenance
 * goes on with it. */
static bool
is_passed_over(const struct check *c, const struct table *t)
{
	uint64_t compactions = log_compactions(c->log);

	if (is_counted(t))
		return compactions > 0;
	return c->meta.compactions < compactions &&
	       (strcmp(t->name, "blob") == 0 || strcmp(t->name, "meta") == 0);
}

static enum rc
compare_index(struct check *c, struct err *e)
{
	enum rc rc;

	if (c->behind > 0)
		check_behind(c);
	rc = index_tidy(c->v, c->temp, &c->ap.meta, e);
	if (rc == RC_OK)
		rc = schema_write_meta(c->temp, &c->ap.meta, e);
	if (rc == RC_OK)
		rc = count_results(c, e);
	for (size_t i = 0; rc == RC_OK && c->real != NULL && i < sizeof tables / sizeof tables[0];
	     i++) {
		if (is_passed_over(c, &tables[i]))
			continue;
		rc = compare_table(c, &tables[i], e);
		report_rest(c, &tables[i]);
	}
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

	log_volume_id(c->log, m.volume);        /* sums of ids are keyed with it */
	rc = db_open("", DB_TEMP, NULL, &c->temp, e);
	if (rc == RC_OK)
		rc = schema_create(c->temp, e);
	if (rc == RC_OK)
		rc = db_exec(c->temp, "BEGIN", e);
	if (rc == RC_OK)
		rc = schema_write_meta(c->temp, &m, e);
	if (rc == RC_OK)
		rc = apply_init(&c->ap, c->temp, e);
	c->ap.bulk = true;
	return rc;
}

static enum rc
read_meta(struct check *c, struct err *e)
{
	uint32_t version;
	enum rc rc = schema_read_version(c->real, &version, e);

	if (rc == RC_OK && version != SCHEMA_VERSION)
		c->out->index = CHECK_INDEX_OTHER_VERSION;
	else if (rc == RC_OK)
		rc = schema_read_meta(c->real, &c->meta, e);
	return rc;
}

/* A snapshot of the index. What is in the log when the check begins may be on its way into the
 * index still: that takes a moment, an index that was left behind stays so. */
static enum rc
borrow_real(struct check *c, struct err *e)
{
	const struct timespec pause = { 0, 20 * 1000000L };
	enum rc rc;

	c->begin = atomic_load(&c->v->last_lsn);
	for (int i = 0;; i++) {
		rc = db_pool_borrow(c->v->pool, &c->real, e);
		if (rc == RC_OK)
			rc = read_meta(c, e);
		if (rc != RC_OK || c->out->index != CHECK_INDEX_THERE ||
		    c->meta.applied >= c->begin || i == 50)
			return rc;
		db_pool_return(c->v->pool, &c->real);
		(void)nanosleep(&pause, NULL);
	}
}

static void
open_real(struct check *c)
{
	struct err e = ERR_INIT;
	enum rc rc;

	/* A running server has made its index; that it went away is told. */
	if (c->v->p.mode == VOLUME_READ && access(c->v->index_path, F_OK) != 0 && errno == ENOENT) {
		c->out->index = CHECK_INDEX_MISSING;
		return;
	}
	rc = borrow_real(c, &e);
	if (rc != RC_OK)
		differs(c, e.text);
	if (rc != RC_OK || c->out->index != CHECK_INDEX_THERE)
		db_pool_return(c->v->pool, &c->real);
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
volume_check(struct volume *v, const struct check_report *rep,
             bool (*progress)(void *arg, uint64_t done, uint64_t total), void *progress_arg,
             struct check_result *out, struct err *e)
{
	struct check c = {
		.v = v, .rep = rep, .progress = progress, .progress_arg = progress_arg, .out = out
	};
	struct log_params lp = {
		.path = v->path, .mode = LOG_READ, .ask_synced = index_synced, .ask_arg = &c.meta
	};
	const struct log_report open_rep = { &c, found_open };
	struct claim claim = { .kind = CLAIM_MAINTENANCE, .what = "a check" };
	enum rc rc;

	*out = (struct check_result){ 0 };
	volume_claim_wait(v, &claim);
	log_hold(v->log);       /* our own handle's list of segments is read until the end */
	open_real(&c);
	/* A handle of its own, opened after the snapshot: it reaches at least as far. */
	rc = must_give_way(&c) ? RC_CANCELLED : log_open(&lp, &open_rep, &c.log, e);
	out->starts_anew = c.real != NULL && c.meta.damaged != 0 &&
	                   c.meta.damaged != INDEX_DAMAGED_FOR_GOOD;
	if (rc == RC_OK && c.real != NULL)
		check_belongs(&c);
	c.until = c.real != NULL ? c.meta.applied : UINT64_MAX;
	if (rc == RC_OK)
		rc = open_temp(&c, e);
	concern_init(&c.concern, c.log, c.real);
	if (rc == RC_OK)
		rc = check_log(&c, e);
	if (rc == RC_OK) {
		if (c.real == NULL)
			c.concern.db = c.temp;
		tell_waiting(&c);
		tell_opened(&c);
		rc = compare_index(&c, e);
	}
	concern_fini(&c.concern);
	free(c.opened);
	free(c.waiting);
	log_close(&c.log);
	if (c.ap.db != NULL)
		apply_fini(&c.ap);
	db_close(&c.temp);
	db_pool_return(v->pool, &c.real);
	log_unhold(v->log);
	volume_release(v, &claim);
	if (c.gave_way)
		return err_set(e, RC_BUSY,
		    "the index is being replaced, or its disk is full; try again when it is back");
	return rc;
}
