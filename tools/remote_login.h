/* remote_login - what IMAP and POP3 have in common before mail is read: connecting, TLS, what a server's text may do in
 * our messages. One thread.
 */
#ifndef RESTANTE_TOOLS_REMOTE_LOGIN_H
#define RESTANTE_TOOLS_REMOTE_LOGIN_H

#include "tools/remote.h"
#include "tools/remote_conn.h"

enum remote_upgrade {
	REMOTE_UPGRADE_NONE,            /* as it is: TLS already, or nobody can listen */
	REMOTE_UPGRADE_NOW,
	REMOTE_UPGRADE_IMPOSSIBLE,      /* it must be done, and the server cannot */
};

/* Connect, with TLS from the first byte if the URL says so. *safe: nobody listens, and it is the server we mean. */
MUST_USE enum rc remote_connect(const struct remote_options *options, struct remote_conn **out,
                                bool *safe, struct err *e);
/* Is STARTTLS or STLS to be said? `offered` by the server; `needed`: without, it does not let us log in. */
enum remote_upgrade remote_upgrade_now(const struct remote_options *options, bool offered,
                                       bool needed);
/* Behind the server's yes: the handshake. What came in the clear behind that yes was put there by somebody else, so it
 * is RC_DENIED [RFC 9051 s6.2.1; RFC 2595 s3.1]. */
MUST_USE enum rc remote_upgrade(const struct remote_options *options, struct remote_conn *conn,
                                bool *safe, struct err *e);
/* "No TLS": said once before a password goes out in the clear. */
void remote_warn_cleartext(const struct remote_options *options);

#define REMOTE_TEXT_MAX 200
/* A server's text, fit for a terminal: one line, no control characters, not long. Returns dst. */
const char *remote_text(char dst[REMOTE_TEXT_MAX], struct slice text);
/* "imap://host": what errors call the server. */
void remote_server_name(const struct remote_url *url, char *dst, size_t size);

#endif
