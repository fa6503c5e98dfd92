/* remote_url - where mail is fetched from: imap://user@host:port/mailbox [RFC 5092] and pop://user@host:port
 * [RFC 2384]. Pure functions, any thread.
 */
#ifndef RESTANTE_TOOLS_REMOTE_URL_H
#define RESTANTE_TOOLS_REMOTE_URL_H

#include "lib/err.h"
#include "store/record.h"

#define REMOTE_USER_MAX 255
#define REMOTE_HOST_MAX 255
#define REMOTE_AUTH_MAX 20

enum remote_protocol {
	REMOTE_IMAP,
	REMOTE_POP3,
};

struct remote_url {
	enum remote_protocol protocol;
	bool     tls;                           /* from the first byte */
	bool     is_unix;                       /* host is the path of a socket */
	uint16_t port;                          /* 0 of a socket */
	uint32_t uidvalidity;                   /* that the mailbox must have, 0: none told */
	char     user[REMOTE_USER_MAX + 1];     /* UTF-8, "": none told */
	char     auth[REMOTE_AUTH_MAX + 1];     /* SASL mechanism in capitals, "": any */
	char     host[REMOTE_HOST_MAX + 1];     /* an IPv6 address without its brackets */
	char     mailbox[MAILBOX_NAME_MAX + 1]; /* UTF-8, "": all */
};

/* Does it begin like a URL of ours? Tells a URL from a path. */
bool remote_url_is(struct slice text);
/* RC_OK, or RC_SYNTAX with what is wrong. The text of a password never gets into the error. */
MUST_USE enum rc remote_url_parse(struct slice text, struct remote_url *out, struct err *e);
/* Is the host this machine by its name or address, or a socket? Nothing is looked up. */
bool remote_url_is_local(const struct remote_url *url);
/* An address, so neither looked up nor sent as a name in the TLS handshake. */
bool remote_url_is_address(const struct remote_url *url);

#endif
