/* pbkdf2 - PBKDF2 with HMAC [RFC 8018 s5.2] for one block of output, which is Hi() of SCRAM [RFC 5802 s2.2]. */
#ifndef RESTANTE_SASL_PBKDF2_H
#define RESTANTE_SASL_PBKDF2_H

#include "lib/slice.h"

#define PBKDF2_SHA256_LEN 32u

/* `iterations` is at least 1. Any thread. */
void pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations,
                   uint8_t out[PBKDF2_SHA256_LEN]);

#endif
