/* path - reverse-path, forward-path and parameters. See path.h. */
#include "server/lmtp/path.h"

#include "lib/text.h"

void
lmtp_parser_init(struct lmtp_parser *p, struct slice line)
{
	*p = (struct lmtp_parser){ line, NULL };
}

static bool
fail(struct lmtp_parser *p, const char *expected)
{
	if (p->expected == NULL)
		p->expected = expected;
	return false;
}

static bool
peek(const struct lmtp_parser *p, uint8_t c)
{
	return p->rest.len > 0 && p->rest.ptr[0] == c;
}

static void
skip(struct lmtp_parser *p, size_t n)
{
	p->rest = slice_sub(p->rest, n, p->rest.len);
}

static bool
take(struct lmtp_parser *p, uint8_t c)
{
	if (!peek(p, c))
		return false;
	skip(p, 1);
	return true;
}

static struct slice
take_while(struct lmtp_parser *p, bool (*wanted)(uint8_t c))
{
	size_t n = 0;
	struct slice got;

	while (n < p->rest.len && wanted(p->rest.ptr[n]))
		n++;
	got = slice_sub(p->rest, 0, n);
	skip(p, n);
	return got;
}

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* atext [RFC 5322 s3.2.3] with UTF8-non-ascii [RFC 6531 s3.3], and dots (lenient) */
static bool
is_dot_atext(uint8_t c)
{
	return is_alnum(c) || c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

/* of sub-domain, with U-labels and underscores (lenient) */
static bool
is_label(uint8_t c)
{
	return is_alnum(c) || c == '-' || c == '_' || c >= 0x80;
}

/* dcontent = %d33-90 / %d94-126 */
static bool
is_dcontent(uint8_t c)
{
	return (c >= 33 && c <= 90) || (c >= 94 && c <= 126);
}

/* address-literal = "[" 1*dcontent "]", roughly: what the tags mean is not looked at */
static bool
parse_literal(struct lmtp_parser *p)
{
	if (!take(p, '['))
		return fail(p, "a domain");
	if (take_while(p, is_dcontent).len == 0 || !take(p, ']'))
		return fail(p, "an address literal");
	return true;
}

/* Domain = sub-domain *("." sub-domain) */
static bool
parse_labels(struct lmtp_parser *p)
{
	do {
		if (take_while(p, is_label).len == 0)
			return fail(p, "a domain");
	} while (take(p, '.'));
	return true;
}

/* Domain / address-literal */
static bool
parse_domain(struct lmtp_parser *p, struct slice *out)
{
	struct slice from = p->rest;

	if (!(peek(p, '[') ? parse_literal(p) : parse_labels(p)))
		return false;
	*out = slice_sub(from, 0, from.len - p->rest.len);
	if (out->len > LMTP_DOMAIN_MAX)
		return fail(p, "a domain of at most 255 octets");
	return text_utf8_valid(*out) || fail(p, "UTF-8");
}

/* Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE; *out is its content */
static bool
parse_quoted(struct lmtp_parser *p, struct arena *a, struct slice *out)
{
	uint8_t *to = arena_alloc(a, p->rest.len);
	size_t n = 0;

	if (to == NULL)
		return fail(p, "available memory");
	skip(p, 1);
	while (!peek(p, '"')) {
		bool escaped = take(p, '\\');
		uint8_t c;

		if (p->rest.len == 0)
			return fail(p, "a closing quote");
		c = p->rest.ptr[0];
		if (c < 32 || c == 127 || (escaped && c >= 0x80))
			return fail(p, "a quoted string without control characters");
		to[n++] = c;
		skip(p, 1);
	}
	skip(p, 1);
	*out = slice_of(to, n);
	return true;
}

/* Local-part = Dot-string / Quoted-string */
static bool
parse_local(struct lmtp_parser *p, struct arena *a, struct slice *out)
{
	if (peek(p, '"')) {
		if (!parse_quoted(p, a, out))
			return false;
	} else {
		*out = take_while(p, is_dot_atext);
		if (out->len == 0)
			return fail(p, "a local part");
	}
	if (out->len > LMTP_LOCAL_MAX)
		return fail(p, "a local part of at most 255 octets");
	return text_utf8_valid(*out) || fail(p, "UTF-8");
}

/* A-d-l = At-domain *( "," At-domain ), then ":": to be accepted and ignored
 * [RFC 5321 s4.1.1.3, appendix C] */
static bool
parse_source_route(struct lmtp_parser *p)
{
	struct slice ignored;

	if (!peek(p, '@'))
		return true;
	do {
		if (!take(p, '@'))
			return fail(p, "a source route");
		if (!parse_domain(p, &ignored))
			return false;
	} while (take(p, ','));
	return take(p, ':') || fail(p, "\":\" behind the source route");
}

/* Mailbox = Local-part "@" ( Domain / address-literal ); without a domain it is up to the caller */
static bool
parse_mailbox(struct lmtp_parser *p, struct arena *a, struct lmtp_path *out)
{
	struct slice from = p->rest;

	if (!parse_local(p, a, &out->local))
		return false;
	if (take(p, '@') && !parse_domain(p, &out->domain))
		return false;
	out->text = slice_sub(from, 0, from.len - p->rest.len);
	out->utf8 = !text_is_ascii(out->text);
	return true;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">" */
static bool
parse_path(struct lmtp_parser *p, struct arena *a, struct lmtp_path *out)
{
	*out = (struct lmtp_path){ .local = SLICE_NONE };
	while (take(p, ' '))
		;
	if (!take(p, '<'))
		return fail(p, "\"<\"");
	if (take(p, '>')) {
		out->null = true;
		return true;
	}
	if (!parse_source_route(p) || !parse_mailbox(p, a, out))
		return false;
	return take(p, '>') || fail(p, "\">\"");
}

bool
lmtp_parse_reverse_path(struct lmtp_parser *p, struct arena *a, struct lmtp_path *out)
{
	return parse_path(p, a, out);
}

bool
lmtp_parse_forward_path(struct lmtp_parser *p, struct arena *a, struct lmtp_path *out)
{
	if (!parse_path(p, a, out))
		return false;
	return !out->null || fail(p, "a recipient");
}

static bool
is_keyword(uint8_t c)
{
	return is_alnum(c) || c == '-';
}

/* esmtp-value = 1*(%d33-60 / %d62-126), with UTF8-non-ascii */
static bool
is_value(uint8_t c)
{
	return c > 32 && c != '=' && c != 127;
}

bool
lmtp_parse_param(struct lmtp_parser *p, struct lmtp_param *out)
{
	*out = (struct lmtp_param){ .value = SLICE_NONE };
	if (p->rest.len == 0)
		return false;
	if (!take(p, ' '))
		return fail(p, "a space before parameters");
	while (take(p, ' '))
		;
	if (p->rest.len == 0)
		return false;           /* trailing spaces [RFC 5321 s4.1.1] */
	out->name = take_while(p, is_keyword);
	if (out->name.len == 0)
		return fail(p, "a parameter's name");
	out->has_value = take(p, '=');
	if (!out->has_value)
		return true;
	out->value = take_while(p, is_value);
	return out->value.len > 0 || fail(p, "a parameter's value");
}

bool
lmtp_domain_valid(struct slice s)
{
	struct lmtp_parser p;
	struct slice out;

	lmtp_parser_init(&p, s);
	return parse_domain(&p, &out) && p.rest.len == 0;
}
