/* credential - making, reading and checking stored verifiers. See credential.h. */
#include "sasl/credential.h"

#include "lib/secret.h"
#include "sasl/saslprep.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
#define BASE64_ROOM   (BASE64_LEN(CREDENTIAL_SALT_MAX) + 1)

static const struct slice scheme = SLICE_INIT("SCRAM-SHA-256$");

/* Decode all of `text` into `out` of `room` (<= CREDENTIAL_SALT_MAX) bytes; *len of them. EVP_DecodeBlock forgives
 * white space and stray bits, so what it made is encoded again and must give the same text. */
static bool
decode(struct slice text, uint8_t *out, size_t room, size_t *len)
{
	uint8_t bytes[BASE64_ROOM], again[BASE64_ROOM];
	int n;

	assert(room <= CREDENTIAL_SALT_MAX);
	if (text.len == 0 || text.len % 4 != 0 || text.len > BASE64_LEN(room))
		return false;
	n = EVP_DecodeBlock(bytes, text.ptr, (int)text.len);
	if (n < 0)
		return false;
	n -= text.ptr[text.len - 1] == '=';
	n -= text.ptr[text.len - 2] == '=';
	if (n <= 0 || (size_t)n > room)
		return false;
	if (EVP_EncodeBlock(again, bytes, n) != (int)text.len ||
	    !slice_eq(slice_of(again, text.len), text))
		return false;
	memcpy(out, bytes, (size_t)n);
	*len = (size_t)n;
	return true;
}

/* Cut `text` at the first `at`; false if there is none. */
static bool
split(struct slice *text, uint8_t at, struct slice *head)
{
	size_t i = slice_find_byte(*text, at);

	if (i == text->len)
		return false;
	*head = slice_sub(*text, 0, i);
	*text = slice_sub(*text, i + 1, text->len);
	return true;
}

static bool
decode_key(struct slice text, uint8_t key[SCRAM_KEY_LEN])
{
	size_t len = 0;

	return decode(text, key, SCRAM_KEY_LEN, &len) && len == SCRAM_KEY_LEN;
}

static bool
parse_iterations(struct slice text, uint32_t *out)
{
	uint64_t v;

	if (!slice_to_u64(text, CREDENTIAL_ITERATIONS_MAX, &v) || v < CREDENTIAL_ITERATIONS_MIN ||
	    text.ptr[0] == '0')
		return false;
	*out = (uint32_t)v;
	return true;
}

enum rc
credential_parse(struct slice text, struct credential *out, struct err *e)
{
	struct slice rest = text, iterations, salt, stored;

	*out = (struct credential){ 0 };
	if (!slice_starts(text, scheme))
		return err_set(e, RC_CORRUPT, "verifier: not SCRAM-SHA-256");
	rest = slice_sub(text, scheme.len, text.len);
	if (!split(&rest, ':', &iterations) || !parse_iterations(iterations, &out->iterations))
		return err_set(e, RC_CORRUPT, "verifier: expected an iteration count from %d to %d",
		               CREDENTIAL_ITERATIONS_MIN, CREDENTIAL_ITERATIONS_MAX);
	if (!split(&rest, '$', &salt) ||
	    !decode(salt, out->salt, sizeof out->salt, &out->salt_len) ||
	    out->salt_len < CREDENTIAL_SALT_MIN)
		return err_set(e, RC_CORRUPT,
		               "verifier: expected a salt of %d to %d octets in base64",
		               CREDENTIAL_SALT_MIN, CREDENTIAL_SALT_MAX);
	if (!split(&rest, ':', &stored) || !decode_key(stored, out->keys.stored))
		return err_set(e, RC_CORRUPT,
		               "verifier: expected a StoredKey of %d octets in base64",
		               SCRAM_KEY_LEN);
	if (!decode_key(rest, out->keys.server))
		return err_set(e, RC_CORRUPT,
		               "verifier: expected a ServerKey of %d octets in base64",
		               SCRAM_KEY_LEN);
	return RC_OK;
}

enum rc
credential_format(const struct credential *c, struct buf *out, struct err *e)
{
	uint8_t salt[BASE64_ROOM], stored[BASE64_ROOM], server[BASE64_ROOM];

	EVP_EncodeBlock(salt, c->salt, (int)c->salt_len);
	EVP_EncodeBlock(stored, c->keys.stored, SCRAM_KEY_LEN);
	EVP_EncodeBlock(server, c->keys.server, SCRAM_KEY_LEN);
	if (!buf_printf(out, "%s%u:%s$%s:%s", (const char *)scheme.ptr, (unsigned)c->iterations,
	                (const char *)salt, (const char *)stored, (const char *)server))
		return err_set(e, RC_LIMIT, "verifier: no room");
	return RC_OK;
}

/* The keys of `password` with the salt and iterations of `c`. */
static enum rc
derive(struct slice password, const struct credential *c, struct scram_keys *keys, struct err *e)
{
	struct secret prepared;
	enum rc rc;

	rc = secret_init(&prepared, SASLPREP_OUT_MAX, e);
	if (rc == RC_OK)
		rc = saslprep(password, &prepared, e);
	if (rc == RC_OK)
		rc = scram_derive(secret_slice(&prepared), slice_of(c->salt, c->salt_len),
		                  c->iterations, keys, e);
	secret_fini(&prepared);
	return rc;
}

enum rc
credential_make_scram(struct slice password, struct buf *out, struct err *e)
{
	struct credential c = { .iterations = CREDENTIAL_ITERATIONS,
		                .salt_len = CREDENTIAL_SALT_LEN };
	enum rc rc;

	rc = secret_random(c.salt, c.salt_len, e);
	if (rc == RC_OK) {
		rc = derive(password, &c, &c.keys, e);
		if (rc != RC_OK)
			err_add(e, "password");
	}
	if (rc == RC_OK)
		rc = credential_format(&c, out, e);
	secret_wipe(&c, sizeof c);
	return rc;
}

/* A password that is not fit to be one matches nothing; that is found without hashing, whoever it is tried for. */
static enum rc
check(const struct credential *c, struct slice password, bool *match, struct err *e)
{
	struct scram_keys keys;
	enum rc rc = derive(password, c, &keys, e);

	*match = false;
	if (rc == RC_SYNTAX || rc == RC_LIMIT) {
		*e = (struct err)ERR_INIT;
		return RC_OK;
	}
	if (rc == RC_OK)
		*match = secret_equal(slice_of(keys.stored, sizeof keys.stored),
		                      slice_of(c->keys.stored, sizeof c->keys.stored));
	secret_wipe(&keys, sizeof keys);
	return rc;
}

enum rc
credential_check_plain(struct slice verifier, struct slice password, bool *match, struct err *e)
{
	struct credential c;

	*match = false;
	if (credential_parse(verifier, &c, e) != RC_OK)
		return e->code;
	return check(&c, password, match, e);
}

enum rc
credential_check_nobody(struct slice password, struct err *e)
{
	static const struct credential nobody = { .iterations = CREDENTIAL_ITERATIONS,
		                                  .salt_len = CREDENTIAL_SALT_LEN };
	bool match;

	return check(&nobody, password, &match, e);
}
