/* credential - passwords as they are kept: a SCRAM-SHA-256 verifier in text.
 *
 *   SCRAM-SHA-256$<iterations>:<base64 salt>$<base64 StoredKey>:<base64 ServerKey>       (after RFC 5803)
 *
 * The password itself is never kept, and the verifier serves PLAIN, LOGIN and later SCRAM alike. Functions are pure
 * but for the random salt, and may be used from any thread; they hash for milliseconds, so never on a reactor.
 */
#ifndef RESTANTE_SASL_CREDENTIAL_H
#define RESTANTE_SASL_CREDENTIAL_H

#include "lib/buf.h"
#include "lib/err.h"
#include "sasl/scram.h"

/* 10000 rounds of PBKDF2 cost 2.2 ms of one core (OpenSSL 3.0, x86-64 with SHA extensions), and as much for each login
 * that sends its password: 450 logins a second and core. 15000 cost 3.4 ms, 4096 (the least that RFC 7677 s4 advises)
 * 0.9 ms. Web mail logs in once a page, so more would be felt before it protects a weak password. */
#define CREDENTIAL_ITERATIONS     10000
#define CREDENTIAL_ITERATIONS_MIN 4096
#define CREDENTIAL_ITERATIONS_MAX 1000000
#define CREDENTIAL_SALT_LEN       16    /* of new ones */
#define CREDENTIAL_SALT_MIN       8
#define CREDENTIAL_SALT_MAX       64
#define CREDENTIAL_TEXT_MAX       256   /* no verifier within these limits is longer */

struct credential {
	uint32_t          iterations;
	uint8_t           salt[CREDENTIAL_SALT_MAX];
	size_t            salt_len;
	struct scram_keys keys;
};

/* Append a fresh verifier for `password` (UTF-8, at most SASLPREP_MAX bytes). RC_SYNTAX or RC_LIMIT: not fit to be a
 * password, and e says why in words for whoever set it; RC_NOMEM or RC_IO otherwise. */
MUST_USE enum rc credential_make_scram(struct slice password, struct buf *out, struct err *e);
/* RC_OK: *match tells if it is the password. RC_CORRUPT: the verifier is malformed, e says where. */
MUST_USE enum rc credential_check_plain(struct slice verifier, struct slice password, bool *match, struct err *e);
/* Takes as long as checking against a fresh verifier, and matches nothing. */
MUST_USE enum rc credential_check_nobody(struct slice password, struct err *e);

/* RC_OK or RC_CORRUPT. Strict: no white space, no sign, canonical base64, limits as above. */
MUST_USE enum rc credential_parse(struct slice text, struct credential *out, struct err *e);
MUST_USE enum rc credential_format(const struct credential *c, struct buf *out, struct err *e);

#endif
