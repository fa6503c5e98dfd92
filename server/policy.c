/* policy - see policy.h. Names of accounts are not looked up here: they may come later than the
 * configuration. */
#include "server/policy.h"

enum rc
policy_read(const struct conf *conf, struct sasl_policy *out, struct err *e)
{
	const struct conf_auth *auth = &conf->auth;
	enum rc rc;

	*out = (struct sasl_policy){
		.anonymous = auth->anonymous,
		.admins = auth->admins.words,
		.nadmins = auth->admins.count,
	};
	rc = sasl_mechanism_read(auth->mechanisms.words, auth->mechanisms.count, &out->mechanisms,
	                         e);
	if (rc != RC_OK)
		return err_add(e, "%s: [auth] mechanisms", conf->path);
	rc = sasl_sources_read(auth->password_sources.words, auth->password_sources.count,
	                       auth->saslauthd_socket, &out->sources, e);
	if (rc != RC_OK)
		return err_add(e, "%s: [auth] password_sources", conf->path);
	return RC_OK;
}
