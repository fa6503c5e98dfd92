/* past - making a scratch index of one account's past. See past.h. What is read from
 * it: read_past.c.
 *
 * A log that was compacted may hold records of a mailbox before the record that says whose it is.
 * What is known to be another account's is passed over (the present index and the log so far say
 * so); the rest is applied, to what may turn out to be a stub of nobody's, which is
 * never asked for.
 *
 * Rejected: reading tombstones from the present index. It forgets a deleted mailbox at once, and
 * never knew the time of an expunge.
 */
#include "index/past_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "index/mailbox_row.h"
#include "index/names.h"

#define PATH_LEN     4096u
#define PAST_SCRATCH "past-"

/* `gone`: when the messages whose expunge has this MODSEQ were expunged. `closed`: when a
 * mailbox was deleted. */
static const char more_tables[] =
    "CREATE TABLE gone(mailbox INTEGER, modseq INTEGER, time INTEGER, moved INTEGER,"
    " PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;"
    "CREATE TABLE closed(mailbox INTEGER PRIMARY KEY, time INTEGER);"
    "CREATE TABLE asked(first INTEGER, last INTEGER);"
    "CREATE TABLE wanted(n INTEGER PRIMARY KEY, uid INTEGER, flags INTEGER, kw "
    "INTEGER, blob INTEGER,"
    " internaldate INTEGER, zone INTEGER, threadid INTEGER, time INTEGER);"
    "CREATE INDEX message_blob ON message(blob);";

/* ---- ids in ascending order ---- */

static size_t
seek_id(const struct id_list *l, uint64_t id)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
has_id(const struct id_list *l, uint64_t id)
{
	size_t at = seek_id(l, id);

	return at < l->count && l->ids[at] == id;
}

/* At the end mostly: ids are LSNs. */
static enum rc
add_id(struct id_list *l, uint64_t id, struct err *e)
{
	size_t at = seek_id(l, id);

	if (at < l->count && l->ids[at] == id)
		return RC_OK;
	if (l->count == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 64;
		uint64_t *ids = realloc(l->ids, cap * sizeof *ids);

		if (ids == NULL)
			return err_nomem(e);
		l->ids = ids;
		l->cap = cap;
	}
	memmove(l->ids + at + 1, l->ids + at, (l->count - at) * sizeof *l->ids);
	l->ids[at] = id;
	l->count++;
	return RC_OK;
}

/* ---- the scratch file ---- */

/* Named for a moment only: what is cut in between is removed at the next start
 * (past_drop_scratch). */
static enum rc
open_in(const char *dir, struct db **out, struct err *e)
{
	static _Atomic unsigned counter;
	char path[PATH_LEN];
	enum rc rc;
	int fd;

	(void)snprintf(path, sizeof path, "%s/" PAST_SCRATCH "%ld-%u", dir, (long)getpid(),
	               atomic_fetch_add(&counter, 1));
	(void)unlink(path);             /* of an earlier process with our number */
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_os(e, errno, "make %s", path);
	(void)close(fd);
	rc = db_open(path, DB_TEMP, NULL, out, e);
	if (rc == RC_OK)
		rc = db_exec(*out, "BEGIN", e);         /* opens the file */
	(void)unlink(path);
	return rc;
}

static enum rc
open_scratch(struct past *p, struct err *e)
{
	enum rc rc;

	if (p->pp.volume->owner && open_in(p->pp.volume->path, &p->db, e) == RC_OK)
		return RC_OK;
	db_close(&p->db);
	rc = db_open("", DB_TEMP, NULL, &p->db, e);
	return rc == RC_OK ? db_exec(p->db, "BEGIN", e) : rc;
}

static enum rc
make_scratch(struct past *p, struct err *e)
{
	struct index_meta m = { .schema = SCHEMA_VERSION };
	enum rc rc;

	log_volume_id(p->log, m.volume);
	rc = open_scratch(p, e);
	if (rc == RC_OK)
		rc = schema_create(p->db, e);
	if (rc == RC_OK)
		rc = db_exec(p->db, more_tables, e);
	if (rc == RC_OK)
		rc = schema_write_meta(p->db, &m, e);
	return rc == RC_OK ? apply_init(&p->ap, p->db, e) : rc;
}

void
past_drop_scratch(const char *dir)
{
	char path[PATH_LEN];
	struct dirent *d;
	DIR *all = opendir(dir);

	while (all != NULL && (d = readdir(all)) != NULL) {
		if (strncmp(d->d_name, PAST_SCRATCH, strlen(PAST_SCRATCH)) != 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
		(void)unlink(path);
	}
	if (all != NULL)
		(void)closedir(all);
}

/* ---- the pass over the log ---- */

/* Whose the mailboxes of other accounts are need not be found out from the log. */
static enum rc
read_foreign(struct past *p, struct err *e)
{
	struct volume *v = p->pp.volume;
	enum db_step step = DB_DONE;
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc;

	if (p->foreign_log)
		return RC_OK;
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	q = db_query(db, "SELECT id FROM mailbox WHERE account != ?1 ORDER BY id",
	             DB_ARGS(DB_NUM(p->pp.account)), e);
	while (q != NULL && rc == RC_OK && (step = db_next(db, q, e)) == DB_ROW)
		rc = add_id(&p->foreign, db_u64(q, 0), e);
	if (q != NULL && rc != RC_OK)
		db_end(q);
	if (q == NULL || step == DB_FAIL)
		rc = e->code;
	db_pool_return(v->pool, &db);
	return rc;
}

static bool
is_ours(const struct past *p, const struct record *r)
{
	account_id mine = p->pp.account;

	switch (r->type) {
	case RECORD_ACCOUNT:
		return r->u.account.id == mine;
	case RECORD_CREDENTIAL:
		return r->u.credential.account == mine;
	case RECORD_MAILBOX:
		return r->u.mailbox.account == mine;
	case RECORD_SUBSCRIPTION:
		return r->u.subscription.account == mine;
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		return !has_id(&p->foreign, r->u.messages.mailbox);
	case RECORD_FLAGS:
		return !has_id(&p->foreign, r->u.flags.mailbox);
	case RECORD_EXPUNGE:
		return !has_id(&p->foreign, r->u.expunge.mailbox);
	case RECORD_BLOB:
	case RECORD_PURGE:
		return true;
	case RECORD_SUMMARY:
		/* of this volume the present index has the blobs, and knows better */
		return p->foreign_log;
	case RECORD_COUNTERS:
	case RECORD_GONE:
	case RECORD_UIDL:
	case RECORD_SECRET:
	case RECORD_DELIVERY:
		return false;
	}
	return false;
}

static enum rc
apply_one(struct past *p, const struct record *r, const struct log_addr *data, struct err *e)
{
	enum rc rc = apply_record(&p->ap, r, data, e);

	if (rc != RC_SYNTAX)
		return rc;
	p->damaged = true;              /* check tells where */
	return RC_OK;
}

/* The mailbox stays as it was. Compaction may have left nothing of it but this. */
static enum rc
close_mailbox(struct past *p, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct record last = *r;
	enum rc rc;

	last.u.mailbox.deleted = false;
	rc = apply_one(p, &last, NULL, e);
	return rc == RC_OK ? db_run(p->db, "INSERT OR REPLACE INTO closed VALUES(?1, ?2)",
	                            DB_ARGS(DB_NUM(r->u.mailbox.id), DB_NUM(f->time_us)), e) :
	                     rc;
}

/* The same for the account; its tombstone does not say its quota any more. */
static enum rc
close_account(struct past *p, const struct frame_info *f, const struct record *r, struct err *e)
{
	struct account_info there;
	struct record last = *r;
	enum rc rc;

	p->deleted_us = f->time_us;
	rc = account_get(p->db, r->u.account.id, &p->scratch, &there, e);
	arena_reset(&p->scratch);
	last.u.account.deleted = false;
	return rc == RC_NOT_FOUND ? apply_one(p, &last, NULL, e) : rc;
}

static enum rc
note_moved(struct past *p, const struct record_messages *r, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < r->count; i++)
		rc = add_id(&p->frame_blobs, r->messages[i].blob, e);
	return rc;
}

/* A MOVE is a copy and an expunge in one frame: the first message tells for all. */
static enum rc
note_expunge(struct past *p, const struct frame_info *f, const struct record_expunge *r,
             struct err *e)
{
	bool moved = false;
	sqlite3_stmt *q;
	enum rc rc = RC_OK;

	if (p->frame_blobs.count > 0 && r->range_count > 0) {
		rc = db_first(p->db, &q, "SELECT blob FROM expunged WHERE mailbox=?1 AND uid=?2",
		              DB_ARGS(DB_NUM(r->mailbox), DB_NUM(r->uids[0].first)), e);
		if (rc == RC_OK) {
			moved = has_id(&p->frame_blobs, db_u64(q, 0));
			db_end(q);
		}
	}
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	return db_run(p->db, "INSERT OR REPLACE INTO gone VALUES(?1, ?2, ?3, ?4)",
	    DB_ARGS(DB_NUM(r->mailbox), DB_NUM(r->modseq), DB_NUM(f->time_us), DB_NUM(moved)), e);
}

static enum rc
take_record(struct past *p, const struct frame_info *f, const struct record *r,
            const struct log_addr *addr, struct err *e)
{
	struct log_addr data = *addr;
	enum rc rc;

	if (r->type == RECORD_PURGE)
		return add_id(&p->purged, r->u.purge.blob, e);
	if (r->type == RECORD_BLOB && !p->foreign_log)
		return RC_OK;           /* the present index knows better */
	if (r->type == RECORD_BLOB)
		data = apply_blob_data(r, addr);
	if (r->type == RECORD_MAILBOX && r->u.mailbox.deleted)
		return close_mailbox(p, f, r, e);
	if (r->type == RECORD_ACCOUNT && r->u.account.deleted)
		return close_account(p, f, r, e);
	rc = apply_one(p, r, &data, e);
	if (rc == RC_OK && (r->type == RECORD_MESSAGES || r->type == RECORD_SOME_MESSAGES))
		rc = note_moved(p, &r->u.messages, e);
	if (rc == RC_OK && r->type == RECORD_EXPUNGE)
		rc = note_expunge(p, f, &r->u.expunge, e);
	return rc;
}

static enum rc
on_record(void *arg, const struct frame_info *f, const struct record *r,
          const struct log_addr *addr, struct err *e)
{
	struct past *p = arg;
	enum rc rc = RC_OK;

	if (f->time_us > p->pp.at_us) {
		p->enough = true;       /* no later frame has an earlier time */
		return err_set(e, RC_CANCELLED, "far enough");
	}
	if (r->type == RECORD_MAILBOX && r->u.mailbox.account != p->pp.account)
		return add_id(&p->foreign, r->u.mailbox.id, e);
	if (!is_ours(p, r))
		return RC_OK;
	if (p->pp.event != NULL)
		rc = p->pp.event(p->pp.event_arg, p, f, r, addr, e);
	return rc == RC_OK ? take_record(p, f, r, addr, e) : rc;
}

static enum rc
on_frame(void *arg, const struct frame_info *f, struct err *e)
{
	struct past *p = arg;

	(void)f, (void)e;
	p->frame_blobs.count = 0;
	return RC_OK;
}

static void
on_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
         const char *what)
{
	struct past *p = arg;

	p->damaged = true;
	if (p->pp.report.found != NULL)
		p->pp.report.found(p->pp.report.arg, seg, offset, len, first, last, what);
}

static enum rc
read_log(struct past *p, struct err *e)
{
	const struct log_report rep = { p, on_found };
	const struct replay rp = {
		.arg = p,
		.record = on_record,
		.frame = on_frame,
		.progress = p->pp.progress != NULL ? past_on_progress : NULL,
	};
	enum rc rc = log_replay(p->log, &rp, false, &rep, e);

	return rc == RC_CANCELLED && p->enough ? RC_OK : rc;
}

bool
past_on_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct past *p = arg;

	return p->pp.progress(p->pp.progress_arg, done, total);
}

/* ---- the whole ---- */

static enum rc
make_past(struct past *p, struct err *e)
{
	struct account_info there;
	enum rc rc = make_scratch(p, e);

	if (rc == RC_OK)
		rc = read_foreign(p, e);
	if (rc == RC_OK)
		rc = read_log(p, e);
	if (rc == RC_OK)
		rc = past_account(p, &p->scratch, &there, e);
	arena_reset(&p->scratch);
	return rc;
}

enum rc
past_open(const struct past_params *pp, struct past **out, struct err *e)
{
	struct past *p = calloc(1, sizeof *p);
	enum rc rc;

	*out = NULL;
	if (p == NULL)
		return err_nomem(e);
	p->pp = *pp;
	p->foreign_log = pp->log != NULL;
	p->log = pp->log != NULL ? pp->log : pp->volume->log;
	arena_init(&p->scratch, 1u << 20);
	rc = make_past(p, e);
	if (rc != RC_OK)
		past_close(&p);
	*out = p;
	return rc;
}

void
past_close(struct past **pp)
{
	struct past *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	if (p->ap.db != NULL)
		apply_fini(&p->ap);
	db_close(&p->db);
	arena_fini(&p->scratch);
	free(p->foreign.ids);
	free(p->purged.ids);
	free(p->frame_blobs.ids);
	free(p);
}

struct db *
past_db(struct past *p)
{
	return p->db;
}

struct log *
past_log(struct past *p)
{
	return p->log;
}

uint64_t
past_deleted_us(const struct past *p)
{
	return p->deleted_us;
}

bool
past_is_purged(const struct past *p, blob_id id)
{
	return has_id(&p->purged, id);
}

bool
past_is_damaged(const struct past *p)
{
	return p->damaged;
}
