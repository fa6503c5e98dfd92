/* mime_keys - see mime_keys.h. Every key looks at a bounded start of its field, so work is
 * linear and small. */
#include "lib/mime_keys.h"

#include "lib/address.h"
#include "lib/date.h"
#include "lib/rfc2047.h"
#include "lib/text.h"

#define SOURCE_MAX 8192u        /* bytes of a field that a key is made from */
#define FULL_SLACK 32u          /* a decoder leaves less than this when it stops for want of room */

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct slice
trim_left(struct slice s)
{
	while (s.len > 0 && is_space(s.ptr[0]))
		s = slice_sub(s, 1, s.len);
	return s;
}

/* subj-trailer = "(fwd)" / WSP, any number of them */
static struct slice
drop_trailers(struct slice s, bool *reply)
{
	for (;;) {
		if (s.len > 0 && is_space(s.ptr[s.len - 1])) {
			s.len--;
		} else if (slice_ends_nocase(s, SLICE("(fwd)"))) {
			s.len -= 5;
			*reply = true;
		} else {
			return s;
		}
	}
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP; its length or 0 */
static size_t
blob_length(struct slice s)
{
	size_t n = 1;

	if (s.len == 0 || s.ptr[0] != '[')
		return 0;
	while (n < s.len && s.ptr[n] != '[' && s.ptr[n] != ']')
		n++;
	if (n >= s.len || s.ptr[n] != ']')
		return 0;
	for (n++; n < s.len && is_space(s.ptr[n]); n++)
		;
	return n;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"; its length or 0 */
static size_t
refwd_length(struct slice s)
{
	size_t n;

	if (slice_starts_nocase(s, SLICE("fwd")))
		n = 3;
	else if (slice_starts_nocase(s, SLICE("re")) || slice_starts_nocase(s, SLICE("fw")))
		n = 2;
	else
		return 0;
	while (n < s.len && is_space(s.ptr[n]))
		n++;
	n += blob_length(slice_sub(s, n, s.len));
	return n < s.len && s.ptr[n] == ':' ? n + 1 : 0;
}

/* Steps 3 to 5: subj-leaders, then blobs unless nothing else would be left. All blobs in front are
 * passed at once; one at a time, with a look behind all of them each time, would be quadratic. */
static struct slice
drop_leaders(struct slice s, bool *reply)
{
	for (;;) {
		size_t at = 0, last = 0, n;

		s = trim_left(s);
		while ((n = blob_length(slice_sub(s, at, s.len))) > 0) {
			last = at;
			at += n;
		}
		n = refwd_length(slice_sub(s, at, s.len));
		if (n == 0)
			return slice_sub(s, at < s.len ? at : last, s.len);
		*reply = true;
		s = slice_sub(s, at + n, s.len);
	}
}

/* The base subject within `s`, which is decoded with single spaces [RFC 5256 s2.1]; *reply is set
 * when a Re:, Fwd: or (fwd) was taken off. */
static struct slice
base_subject(struct slice s, bool *reply)
{
	*reply = false;
	for (;;) {
		s = drop_leaders(drop_trailers(s, reply), reply);
		if (!slice_starts_nocase(s, SLICE("[fwd:")) || s.ptr[s.len - 1] != ']')
			return s;
		s = slice_sub(s, 5, s.len - 1);
		*reply = true;
	}
}

/* Close a key that began at `from`: at most MIME_KEY_MAX bytes of it stay. */
static struct slice
close_key(struct buf *text, size_t from)
{
	struct slice key;

	if (text->len == from)
		return slice_of("", 0);
	key = text_cut(slice_of(text->ptr + from, text->len - from), MIME_KEY_MAX);
	text->len = from + key.len;
	return key;
}

/* Fold `s` (UTF-8) into a key. */
static struct slice
folded_key(struct buf *text, struct slice s)
{
	size_t from = text->len;
	struct buf tmp;

	buf_init(&tmp, MIME_KEY_MAX);
	if (buf_reserve(&tmp, MIME_KEY_MAX) == NULL)
		text->failed = true;
	text_casefold(text_cut(s, MIME_KEY_MAX), &tmp);
	buf_append_slice(text, buf_slice(&tmp));
	buf_fini(&tmp);
	return close_key(text, from);
}

/* Decoded text with runs of blanks and controls as one space [RFC 5256 s2.1 step 1], at most
 * SOURCE_MAX bytes. */
static void
decode_flat(struct slice value, struct buf *out)
{
	struct buf raw;
	bool blank = false;

	buf_init(&raw, SOURCE_MAX);
	if (buf_reserve(&raw, SOURCE_MAX) == NULL)
		out->failed = true;
	rfc2047_decode(slice_sub(value, 0, SOURCE_MAX), &raw);
	if (raw.failed && raw.len + FULL_SLACK < SOURCE_MAX)
		out->failed = true;     /* not full: it was memory that failed */
	for (size_t i = 0; i < raw.len; i++) {
		bool here = raw.ptr[i] <= ' ';

		if (!(here && blank))
			buf_append_byte(out, here ? ' ' : raw.ptr[i]);
		blank = here;
	}
	buf_fini(&raw);
}

static struct slice
subject_key(struct buf *text, struct slice value, bool *reply)
{
	struct slice key;
	struct buf flat;

	buf_init(&flat, SOURCE_MAX);
	decode_flat(value, &flat);
	key = folded_key(text, base_subject(buf_slice(&flat), reply));
	if (flat.failed)
		text->failed = true;
	buf_fini(&flat);
	return key;
}

/* The first mailbox of an address field: its local part [RFC 5256 s3] and what is displayed
 * [RFC 5957 s3]. `display` may be NULL. */
static void
address_keys(struct buf *text, struct slice value, struct slice *mailbox, struct slice *display)
{
	struct address_iter it;
	struct address a;
	struct buf flat;

	*mailbox = slice_of("", 0);
	address_iter_init(&it, slice_sub(value, 0, SOURCE_MAX));
	buf_init(&flat, 3 * SOURCE_MAX);
	while (address_next(&it, &a)) {
		if (a.kind != ADDRESS_MAILBOX)
			continue;
		*mailbox = folded_key(text, a.mailbox);
		if (a.name.len > 0) {
			decode_flat(a.name, &flat);
		} else {
			buf_append_slice(&flat, a.mailbox);
			buf_append_byte(&flat, '@');
			buf_append_slice(&flat, a.host);
		}
		break;
	}
	if (display != NULL)
		*display = folded_key(text, slice_trim(buf_slice(&flat)));
	if (flat.failed || it.failed)
		text->failed = true;
	buf_fini(&flat);
	address_iter_fini(&it);
}

/* The next msg-id [RFC 5322 s3.6.4] of s with its <>, white space within left out, appended to out.
 * False if none. */
static bool
next_msg_id(struct slice *s, struct buf *out)
{
	size_t start = slice_find_byte(*s, '<'), end;
	struct slice id;

	end = start + slice_find_byte(slice_sub(*s, start, s->len), '>');
	if (end >= s->len)
		return false;
	id = slice_sub(*s, start, end + 1);
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] > ' ')
			buf_append_byte(out, id.ptr[i]);
	*s = slice_sub(*s, end + 1, s->len);
	return true;
}

static struct slice
message_id_key(struct buf *text, struct slice value)
{
	size_t from = text->len;
	struct buf id;

	buf_init(&id, MIME_FIELD_MAX);
	if (next_msg_id(&value, &id))
		buf_append_slice(text, slice_sub(buf_slice(&id), 0, MIME_KEY_MAX));
	else
		buf_append_slice(text, slice_sub(slice_trim(value), 0, MIME_KEY_MAX));
	if (id.failed)
		text->failed = true;
	buf_fini(&id);
	return text->len > from ? slice_of(text->ptr + from, text->len - from) : slice_of("", 0);
}

/* Append all ids if they fit, else the first one and as many of the last as do. */
static struct slice
refs_fit(struct buf *text, struct slice all)
{
	struct slice first = slice_sub(all, 0, slice_find_byte(all, ' ')), tail;
	size_t from = text->len;

	if (all.len > MIME_REFS_MAX) {
		if (first.len > MIME_REFS_MAX / 2)
			first.len = 0;
		tail = slice_sub(all, all.len - (MIME_REFS_MAX - first.len - 1), all.len);
		tail = slice_sub(tail, slice_find_byte(tail, ' ') + (first.len == 0), tail.len);
		buf_append_slice(text, first);
		all = tail;
	}
	buf_append_slice(text, all);
	return text->len > from ? slice_of(text->ptr + from, text->len - from) : slice_of("", 0);
}

static struct slice
refs_key(struct buf *text, struct slice references, struct slice in_reply_to)
{
	struct slice key;
	struct buf ids;
	size_t last = 0;

	buf_init(&ids, 2 * MIME_FIELD_MAX);
	while (next_msg_id(&references, &ids)) {
		last = ids.len;
		buf_append_byte(&ids, ' ');
	}
	ids.len = last;
	if (ids.len == 0)
		next_msg_id(&in_reply_to, &ids);
	key = refs_fit(text, buf_slice(&ids));
	if (ids.failed)
		text->failed = true;
	buf_fini(&ids);
	return key;
}

uint32_t
mime_keys_make(const struct mime_header *h, struct buf *text, struct mime_keys *k)
{
	uint32_t flags = 0;
	struct date date;
	bool reply;

	memset(k, 0, sizeof *k);
	if (buf_reserve(text, MIME_KEYS_MAX) == NULL)   /* so that nothing moves below */
		return 0;
	if (date_parse_rfc5322(mime_header_get(h, MIME_FIELD_DATE), &date)) {
		k->sent_time = date.unix_time;
		k->sent_day = date.day;
		flags |= MIME_HAS_DATE;
	}
	k->subject = subject_key(text, mime_header_get(h, MIME_FIELD_SUBJECT), &reply);
	if (reply)
		flags |= MIME_REPLY_OR_FWD;
	address_keys(text, mime_header_get(h, MIME_FIELD_FROM), &k->from, &k->display_from);
	address_keys(text, mime_header_get(h, MIME_FIELD_TO), &k->to, &k->display_to);
	address_keys(text, mime_header_get(h, MIME_FIELD_CC), &k->cc, NULL);
	k->message_id = message_id_key(text, mime_header_get(h, MIME_FIELD_MESSAGE_ID));
	k->refs = refs_key(text, mime_header_get(h, MIME_FIELD_REFERENCES),
	                   mime_header_get(h, MIME_FIELD_IN_REPLY_TO));
	return flags;
}
