/* mime_body - BODY out of BODYSTRUCTURE [RFC 9051 s7.5.2, s9]. See mime.h.
 *
 * The bytes come from our own index, so a mistake in them is damage, not an attack; still every step is bounded:
 * nesting by DEPTH_MAX, work by the length.
 */
#include "lib/mime.h"

#define DEPTH_MAX 110u          /* lists within lists: two a level of MIME_DEPTH_MAX and some for parameters */

struct walk {
	struct slice in;
	size_t       at;
	struct buf  *out;
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

static bool
copy_value(struct walk *w)
{
	size_t from = w->at;

	return skip_value(w) && buf_append_slice(w->out, slice_sub(w->in, from, w->at));
}

static bool
copy_values(struct walk *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!copy_byte(w, ' ') || !copy_value(w))
			return false;
	return true;
}

/* The extension data up to the end of this list, left out. */
static bool
drop_extension(struct walk *w)
{
	while (skip_byte(w, ' '))
		if (!skip_value(w))
			return false;
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
	if (!copy_values(w, 5))
		return false;
	if (slice_eq_nocase(media, SLICE("\"message\" \"rfc822\"")) || slice_eq_nocase(media, SLICE("\"message\" \"global\""))) {
		if (!copy_values(w, 1) || !copy_byte(w, ' ') || !copy_body(w, depth) || !copy_values(w, 1))
			return false;
	} else if (slice_starts_nocase(media, SLICE("\"text\" "))) {
		if (!copy_values(w, 1))
			return false;
	}
	return drop_extension(w);
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
	return copy_values(w, 1) && drop_extension(w);
}

bool
mime_body_from_bodystructure(struct slice bodystructure, struct buf *out)
{
	struct walk w = { bodystructure, 0, out };

	return copy_body(&w, DEPTH_MAX) && w.at == w.in.len && !out->failed;
}
