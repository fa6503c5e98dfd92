/* search_parse - search programs [RFC 9051 s6.4.4, s9; RFC 3501; RFC 4731; RFC 5182; RFC 5032; RFC
 * 7162 s3.1.5; RFC 8474 s6; RFC 8514 s4.3; RFC 9394 s3.1], as productions over the frame.
 *
 * "NOT" and the UN... keys become a flag of the key that follows, so only parentheses and OR
 * nest, to a limited depth.
 */
#include "server/imap/search.h"

#define NO_MEMORY      "shorter command (memory limit)"
#define SECONDS_A_DAY  86400
#define OBJECTID_MAX   255u

enum argument {
	ARG_NONE,
	ARG_TEXT,
	ARG_FIELD_TEXT,
	ARG_KEYWORD,
	ARG_DATE,
	ARG_SIZE,
	ARG_SET,
	ARG_SECONDS,
	ARG_MODSEQ,
	ARG_OBJECTID,
};

static const struct key_word {
	const char     *name;
	enum search_key key;
	enum argument   argument;
	uint32_t        flags;
	bool            negate;
	const char     *field;
} key_words[] = {
	{ "ALL", SEARCH_ALL, ARG_NONE, 0, false, NULL },
	{ "ANSWERED", SEARCH_FLAG, ARG_NONE, FLAG_ANSWERED, false, NULL },
	{ "BCC", SEARCH_ADDRESS, ARG_TEXT, 0, false, "Bcc" },
	{ "BEFORE", SEARCH_BEFORE, ARG_DATE, 0, false, NULL },
	{ "BODY", SEARCH_BODY, ARG_TEXT, 0, false, NULL },
	{ "CC", SEARCH_ADDRESS, ARG_TEXT, 0, false, "Cc" },
	{ "DELETED", SEARCH_FLAG, ARG_NONE, FLAG_DELETED, false, NULL },
	{ "DRAFT", SEARCH_FLAG, ARG_NONE, FLAG_DRAFT, false, NULL },
	{ "EMAILID", SEARCH_EMAILID, ARG_OBJECTID, 0, false, NULL },
	{ "FLAGGED", SEARCH_FLAG, ARG_NONE, FLAG_FLAGGED, false, NULL },
	{ "FROM", SEARCH_ADDRESS, ARG_TEXT, 0, false, "From" },
	{ "HEADER", SEARCH_HEADER, ARG_FIELD_TEXT, 0, false, NULL },
	{ "KEYWORD", SEARCH_KEYWORD, ARG_KEYWORD, 0, false, NULL },
	{ "LARGER", SEARCH_LARGER, ARG_SIZE, 0, false, NULL },
	{ "MODSEQ", SEARCH_MODSEQ, ARG_MODSEQ, 0, false, NULL },
	{ "OLD", SEARCH_RECENT, ARG_NONE, 0, true, NULL },
	{ "OLDER", SEARCH_OLDER, ARG_SECONDS, 0, false, NULL },
	{ "ON", SEARCH_ON, ARG_DATE, 0, false, NULL },
	{ "RECENT", SEARCH_RECENT, ARG_NONE, 0, false, NULL },
	{ "SAVEDATESUPPORTED", SEARCH_ALL, ARG_NONE, 0, false, NULL },
	{ "SAVEDBEFORE", SEARCH_SAVEDBEFORE, ARG_DATE, 0, false, NULL },
	{ "SAVEDON", SEARCH_SAVEDON, ARG_DATE, 0, false, NULL },
	{ "SAVEDSINCE", SEARCH_SAVEDSINCE, ARG_DATE, 0, false, NULL },
	{ "SEEN", SEARCH_FLAG, ARG_NONE, FLAG_SEEN, false, NULL },
	{ "SENTBEFORE", SEARCH_SENTBEFORE, ARG_DATE, 0, false, NULL },
	{ "SENTON", SEARCH_SENTON, ARG_DATE, 0, false, NULL },
	{ "SENTSINCE", SEARCH_SENTSINCE, ARG_DATE, 0, false, NULL },
	{ "SINCE", SEARCH_SINCE, ARG_DATE, 0, false, NULL },
	{ "SMALLER", SEARCH_SMALLER, ARG_SIZE, 0, false, NULL },
	{ "SUBJECT", SEARCH_HEADER, ARG_TEXT, 0, false, "Subject" },
	{ "TEXT", SEARCH_TEXT, ARG_TEXT, 0, false, NULL },
	{ "THREADID", SEARCH_THREADID, ARG_OBJECTID, 0, false, NULL },
	{ "TO", SEARCH_ADDRESS, ARG_TEXT, 0, false, "To" },
	{ "UID", SEARCH_SET, ARG_SET, 0, false, NULL },
	{ "UNANSWERED", SEARCH_FLAG, ARG_NONE, FLAG_ANSWERED, true, NULL },
	{ "UNDELETED", SEARCH_FLAG, ARG_NONE, FLAG_DELETED, true, NULL },
	{ "UNDRAFT", SEARCH_FLAG, ARG_NONE, FLAG_DRAFT, true, NULL },
	{ "UNFLAGGED", SEARCH_FLAG, ARG_NONE, FLAG_FLAGGED, true, NULL },
	{ "UNKEYWORD", SEARCH_KEYWORD, ARG_KEYWORD, 0, true, NULL },
	{ "UNSEEN", SEARCH_FLAG, ARG_NONE, FLAG_SEEN, true, NULL },
	{ "YOUNGER", SEARCH_YOUNGER, ARG_SECONDS, 0, false, NULL },
};

struct parse {
	struct cursor         *c;
	struct arena          *a;
	struct search_program *p;
};

static bool parse_key(struct parse *ps, uint16_t parent, unsigned depth);

static struct slice
take_letters(struct cursor *c)
{
	struct slice rest = cur_rest(c);
	size_t n = 0;

	while (n < rest.len && ascii_lower(rest.ptr[n]) >= 'a' && ascii_lower(rest.ptr[n]) <= 'z')
		n++;
	c->pos += n;
	return slice_sub(rest, 0, n);
}

/* Put a node in front of the parent's children: their order means nothing. 0: there is no room. */
static uint16_t
add_node(struct search_program *p, uint16_t parent, enum search_key key, bool negate)
{
	uint16_t i = p->count;

	if (i == p->room)
		return 0;
	p->count++;
	p->nodes[i] = (struct search_node){ .key = key, .negate = negate };
	p->nodes[i].next = p->nodes[parent].child;
	p->nodes[parent].child = i;
	return i;
}

/* astring, a text to look for */
static bool
parse_text(struct parse *ps, struct search_node *n)
{
	if (!parse_astring(ps->c, ps->a, &n->text))
		return false;
	if (n->text.len > SEARCH_TEXT_MAX)
		return cur_limit(ps->c, "a search text of at most 4096 octets");
	if (++ps->p->texts > SEARCH_TEXTS_MAX)
		return cur_limit(ps->c, "at most 64 texts to search for");
	return true;
}

/* search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer
 * [RFC 7162 s7], behind "MODSEQ" SP. We keep one MODSEQ for all of a message: the entry is checked
 * and ignored [s3.1.5]. */
static bool
parse_modseq(struct parse *ps, struct search_node *n)
{
	static const char *const types[] = { "priv", "shared", "all" };
	struct slice entry, type;
	bool known = false;

	ps->p->modseq = true;
	if (cur_peek(ps->c) != '"')
		return parse_number64(ps->c, &n->number);
	if (!parse_string(ps->c, ps->a, &entry))
		return false;
	if (!slice_starts_nocase(entry, SLICE("/flags/")))
		return cur_fail(ps->c, "\"/flags/FLAG\"");
	if (!cur_space(ps->c) || !parse_atom(ps->c, &type))
		return false;
	for (size_t i = 0; i < 3; i++)
		known = known || slice_eq_nocase(type, slice_str(types[i]));
	if (!known)
		return cur_fail(ps->c, "priv, shared or all");
	return cur_space(ps->c) && parse_number64(ps->c, &n->number);
}

/* objectid = 1*255(ALPHA / DIGIT / "_" / "-")                         [RFC 8474 s7] */
static bool
parse_objectid(struct parse *ps, struct search_node *n)
{
	if (!parse_atom(ps->c, &n->name))
		return false;
	for (size_t i = 0; i < n->name.len; i++) {
		uint8_t ch = ascii_lower(n->name.ptr[i]);

		if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' ||
		      ch == '-'))
			return cur_fail(ps->c, "objectid");
	}
	return n->name.len <= OBJECTID_MAX || cur_fail(ps->c, "objectid");
}

static bool
parse_seconds(struct parse *ps, struct search_node *n)
{
	uint32_t seconds;

	if (!parse_nz_number(ps->c, &seconds))
		return false;
	n->number = seconds;
	return true;
}

static bool
parse_argument(struct parse *ps, enum argument arg, struct search_node *n)
{
	int64_t seconds;

	if (arg != ARG_NONE && !cur_space(ps->c))
		return false;
	switch (arg) {
	case ARG_NONE:
		return true;
	case ARG_TEXT:
		return parse_text(ps, n);
	case ARG_FIELD_TEXT:
		return parse_astring(ps->c, ps->a, &n->name) && cur_space(ps->c)
		       && parse_text(ps, n);
	case ARG_KEYWORD:
		return parse_atom(ps->c, &n->name);
	case ARG_DATE:
		if (!parse_date(ps->c, &seconds))
			return false;
		n->day = seconds / SECONDS_A_DAY; /* a whole number of days, also before 1970 */
		return true;
	case ARG_SIZE:
		return parse_number64(ps->c, &n->number);
	case ARG_SET:
		n->set_is_uids = true;
		return parse_sequence_set(ps->c, ps->a, &n->set);
	case ARG_SECONDS:
		return parse_seconds(ps, n);
	case ARG_MODSEQ:
		return parse_modseq(ps, n);
	case ARG_OBJECTID:
		return parse_objectid(ps, n);
	}
	return false;
}

static void
note_needs(struct search_program *p, enum search_key key)
{
	p->needs_summary = p->needs_summary || key >= SEARCH_SENTBEFORE;
	p->needs_place = p->needs_place || key >= SEARCH_EMAILID;
}

static bool
parse_key_word(struct parse *ps, const struct key_word *w, uint16_t parent, bool negate)
{
	uint16_t i = add_node(ps->p, parent, w->key, negate != w->negate);

	if (i == 0)
		return cur_limit(ps->c, "fewer search keys");
	ps->p->nodes[i].flags = w->flags;
	ps->p->nodes[i].name = slice_str(w->field);
	note_needs(ps->p, w->key);
	return parse_argument(ps, w->argument, &ps->p->nodes[i]);
}

/* "OR" SP search-key SP search-key */
static bool
parse_or(struct parse *ps, uint16_t parent, bool negate, unsigned depth)
{
	uint16_t i = add_node(ps->p, parent, SEARCH_OR, negate);

	if (i == 0)
		return cur_limit(ps->c, "fewer search keys");
	return cur_space(ps->c) && parse_key(ps, i, depth + 1) && cur_space(ps->c)
	       && parse_key(ps, i, depth + 1);
}

/* "NEW" equals "(RECENT UNSEEN)" */
static bool
parse_new(struct parse *ps, uint16_t parent, bool negate)
{
	uint16_t i = add_node(ps->p, parent, SEARCH_AND, negate), seen = 0;

	if (i == 0 || add_node(ps->p, i, SEARCH_RECENT, false) == 0)
		return cur_limit(ps->c, "fewer search keys");
	seen = add_node(ps->p, i, SEARCH_FLAG, true);
	if (seen == 0)
		return cur_limit(ps->c, "fewer search keys");
	ps->p->nodes[seen].flags = FLAG_SEEN;
	return true;
}

/* search-key *(SP search-key) */
static bool
parse_keys(struct parse *ps, uint16_t parent, unsigned depth)
{
	do {
		if (!parse_key(ps, parent, depth))
			return false;
	} while (cur_take(ps->c, ' '));
	return true;
}

/* "(" search-key *(SP search-key) ")" behind the "(" */
static bool
parse_group(struct parse *ps, uint16_t parent, bool negate, unsigned depth)
{
	uint16_t i = add_node(ps->p, parent, SEARCH_AND, negate);

	if (i == 0)
		return cur_limit(ps->c, "fewer search keys");
	return parse_keys(ps, i, depth + 1) && cur_want(ps->c, ')');
}

/* sequence-set as a key */
static bool
parse_set_key(struct parse *ps, uint16_t parent, bool negate)
{
	uint16_t i = add_node(ps->p, parent, SEARCH_SET, negate);

	if (i == 0)
		return cur_limit(ps->c, "fewer search keys");
	return parse_sequence_set(ps->c, ps->a, &ps->p->nodes[i].set);
}

static bool
parse_word(struct parse *ps, uint16_t parent, bool negate, unsigned depth)
{
	size_t start = ps->c->pos;
	struct slice word = take_letters(ps->c);

	if (slice_eq_nocase(word, SLICE("OR")))
		return parse_or(ps, parent, negate, depth);
	if (slice_eq_nocase(word, SLICE("NEW")))
		return parse_new(ps, parent, negate);
	for (size_t i = 0; i < sizeof key_words / sizeof key_words[0]; i++)
		if (slice_eq_nocase(word, slice_str(key_words[i].name)))
			return parse_key_word(ps, &key_words[i], parent, negate);
	ps->c->pos = start;
	return cur_fail(ps->c, "a search key");
}

/* search-key. "NOT" before it is a loop here, not a level. */
static bool
parse_key(struct parse *ps, uint16_t parent, unsigned depth)
{
	bool negate = false;
	int ch;

	if (depth > SEARCH_DEPTH_MAX)
		return cur_limit(ps->c, "less nesting");
	while (cur_take_word(ps->c, "NOT "))
		negate = !negate;
	ch = cur_peek(ps->c);
	if (cur_take(ps->c, '('))
		return parse_group(ps, parent, negate, depth);
	if (ch == '*' || ch == '$' || (ch >= '0' && ch <= '9'))
		return parse_set_key(ps, parent, negate);
	return parse_word(ps, parent, negate, depth);
}

/* modifier-partial = "PARTIAL" SP partial-range, behind "PARTIAL"      [RFC 9394 s4] */
static bool
parse_partial(struct parse *ps)
{
	size_t from = ps->c->pos + 1;

	if (!cur_space(ps->c) || !parse_partial_range(ps->c, &ps->p->partial))
		return false;
	ps->p->partial_text = slice_sub(ps->c->in, from, ps->c->pos);
	return true;
}

/* search-return-opt [RFC 9051 s9]; of PARTIAL and ALL there may be one [RFC 9394 s3.1] */
static bool
parse_return_option(struct parse *ps)
{
	static const struct return_word {
		const char *name;
		unsigned    bit, never_with;
	} options[] = {
		{ "MIN", RETURN_MIN, 0 },
		{ "MAX", RETURN_MAX, 0 },
		{ "ALL", RETURN_ALL, RETURN_PARTIAL },
		{ "COUNT", RETURN_COUNT, 0 },
		{ "SAVE", RETURN_SAVE, 0 },
		{ "PARTIAL", RETURN_PARTIAL, RETURN_ALL | RETURN_PARTIAL },
	};
	size_t start = ps->c->pos;
	struct slice word = take_letters(ps->c);

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		if (!slice_eq_nocase(word, slice_str(options[i].name)))
			continue;
		if ((ps->p->returns & options[i].never_with) != 0)
			return cur_fail(ps->c, "either ALL or one PARTIAL");
		ps->p->returns |= options[i].bit;
		return options[i].bit != RETURN_PARTIAL || parse_partial(ps);
	}
	ps->c->pos = start;
	return cur_fail(ps->c, "MIN, MAX, ALL, COUNT, SAVE or PARTIAL");
}

/* search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"; "()"
 * equals "(ALL)" */
static bool
parse_returns(struct parse *ps)
{
	if (!cur_take_word(ps->c, "RETURN "))
		return true;
	ps->p->extended = true;
	if (!cur_want(ps->c, '('))
		return false;
	if (!cur_take(ps->c, ')')) {
		do {
			if (!parse_return_option(ps))
				return false;
		} while (cur_take(ps->c, ' '));
		if (!cur_want(ps->c, ')'))
			return false;
	}
	if (ps->p->returns == 0)
		ps->p->returns = RETURN_ALL;
	return cur_space(ps->c);
}

/* "CHARSET" SP charset SP */
static bool
parse_charset(struct parse *ps)
{
	if (!cur_take_word(ps->c, "CHARSET "))
		return true;
	return parse_astring(ps->c, ps->a, &ps->p->charset) && cur_space(ps->c);
}

/* At most three nodes a key (NEW), keys stand apart by spaces. */
static uint16_t
nodes_possible(struct slice rest)
{
	size_t n = 4;

	for (size_t i = 0; i < rest.len && n < SEARCH_NODES_MAX; i++)
		if (rest.ptr[i] == ' ' || rest.ptr[i] == '(')
			n += 3;
	return (uint16_t)(n < SEARCH_NODES_MAX ? n : SEARCH_NODES_MAX);
}

/* search = "SEARCH" [search-return-opts] SP search-program */
bool
search_parse(struct cursor *c, struct arena *a, struct search_program *out)
{
	struct parse ps = { c, a, out };

	*out = (struct search_program){ .room = nodes_possible(cur_rest(c)), .count = 1 };
	out->nodes = arena_array(a, out->room, sizeof *out->nodes);
	if (out->nodes == NULL)
		return cur_limit(c, NO_MEMORY);
	out->nodes[0].key = SEARCH_AND;
	return cur_space(c) && parse_returns(&ps) && parse_charset(&ps) && parse_keys(&ps, 0, 0);
}
