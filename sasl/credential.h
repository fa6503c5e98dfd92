/* credential - passwords as they are kept.
 *
 * A credential's value is words with one space between them. Verifiers of one password come first:
 *
 *   SCRAM-SHA-256$<iterations>:<base64 salt>$<base64 StoredKey>:<base64 ServerKey>       (after RFC 5803)
 *   SCRAM-SHA-1$...                                 the same with the other hash; both stand in one value, so that a
 *                                                   password is changed as one
 *   {CRYPT}<crypt(3) hash>                          taken over from elsewhere; gives way to the two above at the first
 *                                                   login that sends the password (sasl/crypt_hash.h)
 *   SHA-256$<base64 salt>$<base64 hash>             of an app password (sasl/app_password.h)
 *
 * Behind them attributes may stand: `only=imap,pop3` (what it may be used for) and `created=<seconds since 1970>`.
 *
 * The password itself is never kept. Functions are pure but for random salts, and may be used from any thread; those
 * that make or check hash for milliseconds, so never on a reactor.
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
#define CREDENTIAL_WORD_MAX       384   /* no verifier is longer */
#define CREDENTIAL_TEXT_MAX       1024  /* no value is longer */
#define CREDENTIAL_NAME_MAX       72    /* octets of a credential's name: "password", "app:LABEL" */

/* What a credential may be used for. */
enum sasl_service {
	SASL_SERVICE_IMAP = 1 << 0,
	SASL_SERVICE_POP3 = 1 << 1,
	SASL_SERVICE_LMTP = 1 << 2,
	SASL_SERVICE_SUBMISSION = 1 << 3,
	SASL_SERVICE_ALL = (1 << 4) - 1,
};

/* "imap", "pop3", "lmtp", "submission", and the names that protocols have in SASL where those differ: "pop"
 * [RFC 5034 s4], "smtp" [RFC 4954 s4]. 0: another name. */
unsigned sasl_service_find(struct slice name);

/* One SCRAM verifier. */
struct credential {
	enum scram_hash   hash;
	uint32_t          iterations;
	uint8_t           salt[CREDENTIAL_SALT_MAX];
	size_t            salt_len;
	struct scram_keys keys;
};

/* A value taken apart; words borrow from it. What is not there is empty. */
struct credential_value {
	struct slice scram_sha_256, scram_sha_1;
	struct slice crypt;             /* the hash, without {CRYPT} */
	struct slice app;
	unsigned     only;              /* SASL_SERVICE_ALL if nothing is said */
	uint64_t     created;           /* seconds since 1970; 0: not said */
};
/* RC_OK: at least one verifier, looked at no closer than by its scheme. RC_CORRUPT: a word that is none of these, one
 * that comes twice, or no verifier: nothing of it may be relied on, as what is not known may be a limit. */
MUST_USE enum rc credential_read(struct slice value, struct credential_value *out, struct err *e);
/* The value's `only`; 0 of one that is damaged. */
unsigned credential_scope(struct slice value);

/* Append a fresh value for `password` (UTF-8, at most SASLPREP_MAX bytes): both SCRAM verifiers. RC_SYNTAX or RC_LIMIT:
 * not fit to be a password, and e says why in words for whoever set it; RC_NOMEM or RC_IO otherwise. */
MUST_USE enum rc credential_make(struct slice password, struct buf *out, struct err *e);
/* Append the value for a password as a file to be imported has it: the password itself, or {SCHEME} and what that makes
 * of it: {PLAIN}, {CLEAR}, {CLEARTEXT}; {CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {BLF-CRYPT}; {SCRAM-SHA-256},
 * {SCRAM-SHA-1} with iterations,salt,StoredKey,ServerKey. Behind a hash and a colon anything may stand. RC_SYNTAX: e
 * says what is wrong with it. Otherwise as above. */
MUST_USE enum rc credential_import(struct slice text, struct buf *out, struct err *e);
/* Is this the password of the value? One verifier is asked, the cheapest that counts: SCRAM-SHA-256, else SCRAM-SHA-1,
 * else {CRYPT}; of an app password its own. RC_OK: *match tells. RC_CORRUPT: the value is malformed, e says where. */
MUST_USE enum rc credential_check_plain(struct slice value, struct slice password, bool *match,
                                        struct err *e);
/* Takes as long as checking against a fresh value, and matches nothing. */
MUST_USE enum rc credential_check_nobody(struct slice password, struct err *e);

/* Lacks a verifier that its password would give it: a SCRAM one, of anything but an app password. */
bool credential_wants_upgrade(struct slice value);
/* Append the value that `value` becomes when its password was just sent: what it lacks is made from it, {CRYPT} goes,
 * attributes stay; a SCRAM verifier that is there stays as it is. The password is checked once more, so that nobody's
 * mistake makes another one valid: RC_DENIED if it is not the one. RC_EXISTS: it lacks nothing. RC_SYNTAX, RC_LIMIT: no
 * SCRAM verifier can be made of it, the value stays. Writing it is the caller's: a change with `value` as its
 * precondition (change_account.credential_old). */
MUST_USE enum rc credential_upgrade(struct slice value, struct slice password, struct buf *out,
                                    struct err *e);

/* One SCRAM verifier, a word of a value. RC_OK or RC_CORRUPT. Strict: no white space, no sign, canonical base64, limits
 * as above. */
MUST_USE enum rc credential_parse(struct slice word, struct credential *out, struct err *e);
MUST_USE enum rc credential_format(const struct credential *c, struct buf *out, struct err *e);

/* All of `text` from base64 into `out` of `room` (<= CREDENTIAL_SALT_MAX) bytes; *len of them. False if it is not
 * canonical, empty or too long. */
MUST_USE bool credential_decode(struct slice text, uint8_t *out, size_t room, size_t *len);

#endif
