/* auxprop - hands an account's verifiers to libsasl2 as the property authPassword [RFC 5803].
 *
 * PLAIN does not need it: its password goes to our callback. Mechanisms that never see a password ask for this
 * property. The account was found when the name was canonicalised, so nothing is looked up here. Whether there is an
 * account makes no difference to the answer's result, only to its content.
 */
#include "sasl/internal.h"

#include <sasl/prop.h>

/* Properties of who authenticates are asked for with "*" in front, those of who is authorized without. */
static bool
is_auth_password(const char *asked, unsigned flags)
{
	if ((flags & SASL_AUXPROP_AUTHZID) != 0)
		return strcmp(asked, "authPassword") == 0;
	return strcmp(asked, "*authPassword") == 0;
}

static int
give_verifiers(const sasl_utils_t *utils, struct propctx *props, const char *asked,
               const struct sasl_attempt *who)
{
	utils->prop_erase(props, asked);
	for (size_t i = 0; i < who->account.nverifiers; i++) {
		struct slice v = who->account.verifiers[i];
		int rc = utils->prop_set(props, i == 0 ? asked : NULL, (const char *)v.ptr,
		                         (int)v.len);

		if (rc != SASL_OK)
			return rc;
	}
	return SASL_OK;
}

static int
lookup(void *context, sasl_server_params_t *params, unsigned flags, const char *user, unsigned len)
{
	const sasl_utils_t *utils = params->utils;
	struct sasl_exchange *x = sasl_exchange_of(utils);
	const struct propval *asked = utils->prop_get(params->propctx);
	const struct sasl_attempt *who;

	(void)context;
	if (x == NULL)
		return SASL_NOUSER;
	who = (flags & SASL_AUXPROP_AUTHZID) != 0 && x->authz_named ? &x->authz : &x->authc;
	if (asked == NULL || !who->known || !slice_eq(who->account.name, slice_of(user, len)))
		return SASL_OK;
	for (; asked->name != NULL; asked++) {
		if (is_auth_password(asked->name, flags)) {
			int rc = give_verifiers(utils, params->propctx, asked->name, who);

			if (rc != SASL_OK)
				return rc;
		}
	}
	return SASL_OK;
}

static int
plugin_init(const sasl_utils_t *utils, int max_version, int *out_version,
            sasl_auxprop_plug_t **plug, const char *name)
{
	static char plugin_name[] = SASL_AUXPROP_NAME;
	static sasl_auxprop_plug_t plugin = { .auxprop_lookup = lookup, .name = plugin_name };

	(void)utils;
	(void)name;
	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*out_version = SASL_AUXPROP_PLUG_VERSION;
	*plug = &plugin;
	return SASL_OK;
}

int
sasl_auxprop_register(void)
{
	return sasl_auxprop_add_plugin(SASL_AUXPROP_NAME, plugin_init);
}
