/* mime_summary - a summary's stored form. See mime.h; doc has no page of it since only this file
 * reads it, and a reader of an unknown version parses the message anew.
 *
 * All numbers are unsigned LEB128 in their shortest form, signed ones zigzag first; a string is its
 * length and bytes:
 *
 *   version  flags  size  header_len  lines
 *   envelope  bodystructure
 *   sent_time  sent_day  subject  from  to  cc  display_from  display_to  message_id  refs
 *   nparts, then of each part:
 *     i - parent (of the first one 0)  number  next - i  kind + 4 * encoding  flags
 *     header_off - body_off of the parent (of the first one header_off) header_len body_len lines
 *
 * body_off is header_off + header_len. What a later version adds comes behind, under a higher
 * version number.
 */
#include "lib/mime.h"

#include "lib/leb128.h"

#define PARTS_LIMIT    (2u * MIME_PARTS_MAX)
#define OLDEST_VERSION 1u       /* the same form, made with tighter limits */
#define SUBJECTS_SINCE 4u       /* MIME_SUBJECTS is said */

static void
put_number(struct buf *out, uint64_t v)
{
	(void)leb128_put(out, v);
}

static void
put_signed(struct buf *out, int64_t v)
{
	put_number(out, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static void
put_string(struct buf *out, struct slice s)
{
	put_number(out, s.len);
	buf_append_slice(out, s);
}

static void
put_keys(struct buf *out, const struct mime_keys *k)
{
	put_signed(out, k->sent_time);
	put_signed(out, k->sent_day);
	put_string(out, k->subject);
	put_string(out, k->from);
	put_string(out, k->to);
	put_string(out, k->cc);
	put_string(out, k->display_from);
	put_string(out, k->display_to);
	put_string(out, k->message_id);
	put_string(out, k->refs);
}

static void
put_part(struct buf *out, const struct mime_part *parts, uint32_t i)
{
	const struct mime_part *p = &parts[i];

	put_number(out, i - p->parent);
	put_number(out, p->number);
	put_number(out, p->next - i);
	put_number(out, (uint64_t)p->kind + 4 * (uint64_t)p->encoding);
	put_number(out, p->flags);
	put_number(out, i == 0 ? p->header_off : p->header_off - parts[p->parent].body_off);
	put_number(out, p->header_len);
	put_number(out, p->body_len);
	put_number(out, p->lines);
}

bool
mime_summary_encode(const struct mime_summary *s, struct buf *out)
{
	put_number(out, s->version);
	put_number(out, s->flags);
	put_number(out, s->size);
	put_number(out, s->header_len);
	put_number(out, s->lines);
	put_string(out, s->envelope);
	put_string(out, s->bodystructure);
	put_keys(out, &s->keys);
	put_number(out, s->nparts);
	for (uint32_t i = 0; i < s->nparts; i++)
		put_part(out, s->parts, i);
	return !out->failed;
}

/* A cursor that says once that something was wrong; what is read then is 0 or empty. */
struct reader {
	struct slice in;
	size_t       at;
	bool         bad;
};

static uint64_t
get_number(struct reader *r, uint64_t max)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t c;

	do {
		if (r->bad || r->at >= r->in.len || shift > 63) {
			r->bad = true;
			return 0;
		}
		c = r->in.ptr[r->at++];
		if (shift == 63 && (c & 0x7e) != 0)
			r->bad = true;
		v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while ((c & 0x80) != 0);
	if ((c == 0 && shift > 7) || v > max)
		r->bad = true;
	return r->bad ? 0 : v;
}

static int64_t
get_signed(struct reader *r, int64_t min, int64_t max)
{
	uint64_t u = get_number(r, UINT64_MAX);
	int64_t v = (int64_t)(u >> 1) ^ ((u & 1) != 0 ? -1 : 0);

	if (v < min || v > max) {
		r->bad = true;
		return 0;
	}
	return v;
}

static struct slice
get_string(struct reader *r, size_t max)
{
	size_t len = (size_t)get_number(r, max);
	struct slice s;

	if (r->bad || len > r->in.len - r->at) {
		r->bad = true;
		return SLICE_NONE;
	}
	s = slice_sub(r->in, r->at, r->at + len);
	r->at += len;
	return s;
}

static void
get_keys(struct reader *r, struct mime_keys *k)
{
	k->sent_time = get_signed(r, INT64_MIN, INT64_MAX);
	k->sent_day = (int32_t)get_signed(r, INT32_MIN, INT32_MAX);
	k->subject = get_string(r, MIME_KEY_MAX);
	k->from = get_string(r, MIME_KEY_MAX);
	k->to = get_string(r, MIME_KEY_MAX);
	k->cc = get_string(r, MIME_KEY_MAX);
	k->display_from = get_string(r, MIME_KEY_MAX);
	k->display_to = get_string(r, MIME_KEY_MAX);
	k->message_id = get_string(r, MIME_KEY_MAX);
	k->refs = get_string(r, MIME_REFS_MAX);
}

/* A part lies within its parent, in the table and in the message; so every later use of
 * it is in bounds. */
static void
get_part(struct reader *r, const struct mime_summary *s, struct mime_part *parts, uint32_t i)
{
	struct mime_part *p = &parts[i];
	const struct mime_part *parent;
	uint64_t room, code;

	p->parent = i - (uint32_t)get_number(r, i);
	parent = &parts[p->parent];
	p->number = (uint32_t)get_number(r, PARTS_LIMIT);
	p->next = i + (uint32_t)get_number(r, (i == 0 ? s->nparts : parent->next) - i);
	code = get_number(r, 4 * (uint64_t)TRANSFER_UNKNOWN + 3);
	p->kind = (enum mime_kind)(code % 4);
	p->encoding = (enum transfer_encoding)(code / 4);
	p->flags = (uint32_t)get_number(r, MIME_PART_ENCODED_MAX);
	room = i == 0 ? s->size : parent->body_len;
	p->header_off = get_number(r, room);
	room -= p->header_off;
	p->header_off += i == 0 ? 0 : parent->body_off;
	p->header_len = get_number(r, room);
	p->body_off = p->header_off + p->header_len;
	p->body_len = get_number(r, room - p->header_len);
	p->lines = get_number(r, s->lines);
	if (p->next <= i || (i > 0 && (p->parent == i || i >= parent->next)))
		r->bad = true;
}

static void
get_head(struct reader *r, struct mime_summary *s)
{
	s->version = (uint32_t)get_number(r, UINT32_MAX);
	s->flags = (uint32_t)get_number(r, UINT32_MAX);
	s->size = get_number(r, UINT64_MAX);
	s->header_len = get_number(r, s->size);
	s->lines = get_number(r, s->size);
	s->envelope = get_string(r, MIME_SUMMARY_MAX);
	s->bodystructure = get_string(r, MIME_SUMMARY_MAX);
	if (s->version < OLDEST_VERSION || s->version > MIME_PARSER_VERSION)
		r->bad = true;
}

bool
mime_summary_decode_head(struct slice in, struct mime_summary *out)
{
	struct reader r = { .in = in };

	*out = (struct mime_summary){ 0 };
	get_head(&r, out);
	return !r.bad;
}

enum rc
mime_summary_decode(struct slice in, struct arena *a, struct mime_summary *out, struct err *e)
{
	struct reader r = { .in = in };
	struct mime_summary s = { 0 };
	struct mime_part *parts;

	get_head(&r, &s);
	get_keys(&r, &s.keys);
	s.nparts = (uint32_t)get_number(&r, PARTS_LIMIT);
	if (r.bad || s.nparts == 0)
		return err_set(e, RC_CORRUPT, "mime summary: bad head");
	parts = arena_array(a, s.nparts, sizeof *parts);
	if (parts == NULL)
		return err_nomem(e);
	for (uint32_t i = 0; i < s.nparts && !r.bad; i++)
		get_part(&r, &s, parts, i);
	if (r.bad || r.at != in.len || parts[0].next != s.nparts)
		return err_set(e, RC_CORRUPT, "mime summary: bad part table");
	s.parts = parts;
	*out = s;
	return RC_OK;
}

uint32_t
mime_summary_version(struct slice in)
{
	struct reader r = { .in = in };

	return (uint32_t)get_number(&r, UINT32_MAX);
}

/* ---- ENVELOPE ---- */

static bool
take_literal(struct slice *in, struct slice *out)
{
	size_t brace = slice_find_byte(*in, '}');
	uint64_t len;

	if (brace >= in->len || !slice_to_u64(slice_sub(*in, 1, brace), in->len, &len) ||
	    in->len - brace < 3 || len > in->len - brace - 3)
		return false;
	*out = slice_sub(*in, brace + 3, brace + 3 + (size_t)len);
	*in = slice_sub(*in, brace + 3 + (size_t)len, in->len);
	return true;
}

/* Copied only if something in it is escaped. */
static bool
take_quoted(struct slice *in, struct buf *text, struct slice *out)
{
	size_t i = 1;
	bool escaped = false;

	for (; i < in->len && in->ptr[i] != '"'; i++)
		if (in->ptr[i] == '\\') {
			escaped = true;
			i++;
		}
	if (i >= in->len)
		return false;
	*out = slice_sub(*in, 1, i);
	*in = slice_sub(*in, i + 1, in->len);
	if (!escaped)
		return true;
	buf_reset(text);
	for (i = 0; i < out->len; i++) {
		i += out->ptr[i] == '\\';
		buf_append_byte(text, out->ptr[i]);
	}
	*out = buf_slice(text);
	return !text->failed;
}

/* nstring [RFC 9051 s9], as mime_render_nstring writes it */
static bool
take_nstring(struct slice *in, struct buf *text, struct slice *out)
{
	*out = SLICE_NONE;
	if (slice_starts(*in, SLICE("NIL"))) {
		*in = slice_sub(*in, 3, in->len);
		return true;
	}
	if (slice_starts(*in, SLICE("{")))
		return take_literal(in, out);
	return slice_starts(*in, SLICE("\"")) && take_quoted(in, text, out);
}

/* A NUL stands there as another octet. */
bool
mime_summary_subject(const struct mime_summary *s, struct buf *text, struct slice *out)
{
	struct slice in = slice_sub(s->envelope, 1, s->envelope.len);

	*out = SLICE_NONE;
	if (s->version < SUBJECTS_SINCE ||
	    (s->flags & (MIME_SUBJECTS | MIME_CUT | MIME_HAS_NUL)) != 0 ||
	    !take_nstring(&in, text, out) || !slice_starts(in, SLICE(" ")))
		return false;
	in = slice_sub(in, 1, in.len);
	return take_nstring(&in, text, out);
}
