/* salvage - reading what no longer holds. See salvage.h.
 *
 * Trying all values of all bytes of n costs 255 sums of n/2 bytes each: for the last kilobyte of a
 * frame, where the records that name mailboxes stand, a tenth of a second. Rejected: doing so for a
 * whole frame with a large blob, as its chunks have CRCs that tell the same, and whose message it
 * is stands in the other records.
 */
#include "store/log_impl.h"
#include "store/salvage.h"

#include "lib/bytes.h"
#include "lib/siphash.h"

#include <stdlib.h>

#define TRIED_BYTES 1024u       /* at the end of a body */
#define STRETCH_MAX (64u << 20) /* bytes looked at */

static void
tell_byte(const struct salvage *s, uint64_t offset, uint8_t is, uint8_t was)
{
	if (s->byte != NULL)
		s->byte(s->arg, offset, is, was);
}

/* The header as it was, if one byte of it is wrong; mended in place. */
static bool
mend_header(uint8_t *hdr, const uint8_t *key, uint64_t offset, struct frame_hdr *h,
            const struct salvage *s)
{
	for (size_t i = 0; i < FRAME_HDR_LEN; i++) {
		uint8_t is = hdr[i];

		for (unsigned x = 1; x < 256; x++) {
			hdr[i] = (uint8_t)(is ^ x);
			if (frame_hdr_decode(hdr, key, offset, h)) {
				tell_byte(s, offset + i, is, hdr[i]);
				return true;
			}
		}
		hdr[i] = is;
	}
	return false;
}

/* Whether the sum holds, if need be with one byte among the last ones changed: then it is mended in
 * place. `offset` is that of the body. */
static bool
mend_body(uint8_t *body, size_t len, const uint8_t *key, uint64_t sum, uint64_t offset,
          const struct salvage *s)
{
	size_t from = len > TRIED_BYTES ? len - TRIED_BYTES : 0;
	struct siphash before;

	siphash_init(&before, key);
	siphash_add(&before, body, from);
	for (size_t i = from; i < len; i++) {
		uint8_t is = body[i];

		for (unsigned x = 0; x < 256; x++) {
			struct siphash h = before;

			body[i] = (uint8_t)(is ^ x);
			siphash_add(&h, body + i, len - i);
			if (siphash_sum(&h) != sum)
				continue;
			if (x != 0)
				tell_byte(s, offset + i, is, body[i]);
			return true;
		}
		body[i] = is;
		siphash_add(&before, &is, 1);
	}
	return false;
}

/* Bytes that are no frame's at all have none. */
static bool
looks_like_header(const uint8_t *hdr)
{
	unsigned same = 0;

	for (size_t i = 0; i < 4; i++)
		same += hdr[i] == (uint8_t)FRAME_MAGIC[i];
	return same >= 3;
}

/* A header that nobody can mend, read as it stands. */
static void
guess_header(const uint8_t *hdr, size_t room, log_lsn first, log_lsn last, struct frame_hdr *h)
{
	*h = (struct frame_hdr){
		.body_len = get_le32(hdr + 4), .first_lsn = get_le64(hdr + 8),
		.record_count = get_le32(hdr + 48)
	};
	if (h->body_len > room)
		h->body_len = (uint32_t)room;
	if (h->first_lsn < first || (last != 0 && h->first_lsn > last))
		h->first_lsn = first;
	if (last != 0 && h->record_count > last - h->first_lsn + 1)
		h->record_count = (uint32_t)(last - h->first_lsn + 1);
}

static void
tell_records(const struct frame_hdr *h, struct slice rest, bool sure, const struct salvage *s)
{
	struct record_hdr r;
	struct slice body;

	for (uint32_t i = 0; i < h->record_count && record_take(&rest, &r, &body); i++)
		s->record(s->arg, h->first_lsn + i, r.type, body, sure);
}

void
salvage_bytes(uint8_t *bytes, size_t len, uint64_t offset, const uint8_t key[SEGMENT_KEY_LEN],
              log_lsn first, log_lsn last, const struct salvage *s)
{
	size_t at = 0;

	while (len - at >= FRAME_HDR_LEN) {
		size_t room = len - at - FRAME_HDR_LEN;
		uint8_t *body = bytes + at + FRAME_HDR_LEN;
		struct frame_hdr h;
		bool sure = frame_hdr_decode(bytes + at, key, offset + at, &h) ||
		            mend_header(bytes + at, key, offset + at, &h, s);

		if (!sure && !looks_like_header(bytes + at))
			return;
		if (!sure || h.body_len > room) {
			sure = false;
			guess_header(bytes + at, room, first, last, &h);
		}
		s->frame(s->arg, &h, offset + at, sure);
		sure = sure &&
		       mend_body(body, h.body_len, key, h.body_sum, offset + at + FRAME_HDR_LEN, s);
		tell_records(&h, slice_of(body, h.body_len), sure, s);
		first = h.first_lsn + h.record_count;
		at += FRAME_HDR_LEN + h.body_len;
	}
}

static bool
find_key(struct log *log, const struct seg_id *id, uint8_t key[SEGMENT_KEY_LEN])
{
	bool found = false;

	pthread_mutex_lock(&log->lock);
	for (uint32_t i = 0; i < log->root.segment_count && !found; i++) {
		const struct root_segment *seg = &log->root.segments[i];

		found = seg->id.seq == id->seq && seg->id.epoch == id->epoch;
		if (found)
			memcpy(key, seg->key, SEGMENT_KEY_LEN);
	}
	pthread_mutex_unlock(&log->lock);
	return found;
}

enum rc
log_salvage(struct log *log, const struct log_addr *stretch, log_lsn first, log_lsn last,
            const struct salvage *s, struct err *e)
{
	size_t len = stretch->len < STRETCH_MAX ? (size_t)stretch->len : STRETCH_MAX, got;
	uint8_t key[SEGMENT_KEY_LEN], *bytes;
	enum rc rc;

	if (stretch->seg.kind != SEG_LOG || !find_key(log, &stretch->seg, key))
		return err_set(e, RC_NOT_FOUND, "no such segment");
	bytes = malloc(len > 0 ? len : 1);
	if (bytes == NULL)
		return err_nomem(e);
	rc = log->b->ops->read(log->b, &stretch->seg, stretch->offset, bytes, len, &got, e);
	if (rc == RC_OK)
		salvage_bytes(bytes, got, stretch->offset, key, first, last, s);
	free(bytes);
	return rc;
}
