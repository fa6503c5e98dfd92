/* concern - whom a damaged stretch of the log concerns: its records, accounts, mailboxes and UIDs.
 *
 * From what is left of the stretch (store/salvage.h) where that is sure or the index agrees, and from the index:
 * objects whose ids lie among the LSNs that are lost, and the messages of blobs among them. Used by one
 * thread at a time.
 */
#ifndef RESTANTE_INDEX_CONCERN_H
#define RESTANTE_INDEX_CONCERN_H

#include "index/db.h"
#include "index/volume.h"

struct concern {
	/* The caller's. */
	struct log   *log;
	struct db    *db;               /* an index to ask; any tables there, the state does not matter */
	uint32_t      looks;            /* how often the table of messages may still be searched through,
	                                 * and bytes mended */

	/* The result: lives in `arena`, until the next concern_find. */
	struct arena  arena;
	log_lsn       first, last;
	char          records[160];     /* "blob, messages"; "" if nobody knows */
	char          mended[80];       /* "byte 1234 is 0x41, was 0x61"; "" if not so */
	struct check_named *named;      /* heap: concern_fini frees it */
	size_t        count, cap;
	bool          more;             /* there are others than those named */

	uint32_t      types;            /* bits */
	bool          sure;             /* all frames */
	bool          headers;          /* of all frames: sure */
	log_lsn       lowest, highest;  /* of the frames whose headers are, 0: none */
	uint64_t      walked;           /* where the last frame ends */
	uint64_t      unread;           /* records of the frames that could not be told apart */
};

void concern_init(struct concern *c, struct log *log, struct db *db);
void concern_fini(struct concern *c);
/* Of a finding as log_report has it: fills the results as far as anything is known. */
void concern_find(struct concern *c, const struct log_addr *stretch, log_lsn first, log_lsn last);
/* Of one record, whose LSN is known. */
void concern_find_record(struct concern *c, enum record_type type, log_lsn lsn);

#endif
