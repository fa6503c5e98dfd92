/* reindex - an index made anew because the admin wants it. See volume_reindex in volume.h.
 *
 * The new one is made beside the old one first: only that tells whether the log holds, and what a
 * damaged log cannot give back. The old one may be the last thing that knows it, so it is not given
 * up without being asked to, and kept then.
 */
#include "index/volume_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/fs.h"

#define KEPT_MAX 9u             /* old indexes beside the new one */
#define PATH_LEN 4096u

struct counts {
	uint64_t accounts, mailboxes, messages;
	uint64_t lost;          /* of the messages: their blobs are not known */
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
	                 " coalesce(sum(exists_), 0), (SELECT count(*) FROM message m WHERE NOT"
	                 " EXISTS(SELECT 1 FROM blob b WHERE b.id = m.blob)) FROM mailbox",
	                 DB_NO_ARGS, &e) == RC_OK;
	if (known) {
		*out = (struct counts){ db_u64(q, 0), db_u64(q, 1), db_u64(q, 2),
		                        db_u64(q, 3) };
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
	               "the log has damage (findings: %llu); a new index would lack accounts: "
	               "%llu, mailboxes: %llu, messages: %llu, contents of messages: %llu of the "
	               "present one; restore the segment, or use --force",
	               (unsigned long long)atomic_load(&v->damage),
	               less(old->accounts, new->accounts), less(old->mailboxes, new->mailboxes),
	               less(old->messages, new->messages), less(new->lost, old->lost));
}

/* The first of index.db.old, index.db.old.2, ... that is free, as a path and a name: an older one
 * may know more. */
static enum rc
free_name(const char *index_path, char path[PATH_LEN], struct reindex_result *out, struct err *e)
{
	const char *base = strrchr(index_path, '/');
	struct stat st;

	(void)snprintf(path, PATH_LEN, "%s.old", index_path);
	for (unsigned k = 2; lstat(path, &st) == 0; k++) {
		if (k > KEPT_MAX)
			return err_set(e, RC_EXISTS,
			    "%s.old and %u more are kept already: remove what is not needed",
			    index_path, KEPT_MAX - 1);
		(void)snprintf(path, PATH_LEN, "%s.old.%u", index_path, k);
	}
	(void)snprintf(out->kept, sizeof out->kept, "%.31s",
	               path + (base != NULL ? base + 1 - index_path : 0));
	return RC_OK;
}

/* All of it into the one file, which then gets another name. */
static enum rc
keep_old(const struct volume *v, struct reindex_result *out, struct err *e)
{
	char kept[PATH_LEN];
	struct db *db;
	enum rc rc = free_name(v->index_path, kept, out, e);

	if (rc != RC_OK)
		return rc;
	rc = db_open(v->index_path, DB_WRITE, NULL, &db, e);
	if (rc != RC_OK)
		return rc;
	if (sqlite3_wal_checkpoint_v2(db_handle(db), NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
	                              NULL) != SQLITE_OK)
		rc = err_set(e, RC_IO, "index: %s", sqlite3_errmsg(db_handle(db)));
	db_close(&db);
	if (rc == RC_OK && fs->rename(AT_FDCWD, v->index_path, AT_FDCWD, kept) != 0)
		rc = err_os(e, errno, "rename %s", v->index_path);
	return rc;
}

/* The index that was made, in place of the one there is. `known`: what that one says of itself. */
static enum rc
replace(struct volume *v, const struct index_meta *known, bool force, struct reindex_result *out,
        struct err *e)
{
	struct counts old = { 0 }, new = { 0 };
	struct err why = ERR_INIT;
	char path[4096];
	enum rc rc;

	out->damage = atomic_load(&v->damage);
	(void)snprintf(path, sizeof path, "%s.new", v->index_path);
	if (out->damage == 0 || index_examine(v->log, known, &why) != RC_OK ||
	    !count_rows(v->index_path, &old) || !count_rows(path, &new))
		return index_install(v, e);     /* there is nothing to lose */
	rc = force ? keep_old(v, out, e) : refuse(v, &old, &new, e);
	if (rc != RC_OK) {
		out->kept[0] = '\0';
		index_discard(v, e);
		return rc;
	}
	return index_install(v, e);
}

enum rc
volume_reindex(const struct volume_params *p, bool force, struct reindex_result *out, struct err *e)
{
	struct log_params lp = {
		.path = p->path, .mode = LOG_WRITE, .lock_wait_ms = p->lock_wait_ms,
		.ask_synced = index_synced
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
