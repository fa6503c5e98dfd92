/* types - the scalar identities of the log.
 *
 * An LSN is a record's position in the volume's history: (epoch, counter), compared in that order, in one integer:
 * epoch << 40 | counter. The epoch is raised by every takeover (each start is one), so no LSN is ever given twice. It
 * stays below 2^23 so that an LSN is a positive SQLite integer. The LSN of the record that first states an object is
 * the object's id: accounts, mailboxes and blobs need no counters of their own. 0 is never a valid LSN.
 */
#ifndef RESTANTE_STORE_TYPES_H
#define RESTANTE_STORE_TYPES_H

#include "lib/uidset.h"

typedef uint64_t log_lsn;
typedef uint64_t account_id;
typedef uint64_t mailbox_id;
typedef uint64_t blob_id;

#define LSN_COUNTER_BITS 40
#define LSN_EPOCH_MAX    ((UINT32_C(1) << 23) - 1)
#define LSN_MAKE(epoch, counter) ((log_lsn)(epoch) << LSN_COUNTER_BITS | (counter))
#define LSN_EPOCH(lsn)   ((uint32_t)((lsn) >> LSN_COUNTER_BITS))
/* How people read it: epoch.counter. For printf. */
#define LSN_FORMAT       "%u.%llu"
#define LSN_ARG(lsn) \
	LSN_EPOCH(lsn), (unsigned long long)((lsn) & ((UINT64_C(1) << LSN_COUNTER_BITS) - 1))
/* The lowest MODSEQ an epoch may give: no number told before a crash is told again for something else. */
#define EPOCH_MODSEQ(epoch) ((mail_modseq)(epoch) << 32)

/* One piece of the log, never re-used. */
struct seg_id {
	uint64_t seq;
	uint32_t epoch;
	uint32_t kind;          /* enum seg_kind */
};

enum seg_kind {
	SEG_LOG,                /* a segment of frames */
	SEG_BODY,               /* an out-of-line blob body */
	SEG_KEPT,               /* a segment put aside, that no log lists: backend_orphan.c */
};

/* Where a record or body lies: opaque to all above store/. */
struct log_addr {
	struct seg_id seg;
	uint64_t      offset;   /* bytes from the start of the piece */
	uint64_t      len;      /* bytes */
};

#endif
