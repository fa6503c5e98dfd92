/* scan - walk a segment's frames, and find the next one after bytes that hold none.
 *
 * A frame is valid when its header's keyed sum holds for its place, its LSN lies behind the last one's in the segment's
 * epoch, its body fits and the body's sum holds. Used by one thread at a time.
 */
#ifndef RESTANTE_STORE_SCAN_H
#define RESTANTE_STORE_SCAN_H

#include "store/frame.h"

struct scan {
	struct backend      *b;
	struct root_segment  seg;
	uint32_t             max_frame;
	uint64_t             pos, end;          /* the next item's place; where to stop */
	log_lsn              last_lsn;          /* of the last frame whose header holds; else before the
	                                         * segment's first */
	log_lsn              skip_upto;         /* frames whose last LSN is not above it are told without their body */
	struct buf           window;
	uint64_t             window_at;         /* of its first byte */
	bool                 unreadable;        /* a read failed since the last gap was told */
	bool                 header_bad;        /* the segment's header did not hold; the root's key was used */
};

enum scan_kind {
	SCAN_FRAME,
	SCAN_SKIPPED,           /* a frame with a good header that is not wanted */
	SCAN_GAP,               /* no valid frame; ends at the next one's header, or at the end */
	SCAN_END,
};

struct scan_item {
	enum scan_kind   kind;
	uint64_t         offset, len;
	struct frame_hdr hdr;           /* of a frame; of a gap whose header held (record_count > 0) */
	struct slice     body;          /* of a frame; valid until the next step */
	const char      *what;          /* of a gap: what is wrong */
	bool             zeros;         /* of a gap: all zero, as reserved space is */
	bool             unreadable;    /* of a gap: the disk failed, nobody knows what is there */
};

/* From the segment's header to `end`. RC_IO: not readable. */
MUST_USE enum rc scan_init(struct scan *s, struct backend *b, const struct root_segment *seg,
                           uint64_t end, struct err *e);
void scan_fini(struct scan *s);
MUST_USE enum rc scan_next(struct scan *s, struct scan_item *out, struct err *e);

#endif
