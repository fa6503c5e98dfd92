/* sandbox - what the server needs, in paths. See sandbox.h.
 *
 * A directory that holds a volume is allowed as a whole if it is the server's user's own, as
 * DIR/volumes of init is: then SIGHUP can add a neighbour. One elsewhere takes a restart, as a
 * sandbox cannot be opened again.
 *
 * The running server writes backups where restantectl says. Who may say that is checked at the
 * control socket, by this very process; so what it may write must be fixed before: [server]
 * sandbox_paths. Rejected: a second process without a sandbox that opens files when the first asks,
 * which whoever has the first would have too.
 */
#define _GNU_SOURCE
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* Libraries and what they load and read late; names of users, hosts and time zones; numbers
 * of processors. */
static const char *const system_read[] = {
	"/usr", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix/store", "/gnu/store",
	"/run/systemd/resolve",
	"/dev/random", "/dev/urandom", "/proc/sys", "/proc/meminfo", "/sys/devices/system",
	"/sys/fs/cgroup",
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	"/proc",                /* their reports need the maps of memory */
#endif
};
/* Where the admin has told the libraries to look instead, directories with colons between. */
static const char *const read_variables[] = {
	"LD_LIBRARY_PATH", "SASL_PATH", "SASL_CONF_PATH", "GCONV_PATH", "OPENSSL_MODULES",
	"OPENSSL_CONF", "SSL_CERT_DIR",
};
/* Temporary files of SQLite; and what is read from, or written to, nowhere. */
static const char *const system_write[] = { "/dev/null", "/tmp", "/var/tmp" };
static const char *const write_variables[] = { "TMPDIR", "SQLITE_TMPDIR" };

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Without any check for room: SANDBOX_PATHS_MAX is above all limits of the configuration together,
 * but variables. */
static void
add(const char *list[], size_t *count, const char *path)
{
	if (path != NULL && path[0] == '/' && *count < SANDBOX_PATHS_MAX)
		list[(*count)++] = path;
}

static void
add_variable(struct arena *a, const char *list[], size_t *count, const char *name)
{
	const char *value = getenv(name);
	struct slice rest = slice_str(value != NULL ? value : "");

	while (rest.len > 0) {
		size_t n = slice_find_byte(rest, ':');

		add(list, count, arena_cstr(a, slice_sub(rest, 0, n)));
		rest = slice_sub(rest, n < rest.len ? n + 1 : n, rest.len);
	}
}

static bool
is_own(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 && st.st_uid == geteuid() && strcmp(dir, "/") != 0;
}

static void
add_volume(struct arena *a, struct sandbox *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *above = arena_cstr(a, slice_of(path, slash > path ? (size_t)(slash - path) : 0));

	add(s->write, &s->write_count, path);
	if (above != NULL && above[0] != '\0' && is_own(above))
		add(s->write, &s->write_count, above);
}

static bool
asks_others(const struct conf_list *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		if (strcmp(sources->words[i], "restante") != 0)
			return true;
	return false;
}

static void
collect(const struct conf *conf, struct arena *a, struct sandbox *s)
{
	const struct conf_list *more = &conf->server.sandbox_paths;

	for (size_t i = 0; i < COUNT(system_read); i++)
		add(s->read, &s->read_count, system_read[i]);
	for (size_t i = 0; i < COUNT(read_variables); i++)
		add_variable(a, s->read, &s->read_count, read_variables[i]);
	add(s->read, &s->read_count, conf->auth.sasl_config);
	for (size_t i = 0; i < conf->n_volumes; i++)
		add_volume(a, s, conf->volumes[i].path);
	for (size_t i = 0; i < more->count; i++)
		add(s->write, &s->write_count, more->words[i]);
	for (size_t i = 0; i < COUNT(system_write); i++)
		add(s->write, &s->write_count, system_write[i]);
	for (size_t i = 0; i < COUNT(write_variables); i++)
		add_variable(a, s->write, &s->write_count, write_variables[i]);
	s->connect = conf->server.sandbox_connect;
	s->ask = asks_others(&conf->auth.password_sources);
}

static void
log_report(const struct sandbox_report *r)
{
	bool whole = r->other || (r->landlock > 0 && r->seccomp);
	struct logline l;

	log_begin(&l, whole ? LOGLEVEL_INFO : LOGLEVEL_WARN, "server.sandbox");
	if (r->other) {
		log_cstr(&l, "pledge", "yes");
	} else {
		log_u64(&l, "landlock", r->landlock);
		log_cstr(&l, "seccomp", r->seccomp ? "yes" : "no");
	}
	if (!whole)
		log_cstr(&l, "text", "this kernel or this build does not have all of it");
	log_end(&l);
}

#ifdef __OpenBSD__

/* Never run: test_sandbox_openbsd.c compiles it against stand-ins and looks at what it asks for. */
enum rc
sandbox_enter(const struct sandbox *s, struct sandbox_report *report, struct err *e)
{
	*report = (struct sandbox_report){ 0, false, true };
	for (size_t i = 0; i < s->read_count; i++)
		if (unveil(s->read[i], "r") != 0 && errno != ENOENT)
			return err_os(e, errno, "unveil %s", s->read[i]);
	for (size_t i = 0; i < s->write_count; i++)
		if (unveil(s->write[i], "rwc") != 0 && errno != ENOENT)
			return err_os(e, errno, "unveil %s", s->write[i]);
	if (unveil(NULL, NULL) != 0)
		return err_os(e, errno, "unveil");
	/* prot_exec: modules are loaded late. error: what else is called fails, as elsewhere,
	 * and kills nobody. */
	if (pledge(s->connect
	               ? "stdio rpath wpath cpath fattr flock unix inet dns recvfd getpw prot_exec "
	                 "error"
	               : "stdio rpath wpath cpath fattr flock unix recvfd getpw prot_exec error",
	           NULL) != 0)
		return err_os(e, errno, "pledge");
	return RC_OK;
}

#else

enum rc
sandbox_enter(const struct sandbox *s, struct sandbox_report *report, struct err *e)
{
	enum rc rc;

	*report = (struct sandbox_report){ 0, false, false };
	rc = sandbox_landlock(s, &report->landlock, e);
	if (rc == RC_OK)
		rc = sandbox_seccomp(s, &report->seccomp, e);
	return rc;
}

#endif

enum rc
sandbox_start(const struct conf *conf, struct err *e)
{
	struct sandbox *s;
	struct sandbox_report report;
	struct arena a;
	enum rc rc;

#ifdef __linux__
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#endif
	if (!conf->server.sandbox)
		return RC_OK;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return err_nomem(e);
	arena_init(&a, 1024 * 1024);
	collect(conf, &a, s);
	rc = sandbox_enter(s, &report, e);
	arena_fini(&a);
	free(s);
	if (rc != RC_OK)
		return err_add(e, "[server] sandbox");
	log_report(&report);
	return RC_OK;
}
