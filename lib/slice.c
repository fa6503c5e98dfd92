/* slice - comparing, searching and cutting borrowed bytes. See slice.h. */
#include "lib/slice.h"

#include "lib/octets.h"

#include <stdlib.h>

uint8_t
ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

uint8_t
ascii_upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c & 0xdf) : c;
}

struct slice
slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, s != NULL ? strlen(s) : 0 };
}

struct slice
slice_sub(struct slice s, size_t from, size_t to)
{
	if (to > s.len)
		to = s.len;
	if (from > to)
		from = to;
	if (s.ptr == NULL)
		return s;
	return (struct slice){ s.ptr + from, to - from };
}

bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	return true;
}

bool
slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq(slice_sub(s, 0, prefix.len), prefix);
}

bool
slice_starts_nocase(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq_nocase(slice_sub(s, 0, prefix.len), prefix);
}

bool
slice_ends_nocase(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len &&
	       slice_eq_nocase(slice_sub(s, s.len - suffix.len, s.len), suffix);
}

int
slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;

	if (c != 0)
		return c;
	return (a.len > b.len) - (a.len < b.len);
}

int
slice_cmp_nocase(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < n; i++) {
		int d = (int)ascii_lower(a.ptr[i]) - (int)ascii_lower(b.ptr[i]);

		if (d != 0)
			return d;
	}
	return (a.len > b.len) - (a.len < b.len);
}

size_t
slice_find_byte(struct slice s, uint8_t c)
{
	const uint8_t *p = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;

	return p != NULL ? (size_t)(p - s.ptr) : s.len;
}

/* In as many octets as their counters can hold. */
static size_t
count_in_block(const uint8_t *p, size_t vectors, uint8_t c)
{
	octets16 found = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < vectors; i++, p += sizeof found)
		found -= (octets16)(octets_load(p) == c);
	for (size_t i = 0; i < sizeof found; i++)
		n += found[i];
	return n;
}

size_t
slice_count_byte(struct slice s, uint8_t c)
{
	size_t n = 0, i = 0;

	while (s.len - i >= sizeof(octets16)) {
		size_t vectors = (s.len - i) / sizeof(octets16);

		if (vectors > UINT8_MAX)
			vectors = UINT8_MAX;
		n += count_in_block(s.ptr + i, vectors, c);
		i += vectors * sizeof(octets16);
	}
	for (; i < s.len; i++)
		n += s.ptr[i] == c;
	return n;
}

#define PAIR_BLOCK (4 * sizeof(octets16))

size_t
slice_find_pair(struct slice s, uint8_t a, uint8_t b)
{
	size_t i = 0;

	for (; s.len - i > PAIR_BLOCK; i += PAIR_BLOCK) {
		octets16 found = { 0 };

		for (const uint8_t *p = s.ptr + i; p < s.ptr + i + PAIR_BLOCK; p += sizeof found)
			found |= (octets16)((octets_load(p) == a) & (octets_load(p + 1) == b));
		if (octets_fold(found) != 0)
			break;
	}
	for (; s.len - i > 1; i++)
		if (s.ptr[i] == a && s.ptr[i + 1] == b)
			return i;
	return s.len;
}

size_t
slice_find(struct slice s, struct slice needle)
{
	if (needle.len == 0)
		return 0;
	for (size_t at = 0; at + needle.len <= s.len; at++) {
		at += slice_find_byte(slice_sub(s, at, s.len), needle.ptr[0]);
		if (at + needle.len > s.len)
			break;
		if (memcmp(s.ptr + at, needle.ptr, needle.len) == 0)
			return at;
	}
	return s.len;
}

/* Where `c` stands in s from `at` on, if it does not stand at `known` or later. */
static size_t
find_from(struct slice s, size_t at, size_t known, uint8_t c)
{
	return known >= at ? known : at + slice_find_byte(slice_sub(s, at, s.len), c);
}

size_t
slice_find_nocase(struct slice s, struct slice needle)
{
	uint8_t first = needle.len > 0 ? needle.ptr[0] : 0;
	uint8_t other = ascii_lower(first) == first ? ascii_upper(first) : ascii_lower(first);
	size_t one = 0, two = 0;

	if (needle.len == 0)
		return 0;
	if (s.len > 0) {
		one = slice_find_byte(s, first);
		two = slice_find_byte(s, other);
	}
	for (size_t at = one < two ? one : two; at + needle.len <= s.len;
	     at = one < two ? one : two) {
		if (slice_eq_nocase(slice_sub(s, at, at + needle.len), needle))
			return at;
		one = find_from(s, at + 1, one, first);
		two = find_from(s, at + 1, two, other);
	}
	return s.len;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	while (s.len > 0 && is_blank(s.ptr[0]))
		s = slice_sub(s, 1, s.len);
	return s;
}

bool
slice_to_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t digit = (uint8_t)(s.ptr[i] - '0');

		if (digit > 9 || v > (max - digit) / 10 || digit > max)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

bool
slice_to_cstr(struct slice s, char *dst, size_t size)
{
	if (size > 0)
		dst[0] = '\0';
	if (s.len >= size || slice_find_byte(s, 0) != s.len)
		return false;
	if (s.len > 0)
		memcpy(dst, s.ptr, s.len);
	dst[s.len] = '\0';
	return true;
}

int
ascii_hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *
slice_strdup(struct slice s)
{
	char *p = malloc(s.len + 1);

	if (p == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	return p;
}
