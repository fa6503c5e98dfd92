/* lint_ids - Message-ID, References and the like [RFC 5322 s3.6.4, s4.5.4]. */
#include "lib/lint_impl.h"

static bool
bad_id(struct lint_cursor *c, size_t from, const char *why)
{
	struct lint_shown shown;

	lint_report_at(c->l, c->in.ptr + from, LINT_BAD_MSG_ID, "%s: %s", why,
	               lint_show(&shown, slice_sub(c->in, from, c->in.len)));
	return false;
}

/* id-left = dot-atom-text / obs-id-left, which may be quoted */
static bool
take_left(struct lint_cursor *c)
{
	struct slice text;

	if (lint_peek(c) != '"')
		return lint_take_dot_atom(c, &text);
	if (!lint_take_quoted(c, &text))
		return false;
	lint_report_at(c->l, text.ptr, LINT_OBSOLETE, "a message id with a quoted string");
	return true;
}

/* msg-id = "<" id-left "@" id-right ">", the cursor is at "<". */
static bool
take_id(struct lint_cursor *c)
{
	size_t from = c->at++;
	struct slice text;
	bool blanks = lint_skip_cfws(c);

	if (!take_left(c))
		return bad_id(c, from, "a message id without a proper left side");
	blanks = lint_skip_cfws(c) || blanks;
	if (!lint_take_byte(c, '@'))
		return bad_id(c, from, "a message id without \"@\"");
	blanks = lint_skip_cfws(c) || blanks;
	if (lint_peek(c) == '[' ? !lint_take_literal(c, &text) : !lint_take_dot_atom(c, &text))
		return bad_id(c, from, "a message id without a proper right side");
	blanks = lint_skip_cfws(c) || blanks;
	if (!lint_take_byte(c, '>'))
		return bad_id(c, from, "a message id that is not closed");
	if (blanks)
		lint_report_at(c->l, c->in.ptr + from, LINT_OBSOLETE,
		               "blanks or comments in a message id");
	return true;
}

/* Words between the ids: mailers of old wrote phrases in In-Reply-To. True: something was there. */
static bool
skip_phrase(struct lint_cursor *c)
{
	size_t from = c->at;
	struct slice text;

	while (lint_peek(c) == '"'
	           ? lint_take_quoted(c, &text)
	           : lint_take_run(c, lint_is_atext, &text) || lint_take_byte(c, '.'))
		lint_skip_cfws(c);
	return c->at > from;
}

/* Take one thing; false: go on behind the next ">". */
static bool
take_thing(struct lint_cursor *c, bool one, uint64_t *ids)
{
	size_t from = c->at;

	if (lint_peek(c) == '<') {
		*ids += 1;
		return take_id(c);
	}
	if (lint_take_byte(c, ',')) {
		bad_id(c, from, "a comma between message ids");
		return true;
	}
	if (one || !skip_phrase(c))
		return bad_id(c, from, "no \"<\"");
	lint_report_at(c->l, c->in.ptr + from, LINT_OBSOLETE, "words between message ids");
	return true;
}

void
lint_msg_ids(struct lint_cursor *c, bool one)
{
	uint64_t ids = 0;

	lint_no_words(c->l, c->in, LINT_WORD_PLACE);
	for (lint_skip_cfws(c); !lint_at_end(c); lint_skip_cfws(c))
		if (!take_thing(c, one, &ids) && !lint_skip_to(c, '>'))
			return;
	if (ids == 0)   /* but for In-Reply-To and References an obsolete form [RFC 5322 s4.5.4] */
		lint_report_at(c->l, c->in.ptr, one ? LINT_BAD_MSG_ID : LINT_OBSOLETE,
		               "there is no message id");
	else if (one && ids > 1)
		lint_report_at(c->l, c->in.ptr, LINT_BAD_MSG_ID,
		               "there are %llu message ids; one is allowed",
		               (unsigned long long)ids);
}
