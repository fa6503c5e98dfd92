/* db - SQLite connections with their prepared statements, and the pool that readers borrow from.
 *
 * One connection is used by one thread at a time (SQLITE_OPEN_NOMUTEX); the pool hands each to one reader, inside one
 * read transaction. Statements are prepared once per connection and found again by the address of their SQL text, which
 * therefore must be a literal. All text is stored as BLOB, so that it compares byte by byte and may hold anything.
 * SQLITE_CORRUPT and SQLITE_NOTADB become RC_CORRUPT and set the `suspect` flag, as a failed sync does: the index is rebuilt by
 * the next owner.
 *
 * Who may not wait for a disk (lib/nowait.h) reads what is in memory: any failure is RC_WAIT then, and marks nothing.
 */
#ifndef RESTANTE_INDEX_DB_H
#define RESTANTE_INDEX_DB_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "lib/err.h"

struct db;

enum db_mode {
	DB_WRITE,               /* the volume's writer: WAL, made if missing */
	DB_READ,                /* query only; a database nobody has open is opened immutable */
	DB_STILL,               /* query only, of a database with an empty WAL that nobody writes: needs no
	                         * file beside it */
	DB_ALONE,               /* query only, nobody else has it open: needs no shared memory, so no space on disk */
	DB_BUILD,               /* a rebuild: WAL without syncs, few checkpoints, nobody else looks */
	DB_TEMP,                /* nobody else's and never kept: no journal, no sync; "" has no file and goes with
	                         * its connection */
};

enum db_step {
	DB_ROW,
	DB_DONE,
	DB_FAIL,
};

/* One bound value. */
struct db_arg {
	uint64_t     num;
	struct slice bytes;
	bool         is_bytes;
};

#define DB_NUM(x)    ((struct db_arg){ .num = (uint64_t)(x) })
#define DB_BYTES(s)  ((struct db_arg){ .bytes = (s), .is_bytes = true })
/* Two arguments of db_query and friends: the values of ?1, ?2, ... */
#define DB_ARGS(...) (const struct db_arg[]){ __VA_ARGS__ }, \
                     (int)(sizeof((const struct db_arg[]){ __VA_ARGS__ }) / sizeof(struct db_arg))
#define DB_NO_ARGS   NULL, 0

/* `suspect` (may be NULL) outlives the connection. */
MUST_USE enum rc db_open(const char *path, enum db_mode mode, atomic_bool *suspect, struct db **out,
                         struct err *e);
void     db_close(struct db **db);
sqlite3 *db_handle(struct db *db);

/* Start a query; bytes bound are borrowed until db_end or the last step. NULL on failure. */
sqlite3_stmt *db_query(struct db *db, const char *sql, const struct db_arg *args, int count,
                       struct err *e);
/* DB_DONE and DB_FAIL end the query. */
enum db_step db_next(struct db *db, sqlite3_stmt *q, struct err *e);
void db_end(sqlite3_stmt *q);
/* The first row of a query: RC_NOT_FOUND if there is none. After RC_OK the caller reads the columns
 * and calls db_end. */
MUST_USE enum rc db_first(struct db *db, sqlite3_stmt **q, const char *sql,
                          const struct db_arg *args, int count, struct err *e);
/* Run to the end, rows ignored. */
MUST_USE enum rc db_run(struct db *db, const char *sql, const struct db_arg *args, int count,
                        struct err *e);
/* Statements without values, not cached. */
MUST_USE enum rc db_exec(struct db *db, const char *sql, struct err *e);
bool     db_in_transaction(struct db *db);      /* a read that failed may have ended it */
/* False: the connection is of no use any more. What was read counts all the same, so this is never refused. */
bool     db_end_reading(struct db *db);
uint64_t db_changes(struct db *db);     /* rows touched by the last db_run */

uint64_t     db_u64(sqlite3_stmt *q, int column);
struct slice db_bytes(sqlite3_stmt *q, int column);     /* valid until the next step */

/* Delete a database with what SQLite keeps beside it, and sync the directory. */
MUST_USE enum rc db_unlink(const char *path, struct err *e);
/* Leave a file of no bytes, which is no database; nothing if there is none. */
MUST_USE enum rc db_empty(const char *path, struct err *e);

/* ---- readers ---- */

struct db_pool;

MUST_USE enum rc db_pool_new(const char *path, uint32_t max, atomic_bool *suspect,
                             struct db_pool **out, struct err *e);
/* `alarm` is called by borrowers that leave while `suspect` is set: often, by any of them, at once.
 * Before the first. */
void db_pool_watch(struct db_pool *p, void (*alarm)(void *arg), void *arg);
/* None may be borrowed. */
void db_pool_free(struct db_pool **p);
/* A connection inside a read transaction; waits while all are in use or the pool is paused. A thread has one at a time,
 * and gives it back itself: if each had one and waited for a second, all would wait forever. RC_WAIT: none is free that
 * has been open before, and the thread may not wait. */
MUST_USE enum rc db_pool_borrow(struct db_pool *p, struct db **out, struct err *e);
void db_pool_return(struct db_pool *p, struct db **db);
/* Between the two all that this thread borrows of the pool is one connection, in the transaction that the first read of it
 * begins: what it reads is of one moment. Not nested, within one mode of lib/nowait.h, and no longer than one may
 * borrow. */
void db_pool_moment_begin(struct db_pool *p);
void db_pool_moment_end(struct db_pool *p);
/* How the next connections are opened (at first DB_READ); DB_ALONE: only one at a time. None may be open: paused, or
 * none ever borrowed. `first` (may be NULL): one opened in that mode, which the pool takes. */
void db_pool_set_mode(struct db_pool *p, enum db_mode mode, struct db **first);
/* Wait for what is borrowed, close all, hold new borrowers back until the resume: the file is about to be replaced. */
void db_pool_pause(struct db_pool *p);
void db_pool_resume(struct db_pool *p);
/* Who has one for longer than a step gives it back, as all others wait: for the end of a pause, which waits for it, or
 * for the only connection that there can be. Any thread. */
bool db_pool_is_wanted(struct db_pool *p);

#endif
