/* compact - the steps of compaction over an open volume: see store/compact.h for what they are. */
#ifndef RESTANTE_INDEX_COMPACT_H
#define RESTANTE_INDEX_COMPACT_H

#include "index/volume_impl.h"
#include "store/survey.h"

/* What a compaction has begun and not finished: relocate, checkpoint, reap. RC_BUSY: somebody reads what was dropped,
 * or the index is not checkpointed yet; later. For who holds the volume's maintenance. */
MUST_USE enum rc compact_settle(struct volume *v, struct err *e);

/* ---- which segments ---- */

struct compact_group {
	uint32_t first, count;  /* neighbours that become one */
	uint64_t live;          /* bytes of them that stay, at most */
	uint64_t dead;
};

/* Groups of a survey's segments; heap. Never the open one, nor one with damage. */
MUST_USE enum rc compact_choose(const struct survey *s, unsigned threshold, bool all,
                                uint64_t max_segment, struct compact_group **out, size_t *count,
                                struct err *e);

#endif
