/* base64_chunk - see base64_chunk.h.
 *
 * Text stands in front of the lines and behind them where a chunk begins or ends in the middle of one, or with the
 * header of a part. It is kept as it is with the octets, and deflated with them if that is worth inflating again.
 */
#include "store/base64_chunk.h"

#include "lib/bytes.h"
#include "store/base64_deflate.h"
#include "store/noise.h"

#include <string.h>

#define HEAD          6u
#define FORM_DEFLATED 1u
#define FORM_PADDING  1u                /* how far the two bits are shifted */
#define FORM_KNOWN    7u
#define RAW_MIN       256u
#define ROOM_OCTETS   2u                /* of the codec's rooms */

struct parts {
	struct base64_lines lines;
	size_t              back;
	struct slice        payload;    /* front, octets, back */
};

static size_t
payload_len(const struct parts *p)
{
	return p->lines.front + base64_octets(&p->lines) + p->back;
}

/* ---- packing ---- */

static void
put_head(uint8_t *out, const struct parts *p, unsigned form)
{
	out[0] = (uint8_t)(form | p->lines.padding << FORM_PADDING);
	out[1] = (uint8_t)p->lines.quads;
	put_le16(out + 2, (uint16_t)p->lines.front);
	put_le16(out + 4, (uint16_t)p->back);
}

/* Whether the lines of `raw` can be made again from what stands in `octets`. */
static bool
is_made_again(struct slice raw, const struct base64_lines *b, const uint8_t *octets, uint8_t *spare)
{
	base64_encode_lines(octets, b, 0, b->len, spare);
	return memcmp(spare, raw.ptr + b->front, b->len) == 0;
}

/* Deflating must give a sixteenth: less is not worth inflating at every read, and where it is plain that it will not it
 * is not tried. */
static size_t
deflate_payload(struct codec *c, const struct parts *p, int level, uint8_t *out)
{
	size_t room = p->payload.len - p->payload.len / 16;

	if (noise_is(p->payload))
		return 0;
	return level == 0 ? codec_deflate(c, CODEC_TEXT, p->payload, out, room)
	                  : codec_deflate_again(c, level, DICTIONARY_NONE, p->payload, out, room);
}

size_t
base64_pack(struct codec *c, struct slice raw, int level, uint8_t *out)
{
	uint8_t *payload = out + HEAD, *spare = codec_room(c, ROOM_OCTETS);
	struct parts p;
	size_t n;

	if (raw.len < RAW_MIN || !base64_find(raw, &p.lines))
		return 0;
	p.back = raw.len - p.lines.front - p.lines.len;
	if (p.lines.front > UINT16_MAX || p.back > UINT16_MAX)
		return 0;
	n = base64_octets(&p.lines);
	memcpy(payload, raw.ptr, p.lines.front);
	base64_decode_lines(slice_sub(raw, p.lines.front, raw.len - p.back), &p.lines,
	                    payload + p.lines.front);
	memcpy(payload + p.lines.front + n, raw.ptr + raw.len - p.back, p.back);
	p.payload = slice_of(payload, payload_len(&p));
	if (!is_made_again(raw, &p.lines, payload + p.lines.front, spare))
		return 0;
	n = deflate_payload(c, &p, level, spare);
	put_head(out, &p, n > 0 ? FORM_DEFLATED : 0);
	if (n == 0)
		return HEAD + p.payload.len;
	memcpy(payload, spare, n);
	return HEAD + n;
}

/* ---- unpacking ---- */

static bool
read_head(struct slice stored, size_t raw_len, struct parts *p)
{
	size_t around;

	if (stored.len < HEAD || stored.ptr[0] > FORM_KNOWN)
		return false;
	p->lines.quads = stored.ptr[1];
	p->lines.padding = stored.ptr[0] >> FORM_PADDING;
	p->lines.front = get_le16(stored.ptr + 2);
	p->back = get_le16(stored.ptr + 4);
	around = p->lines.front + p->back;
	if (around > raw_len || raw_len > CODEC_ROOM)
		return false;
	p->lines.len = raw_len - around;
	return base64_is_possible(&p->lines) && payload_len(p) <= CODEC_ROOM;
}

/* The payload, inflated if it has to be. */
static bool
take_payload(struct codec *c, struct slice stored, size_t raw_len, struct parts *p)
{
	struct slice rest;

	if (!read_head(stored, raw_len, p))
		return false;
	rest = slice_sub(stored, HEAD, stored.len);
	p->payload = rest;
	if ((stored.ptr[0] & FORM_DEFLATED) == 0)
		return rest.len == payload_len(p);
	p->payload = slice_of(codec_room(c, ROOM_OCTETS), payload_len(p));
	return codec_inflate(c, DICTIONARY_NONE, rest, codec_room(c, ROOM_OCTETS), p->payload.len);
}

/* What [from, to) has of `part`, which stands at `at` in the text. */
static void
copy_part(struct slice part, size_t at, size_t from, size_t to, uint8_t *dst)
{
	size_t begin = from > at ? from : at, end = to < at + part.len ? to : at + part.len;

	if (begin < end)
		memcpy(dst + (begin - from), part.ptr + (begin - at), end - begin);
}

bool
base64_unpack(struct codec *c, struct slice stored, size_t raw_len, size_t from, size_t to, uint8_t *dst)
{
	struct parts p;
	size_t at, end, begin;

	if (!take_payload(c, stored, raw_len, &p))
		return false;
	at = p.lines.front;
	end = at + p.lines.len;
	copy_part(slice_sub(p.payload, 0, at), 0, from, to, dst);
	begin = from > at ? from : at;
	if (begin < to && begin < end)
		base64_encode_lines(p.payload.ptr + at, &p.lines, begin - at,
		                    (to < end ? to : end) - at, dst + (begin - from));
	copy_part(slice_sub(p.payload, p.payload.len - p.back, p.payload.len), end, from, to, dst);
	return true;
}

bool
base64_unpack_deflated(struct codec *c, struct slice stored, size_t raw_len, struct buf *out, bool *fits)
{
	struct parts p;
	uint8_t *dst;

	*fits = true;
	if (!take_payload(c, stored, raw_len, &p))
		return false;
	dst = buf_reserve(out, base64_deflate_max(raw_len));
	*fits = dst != NULL;
	if (dst != NULL)
		buf_commit(out, base64_deflate(slice_sub(p.payload, 0, p.lines.front),
		                               p.payload.ptr + p.lines.front, &p.lines,
		                               slice_sub(p.payload, p.payload.len - p.back,
		                                         p.payload.len), dst));
	return true;
}
