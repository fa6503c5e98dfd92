/* auxprop - hands libsasl2 what SCRAM works with, as the property authPassword [RFC 5803].
 *
 * PLAIN and LOGIN do not need it: their password goes to our callback. Nothing but authPassword is
 * ever given; SCRAM also asks for userPassword, the password itself, which we do not have. The
 * account was found when the name was canonicalised, so nothing is looked up here. Whether there is
 * an account makes no difference to the answer's result, only to its content: libsasl2 would say
 * NOUSER before any challenge.
 */
#include "lib/secret.h"
#include "sasl/internal.h"

#include <sasl/prop.h>

/* One value for each hash; SCRAM takes its own. */
static int
give_verifiers(const sasl_utils_t *utils, struct propctx *props, const char *asked,
               struct sasl_exchange *x)
{
	static const enum sasl_mechanism hashes[] = { SASL_MECH_SCRAM_SHA_256,
	                                              SASL_MECH_SCRAM_SHA_1 };
	struct slice secret = x->setup.secret.len > 0 ? x->setup.secret : sasl_library_secret();
	char text[SCRAM_TEXT_MAX];
	int rc = SASL_OK;

	utils->prop_erase(props, asked);
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0] && rc == SASL_OK; i++) {
		bool genuine = false;

		if (!sasl_scram_verifier(&x->authc, sasl_service_find(slice_str(x->setup.service)),
		        slice_of(x->claimed, x->claimed_len), secret, hashes[i], text, &genuine))
			rc = SASL_NOMEM;
		else
			rc = utils->prop_set(props, i == 0 ? asked : NULL, text, (int)strlen(text));
		if (hashes[i] == sasl_without_plus(x->mechanism))
			x->genuine = genuine;
	}
	secret_wipe(text, sizeof text);
	return rc;
}

/* Properties of who authenticates are asked for with "*" in front, those of who is
 * authorized without. */
static int
lookup(void *context, sasl_server_params_t *params, unsigned flags, const char *user, unsigned len)
{
	const sasl_utils_t *utils = params->utils;
	struct sasl_exchange *x = sasl_exchange_of(utils);
	const struct propval *asked = utils->prop_get(params->propctx);

	(void)context;
	(void)user;
	(void)len;
	if (x == NULL)
		return SASL_NOUSER;
	if (asked == NULL || (flags & SASL_AUXPROP_AUTHZID) != 0)
		return SASL_OK;
	for (; asked->name != NULL; asked++) {
		if (strcmp(asked->name, "*authPassword") == 0) {
			int rc = give_verifiers(utils, params->propctx, asked->name, x);

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
