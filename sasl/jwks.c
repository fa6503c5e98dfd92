/* jwks - reading JWK Sets and verifying signatures with their keys. See jwks.h.
 *
 * RFC 7517 (JWK), RFC 7518 (RSA, EC, RS256, ES256), RFC 8037 (Ed25519). The arithmetic is
 * OpenSSL's; what is checked here is what OpenSSL would let pass: sizes, exponents, the length of
 * an ES256 signature and that neither half of it is zero.
 */
#include "sasl/jwks.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "sasl/jose.h"

#define RSA_BITS_MIN  2048      /* [RFC 7518 s3.3] */
#define RSA_BITS_MAX  8192      /* each verification costs accordingly */
#define EXPONENT_MAX  8u        /* bytes */
#define COORDINATE    32u       /* bytes of x, y, r, s of P-256, and of an Ed25519 key
                                 * [RFC 7518 s6.2.1.2, s3.4] */
#define KEY_BYTES_MAX 2048u
#define DER_MAX       80u       /* of two integers of COORDINATE bytes */

enum jwk_kind {
	JWK_RSA,
	JWK_P256,
	JWK_ED25519,
};

struct jwk {
	enum jwk_kind kind;
	char         *kid;              /* NULL: none */
	size_t        kid_len;
	EVP_PKEY     *key;
};

struct jwks {
	atomic_uint refs;
	size_t      count;
	struct jwk  keys[JWKS_KEYS_MAX];
};

static const struct kind {
	const char *kty, *crv, *alg;    /* crv NULL: such keys have none */
} kinds[] = {
	[JWK_RSA] = { "RSA", NULL, "RS256" },
	[JWK_P256] = { "EC", "P-256", "ES256" },
	[JWK_ED25519] = { "OKP", "Ed25519", "EdDSA" },
};

#define KINDS (sizeof kinds / sizeof kinds[0])

/* ---- which keys of a set concern us ---- */

static bool
has_verify(const json_t *ops)
{
	for (size_t i = 0; i < json_array_size(ops); i++)
		if (jose_is_string(json_array_get(ops, i), SLICE("verify")))
			return true;
	return false;
}

/* use, key_ops and alg, where given, must fit [RFC 7517 s4.2 to s4.4]. */
static bool
is_for_signatures(const json_t *j, const char *alg)
{
	const json_t *use = json_object_get(j, "use"), *ops = json_object_get(j, "key_ops"),
	             *named = json_object_get(j, "alg");

	return (use == NULL || jose_is_string(use, SLICE("sig"))) &&
	       (ops == NULL || has_verify(ops)) &&
	       (named == NULL || jose_is_string(named, slice_str(alg)));
}

/* False: a key for somebody else. */
static bool
is_ours(const json_t *j, enum jwk_kind *kind)
{
	for (size_t i = 0; i < KINDS; i++) {
		const struct kind *k = &kinds[i];

		if (jose_is_string(json_object_get(j, "kty"), slice_str(k->kty)) &&
		    (k->crv == NULL ||
		        jose_is_string(json_object_get(j, "crv"), slice_str(k->crv)))) {
			*kind = (enum jwk_kind)i;
			return is_for_signatures(j, k->alg);
		}
	}
	return false;
}

/* ---- making OpenSSL's keys ---- */

/* The key that `params`, which is freed, describe; NULL: they are none, or no memory. */
static EVP_PKEY *
key_from(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

/* Is the key one at all: for EC, that the point is on the curve [RFC 8725 s3.4]? */
static bool
is_sound(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool sound = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return sound;
}

static OSSL_PARAM *
rsa_params(const BIGNUM *n, const BIGNUM *exponent)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;

	if (bld != NULL && n != NULL && exponent != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		params = OSSL_PARAM_BLD_to_param(bld);
	OSSL_PARAM_BLD_free(bld);
	return params;
}

/* [RFC 7518 s6.3.1] */
static enum rc
make_rsa(const json_t *j, struct jwk *out, struct err *e)
{
	struct buf n, exp;
	BIGNUM *bn = NULL, *be = NULL;
	enum rc rc = RC_OK;

	buf_init(&n, KEY_BYTES_MAX);
	buf_init(&exp, EXPONENT_MAX);
	if (!jose_bytes(j, "n", &n) || !jose_bytes(j, "e", &exp) || exp.len == 0) {
		rc = err_set(e, RC_SYNTAX, "n or e is missing or malformed");
	} else {
		bn = BN_bin2bn(n.ptr, (int)n.len, NULL);
		be = BN_bin2bn(exp.ptr, (int)exp.len, NULL);
		if (bn == NULL || be == NULL)
			rc = err_nomem(e);
		else if (BN_num_bits(bn) < RSA_BITS_MIN || BN_num_bits(bn) > RSA_BITS_MAX)
			rc = err_set(e, RC_SYNTAX, "RSA of %d bits; allowed: %d to %d",
			    BN_num_bits(bn), RSA_BITS_MIN, RSA_BITS_MAX);
		else if (!BN_is_odd(bn) || !BN_is_odd(be) || BN_is_one(be))
			rc = err_set(e, RC_SYNTAX, "n or e is no number for RSA");
	}
	if (rc == RC_OK) {
		out->key = key_from("RSA", rsa_params(bn, be));
		if (out->key == NULL)
			rc = err_set(e, RC_SYNTAX, "no RSA key");
	}
	BN_free(bn);
	BN_free(be);
	buf_fini(&n);
	buf_fini(&exp);
	return rc;
}

static OSSL_PARAM *
p256_params(struct slice point)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;

	if (bld != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
	        1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.ptr, point.len) ==
	        1)
		params = OSSL_PARAM_BLD_to_param(bld);
	OSSL_PARAM_BLD_free(bld);
	return params;
}

/* [RFC 7518 s6.2.1]; x and y have their full length, leading zeros too. */
static enum rc
make_p256(const json_t *j, struct jwk *out, struct err *e)
{
	struct buf point;
	bool ok;

	buf_init(&point, 1 + 2 * COORDINATE);
	ok = buf_append_byte(&point, POINT_CONVERSION_UNCOMPRESSED) && jose_bytes(j, "x", &point) &&
	     point.len == 1 + COORDINATE && jose_bytes(j, "y", &point) &&
	     point.len == 1 + 2 * COORDINATE;
	if (ok)
		out->key = key_from("EC", p256_params(buf_slice(&point)));
	buf_fini(&point);
	if (out->key == NULL || !is_sound(out->key))
		return err_set(e, RC_SYNTAX, "x and y are no point of P-256");
	return RC_OK;
}

/* [RFC 8037 s2] */
static enum rc
make_ed25519(const json_t *j, struct jwk *out, struct err *e)
{
	struct buf x;

	buf_init(&x, COORDINATE);
	if (jose_bytes(j, "x", &x) && x.len == COORDINATE)
		out->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.ptr, x.len);
	buf_fini(&x);
	return out->key != NULL ? RC_OK : err_set(e, RC_SYNTAX, "x is no key of Ed25519");
}

static enum rc
make_key(const json_t *j, struct jwk *out, struct err *e)
{
	switch (out->kind) {
	case JWK_RSA:
		return make_rsa(j, out, e);
	case JWK_P256:
		return make_p256(j, out, e);
	case JWK_ED25519:
		return make_ed25519(j, out, e);
	}
	return RC_OK;
}

/* ---- the set ---- */

/* "kid" is compared with the tokens', octet by octet, and used for nothing else. */
static enum rc
take_kid(const struct jwks *set, const json_t *j, struct jwk *out, struct err *e)
{
	struct slice kid;

	if (json_object_get(j, "kid") == NULL)
		return RC_OK;
	if (!jose_string(j, "kid", &kid) || kid.len == 0)
		return err_set(e, RC_SYNTAX, "kid is empty or no string");
	for (size_t i = 0; i < set->count; i++)
		if (set->keys[i].kid != NULL &&
		    slice_eq(slice_of(set->keys[i].kid, set->keys[i].kid_len), kid))
			return err_set(e, RC_SYNTAX, "another key has this kid");
	out->kid = slice_strdup(kid);
	out->kid_len = kid.len;
	return out->kid != NULL ? RC_OK : err_nomem(e);
}

/* "d" is the private part of every asymmetric key, "k" all of a symmetric one [RFC 7518 s6]. */
static bool
is_secret(const json_t *j)
{
	return json_object_get(j, "d") != NULL || json_object_get(j, "k") != NULL;
}

static enum rc
add_key(struct jwks *set, const json_t *j, struct err *e)
{
	struct jwk *k = &set->keys[set->count];
	enum rc rc;

	if (!json_is_object(j))
		return err_set(e, RC_SYNTAX, "no object");
	if (is_secret(j))
		return err_set(e, RC_SYNTAX,
		               "a private or symmetric key: only public keys belong here");
	if (!is_ours(j, &k->kind))
		return RC_OK;
	rc = take_kid(set, j, k, e);
	if (rc == RC_OK)
		rc = make_key(j, k, e);
	if (rc == RC_OK) {
		set->count++;
		return RC_OK;
	}
	free(k->kid);
	EVP_PKEY_free(k->key);
	*k = (struct jwk){ 0 };
	return rc;
}

static enum rc
add_keys(struct jwks *set, const json_t *root, struct err *e)
{
	const json_t *list = json_object_get(root, "keys");
	enum rc rc = RC_OK;

	if (!json_is_array(list))
		return err_set(e, RC_SYNTAX, "no JWK Set: it has no array \"keys\"");
	if (json_array_size(list) > JWKS_KEYS_MAX)
		return err_set(e, RC_SYNTAX, "more than %u keys", JWKS_KEYS_MAX);
	for (size_t i = 0; i < json_array_size(list) && rc == RC_OK; i++) {
		rc = add_key(set, json_array_get(list, i), e);
		if (rc != RC_OK)
			err_add(e, "key %zu", i + 1);
	}
	if (rc == RC_OK && set->count == 0)
		rc = err_set(e, RC_SYNTAX, "no key for RS256, ES256 or EdDSA signatures");
	return rc;
}

enum rc
jwks_parse(struct slice text, struct jwks **out, struct err *e)
{
	struct jwks *set;
	json_t *root;
	enum rc rc;

	*out = NULL;
	if (text.len > JWKS_FILE_MAX)
		return err_set(e, RC_SYNTAX, "more than %u bytes", JWKS_FILE_MAX);
	rc = jose_parse(text, &root, e);
	if (rc != RC_OK)
		return rc;
	set = calloc(1, sizeof *set);
	if (set != NULL) {
		atomic_init(&set->refs, 1);
		rc = add_keys(set, root, e);
	} else {
		rc = err_nomem(e);
	}
	json_decref(root);
	ERR_clear_error();
	if (rc != RC_OK)
		jwks_unref(&set);
	*out = set;
	return rc;
}

struct jwks *
jwks_ref(struct jwks *set)
{
	atomic_fetch_add(&set->refs, 1);
	return set;
}

void
jwks_unref(struct jwks **ps)
{
	struct jwks *set = *ps;

	*ps = NULL;
	if (set == NULL || atomic_fetch_sub(&set->refs, 1) > 1)
		return;
	for (size_t i = 0; i < set->count; i++) {
		free(set->keys[i].kid);
		EVP_PKEY_free(set->keys[i].key);
	}
	free(set);
}

size_t
jwks_count(const struct jwks *set)
{
	return set->count;
}

const struct jwk *
jwks_find(const struct jwks *set, struct slice kid)
{
	if (kid.len == 0)
		return set->count == 1 ? &set->keys[0] : NULL;
	for (size_t i = 0; i < set->count; i++)
		if (set->keys[i].kid != NULL &&
		    slice_eq(slice_of(set->keys[i].kid, set->keys[i].kid_len), kid))
			return &set->keys[i];
	return NULL;
}

const char *
jwk_algorithm(const struct jwk *k)
{
	return kinds[k->kind].alg;
}

/* ---- signatures ---- */

/* r and s, COORDINATE bytes each [RFC 7518 s3.4], as OpenSSL wants them. Zero is no
 * signature's half. */
static bool
der_from_raw(struct slice raw, uint8_t *der, size_t *len)
{
	BIGNUM *r = BN_bin2bn(raw.ptr, COORDINATE, NULL),
	       *s = BN_bin2bn(raw.ptr + COORDINATE, COORDINATE, NULL);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	bool ok = r != NULL && s != NULL && sig != NULL && !BN_is_zero(r) && !BN_is_zero(s) &&
	          ECDSA_SIG_set0(sig, r, s) == 1;
	uint8_t *to = der;
	int n;

	if (!ok) {              /* else they are sig's */
		BN_free(r);
		BN_free(s);
	}
	n = ok ? i2d_ECDSA_SIG(sig, NULL) : 0;
	ok = n > 0 && n <= (int)DER_MAX && i2d_ECDSA_SIG(sig, &to) == n;
	*len = (size_t)n;
	ECDSA_SIG_free(sig);
	return ok;
}

static bool
verify_with(const struct jwk *k, const EVP_MD *md, struct slice text, struct slice signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;      /* ctx's */
	bool ok = ctx != NULL && EVP_DigestVerifyInit(ctx, &pctx, md, NULL, k->key) == 1;

	if (ok && k->kind == JWK_RSA)
		/* [RFC 7518 s3.3] */
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1;
	ok = ok && EVP_DigestVerify(ctx, signature.ptr, signature.len, text.ptr, text.len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static bool
verify_p256(const struct jwk *k, struct slice text, struct slice signature)
{
	uint8_t der[DER_MAX];
	size_t len;

	return signature.len == 2 * COORDINATE && der_from_raw(signature, der, &len) &&
	       verify_with(k, EVP_sha256(), text, slice_of(der, len));
}

enum rc
jwk_verify(const struct jwk *k, struct slice text, struct slice signature, struct err *e)
{
	bool ok = false;

	switch (k->kind) {
	case JWK_RSA:
		ok = verify_with(k, EVP_sha256(), text, signature);
		break;
	case JWK_P256:
		ok = verify_p256(k, text, signature);
		break;
	case JWK_ED25519:       /* hashes by itself [RFC 8037 s3.1] */
		ok = verify_with(k, NULL, text, signature);
		break;
	}
	ERR_clear_error();      /* what is left there, TLS on this thread would take for its own */
	return ok ? RC_OK : err_set(e, RC_DENIED, "the signature is wrong");
}
