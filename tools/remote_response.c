/* remote_response - see remote_response.h.
 *
 * Strictness ends where real servers do: spaces at the end of a line or twice between items, a
 * missing text behind a condition, a date that is none (it counts as missing), BODY[] as a quoted
 * string, RFC822 in its place. What would change the meaning is an error: a number that is too
 * large, a list that does not end, a NUL in a word.
 */
#include "tools/remote_response.h"

#include "lib/date.h"

static struct slice
trim_spaces(struct slice s)
{
	while (s.len > 0 && s.ptr[s.len - 1] == ' ')
		s.len--;
	return s;
}

bool
remote_words_have(struct slice words, struct slice word)
{
	while (words.len > 0) {
		size_t end = slice_find_byte(words, ' ');

		if (slice_eq_nocase(slice_sub(words, 0, end), word))
			return true;
		words = slice_sub(words, end + 1, words.len);
	}
	return false;
}

static void
skip_spaces(struct remote_lex *l)
{
	while (remote_lex_take(l, ' '))
		;
}

/* The end of a response, spaces before it passed over. */
static bool
end(struct remote_lex *l)
{
	skip_spaces(l);
	return remote_lex_eol(l);
}

/* ---- conditions ---- */

/* resp-text-code = atom [SP 1*<any but "]">]; the "[" is taken  [RFC 9051 s9] */
static bool
read_code(struct remote_lex *l, struct remote_response *out)
{
	struct buf text;
	bool ok;
	int c;

	if (!remote_lex_word(l, true, &out->code))
		return false;
	skip_spaces(l);
	buf_init(&text, REMOTE_RESPONSE_MAX);
	while ((c = remote_lex_peek(l)) >= 0 && c != ']' && c != '\r' && c != '\n' &&
	       remote_lex_take(l, (uint8_t)c))
		buf_append_byte(&text, (uint8_t)c);
	out->code_text = arena_dup(&l->arena, trim_spaces(buf_slice(&text)));
	ok = !text.failed && out->code_text.ptr != NULL;
	buf_fini(&text);
	return remote_lex_expect(l, ']') &&
	       (ok || remote_lex_fail(l, "a shorter response code expected"));
}

/* resp-text = ["[" resp-text-code "]" SP] [text]      [RFC 9051 s9] */
static bool
read_text(struct remote_lex *l, struct remote_response *out)
{
	skip_spaces(l);
	if (remote_lex_take(l, '[') && !read_code(l, out))
		return false;
	skip_spaces(l);
	return remote_lex_rest(l, &out->text);
}

static bool
find_condition(struct slice word, enum remote_condition *out)
{
	static const struct slice names[] = {
		[CONDITION_OK] = SLICE_INIT("OK"),   [CONDITION_NO] = SLICE_INIT("NO"),
		[CONDITION_BAD] = SLICE_INIT("BAD"), [CONDITION_BYE] = SLICE_INIT("BYE"),
		[CONDITION_PREAUTH] = SLICE_INIT("PREAUTH"),
	};

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (slice_eq_nocase(word, names[i])) {
			*out = (enum remote_condition)i;
			return true;
		}
	}
	return false;
}

/* ---- LIST, NAMESPACE, STATUS ---- */

/* "(" [word *(SP word)] ")" as words with one space between */
static bool
read_words(struct remote_lex *l, struct slice *out)
{
	struct buf text;
	struct slice word;
	bool ok;

	*out = SLICE_NONE;
	if (!remote_lex_expect(l, '('))
		return false;
	buf_init(&text, REMOTE_RESPONSE_MAX);
	for (skip_spaces(l); remote_lex_peek(l) >= 0 && !remote_lex_take(l, ')'); skip_spaces(l)) {
		if (!remote_lex_word(l, false, &word))
			break;
		if (text.len > 0)
			buf_append_byte(&text, ' ');
		buf_append_slice(&text, word);
	}
	*out = arena_dup(&l->arena, buf_slice(&text));
	ok = !text.failed && out->ptr != NULL;
	buf_fini(&text);
	return l->rc == RC_OK && (ok || remote_lex_fail(l, "a shorter list expected"));
}

/* DQUOTE QUOTED-CHAR DQUOTE / nil */
static bool
read_separator(struct remote_lex *l, char *out)
{
	struct slice text;
	bool nil;

	*out = '\0';
	if (!remote_lex_nstring(l, &text, &nil))
		return false;
	if (text.len > 1)
		return remote_lex_fail(l, "one separator expected");
	if (text.len == 1)
		*out = (char)text.ptr[0];
	return true;
}

/* mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP
 * extended] [RFC 9051 s9] */
static bool
read_list(struct remote_lex *l, struct remote_response *out)
{
	out->kind = RESPONSE_LIST;
	return read_words(l, &out->list.attributes) && remote_lex_expect(l, ' ') &&
	    read_separator(l, &out->list.separator) && remote_lex_expect(l, ' ') &&
	    remote_lex_astring(l, &out->list.name) && remote_lex_skip_line(l);
}

/* namespace = nil / "(" 1*namespace-descr ")"        [RFC 9051 s9] */
static bool
read_namespace(struct remote_lex *l, struct remote_namespace *to, size_t *count)
{
	struct slice nil;

	if (!remote_lex_take(l, '('))
		return remote_lex_word(l, false, &nil);
	for (skip_spaces(l); remote_lex_take(l, '('); skip_spaces(l)) {
		struct remote_namespace ns;

		if (!remote_lex_string(l, &ns.prefix) || !remote_lex_expect(l, ' ') ||
		    !read_separator(l, &ns.separator))
			return false;
		for (skip_spaces(l); remote_lex_peek(l) >= 0 && !remote_lex_take(l, ')');
		     skip_spaces(l)) {
			if (!remote_lex_skip_value(l))
				return false;
		}
		if (*count < REMOTE_NAMESPACES_MAX)
			to[(*count)++] = ns;
	}
	return remote_lex_expect(l, ')');
}

static bool
read_namespaces(struct remote_lex *l, struct remote_response *out)
{
	out->kind = RESPONSE_NAMESPACE;
	return read_namespace(l, out->namespaces.personal, &out->namespaces.personal_count) &&
	       remote_lex_expect(l, ' ') &&
	       read_namespace(l, out->namespaces.other, &out->namespaces.other_count) &&
	       remote_lex_expect(l, ' ') &&
	       read_namespace(l, out->namespaces.other, &out->namespaces.other_count) && end(l);
}

static bool
read_status_item(struct remote_lex *l, struct remote_response *out)
{
	struct slice name;
	uint64_t n = 0;

	if (!remote_lex_word(l, false, &name) || !remote_lex_expect(l, ' '))
		return false;
	if (slice_eq_nocase(name, SLICE("MESSAGES"))) {
		out->status.has_messages = remote_lex_number(l, UINT32_MAX, &n);
		out->status.messages = (uint32_t)n;
	} else if (slice_eq_nocase(name, SLICE("UIDNEXT"))) {
		out->status.has_uidnext = remote_lex_number(l, UINT32_MAX, &n);
		out->status.uidnext = (uint32_t)n;
	} else if (slice_eq_nocase(name, SLICE("UIDVALIDITY"))) {
		out->status.has_uidvalidity = remote_lex_number(l, UINT32_MAX, &n);
		out->status.uidvalidity = (uint32_t)n;
	} else {
		return remote_lex_skip_value(l);
	}
	return l->rc == RC_OK;
}

/* mailbox SP "(" [status-att-list] ")"               [RFC 9051 s9] */
static bool
read_status(struct remote_lex *l, struct remote_response *out)
{
	out->kind = RESPONSE_STATUS;
	if (!remote_lex_astring(l, &out->status.name) || !remote_lex_expect(l, ' ') ||
	    !remote_lex_expect(l, '('))
		return false;
	for (skip_spaces(l); remote_lex_peek(l) >= 0 && !remote_lex_take(l, ')'); skip_spaces(l)) {
		if (!read_status_item(l, out))
			return false;
	}
	return end(l);
}

/* ---- SEARCH ---- */

/* Numbers are not held, so they do not count; of the set, the maximum does. */
static bool
add_found(struct remote_lex *l, struct uid_set *found, uint64_t first, uint64_t last)
{
	remote_lex_forgive(l, 2 * 11);
	if (first == 0 || last == 0)
		return remote_lex_fail(l, "a UID above 0 expected");
	if (found == NULL)
		return true;
	return uid_set_append(found, (mail_uid)first, (mail_uid)last) ||
	    remote_lex_refuse(l, "the server finds too many messages");
}

/* "SEARCH" *(SP nz-number) [SP "(MODSEQ" ...]        [RFC 3501 s7.2.5, RFC 7162] */
static bool
read_search(struct remote_lex *l, struct uid_set *found)
{
	uint64_t n;
	int c;

	for (skip_spaces(l); (c = remote_lex_peek(l)) >= '0' && c <= '9'; skip_spaces(l)) {
		if (!remote_lex_number(l, UINT32_MAX, &n) || !add_found(l, found, n, n))
			return false;
	}
	return remote_lex_skip_line(l);
}

/* sequence-set without "*"                           [RFC 9051 s9] */
static bool
read_set(struct remote_lex *l, struct uid_set *found)
{
	uint64_t first, last;

	do {
		if (!remote_lex_number(l, UINT32_MAX, &first))
			return false;
		last = first;
		if (remote_lex_take(l, ':') && !remote_lex_number(l, UINT32_MAX, &last))
			return false;
		if (!add_found(l, found, first < last ? first : last, first < last ? last : first))
			return false;
	} while (remote_lex_take(l, ','));
	return l->rc == RC_OK;
}

/* [search-correlator] [SP "UID"] *(SP name SP value)  [RFC 9051 s9] */
static bool
read_esearch(struct remote_lex *l, struct uid_set *found)
{
	struct slice name;
	int c;

	for (skip_spaces(l); (c = remote_lex_peek(l)) >= 0 && c != '\r' && c != '\n';
	     skip_spaces(l)) {
		if (c == '(') {
			if (!remote_lex_skip_value(l))
				return false;
			continue;
		}
		if (!remote_lex_word(l, false, &name))
			return false;
		if (slice_eq_nocase(name, SLICE("UID")))
			continue;
		skip_spaces(l);
		if (slice_eq_nocase(name, SLICE("ALL")) ? !read_set(l, found)
		                                        : !remote_lex_skip_value(l))
			return false;
	}
	return remote_lex_eol(l);
}

/* ---- FETCH ---- */

static uint32_t
flag_named(struct slice name)
{
	static const struct {
		struct slice   name;
		enum mail_flag flag;
	} flags[] = {
		{ SLICE_INIT("\\Answered"), FLAG_ANSWERED },
		{ SLICE_INIT("\\Flagged"), FLAG_FLAGGED },
		{ SLICE_INIT("\\Deleted"), FLAG_DELETED },   { SLICE_INIT("\\Seen"), FLAG_SEEN },
		{ SLICE_INIT("\\Draft"), FLAG_DRAFT },
	};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		if (slice_eq_nocase(name, flags[i].name))
			return flags[i].flag;
	}
	return 0;
}

/* "FLAGS" SP "(" [flag-fetch *(SP flag-fetch)] ")"; unknown flags with a backslash are the
 * server's own business */
static bool
read_flags(struct remote_lex *l, struct remote_fetch *out)
{
	struct buf keywords;
	struct slice words;

	if (!read_words(l, &words))
		return false;
	buf_init(&keywords, REMOTE_RESPONSE_MAX);
	out->flags = 0;
	while (words.len > 0) {
		size_t n = slice_find_byte(words, ' ');
		struct slice word = slice_sub(words, 0, n);

		words = slice_sub(words, n + 1, words.len);
		out->flags |= flag_named(word);
		if (word.ptr[0] == '\\')
			continue;
		if (keywords.len > 0)
			buf_append_byte(&keywords, ' ');
		buf_append_slice(&keywords, word);
	}
	out->keywords = arena_dup(&l->arena, buf_slice(&keywords));
	buf_fini(&keywords);
	out->has_flags = out->keywords.ptr != NULL;
	return out->has_flags || remote_lex_fail(l, "fewer keywords expected");
}

static bool
read_date(struct remote_lex *l, struct remote_fetch *out)
{
	struct slice text;
	struct date date;
	bool nil;

	if (!remote_lex_nstring(l, &text, &nil))
		return false;
	out->has_date = !nil && date_parse_imap(text, &date);
	if (out->has_date)
		out->date = (struct mail_date){ date.unix_time, date.zone };
	return true;
}

/* "BODY[]" SP nstring / literal8: its head */
static bool
read_text_head(struct remote_lex *l, struct remote_response *out)
{
	int c = remote_lex_peek(l);
	bool nil = false, literal = c == '{' || c == '~';

	if (out->fetch.has_text)
		return remote_lex_fail(l, "one text of a message expected");
	if (literal ? !remote_lex_literal_head(l, &out->text_len)
	            : !remote_lex_nstring(l, &out->text_quoted, &nil))
		return false;
	if (!literal)
		out->text_len = out->text_quoted.len;
	out->text_left = out->text_len;
	out->at_text = out->fetch.has_text = !nil;
	return true;
}

bool
remote_response_text(struct remote_lex *l, struct remote_response *r, size_t max, struct slice *out)
{
	*out = SLICE_NONE;
	if (l->rc != RC_OK || r->text_left == 0)
		return l->rc == RC_OK;
	if (max > r->text_left)
		max = (size_t)r->text_left;
	if (r->text_quoted.len > 0) {
		*out = slice_sub(r->text_quoted, 0, max);
		r->text_quoted = slice_sub(r->text_quoted, max, r->text_quoted.len);
	} else if (!remote_lex_literal(l, max, out)) {
		return false;
	}
	r->text_left -= out->len;
	return true;
}

/* "BODY[HEADER.FIELDS (A B)]<0>" and the like: what is left of such a name */
static bool
skip_section(struct remote_lex *l)
{
	while (remote_lex_peek(l) == '(' || remote_lex_peek(l) == '"') {
		struct slice rest;

		if (!remote_lex_skip_value(l))
			return false;
		if (remote_lex_peek(l) != ' ' && !remote_lex_word(l, false, &rest))
			return false;
	}
	return l->rc == RC_OK;
}

/* Of a name with its first words inside brackets, "BODY[HEADER.FIELDS (", the
 * parenthesis is next. */
static bool
skip_item(struct remote_lex *l, struct slice name)
{
	if (slice_find_byte(name, '[') < name.len && slice_find_byte(name, ']') == name.len) {
		skip_spaces(l);
		if (!skip_section(l))
			return false;
	}
	skip_spaces(l);
	return remote_lex_skip_value(l);
}

static bool
read_fetch_item(struct remote_lex *l, struct remote_response *r)
{
	struct remote_fetch *out = &r->fetch;
	struct slice name;
	uint64_t n = 0;

	if (!remote_lex_word(l, false, &name))
		return false;
	skip_spaces(l);
	if (slice_eq_nocase(name, SLICE("UID"))) {
		out->has_uid = remote_lex_number(l, UINT32_MAX, &n) && n > 0;
		out->uid = (mail_uid)n;
		return out->has_uid || remote_lex_fail(l, "a UID above 0 expected");
	}
	if (slice_eq_nocase(name, SLICE("FLAGS")))
		return read_flags(l, out);
	if (slice_eq_nocase(name, SLICE("INTERNALDATE")))
		return read_date(l, out);
	if (slice_eq_nocase(name, SLICE("RFC822.SIZE"))) {
		out->has_size = remote_lex_number(l, INT64_MAX, &out->size);
		return out->has_size;
	}
	if (slice_eq_nocase(name, SLICE("BODY[]")) || slice_eq_nocase(name, SLICE("RFC822")) ||
	    slice_eq_nocase(name, SLICE("BINARY[]")))
		return read_text_head(l, r);
	return skip_item(l, name);
}

/* *(SP item) ")" CRLF, up to a text */
static bool
read_fetch_items(struct remote_lex *l, struct remote_response *out)
{
	for (skip_spaces(l); remote_lex_peek(l) >= 0 && !remote_lex_take(l, ')'); skip_spaces(l)) {
		if (!read_fetch_item(l, out))
			return false;
		if (out->at_text)
			return true;
	}
	return end(l);
}

bool
remote_response_resume(struct remote_lex *l, struct remote_response *r)
{
	struct slice piece;

	if (r->text_left > REMOTE_SKIP_MAX)
		return remote_lex_refuse(l, "a message that is not wanted is too long to be read "
		                            "over");
	while (r->text_left > 0) {
		if (!remote_response_text(l, r, SIZE_MAX, &piece))
			return false;
	}
	r->at_text = false;
	return read_fetch_items(l, r);
}

/* "FETCH" SP "(" msg-att ")"                         [RFC 9051 s9] */
static bool
read_fetch(struct remote_lex *l, struct remote_response *out)
{
	out->kind = RESPONSE_FETCH;
	return remote_lex_expect(l, ' ') && remote_lex_expect(l, '(') && read_fetch_items(l, out);
}

/* ---- the response ---- */

/* "*" SP number SP ...                                [RFC 9051 s7.4, s7.5] */
static bool
read_numbered(struct remote_lex *l, struct remote_response *out)
{
	struct slice name;
	uint64_t n;

	if (!remote_lex_number(l, UINT32_MAX, &n) || !remote_lex_expect(l, ' ') ||
	    !remote_lex_word(l, false, &name))
		return false;
	out->number = (uint32_t)n;
	if (slice_eq_nocase(name, SLICE("FETCH")))
		return read_fetch(l, out);
	out->kind = slice_eq_nocase(name, SLICE("EXISTS")) ? RESPONSE_EXISTS : RESPONSE_OTHER;
	return remote_lex_skip_line(l);
}

static bool
read_named(struct remote_lex *l, struct uid_set *found, struct slice name,
           struct remote_response *out)
{
	if (find_condition(name, &out->condition)) {
		out->kind = RESPONSE_CONDITION;
		return read_text(l, out);
	}
	skip_spaces(l);
	if (slice_eq_nocase(name, SLICE("CAPABILITY")) || slice_eq_nocase(name, SLICE("ENABLED"))) {
		out->kind = slice_eq_nocase(name, SLICE("ENABLED")) ? RESPONSE_ENABLED
		                                                    : RESPONSE_CAPABILITY;
		return remote_lex_rest(l, &out->text);
	}
	out->list.lsub = slice_eq_nocase(name, SLICE("LSUB"));
	if (out->list.lsub || slice_eq_nocase(name, SLICE("LIST")))
		return read_list(l, out);
	if (slice_eq_nocase(name, SLICE("NAMESPACE")))
		return read_namespaces(l, out);
	if (slice_eq_nocase(name, SLICE("STATUS")))
		return read_status(l, out);
	out->kind = RESPONSE_SEARCH;
	if (slice_eq_nocase(name, SLICE("SEARCH")))
		return read_search(l, found);
	if (slice_eq_nocase(name, SLICE("ESEARCH")))
		return read_esearch(l, found);
	out->kind = RESPONSE_OTHER;
	return remote_lex_skip_line(l);
}

static bool
read_untagged(struct remote_lex *l, struct uid_set *found, struct remote_response *out)
{
	struct slice name;
	int c;

	skip_spaces(l);
	c = remote_lex_peek(l);
	if (c >= '0' && c <= '9')
		return read_numbered(l, out);
	return remote_lex_word(l, false, &name) && read_named(l, found, name, out);
}

bool
remote_response_read(struct remote_lex *l, struct uid_set *found, struct remote_response *out)
{
	struct slice condition;

	*out = (struct remote_response){ 0 };
	remote_lex_next(l);
	if (!remote_lex_word(l, false, &out->tag))
		return false;
	if (slice_eq(out->tag, SLICE("*")))
		return read_untagged(l, found, out);
	if (slice_eq(out->tag, SLICE("+"))) {
		out->kind = RESPONSE_CONTINUE;
		skip_spaces(l);
		return remote_lex_rest(l, &out->text);
	}
	out->kind = RESPONSE_TAGGED;
	skip_spaces(l);
	if (!remote_lex_word(l, false, &condition))
		return false;
	if (!find_condition(condition, &out->condition))
		return remote_lex_fail(l, "OK, NO or BAD expected");
	return read_text(l, out);
}
