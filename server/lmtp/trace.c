/* trace - Return-Path and Received of a delivery [RFC 5321 s4.4].
 *
 * They are equal for all recipients of a transaction, so that all share one blob; "for" is given only when there is one
 * recipient (and so nobody learns of a Bcc).
 */
#include <inttypes.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/date.h"
#include "server/lmtp/lmtp.h"

void
lmtp_id(const struct lmtp *l, char out[LMTP_ID_MAX])
{
	snprintf(out, LMTP_ID_MAX, "%" PRIx64 "-%" PRIu32, session_id(l->s), l->number);
}

/* Extended-Domain = Domain [ "(" TCP-info ")" ]; a unix socket has no address to tell */
static void
append_peer(const struct lmtp *l, struct buf *out)
{
	const char *peer = session_peer(l->s);

	buf_append_str(out, l->helo);
	if (!session_is_unix(l->s))
		buf_printf(out, strchr(peer, ':') != NULL ? " ([IPv6:%s])" : " ([%s])", peer);
}

/* The "with" protocol types [RFC 3848; RFC 6531 s4.3]. */
static const char *
with_protocol(const struct lmtp *l)
{
	if (l->smtputf8)
		return session_has_tls(l->s) ? "UTF8LMTPS" : "UTF8LMTP";
	return session_has_tls(l->s) ? "LMTPS" : "LMTP";
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
	buf_printf(out, "\r\n\tby %s with %s id %s", server_hostname(session_server(l->s)), with_protocol(l), id);
	/* A name without a domain is no Path [RFC 5321 s4.4]. */
	if (l->rcpt_count == 1 && slice_find_byte(l->rcpts->text, '@') < l->rcpts->text.len)
		buf_printf(out, "\r\n\tfor <%.*s>", SLICE_ARG(l->rcpts->text));
	buf_printf(out, ";\r\n\t%s\r\n", date);
}
