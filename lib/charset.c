/* charset - see charset.h.
 *
 * Only charsets that mail uses reach iconv: its library knows some hundred more, with a history of
 * faults that mail from strangers should not meet. ISO-2022-JP is rewritten as EUC-JP-MS first (a
 * fixed shift of its bytes), since glibc's own converter lacks the NEC row and the half-width kana
 * that real mail has.
 */
#include "lib/charset.h"

#include "lib/text.h"

#include <errno.h>
#include <iconv.h>

#define NAME_MAX_LEN 40u

enum family {
	FAMILY_UNKNOWN,         /* guess */
	FAMILY_UTF8,
	FAMILY_JIS,             /* ISO-2022-JP and its kin */
	FAMILY_ICONV,
};

struct label {
	const char *name;       /* lower case */
	const char *iconv;
};

/* Labels whose meaning in mail is wider than their name, and aliases that iconv lacks. */
static const struct label labels[] = {
	{ "shift_jis", "CP932" }, { "shift-jis", "CP932" }, { "sjis", "CP932" },
	{ "x-sjis", "CP932" },
	{ "windows-31j", "CP932" }, { "ms_kanji", "CP932" }, { "cp932", "CP932" },
	{ "euc-jp", "EUC-JP-MS" }, { "eucjp", "EUC-JP-MS" }, { "x-euc-jp", "EUC-JP-MS" },
	{ "gb2312", "GB18030" }, { "gb_2312-80", "GB18030" }, { "gbk", "GB18030" },
	{ "x-gbk", "GB18030" },
	{ "euc-cn", "GB18030" }, { "cp936", "GB18030" },
	{ "ks_c_5601-1987", "CP949" }, { "ks_c_5601", "CP949" }, { "ksc5601", "CP949" },
	{ "euc-kr", "CP949" },
	{ "big5", "BIG5-HKSCS" }, { "x-big5", "BIG5-HKSCS" }, { "cn-big5", "BIG5-HKSCS" },
	{ "iso-8859-1", "CP1252" }, { "iso8859-1", "CP1252" }, { "latin1", "CP1252" },
	{ "iso_8859-1", "CP1252" },
	{ "iso-8859-8-i", "ISO-8859-8" }, { "iso-8859-6-i", "ISO-8859-6" },
	{ "iso-8859-11", "CP874" }, { "tis-620", "CP874" }, { "windows-874", "CP874" },
	{ "unicode-1-1-utf-7", "UTF-7" }, { "macintosh", "MACINTOSH" },
	{ "x-mac-roman", "MACINTOSH" },
	{ "hz-gb-2312", "" },
};

/* What else may go to iconv under its own name. */
static const char *const allowed_prefixes[] = {
	"windows-", "cp", "iso-8859-", "iso8859-", "iso_8859-", "iso-2022-kr", "iso-2022-cn",
	"koi8-", "euc-tw", "big5-hkscs",
	"gb18030", "utf-7", "utf-16", "utf-32", "viscii", "tcvn", "armscii", "georgian-ps", "johab",
	"ibm8",
};

/* iconv's name for a lower-case label, or NULL. */
static const char *
iconv_name(const char *label)
{
	for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
		if (strcmp(label, labels[i].name) == 0)
			return labels[i].iconv[0] != '\0' ? labels[i].iconv : NULL;
	for (size_t i = 0; i < sizeof allowed_prefixes / sizeof allowed_prefixes[0]; i++)
		if (strncmp(label, allowed_prefixes[i], strlen(allowed_prefixes[i])) == 0)
			return label;
	return NULL;
}

/* Lower case into `label`; false if it cannot be the name of a charset ('/' would be an
 * instruction to iconv). */
static bool
label_of(struct slice charset, char label[NAME_MAX_LEN + 1])
{
	charset = slice_trim(charset);
	if (charset.len == 0 || charset.len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < charset.len; i++) {
		uint8_t c = ascii_lower(charset.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
		label[i] = (char)c;
	}
	label[charset.len] = '\0';
	return true;
}

/* *name is filled for FAMILY_ICONV and points to a constant or into label. */
static enum family
family_of(struct slice charset, char label[NAME_MAX_LEN + 1], const char **name)
{
	if (!label_of(charset, label))
		return FAMILY_UNKNOWN;
	if (strcmp(label, "utf-8") == 0 || strcmp(label, "utf8") == 0)
		return FAMILY_UTF8;
	if (strncmp(label, "iso-2022-jp", 11) == 0 || strcmp(label, "csiso2022jp") == 0)
		return FAMILY_JIS;
	*name = iconv_name(label);
	return *name != NULL ? FAMILY_ICONV : FAMILY_UNKNOWN;
}

/* Convert all of `in`; U+FFFD for each byte that cannot be. Returns how many could not, or SIZE_MAX
 * if iconv does not know the charset (then nothing was appended). */
static size_t
convert(const char *name, struct slice in, struct buf *out)
{
	iconv_t cd = iconv_open("UTF-8", name);
	char *src = (char *)(uintptr_t)in.ptr;
	size_t left = in.len, bad = 0;

	if (cd == (iconv_t)-1)
		return SIZE_MAX;
	while (left > 0 && !out->failed) {
		size_t room = buf_room(out) < left * 2 + 16 ? buf_room(out) : left * 2 + 16;
		char *dst = (char *)buf_reserve(out, room);
		size_t space = room, before = left;

		if (dst == NULL)
			break;
		if (iconv(cd, &src, &left, &dst, &space) != (size_t)-1) {
			iconv(cd, NULL, NULL, &dst, &space);    /* some hold a character back */
			buf_commit(out, room - space);
			break;
		}
		buf_commit(out, room - space);
		if (errno == E2BIG && (left < before || space < room) && buf_room(out) >= 16)
			continue;
		if (errno == E2BIG) {
			out->failed = true;
		} else {
			text_utf8_append(out, 0xfffd);
			bad++;
			src++;
			left--;
		}
	}
	iconv_close(cd);
	return bad;
}

static bool
has_escape(struct slice s)
{
	for (size_t i = 0; i + 2 < s.len; i++)
		if (s.ptr[i] == 0x1b && (s.ptr[i + 1] == '$' || s.ptr[i + 1] == '('))
			return true;
	return false;
}

enum jis_set { JIS_ASCII, JIS_0208, JIS_0212, JIS_KANA };

/* An escape sequence at s [RFC 1468, RFC 1554]; its length, or 0. */
static size_t
jis_escape(struct slice s, enum jis_set *set)
{
	static const struct {
		const char  *bytes;
		enum jis_set set;
	} escapes[] = {
		{ "\x1b(B", JIS_ASCII }, { "\x1b(J", JIS_ASCII }, { "\x1b(H", JIS_ASCII },
		{ "\x1b(I", JIS_KANA },
		{ "\x1b$@", JIS_0208 }, { "\x1b$B", JIS_0208 }, { "\x1b$(@", JIS_0208 },
		{ "\x1b$(B", JIS_0208 },
		{ "\x1b$(D", JIS_0212 }, { "\x1b&@", JIS_ASCII },
	};

	for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
		if (slice_starts(s, slice_str(escapes[i].bytes))) {
			*set = escapes[i].set;
			return strlen(escapes[i].bytes);
		}
	}
	return 0;
}

static bool
is_jis_byte(uint8_t c)
{
	return c >= 0x21 && c <= 0x7e;
}

/* One character at s in the given set, to EUC-JP; the bytes it took. */
static size_t
jis_char(struct slice s, enum jis_set set, struct buf *euc)
{
	uint8_t c = s.ptr[0];

	if ((set == JIS_0208 || set == JIS_0212) && s.len > 1 && is_jis_byte(c) &&
	    is_jis_byte(s.ptr[1])) {
		if (set == JIS_0212)
			buf_append_byte(euc, 0x8f);
		buf_append_byte(euc, c | 0x80);
		buf_append_byte(euc, s.ptr[1] | 0x80);
		return 2;
	}
	if ((set == JIS_KANA && c >= 0x21 && c <= 0x5f) || (c >= 0xa1 && c <= 0xdf)) {
		buf_append_byte(euc, 0x8e);
		buf_append_byte(euc, c | 0x80);
		return 1;
	}
	buf_append_byte(euc, c);
	return 1;
}

/* Text goes back to ASCII at a line end [RFC 1468]. */
static void
jis_to_euc(struct slice in, struct buf *euc)
{
	enum jis_set set = JIS_ASCII;

	for (size_t at = 0; at < in.len;) {
		struct slice rest = slice_sub(in, at, in.len);
		size_t n = rest.ptr[0] == 0x1b ? jis_escape(rest, &set) : 0;

		if (rest.ptr[0] == '\n')
			set = JIS_ASCII;
		at += n > 0 ? n : jis_char(rest, set, euc);
	}
}

/* ---- guessing ---- */

/* More whole characters than stray bytes: UTF-8 that was cut or damaged, not another charset. */
static bool
mostly_utf8(struct slice in)
{
	size_t good = 0, bad = 0;
	uint32_t cp;

	for (size_t at = 0; at < in.len;) {
		size_t n = text_utf8_next(slice_sub(in, at, in.len), &cp);

		good += n > 1;
		bad += n == 0;
		at += n > 0 ? n : 1;
	}
	return bad == 0 || good > bad;
}

static bool
is_kana(uint32_t cp)
{
	return cp >= 0x3041 && cp <= 0x30fe;
}

/* Ideographs, punctuation, full-width and half-width forms. */
static bool
is_japanese(uint32_t cp)
{
	return is_kana(cp) || (cp >= 0x3000 && cp < 0x3041) || (cp >= 0x4e00 && cp <= 0x9fff)
	    || (cp >= 0xff01 && cp <= 0xff9f);
}

/* Western text that happens to be valid in a Japanese charset gives single ideographs among
 * letters. All that is not ASCII must be Japanese and stand in runs of two and more, and there must
 * be kana or two ideographs. */
static bool
looks_japanese(struct slice text)
{
	unsigned run = 0, shortest = 2, kana = 0, ideographs = 0;
	uint32_t cp = 0;

	for (size_t at = 0; at < text.len;
	     at += text_utf8_next(slice_sub(text, at, text.len), &cp)) {
		(void)text_utf8_next(slice_sub(text, at, text.len), &cp);
		if (cp < 0x80) {
			shortest = run > 0 && run < shortest ? run : shortest;
			run = 0;
			continue;
		}
		if (!is_japanese(cp))
			return false;
		run++;
		kana += is_kana(cp);
		ideographs += cp >= 0x4e00 && cp <= 0x9fff;
	}
	shortest = run > 0 && run < shortest ? run : shortest;
	return shortest >= 2 && (kana > 0 || ideographs >= 2);
}

/* EUC-JP, then CP932, if it is without doubt one of them. False: nothing was appended. */
static bool
guess_japanese(struct slice in, struct buf *out)
{
	static const char *const names[] = { "EUC-JP-MS", "CP932" };

	for (size_t i = 0; i < 2; i++) {
		size_t before = out->len;

		if (convert(names[i], in, out) == 0 && !out->failed
		    && looks_japanese(slice_sub(buf_slice(out), before, out->len)))
			return true;
		if (out->failed)
			return true;    /* no room; whatever it is, it does not fit */
		out->len = before;
	}
	return false;
}

/* ISO-2022-JP. 8-bit without any escape is another charset under this name. */
static bool
convert_jis(struct slice in, struct buf *out)
{
	struct buf euc;

	if (!has_escape(in)) {
		if (text_utf8_valid(in))
			return text_utf8_repair(in, out);
		if (!guess_japanese(in, out))
			convert("CP932", in, out);
		return !out->failed;
	}
	buf_init(&euc, in.len * 3);
	jis_to_euc(in, &euc);
	if (euc.failed)
		out->failed = true;
	else
		convert("EUC-JP-MS", buf_slice(&euc), out);
	buf_fini(&euc);
	return !out->failed;
}

static bool
guess(struct slice in, struct buf *out)
{
	if (has_escape(in) && text_is_ascii(in))
		return convert_jis(in, out);
	if (mostly_utf8(in))
		return text_utf8_repair(in, out);
	if (guess_japanese(in, out) || convert("CP1252", in, out) != SIZE_MAX)
		return !out->failed;
	return text_utf8_repair(in, out);
}

/* Not all of `in` was in the charset: is it another one altogether? */
static bool
label_lies(const char *name, struct slice in)
{
	struct buf try;
	bool lies = text_utf8_valid(in) || has_escape(in);

	if (lies || (strcmp(name, "CP932") != 0 && strcmp(name, "EUC-JP-MS") != 0))
		return lies;
	buf_init(&try, in.len * 3 + 16);
	lies = guess_japanese(in, &try) && !try.failed;
	buf_fini(&try);
	return lies;
}

bool
charset_to_utf8(struct slice charset, struct slice in, struct buf *out)
{
	char label[NAME_MAX_LEN + 1];
	const char *name = NULL;
	size_t before = out->len, bad;

	switch (family_of(charset, label, &name)) {
	case FAMILY_UNKNOWN:
		return guess(in, out);
	case FAMILY_UTF8:
		return text_utf8_valid(in) ? text_utf8_repair(in, out) : guess(in, out);
	case FAMILY_JIS:
		return convert_jis(in, out);
	case FAMILY_ICONV:
		break;
	}
	bad = convert(name, in, out);
	if (bad == SIZE_MAX)
		return guess(in, out);
	if (bad > 0 && !out->failed && label_lies(name, in)) {
		out->len = before;
		return guess(in, out);
	}
	return !out->failed;
}

bool
charset_known(struct slice charset)
{
	char label[NAME_MAX_LEN + 1];
	const char *name = NULL;
	iconv_t cd;

	switch (family_of(charset, label, &name)) {
	case FAMILY_UNKNOWN:
		return slice_eq_nocase(slice_trim(charset), SLICE("us-ascii"));
	case FAMILY_UTF8:
	case FAMILY_JIS:
		return true;
	case FAMILY_ICONV:
		break;
	}
	cd = iconv_open("UTF-8", name);
	if (cd == (iconv_t)-1)
		return false;
	iconv_close(cd);
	return true;
}
