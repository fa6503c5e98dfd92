/* sha256 - OpenSSL's SHA-256, found once in the process: EVP_sha256() has it looked for anew by each EVP_DigestInit_ex,
 * which costs as much as the hash of 400 octets. */
#ifndef RESTANTE_STORE_SHA256_H
#define RESTANTE_STORE_SHA256_H

#include <openssl/evp.h>

/* For EVP_DigestInit_ex; never NULL. Any thread. */
const EVP_MD *sha256_method(void);

#endif
