/* tls_tickets - the keys of session tickets, and what tickets carry beside the session.
 *
 * One object serves all reactors and all settings that follow one another, so tickets outlive a reload; it is never
 * written anywhere and ends with the process. Any thread.
 */
#ifndef RESTANTE_SERVER_TLS_TICKETS_H
#define RESTANTE_SERVER_TLS_TICKETS_H

#include <openssl/ssl.h>

#include "lib/err.h"

#define TLS_TICKETS_ROTATE_S   (6u * 3600u)     /* a key makes tickets for so long, and reads them once as long again */
#define TLS_TICKETS_SESSION_S  (6u * 3600u)     /* a session can be resumed for so long */
#define TLS_TICKETS_VERIFIED_S (24u * 3600u)    /* ... and resumed again, but then a full handshake is due */

struct tls_tickets;

MUST_USE enum rc tls_tickets_new(struct tls_tickets **out, struct err *e);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets **t);

/* Destroy keys that no ticket is read by any more. Called every now and then. */
void tls_tickets_tidy(struct tls_tickets *t);

/* Connections of `ctx` make and take tickets with the keys of the object that tls_tickets_of finds for them. */
void tls_tickets_apply(SSL_CTX *ctx);
/* Given by whoever makes connections. */
struct tls_tickets *tls_tickets_of(SSL *ssl);

/* tls-server-end-point of the certificate that the session of a resumed connection began with, which may not be the
 * present one, and of which a ticket says nothing by itself. False: this connection was not resumed. */
bool tls_tickets_end_point(SSL *ssl, uint8_t *out, size_t cap, size_t *len);

/* For tests: the hours that have passed. */
void tls_tickets_age(struct tls_tickets *t, uint64_t seconds);

#endif
