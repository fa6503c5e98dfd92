/* salvage - what a damaged stretch of a segment said, as far as that can still be seen: for telling an operator what is
 * concerned, never for applying.
 *
 * One changed byte of a header, or of the records of a frame, is found by trying: the keyed sum tells when it is the
 * right one, and what is told then is sure. Where more is wrong, or the byte lies in the large middle of a blob, the
 * records are walked as they stand. Any thread.
 */
#ifndef RESTANTE_STORE_SALVAGE_H
#define RESTANTE_STORE_SALVAGE_H

#include "store/frame.h"

struct salvage {
	void *arg;
	/* A frame. `sure`: the header is as it was written. */
	void (*frame)(void *arg, const struct frame_hdr *h, uint64_t offset, bool sure);
	/* A record of it; `body` as it stands in the log, perhaps mended. `sure`: so it was written. */
	void (*record)(void *arg, log_lsn lsn, uint8_t type, struct slice body, bool sure);
	/* The one byte that is wrong. May be NULL. */
	void (*byte)(void *arg, uint64_t offset, uint8_t is, uint8_t was);
};

/* The stretch as log_report names it. RC_NOT_FOUND: no such segment; RC_IO. */
MUST_USE enum rc log_salvage(struct log *log, const struct log_addr *stretch, log_lsn first,
                             log_lsn last, const struct salvage *s, struct err *e);

/* The pure part. `bytes` begin where a frame does or should, at `offset` of the segment that has this key; they are
 * changed. */
void salvage_bytes(uint8_t *bytes, size_t len, uint64_t offset, const uint8_t key[SEGMENT_KEY_LEN],
                   log_lsn first, log_lsn last, const struct salvage *s);

#endif
