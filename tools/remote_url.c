/* remote_url - see remote_url.h.
 *
 * The RFCs know the schemes imap and pop only. imaps and pops are TLS from the first byte on the
 * ports of RFC 8314; imap and pop must become TLS by STARTTLS or STLS (tools/remote_login.c says
 * when not). curl's words for POP are taken too. A parameter like ;tls= was rejected: no other
 * program knows it, while everybody knows imaps.
 *
 * Leniencies: an "@" in the user name may stand as it is, as account names are mail addresses and a
 * host holds none; a percent-encoded path instead of a host is a unix socket, since RFC 3986 lets a
 * registered name be anything.
 *
 * A password in the URL is refused and not taken over: it would stand in the list of processes and
 * in the shell's history for everybody to read.
 */
#include "tools/remote_url.h"

#include <arpa/inet.h>

#include "lib/text.h"

static const struct scheme {
	const char          *name;
	enum remote_protocol protocol;
	bool                 tls;
	uint16_t             port;
} schemes[] = {
	{ "imap", REMOTE_IMAP, false, 143 },  { "imaps", REMOTE_IMAP, true, 993 },
	{ "pop", REMOTE_POP3, false, 110 },   { "pops", REMOTE_POP3, true, 995 },
	{ "pop3", REMOTE_POP3, false, 110 },  { "pop3s", REMOTE_POP3, true, 995 },
};

#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

/* What stands behind the scheme in *rest. NULL: none of ours. */
static const struct scheme *
find_scheme(struct slice text, struct slice *rest)
{
	size_t end = slice_find(text, SLICE("://"));

	*rest = slice_sub(text, end + 3, text.len);
	for (size_t i = 0; i < SCHEME_COUNT && end < text.len; i++) {
		if (slice_eq_nocase(slice_sub(text, 0, end), slice_str(schemes[i].name)))
			return &schemes[i];
	}
	return NULL;
}

bool
remote_url_is(struct slice text)
{
	struct slice rest;

	return find_scheme(text, &rest) != NULL;
}

/* Offset of the last `c`, or s.len. */
static size_t
find_last(struct slice s, uint8_t c)
{
	for (size_t i = s.len; i > 0; i--) {
		if (s.ptr[i - 1] == c)
			return i - 1;
	}
	return s.len;
}

/* One octet of percent-encoded text [RFC 3986 s2.1], or -1. */
static int
take_octet(struct slice *in)
{
	int c = in->ptr[0], high, low;

	*in = slice_sub(*in, 1, in->len);
	if (c != '%')
		return c;
	if (in->len < 2)
		return -1;
	high = ascii_hex_value(in->ptr[0]);
	low = ascii_hex_value(in->ptr[1]);
	*in = slice_sub(*in, 2, in->len);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Percent-encoded UTF-8 into a C string. Control characters are refused, encoded or not. */
static enum rc
decode(struct slice in, const char *what, char *dst, size_t size, struct err *e)
{
	size_t n = 0;

	while (in.len > 0) {
		int c = take_octet(&in);

		if (c < 0)
			return err_set(e, RC_SYNTAX,
			    "URL: two hexadecimal digits must follow a %% in the %s", what);
		if (c < 0x20 || c == 0x7f)
			return err_set(e, RC_SYNTAX, "URL: a control character in the %s", what);
		if (n + 1 >= size)
			return err_set(e, RC_SYNTAX, "URL: the %s is too long", what);
		dst[n++] = (char)c;
	}
	dst[n] = '\0';
	if (!text_utf8_valid(slice_of(dst, n)))
		return err_set(e, RC_SYNTAX, "URL: the %s is not UTF-8", what);
	return RC_OK;
}

/* iauth = ";AUTH=" ( "*" / enc-auth-type )          [RFC 5092 s11; RFC 2384 s3]
 * APOP, written "+APOP", is refused like any mechanism that we cannot do. */
static enum rc
parse_auth(struct slice in, struct remote_url *out, struct err *e)
{
	if (!slice_starts_nocase(in, SLICE("AUTH=")) || in.len == 5)
		return err_set(e, RC_SYNTAX, "URL: only ;AUTH=MECHANISM may follow the user name");
	if (decode(slice_sub(in, 5, in.len), "mechanism", out->auth, sizeof out->auth, e) != RC_OK)
		return e->code;
	for (char *p = out->auth; *p != '\0'; p++)
		*p = (char)ascii_upper((uint8_t)*p);
	if (strcmp(out->auth, "*") == 0)
		out->auth[0] = '\0';
	else if (strcmp(out->auth, "PLAIN") != 0 && strcmp(out->auth, "SCRAM-SHA-256") != 0)
		return err_set(e, RC_SYNTAX, "URL: ;AUTH= may be *, PLAIN or SCRAM-SHA-256");
	return RC_OK;
}

/* iuserinfo = enc-user [iauth] / [enc-user] iauth   [RFC 5092 s11] */
static enum rc
parse_user(struct slice in, struct remote_url *out, struct err *e)
{
	size_t end = slice_find_byte(in, ';');

	if (slice_find_byte(in, ':') < in.len)
		return err_set(e, RC_SYNTAX,
		    "URL: no password may stand there, since others see it; it is typed, read from "
		    "standard input or from --password-file (a colon of the user name "
		    "is written %%3A)");
	if (end < in.len && parse_auth(slice_sub(in, end + 1, in.len), out, e) != RC_OK)
		return e->code;
	return decode(slice_sub(in, 0, end), "user name", out->user, sizeof out->user, e);
}

static enum rc
parse_port(struct slice in, struct remote_url *out, struct err *e)
{
	uint64_t port;

	if (in.len == 0)
		return RC_OK;           /* "host:" means the usual one [RFC 3986 s3.2.3] */
	if (!slice_to_u64(in, UINT16_MAX, &port) || port == 0)
		return err_set(e, RC_SYNTAX, "URL: the port is not a number from 1 to 65535");
	out->port = (uint16_t)port;
	return RC_OK;
}

/* IP-literal                                        [RFC 3986 s3.2.2]; *in is what follows it */
static enum rc
parse_ipv6(struct slice *in, struct remote_url *out, struct err *e)
{
	size_t end = slice_find_byte(*in, ']');
	uint8_t address[16];

	if (end == in->len || !slice_to_cstr(slice_sub(*in, 1, end), out->host, sizeof out->host) ||
	    inet_pton(AF_INET6, out->host, address) != 1)
		return err_set(e, RC_SYNTAX, "URL: what stands in brackets is no IPv6 address");
	*in = slice_sub(*in, end + 1, in->len);
	return RC_OK;
}

static bool
is_host_octet(uint8_t c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* A name of DNS, an IPv4 address, or the encoded path of a socket. */
static enum rc
parse_name(struct slice in, struct remote_url *out, struct err *e)
{
	if (in.len == 0)
		return err_set(e, RC_SYNTAX, "URL: no host");
	if (decode(in, "host", out->host, sizeof out->host, e) != RC_OK)
		return e->code;
	out->is_unix = out->host[0] == '/';
	for (const char *p = out->host; *p != '\0' && !out->is_unix; p++) {
		if (!is_host_octet((uint8_t)*p))
			return err_set(e, RC_SYNTAX,
			    "URL: a host is letters, digits, \"-\" and \".\" (names beyond ASCII "
			    "in their xn-- form); an IPv6 address stands in brackets");
	}
	if (out->is_unix && out->tls)
		return err_set(e, RC_SYNTAX, "URL: there is no TLS on a unix socket");
	return RC_OK;
}

static enum rc
parse_host(struct slice in, struct remote_url *out, struct err *e)
{
	size_t colon;

	if (in.len > 0 && in.ptr[0] == '[') {
		if (parse_ipv6(&in, out, e) != RC_OK)
			return e->code;
		if (in.len > 0 && in.ptr[0] != ':')
			return err_set(e, RC_SYNTAX, "URL: only a port may follow the address");
		return parse_port(slice_sub(in, 1, in.len), out, e);
	}
	colon = slice_find_byte(in, ':');
	if (parse_name(slice_sub(in, 0, colon), out, e) != RC_OK)
		return e->code;
	if (out->is_unix && colon < in.len)
		return err_set(e, RC_SYNTAX, "URL: a unix socket has no port");
	if (out->is_unix)
		out->port = 0;
	return parse_port(slice_sub(in, colon + 1, in.len), out, e);
}

/* imailbox-ref = enc-mailbox [uidvalidity]          [RFC 5092 s11] */
static enum rc
parse_mailbox(struct slice in, struct remote_url *out, struct err *e)
{
	size_t end = slice_find_byte(in, ';');
	struct slice parameter = slice_sub(in, end + 1, in.len), name = slice_sub(in, 0, end);
	uint64_t n = 0;

	if (slice_find_byte(in, '?') < in.len || slice_find_byte(in, '#') < in.len)
		return err_set(e, RC_SYNTAX, "URL: searches cannot be imported, only mailboxes");
	if (name.len > 0 && name.ptr[name.len - 1] == '/')
		return err_set(e, RC_SYNTAX,
		    "URL: messages cannot be imported alone, and no mailbox's name ends with "
		    "\"/\"");
	if (end < in.len) {
		if (name.len == 0 || !slice_starts_nocase(parameter, SLICE("UIDVALIDITY=")) ||
		    !slice_to_u64(slice_sub(parameter, 12, parameter.len), UINT32_MAX, &n) ||
		    n == 0)
			return err_set(e, RC_SYNTAX,
			               "URL: only ;UIDVALIDITY=NUMBER may follow the mailbox");
		out->uidvalidity = (uint32_t)n;
	}
	return decode(name, "mailbox", out->mailbox, sizeof out->mailbox, e);
}

enum rc
remote_url_parse(struct slice text, struct remote_url *out, struct err *e)
{
	struct slice rest, authority, path;
	const struct scheme *scheme = find_scheme(text, &rest);
	size_t at, slash = slice_find_byte(rest, '/');

	*out = (struct remote_url){ 0 };
	if (scheme == NULL)
		return err_set(e, RC_SYNTAX,
		               "URL: it must begin with imap://, imaps://, pop:// or pops://");
	out->protocol = scheme->protocol;
	out->tls = scheme->tls;
	out->port = scheme->port;
	authority = slice_sub(rest, 0, slash);
	path = slice_sub(rest, slash + 1, rest.len);
	at = find_last(authority, '@');
	if (at < authority.len) {
		if (parse_user(slice_sub(authority, 0, at), out, e) != RC_OK)
			return e->code;
		authority = slice_sub(authority, at + 1, authority.len);
	}
	if (parse_host(authority, out, e) != RC_OK)
		return e->code;
	if (scheme->protocol == REMOTE_POP3 && path.len > 0)
		return err_set(e, RC_SYNTAX,
		    "URL: a POP server has one maildrop; nothing may follow the host");
	return parse_mailbox(path, out, e);
}

bool
remote_url_is_address(const struct remote_url *url)
{
	uint8_t address[16];

	return !url->is_unix && (inet_pton(AF_INET, url->host, address) == 1 ||
	                            inet_pton(AF_INET6, url->host, address) == 1);
}

bool
remote_url_is_local(const struct remote_url *url)
{
	uint8_t address[16];

	if (url->is_unix || slice_eq_nocase(slice_str(url->host), SLICE("localhost")))
		return true;
	if (inet_pton(AF_INET, url->host, address) == 1)
		return address[0] == 127;
	return inet_pton(AF_INET6, url->host, address) == 1 &&
	    memcmp(address, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", sizeof address) == 0;
}
