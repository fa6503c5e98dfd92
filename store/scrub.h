/* scrub - reading what does not change any more from the disk, to see whether it still holds.
 *
 * Sealed segments and the bodies that their records name, past the page cache: frame sums, chunk CRCs, the SHA-256 of
 * every message. Any thread, beside the writer; what compaction has taken away meanwhile is no finding.
 */
#ifndef RESTANTE_STORE_SCRUB_H
#define RESTANTE_STORE_SCRUB_H

#include "store/log.h"

struct log_scrub {
	void *arg;
	/* As log_report's. */
	void (*found)(void *arg, const struct log_addr *stretch, log_lsn first, log_lsn last,
	              const char *what);
	/* Of a blob whose frame holds: bytes [bad->offset, + len) of bad->seg. */
	void (*found_blob)(void *arg, const struct frame_info *f, const struct record *r,
	                   const struct log_addr *bad, const char *what);
	/* So many bytes more were read; may sleep. False ends the scrub: RC_CANCELLED. */
	bool (*progress)(void *arg, uint64_t bytes);
	/* Results, added to. */
	uint64_t segments, bytes, blobs;
};

/* The first sealed segment whose first LSN is above *after, which becomes that. RC_NOT_FOUND: there is none: the
 * round is over. */
MUST_USE enum rc log_scrub_next(struct log *log, log_lsn *after, struct log_scrub *s,
                                struct err *e);
/* Bytes of sealed segments: a round, bodies not counted. */
uint64_t log_scrub_total(struct log *log);

#endif
