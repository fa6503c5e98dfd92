/* preflight - see preflight.h.
 *
 * When root is to become another user, a child becomes that user and looks, as only the system knows all reasons for
 * which access is refused (modes, ACLs, mounts). Root's own look would always be pleased, and after the real change of
 * user a socket that root has bound may be in a directory where nothing can be removed again.
 */
#define _GNU_SOURCE
#include "server/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/privileges.h"

#define KEY_MODE_BAD (S_IWGRP | S_IROTH | S_IWOTH)      /* a group of its own may read it */

static const char *
user_name(void)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw != NULL ? pw->pw_name : "of this process";
}

/* ---- volumes and the control socket ---- */

static enum rc
check_access(const char *path, int mode, struct err *e)
{
	int os;

	if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0)
		return RC_OK;
	os = errno;
	return err_os(e, os, "%s, as user %s", path, user_name());
}

static enum rc
check_volume(const struct conf_volume *v, struct err *e)
{
	static const struct place {
		const char *name;
		int         mode;
		bool        optional;
	} places[] = {
		{ "", R_OK | W_OK | X_OK, false },
		{ "/log", R_OK | W_OK | X_OK, false },
		{ "/head", R_OK | W_OK, false },
		{ "/index.db", R_OK | W_OK, true },
		{ "/index.db-wal", R_OK | W_OK, true },
		{ "/index.db-shm", R_OK | W_OK, true },
	};
	char path[PATH_MAX];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < sizeof places / sizeof places[0] && rc == RC_OK; i++) {
		snprintf(path, sizeof path, "%s%s", v->path, places[i].name);
		rc = check_access(path, places[i].mode, e);
		if (rc == RC_NOT_FOUND && places[i].optional) {
			*e = (struct err)ERR_INIT;
			rc = RC_OK;
		}
	}
	return rc == RC_OK ? rc : err_add(e, "volume %s", v->name);
}

static enum rc
check_control(const struct conf *conf, struct err *e)
{
	const char *path = conf->server.control_socket, *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	enum rc rc;

	snprintf(dir, sizeof dir, "%.*s", slash > path ? (int)(slash - path) : 1, path);
	rc = check_access(dir, W_OK | X_OK, e);
	if (rc != RC_OK)
		(void)err_add(e, "[server] control_socket");
	return rc;
}

/* ---- certificate and key ---- */

static void
warn_unreadable(const char *path)
{
	struct logline l;
	int os;

	if (path[0] == '\0' || faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
		return;
	os = errno;
	log_begin(&l, LOGLEVEL_WARN, "tls.reload_will_fail");
	log_cstr(&l, "file", path);
	log_cstr(&l, "user", user_name());
	log_cstr(&l, "text", strerror(os));
	log_end(&l);
}

static void
warn_key_mode(const char *path)
{
	struct logline l;
	struct stat st;
	char mode[8];

	if (path[0] == '\0' || stat(path, &st) != 0 || (st.st_mode & KEY_MODE_BAD) == 0)
		return;
	snprintf(mode, sizeof mode, "%04o", (unsigned)st.st_mode & 07777u);
	log_begin(&l, LOGLEVEL_WARN, "tls.key_mode");
	log_cstr(&l, "file", path);
	log_cstr(&l, "mode", mode);
	log_cstr(&l, "text", "others may read or change the private key; mode 0600 or 0640 is enough");
	log_end(&l);
}

/* ---- all of it ---- */

static enum rc
check_as_user(const struct conf *conf, struct err *e)
{
	enum rc rc = check_control(conf, e);

	warn_unreadable(conf->tls.certificate);
	warn_unreadable(conf->tls.key);
	for (size_t i = 0; i < conf->n_volumes && rc == RC_OK; i++)
		rc = check_volume(&conf->volumes[i], e);
	return rc;
}

/* In a child; what it found comes back through a pipe. */
static enum rc
check_in_child(const struct conf *conf, struct err *e)
{
	struct err found = ERR_INIT;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_os(e, errno, "pipe");
	pid = fork();
	if (pid == 0) {
		if (privileges_drop(conf->server.user, &found) == RC_OK)
			(void)check_as_user(conf, &found);
		n = write(ends[1], &found, sizeof found);
		_exit(n == (ssize_t)sizeof found ? 0 : 1);
	}
	close(ends[1]);
	n = pid > 0 ? read(ends[0], &found, sizeof found) : -1;
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	if (n != (ssize_t)sizeof found)
		return err_set(e, RC_IO, "looking at the volumes as user %s failed", conf->server.user);
	if (found.code != RC_OK)
		*e = found;
	return found.code;
}

enum rc
preflight_check(const struct conf *conf, struct err *e)
{
	const struct passwd *pw = NULL;

	warn_key_mode(conf->tls.key);
	if (conf->server.user[0] != '\0') {
		errno = 0;
		pw = getpwnam(conf->server.user);
		if (pw == NULL)
			return err_set(e, RC_NOT_FOUND, "[server] user = %s: no such user on this system",
			               conf->server.user);
	}
	if (geteuid() == 0 && pw != NULL && pw->pw_uid != 0)
		return check_in_child(conf, e);
	return check_as_user(conf, e);
}
