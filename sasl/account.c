/* account - finding who a client claims to be and checking the password at equal cost. See account.h. */
#include "sasl/account.h"

#include "sasl/credential.h"

#include <assert.h>
#include <utf8proc.h>

#define ATTEMPT_ARENA_MAX 65536u

void
sasl_attempt_init(struct sasl_attempt *t)
{
	*t = (struct sasl_attempt){ 0 };
	arena_init(&t->arena, ATTEMPT_ARENA_MAX);
}

void
sasl_attempt_fini(struct sasl_attempt *t)
{
	arena_fini(&t->arena);
	t->known = false;
}

/* What could be a name at all: the storage is asked for nothing else. Controls would only serve to confuse logs. */
static enum rc
check_name(struct slice name, struct err *e)
{
	size_t at = 0;

	if (name.len == 0 || name.len > SASL_NAME_MAX)
		return err_set(e, RC_SYNTAX, "a name has 1 to %d octets", SASL_NAME_MAX);
	while (at < name.len) {
		utf8proc_int32_t c;
		utf8proc_ssize_t len =
		        utf8proc_iterate(name.ptr + at, (utf8proc_ssize_t)(name.len - at), &c);

		if (len <= 0)
			return err_set(e, RC_SYNTAX, "the name is not UTF-8");
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return err_set(e, RC_SYNTAX, "the name holds a control character");
		at += (size_t)len;
	}
	return RC_OK;
}

enum rc
sasl_attempt_find(struct sasl_attempt *t, const struct sasl_accounts *accounts, struct slice name,
                  struct err *e)
{
	enum rc rc;

	t->known = false;
	t->account = (struct sasl_account){ 0 };
	if (check_name(name, e) != RC_OK)
		return e->code;
	rc = accounts->find(accounts->arg, name, &t->arena, &t->account, e);
	if (rc == RC_NOT_FOUND) {
		*e = (struct err)ERR_INIT;
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc == RC_SYNTAX ? err_set(e, RC_IO, "account look-up answered SYNTAX") : rc;
	assert(t->account.name.len > 0 && t->account.name.len <= SASL_NAME_MAX);
	assert(slice_find_byte(t->account.name, 0) == t->account.name.len);
	t->known = true;
	return RC_OK;
}

/* Does any verifier match? One that is damaged does not keep the others from being tried, but is
 * told of if none does. */
static enum rc
check_verifiers(const struct sasl_account *a, struct slice password, bool *match, struct err *e)
{
	struct err worst = ERR_INIT;

	*match = false;
	for (size_t i = 0; i < a->nverifiers && !*match; i++)
		if (credential_check_plain(a->verifiers[i], password, match, e) != RC_OK)
			worst = *e;
	if (!*match)
		*e = worst;
	return *match ? RC_OK : worst.code;
}

enum rc
sasl_attempt_check(const struct sasl_attempt *t, struct slice password, struct err *e)
{
	bool match = false;
	enum rc rc;

	if (t->known && t->account.nverifiers > 0)
		rc = check_verifiers(&t->account, password, &match, e);
	else
		rc = credential_check_nobody(password, e);
	if (rc != RC_OK)
		return rc;
	if (!t->known)
		return err_set(e, RC_DENIED, "unknown account");
	if (t->account.disabled)
		return err_set(e, RC_DENIED, "account is disabled");
	if (t->account.nverifiers == 0)
		return err_set(e, RC_DENIED, "account has no password");
	return match ? RC_OK : err_set(e, RC_DENIED, "wrong password");
}

void
sasl_attempt_identity(const struct sasl_attempt *t, struct sasl_identity *out)
{
	bool fits = t->known && slice_to_cstr(t->account.name, out->name, sizeof out->name);

	assert(fits);
	(void)fits;
	out->id = t->account.id;
}

enum rc
sasl_login_check(const struct sasl_accounts *accounts, struct slice name, struct slice password,
                 struct sasl_identity *out, struct err *e)
{
	struct sasl_attempt t;
	enum rc rc;

	*out = (struct sasl_identity){ 0 };
	sasl_attempt_init(&t);
	rc = sasl_attempt_find(&t, accounts, name, e);
	if (rc == RC_SYNTAX)
		rc = RC_DENIED;
	else if (rc == RC_OK)
		rc = sasl_attempt_check(&t, password, e);
	if (rc == RC_OK)
		sasl_attempt_identity(&t, out);
	e->code = rc;
	sasl_attempt_fini(&t);
	return rc;
}
