/* frame - headers of segments and frames. See frame.h. */
#include "store/frame.h"

#include "lib/bytes.h"
#include "lib/siphash.h"

#define SEGMENT_MAGIC "RSTSEG1\n"
#define MAGIC_DIGIT   6         /* where the version stands in it */

_Static_assert(LOG_FORMAT == 1, "the magic names it");

static const uint8_t no_key[SIPHASH_KEY_LEN];

void
segment_hdr_encode(const struct segment_hdr *h, uint8_t out[SEGMENT_HDR_LEN])
{
	memcpy(out, SEGMENT_MAGIC, 8);
	put_le64(out + 8, h->seq);
	put_le32(out + 16, h->epoch);
	put_le32(out + 20, 0);
	memcpy(out + 24, h->volume_id, VOLUME_ID_LEN);
	memcpy(out + 40, h->key, SEGMENT_KEY_LEN);
	put_le64(out + 56, siphash(no_key, out, 56));
}

uint32_t
segment_hdr_version(struct slice in)
{
	uint8_t digit;

	if (in.len < SEGMENT_HDR_LEN || memcmp(in.ptr, SEGMENT_MAGIC, MAGIC_DIGIT) != 0 ||
	    get_le64(in.ptr + 56) != siphash(no_key, in.ptr, 56))
		return 0;
	digit = in.ptr[MAGIC_DIGIT];
	return digit >= '1' && digit <= '9' ? digit - '0' : 0;
}

bool
segment_hdr_decode(struct slice in, struct segment_hdr *out)
{
	if (in.len < SEGMENT_HDR_LEN || memcmp(in.ptr, SEGMENT_MAGIC, 8) != 0)
		return false;
	if (get_le64(in.ptr + 56) != siphash(no_key, in.ptr, 56))
		return false;
	out->seq = get_le64(in.ptr + 8);
	out->epoch = get_le32(in.ptr + 16);
	memcpy(out->volume_id, in.ptr + 24, VOLUME_ID_LEN);
	memcpy(out->key, in.ptr + 40, SEGMENT_KEY_LEN);
	return true;
}

/* Over the header's first 72 bytes and the place of the frame in its segment. */
static uint64_t
header_sum(const uint8_t *hdr, const uint8_t *key, uint64_t offset)
{
	struct siphash h;
	uint8_t place[8];

	put_le64(place, offset);
	siphash_init(&h, key);
	siphash_add(&h, hdr, FRAME_HDR_LEN - 8);
	siphash_add(&h, place, sizeof place);
	return siphash_sum(&h);
}

void
frame_hdr_encode(const struct frame_hdr *h, const uint8_t key[SEGMENT_KEY_LEN], uint64_t offset,
                 uint8_t out[FRAME_HDR_LEN])
{
	memset(out, 0, FRAME_HDR_LEN);
	memcpy(out, FRAME_MAGIC, 4);
	put_le32(out + 4, h->body_len);
	put_le64(out + 8, h->first_lsn);
	put_le64(out + 16, h->synced_lsn);
	put_le64(out + 24, h->time_us);
	put_le64(out + 32, h->who.account);
	put_le64(out + 40, h->who.session);
	put_le32(out + 48, h->record_count);
	out[52] = h->who.protocol;
	out[53] = h->flags;
	put_le64(out + 56, h->body_sum);
	put_le64(out + 72, header_sum(out, key, offset));
}

bool
frame_hdr_decode(const uint8_t in[FRAME_HDR_LEN], const uint8_t key[SEGMENT_KEY_LEN],
    uint64_t offset, struct frame_hdr *out)
{
	if (memcmp(in, FRAME_MAGIC, 4) != 0 || get_le64(in + 72) != header_sum(in, key, offset))
		return false;
	out->body_len = get_le32(in + 4);
	out->first_lsn = get_le64(in + 8);
	out->synced_lsn = get_le64(in + 16);
	out->time_us = get_le64(in + 24);
	out->who.account = get_le64(in + 32);
	out->who.session = get_le64(in + 40);
	out->record_count = get_le32(in + 48);
	out->who.protocol = in[52];
	out->flags = in[53];
	out->body_sum = get_le64(in + 56);
	return out->record_count > 0;
}

void
record_hdr_encode(const struct record_hdr *h, uint8_t out[RECORD_HDR_LEN])
{
	out[0] = h->type;
	out[1] = h->flags;
	put_le32(out + 2, h->len);
}

bool
record_take(struct slice *rest, struct record_hdr *h, struct slice *body)
{
	if (rest->len < RECORD_HDR_LEN)
		return false;
	h->type = rest->ptr[0];
	h->flags = rest->ptr[1];
	h->len = get_le32(rest->ptr + 2);
	if (h->len > rest->len - RECORD_HDR_LEN)
		return false;
	*body = slice_of(rest->ptr + RECORD_HDR_LEN, h->len);
	*rest = slice_sub(*rest, RECORD_HDR_LEN + h->len, rest->len);
	return true;
}
