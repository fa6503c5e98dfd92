/* lint_syntax - the tokens of RFC 5322 s3.2, exactly, with the obsolete forms of s4 told.
 * See lint_impl.h.
 *
 * lib/address.h and its like take whatever stands there, on purpose; a checker must see what they
 * forgive, hence tokens of its own. Nesting of comments is counted, not recursed into.
 */
#include "lib/lint_impl.h"

#include <string.h>

bool
lint_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
lint_is_atext(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c >= 0x80 || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
lint_is_token(uint8_t c)
{
	return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

bool
lint_skip_blanks(struct lint_cursor *c)
{
	size_t from = c->at;

	while (lint_is_blank(lint_peek(c)))
		c->at++;
	return c->at > from;
}

/* comment = "(" *([FWS] ccontent) [FWS] ")"; the cursor is at the parenthesis. */
static void
skip_comment(struct lint_cursor *c)
{
	const uint8_t *start = lint_here(c);
	size_t depth = 0, from = c->at + 1;

	for (; !lint_at_end(c); c->at++) {
		uint8_t b = c->in.ptr[c->at];

		if (b != '(' && b != ')' && b != '\\')
			continue;
		lint_words(c->l, slice_sub(c->in, from, c->at), LINT_WORDS_COMMENT);
		if (b == '\\' && c->at + 1 < c->in.len)
			c->at++;
		depth = b == '(' ? depth + 1 : b == ')' ? depth - 1 : depth;
		from = c->at + 1;
		if (depth == 0) {
			c->at++;
			return;
		}
	}
	lint_report_at(c->l, start, LINT_BAD_COMMENT, "a comment is not closed");
}

bool
lint_skip_cfws(struct lint_cursor *c)
{
	size_t from = c->at;

	for (;;) {
		if (lint_peek(c) == '(')
			skip_comment(c);
		else if (!lint_skip_blanks(c))
			return c->at > from;
	}
}

bool
lint_take_byte(struct lint_cursor *c, uint8_t b)
{
	if (lint_at_end(c) || c->in.ptr[c->at] != b)
		return false;
	c->at++;
	return true;
}

bool
lint_take_run(struct lint_cursor *c, bool (*is)(uint8_t), struct slice *out)
{
	size_t from = c->at;

	while (!lint_at_end(c) && is(c->in.ptr[c->at]))
		c->at++;
	*out = slice_sub(c->in, from, c->at);
	return out->len > 0;
}

bool
lint_take_dot_atom(struct lint_cursor *c, struct slice *out)
{
	size_t from = c->at;
	struct slice atom;

	do {
		if (!lint_take_run(c, lint_is_atext, &atom))
			return false;
	} while (lint_take_byte(c, '.'));
	*out = slice_sub(c->in, from, c->at);
	return true;
}

/* qcontent = qtext / quoted-pair; what RFC 2047 s5 forbids within is told. */
bool
lint_take_quoted(struct lint_cursor *c, struct slice *out)
{
	size_t from = ++c->at;

	while (!lint_at_end(c) && c->in.ptr[c->at] != '"')
		c->at += c->in.ptr[c->at] == '\\' && c->at + 1 < c->in.len ? 2 : 1;
	*out = slice_sub(c->in, from, c->at);
	if (lint_at_end(c)) {
		lint_report_at(c->l, c->in.ptr + from - 1, LINT_BAD_QUOTED_STRING,
		    "a quoted string is not closed");
		return false;
	}
	c->at++;
	return true;
}

/* domain-literal = "[" *([FWS] dtext) [FWS] "]" [RFC 5322 s3.4.1] */
bool
lint_take_literal(struct lint_cursor *c, struct slice *out)
{
	size_t from = c->at++;

	while (!lint_at_end(c) && c->in.ptr[c->at] != ']' && c->in.ptr[c->at] != '[' &&
	       c->in.ptr[c->at] != '\\')
		c->at++;
	if (!lint_take_byte(c, ']'))
		return false;
	*out = slice_sub(c->in, from, c->at);
	return true;
}

bool
lint_take_digits(struct lint_cursor *c, unsigned min, unsigned max, unsigned *out)
{
	unsigned n = 0;

	*out = 0;
	for (; n < max && lint_peek(c) >= '0' && lint_peek(c) <= '9'; n++)
		*out = *out * 10 + (unsigned)(c->in.ptr[c->at++] - '0');
	return n >= min;
}

/* After an error: words are not judged any more, only lexed. */
bool
lint_skip_to(struct lint_cursor *c, uint8_t stop)
{
	size_t depth = 0;
	bool quoted = false, angle = false;

	for (; !lint_at_end(c); c->at++) {
		uint8_t b = c->in.ptr[c->at];

		if (b == '\\') {
			c->at += c->at + 1 < c->in.len;
		} else if (quoted) {
			quoted = b != '"';
		} else if (b == '(' || (b == ')' && depth > 0)) {
			depth = b == '(' ? depth + 1 : depth - 1;
		} else if (depth == 0 && b == stop && !angle) {
			c->at++;
			return true;
		} else if (depth == 0) {
			quoted = b == '"';
			angle = b == '<' || (angle && b != '>');
		}
	}
	return false;
}
