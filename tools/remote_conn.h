/* remote_conn - a connection to somebody else's server, for a tool that may wait: TCP or a unix socket,
 * and TLS over it.
 *
 * Every wait has an end. What was read lies in a buffer of fixed size, so that a peer cannot make us grow. Used by one
 * thread. SIGPIPE must be ignored.
 */
#ifndef RESTANTE_TOOLS_REMOTE_CONN_H
#define RESTANTE_TOOLS_REMOTE_CONN_H

#include "lib/err.h"

#define REMOTE_CONN_BUFFER 65536u       /* no line that is asked for may be longer */

struct remote_conn;

struct remote_tls {
	const char *host;               /* what the certificate must name: a DNS name or an IP address */
	const char *ca_file;            /* certificates to trust, NULL: the system's */
	bool        insecure;           /* go on whatever the certificate is */
};

/* The host is looked up and its addresses are tried in turn; `socket_path` not NULL: this unix socket instead.
 * `timeout_ms` is for each wait that follows, too. */
MUST_USE enum rc remote_conn_open(const char *host, uint16_t port, const char *socket_path,
                                  unsigned timeout_ms, struct remote_conn **out, struct err *e);
/* Ends TLS if there is any; harmless on NULL. */
void remote_conn_close(struct remote_conn **conn);

/* The handshake, and the check of the certificate [RFC 7817]. RC_DENIED: it is not to be trusted; nothing was sent
 * then. Of an insecure one, `flaw` says what would have been wrong with it; "" if nothing. */
MUST_USE enum rc remote_conn_start_tls(struct remote_conn *conn, const struct remote_tls *tls,
                                       char *flaw, size_t size, struct err *e);
/* Send all of it. */
MUST_USE enum rc remote_conn_send(struct remote_conn *conn, struct slice bytes, struct err *e);
/* What was read and not taken yet; waits for some if there is none. Valid until the next call. RC_IO: the connection
 * ended, failed or timed out. */
MUST_USE enum rc remote_conn_fill(struct remote_conn *conn, struct slice *have, struct err *e);
void remote_conn_take(struct remote_conn *conn, size_t n);
/* Has anything been read that was not taken? */
bool remote_conn_pending(const struct remote_conn *conn);
/* A whole line, taken, without its CRLF or LF. RC_LIMIT: too long. */
MUST_USE enum rc remote_conn_line(struct remote_conn *conn, struct slice *line, struct err *e);

#endif
