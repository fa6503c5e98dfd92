/* remote_login - see remote_login.h.
 *
 * When there is no TLS: towards this machine itself (a loopback address, "localhost", a socket) the
 * scheme imap or pop goes without, unless --starttls or the server asks for it, since nobody
 * listens there and a certificate seldom names localhost. Towards all others TLS is a must
 * [RFC 8314 s3, s4]; --no-tls lets a server without it pass, and an attacker who hides it.
 */
#include "tools/remote_login.h"

#include <stdio.h>

#include "lib/text.h"

/* The handshake, and the warning if the certificate was to be trusted blindly. */
static enum rc
handshake(const struct remote_options *o, struct remote_conn *conn, bool *safe, struct err *e)
{
	struct remote_tls tls = { o->url.host, o->ca_file, o->insecure };
	char flaw[200], text[320];
	enum rc rc = remote_conn_start_tls(conn, &tls, flaw, sizeof flaw, e);

	if (rc != RC_OK)
		return rc;
	*safe = flaw[0] == '\0';
	if (!*safe) {
		snprintf(text, sizeof text,
		    "the server's certificate is taken although it is not to be trusted: %s", flaw);
		o->warn(o->warn_arg, text);
	}
	return RC_OK;
}

enum rc
remote_connect(const struct remote_options *o, struct remote_conn **out, bool *safe, struct err *e)
{
	const struct remote_url *url = &o->url;
	enum rc rc = remote_conn_open(
	    url->host, url->port, url->is_unix ? url->host : NULL, o->timeout_ms, out, e);

	*safe = remote_url_is_local(url);
	if (rc != RC_OK || !url->tls)
		return rc;
	rc = handshake(o, *out, safe, e);
	if (rc != RC_OK)
		remote_conn_close(out);
	return rc;
}

enum remote_upgrade
remote_upgrade_now(const struct remote_options *o, bool offered, bool needed)
{
	bool local = remote_url_is_local(&o->url);

	if (o->url.tls || (local && !o->starttls && !needed))
		return REMOTE_UPGRADE_NONE;
	if (offered)
		return o->url.is_unix ? REMOTE_UPGRADE_NONE : REMOTE_UPGRADE_NOW;
	return o->starttls || (!local && !o->cleartext) ? REMOTE_UPGRADE_IMPOSSIBLE
	                                                : REMOTE_UPGRADE_NONE;
}

enum rc
remote_upgrade(const struct remote_options *o, struct remote_conn *conn, bool *safe, struct err *e)
{
	if (remote_conn_pending(conn))
		return err_set(e, RC_DENIED,
		    "there is text between the server's yes to TLS and the handshake: somebody "
		    "has put it there");
	return handshake(o, conn, safe, e);
}

void
remote_warn_cleartext(const struct remote_options *o)
{
	o->warn(o->warn_arg, "there is no TLS: password and mail can be read on the way");
}

const char *
remote_text(char dst[REMOTE_TEXT_MAX], struct slice text)
{
	struct buf b;
	size_t n = 0;

	buf_init(&b, 4 * REMOTE_TEXT_MAX);
	(void)text_utf8_repair(slice_sub(text, 0, REMOTE_TEXT_MAX), &b);
	text = text_cut(buf_slice(&b), REMOTE_TEXT_MAX - 1);
	for (; n < text.len; n++)
		dst[n] = text.ptr[n] < 0x20 || text.ptr[n] == 0x7f ? '?' : (char)text.ptr[n];
	dst[n] = '\0';
	buf_fini(&b);
	return dst;
}

void
remote_server_name(const struct remote_url *url, char *dst, size_t size)
{
	const char *scheme = url->protocol == REMOTE_IMAP ? "imap" : "pop";
	bool usual = url->is_unix ||
	             url->port == (url->protocol == REMOTE_IMAP ? (url->tls ? 993 : 143)
	                                                        : (url->tls ? 995 : 110));
	bool v6 = strchr(url->host, ':') != NULL && !url->is_unix;
	int n = snprintf(dst, size, "%s%s://%s%s%s", scheme, url->tls ? "s" : "", v6 ? "[" : "",
	    url->host, v6 ? "]" : "");

	if (!usual && n > 0 && (size_t)n < size)
		snprintf(dst + n, size - (size_t)n, ":%u", url->port);
}
