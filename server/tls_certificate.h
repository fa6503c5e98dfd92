/* tls_certificate - one certificate of ours: its chain, its key, the host names that it is for. */
#ifndef RESTANTE_SERVER_TLS_CERTIFICATE_H
#define RESTANTE_SERVER_TLS_CERTIFICATE_H

#include <openssl/ssl.h>

#include "lib/err.h"

#define TLS_END_POINT_MAX EVP_MAX_MD_SIZE
#define TLS_LABEL_MAX 64        /* "[certificate NAME]" */

/* Never changes. Any thread. */
struct tls_certificate {
	char            label[TLS_LABEL_MAX];   /* the section, for messages */
	X509           *leaf;
	EVP_PKEY       *key;
	STACK_OF(X509) *chain;                  /* behind the leaf, each the issuer of the one before; may be empty */
	int             kind;                   /* of the key: EVP_PKEY_RSA, EVP_PKEY_EC, ... */
	char          **names;                  /* in lower case, sorted, none twice: "mail.example", "*.example" */
	size_t          n_names;
};

/* Read both files. RC_OK: *out is the caller's, ended by tls_certificate_fini. Otherwise it is empty and the error says
 * what is wrong with which file: unreadable, a key that is encrypted, too short or another's, a chain out of order.
 * That the certificate has run out is no error. Does I/O. */
MUST_USE enum rc tls_certificate_load(const char *label, const char *cert_path,
                                      const char *key_path, struct tls_certificate *out,
                                      struct err *e);
void tls_certificate_fini(struct tls_certificate *c);

bool tls_certificate_has_name(const struct tls_certificate *c, const char *name);
/* Whoever connects by a name of `other` may be shown `c` instead. False if `other` has no names. */
bool tls_certificate_covers(const struct tls_certificate *c, const struct tls_certificate *other);

/* tls-server-end-point [RFC 5929 s4] of any certificate. False: not defined for its signature, or
 * `cap` is too small. */
bool tls_certificate_end_point(X509 *cert, uint8_t *out, size_t cap, size_t *len);

/* Tell the log what is served; also warns as below. */
void tls_certificate_log(const struct tls_certificate *c);
/* Warn the operator when it has run out, will soon, or is not valid yet. */
void tls_certificate_warn(const struct tls_certificate *c);

#endif
