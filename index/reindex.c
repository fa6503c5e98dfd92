/* reindex - an index made anew because the admin wants it. See volume_reindex in volume.h.
 *
 * The new one is made beside the old one first: only that tells whether the log holds, and what a damaged log cannot give
 * back. The old one may be the last thing that knows it, so it is not given up without being asked to, and kept then.
 */
#include "index/volume_impl.h"

#include <errno.h>
#include <stdio.h>

struct counts {
	uint64_t accounts, mailboxes, messages;
};

static bool
count_rows(const char *path, struct counts *out)
{
	struct err e = ERR_INIT;
	sqlite3_stmt *q;
	struct db *db;
	bool known;

	if (db_open(path, DB_READ, NULL, &db, &e) != RC_OK)
		return false;
	known = db_first(db, &q,
	                 "SELECT (SELECT count(*) FROM account), count(*),"
	                 " coalesce(sum(exists_), 0) FROM mailbox",
	                 DB_NO_ARGS, &e) == RC_OK;
	if (known) {
		*out = (struct counts){ db_u64(q, 0), db_u64(q, 1), db_u64(q, 2) };
		db_end(q);
	}
	db_close(&db);
	return known;
}

static unsigned long long
less(uint64_t old, uint64_t new)
{
	return old > new ? old - new : 0;
}

static enum rc
refuse(const struct volume *v, const struct counts *old, const struct counts *new, struct err *e)
{
	return err_set(e, RC_CORRUPT,
	               "the log has damage (%llu findings); a new index would lack %llu accounts, %llu mailboxes, "
	               "%llu messages of the present one: restore the segment, or use --force",
	               (unsigned long long)atomic_load(&v->damage), less(old->accounts, new->accounts),
	               less(old->mailboxes, new->mailboxes), less(old->messages, new->messages));
}

/* All of it into the one file, which then gets another name. */
static enum rc
keep_old(const struct volume *v, struct err *e)
{
	char kept[4096];
	struct db *db;
	enum rc rc;

	(void)snprintf(kept, sizeof kept, "%s.old", v->index_path);
	rc = db_open(v->index_path, DB_WRITE, NULL, &db, e);
	if (rc != RC_OK)
		return rc;
	if (sqlite3_wal_checkpoint_v2(db_handle(db), NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
		rc = err_set(e, RC_IO, "index: %s", sqlite3_errmsg(db_handle(db)));
	db_close(&db);
	if (rc == RC_OK)
		rc = db_unlink(kept, e);
	if (rc == RC_OK && rename(v->index_path, kept) != 0)
		rc = err_os(e, errno, "rename %s", v->index_path);
	return rc;
}

/* The index that was made, in place of the one there is. `known`: what that one says of itself. */
static enum rc
replace(struct volume *v, const struct index_meta *known, bool force, struct reindex_result *out, struct err *e)
{
	struct counts old = { 0 }, new = { 0 };
	struct err why = ERR_INIT;
	char path[4096];
	enum rc rc;

	out->damage = atomic_load(&v->damage);
	(void)snprintf(path, sizeof path, "%s.new", v->index_path);
	if (out->damage == 0 || index_examine(v->log, known, &why) != RC_OK || !count_rows(v->index_path, &old) ||
	    !count_rows(path, &new))
		return index_install(v, e);     /* there is nothing to lose */
	rc = force ? keep_old(v, e) : refuse(v, &old, &new, e);
	if (rc != RC_OK) {
		index_discard(v, e);
		return rc;
	}
	out->kept = true;
	return index_install(v, e);
}

enum rc
volume_reindex(const struct volume_params *p, bool force, struct reindex_result *out, struct err *e)
{
	struct log_params lp = {
		.path = p->path, .mode = LOG_WRITE, .lock_wait_ms = p->lock_wait_ms, .ask_synced = index_synced
	};
	struct volume *v = volume_new(p);
	struct index_meta known;
	enum rc rc;

	*out = (struct reindex_result){ 0 };
	if (v == NULL)
		return err_nomem(e);
	lp.ask_arg = &known;
	index_peek(v, &known);
	rc = log_open(&lp, &v->report, &v->log, e);
	if (rc == RC_OK)
		rc = index_make(v, e);
	if (rc == RC_OK)
		rc = replace(v, &known, force, out, e);
	volume_close(&v);
	return rc;
}
