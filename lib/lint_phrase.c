/* lint_phrase - phrases between commas: Keywords [RFC 5322 s3.6.5]. */
#include "lib/lint_impl.h"

static bool
take_phrase(struct lint_cursor *c)
{
	struct slice text;
	size_t from = c->at;

	for (;;) {
		if (lint_peek(c) == '"') {
			if (!lint_take_quoted(c, &text))
				return false;
			lint_no_words(c->l, text, LINT_WORD_QUOTED);
		} else if (lint_peek(c) == '.') {
			lint_report_at(c->l, lint_here(c), LINT_OBSOLETE,
			               "a dot in a phrase outside of quotes");
			c->at++;
		} else if (!lint_take_run(c, lint_is_atext, &text)) {
			break;
		}
		lint_skip_cfws(c);
	}
	lint_words(c->l, slice_sub(c->in, from, c->at), LINT_WORDS_PHRASE);
	return c->at > from;
}

void
lint_phrases(struct lint_cursor *c)
{
	struct lint_shown shown;

	do {
		lint_skip_cfws(c);
		if (!take_phrase(c) || (!lint_at_end(c) && lint_peek(c) != ',')) {
			lint_report_at(c->l, lint_here(c), LINT_BAD_PHRASE, "no phrase at: %s",
			               lint_show(&shown, slice_sub(c->in, c->at, c->in.len)));
			return;
		}
	} while (lint_take_byte(c, ','));
}
