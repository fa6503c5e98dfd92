/* oauth_none - stands in for tokens where configure found no libjansson: keys cannot be read, so
 * none are configured and no mechanism that takes tokens is offered. */
#include "sasl/oauth.h"

#include <assert.h>

#include <sasl/sasl.h>

enum rc
jwks_parse(struct slice text, struct jwks **out, struct err *e)
{
	(void)text;
	*out = NULL;
	return err_set(e, RC_NOT_FOUND,
	    "this program was built without libjansson: it knows no OAUTHBEARER and XOAUTH2");
}

void
jwks_unref(struct jwks **set)
{
	*set = NULL;
}

/* Nobody has a set, so these are never called. */
struct jwks *
jwks_ref(struct jwks *set)
{
	assert(set == NULL);
	return set;
}

size_t
jwks_count(const struct jwks *set)
{
	assert(set == NULL);
	return 0;
}

int
sasl_oauth_register(uint32_t *mechanisms)
{
	(void)mechanisms;
	return SASL_OK;
}
