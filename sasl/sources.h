/* sources - where passwords are checked besides the account's own credentials: saslauthd(8), and auxprop plugins of
 * libsasl2 that know passwords in clear (sasldb, sql, ldapdb).
 *
 * They answer for accounts that exist here; they make none. A name without an account is asked for as well and the
 * answer thrown away, so that the time taken does not tell which accounts there are.
 */
#ifndef RESTANTE_SASL_SOURCES_H
#define RESTANTE_SASL_SOURCES_H

#include "lib/err.h"
#include "lib/slice.h"

#define SASL_SOURCES_MAX        8
#define SASL_SOURCE_TIMEOUT_MS  10000   /* for saslauthd */
#define SASL_SOURCE_CHECKS_MAX  8       /* under way in the process: each may hold a pool thread for as long as its
                                         * source takes, and reading mail needs them too */

/* Strings belong to the configuration. */
struct sasl_sources {
	bool               own;                         /* the account's credentials, first */
	const char        *others[SASL_SOURCES_MAX];    /* "saslauthd", or a plugin's name */
	size_t             count;
	const char        *saslauthd;                   /* path of its socket */
};

/* A configured list. RC_SYNTAX: e names the word that cannot be a source, or comes twice. */
MUST_USE enum rc sasl_sources_read(const char *const *words, size_t count, const char *saslauthd,
                                   struct sasl_sources *out, struct err *e);

/* Is it the password of `name`, says one of the others? RC_OK: *source is the one that said yes (it belongs to s), NULL
 * if none did. Anything else: none did, and one or more could not be asked; e says which. Blocks for as long as they
 * take: pool thread only. */
MUST_USE enum rc sasl_sources_check(const struct sasl_sources *s, const char *service,
                                    const char *host, struct slice name, struct slice password,
                                    const char **source, struct err *e);

#endif
