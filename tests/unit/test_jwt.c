/* JWK Sets and tokens: the vectors of the RFCs, keys made here, and every way known to us in which
 * servers were led to take a token that is none. */
#include "tests/unit/token_tools.h"

#include "sasl/jwt.h"

#define NOW UINT64_C(1800000000)

static EVP_PKEY *keys[3], *stranger;
static struct jwks *set;

static const char *const audiences[] = { "mail", "imap://mail.example" };
static const struct jwt_policy policy = {
	.issuer = SLICE_INIT("https://id.example"),
	.audiences = audiences,
	.audience_count = 2,
	.claim = SLICE_INIT("sub"),
	.skew_s = 60,
};

static const char *const headers[] = {
	[TOKEN_RS256] = "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"at+jwt\"}",
	[TOKEN_ES256] = "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"JWT\"}",
	[TOKEN_EDDSA] = "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}",
};

#define ISS "\"iss\":\"https://id.example\""
#define AUD "\"aud\":\"mail\""
#define EXP "\"exp\":1800000300"
#define SUB "\"sub\":\"anna\""
#define GOOD "{" ISS "," AUD "," EXP "," SUB "}"

/* ---- sets ---- */

static struct jwks *
parse_set(const char *text)
{
	struct slice copy = unit_copy(slice_str(text));
	struct jwks *s;
	struct err e = ERR_INIT;

	assert_int_equal(jwks_parse(copy, &s, &e), RC_OK);
	unit_drop(copy);
	return s;
}

static int
make_keys(void **state)
{
	static const char *const members[] = {
		",\"kid\":\"rsa\",\"use\":\"sig\",\"alg\":\"RS256\"",
		",\"kid\":\"ec\",\"key_ops\":[\"verify\"],\"x5t\":\"ignored\"",
		",\"kid\":\"ed\"",
	};
	struct buf text;

	(void)state;
	buf_init(&text, TOKEN_TEXT_MAX);
	for (int i = 0; i < 3; i++) {
		keys[i] = token_key_new((enum token_alg)i);
		buf_append_str(&text, i == 0 ? "{\"keys\":[" : ",");
		token_jwk(&text, keys[i], (enum token_alg)i, members[i]);
	}
	buf_append(&text, "]}", 3);
	stranger = token_key_new(TOKEN_RS256);
	set = parse_set((const char *)text.ptr);
	buf_fini(&text);
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		EVP_PKEY_free(keys[i]);
	EVP_PKEY_free(stranger);
	jwks_unref(&set);
	return 0;
}

/* Why the set `{"keys":[TEXT]}` is refused. */
static void
assert_refused(const char *text, const char *why)
{
	struct buf whole;
	struct jwks *s = NULL;
	struct err e = ERR_INIT;

	buf_init(&whole, TOKEN_TEXT_MAX);
	buf_printf(&whole, "{\"keys\":[%s]}", text);
	assert_int_equal(jwks_parse(buf_slice(&whole), &s, &e), RC_SYNTAX);
	assert_null(s);
	if (strstr(e.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\" of %s", e.text, why, text);
	buf_fini(&whole);
}

static void
test_set(void **state)
{
	(void)state;
	assert_int_equal(jwks_count(set), 3);
	assert_string_equal(jwk_algorithm(jwks_find(set, SLICE("rsa"))), "RS256");
	assert_string_equal(jwk_algorithm(jwks_find(set, SLICE("ec"))), "ES256");
	assert_string_equal(jwk_algorithm(jwks_find(set, SLICE("ed"))), "EdDSA");
	assert_null(jwks_find(set, SLICE("RSA")));
	assert_null(jwks_find(set, SLICE("rsa\0")));
	assert_null(jwks_find(set, SLICE("../rsa")));
	assert_null(jwks_find(set, SLICE("")));
}

#define ED_X "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define ED "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," ED_X
#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y

static void
test_set_refused(void **state)
{
	static const struct {
		const char *keys, *why;
	} cases[] = {
		{ "", "no key for" },
		{ "7", "no object" },
		{ "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}", "symmetric" },
		{ ED ",\"d\":\"AA\"}", "private" },
		{ ED ",\"use\":\"enc\"}", "no key for" },
		{ ED ",\"alg\":\"ES256\"}", "no key for" },
		{ ED ",\"key_ops\":[\"sign\"]}", "no key for" },
		{ ED ",\"kid\":7}", "kid" },
		{ ED ",\"kid\":\"\"}", "kid" },
		{ ED ",\"kid\":\"a\"}," EC ",\"kid\":\"a\"}", "another key" },
		{ ED ",\"kid\":\"a\\u0000b\"}", "not JSON" },
		{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qY\"}", "Ed25519" },
		{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "Ed25519" },
		{ "{\"kty\":\"OKP\",\"crv\":\"X25519\"," ED_X "}", "no key for" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}", "P-256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}", "P-256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"AA\"}", "P-256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-384\"," EC_X "," EC_Y "}", "no key for" },
		{ "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "17 bits" },
		{ "{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "n or e" },
		{ "{\"kty\":\"RSA\",\"n\":\"AQ+B\",\"e\":\"AQAB\"}", "n or e" },
		{ ED "," ED_X "}", "not JSON" },       /* a member twice */
	};
	struct jwks *s;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		assert_refused(cases[i].keys, cases[i].why);
	assert_int_equal(jwks_parse(SLICE("[]"), &s, &e), RC_SYNTAX);
	assert_int_equal(jwks_parse(SLICE("{}"), &s, &e), RC_SYNTAX);
	assert_int_equal(jwks_parse(SLICE("{\"keys\":{}}"), &s, &e), RC_SYNTAX);
	assert_int_equal(jwks_parse(SLICE("{\"keys\":[[[[[[[[[[]]]]]]]]]]}"), &s, &e), RC_SYNTAX);
	assert_non_null(strstr(e.text, "deep"));
}

/* 1024 bits, an even exponent, and an exponent of 1 [RFC 8725 s3.5]. */
static void
test_set_weak_rsa(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	struct buf jwk, n;

	(void)state;
	buf_init(&jwk, TOKEN_TEXT_MAX);
	token_jwk(&jwk, weak, TOKEN_RS256, "");
	buf_append_byte(&jwk, 0);
	assert_refused((const char *)jwk.ptr, "1024 bits");
	EVP_PKEY_free(weak);
	buf_init(&n, TOKEN_TEXT_MAX);
	token_number(&n, "n", keys[TOKEN_RS256], OSSL_PKEY_PARAM_RSA_N, 0);
	buf_append_byte(&n, 0);
	buf_reset(&jwk);
	buf_printf(&jwk, "{\"kty\":\"RSA\",\"e\":\"AQ\"%s}", (const char *)n.ptr);
	buf_append_byte(&jwk, 0);
	assert_refused((const char *)jwk.ptr, "no number");
	buf_fini(&jwk);
	buf_fini(&n);
}

static void
test_set_too_many(void **state)
{
	struct buf text;
	struct jwks *s;
	struct err e = ERR_INIT;

	(void)state;
	buf_init(&text, 2 * JWKS_FILE_MAX);
	buf_append_str(&text, "{\"keys\":[{}");
	for (unsigned i = 0; i < JWKS_KEYS_MAX; i++)
		buf_append_str(&text, ",{}");
	buf_append_str(&text, "]}");
	assert_int_equal(jwks_parse(buf_slice(&text), &s, &e), RC_SYNTAX);
	assert_non_null(strstr(e.text, "more than 100 keys"));
	while (text.len <= JWKS_FILE_MAX)
		buf_append_byte(&text, ' ');
	assert_int_equal(jwks_parse(buf_slice(&text), &s, &e), RC_SYNTAX);
	assert_non_null(strstr(e.text, "bytes"));
	buf_fini(&text);
}

/* Keys of others in the set, as public providers have them, do no harm. */
static void
test_set_passes_over(void **state)
{
	struct jwks *s = parse_set(
	    "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AQAB\",\"e\":\"AQAB\"},"
	    "{\"kty\":\"NEW\"}," ED
	    ",\"kid\":\"a\"},{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"\"}],"
	    "\"other\":1}");

	(void)state;
	assert_int_equal(jwks_count(s), 1);
	assert_ptr_equal(jwks_find(s, SLICE("")), jwks_find(s, SLICE("a")));
	assert_null(jwks_find(s, SLICE("b")));
	jwks_unref(&s);
}

/* ---- vectors ---- */

/* RFC 7515 A.2 and A.3, RFC 8037 A.4: the signature over the text in front of it,
 * under the only key. */
static const struct vector {
	const char *set, *text, *signature;
} vectors[] = {
	{ "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx"
	  "HmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf"
	  "63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxX"
	  "FvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}]}",
	  "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp"
	  "0cnVlfQ",
	  "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUA"
	  "r7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO-"
	  "-xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
	  "IoypGlUPQGe77Rw" },
	{ "{\"keys\":[" EC "}]}",
	  "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
	  "cnVlfQ",
	  "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q" },
	{ "{\"keys\":[" ED "}]}", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
	  "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg" },
};

static void
test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(vectors); i++) {
		struct jwks *s = parse_set(vectors[i].set);
		const struct jwk *k = jwks_find(s, SLICE(""));
		struct err e = ERR_INIT;
		struct buf sig;

		buf_init(&sig, 1024);
		assert_true(base64url_decode(slice_str(vectors[i].signature), &sig));
		assert_int_equal(jwk_verify(k, slice_str(vectors[i].text), buf_slice(&sig), &e),
		                 RC_OK);
		for (size_t at = 0; at < sig.len; at += 7) {
			sig.ptr[at] ^= 1;
			assert_int_equal(jwk_verify(k, slice_str(vectors[i].text), buf_slice(&sig),
			                            &e),
			                 RC_DENIED);
			sig.ptr[at] ^= 1;
		}
		assert_int_equal(jwk_verify(k, slice_str(vectors[i].text + 1), buf_slice(&sig), &e),
		                 RC_DENIED);
		buf_fini(&sig);
		jwks_unref(&s);
	}
}

/* A.3 as a token: genuine, but nothing for us. */
static void
test_vector_as_token(void **state)
{
	struct jwks *s = parse_set(vectors[1].set);
	struct jwt_policy joe = policy;
	char account[SASL_NAME_MAX + 1];
	struct err e = ERR_INIT;
	struct buf t;

	(void)state;
	buf_init(&t, JWT_MAX);
	buf_printf(&t, "%s.%s", vectors[1].text, vectors[1].signature);
	joe.issuer = SLICE("joe");
	assert_int_equal(jwt_verify(buf_slice(&t), s, &joe, 1300819000, account, &e), JWT_INVALID);
	assert_non_null(strstr(e.text, "audience"));
	buf_fini(&t);
	jwks_unref(&s);
}

/* ---- tokens ---- */

/* What becomes of the text as a token: "ok NAME" or why not. */
static const char *
outcome(struct slice text, const struct jwt_policy *p)
{
	static char out[ERR_TEXT_MAX + 8];
	struct slice copy = unit_copy(text);
	char account[SASL_NAME_MAX + 1];
	struct err e = ERR_INIT;
	enum jwt_verdict v = jwt_verify(copy, set, p, NOW, account, &e);

	if (v == JWT_OK)
		snprintf(out, sizeof out, "ok %s", account);
	else
		snprintf(out, sizeof out, "%s", e.text);
	assert_true(v == JWT_OK || account[0] == '\0');
	unit_drop(copy);
	return out;
}

static void
assert_outcome(struct slice text, const struct jwt_policy *p, const char *want, const char *name)
{
	const char *got = outcome(text, p);

	if (strstr(got, want) == NULL)
		fail_msg("%s: \"%s\" where \"%s\" was wanted", name, got, want);
}

static void
try_signed(EVP_PKEY *key, enum token_alg alg, const char *header, const char *claims,
           const char *want)
{
	struct buf t;

	token_sign(&t, key, alg, slice_str(header), slice_str(claims));
	assert_outcome(buf_slice(&t), &policy, want, claims);
	buf_fini(&t);
}

static void
test_good(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		try_signed(keys[i], (enum token_alg)i, headers[i], GOOD, "ok anna");
}

/* Every prefix of a token, and every octet of it changed. */
static void
test_damaged(void **state)
{
	struct buf t;

	(void)state;
	token_sign(&t, keys[TOKEN_ES256], TOKEN_ES256, slice_str(headers[TOKEN_ES256]),
	           SLICE(GOOD));
	for (size_t i = 0; i < t.len; i++) {
		uint8_t was = t.ptr[i];

		assert_outcome(slice_of(t.ptr, i), &policy, "token", "prefix");
		t.ptr[i] = was == 'A' ? 'B' : 'A';
		assert_outcome(buf_slice(&t), &policy, "token", "changed");
		t.ptr[i] = '.';
		if (was != '.')
			assert_outcome(buf_slice(&t), &policy, "token", "dot");
		t.ptr[i] = was;
	}
	buf_append_byte(&t, 'A');
	assert_outcome(buf_slice(&t), &policy, "token", "longer");
	buf_fini(&t);
}

static void
test_claims(void **state)
{
	static const struct {
		const char *claims, *want;
	} cases[] = {
		{ "{" ISS ",\"aud\":[\"x\",\"imap://mail.example\"]," EXP "," SUB "}", "ok anna" },
		{ "{" ISS ",\"aud\":[\"x\",7]," EXP "," SUB "}", "audience" },
		{ "{" ISS ",\"aud\":[]," EXP "," SUB "}", "audience" },
		{ "{" ISS ",\"aud\":\"mail2\"," EXP "," SUB "}", "audience" },
		{ "{" ISS ",\"aud\":[[\"mail\"]]," EXP "," SUB "}", "audience" },
		{ "{" ISS "," EXP "," SUB "}", "audience" },
		{ "{\"iss\":\"https://id.example/\"," AUD "," EXP "," SUB "}", "issuer" },
		{ "{\"iss\":[\"https://id.example\"]," AUD "," EXP "," SUB "}", "issuer" },
		{ "{" AUD "," EXP "," SUB "}", "issuer" },
		{ "{" ISS "," AUD "," EXP "}", "no sub" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":\"\"}", "no sub" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":7}", "no sub" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":[\"anna\"]}", "no sub" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":\"anna\\u0000\"}", "not JSON" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":\"an\xffna\"}", "not JSON" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":\"an\xc0\xae\"}", "not JSON" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":\"\\ud800\"}", "not JSON" },
		{ "{" ISS "," AUD "," EXP ",\"sub\":\"bert\"," SUB "}", "not JSON" },
		{ "{" ISS "," AUD "," EXP "," SUB "} ", "ok anna" },
		{ "{" ISS "," AUD "," EXP "," SUB "}x", "not JSON" },
		{ "[" GOOD "]", "no object" },
		{ "\"anna\"", "not" },
		{ "", "not JSON" },
		{ "{" ISS "," AUD "," EXP "," SUB ",\"a\":[[[[[[[[[]]]]]]]]]}", "deep" },
		{ "{" ISS "," AUD "," EXP "," SUB ",\"cnf\":{\"jkt\":\"x\"}}", "cnf" },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		try_signed(keys[TOKEN_EDDSA], TOKEN_EDDSA, headers[TOKEN_EDDSA], cases[i].claims,
		           cases[i].want);
}

static void
test_times(void **state)
{
	static const struct {
		const char *times, *want;
	} cases[] = {
		{ "\"exp\":1799999941", "ok anna" },    /* within the skew, to the second */
		{ "\"exp\":1799999940", "expired" },
		{ "\"exp\":1799999940.9", "expired" },
		{ "\"exp\":1800000300.5", "ok anna" },
		{ "\"exp\":1.8000003e9", "ok anna" },
		{ "\"exp\":253402300799", "ok anna" },
		{ "\"exp\":1800000300000", "no time" },                 /* milliseconds */
		{ "\"exp\":1e18", "no time" },
		{ "\"exp\":1e999", "not JSON" },
		{ "\"exp\":9223372036854775807", "no time" },
		{ "\"exp\":9223372036854775808", "not JSON" },
		{ "\"exp\":18446744073709551617", "not JSON" },
		{ "\"exp\":-1", "no time" },
		{ "\"exp\":-1800000300", "no time" },
		{ "\"exp\":-0.5", "no time" },
		{ "\"exp\":NaN", "not JSON" },
		{ "\"exp\":\"1800000300\"", "no time" },
		{ "\"exp\":true", "no time" },
		{ "\"exp\":null", "no time" },
		{ "\"nbf\":1", "exp is missing" },
		{ EXP ",\"nbf\":1800000060", "ok anna" },
		{ EXP ",\"nbf\":1800000061", "not come" },
		{ EXP ",\"nbf\":\"1\"", "no time" },
		{ EXP ",\"iat\":1800000060", "ok anna" },
		{ EXP ",\"iat\":1800000061", "not come" },
		{ EXP ",\"iat\":1e300", "no time" },
		{ EXP ",\"iat\":{}", "no time" },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char claims[256];

		snprintf(claims, sizeof claims, "{" ISS "," AUD "," SUB ",%s}", cases[i].times);
		try_signed(keys[TOKEN_EDDSA], TOKEN_EDDSA, headers[TOKEN_EDDSA], claims,
		           cases[i].want);
	}
}

static void
test_scope_and_claim(void **state)
{
	static const struct {
		const char *more, *want;
	} cases[] = {
		{ "\"scope\":\"openid mail.read\"", "ok anna@example.org" },
		{ "\"scope\":\"mail.read\"", "ok anna@example.org" },
		{ "\"scope\":\"mail.readwrite email\"", "scope" },
		{ "\"scope\":[\"mail.read\"]", "scope" },
		{ "\"scp\":\"a mail.read\"", "ok anna@example.org" },
		{ "\"scp\":[\"a\",\"mail.read\"]", "ok anna@example.org" },
		{ "\"scp\":[\"a mail.read\"]", "scope" },
		{ "\"scope\":\"\"", "scope" },
		{ "\"x\":1", "scope" },
		{ "\"scope\":\"mail.read\",\"email_verified\":true", "ok anna@example.org" },
		{ "\"scope\":\"mail.read\",\"email_verified\":\"true\"", "ok anna@example.org" },
		{ "\"scope\":\"mail.read\",\"email_verified\":false", "email_verified" },
		{ "\"scope\":\"mail.read\",\"email_verified\":null", "email_verified" },
	};
	struct jwt_policy p = policy;

	(void)state;
	p.scope = SLICE("mail.read");
	p.claim = SLICE("email");
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char claims[256];
		struct buf t;

		snprintf(claims, sizeof claims,
		         "{" ISS "," AUD "," EXP "," SUB ",\"email\":\"anna@example.org\",%s}",
		         cases[i].more);
		token_sign(&t, keys[TOKEN_EDDSA], TOKEN_EDDSA, slice_str(headers[TOKEN_EDDSA]),
		           slice_str(claims));
		assert_outcome(buf_slice(&t), &p, cases[i].want, claims);
		buf_fini(&t);
	}
}

/* A name of 255 octets is one, a longer one not; a "scope" that is missing keeps
 * its own verdict. */
static void
test_verdicts(void **state)
{
	struct jwt_policy p = policy;
	char account[SASL_NAME_MAX + 1], claims[600];
	struct err e = ERR_INIT;

	(void)state;
	snprintf(claims, sizeof claims, "{" ISS "," AUD "," EXP ",\"sub\":\"%0255d\"}", 0);
	assert_int_equal(jwt_check_claims(slice_str(claims), &p, NOW, account, &e), JWT_OK);
	assert_int_equal(strlen(account), 255);
	snprintf(claims, sizeof claims, "{" ISS "," AUD "," EXP ",\"sub\":\"%0256d\"}", 0);
	assert_int_equal(jwt_check_claims(slice_str(claims), &p, NOW, account, &e), JWT_INVALID);
	assert_string_equal(account, "");
	p.scope = SLICE("mail");
	assert_int_equal(jwt_check_claims(SLICE(GOOD), &p, NOW, account, &e), JWT_NO_SCOPE);
	assert_string_equal(account, "");
}

/* ---- attacks ---- */

/* Headers that ask for another check than the key's [RFC 8725 s2.1, s2.2, s3.1]. All are signed by
 * the right key. */
static void
test_headers(void **state)
{
	static const struct {
		const char *header, *want;
	} cases[] = {
		{ "{\"alg\":\"RS256\",\"kid\":\"ed\"}", "alg" },
		{ "{\"alg\":\"eddsa\",\"kid\":\"ed\"}", "alg" },
		{ "{\"alg\":\"none\",\"kid\":\"ed\"}", "alg" },
		{ "{\"alg\":\"HS256\",\"kid\":\"ed\"}", "alg" },
		{ "{\"alg\":[\"EdDSA\"],\"kid\":\"ed\"}", "alg" },
		{ "{\"kid\":\"ed\"}", "alg" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"rsa\"}", "alg" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ec\"}", "alg" },
		{ "{\"alg\":\"EdDSA\"}", "no kid" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"\"}", "kid" },
		{ "{\"alg\":\"EdDSA\",\"kid\":7}", "kid" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"Ed\"}", "no key" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"/etc/passwd\"}", "no key" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"../../ed\"}", "no key" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"./ed\"}", "no key" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed%00\"}", "no key" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\\u0000\"}", "not JSON" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"' OR 1=1 --\"}", "no key" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"kid\":\"rsa\"}", "not JSON" },
		{ "{\"alg\":\"EdDSA\",\"alg\":\"none\",\"kid\":\"ed\"}", "not JSON" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"crit\":[\"exp\"]}", "crit" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"crit\":[\"b64\"],\"b64\":false}", "crit" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"crit\":[]}", "crit" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"cty\":\"JWT\"}", "nested" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"enc\":\"A128GCM\"}", "encrypted" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":\"logout+jwt\"}", "typ" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":\"dpop+jwt\"}", "typ" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":7}", "typ" },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":\"application/AT+JWT\"}", "ok anna" },
		{ "[]", "no object" },
		{ "", "not JSON" },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		try_signed(keys[TOKEN_EDDSA], TOKEN_EDDSA, cases[i].header, GOOD, cases[i].want);
}

/* "none" in every spelling, with the empty signature that goes with it. */
static void
test_none(void **state)
{
	static const char *const spellings[] = { "none", "None", "NONE", "nOnE", "" };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(spellings); i++) {
		char header[64];
		struct buf t;

		snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"rsa\"}", spellings[i]);
		token_text(&t, slice_str(header), SLICE(GOOD));
		token_add_signature(&t, SLICE(""));
		assert_outcome(buf_slice(&t), &policy, "alg", header);
		buf_fini(&t);
	}
}

/* The public key, in each form in which it is published, as the secret of an HMAC. */
static void
test_hmac_with_public_key(void **state)
{
	static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"rsa\"}",
	                  honest[] = "{\"alg\":\"RS256\",\"kid\":\"rsa\"}";
	BIO *pem = BIO_new(BIO_s_mem());
	uint8_t mac[32];
	unsigned len = sizeof mac;
	char *secret;
	long secret_len;
	struct buf t;

	(void)state;
	assert_int_equal(PEM_write_bio_PUBKEY(pem, keys[TOKEN_RS256]), 1);
	secret_len = BIO_get_mem_data(pem, &secret);
	token_text(&t, slice_str(header), SLICE(GOOD));
	assert_non_null(HMAC(EVP_sha256(), secret, (int)secret_len, t.ptr, t.len, mac, &len));
	token_add_signature(&t, slice_of(mac, len));
	assert_outcome(buf_slice(&t), &policy, "alg", "HS256");
	buf_fini(&t);
	token_text(&t, slice_str(honest), SLICE(GOOD));
	assert_non_null(HMAC(EVP_sha256(), secret, (int)secret_len, t.ptr, t.len, mac, &len));
	token_add_signature(&t, slice_of(mac, len));
	assert_outcome(buf_slice(&t), &policy, "signature", "HMAC as RS256");
	buf_fini(&t);
	BIO_free(pem);
}

/* A key that comes with the token, or an address of one, counts for nothing. */
static void
test_embedded_key(void **state)
{
	struct buf header, jwk, t;

	(void)state;
	buf_init(&header, TOKEN_TEXT_MAX);
	buf_init(&jwk, TOKEN_TEXT_MAX);
	token_jwk(&jwk, stranger, TOKEN_RS256, ",\"kid\":\"rsa\"");
	buf_printf(&header,
	    "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jwk\":%.*s,\"jku\":\"http://127.0.0.1/keys\","
	    "\"x5u\":\"file:///tmp/cert.pem\",\"x5c\":[\"AA==\"]}",
	    SLICE_ARG(buf_slice(&jwk)));
	token_sign(&t, stranger, TOKEN_RS256, buf_slice(&header), SLICE(GOOD));
	assert_outcome(buf_slice(&t), &policy, "signature", "embedded key");
	buf_fini(&t);
	token_sign(&t, keys[TOKEN_RS256], TOKEN_RS256, buf_slice(&header), SLICE(GOOD));
	assert_outcome(buf_slice(&t), &policy, "ok anna", "unused");
	buf_fini(&t);
	buf_fini(&jwk);
	buf_fini(&header);
}

/* Signatures that are none: another's, of another length, zero, DER instead of r and s. */
static void
test_signatures(void **state)
{
	static const uint8_t zero[256];
	static const size_t lengths[] = { 0, 1, 32, 63, 64, 65, 72, 128, 256 };
	struct buf t;

	(void)state;
	token_sign(&t, stranger, TOKEN_RS256, slice_str(headers[TOKEN_RS256]), SLICE(GOOD));
	assert_outcome(buf_slice(&t), &policy, "signature", "of a stranger");
	buf_fini(&t);
	for (int alg = 0; alg < 3; alg++) {
		for (size_t i = 0; i < UNIT_COUNT(lengths); i++) {
			token_text(&t, slice_str(headers[alg]), SLICE(GOOD));
			token_add_signature(&t, slice_of(zero, lengths[i]));
			assert_outcome(buf_slice(&t), &policy, "signature", "zero");
			buf_fini(&t);
		}
	}
}

/* One half zero, n instead of r, and r, s in DER. */
static void
test_es256_signature_forms(void **state)
{
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff,
	                                   0xff, 0xff, 0xff, 0xff, 0xff,
		                           0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
		                           0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
	uint8_t sig[64], der[80];
	size_t der_len = sizeof der;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const struct jwk *k = jwks_find(set, SLICE("ec"));
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, keys[TOKEN_ES256]), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &der_len, (const uint8_t *)"text", 4), 1);
	EVP_MD_CTX_free(ctx);
	assert_int_equal(jwk_verify(k, SLICE("text"), slice_of(der, der_len), &e), RC_DENIED);
	memcpy(sig, der, sizeof sig);
	memset(sig, 0, 32);
	assert_int_equal(jwk_verify(k, SLICE("text"), slice_of(sig, 64), &e), RC_DENIED);
	assert_int_equal(token_raw_signature(der, der_len), 64);
	assert_int_equal(jwk_verify(k, SLICE("text"), slice_of(der, 64), &e), RC_OK);
	memcpy(sig, der, sizeof sig);
	memset(sig + 32, 0, 32);
	assert_int_equal(jwk_verify(k, SLICE("text"), slice_of(sig, 64), &e), RC_DENIED);
	memcpy(sig, order, 32);
	memcpy(sig + 32, order, 32);
	assert_int_equal(jwk_verify(k, SLICE("text"), slice_of(sig, 64), &e), RC_DENIED);
}

/* Other letters for the same bytes: padding, plain base64, white space, spare bits set
 * [RFC 7515 s2]. */
static void
test_strict_base64url(void **state)
{
	static const char *const bad[] = { "A", "AA=", "AA==", "AB", "AAB", "A+AA", "A/AA", "A A",
	                                   "AA\n", "AAAAA", "AA.A" };
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		struct slice copy = unit_copy(slice_str(bad[i]));

		assert_false(base64url_decode(copy, &out));
		assert_int_equal(out.len, 0);
		unit_drop(copy);
	}
	assert_true(base64url_decode(SLICE("-_8A-w"), &out));
	assert_memory_equal(out.ptr, "\xfb\xff\x00\xfb", 4);
	buf_fini(&out);
}

static void
test_too_long(void **state)
{
	char claims[JWT_MAX];
	struct buf t;

	(void)state;
	snprintf(claims, sizeof claims, "{" ISS "," AUD "," EXP "," SUB ",\"x\":\"%0*d\"}", 5600,
	         0);
	token_sign(&t, keys[TOKEN_EDDSA], TOKEN_EDDSA, slice_str(headers[TOKEN_EDDSA]),
	           slice_str(claims));
	assert_outcome(buf_slice(&t), &policy, "ok anna", "long");
	buf_fini(&t);
	snprintf(claims, sizeof claims, "{" ISS "," AUD "," EXP "," SUB ",\"x\":\"%0*d\"}", 6200,
	         0);
	token_sign(&t, keys[TOKEN_EDDSA], TOKEN_EDDSA, slice_str(headers[TOKEN_EDDSA]),
	           slice_str(claims));
	assert_outcome(buf_slice(&t), &policy, "at most", "too long");
	buf_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_refused),
		cmocka_unit_test(test_set_weak_rsa),
		cmocka_unit_test(test_set_too_many),
		cmocka_unit_test(test_set_passes_over),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_vector_as_token),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_scope_and_claim),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_hmac_with_public_key),
		cmocka_unit_test(test_embedded_key),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_es256_signature_forms),
		cmocka_unit_test(test_strict_base64url),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
