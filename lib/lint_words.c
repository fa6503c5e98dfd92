/* lint_words - encoded-words: are they well made, and where they may be? [RFC 2047]
 *
 * Text is looked at word by word, a word being what stands between blanks (in a phrase also: quoted
 * strings and comments, which are left out). Of a word that holds "=?" the parts are judged; each
 * byte is looked at a fixed number of times, as a word is judged at its first "=?" only.
 */
#include "lib/lint_impl.h"

#include "lib/charset.h"
#include "lib/rfc2047.h"
#include "lib/text.h"

#include <string.h>

#define WORD_MAX      75u               /* [RFC 2047 s2] */
#define WORD_LINE_MAX 76u

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" */
struct encoded {
	struct slice all, charset, text;
	uint8_t      encoding;          /* 'q' or 'b' */
};

/* Up to the next '?' in s from *at on. */
static bool
take_field(struct slice s, size_t *at, struct slice *out)
{
	size_t n = slice_find_byte(slice_sub(s, *at, s.len), '?');

	*out = slice_sub(s, *at, *at + n);
	*at += n + 1;
	return *at <= s.len;
}

/* s begins with "=?". */
static bool
parse_encoded(struct slice s, struct encoded *w)
{
	struct slice encoding;
	size_t at = 2;

	if (!take_field(s, &at, &w->charset) || !take_field(s, &at, &encoding) ||
	    !take_field(s, &at, &w->text))
		return false;
	if (at >= s.len || s.ptr[at] != '=' || w->charset.len == 0 || encoding.len != 1)
		return false;
	w->all = slice_sub(s, 0, at + 1);
	/* language [RFC 2231 s5] */
	w->charset = slice_sub(w->charset, 0, slice_find_byte(w->charset, '*'));
	w->encoding = ascii_lower(encoding.ptr[0]);
	return w->encoding == 'q' || w->encoding == 'b';
}

/* ---- one word ---- */

static bool
is_q_text(uint8_t c, enum lint_word_place place)
{
	switch (place) {
	case LINT_WORDS_TEXT:
		return c > ' ' && c < 0x7f && c != '?';
	case LINT_WORDS_COMMENT:
		return c > ' ' && c < 0x7f && strchr("?()\"\\", c) == NULL;
	case LINT_WORDS_PHRASE:         /* [RFC 2047 s5 (3)] */
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c != 0 && strchr("!*+-/=_", c) != NULL);
	}
	return false;
}

static const char *
judge_q(struct slice text, enum lint_word_place place)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!is_q_text(text.ptr[i], place))
			return "a byte that must be encoded";
		if (text.ptr[i] != '=')
			continue;
		if (i + 2 >= text.len || ascii_hex_value(text.ptr[i + 1]) < 0 ||
		    ascii_hex_value(text.ptr[i + 2]) < 0)
			return "\"=\" without two hexadecimal digits";
		i += 2;
	}
	return NULL;
}

static const char *
judge_b(struct slice text)
{
	struct transfer_decoder d;
	struct buf out;
	bool ok;

	transfer_decode_init(&d, TRANSFER_BASE64);
	buf_init(&out, text.len + 8);
	transfer_decode(&d, text, &out);
	ok = transfer_decode_finish(&d, &out) && text.len % 4 == 0;
	buf_fini(&out);
	return ok ? NULL : "text that is no base64";
}

/* Each word must hold whole characters [RFC 2047 s5]; UTF-8 shows whether it does. */
static bool
splits_character(const struct encoded *w)
{
	struct buf out;
	struct transfer_decoder d;
	bool split = false;

	if (!slice_eq_nocase(w->charset, SLICE("utf-8")))
		return false;
	buf_init(&out, w->text.len + 8);
	transfer_decode_init(&d, w->encoding == 'b' ? TRANSFER_BASE64 : TRANSFER_QP);
	transfer_decode(&d, w->text, &out);
	transfer_decode_finish(&d, &out);
	split = !out.failed && !text_utf8_valid(buf_slice(&out));
	buf_fini(&out);
	return split;
}

static void
judge_word(struct lint *l, const struct encoded *w, enum lint_word_place place)
{
	const char *why = w->encoding == 'q' ? judge_q(w->text, place) : judge_b(w->text);
	struct lint_shown shown;

	if (w->all.len > WORD_MAX)
		lint_report_at(l, w->all.ptr, LINT_WORD_LONG,
		               "an encoded-word of %llu bytes; no more than %u are allowed",
		               (unsigned long long)w->all.len, WORD_MAX);
	if (!charset_known(w->charset))
		lint_report_at(l, w->charset.ptr, LINT_WORD_CHARSET,
		               "an encoded-word in an unknown charset: %s",
		               lint_show(&shown, w->charset));
	if (why != NULL)
		lint_report_at(l, w->all.ptr, LINT_WORD_TEXT, "an encoded-word with %s: %s", why,
		               lint_show(&shown, w->all));
	else if (splits_character(w))
		lint_report_at(l, w->all.ptr, LINT_WORD_SPLIT,
		               "an encoded-word that ends within a character: %s",
		               lint_show(&shown, w->all));
}

/* "=?" and a charset: what follows was meant to be an encoded-word. "1+1=?" was not. */
static bool
is_meant(struct slice s)
{
	size_t at = 2;

	while (at < s.len && s.ptr[at] > ' ' && s.ptr[at] < 0x7f &&
	       strchr("()<>@,;:\"/[]?.=", s.ptr[at]) == NULL)
		at++;
	return at > 2 && at < s.len && s.ptr[at] == '?';
}

/* A word between blanks that holds "=?" at `at`. */
static void
judge_token(struct lint *l, struct slice token, size_t at, enum lint_word_place place)
{
	struct encoded w;
	struct lint_shown shown;

	if (!parse_encoded(slice_sub(token, at, token.len), &w)) {
		if (!is_meant(slice_sub(token, at, token.len)))
			return;
		lint_report_at(l, token.ptr, LINT_WORD_SYNTAX,
		               "begins like an encoded-word, but is none: %s",
		               lint_show(&shown, token));
		return;
	}
	if (at > 0 || w.all.len < token.len)
		lint_report_at(l, token.ptr, LINT_WORD_SEPARATOR,
		               "an encoded-word not set apart by blanks: %s",
		               lint_show(&shown, token));
	judge_word(l, &w, place);
}

/* ---- text ---- */

static size_t
skip_quoted(struct slice s, size_t at)
{
	for (at++; at < s.len && s.ptr[at] != '"'; at++)
		at += s.ptr[at] == '\\';
	return at < s.len ? at + 1 : s.len;
}

static size_t
skip_comment(struct slice s, size_t at)
{
	size_t depth = 0;

	for (; at < s.len; at++) {
		depth += s.ptr[at] == '(';
		depth -= s.ptr[at] == ')' && depth > 0;
		at += s.ptr[at] == '\\';
		if (depth == 0)
			break;
	}
	return at < s.len ? at + 1 : s.len;
}

/* The next token from *at on. False: the end. */
static bool
next_token(struct slice s, size_t *at, bool phrase, struct slice *out)
{
	size_t from;

	for (;;) {
		while (*at < s.len && lint_is_blank(s.ptr[*at]))
			(*at)++;
		if (phrase && *at < s.len && s.ptr[*at] == '"')
			*at = skip_quoted(s, *at);
		else if (phrase && *at < s.len && s.ptr[*at] == '(')
			*at = skip_comment(s, *at);
		else
			break;
	}
	from = *at;
	while (*at < s.len && !lint_is_blank(s.ptr[*at]) &&
	       !(phrase && (s.ptr[*at] == '"' || s.ptr[*at] == '(')))
		(*at)++;
	*out = slice_sub(s, from, *at);
	return out->len > 0;
}

void
lint_words(struct lint *l, struct slice text, enum lint_word_place place)
{
	struct slice token;
	size_t at = 0;

	while (next_token(text, &at, place == LINT_WORDS_PHRASE, &token)) {
		size_t word = slice_find(token, SLICE("=?"));

		if (word < token.len)
			judge_token(l, token, word, place);
	}
}

void
lint_no_words(struct lint *l, struct slice text, enum lint_code code)
{
	struct lint_shown shown;
	struct encoded w;
	size_t at = 0;

	while (at < text.len) {
		at += slice_find(slice_sub(text, at, text.len), SLICE("=?"));
		if (at >= text.len)
			return;
		if (parse_encoded(slice_sub(text, at, text.len), &w)) {
			lint_report_at(l, text.ptr + at, code,
			               "an encoded-word where none may be: %s",
			               lint_show(&shown, w.all));
			at += w.all.len;
		} else {
			at += 2;
		}
	}
}
