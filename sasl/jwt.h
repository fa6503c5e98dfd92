/* jwt - access tokens that are signed JWTs [RFC 7519 in the compact form of RFC 7515], verified without asking anybody.
 *
 * The key decides which algorithm a signature is checked with; the token only has to name the same [RFC 8725 s3.1]. So
 * "none", and HMAC under a public key, are nothing that could be chosen. Of the header, `kid` is compared with the
 * keys' and used for nothing else; keys and addresses in it (jwk, jku, x5c, x5u) are not looked at; `crit` is refused
 * [RFC 7515 s4.1.11: nothing critical is understood here]. Claims are read after the signature has proved right.
 *
 * What a token must say: iss is the issuer, aud names us, exp has not passed, nbf and iat have come, and an account's
 * name in the configured claim; where a scope is configured, it is among the token's. What is refused besides: tokens
 * that are for something else by their `typ` (RFC 8725 s3.11), encrypted or nested ones, those bound to a key that the
 * client would have to prove (`cnf`, RFC 7800), and an e-mail address that the issuer calls unverified.
 */
#ifndef RESTANTE_SASL_JWT_H
#define RESTANTE_SASL_JWT_H

#include "sasl/account.h"
#include "sasl/jwks.h"

#define JWT_MAX 8192u           /* octets of a token */

/* What tokens must say. Strings belong to whoever made it. */
struct jwt_policy {
	struct slice        issuer;
	const char *const  *audiences;          /* one of them must be in aud */
	size_t              audience_count;
	struct slice        claim;              /* that holds the account's name: "sub", "email", ... */
	struct slice        scope;              /* empty: none is asked for */
	uint64_t            skew_s;             /* the clocks may differ by so much */
};

enum jwt_verdict {
	JWT_OK,
	JWT_INVALID,            /* no token of ours, or not now */
	JWT_NO_SCOPE,           /* a good one, but for other services */
};

/* Is it a token that opens an account? JWT_OK: `account` holds the claim's value, well-formed UTF-8 without NUL, not
 * empty. Otherwise `account` is "" and e says why; it holds nothing of the token. `now_s`: seconds since 1970. Some 0.1
 * ms: pool threads. */
MUST_USE enum jwt_verdict jwt_verify(struct slice token, const struct jwks *keys,
                                     const struct jwt_policy *policy, uint64_t now_s,
                                     char account[SASL_NAME_MAX + 1], struct err *e);

/* The part after the signature: do these claims, JSON, satisfy the policy? Results as jwt_verify. */
MUST_USE enum jwt_verdict jwt_check_claims(struct slice json, const struct jwt_policy *policy,
                                           uint64_t now_s, char account[SASL_NAME_MAX + 1],
                                           struct err *e);

#endif
