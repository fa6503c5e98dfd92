/* fetch_parse - the items of a FETCH [RFC 9051 s6.4.5, s9; RFC 3501; RFC 3516; RFC 7162;
 * RFC 8474; RFC 8514; RFC 8970], as productions over the frame. */
#include "server/imap/fetch.h"

static const struct item_word {
	const char     *name;
	enum fetch_kind kind;
	bool            section;        /* [...] follows */
	bool            peek;
	enum fetch_text text;
	const char     *alias;
} item_words[] = {
	{ "UID", FETCH_UID, false, true, FETCH_TEXT_NONE, NULL },
	{ "FLAGS", FETCH_FLAGS, false, true, FETCH_TEXT_NONE, NULL },
	{ "INTERNALDATE", FETCH_INTERNALDATE, false, true, FETCH_TEXT_NONE, NULL },
	{ "RFC822.SIZE", FETCH_RFC822_SIZE, false, true, FETCH_TEXT_NONE, NULL },
	{ "MODSEQ", FETCH_MODSEQ, false, true, FETCH_TEXT_NONE, NULL },
	{ "EMAILID", FETCH_EMAILID, false, true, FETCH_TEXT_NONE, NULL },
	{ "THREADID", FETCH_THREADID, false, true, FETCH_TEXT_NONE, NULL },
	{ "SAVEDATE", FETCH_SAVEDATE, false, true, FETCH_TEXT_NONE, NULL },
	{ "PREVIEW", FETCH_PREVIEW, false, true, FETCH_TEXT_NONE, NULL },
	{ "ENVELOPE", FETCH_ENVELOPE, false, true, FETCH_TEXT_NONE, NULL },
	{ "BODYSTRUCTURE", FETCH_BODYSTRUCTURE, false, true, FETCH_TEXT_NONE, NULL },
	{ "RFC822", FETCH_SECTION, false, false, FETCH_TEXT_NONE, "RFC822" },
	{ "RFC822.HEADER", FETCH_SECTION, false, true, FETCH_TEXT_HEADER, "RFC822.HEADER" },
	{ "RFC822.TEXT", FETCH_SECTION, false, false, FETCH_TEXT_TEXT, "RFC822.TEXT" },
	{ "BODY", FETCH_SECTION, true, false, FETCH_TEXT_NONE, NULL },
	{ "BODY.PEEK", FETCH_SECTION, true, true, FETCH_TEXT_NONE, NULL },
	{ "BINARY", FETCH_BINARY, true, false, FETCH_TEXT_NONE, NULL },
	{ "BINARY.PEEK", FETCH_BINARY, true, true, FETCH_TEXT_NONE, NULL },
	{ "BINARY.SIZE", FETCH_BINARY_SIZE, true, true, FETCH_TEXT_NONE, NULL },
};

static const struct text_word {
	const char     *name;
	enum fetch_text text;
} text_words[] = {
	{ "HEADER", FETCH_TEXT_HEADER },
	{ "HEADER.FIELDS", FETCH_TEXT_FIELDS },
	{ "HEADER.FIELDS.NOT", FETCH_TEXT_FIELDS_NOT },
	{ "TEXT", FETCH_TEXT_TEXT },
	{ "MIME", FETCH_TEXT_MIME },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Letters, digits and dots: the words of this grammar; the longest run of them. May be empty. */
static struct slice
take_word(struct cursor *c)
{
	struct slice rest = cur_rest(c);
	size_t n = 0;

	while (n < rest.len) {
		uint8_t ch = ascii_lower(rest.ptr[n]);

		if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') && ch != '.')
			break;
		n++;
	}
	c->pos += n;
	return slice_sub(rest, 0, n);
}

static void
note_needs(struct fetch_request *r, const struct fetch_item *it)
{
	switch (it->kind) {
	case FETCH_UID:
	case FETCH_FLAGS:
	case FETCH_INTERNALDATE:
	case FETCH_RFC822_SIZE:
	case FETCH_MODSEQ:
	case FETCH_THREADID:
	case FETCH_SAVEDATE:
		break;
	case FETCH_EMAILID:
		r->needs_place = true;
		break;
	case FETCH_ENVELOPE:
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE:
		r->needs_summary = true;
		break;
	case FETCH_PREVIEW:
	case FETCH_SECTION:
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE:
		r->needs_summary = true;
		r->needs_place = true;
		break;
	}
	r->sets_seen = r->sets_seen || !it->peek;
}

static struct fetch_item *
new_item(struct fetch_request *r)
{
	return r->count < r->room ? &r->items[r->count++] : NULL;
}

bool
fetch_add_item(struct fetch_request *r, enum fetch_kind kind)
{
	struct fetch_item *it = new_item(r);

	if (it == NULL)
		return false;
	*it = (struct fetch_item){ .kind = kind, .peek = true };
	note_needs(r, it);
	return true;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")"; header-fld-name = astring */
static bool
parse_header_list(struct cursor *c, struct arena *a, struct fetch_item *it)
{
	it->names = arena_array(a, FETCH_NAMES_MAX, sizeof *it->names);
	if (it->names == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	if (!cur_space(c) || !cur_want(c, '('))
		return false;
	do {
		if (it->name_count == FETCH_NAMES_MAX)
			return cur_limit(c, "fewer field names");
		if (!parse_astring(c, a, &it->names[it->name_count++]))
			return false;
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}

/* section-part = nz-number *("." nz-number); what follows a last "." is left to the caller, who
 * is told by *dot. */
static bool
parse_section_part(struct cursor *c, struct fetch_item *it, bool *dot)
{
	int ch = cur_peek(c);

	*dot = true;
	while (ch >= '0' && ch <= '9') {
		if (it->depth == MIME_DEPTH_MAX)
			return cur_limit(c, "a shallower part number");
		if (!parse_nz_number(c, &it->path[it->depth++]))
			return false;
		*dot = cur_take(c, '.');
		if (!*dot)
			return true;
		ch = cur_peek(c);
	}
	return true;
}

/* section-msgtext / section-text. MIME only behind part numbers. */
static bool
parse_section_text(struct cursor *c, struct arena *a, struct fetch_item *it)
{
	size_t start = c->pos;
	struct slice word = take_word(c);

	for (size_t i = 0; i < COUNT(text_words); i++) {
		if (!slice_eq_nocase(word, slice_str(text_words[i].name)))
			continue;
		it->text = text_words[i].text;
		if (it->text == FETCH_TEXT_MIME && it->depth == 0)
			break;
		if (it->text == FETCH_TEXT_FIELDS || it->text == FETCH_TEXT_FIELDS_NOT)
			return parse_header_list(c, a, it);
		return true;
	}
	c->pos = start;
	return cur_fail(c, it->depth > 0 ? "part number, HEADER, HEADER.FIELDS, TEXT or MIME"
	                                 : "part number, HEADER, HEADER.FIELDS or TEXT");
}

/* section = "[" [section-msgtext / (section-part ["." section-text])] "]"
 * section-binary = "[" [section-part] "]" */
static bool
parse_section(struct cursor *c, struct arena *a, struct fetch_item *it)
{
	bool dot;

	if (!cur_want(c, '['))
		return false;
	if (cur_take(c, ']'))
		return true;
	if (!parse_section_part(c, it, &dot))
		return false;
	if (it->kind != FETCH_SECTION) {
		if (dot)
			return cur_fail(c, "part number");
	} else if (dot && !parse_section_text(c, a, it)) {
		return false;
	}
	return cur_want(c, ']');
}

/* partial = "<" number64 "." nz-number64 ">" */
static bool
parse_partial(struct cursor *c, struct fetch_item *it)
{
	if (it->kind == FETCH_BINARY_SIZE || !cur_take(c, '<'))
		return true;
	it->partial = true;
	if (!parse_number64(c, &it->origin) || !cur_want(c, '.'))
		return false;
	if (!parse_number64(c, &it->length))
		return false;
	if (it->length == 0)
		return cur_fail(c, "a number of octets above 0");
	return cur_want(c, '>');
}

static const struct item_word *
find_word(struct slice name)
{
	for (size_t i = 0; i < COUNT(item_words); i++)
		if (slice_eq_nocase(name, slice_str(item_words[i].name)))
			return &item_words[i];
	return NULL;
}

/* "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]; preview-mod = "LAZY" [RFC 8970 s6]. What
 * else stands in brackets behind a lone PREVIEW are the modifiers of the command. */
static bool
parse_preview_mods(struct cursor *c, struct fetch_item *it)
{
	if (!slice_starts_nocase(cur_rest(c), SLICE(" (LAZY")))
		return true;
	c->pos += 2;
	do {
		it->lazy = cur_take_word(c, "LAZY");
		if (!it->lazy)
			return cur_fail(c, "LAZY");
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}

/* fetch-att */
static bool
parse_item(struct cursor *c, struct arena *a, struct fetch_request *r)
{
	size_t start = c->pos;
	const struct item_word *w = find_word(take_word(c));
	struct fetch_item *it;

	if (w == NULL) {
		c->pos = start;
		return cur_fail(c, "a FETCH data item");
	}
	it = new_item(r);
	if (it == NULL)
		return cur_limit(c, "fewer data items");
	*it = (struct fetch_item){
		.kind = w->kind, .peek = w->peek, .text = w->text, .alias = w->alias
	};
	if (w->section && (w->kind != FETCH_SECTION || w->peek || cur_peek(c) == '[')) {
		if (!parse_section(c, a, it) || !parse_partial(c, it))
			return false;
	} else if (w->section) {
		it->kind = FETCH_BODY;
		it->peek = true;
	}
	note_needs(r, it);
	return it->kind != FETCH_PREVIEW || parse_preview_mods(c, it);
}

static bool
add_macro(struct fetch_request *r, const enum fetch_kind *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!fetch_add_item(r, kinds[i]))
			return false;
	return true;
}

/* "ALL" / "FULL" / "FAST", alone only [RFC 9051 s6.4.5] */
static bool
parse_macro(struct cursor *c, struct fetch_request *r)
{
	static const enum fetch_kind full[] = { FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_RFC822_SIZE,
						FETCH_ENVELOPE, FETCH_BODY };
	size_t start = c->pos;
	struct slice word = take_word(c);

	if (slice_eq_nocase(word, SLICE("FAST")))
		return add_macro(r, full, 3);
	if (slice_eq_nocase(word, SLICE("ALL")))
		return add_macro(r, full, 4);
	if (slice_eq_nocase(word, SLICE("FULL")))
		return add_macro(r, full, 5);
	c->pos = start;
	return false;
}

/* No more items than spaces, a macro's, and those that the command adds (UID, FLAGS). */
static size_t
items_possible(struct slice rest)
{
	size_t n = 8;

	for (size_t i = 0; i < rest.len && n < FETCH_ITEMS_MAX; i++)
		n += rest.ptr[i] == ' ';
	return n;
}

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" */
bool
fetch_parse_items(struct cursor *c, struct arena *a, struct fetch_request *out)
{
	*out = (struct fetch_request){ .room = items_possible(cur_rest(c)) };
	out->items = arena_array(a, out->room, sizeof *out->items);
	if (out->items == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	if (!cur_take(c, '('))
		return parse_macro(c, out) || parse_item(c, a, out);
	do {
		if (!parse_item(c, a, out))
			return false;
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}
