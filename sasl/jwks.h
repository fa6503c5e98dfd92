/* jwks - the public keys that tokens may be signed with, from a JWK Set [RFC 7517].
 *
 * Of a set only keys are kept that can verify signatures and are strong enough: RSA of 2048 to 8192 bits for RS256, EC
 * P-256 for ES256, OKP Ed25519 for EdDSA. So each key has exactly one algorithm, and nothing a token says can change
 * that [RFC 8725 s3.1]. Keys of other kinds, for encryption (use, key_ops) or for other algorithms (alg) are passed
 * over, as the sets of public providers hold such. A set is refused when one of the keys that would be used is
 * malformed or weak, when two of them have one kid, when a key in it is private or symmetric (whoever can read the file
 * could sign then), or when nothing is left.
 *
 * A set never changes. It is counted: any thread may hold a reference.
 */
#ifndef RESTANTE_SASL_JWKS_H
#define RESTANTE_SASL_JWKS_H

#include "lib/err.h"
#include "lib/slice.h"

#define JWKS_FILE_MAX (256u * 1024u)    /* bytes of a set */
#define JWKS_KEYS_MAX 100u

struct jwks;
struct jwk;

/* RC_OK: *out holds one reference, the caller's. RC_SYNTAX, and why; RC_NOMEM; RC_NOT_FOUND: built
 * without libjansson. */
MUST_USE enum rc jwks_parse(struct slice text, struct jwks **out, struct err *e);
struct jwks *jwks_ref(struct jwks *set);
void jwks_unref(struct jwks **set);             /* accepts a pointer to NULL, leaves NULL behind */
size_t jwks_count(const struct jwks *set);

/* The key with exactly this kid. With an empty one, of a token that names none: the only key of the set, if there is
 * but one. NULL: there is no such key. */
const struct jwk *jwks_find(const struct jwks *set, struct slice kid);
/* "RS256", "ES256" or "EdDSA" [RFC 7518 s3.1, RFC 8037 s3.1]. */
const char *jwk_algorithm(const struct jwk *k);
/* RC_OK: `signature`, as JOSE writes it, is the key's under `text`. RC_DENIED: it is not. Any thread. */
MUST_USE enum rc jwk_verify(const struct jwk *k, struct slice text, struct slice signature,
                            struct err *e);

#endif
