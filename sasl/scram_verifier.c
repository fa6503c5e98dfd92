/* scram_verifier - what SCRAM works with for an account, and for one that there is not.
 *
 * The server's first answer shows salt and iteration count. An account that does not exist, is
 * locked or has no verifier of the hash asked for is given both too: the salt is derived from a
 * secret and the name as accounts' names are compared, so that it is the same at each try, in each
 * spelling and after a restart, and the count is that of new verifiers. The keys are derived
 * likewise: no proof matches them, as nobody knows what they would be the hash of.
 *
 * What can be told is only that a password was set with another count or length of salt (imports; a
 * count raised in a later release).
 */
#include "lib/base64.h"
#include "lib/secret.h"
#include "lib/text.h"
#include "sasl/credential.h"
#include "sasl/internal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#define HASH_LEN        32
#define FOLDED_MAX      4096  /* of a name of SASL_NAME_MAX: folding makes some characters longer */

/* HMAC-SHA-256(secret, mechanism "$" part "$" name) */
static bool
derive(struct slice secret, const char *mechanism, const char *part, struct slice name,
       uint8_t out[HASH_LEN])
{
	unsigned len = 0;
	struct buf text;
	bool good;

	buf_init(&text, FOLDED_MAX + 64);
	good = buf_printf(&text, "%s$%s$", mechanism, part) && buf_append_slice(&text, name) &&
	       HMAC(EVP_sha256(), secret.ptr, (int)secret.len, text.ptr, text.len, out, &len) !=
	           NULL &&
	       len == HASH_LEN;
	buf_fini(&text);
	return good;
}

/* Append a key of `len` octets that nobody knows the password of. */
static bool
append_derived(struct buf *out, struct slice secret, const char *mechanism, const char *part,
               struct slice name, size_t len)
{
	uint8_t bytes[HASH_LEN];
	bool good = derive(secret, mechanism, part, name, bytes) &&
	            base64_encode(slice_of(bytes, len), out);

	secret_wipe(bytes, sizeof bytes);
	return good;
}

static bool
make_fake(struct slice secret, struct slice name, enum sasl_mechanism m, struct buf *out)
{
	const char *mechanism = sasl_mechanism_name(m);
	size_t key = m == SASL_MECH_SCRAM_SHA_256 ? 32 : 20;
	struct buf folded;
	bool good;

	buf_init(&folded, FOLDED_MAX);
	good = text_casefold(name, &folded) &&
	       buf_printf(out, "%s$%d:", mechanism, CREDENTIAL_ITERATIONS) &&
	       append_derived(out, secret, mechanism, "salt", buf_slice(&folded),
	                      CREDENTIAL_SALT_LEN) &&
	       buf_append_byte(out, '$') &&
	       append_derived(out, secret, mechanism, "stored", buf_slice(&folded), key) &&
	       buf_append_byte(out, ':') &&
	       append_derived(out, secret, mechanism, "server", buf_slice(&folded), key);
	buf_fini(&folded);
	return good;
}

/* The account's verifier for the hash; empty if it has none that is sound. */
static struct slice
find_genuine(const struct sasl_attempt *who, unsigned service, enum sasl_mechanism m)
{
	enum scram_hash hash = m == SASL_MECH_SCRAM_SHA_256 ? SCRAM_SHA_256 : SCRAM_SHA_1;
	struct credential c;
	struct err e = ERR_INIT;
	struct slice word;

	if (sasl_attempt_scram(who, service, hash, &word) == NULL ||
	    credential_parse(word, &c, &e) != RC_OK)
		return SLICE_NONE;
	return word;
}

/* The fake is made in any case: it costs the same whether it is needed or not. */
bool
sasl_scram_verifier(const struct sasl_attempt *who, unsigned service, struct slice claimed,
                    struct slice secret, enum sasl_mechanism m, char out[SCRAM_TEXT_MAX],
                    bool *genuine)
{
	struct slice own = find_genuine(who, service, m);
	struct buf fake;
	bool good;

	buf_init(&fake, SCRAM_TEXT_MAX - 1);
	good = make_fake(secret, claimed, m, &fake);
	*genuine = own.len > 0;
	good = good && slice_to_cstr(*genuine ? own : buf_slice(&fake), out, SCRAM_TEXT_MAX);
	buf_fini(&fake);
	return good;
}
