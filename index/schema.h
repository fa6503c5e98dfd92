/* schema - the tables of a volume's index.
 *
 * The index is derived from the log and may be discarded at any time: there are no migrations, a new SCHEMA_VERSION
 * means a rebuild. Ids of accounts, mailboxes and blobs are the LSNs of the records that made them. Names are not
 * UNIQUE: a replay may pass through states that never coexisted (two mailboxes of one name); the writer refuses
 * duplicates, and the end of a rebuild checks for them.
 */
#ifndef RESTANTE_INDEX_SCHEMA_H
#define RESTANTE_INDEX_SCHEMA_H

#include "index/db.h"
#include "store/types.h"

#define SCHEMA_VERSION 12u

struct index_meta {
	uint32_t schema;
	uint8_t  volume[16];
	uint64_t takeover;              /* of the owner that wrote here last */
	log_lsn  applied;               /* records up to here are in the tables */
	log_lsn  synced;                /* and up to here the log was known synced */
	uint32_t uidvalidity;           /* the last one given */
	uint64_t blobs;                 /* rows */
	uint64_t expunged;
	uint64_t damaged;               /* not 0: records are missing here, as the log was damaged when it was applied;
	                                 * in which segment (its seq), or INDEX_DAMAGED_FOR_GOOD */
	uint64_t delivery_clock;        /* the latest time of a delivery record: what ends before it is forgotten */
	uint64_t rekeyed;               /* not 0: a blob's thread_key is no more the one that its messages were noted by */
	uint64_t compactions;           /* the rows know the places of blobs as of this count of the root's */
};

#define INDEX_DAMAGED_FOR_GOOD ((uint64_t)INT64_MAX)    /* no file put back can mend it: until a reindex */

/* Tables; the indexes that only queries need come with schema_finish, at the end of a bulk load. */
MUST_USE enum rc schema_create(struct db *db, struct err *e);
MUST_USE enum rc schema_finish(struct db *db, struct err *e);

/* All tables and indexes are there: RC_CORRUPT otherwise. */
MUST_USE enum rc schema_verify(struct db *db, struct err *e);

/* The version alone, of an index of any version. RC_NOT_FOUND: as below. */
MUST_USE enum rc schema_read_version(struct db *db, uint32_t *out, struct err *e);
/* RC_NOT_FOUND: no row, the load was not finished. */
MUST_USE enum rc schema_read_meta(struct db *db, struct index_meta *out, struct err *e);
MUST_USE enum rc schema_write_meta(struct db *db, const struct index_meta *m, struct err *e);

#endif
