/* scram - the keys of SCRAM-SHA-256 and SCRAM-SHA-1. Pure functions, any thread. */
#ifndef RESTANTE_SASL_SCRAM_H
#define RESTANTE_SASL_SCRAM_H

#include "lib/err.h"
#include "lib/slice.h"

enum scram_hash {
	SCRAM_SHA_256,          /* [RFC 7677] */
	SCRAM_SHA_1,            /* [RFC 5802]: clients that know no better one; broken for signatures, not in HMAC */
};

#define SCRAM_KEY_MAX 32

struct scram_keys {
	uint8_t stored[SCRAM_KEY_MAX];  /* H(ClientKey): checks a client; scram_key_len bytes of it count,
	                                 * as of the next */
	uint8_t server[SCRAM_KEY_MAX];  /* proves us to the client */
};

size_t scram_key_len(enum scram_hash hash);

/* StoredKey and ServerKey [RFC 5802 s3, RFC 7677] of a password that went through saslprep. RC_OK or RC_NOMEM. */
MUST_USE enum rc scram_derive(enum scram_hash hash, struct slice prepared, struct slice salt,
                              uint32_t iterations, struct scram_keys *out, struct err *e);

#endif
