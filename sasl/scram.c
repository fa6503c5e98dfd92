/* scram - PBKDF2, HMAC and hash put together as SCRAM asks. See scram.h. */
#include "sasl/scram.h"

#include "lib/secret.h"
#include "sasl/pbkdf2.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *
digest_of(enum scram_hash hash)
{
	return hash == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
}

size_t
scram_key_len(enum scram_hash hash)
{
	return hash == SCRAM_SHA_256 ? 32 : 20;
}

/* HMAC(key, text) for one of the two fixed texts. */
static bool
keyed_hash(enum scram_hash hash, const uint8_t *key, struct slice text, uint8_t out[SCRAM_KEY_MAX])
{
	unsigned len = 0;

	return HMAC(digest_of(hash), key, (int)scram_key_len(hash), text.ptr, text.len, out,
	            &len) != NULL &&
	       len == scram_key_len(hash);
}

static bool
salted_password(enum scram_hash hash, struct slice prepared, struct slice salt,
                uint32_t iterations, uint8_t out[SCRAM_KEY_MAX])
{
	if (hash == SCRAM_SHA_256) {
		pbkdf2_sha256(prepared, salt, iterations, out);
		return true;
	}
	return PKCS5_PBKDF2_HMAC((const char *)prepared.ptr, (int)prepared.len, salt.ptr,
	                         (int)salt.len, (int)iterations, digest_of(hash),
	                         (int)scram_key_len(hash), out) == 1;
}

/* SaltedPassword := Hi(Normalize(password), salt, i)
 * ClientKey := HMAC(SaltedPassword, "Client Key"), StoredKey := H(ClientKey)
 * ServerKey := HMAC(SaltedPassword, "Server Key")                  [RFC 5802 s3] */
enum rc
scram_derive(enum scram_hash hash, struct slice prepared, struct slice salt, uint32_t iterations,
             struct scram_keys *out, struct err *e)
{
	uint8_t salted[SCRAM_KEY_MAX], client[SCRAM_KEY_MAX];
	size_t len = scram_key_len(hash);
	bool done;

	assert(iterations > 0 && iterations <= INT_MAX);
	assert(prepared.len <= INT_MAX && salt.len <= INT_MAX);
	*out = (struct scram_keys){ .stored = { 0 } };
	done = salted_password(hash, prepared, salt, iterations, salted) &&
	       keyed_hash(hash, salted, SLICE("Client Key"), client) &&
	       EVP_Digest(client, len, out->stored, NULL, digest_of(hash), NULL) == 1 &&
	       keyed_hash(hash, salted, SLICE("Server Key"), out->server);
	secret_wipe(salted, sizeof salted);
	secret_wipe(client, sizeof client);
	return done ? RC_OK : err_set(e, RC_NOMEM, "OpenSSL could not derive SCRAM keys");
}
