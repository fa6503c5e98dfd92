/* compact - giving space back: sealed segments without the records that died, in place of those with them [design 3].
 *
 * The steps, each of which may be the last one before a crash:
 *   survey   which records are dead, by the records of the log alone (survey.h)
 *   rewrite  a fresh segment with the survivors of some neighbours is put beside them, and read back (rewrite.h)
 *   swap     the root lists it in their place and remembers them as dropped (log_change_root)
 *   relocate the index learns the new places (index/compact.c)
 *   reap     what was dropped is deleted (log_reap), once the index that knows the new places is checkpointed and
 *            nobody holds reaping
 * A crash leaves a segment that nothing lists, which the next start removes, or dropped pieces, which the
 * root still names.
 */
#ifndef RESTANTE_STORE_COMPACT_H
#define RESTANTE_STORE_COMPACT_H

#include "store/backend.h"

/* Change the root as `c` says, durably. RC_BUSY: it is not as the change expects it, RC_LIMIT: the head has no room;
 * nothing changed. With the log dead afterwards it may have changed or not: log_reopen tells, and removes `add` and `made`
 * if it has not. The writer's thread. */
MUST_USE enum rc log_change_root(struct log *log, const struct root_change *c, struct err *e);
/* Seal the open segment, so that it can be compacted too; the next append makes a fresh one. The writer's thread. */
MUST_USE enum rc log_seal(struct log *log, struct err *e);

/* The seq of the latest compacted segment that was listed: an index whose own is lower knows old places. Any thread. */
uint64_t log_compactions(struct log *log);
/* The dropped pieces; heap. Any thread. */
MUST_USE enum rc log_list_dropped(struct log *log, struct seg_id **ids, uint32_t *count,
                                  struct err *e);
uint64_t log_dropped_bytes(struct log *log);
/* Delete the files of dropped pieces; then log_change_root forgets them. RC_BUSY: somebody holds
 * reaping. Any thread. */
MUST_USE enum rc log_delete_pieces(struct log *log, const struct seg_id *ids, uint32_t count,
                                   struct err *e);
/* The segments as the root lists them; heap. Any thread. */
MUST_USE enum rc log_list_segments(struct log *log, struct root_segment **out, uint32_t *count,
                                   struct err *e);
uint64_t log_max_segment(const struct log *log);
/* Bytes that may be written before the disk is full, without the reserve, and those of the reserve. False: not known.
 * Any thread. */
bool log_room(struct log *log, uint64_t *bytes, uint64_t *reserve);

/* Where compact_find_reference goes on. */
struct compact_tail {
	log_lsn  upto;          /* all up to here was looked at */
	uint64_t seq, offset;   /* the segment of its last frame, and where that ends */
};
/* Has any of these blobs (falling ids) been given a reference by the log's records after `tail`? *found says so; the
 * tail moves to the log's end. Damage there counts as one. Any thread; for certainty on the writer's,
 * between two batches. */
MUST_USE enum rc compact_find_reference(struct log *log, const blob_id *const *dying,
                                        const size_t *counts, size_t lists,
                                        struct compact_tail *tail, bool *found, struct err *e);

#endif
