/* load_imap - see load_imap.h.
 *
 * The loop over responses must keep up with millions of FETCH lines a second: a line is found with
 * memchr, told by its first octets and its last one, and only the untagged ones that are not FETCH
 * are looked at closer.
 */
#define _GNU_SOURCE
#include "tests/bench/load_imap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"

#define LITERAL_MINUS_MAX 4096u

static void
take_capabilities(struct imap *im, const char *list, size_t len)
{
	const char *end = memchr(list, ']', len);

	if (end != NULL)
		len = (size_t)(end - list);
	snprintf(im->capabilities, sizeof im->capabilities, " %.*s ", (int)len, list);
}

static uint64_t
number_behind(const char *line, size_t len, const char *word)
{
	const char *p = memmem(line, len, word, strlen(word));

	return p != NULL ? strtoull(p + strlen(word), NULL, 10) : 0;
}

/* `* OK [CODE ...` and the tagged OK's code. */
static void
take_code(struct imap *im, const char *code, size_t len)
{
	static const char capability[] = "[CAPABILITY ";
	size_t n = sizeof capability - 1;

	if (len > n && memcmp(code, capability, n) == 0)
		take_capabilities(im, code + n, len - n);
	else if (len > 13 && memcmp(code, "[UIDVALIDITY ", 13) == 0)
		im->uid_validity = number_behind(code, len, "[UIDVALIDITY ");
	else if (len > 9 && memcmp(code, "[UIDNEXT ", 9) == 0)
		im->uid_next = number_behind(code, len, "[UIDNEXT ");
	else if (len > 15 && memcmp(code, "[HIGHESTMODSEQ ", 15) == 0)
		im->modseq = number_behind(code, len, "[HIGHESTMODSEQ ");
}

/* What stands behind "* 123 ". */
static void
take_number(struct imap *im, uint64_t number, const char *word, size_t len)
{
	if (len >= 6 && memcmp(word, "FETCH ", 6) == 0) {
		im->fetched++;
	} else if (len == 6 && memcmp(word, "EXISTS", 6) == 0) {
		im->exists = number;
	} else if (len == 7 && memcmp(word, "EXPUNGE", 7) == 0) {
		im->expunged++;
		im->exists--;
	}
}

static void
take_untagged(struct imap *im, const char *line, size_t len)
{
	const char *p = line + 2, *end = line + len;
	uint64_t number = 0;

	while (p < end && *p >= '0' && *p <= '9')
		number = number * 10 + (uint64_t)(*p++ - '0');
	if (p > line + 2 && p < end && *p == ' ')
		take_number(im, number, p + 1, (size_t)(end - p) - 1);
	else if (len > 5 && memcmp(line, "* OK ", 5) == 0)
		take_code(im, line + 5, len - 5);
	else if (len > 13 && memcmp(line, "* CAPABILITY ", 13) == 0)
		take_capabilities(im, line + 13, len - 13);
}

/* The count in `...{123}`, the end of a line. */
static bool
literal_at_end(const char *line, size_t len, uint64_t *n)
{
	const char *p = line + len - 1;
	uint64_t unit = 1;

	*n = 0;
	if (len < 3 || *p != '}')
		return false;
	while (--p > line && *p >= '0' && *p <= '9') {
		*n += (uint64_t)(*p - '0') * unit;
		unit *= 10;
	}
	return *p == '{' && unit > 1;
}

/* The octets behind a line that ends with a literal's count, up to the response's end. */
static void
take_literals(struct imap *im, uint64_t n)
{
	const char *line;
	size_t len;

	do {
		im->literals++;
		im->literal_bytes += n;
		im->bytes += n;
		if (im->on_literal != NULL)
			im->on_literal(im->arg, im->conn, n);
		else
			conn_skip(im->conn, n);
		line = conn_line(im->conn, &len);
		im->bytes += len + 2;
	} while (literal_at_end(line, len, &n));
}

static void
take_response(struct imap *im, const char *line, size_t len)
{
	uint64_t n;

	if (len < 3 || line[0] != '*' || line[1] != ' ')
		load_fail("not a response: %.*s", len < 200 ? (int)len : 200, line);
	take_untagged(im, line, len);
	if (im->on_line != NULL)
		im->on_line(im->arg, line, len);
	if (literal_at_end(line, len, &n))
		take_literals(im, n);
}

void
imap_response(struct imap *im)
{
	size_t len;
	const char *line = conn_line(im->conn, &len);

	im->bytes += len + 2;
	take_response(im, line, len);
}

/* Up to the tagged line: true for OK, false for NO where that is allowed. */
static bool
wait_tagged(struct imap *im, bool may_fail)
{
	char tag[16];
	size_t n = (size_t)snprintf(tag, sizeof tag, "l%u ", im->tag), len;

	for (;;) {
		const char *line = conn_line(im->conn, &len);

		im->bytes += len + 2;
		if (len > 0 && line[0] == '*') {
			take_response(im, line, len);
			continue;
		}
		if (len >= n + 3 && memcmp(line, tag, n) == 0 && memcmp(line + n, "OK ", 3) == 0) {
			take_code(im, line + n + 3, len - n - 3);
			return true;
		}
		if (may_fail && len >= n + 3 && memcmp(line, tag, n) == 0 &&
		    memcmp(line + n, "NO ", 3) == 0)
			return false;
		load_fail(
		    "wanted %sOK but the server says: %.*s", tag, len < 200 ? (int)len : 200, line);
	}
}

void
imap_wait(struct imap *im)
{
	wait_tagged(im, false);
}

void
imap_wait_plus(struct imap *im)
{
	size_t len;
	const char *line;

	conn_flush(im->conn);
	while ((line = conn_line(im->conn, &len))[0] == '*' && len > 0)
		take_response(im, line, len);
	if (len == 0 || line[0] != '+')
		load_fail("wanted a continuation but the server says: %.*s",
		    len < 200 ? (int)len : 200, line);
}

static void
start(struct imap *im, const char *format, va_list ap)
{
	char text[3072];
	int n = vsnprintf(text, sizeof text, format, ap);

	if (n < 0 || (size_t)n >= sizeof text)
		load_fail("a command is too long");
	im->tag++;
	im->fetched = im->expunged = im->literals = im->literal_bytes = im->bytes = 0;
	conn_printf(im->conn, "l%u %s", im->tag, text);
}

static void
send_line(struct imap *im, const char *format, va_list ap)
{
	start(im, format, ap);
	conn_put(im->conn, "\r\n", 2);
	conn_flush(im->conn);
}

void
imap_start(struct imap *im, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	start(im, format, ap);
	va_end(ap);
}

void
imap_send(struct imap *im, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	send_line(im, format, ap);
	va_end(ap);
}

void
imap_command(struct imap *im, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	send_line(im, format, ap);
	va_end(ap);
	imap_wait(im);
}

bool
imap_try(struct imap *im, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	send_line(im, format, ap);
	va_end(ap);
	return wait_tagged(im, true);
}

static bool
is_said(const struct imap *im, const char *capability)
{
	char want[64];

	snprintf(want, sizeof want, " %s ", capability);
	return strstr(im->capabilities, want) != NULL;
}

bool
imap_can(struct imap *im, const char *capability)
{
	if (!im->logged_in_capabilities) {
		imap_command(im, "CAPABILITY");
		im->logged_in_capabilities = true;
	}
	return is_said(im, capability);
}

void
imap_put_literal(struct imap *im, const char *data, size_t len)
{
	if (is_said(im, "LITERAL+") || (len <= LITERAL_MINUS_MAX && is_said(im, "LITERAL-"))) {
		conn_printf(im->conn, "{%zu+}\r\n", len);
	} else {
		conn_printf(im->conn, "{%zu}\r\n", len);
		imap_wait_plus(im);
	}
	conn_put(im->conn, data, len);
}

/* PLAIN, for servers that refuse LOGIN. */
static void
authenticate(struct imap *im, const char *user, const char *password)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char plain[512] = "", text[700], *to = text;
	size_t len = 1 + (size_t)snprintf(plain + 1, sizeof plain - 3, "%s%c%s", user, 0, password);

	if (len >= sizeof plain - 3)
		load_fail("user or password is too long");
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)plain[i] << 16 |
			     (uint32_t)(uint8_t)plain[i + 1] << 8 | (uint8_t)plain[i + 2];

		for (int k = 0; k < 4; k++)
			*to++ = i + (size_t)k > len ? '=' : digits[v >> (18 - 6 * k) & 63];
	}
	*to = '\0';
	imap_send(im, "AUTHENTICATE PLAIN");
	imap_wait_plus(im);
	conn_printf(im->conn, "%s\r\n", text);
	conn_flush(im->conn);
	imap_wait(im);
}

void
imap_login(struct imap *im, const char *user, const char *password)
{
	im->capabilities[0] = '\0';
	imap_response(im);
	if (strstr(im->capabilities, " LOGINDISABLED ") != NULL) {
		im->capabilities[0] = '\0';
		authenticate(im, user, password);
	} else {
		im->capabilities[0] = '\0';
		imap_command(im, "LOGIN %s %s", user, password);
	}
	im->logged_in_capabilities = im->capabilities[0] != '\0';
}

void
imap_logout(struct imap *im)
{
	imap_command(im, "LOGOUT");
	imap_close(im);
}

void
imap_close(struct imap *im)
{
	conn_close(&im->conn);
}

void
imap_select(struct imap *im, const char *mailbox)
{
	im->exists = im->uid_validity = im->uid_next = im->modseq = 0;
	imap_command(im, "SELECT %s", mailbox);
}

static void
take_prefix(void *arg, const char *line, size_t len)
{
	char *prefix = arg;
	const char *from, *to;

	if (len < 16 || memcmp(line, "* NAMESPACE ((\"", 15) != 0)
		return;
	from = line + 15;
	to = memchr(from, '"', len - 15);
	if (to == NULL || to - from > 60)
		load_fail("cannot read the namespace");
	memcpy(prefix, from, (size_t)(to - from));
	prefix[to - from] = '\0';
}

void
imap_prefix(struct imap *im, char *prefix)
{
	prefix[0] = '\0';
	im->on_line = take_prefix;
	im->arg = prefix;
	imap_command(im, "NAMESPACE");
	im->on_line = NULL;
}
