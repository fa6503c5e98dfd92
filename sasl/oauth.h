/* oauth - the mechanisms OAUTHBEARER [RFC 7628] and XOAUTH2: a client shows an access token instead of a password.
 *
 * They are plugins of our own in libsasl2, which knows neither. The account is the one that the token names (jwt.h).
 * Who names another in the message (authzid, user=) must be allowed to act as that one, as with every mechanism.
 *
 * On failure the client is told, as a challenge, which tokens are wanted here, in JSON [RFC 7628 s3.2.2]; why this one
 * was refused is in sasl_exchange_error, for the log. Whatever it answers, the exchange has failed then.
 */
#ifndef RESTANTE_SASL_OAUTH_H
#define RESTANTE_SASL_OAUTH_H

#include "sasl/jwt.h"

/* How tokens are verified. All of it belongs to the caller, and outlives the exchanges. */
struct sasl_tokens {
	struct jwt_policy   policy;
	const char *const  *hosts;              /* what a client may call us; none: any name will do */
	size_t              host_count;
	const char         *discovery;          /* URL of the issuer's OpenID configuration; "": not told */
	/* The keys at this moment: a reference for the caller to give back. Any pool thread. */
	struct jwks      *(*keys)(void *arg);
	void               *keys_arg;
};

/* Make both known to libsasl2; after sasl_server_init. Their bits are added to *mechanisms: sasl_global_listmech does
 * not tell of what came after its start. A libsasl2 result. */
int sasl_oauth_register(uint32_t *mechanisms);

#endif
