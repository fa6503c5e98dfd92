/* lint_mime - the fields of MIME: versions, types, encodings, and their parameters
 * [RFC 2045, 2046, 2183, 2231].
 *
 * Parameters are compared with each other, so only the first PARAMS_MAX of a field are remembered.
 */
#include "lib/lint_impl.h"

#include "lib/charset.h"

#include <string.h>

#define PARAMS_MAX     100u
#define BOUNDARY_CHARS 70u              /* [RFC 2046 s5.1.1] */

struct parameter {
	struct slice name;      /* all of it */
	struct slice base;      /* without "*0" and "*" */
	struct slice value;     /* between its quotes, if there are any; escapes as written */
	long         piece;     /* [RFC 2231 s3]; -1: none */
	bool         extended;  /* [RFC 2231 s4] */
	bool         quoted;
};

struct parameters {
	struct parameter items[PARAMS_MAX];
	size_t           n;
};

/* ---- one parameter ---- */

static bool
bad_parameter(struct lint_cursor *c, const uint8_t *where, const char *why)
{
	struct lint_shown shown;
	size_t at = (size_t)(where - c->in.ptr);

	lint_report_at(c->l, where, LINT_BAD_PARAMETER, "%s: %s", why,
	               lint_show(&shown, slice_trim(slice_sub(c->in, at, c->in.len))));
	return false;
}

/* section and extension mark [RFC 2231 s7] */
static void
split_name(struct parameter *p)
{
	size_t star;
	uint64_t piece;

	p->base = p->name;
	p->piece = -1;
	p->extended = p->base.len > 1 && p->base.ptr[p->base.len - 1] == '*';
	p->base.len -= p->extended;
	star = slice_find_byte(p->base, '*');
	if (star < p->base.len &&
	    slice_to_u64(slice_sub(p->base, star + 1, p->base.len), 99999, &piece)) {
		p->piece = (long)piece;
		p->base.len = star;
	}
}

static bool
take_value(struct lint_cursor *c, struct parameter *p)
{
	size_t from = c->at;

	p->quoted = lint_peek(c) == '"';
	if (p->quoted) {
		if (!lint_take_quoted(c, &p->value))
			return false;
		lint_no_words(c->l, p->value, LINT_WORD_PARAMETER);
		return true;
	}
	if (lint_take_run(c, lint_is_token, &p->value) &&
	    (lint_at_end(c) || lint_is_blank(lint_peek(c)) || lint_peek(c) == ';' ||
	     lint_peek(c) == '('))
		return true;
	return bad_parameter(c, c->in.ptr + from, "a value that must stand in quotes");
}

/* attribute "=" value */
static bool
take_parameter(struct lint_cursor *c, struct parameter *p)
{
	size_t from = c->at;
	bool blanks;

	if (!lint_take_run(c, lint_is_token, &p->name))
		return bad_parameter(c, c->in.ptr + from, "no parameter behind \";\"");
	split_name(p);
	blanks = lint_skip_cfws(c);
	if (!lint_take_byte(c, '='))
		return bad_parameter(c, c->in.ptr + from, "a parameter without \"=\"");
	blanks = lint_skip_cfws(c) || blanks;
	if (blanks)
		lint_report_at(c->l, p->name.ptr, LINT_OBSOLETE,
		               "blanks or comments around the \"=\" of a parameter");
	return take_value(c, p);
}

/* extended-initial-value = charset "'" language "'" percent-encoded text [RFC 2231 s7] */
static void
check_extended(struct lint_cursor *c, const struct parameter *p)
{
	size_t quotes = 0;
	const char *why = p->quoted ? "an extended value may not be quoted" : NULL;

	for (size_t i = 0; i < p->value.len && why == NULL; i++) {
		const uint8_t *b = p->value.ptr + i;

		quotes += *b == '\'';
		if (*b == '%' && (i + 2 >= p->value.len || ascii_hex_value(b[1]) < 0 ||
		                  ascii_hex_value(b[2]) < 0))
			why = "\"%\" without two hexadecimal digits";
	}
	if (why == NULL && p->piece <= 0 && quotes != 2)
		why = "an extended value must begin with charset'language'";
	if (why != NULL)
		lint_report_at(c->l, p->name.ptr, LINT_PARAMETER_PIECES, "%s", why);
}

/* ---- all of them ---- */

static void
check_piece(struct lint_cursor *c, const struct parameters *all, const struct parameter *p)
{
	struct lint_shown shown;

	if (p->piece <= 0)
		return;
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].piece == p->piece - 1 &&
		    slice_eq_nocase(all->items[i].base, p->base))
			return;
	lint_report_at(c->l, p->name.ptr, LINT_PARAMETER_PIECES,
	    "piece %ld of a parameter is missing: %s", p->piece - 1, lint_show(&shown, p->base));
}

static void
check_duplicate(struct lint_cursor *c, const struct parameters *all, size_t k)
{
	const struct parameter *p = &all->items[k];
	struct lint_shown shown;

	for (size_t i = 0; i < k; i++) {
		const struct parameter *o = &all->items[i];
		bool same_kind = p->piece >= 0 || p->extended == o->extended;

		if (o->piece != p->piece || !same_kind || !slice_eq_nocase(o->base, p->base))
			continue;
		lint_report_at(c->l, p->name.ptr, LINT_DUPLICATE_PARAMETER,
		               "the parameter %s again", lint_show(&shown, p->name));
		return;
	}
}

/* *(";" parameter) to the end. */
static void
take_parameters(struct lint_cursor *c, struct parameters *all)
{
	struct parameter one;

	all->n = 0;
	for (lint_skip_cfws(c); !lint_at_end(c); lint_skip_cfws(c)) {
		const uint8_t *here = lint_here(c);
		bool good;

		if (!lint_take_byte(c, ';')) {
			bad_parameter(c, here, "no \";\" before");
			if (!lint_skip_to(c, ';'))
				break;
		}
		lint_skip_cfws(c);
		good = take_parameter(c, &one);
		if (good && all->n < PARAMS_MAX)
			all->items[all->n++] = one;
		else if (good)
			lint_report_at(c->l, here, LINT_LIMIT,
			    "more than %u parameters: the rest is not looked at", PARAMS_MAX);
		if (good && one.extended)
			check_extended(c, &one);
		if (!good && !lint_skip_to(c, ';'))
			break;
		c->at -= !good;         /* the next round wants the ";" */
	}
	for (size_t i = 0; i < all->n; i++) {
		check_duplicate(c, all, i);
		check_piece(c, all, &all->items[i]);
	}
}

static const struct parameter *
find_parameter(const struct parameters *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].piece < 0 && !all->items[i].extended &&
		    slice_eq_nocase(all->items[i].base, slice_str(name)))
			return &all->items[i];
	return NULL;
}

/* ---- Content-Type ---- */

/* boundary = 0*69<bchars> bcharsnospace [RFC 2046 s5.1.1] */
static void
take_boundary(struct lint_cursor *c, const struct parameter *p)
{
	struct buf *out = &c->l->header.boundary;
	bool told = false;

	for (size_t i = 0; i < p->value.len; i++) {
		uint8_t b = p->value.ptr[i];

		if (p->quoted && b == '\\' && i + 1 < p->value.len)
			b = p->value.ptr[++i];
		if (b == '\r' || b == '\n')
			continue;
		buf_append_byte(out, b);
		if (!told &&
		    !((b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
		      (b != 0 && strchr("'()+_,-./:=? ", b) != NULL))) {
			told = true;
			lint_report_at(c->l, p->value.ptr + i, LINT_BOUNDARY_CHARS,
			               "byte 0x%02x in a boundary", b);
		}
	}
	c->l->nomem = c->l->nomem || out->failed;
	if (out->len > 0 && out->ptr[out->len - 1] == ' ')
		lint_report_at(c->l, p->value.ptr, LINT_BOUNDARY_CHARS,
		               "a boundary that ends with a blank");
	if (out->len > BOUNDARY_CHARS)
		lint_report_at(c->l, p->value.ptr, LINT_BOUNDARY_LONG,
		               "a boundary of %llu bytes; no more than %u are allowed",
		               (unsigned long long)out->len, BOUNDARY_CHARS);
}

static void
take_charset(struct lint_cursor *c, const struct parameter *p)
{
	struct lint_header *h = &c->l->header;
	struct lint_shown shown;

	h->charset_given = true;
	h->charset_ascii = slice_eq_nocase(p->value, SLICE("us-ascii"));
	if (!charset_known(p->value))
		lint_report_at(c->l, p->value.ptr, LINT_UNKNOWN_CHARSET, "an unknown charset: %s",
		               lint_show(&shown, p->value));
}

static void
note_type(struct lint_header *h, struct slice type, struct slice subtype)
{
	bool message = slice_eq_nocase(type, SLICE("message"));
	bool rfc822 = message && slice_eq_nocase(subtype, SLICE("rfc822"));

	h->multipart = slice_eq_nocase(type, SLICE("multipart"));
	h->text = slice_eq_nocase(type, SLICE("text"));
	h->makes_digest = h->multipart && slice_eq_nocase(subtype, SLICE("digest"));
	h->embeds = rfc822 || (message && slice_eq_nocase(subtype, SLICE("global")));
	h->composite = h->multipart || rfc822 ||
	    (message && (slice_eq_nocase(subtype, SLICE("partial")) ||
		slice_eq_nocase(subtype, SLICE("external-body"))));
}

/* content = "Content-Type" ":" type "/" subtype *(";" parameter) */
void
lint_content_type(struct lint_cursor *c)
{
	struct lint_header *h = &c->l->header;
	struct slice type = SLICE_NONE, subtype = SLICE_NONE;
	struct parameters all;
	const struct parameter *p;
	struct lint_shown shown;
	bool good;

	if (h->type_seen)
		return;                 /* the first counts */
	h->type_seen = true;
	lint_skip_cfws(c);
	good = lint_take_run(c, lint_is_token, &type);
	lint_skip_cfws(c);
	good = good && lint_take_byte(c, '/');
	lint_skip_cfws(c);
	good = good && lint_take_run(c, lint_is_token, &subtype);
	if (!good) {
		lint_report_at(c->l, c->in.ptr, LINT_BAD_CONTENT_TYPE, "not type \"/\" subtype: %s",
		               lint_show(&shown, c->in));
		h->text = true;         /* text/plain then [RFC 2045 s5.2] */
		return;
	}
	note_type(h, type, subtype);
	take_parameters(c, &all);
	p = find_parameter(&all, "boundary");
	if (p != NULL && h->multipart)
		take_boundary(c, p);
	p = find_parameter(&all, "charset");
	if (p != NULL && h->text)
		take_charset(c, p);
}

/* ---- the others ---- */

/* disposition = "Content-Disposition" ":" disposition-type *(";" disposition-parm) [RFC 2183 s2] */
void
lint_disposition(struct lint_cursor *c)
{
	struct parameters all;
	struct slice type;
	struct lint_shown shown;

	lint_skip_cfws(c);
	if (lint_take_run(c, lint_is_token, &type))
		take_parameters(c, &all);
	else
		lint_report_at(c->l, c->in.ptr, LINT_BAD_DISPOSITION, "no disposition: %s",
		               lint_show(&shown, c->in));
}

/* encoding = "Content-Transfer-Encoding" ":" mechanism [RFC 2045 s6.1] */
void
lint_encoding(struct lint_cursor *c)
{
	struct lint_header *h = &c->l->header;
	struct slice mechanism;
	struct lint_shown shown;

	lint_skip_cfws(c);
	if (!lint_take_run(c, lint_is_token, &mechanism))
		mechanism = SLICE_NONE;
	lint_skip_cfws(c);
	if (h->seen[LINT_F_ENCODING] != c->l->field_line)
		return;                 /* the first counts */
	h->encoding = mechanism.len > 0 ? transfer_encoding_of(mechanism) : TRANSFER_UNKNOWN;
	if (h->encoding == TRANSFER_UNKNOWN || !lint_at_end(c)) {
		lint_report_at(c->l, c->in.ptr, LINT_UNKNOWN_ENCODING, "an unknown encoding: %s",
		               lint_show(&shown, c->in));
		h->encoding = TRANSFER_UNKNOWN;
	}
}

/* version = "MIME-Version" ":" 1*DIGIT "." 1*DIGIT [RFC 2045 s4] */
void
lint_mime_version(struct lint_cursor *c)
{
	struct lint_shown shown;
	bool good;

	lint_skip_cfws(c);
	good = lint_take_byte(c, '1');
	lint_skip_cfws(c);
	good = good && lint_take_byte(c, '.');
	lint_skip_cfws(c);
	good = good && lint_take_byte(c, '0');
	lint_skip_cfws(c);
	if (!good || !lint_at_end(c))
		lint_report_at(c->l, c->in.ptr, LINT_BAD_MIME_VERSION, "not 1.0: %s",
		               lint_show(&shown, c->in));
}
