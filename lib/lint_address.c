/* lint_address - lists of mailboxes and groups [RFC 5322 s3.4, s4.4; RFC 6854].
 *
 * Words are read until what follows tells what they were: a display name before "<", a group's name
 * before ":", a local part before "@". After an error the next address begins behind the next
 * comma, so each byte is read at most twice.
 */
#include "lib/lint_impl.h"

#define LOCAL_MAX  64u          /* [RFC 5321 s4.5.3.1.1] */
#define DOMAIN_MAX 255u         /* [RFC 5321 s4.5.3.1.2] */

/* Words and dots before "@", "<" or ":". */
struct words {
	size_t       from;
	size_t       count;     /* atoms and quoted strings */
	bool         quoted;    /* one of them is a quoted string */
	bool         dots;
	bool         bad_dots;  /* at an end, or two together */
	bool         gaps;      /* two words without a dot between */
	bool         spaced;    /* blanks or comments around a dot */
	bool         broken;    /* told already */
	struct slice all;
};

static bool
bad_address(struct lint_cursor *c, const char *why)
{
	struct lint_shown shown;
	size_t end = c->at + 30 < c->in.len ? c->at + 30 : c->in.len;

	if (lint_at_end(c))
		lint_report_at(c->l, lint_here(c), LINT_BAD_ADDRESS, "%s at the end", why);
	else
		lint_report_at(c->l, lint_here(c), LINT_BAD_ADDRESS, "%s at: %s", why,
		               lint_show(&shown, slice_sub(c->in, c->at, end)));
	return false;
}

static void
obsolete(struct lint_cursor *c, const uint8_t *where, const char *what)
{
	lint_report_at(c->l, where, LINT_OBSOLETE, "%s", what);
}

/* An atom or quoted string; false at anything else. */
static bool
take_word(struct lint_cursor *c, struct words *w)
{
	struct slice text;

	if (lint_peek(c) == '"') {
		w->quoted = true;
		w->broken = !lint_take_quoted(c, &text) || w->broken;
		lint_no_words(c->l, text, LINT_WORD_QUOTED);
	} else if (!lint_take_run(c, lint_is_atext, &text)) {
		return false;
	}
	w->count++;
	return true;
}

static void
take_words(struct lint_cursor *c, struct words *w)
{
	bool dot = false, word = false;
	size_t end = c->at;

	*w = (struct words){ .from = c->at };
	for (;;) {
		bool blank = lint_skip_cfws(c);

		if (lint_peek(c) == '.') {
			w->dots = true;
			w->bad_dots = w->bad_dots || dot || w->count == 0;
			w->spaced = w->spaced || blank;
			dot = true;
			word = false;
			c->at++;
		} else if (take_word(c, w)) {
			w->gaps = w->gaps || word;
			w->spaced = w->spaced || (blank && dot);
			word = true;
			dot = false;
		} else {
			break;
		}
		end = c->at;
	}
	w->bad_dots = w->bad_dots || dot;
	w->all = slice_sub(c->in, w->from, end);
}

/* phrase = 1*word / obs-phrase, which may have dots */
static void
check_name(struct lint_cursor *c, const struct words *w)
{
	if (w->dots)
		obsolete(c, w->all.ptr, "a dot in a name outside of quotes");
	lint_words(c->l, w->all, LINT_WORDS_PHRASE);
}

/* local-part = dot-atom / quoted-string / obs-local-part */
static bool
check_local(struct lint_cursor *c, const struct words *w)
{
	if (w->broken)
		return false;
	if (w->count == 0)
		return bad_address(c, "no local part");
	if (w->gaps || w->bad_dots)
		return bad_address(c, w->gaps ? "a local part of several words"
		                              : "a dot too many in the local part");
	if (w->spaced || (w->quoted && w->count > 1))
		obsolete(c, w->all.ptr, "a local part of several words or with blanks");
	if (w->all.len > LOCAL_MAX)
		lint_report_at(c->l, w->all.ptr, LINT_ADDRESS_LONG,
		               "the local part is longer than %u bytes", LOCAL_MAX);
	lint_no_words(c->l, w->all, LINT_WORD_PLACE);
	return true;
}

/* domain = dot-atom / domain-literal / obs-domain */
static bool
take_domain(struct lint_cursor *c)
{
	size_t from;
	struct slice part;
	bool spaced = false;

	lint_skip_cfws(c);
	from = c->at;
	if (lint_peek(c) == '[') {
		if (!lint_take_literal(c, &part))
			return bad_address(c, "a domain literal is not closed");
		lint_skip_cfws(c);
		return true;
	}
	do {
		spaced = lint_skip_cfws(c) || spaced;
		if (!lint_take_run(c, lint_is_atext, &part))
			return bad_address(c, "no domain");
		if (c->at - from > DOMAIN_MAX && c->at - from - part.len <= DOMAIN_MAX)
			lint_report_at(c->l, c->in.ptr + from, LINT_ADDRESS_LONG,
			               "the domain is longer than %u bytes", DOMAIN_MAX);
		if (lint_skip_cfws(c) && lint_peek(c) == '.')
			spaced = true;
	} while (lint_take_byte(c, '.'));
	if (spaced)
		obsolete(c, c->in.ptr + from, "blanks or comments in a domain");
	return true;
}

/* obs-route = obs-domain-list ":"; behind "<". */
static bool
take_route(struct lint_cursor *c)
{
	lint_skip_cfws(c);
	if (lint_peek(c) != '@')
		return true;
	obsolete(c, lint_here(c), "a source route");
	while (lint_take_byte(c, '@')) {
		if (!take_domain(c))
			return false;
		while (lint_take_byte(c, ','))
			lint_skip_cfws(c);
	}
	return lint_take_byte(c, ':') || bad_address(c, "no \":\" behind a route");
}

/* angle-addr; the cursor is at "<". */
static bool
take_angle(struct lint_cursor *c)
{
	struct words w;

	c->at++;
	if (!take_route(c))
		return false;
	take_words(c, &w);
	if (!check_local(c, &w))
		return false;
	if (!lint_take_byte(c, '@'))
		return bad_address(c, "no \"@\" in the address");
	if (!take_domain(c))
		return false;
	if (!lint_take_byte(c, '>'))
		return bad_address(c, "no \">\" behind the address");
	lint_skip_cfws(c);
	return true;
}

enum taken {
	TAKEN_BAD,
	TAKEN_MAILBOX,
	TAKEN_GROUP,            /* "name:", its members follow */
};

static enum taken
take_address(struct lint_cursor *c)
{
	struct words w;

	take_words(c, &w);
	if (lint_peek(c) == '@') {
		if (!check_local(c, &w))
			return TAKEN_BAD;
		c->at++;
		return take_domain(c) ? TAKEN_MAILBOX : TAKEN_BAD;
	}
	if (w.broken)
		return TAKEN_BAD;
	if (lint_peek(c) == '<') {
		check_name(c, &w);
		return take_angle(c) ? TAKEN_MAILBOX : TAKEN_BAD;
	}
	if (lint_peek(c) == ':' && w.count > 0) {
		check_name(c, &w);
		c->at++;
		return TAKEN_GROUP;
	}
	bad_address(c, w.count > 0 ? "a word without \"@\" or \"<\"" : "no address");
	return TAKEN_BAD;
}

/* The list as it is read. */
struct list {
	uint64_t mailboxes, groups;
	bool     in_group;
	bool     damaged;       /* something was skipped: who knows where the group ends */
};

/* Behind an address. False: the end. */
static bool
take_separator(struct lint_cursor *c, struct list *list)
{
	if (lint_at_end(c))
		return false;
	if (list->in_group && lint_take_byte(c, ';')) {
		list->in_group = false;
		lint_skip_cfws(c);
		if (lint_at_end(c))
			return false;
	}
	if (lint_take_byte(c, ','))
		return true;
	bad_address(c, "no comma");
	return lint_skip_to(c, ',');
}

/* Empty places between commas, and groups without members. True: an address stands here. */
static bool
skip_empty(struct lint_cursor *c, struct list *list)
{
	for (;;) {
		lint_skip_cfws(c);
		if (lint_peek(c) == ',') {
			obsolete(c, lint_here(c), "an empty place in a list of addresses");
			c->at++;
		} else if (list->in_group && lint_peek(c) == ';') {
			if (!take_separator(c, list))
				return false;
		} else {
			return !lint_at_end(c);
		}
	}
}

static void
take_list(struct lint_cursor *c, struct list *list)
{
	while (skip_empty(c, list)) {
		enum taken taken = take_address(c);

		list->mailboxes += taken == TAKEN_MAILBOX;
		list->groups += taken == TAKEN_GROUP;
		if (taken == TAKEN_GROUP && list->in_group)
			bad_address(c, "a group within a group");
		list->in_group = list->in_group || taken == TAKEN_GROUP;
		list->damaged = list->damaged || taken == TAKEN_BAD;
		if (taken == TAKEN_BAD && !lint_skip_to(c, ','))
			break;
		if (taken == TAKEN_MAILBOX && !take_separator(c, list))
			break;
	}
	if (list->in_group && !list->damaged)
		bad_address(c, "a group is not ended by \";\"");
}

uint64_t
lint_addresses(struct lint_cursor *c, enum lint_list kind, const char *field)
{
	struct list list = { 0 };
	bool empty;

	lint_skip_cfws(c);
	empty = lint_at_end(c);
	if (empty && kind == LINT_BCC_LIST)
		return 0;
	if (empty) {
		lint_report_at(c->l, lint_here(c), LINT_EMPTY_FIELD, "%s has no address", field);
		return 0;
	}
	take_list(c, &list);
	if (list.groups > 0 && kind != LINT_ADDRESSES && kind != LINT_BCC_LIST)
		lint_report_at(c->l, c->in.ptr, LINT_GROUP_IN_FROM,
		               "a group in %s, which RFC 5322 did not allow", field);
	if (kind == LINT_ONE_MAILBOX && list.mailboxes > 1)
		lint_report_at(c->l, c->in.ptr, LINT_BAD_ADDRESS,
		               "%s has %llu mailboxes; it holds one", field,
		               (unsigned long long)list.mailboxes);
	return list.mailboxes;
}

/* path = angle-addr / ([CFWS] "<" [CFWS] ">" [CFWS]) [RFC 5322 s3.6.7] */
void
lint_return_path(struct lint_cursor *c)
{
	size_t from;

	lint_skip_cfws(c);
	if (lint_peek(c) != '<') {
		bad_address(c, "no \"<\"");
		return;
	}
	from = c->at++;
	lint_skip_cfws(c);
	if (lint_take_byte(c, '>')) {
		lint_skip_cfws(c);
	} else {
		c->at = from;
		if (!take_angle(c))
			return;
	}
	if (!lint_at_end(c))
		bad_address(c, "more than one path");
}
