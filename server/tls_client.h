/* tls_client - certificates of clients: who may sign them, and whose they are. */
#ifndef RESTANTE_SERVER_TLS_CLIENT_H
#define RESTANTE_SERVER_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "lib/conf.h"

#define TLS_CLIENT_DIGEST 32

/* Never changes. Any thread. */
struct tls_client {
	X509_STORE          *store;             /* NULL: certificates are not asked for */
	STACK_OF(X509_NAME) *authorities;       /* told to clients, so that they can choose */
	uint8_t              digest[TLS_CLIENT_DIGEST]; /* of all that decides who is verified */
};

/* Read [tls] client_ca and client_crl. Does I/O. On failure *out is empty; the error names key and file. */
MUST_USE enum rc tls_client_init(const struct conf_tls *conf, struct tls_client *out,
                                 struct err *e);
void tls_client_fini(struct tls_client *c);
/* Make connections of `ctx` verify with it. Whether they ask at all is of the connection. False without memory. */
bool tls_client_apply(const struct tls_client *c, SSL_CTX *ctx);

/* The name in a certificate, or NULL: there is none of that kind, or it is nothing that an account can be called. The
 * caller frees it. */
char *tls_client_name(X509 *cert, enum conf_client_name kind);

#endif
