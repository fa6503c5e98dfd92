/* lint_received - trace fields: words, then ";" and a date [RFC 5322 s3.6.7, RFC 5321 s4.4]. */
#include "lib/lint_impl.h"

static bool
is_received_byte(uint8_t b)
{
	return lint_is_atext(b) || b == '.' || b == '@' || b == ':';
}

/* received-token = word / angle-addr / addr-spec / domain; brackets hold no blanks that
 * would matter here. */
static bool
take_token(struct lint_cursor *c, struct slice *word)
{
	*word = SLICE_NONE;
	if (lint_peek(c) == '"')
		return lint_take_quoted(c, word);
	if (lint_peek(c) == '[')
		return lint_take_literal(c, word);
	if (lint_peek(c) == '<') {
		c->at++;
		return lint_skip_to(c, '>');
	}
	return lint_take_run(c, is_received_byte, word);
}

void
lint_received(struct lint_cursor *c)
{
	bool by = false, from = false;
	struct lint_shown shown;
	struct slice word;

	for (lint_skip_cfws(c); !lint_at_end(c) && lint_peek(c) != ';'; lint_skip_cfws(c)) {
		if (!take_token(c, &word)) {
			lint_report_at(c->l, lint_here(c), LINT_BAD_RECEIVED, "no word at: %s",
			               lint_show(&shown, slice_sub(c->in, c->at, c->in.len)));
			return;
		}
		by = by || slice_eq_nocase(word, SLICE("by"));
		from = from || slice_eq_nocase(word, SLICE("from"));
	}
	if (!lint_take_byte(c, ';')) {
		lint_report_at(c->l, lint_here(c), LINT_BAD_RECEIVED,
		               "no \";\" and date at the end");
		return;
	}
	c->in = slice_sub(c->in, c->at, c->in.len);
	c->at = 0;
	lint_date(c, LINT_BAD_RECEIVED);
	/* A step that is no SMTP hop ("(qmail 5 invoked by uid 0)") says neither. */
	if (from && !by)
		lint_report_at(c->l, c->in.ptr, LINT_RECEIVED_BY,
		               "the field does not say \"by\" whom it was received");
}
