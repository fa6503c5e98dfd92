/* mime_header - see mime_header.h. Of a field that occurs twice the first counts. */
#include "lib/mime_header.h"

#include "lib/header.h"
#include "lib/mime.h"

#define NAME_MAX_LEN 32u        /* longer than any name below */

static const struct slice field_names[MIME_FIELD_COUNT] = {
	[MIME_FIELD_DATE] = SLICE_INIT("Date"),
	[MIME_FIELD_SUBJECT] = SLICE_INIT("Subject"),
	[MIME_FIELD_FROM] = SLICE_INIT("From"),
	[MIME_FIELD_SENDER] = SLICE_INIT("Sender"),
	[MIME_FIELD_REPLY_TO] = SLICE_INIT("Reply-To"),
	[MIME_FIELD_TO] = SLICE_INIT("To"),
	[MIME_FIELD_CC] = SLICE_INIT("Cc"),
	[MIME_FIELD_BCC] = SLICE_INIT("Bcc"),
	[MIME_FIELD_IN_REPLY_TO] = SLICE_INIT("In-Reply-To"),
	[MIME_FIELD_MESSAGE_ID] = SLICE_INIT("Message-ID"),
	[MIME_FIELD_REFERENCES] = SLICE_INIT("References"),
	[MIME_FIELD_TYPE] = SLICE_INIT("Content-Type"),
	[MIME_FIELD_ENCODING] = SLICE_INIT("Content-Transfer-Encoding"),
	[MIME_FIELD_ID] = SLICE_INIT("Content-ID"),
	[MIME_FIELD_DESCRIPTION] = SLICE_INIT("Content-Description"),
	[MIME_FIELD_DISPOSITION] = SLICE_INIT("Content-Disposition"),
	[MIME_FIELD_LANGUAGE] = SLICE_INIT("Content-Language"),
	[MIME_FIELD_LOCATION] = SLICE_INIT("Content-Location"),
	[MIME_FIELD_MD5] = SLICE_INIT("Content-MD5"),
};

/* MIME_FIELD_COUNT for a name that is none of ours. */
static enum mime_field
field_of(struct slice name)
{
	unsigned i = 0;

	while (i < MIME_FIELD_COUNT && !slice_eq_nocase(name, field_names[i]))
		i++;
	return (enum mime_field)i;
}

void
mime_header_init(struct mime_header *h)
{
	memset(h, 0, sizeof *h);
	buf_init(&h->field, MIME_LIST_MAX);
	buf_init(&h->text, MIME_HEADER_MAX);
}

void
mime_header_fini(struct mime_header *h)
{
	buf_fini(&h->field);
	buf_fini(&h->text);
}

void
mime_header_reset(struct mime_header *h)
{
	buf_reset(&h->field);
	buf_reset(&h->text);
	memset(h->kept, 0, sizeof h->kept);
	h->skip = h->subjects = false;
}

/* Lists of addresses are long in real mail; what else is, is an attack or a mistake. */
static size_t
max_length(enum mime_field f)
{
	return f >= MIME_FIELD_FROM && f <= MIME_FIELD_BCC ? MIME_LIST_MAX : MIME_FIELD_MAX;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* By any reading: with blanks before the name, a fold before the colon, no colon. Of a field that is none of ours no
 * more than the beginning is at hand. */
static bool
may_be_subject(struct slice field)
{
	static const struct slice name = SLICE_INIT("Subject");
	struct slice s = slice_sub(field, 0, NAME_MAX_LEN);

	while (s.len > 0 && is_blank(s.ptr[0]))
		s = slice_sub(s, 1, s.len);
	if (s.len <= name.len)
		return field.len >= NAME_MAX_LEN || slice_eq_nocase(s, name);
	return slice_starts_nocase(s, name) && (is_blank(s.ptr[name.len]) || s.ptr[name.len] == ':');
}

/* The field is complete: keep its value if it is one of ours. */
static void
finish_field(struct mime_header *h)
{
	struct slice block = buf_slice(&h->field);
	struct header_field f;
	enum mime_field which = MIME_FIELD_COUNT;

	if (!h->skip && header_next(&block, &f) && f.name.len > 0)
		which = field_of(f.name);
	if ((which != MIME_FIELD_SUBJECT || h->kept[which].present) && may_be_subject(buf_slice(&h->field)))
		h->subjects = true;
	if (which < MIME_FIELD_COUNT && !h->kept[which].present) {
		h->cut = h->cut || f.value.len > max_length(which);
		f.value = slice_sub(f.value, 0, max_length(which));
		h->kept[which].off = h->text.len;
		h->kept[which].present = f.value.len <= buf_room(&h->text);
		h->cut = h->cut || !h->kept[which].present;
		if (h->kept[which].present && !header_unfold(f.value, &h->text))
			h->nomem = true;
		h->kept[which].len = h->text.len - h->kept[which].off;
	}
	buf_reset(&h->field);
	h->skip = false;
}

/* Most fields are not ours: find out as soon as the name is there, and copy no more of them. */
static void
judge_name(struct mime_header *h)
{
	struct slice s = buf_slice(&h->field);
	size_t colon = slice_find_byte(slice_sub(s, 0, NAME_MAX_LEN), ':');

	if (colon < s.len && colon < NAME_MAX_LEN)
		h->skip = field_of(slice_trim(slice_sub(s, 0, colon))) == MIME_FIELD_COUNT;
	else
		h->skip = s.len >= NAME_MAX_LEN;
}

void
mime_header_feed(struct mime_header *h, struct slice piece, bool starts)
{
	bool judged = h->field.len >= NAME_MAX_LEN;
	size_t room;

	if (starts && piece.ptr[0] != ' ' && piece.ptr[0] != '\t') {
		finish_field(h);
		judged = false;
	}
	if (h->skip)
		return;
	room = buf_room(&h->field);
	if (piece.len > room) {
		h->cut = true;
		piece = slice_sub(piece, 0, room);
	}
	if (!buf_append_slice(&h->field, piece))
		h->nomem = true;
	if (!judged && h->field.len >= NAME_MAX_LEN)
		judge_name(h);
}

void
mime_header_drop_line(struct mime_header *h)
{
	buf_reset(&h->field);
	h->skip = false;
}

void
mime_header_end(struct mime_header *h)
{
	finish_field(h);
}

struct slice
mime_header_get(const struct mime_header *h, enum mime_field f)
{
	if (!h->kept[f].present)
		return SLICE_NONE;
	if (h->kept[f].len == 0)
		return slice_of("", 0);
	return slice_of(h->text.ptr + h->kept[f].off, h->kept[f].len);
}
