/* tls_pem - what PEM files hold, and what OpenSSL says when they do not hold it. Does I/O: never on a
 * reactor. Any thread. */
#ifndef RESTANTE_SERVER_TLS_PEM_H
#define RESTANTE_SERVER_TLS_PEM_H

#include <openssl/ssl.h>

#include "lib/err.h"

#define TLS_PEM_MAX (1024u * 1024u)     /* bytes of a file */

/* The bytes of a file. They may be a private key: nothing of them stays in memory behind tls_pem_wipe. */
struct tls_pem {
	uint8_t *ptr;
	size_t   len;
};

/* RC_OK: *out is the caller's, ended by tls_pem_wipe, which also accepts { NULL }. The error names the file. */
MUST_USE enum rc tls_pem_read(const char *path, struct tls_pem *out, struct err *e);
void tls_pem_wipe(struct tls_pem *pem);

/* All certificates in the file, at least one, in its order. RC_OK: *out is the caller's. */
MUST_USE enum rc tls_pem_certificates(const char *path, STACK_OF(X509) **out, struct err *e);
/* All revocation lists, at least one. */
MUST_USE enum rc tls_pem_crls(const char *path, STACK_OF(X509_CRL) **out, struct err *e);
/* The private key; never asks anybody for its password. */
MUST_USE enum rc tls_pem_key(const char *path, EVP_PKEY **out, struct err *e);

/* e gets "what: OpenSSL's reason"; RC_SYNTAX. OpenSSL's queue of errors is empty behind it. */
enum rc tls_fail(struct err *e, const char *what);

#endif
