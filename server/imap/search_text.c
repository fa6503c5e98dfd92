/* search_text - looking for text in headers and bodies, a bounded piece at a time.
 *
 * Both sides go through text_searchfold. A body's transfer encoding and charset are undone; pieces
 * are cut behind a line end, where no character of any mail charset is split and ISO-2022-JP is
 * back in ASCII, and the end of one piece is kept in front of the next, so that what is looked for
 * is found across the cut. Of HTML the text is searched, as a reader sees it. Parts other than text
 * and messages are not looked at [RFC 9051 s6.4.4: "MAY exclude"], but for their headers.
 *
 * What is read at once is converted in smaller pieces, so that the caller sees its clock in
 * between: folding may cost half a microsecond for an octet that was chosen for it.
 */
#include "server/imap/search.h"

#include <assert.h>

#include "lib/charset.h"
#include "lib/text.h"

#define CONVERT_MAX 16384u      /* octets of a body converted at once; a longer line is cut */
#define UTF8_MAX    (4 * SEARCH_PENDING_MAX)
#define HAY_MAX     (8u << 20)
#define OVERLAP_MAX (32 * SEARCH_TEXT_MAX)

void
search_text_init(struct search_text *t)
{
	*t = (struct search_text){ .part = 0 };
	buf_init(&t->raw, SEARCH_PIECE);
	buf_init(&t->ahead, SEARCH_PIECE);
	buf_init(&t->pending, SEARCH_PENDING_MAX + 2 * SEARCH_PIECE);
	buf_init(&t->utf8, UTF8_MAX);
	buf_init(&t->shown, HAY_MAX);
	buf_init(&t->hay, HAY_MAX + OVERLAP_MAX);
	buf_init(&t->subject, SUBJECT_LEARN_MAX);
}

void
search_text_fini(struct search_text *t)
{
	buf_fini(&t->raw);
	buf_fini(&t->ahead);
	buf_fini(&t->pending);
	buf_fini(&t->utf8);
	buf_fini(&t->shown);
	buf_fini(&t->hay);
	buf_fini(&t->subject);
}

void
search_text_begin(struct search_text *t, bool learn)
{
	t->learns = learn;
	t->learnt = false;
	buf_reset(&t->subject);
	t->part = 0;
	t->place = SEARCH_IN_HEADER;
	t->at = 0;
	buf_reset(&t->ahead);
}

static bool
read_blob(struct imap *im, const struct message_row *row, uint64_t off, uint64_t len,
          struct buf *out)
{
	struct err e = ERR_INIT;

	buf_reset(out);
	return volume_read_blob(im->volume, &row->place, off, len, out, &e) == RC_OK;
}

static bool
is_ahead(const struct search_text *t, uint64_t off, uint64_t len)
{
	return off >= t->ahead_at && off + len <= t->ahead_at + t->ahead.len;
}

/* A chunk of the log is inflated whole, however little of it is read, and holds many small parts:
 * what lies behind the first one is kept. Not behind the message's own header, which is often all
 * that is looked at. */
bool
search_read(struct imap *im, struct search_text *t, const struct message_row *row, uint64_t off,
            uint64_t len)
{
	buf_reset(&t->raw);
	if (len == 0)
		return true;
	if (t->part > 0 && len < SEARCH_PIECE && !is_ahead(t, off, len)) {
		t->ahead_at = off;
		if (!read_blob(im, row, off, SEARCH_PIECE, &t->ahead))
			buf_reset(&t->ahead);   /* perhaps only what is behind it is damaged */
	}
	if (t->ahead.len == 0 || !is_ahead(t, off, len))
		return read_blob(im, row, off, len, &t->raw);
	return buf_append_slice(&t->raw,
	                        slice_sub(buf_slice(&t->ahead), (size_t)(off - t->ahead_at),
	                                  (size_t)(off - t->ahead_at + len)));
}

bool
search_contains(struct slice hay, struct slice needle)
{
	return needle.len == 0 || slice_find(hay, needle) < hay.len;
}

static bool
is_text_leaf(const struct search_node *n, bool in_body)
{
	return n->key == SEARCH_TEXT || (n->key == SEARCH_BODY && in_body);
}

void
search_mark(struct search_program *p, struct slice hay, bool in_body)
{
	for (uint16_t i = 0; i < p->count; i++) {
		struct search_node *n = &p->nodes[i];

		if (is_text_leaf(n, in_body) && n->truth == SEARCH_UNKNOWN
		    && search_contains(hay, n->text))
			n->truth = SEARCH_TRUE;
	}
}

void
search_keep_end(const struct search_program *p, struct buf *hay)
{
	size_t keep = 1;

	for (uint16_t i = 0; i < p->count; i++)
		if (p->nodes[i].text.len > keep)
			keep = p->nodes[i].text.len;
	keep--;
	if (hay->len > keep)
		buf_consume(hay, hay->len - keep);
	hay->failed = false;
}

/* ---- bodies ---- */

/* A line too long to wait for its end. Cut where no charset has a character under way: behind a
 * blank or control, which is never a second octet, with ISO-2022-JP in ASCII; if there is none,
 * before a character of UTF-8. */
static size_t
cut_line(struct slice s)
{
	size_t best = 0, n = s.len;
	bool ascii = true;

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == 0x1b && i + 1 < s.len)
			ascii = s.ptr[i + 1] == '(';
		if (ascii && s.ptr[i] <= ' ' && s.ptr[i] != 0x1b)
			best = i + 1;
	}
	if (best > 0)
		return best;
	while (n > s.len - 4 && (s.ptr[n - 1] & 0xc0) == 0x80)
		n--;
	return n > 0 && s.ptr[n - 1] >= 0xc0 ? n - 1 : s.len;
}

/* How much of `pending` can be converted now; `whole`: nothing comes behind it. */
static size_t
convertible(const struct buf *pending, bool whole)
{
	struct slice s = slice_sub(buf_slice(pending), 0, CONVERT_MAX);
	size_t n = s.len;

	if (whole && n == pending->len)
		return n;
	while (n > 0 && s.ptr[n - 1] != '\n')
		n--;
	return n == 0 && s.len == CONVERT_MAX ? cut_line(s) : n;
}

/* The text of the first n octets of `pending`, folded, behind what is kept in `hay`. */
static void
decode_piece(struct search_text *t, const struct mime_part *part, size_t n, bool end)
{
	struct buf *text = &t->utf8;

	buf_reset(&t->utf8);
	charset_to_utf8(t->charset, slice_of(t->pending.ptr, n), &t->utf8);
	buf_consume(&t->pending, n);
	if ((part->flags & MIME_PART_HTML) != 0) {
		text = &t->shown;
		buf_reset(text);
		html_text_feed(&t->html, buf_slice(&t->utf8), text);
		if (end)
			html_text_finish(&t->html, text);
	}
	text_searchfold(buf_slice(text), &t->hay);
}

static void
begin_body(struct search_text *t, const struct mime_part *part)
{
	transfer_decode_init(&t->decoder, part->encoding);
	html_text_init(&t->html);
	buf_reset(&t->pending);
	buf_reset(&t->hay);
}

/* The next octets of the body, without their transfer encoding, to `pending`. False: damaged. */
static bool
read_body(struct imap *im, struct search_text *t, const struct message_row *row,
          const struct mime_part *part)
{
	uint64_t left = part->body_len - t->at, n = left < SEARCH_PIECE ? left : SEARCH_PIECE;

	if (t->at == 0)
		begin_body(t, part);
	if (!search_read(im, t, row, part->body_off + t->at, n))
		return false;
	transfer_decode(&t->decoder, buf_slice(&t->raw), &t->pending);
	if (n == left)
		transfer_decode_finish(&t->decoder, &t->pending);
	t->at += n;
	return true;
}

/* The next piece of a text part's body; true at its end. */
static bool
search_body_piece(struct imap *im, struct search_program *p, struct search_text *t,
		  const struct message_row *row, const struct mime_part *part)
{
	size_t ready = 0;
	bool end;

	buf_reset(&t->raw);     /* what it holds after the call is what was read in it */
	if (t->at > 0)
		ready = convertible(&t->pending, t->at == part->body_len);
	if (ready == 0) {
		if (!read_body(im, t, row, part))
			return true;
		ready = convertible(&t->pending, t->at == part->body_len);
	}
	end = t->at == part->body_len && ready == t->pending.len;
	if (ready > 0 || end) {
		decode_piece(t, part, ready, end);
		search_mark(p, buf_slice(&t->hay), true);
		search_keep_end(p, &t->hay);
	}
	return end;
}

/* ---- the message ---- */

static bool
has_text(const struct search_text *t, const struct mime_part *part)
{
	return part->kind == MIME_TEXT || (part->kind == MIME_LEAF && t->is_message);
}

static void
go_on(struct search_text *t, enum search_place place, uint32_t part)
{
	t->place = place;
	t->part = part;
	t->at = 0;
}

bool
search_text_next(struct imap *im, struct search_program *p, struct search_text *t,
		 const struct message_row *row, const struct mime_summary *s)
{
	const struct mime_part *part;
	bool embedded;

	if (t->part == s->nparts)
		return false;
	part = &s->parts[t->part];
	switch (t->place) {
	case SEARCH_IN_HEADER:
		embedded = t->part > 0 && (part->flags & MIME_PART_ROOT) != 0;
		if (!search_header_piece(im, p, t, row, part, embedded))
			return true;
		if (has_text(t, part))
			go_on(t, SEARCH_IN_BODY, t->part);
		else
			go_on(t, SEARCH_IN_HEADER, t->part + 1);
		return true;
	case SEARCH_IN_BODY:
		if (search_body_piece(im, p, t, row, part))
			go_on(t, SEARCH_IN_HEADER, t->part + 1);
		return true;
	}
	assert(false && "unknown place");
	return false;
}
