/* The SCRAM-SHA-256 keys against the example of RFC 7677 section 3, which shows one exchange: what the client proves
 * and what the server signs. Both follow from our StoredKey and ServerKey alone. */
#include "tests/unit/unit.h"

#include "sasl/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

static const char auth_message[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,"
                                   "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
                                   "c=biws,r=" NONCE;
static const char client_proof[] = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char server_signature[] = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

static void
derive(const char *password, uint32_t iterations, struct scram_keys *keys)
{
	uint8_t salt[32];
	struct err e = ERR_INIT;

	assert_int_equal(EVP_DecodeBlock(salt, (const uint8_t *)"W22ZaJ0SNY7soEsUEjb6gQ==", 24), 18);
	assert_int_equal(scram_derive(slice_str(password), slice_of(salt, 16), iterations, keys, &e),
	                 RC_OK);
}

static void
sign(const uint8_t key[SCRAM_KEY_LEN], uint8_t out[SCRAM_KEY_LEN])
{
	assert_non_null(HMAC(EVP_sha256(), key, SCRAM_KEY_LEN, (const uint8_t *)auth_message,
	                     strlen(auth_message), out, NULL));
}

/* ServerSignature := HMAC(ServerKey, AuthMessage) */
static void
test_server_signature(void **state)
{
	uint8_t signature[SCRAM_KEY_LEN], text[64];
	struct scram_keys keys;

	(void)state;
	derive("pencil", 4096, &keys);
	sign(keys.server, signature);
	EVP_EncodeBlock(text, signature, sizeof signature);
	assert_string_equal((char *)text, server_signature);
}

/* ClientKey is ClientProof XOR HMAC(StoredKey, AuthMessage), and StoredKey its hash. */
static bool
proof_matches(const struct scram_keys *keys)
{
	uint8_t client_key[SCRAM_KEY_LEN + 1], signature[SCRAM_KEY_LEN], hash[SCRAM_KEY_LEN];

	assert_int_equal(EVP_DecodeBlock(client_key, (const uint8_t *)client_proof, 44), 33);
	sign(keys->stored, signature);
	for (size_t i = 0; i < SCRAM_KEY_LEN; i++)
		client_key[i] ^= signature[i];
	assert_int_equal(EVP_Digest(client_key, SCRAM_KEY_LEN, hash, NULL, EVP_sha256(), NULL), 1);
	return memcmp(hash, keys->stored, sizeof hash) == 0;
}

static void
test_client_proof(void **state)
{
	struct scram_keys keys;

	(void)state;
	derive("pencil", 4096, &keys);
	assert_true(proof_matches(&keys));
	derive("pencil", 4097, &keys);
	assert_false(proof_matches(&keys));
	derive("Pencil", 4096, &keys);
	assert_false(proof_matches(&keys));
	derive("pencil ", 4096, &keys);
	assert_false(proof_matches(&keys));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_signature),
		cmocka_unit_test(test_client_proof),
	};

	return cmocka_run_group_tests_name("scram", tests, NULL, NULL);
}
