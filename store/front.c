/* front - see front.h.
 *
 * Rejected: deflate with the same base, 12 % smaller and three times as slow; to parse the header
 * again instead, as a later parser makes something else of it.
 */
#include "store/front.h"

#include "lib/leb128.h"
#include "lib/lz.h"
#include "store/base64_chunk.h"

_Static_assert(FRONT_MAX + FRONT_SUMMARY_MAX < LZ_MAX, "both and a dictionary can be packed");
_Static_assert(FRONT_MAX < CODEC_ROOM, "both can be unpacked");

bool
front_pack(struct codec *c, struct slice front, struct slice summary, struct buf *out)
{
	struct lz_packer *k = codec_packer(c);
	uint8_t packed[FRONT_SUMMARY_MAX];
	size_t n;

	if (k == NULL || front.len == 0 || front.len > FRONT_MAX || summary.len > sizeof packed)
		return false;
	n = lz_pack_behind(k, front, summary, packed, summary.len);
	return n > 0 && buf_append_byte(out, DICTIONARY_SUMMARY) && leb128_put(out, summary.len) &&
	       leb128_put(out, n) && buf_append(out, packed, n);
}

bool
front_is_base(const struct record_blob *r)
{
	return r->packed.len > 0 && r->body.len == 0 && r->chunk_count > 0;
}

/* The first chunk's raw bytes. */
static bool
unpack_chunk(struct codec *c, const struct blob_chunk *first, struct slice stored, uint8_t *dst)
{
	switch ((enum chunk_method)first->method) {
	case CHUNK_STORED:
		if (first->raw_len != stored.len)
			return false;
		memcpy(dst, stored.ptr, stored.len);
		return true;
	case CHUNK_DEFLATE:
	case CHUNK_DEFLATE_HEADER:
		return codec_inflate(c, first->dictionary, stored, dst, first->raw_len);
	case CHUNK_BASE64:
		return base64_unpack(c, stored, first->raw_len, 0, first->raw_len, dst);
	}
	return false;
}

bool
front_unpack(struct codec *c, const struct blob_chunk *first, struct slice stored,
             uint8_t dictionary, struct slice packed, uint8_t *out, size_t len)
{
	struct slice dict = dictionary_get(dictionary);
	uint8_t *base = codec_room(c, 0);

	if (first->raw_len > FRONT_MAX || dict.len > CODEC_ROOM - FRONT_MAX ||
	    (dictionary != DICTIONARY_NONE && dict.len == 0))
		return false;
	if (dict.len > 0)
		memcpy(base, dict.ptr, dict.len);
	return unpack_chunk(c, first, stored, base + dict.len) &&
	       lz_unpack(slice_of(base, dict.len + first->raw_len), packed, out, len);
}
