/* ctl_init - everything that a first server needs, in one directory.
 *
 * As root only the volumes are made as the server's user, and are its own. The configuration, the
 * certificate and its key stay root's, and that user may read them: who breaks into the server must
 * not be able to write `user = root`. So the directory is root's too; its group, the user's, may
 * make sockets in it, but take away nothing that is not its own (mode 1775). Nothing that exists is
 * touched. If a step fails, the files made by the earlier ones are removed again, except a volume,
 * which is never removed.
 */
#define _GNU_SOURCE
#include "tools/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define USER_DEFAULT   "restante"
#define BASE_DEFAULT   10000u
#define OFFSET_MAX     995u
#define PORT_MAX       65535u

/* What init makes, and what a server makes beside it. */
static const char *const belongings[] = {
	"restante.conf", "cert.pem", "key.pem", "volumes", "lmtp.sock", "control.sock",
};

enum { BELONGINGS = sizeof belongings / sizeof belongings[0] };

struct init {
	struct ctl *ctl;
	unsigned    base;
	char        dir[PATH_MAX];      /* absolute, without links */
	char        user[65];           /* for the configuration; "" for none */
	bool        split;              /* we are root, and `user` is another: it
	                                 * owns the volumes */
	uid_t       uid;                /* of that user */
	gid_t       gid;
	char        hostname[256];      /* "" if it is not fit for a certificate */
	bool        made_user;
};

static bool
path_in(const struct init *in, const char *name, char *dst, size_t size)
{
	int n = snprintf(dst, size, "%s/%s", in->dir, name);

	return n > 0 && (size_t)n < size;
}

/* ---- what stands in the way ---- */

static enum rc
check_free(const struct init *in, struct err *e)
{
	char found[300] = "";
	size_t len = 0;

	for (int i = 0; i < BELONGINGS; i++) {
		char path[PATH_MAX];
		struct stat st;

		if (!path_in(in, belongings[i], path, sizeof path))
			return err_set(e, RC_LIMIT, "%.200s: path too long", in->dir);
		if (lstat(path, &st) == 0 && len < sizeof found)
			len += (size_t)snprintf(found + len, sizeof found - len, "%s%s",
			    len > 0 ? ", " : "", belongings[i]);
	}
	if (len > 0)
		return err_set(e, RC_EXISTS,
		    "%.150s holds %s already: nothing is overwritten, choose another directory",
		    in->dir, found);
	return RC_OK;
}

/* Sockets have short paths. */
static enum rc
check_length(const struct init *in, struct err *e)
{
	const struct sockaddr_un *sa = NULL;

	if (strlen(in->dir) + sizeof "/control.sock" > sizeof sa->sun_path)
		return err_set(e, RC_LIMIT,
		    "%.150s is too long: unix sockets in it must have paths of at most %zu bytes",
		    in->dir, sizeof sa->sun_path - 1);
	return RC_OK;
}

/* Letters, digits, dashes and dots: what may stand in a certificate and in a configuration. */
static void
find_hostname(struct init *in)
{
	if (gethostname(in->hostname, sizeof in->hostname - 1) != 0)
		in->hostname[0] = '\0';
	for (const char *p = in->hostname; *p != '\0'; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= '0' && *p <= '9') || *p == '-' || *p == '.')
			continue;
		in->hostname[0] = '\0';
		return;
	}
}

/* ---- the directory and its owner ---- */

/* Make DIR, its parents too, and find its absolute name. */
static enum rc
make_dir(struct init *in, const char *dir, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(dir);

	if (len == 0 || len >= sizeof part)
		return err_set(e, RC_LIMIT, "%.200s: not a usable directory name", dir);
	for (size_t i = 1; i <= len; i++) {
		if (i < len && dir[i] != '/')
			continue;
		memcpy(part, dir, i);
		part[i] = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST && errno != EISDIR)
			return err_os(e, errno, "%.200s", part);
	}
	if (realpath(dir, in->dir) == NULL)
		return err_os(e, errno, "%.200s", dir);
	return RC_OK;
}

static enum rc
choose_user(struct init *in, struct err *e)
{
	const char *wanted = options_value(&in->ctl->options, "--user");
	const struct passwd *me;

	if (geteuid() != 0 && wanted != NULL) {
		me = getpwuid(geteuid());
		if (me == NULL || strcmp(me->pw_name, wanted) != 0)
			return err_set(e, RC_DENIED,
			    "--user %.64s: only root can give files to another user", wanted);
	}
	if (geteuid() != 0)
		return RC_OK;
	if (wanted == NULL)
		wanted = USER_DEFAULT;
	if (!slice_to_cstr(slice_str(wanted), in->user, sizeof in->user) || wanted[0] == '\0')
		return err_set(e, RC_SYNTAX, "--user %.64s: not the name of a user", wanted);
	if (options_value(&in->ctl->options, "--user") != NULL && getpwnam(wanted) == NULL)
		return err_set(e, RC_NOT_FOUND, "--user %s: there is no such user", wanted);
	return ctl_owner_ensure(wanted, &in->made_user, e);
}

/* As root: the user's group may make its sockets in the directory. */
static enum rc
share_dir(struct init *in, struct err *e)
{
	const struct passwd *pw;
	char barred[PATH_MAX];
	struct stat st;
	enum rc rc;

	if (geteuid() != 0 || strcmp(in->user, "root") == 0)
		return RC_OK;
	rc = ctl_owner_barred(in->user, in->dir, barred, sizeof barred, e);
	if (rc != RC_OK)
		return rc;
	if (barred[0] != '\0') {
		fprintf(stderr,
		    "restantectl: %s does not let the user %s pass, so the configuration says "
		    "user = root; better is a directory that this user can reach\n",
		    barred, in->user);
		snprintf(in->user, sizeof in->user, "root");
		return RC_OK;
	}
	pw = getpwnam(in->user);
	if (pw == NULL || stat(in->dir, &st) != 0 || chown(in->dir, 0, pw->pw_gid) != 0 ||
	    chmod(in->dir, (st.st_mode & 0755) | 01070) != 0)
		return err_os(e, errno, "sharing %.200s with user %s", in->dir, in->user);
	in->split = true;
	in->uid = pw->pw_uid;
	in->gid = pw->pw_gid;
	return RC_OK;
}

/* Root's, and the user's group may read it. */
static enum rc
share_file(const struct init *in, const char *path, struct err *e)
{
	if (in->split && (chown(path, 0, in->gid) != 0 || chmod(path, 0640) != 0))
		return err_os(e, errno, "sharing %.200s with user %s", path, in->user);
	return RC_OK;
}

/* ---- what goes into it ---- */

static void
write_listener(FILE *f, const struct init *in, const char *protocol, unsigned offset)
{
	fprintf(f, "[listen %s]\n", protocol);
	fprintf(f, "protocol = %s\n", protocol);
	fprintf(f, "address = 127.0.0.1\n");
	fprintf(f, "port = %u\n\n", in->base + offset);
}

static void
write_server(FILE *f, const struct init *in)
{
	fputs("# Restante: see restante.conf(5). Relative paths begin at this file's directory.\n"
	      "# `restanted -c FILE -t` checks the file. SIGHUP makes a running server read\n"
	      "# certificates, limits and the log level again.\n"
	      "\n"
	      "[server]\n"
	      "# Who the server becomes when root starts it.\n", f);
	fprintf(f, "%suser = %s\n", in->user[0] != '\0' ? "" : "#",
	    in->user[0] != '\0' ? in->user : USER_DEFAULT);
	fputs("# The name in greetings and trace headers; the system's unless given.\n"
	      "#hostname = mail.example.org\n"
	      "# error, warn, info or debug\n"
	      "log_level = info\n"
	      "# By this socket restantectl reaches the running server.\n"
	      "control_socket = control.sock\n"
	      "# Passwords without TLS, on connections from this machine only.\n"
	      "allow_plaintext_on_loopback = yes\n"
	      "\n"
	      "[tls]\n"
	      "# Signed by itself, good for trying; replace it by one that mail programs trust.\n"
	      "certificate = cert.pem\n"
	      "key = key.pem\n"
	      "\n"
	      "[volume v1]\n"
	      "# Holds the accounts and their mail: restantectl backup DIR copies them;\n"
	      "# save this file, the certificate and the key too.\n"
	      "path = volumes/v1\n"
	      "# strict: what was answered OK is on disk; relaxed: flags follow in a second.\n"
	      "durability = strict\n"
	      "\n", f);
}

static void
write_listeners(FILE *f, const struct init *in)
{
	fputs("# Reading mail. 127.0.0.1 is this machine alone; 0.0.0.0 or :: is everybody.\n"
	      "# imaps and pop3s speak TLS from the first byte: what mail programs should use.\n",
	    f);
	write_listener(f, in, "imaps", 993);
	write_listener(f, in, "pop3s", 995);
	fputs("# imap and pop3 begin in the clear, and take passwords under STARTTLS and STLS,\n"
	      "# and as allowed above. For the world they may be left out.\n", f);
	write_listener(f, in, "imap", 143);
	write_listener(f, in, "pop3", 110);
	fputs("# Where the mail server (Postfix, Exim ...) delivers, from this machine without\n"
	      "# a password; others get 530 unless [lmtp] says who may.\n", f);
	write_listener(f, in, "lmtp", 24);
	fputs("# The same as a unix socket. Mode 0666: every user of this machine may deliver.\n"
	      "[listen lmtp-socket]\n"
	      "protocol = lmtp\n"
	      "socket = lmtp.sock\n"
	      "mode = 0666\n"
	      "\n"
	      "[limits]\n"
	      "# Bytes of one message; also with K, M, G.\n"
	      "message_size = 100M\n"
	      "#max_connections = 16000\n"
	      "#max_connections_per_ip = 1000\n", f);
}

static enum rc
write_conf(const struct init *in, const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	struct conf *conf = NULL;
	enum rc rc = RC_OK;

	if (f == NULL) {
		rc = err_os(e, errno, "%.200s", path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	write_server(f, in);
	write_listeners(f, in);
	if (fflush(f) != 0 || ferror(f) != 0 || fsync(fd) != 0)
		rc = err_os(e, errno, "%.200s", path);
	fclose(f);
	if (rc == RC_OK)
		rc = conf_load(path, &conf, e); /* what cannot be read back is not handed out */
	conf_free(&conf);
	return rc;
}

/* Opened once, so that it has its index too, and so that it is known to work. */
static enum rc
make_volume(const struct init *in, struct err *e)
{
	struct volume_params p = { .name = "v1", .mode = VOLUME_WRITE };
	struct volume *v;
	char path[PATH_MAX];
	enum rc rc;

	if (!path_in(in, "volumes", path, sizeof path))
		return err_set(e, RC_LIMIT, "path too long");
	if (mkdir(path, 0700) != 0 || (in->split && chown(path, in->uid, in->gid) != 0))
		return err_os(e, errno, "%.200s", path);
	if (!path_in(in, "volumes/v1", path, sizeof path))
		return err_set(e, RC_LIMIT, "path too long");
	p.path = path;
	rc = ctl_owner_lend(in->user, e);
	if (rc == RC_OK)
		rc = volume_create(path, e);
	if (rc == RC_OK)
		rc = volume_open(&p, &v, e);
	if (rc == RC_OK)
		volume_close(&v);
	ctl_owner_return();
	return rc;
}

static void
remove_files(const struct init *in)
{
	static const char *const files[] = { "restante.conf", "cert.pem", "key.pem" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (path_in(in, files[i], path, sizeof path))
			(void)unlink(path);
	if (path_in(in, "volumes", path, sizeof path))
		(void)rmdir(path);      /* only if it is empty */
}

static enum rc
fill_dir(const struct init *in, struct err *e)
{
	char conf[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
	enum rc rc;

	if (!path_in(in, "restante.conf", conf, sizeof conf) ||
	    !path_in(in, "cert.pem", cert, sizeof cert) || !path_in(in, "key.pem", key, sizeof key))
		return err_set(e, RC_LIMIT, "path too long");
	rc = ctl_certificate_make(in->hostname, cert, key, e);
	if (rc == RC_OK)
		rc = share_file(in, key, e);
	if (rc == RC_OK)
		rc = write_conf(in, conf, e);
	if (rc == RC_OK)
		rc = share_file(in, conf, e);
	if (rc == RC_OK)
		rc = make_volume(in, e);
	if (rc != RC_OK)
		remove_files(in);
	return rc;
}

/* ---- the verb ---- */

static void
tell(const struct init *in)
{
	if (in->made_user)
		printf("Made the system user %s.\n", in->user);
	printf("Made %s: restante.conf, cert.pem and key.pem (signed by itself), volumes/v1.\n",
	    in->dir);
	printf("Listens on 127.0.0.1: imap %u, imaps %u, pop3 %u, pop3s %u, lmtp %u; "
	       "and on %s/lmtp.sock.\n",
	    in->base + 143, in->base + 993, in->base + 110, in->base + 995, in->base + 24, in->dir);
	if (in->user[0] != '\0')
		printf("Started by root, it becomes the user %s.\n", in->user);
	printf("Next:\n");
	printf("  restantectl -c %s/restante.conf user add NAME\n", in->dir);
	printf("  restanted -c %s/restante.conf\n", in->dir);
}

enum admin_exit
ctl_init(struct ctl *ctl)
{
	const char *base_port = options_value(&ctl->options, "--base-port");
	struct init in = { .ctl = ctl, .base = BASE_DEFAULT };
	struct err e = ERR_INIT;
	uint64_t n;
	enum rc rc;

	if (base_port != NULL) {
		if (!slice_to_u64(slice_str(base_port), PORT_MAX - OFFSET_MAX, &n)) {
			ctl_error(ctl, "--base-port %s: allowed: 0 to %u", base_port,
			    PORT_MAX - OFFSET_MAX);
			ctl_error(ctl, "usage: restantectl %s", ctl->verb->usage);
			return ADMIN_USAGE;
		}
		in.base = (unsigned)n;
	}
	umask(022);
	find_hostname(&in);
	rc = make_dir(&in, ctl->args[0], &e);
	if (rc == RC_OK)
		rc = check_free(&in, &e);
	if (rc == RC_OK)
		rc = check_length(&in, &e);
	if (rc == RC_OK)
		rc = choose_user(&in, &e);
	if (rc == RC_OK)
		rc = share_dir(&in, &e);
	if (rc == RC_OK)
		rc = fill_dir(&in, &e);
	if (rc != RC_OK) {
		ctl_error(ctl, "%s", e.text);
		return ADMIN_FAILED;
	}
	tell(&in);
	return ADMIN_OK;
}
