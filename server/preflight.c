/* preflight - see preflight.h.
 *
 * When root is to become another user, a child becomes that user and looks, as only the system
 * knows all reasons for which access is refused (modes, ACLs, mounts). Root's own look would
 * always be pleased.
 */
#define _GNU_SOURCE
#include "server/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "index/volume.h"
#include "server/trusted.h"

#define KEY_MODE_BAD (S_IWGRP | S_IROTH | S_IWOTH)      /* a group of its own may read it */

static const char *
user_name(void)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw != NULL ? pw->pw_name : "of this process";
}

/* ---- volumes and sockets ---- */

static enum rc
check_access(const char *path, int mode, struct err *e)
{
	int os;

	if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0)
		return RC_OK;
	os = errno;
	return err_os(e, os, "%s, as user %s", path, user_name());
}

static bool
is_missing(const char *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) != 0 && errno == ENOENT;
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

	if (is_missing(v->path, "head") && is_missing(v->path, "log"))
		rc = err_set(e, RC_NOT_FOUND, VOLUME_MISSING, v->path, v->named.name);
	for (size_t i = 0; i < sizeof places / sizeof places[0] && rc == RC_OK; i++) {
		snprintf(path, sizeof path, "%s%s", v->path, places[i].name);
		rc = check_access(path, places[i].mode, e);
		if (rc == RC_NOT_FOUND && places[i].optional) {
			*e = (struct err)ERR_INIT;
			rc = RC_OK;
		}
	}
	return rc == RC_OK ? rc : err_add(e, "volume %s", v->named.name);
}

/* Can a socket be made there? */
static enum rc
check_socket(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	snprintf(dir, sizeof dir, "%.*s", slash > path ? (int)(slash - path) : 1, path);
	return check_access(dir, W_OK | X_OK, e);
}

static enum rc
check_sockets(const struct conf *conf, struct err *e)
{
	enum rc rc = check_socket(conf->server.control_socket, e);

	if (rc != RC_OK)
		return err_add(e, "[server] control_socket");
	for (size_t i = 0; i < conf->n_listens; i++) {
		const struct conf_listen *c = &conf->listens[i];

		if (c->socket[0] == '\0')
			continue;
		rc = check_socket(c->socket, e);
		if (rc != RC_OK)
			return err_add(e, "[listen %s] socket", c->named.name);
		errno = 0;
		if (c->group[0] != '\0' && getgrnam(c->group) == NULL && errno == 0)
			return err_set(e, RC_NOT_FOUND,
			               "[listen %s] group: there is no group %s on this system",
			               c->named.name, c->group);
	}
	return RC_OK;
}

/* ---- certificate and key ---- */

static enum rc
check_file(const char *key, const char *path, const struct identity *id, struct err *e)
{
	enum rc rc = RC_OK;
	int fd;

	if (path[0] == '\0')
		return RC_OK;
	rc = trusted_open(path, id, &fd, e);
	if (rc != RC_OK)
		return err_add(e, "%s", key);
	close(fd);
	return RC_OK;
}

/* Who can change the configuration can have root start the server as root. */
static void
warn_conf_owner(const struct conf *conf, const struct identity *id)
{
	struct err why = ERR_INIT;
	struct logline l;

	if (!id->other || trusted_is_safe(conf->path, id, &why))
		return;
	log_begin(&l, LOGLEVEL_WARN, "server.conf_owner");
	log_cstr(&l, "file", conf->path);
	log_cstr(&l, "user", id->name);
	log_cstr(&l, "text",
	         "this user could change the file, and so have root run it as root: give file and "
	         "directory to root");
	log_cstr(&l, "why", why.text);
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
	log_cstr(&l, "text",
	         "others may read or change the private key; mode 0600 or 0640 is enough");
	log_end(&l);
}

/* ---- all of it ---- */

/* At least `wanted` volumes can be used; the error is the first one's that cannot. */
static enum rc
check_as_user(const struct conf *conf, size_t wanted, struct err *e)
{
	struct err first = ERR_INIT;
	size_t good = 0;

	for (size_t i = 0; i < conf->n_volumes; i++) {
		struct err one = ERR_INIT;

		if (check_volume(&conf->volumes[i], &one) == RC_OK)
			good++;
		else if (first.code == RC_OK)
			first = one;
	}
	if (good >= wanted)
		return RC_OK;
	*e = first;
	return e->code;
}

/* In a child; what it found comes back through a pipe. */
static enum rc
check_in_child(const struct conf *conf, size_t wanted, struct err *e)
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
			(void)check_as_user(conf, wanted, &found);
		n = write(ends[1], &found, sizeof found);
		_exit(n == (ssize_t)sizeof found ? 0 : 1);
	}
	close(ends[1]);
	n = pid > 0 ? read(ends[0], &found, sizeof found) : -1;
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	if (n != (ssize_t)sizeof found)
		return err_set(e, RC_IO, "looking at the volumes as user %s failed",
		               conf->server.user);
	if (found.code != RC_OK)
		*e = found;
	return found.code;
}

static enum rc
check_files(const struct conf *conf, const struct identity *id, struct err *e)
{
	const struct { const char *key, *path; } files[] = {
		{ "[tls] certificate", conf->tls.certificate }, { "[tls] key", conf->tls.key },
		{ "[tls] client_ca", conf->tls.client_ca },
		{ "[tls] client_crl", conf->tls.client_crl },
		{ "[auth] oauth_keys", conf->auth.oauth_keys },
		{ "[lmtp] aliases", conf->lmtp.aliases },
	};
	enum rc rc = RC_OK;

	for (size_t i = 0; i < sizeof files / sizeof files[0] && rc == RC_OK; i++)
		rc = check_file(files[i].key, files[i].path, id, e);
	for (size_t i = 0; i < conf->n_certificates && rc == RC_OK; i++) {
		rc = check_file("certificate", conf->certificates[i].certificate, id, e);
		if (rc == RC_OK)
			rc = check_file("key", conf->certificates[i].key, id, e);
		if (rc != RC_OK)
			(void)err_add(e, "[certificate %s]", conf->certificates[i].named.name);
	}
	return rc;
}

static enum rc
check(const struct conf *conf, size_t wanted, struct err *e)
{
	struct identity id;
	enum rc rc;

	warn_key_mode(conf->tls.key);
	for (size_t i = 0; i < conf->n_certificates; i++)
		warn_key_mode(conf->certificates[i].key);
	rc = privileges_find(conf->server.user, &id, e);
	if (rc == RC_OK)
		warn_conf_owner(conf, &id);
	if (rc == RC_OK)
		rc = check_sockets(conf, e);
	if (rc == RC_OK)
		rc = check_files(conf, &id, e);
	if (rc != RC_OK)
		return rc;
	return id.other ? check_in_child(conf, wanted, e) : check_as_user(conf, wanted, e);
}

enum rc
preflight_check(const struct conf *conf, struct err *e)
{
	return check(conf, 1, e);
}

enum rc
preflight_check_all(const struct conf *conf, struct err *e)
{
	return check(conf, conf->n_volumes, e);
}
