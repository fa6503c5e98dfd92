/* rfc2047 - see rfc2047.h.
 *
 * Every part of an encoded-word ends at the next '?', so a failed try looks at no byte that the
 * next try but two does not pass: linear without a length limit. Decoded bytes wait in `run` until
 * a word of another charset or other text follows.
 */
#include "lib/rfc2047.h"

#include "lib/charset.h"
#include "lib/transfer.h"

struct encoded_word {
	struct slice charset;   /* without the language of RFC 2231 s5 */
	uint8_t      encoding;  /* 'b' or 'q' */
	struct slice text;
	size_t       len;       /* of the whole word */
};

/* Up to the next '?', which must be there. */
static bool
take_field(struct slice s, size_t *at, struct slice *out)
{
	size_t n = slice_find_byte(slice_sub(s, *at, s.len), '?');

	if (*at + n >= s.len)
		return false;
	*out = slice_sub(s, *at, *at + n);
	*at += n + 1;
	return true;
}

static bool
has_blank(struct slice s)
{
	return slice_find_byte(s, ' ') < s.len || slice_find_byte(s, '\t') < s.len;
}

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" [RFC 2047 s2] */
static bool
parse_word(struct slice s, struct encoded_word *w)
{
	struct slice encoding;
	size_t at = 2;

	if (!take_field(s, &at, &w->charset) || w->charset.len == 0 || has_blank(w->charset))
		return false;
	if (!take_field(s, &at, &encoding) || encoding.len != 1)
		return false;
	if (!take_field(s, &at, &w->text) || at >= s.len || s.ptr[at] != '=')
		return false;
	w->charset = slice_sub(w->charset, 0, slice_find_byte(w->charset, '*'));
	w->encoding = ascii_lower(encoding.ptr[0]);
	w->len = at + 1;
	return w->encoding == 'b' || w->encoding == 'q';
}

/* The "Q" encoding [RFC 2047 s4.2] */
static void
decode_q(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		int high = i + 2 < s.len ? ascii_hex_value(s.ptr[i + 1]) : -1;
		int low = i + 2 < s.len ? ascii_hex_value(s.ptr[i + 2]) : -1;

		if (s.ptr[i] == '=' && high >= 0 && low >= 0) {
			buf_append_byte(out, (uint8_t)(high << 4 | low));
			i += 2;
		} else {
			buf_append_byte(out, s.ptr[i] == '_' ? ' ' : s.ptr[i]);
		}
	}
}

static void
decode_b(struct slice s, struct buf *out)
{
	struct transfer_decoder d;

	transfer_decode_init(&d, TRANSFER_BASE64);
	transfer_decode(&d, s, out);
	transfer_decode_finish(&d, out);
}

struct decoding {
	struct buf  *out;
	struct buf   run;       /* bytes of adjacent words of one charset */
	struct slice charset;   /* of the run */
	bool         open;      /* a word was read last, there is a run */
};

static void
close_run(struct decoding *d)
{
	if (d->open)
		charset_to_utf8(d->charset, buf_slice(&d->run), d->out);
	if (d->run.failed)
		d->out->failed = true;
	buf_reset(&d->run);
	d->open = false;
}

static void
add_word(struct decoding *d, const struct encoded_word *w)
{
	if (d->open && !slice_eq_nocase(d->charset, w->charset))
		close_run(d);
	d->charset = w->charset;
	d->open = true;
	if (w->encoding == 'b')
		decode_b(w->text, &d->run);
	else
		decode_q(w->text, &d->run);
}

/* Offset of the next valid word at or behind `at`, or in.len. */
static size_t
find_word(struct slice in, size_t at, struct encoded_word *w)
{
	while (at < in.len) {
		at += slice_find_byte(slice_sub(in, at, in.len), '=');
		if (at + 1 < in.len && in.ptr[at + 1] == '?' &&
		    parse_word(slice_sub(in, at, in.len), w))
			return at;
		at++;
	}
	return in.len;
}

bool
rfc2047_decode(struct slice in, struct buf *out)
{
	struct decoding d = { .out = out };
	struct encoded_word w;
	size_t at = 0;

	buf_init(&d.run, in.len + 4);
	while (at < in.len && !out->failed) {
		size_t word = find_word(in, at, &w);
		struct slice text = slice_sub(in, at, word);
		bool between = d.open && word < in.len && slice_trim(text).len == 0;

		if (text.len > 0 && !between) {
			close_run(&d);
			charset_to_utf8(SLICE_NONE, text, out);
		}
		at = word;
		if (word < in.len) {
			add_word(&d, &w);
			at += w.len;
		}
	}
	close_run(&d);
	buf_fini(&d.run);
	return !out->failed;
}
