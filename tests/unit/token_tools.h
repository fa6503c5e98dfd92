/* token_tools - keys of each algorithm, as JWKs, and tokens signed with them. Everything may be wrong on purpose:
 * header and claims are any text. */
#ifndef RESTANTE_TESTS_UNIT_TOKEN_TOOLS_H
#define RESTANTE_TESTS_UNIT_TOKEN_TOOLS_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/base64.h"
#include "lib/buf.h"

#define TOKEN_TEXT_MAX 16384u

enum token_alg {
	TOKEN_RS256,
	TOKEN_ES256,
	TOKEN_EDDSA,
};

static inline void
token_base64url(struct slice in, struct buf *out)
{
	struct buf plain;

	buf_init(&plain, 2 * TOKEN_TEXT_MAX);
	assert_true(base64_encode(in, &plain) || in.len == 0);
	for (size_t i = 0; i < plain.len && plain.ptr[i] != '='; i++) {
		uint8_t c = plain.ptr[i];

		assert_true(buf_append_byte(out, c == '+' ? '-' : c == '/' ? '_' : c));
	}
	buf_fini(&plain);
}

static inline EVP_PKEY *
token_key_new(enum token_alg alg)
{
	EVP_PKEY *key = alg == TOKEN_RS256   ? EVP_RSA_gen(2048)
	                : alg == TOKEN_ES256 ? EVP_EC_gen("P-256")
	                                     : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	assert_non_null(key);
	return key;
}

static inline void
token_number(struct buf *out, const char *name, EVP_PKEY *key, const char *param, int width)
{
	BIGNUM *n = NULL;
	uint8_t bytes[1024];
	int len;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
	len = width > 0 ? width : BN_num_bytes(n);
	assert_int_equal(BN_bn2binpad(n, bytes, len), len);
	BN_free(n);
	buf_printf(out, ",\"%s\":\"", name);
	token_base64url(slice_of(bytes, (size_t)len), out);
	buf_append_str(out, "\"");
}

/* The public key as a JWK; `extra` is more members, each with a comma before it. */
static inline void
token_jwk(struct buf *out, EVP_PKEY *key, enum token_alg alg, const char *extra)
{
	uint8_t raw[32];
	size_t len = sizeof raw;

	switch (alg) {
	case TOKEN_RS256:
		buf_append_str(out, "{\"kty\":\"RSA\"");
		token_number(out, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
		token_number(out, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
		break;
	case TOKEN_ES256:
		buf_append_str(out, "{\"kty\":\"EC\",\"crv\":\"P-256\"");
		token_number(out, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
		token_number(out, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
		break;
	case TOKEN_EDDSA:
		assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
		buf_append_str(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
		token_base64url(slice_of(raw, len), out);
		buf_append_str(out, "\"");
		break;
	}
	buf_printf(out, "%s}", extra);
}

/* DER to r and s. */
static inline size_t
token_raw_signature(uint8_t *sig, size_t len)
{
	const uint8_t *from = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &from, (long)len);
	uint8_t raw[64];

	assert_non_null(s);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + 32, 32), 32);
	ECDSA_SIG_free(s);
	memcpy(sig, raw, sizeof raw);
	return sizeof raw;
}

/* header.claims, in base64url. */
static inline void
token_text(struct buf *out, struct slice header, struct slice claims)
{
	buf_init(out, TOKEN_TEXT_MAX);
	token_base64url(header, out);
	buf_append_byte(out, '.');
	token_base64url(claims, out);
}

static inline void
token_add_signature(struct buf *out, struct slice raw)
{
	buf_append_byte(out, '.');
	token_base64url(raw, out);
	assert_false(out->failed);
}

/* A token; buf_fini it. */
static inline void
token_sign(struct buf *out, EVP_PKEY *key, enum token_alg alg, struct slice header,
           struct slice claims)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[1024];
	size_t len = sizeof sig;

	token_text(out, header, claims);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, alg == TOKEN_EDDSA ? NULL : EVP_sha256(),
	                                    NULL, key),
	                 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, out->ptr, out->len), 1);
	EVP_MD_CTX_free(ctx);
	if (alg == TOKEN_ES256)
		len = token_raw_signature(sig, len);
	token_add_signature(out, slice_of(sig, len));
}

#endif
