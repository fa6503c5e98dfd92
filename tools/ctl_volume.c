/* ctl_volume - volume create: an empty volume for a section that the admin has added to the
 * configuration.
 *
 * The configuration says where it lies; the server takes it up at SIGHUP or a restart. The
 * index is made too, so that check finds nothing amiss before that.
 *
 * An empty volume in place of one whose disk is not mounted turns "come again" (451) into "no such
 * user" (550). So none is made of which a running server says that it misses it, without --new.
 */
#include "tools/ctl.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

static const struct conf_volume *
find_section(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_volumes; i++)
		if (strcmp(conf->volumes[i].named.name, name) == 0)
			return &conf->volumes[i];
	return NULL;
}

/* ---- what a running server misses ---- */

struct missed {
	char begin[96];         /* of its line in the answer of status */
	bool found;
};

static bool
look_at_line(void *arg, struct slice text)
{
	struct missed *m = arg;

	m->found = m->found || slice_starts(text, slice_str(m->begin));
	return true;
}

static void
ignore_error(void *arg, struct slice text)
{
	(void)arg;
	(void)text;
}

/* False as well if no server answers. */
static bool
is_missed(const struct ctl *ctl, const char *name)
{
	const char *const argv[] = { "status" };
	struct missed m = { .found = false };
	const struct admin_output out = { .arg = &m, .line = look_at_line, .error = ignore_error };
	int fd = ctl_connect(ctl->conf->server.control_socket);

	if (fd < 0)
		return false;
	snprintf(m.begin, sizeof m.begin, ADMIN_NOT_AVAILABLE, name);
	(void)ctl_remote(fd, 1, argv, &out, NULL);
	return m.found;
}

/* ---- create ---- */

static enum rc
create_with_index(const struct conf_volume *cv, struct err *e)
{
	struct volume_params p = { .name = cv->named.name, .path = cv->path, .mode = VOLUME_WRITE };
	struct volume *v;
	enum rc rc = volume_create(cv->path, e);

	if (rc == RC_OK)
		rc = volume_open(&p, &v, e);
	if (rc == RC_OK)
		volume_close(&v);
	return rc;
}

/* Who gave the command is root, often, and wonders what root may not do. */
static void
tell_failure(const struct ctl *ctl, const struct conf_volume *cv, const struct err *e)
{
	const char *slash = strrchr(cv->path, '/');
	const struct passwd *pw = getpwuid(geteuid());

	if (pw == NULL || (e->os != EACCES && e->os != EPERM))
		ctl_error(ctl, "%s", e->text);
	else
		ctl_error(ctl, "%s: this runs as user %s, who must be able to write to %.*s",
		          e->text, pw->pw_name, slash > cv->path ? (int)(slash - cv->path) : 1,
		          cv->path);
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
		ctl_error(ctl, "%s has no section [volume %s]: add it, with its path, first",
		          ctl->conf->path, ctl->args[0]);
		return ADMIN_FAILED;
	}
	if (!options_given(&ctl->options, "--new") && is_missed(ctl, cv->named.name)) {
		ctl_error(ctl,
		    "volume %s: restanted runs without it: mount the disk of %s and restart "
		    "restanted. If it never had mail, or that is given up: volume create --new %s",
		    cv->named.name, cv->path, cv->named.name);
		return ADMIN_FAILED;
	}
	if (create_with_index(cv, &e) != RC_OK) {
		tell_failure(ctl, cv, &e);
		return ADMIN_FAILED;
	}
	printf("%s: made in %s; restanted takes it up at SIGHUP if it lies beside another volume "
	       "or below sandbox_paths, else at a restart\n",
	       cv->named.name, cv->path);
	return ADMIN_OK;
}
