/* index_still - the index of a volume on a disk that has nothing left, the reserve included:
 * readers get it as it stands.
 *
 * To open an index takes space: memory that connections share is a file (32 KB), and what the
 * takeover writes goes to the WAL. An index whose WAL is empty is read as a file that nobody
 * changes, which takes none; with a WAL, the shared file that a killed owner left is used, or one
 * connection reads alone. The connection that has shown that it can read is the readers' first and
 * stays open: the first one of all cuts the shared file and lets it grow again, so what worked once
 * need not work a second time. The index may lack the tail of the log: what was
 * refused as the disk was full, or, behind a power cut, what was not yet synced. So numbers may be
 * told that are behind those told before, but none for anything else: the UIDs and MODSEQs of the
 * missing records stand in the log, and nothing is written before they are applied.
 */
#include "index/volume_impl.h"

#include <stdio.h>
#include <sys/stat.h>

#include "store/compact.h"
#include "store/space.h"

#define ROOM_MIN (256u << 10)   /* the shared memory, and some pages of the WAL */

/* A connection through which a sound index of this log can be read. */
static enum rc
open_examined(struct volume *v, enum db_mode mode, struct db **out, struct index_meta *m,
              struct err *e)
{
	enum rc rc = db_open(v->index_path, mode, &v->suspect, out, e);

	if (rc != RC_OK)
		return rc;
	rc = schema_verify(*out, e);
	if (rc == RC_OK)
		rc = schema_read_meta(*out, m, e);
	if (rc == RC_OK)
		rc = index_examine(v->log, m, e);
	if (rc != RC_OK)
		db_close(out);
	return rc;
}

static bool
wal_is_empty(const struct volume *v)
{
	char name[4096];
	struct stat st;

	(void)snprintf(name, sizeof name, "%s-wal", v->index_path);
	return stat(name, &st) != 0 || st.st_size == 0;
}

bool
index_serve_still(struct volume *v)
{
	enum db_mode mode = wal_is_empty(v) ? DB_STILL : DB_READ;
	struct index_meta m = { .applied = 0 };
	struct err e = ERR_INIT;
	struct db *db;
	enum rc rc = open_examined(v, mode, &db, &m, &e);

	if (rc != RC_OK && mode == DB_READ && space_is_full(e.os)) {
		mode = DB_ALONE;
		rc = open_examined(v, mode, &db, &m, &e);
	}
	if (rc != RC_OK)
		return false;
	if (m.damaged != 0 && atomic_load(&v->damaged) == 0)
		atomic_store(&v->damaged, m.damaged);
	db_pool_set_mode(v->pool, mode, &db);
	return true;
}

bool
index_has_room(struct volume *v)
{
	uint64_t bytes, reserve;

	return !log_room(v->log, &bytes, &reserve) || bytes >= ROOM_MIN;
}
