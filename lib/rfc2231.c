/* rfc2231 - see rfc2231.h.
 *
 * All text that can come out (names, values, joined values) is at most four times the input, so one
 * reservation made before parsing holds it and slices into it stay valid. The number of parameters
 * is limited, which bounds the joining of pieces that stand in the worst order.
 */
#include "lib/rfc2231.h"

#include "lib/charset.h"
#include "lib/rfc2047.h"

/* A parameter as it stands in the field. */
struct raw_param {
	struct slice name;      /* all of it */
	struct slice base;      /* without "*0" and "*" */
	struct slice value;
	long         index;     /* of the piece, -1 for none */
	bool         extended;
	bool         used;
};

struct raw_list {
	struct raw_param items[PARAM_MAX];
	size_t           n;
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void
param_list_init(struct param_list *l)
{
	l->n = 0;
	l->cut = false;
	buf_init(&l->text, 0);
}

void
param_list_fini(struct param_list *l)
{
	buf_fini(&l->text);
	l->n = 0;
}

/* Blanks and comments [RFC 5322 s3.2.2] at `at`; returns the offset behind them. */
static size_t
skip_cfws(struct slice in, size_t at)
{
	size_t depth = 0;

	for (; at < in.len; at++) {
		uint8_t c = in.ptr[at];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			at++;
		else if (depth == 0 && !is_blank(c))
			break;
	}
	return at < in.len ? at : in.len;
}

static struct slice
added(const struct buf *b, size_t from)
{
	return slice_of(b->ptr + from, b->len - from);
}

/* quoted-string at `at`, which is the quote, unescaped into the text; *end is behind it. */
static struct slice
take_quoted(struct slice in, size_t at, struct buf *text, size_t *end)
{
	size_t from = text->len;

	for (at++; at < in.len && in.ptr[at] != '"'; at++) {
		if (in.ptr[at] == '\\' && at + 1 < in.len)
			at++;
		if (in.ptr[at] != '\r' && in.ptr[at] != '\n')
			buf_append_byte(text, in.ptr[at]);
	}
	*end = at < in.len ? at + 1 : in.len;
	return added(text, from);
}

/* A value without quotes: up to ';' or a comment. Blanks within are kept, mailers forget to
 * quote file names. */
static struct slice
take_plain(struct slice in, size_t at, struct buf *text, size_t *end)
{
	size_t from = text->len;

	for (; at < in.len && in.ptr[at] != ';'; at++) {
		if (in.ptr[at] == '(' && text->len > from && is_blank(text->ptr[text->len - 1]))
			break;
		if (in.ptr[at] != '\r' && in.ptr[at] != '\n')
			buf_append_byte(text, in.ptr[at]);
	}
	*end = at;
	return slice_trim(added(text, from));
}

/* section = initial-section / other-sections, then "*" when extended [RFC 2231 s7] */
static void
split_name(struct raw_param *p)
{
	size_t star;
	uint64_t v;

	p->index = -1;
	p->base = p->name;
	p->extended = p->name.len > 1 && p->name.ptr[p->name.len - 1] == '*';
	if (p->extended)
		p->base.len--;
	star = slice_find_byte(p->base, '*');
	if (star == 0 || star >= p->base.len)
		return;
	if (!slice_to_u64(slice_sub(p->base, star + 1, p->base.len), 99999, &v))
		return;
	p->index = (long)v;
	p->base.len = star;
}

/* attribute "=" value at `at`; a name without '=' gives none. Returns where the next
 * ';' may stand. */
static size_t
take_param(struct slice in, size_t at, struct buf *text, struct raw_param *p, bool *found)
{
	size_t from = at, name = text->len;

	while (at < in.len && !is_blank(in.ptr[at]) && memchr("=;(", in.ptr[at], 3) == NULL)
		at++;
	buf_append(text, in.ptr + from, at - from);
	p->name = added(text, name);
	at = skip_cfws(in, at);
	*found = p->name.len > 0 && at < in.len && in.ptr[at] == '=';
	if (!*found)
		return at;
	at = skip_cfws(in, at + 1);
	p->used = false;
	if (at < in.len && in.ptr[at] == '"')
		p->value = take_quoted(in, at, text, &at);
	else
		p->value = take_plain(in, at, text, &at);
	split_name(p);
	return at;
}

/* *(";" parameter); *cut when there are more than we take. */
static void
take_params(struct slice in, struct buf *text, struct raw_list *l, bool *cut)
{
	size_t at = 0;
	bool found;

	while (at < in.len) {
		at += slice_find_byte(slice_sub(in, at, in.len), ';');
		at = skip_cfws(in, at < in.len ? at + 1 : at);
		if (at >= in.len)
			break;
		if (l->n == PARAM_MAX) {
			*cut = true;
			break;
		}
		at = take_param(in, at, text, &l->items[l->n], &found);
		l->n += found;
	}
}

static struct raw_param *
find_piece(struct raw_list *l, struct slice base, long index)
{
	for (size_t i = 0; i < l->n; i++)
		if (!l->items[i].used && l->items[i].index == index &&
		    slice_eq_nocase(l->items[i].base, base))
			return &l->items[i];
	return NULL;
}

/* A piece that is not extended among such that are: what could be misread is percent-encoded. */
static void
append_percent(struct buf *text, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c > ' ' && c < 0x7f && memchr("%*'", c, 3) == NULL)
			buf_append_byte(text, c);
		else
			buf_printf(text, "%%%02X", c);
	}
}

/* Join the pieces of p's parameter, of which p is number 0 [RFC 2231 s3, s4.1]. */
static void
join_pieces(struct raw_list *l, struct raw_param *p, struct param_list *out)
{
	struct raw_param *pieces[PARAM_MAX];
	size_t n = 0, name = out->text.len, value;
	bool extended = false;

	for (struct raw_param *q = p; q != NULL && n < PARAM_MAX;
	     q = find_piece(l, p->base, (long)n)) {
		q->used = true;
		extended = extended || q->extended;
		pieces[n++] = q;
	}
	buf_append_slice(&out->text, p->base);
	if (extended)
		buf_append_byte(&out->text, '*');
	value = out->text.len;
	if (extended && !p->extended)
		buf_append_str(&out->text, "''");
	for (size_t i = 0; i < n; i++) {
		if (extended && !pieces[i]->extended)
			append_percent(&out->text, pieces[i]->value);
		else
			buf_append_slice(&out->text, pieces[i]->value);
	}
	out->items[out->n++] = (struct param){
		slice_of(out->text.ptr + name, value - name), added(&out->text, value),
	};
}

bool
param_list_parse(struct param_list *l, struct slice in)
{
	struct raw_list raw;

	raw.n = 0;
	param_list_fini(l);
	l->cut = false;
	buf_init(&l->text, in.len * 4 + PARAM_MAX * 4);
	if (in.len == 0)
		return true;
	if (buf_reserve(&l->text, l->text.max) == NULL)
		return false;
	take_params(in, &l->text, &raw, &l->cut);
	for (size_t i = 0; i < raw.n; i++) {
		struct raw_param *p = &raw.items[i];

		if (p->used)
			continue;
		if (p->index == 0)
			join_pieces(&raw, p, l);
		else if (p->index < 0 || find_piece(&raw, p->base, 0) == NULL)
			l->items[l->n++] = (struct param){ p->name, p->value };
	}
	return !l->text.failed;
}

const struct param *
param_find(const struct param_list *l, struct slice name)
{
	const struct param *plain = NULL;

	for (size_t i = 0; i < l->n; i++) {
		struct slice n = l->items[i].name;

		if (n.len == name.len + 1 && n.ptr[name.len] == '*'
		    && slice_eq_nocase(slice_sub(n, 0, name.len), name))
			return &l->items[i];
		if (plain == NULL && slice_eq_nocase(n, name))
			plain = &l->items[i];
	}
	return plain;
}

/* extended-value = charset "'" [language] "'" extended-other-values [RFC 2231 s7] */
static bool
decode_extended(struct slice v, struct buf *out)
{
	struct slice charset = slice_sub(v, 0, slice_find_byte(v, '\'')), text = v;
	struct buf bytes;
	bool ok;

	if (charset.len < v.len) {
		text = slice_sub(v, charset.len + 1, v.len);
		text = slice_sub(text, slice_find_byte(text, '\'') + 1, text.len);
	} else {
		charset = SLICE_NONE;
	}
	buf_init(&bytes, text.len);
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len ? ascii_hex_value(text.ptr[i + 1]) : -1;
		int low = i + 2 < text.len ? ascii_hex_value(text.ptr[i + 2]) : -1;

		if (text.ptr[i] == '%' && high >= 0 && low >= 0) {
			buf_append_byte(&bytes, (uint8_t)(high << 4 | low));
			i += 2;
		} else {
			buf_append_byte(&bytes, text.ptr[i]);
		}
	}
	ok = !bytes.failed && charset_to_utf8(charset, buf_slice(&bytes), out);
	buf_fini(&bytes);
	return ok;
}

bool
param_decode(const struct param *p, struct buf *out)
{
	if (p->name.len > 0 && p->name.ptr[p->name.len - 1] == '*')
		return decode_extended(p->value, out);
	return rfc2047_decode(p->value, out);
}

bool
param_take_value(struct slice in, struct buf *out, struct slice *rest)
{
	size_t at = skip_cfws(in, 0);

	while (at < in.len && in.ptr[at] != ';') {
		buf_append_byte(out, in.ptr[at]);
		at = skip_cfws(in, at + 1);
	}
	*rest = slice_sub(in, at, in.len);
	return !out->failed;
}
