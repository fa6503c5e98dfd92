/* keyed_sum - HMAC-SHA-256 with a key of this process. See keyed_sum.h. */
#include "server/keyed_sum.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "lib/bytes.h"
#include "lib/secret.h"

enum rc
keyed_sum_key(EVP_MAC_CTX **out, struct err *e)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	                        OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	uint8_t key[KEYED_SUM_LEN];
	enum rc rc;

	*out = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	if (*out == NULL)
		return err_set(e, RC_IO, "OpenSSL has no HMAC");
	rc = secret_random(key, sizeof key, e);
	if (rc == RC_OK && EVP_MAC_init(*out, key, sizeof key, params) != 1)
		rc = err_set(e, RC_IO, "OpenSSL has no HMAC-SHA-256");
	secret_wipe(key, sizeof key);
	return rc;
}

EVP_MAC_CTX *
keyed_sum_begin(const EVP_MAC_CTX *key)
{
	return EVP_MAC_CTX_dup(key);
}

bool
keyed_sum_add(EVP_MAC_CTX *mac, struct slice part)
{
	uint8_t len[8];

	put_le64(len, part.len);
	return mac != NULL && EVP_MAC_update(mac, len, sizeof len) == 1 &&
	       (part.len == 0 || EVP_MAC_update(mac, part.ptr, part.len) == 1);
}

bool
keyed_sum_add_number(EVP_MAC_CTX *mac, uint64_t n)
{
	uint8_t bytes[8];

	put_le64(bytes, n);
	return mac != NULL && EVP_MAC_update(mac, bytes, sizeof bytes) == 1;
}

bool
keyed_sum_end(EVP_MAC_CTX *mac, bool ok, uint8_t sum[KEYED_SUM_LEN])
{
	size_t len = 0;

	ok = ok && EVP_MAC_final(mac, sum, &len, KEYED_SUM_LEN) == 1 && len == KEYED_SUM_LEN;
	EVP_MAC_CTX_free(mac);
	return ok;
}
