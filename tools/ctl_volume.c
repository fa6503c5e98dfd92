/* ctl_volume - volume create: an empty volume for a section that the admin has added to the configuration.
 *
 * The configuration says where it lies; the server takes it up at SIGHUP or its next start. The index is made too, so that check
 * finds nothing amiss before that.
 */
#include "tools/ctl.h"

#include <string.h>

static const struct conf_volume *
find_section(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_volumes; i++)
		if (strcmp(conf->volumes[i].name, name) == 0)
			return &conf->volumes[i];
	return NULL;
}

static enum rc
create_with_index(const struct conf_volume *cv, struct err *e)
{
	struct volume_params p = { .name = cv->name, .path = cv->path, .mode = VOLUME_WRITE };
	struct volume *v;
	enum rc rc = volume_create(cv->path, e);

	if (rc == RC_OK)
		rc = volume_open(&p, &v, e);
	if (rc == RC_OK)
		volume_close(&v);
	return rc;
}

enum admin_exit
ctl_volume_create(struct ctl *ctl)
{
	const struct conf_volume *cv;
	struct err e = ERR_INIT;

	if (!ctl_prepare(ctl))
		return ADMIN_FAILED;
	cv = find_section(ctl->conf, ctl->args[0]);
	if (cv == NULL) {
		ctl_error(ctl, "%s has no section [volume %s]: add it, with its path, first", ctl->conf->path,
		          ctl->args[0]);
		return ADMIN_FAILED;
	}
	if (create_with_index(cv, &e) != RC_OK) {
		ctl_error(ctl, "%s", e.text);
		return ADMIN_FAILED;
	}
	printf("%s: made in %s; restanted takes it up at SIGHUP, or its next start\n", cv->name, cv->path);
	return ADMIN_OK;
}
