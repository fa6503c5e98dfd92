/* exchange - drives one libsasl2 server connection, and answers what it asks. See exchange.h.
 *
 * libsasl2 parses the mechanism's messages and decides their order. Names are canonicalised,
 * passwords checked and authorization decided by the callbacks here. What a callback decided is
 * kept in x->err, as libsasl2 forgets or replaces results on their way through it.
 */
#include "sasl/exchange.h"

#include "lib/secret.h"
#include "sasl/internal.h"

#include <assert.h>
#include <stdlib.h>

/* Stands for an unknown account inside libsasl2. No account can have this name (account.c
 * refuses controls). */
#define NOBODY "\001"

static int
drop_log(void *context, int level, const char *text)
{
	(void)context;
	(void)level;
	(void)text;
	return SASL_OK;
}

/* Our result as one that makes libsasl2 stop. */
static int
sasl_code(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return SASL_OK;
	case RC_NOMEM:
		return SASL_NOMEM;
	case RC_SYNTAX:
		return SASL_BADPROT;
	case RC_DENIED:
		return SASL_BADAUTH;
	case RC_IO:
	case RC_CORRUPT:
	case RC_LIMIT:
	case RC_NOT_FOUND:
	case RC_EXISTS:
	case RC_BUSY:
	case RC_CANCELLED:
	case RC_WAIT:
		return SASL_UNAVAIL;
	}
	return SASL_FAIL;
}

/* The name whose account is meant: the client's word, but for ANONYMOUS, which opens the
 * configured one. */
static struct slice
name_meant(const struct sasl_exchange *x, const char *in, unsigned len)
{
	return x->mechanism == SASL_MECH_ANONYMOUS ? slice_str(x->setup.policy->anonymous)
	                                           : slice_of(in, len);
}

/* The account of who authenticates was found, or there is none; proofs that rest on
 * the name alone. */
static void
prove_by_name(struct sasl_exchange *x, struct slice name)
{
	if (!x->authc.known)
		return;
	if (x->mechanism == SASL_MECH_ANONYMOUS)
		x->proof = PROOF_ANONYMOUS;
	else if (x->mechanism == SASL_MECH_EXTERNAL && x->setup.external.len > 0 &&
	         slice_eq(name, x->setup.external))
		x->proof = PROOF_EXTERNAL;
}

/* SASL_CB_CANON_USER: a name becomes the account's. An unknown one goes on as NOBODY, to fail where
 * a wrong password fails. libsasl2's INTERNAL plugin trims white space of what we return; the
 * identity is taken from our account. */
static int
canon_user(sasl_conn_t *conn, void *context, const char *in, unsigned inlen, unsigned flags,
           const char *realm, char *out, unsigned out_max, unsigned *out_len)
{
	struct sasl_exchange *x = context;
	bool authc = (flags & SASL_CU_AUTHID) != 0;
	struct sasl_attempt *t = authc ? &x->authc : &x->authz;
	struct slice meant = name_meant(x, in, inlen), name = SLICE(NOBODY);
	enum rc rc;

	(void)conn;
	(void)realm;
	if (authc && meant.len <= sizeof x->claimed) {
		memcpy(x->claimed, meant.ptr, meant.len);
		x->claimed_len = meant.len;
	}
	rc = sasl_attempt_find(t, x->setup.accounts, meant, &x->err);
	if (rc != RC_OK)
		err_add(&x->err, authc ? "authentication identity" : "authorization identity");
	/* libsasl2's LOGIN loses the memory of the password if this fails; check_password
	 * fails instead. */
	if (rc != RC_OK && x->mechanism != SASL_MECH_LOGIN)
		return sasl_code(rc);
	if (authc)
		prove_by_name(x, meant);
	else
		x->authz_named = true;
	if (t->known)
		name = t->account.name;
	if (name.len >= out_max)
		return SASL_BUFOVER;
	memcpy(out, name.ptr, name.len);
	out[name.len] = '\0';
	*out_len = (unsigned)name.len;
	return SASL_OK;
}

/* SASL_CB_SERVER_USERDB_CHECKPASS */
static int
check_password(sasl_conn_t *conn, void *context, const char *user, const char *pass, unsigned len,
               struct propctx *props)
{
	struct sasl_exchange *x = context;
	enum rc rc = x->err.code;

	(void)conn;
	(void)user;
	(void)props;
	if (rc == RC_OK)
		rc = sasl_password_check(&x->setup, &x->authc, slice_of(x->claimed, x->claimed_len),
		                         slice_of(pass, len), x->success.credential, &x->err);
	if (rc == RC_OK)
		x->proof = PROOF_PASSWORD;
	return sasl_code(rc);
}

/* Is the account of who authenticates one of the admins? Their names are looked up as anybody's
 * are, so that spelling does not matter; that one cannot be looked up does not
 * hinder the others. */
static enum rc
is_admin(const struct sasl_exchange *x, bool *admin, struct err *e)
{
	const struct sasl_policy *p = x->setup.policy;
	struct sasl_attempt t;
	enum rc rc = RC_OK;

	*admin = false;
	for (size_t i = 0; i < p->nadmins && !*admin; i++) {
		struct err one = ERR_INIT;

		sasl_attempt_init(&t);
		if (sasl_attempt_find(&t, x->setup.accounts, slice_str(p->admins[i]), &one) ==
		    RC_OK) {
			*admin = sasl_attempt_same(&t, &x->authc);
		} else {
			*e = one;
			rc = one.code;
		}
		sasl_attempt_fini(&t);
	}
	if (*admin)
		*e = (struct err)ERR_INIT;
	return *admin ? RC_OK : rc;
}

/* SASL_CB_PROXY_POLICY, after libsasl2 took the proof: everybody may act as themselves, admins as
 * any account that there is. An unknown account and another's are refused alike, but that an
 * admin may know. */
static int
authorize(sasl_conn_t *conn, void *context, const char *user, unsigned ulen, const char *auth,
          unsigned alen, const char *realm, unsigned rlen, struct propctx *props)
{
	struct sasl_exchange *x = context;
	bool admin = false;

	(void)conn;
	(void)user;
	(void)ulen;
	(void)auth;
	(void)alen;
	(void)realm;
	(void)rlen;
	(void)props;
	if (!x->authz_named || sasl_attempt_same(&x->authz, &x->authc))
		return SASL_OK;
	if (x->authc.known && is_admin(x, &admin, &x->err) != RC_OK)
		return sasl_code(x->err.code);
	if (admin && x->authz.known && !x->authz.account.disabled)
		return SASL_OK;
	x->authz_refused = true;
	if (!admin)
		err_set(&x->err, RC_DENIED, "asked to act as another account");
	else
		err_set(&x->err, RC_DENIED, "asked to act as an account that %s",
		        x->authz.known ? "is locked" : "there is not");
	return SASL_NOAUTHZ;
}

static void
set_callbacks(struct sasl_exchange *x)
{
	const sasl_callback_t callbacks[EXCHANGE_CALLBACKS] = {
		{ SASL_CB_LOG,                       SASL_FN(drop_log),       x },
		{ SASL_CB_CANON_USER,                SASL_FN(canon_user),     x },
		{ SASL_CB_SERVER_USERDB_CHECKPASS,   SASL_FN(check_password), x },
		{ SASL_CB_PROXY_POLICY,              SASL_FN(authorize),      x },
		{ SASL_CB_LIST_END,                  NULL,                          NULL },
	};

	memcpy(x->callbacks, callbacks, sizeof callbacks);
}

struct sasl_exchange *
sasl_exchange_of(const sasl_utils_t *utils)
{
	sasl_callback_ft fn = NULL;
	void *context = NULL;

	if (utils->conn == NULL ||
	    utils->getcallback(utils->conn, SASL_CB_CANON_USER, &fn, &context) != SASL_OK)
		return NULL;
	return fn == SASL_FN(canon_user) ? context : NULL;
}

/* No layer of SASL's own: encryption is the stream's matter. */
static int
set_connection(struct sasl_exchange *x)
{
	sasl_security_properties_t props = { .security_flags = SASL_SEC_NOANONYMOUS };
	sasl_ssf_t ssf = x->setup.tls ? 128 : 0;
	char external[SASL_NAME_MAX + 1];
	int rc;

	if ((x->offered & SASL_MECH_BIT(SASL_MECH_ANONYMOUS)) != 0)
		props.security_flags = 0;
	rc = sasl_setprop(x->conn, SASL_SEC_PROPS, &props);
	if (rc == SASL_OK)
		rc = sasl_setprop(x->conn, SASL_SSF_EXTERNAL, &ssf);
	if (rc == SASL_OK && (x->offered & SASL_MECH_BIT(SASL_MECH_EXTERNAL)) != 0 &&
	    slice_to_cstr(x->setup.external, external, sizeof external))
		rc = sasl_setprop(x->conn, SASL_AUTH_EXTERNAL, external);
	return rc;
}

enum rc
sasl_exchange_new(const struct sasl_setup *setup, struct sasl_exchange **out, struct err *e)
{
	struct sasl_exchange *x = calloc(1, sizeof *x);
	int rc;

	*out = NULL;
	if (x == NULL)
		return err_nomem(e);
	x->setup = *setup;
	if (x->setup.policy == NULL)
		x->setup.policy = &sasl_policy_default;
	x->offered = sasl_offered(&x->setup);
	sasl_attempt_init(&x->authc);
	sasl_attempt_init(&x->authz);
	buf_init(&x->bound, SASL_MESSAGE_MAX + SASL_BINDING_MAX);
	set_callbacks(x);
	/* The last words of the server come with its yes; sending them first is ours to
	 * arrange (last_words). */
	rc = sasl_server_new(setup->service, setup->host, NULL, NULL, NULL, x->callbacks,
	                     SASL_SUCCESS_DATA, &x->conn);
	if (rc == SASL_OK)
		rc = set_connection(x);
	if (rc != SASL_OK) {
		sasl_exchange_free(&x);
		return err_set(e, rc == SASL_NOMEM ? RC_NOMEM : RC_IO, "libsasl2: %s",
		               sasl_errstring(rc, NULL, NULL));
	}
	*out = x;
	return RC_OK;
}

void
sasl_exchange_free(struct sasl_exchange **px)
{
	struct sasl_exchange *x = *px;

	*px = NULL;
	if (x == NULL)
		return;
	if (x->conn != NULL)
		sasl_dispose(&x->conn);
	sasl_attempt_fini(&x->authc);
	sasl_attempt_fini(&x->authz);
	buf_fini(&x->bound);
	secret_wipe(x->binding_data, sizeof x->binding_data);
	free(x);
}

/* What libsasl2 calls a mismatch of keys, in the log's words. */
static void
explain_scram(struct sasl_exchange *x)
{
	const char *name = sasl_mechanism_name(sasl_without_plus(x->mechanism));

	if (!x->authc.known)
		err_set(&x->err, RC_DENIED, "unknown account");
	else if (x->authc.account.disabled)
		err_set(&x->err, RC_DENIED, "account is locked");
	else if (!x->genuine)
		err_set(&x->err, RC_DENIED,
		        "account has no verifier for %s; a login that sends the password makes one",
		        name);
	else
		err_set(&x->err, RC_DENIED, "wrong password");
}

/* Why libsasl2 itself stopped, without a word from our callbacks. */
static enum sasl_result
libsasl_failure(struct sasl_exchange *x, int rc)
{
	const char *detail = sasl_errdetail(x->conn);

	err_set(&x->err, RC_IO, "libsasl2: %s", detail != NULL ? detail : "");
	switch (rc) {
	case SASL_BADPROT:
	case SASL_BADPARAM:
		x->err.code = RC_SYNTAX;
		return SASL_EX_MALFORMED;
	case SASL_NOMECH:
		x->err.code = RC_NOT_FOUND;
		return SASL_EX_NO_MECHANISM;
	case SASL_BADAUTH:
	case SASL_NOAUTHZ:
	case SASL_NOUSER:
		x->err.code = RC_DENIED;
		return SASL_EX_FAILED;
	default:
		return SASL_EX_TEMPFAIL;
	}
}

static enum sasl_result
failure(struct sasl_exchange *x, int rc)
{
	x->state = EXCHANGE_OVER;
	x->proof = PROOF_NONE;
	if (x->err.code == RC_OK && rc == SASL_BADAUTH && sasl_is_scram(x->mechanism))
		explain_scram(x);
	if (x->err.code == RC_OK)
		return libsasl_failure(x, rc);
	if (x->err.code == RC_SYNTAX)
		return SASL_EX_MALFORMED;
	if (x->err.code != RC_DENIED)
		return SASL_EX_TEMPFAIL;
	return x->authz_refused ? SASL_EX_UNAUTHORIZED : SASL_EX_FAILED;
}

/* libsasl2 says that it is over and well. That counts if we know why: the account, and the proof
 * that this mechanism rests on. Without it there is a fault in libsasl2 or here, and nobody
 * gets in by it. */
static bool
is_proven(struct sasl_exchange *x)
{
	if (sasl_is_scram(x->mechanism) && x->genuine)
		x->proof = PROOF_SCRAM;
	if (x->proof != sasl_proof_of(x->mechanism) || !x->authc.known || x->authc.account.disabled)
		return false;
	if (x->authz_named && (!x->authz.known || x->authz.account.disabled))
		return false;
	return sasl_without_plus(x->mechanism) == x->mechanism || x->binding.data != NULL;
}

static void
fill_success(struct sasl_exchange *x)
{
	sasl_attempt_identity(&x->authc, &x->success.authenticated);
	x->success.authorized = x->success.authenticated;
	if (x->authz_named)
		sasl_attempt_identity(&x->authz, &x->success.authorized);
	x->success.mechanism = sasl_mechanism_name(x->mechanism);
	x->success.anonymous = x->proof == PROOF_ANONYMOUS;
	if (x->proof == PROOF_SCRAM)
		memcpy(x->success.credential, "password", sizeof "password");
}

/* What there is to send goes out as a challenge: none of our protocols has room for it in its OK.
 * The client answers with nothing [RFC 4422 s3.6]. */
static enum sasl_result
success(struct sasl_exchange *x, struct slice answer, struct buf *challenge)
{
	if (!is_proven(x)) {
		if (x->authc.known && x->authc.account.disabled)
			err_set(&x->err, RC_DENIED, "account is locked");
		else if (!x->authc.known)
			err_set(&x->err, RC_DENIED, "unknown account");
		else
			err_set(&x->err, RC_IO, "libsasl2 accepts %s without its proof",
			        sasl_mechanism_name(x->mechanism));
		return failure(x, SASL_FAIL);
	}
	fill_success(x);
	if (answer.len == 0) {
		x->state = EXCHANGE_OVER;
		return SASL_EX_OK;
	}
	if (!buf_append_slice(challenge, answer)) {
		err_set(&x->err, RC_LIMIT, "no room for the challenge");
		return failure(x, SASL_FAIL);
	}
	x->state = EXCHANGE_LAST;
	return SASL_EX_CONTINUE;
}

/* The answer to the server's last words. */
static enum sasl_result
last_words(struct sasl_exchange *x, struct slice data)
{
	if (data.len > 0) {
		err_set(&x->err, RC_SYNTAX, "nothing was to be said any more");
		return failure(x, SASL_BADPROT);
	}
	x->state = EXCHANGE_OVER;
	return SASL_EX_OK;
}

/* What libsasl2 answered to a message. */
static enum sasl_result
finish(struct sasl_exchange *x, int rc, struct slice answer, struct buf *challenge)
{
	if (rc == SASL_OK)
		return success(x, answer, challenge);
	if (rc != SASL_CONTINUE)
		return failure(x, rc);
	if (!buf_append_slice(challenge, answer)) {
		err_set(&x->err, RC_LIMIT, "no room for the challenge");
		return failure(x, rc);
	}
	x->state = EXCHANGE_WAITING;
	return SASL_EX_CONTINUE;
}

static bool
fits(struct sasl_exchange *x, struct slice data)
{
	if (data.len <= SASL_MESSAGE_MAX)
		return true;
	err_set(&x->err, RC_SYNTAX, "message over %d octets", SASL_MESSAGE_MAX);
	return false;
}

/* Before libsasl2 sees it. */
static bool
is_acceptable(struct sasl_exchange *x, struct slice message)
{
	return fits(x, message) && (!sasl_is_scram(x->mechanism) || sasl_binding_check(x, message));
}

enum sasl_result
sasl_exchange_start(struct sasl_exchange *x, struct slice mechanism, struct slice initial,
                    struct buf *challenge)
{
	const char *out = NULL, *name;
	unsigned len = 0;
	int rc;

	assert(x->state == EXCHANGE_NEW);
	buf_reset(challenge);
	if (!sasl_mechanism_find(mechanism, &x->mechanism) ||
	    (x->offered & SASL_MECH_BIT(x->mechanism)) == 0) {
		x->state = EXCHANGE_OVER;
		err_set(&x->err, RC_NOT_FOUND, "mechanism is not offered on this connection");
		return SASL_EX_NO_MECHANISM;
	}
	/* the server begins [RFC 4959 s3] */
	if (x->mechanism == SASL_MECH_LOGIN && initial.ptr != NULL) {
		err_set(&x->err, RC_SYNTAX, "LOGIN has no initial response");
		return failure(x, SASL_BADPROT);
	}
	if (!is_acceptable(x, initial))
		return failure(x, SASL_BADPROT);
	name = sasl_mechanism_name(sasl_without_plus(x->mechanism));
	rc = sasl_server_start(x->conn, name, (const char *)initial.ptr, (unsigned)initial.len,
	                       &out, &len);
	return finish(x, rc, slice_of(out, len), challenge);
}

enum sasl_result
sasl_exchange_step(struct sasl_exchange *x, struct slice data, struct buf *challenge)
{
	const char *out = NULL;
	unsigned len = 0;
	int rc;

	assert(x->state == EXCHANGE_WAITING || x->state == EXCHANGE_LAST);
	buf_reset(challenge);
	if (x->state == EXCHANGE_LAST)
		return last_words(x, data);
	if (!is_acceptable(x, data))
		return failure(x, SASL_BADPROT);
	/* An empty answer is a message too: libsasl2 wants a pointer for it. */
	rc = sasl_server_step(x->conn, data.ptr != NULL ? (const char *)data.ptr : "",
	                      (unsigned)data.len, &out, &len);
	return finish(x, rc, slice_of(out, len), challenge);
}

enum sasl_result
sasl_exchange_cancel(struct sasl_exchange *x)
{
	x->state = EXCHANGE_OVER;
	x->proof = PROOF_NONE;
	if (x->err.code == RC_DENIED)
		return SASL_EX_FAILED;
	err_set(&x->err, RC_CANCELLED, "cancelled by the client");
	return SASL_EX_CANCELLED;
}

void
sasl_exchange_prove_token(struct sasl_exchange *x)
{
	if (sasl_proof_of(x->mechanism) == PROOF_TOKEN && x->authc.known)
		x->proof = PROOF_TOKEN;
}

const struct sasl_success *
sasl_exchange_success(const struct sasl_exchange *x)
{
	assert(x->state == EXCHANGE_OVER && x->proof != PROOF_NONE);
	return &x->success;
}

struct slice
sasl_exchange_claimed(const struct sasl_exchange *x)
{
	return slice_of(x->claimed, x->claimed_len);
}

const struct err *
sasl_exchange_error(const struct sasl_exchange *x)
{
	return &x->err;
}
