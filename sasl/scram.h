/* scram - the keys of SCRAM-SHA-256. Pure functions, any thread. */
#ifndef RESTANTE_SASL_SCRAM_H
#define RESTANTE_SASL_SCRAM_H

#include "lib/err.h"
#include "lib/slice.h"

#define SCRAM_KEY_LEN 32

struct scram_keys {
	uint8_t stored[SCRAM_KEY_LEN];  /* H(ClientKey): checks a client */
	uint8_t server[SCRAM_KEY_LEN];  /* proves us to the client */
};

/* StoredKey and ServerKey [RFC 5802 s3, RFC 7677] of a password that went through saslprep. RC_OK or RC_NOMEM. */
MUST_USE enum rc scram_derive(struct slice prepared, struct slice salt, uint32_t iterations, struct scram_keys *out,
                              struct err *e);

#endif
