/* crypt_hash - bounds on hostile hashes, and the call of crypt_r. See crypt_hash.h.
 *
 * The text of a hash is looked at whole before crypt sees it: prefix, parameters, salt, length.
 * crypt itself is asked last whether it knows the method, as systems build it differently.
 */
#define _GNU_SOURCE
#include "sasl/crypt_hash.h"

#include "config.h"
#include "lib/secret.h"

#include <errno.h>
#include <stdlib.h>
#ifdef HAVE_CRYPT_R
#include <crypt.h>
#endif

#define PASSWORD_MAX 512        /* what crypt takes; also NUL ends it, so that none may be inside */

#define SHA_ROUNDS_MIN 1000u
#define SHA_SALT_MAX   16u
#define BCRYPT_MIN     4u
#define BCRYPT_REST    53u      /* 22 of the salt, 31 of the hash */
#define YESCRYPT_REST  43u
#define YESCRYPT_SALT_MAX 86u

/* The alphabet of crypt's own base64. */
static int
digit64(uint8_t c)
{
	if (c >= '.' && c <= '9')
		return c - '.';
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 12;
	return c >= 'a' && c <= 'z' ? c - 'a' + 38 : -1;
}

static bool
all64(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (digit64(s.ptr[i]) < 0)
			return false;
	return true;
}

/* The part before the next "$". */
static bool
take_field(struct slice *rest, struct slice *field)
{
	size_t i = slice_find_byte(*rest, '$');

	if (i == rest->len)
		return false;
	*field = slice_sub(*rest, 0, i);
	*rest = slice_sub(*rest, i + 1, rest->len);
	return true;
}

/* [rounds=N$]salt$hash */
static enum rc
examine_sha(struct slice rest, size_t hash_len, struct err *e)
{
	struct slice salt, number = SLICE("rounds=");
	uint64_t rounds;

	if (!take_field(&rest, &salt))
		return err_set(e, RC_SYNTAX, "the hash is cut");
	if (slice_starts(salt, number)) {
		if (!slice_to_u64(slice_sub(salt, number.len, salt.len), UINT32_MAX, &rounds) ||
		    rounds < SHA_ROUNDS_MIN || !take_field(&rest, &salt))
			return err_set(e, RC_SYNTAX, "the hash is malformed at its rounds");
		if (rounds > CRYPT_HASH_ROUNDS_MAX)
			return err_set(e, RC_SYNTAX,
			               "a hash of %llu rounds takes too long to check (at most %u)",
			               (unsigned long long)rounds, CRYPT_HASH_ROUNDS_MAX);
	}
	if (salt.len == 0 || salt.len > SHA_SALT_MAX || !all64(salt))
		return err_set(e, RC_SYNTAX, "the hash is malformed at its salt");
	if (rest.len != hash_len || !all64(rest))
		return err_set(e, RC_SYNTAX, "the hash is cut, or longer than it can be");
	return RC_OK;
}

/* NN$, then salt and hash */
static enum rc
examine_bcrypt(struct slice rest, struct err *e)
{
	struct slice cost;
	uint64_t n;

	if (!take_field(&rest, &cost) || cost.len != 2 || !slice_to_u64(cost, 99, &n) ||
	    n < BCRYPT_MIN)
		return err_set(e, RC_SYNTAX, "the hash is malformed at its cost");
	if (n > CRYPT_HASH_BCRYPT_MAX)
		return err_set(e, RC_SYNTAX,
		               "a bcrypt hash of cost %u takes too long to check (at most %u)",
		               (unsigned)n, CRYPT_HASH_BCRYPT_MAX);
	if (rest.len != BCRYPT_REST || !all64(rest))
		return err_set(e, RC_SYNTAX, "the hash is cut, or longer than it can be");
	return RC_OK;
}

/* Flavour, log2 of N, r: one digit each for what yescrypt is used with; then salt$hash. A fourth
 * parameter (p, t, g, a ROM) multiplies the cost and is never seen. */
static enum rc
examine_yescrypt(struct slice rest, struct err *e)
{
	struct slice how, salt;
	int n, r;

	if (!take_field(&rest, &how) || how.len != 3 || !all64(how) || digit64(how.ptr[0]) > 47)
		return err_set(e, RC_SYNTAX, "the hash is malformed at its parameters");
	n = digit64(how.ptr[1]) + 1;
	r = digit64(how.ptr[2]) + 1;
	if (n > 30 || r > 48 ||
	    (UINT64_C(128) << n) * (unsigned)r > (uint64_t)CRYPT_HASH_YESCRYPT_MIB << 20)
		return err_set(e, RC_SYNTAX, "this yescrypt hash takes over %u MiB to check",
		               CRYPT_HASH_YESCRYPT_MIB);
	if (!take_field(&rest, &salt) || salt.len == 0 || salt.len > YESCRYPT_SALT_MAX ||
	    !all64(salt))
		return err_set(e, RC_SYNTAX, "the hash is malformed at its salt");
	if (rest.len != YESCRYPT_REST || !all64(rest))
		return err_set(e, RC_SYNTAX, "the hash is cut, or longer than it can be");
	return RC_OK;
}

static enum rc
examine_text(struct slice hash, struct err *e)
{
	struct slice rest = hash, method;

	if (hash.len > CRYPT_HASH_MAX)
		return err_set(e, RC_SYNTAX, "the hash is longer than %u octets", CRYPT_HASH_MAX);
	if (hash.len < 3 || hash.ptr[0] != '$')
		return err_set(e, RC_SYNTAX,
		               "not a hash of a method known here ($5$, $6$, $y$, $2b$)");
	rest = slice_sub(rest, 1, rest.len);
	if (!take_field(&rest, &method))
		return err_set(e, RC_SYNTAX, "the hash is cut");
	if (slice_eq(method, SLICE("6")))
		return examine_sha(rest, 86, e);
	if (slice_eq(method, SLICE("5")))
		return examine_sha(rest, 43, e);
	if (slice_eq(method, SLICE("y")))
		return examine_yescrypt(rest, e);
	if (slice_eq(method, SLICE("2a")) || slice_eq(method, SLICE("2b")) ||
	    slice_eq(method, SLICE("2y")))
		return examine_bcrypt(rest, e);
	if (slice_eq(method, SLICE("1")))
		return err_set(e, RC_SYNTAX,
		    "MD5 hashes ($1$) are not accepted: give the account a new password");
	return err_set(e, RC_SYNTAX, "not a hash of a method known here ($5$, $6$, $y$, $2b$)");
}

#ifdef HAVE_CRYPT_R

static bool
system_has(const char *hash)
{
#ifdef HAVE_CRYPT_CHECKSALT
	int is = crypt_checksalt(hash);

	/* What the system's policy no longer lets be made is still good to be checked. */
	return is == CRYPT_SALT_OK || is == CRYPT_SALT_METHOD_LEGACY || is == CRYPT_SALT_TOO_CHEAP;
#else
	(void)hash;
	return true;    /* the first check tells */
#endif
}

static enum rc
examine(struct slice hash, char text[CRYPT_HASH_MAX + 1], struct err *e)
{
	if (examine_text(hash, e) != RC_OK)
		return e->code;
	if (!slice_to_cstr(hash, text, CRYPT_HASH_MAX + 1))
		return err_set(e, RC_SYNTAX, "the hash holds a NUL");
	return system_has(text)
	           ? RC_OK
	           : err_set(e, RC_SYNTAX, "crypt(3) of this system does not know this method");
}

static enum rc
run(const char *hash, const char *password, bool *match, struct err *e)
{
	struct crypt_data *data = calloc(1, sizeof *data);
	const char *got;
	int os;

	if (data == NULL)
		return err_nomem(e);
	got = crypt_r(password, hash, data);
	os = errno;
	if (got != NULL && got[0] != '*')
		*match = secret_equal(slice_str(got), slice_str(hash));
	else if (os == ENOMEM)
		(void)err_nomem(e);
	else
		err_set(e, RC_CORRUPT, "crypt(3) refuses the hash");
	secret_wipe(data, sizeof *data);
	free(data);
	return e->code;
}

enum rc
crypt_hash_check(struct slice hash, struct slice password, bool *match, struct err *e)
{
	char text[CRYPT_HASH_MAX + 1], clear[PASSWORD_MAX];
	struct err sub = ERR_INIT;

	*match = false;
	if (examine(hash, text, e) != RC_OK)
		return e->code = RC_CORRUPT;
	if (!slice_to_cstr(password, clear, sizeof clear))
		return RC_OK;   /* no hash can be that of a longer one, or of one with NUL */
	if (run(text, clear, match, &sub) != RC_OK)
		*e = sub;
	secret_wipe(clear, sizeof clear);
	return sub.code;
}

#else

static enum rc
examine(struct slice hash, char text[CRYPT_HASH_MAX + 1], struct err *e)
{
	text[0] = '\0';
	if (examine_text(hash, e) != RC_OK)
		return e->code;
	return err_set(e, RC_SYNTAX, "restante was built without crypt(3)");
}

enum rc
crypt_hash_check(struct slice hash, struct slice password, bool *match, struct err *e)
{
	char text[CRYPT_HASH_MAX + 1];

	(void)password;
	*match = false;
	(void)examine(hash, text, e);
	return e->code = RC_CORRUPT;
}

#endif

enum rc
crypt_hash_examine(struct slice hash, struct err *e)
{
	char text[CRYPT_HASH_MAX + 1];

	return examine(hash, text, e);
}
