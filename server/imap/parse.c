/* parse - atoms, strings and numbers of IMAP's grammar [RFC 9051 s9].
 *
 * One production a function: a cursor in, a value out; each consumes exactly its match. Results
 * are slices of the frame, except quoted strings with escapes, which are copied into the arena.
 * The character classes are tables over all 256 octets, so that a reader can check them against
 * the grammar.
 *
 * A named leniency: quoted strings may hold octets above 0x7f also before UTF8=ACCEPT or
 * IMAP4rev2 is enabled, because clients send passwords and search texts so; who needs text
 * checks it (mailbox names: modified UTF-7 refuses them). Once one of them is enabled, they hold
 * UTF-8 and nothing else.
 */
#include "lib/text.h"
#include "server/imap/imap.h"

enum char_class {
	CHAR_ATOM = 1 << 0,             /* ATOM-CHAR */
	CHAR_ASTRING = 1 << 1,          /* ASTRING-CHAR: ATOM-CHAR and "]" */
};

#define BOTH (CHAR_ATOM | CHAR_ASTRING)

/* ATOM-CHAR = any CHAR except atom-specials: "(" ")" "{" SP CTL "%" "*" DQUOTE "\" "]" */
static const uint8_t classes[256] = {
	['!'] = BOTH, ['#'] = BOTH, ['$'] = BOTH, ['&'] = BOTH, ['\''] = BOTH, ['+'] = BOTH,
	[','] = BOTH, ['-'] = BOTH, ['.'] = BOTH, ['/'] = BOTH, ['0' ... '9'] = BOTH,
	[':'] = BOTH, [';'] = BOTH, ['<'] = BOTH, ['='] = BOTH, ['>'] = BOTH, ['?'] = BOTH,
	['@'] = BOTH, ['A' ... 'Z'] = BOTH, ['['] = BOTH, ['^'] = BOTH, ['_'] = BOTH,
	['`'] = BOTH, ['a' ... 'z'] = BOTH, ['|'] = BOTH, ['}'] = BOTH, ['~'] = BOTH,
	[']'] = CHAR_ASTRING,
};

static struct slice
take_class(struct cursor *c, uint8_t class)
{
	size_t from = c->pos;

	while (!cur_at_end(c) && (classes[c->in.ptr[c->pos]] & class) != 0)
		c->pos++;
	return slice_sub(c->in, from, c->pos);
}

/* atom = 1*ATOM-CHAR                                                [RFC 9051 s9] */
bool
parse_atom(struct cursor *c, struct slice *out)
{
	*out = take_class(c, CHAR_ATOM);
	return out->len > 0 || cur_fail(c, "atom");
}

/* tag = 1*<any ASTRING-CHAR except "+">                             [RFC 9051 s9] */
bool
parse_tag(struct cursor *c, struct slice *out)
{
	size_t from = c->pos;

	*out = take_class(c, CHAR_ASTRING);
	if (out->len == 0 || slice_find_byte(*out, '+') < out->len) {
		c->pos = from;
		return cur_fail(c, "tag");
	}
	return true;
}

/* The end of a quoted string: offset of the closing quote from the cursor, or SIZE_MAX. */
static size_t
quoted_len(const struct cursor *c, bool *escapes)
{
	struct slice s = cur_rest(c);

	*escapes = false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"')
			return i;
		if (s.ptr[i] == '\0' || s.ptr[i] == '\r' || s.ptr[i] == '\n')
			return SIZE_MAX;
		if (s.ptr[i] != '\\')
			continue;
		*escapes = true;
		if (++i == s.len || (s.ptr[i] != '"' && s.ptr[i] != '\\'))
			return SIZE_MAX;
	}
	return SIZE_MAX;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE, behind the first DQUOTE [RFC 9051 s9]. Octets that are no
 * UTF-8 MUST be BAD [RFC 6855 s3]. */
static bool
parse_quoted_rest(struct cursor *c, struct arena *a, struct slice *out)
{
	bool escapes;
	size_t len = quoted_len(c, &escapes);
	uint8_t *p;

	if (len == SIZE_MAX)
		return cur_fail(c, "quoted string");
	*out = slice_sub(c->in, c->pos, c->pos + len);
	if (c->utf8 && !text_utf8_valid(*out))
		return cur_fail(c, "quoted string in UTF-8");
	c->pos += len + 1;
	if (!escapes)
		return true;
	p = arena_alloc(a, len);
	if (p == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	len = 0;
	for (size_t i = 0; i < out->len; i++) {
		if (out->ptr[i] == '\\')
			i++;
		p[len++] = out->ptr[i];
	}
	*out = slice_of(p, len);
	return true;
}

/* literal = "{" number64 ["+"] "}" CRLF *CHAR8, behind the "{". NUL needs literal8.
 * [RFC 9051 s9] */
static bool
parse_literal_rest(struct cursor *c, struct slice *out)
{
	uint64_t n;

	if (!parse_number64(c, &n))
		return false;
	cur_take(c, '+');
	if (!cur_take(c, '}') || !cur_take(c, '\r') || !cur_take(c, '\n'))
		return cur_fail(c, "literal");
	if (n > c->in.len - c->pos)
		return cur_fail(c, "octets of the literal");
	*out = slice_of(c->in.ptr + c->pos, (size_t)n);
	if (slice_find_byte(*out, '\0') < out->len)
		return cur_fail(c, "literal without NUL");
	c->pos += (size_t)n;
	return true;
}

/* string = quoted / literal                                         [RFC 9051 s9] */
bool
parse_string(struct cursor *c, struct arena *a, struct slice *out)
{
	if (cur_take(c, '"'))
		return parse_quoted_rest(c, a, out);
	if (cur_take(c, '{'))
		return parse_literal_rest(c, out);
	return cur_fail(c, "string");
}

/* nstring = string / nil                                            [RFC 9051 s9] */
bool
parse_nstring(struct cursor *c, struct arena *a, struct slice *out)
{
	if (cur_take_word(c, "NIL")) {
		*out = SLICE_NONE;
		return true;
	}
	return parse_string(c, a, out);
}

/* astring = 1*ASTRING-CHAR / string                                 [RFC 9051 s9] */
bool
parse_astring(struct cursor *c, struct arena *a, struct slice *out)
{
	if (cur_peek(c) == '"' || cur_peek(c) == '{')
		return parse_string(c, a, out);
	*out = take_class(c, CHAR_ASTRING);
	return out->len > 0 || cur_fail(c, "astring");
}

/* list-mailbox = 1*list-char / string; list-char = ATOM-CHAR / list-wildcards / resp-specials
 * [RFC 9051 s9] */
bool
parse_list_mailbox(struct cursor *c, struct arena *a, struct slice *out)
{
	size_t from = c->pos;

	if (cur_peek(c) == '"' || cur_peek(c) == '{')
		return parse_string(c, a, out);
	while (!cur_at_end(c)) {
		uint8_t ch = c->in.ptr[c->pos];

		if ((classes[ch] & CHAR_ASTRING) == 0 && ch != '%' && ch != '*')
			break;
		c->pos++;
	}
	*out = slice_sub(c->in, from, c->pos);
	return out->len > 0 || cur_fail(c, "mailbox pattern");
}

/* 1*DIGIT not above max; the cursor stays before a number that is. */
static bool
take_number(struct cursor *c, uint64_t max, uint64_t *out, const char *too_big)
{
	size_t pos = c->pos;
	uint64_t v = 0;

	for (; pos < c->in.len && c->in.ptr[pos] >= '0' && c->in.ptr[pos] <= '9'; pos++) {
		unsigned digit = c->in.ptr[pos] - (unsigned)'0';

		if (v > (max - digit) / 10)
			return cur_fail(c, too_big);
		v = v * 10 + digit;
	}
	if (pos == c->pos)
		return cur_fail(c, "number");
	c->pos = pos;
	*out = v;
	return true;
}

/* number = 1*DIGIT, below 2^32                                      [RFC 9051 s9] */
bool
parse_number(struct cursor *c, uint32_t *out)
{
	uint64_t v;

	if (!take_number(c, UINT32_MAX, &v, "number below 2^32"))
		return false;
	*out = (uint32_t)v;
	return true;
}

/* number64 = 1*DIGIT, below 2^63                                    [RFC 9051 s9] */
bool
parse_number64(struct cursor *c, uint64_t *out)
{
	return take_number(c, INT64_MAX, out, "number below 2^63");
}

/* nz-number = digit-nz *DIGIT, below 2^32                           [RFC 9051 s9] */
bool
parse_nz_number(struct cursor *c, uint32_t *out)
{
	if (cur_peek(c) < '1' || cur_peek(c) > '9')
		return cur_fail(c, "nz-number");
	return parse_number(c, out);
}

bool
parse_end(struct cursor *c)
{
	return cur_at_end(c) || cur_fail(c, "end of command");
}
