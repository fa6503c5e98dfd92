/* exchange - drives one libsasl2 server connection, and answers what it asks. See exchange.h.
 *
 * libsasl2 parses the mechanism's messages and decides their order. Names are canonicalised, passwords checked and
 * authorization decided by the callbacks here. What a callback decided is kept in x->err, as libsasl2 forgets or
 * replaces results on their way through it.
 */
#include "sasl/exchange.h"

#include "sasl/internal.h"

#include <assert.h>
#include <stdlib.h>

/* Stands for an unknown account inside libsasl2. No account can have this name (account.c refuses controls). */
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
		return SASL_UNAVAIL;
	}
	return SASL_FAIL;
}

/* SASL_CB_CANON_USER: a name becomes the account's. An unknown one goes on as NOBODY, to fail where a wrong password
 * fails. libsasl2's INTERNAL plugin trims white space of what we return; the identity is taken from our account. */
static int
canon_user(sasl_conn_t *conn, void *context, const char *in, unsigned inlen, unsigned flags,
           const char *realm, char *out, unsigned out_max, unsigned *out_len)
{
	struct sasl_exchange *x = context;
	bool authc = (flags & SASL_CU_AUTHID) != 0;
	struct sasl_attempt *t = authc ? &x->authc : &x->authz;
	struct slice name = SLICE(NOBODY);
	enum rc rc;

	(void)conn;
	(void)realm;
	if (authc && inlen <= sizeof x->claimed) {
		memcpy(x->claimed, in, inlen);
		x->claimed_len = inlen;
	}
	rc = sasl_attempt_find(t, x->accounts, slice_of(in, inlen), &x->err);
	if (rc != RC_OK) {
		err_add(&x->err, authc ? "authentication identity" : "authorization identity");
		return sasl_code(rc);
	}
	if (!authc)
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
	enum rc rc;

	(void)conn;
	(void)user;
	(void)props;
	rc = sasl_attempt_check(&x->authc, slice_of(pass, len), &x->err);
	x->verified = rc == RC_OK;
	return sasl_code(rc);
}

/* SASL_CB_PROXY_POLICY, after the password was right: everybody may act as themselves, nobody as another yet. An
 * unknown account and another's are refused alike. */
static int
authorize(sasl_conn_t *conn, void *context, const char *user, unsigned ulen, const char *auth,
          unsigned alen, const char *realm, unsigned rlen, struct propctx *props)
{
	struct sasl_exchange *x = context;

	(void)conn;
	(void)user;
	(void)ulen;
	(void)auth;
	(void)alen;
	(void)realm;
	(void)rlen;
	(void)props;
	if (!x->authz_named || (x->authz.known && x->authz.account.id == x->authc.account.id))
		return SASL_OK;
	err_set(&x->err, RC_DENIED, "asked to act as another account");
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

const char *
sasl_mechanisms(const struct sasl_setup *setup)
{
	/* All that we have sends the password as it is. */
	return setup->tls || setup->cleartext_ok ? sasl_library_mechanisms() : "";
}

/* No layer of SASL's own: encryption is the stream's matter. */
static int
set_security(sasl_conn_t *conn, const struct sasl_setup *setup)
{
	sasl_security_properties_t props = { .security_flags = SASL_SEC_NOANONYMOUS };
	sasl_ssf_t ssf = setup->tls ? 128 : 0;
	int rc = sasl_setprop(conn, SASL_SEC_PROPS, &props);

	return rc != SASL_OK ? rc : sasl_setprop(conn, SASL_SSF_EXTERNAL, &ssf);
}

enum rc
sasl_exchange_new(const struct sasl_setup *setup, struct sasl_exchange **out, struct err *e)
{
	struct sasl_exchange *x = calloc(1, sizeof *x);
	int rc;

	*out = NULL;
	if (x == NULL)
		return err_nomem(e);
	x->accounts = setup->accounts;
	x->mechanisms = sasl_mechanisms(setup);
	sasl_attempt_init(&x->authc);
	sasl_attempt_init(&x->authz);
	set_callbacks(x);
	rc = sasl_server_new(setup->service, setup->host, NULL, NULL, NULL, x->callbacks, 0,
	                     &x->conn);
	if (rc == SASL_OK)
		rc = set_security(x->conn, setup);
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
	free(x);
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
	if (x->err.code == RC_OK)
		return libsasl_failure(x, rc);
	if (x->err.code == RC_SYNTAX)
		return SASL_EX_MALFORMED;
	if (x->err.code != RC_DENIED)
		return SASL_EX_TEMPFAIL;
	return x->verified ? SASL_EX_UNAUTHORIZED : SASL_EX_FAILED;
}

static enum sasl_result
success(struct sasl_exchange *x)
{
	assert(x->verified && x->authc.known && !x->authc.account.disabled);
	x->state = EXCHANGE_OVER;
	sasl_attempt_identity(&x->authc, &x->authenticated);
	x->authorized = x->authenticated;
	return SASL_EX_OK;
}

/* What libsasl2 answered to a message. */
static enum sasl_result
finish(struct sasl_exchange *x, int rc, struct slice answer, struct buf *challenge)
{
	if (rc == SASL_OK)
		return success(x);
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

/* `mechanism` spelled as in the list of those offered; false if it is not there. */
static bool
choose_mechanism(const char *offered, struct slice mechanism, char *out, size_t size)
{
	struct slice rest = slice_str(offered);

	while (rest.len > 0) {
		size_t end = slice_find_byte(rest, ' ');
		struct slice one = slice_sub(rest, 0, end);

		if (slice_eq_nocase(one, mechanism))
			return slice_to_cstr(one, out, size);
		rest = slice_sub(rest, end + 1, rest.len);
	}
	return false;
}

enum sasl_result
sasl_exchange_start(struct sasl_exchange *x, struct slice mechanism, struct slice initial,
                    struct buf *challenge)
{
	char name[SASL_MECHNAMEMAX + 1];
	const char *out = NULL;
	unsigned len = 0;
	int rc;

	assert(x->state == EXCHANGE_NEW);
	buf_reset(challenge);
	if (!choose_mechanism(x->mechanisms, mechanism, name, sizeof name)) {
		x->state = EXCHANGE_OVER;
		err_set(&x->err, RC_NOT_FOUND, "mechanism is not offered on this connection");
		return SASL_EX_NO_MECHANISM;
	}
	if (!fits(x, initial))
		return failure(x, SASL_BADPROT);
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

	assert(x->state == EXCHANGE_WAITING);
	buf_reset(challenge);
	if (!fits(x, data))
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
	err_set(&x->err, RC_CANCELLED, "cancelled by the client");
	return SASL_EX_CANCELLED;
}

const struct sasl_identity *
sasl_exchange_authenticated(const struct sasl_exchange *x)
{
	assert(x->authenticated.name[0] != '\0');
	return &x->authenticated;
}

const struct sasl_identity *
sasl_exchange_authorized(const struct sasl_exchange *x)
{
	assert(x->authorized.name[0] != '\0');
	return &x->authorized;
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
