/* rewrite - the survivors of some neighbouring segments in one fresh segment, verified: the second step of compaction
 * (compact.h). */
#ifndef RESTANTE_STORE_REWRITE_H
#define RESTANTE_STORE_REWRITE_H

#include "store/compact.h"
#include "store/survey.h"

#define REWRITE_AS_IT_IS (-1)   /* no recompression */

struct rewrite_params {
	const struct survey *survey;
	uint32_t             first, count;      /* its segments: sound and sealed neighbours */
	int                  level;             /* blobs are deflated anew at this zlib level, 1 to 9; or
	                                         * REWRITE_AS_IT_IS */
	void                *arg;
	/* May be NULL: called with bytes read and written since the last call; false cancels
	 * (RC_CANCELLED). It may sleep. */
	bool               (*work)(void *arg, uint64_t bytes);
};

struct rewritten {
	struct root_segment segment;    /* durable, and listed nowhere yet */
	struct seg_id      *drop;       /* what it makes superfluous: its sources, and bodies; heap */
	uint32_t            drop_count;
	size_t              drop_cap;
	struct seg_id      *made;       /* bodies that were made for it; heap */
	uint32_t            made_count;
	size_t              made_cap;
	log_lsn             floor;      /* an index must have applied as much to be trusted afterwards */
	uint64_t            frames, records;
	uint64_t            bytes;      /* of the segment and of the bodies that were made */
	uint64_t            replaced;   /* bytes of what is dropped */
};

/* RC_CORRUPT: what is read is not what the survey read, or what was written does not hold; the sources stay. On failure
 * nothing is left behind but what a start removes. Any thread. */
MUST_USE enum rc rewrite_segments(struct log *log, const struct rewrite_params *p,
                                  struct rewritten *out, struct err *e);
void rewritten_fini(struct rewritten *r);
/* It will not be listed: delete it. */
void rewritten_discard(struct log *log, struct rewritten *r);

/* Read it back past the page cache: sums, chunks, and if `whole` the SHA-256 of every blob. */
MUST_USE enum rc rewrite_verify(struct log *log, const struct rewritten *r, bool whole,
                                const struct rewrite_params *p, struct err *e);

/* recompress.c: the blob with its chunks deflated anew at that level, cut as they were. Slices and arrays of *out come
 * from `a`; an out-of-line body is made anew. RC_CORRUPT: a chunk does not hold; leave the blob as it is. */
MUST_USE enum rc recompress_blob(struct log *log, const struct record_blob *in, int level,
                                 struct arena *a, struct record_blob *out, struct err *e);

#endif
