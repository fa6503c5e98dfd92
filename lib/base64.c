/* base64 - see base64.h. The alphabet is turned around by comparison of ranges, so there is no
 * table to get wrong. */
#include "lib/base64.h"

const char base64_alphabet[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* One group of 1 to 3 bytes as four letters [RFC 4648 s4]. */
static void
encode_group(const uint8_t *in, size_t n, uint8_t *dst)
{
	uint32_t v = (uint32_t)in[0] << 16;

	if (n > 1)
		v |= (uint32_t)in[1] << 8;
	if (n > 2)
		v |= in[2];
	dst[0] = (uint8_t)base64_alphabet[v >> 18];
	dst[1] = (uint8_t)base64_alphabet[v >> 12 & 63];
	dst[2] = (uint8_t)(n > 1 ? base64_alphabet[v >> 6 & 63] : '=');
	dst[3] = (uint8_t)(n > 2 ? base64_alphabet[v & 63] : '=');
}

bool
base64_encode(struct slice in, struct buf *out)
{
	size_t len = (in.len / 3 + (in.len % 3 != 0)) * 4;
	uint8_t *dst;

	if (in.len == 0)
		return true;
	dst = buf_reserve(out, len);
	if (dst == NULL)
		return false;
	for (size_t at = 0; at < in.len; at += 3, dst += 4)
		encode_group(in.ptr + at, in.len - at < 3 ? in.len - at : 3, dst);
	buf_commit(out, len);
	return true;
}

/* [RFC 4648 s5] */
static int
base64url_value(uint8_t c)
{
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return c == '+' || c == '/' ? -1 : base64_value(c);
}

/* Four letters, or want + 1 of them, to `want` bytes; false on a letter outside the alphabet or
 * bits beyond the data. */
static bool
decode_group(const uint8_t *in, size_t want, int (*value)(uint8_t), uint8_t *dst)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		int d = i <= want ? value(in[i]) : 0;

		if (d < 0)
			return false;
		v = v << 6 | (uint32_t)d;
	}
	if ((v & (0xffffffu >> (8 * want))) != 0)
		return false;
	for (size_t i = 0; i < want; i++)
		dst[i] = (uint8_t)(v >> (16 - 8 * i));
	return true;
}

bool
base64_decode(struct slice in, struct buf *out)
{
	size_t pad = 0, len;
	uint8_t *dst;

	if (in.len % 4 != 0)
		return false;
	if (in.len == 0)
		return true;
	if (in.ptr[in.len - 1] == '=')
		pad = in.ptr[in.len - 2] == '=' ? 2 : 1;
	len = in.len / 4 * 3 - pad;
	dst = buf_reserve(out, len);
	if (dst == NULL)
		return false;
	for (size_t at = 0; at < in.len; at += 4, dst += 3)
		if (!decode_group(in.ptr + at, at + 4 < in.len ? 3 : 3 - pad, base64_value, dst))
			return false;
	buf_commit(out, len);
	return true;
}

bool
base64url_decode(struct slice in, struct buf *out)
{
	size_t tail = in.len % 4, len = in.len / 4 * 3 + (tail > 0 ? tail - 1 : 0);
	uint8_t *dst;

	if (tail == 1)
		return false;
	if (in.len == 0)
		return true;
	dst = buf_reserve(out, len);
	if (dst == NULL)
		return false;
	for (size_t at = 0; at < in.len; at += 4, dst += 3)
		if (!decode_group(in.ptr + at, in.len - at >= 4 ? 3 : tail - 1, base64url_value,
		                  dst))
			return false;
	buf_commit(out, len);
	return true;
}
