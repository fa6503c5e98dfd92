/* fetch_preview - PREVIEW [RFC 8970], made when it is asked for.
 *
 * The first text of the message that is no attachment is read from the log, a few KiB first and
 * more only where those hold no words (the styles in front of a newsletter's HTML). Plain text is
 * preferred; HTML comes when there is none, or none with words. What is encrypted or has no text
 * gives "", as the RFC asks; so does damage, and NIL to LAZY, which a client may ask for again.
 *
 * Previews are not kept: reading the first chunk of a body costs less than what a table of previews
 * would add to each delivery. For the same reason LAZY is answered at once.
 */
#include "server/imap/fetch.h"

#include "lib/charset.h"
#include "lib/html.h"
#include "lib/preview.h"

#define FIRST_READ  4096u
#define GROWTH      16u
#define READ_MAX    (256u << 10)        /* octets of one part that are looked at */
#define HEADER_MAX  (64u << 10)         /* octets of its header, for the charset */
#define UTF8_MAX    (4u * READ_MAX)
#define PARTS_TRIED 4u
#define CHARSET_MAX 100u

/* Scratch of one preview. */
struct maker {
	struct imap   *im;
	struct fetch  *f;
	struct buf     raw, decoded, utf8, text;
	bool           damaged;
};

static void
maker_init(struct maker *m, struct imap *im, struct fetch *f)
{
	*m = (struct maker){ .im = im, .f = f };
	buf_init(&m->raw, READ_MAX);
	buf_init(&m->decoded, READ_MAX + 16);
	buf_init(&m->utf8, UTF8_MAX);
	buf_init(&m->text, UTF8_MAX);
}

static void
maker_fini(struct maker *m)
{
	buf_fini(&m->raw);
	buf_fini(&m->decoded);
	buf_fini(&m->utf8);
	buf_fini(&m->text);
}

static bool
read_range(struct maker *m, uint64_t off, uint64_t len)
{
	struct err e = ERR_INIT;

	buf_reset(&m->raw);
	m->f->verified += len;
	m->damaged = len > 0 && volume_read_blob(m->im->volume, &fetch_row(m->f)->place, off, len,
	                            &m->raw, &e) != RC_OK;
	return !m->damaged;
}

/* The first text parts of that kind: those of the message itself before those of messages in it. */
static size_t
choose_parts(const struct mime_summary *s, uint32_t kind, const struct mime_part **out)
{
	size_t n = 0;

	for (uint32_t i = 0; i < s->nparts && n < PARTS_TRIED; i++)
		if ((s->parts[i].flags & kind) != 0 &&
		    (s->parts[i].flags & MIME_PART_ATTACHMENT) == 0 && s->parts[i].body_len > 0)
			out[n++] = &s->parts[i];
	return n;
}

/* Without a character of UTF-8 that the end of what was read has cut: it would make the text look
 * like another charset. */
static struct slice
without_cut_character(struct slice s)
{
	size_t n = s.len, want;
	uint8_t lead;

	while (n > 0 && s.len - n < 3 && (s.ptr[n - 1] & 0xc0) == 0x80)
		n--;
	if (n == 0)
		return s;
	lead = s.ptr[n - 1];
	want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
	return want > s.len - n + 1 ? slice_sub(s, 0, n - 1) : s;
}

/* A tag or reference that the end of what was read has cut is not shown: what it
 * is, is not known. */
static void
show_html(struct maker *m, bool whole)
{
	struct html_text t;

	html_text_init(&t);
	html_text_feed(&t, buf_slice(&m->utf8), &m->text);
	if (whole)
		html_text_finish(&t, &m->text);
}

/* The preview of the part's first n octets. True: no more of it is needed. */
static bool
preview_octets(struct maker *m, const struct mime_part *part, uint64_t n, struct slice charset)
{
	struct transfer_decoder d;
	struct slice bytes;

	buf_reset(&m->decoded);
	buf_reset(&m->utf8);
	buf_reset(&m->text);
	buf_reset(&m->f->preview);
	if (!read_range(m, part->body_off, n))
		return true;
	transfer_decode_init(&d, part->encoding);
	transfer_decode(&d, buf_slice(&m->raw), &m->decoded);
	if (n == part->body_len)
		transfer_decode_finish(&d, &m->decoded);
	bytes = buf_slice(&m->decoded);
	charset_to_utf8(charset, n < part->body_len ? without_cut_character(bytes) : bytes,
	                &m->utf8);
	if ((part->flags & MIME_PART_HTML) == 0)
		return preview_make(buf_slice(&m->utf8), &m->f->preview);
	show_html(m, n == part->body_len);
	return preview_make(buf_slice(&m->text), &m->f->preview);
}

static void
preview_part(struct maker *m, const struct mime_part *part)
{
	uint64_t limit = part->body_len < READ_MAX ? part->body_len : READ_MAX;
	uint64_t n = limit < FIRST_READ ? limit : FIRST_READ;
	struct buf charset;

	if (part->encoding == TRANSFER_UNKNOWN)
		return;
	buf_init(&charset, CHARSET_MAX);
	if (read_range(m, part->header_off,
	               part->header_len < HEADER_MAX ? part->header_len : HEADER_MAX)) {
		header_find_param(buf_slice(&m->raw), SLICE("Content-Type"), SLICE("charset"),
		                  &charset);
		while (!preview_octets(m, part, n, buf_slice(&charset)) && n < limit)
			n = n * GROWTH < limit ? n * GROWTH : limit;
	}
	buf_fini(&charset);
}

void
fetch_make_preview(struct imap *im, struct fetch *f)
{
	static const uint32_t kinds[] = { MIME_PART_PLAIN, MIME_PART_HTML };
	const struct mime_part *parts[PARTS_TRIED];
	struct maker m;

	maker_init(&m, im, f);
	buf_reset(&f->preview);
	for (size_t k = 0; k < 2 && f->preview.len == 0 && !m.damaged; k++) {
		size_t n = choose_parts(&f->summary, kinds[k], parts);

		for (size_t i = 0; i < n && f->preview.len == 0 && !m.damaged; i++)
			preview_part(&m, parts[i]);
	}
	f->preview_damaged = m.damaged;
	maker_fini(&m);
}
