/* text - Unicode text in UTF-8. See text.h.
 *
 * utf8proc orders combining marks by insertion, which is quadratic in the length of one run of
 * marks; so text is handed to it in stretches of at most STRETCH_MAX bytes. A stretch ends before a
 * character that begins anew in every normalisation form; only text that has none for half a
 * stretch may be cut within a run.
 */
#include "lib/text.h"

#include <utf8proc.h>

#define STRETCH_MIN  512u
#define STRETCH_MAX  1024u
#define EXPANSION    18u  /* code points of U+FDFA, the longest decomposition; it takes 3 bytes */

#define FOLD_OPTIONS \
	(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | \
	 UTF8PROC_IGNORE)
#define NFC_OPTIONS  (UTF8PROC_STABLE | UTF8PROC_COMPOSE)
#define SEARCH_OPTIONS \
	(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | \
	 UTF8PROC_IGNORE)

/* Length and smallest second byte of the character that starts with c; 0 if none does
 * [RFC 3629 s4]. */
static size_t
lead_length(uint8_t c, uint8_t *low, uint8_t *high)
{
	*low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

size_t
text_utf8_next(struct slice s, uint32_t *cp)
{
	uint8_t low, high;
	size_t n;

	if (s.len == 0)
		return 0;
	n = lead_length(s.ptr[0], &low, &high);
	if (n == 0 || n > s.len)
		return 0;
	*cp = n == 1 ? s.ptr[0] : (uint32_t)s.ptr[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (s.ptr[i] < low || s.ptr[i] > high)
			return 0;
		*cp = *cp << 6 | (s.ptr[i] & 0x3f);
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

bool
text_utf8_valid(struct slice s)
{
	uint32_t cp;

	for (size_t at = 0; at < s.len;) {
		size_t n = text_utf8_next(slice_sub(s, at, s.len), &cp);

		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

bool
text_utf8_append(struct buf *out, uint32_t cp)
{
	uint8_t u[4];
	size_t n = 0;

	if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		cp = 0xfffd;
	if (cp < 0x80) {
		u[n++] = (uint8_t)cp;
	} else if (cp < 0x800) {
		u[n++] = (uint8_t)(0xc0 | cp >> 6);
	} else if (cp < 0x10000) {
		u[n++] = (uint8_t)(0xe0 | cp >> 12);
		u[n++] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	} else {
		u[n++] = (uint8_t)(0xf0 | cp >> 18);
		u[n++] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
		u[n++] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	}
	if (cp >= 0x80)
		u[n++] = (uint8_t)(0x80 | (cp & 0x3f));
	return buf_append(out, u, n);
}

bool
text_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= 0x80)
			return false;
	return true;
}

struct slice
text_cut(struct slice s, size_t max)
{
	size_t n = max;

	if (s.len <= max)
		return s;
	while (n > 0 && max - n < 4 && (s.ptr[n] & 0xc0) == 0x80)
		n--;
	return slice_sub(s, 0, n);
}

bool
text_utf8_repair(struct slice s, struct buf *out)
{
	size_t from = 0, at = 0;
	uint32_t cp;

	while (at < s.len && !out->failed) {
		size_t n = text_utf8_next(slice_sub(s, at, s.len), &cp);

		if (n == 0) {
			buf_append(out, s.ptr + from, at - from);
			text_utf8_append(out, 0xfffd);
			from = ++at;
		}
		at += n;
	}
	if (from < s.len && !out->failed) {
		struct slice rest = slice_sub(s, from, s.len);

		if (rest.len <= buf_room(out))
			return buf_append_slice(out, rest);
		buf_append_slice(out, text_cut(rest, buf_room(out)));
		out->failed = true;
	}
	return !out->failed;
}

bool
text_for_terminal(struct slice s, struct buf *out)
{
	uint32_t cp;

	for (size_t n; s.len > 0 && !out->failed; s = slice_sub(s, n, s.len)) {
		n = text_utf8_next(s, &cp);
		if (n == 0) {
			text_utf8_append(out, 0xfffd);
			n = 1;
		} else if ((cp < 0x20 && cp != '\t') || (cp >= 0x7f && cp < 0xa0)) {
			buf_append_byte(out, '?');
		} else {
			buf_append_slice(out, slice_sub(s, 0, n));
		}
	}
	return !out->failed;
}

/* Starters that never combine with what stands before them: ASCII, kana, ideographs,
 * Hangul syllables. */
static bool
begins_anew(uint32_t cp)
{
	return cp < 0x80 || (cp >= 0x3041 && cp <= 0x3096) || (cp >= 0x30a1 && cp <= 0x30fa) ||
	       (cp >= 0x3400 && cp <= 0x9fff) || (cp >= 0xac00 && cp <= 0xd7a3) ||
	       (cp >= 0xff66 && cp <= 0xff9d);
}

/* Bytes of the next stretch; s is valid UTF-8. */
static size_t
stretch_length(struct slice s)
{
	size_t at = 0;
	uint32_t cp;

	while (at < s.len) {
		size_t n = text_utf8_next(slice_sub(s, at, s.len), &cp);

		if (at + n > STRETCH_MAX || (at >= STRETCH_MIN && begins_anew(cp)))
			break;
		at += n;
	}
	return at;
}

static bool
normalise_stretch(struct slice s, utf8proc_option_t options, struct buf *out)
{
	utf8proc_int32_t cps[STRETCH_MAX / 3 * EXPANSION + 4];
	utf8proc_ssize_t cap = (utf8proc_ssize_t)(sizeof cps / sizeof cps[0]) - 1;
	utf8proc_ssize_t n = utf8proc_decompose(s.ptr, (utf8proc_ssize_t)s.len, cps, cap, options);

	if (n < 0 || n > cap)
		return false;
	n = utf8proc_reencode(cps, n, options);
	if (n < 0)
		return false;
	if ((size_t)n > buf_room(out)) {
		buf_append_slice(out, text_cut(slice_of(cps, (size_t)n), buf_room(out)));
		out->failed = true;
		return false;
	}
	return buf_append(out, cps, (size_t)n);
}

static bool
normalise(struct slice s, utf8proc_option_t options, struct buf *out)
{
	while (s.len > 0) {
		size_t n = stretch_length(s);

		if (!normalise_stretch(slice_sub(s, 0, n), options, out))
			return false;
		s = slice_sub(s, n, s.len);
	}
	return true;
}

bool
text_nfc(struct slice s, struct buf *out)
{
	size_t before = out->len;

	if (!text_utf8_valid(s))
		return false;
	if (text_is_ascii(s))
		return buf_append_slice(out, s);
	if (normalise(s, NFC_OPTIONS, out))
		return true;
	out->len = before;
	return false;
}

static bool
fold_ascii(struct slice s, struct buf *out)
{
	struct slice fits = slice_sub(s, 0, buf_room(out));
	uint8_t *dst = buf_reserve(out, fits.len);

	if (dst == NULL)
		return false;
	for (size_t i = 0; i < fits.len; i++)
		dst[i] = ascii_lower(fits.ptr[i]);
	buf_commit(out, fits.len);
	if (fits.len < s.len)
		out->failed = true;
	return fits.len == s.len;
}

static bool
fold(struct slice s, utf8proc_option_t options, struct buf *out)
{
	struct buf fixed;
	bool ok;

	if (s.len == 0)
		return true;
	if (text_is_ascii(s))
		return fold_ascii(s, out);
	if (text_utf8_valid(s))
		return normalise(s, options, out);
	buf_init(&fixed, s.len * 3);
	ok = text_utf8_repair(s, &fixed) && normalise(buf_slice(&fixed), options, out);
	buf_fini(&fixed);
	return ok;
}

bool
text_casefold(struct slice s, struct buf *out)
{
	return fold(s, FOLD_OPTIONS, out);
}

/* Two that are one to those who search, in folded text. Of some characters of JIS there are two in
 * Unicode, and each converter has its own: what one system types, another's mail does not have; the
 * wave dash is in every second timetable. The dotless i has the same capital as i [RFC 5051 s2].
 * None is shorter than what takes its place. */
static const struct same {
	char from[4], to[4];
} same[] = {
	{ "\xe3\x80\x9c", "~" },             /* U+301C; U+FF5E folds to it */
	{ "\xe2\x88\x92", "-" },             /* U+2212; U+FF0D folds to it */
	{ "\xe2\x80\x95", "\xe2\x80\x94" }, /* U+2015, U+2014 */
	{ "\xe2\x88\xa5", "\xe2\x80\x96" }, /* U+2225, U+2016 */
	{ "\xc4\xb1", "i" },                 /* U+0131 */
};

static const struct same *
find_same(struct slice s)
{
	if (s.ptr[0] < 0xc4 || s.ptr[0] > 0xe3)
		return NULL;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		if (slice_starts(s, slice_str(same[i].from)))
			return &same[i];
	return NULL;
}

/* In place, from an offset that stands between characters. */
static void
unify(struct buf *text, size_t from)
{
	size_t to = from;

	for (size_t i = from; i < text->len;) {
		const struct same *as = find_same(slice_sub(buf_slice(text), i, text->len));
		size_t n;

		if (as == NULL) {
			text->ptr[to++] = text->ptr[i++];
			continue;
		}
		n = strlen(as->to);
		memcpy(text->ptr + to, as->to, n);
		to += n;
		i += strlen(as->from);
	}
	text->len = to;
}

bool
text_searchfold(struct slice s, struct buf *out)
{
	size_t before = out->len;
	bool ok = fold(s, SEARCH_OPTIONS, out);

	if (!text_is_ascii(s))
		unify(out, before);
	return ok;
}

const char *
text_unicode(void)
{
	return utf8proc_version();
}
