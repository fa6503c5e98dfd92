/* packed - a summary as it stands in the index: packed by lib/lz with the dictionary for summaries as its base.
 *
 * An unsigned LEB128 number, how many bytes it has when unpacked, and what lz_pack made of it; 0 and the summary as it is,
 * if packing makes it no smaller. Only index/ sees this form; above it and in the log a summary is what lib/mime encodes.
 */
#ifndef RESTANTE_INDEX_PACKED_H
#define RESTANTE_INDEX_PACKED_H

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/lz.h"

#define PACKED_MORE 4u         /* bytes that a row may have more than the summary */

/* A packer with that dictionary, for lz_packer_free; NULL: no memory. */
struct lz_packer *packed_summary_packer(void);
/* Append the row's form of `summary`. False: no memory. */
bool packed_summary_put(struct lz_packer *k, struct slice summary, struct buf *out);
/* The summary, in a's memory; empty of a row that is damaged or has none, which every reader of a summary
 * takes for a damaged one. RC_NOMEM. */
MUST_USE enum rc packed_summary_get(struct slice row, struct arena *a, struct slice *out, struct err *e);
/* mime_summary_version of it. */
uint32_t packed_summary_version(struct slice row);

#endif
