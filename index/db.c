/* db - SQLite connections. See db.h. */
#include "index/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "index/vfs.h"
#include "index/wal_file.h"
#include "lib/nowait.h"
#include "store/fs.h"
#include "store/replace.h"

#define STMT_SLOTS 256u         /* a power of two, well above the number of literals */
#define PATH_LEN   4096

struct db {
	sqlite3     *h;
	atomic_bool *suspect;
	uint32_t     stmt_count;
	struct {
		const char   *sql;
		sqlite3_stmt *st;
	} stmts[STMT_SLOTS];
};

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* Memory statistics cost a process-wide mutex at each allocation. Refused if SQLite runs already:
 * no matter. */
static void
configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	vfs_install();
}

static enum rc
db_fail(struct db *db, const char *what, struct err *e)
{
	int code = sqlite3_extended_errcode(db->h);
	int os = sqlite3_system_errno(db->h);
	const char *msg = sqlite3_errmsg(db->h);

	if (nowait_is_on())
		return nowait_refuse(e);
	switch (code & 0xff) {
	case SQLITE_FULL:
		/* `os` may be of an earlier failure */
		return err_os(e, ENOSPC, "index: %.60s", what);
	case SQLITE_NOMEM:
		return err_nomem(e);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		if (db->suspect != NULL)
			atomic_store(db->suspect, true);
		return err_set(e, RC_CORRUPT, "index: %s (%.60s)", msg, what);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, RC_BUSY, "index: %s", msg);
	case SQLITE_TOOBIG:
		return err_set(e, RC_LIMIT, "index: %s", msg);
	default:
		if (code == SQLITE_IOERR_FSYNC && db->suspect != NULL)
			atomic_store(db->suspect, true);        /* see wal.h */
		(void)err_set(e, RC_IO, "index: %s (%d, %.60s)", msg, code, what);
		e->os = os;
		return RC_IO;
	}
}

enum rc
db_exec(struct db *db, const char *sql, struct err *e)
{
	if (sqlite3_exec(db->h, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(db, sql, e);
	return RC_OK;
}

static const char *
pragmas_of(enum db_mode mode)
{
	switch (mode) {
	case DB_WRITE:
		return "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA "
		       "wal_autocheckpoint=0;"
		       "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY";
	case DB_READ:
	case DB_STILL:
		return "PRAGMA query_only=1; PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY";
	case DB_ALONE:
		return "PRAGMA locking_mode=EXCLUSIVE; PRAGMA query_only=1; PRAGMA "
		       "temp_store=MEMORY";
	case DB_BUILD:
		return "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA "
		       "synchronous=OFF;"
		       "PRAGMA wal_autocheckpoint=16384; PRAGMA cache_size=-65536; "
		       "PRAGMA temp_store=FILE";
	case DB_TEMP:
		return "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA "
		       "synchronous=OFF;"
		       "PRAGMA cache_size=-65536; PRAGMA temp_store=FILE";
	}
	return "";
}

/* A path as SQLite's URI; `immutable` keeps a reader from making files beside a database that
 * nobody uses. */
static bool
make_uri(const char *path, bool immutable, char *out, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = (size_t)snprintf(out, size, "file:");

	for (const char *p = path; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (n + 32 > size)
			return false;
		if (c == '%' || c == '?' || c == '#') {
			out[n++] = '%';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		} else {
			out[n++] = (char)c;
		}
	}
	(void)snprintf(out + n, size - n, "%s", immutable ? "?immutable=1" : "");
	return true;
}

static enum rc
open_handle(struct db *db, const char *path, enum db_mode mode, struct err *e)
{
	char uri[PATH_LEN + 64];
	char wal[PATH_LEN];
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	const char *vfs = mode == DB_WRITE || mode == DB_BUILD ? wal_file_vfs() : NULL;

	if (mode == DB_READ || mode == DB_STILL) {
		(void)snprintf(wal, sizeof wal, "%s-wal", path);
		if (!make_uri(path, mode == DB_STILL || access(wal, F_OK) != 0, uri, sizeof uri))
			return err_set(e, RC_LIMIT, "path of the index is too long");
		path = uri;
		flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
	} else {
		flags |= SQLITE_OPEN_READWRITE | (mode == DB_ALONE ? 0 : SQLITE_OPEN_CREATE);
	}
	if (sqlite3_open_v2(path, &db->h, flags, vfs) != SQLITE_OK)
		return db->h == NULL ? err_nomem(e) : db_fail(db, "open", e);
	(void)sqlite3_busy_timeout(db->h, 10000);
	return db_exec(db, pragmas_of(mode), e);
}

enum rc
db_open(const char *path, enum db_mode mode, atomic_bool *suspect, struct db **out, struct err *e)
{
	struct db *db;
	enum rc rc;

	*out = NULL;
	(void)pthread_once(&configured, configure);
	db = calloc(1, sizeof *db);
	if (db == NULL)
		return err_nomem(e);
	db->suspect = suspect;
	rc = open_handle(db, path, mode, e);
	if (rc != RC_OK) {
		db_close(&db);
		return rc;
	}
	*out = db;
	return RC_OK;
}

void
db_close(struct db **dbp)
{
	struct db *db = *dbp;

	*dbp = NULL;
	if (db == NULL)
		return;
	for (uint32_t i = 0; i < STMT_SLOTS; i++)
		(void)sqlite3_finalize(db->stmts[i].st);
	(void)sqlite3_close_v2(db->h);
	free(db);
}

sqlite3 *
db_handle(struct db *db)
{
	return db->h;
}

/* NULL: SQLite says why. */
static sqlite3_stmt *
prepare(struct db *db, const char *sql)
{
	uint32_t i = (uint32_t)(((uintptr_t)sql >> 3) * 2654435761u) % STMT_SLOTS;

	while (db->stmts[i].sql != NULL && db->stmts[i].sql != sql)
		i = (i + 1) % STMT_SLOTS;
	if (db->stmts[i].sql == sql)
		return db->stmts[i].st;
	assert(db->stmt_count < STMT_SLOTS / 2);
	if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &db->stmts[i].st, NULL) !=
	    SQLITE_OK)
		return NULL;
	db->stmts[i].sql = sql;
	db->stmt_count++;
	return db->stmts[i].st;
}

static sqlite3_stmt *
find_stmt(struct db *db, const char *sql, struct err *e)
{
	sqlite3_stmt *q = prepare(db, sql);

	if (q == NULL)
		(void)db_fail(db, sql, e);
	return q;
}

static bool
bind_arg(sqlite3_stmt *q, int i, const struct db_arg *a)
{
	static const uint8_t empty[1];

	if (!a->is_bytes)
		return sqlite3_bind_int64(q, i, (sqlite3_int64)a->num) == SQLITE_OK;
	/* A NULL pointer would bind NULL, not the empty blob. */
	return sqlite3_bind_blob64(q, i, a->bytes.ptr != NULL ? a->bytes.ptr : empty, a->bytes.len,
	                           SQLITE_STATIC) == SQLITE_OK;
}

sqlite3_stmt *
db_query(struct db *db, const char *sql, const struct db_arg *args, int count, struct err *e)
{
	sqlite3_stmt *q = find_stmt(db, sql, e);

	if (q == NULL)
		return NULL;
	if (nowait_is_on())     /* what bounds it counts over all its runs: db_pool.c */
		(void)sqlite3_stmt_status(q, SQLITE_STMTSTATUS_VM_STEP, 1);
	for (int i = 0; i < count; i++) {
		if (!bind_arg(q, i + 1, &args[i])) {
			(void)db_fail(db, sql, e);
			db_end(q);
			return NULL;
		}
	}
	return q;
}

enum db_step
db_next(struct db *db, sqlite3_stmt *q, struct err *e)
{
	int r = sqlite3_step(q);

	if (r == SQLITE_ROW)
		return DB_ROW;
	if (r != SQLITE_DONE)
		(void)db_fail(db, sqlite3_sql(q), e);
	db_end(q);
	return r == SQLITE_DONE ? DB_DONE : DB_FAIL;
}

void
db_end(sqlite3_stmt *q)
{
	(void)sqlite3_reset(q);
}

enum rc
db_first(struct db *db, sqlite3_stmt **q, const char *sql, const struct db_arg *args, int count,
         struct err *e)
{
	*q = db_query(db, sql, args, count, e);
	if (*q == NULL)
		return e->code;
	switch (db_next(db, *q, e)) {
	case DB_ROW:
		return RC_OK;
	case DB_DONE:
		return err_set(e, RC_NOT_FOUND, "not in the index");
	case DB_FAIL:
		break;
	}
	return e->code;
}

enum rc
db_run(struct db *db, const char *sql, const struct db_arg *args, int count, struct err *e)
{
	sqlite3_stmt *q = db_query(db, sql, args, count, e);
	enum db_step s;

	if (q == NULL)
		return e->code;
	do
		s = db_next(db, q, e);
	while (s == DB_ROW);
	return s == DB_DONE ? RC_OK : e->code;
}

bool
db_in_transaction(struct db *db)
{
	return sqlite3_txn_state(db->h, NULL) != SQLITE_TXN_NONE || sqlite3_get_autocommit(db->h) == 0;
}

bool
db_end_reading(struct db *db)
{
	sqlite3_stmt *q = prepare(db, "COMMIT");
	bool ended = q != NULL && sqlite3_step(q) == SQLITE_DONE;

	(void)sqlite3_reset(q);
	return ended;
}

uint64_t
db_changes(struct db *db)
{
	return (uint64_t)sqlite3_changes64(db->h);
}

uint64_t
db_u64(sqlite3_stmt *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q, column);
}

struct slice
db_bytes(sqlite3_stmt *q, int column)
{
	const void *p = sqlite3_column_blob(q, column);

	return slice_of(p, p != NULL ? (size_t)sqlite3_column_bytes(q, column) : 0);
}

enum rc
db_unlink(const char *path, struct err *e)
{
	/* The database first: a -wal without it is nothing, it without its -wal would be an older
	 * state. */
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	char name[PATH_LEN];

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
		if (fs->unlink(AT_FDCWD, name) != 0 && errno != ENOENT)
			return err_os(e, errno, "unlink %s", name);
	}
	return file_sync_dir(path, e);
}

enum rc
db_empty(const char *path, struct err *e)
{
	int fd = fs->open(AT_FDCWD, path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0);
	int os = fd < 0 || fs->fsync(fd) != 0 ? errno : 0;

	if (fd >= 0)
		(void)fs->close(fd);
	return os == 0 || os == ENOENT ? RC_OK : err_os(e, os, "empty %s", path);
}
