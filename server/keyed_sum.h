/* keyed_sum - sums with a random key of this process, by which secrets are found again that are not kept: HMAC-SHA-256
 * over parts, each with its length before it, so that no two lists of parts look alike. */
#ifndef RESTANTE_SERVER_KEYED_SUM_H
#define RESTANTE_SERVER_KEYED_SUM_H

#include <openssl/evp.h>

#include "lib/err.h"
#include "lib/slice.h"

#define KEYED_SUM_LEN 32u

/* A fresh key; *out is never used itself, only begun from, by any thread. EVP_MAC_CTX_free ends it. */
MUST_USE enum rc keyed_sum_key(EVP_MAC_CTX **out, struct err *e);

/* NULL without memory, which the others take: then the end is false. */
EVP_MAC_CTX *keyed_sum_begin(const EVP_MAC_CTX *key);
bool keyed_sum_add(EVP_MAC_CTX *mac, struct slice part);
bool keyed_sum_add_number(EVP_MAC_CTX *mac, uint64_t n);
/* Frees mac. `ok`: whether all was added. False: there is no sum. */
bool keyed_sum_end(EVP_MAC_CTX *mac, bool ok, uint8_t sum[KEYED_SUM_LEN]);

#endif
