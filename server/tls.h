/* tls - the certificate and rules that TLS connections are made with.
 *
 * A `struct tls` never changes; SIGHUP makes a new one, and connections keep the one they began with. Any thread.
 */
#ifndef RESTANTE_SERVER_TLS_H
#define RESTANTE_SERVER_TLS_H

#include <openssl/ssl.h>

#include "lib/conf.h"

struct tls;

/* Read certificate and key. RC_OK with *out NULL when none is configured. The error names the file. */
MUST_USE enum rc tls_new(const struct conf_tls *conf, struct tls **out, struct err *e);
void tls_free(struct tls **t);
/* A new server side connection over the socket `fd`, which stays the caller's. `alpn` is the one application protocol
 * spoken here: a client that offers others only is refused [RFC 7301 s3.2]; NULL: none is looked at. Must stay. NULL
 * without memory. */
SSL *tls_connection_new(struct tls *t, int fd, const char *alpn);

#endif
