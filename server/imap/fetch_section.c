/* fetch_section - BODY[...] and BINARY[...]: ranges of a message, checked first and then
 * streamed in pieces.
 *
 * A literal's length is announced before its octets, so it must be known: from the index for
 * BODY[], by decoding once without sending for BINARY[] (fetch_measure), by taking the fields
 * for HEADER.FIELDS, which is bounded and written at once. Keeping decoded parts between
 * measuring and sending was rejected: memory must not follow the message's size.
 */
#include "lib/nowait.h"
#include "server/imap/fetch.h"

#include <assert.h>

static enum mime_section
mime_section_of(enum fetch_text text)
{
	switch (text) {
	case FETCH_TEXT_NONE:
		return MIME_SECTION_ALL;
	case FETCH_TEXT_HEADER:
	case FETCH_TEXT_FIELDS:
	case FETCH_TEXT_FIELDS_NOT:
		return MIME_SECTION_HEADER;
	case FETCH_TEXT_TEXT:
		return MIME_SECTION_TEXT;
	case FETCH_TEXT_MIME:
		return MIME_SECTION_MIME;
	}
	assert(false && "unknown section text");
	return MIME_SECTION_ALL;
}

static bool
is_fields(const struct fetch_item *it)
{
	return it->text == FETCH_TEXT_FIELDS || it->text == FETCH_TEXT_FIELDS_NOT;
}

static bool
is_encoded(enum transfer_encoding enc)
{
	return enc == TRANSFER_BASE64 || enc == TRANSFER_QP;
}

/* Which octets of the section, now that its size is known, a partial leaves [RFC 9051 s6.4.5:
 * cut, never an error]. */
static void
set_extent(struct fetch_piece *p, const struct fetch_item *it)
{
	p->from = 0;
	p->len = p->size;
	if (!it->partial)
		return;
	p->from = it->origin < p->size ? it->origin : p->size;
	p->len = it->length < p->size - p->from ? it->length : p->size - p->from;
}

/* Octets of the range to look at before anything is announced. */
static enum rc
verify(struct imap *im, struct fetch *f, const struct fetch_piece *p, uint64_t from, uint64_t len,
       struct err *e)
{
	if (len > FETCH_VERIFY)
		len = FETCH_VERIFY;
	if (len == 0 || nowait_is_on())
		return RC_OK;
	f->verified += len;
	return volume_verify_blob(im->volume, &fetch_row(f)->place, p->range.off + from, len, e);
}

/* BINARY: NULs of what is sent as it is stand in the message; those of decoded parts are found
 * by measuring. */
static enum fetch_trouble
set_decoding(const struct fetch *f, struct fetch_piece *p)
{
	enum transfer_encoding enc =
	    p->range.part != NULL ? p->range.part->encoding : TRANSFER_BINARY;

	if (enc == TRANSFER_UNKNOWN)
		return FETCH_UNKNOWN_CTE;
	p->encoding = is_encoded(enc) ? enc : TRANSFER_BINARY;
	p->literal8 = !is_encoded(enc) && (f->summary.flags & MIME_HAS_NUL) != 0;
	return FETCH_FINE;
}

uint64_t
fetch_section_octets(const struct fetch *f, size_t i)
{
	const struct fetch_item *it = &f->req.items[i];
	struct mime_range range;

	if (!mime_find_section(&f->summary, it->path, it->depth, mime_section_of(it->text), &range))
		return 0;
	return it->partial && !is_fields(it) && it->length < range.len ? it->length : range.len;
}

enum fetch_trouble
fetch_check_section(struct imap *im, struct fetch *f, size_t i)
{
	const struct fetch_item *it = &f->req.items[i];
	struct fetch_piece *p = &f->pieces[i];
	struct err e = ERR_INIT;
	enum fetch_trouble t = FETCH_FINE;

	*p = (struct fetch_piece){ .encoding = TRANSFER_BINARY };
	p->exists = mime_find_section(&f->summary, it->path, it->depth, mime_section_of(it->text),
				      &p->range);
	if (!p->exists)
		return FETCH_FINE;
	if (it->kind != FETCH_SECTION)
		t = set_decoding(f, p);
	if (t != FETCH_FINE)
		return t;
	p->size = p->range.len;
	set_extent(p, it);
	if (it->kind == FETCH_BINARY_SIZE || is_encoded(p->encoding))
		return FETCH_FINE;      /* not read, or read whole by measuring */
	if (is_fields(it))
		return verify(im, f, p, 0, p->range.len, &e) == RC_OK ? FETCH_FINE : FETCH_DAMAGED;
	if (fetch_ahead_check(f, i))
		return FETCH_FINE;
	return verify(im, f, p, p->from, p->len, &e) == RC_OK ? FETCH_FINE : FETCH_DAMAGED;
}

bool
fetch_must_measure(const struct fetch *f, size_t i)
{
	return f->pieces[i].exists && is_encoded(f->pieces[i].encoding);
}

/* Append n octets of the section's range, from `at` on. False: damaged. */
static bool
read_section(struct imap *im, const struct fetch *f, const struct fetch_piece *p, uint64_t at,
             uint64_t n, struct buf *out)
{
	struct err e = ERR_INIT;
	size_t before = out->len;

	if (n == 0)
		return true;
	return volume_read_blob(im->volume, &fetch_row(f)->place, p->range.off + at, n, out, &e) ==
	           RC_OK &&
	       out->len - before == n;
}

/* Decode the next piece of the range into f->text. *end: that was the last of it, and `whole`
 * says whether all was well-formed. False: damaged. */
static bool
decode_next(struct imap *im, struct fetch *f, const struct fetch_piece *p, bool *end, bool *whole)
{
	uint64_t n = p->range.len - f->at < FETCH_PIECE ? p->range.len - f->at : FETCH_PIECE;

	if (f->at == 0) {
		transfer_decode_init(&f->decoder, p->encoding);
		f->bare = 0;
		f->last = 0;
	}
	buf_reset(&f->raw);
	buf_reset(&f->text);
	if (!read_section(im, f, p, f->at, n, &f->raw))
		return false;
	transfer_decode(&f->decoder, buf_slice(&f->raw), &f->text);
	f->at += n;
	*end = f->at == p->range.len;
	*whole = *end && transfer_decode_finish(&f->decoder, &f->text);
	return !f->text.failed;
}

static void
count_bare_lf(struct fetch *f)
{
	for (size_t k = 0; k < f->text.len; k++) {
		f->bare += f->text.ptr[k] == '\n' && f->last != '\r' ? 1 : 0;
		f->last = f->text.ptr[k];
	}
}

/* Lines of decoded text end in CRLF whatever they ended in when they were encoded [RFC 9051
 * s7.5.2]. Text with NULs is UTF-16 or the like, where an LF need not be a character: it stays
 * as it is. */
static void
set_line_ends(const struct fetch *f, struct fetch_piece *p)
{
	p->size = f->decoded;
	p->crlf = p->range.part != NULL && p->range.part->kind == MIME_TEXT && !p->literal8
		  && f->bare > 0;
	if (p->crlf)
		p->size += f->bare;
}

/* What is not well-formed has no exact size or content: NO [UNKNOWN-CTE], and the client decodes
 * BODY[] as it likes. */
enum fetch_trouble
fetch_measure(struct imap *im, struct fetch *f, size_t i, bool *done)
{
	struct fetch_piece *p = &f->pieces[i];
	bool whole;

	*done = true;
	if (!decode_next(im, f, p, done, &whole))
		return FETCH_DAMAGED;
	f->decoded += f->text.len;
	count_bare_lf(f);
	if (slice_find_byte(buf_slice(&f->text), 0) < f->text.len)
		p->literal8 = true;
	if (!*done)
		return FETCH_FINE;
	set_line_ends(f, p);
	set_extent(p, &f->req.items[i]);
	return whole ? FETCH_FINE : FETCH_UNKNOWN_CTE;
}

/* ---- writing ---- */

static void
write_text_name(struct buf *out, const struct fetch_item *it)
{
	static const char *const names[] = {
		[FETCH_TEXT_HEADER] = "HEADER",
		[FETCH_TEXT_FIELDS] = "HEADER.FIELDS",
		[FETCH_TEXT_FIELDS_NOT] = "HEADER.FIELDS.NOT",
		[FETCH_TEXT_TEXT] = "TEXT",
		[FETCH_TEXT_MIME] = "MIME",
	};

	if (it->text == FETCH_TEXT_NONE)
		return;
	if (it->depth > 0)
		buf_append_byte(out, '.');
	buf_append_str(out, names[it->text]);
	for (size_t k = 0; k < it->name_count; k++) {
		buf_append_str(out, k == 0 ? " (" : " ");
		imap_out_astring(out, it->names[k]);
	}
	if (it->name_count > 0)
		buf_append_byte(out, ')');
}

/* The item as it was asked for, without .PEEK and the length: clients match answers by it. */
static void
write_label(struct buf *out, const struct fetch_item *it)
{
	if (it->alias != NULL) {
		buf_append_str(out, it->alias);
		return;
	}
	buf_append_str(out, it->kind == FETCH_SECTION ? "BODY"
	                  : it->kind == FETCH_BINARY ? "BINARY" : "BINARY.SIZE");
	buf_append_byte(out, '[');
	for (size_t k = 0; k < it->depth; k++) {
		if (k > 0)
			buf_append_byte(out, '.');
		buf_append_u64(out, it->path[k]);
	}
	write_text_name(out, it);
	buf_append_byte(out, ']');
	if (it->partial)
		buf_printf(out, "<%llu>", (unsigned long long)it->origin);
}

/* NUL may stand in no string but literal8 [RFC 9051 s4.3]; 0x80 keeps the length. */
static void
mask_nul(struct buf *out, size_t from)
{
	for (size_t k = from; k < out->len; k++)
		if (out->ptr[k] == 0)
			out->ptr[k] = 0x80;
}

/* HEADER.FIELDS: the fields are taken from the header in memory; a partial counts in the result. */
static bool
write_fields(struct imap *im, struct fetch *f, size_t i)
{
	const struct fetch_item *it = &f->req.items[i];
	struct fetch_piece *p = &f->pieces[i];
	uint64_t n = p->range.len < FETCH_HEADER_MAX ? p->range.len : FETCH_HEADER_MAX;
	enum header_subset which = it->text == FETCH_TEXT_FIELDS ? HEADER_FIELDS
	                                                         : HEADER_FIELDS_NOT;
	struct buf header;
	bool ok;

	buf_init(&header, FETCH_HEADER_MAX);
	buf_reset(&f->rendered);
	ok = read_section(im, f, p, 0, n, &header)
	  && header_subset(buf_slice(&header), which, it->names, it->name_count, &f->rendered);
	if (ok) {
		p->size = f->rendered.len;
		set_extent(p, it);
		mask_nul(&f->rendered, 0);
		buf_printf(imap_out(im), " {%llu}\r\n", (unsigned long long)p->len);
		f->rest = slice_sub(buf_slice(&f->rendered), p->from, p->from + p->len);
	}
	buf_fini(&header);
	return ok;
}

bool
fetch_write_section(struct imap *im, struct fetch *f, size_t i, bool *stream)
{
	const struct fetch_item *it = &f->req.items[i];
	const struct fetch_piece *p = &f->pieces[i];
	struct buf *out = imap_out(im);

	*stream = false;
	write_label(out, it);
	if (it->kind == FETCH_BINARY_SIZE) {
		buf_printf(out, " %llu", (unsigned long long)p->size);
		return true;
	}
	if (!p->exists) {
		buf_append_str(out, " NIL");
		return true;
	}
	if (is_fields(it))
		return write_fields(im, f, i);
	if (p->len == 0) {
		buf_append_str(out, " \"\"");
		return true;
	}
	buf_printf(out, p->literal8 ? " ~{%llu}\r\n" : " {%llu}\r\n", (unsigned long long)p->len);
	*stream = true;
	return true;
}

static bool
must_mask(const struct fetch *f, const struct fetch_piece *p)
{
	return !p->literal8 && (f->summary.flags & MIME_HAS_NUL) != 0;
}

/* A chunk of the log that can go into the compressed stream as it is stored goes so; *n octets of
 * the section, 0: none. False: damaged. */
static bool
splice_chunk(struct imap *im, const struct fetch *f, const struct fetch_piece *p, uint64_t *n)
{
	struct buf *out = imap_out(im);
	struct err e = ERR_INIT;
	size_t from = out->len;

	*n = 0;
	if (must_mask(f, p) || !session_can_splice(im->s))
		return true;
	if (volume_read_deflated(im->volume, &fetch_row(f)->place, p->range.off + p->from + f->at,
	                         p->len - f->at, out, n, &e) != RC_OK)
		return false;
	if (*n > 0)
		session_splice(im->s, from);
	return true;
}

/* Up to the end of a chunk, so that none is inflated twice; without COMPRESS, as many short ones as make a piece. */
static bool
read_chunk(struct imap *im, const struct fetch *f, const struct fetch_piece *p, uint64_t *n)
{
	uint64_t at = p->range.off + p->from + f->at;
	const struct blob_place *place = &fetch_row(f)->place;
	uint64_t end = session_can_splice(im->s) ? blob_chunk_end(place, at) : blob_chunks_end(place, at);
	struct buf *out = imap_out(im);
	size_t from = out->len;

	*n = p->len - f->at < end - at ? p->len - f->at : end - at;
	if (!read_section(im, f, p, p->from + f->at, *n, out))
		return false;
	if (must_mask(f, p))
		mask_nul(out, from);
	return true;
}

static bool
stream_raw(struct imap *im, struct fetch *f, size_t i, bool *done)
{
	const struct fetch_piece *p = &f->pieces[i];
	uint64_t n;

	if ((must_mask(f, p) || !fetch_ahead_write(im, f, i, &n)) &&
	    (!splice_chunk(im, f, p, &n) || (n == 0 && !read_chunk(im, f, p, &n))))
		return false;
	f->at += n;
	*done = f->at == p->len;
	return true;
}

/* f->text with CRLF for every LF that stands alone. */
static struct slice
with_crlf(struct fetch *f)
{
	buf_reset(&f->lines);
	for (size_t k = 0; k < f->text.len; k++) {
		if (f->text.ptr[k] == '\n' && f->last != '\r')
			buf_append_byte(&f->lines, '\r');
		f->last = f->text.ptr[k];
		buf_append_byte(&f->lines, f->last);
	}
	return buf_slice(&f->lines);
}

/* Decoding starts at the part's first octet, as decoders do; what stands before the partial is
 * dropped. */
static bool
stream_decoded(struct imap *im, struct fetch *f, size_t i, bool *done)
{
	const struct fetch_piece *p = &f->pieces[i];
	uint64_t start = f->decoded, from, to;
	struct slice text;
	bool end, whole;

	if (!decode_next(im, f, p, &end, &whole))
		return false;
	text = p->crlf ? with_crlf(f) : buf_slice(&f->text);
	f->decoded += text.len;
	from = p->from > start ? p->from - start : 0;
	to = p->from + p->len < f->decoded ? p->from + p->len - start : text.len;
	if (from < to)
		buf_append_slice(imap_out(im), slice_sub(text, from, to));
	*done = f->decoded >= p->from + p->len;
	return *done || !end;
}

bool
fetch_stream(struct imap *im, struct fetch *f, size_t i, bool *done)
{
	*done = false;
	return is_encoded(f->pieces[i].encoding) ? stream_decoded(im, f, i, done)
						 : stream_raw(im, f, i, done);
}
