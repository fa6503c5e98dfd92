/* lint_list - the fields of mailing lists: List-Id [RFC 2919], the commands [RFC 2369], one-click
 * unsubscription [RFC 8058]. */
#include "lib/lint_impl.h"

#include <string.h>

#define LIST_ID_MAX 255u                /* [RFC 2919 s3] */

/* ---- List-Id ---- */

static bool
bad_list_id(struct lint_cursor *c, const char *why)
{
	struct lint_shown shown;

	lint_report_at(c->l, c->in.ptr, LINT_BAD_LIST_ID, "%s: %s", why, lint_show(&shown, c->in));
	return false;
}

static bool
take_list_id(struct lint_cursor *c)
{
	struct slice id;

	if (!lint_take_byte(c, '<'))
		return bad_list_id(c, "no \"<\"");
	if (!lint_take_dot_atom(c, &id) || slice_find_byte(id, '.') == id.len)
		return bad_list_id(c, "not label \".\" namespace");
	if (!lint_take_byte(c, '>'))
		return bad_list_id(c, "no \">\" behind the list's id");
	if (id.len > LIST_ID_MAX)
		return bad_list_id(c, "longer than 255 bytes");
	lint_skip_cfws(c);
	return lint_at_end(c) || bad_list_id(c, "something behind the list's id");
}

/* list-id-header = "List-ID:" [phrase] "<" list-id ">" */
void
lint_list_id(struct lint_cursor *c)
{
	struct slice word;
	size_t from;

	lint_skip_cfws(c);
	from = c->at;
	for (;;) {
		if (lint_peek(c) == '"') {
			if (!lint_take_quoted(c, &word))
				return;
			lint_no_words(c->l, word, LINT_WORD_QUOTED);
		} else if (!lint_take_byte(c, '.') && !lint_take_run(c, lint_is_atext, &word)) {
			break;
		}
		lint_skip_cfws(c);
	}
	lint_words(c->l, slice_sub(c->in, from, c->at), LINT_WORDS_PHRASE);
	take_list_id(c);
}

/* ---- commands ---- */

/* scheme ":" and something behind it, nothing that a URI cannot have [RFC 3986 s3] */
static const char *
judge_uri(struct slice uri)
{
	size_t colon = slice_find_byte(uri, ':');
	bool letter = uri.len > 0 && ((uri.ptr[0] | 0x20) >= 'a' && (uri.ptr[0] | 0x20) <= 'z');

	for (size_t i = 0; i < colon; i++)
		letter = letter && (lint_is_atext(uri.ptr[i]) || uri.ptr[i] == '.');
	if (!letter || colon + 1 >= uri.len)
		return "no URI";
	for (size_t i = 0; i < uri.len; i++)
		if (uri.ptr[i] <= ' ' || uri.ptr[i] >= 0x7f ||
		    strchr("\"<>\\^`{|}", uri.ptr[i]) != NULL)
			return "a byte that must be percent-encoded in a URI";
	return NULL;
}

static bool
bad_list_field(struct lint_cursor *c, size_t from, const char *why)
{
	struct lint_shown shown;

	lint_report_at(c->l, c->in.ptr + from, LINT_BAD_LIST_FIELD, "%s: %s", why,
	               lint_show(&shown, slice_sub(c->in, from, c->in.len)));
	return false;
}

/* "<" URI ">" */
static bool
take_uri(struct lint_cursor *c, struct slice *uri)
{
	size_t from = c->at;
	const char *why;

	if (!lint_take_byte(c, '<'))
		return bad_list_field(c, from, "no \"<\" before a URI");
	while (!lint_at_end(c) && lint_peek(c) != '>')
		c->at++;
	*uri = slice_trim(slice_sub(c->in, from + 1, c->at));
	if (!lint_take_byte(c, '>'))
		return bad_list_field(c, from, "no \">\" behind a URI");
	why = judge_uri(*uri);
	return why == NULL || bad_list_field(c, from, why);
}

void
lint_list_uris(struct lint_cursor *c, bool is_post, bool is_unsubscribe)
{
	struct slice uri;

	lint_skip_cfws(c);
	if (is_post && slice_starts_nocase(slice_sub(c->in, c->at, c->in.len), SLICE("NO"))) {
		c->at += 2;
		lint_skip_cfws(c);
		if (!lint_at_end(c))
			bad_list_field(c, c->at, "something behind NO");
		return;
	}
	do {
		lint_skip_cfws(c);
		if (!take_uri(c, &uri))
			return;
		if (is_unsubscribe && slice_starts_nocase(uri, SLICE("https:")))
			c->l->header.unsubscribe_https = true;
		lint_skip_cfws(c);
	} while (lint_take_byte(c, ','));
	if (!lint_at_end(c))
		bad_list_field(c, c->at, "no comma between URIs");
}

/* ---- one click ---- */

/* postarg = "List-Unsubscribe=One-Click", and nothing else [RFC 8058 s3.1, s5] */
void
lint_unsubscribe_post(struct lint_cursor *c)
{
	struct lint_shown shown;

	if (!slice_eq_nocase(slice_trim(c->in), SLICE("List-Unsubscribe=One-Click")))
		lint_report_at(c->l, c->in.ptr, LINT_UNSUBSCRIBE_POST,
		               "not List-Unsubscribe=One-Click: %s", lint_show(&shown, c->in));
}

/* List-Unsubscribe-Post asks for an https URI and for a signature over both fields
 * [RFC 8058 s3.1, s4]. */
void
lint_unsubscribe_end(struct lint *l)
{
	const struct lint_header *h = &l->header;
	uint64_t line = h->seen[LINT_F_UNSUBSCRIBE_POST];

	if (line == 0)
		return;
	if (!h->unsubscribe_https)
		lint_report(l, line, LINT_UNSUBSCRIBE_HTTPS,
		            "there is no List-Unsubscribe with an https URI");
	if (!h->dkim_covers)
		lint_report(l, line, LINT_UNSUBSCRIBE_DKIM,
		            "no DKIM-Signature covers List-Unsubscribe and List-Unsubscribe-Post");
}
