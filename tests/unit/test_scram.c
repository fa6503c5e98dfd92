/* The SCRAM keys against the examples of RFC 5802 section 5 and RFC 7677 section 3, which show one
 * exchange each: what the client proves and what the server signs. Both follow from our StoredKey
 * and ServerKey alone. And PBKDF2 against OpenSSL's. */
#include "tests/unit/unit.h"

#include "sasl/pbkdf2.h"
#include "sasl/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define NONCE_256 "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE_1   "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"

static const struct example {
	const char     *name;
	enum scram_hash hash;
	const char     *salt, *auth_message, *client_proof, *server_signature;
} examples[] = {
	{ "SHA-256", SCRAM_SHA_256, "W22ZaJ0SNY7soEsUEjb6gQ==",
	  "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" NONCE_256 ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" NONCE_256,
	  "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
	{ "SHA-1", SCRAM_SHA_1, "QSXCR+Q6sek8bf92",
	  "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=" NONCE_1 ",s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=" NONCE_1,
	  "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
};

static size_t
decode(const char *text, uint8_t *out)
{
	size_t len = strlen(text);
	int n = EVP_DecodeBlock(out, (const uint8_t *)text, (int)len);

	assert_true(n > 0);
	return (size_t)n - (text[len - 1] == '=') - (text[len - 2] == '=');
}

static void
derive(const struct example *x, const char *password, uint32_t iterations, struct scram_keys *keys)
{
	uint8_t salt[32];
	struct err e = ERR_INIT;
	size_t len = decode(x->salt, salt);

	assert_int_equal(scram_derive(x->hash, slice_str(password), slice_of(salt, len), iterations,
	                              keys, &e),
	                 RC_OK);
}

static const EVP_MD *
digest_of(const struct example *x)
{
	return x->hash == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

static void
sign(const struct example *x, const uint8_t *key, uint8_t out[SCRAM_KEY_MAX])
{
	assert_non_null(HMAC(digest_of(x), key, (int)scram_key_len(x->hash),
	                     (const uint8_t *)x->auth_message, strlen(x->auth_message), out, NULL));
}

/* Passwords around a block of the hash, which HMAC shortens when they are longer. */
static void
test_pbkdf2_is_openssls(void **state)
{
	uint8_t password[200], salt[40], ours[PBKDF2_SHA256_LEN], theirs[PBKDF2_SHA256_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof password; i++)
		password[i] = (uint8_t)(i * 7 + 1);
	memset(salt, 'x', sizeof salt);
	for (size_t len = 0; len <= sizeof password; len++)
		for (uint32_t n = 1; n <= 3; n++) {
			size_t salted = len % (sizeof salt + 1);

			pbkdf2_sha256(slice_of(password, len), slice_of(salt, salted), n, ours);
			assert_int_equal(PKCS5_PBKDF2_HMAC((char *)password, (int)len, salt,
			                                   (int)salted, (int)n, EVP_sha256(),
			                                   sizeof theirs, theirs), 1);
			assert_memory_equal(ours, theirs, sizeof ours);
		}
}

/* ServerSignature := HMAC(ServerKey, AuthMessage) */
static void
test_server_signature(void **state)
{
	const struct example *x = *state;
	uint8_t signature[SCRAM_KEY_MAX], text[64];
	struct scram_keys keys;

	derive(x, "pencil", 4096, &keys);
	sign(x, keys.server, signature);
	EVP_EncodeBlock(text, signature, (int)scram_key_len(x->hash));
	assert_string_equal((char *)text, x->server_signature);
}

/* ClientKey is ClientProof XOR HMAC(StoredKey, AuthMessage), and StoredKey its hash. */
static bool
proof_matches(const struct example *x, const struct scram_keys *keys)
{
	uint8_t client_key[SCRAM_KEY_MAX + 1], signature[SCRAM_KEY_MAX], hash[SCRAM_KEY_MAX];
	size_t len = scram_key_len(x->hash);

	assert_int_equal(decode(x->client_proof, client_key), len);
	sign(x, keys->stored, signature);
	for (size_t i = 0; i < len; i++)
		client_key[i] ^= signature[i];
	assert_int_equal(EVP_Digest(client_key, len, hash, NULL, digest_of(x), NULL), 1);
	return memcmp(hash, keys->stored, len) == 0;
}

static void
test_client_proof(void **state)
{
	const struct example *x = *state;
	struct scram_keys keys;

	derive(x, "pencil", 4096, &keys);
	assert_true(proof_matches(x, &keys));
	derive(x, "pencil", 4097, &keys);
	assert_false(proof_matches(x, &keys));
	derive(x, "Pencil", 4096, &keys);
	assert_false(proof_matches(x, &keys));
	derive(x, "pencil ", 4096, &keys);
	assert_false(proof_matches(x, &keys));
}

int
main(void)
{
	struct CMUnitTest tests[2 * UNIT_COUNT(examples) + 1] = {
		cmocka_unit_test(test_pbkdf2_is_openssls),
	};
	size_t n = 1;

	for (size_t i = 0; i < UNIT_COUNT(examples); i++) {
		tests[n++] = (struct CMUnitTest){ "server's signature", test_server_signature, NULL,
		                                  NULL,
			                          (void *)(uintptr_t)&examples[i] };
		tests[n++] = (struct CMUnitTest){ "client's proof", test_client_proof, NULL, NULL,
			                          (void *)(uintptr_t)&examples[i] };
	}
	return cmocka_run_group_tests_name("scram", tests, NULL, NULL);
}
