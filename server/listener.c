/* listener - the listening sockets of the configuration. See listener.h.
 *
 * SO_REUSEPORT would let a second server of the same user share our ports without a word. So each
 * address is first bound without it: if anybody listens there, that fails.
 */
#define _GNU_SOURCE
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

union address {
	struct sockaddr         any;
	struct sockaddr_in      v4;
	struct sockaddr_in6     v6;
};

/* The configuration has checked that the text is an address. */
static socklen_t
address_parse(const char *text, uint64_t port, union address *a)
{
	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons((uint16_t)port);
		return sizeof a->v4;
	}
	if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons((uint16_t)port);
		return sizeof a->v6;
	}
	return 0;
}

static enum rc
socket_failed(int os, const char *what, struct err *e)
{
	enum rc rc = err_os(e, os, "%s", what);

	return os == EADDRINUSE ? e->code = RC_EXISTS : rc;
}

/* May others bind to the port as long as nobody listens there? */
static bool
set_shared(int fd, bool shared)
{
	int value = shared;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value) == 0;
}

/* With SO_REUSEADDR, since connections of the last run that linger in TIME_WAIT are no
 * reason to refuse. */
static enum rc
bind_tcp(const union address *a, socklen_t len, bool reuseport, int *out, struct err *e)
{
	int one = 1, os,
	    fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_os(e, errno, "socket");
	if (!set_shared(fd, true) ||
	    (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
	    (a->any.sa_family == AF_INET6 &&
	        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
	    bind(fd, &a->any, len) != 0) {
		os = errno;
		close(fd);
		return socket_failed(os, "bind", e);
	}
	*out = fd;
	return RC_OK;
}

/* With SO_REUSEADDR on both sides only listening shows that a port is taken. Another restanted that
 * is bound, and does not listen yet, has taken the option off again (listener_bind_tcp). */
static enum rc
probe_tcp(const union address *a, socklen_t len, struct err *e)
{
	enum rc rc;
	int fd;

	rc = bind_tcp(a, len, false, &fd, e);
	if (rc != RC_OK)
		return rc;
	if (listen(fd, 1) != 0)
		rc = socket_failed(errno, "listen", e);
	close(fd);
	return rc;
}

static enum rc
listener_bind_tcp(struct listener *l, const struct conf_listen *c, unsigned reactors, struct err *e)
{
	union address a;
	socklen_t len = address_parse(c->address, c->port, &a);
	enum rc rc;

	if (len == 0)
		return err_set(e, RC_SYNTAX, "not an address");
	rc = probe_tcp(&a, len, e);
	while (rc == RC_OK && l->fd_count < reactors) {
		int *fd = &l->fds[l->fd_count];

		rc = bind_tcp(&a, len, true, fd, e);
		if (rc == RC_OK) {
			l->fd_count++;
			/* taken from now on, though opening the volumes may last */
			(void)set_shared(*fd, false);
		}
	}
	return rc;
}

/* Does anybody answer at this socket? */
static bool
unix_socket_lives(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool lives;

	if (fd < 0)
		return true;
	lives = connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 ||
	        errno != ECONNREFUSED;
	close(fd);
	return lives;
}

/* Where a user other than root owns the directory, what has this name next need not be our socket:
 * nothing may be done to the name that would hurt another file. So the mode is given by
 * bind(2) itself. */
static int
bind_with_mode(int fd, const struct sockaddr_un *sun, unsigned mode)
{
	mode_t before = umask((mode_t)(~mode & 0777u));
	int failed = bind(fd, (const struct sockaddr *)sun, sizeof *sun);

	(void)umask(before);
	return failed;
}

enum rc
listener_bind_unix(const char *path, unsigned mode, int *out, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, os;

	if (strlen(path) >= sizeof sun.sun_path)
		return err_set(e, RC_LIMIT,
		    "socket %s: a path of a unix socket has at most %zu octets", path,
		    sizeof sun.sun_path - 1);
	strcpy(sun.sun_path, path);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return err_set(e, RC_EXISTS, "socket %s: there is a file that is no socket",
			               path);
		if (unix_socket_lives(&sun))
			return err_set(e, RC_EXISTS, "socket %s: in use", path);
		(void)unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_os(e, errno, "socket");
	if (bind_with_mode(fd, &sun, mode) != 0) {
		os = errno;
		close(fd);
		return err_os(e, os, "socket %s", path);
	}
	*out = fd;
	return RC_OK;
}

static const struct protocol *
protocol_of(enum conf_protocol p)
{
	switch (p) {
	case CONF_IMAP:
	case CONF_IMAPS:
		return &imap_protocol;
	case CONF_POP3:
	case CONF_POP3S:
		return &pop3_protocol;
	case CONF_LMTP:
	case CONF_LMTPS:
		return &lmtp_protocol;
	case CONF_SASLAUTHD:
		return &saslauthd_protocol;
	}
	return NULL;
}

static char *
listener_name(const struct conf_listen *c)
{
	const char *proto = conf_protocol_name(c->protocol);
	size_t room = strlen(proto) + strlen(c->socket) + strlen(c->address) + 16;
	char *name = malloc(room);

	if (name == NULL)
		return NULL;
	if (c->socket[0] != '\0')
		snprintf(name, room, "%s %s", proto, c->socket);
	else
		snprintf(name, room, strchr(c->address, ':') != NULL ? "%s [%s]:%u" : "%s %s:%u",
		    proto, c->address, (unsigned)c->port);
	return name;
}

/* *gid stays as it is for "". */
static enum rc
find_group(const char *name, gid_t *gid, struct err *e)
{
	struct group *g;

	if (name[0] == '\0')
		return RC_OK;
	errno = 0;
	g = getgrnam(name);
	if (g == NULL)
		return errno != 0 ? err_os(e, errno, "group %s", name)
		                  : err_set(e, RC_NOT_FOUND, "no such group: %s", name);
	*gid = g->gr_gid;
	return RC_OK;
}

/* As for the mode: only what is our socket, and has no other name. */
static bool
give_socket(const char *path, uid_t uid, gid_t gid)
{
#ifdef O_PATH
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), os;
	struct stat st;
	bool ok = fd >= 0 && fstat(fd, &st) == 0;

	if (ok && (!S_ISSOCK(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid())) {
		ok = false;
		errno = EPERM;
	}
	ok = ok && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0;
	os = errno;
	if (fd >= 0)
		close(fd);
	errno = os;
	return ok;
#else
	return lchown(path, uid, gid) == 0;
#endif
}

/* Bound by root, it belongs to the server's user like everything else of it; to another group if
 * so configured. */
static enum rc
bind_owned(const char *path, unsigned mode, const char *group, const struct identity *owner,
           int *fd, char **kept, struct err *e)
{
	uid_t uid = owner->other ? owner->uid : (uid_t)-1;
	gid_t gid = owner->other ? owner->gid : (gid_t)-1;
	enum rc rc = listener_bind_unix(path, mode, fd, e);

	if (rc != RC_OK)
		return rc;
	*kept = strdup(path);
	if (*kept == NULL)
		return err_nomem(e);
	if (find_group(group, &gid, e) != RC_OK)
		return e->code;
	if ((owner->other || group[0] != '\0') && !give_socket(path, uid, gid))
		return err_os(e, errno, "giving socket %s to user %s, group %s", path, owner->name,
		              group);
	return RC_OK;
}

static enum rc
listener_bind(struct listener *l, const struct conf_listen *c, unsigned reactors,
              const struct identity *owner, struct err *e)
{
	enum rc rc;

	if (l->is_unix) {
		rc = bind_owned(c->socket, (unsigned)c->mode, c->group, owner, &l->fds[0], &l->path,
		                e);
		l->fd_count = l->fds[0] >= 0;
	} else {
		rc = listener_bind_tcp(l, c, reactors, e);
	}
	if (rc == RC_OK)
		return RC_OK;
	err_add(e, "[listen %s] %s", c->named.name, l->name);
	return e->code = rc;
}

static enum rc
listener_prepare(struct listener *l, const struct conf_listen *c, unsigned reactors, struct err *e)
{
	l->protocol = protocol_of(c->protocol);
	l->tls = conf_protocol_is_tls(c->protocol);
	l->client_certificates = c->client_certificates;
	l->proxy = c->proxy_protocol;
	l->is_unix = c->socket[0] != '\0';
	l->name = listener_name(c);
	l->fds = calloc(reactors, sizeof l->fds[0]);
	if (l->name == NULL || l->fds == NULL)
		return err_nomem(e);
	for (unsigned k = 0; k < reactors; k++)
		l->fds[k] = -1;
	return RC_OK;
}

/* Our own sockets share ports, so two listeners on one address would not disturb each other: it
 * must be asked. */
static bool
listed_before(const struct conf *conf, size_t i)
{
	const struct conf_listen *c = &conf->listens[i];

	for (size_t k = 0; k < i; k++)
		if (c->socket[0] == '\0' && conf->listens[k].socket[0] == '\0' &&
		    conf->listens[k].port == c->port &&
		    strcmp(conf->listens[k].address, c->address) == 0)
			return true;
	return false;
}

static unsigned
reactor_count(const struct conf *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (conf->server.reactors > 0)
		return (unsigned)conf->server.reactors;
	return cores > 0 && cores < 256 ? (unsigned)cores : 1;
}

enum rc
listeners_prepare(const struct conf *conf, unsigned reactors, struct listeners *out, struct err *e)
{
	enum rc rc = RC_OK;

	*out = (struct listeners)LISTENERS_INIT;
	out->all = calloc(conf->n_listens, sizeof(struct listener));
	if (out->all == NULL)
		return err_nomem(e);
	out->reactors = reactors > 0 ? reactors : reactor_count(conf);
	while (rc == RC_OK && out->count < conf->n_listens) {
		rc = listener_prepare(&out->all[out->count], &conf->listens[out->count],
		                      out->reactors, e);
		out->count++;
	}
	return rc;
}

enum rc
listeners_bind(const struct conf *conf, const struct identity *owner, struct listeners *ls,
               struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < ls->count && rc == RC_OK; i++) {
		if (listed_before(conf, i))
			return err_set(e, RC_EXISTS, "[listen %s] another listener has %s port %u",
			               conf->listens[i].named.name, conf->listens[i].address,
			               (unsigned)conf->listens[i].port);
		rc = listener_bind(&ls->all[i], &conf->listens[i], ls->reactors, owner, e);
	}
	if (rc != RC_OK)
		return rc;
	return bind_owned(conf->server.control_socket, 0600, "", owner, &ls->control,
	                  &ls->control_path, e);
}

bool
listeners_adopt(struct listeners *ls, size_t number, int fd)
{
	struct listener *l = number < ls->count ? &ls->all[number] : NULL;

	if (l == NULL || l->fd_count == ls->reactors || (l->is_unix && l->fd_count > 0))
		return false;
	l->fds[l->fd_count++] = fd;
	return true;
}

enum rc
listeners_listen(struct listeners *ls, struct err *e)
{
	for (size_t i = 0; i < ls->count; i++)
		for (unsigned k = 0; k < ls->all[i].fd_count; k++)
			if ((!ls->all[i].is_unix && !set_shared(ls->all[i].fds[k], true)) ||
			    listen(ls->all[i].fds[k], BACKLOG) != 0)
				return err_os(e, errno, "listen on %s", ls->all[i].name);
	return RC_OK;
}

static void
unlink_path(char **path)
{
	if (*path != NULL)
		(void)unlink(*path);
	free(*path);
	*path = NULL;
}

void
listeners_unlink(struct listeners *ls)
{
	for (size_t i = 0; i < ls->count; i++)
		unlink_path(&ls->all[i].path);
	unlink_path(&ls->control_path);
}

int
listener_take_fd(struct listener *l, unsigned k)
{
	int fd = l->fds[k];

	l->fds[k] = -1;
	return fd;
}

void
listeners_close(struct listeners *ls)
{
	listeners_unlink(ls);
	for (size_t i = 0; i < ls->count; i++) {
		struct listener *l = &ls->all[i];

		for (unsigned k = 0; k < l->fd_count; k++)
			if (l->fds[k] >= 0)
				close(l->fds[k]);
		free(l->fds);
		free(l->name);
	}
	free(ls->all);
	if (ls->control >= 0)
		close(ls->control);
	*ls = (struct listeners)LISTENERS_INIT;
}
