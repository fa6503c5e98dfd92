/* lint_body - are the bytes of a body what its Content-Transfer-Encoding says? [RFC 2045 s6]
 *
 * Byte by byte with a little state, so that lines of any length cost no memory. One finding per
 * line and kind is enough: lines are what the reader looks up.
 */
#include "lib/lint_impl.h"

#include "lib/base64.h"

#define ENCODED_LINE_MAX 76u            /* base64 and quoted-printable [RFC 2045 s6.7, s6.8] */

void
lint_body_begin(struct lint *l, enum transfer_encoding encoding, bool ascii_text)
{
	l->body = (struct lint_body){ .encoding = encoding, .ascii_text = ascii_text,
	                              .line = l->line + 1 };
}

/* ---- 7bit, 8bit, binary ---- */

static void
feed_plain(struct lint *l)
{
	struct lint_body *b = &l->body;

	if (!l->has_8bit)
		return;
	if (b->encoding == TRANSFER_7BIT) {
		lint_report(l, l->line, LINT_8BIT_BODY,
		            "8-bit bytes in a body that is declared 7bit, or not declared");
	} else if (b->ascii_text && !b->told_charset) {
		b->told_charset = true;
		lint_report(l, l->line, LINT_8BIT_CHARSET,
		            "8-bit bytes in text whose charset is us-ascii, or not given");
	}
}

/* ---- base64 ---- */

static void
feed_base64(struct lint *l, struct slice content)
{
	struct lint_body *b = &l->body;
	bool told_char = false, told_padding = false;

	for (size_t i = 0; i < content.len; i++) {
		uint8_t c = content.ptr[i];

		if (c == '=') {
			b->padding++;
		} else if (base64_value(c) < 0) {
			if (!told_char && !(lint_is_blank(c) && i + 1 == content.len))
				lint_report(l, l->line, LINT_BASE64_CHAR,
				            "byte 0x%02x is no letter of base64", c);
			told_char = true;
		} else {
			if (b->padding > 0 && !told_padding)
				lint_report(l, l->line, LINT_BASE64_PADDING,
				            "data stand behind the padding");
			told_padding = told_padding || b->padding > 0;
			b->sextets++;
		}
	}
}

static void
end_base64(struct lint *l)
{
	const struct lint_body *b = &l->body;
	unsigned want = b->sextets % 4 == 0 ? 0 : (unsigned)(4 - b->sextets % 4);

	if (b->sextets % 4 == 1)
		lint_report(l, l->line, LINT_BASE64_END,
		            "the data end within a group of four: %llu letters",
		            (unsigned long long)b->sextets);
	else if (b->padding < want)
		lint_report(l, l->line, LINT_BASE64_END, "the padding at the end is missing");
	else if (b->padding > want)
		lint_report(l, l->line, LINT_BASE64_PADDING, "%u bytes of padding where %u belong",
		            b->padding, want);
}

/* ---- quoted-printable ---- */

static void
report_raw(struct lint *l, uint8_t c, bool *told)
{
	if (!*told)
		lint_report(l, l->line, LINT_QP_RAW, "byte 0x%02x must be encoded", c);
	*told = true;
}

/* The byte behind "=" or "=X". */
static void
take_escape(struct lint *l, uint8_t c)
{
	struct lint_body *b = &l->body;

	if (b->escape == 2 && (b->soft || lint_is_blank(c)) && lint_is_blank(c)) {
		b->soft = true;                 /* transport padding behind a soft line break */
		return;
	}
	if (ascii_hex_value(c) < 0 || b->soft) {
		lint_report(l, l->line, LINT_QP_ESCAPE,
		            "\"=\" is not followed by two hexadecimal digits");
		b->escape = 0;
		b->soft = false;
		return;
	}
	if (c >= 'a')
		lint_report(l, l->line, LINT_QP_LOWER,
		            "hexadecimal digits behind \"=\" must be upper case");
	b->escape--;
}

static void
feed_qp(struct lint *l, struct slice content, bool ends)
{
	struct lint_body *b = &l->body;
	bool told = false;

	for (size_t i = 0; i < content.len; i++) {
		uint8_t c = content.ptr[i];

		b->blank = c == ' ' || c == '\t';
		if (b->escape > 0)
			take_escape(l, c);
		else if (c == '=')
			b->escape = 2;
		else if ((c < ' ' && c != '\t') || c > '~')
			report_raw(l, c, &told);
	}
	if (!ends)
		return;
	if (b->escape == 1)
		lint_report(l, l->line, LINT_QP_ESCAPE,
		            "\"=\" is not followed by two hexadecimal digits");
	else if (b->blank && !b->soft)
		lint_report(l, l->line, LINT_QP_SPACE,
		            "white space at the end of the line must be encoded");
	b->escape = 0;
	b->soft = b->blank = false;
}

/* ---- lines ---- */

static void
check_encoded_length(struct lint *l, enum lint_code code)
{
	if (l->body.line_len > ENCODED_LINE_MAX)
		lint_report(l, l->line, code,
		            "the line has %llu bytes; no more than %u are allowed",
		            (unsigned long long)l->body.line_len, ENCODED_LINE_MAX);
}

void
lint_body_feed(struct lint *l, struct slice content, bool starts, bool ends)
{
	l->body.line_len = (starts ? 0 : l->body.line_len) + content.len;
	if (l->where != LINT_IN_BODY) {
		feed_plain(l);
		return;
	}
	switch (l->body.encoding) {
	case TRANSFER_7BIT:
	case TRANSFER_8BIT:
		feed_plain(l);
		return;
	case TRANSFER_BASE64:
		feed_base64(l, content);
		if (ends)
			check_encoded_length(l, LINT_BASE64_LINE);
		return;
	case TRANSFER_QP:
		feed_qp(l, content, ends);
		if (ends)
			check_encoded_length(l, LINT_QP_LINE);
		return;
	case TRANSFER_BINARY:
	case TRANSFER_UNKNOWN:
		return;
	}
}

void
lint_body_end(struct lint *l)
{
	if (l->body.encoding == TRANSFER_BASE64)
		end_base64(l);
}
