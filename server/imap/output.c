/* output - the productions of answers [RFC 9051 s9], written to a buffer.
 *
 * Strings go out quoted when they are short and plain, else as literals; what holds NUL goes out
 * with 0x80 in its place, as no string may hold NUL [design, section 3]. Atoms are used for
 * names of mailboxes only, where every client reads them.
 */
#include "lib/date.h"
#include "lib/mutf7.h"
#include "lib/text.h"
#include "server/imap/imap.h"

#define QUOTED_MAX 1000u        /* octets; longer strings are literals */

/* TEXT-CHAR: no NUL, CR, LF; 7 bit */
static bool
fits_quoted(struct slice s)
{
	if (s.len > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t ch = s.ptr[i];

		if (ch == '\0' || ch == '\r' || ch == '\n' || ch > 0x7f)
			return false;
	}
	return true;
}

static void
out_quoted(struct buf *out, struct slice s)
{
	size_t from = 0;

	buf_append_byte(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '"' && s.ptr[i] != '\\')
			continue;
		buf_append_slice(out, slice_sub(s, from, i));
		buf_append_byte(out, '\\');
		from = i;
	}
	buf_append_slice(out, slice_sub(s, from, s.len));
	buf_append_byte(out, '"');
}

/* literal = "{" number64 "}" CRLF *CHAR8 */
static void
out_literal(struct buf *out, struct slice s)
{
	uint8_t *p;

	buf_append_byte(out, '{');
	buf_append_u64(out, s.len);
	buf_append_str(out, "}\r\n");
	p = buf_reserve(out, s.len);
	if (p == NULL)
		return;
	for (size_t i = 0; i < s.len; i++)
		p[i] = s.ptr[i] == '\0' ? 0x80 : s.ptr[i];
	buf_commit(out, s.len);
}

void
imap_out_string(struct buf *out, struct slice s)
{
	if (fits_quoted(s))
		out_quoted(out, s);
	else
		out_literal(out, s);
}

void
imap_out_nstring(struct buf *out, struct slice s)
{
	if (s.ptr == NULL)
		buf_append_str(out, "NIL");
	else
		imap_out_string(out, s);
}

/* An atom that nobody can take for something else. */
static bool
fits_atom(struct slice s)
{
	static const char specials[] = "(){ %*\"\\]";

	if (s.len == 0 || s.len > QUOTED_MAX || slice_eq_nocase(s, SLICE("NIL")))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e ||
		    memchr(specials, s.ptr[i], sizeof specials - 1) != NULL)
			return false;
	}
	return true;
}

void
imap_out_astring(struct buf *out, struct slice s)
{
	if (fits_atom(s))
		buf_append_slice(out, s);
	else
		imap_out_string(out, s);
}

/* QUOTED-CHAR of UTF-8 [RFC 9051 s9; RFC 9755 s3] */
static bool
fits_utf8_quoted(struct slice s)
{
	if (s.len > QUOTED_MAX || !text_utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == 0 || s.ptr[i] == '\r' || s.ptr[i] == '\n')
			return false;
	return true;
}

void
imap_out_text(struct imap *im, struct slice utf8)
{
	if (im->utf8 && fits_utf8_quoted(utf8))
		out_quoted(imap_out(im), utf8);
	else
		imap_out_string(imap_out(im), utf8);
}

/* With IMAP4rev2 or UTF8=ACCEPT, a quoted string may hold UTF-8; names hold no control
 * characters. */
static void
out_utf8_mailbox(struct buf *out, struct slice name)
{
	if (text_is_ascii(name) || name.len > QUOTED_MAX)
		imap_out_astring(out, name);
	else
		out_quoted(out, name);
}

void
imap_out_mailbox(struct imap *im, struct slice utf8_name)
{
	struct buf *out = imap_out(im);
	struct buf wire;

	if (im->utf8) {
		out_utf8_mailbox(out, utf8_name);
		return;
	}
	buf_init(&wire, MAILBOX_NAME_MAX * 4u);
	if (mutf7_encode(utf8_name, &wire) == MUTF7_OK)
		imap_out_astring(out, buf_slice(&wire));
	else
		imap_out_astring(out, utf8_name); /* no name of ours: at least the syntax holds */
	buf_fini(&wire);
}

void
imap_out_flags(struct buf *out, uint32_t flags, struct slice keywords, bool recent)
{
	static const struct {
		uint32_t    flag;
		const char *name;
	} names[] = {
		{ FLAG_ANSWERED, "\\Answered" },
		{ FLAG_FLAGGED, "\\Flagged" },
		{ FLAG_DELETED, "\\Deleted" },
		{ FLAG_SEEN, "\\Seen" },
		{ FLAG_DRAFT, "\\Draft" },
	};
	const char *gap = "";

	buf_append_byte(out, '(');
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if ((flags & names[i].flag) == 0)
			continue;
		buf_append_str(out, gap);
		buf_append_str(out, names[i].name);
		gap = " ";
	}
	if (recent) {
		buf_append_str(out, gap);
		buf_append_str(out, "\\Recent");
		gap = " ";
	}
	if (keywords.len > 0) {
		buf_append_str(out, gap);
		buf_append_slice(out, keywords);
	}
	buf_append_byte(out, ')');
}

void
imap_out_date(struct buf *out, struct mail_date d)
{
	char text[DATE_IMAP_LEN + 1];

	date_format_imap(d.sec, d.zone_min, text);
	buf_append_byte(out, '"');
	buf_append_str(out, text);
	buf_append_byte(out, '"');
}
