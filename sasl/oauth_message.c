/* oauth_message - see oauth_message.h. A production consumes what it matches from
 * the front of *c. */
#include "sasl/oauth_message.h"

#define KVSEP 0x01

/* What is gathered while pairs are read. */
struct pairs {
	struct oauth_message *out;
	bool                  user_key;         /* user= has a meaning: XOAUTH2 */
	unsigned              users, auths, hosts, ports;
	struct slice          auth;
};

static void
skip(struct slice *c, size_t n)
{
	*c = slice_sub(*c, n, c->len);
}

static bool
take(struct slice *c, struct slice literal)
{
	if (!slice_starts(*c, literal))
		return false;
	skip(c, literal.len);
	return true;
}

static bool
is_alpha(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* VCHAR / SP / HTAB / CR / LF; in XOAUTH2's user= also what is not ASCII, as names of
 * accounts may be so. */
static bool
is_value_char(uint8_t c, bool utf8)
{
	return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\r' || c == '\n' ||
	       (utf8 && c >= 0x80);
}

/* port: a decimal positive integer without leading zeros             [RFC 7628 s3.1] */
static bool
is_port(struct slice s)
{
	uint64_t n;

	return slice_to_u64(s, 65535, &n) && s.ptr[0] != '0';
}

/* False: the value is none that this key can have, or the key was there before. */
static bool
keep_pair(struct pairs *p, struct slice key, struct slice value)
{
	if (slice_eq(key, SLICE("auth"))) {
		p->auth = value;
		p->auths++;
		return true;            /* two are another matter: oauth_request */
	}
	if (slice_eq(key, SLICE("host"))) {
		p->out->host = value;
		return ++p->hosts == 1;
	}
	if (slice_eq(key, SLICE("port"))) {
		p->out->port = value;
		return ++p->ports == 1 && is_port(value);
	}
	if (slice_eq(key, SLICE("user")) && p->user_key)
		return ++p->users == 1 && value.len > 0 &&
		       slice_to_cstr(value, p->out->user, sizeof p->out->user);
	return true;
}

/* kvpair = key "=" value kvsep; key = 1*(ALPHA)                      [RFC 7628 s3.1] */
static bool
parse_pair(struct slice *c, struct pairs *p)
{
	size_t n = 0, end = slice_find_byte(*c, KVSEP);
	struct slice key, value;
	bool utf8;

	while (n < c->len && is_alpha(c->ptr[n]))
		n++;
	if (n == 0 || n >= end || end == c->len || c->ptr[n] != '=')
		return false;
	key = slice_sub(*c, 0, n);
	value = slice_sub(*c, n + 1, end);
	utf8 = p->user_key && slice_eq(key, SLICE("user"));
	for (size_t i = 0; i < value.len; i++)
		if (!is_value_char(value.ptr[i], utf8))
			return false;
	skip(c, end + 1);
	return keep_pair(p, key, value);
}

/* *kvpair kvsep, and nothing behind it */
static bool
parse_pairs(struct slice *c, struct pairs *p)
{
	while (c->len > 0 && c->ptr[0] != KVSEP)
		if (!parse_pair(c, p))
			return false;
	return c->len == 1;
}

/* saslname = 1*(UTF8-char-safe / "=2C" / "=3D")                      [RFC 5801 s4] */
static bool
parse_saslname(struct slice *c, char out[SASL_NAME_MAX + 1])
{
	size_t n = 0;

	while (c->len > 0 && c->ptr[0] != ',') {
		char one = (char)c->ptr[0];

		if (take(c, SLICE("=2C")))
			one = ',';
		else if (take(c, SLICE("=3D")))
			one = '=';
		else if (one == '=' || one == '\0' || one == KVSEP)
			return false;
		else
			skip(c, 1);
		if (n == SASL_NAME_MAX)
			return false;
		out[n++] = one;
	}
	out[n] = '\0';
	return n > 0;
}

/* gs2-header = [gs2-nonstd-flag ","] gs2-cb-flag "," [gs2-authzid] ","  [RFC 5801 s4]
 * "F," is for mechanisms that GSS-API frames differently, "p=" for channel binding: this
 * mechanism has neither. */
static bool
parse_gs2_header(struct slice *c, struct oauth_message *out)
{
	if (!take(c, SLICE("n,")) && !take(c, SLICE("y,")))
		return false;
	if (take(c, SLICE("a=")) && !parse_saslname(c, out->user))
		return false;
	return take(c, SLICE(","));
}

/* credentials = "Bearer" 1*SP b64token                               [RFC 6750 s2.1]
 * Which octets a token may have is the business of whoever reads it. */
static enum oauth_request
parse_credentials(const struct pairs *p)
{
	struct slice c = p->auth;
	size_t spaces = 0;

	if (p->auths == 1 && c.len == 0)
		return OAUTH_QUERY;
	if (p->auths != 1 || !slice_starts_nocase(c, SLICE("Bearer ")))
		return OAUTH_OTHER;
	skip(&c, strlen("Bearer"));
	while (spaces < c.len && c.ptr[spaces] == ' ')
		spaces++;
	skip(&c, spaces);
	p->out->token = c;
	return c.len > 0 ? OAUTH_TOKEN : OAUTH_QUERY;
}

/* client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep              [RFC 7628 s3.1]
 * "or it may be empty": a client that has nothing to say yet. */
enum oauth_request
oauth_parse_bearer(struct slice in, struct oauth_message *out)
{
	struct pairs p = { .out = out };

	*out = (struct oauth_message){ 0 };
	if (in.len == 0)
		return OAUTH_QUERY;
	if (in.len == 1 && in.ptr[0] == KVSEP)
		return OAUTH_END;
	if (!parse_gs2_header(&in, out) || !take(&in, SLICE("\001")) || !parse_pairs(&in, &p))
		return OAUTH_MALFORMED;
	return parse_credentials(&p);
}

enum oauth_request
oauth_parse_xoauth2(struct slice in, struct oauth_message *out)
{
	struct pairs p = { .out = out, .user_key = true };

	*out = (struct oauth_message){ 0 };
	if (in.len == 0)
		return OAUTH_QUERY;
	if (!parse_pairs(&in, &p) || p.users == 0)
		return OAUTH_MALFORMED;
	return parse_credentials(&p);
}
