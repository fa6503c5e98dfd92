/* app_password - making and checking them. See app_password.h. */
#include "sasl/app_password.h"

#include "sasl/credential.h"

#include <assert.h>
#include <openssl/evp.h>

#define HASH_LEN 32

/* Without l, o, 0 and 1, which are taken for each other. */
static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";

static const struct slice scheme = SLICE_INIT("SHA-256$");

_Static_assert(sizeof alphabet == 32 + 1, "five bits each");

static enum rc
hash_of(struct slice salt, const uint8_t text[APP_PASSWORD_LEN], uint8_t out[HASH_LEN],
        struct err *e)
{
	uint8_t all[CREDENTIAL_SALT_MAX + APP_PASSWORD_LEN];
	bool done;

	assert(salt.len <= CREDENTIAL_SALT_MAX);
	memcpy(all, salt.ptr, salt.len);
	memcpy(all + salt.len, text, APP_PASSWORD_LEN);
	done = EVP_Digest(all, salt.len + APP_PASSWORD_LEN, out, NULL, EVP_sha256(), NULL) == 1;
	secret_wipe(all, sizeof all);
	return done ? RC_OK : err_set(e, RC_NOMEM, "OpenSSL could not hash");
}

static enum rc
put_verifier(struct slice salt, const uint8_t hash[HASH_LEN], struct buf *out, struct err *e)
{
	uint8_t salt64[CREDENTIAL_SALT_MAX * 2], hash64[HASH_LEN * 2];

	EVP_EncodeBlock(salt64, salt.ptr, (int)salt.len);
	EVP_EncodeBlock(hash64, hash, HASH_LEN);
	return buf_printf(out, "%s%s$%s", (const char *)scheme.ptr, (const char *)salt64,
	           (const char *)hash64)
	           ? RC_OK
	           : err_set(e, RC_LIMIT, "verifier: no room");
}

/* 256 is a multiple of 32: no character is likelier than another. */
static enum rc
draw(uint8_t text[APP_PASSWORD_LEN], struct secret *shown, struct err *e)
{
	bool fits = true;

	if (secret_random(text, APP_PASSWORD_LEN, e) != RC_OK)
		return e->code;
	for (size_t i = 0; i < APP_PASSWORD_LEN; i++) {
		text[i] = (uint8_t)alphabet[text[i] % 32];
		if (i > 0 && i % 4 == 0)
			fits = fits && secret_append(shown, SLICE("-"));
		fits = fits && secret_append(shown, slice_of(text + i, 1));
	}
	return fits ? RC_OK : err_set(e, RC_LIMIT, "no room for the password");
}

enum rc
app_password_make(struct secret *shown, struct buf *out, struct err *e)
{
	uint8_t text[APP_PASSWORD_LEN], salt[CREDENTIAL_SALT_LEN], hash[HASH_LEN];
	enum rc rc = secret_random(salt, sizeof salt, e);

	if (rc == RC_OK)
		rc = draw(text, shown, e);
	if (rc == RC_OK)
		rc = hash_of(slice_of(salt, sizeof salt), text, hash, e);
	if (rc == RC_OK)
		rc = put_verifier(slice_of(salt, sizeof salt), hash, out, e);
	secret_wipe(text, sizeof text);
	return rc;
}

/* The characters that count. False if this cannot be one. */
static bool
reduce(struct slice password, uint8_t text[APP_PASSWORD_LEN])
{
	size_t n = 0;

	for (size_t i = 0; i < password.len; i++) {
		uint8_t c = ascii_lower(password.ptr[i]);

		if (c == '-' || c == ' ')
			continue;
		if (n == APP_PASSWORD_LEN || c == '\0' || strchr(alphabet, c) == NULL)
			return false;
		text[n++] = c;
	}
	return n == APP_PASSWORD_LEN;
}

static bool
read_verifier(struct slice verifier, uint8_t salt[CREDENTIAL_SALT_MAX], size_t *salt_len,
              uint8_t hash[HASH_LEN])
{
	struct slice rest = slice_sub(verifier, scheme.len, verifier.len);
	size_t at, len = 0;

	if (!slice_starts(verifier, scheme))
		return false;
	at = slice_find_byte(rest, '$');
	return at < rest.len &&
	       credential_decode(slice_sub(rest, 0, at), salt, CREDENTIAL_SALT_MAX, salt_len) &&
	       *salt_len >= CREDENTIAL_SALT_MIN &&
	       credential_decode(slice_sub(rest, at + 1, rest.len), hash, HASH_LEN, &len) &&
	       len == HASH_LEN;
}

enum rc
app_password_check(struct slice verifier, struct slice password, bool *match, struct err *e)
{
	uint8_t salt[CREDENTIAL_SALT_MAX], want[HASH_LEN], got[HASH_LEN];
	uint8_t text[APP_PASSWORD_LEN] = { 0 };
	size_t salt_len = 0;
	bool possible;
	enum rc rc;

	*match = false;
	if (!read_verifier(verifier, salt, &salt_len, want))
		return err_set(e, RC_CORRUPT, "verifier: not one of an app password");
	possible = reduce(password, text);
	rc = hash_of(slice_of(salt, salt_len), text, got, e);
	if (rc == RC_OK)
		*match = secret_equal(slice_of(got, sizeof got), slice_of(want, sizeof want)) &&
		         possible;
	secret_wipe(text, sizeof text);
	return rc;
}

bool
app_password_is_label(struct slice label)
{
	if (label.len == 0 || label.len > APP_PASSWORD_LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.len; i++) {
		uint8_t c = label.ptr[i];

		if ((ascii_lower(c) < 'a' || ascii_lower(c) > 'z') && (c < '0' || c > '9') &&
		    (c == '\0' || strchr("-._@+", c) == NULL))
			return false;
	}
	return true;
}
