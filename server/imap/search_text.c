/* search_text - looking for text in headers and bodies, a bounded piece at a time.
 *
 * Both sides are UTF-8 after NFKC case folding and search_unify. A body's transfer encoding and
 * charset are undone; pieces are cut behind a line end, where no character of any mail charset is
 * split and ISO-2022-JP is back in ASCII, and the end of one piece is kept in front of the next,
 * so that what is looked for is found across the cut. HTML is searched as it is written.
 */
#include "server/imap/search.h"

#include <assert.h>

#include "lib/charset.h"
#include "lib/header.h"
#include "lib/rfc2231.h"
#include "lib/text.h"

#define PIECE        65536u             /* octets read at once */
#define PENDING_MAX  (4 * PIECE)        /* a line longer than this is cut anywhere */
#define UTF8_MAX     (4 * PENDING_MAX)
#define HAY_MAX      (2 * UTF8_MAX)
#define HEADER_MAX   (1u << 20)         /* octets of one header that are looked at */
#define OVERLAP_MAX  (32 * SEARCH_TEXT_MAX)

void
search_text_init(struct search_text *t)
{
	*t = (struct search_text){ .part = 0 };
	buf_init(&t->raw, HEADER_MAX);
	buf_init(&t->pending, PENDING_MAX + 2 * PIECE);
	buf_init(&t->utf8, UTF8_MAX);
	buf_init(&t->hay, HAY_MAX + OVERLAP_MAX);
}

void
search_text_fini(struct search_text *t)
{
	buf_fini(&t->raw);
	buf_fini(&t->pending);
	buf_fini(&t->utf8);
	buf_fini(&t->hay);
}

void
search_text_begin(struct search_text *t)
{
	t->part = 0;
	t->in_body = false;
	t->at = 0;
}

/* Characters that converters take for each other, as one of JIS stands in two places of Unicode:
 * what one system types, another's mail does not have. The wave dash is in every second timetable.
 * In place, from an offset that stands between characters. */
void
search_unify(struct buf *text, size_t from)
{
	static const struct {
		char same[4], as[4];
	} pairs[] = {
		{ "\xe3\x80\x9c", "~" },                /* U+301C; U+FF5E folds to it */
		{ "\xe2\x88\x92", "-" },                /* U+2212; U+FF0D folds to it */
		{ "\xe2\x80\x95", "\xe2\x80\x94" },    /* U+2015, U+2014 */
		{ "\xe2\x88\xa5", "\xe2\x80\x96" },    /* U+2225, U+2016 */
	};
	size_t to = from;

	for (size_t i = from; i < text->len;) {
		const char *as = NULL;
		size_t n;

		if (text->ptr[i] >= 0xe2 && text->ptr[i] <= 0xe3 && text->len - i >= 3)
			for (size_t k = 0; k < sizeof pairs / sizeof pairs[0] && as == NULL; k++)
				as = memcmp(text->ptr + i, pairs[k].same, 3) == 0 ? pairs[k].as : NULL;
		if (as == NULL) {
			text->ptr[to++] = text->ptr[i++];
			continue;
		}
		n = strlen(as);
		memcpy(text->ptr + to, as, n);
		to += n;
		i += 3;
	}
	text->len = to;
}

/* Damage is logged by the volume; here it is text that does not match. */
static bool
read_range(struct imap *im, const struct message_row *row, uint64_t off, uint64_t len,
	   struct buf *out)
{
	struct err e = ERR_INIT;

	buf_reset(out);
	return len == 0 || volume_read_blob(im->volume, &row->place, off, len, out, &e) == RC_OK;
}

static bool
contains(struct slice hay, struct slice needle)
{
	return needle.len == 0 || slice_find(hay, needle) < hay.len;
}

/* ---- HEADER leaves ---- */

/* A field of that name whose decoded text has the wanted one in it; an empty one is in every
 * field. */
static bool
field_matches(struct slice block, const struct search_node *n, struct buf *text)
{
	struct header_field field;

	while (header_next(&block, &field)) {
		if (!slice_eq_nocase(field.name, n->name))
			continue;
		buf_reset(text);
		header_decode_text(field.value, text);
		search_unify(text, 0);
		if (contains(buf_slice(text), n->text))
			return true;
	}
	return false;
}

void
search_headers(struct imap *im, struct search_program *p, const struct message_row *row,
               const struct mime_summary *s)
{
	uint64_t len = s->header_len < HEADER_MAX ? s->header_len : HEADER_MAX;
	struct buf block, text;
	bool ok;

	buf_init(&block, HEADER_MAX);
	buf_init(&text, HEADER_MAX);
	ok = read_range(im, row, 0, len, &block);
	for (uint16_t i = 0; i < p->count; i++)
		if (p->nodes[i].key == SEARCH_HEADER)
			p->nodes[i].truth = ok && field_matches(buf_slice(&block), &p->nodes[i], &text)
			                  ? SEARCH_TRUE : SEARCH_FALSE;
	buf_fini(&block);
	buf_fini(&text);
}

/* ---- BODY and TEXT leaves ---- */

static void
mark_found(struct search_program *p, struct slice hay, bool for_body)
{
	for (uint16_t i = 0; i < p->count; i++) {
		struct search_node *n = &p->nodes[i];
		bool wanted = n->key == SEARCH_TEXT || (n->key == SEARCH_BODY && for_body);

		if (wanted && n->truth == SEARCH_UNKNOWN && contains(hay, n->text))
			n->truth = SEARCH_TRUE;
	}
}

/* The longest text that is still looked for. */
static size_t
overlap(const struct search_program *p)
{
	size_t n = 0;

	for (uint16_t i = 0; i < p->count; i++)
		if ((p->nodes[i].key == SEARCH_TEXT || p->nodes[i].key == SEARCH_BODY)
		    && p->nodes[i].text.len > n)
			n = p->nodes[i].text.len;
	return n > 0 ? n - 1 : 0;
}

/* The charset parameter of the part's Content-Type; empty if there is none. */
static void
find_charset(struct search_text *t, struct slice block)
{
	struct header_field field;
	struct param_list list;
	const struct param *charset = NULL;
	struct slice rest;
	struct buf value;

	t->charset = SLICE_NONE;
	if (!header_find(block, SLICE("Content-Type"), &field))
		return;
	buf_init(&value, 1024);
	param_list_init(&list);
	if (param_take_value(field.value, &value, &rest) && param_list_parse(&list, rest))
		charset = param_find(&list, SLICE("charset"));
	if (charset != NULL && charset->value.len <= sizeof t->charset_text) {
		memcpy(t->charset_text, charset->value.ptr, charset->value.len);
		t->charset = slice_of(t->charset_text, charset->value.len);
	}
	param_list_fini(&list);
	buf_fini(&value);
}

/* All fields, decoded: "name: text" in lines. */
static void
decode_fields(struct slice block, struct buf *out)
{
	struct header_field field;

	while (header_next(&block, &field)) {
		text_casefold(field.name, out);
		buf_append_str(out, ": ");
		header_decode_text(field.value, out);
		buf_append_byte(out, '\n');
	}
}

/* A part's header. That of an embedded message is body text of the message around it. */
static void
search_part_header(struct imap *im, struct search_program *p, struct search_text *t,
		   const struct message_row *row, const struct mime_part *part)
{
	uint64_t len = part->header_len < HEADER_MAX ? part->header_len : HEADER_MAX;
	bool embedded = t->part > 0 && (part->flags & MIME_PART_ROOT) != 0;

	t->charset = SLICE_NONE;
	if (!read_range(im, row, part->header_off, len, &t->raw))
		return;
	find_charset(t, buf_slice(&t->raw));
	buf_reset(&t->hay);
	decode_fields(buf_slice(&t->raw), &t->hay);
	search_unify(&t->hay, 0);
	mark_found(p, buf_slice(&t->hay), embedded);
	buf_reset(&t->hay);
}

/* How much of `pending` can be converted now. */
static size_t
convertible(const struct buf *pending, bool end)
{
	size_t n = pending->len;

	if (end)
		return n;
	while (n > 0 && pending->ptr[n - 1] != '\n')
		n--;
	return n == 0 && pending->len >= PENDING_MAX ? pending->len : n;
}

/* Convert, fold and look at the first n octets of `pending`; keep the end of what was looked at. */
static void
search_decoded(struct search_program *p, struct search_text *t, size_t n)
{
	size_t keep = overlap(p), before = t->hay.len;

	buf_reset(&t->utf8);
	charset_to_utf8(t->charset, slice_of(t->pending.ptr, n), &t->utf8);
	buf_consume(&t->pending, n);
	text_casefold(buf_slice(&t->utf8), &t->hay);
	search_unify(&t->hay, before);
	mark_found(p, buf_slice(&t->hay), true);
	if (t->hay.len > keep)
		buf_consume(&t->hay, t->hay.len - keep);
	t->hay.failed = false;
}

/* The next piece of a text part's body; true at its end. */
static bool
search_part_body(struct imap *im, struct search_program *p, struct search_text *t,
		 const struct message_row *row, const struct mime_part *part)
{
	uint64_t n = part->body_len - t->at < PIECE ? part->body_len - t->at : PIECE;
	bool end = t->at + n == part->body_len;
	size_t ready;

	if (t->at == 0) {
		transfer_decode_init(&t->decoder, part->encoding);
		buf_reset(&t->pending);
		buf_reset(&t->hay);
	}
	if (!read_range(im, row, part->body_off + t->at, n, &t->raw))
		return true;
	transfer_decode(&t->decoder, buf_slice(&t->raw), &t->pending);
	if (end)
		transfer_decode_finish(&t->decoder, &t->pending);
	t->at += n;
	ready = convertible(&t->pending, end);
	if (ready > 0)
		search_decoded(p, t, ready);
	return end;
}

bool
search_text_next(struct imap *im, struct search_program *p, struct search_text *t,
		 const struct message_row *row, const struct mime_summary *s)
{
	const struct mime_part *part;

	if (t->part == s->nparts)
		return false;
	part = &s->parts[t->part];
	if (!t->in_body) {
		search_part_header(im, p, t, row, part);
		t->in_body = true;
		t->at = 0;
		if (part->kind == MIME_TEXT)
			return true;
	} else if (!search_part_body(im, p, t, row, part)) {
		return true;
	}
	t->in_body = false;
	t->part++;
	return true;
}
