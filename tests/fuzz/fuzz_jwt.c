/* fuzz_jwt - any bytes as a JWK Set, as claims, and as a token under a set of one key.
 *
 * Held against: what is taken as a set has keys with the algorithms of theirs, and no others; an
 * account's name comes with JWT_OK and only then, and is UTF-8; no token made without the
 * private key is taken.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/text.h"
#include "sasl/jwt.h"

#define NOW UINT64_C(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 8037 A.2. */
static const char one_key[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
                              "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static const char *const audiences[] = { "mail" };
static const struct jwt_policy policy = {
	.issuer = SLICE_INIT("https://id.example"),
	.audiences = audiences,
	.audience_count = 1,
	.claim = SLICE_INIT("email"),
	.scope = SLICE_INIT("mail.read"),
	.skew_s = 60,
};

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_jwt: broken: %s\n", what);
		abort();
	}
}

static void
try_set(struct slice in)
{
	struct jwks *set;
	struct err e = ERR_INIT;
	const struct jwk *k;

	if (jwks_parse(in, &set, &e) != RC_OK) {
		require(set == NULL && e.text[0] != '\0', "a reason, and no set");
		return;
	}
	require(jwks_count(set) > 0 && jwks_count(set) <= JWKS_KEYS_MAX, "keys");
	k = jwks_find(set, SLICE(""));
	require((k != NULL) == (jwks_count(set) == 1), "the only key");
	if (k != NULL)
		require(jwk_verify(k, SLICE("text"), slice_sub(in, 0, 64), &e) == RC_DENIED,
		        "no signature");
	jwks_unref(&set);
}

static void
require_name(enum jwt_verdict v, const char *account)
{
	require((v == JWT_OK) == (account[0] != '\0'), "a name with JWT_OK only");
	require(strlen(account) <= SASL_NAME_MAX && text_utf8_valid(slice_str(account)),
	        "a well-formed name");
}

static void
try_claims(struct slice in)
{
	char account[SASL_NAME_MAX + 1];
	struct err e = ERR_INIT;

	require_name(jwt_check_claims(in, &policy, NOW, account, &e), account);
}

static void
try_token(struct slice in)
{
	static struct jwks *set;
	char account[SASL_NAME_MAX + 1];
	struct err e = ERR_INIT;

	if (set == NULL)
		require(jwks_parse(slice_str(one_key), &set, &e) == RC_OK, "the key");
	require(jwt_verify(in, set, &policy, NOW, account, &e) != JWT_OK, "a signature is needed");
	require(account[0] == '\0' && e.text[0] != '\0', "a reason");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);

	try_set(in);
	try_claims(in);
	try_token(in);
	return 0;
}
