/* password - checking a name and a password, for PLAIN, LOGIN and the protocols' own
 * commands alike.
 *
 * The account's own credentials are asked first, then the other sources, if there are any: for
 * every failed try, so that each takes as long.
 */
#include "sasl/internal.h"

/* What the others say after `rc` of our own. A locked account is asked for too, and stays out. */
static enum rc
check_elsewhere(const struct sasl_setup *setup, const struct sasl_attempt *t, struct slice claimed,
                struct slice password, enum rc rc, char credential[SASL_CREDENTIAL_MAX],
                struct err *e)
{
	const struct sasl_sources *s = &setup->policy->sources;
	const char *source = NULL;
	struct err other = ERR_INIT;
	enum rc asked = sasl_sources_check(s, setup->service, setup->host,
	    t->known ? t->account.name : claimed, password, &source, &other);

	if (source != NULL && t->known && !t->account.disabled) {
		*e = (struct err)ERR_INIT;
		(void)slice_to_cstr(slice_str(source), credential, SASL_CREDENTIAL_MAX);
		return RC_OK;
	}
	if (asked != RC_OK && rc == RC_DENIED) {
		*e = other;
		return asked;
	}
	return rc;
}

enum rc
sasl_password_check(const struct sasl_setup *setup, struct sasl_attempt *t, struct slice claimed,
                    struct slice password, char credential[SASL_CREDENTIAL_MAX], struct err *e)
{
	unsigned service = sasl_service_find(slice_str(setup->service));
	enum rc rc;

	if (setup->policy->sources.own)
		rc = sasl_attempt_check(t, service, password, e);
	else
		rc = err_set(e, RC_DENIED, t->known ? "wrong password" : "unknown account");
	/* A name from the log that is too long is only not told. */
	if (rc == RC_OK)
		(void)slice_to_cstr(t->used->name, credential, SASL_CREDENTIAL_MAX);
	else if (setup->policy->sources.count > 0)
		rc = check_elsewhere(setup, t, claimed, password, rc, credential, e);
	return rc;
}

enum rc
sasl_password_login(const struct sasl_setup *given, struct slice name, struct slice password,
                    struct sasl_success *out, struct err *e)
{
	struct sasl_setup setup = *given;
	struct sasl_attempt t;
	enum rc rc;

	if (setup.policy == NULL)
		setup.policy = &sasl_policy_default;
	*out = (struct sasl_success){ .mechanism = "password" };
	sasl_attempt_init(&t);
	rc = sasl_attempt_find(&t, setup.accounts, name, e);
	if (rc == RC_SYNTAX)
		rc = RC_DENIED;
	else if (rc == RC_OK)
		rc = sasl_password_check(&setup, &t, name, password, out->credential, e);
	if (rc == RC_OK) {
		sasl_attempt_identity(&t, &out->authenticated);
		out->authorized = out->authenticated;
	}
	e->code = rc;
	sasl_attempt_fini(&t);
	return rc;
}
