/* mutf7 - see mutf7.h. Strict, so that every name has one form only and no two names can be taken
 * for each other. */
#include "lib/mutf7.h"

#include "lib/base64.h"
#include "lib/text.h"

static bool
is_direct(uint32_t cp)
{
	return cp >= 0x20 && cp <= 0x7e;
}

/* A letter of modified base64: "," instead of "/". */
static int
letter_value(uint8_t c)
{
	return c == ',' ? 63 : c == '/' ? -1 : base64_value(c);
}

/* UTF-16 units arriving one by one. */
struct units {
	struct buf *out;
	uint32_t    high;       /* surrogate that waits for its second half, or 0 */
};

static enum mutf7_result
take_unit(struct units *u, uint32_t unit)
{
	if (u->high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return MUTF7_BAD_UTF16;
		unit = 0x10000 + ((u->high - 0xd800) << 10) + (unit - 0xdc00);
		u->high = 0;
	} else if (unit >= 0xd800 && unit <= 0xdbff) {
		u->high = unit;
		return MUTF7_OK;
	} else if (unit >= 0xdc00 && unit <= 0xdfff) {
		return MUTF7_BAD_UTF16;
	}
	if (is_direct(unit))
		return MUTF7_NOT_CANONICAL;
	return text_utf8_append(u->out, unit) ? MUTF7_OK : MUTF7_NO_ROOM;
}

/* "&" 1*letter "-" with in[*at] behind the "&"; *at ends behind the "-". */
static enum mutf7_result
decode_run(struct slice in, size_t *at, struct buf *out)
{
	struct units u = { out, 0 };
	uint32_t bits = 0;
	unsigned nbits = 0;

	for (; *at < in.len && in.ptr[*at] != '-'; ++*at) {
		int v = letter_value(in.ptr[*at]);
		enum mutf7_result r;

		if (v < 0)
			return MUTF7_BAD_BASE64;
		bits = (bits << 6 | (uint32_t)v) & 0xffffff;
		nbits += 6;
		if (nbits < 16)
			continue;
		nbits -= 16;
		r = take_unit(&u, bits >> nbits & 0xffff);
		if (r != MUTF7_OK)
			return r;
	}
	if (*at >= in.len)
		return MUTF7_UNTERMINATED;
	++*at;
	if (u.high != 0)
		return MUTF7_BAD_UTF16;
	if (nbits >= 6 || (bits & ((1u << nbits) - 1)) != 0)
		return MUTF7_BAD_BASE64;
	return MUTF7_OK;
}

static enum mutf7_result
decode(struct slice in, struct buf *out)
{
	bool after_run = false;

	for (size_t at = 0; at < in.len;) {
		enum mutf7_result r = MUTF7_OK;
		uint8_t c = in.ptr[at++];

		if (!is_direct(c))
			return MUTF7_BAD_CHAR;
		if (c != '&' || (at < in.len && in.ptr[at] == '-')) {
			at += c == '&';
			after_run = false;
			if (!buf_append_byte(out, c))
				return MUTF7_NO_ROOM;
			continue;
		}
		if (after_run)
			return MUTF7_NULL_SHIFT;
		r = decode_run(in, &at, out);
		if (r != MUTF7_OK)
			return r;
		after_run = true;
	}
	return MUTF7_OK;
}

enum mutf7_result
mutf7_decode(struct slice in, struct buf *out)
{
	size_t before = out->len;
	enum mutf7_result r = decode(in, out);

	if (r != MUTF7_OK)
		out->len = before;
	return r;
}

struct bit_writer {
	struct buf *out;
	uint32_t    bits;
	unsigned    nbits;
};

static void
put_letter(struct buf *out, uint32_t v)
{
	buf_append_byte(out, v == 63 ? ',' : (uint8_t)base64_alphabet[v]);
}

static void
put_unit(struct bit_writer *w, uint32_t unit)
{
	w->bits = w->bits << 16 | unit;
	for (w->nbits += 16; w->nbits >= 6; w->nbits -= 6)
		put_letter(w->out, w->bits >> (w->nbits - 6) & 63);
	w->bits &= 63;
}

/* A run of characters that are not direct, from *at on. */
static void
encode_run(struct slice in, size_t *at, struct buf *out)
{
	struct bit_writer w = { .out = out };
	uint32_t cp = 0;
	size_t n;

	buf_append_byte(out, '&');
	while ((n = text_utf8_next(slice_sub(in, *at, in.len), &cp)) > 0 && !is_direct(cp)) {
		if (cp >= 0x10000) {
			put_unit(&w, 0xd800 + ((cp - 0x10000) >> 10));
			cp = 0xdc00 + ((cp - 0x10000) & 0x3ff);
		}
		put_unit(&w, cp);
		*at += n;
	}
	if (w.nbits > 0)
		put_letter(out, w.bits << (6 - w.nbits) & 63);
	buf_append_byte(out, '-');
}

enum mutf7_result
mutf7_encode(struct slice in, struct buf *out)
{
	size_t before = out->len;

	if (!text_utf8_valid(in))
		return MUTF7_BAD_CHAR;
	for (size_t at = 0; at < in.len && !out->failed;) {
		if (!is_direct(in.ptr[at])) {
			encode_run(in, &at, out);
			continue;
		}
		buf_append_byte(out, in.ptr[at]);
		if (in.ptr[at] == '&')
			buf_append_byte(out, '-');
		at++;
	}
	if (!out->failed)
		return MUTF7_OK;
	out->len = before;
	return MUTF7_NO_ROOM;
}
