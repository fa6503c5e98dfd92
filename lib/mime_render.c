/* mime_render - see mime_render.h. Values keep the case and the encoding that they have
 * in the message. */
#include "lib/mime_render.h"

#include "lib/address.h"
#include "lib/rfc2231.h"

#define QUOTED_MAX   1000u  /* longer strings become literals: line length [RFC 2683 s3.2.1.5] */

_Static_assert(PARAM_MAX == MIME_PARAMS_MAX, "one limit, two names");

static bool
fits_quoted(struct slice s)
{
	if (s.len > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] >= 0x7f)
			return false;
	return true;
}

static void
render_literal(struct buf *out, struct slice s)
{
	uint8_t *dst;

	buf_printf(out, "{%zu}\r\n", s.len);
	dst = buf_reserve(out, s.len);
	if (dst == NULL)
		return;
	for (size_t i = 0; i < s.len; i++)
		dst[i] = s.ptr[i] != 0 ? s.ptr[i] : 0x80;
	buf_commit(out, s.len);
}

void
mime_render_quoted(struct buf *out, struct slice s)
{
	buf_append_byte(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, s.ptr[i]);
	}
	buf_append_byte(out, '"');
}

void
mime_render_nstring(struct buf *out, struct slice s)
{
	if (s.ptr == NULL) {
		buf_append_str(out, "NIL");
		return;
	}
	if (fits_quoted(s))
		mime_render_quoted(out, s);
	else
		render_literal(out, s);
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" [RFC 9051 s9] */
static void
render_address(struct buf *out, const struct address *a)
{
	bool group = a->kind == ADDRESS_GROUP_START;

	buf_append_byte(out, '(');
	mime_render_nstring(out, group ? SLICE_NONE : a->name);
	buf_append_byte(out, ' ');
	mime_render_nstring(out, a->route);
	buf_append_byte(out, ' ');
	mime_render_nstring(out, group ? a->name : a->mailbox);
	buf_append_byte(out, ' ');
	mime_render_nstring(out, a->host);
	buf_append_byte(out, ')');
}

/* env-from and its like = "(" 1*address ")" / nil [RFC 9051 s9]; at most `max` bytes. */
static void
render_addresses(struct buf *out, struct slice value, size_t max, bool *cut)
{
	struct address_iter it;
	struct address a;
	size_t start = out->len, n = 0;
	bool open = false;

	address_iter_init(&it, value);
	buf_append_byte(out, '(');
	while (address_next(&it, &a)) {
		if (out->len - start + a.name.len + a.mailbox.len + a.host.len > max) {
			*cut = true;
			break;
		}
		open = a.kind == ADDRESS_GROUP_START || (open && a.kind == ADDRESS_MAILBOX);
		render_address(out, &a);
		n++;
	}
	if (open)
		buf_append_str(out, "(NIL NIL NIL NIL)");
	if (it.failed)
		out->failed = true;
	address_iter_fini(&it);
	if (n == 0) {
		out->len = start;
		buf_append_str(out, "NIL");
	} else {
		buf_append_byte(out, ')');
	}
}

void
mime_render_envelope(const struct mime_header *h, struct buf *out, bool *cut)
{
	struct slice from = SLICE_NONE;
	size_t start, from_at = 0, from_len = 0;

	buf_append_byte(out, '(');
	mime_render_nstring(out, mime_header_get(h, MIME_FIELD_DATE));
	buf_append_byte(out, ' ');
	mime_render_nstring(out, mime_header_get(h, MIME_FIELD_SUBJECT));
	for (enum mime_field f = MIME_FIELD_FROM; f <= MIME_FIELD_BCC; f++) {
		buf_append_byte(out, ' ');
		start = out->len;
		render_addresses(out, mime_header_get(h, f),
		    f <= MIME_FIELD_REPLY_TO ? MIME_SENDERS_MAX : MIME_ADDRESSES_MAX, cut);
		if (f == MIME_FIELD_FROM) {
			from_at = start;
			from_len = out->len - start;
		} else if ((f == MIME_FIELD_SENDER || f == MIME_FIELD_REPLY_TO) &&
		           out->len - start == 3 && !out->failed &&
		           buf_reserve(out, from_len) != NULL) {
			/* taken after the reserve may have moved it */
			from = slice_of(out->ptr + from_at, from_len);
			out->len = start;
			buf_append_slice(out, from);
		}
	}
	buf_append_byte(out, ' ');
	mime_render_nstring(out, mime_header_get(h, MIME_FIELD_IN_REPLY_TO));
	buf_append_byte(out, ' ');
	mime_render_nstring(out, mime_header_get(h, MIME_FIELD_MESSAGE_ID));
	buf_append_byte(out, ')');
}

/* body-fld-param [RFC 9051 s9] */
static void
render_params(struct buf *out, const struct param_list *l)
{
	if (l->n == 0) {
		buf_append_str(out, "NIL");
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		buf_append_byte(out, i == 0 ? '(' : ' ');
		mime_render_nstring(out, l->items[i].name);
		buf_append_byte(out, ' ');
		mime_render_nstring(out, l->items[i].value.len > 0 ? l->items[i].value : SLICE(""));
	}
	buf_append_byte(out, ')');
}

/* token [RFC 2045 s5.1], 8-bit tolerated */
static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] == 0x7f ||
		    memchr("()<>@,;:\\\"/[]?=", s.ptr[i], 15) != NULL)
			return false;
	return s.len > 0;
}

/* What a Content-Type says, or the default. */
struct media {
	struct slice type, subtype;
	struct buf   text;              /* owns them */
	struct param_list params;
	bool         is_default;        /* no usable field: text/plain; charset=us-ascii */
};

/* content = "Content-Type" ":" type "/" subtype *(";" parameter) [RFC 2045 s5.1] */
static void
media_read(struct media *m, struct slice value, enum mime_default def)
{
	struct slice rest = SLICE_NONE, v;
	size_t slash;

	buf_init(&m->text, value.len + 1);
	param_list_init(&m->params);
	m->is_default = value.ptr == NULL && def == MIME_DEFAULT_TEXT;
	m->type = SLICE("message");
	m->subtype = SLICE("rfc822");
	if (value.ptr != NULL) {
		param_take_value(value, &m->text, &rest);
		v = buf_slice(&m->text);
		slash = slice_find_byte(v, '/');
		m->type = slice_sub(v, 0, slash);
		m->subtype = slice_sub(v, slash + 1, v.len);
		m->is_default = !is_token(m->type) || !is_token(m->subtype);
	}
	if (!m->is_default && !param_list_parse(&m->params, rest))
		m->text.failed = true;
	if (m->is_default) {
		m->type = SLICE("text");
		m->subtype = SLICE("plain");
		m->params.n = 1;
		m->params.items[0] = (struct param){ SLICE("charset"), SLICE("us-ascii") };
	}
}

static void
media_fini(struct media *m)
{
	param_list_fini(&m->params);
	buf_fini(&m->text);
}

static enum mime_kind
media_kind(const struct media *m)
{
	if (slice_eq_nocase(m->type, SLICE("multipart")))
		return MIME_MULTIPART;
	if (slice_eq_nocase(m->type, SLICE("text")))
		return MIME_TEXT;
	if (slice_eq_nocase(m->type, SLICE("message")) &&
	    (slice_eq_nocase(m->subtype, SLICE("rfc822")) ||
	     slice_eq_nocase(m->subtype, SLICE("global"))))
		return MIME_MESSAGE;
	return MIME_LEAF;
}

static void
media_boundary(struct media *m, struct mime_content *c)
{
	const struct param *p = param_find(&m->params, SLICE("boundary"));
	struct buf b;

	if (p == NULL)
		return;
	buf_init(&b, MIME_BOUNDARY_MAX);
	if (buf_reserve(&b, MIME_BOUNDARY_MAX) == NULL)
		m->text.failed = true;
	if (p->name.ptr[p->name.len - 1] != '*')
		buf_append_slice(&b, p->value);
	else
		param_decode(p, &b);
	while (b.len > 0 && (b.ptr[b.len - 1] == ' ' || b.ptr[b.len - 1] == '\t'))
		b.len--;
	c->cut = c->cut || b.failed;
	c->boundary_len = b.failed ? 0 : b.len;
	if (c->boundary_len > 0)
		memcpy(c->boundary, b.ptr, b.len);
	buf_fini(&b);
}

/* body-fld-enc [RFC 9051 s9] */
static void
render_encoding(struct buf *out, struct slice value, struct mime_content *c)
{
	struct slice rest, name;
	struct buf v;

	buf_init(&v, value.len);
	if (!param_take_value(value, &v, &rest))
		out->failed = true;
	name = buf_slice(&v);
	c->encoding = transfer_encoding_of(name);
	if (c->encoding != TRANSFER_UNKNOWN)
		name = slice_str(transfer_encoding_name(c->encoding));
	mime_render_nstring(out, name);
	buf_fini(&v);
}

/* body-fld-dsp [RFC 9051 s9, RFC 2183]; sets the flag of an attachment. */
static void
render_disposition(struct buf *out, struct slice value, const struct media *m,
                   struct mime_content *c)
{
	struct slice rest = SLICE_NONE;
	struct param_list params;
	struct buf v;
	bool named;

	param_list_init(&params);
	buf_init(&v, value.len + 1);
	if (value.ptr != NULL && !param_take_value(value, &v, &rest))
		out->failed = true;
	if (v.len == 0) {
		buf_append_str(out, "NIL");
	} else {
		if (!param_list_parse(&params, rest))
			out->failed = true;
		buf_append_byte(out, '(');
		mime_render_nstring(out, buf_slice(&v));
		buf_append_byte(out, ' ');
		render_params(out, &params);
		buf_append_byte(out, ')');
	}
	named = param_find(&params, SLICE("filename")) != NULL ||
	        param_find(&m->params, SLICE("name")) != NULL;
	if (slice_eq_nocase(buf_slice(&v), SLICE("attachment")) ||
	    (named && c->kind != MIME_MULTIPART &&
	     !slice_eq_nocase(buf_slice(&v), SLICE("inline"))))
		c->flags |= MIME_PART_ATTACHMENT;
	c->cut = c->cut || params.cut;
	param_list_fini(&params);
	buf_fini(&v);
}

/* body-fld-lang: a string, or a list when there are several [RFC 9051 s9, RFC 3282] */
static void
render_language(struct buf *out, struct slice value)
{
	size_t comma = slice_find_byte(value, ','), n = 0;

	if (comma >= value.len) {
		mime_render_nstring(out, value);
		return;
	}
	for (size_t at = 0; at < value.len && n < MIME_PARAMS_MAX; at += comma + 1) {
		struct slice rest = slice_sub(value, at, value.len), tag;

		comma = slice_find_byte(rest, ',');
		tag = slice_trim(slice_sub(rest, 0, comma));
		if (tag.len == 0)
			continue;
		buf_append_byte(out, n++ == 0 ? '(' : ' ');
		mime_render_nstring(out, tag);
	}
	buf_append_str(out, n == 0 ? "NIL" : ")");
}

/* body-fld-dsp SP body-fld-lang SP body-fld-loc */
static void
render_tail(const struct mime_header *h, const struct media *m, struct mime_content *c,
            struct buf *out)
{
	render_disposition(out, mime_header_get(h, MIME_FIELD_DISPOSITION), m, c);
	buf_append_byte(out, ' ');
	render_language(out, mime_header_get(h, MIME_FIELD_LANGUAGE));
	buf_append_byte(out, ' ');
	mime_render_nstring(out, mime_header_get(h, MIME_FIELD_LOCATION));
}

/* body-type-mpart behind its parts: media-subtype SP body-ext-mpart [RFC 9051 s9] */
static void
render_multipart(const struct mime_header *h, const struct media *m, struct mime_content *c,
                 struct buf *basic)
{
	mime_render_nstring(basic, m->subtype);
	buf_append_byte(basic, ' ');
	render_params(basic, &m->params);
	buf_append_byte(basic, ' ');
	render_tail(h, m, c, basic);
}

/* media-basic SP body-fields without body-fld-octets, and body-ext-1part [RFC 9051 s9] */
static void
render_single(const struct mime_header *h, const struct media *m, struct mime_content *c,
              struct buf *basic, struct buf *ext)
{
	mime_render_nstring(basic, m->type);
	buf_append_byte(basic, ' ');
	mime_render_nstring(basic, m->subtype);
	buf_append_byte(basic, ' ');
	render_params(basic, &m->params);
	buf_append_byte(basic, ' ');
	mime_render_nstring(basic, mime_header_get(h, MIME_FIELD_ID));
	buf_append_byte(basic, ' ');
	mime_render_nstring(basic, mime_header_get(h, MIME_FIELD_DESCRIPTION));
	buf_append_byte(basic, ' ');
	render_encoding(basic, mime_header_get(h, MIME_FIELD_ENCODING), c);
	mime_render_nstring(ext, mime_header_get(h, MIME_FIELD_MD5));
	buf_append_byte(ext, ' ');
	render_tail(h, m, c, ext);
}

void
mime_render_content(const struct mime_header *h, enum mime_default def, bool opaque,
                    struct mime_content *c, struct buf *basic, struct buf *ext)
{
	struct media m;

	memset(c, 0, sizeof *c);
	media_read(&m, mime_header_get(h, MIME_FIELD_TYPE), def);
	c->kind = media_kind(&m);
	c->cut = m.params.cut;
	if (opaque && (c->kind == MIME_MULTIPART || c->kind == MIME_MESSAGE)) {
		m.type = SLICE("application");
		m.subtype = SLICE("octet-stream");
		c->kind = MIME_LEAF;
		c->cut = true;
	}
	if (c->kind == MIME_TEXT && slice_eq_nocase(m.subtype, SLICE("html")))
		c->flags |= MIME_PART_HTML;
	if (c->kind == MIME_TEXT && slice_eq_nocase(m.subtype, SLICE("plain")))
		c->flags |= MIME_PART_PLAIN;
	if (c->kind == MIME_MULTIPART) {
		c->digest = slice_eq_nocase(m.subtype, SLICE("digest"));
		media_boundary(&m, c);
		render_multipart(h, &m, c, basic);
	} else {
		render_single(h, &m, c, basic, ext);
	}
	if (m.text.failed)
		basic->failed = true;
	media_fini(&m);
}
