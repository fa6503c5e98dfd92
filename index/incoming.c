/* incoming - see incoming.h. */
#include "index/incoming.h"

#include <stdlib.h>

#define POINTER_TYPE "restante-incoming"

enum column {
	COLUMN_UID,
	COLUMN_FLAGS,
	COLUMN_KW,
	COLUMN_BLOB,
	COLUMN_DATE,
	COLUMN_ZONE,
	COLUMN_SAVEDATE,
	COLUMN_SAVEZONE,
	COLUMN_THREADID,
	COLUMN_SIZE,
	COLUMN_SOURCE,
};

struct walk {
	sqlite3_vtab_cursor    base;    /* SQLite's; first */
	const struct incoming *in;
	uint32_t               at;
};

static int
table_connect(sqlite3 *h, void *aux, int argc, const char *const *argv, sqlite3_vtab **out,
              char **text)
{
	(void)aux, (void)argc, (void)argv, (void)text;
	*out = calloc(1, sizeof **out);
	if (*out == NULL)
		return SQLITE_NOMEM;
	return sqlite3_declare_vtab(h,
	    "CREATE TABLE x(uid INTEGER, flags INTEGER, kw INTEGER, blob INTEGER,"
	    " internaldate INTEGER, zone INTEGER, savedate INTEGER, savezone INTEGER,"
	    " threadid INTEGER, size INTEGER, source HIDDEN)");
}

static int
table_disconnect(sqlite3_vtab *t)
{
	free(t);
	return SQLITE_OK;
}

/* The source is the only thing that can be asked for, and must be. */
static int
table_plan(sqlite3_vtab *t, sqlite3_index_info *info)
{
	(void)t;
	for (int i = 0; i < info->nConstraint; i++) {
		if (info->aConstraint[i].iColumn != COLUMN_SOURCE ||
		    info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ ||
		    !info->aConstraint[i].usable)
			continue;
		info->aConstraintUsage[i].argvIndex = 1;
		info->aConstraintUsage[i].omit = 1;
		info->estimatedCost = 1000;
		return SQLITE_OK;
	}
	return SQLITE_CONSTRAINT;
}

static int
walk_open(sqlite3_vtab *t, sqlite3_vtab_cursor **out)
{
	struct walk *w = calloc(1, sizeof *w);

	(void)t;
	*out = w != NULL ? &w->base : NULL;
	return w != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

static struct walk *
walk_of(sqlite3_vtab_cursor *c)
{
	return (struct walk *)(void *)c;
}

static int
walk_close(sqlite3_vtab_cursor *c)
{
	free(walk_of(c));
	return SQLITE_OK;
}

static int
walk_begin(sqlite3_vtab_cursor *c, int plan, const char *name, int argc, sqlite3_value **argv)
{
	struct walk *w = walk_of(c);

	(void)plan, (void)name;
	w->in = argc == 1 ? sqlite3_value_pointer(argv[0], POINTER_TYPE) : NULL;
	w->at = 0;
	return w->in != NULL ? SQLITE_OK : SQLITE_MISUSE;
}

static int
walk_next(sqlite3_vtab_cursor *c)
{
	walk_of(c)->at++;
	return SQLITE_OK;
}

static int
walk_ended(sqlite3_vtab_cursor *c)
{
	return walk_of(c)->at >= walk_of(c)->in->count;
}

static int
walk_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *out)
{
	*out = walk_of(c)->at;
	return SQLITE_OK;
}

static uint64_t
value_of(const struct walk *w, enum column column)
{
	const struct record_message *m = &w->in->messages[w->at];

	switch (column) {
	case COLUMN_UID:
		return (uint64_t)w->in->first + w->at;
	case COLUMN_FLAGS:
		return m->flags;
	case COLUMN_KW:
		return w->in->kw[w->at];
	case COLUMN_BLOB:
		return m->blob;
	case COLUMN_DATE:
		return (uint64_t)m->internaldate.sec;
	case COLUMN_ZONE:
		return (uint64_t)m->internaldate.zone_min;
	case COLUMN_SAVEDATE:
		return (uint64_t)m->savedate.sec;
	case COLUMN_SAVEZONE:
		return (uint64_t)m->savedate.zone_min;
	case COLUMN_THREADID:
		return m->threadid;
	case COLUMN_SIZE:
		return m->size;
	case COLUMN_SOURCE:
		break;
	}
	return 0;
}

static int
walk_column(sqlite3_vtab_cursor *c, sqlite3_context *out, int column)
{
	sqlite3_result_int64(out, (sqlite3_int64)value_of(walk_of(c), (enum column)column));
	return SQLITE_OK;
}

/* Without xCreate it is there by itself, under the module's name. */
static const sqlite3_module module = {
	.xConnect = table_connect,
	.xBestIndex = table_plan,
	.xDisconnect = table_disconnect,
	.xOpen = walk_open,
	.xClose = walk_close,
	.xFilter = walk_begin,
	.xNext = walk_next,
	.xEof = walk_ended,
	.xColumn = walk_column,
	.xRowid = walk_rowid,
};

enum rc
incoming_register(struct db *db, struct err *e)
{
	return sqlite3_create_module(db_handle(db), "incoming", &module, NULL) == SQLITE_OK ?
	               RC_OK :
	               err_nomem(e);
}

enum rc
incoming_bind(sqlite3_stmt *q, int i, struct incoming *in, struct err *e)
{
	return sqlite3_bind_pointer(q, i, in, POINTER_TYPE, NULL) == SQLITE_OK ? RC_OK :
	                                                                         err_nomem(e);
}
