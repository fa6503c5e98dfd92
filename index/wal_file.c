/* wal_file - see wal_file.h.
 *
 * The WAL is (head, page) frames in a row behind a header. A head whose octets 4 to 7 are not 0 begins the last frame
 * of a transaction: with the write behind it all that is collected goes to the file. Only what continues the last write
 * is collected; SQLite may also write a page or a head of an earlier frame anew, and then no page follows the head.
 *
 * A write that fails is forgotten: it fails SQLite's own, which rolls the whole transaction back. A read that needs what is
 * collected fails a statement at most, the transaction may go on, and so its frames are kept for the next attempt.
 */
#include "index/wal_file.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"

#define HEAD_LEN  24            /* of a frame; no page is so short */
#define ROOM      (120u << 10)   /* SQLite writes less than 128 KiB at a time */

struct wal_file {
	sqlite3_file  base;
	sqlite3_file *real;             /* behind this struct */
	uint8_t      *bytes;            /* ROOM of them; NULL: none were wanted yet */
	size_t        len;
	sqlite3_int64 at;               /* where they go */
	sqlite3_int64 end;              /* of what was written last */
	bool          last;             /* the head written last ends a transaction */
};

static struct {
	pthread_once_t once;
	sqlite3_vfs   *real;
	sqlite3_vfs    vfs;
	bool           ready;
} made = { .once = PTHREAD_ONCE_INIT };

static struct wal_file *
file_of(sqlite3_file *f)
{
	return (struct wal_file *)(void *)f;
}

static int
flush(struct wal_file *w)
{
	int rc = SQLITE_OK;

	if (w->len > 0)
		rc = w->real->pMethods->xWrite(w->real, w->bytes, (int)w->len, w->at);
	if (rc == SQLITE_OK)
		w->len = 0;
	return rc;
}

static int
flush_or_forget(struct wal_file *w)
{
	int rc = flush(w);

	w->len = 0;
	return rc;
}

static bool
has_room(struct wal_file *w, size_t len)
{
	if (w->bytes == NULL)
		w->bytes = malloc(ROOM);
	return w->bytes != NULL && len <= ROOM - w->len;
}

static void
collect(struct wal_file *w, const void *bytes, size_t len, sqlite3_int64 at)
{
	if (w->len == 0)
		w->at = at;
	memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

static int
x_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 at)
{
	struct wal_file *w = file_of(f);
	bool follows = at == w->end, head = len == HEAD_LEN;
	int rc = SQLITE_OK;

	if (head)
		w->last = get_le32((const uint8_t *)bytes + 4) != 0;    /* in either order */
	w->end = at + len;
	if (!follows || !has_room(w, (size_t)len))
		rc = flush_or_forget(w);
	if (rc != SQLITE_OK)
		return rc;
	if (!follows || !has_room(w, (size_t)len))
		return w->real->pMethods->xWrite(w->real, bytes, len, at);
	collect(w, bytes, (size_t)len, at);
	return w->last && !head ? flush_or_forget(w) : SQLITE_OK;
}

/* What is collected still is of no transaction that was committed. */
static int
x_close(sqlite3_file *f)
{
	struct wal_file *w = file_of(f);

	free(w->bytes);
	w->bytes = NULL;
	return w->real->pMethods->xClose(w->real);
}

static int
x_read(sqlite3_file *f, void *dst, int len, sqlite3_int64 at)
{
	struct wal_file *w = file_of(f);
	int rc = flush(w);

	return rc == SQLITE_OK ? w->real->pMethods->xRead(w->real, dst, len, at) : rc;
}

static int
x_truncate(sqlite3_file *f, sqlite3_int64 len)
{
	struct wal_file *w = file_of(f);
	int rc = flush(w);

	return rc == SQLITE_OK ? w->real->pMethods->xTruncate(w->real, len) : rc;
}

static int
x_sync(sqlite3_file *f, int flags)
{
	struct wal_file *w = file_of(f);
	int rc = flush(w);

	return rc == SQLITE_OK ? w->real->pMethods->xSync(w->real, flags) : rc;
}

static int
x_file_size(sqlite3_file *f, sqlite3_int64 *len)
{
	struct wal_file *w = file_of(f);
	int rc = flush(w);

	return rc == SQLITE_OK ? w->real->pMethods->xFileSize(w->real, len) : rc;
}

static int
x_lock(sqlite3_file *f, int how)
{
	return file_of(f)->real->pMethods->xLock(file_of(f)->real, how);
}

static int
x_unlock(sqlite3_file *f, int how)
{
	return file_of(f)->real->pMethods->xUnlock(file_of(f)->real, how);
}

static int
x_check_lock(sqlite3_file *f, int *out)
{
	return file_of(f)->real->pMethods->xCheckReservedLock(file_of(f)->real, out);
}

static int
x_control(sqlite3_file *f, int op, void *arg)
{
	return file_of(f)->real->pMethods->xFileControl(file_of(f)->real, op, arg);
}

static int
x_sector_size(sqlite3_file *f)
{
	return file_of(f)->real->pMethods->xSectorSize(file_of(f)->real);
}

static int
x_characteristics(sqlite3_file *f)
{
	return file_of(f)->real->pMethods->xDeviceCharacteristics(file_of(f)->real);
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_file_size,
	.xLock = x_lock,
	.xUnlock = x_unlock,
	.xCheckReservedLock = x_check_lock,
	.xFileControl = x_control,
	.xSectorSize = x_sector_size,
	.xDeviceCharacteristics = x_characteristics,
};

static int
x_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	struct wal_file *w = file_of(f);
	int rc;

	(void)v;
	if ((flags & SQLITE_OPEN_WAL) == 0)
		return made.real->xOpen(made.real, name, f, flags, out_flags);
	memset(w, 0, sizeof *w);
	w->real = (sqlite3_file *)(void *)(w + 1);
	w->end = -1;
	rc = made.real->xOpen(made.real, name, w->real, flags, out_flags);
	if (rc == SQLITE_OK)
		w->base.pMethods = &methods;
	return rc;
}

static void
make(void)
{
	made.real = sqlite3_vfs_find(NULL);
	if (made.real == NULL)
		return;
	made.vfs = *made.real;
	made.vfs.pNext = NULL;
	made.vfs.zName = "restante-wal";
	made.vfs.szOsFile = (int)sizeof(struct wal_file) + made.real->szOsFile;
	made.vfs.xOpen = x_open;
	made.ready = sqlite3_vfs_register(&made.vfs, 0) == SQLITE_OK;
}

const char *
wal_file_vfs(void)
{
	(void)pthread_once(&made.once, make);
	return made.ready ? made.vfs.zName : NULL;
}
