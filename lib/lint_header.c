/* lint_header - the fields of a header block: which there must be, how often, and who judges each.
 *
 * A field is collected up to LINT_FIELD_MAX bytes and judged when the next one begins. In the
 * header of a part only Content- fields have a meaning [RFC 2045 s3]; others are looked at as
 * lines, no more. Fields without a rule are text.
 */
#include "lib/lint_impl.h"

#include "lib/text.h"

#include <assert.h>
#include <string.h>

#define WORD_LINE_MAX 76u       /* a line with an encoded-word [RFC 2047 s2] */

/* ---- rules ---- */

static void
check_date(struct lint_cursor *c)
{
	lint_date(c, LINT_BAD_DATE);
}

static void
check_from(struct lint_cursor *c)
{
	c->l->header.from_mailboxes = lint_addresses(c, LINT_MAILBOXES, "From");
}

static void
check_sender(struct lint_cursor *c)
{
	lint_addresses(c, LINT_ONE_MAILBOX, "Sender");
}

static void
check_mailboxes(struct lint_cursor *c)
{
	lint_addresses(c, LINT_MAILBOXES, "the field");
}

static void
check_addresses(struct lint_cursor *c)
{
	lint_addresses(c, LINT_ADDRESSES, "the field");
}

static void
check_bcc(struct lint_cursor *c)
{
	lint_addresses(c, LINT_BCC_LIST, "Bcc");
}

static void
check_id(struct lint_cursor *c)
{
	lint_msg_ids(c, true);
}

static void
check_ids(struct lint_cursor *c)
{
	lint_msg_ids(c, false);
}

static void
check_text(struct lint_cursor *c)
{
	lint_words(c->l, c->in, LINT_WORDS_TEXT);
}

static void
check_uris(struct lint_cursor *c)
{
	lint_list_uris(c, false, false);
}

static void
check_post(struct lint_cursor *c)
{
	lint_list_uris(c, true, false);
}

static void
check_unsubscribe(struct lint_cursor *c)
{
	lint_list_uris(c, false, true);
}

static void
check_results(struct lint_cursor *c)
{
	lint_auth_results(c, LINT_BAD_AUTH_RESULTS);
}

struct rule {
	const char *name;
	bool        once;
	void      (*check)(struct lint_cursor *c);
};

static const struct rule rules[] = {
	[LINT_F_DATE] = { "Date", true, check_date },
	[LINT_F_FROM] = { "From", true, check_from },
	[LINT_F_SENDER] = { "Sender", true, check_sender },
	[LINT_F_REPLY_TO] = { "Reply-To", true, check_addresses },
	[LINT_F_TO] = { "To", true, check_addresses },
	[LINT_F_CC] = { "Cc", true, check_addresses },
	[LINT_F_BCC] = { "Bcc", true, check_bcc },
	[LINT_F_MESSAGE_ID] = { "Message-ID", true, check_id },
	[LINT_F_SUBJECT] = { "Subject", true, check_text },
	[LINT_F_RESENT_DATE] = { "Resent-Date", false, check_date },
	[LINT_F_RESENT_FROM] = { "Resent-From", false, check_mailboxes },
	[LINT_F_MIME_VERSION] = { "MIME-Version", true, lint_mime_version },
	[LINT_F_CONTENT_TYPE] = { "Content-Type", true, lint_content_type },
	[LINT_F_ENCODING] = { "Content-Transfer-Encoding", true, lint_encoding },
	[LINT_F_LIST_UNSUBSCRIBE] = { "List-Unsubscribe", true, check_unsubscribe },
	[LINT_F_UNSUBSCRIBE_POST] = { "List-Unsubscribe-Post", true, lint_unsubscribe_post },
	[LINT_F_DKIM] = { "DKIM-Signature", false, lint_dkim },
	[LINT_F_RETURN_PATH] = { "Return-Path", true, lint_return_path },
	[LINT_F_RECEIVED] = { "Received", false, lint_received },
	{ "In-Reply-To", true, check_ids },
	{ "References", true, check_ids },
	{ "Keywords", false, lint_phrases },
	{ "Resent-Sender", false, check_sender },
	{ "Resent-To", false, check_addresses },
	{ "Resent-Cc", false, check_addresses },
	{ "Resent-Bcc", false, check_bcc },
	{ "Resent-Message-ID", false, check_id },
	{ "Content-ID", true, check_id },
	{ "Content-Description", true, check_text },
	{ "Content-Disposition", true, lint_disposition },
	{ "List-Id", true, lint_list_id },
	{ "List-Help", true, check_uris },
	{ "List-Subscribe", true, check_uris },
	{ "List-Post", true, check_post },
	{ "List-Owner", true, check_uris },
	{ "List-Archive", true, check_uris },
	{ "Authentication-Results", false, check_results },
	{ "ARC-Seal", false, lint_arc_seal },
	{ "ARC-Message-Signature", false, lint_arc_signature },
	{ "ARC-Authentication-Results", false, lint_arc_results },
	{ "Disposition-Notification-To", true, check_mailboxes },
};

#define RULES (sizeof rules / sizeof rules[0])
static_assert(RULES <= LINT_RULES_MAX, "struct lint_header has a place for each");

static size_t
find_rule(struct slice name)
{
	size_t i = 0;

	while (i < RULES && !slice_eq_nocase(name, slice_str(rules[i].name)))
		i++;
	return i;
}

/* ---- one field ---- */

/* [RFC 6532 s3.2]: UTF-8 may stand in the header of an internationalised message; anything
 * else 8-bit never. */
static void
check_8bit(struct lint *l, struct slice raw)
{
	size_t at = 0;

	if (l->field_cut)
		raw = text_cut(raw, raw.len);
	while (at < raw.len && raw.ptr[at] < 0x80)
		at++;
	if (at == raw.len)
		return;
	if (text_utf8_valid(raw))
		lint_report_at(l, raw.ptr + at, LINT_UTF8_HEADER,
		               "UTF-8 in the header: only a message sent with "
		               "SMTPUTF8 may have it");
	else
		lint_report_at(l, raw.ptr + at, LINT_8BIT_HEADER,
		               "byte 0x%02x in the header; it is not UTF-8 either", raw.ptr[at]);
}

/* Lines of white space only, and encoded-words in long lines. */
static void
check_lines(struct lint *l, struct slice raw)
{
	for (size_t at = 0; at < raw.len;) {
		size_t n = slice_find_byte(slice_sub(raw, at, raw.len), '\n');
		struct slice line = slice_sub(raw, at, at + n);
		size_t word;

		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		word = slice_find(line, SLICE("=?"));
		if (at > 0 && slice_trim(line).len == 0)
			lint_report_at(l, line.ptr, LINT_BLANK_FOLD,
			               "a line of white space only within a field");
		if (line.len > WORD_LINE_MAX &&
		    slice_find(slice_sub(line, word + 2, line.len), SLICE("?=")) <
		        line.len - (word + 2 < line.len ? word + 2 : line.len))
			lint_report_at(l, line.ptr, LINT_WORD_LINE,
			               "a line of %llu bytes with an encoded-word; no more "
			               "than %u are allowed",
			               (unsigned long long)line.len, WORD_LINE_MAX);
		at += n + 1;
	}
}

/* field-name = 1*ftext, 33..126 without ":" [RFC 5322 s3.6.8] */
static bool
check_name(struct lint *l, const struct header_field *f)
{
	struct lint_shown shown;

	if (f->name.ptr == NULL || f->name.len == 0) {
		lint_report_at(l, f->raw.ptr, LINT_FIELD_NO_COLON, "no field name and colon: %s",
		               lint_show(&shown, slice_trim(f->raw)));
		return false;
	}
	for (size_t i = 0; i < f->name.len; i++) {
		if (f->name.ptr[i] > ' ' && f->name.ptr[i] < 0x7f)
			continue;
		lint_report_at(l, f->raw.ptr, LINT_FIELD_NAME, "byte 0x%02x in a field name: %s",
		               f->name.ptr[i], lint_show(&shown, f->name));
		return false;
	}
	if (f->raw.ptr[f->name.len] != ':')
		lint_report_at(l, f->raw.ptr, LINT_SPACE_BEFORE_COLON,
		               "white space before the colon of %s", lint_show(&shown, f->name));
	return true;
}

static void
count_field(struct lint *l, size_t rule)
{
	uint64_t *seen = &l->header.seen[rule];

	if (*seen > 0 && rules[rule].once)
		lint_report(l, l->field_line, LINT_DUPLICATE_FIELD,
		            "%s again; the first is at line %llu", rules[rule].name,
		            (unsigned long long)*seen);
	if (*seen == 0)
		*seen = l->field_line;
	if (rule == LINT_F_RECEIVED)    /* a trace has one, and there may be many traces
	                                 * [RFC 5322 s3.6.7] */
		l->header.seen[LINT_F_RETURN_PATH] = 0;
	if (rule == LINT_F_BCC && l->header.entity == LINT_MESSAGE)
		lint_report(l, l->field_line, LINT_BCC_PRESENT,
		            "Bcc is present: its recipients are told to all");
}

static void
check_field(struct lint *l, const struct header_field *f)
{
	struct lint_header *h = &l->header;
	bool content = slice_starts_nocase(f->name, SLICE("Content-"));
	struct lint_cursor c = { .l = l, .in = f->value };
	size_t rule = find_rule(f->name);

	h->mime_fields = h->mime_fields || content;
	if (h->entity == LINT_PART && !content)
		return;
	if (slice_starts_nocase(f->name, SLICE("Resent-")) && h->resent_line == 0)
		h->resent_line = l->field_line;
	if (rule == RULES) {
		check_text(&c);
		return;
	}
	count_field(l, rule);
	rules[rule].check(&c);
}

static void
finish_field(struct lint *l)
{
	struct slice block = buf_slice(&l->field);
	struct header_field f;

	if (!l->field_open)
		return;
	l->field_open = false;
	l->at_offset = 0;
	l->at_line = l->field_line;
	l->header.any = true;
	if (l->field_cut)
		lint_report(l, l->field_line, LINT_LIMIT,
		            "the field is longer than %u bytes: the rest is not looked at",
		            LINT_FIELD_MAX);
	check_lines(l, block);
	check_8bit(l, block);
	if (header_next(&block, &f) && check_name(l, &f))
		check_field(l, &f);
}

/* ---- the block ---- */

void
lint_header_begin(struct lint *l, enum lint_entity entity, bool digest, uint64_t line)
{
	struct buf boundary = l->header.boundary;

	buf_reset(&boundary);
	l->header = (struct lint_header){
		.entity = entity, .digest = digest, .line = line, .boundary = boundary,
		.encoding = TRANSFER_7BIT,
	};
	l->field_open = l->field_cut = false;
}

void
lint_header_feed(struct lint *l, struct slice piece, bool starts)
{
	size_t room;

	if (starts && (!l->field_open || (piece.ptr[0] != ' ' && piece.ptr[0] != '\t'))) {
		finish_field(l);
		buf_reset(&l->field);
		l->field_open = true;
		l->field_cut = false;
		l->field_line = l->line;
	}
	room = buf_room(&l->field);
	l->field_cut = l->field_cut || piece.len > room;
	buf_append_slice(&l->field, slice_sub(piece, 0, room));
	l->nomem = l->nomem || l->field.failed;
}

static void
check_missing(struct lint *l)
{
	const struct lint_header *h = &l->header;

	if (h->seen[LINT_F_DATE] == 0)
		lint_report(l, h->line, LINT_MISSING_DATE, "there is no Date");
	if (h->seen[LINT_F_FROM] == 0)
		lint_report(l, h->line, LINT_MISSING_FROM, "there is no From");
	if (h->seen[LINT_F_MESSAGE_ID] == 0)
		lint_report(l, h->line, LINT_MISSING_MESSAGE_ID, "there is no Message-ID");
	if (h->from_mailboxes > 1 && h->seen[LINT_F_SENDER] == 0)
		lint_report(l, h->seen[LINT_F_FROM], LINT_MISSING_SENDER,
		            "From has %llu mailboxes, and there is no Sender",
		            (unsigned long long)h->from_mailboxes);
}

static void
check_whole(struct lint *l)
{
	struct lint_header *h = &l->header;
	bool identified = h->seen[LINT_F_DATE] + h->seen[LINT_F_FROM] + h->seen[LINT_F_SUBJECT] > 0;

	if (h->entity == LINT_MESSAGE)
		check_missing(l);
	else if (h->entity == LINT_EMBEDDED && !identified)
		lint_report(l, h->line, LINT_EMBEDDED_HEADER,
		            "the embedded message has neither From, Subject nor Date");
	if (h->resent_line > 0 &&
	    (h->seen[LINT_F_RESENT_DATE] == 0 || h->seen[LINT_F_RESENT_FROM] == 0))
		lint_report(l, h->resent_line, LINT_RESENT_INCOMPLETE, "Resent fields without %s",
		            h->seen[LINT_F_RESENT_DATE] == 0 ? "Resent-Date" : "Resent-From");
	if (h->entity != LINT_PART && h->mime_fields && h->seen[LINT_F_MIME_VERSION] == 0)
		lint_report(l, h->line, LINT_MISSING_MIME_VERSION,
		            "there are Content- fields, but no MIME-Version");
	lint_unsubscribe_end(l);
	lint_arc_end(l);
}

/* What the fields together say of the body. */
static void
check_type(struct lint *l)
{
	struct lint_header *h = &l->header;
	uint64_t type_line = h->seen[LINT_F_CONTENT_TYPE];
	bool encodes = h->encoding == TRANSFER_BASE64 || h->encoding == TRANSFER_QP;

	if (h->digest && !h->type_seen)
		h->embeds = h->composite = true;        /* [RFC 2046 s5.1.5] */
	if (h->composite && (encodes || h->encoding == TRANSFER_UNKNOWN))
		lint_report(l, h->seen[LINT_F_ENCODING], LINT_ENCODING_COMPOSITE,
		            "a multipart or message may be 7bit, 8bit or binary only");
	if (h->multipart && h->boundary.len == 0)
		lint_report(l, type_line, LINT_BOUNDARY_MISSING, "a multipart without a boundary");
}

void
lint_header_end(struct lint *l)
{
	finish_field(l);
	check_whole(l);
	check_type(l);
}
