/* tls_sites - which certificates answer to which host name.
 *
 * A site is what a client gets that asks for a name: one certificate for each kind of key, of which its
 * abilities choose.
 */
#ifndef RESTANTE_SERVER_TLS_SITES_H
#define RESTANTE_SERVER_TLS_SITES_H

#include "lib/conf.h"
#include "server/tls_certificate.h"

#define TLS_KINDS      6u       /* of keys, at most, in one site */
#define TLS_DIGEST_LEN 32

struct tls_site {
	SSL_CTX                      *ctx;
	const struct tls_certificate *certs[TLS_KINDS];
	size_t                        n_certs;
	uint8_t                       digest[TLS_DIGEST_LEN];   /* of all names of its certificates: of what
	                                                         * renewal leaves alone */
};

struct tls_site_name {
	const char *name;
	size_t      site;
};

/* Never changes once it is made. Any thread. */
struct tls_sites {
	struct tls_certificate *certs;          /* that of [tls] first, then in the order of the configuration */
	size_t                  n_certs;
	struct tls_site        *sites;  /* the first is for clients that give no name, or one that we do not have */
	size_t                  n_sites;
	struct tls_site_name   *names;          /* sorted */
	size_t                  n_names;
};

/* Makes the SSL_CTX of a site, without certificates; NULL without memory. */
typedef SSL_CTX *tls_make_ctx(void *arg);

/* Load all certificates of the configuration. RC_OK: ended by tls_sites_fini. Otherwise *out is empty. Does I/O. */
MUST_USE enum rc tls_sites_init(const struct conf *conf, tls_make_ctx *make, void *arg,
                                struct tls_sites *out, struct err *e);
void tls_sites_fini(struct tls_sites *s);

/* The site of a host name (in any case, perhaps with a dot at its end): that of the name itself, else of the wildcard
 * one label up [RFC 6125 s6.4.3], else NULL. */
const struct tls_site *tls_sites_find(const struct tls_sites *s, struct slice name);

#endif
