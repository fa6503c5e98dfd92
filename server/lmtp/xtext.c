/* xtext - values of parameters, and ORCPT. See xtext.h. */
#include "server/lmtp/xtext.h"

#include "lib/text.h"

#define ORCPT_MAX 500u          /* octets [RFC 3461 s4.2] */

static int
upper_hex_value(uint8_t c)
{
	return c >= 'a' ? -1 : ascii_hex_value(c);
}

/* One octet of the value; how many of the text stand for it, 0: none do. */
static size_t
next_octet(struct slice s, uint8_t *out)
{
	int high, low;

	if (s.ptr[0] != '+') {
		*out = s.ptr[0];
		return *out >= 33 && *out <= 126 && *out != '=' ? 1 : 0;
	}
	if (s.len < 3)
		return 0;
	high = upper_hex_value(s.ptr[1]);
	low = upper_hex_value(s.ptr[2]);
	if (high < 0 || low < 0)
		return 0;
	*out = (uint8_t)(high << 4 | low);
	return 3;
}

bool
xtext_valid(struct slice s)
{
	uint8_t c;

	while (s.len > 0) {
		size_t n = next_octet(s, &c);

		if (n == 0)
			return false;
		s = slice_sub(s, n, s.len);
	}
	return true;
}

bool
xtext_decode(struct slice s, struct arena *a, struct slice *out)
{
	uint8_t *to = arena_alloc(a, s.len + 1);
	size_t len = 0;

	if (to == NULL)
		return false;
	while (s.len > 0) {
		size_t n = next_octet(s, &to[len]);

		if (n == 0)
			return false;
		len++;
		s = slice_sub(s, n, s.len);
	}
	*out = slice_of(to, len);
	return true;
}

bool
xtext_is_printable(struct slice s)
{
	uint8_t c = 0;

	while (s.len > 0) {
		size_t n = next_octet(s, &c);

		if (n == 0 || c < 32 || c > 126)
			return false;
		s = slice_sub(s, n, s.len);
	}
	return true;
}

static bool
is_atom(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= 32 || s.ptr[i] >= 127 ||
		    strchr("()<>@,;:\\\".[]=", s.ptr[i]) != NULL)
			return false;
	return s.len > 0;
}

/* utf-8-addr-unitext or utf-8-addr-xtext, roughly: "\x{...}" and "+" are not looked into */
static bool
is_unitext(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= 32 || s.ptr[i] == 127 || s.ptr[i] == '=')
			return false;
	return s.len > 0 && text_utf8_valid(s);
}

bool
xtext_orcpt_valid(struct slice s, bool utf8)
{
	size_t semicolon = slice_find_byte(s, ';');
	struct slice type = slice_sub(s, 0, semicolon),
	             address = slice_sub(s, semicolon + 1, s.len);

	if (s.len > ORCPT_MAX || semicolon == s.len || !is_atom(type) || address.len == 0)
		return false;
	if (slice_eq_nocase(type, SLICE("utf-8")))
		return is_unitext(address) && (utf8 || text_is_ascii(address));
	return xtext_valid(address);
}
