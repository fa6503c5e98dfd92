/* tokens - what the configuration says of access tokens, and the keys they are verified with.
 *
 * The file of keys (a JWK Set) is read at the start, at SIGHUP, and when it has changed: whoever verifies a token looks
 * at the file first, at most once a second. A changed file that is no good, or is gone, is logged once, and the keys in
 * use stay in use.
 */
#ifndef RESTANTE_SERVER_TOKENS_H
#define RESTANTE_SERVER_TOKENS_H

#include "lib/conf.h"
#include "sasl/oauth.h"

struct tokens;

/* What `conf`, which must outlive it, says; *out is NULL when no keys are configured. RC_SYNTAX and others: the keys
 * cannot be read; the text names the file. */
MUST_USE enum rc tokens_new(const struct conf_auth *conf, struct tokens **out, struct err *e);
void tokens_free(struct tokens **t);            /* accepts a pointer to NULL, leaves NULL behind */
/* For the policy of exchanges; NULL for NULL. Valid as long as t; any thread. Its `keys` reads a file: pool threads. */
const struct sasl_tokens *tokens_for_sasl(const struct tokens *t);

#endif
