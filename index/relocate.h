/* relocate - the index learns where blobs lie after a compaction, and which are gone. */
#ifndef RESTANTE_INDEX_RELOCATE_H
#define RESTANTE_INDEX_RELOCATE_H

#include "index/volume_impl.h"

/* Bring the blobs' rows up to the compacted segments that the root lists and the index does not know yet. At the open,
 * before the writer runs; later from any thread but the writer's, in pieces that it runs. May be done again at any
 * time. RC_CORRUPT: a segment does not hold; rows point to what it replaces, which must stay until it is mended. */
MUST_USE enum rc index_relocate(struct volume *v, struct err *e);

#endif
