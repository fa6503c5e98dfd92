/* preview - see preview.h.
 *
 * Lines matter for quotes and signatures only; what is kept of them is one flow of words. A message
 * that begins with PGP armour has no words for anybody but its reader, and an empty preview.
 */
#include "lib/preview.h"

#include "lib/text.h"

struct flow {
	struct buf *out;
	unsigned    chars;
	bool        space;      /* white space came since the last character */
};

static bool
is_space(uint32_t cp)
{
	return cp == ' ' || (cp >= '\t' && cp <= '\r') || cp == 0x85 || cp == 0xa0 ||
	       cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
	       cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

/* Controls, U+FFFD of what could not be read, and what newsletters fill their previews with. The
 * zero width joiner stays: families of emoji hang on it. */
static bool
is_unseen(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0xad || cp == 0x34f || cp == 0x61c ||
	       cp == 0x115f || cp == 0x1160 || cp == 0x17b4 || cp == 0x17b5 || cp == 0x180e ||
	       cp == 0x200b || cp == 0x200c || cp == 0x200e || cp == 0x200f ||
	       (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x2069) || cp == 0x3164 ||
	       cp == 0xfeff || cp == 0xfffd;
}

/* False: the preview is full. */
static bool
add_char(struct flow *f, struct slice utf8, uint32_t cp)
{
	if (is_space(cp)) {
		f->space = true;
		return true;
	}
	if (is_unseen(cp))
		return true;
	if (f->space && f->chars > 0) {
		if (f->chars + 2 > PREVIEW_CHARS)
			return false;
		buf_append_byte(f->out, ' ');
		f->chars++;
	}
	if (f->chars == PREVIEW_CHARS)
		return false;
	f->space = false;
	f->chars++;
	return buf_append_slice(f->out, utf8);
}

static bool
add_line(struct flow *f, struct slice line)
{
	while (line.len > 0) {
		uint32_t cp;
		size_t n = text_utf8_next(line, &cp);

		if (n > 0 && !add_char(f, slice_sub(line, 0, n), cp))
			return false;
		line = slice_sub(line, n > 0 ? n : 1, line.len);
	}
	f->space = true;
	return true;
}

static struct slice
take_line(struct slice *text)
{
	size_t n = slice_find_byte(*text, '\n');
	struct slice line = slice_sub(*text, 0, n);

	*text = slice_sub(*text, n + 1, text->len);
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

static bool
is_signature(struct slice line)
{
	return slice_eq(line, SLICE("-- "));
}

/* ASCII armour [RFC 9580 s6.2]; a signed text's own line is no text either, but what follows is. */
static bool
is_armour(struct slice line)
{
	return slice_starts(line, SLICE("-----BEGIN PGP ")) &&
	       !slice_starts(line, SLICE("-----BEGIN PGP SIGNED"));
}

static bool
is_armour_header(struct slice line)
{
	return slice_starts(line, SLICE("-----BEGIN PGP SIGNED")) ||
	       slice_starts(line, SLICE("Hash: "));
}

/* What a line is to be left out for, or ends the text for. */
enum line {
	LINE_TEXT,
	LINE_SKIP,
	LINE_STOP,
};

static enum line
judge_line(const struct flow *f, struct slice line, bool quotes)
{
	if (is_armour(line) || (f->chars > 0 && is_signature(line)))
		return LINE_STOP;
	if ((line.len > 0 && line.ptr[0] == '>' && !quotes) ||
	    (f->chars == 0 && is_armour_header(line)))
		return LINE_SKIP;
	return LINE_TEXT;
}

static bool
make(struct slice text, bool quotes, struct buf *out)
{
	struct flow f = { .out = out };

	while (text.len > 0) {
		struct slice line = take_line(&text);
		enum line what = judge_line(&f, line, quotes);

		if (what == LINE_STOP)
			return true;
		if (what == LINE_TEXT && !add_line(&f, line))
			return true;
	}
	return false;
}

bool
preview_make(struct slice text, struct buf *out)
{
	bool full = make(text, false, out);

	return out->len > 0 || full ? full : make(text, true, out);
}
