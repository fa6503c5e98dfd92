/* trace - Return-Path and Received of a delivery [RFC 5321 s4.4].
 *
 * They are equal for all recipients of a transaction, so that all share one blob; "for" is given
 * only when there is one recipient (and so nobody learns of a Bcc).
 */
#include "lib/clock.h"
#include "lib/date.h"
#include "lib/digits.h"
#include "server/lmtp/lmtp.h"

void
lmtp_id(const struct lmtp *l, char out[LMTP_ID_MAX])
{
	uint8_t text[DIGITS_HEX_MAX + 1 + DIGITS_MAX], *p = digits_put_hex(text, session_id(l->s));

	*p++ = '-';
	p = digits_put(p, l->number);
	(void)slice_to_cstr(slice_of(text, (size_t)(p - text)), out, LMTP_ID_MAX);
}

static void
append_address(struct buf *out, struct slice address)
{
	buf_printf(out, slice_find_byte(address, ':') < address.len ? "[IPv6:%.*s]" : "[%.*s]",
	           SLICE_ARG(address));
}

/* Extended-Domain = Domain [ "(" TCP-info ")" ]: of the client that XCLIENT names, or of the peer;
 * a unix socket has no address to tell. */
static void
append_peer(const struct lmtp *l, struct buf *out)
{
	struct slice name = l->client.value[FORWARD_NAME], address = l->client.value[FORWARD_ADDR];

	buf_append_str(out, l->helo);
	if (!lmtp_domain_valid(name))
		name = SLICE_NONE;
	if (address.len == 0 && name.len == 0 && session_ip(l->s) != NULL)
		address = slice_str(session_peer(l->s));
	if (address.len == 0)
		return;
	buf_append_str(out, " (");
	if (name.len > 0)
		buf_printf(out, "%.*s ", SLICE_ARG(name));
	append_address(out, address);
	buf_append_str(out, ")");
}

/* The "with" protocol types [RFC 3848; RFC 6531 s4.3]. */
static const char *
with_protocol(const struct lmtp *l)
{
	static const char *const types[2][2][2] = {
		{ { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } },
		{ { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } },
	};

	return types[l->smtputf8][session_has_tls(l->s)][l->authenticated];
}

void
lmtp_trace(const struct lmtp *l, uint64_t now_us, struct buf *out)
{
	char date[DATE_RFC5322_MAX + 1], id[LMTP_ID_MAX];

	lmtp_id(l, id);
	date_format_rfc5322((int64_t)(now_us / 1000000u), clock_zone_minutes(now_us), date);
	buf_printf(out, "Return-Path: <%.*s>\r\n", SLICE_ARG(l->sender));
	buf_append_str(out, "Received: from ");
	append_peer(l, out);
	buf_printf(out, "\r\n\tby %s with %s id %s", server_hostname(session_server(l->s)),
	           with_protocol(l), id);
	/* A name without a domain is no Path [RFC 5321 s4.4]. */
	if (l->rcpt_count == 1 && slice_find_byte(l->rcpts->text, '@') < l->rcpts->text.len)
		buf_printf(out, "\r\n\tfor <%.*s>", SLICE_ARG(l->rcpts->text));
	buf_printf(out, ";\r\n\t%s\r\n", date);
}
