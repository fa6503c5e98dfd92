/* ctl_owner - users of the system: becoming one, making one, and what one may reach. */
#define _GNU_SOURCE
#include "tools/ctl.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#ifdef __linux__
#include <sys/fsuid.h>
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

/* Who root acts as for the time being; 0: nobody else. */
static uid_t lent_to;

enum rc
ctl_owner_lend(const char *user, struct err *e)
{
	const struct passwd *pw;

	if (geteuid() != 0 || user[0] == '\0')
		return RC_OK;
	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL)
		return err_set(e, RC_NOT_FOUND,
		               "there is no user %s on this system ([server] user)", user);
	if (pw->pw_uid == 0)
		return RC_OK;
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setegid(pw->pw_gid) != 0 ||
	    seteuid(pw->pw_uid) != 0)
		return err_os(e, errno, "acting as user %s", user);
	lent_to = pw->pw_uid;
	return RC_OK;
}

void
ctl_owner_own(bool own)
{
#ifdef __linux__
	if (lent_to != 0)
		(void)setfsuid(own ? 0 : lent_to);
#else
	(void)own;
#endif
}

void
ctl_owner_return(void)
{
	if (lent_to == 0)
		return;
	if (seteuid(0) != 0 || setegid(0) != 0)
		return;                 /* cannot happen: the saved ids are root's */
#ifdef __linux__
	(void)prctl(PR_SET_DUMPABLE, 1);
#endif
	lent_to = 0;
}

enum rc
ctl_owner_become(const char *user, struct err *e)
{
	const struct passwd *pw;

	if (geteuid() != 0 || user[0] == '\0')
		return RC_OK;
	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL)
		return err_set(
		    e, RC_NOT_FOUND, "there is no user %s on this system ([server] user)", user);
	if (pw->pw_uid == 0)
		return RC_OK;
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
	    setuid(pw->pw_uid) != 0)
		return err_os(e, errno, "becoming user %s", user);
	if (setuid(0) == 0 || getuid() != pw->pw_uid || geteuid() != pw->pw_uid)
		return err_set(
		    e, RC_DENIED, "becoming user %s did not take root's rights away", user);
	return RC_OK;
}

/* Run a program of the system; its output goes where ours goes. -1: it could not be started. */
static int
run_program(const char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 127)
		return -1;
	return WEXITSTATUS(status);
}

enum rc
ctl_owner_ensure(const char *user, bool *made, struct err *e)
{
	const char *const argv[] = { "useradd", "--system", "--user-group", "--no-create-home",
		"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "--", user, NULL };
	int status;

	*made = false;
	if (getpwnam(user) != NULL)
		return RC_OK;
	fflush(stdout);
	status = run_program(argv);
	if (status == 0 && getpwnam(user) != NULL) {
		*made = true;
		return RC_OK;
	}
	if (status < 0)
		return err_set(e, RC_NOT_FOUND,
		    "there is no user %s, and no program useradd to make it: make it yourself, or "
		    "name another with --user",
		    user);
	return err_set(e, RC_NOT_FOUND,
	    "there is no user %s, and useradd could not make it (exit status %d): make it "
	    "yourself, or name another with --user",
	    user, status);
}

/* In a child of its own, which becomes the user: the number of directories, from the top, that it
 * may pass; each ends at a slash of `path`. */
static void
try_path(const char *user, const char *path, int to)
{
	struct err e = ERR_INIT;
	size_t good = 0;
	char part[PATH_MAX];

	if (ctl_owner_become(user, &e) != RC_OK)
		_exit(1);
	for (size_t i = 0; path[i] != '\0' && i < sizeof part - 1; i++) {
		part[i] = path[i];
		if (path[i] != '/')
			continue;
		part[i + 1] = '\0';
		if (access(part, X_OK) != 0)
			break;
		good = i + 1;
	}
	if (write(to, &good, sizeof good) != (ssize_t)sizeof good)
		_exit(1);
	_exit(0);
}

enum rc
ctl_owner_barred(const char *user, const char *path, char *dst, size_t size, struct err *e)
{
	const char *last = strrchr(path, '/');
	size_t good = 0, end;
	ssize_t got;
	int ends[2];
	pid_t pid;

	dst[0] = '\0';
	if (pipe(ends) != 0)
		return err_os(e, errno, "pipe");
	pid = fork();
	if (pid == 0)
		try_path(user, path, ends[1]);
	close(ends[1]);
	got = pid > 0 ? read(ends[0], &good, sizeof good) : -1;
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	if (got != (ssize_t)sizeof good)
		return err_set(e, RC_IO, "cannot find out what user %s may reach", user);
	if (last == NULL || good > (size_t)(last - path))
		return RC_OK;
	/* The first that failed: up to the next slash behind what was good. */
	end = good + slice_find_byte(slice_str(path + good), '/');
	if (!slice_to_cstr(slice_of(path, end == 0 ? 1 : end), dst, size))
		return err_set(e, RC_LIMIT, "path too long");
	return RC_OK;
}
