/* jwt - see jwt.h. */
#include "sasl/jwt.h"

#include <math.h>

#include "lib/base64.h"
#include "lib/text.h"
#include "sasl/jose.h"

#define SIGNATURE_MAX 1024u             /* bytes: RSA of 8192 bits */
#define TIME_MAX      253402300799u     /* the end of the year 9999: beyond it milliseconds were
                                         * taken for seconds */

/* header "." payload "." signature, in base64url each           [RFC 7515 s7.1] */
struct parts {
	struct slice header, payload, signature;
	struct slice signed_text;       /* the first two as they were sent */
};

static bool
split(struct slice token, struct parts *out)
{
	size_t one = slice_find_byte(token, '.'), two;
	struct slice rest = slice_sub(token, one + 1, token.len);

	two = one + 1 + slice_find_byte(rest, '.');
	if (one == token.len || two >= token.len)
		return false;
	out->header = slice_sub(token, 0, one);
	out->payload = slice_sub(token, one + 1, two);
	out->signed_text = slice_sub(token, 0, two);
	out->signature = slice_sub(token, two + 1, token.len);
	return true;                    /* a third dot is no letter of base64url */
}

/* ---- header ---- */

/* What the header may say a token is: nothing, a JWT, or an access token [RFC 9068 s2.1];
 * "application/" may be left out [RFC 7515 s4.1.9]. */
static bool
is_access_type(const json_t *typ)
{
	static const struct slice names[] = { SLICE_INIT("JWT"), SLICE_INIT("at+jwt"),
	                                      SLICE_INIT("application/jwt"),
		                              SLICE_INIT("application/at+jwt") };
	struct slice text;

	if (typ == NULL)
		return true;
	if (!json_is_string(typ))
		return false;
	text = slice_of(json_string_value(typ), json_string_length(typ));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_eq_nocase(names[i], text))
			return true;
	return false;
}

/* The key that must have signed it. */
static enum rc
check_header(const json_t *h, const struct jwks *keys, const struct jwk **out, struct err *e)
{
	struct slice kid = SLICE_NONE;

	if (json_object_get(h, "crit") != NULL)
		return err_set(e, RC_DENIED, "token: crit");
	if (json_object_get(h, "cty") != NULL || json_object_get(h, "enc") != NULL)
		return err_set(e, RC_DENIED, "token: nested or encrypted");
	if (!is_access_type(json_object_get(h, "typ")))
		return err_set(e, RC_DENIED, "token: its typ is not of an access token");
	if (json_object_get(h, "kid") != NULL && (!jose_string(h, "kid", &kid) || kid.len == 0))
		return err_set(e, RC_DENIED, "token: kid is empty or no string");
	*out = jwks_find(keys, kid);
	if (*out == NULL)
		return err_set(e, RC_DENIED,
		    kid.len > 0 ? "token: no key has its kid" : "token: no kid, and several keys");
	if (!jose_is_string(json_object_get(h, "alg"), slice_str(jwk_algorithm(*out))))
		return err_set(e, RC_DENIED, "token: its alg is not that of the key (%s)",
		               jwk_algorithm(*out));
	return RC_OK;
}

/* An object in base64url. */
static enum rc
parse_part(struct slice text, json_t **out, struct err *e)
{
	struct buf bytes;
	enum rc rc;

	buf_init(&bytes, JWT_MAX);
	if (base64url_decode(text, &bytes))
		rc = jose_parse(buf_slice(&bytes), out, e);
	else
		rc = err_set(e, RC_SYNTAX, "not base64url");
	buf_fini(&bytes);
	return rc;
}

static enum rc
find_key(struct slice header, const struct jwks *keys, const struct jwk **out, struct err *e)
{
	json_t *h;
	enum rc rc = parse_part(header, &h, e);

	if (rc != RC_OK)
		return err_add(e, "token: header");
	rc = check_header(h, keys, out, e);
	json_decref(h);
	return rc;
}

static enum rc
check_signature(const struct parts *p, const struct jwk *key, struct err *e)
{
	struct buf raw;
	enum rc rc;

	buf_init(&raw, SIGNATURE_MAX);
	if (base64url_decode(p->signature, &raw))
		rc = jwk_verify(key, p->signed_text, buf_slice(&raw), e);
	else
		rc = err_set(e, RC_SYNTAX, "the signature is too long, or not base64url");
	buf_fini(&raw);
	return rc == RC_OK ? RC_OK : err_add(e, "token");
}

/* ---- claims ---- */

/* NumericDate: seconds, perhaps with a fraction, which is cut [RFC 7519 s2]. */
static bool
read_time(const json_t *value, uint64_t *out)
{
	double real;

	if (json_is_integer(value)) {
		json_int_t n = json_integer_value(value);

		*out = n >= 0 ? (uint64_t)n : 0;
		return n >= 0 && *out <= TIME_MAX;
	}
	if (!json_is_real(value))
		return false;
	real = json_real_value(value);
	if (!isfinite(real) || real < 0 || real > (double)TIME_MAX)
		return false;
	*out = (uint64_t)real;
	return true;
}

/* A time that, where the claim is there, must have come [RFC 7519 s4.1.5, s4.1.6]. */
static enum rc
check_begun(const json_t *c, const char *name, const struct jwt_policy *p, uint64_t now_s,
            struct err *e)
{
	const json_t *value = json_object_get(c, name);
	uint64_t t;

	if (value == NULL)
		return RC_OK;
	if (!read_time(value, &t))
		return err_set(e, RC_DENIED, "token: %s is no time", name);
	if (t > now_s + p->skew_s)
		return err_set(e, RC_DENIED, "token: %s has not come yet", name);
	return RC_OK;
}

static enum rc
check_times(const json_t *c, const struct jwt_policy *p, uint64_t now_s, struct err *e)
{
	uint64_t exp;

	if (!read_time(json_object_get(c, "exp"), &exp))
		return err_set(e, RC_DENIED, "token: exp is missing or no time");
	if (now_s >= exp + p->skew_s)           /* [RFC 7519 s4.1.4] */
		return err_set(e, RC_DENIED, "token: expired");
	if (check_begun(c, "nbf", p, now_s, e) != RC_OK)
		return e->code;
	return check_begun(c, "iat", p, now_s, e);
}

static bool
names_us(const json_t *aud, const struct jwt_policy *p)
{
	for (size_t i = 0; i < p->audience_count; i++)
		if (jose_is_string(aud, slice_str(p->audiences[i])))
			return true;
	return false;
}

/* A string or an array of strings [RFC 7519 s4.1.3]. */
static bool
check_audience(const json_t *aud, const struct jwt_policy *p)
{
	if (!json_is_array(aud))
		return names_us(aud, p);
	for (size_t i = 0; i < json_array_size(aud); i++)
		if (names_us(json_array_get(aud, i), p))
			return true;
	return false;
}

/* Words separated by single spaces [RFC 6749 s3.3, RFC 9068 s2.2.3]. */
static bool
has_word(const json_t *value, struct slice wanted)
{
	struct slice rest;

	if (!json_is_string(value))
		return false;
	rest = slice_of(json_string_value(value), json_string_length(value));
	while (rest.len > 0) {
		size_t end = slice_find_byte(rest, ' ');

		if (slice_eq(slice_sub(rest, 0, end), wanted))
			return true;
		rest = slice_sub(rest, end + 1, rest.len);
	}
	return false;
}

/* "scope" is the standard's; Microsoft and Okta write "scp", the latter an array. */
static bool
check_scope(const json_t *c, struct slice wanted)
{
	const json_t *scp = json_object_get(c, "scp");

	if (wanted.len == 0 || has_word(json_object_get(c, "scope"), wanted) ||
	    has_word(scp, wanted))
		return true;
	for (size_t i = 0; i < json_array_size(scp); i++)
		if (jose_is_string(json_array_get(scp, i), wanted))
			return true;
	return false;
}

/* Anybody may tell some issuers that an address is theirs; then email_verified is false [OpenID
 * Connect Core s5.1]. One issuer writes it as a string. */
static bool
is_unverified(const json_t *c, struct slice claim)
{
	const json_t *verified = json_object_get(c, "email_verified");

	return slice_eq(claim, SLICE("email")) && verified != NULL && !json_is_true(verified) &&
	       !jose_is_string(verified, SLICE("true"));
}

static enum rc
read_account(const json_t *c, const struct jwt_policy *p, char account[SASL_NAME_MAX + 1],
             struct err *e)
{
	char claim[128];
	struct slice name;

	if (!slice_to_cstr(p->claim, claim, sizeof claim) || !jose_string(c, claim, &name) ||
	    name.len == 0)
		return err_set(e, RC_DENIED, "token: it has no %.*s", SLICE_ARG(p->claim));
	if (is_unverified(c, p->claim))
		return err_set(e, RC_DENIED, "token: email_verified is not true");
	if (!text_utf8_valid(name) || !slice_to_cstr(name, account, SASL_NAME_MAX + 1))
		return err_set(e, RC_DENIED, "token: %.*s is no name of an account",
		               SLICE_ARG(p->claim));
	return RC_OK;
}

static enum rc
check_claims(const json_t *c, const struct jwt_policy *p, uint64_t now_s, struct err *e)
{
	if (!jose_is_string(json_object_get(c, "iss"), p->issuer))
		return err_set(e, RC_DENIED, "token: of another issuer");
	if (!check_audience(json_object_get(c, "aud"), p))
		return err_set(e, RC_DENIED, "token: for another audience");
	if (json_object_get(c, "cnf") != NULL)
		return err_set(e, RC_DENIED, "token: bound to a key (cnf)");
	return check_times(c, p, now_s, e);
}

enum jwt_verdict
jwt_check_claims(struct slice json, const struct jwt_policy *policy, uint64_t now_s,
                 char account[SASL_NAME_MAX + 1], struct err *e)
{
	enum jwt_verdict verdict = JWT_INVALID;
	json_t *c;

	account[0] = '\0';
	if (jose_parse(json, &c, e) != RC_OK) {
		err_add(e, "token: claims");
		return JWT_INVALID;
	}
	if (check_claims(c, policy, now_s, e) == RC_OK &&
	    read_account(c, policy, account, e) == RC_OK)
		verdict = check_scope(c, policy->scope) ? JWT_OK : JWT_NO_SCOPE;
	if (verdict == JWT_NO_SCOPE) {
		account[0] = '\0';
		(void)err_set(e, RC_DENIED, "token: without the scope");
	}
	json_decref(c);
	return verdict;
}

enum jwt_verdict
jwt_verify(struct slice token, const struct jwks *keys, const struct jwt_policy *policy,
           uint64_t now_s, char account[SASL_NAME_MAX + 1], struct err *e)
{
	enum jwt_verdict verdict = JWT_INVALID;
	const struct jwk *key = NULL;
	struct parts parts;
	struct buf claims;

	account[0] = '\0';
	if (token.len > JWT_MAX || !split(token, &parts)) {
		(void)err_set(e, RC_DENIED, "token: no JWT of at most %u octets", JWT_MAX);
		return JWT_INVALID;
	}
	if (find_key(parts.header, keys, &key, e) != RC_OK ||
	    check_signature(&parts, key, e) != RC_OK)
		return JWT_INVALID;
	buf_init(&claims, JWT_MAX);
	if (base64url_decode(parts.payload, &claims))
		verdict = jwt_check_claims(buf_slice(&claims), policy, now_s, account, e);
	else
		(void)err_set(e, RC_DENIED, "token: claims: not base64url");
	buf_fini(&claims);
	return verdict;
}
