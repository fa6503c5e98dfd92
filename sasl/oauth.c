/* oauth - OAUTHBEARER and XOAUTH2 as plugins of libsasl2. See oauth.h.
 *
 * A successful exchange is one message. A failed one is two, as an outcome may carry no data
 * [RFC 7628 s3.2.3]: first the challenge with the error, then the client's dummy answer, which is
 * not looked at.
 */
#include "sasl/oauth.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "sasl/internal.h"
#include "sasl/oauth_message.h"

#define CHALLENGE_MAX 2048u

/* What the two mechanisms differ in. */
struct dialect {
	enum oauth_request (*parse)(struct slice in, struct oauth_message *out);
	/* Statuses as OAUTHBEARER's registry has them [RFC 6750 s3.1]; XOAUTH2 has
	 * those of HTTP. */
	const char *bad_request, *bad_token, *no_scope;
	bool        schemes;            /* are told */
};

static const struct dialect oauthbearer = { oauth_parse_bearer, "invalid_request", "invalid_token",
                                            "insufficient_scope",
	                                    false };
static const struct dialect xoauth2 = { oauth_parse_xoauth2, "400", "401", "403", true };

struct attempt {
	const struct dialect *dialect;
	struct buf            challenge;
	bool                  failed;           /* the challenge says so */
};

static int
mech_new(void *context, sasl_server_params_t *params, const char *challenge, unsigned len,
         void **out)
{
	struct attempt *a = calloc(1, sizeof *a);

	(void)params;
	(void)challenge;
	(void)len;
	*out = a;
	if (a == NULL)
		return SASL_NOMEM;
	a->dialect = context;
	buf_init(&a->challenge, CHALLENGE_MAX);
	return SASL_OK;
}

static void
mech_dispose(void *context, const sasl_utils_t *utils)
{
	struct attempt *a = context;

	(void)utils;
	if (a != NULL)
		buf_fini(&a->challenge);
	free(a);
}

/* {"status":..., "scope":..., "openid-configuration":...}             [RFC 7628 s3.2.2] */
static bool
write_challenge(struct attempt *a, const struct sasl_tokens *t, const char *status)
{
	struct json j;

	json_init(&j, &a->challenge);
	json_object(&j, NULL);
	json_cstr(&j, "status", status);
	if (a->dialect->schemes)
		json_cstr(&j, "schemes", "Bearer");
	if (t->policy.scope.len > 0)
		json_str(&j, "scope", t->policy.scope);
	if (t->discovery[0] != '\0')
		json_cstr(&j, "openid-configuration", t->discovery);
	json_end(&j);
	return !a->challenge.failed;
}

/* Failed: x->err says why, the challenge says what is wanted. */
static int
fail(struct attempt *a, struct sasl_exchange *x, const char *status)
{
	a->failed = true;
	if (write_challenge(a, x->setup.policy->tokens, status))
		return SASL_CONTINUE;
	err_set(&x->err, RC_LIMIT, "no room for the challenge");
	return SASL_FAIL;
}

/* A host that the client says it connected to must be one of ours, if we know our names
 * [RFC 7628 s3.2]. The port is not compared: what is in front of us may have changed it. */
static bool
is_our_host(const struct sasl_tokens *t, struct slice host)
{
	for (size_t i = 0; i < t->host_count; i++)
		if (slice_eq_nocase(host, slice_str(t->hosts[i])))
			return true;
	return host.ptr == NULL || t->host_count == 0;
}

/* Verified: `name` is in the token. RC_DENIED: it opens no account. */
static enum rc
find_account(struct sasl_exchange *x, sasl_server_params_t *params, const char *name,
             const struct oauth_message *m, sasl_out_params_t *out)
{
	bool named = m->user[0] != '\0';
	int flags = SASL_CU_AUTHID | (named ? 0 : SASL_CU_AUTHZID);
	int rc = params->canon_user(params->utils->conn, name, 0, (unsigned)flags, out);

	/* A token's claim may be anything; what can be no name of an account is unknown. */
	if (rc != SASL_OK && x->err.code != RC_OK && x->err.code != RC_SYNTAX)
		return x->err.code;
	if (rc != SASL_OK || !x->authc.known)
		return err_set(&x->err, RC_DENIED, "token: it names an unknown account");
	if (x->authc.account.disabled)
		return err_set(&x->err, RC_DENIED, "account is disabled");
	if (named &&
	    params->canon_user(params->utils->conn, m->user, 0, SASL_CU_AUTHZID, out) != SASL_OK)
		return x->err.code != RC_OK
		           ? x->err.code
		           : err_set(&x->err, RC_IO, "libsasl2 takes no authorization identity");
	return RC_OK;
}

static int
take_token(struct attempt *a, struct sasl_exchange *x, sasl_server_params_t *params,
           const struct oauth_message *m, sasl_out_params_t *out)
{
	const struct sasl_tokens *t = x->setup.policy->tokens;
	struct jwks *keys = t->keys(t->keys_arg);
	char name[SASL_NAME_MAX + 1];
	enum jwt_verdict v = jwt_verify(m->token, keys, &t->policy, clock_wall_us() / 1000000u,
	                                name, &x->err);

	jwks_unref(&keys);
	if (v != JWT_OK)
		return fail(a, x, v == JWT_NO_SCOPE ? a->dialect->no_scope : a->dialect->bad_token);
	if (find_account(x, params, name, m, out) == RC_DENIED)
		return fail(a, x, a->dialect->bad_token);
	if (x->err.code != RC_OK)
		return SASL_FAIL;
	sasl_exchange_prove_token(x);
	out->doneflag = 1;
	return SASL_OK;
}

/* For the log, until a token has said better. */
static void
claim(struct sasl_exchange *x, const char *user)
{
	x->claimed_len = strlen(user);
	memcpy(x->claimed, user, x->claimed_len);
}

static int
take_message(struct attempt *a, struct sasl_exchange *x, sasl_server_params_t *params,
             struct slice in, sasl_out_params_t *out)
{
	struct oauth_message m;
	enum oauth_request request = a->dialect->parse(in, &m);

	claim(x, m.user);
	if (request == OAUTH_TOKEN && !is_our_host(x->setup.policy->tokens, m.host))
		request = OAUTH_OTHER;
	switch (request) {
	case OAUTH_TOKEN:
		return take_token(a, x, params, &m, out);
	case OAUTH_QUERY:
		err_set(&x->err, RC_DENIED, "no token");
		return fail(a, x, a->dialect->bad_token);
	case OAUTH_OTHER:
		err_set(&x->err, RC_DENIED, "no bearer token, or for another host");
		return fail(a, x, a->dialect->bad_request);
	case OAUTH_END:
		err_set(&x->err, RC_DENIED, "no token");
		return SASL_BADAUTH;
	case OAUTH_MALFORMED:
		break;
	}
	err_set(&x->err, RC_SYNTAX, "no message of the mechanism");
	return SASL_BADPROT;
}

static int
mech_step(void *context, sasl_server_params_t *params, const char *in, unsigned len,
          const char **out, unsigned *out_len, sasl_out_params_t *oparams)
{
	struct attempt *a = context;
	struct sasl_exchange *x = sasl_exchange_of(params->utils);
	int rc;

	*out = NULL;
	*out_len = 0;
	if (x == NULL || x->setup.policy->tokens == NULL)
		return SASL_UNAVAIL;
	if (a->failed)
		return SASL_BADAUTH;
	rc = take_message(a, x, params, slice_of(in, len), oparams);
	if (rc == SASL_CONTINUE) {
		*out = (const char *)a->challenge.ptr;
		*out_len = (unsigned)a->challenge.len;
	}
	return rc;
}

static int
plugins_init(const sasl_utils_t *utils, int max_version, int *out_version,
             sasl_server_plug_t **plugs, int *count)
{
	static sasl_server_plug_t plugins[] = {
		{ .mech_name = "OAUTHBEARER", .glob_context = (void *)(uintptr_t)&oauthbearer },
		{ .mech_name = "XOAUTH2", .glob_context = (void *)(uintptr_t)&xoauth2 },
	};

	(void)utils;
	if (max_version < SASL_SERVER_PLUG_VERSION)
		return SASL_BADVERS;
	for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
		plugins[i].security_flags = SASL_SEC_NOANONYMOUS;
		plugins[i].features = SASL_FEAT_WANT_CLIENT_FIRST | SASL_FEAT_ALLOWS_PROXY;
		plugins[i].mech_new = mech_new;
		plugins[i].mech_step = mech_step;
		plugins[i].mech_dispose = mech_dispose;
	}
	*out_version = SASL_SERVER_PLUG_VERSION;
	*plugs = plugins;
	*count = (int)(sizeof plugins / sizeof plugins[0]);
	return SASL_OK;
}

int
sasl_oauth_register(uint32_t *mechanisms)
{
	int rc = sasl_server_add_plugin("restante-oauth", plugins_init);

	if (rc == SASL_OK)
		*mechanisms |= SASL_MECH_BIT(SASL_MECH_OAUTHBEARER) |
		               SASL_MECH_BIT(SASL_MECH_XOAUTH2);
	return rc;
}
