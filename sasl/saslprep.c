/* saslprep - mapping, NFKC, prohibited characters, direction [RFC 4013 s2, RFC 3454].
 * See saslprep.h.
 *
 * Known departure: RFC 3454 is written for Unicode 3.2; normalisation, direction and what counts as
 * unassigned come from the Unicode version of utf8proc. Unassigned code points are refused in
 * stored passwords and in tried ones alike: none that was stored holds one, so a try that
 * does cannot match.
 *
 * utf8proc works on an array that we own, so that every copy of the password can be wiped.
 */
#include "sasl/saslprep.h"

#include <stdlib.h>
#include <utf8proc.h>

struct range {
	utf8proc_int32_t first, last;
};

/* Non-ASCII space characters, mapped to SPACE [RFC 3454 C.1.2]. U+200B is also in B.1; as space
 * it comes first. */
static const struct range spaces[] = {
	{ 0x00a0, 0x00a0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200b },
	{ 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 },
};

/* Commonly mapped to nothing [RFC 3454 B.1]. */
static const struct range nothing[] = {
	{ 0x00ad, 0x00ad }, { 0x034f, 0x034f }, { 0x1806, 0x1806 }, { 0x180b, 0x180d },
	{ 0x200c, 0x200d }, { 0x2060, 0x2060 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
};

/* Prohibited output [RFC 4013 s2.3]. Private use (C.3), surrogates (C.5) and unassigned code points
 * go by their general category. */
static const struct range prohibited[] = {
	{ 0x0000, 0x001f },   { 0x007f, 0x009f },                       /* C.2.1, C.2.2 controls */
	{ 0x00a0, 0x00a0 },                                             /* C.1.2 */
	{ 0x0340, 0x0341 },                                             /* C.8 */
	{ 0x06dd, 0x06dd },   { 0x070f, 0x070f },                       /* C.2.2 */
	{ 0x1680, 0x1680 },                                             /* C.1.2 */
	{ 0x180e, 0x180e },                                             /* C.2.2 */
	{ 0x2000, 0x200f },                                             /* C.1.2, C.2.2, C.8 */
	{ 0x2028, 0x202f },                                             /* C.2.2, C.8, C.1.2 */
	{ 0x205f, 0x2063 },                                             /* C.1.2, C.2.2 */
	{ 0x206a, 0x206f },                                             /* C.2.2, C.8 */
	{ 0x2ff0, 0x2ffb },                                             /* C.7 */
	{ 0x3000, 0x3000 },                                             /* C.1.2 */
	{ 0xfdd0, 0xfdef },                                             /* C.4 */
	{ 0xfeff, 0xfeff },   { 0xfff9, 0xfffd },                       /* C.2.2, C.6 */
	{ 0x1d173, 0x1d17a },                                           /* C.2.2 */
	{ 0xe0001, 0xe0001 }, { 0xe0020, 0xe007f },                     /* C.9 */
};

#define IN_TABLE(c, table) in_ranges(c, table, sizeof(table) / sizeof(table)[0])

static bool
in_ranges(utf8proc_int32_t c, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= r[i].first && c <= r[i].last)
			return true;
	return false;
}

/* Append `c` in UTF-8. */
static enum rc
append_char(struct secret *out, utf8proc_int32_t c, struct err *e)
{
	utf8proc_uint8_t utf8[4];
	utf8proc_ssize_t len = utf8proc_encode_char(c, utf8);

	if (len <= 0 || !secret_append(out, slice_of(utf8, (size_t)len)))
		return err_set(e, RC_LIMIT, "longer than %zu octets once normalised", out->cap);
	return RC_OK;
}

/* Mapping [RFC 4013 s2.1]. Never makes the text longer. */
static enum rc
map_chars(struct slice in, struct secret *out, struct err *e)
{
	size_t at = 0;

	while (at < in.len) {
		utf8proc_int32_t c;
		utf8proc_ssize_t len =
		        utf8proc_iterate(in.ptr + at, (utf8proc_ssize_t)(in.len - at), &c);

		if (len <= 0)
			return err_set(e, RC_SYNTAX, "not UTF-8 at octet %zu", at + 1);
		at += (size_t)len;
		if (IN_TABLE(c, spaces))
			c = ' ';
		else if (IN_TABLE(c, nothing))
			continue;
		if (append_char(out, c, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

/* Prohibited output [RFC 4013 s2.3], unassigned code points [s2.5]. The text names no character
 * of a password. */
static enum rc
check_char(utf8proc_int32_t c, struct err *e)
{
	utf8proc_category_t category = utf8proc_category(c);

	if (IN_TABLE(c, prohibited) || (c & 0xfffe) == 0xfffe || category == UTF8PROC_CATEGORY_CC ||
	    category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS)
		return err_set(e, RC_SYNTAX,
		               "holds a control or another character that is not allowed");
	if (category == UTF8PROC_CATEGORY_CN)
		return err_set(e, RC_SYNTAX, "holds a character that Unicode %s does not know",
		               utf8proc_unicode_version());
	return RC_OK;
}

static bool
is_right_to_left(utf8proc_int32_t c)
{
	int class = utf8proc_get_property(c)->bidi_class;

	return class == UTF8PROC_BIDI_CLASS_R || class == UTF8PROC_BIDI_CLASS_AL;
}

static bool
is_left_to_right(utf8proc_int32_t c)
{
	return utf8proc_get_property(c)->bidi_class == UTF8PROC_BIDI_CLASS_L;
}

/* Bidirectional characters [RFC 4013 s2.4, RFC 3454 s6]. */
static enum rc
check_direction(const utf8proc_int32_t *chars, size_t n, struct err *e)
{
	bool right = false, left = false;

	for (size_t i = 0; i < n; i++) {
		right = right || is_right_to_left(chars[i]);
		left = left || is_left_to_right(chars[i]);
	}
	if (right && (left || !is_right_to_left(chars[0]) || !is_right_to_left(chars[n - 1])))
		return err_set(e, RC_SYNTAX,
		               "mixes writing from left to right and from right to left");
	return RC_OK;
}

/* NFKC of `mapped` into `chars` [RFC 4013 s2.2]; *n of them. */
static enum rc
normalize(struct slice mapped, utf8proc_int32_t *chars, size_t room, size_t *n, struct err *e)
{
	const utf8proc_option_t nfkc = UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_STABLE;
	utf8proc_ssize_t len;

	len = utf8proc_decompose(mapped.ptr, (utf8proc_ssize_t)mapped.len, chars,
	                         (utf8proc_ssize_t)room, nfkc);
	if (len < 0)
		return err_set(e, RC_SYNTAX, "not Unicode text: %s", utf8proc_errmsg(len));
	if ((size_t)len > room)
		return err_set(e, RC_LIMIT, "longer than %zu characters once normalised", room);
	len = utf8proc_normalize_utf32(chars, len, nfkc);
	if (len < 0)
		return err_set(e, RC_SYNTAX, "not Unicode text: %s", utf8proc_errmsg(len));
	*n = (size_t)len;
	return RC_OK;
}

/* NFKC, checks, and back to UTF-8. `chars` is scratch for `room` characters. */
static enum rc
prepare(struct slice mapped, utf8proc_int32_t *chars, size_t room, struct secret *out,
        struct err *e)
{
	size_t n = 0;

	if (normalize(mapped, chars, room, &n, e) != RC_OK)
		return e->code;
	if (n == 0)
		return err_set(e, RC_SYNTAX, "empty");
	if (check_direction(chars, n, e) != RC_OK)
		return e->code;
	for (size_t i = 0; i < n; i++)
		if (check_char(chars[i], e) != RC_OK || append_char(out, chars[i], e) != RC_OK)
			return e->code;
	return RC_OK;
}

enum rc
saslprep(struct slice in, struct secret *out, struct err *e)
{
	const size_t room = SASLPREP_OUT_MAX;   /* characters: never fewer octets than that */
	struct secret mapped = { 0 };
	utf8proc_int32_t *chars = NULL;
	enum rc rc;

	if (in.len > SASLPREP_MAX)
		return err_set(e, RC_LIMIT, "longer than %d octets", SASLPREP_MAX);
	rc = secret_init(&mapped, SASLPREP_MAX, e);
	if (rc != RC_OK)
		goto out;
	rc = map_chars(in, &mapped, e);
	if (rc != RC_OK)
		goto out;
	chars = calloc(room, sizeof *chars);
	rc = chars == NULL ? err_nomem(e) : prepare(secret_slice(&mapped), chars, room, out, e);
out:
	if (chars != NULL)
		secret_wipe(chars, room * sizeof *chars);
	free(chars);
	secret_fini(&mapped);
	return rc;
}
