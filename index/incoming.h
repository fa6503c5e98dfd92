/* incoming - messages of a record as a table of SQLite, so that one statement puts many of them into `message`.
 *
 * `incoming(source)` has the columns uid, flags, kw, blob, internaldate, zone, savedate, savezone, threadid and size; the
 * source is bound by incoming_bind and borrowed until the statement's end. To begin and end a statement for each row, and
 * to bind its values, costs as much as the row.
 */
#ifndef RESTANTE_INDEX_INCOMING_H
#define RESTANTE_INDEX_INCOMING_H

#include "index/db.h"
#include "store/record.h"

struct incoming {
	const struct record_message *messages;
	const uint64_t              *kw;        /* ids of their sets of keywords */
	mail_uid                     first;     /* UID of the first one; the others follow */
	uint32_t                     count;
};

/* Make the table known to this connection. */
MUST_USE enum rc incoming_register(struct db *db, struct err *e);
/* As parameter `i` of a query. */
MUST_USE enum rc incoming_bind(sqlite3_stmt *q, int i, struct incoming *in, struct err *e);

#endif
