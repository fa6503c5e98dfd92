/* scram - PBKDF2, HMAC and hash put together as SCRAM asks. See scram.h. */
#include "sasl/scram.h"

#include "lib/secret.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* HMAC(key, text) for one of the two fixed texts. */
static bool
keyed_hash(const uint8_t key[SCRAM_KEY_LEN], struct slice text, uint8_t out[SCRAM_KEY_LEN])
{
	unsigned len = 0;

	return HMAC(EVP_sha256(), key, SCRAM_KEY_LEN, text.ptr, text.len, out, &len) != NULL &&
	       len == SCRAM_KEY_LEN;
}

/* SaltedPassword := Hi(Normalize(password), salt, i)
 * ClientKey := HMAC(SaltedPassword, "Client Key"), StoredKey := H(ClientKey)
 * ServerKey := HMAC(SaltedPassword, "Server Key")                  [RFC 5802 s3] */
enum rc
scram_derive(struct slice prepared, struct slice salt, uint32_t iterations, struct scram_keys *out,
             struct err *e)
{
	uint8_t salted[SCRAM_KEY_LEN], client[SCRAM_KEY_LEN];
	bool done;

	assert(iterations > 0 && iterations <= INT_MAX);
	assert(prepared.len <= INT_MAX && salt.len <= INT_MAX);
	done = PKCS5_PBKDF2_HMAC((const char *)prepared.ptr, (int)prepared.len, salt.ptr,
	                         (int)salt.len, (int)iterations, EVP_sha256(), sizeof salted,
	                         salted) == 1 &&
	       keyed_hash(salted, SLICE("Client Key"), client) &&
	       EVP_Digest(client, sizeof client, out->stored, NULL, EVP_sha256(), NULL) == 1 &&
	       keyed_hash(salted, SLICE("Server Key"), out->server);
	secret_wipe(salted, sizeof salted);
	secret_wipe(client, sizeof client);
	return done ? RC_OK : err_set(e, RC_NOMEM, "OpenSSL could not derive SCRAM-SHA-256 keys");
}
