/* mime_body - BODY and BODYSTRUCTURE as a session wants them, out of the stored BODYSTRUCTURE
 * [RFC 9051  s7.5.2, s9; RFC 9755 s6]. See mime.h.
 *
 * The bytes come from our own index, so a mistake in them is damage, not an attack; still every
 * step is bounded: nesting by DEPTH_MAX, work by the length.
 */
#include "lib/mime.h"

#include "lib/mime_render.h"
#include "lib/rfc2231.h"
#include "lib/text.h"

#define DEPTH_MAX  (2u * MIME_DEPTH_MAX + 10u)  /* lists within lists: two a level and some
                                                 * for parameters */
#define QUOTED_MAX 1000u                        /* longer strings stay literals: line length
                                                 * [RFC 2683 s3.2.1.5] */

#define GLOBAL     SLICE("\"message\" \"global\"")

struct walk {
	struct slice in;
	size_t       at;
	struct buf  *out;
	unsigned     forms;     /* enum mime_form bits */
};

static uint8_t
peek(const struct walk *w)
{
	return w->at < w->in.len ? w->in.ptr[w->at] : 0;
}

static bool
skip_byte(struct walk *w, uint8_t c)
{
	if (peek(w) != c || w->at >= w->in.len)
		return false;
	w->at++;
	return true;
}

static bool
copy_byte(struct walk *w, uint8_t c)
{
	return skip_byte(w, c) && buf_append_byte(w->out, c);
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE */
static bool
skip_quoted(struct walk *w)
{
	for (w->at++; w->at < w->in.len; w->at++) {
		if (w->in.ptr[w->at] == '\\')
			w->at++;
		else if (w->in.ptr[w->at] == '"')
			return skip_byte(w, '"');
	}
	return false;
}

/* literal = "{" number "}" CRLF *CHAR8 */
static bool
skip_literal(struct walk *w)
{
	size_t digits = slice_find_byte(slice_sub(w->in, w->at, w->in.len), '}');
	uint64_t n;

	if (w->at + digits >= w->in.len
	    || !slice_to_u64(slice_sub(w->in, w->at + 1, w->at + digits), MIME_SUMMARY_MAX, &n))
		return false;
	w->at += digits + 1;
	if (!skip_byte(w, '\r') || !skip_byte(w, '\n') || n > w->in.len - w->at)
		return false;
	w->at += n;
	return true;
}

/* One value that is no list: quoted, literal, number or NIL. */
static bool
skip_scalar(struct walk *w)
{
	size_t from = w->at;

	if (peek(w) == '"')
		return skip_quoted(w);
	if (peek(w) == '{')
		return skip_literal(w);
	while (peek(w) > ' ' && memchr("()\"{", peek(w), 4) == NULL)
		w->at++;
	return w->at > from;
}

/* One value or list with all that is in it. */
static bool
skip_value(struct walk *w)
{
	size_t depth = 0;

	do {
		if (skip_byte(w, '(')) {
			depth++;
		} else if (depth > 0 && skip_byte(w, ')')) {
			depth--;
		} else if (depth == 0 || !skip_byte(w, ' ')) {
			if (!skip_scalar(w))
				return false;
		}
	} while (depth > 0);
	return true;
}

/* --- UTF-8 in quoted strings --- */

static bool
fits_utf8_quoted(struct slice s)
{
	return s.len <= QUOTED_MAX && text_utf8_valid(s) && slice_find_byte(s, 0) == s.len
	       && slice_find_byte(s, '\r') == s.len && slice_find_byte(s, '\n') == s.len;
}

/* A literal, quoted if it may be. */
static bool
copy_literal(struct walk *w)
{
	size_t from = w->at;
	struct slice whole, text;

	if (!skip_literal(w))
		return false;
	whole = slice_sub(w->in, from, w->at);
	text = slice_sub(whole, slice_find_byte(whole, '\n') + 1, whole.len);
	if (fits_utf8_quoted(text))
		mime_render_quoted(w->out, text);
	else
		buf_append_slice(w->out, whole);
	return !w->out->failed;
}

bool
mime_quote_utf8(struct slice in, struct buf *out)
{
	struct walk w = { .in = in, .out = out };

	while (w.at < in.len) {
		size_t from = w.at;

		while (w.at < in.len && in.ptr[w.at] != '"' && in.ptr[w.at] != '{')
			w.at++;
		if (peek(&w) == '"' && !skip_quoted(&w))
			return false;
		buf_append_slice(out, slice_sub(in, from, w.at));
		if (peek(&w) == '{' && !copy_literal(&w))
			return false;
	}
	return !out->failed;
}

/* --- bodies --- */

static bool
copy_value(struct walk *w)
{
	size_t from = w->at;
	struct slice value;

	if (!skip_value(w))
		return false;
	value = slice_sub(w->in, from, w->at);
	if ((w->forms & MIME_FORM_UTF8) != 0)
		return mime_quote_utf8(value, w->out);
	return buf_append_slice(w->out, value);
}

static bool
copy_values(struct walk *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!copy_byte(w, ' ') || !copy_value(w))
			return false;
	return true;
}

static bool
skip_values(struct walk *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!skip_byte(w, ' ') || !skip_value(w))
			return false;
	return true;
}

/* --- parameters --- */

/* The content of a string as written. */
static bool
take_string(struct slice wire, struct buf *out)
{
	if (wire.len > 0 && wire.ptr[0] == '{')
		return buf_append_slice(out,
		                        slice_sub(wire, slice_find_byte(wire, '\n') + 1, wire.len));
	for (size_t i = 1; i + 1 < wire.len; i++) {
		if (wire.ptr[i] == '\\')
			i++;
		buf_append_byte(out, wire.ptr[i]);
	}
	return !out->failed;
}

/* The value of an extended parameter as UTF-8: its charset and percent signs undone. */
static bool
append_decoded(struct walk *w, struct slice wire)
{
	struct param p = { .name = SLICE("*") };
	struct buf raw, text;
	bool ok;

	buf_init(&raw, wire.len);
	buf_init(&text, 4 * wire.len + 16);
	ok = take_string(wire, &raw);
	p.value = buf_slice(&raw);
	ok = ok && param_decode(&p, &text);
	if (ok && fits_utf8_quoted(buf_slice(&text)))
		mime_render_quoted(w->out, buf_slice(&text));
	else if (ok)
		mime_render_nstring(w->out, text.len > 0 ? buf_slice(&text) : SLICE(""));
	buf_fini(&raw);
	buf_fini(&text);
	return ok && !w->out->failed;
}

/* string SP string; of an extended parameter the name ends in "*". */
static bool
copy_param(struct walk *w)
{
	size_t from = w->at;
	struct slice name, value;

	if (!copy_value(w) || !copy_byte(w, ' '))
		return false;
	name = slice_sub(w->in, from, w->at - 1);
	if (!slice_ends_nocase(name, SLICE("*\"")))
		return copy_value(w);
	from = w->at;
	if (!skip_scalar(w))
		return false;
	value = slice_sub(w->in, from, w->at);
	return append_decoded(w, value);
}

/* body-fld-param; "convert to UTF-8, concatenate, and return the resulting value as a parameter
 * foo*" [RFC 9051 s7.5.2] */
static bool
copy_params(struct walk *w)
{
	if ((w->forms & MIME_FORM_DECODED) == 0 || peek(w) != '(')
		return copy_value(w);
	w->at++;
	buf_append_byte(w->out, '(');
	do {
		if (!copy_param(w))
			return false;
	} while (copy_byte(w, ' '));
	return copy_byte(w, ')');
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static bool
copy_disposition(struct walk *w)
{
	if (!copy_byte(w, '('))
		return copy_value(w);
	return copy_value(w) && copy_byte(w, ' ') && copy_params(w) && copy_byte(w, ')');
}

/* The extension data up to the end of this list; BODY has none. Of a multipart parameters come
 * first, of others MD5; then both have the disposition. */
static bool
end_body(struct walk *w, bool multipart)
{
	bool (*const copy[])(struct walk *) = { multipart ? copy_params : copy_value,
	                                        copy_disposition };

	for (size_t i = 0; peek(w) == ' '; i++) {
		if ((w->forms & MIME_FORM_BODY) != 0) {
			if (!skip_values(w, 1))
				return false;
		} else if (!copy_byte(w, ' ') || !(i < 2 ? copy[i](w) : copy_value(w))) {
			return false;
		}
	}
	return copy_byte(w, ')');
}

static bool copy_body(struct walk *w, size_t depth);

/* body-type-1part: seven fields, then by type envelope, body and lines, or lines [RFC 9051 s9] */
static bool
copy_single(struct walk *w, size_t depth)
{
	size_t from = w->at;
	struct slice media;

	if (!copy_value(w) || !copy_values(w, 1))
		return false;
	media = slice_sub(w->in, from, w->at);
	if (!copy_byte(w, ' ') || !copy_params(w) || !copy_values(w, 4))
		return false;
	if (slice_eq_nocase(media, GLOBAL) && (w->forms & MIME_FORM_FLAT_GLOBAL) != 0) {
		if (!skip_values(w, 3))
			return false;
	} else if (slice_eq_nocase(media, SLICE("\"message\" \"rfc822\"")) ||
	           slice_eq_nocase(media, GLOBAL)) {
		if (!copy_values(w, 1) || !copy_byte(w, ' ') || !copy_body(w, depth) ||
		    !copy_values(w, 1))
			return false;
	} else if (slice_starts_nocase(media, SLICE("\"text\" "))) {
		if (!copy_values(w, 1))
			return false;
	}
	return end_body(w, false);
}

/* body = "(" (body-type-1part / body-type-mpart) ")" [RFC 9051 s9] */
static bool
copy_body(struct walk *w, size_t depth)
{
	if (depth == 0 || !copy_byte(w, '('))
		return false;
	if (peek(w) != '(')
		return copy_single(w, depth - 1);
	while (peek(w) == '(')
		if (!copy_body(w, depth - 1))
			return false;
	return copy_values(w, 1) && end_body(w, true);
}

bool
mime_render_structure(struct slice bodystructure, unsigned forms, struct buf *out)
{
	struct walk w = { bodystructure, 0, out, forms };

	return copy_body(&w, DEPTH_MAX) && w.at == w.in.len && !out->failed;
}

bool
mime_has_global(struct slice bodystructure)
{
	return slice_find_nocase(bodystructure, GLOBAL) < bodystructure.len;
}
