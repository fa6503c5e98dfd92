/* rebuild - an index of the whole log, made beside the present one and put into its place.
 *
 * It grows in a file of its own (index.db.new) in transactions of some thousand records: a rebuild
 * whose process was ended goes on where it was, if the log is still the one that it had read and
 * the system was not started anew since (nothing is synced before the end, so what a power cut
 * leaves of it is worth nothing). Checked at its end, made one file, synced, and renamed into place
 * while nobody has the index open: cut at any step, either the old state or none is there, and none
 * means rebuild.
 *
 * Rejected: syncs on the way, which halve the rate; no journal at all, as any cut then
 * costs the whole.
 */
#include "index/volume_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/siphash.h"
#include "store/compact.h"
#include "store/fs.h"
#include "store/replace.h"

#define NEW_PATH_LEN   4096u
#define REBUILD_RECORDS 50000u  /* per transaction: about a second's work */

static const char *
new_path(const struct volume *v, char *dst)
{
	(void)snprintf(dst, NEW_PATH_LEN, "%s.new", v->index_path);
	return dst;
}

/* Nobody else's: it holds credentials. What SQLite makes beside it gets the same mode. */
static enum rc
make_file(const char *path, struct err *e)
{
	int fd = fs->open(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_os(e, errno, "make %s", path);
	(void)fs->close(fd);
	return RC_OK;
}

static enum rc
sync_file(const char *path, struct err *e)
{
	int fd = fs->open(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	int bad;

	if (fd < 0)
		return err_os(e, errno, "open %s", path);
	bad = fs->fsync(fd) != 0 ? errno : 0;
	(void)fs->close(fd);
	return bad != 0 ? err_os(e, bad, "sync %s", path) : RC_OK;
}

/* ---- where to begin ---- */

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* A number of this start of the system, for PRAGMA user_version; 0: it does not tell. */
static uint32_t
boot_number(void)
{
	static const uint8_t no_key[SIPHASH_KEY_LEN];
	char id[64];
	int fd = fs->open(AT_FDCWD, BOOT_ID_FILE, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd >= 0 ? fs->pread(fd, id, sizeof id, 0) : 0;

	if (fd >= 0)
		(void)fs->close(fd);
	return n > 0 ? ((uint32_t)siphash(no_key, id, (size_t)n) & INT32_MAX) | 1 : 0;
}

static enum rc
mark_boot(struct db *db, struct err *e)
{
	char sql[64];

	(void)snprintf(sql, sizeof sql, "PRAGMA user_version=%u", boot_number());
	return db_exec(db, sql, e);
}

static bool
same_boot(struct db *db)
{
	uint32_t now = boot_number(), then = 0;
	struct err e = ERR_INIT;
	sqlite3_stmt *q;

	if (db_first(db, &q, "PRAGMA user_version", DB_NO_ARGS, &e) == RC_OK) {
		then = (uint32_t)db_u64(q, 0);
		db_end(q);
	}
	return now != 0 && now == then;
}

static enum rc
start_anew(struct volume *v, const char *path, struct db **db, struct err *e)
{
	struct index_meta m = {
		.schema = SCHEMA_VERSION,
		.damaged = atomic_load(&v->damaged),            /* found when the log was opened */
		.compactions = log_compactions(v->log),
	};
	enum rc rc = db_unlink(path, e);

	log_volume_id(v->log, m.volume);
	if (rc == RC_OK)
		rc = make_file(path, e);
	if (rc == RC_OK)
		rc = db_open(path, DB_BUILD, NULL, db, e);
	if (rc == RC_OK)
		rc = db_exec(*db, "BEGIN IMMEDIATE", e);
	if (rc == RC_OK)
		rc = schema_create(*db, e);
	if (rc == RC_OK)
		rc = mark_boot(*db, e);
	m.takeover = log_takeover_id(v->log);
	return rc == RC_OK ? schema_write_meta(*db, &m, e) : rc;
}

/* Of this log, and of what is in it now. One that met damage is begun anew: the damage may
 * have been mended. */
static bool
is_ours(const struct volume *v, const struct index_meta *m)
{
	struct err why = ERR_INIT;

	return m->damaged == 0 && atomic_load(&v->damaged) == 0 && m->applied != 0 &&
	       m->compactions == log_compactions(v->log) &&
	       index_examine(v->log, m, &why) == RC_OK;
}

/* Go on with what a rebuild that was cut has left. False: nothing is open. */
static bool
try_resume(struct volume *v, const char *path, struct db **db)
{
	struct index_meta m;
	struct err why = ERR_INIT;

	if (access(path, F_OK) != 0)
		return false;
	if (db_open(path, DB_BUILD, NULL, db, &why) == RC_OK && same_boot(*db) &&
	    db_exec(*db, "BEGIN IMMEDIATE", &why) == RC_OK &&
	    schema_read_meta(*db, &m, &why) == RC_OK && is_ours(v, &m))
		return true;
	db_close(db);
	return false;
}

/* ---- the work ---- */

static enum rc
finish(struct volume *v, struct db *db, struct apply *ap, struct err *e)
{
	enum rc rc = index_tidy(v, db, &ap->meta, e);

	if (rc == RC_OK)
		rc = schema_finish(db, e);
	ap->meta.takeover = log_takeover_id(v->log);
	/* The log's end may be gone, as it died or is damaged: all that is left of it is here. */
	if (ap->meta.applied < log_floor(v->log))
		ap->meta.applied = log_floor(v->log);
	ap->meta.synced = ap->meta.applied;
	if (rc == RC_OK)
		rc = schema_write_meta(db, &ap->meta, e);
	if (rc == RC_OK)
		rc = db_exec(db, "COMMIT", e);
	return rc == RC_OK ? db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", e) : rc;
}

static enum rc
fill_index(struct volume *v, struct db *db, bool resumed, struct err *e)
{
	struct apply ap;
	enum rc rc = apply_init(&ap, db, e);

	if (rc != RC_OK)
		return rc;
	ap.bulk = true;
	rc = index_replay(v, &ap, UINT64_MAX, REBUILD_RECORDS,
	                  resumed ? "rebuild, resumed" : "rebuild", e);
	if (rc == RC_OK)
		rc = finish(v, db, &ap, e);
	apply_fini(&ap);
	return rc;
}

/* Half an index that will not be gone on with may be what fills the disk. */
void
index_discard(struct volume *v, struct err *e)
{
	struct err also = ERR_INIT;
	char path[NEW_PATH_LEN];

	if (access(new_path(v, path), F_OK) == 0 && db_unlink(path, &also) != RC_OK)
		(void)err_add(e, "%s", also.text);
}

enum rc
index_make(struct volume *v, struct err *e)
{
	struct db *db = NULL;
	char path[NEW_PATH_LEN];
	bool resumed = try_resume(v, new_path(v, path), &db);
	enum rc rc = RC_OK;

	if (!resumed)
		rc = start_anew(v, path, &db, e);
	if (rc == RC_OK)
		rc = fill_index(v, db, resumed, e);
	db_close(&db);
	if (rc == RC_OK)
		rc = sync_file(path, e);
	if (rc == RC_OK)
		return RC_OK;
	index_discard(v, e);
	return err_add(e, "rebuild of the index");
}

enum rc
index_install(struct volume *v, struct err *e)
{
	char path[NEW_PATH_LEN];
	enum rc rc;

	(void)new_path(v, path);
	rc = db_unlink(v->index_path, e);
	if (rc == RC_OK && fs->rename(AT_FDCWD, path, AT_FDCWD, v->index_path) != 0)
		rc = err_os(e, errno, "rename %s", path);
	if (rc == RC_OK)
		rc = file_sync_dir(v->index_path, e);
	if (rc != RC_OK) {
		index_discard(v, e);
		return err_add(e, "rebuild of the index");
	}
	atomic_store(&v->suspect, false);
	return RC_OK;
}
