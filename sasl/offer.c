/* offer - which mechanisms a connection is offered, and what each rests on.
 *
 * Whatever shows or wants a password, a token or somebody's mail goes over an encrypted connection,
 * or over a loopback one if the operator allows it. SCRAM shows no password, but mail in clear
 * would follow it, and who listens could try passwords at leisure.
 */
#include "sasl/internal.h"

enum need {
	NEED_PRIVACY,
	NEED_BINDING,           /* of the encrypted channel */
	NEED_CERTIFICATE,       /* a client's, verified */
	NEED_KEYS,              /* privacy, and keys for tokens */
	NEED_ACCOUNT,           /* privacy, and an account for strangers */
};

static const struct basis {
	enum need           need;
	enum proof          proof;
	enum sasl_mechanism base;       /* libsasl2's name for it */
} bases[SASL_MECH_COUNT] = {
	[SASL_MECH_EXTERNAL] = { NEED_CERTIFICATE, PROOF_EXTERNAL, SASL_MECH_EXTERNAL },
	[SASL_MECH_SCRAM_SHA_256_PLUS] = { NEED_BINDING, PROOF_SCRAM, SASL_MECH_SCRAM_SHA_256 },
	[SASL_MECH_SCRAM_SHA_1_PLUS] = { NEED_BINDING, PROOF_SCRAM, SASL_MECH_SCRAM_SHA_1 },
	[SASL_MECH_SCRAM_SHA_256] = { NEED_PRIVACY, PROOF_SCRAM, SASL_MECH_SCRAM_SHA_256 },
	[SASL_MECH_SCRAM_SHA_1] = { NEED_PRIVACY, PROOF_SCRAM, SASL_MECH_SCRAM_SHA_1 },
	[SASL_MECH_OAUTHBEARER] = { NEED_KEYS, PROOF_TOKEN, SASL_MECH_OAUTHBEARER },
	[SASL_MECH_XOAUTH2] = { NEED_KEYS, PROOF_TOKEN, SASL_MECH_XOAUTH2 },
	[SASL_MECH_PLAIN] = { NEED_PRIVACY, PROOF_PASSWORD, SASL_MECH_PLAIN },
	[SASL_MECH_LOGIN] = { NEED_PRIVACY, PROOF_PASSWORD, SASL_MECH_LOGIN },
	[SASL_MECH_ANONYMOUS] = { NEED_ACCOUNT, PROOF_ANONYMOUS, SASL_MECH_ANONYMOUS },
};

const struct sasl_policy sasl_policy_default = { .mechanisms = SASL_MECH_ALL,
                                                 .sources = { .own = true } };

enum proof
sasl_proof_of(enum sasl_mechanism m)
{
	return bases[m].proof;
}

bool
sasl_is_scram(enum sasl_mechanism m)
{
	return bases[m].proof == PROOF_SCRAM;
}

enum sasl_mechanism
sasl_without_plus(enum sasl_mechanism m)
{
	return bases[m].base;
}

/* SCRAM works with the account's own credentials; other sources are not asked for verifiers. */
static bool
has_source(enum sasl_mechanism m, const struct sasl_policy *policy)
{
	return !sasl_is_scram(m) || policy->sources.own;
}

/* ANONYMOUS is for reading mail; nobody delivers or sends by it. */
static bool
is_read_by_strangers(const char *service)
{
	return strcmp(service, "imap") == 0 || strcmp(service, "pop") == 0;
}

static bool
is_met(enum need need, const struct sasl_setup *setup, const struct sasl_policy *policy)
{
	bool privacy = setup->tls || setup->cleartext_ok;

	switch (need) {
	case NEED_PRIVACY:
		return privacy;
	case NEED_BINDING:
		return setup->tls && sasl_binding_possible(setup);
	case NEED_CERTIFICATE:
		return setup->tls && setup->external.len > 0 &&
		       setup->external.len <= SASL_NAME_MAX;
	case NEED_KEYS:
		return privacy && policy->tokens != NULL;
	case NEED_ACCOUNT:
		return privacy && is_read_by_strangers(setup->service) &&
		       policy->anonymous != NULL && policy->anonymous[0] != '\0';
	}
	return false;
}

uint32_t
sasl_offered(const struct sasl_setup *setup)
{
	const struct sasl_policy *policy = setup->policy != NULL ? setup->policy
	                                                         : &sasl_policy_default;
	uint32_t bits = policy->mechanisms & sasl_library_mechanisms();

	for (unsigned m = 0; m < SASL_MECH_COUNT; m++)
		if ((bits & SASL_MECH_BIT(m)) != 0 && (!is_met(bases[m].need, setup, policy) ||
		                                       !has_source((enum sasl_mechanism)m, policy)))
			bits &= ~SASL_MECH_BIT(m);
	return bits;
}

const char *
sasl_mechanisms(const struct sasl_setup *setup, char out[SASL_MECHANISMS_TEXT])
{
	return sasl_mechanism_write(sasl_offered(setup), out);
}
