/* privileges - who the process is and how many files it may open. See privileges.h. */
#define _GNU_SOURCE
#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/logging.h"

uint64_t
privileges_raise_files(uint64_t wanted)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return 0;
	if (lim.rlim_max != RLIM_INFINITY && lim.rlim_max < wanted) {
		struct rlimit more = { wanted, wanted };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return wanted;
	}
	if (lim.rlim_cur != lim.rlim_max) {
		rlim_t before = lim.rlim_cur;

		lim.rlim_cur = lim.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &lim) != 0)
			lim.rlim_cur = before;
	}
	return lim.rlim_cur;
}

enum rc
privileges_find(const char *user, struct identity *out, struct err *e)
{
	const struct passwd *pw;

	*out = (struct identity){ false, geteuid(), getegid(), "" };
	if (user[0] == '\0')
		return RC_OK;
	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL)
		return err_set(e, RC_NOT_FOUND, "[server] user = %s: no such user on this system",
		               user);
	snprintf(out->name, sizeof out->name, "%s", pw->pw_name);
	if (geteuid() != 0 || pw->pw_uid == 0)
		return RC_OK;
	out->other = true;
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	return RC_OK;
}

/* Groups are looked up once, and stay, as they mean nothing to root: files are opened every other
 * second, and a directory service that does not answer must not hold the supervisor up. */
bool
privileges_lend(const struct identity *id)
{
	static bool have_groups;

	if (!id->other)
		return true;
	have_groups = have_groups || initgroups(id->name, id->gid) == 0;
	if (have_groups && setegid(id->gid) == 0 && seteuid(id->uid) == 0)
		return true;
	privileges_return(id);
	return false;
}

void
privileges_return(const struct identity *id)
{
	if (!id->other)
		return;
	/* The saved ids are root's. */
	if (seteuid(0) != 0 || setegid(0) != 0)
		abort();
}

static enum rc
become(const struct passwd *pw, struct err *e)
{
	if (initgroups(pw->pw_name, pw->pw_gid) != 0)
		return err_os(e, errno, "groups of user %s", pw->pw_name);
	if (setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		return err_os(e, errno, "becoming user %s", pw->pw_name);
	if (pw->pw_uid != 0 &&
	    (setuid(0) == 0 || geteuid() != pw->pw_uid || getuid() != pw->pw_uid))
		return err_set(e, RC_DENIED, "becoming user %s did not take root's rights away",
		               pw->pw_name);
	return RC_OK;
}

enum rc
privileges_drop(const char *user, struct err *e)
{
	const struct passwd *pw;
	enum rc rc;

	if (geteuid() != 0)
		return RC_OK;
	if (user[0] != '\0') {
		errno = 0;
		pw = getpwnam(user);
		if (pw == NULL)
			return err_set(e, RC_NOT_FOUND,
			               "[server] user = %s: no such user on this system", user);
		rc = become(pw, e);
		if (rc != RC_OK)
			return rc;
	}
	if (geteuid() == 0)
		log_event(LOGLEVEL_WARN, "server.root",
		          "text=\"running as root; set user in [server] to another\"");
	return RC_OK;
}
