/* tls_binding - what ties an authentication to the TLS connection that it is made on [RFC 5056, 5929, 9266]. The thread
 * that the connection is of. */
#ifndef RESTANTE_SERVER_TLS_BINDING_H
#define RESTANTE_SERVER_TLS_BINDING_H

#include <openssl/ssl.h>

#include "lib/slice.h"

#define TLS_BINDING_MAX EVP_MAX_MD_SIZE

/* The channel binding of the type with this IANA name, of a connection whose handshake is done: "tls-exporter",
 * "tls-server-end-point". False: the type is unknown or not defined for this connection, or `cap` is too small
 * (TLS_BINDING_MAX suffices always). */
bool tls_binding(SSL *ssl, struct slice type, uint8_t *out, size_t cap, size_t *len);

#endif
