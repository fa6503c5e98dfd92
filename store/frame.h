/* frame - headers of segments and frames as bytes. doc/restante-log.5 is normative. Pure, any thread.
 *
 * Sums are keyed with the segment's random key, and a frame's header sum covers its place too: neither a mail's content
 * nor a copy of a frame elsewhere in the same segment can pass for a frame.
 */
#ifndef RESTANTE_STORE_FRAME_H
#define RESTANTE_STORE_FRAME_H

#include "store/backend.h"

#define SEGMENT_HDR_LEN 64u
#define FRAME_HDR_LEN   80u
#define RECORD_HDR_LEN  6u

#define FRAME_UNSYNCED  1u              /* flag: written without a sync of its own */
#define RECORD_SKIPPABLE 1u             /* flag: a reader that does not know the type may skip it */

struct segment_hdr {
	uint64_t seq;
	uint32_t epoch;
	uint8_t  volume_id[VOLUME_ID_LEN];
	uint8_t  key[SEGMENT_KEY_LEN];
};

void segment_hdr_encode(const struct segment_hdr *h, uint8_t out[SEGMENT_HDR_LEN]);
/* The major version of the log's format that the header tells of, which it does in this place and with this sum in
 * every version. 0: the header does not hold. */
uint32_t segment_hdr_version(struct slice in);
bool segment_hdr_decode(struct slice in, struct segment_hdr *out);

struct frame_hdr {
	uint32_t         body_len;
	uint32_t         record_count;
	log_lsn          first_lsn;
	log_lsn          synced_lsn;
	uint64_t         time_us;
	struct frame_who who;
	uint8_t          flags;
	uint64_t         body_sum;
};

#define FRAME_MAGIC "RFR1"

void frame_hdr_encode(const struct frame_hdr *h, const uint8_t key[SEGMENT_KEY_LEN],
                      uint64_t offset, uint8_t out[FRAME_HDR_LEN]);
/* False unless magic and sum hold for this key at this offset, and it has a record. The body is not looked at. */
bool frame_hdr_decode(const uint8_t in[FRAME_HDR_LEN], const uint8_t key[SEGMENT_KEY_LEN],
                      uint64_t offset, struct frame_hdr *out);

static inline log_lsn
frame_last_lsn(const struct frame_hdr *h)
{
	return h->first_lsn + h->record_count - 1;
}

struct record_hdr {
	uint8_t  type;
	uint8_t  flags;
	uint32_t len;
};

void record_hdr_encode(const struct record_hdr *h, uint8_t out[RECORD_HDR_LEN]);
/* Take the next record off *rest; false if it does not fit. */
bool record_take(struct slice *rest, struct record_hdr *h, struct slice *body);

#endif
