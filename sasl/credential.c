/* credential - making, reading and checking stored verifiers. See credential.h. */
#include "sasl/credential.h"

#include "lib/secret.h"
#include "sasl/app_password.h"
#include "sasl/crypt_hash.h"
#include "sasl/saslprep.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
#define BASE64_ROOM   (BASE64_LEN(CREDENTIAL_SALT_MAX) + 1)

static const struct slice schemes[] = {
	[SCRAM_SHA_256] = SLICE_INIT("SCRAM-SHA-256$"),
	[SCRAM_SHA_1] = SLICE_INIT("SCRAM-SHA-1$"),
};
static const struct slice crypt_scheme = SLICE_INIT("{CRYPT}"), app_scheme = SLICE_INIT("SHA-256$");

static const struct {
	unsigned     bit;
	struct slice name;
} services[] = {
	{ SASL_SERVICE_IMAP, SLICE_INIT("imap") },
	{ SASL_SERVICE_POP3, SLICE_INIT("pop3") },
	{ SASL_SERVICE_LMTP, SLICE_INIT("lmtp") },
	{ SASL_SERVICE_SUBMISSION, SLICE_INIT("submission") },
	{ SASL_SERVICE_POP3, SLICE_INIT("pop") },
	{ SASL_SERVICE_SUBMISSION, SLICE_INIT("smtp") },
};

unsigned
sasl_service_find(struct slice name)
{
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (slice_eq(services[i].name, name))
			return services[i].bit;
	return 0;
}

/* ---- one SCRAM verifier ---- */

/* EVP_DecodeBlock forgives white space and stray bits, so what it made is encoded again and must
 * give the same text. */
bool
credential_decode(struct slice text, uint8_t *out, size_t room, size_t *len)
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
decode_key(struct slice text, enum scram_hash hash, uint8_t key[SCRAM_KEY_MAX])
{
	size_t len = 0;

	return credential_decode(text, key, SCRAM_KEY_MAX, &len) && len == scram_key_len(hash);
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

static enum rc
parse_keys(struct slice rest, struct credential *out, struct err *e)
{
	struct slice stored;

	if (!split(&rest, ':', &stored) || !decode_key(stored, out->hash, out->keys.stored))
		return err_set(e, RC_CORRUPT,
		               "verifier: expected a StoredKey of %zu octets in base64",
		               scram_key_len(out->hash));
	if (!decode_key(rest, out->hash, out->keys.server))
		return err_set(e, RC_CORRUPT,
		               "verifier: expected a ServerKey of %zu octets in base64",
		               scram_key_len(out->hash));
	return RC_OK;
}

enum rc
credential_parse(struct slice word, struct credential *out, struct err *e)
{
	struct slice rest, iterations, salt;

	*out = (struct credential){ .hash = SCRAM_SHA_256 };
	if (slice_starts(word, schemes[SCRAM_SHA_1]))
		out->hash = SCRAM_SHA_1;
	else if (!slice_starts(word, schemes[SCRAM_SHA_256]))
		return err_set(e, RC_CORRUPT, "verifier: not SCRAM-SHA-256 or SCRAM-SHA-1");
	rest = slice_sub(word, schemes[out->hash].len, word.len);
	if (!split(&rest, ':', &iterations) || !parse_iterations(iterations, &out->iterations))
		return err_set(e, RC_CORRUPT, "verifier: expected an iteration count from %d to %d",
		               CREDENTIAL_ITERATIONS_MIN, CREDENTIAL_ITERATIONS_MAX);
	if (!split(&rest, '$', &salt) ||
	    !credential_decode(salt, out->salt, sizeof out->salt, &out->salt_len) ||
	    out->salt_len < CREDENTIAL_SALT_MIN)
		return err_set(e, RC_CORRUPT,
		               "verifier: expected a salt of %d to %d octets in base64",
		               CREDENTIAL_SALT_MIN, CREDENTIAL_SALT_MAX);
	return parse_keys(rest, out, e);
}

enum rc
credential_format(const struct credential *c, struct buf *out, struct err *e)
{
	uint8_t salt[BASE64_ROOM], stored[BASE64_ROOM], server[BASE64_ROOM];
	int len = (int)scram_key_len(c->hash);

	EVP_EncodeBlock(salt, c->salt, (int)c->salt_len);
	EVP_EncodeBlock(stored, c->keys.stored, len);
	EVP_EncodeBlock(server, c->keys.server, len);
	if (!buf_printf(out, "%s%u:%s$%s:%s", (const char *)schemes[c->hash].ptr,
	                (unsigned)c->iterations, (const char *)salt, (const char *)stored,
	                (const char *)server))
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
		rc = scram_derive(c->hash, secret_slice(&prepared), slice_of(c->salt, c->salt_len),
		                  c->iterations, keys, e);
	secret_fini(&prepared);
	return rc;
}

/* Append a fresh verifier, behind a space if it is not the first word. */
static enum rc
make_word(enum scram_hash hash, struct slice password, struct buf *out, struct err *e)
{
	struct credential c = { .hash = hash, .iterations = CREDENTIAL_ITERATIONS,
	                        .salt_len = CREDENTIAL_SALT_LEN };
	enum rc rc;

	rc = secret_random(c.salt, c.salt_len, e);
	if (rc == RC_OK) {
		rc = derive(password, &c, &c.keys, e);
		if (rc != RC_OK)
			err_add(e, "password");
	}
	if (rc == RC_OK && out->len > 0 && !buf_append_str(out, " "))
		rc = err_set(e, RC_LIMIT, "verifier: no room");
	if (rc == RC_OK)
		rc = credential_format(&c, out, e);
	secret_wipe(&c, sizeof c);
	return rc;
}

enum rc
credential_make(struct slice password, struct buf *out, struct err *e)
{
	enum rc rc = make_word(SCRAM_SHA_256, password, out, e);

	return rc == RC_OK ? make_word(SCRAM_SHA_1, password, out, e) : rc;
}

/* A password that is not fit to be one matches nothing; that is found without hashing, whoever
 * it is tried for. */
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
		*match = secret_equal(slice_of(keys.stored, scram_key_len(c->hash)),
		                      slice_of(c->keys.stored, scram_key_len(c->hash)));
	secret_wipe(&keys, sizeof keys);
	return rc;
}

enum rc
credential_check_nobody(struct slice password, struct err *e)
{
	static const struct credential nobody = { .iterations = CREDENTIAL_ITERATIONS,
		                                  .salt_len = CREDENTIAL_SALT_LEN };
	bool match;

	return check(&nobody, password, &match, e);
}

/* ---- whole values ---- */

/* The next word; false at the end. Words have one space between: an empty one is a mistake that
 * no word matches. */
static bool
next_word(struct slice *rest, struct slice *word)
{
	size_t n = slice_find_byte(*rest, ' ');

	if (rest->ptr == NULL)
		return false;
	*word = slice_sub(*rest, 0, n);
	*rest = n < rest->len ? slice_sub(*rest, n + 1, rest->len) : SLICE_NONE;
	return true;
}

static bool
read_services(struct slice list, unsigned *out)
{
	unsigned bits = 0;

	while (list.len > 0) {
		size_t n = slice_find_byte(list, ',');
		unsigned bit = sasl_service_find(slice_sub(list, 0, n));

		if (bit == 0 || n + 1 == list.len)
			return false;
		bits |= bit;
		list = slice_sub(list, n + 1, list.len);
	}
	*out = bits;
	return bits != 0;
}

static bool
take_once(struct slice *field, struct slice word)
{
	if (field->ptr != NULL || word.len == 0)
		return false;
	*field = word;
	return true;
}

/* One word into the field it belongs to. */
static bool
read_word(struct slice word, struct credential_value *v)
{
	const struct slice only = SLICE("only="), created = SLICE("created=");

	if (slice_starts(word, schemes[SCRAM_SHA_256]))
		return take_once(&v->scram_sha_256, word);
	if (slice_starts(word, schemes[SCRAM_SHA_1]))
		return take_once(&v->scram_sha_1, word);
	if (slice_starts(word, crypt_scheme))
		return take_once(&v->crypt, slice_sub(word, crypt_scheme.len, word.len));
	if (slice_starts(word, app_scheme))
		return take_once(&v->app, word);
	if (slice_starts(word, only))
		return v->only == 0 && read_services(slice_sub(word, only.len, word.len), &v->only);
	if (slice_starts(word, created))
		return v->created == 0 &&
		       slice_to_u64(slice_sub(word, created.len, word.len), INT64_MAX, &v->created);
	return false;
}

enum rc
credential_read(struct slice value, struct credential_value *out, struct err *e)
{
	struct slice rest = value, word;
	size_t n = 0;

	*out = (struct credential_value){ .only = 0 };
	if (value.len == 0 || value.len > CREDENTIAL_TEXT_MAX)
		return err_set(e, RC_CORRUPT, "credential: empty or too long");
	for (; next_word(&rest, &word); n++)
		if (!read_word(word, out))
			return err_set(e, RC_CORRUPT,
			    "credential: word %zu is unknown, or not the first of its kind", n + 1);
	if (out->scram_sha_256.ptr == NULL && out->scram_sha_1.ptr == NULL &&
	    out->crypt.ptr == NULL && out->app.ptr == NULL)
		return err_set(e, RC_CORRUPT, "credential: no verifier");
	if (out->only == 0)
		out->only = SASL_SERVICE_ALL;
	return RC_OK;
}

unsigned
credential_scope(struct slice value)
{
	struct credential_value v;
	struct err e = ERR_INIT;

	return credential_read(value, &v, &e) == RC_OK ? v.only : 0;
}

enum rc
credential_check_plain(struct slice value, struct slice password, bool *match, struct err *e)
{
	struct credential_value v;
	struct credential c;

	*match = false;
	if (credential_read(value, &v, e) != RC_OK)
		return e->code;
	if (v.app.ptr != NULL)
		return app_password_check(v.app, password, match, e);
	if (v.scram_sha_256.ptr == NULL && v.scram_sha_1.ptr == NULL)
		return crypt_hash_check(v.crypt, password, match, e);
	if (credential_parse(v.scram_sha_256.ptr != NULL ? v.scram_sha_256 : v.scram_sha_1, &c,
	                     e) != RC_OK)
		return e->code;
	return check(&c, password, match, e);
}

bool
credential_wants_upgrade(struct slice value)
{
	struct credential_value v;
	struct err e = ERR_INIT;

	return credential_read(value, &v, &e) == RC_OK && v.app.ptr == NULL &&
	       (v.scram_sha_256.ptr == NULL || v.scram_sha_1.ptr == NULL);
}

/* What stands behind the verifiers. */
static bool
append_attributes(struct slice value, struct buf *out)
{
	struct slice rest = value, word;
	bool fits = true;

	while (next_word(&rest, &word))
		if (slice_starts(word, SLICE("only=")) || slice_starts(word, SLICE("created=")))
			fits = fits && buf_append_str(out, " ") && buf_append_slice(out, word);
	return fits;
}

static enum rc
keep_or_make(enum scram_hash hash, struct slice word, struct slice password, struct buf *out,
             struct err *e)
{
	if (word.ptr == NULL)
		return make_word(hash, password, out, e);
	if ((out->len == 0 || buf_append_str(out, " ")) && buf_append_slice(out, word))
		return RC_OK;
	return err_set(e, RC_LIMIT, "credential: no room");
}

enum rc
credential_upgrade(struct slice value, struct slice password, struct buf *out, struct err *e)
{
	struct credential_value v;
	bool match;
	enum rc rc = credential_check_plain(value, password, &match, e);

	if (rc != RC_OK)
		return rc;
	if (!match)
		return err_set(e, RC_DENIED, "wrong password");
	if (!credential_wants_upgrade(value))
		return err_set(e, RC_EXISTS, "the credential has all verifiers");
	if (credential_read(value, &v, e) != RC_OK)
		return e->code;
	rc = keep_or_make(SCRAM_SHA_256, v.scram_sha_256, password, out, e);
	if (rc == RC_OK)
		rc = keep_or_make(SCRAM_SHA_1, v.scram_sha_1, password, out, e);
	if (rc == RC_OK && !append_attributes(value, out))
		rc = err_set(e, RC_LIMIT, "credential: no room");
	return rc;
}
