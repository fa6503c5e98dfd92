/* search_header - looking for text in a header, a bounded piece at a time.
 *
 * A field is looked at whole, unfolded and decoded, so that an encoded-word over several lines or a
 * parameter in pieces is found. Only one that is longer than SEARCH_PENDING_MAX is cut, where it is
 * folded if it is, and the end of what was looked at is kept in front of the rest.
 *
 * Octets above 0x7f that no encoded-word holds are tried in the charset of the part's Content-Type
 * first: those who send them so mean their own.
 */
#include "server/imap/search.h"

#include "lib/address.h"
#include "lib/charset.h"
#include "lib/header.h"
#include "lib/rfc2047.h"
#include "lib/rfc2231.h"
#include "lib/text.h"

#define VALUE_MAX (8u << 20)

/* ---- Content-Type ---- */

static void
take_charset(struct search_text *t, struct slice params)
{
	struct param_list list;
	const struct param *charset = NULL;

	param_list_init(&list);
	if (param_list_parse(&list, params))
		charset = param_find(&list, SLICE("charset"));
	if (charset != NULL && charset->value.len <= sizeof t->charset_text) {
		memcpy(t->charset_text, charset->value.ptr, charset->value.len);
		t->charset = slice_of(t->charset_text, charset->value.len);
	}
	param_list_fini(&list);
}

static void
take_type(struct search_text *t, struct slice value)
{
	struct slice rest;
	struct buf type;

	buf_init(&type, 1024);
	t->typed = true;
	if (param_take_value(value, &type, &rest))
		take_charset(t, rest);
	t->is_message = slice_starts_nocase(buf_slice(&type), SLICE("message/"));
	buf_fini(&type);
}

static void
find_type(struct search_text *t, struct slice block)
{
	struct header_field field;

	if (!t->typed && header_find(block, SLICE("Content-Type"), &field))
		take_type(t, field.value);
}

/* ---- one field, or a piece of it ---- */

static bool
is_field_leaf(const struct search_node *n)
{
	return n->key == SEARCH_HEADER || n->key == SEARCH_ADDRESS;
}

static bool
asks_for(const struct search_program *p, enum search_key key, struct slice name)
{
	for (uint16_t i = 0; i < p->count; i++) {
		const struct search_node *n = &p->nodes[i];

		if (n->key == key && n->truth == SEARCH_UNKNOWN && slice_eq_nocase(n->name, name))
			return true;
	}
	return false;
}

static bool
asks_for_text(const struct search_program *p, bool in_body)
{
	for (uint16_t i = 0; i < p->count; i++)
		if (p->nodes[i].truth == SEARCH_UNKNOWN &&
		    (p->nodes[i].key == SEARCH_TEXT || (in_body && p->nodes[i].key == SEARCH_BODY)))
			return true;
	return false;
}

static void
mark_fields(struct search_program *p, struct slice name, struct slice hay, bool addresses)
{
	for (uint16_t i = 0; i < p->count; i++) {
		struct search_node *n = &p->nodes[i];
		bool asked = n->key == SEARCH_ADDRESS || (n->key == SEARCH_HEADER && !addresses);

		if (asked && n->truth == SEARCH_UNKNOWN && slice_eq_nocase(n->name, name)
		    && search_contains(hay, n->text))
			n->truth = SEARCH_TRUE;
	}
}

/* `Name <local@host>` of each, as ENVELOPE shows them: without comments, quotes and blanks. */
static void
mark_addresses(struct search_program *p, struct search_text *t, struct slice name,
	       struct slice value)
{
	struct address_iter it;
	struct address a;

	buf_reset(&t->utf8);
	address_iter_init(&it, value);
	while (address_next(&it, &a)) {
		(void)rfc2047_decode(a.name, &t->utf8);
		if (a.kind == ADDRESS_MAILBOX) {
			buf_append_str(&t->utf8, " <");
			buf_append_slice(&t->utf8, a.mailbox);
			buf_append_byte(&t->utf8, '@');
			buf_append_slice(&t->utf8, a.host);
			buf_append_byte(&t->utf8, '>');
		}
		buf_append_byte(&t->utf8, '\n');
	}
	address_iter_fini(&it);
	buf_reset(&t->shown);
	(void)text_searchfold(buf_slice(&t->utf8), &t->shown);
	mark_fields(p, name, buf_slice(&t->shown), true);
}

/* The value in UTF-8 where it has octets of the part's charset in it. */
static struct slice
labelled(struct search_text *t, struct slice value, struct buf *utf8)
{
	if (t->charset.len == 0 || text_utf8_valid(value))
		return value;
	return charset_to_utf8(t->charset, value, utf8) ? buf_slice(utf8) : value;
}

/* What is looked for in this field is the same at each search: it is remembered if it is one piece. */
static void
learn_subject(struct search_text *t, struct slice text, bool whole)
{
	t->learns = whole && !t->hay.failed && buf_append_byte(&t->subject, SUBJECT_BEGINS) &&
	            buf_append_slice(&t->subject, text);
}

/* "name: text" goes to TEXT, the text alone to HEADER. */
static void
look_at_field(struct search_program *p, struct search_text *t, struct slice name,
	      struct slice value, bool top, bool cut, bool embedded)
{
	bool learns = top && t->learns && slice_eq_nocase(name, SLICE("Subject"));
	bool named = top && (asks_for(p, SEARCH_HEADER, name) || asks_for(p, SEARCH_ADDRESS, name));
	struct buf utf8;
	size_t from = 0;
	bool ok;

	if (!named && !learns && !asks_for_text(p, embedded))
		return;
	buf_init(&utf8, VALUE_MAX);
	value = labelled(t, value, &utf8);
	if (!t->field_open) {
		buf_reset(&t->hay);
		(void)text_searchfold(name, &t->hay);
		buf_append_str(&t->hay, ": ");
		from = t->hay.len;
	}
	ok = header_decode_text(value, &t->hay);
	if (learns)
		learn_subject(t, slice_sub(buf_slice(&t->hay), from, t->hay.len),
			      ok && !cut && !t->field_open);
	search_mark(p, buf_slice(&t->hay), embedded);
	if (named) {
		mark_fields(p, name, slice_sub(buf_slice(&t->hay), from, t->hay.len), false);
		if (asks_for(p, SEARCH_ADDRESS, name))
			mark_addresses(p, t, name, value);
	}
	search_keep_end(p, &t->hay);
	buf_fini(&utf8);
}

/* ---- the pieces ---- */

/* Where the field under way ends in `pending`: at a line that does not begin with white space.
 * SIZE_MAX: not in it. */
static size_t
field_end(struct slice pending, bool last)
{
	for (size_t i = 0; i < pending.len;) {
		size_t n = slice_find_byte(slice_sub(pending, i, pending.len), '\n');

		i += n + 1;
		if (i >= pending.len)
			break;
		if (pending.ptr[i] != ' ' && pending.ptr[i] != '\t')
			return i;
	}
	return last ? pending.len : SIZE_MAX;
}

/* Where to cut a field that is too long: behind its last fold, comma or blank. */
static size_t
field_cut(struct slice s)
{
	static const char places[] = "\n, ";

	for (size_t k = 0; places[k] != '\0'; k++)
		for (size_t n = s.len; n > s.len / 2; n--)
			if (s.ptr[n - 1] == (uint8_t)places[k])
				return n;
	return s.len;
}

/* The field, or a piece of it, in front of `pending`; false if more must be read first. */
static bool
take_field(struct search_program *p, struct search_text *t, bool last, bool top, bool embedded)
{
	struct slice all = buf_slice(&t->pending), name, value;
	size_t n = field_end(all, last), colon = 0;
	bool cut = n == SIZE_MAX;

	if (cut && all.len < SEARCH_PENDING_MAX)
		return false;
	if (cut)
		n = field_cut(all);
	value = slice_sub(all, 0, n);
	if (t->field_open) {
		name = slice_of(t->field, t->field_len);
	} else {
		colon = slice_find_byte(value, ':');
		name = colon < value.len ? slice_trim(slice_sub(value, 0, colon)) : SLICE_NONE;
		value = colon < value.len ? slice_sub(value, colon + 1, value.len) : value;
	}
	if (slice_eq_nocase(name, SLICE("Content-Type")) && !t->typed)
		take_type(t, value);
	look_at_field(p, t, name, cut ? value : slice_trim(value), top, cut, embedded);
	if (cut && !t->field_open) {
		t->field_len = name.len < sizeof t->field ? name.len : 0;
		if (t->field_len > 0)
			memcpy(t->field, name.ptr, t->field_len);
	}
	t->field_open = cut;
	buf_consume(&t->pending, n);
	return true;
}

static bool
at_blank_line(const struct search_text *t)
{
	struct slice s = buf_slice(&t->pending);

	return !t->field_open && (slice_starts(s, SLICE("\r\n")) || slice_starts(s, SLICE("\n")));
}

static void
begin_header(struct search_text *t)
{
	t->typed = t->is_message = t->field_open = false;
	t->charset = SLICE_NONE;
	buf_reset(&t->pending);
	buf_reset(&t->hay);
}

static void
close_fields(struct search_program *p)
{
	for (uint16_t i = 0; i < p->count; i++)
		if (is_field_leaf(&p->nodes[i]) && p->nodes[i].truth == SEARCH_UNKNOWN)
			p->nodes[i].truth = SEARCH_FALSE;
}

bool
search_header_piece(struct imap *im, struct search_program *p, struct search_text *t,
		    const struct message_row *row, const struct mime_part *part, bool embedded)
{
	uint64_t left = part->header_len - t->at;
	uint64_t n = left < SEARCH_PIECE ? left : SEARCH_PIECE;
	bool last = n == left, top = t->part == 0;

	if (t->at == 0)
		begin_header(t);
	if (search_read(im, t, row, part->header_off + t->at, n))
		buf_append_slice(&t->pending, buf_slice(&t->raw));
	else {
		last = true;            /* what can be read was looked at */
		t->learns = false;
	}
	if (t->at == 0)
		find_type(t, buf_slice(&t->pending));
	t->at += n;
	while (t->pending.len > 0 && !at_blank_line(t))
		if (!take_field(p, t, last, top, embedded))
			break;
	if (last && top) {
		close_fields(p);
		t->learnt = t->learns;
		t->learns = false;
	}
	return last;
}
