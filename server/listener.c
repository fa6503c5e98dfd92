/* listener - the listening sockets of the configuration. See listener.h.
 *
 * SO_REUSEPORT would let a second server of the same user share our ports without a word. So each address is first bound
 * without it: if anybody listens there, that fails.
 */
#define _GNU_SOURCE
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

/* SO_REUSEADDR always: connections of the last run that linger in TIME_WAIT are no reason to refuse. */
static enum rc
bind_tcp(const union address *a, socklen_t len, bool reuseport, int *out, struct err *e)
{
	int one = 1, os, fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_os(e, errno, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
	    (a->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
	    bind(fd, &a->any, len) != 0) {
		os = errno;
		close(fd);
		return socket_failed(os, "bind", e);
	}
	*out = fd;
	return RC_OK;
}

/* With SO_REUSEADDR on both sides only listening shows that a port is taken. */
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
		rc = bind_tcp(&a, len, true, &l->fds[l->fd_count], e);
		if (rc == RC_OK)
			l->fd_count++;
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
	lives = connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno != ECONNREFUSED;
	close(fd);
	return lives;
}

enum rc
listener_bind_unix(const char *path, unsigned mode, int *out, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, os;

	if (strlen(path) >= sizeof sun.sun_path)
		return err_set(e, RC_LIMIT, "socket %s: a path of a unix socket has at most %zu octets", path,
		               sizeof sun.sun_path - 1);
	strcpy(sun.sun_path, path);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return err_set(e, RC_EXISTS, "socket %s: there is a file that is no socket", path);
		if (unix_socket_lives(&sun))
			return err_set(e, RC_EXISTS, "socket %s: in use", path);
		(void)unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_os(e, errno, "socket");
	if (bind(fd, (struct sockaddr *)&sun, sizeof sun) != 0 || chmod(path, (mode_t)mode) != 0) {
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
		snprintf(name, room, strchr(c->address, ':') != NULL ? "%s [%s]:%u" : "%s %s:%u", proto, c->address,
		         (unsigned)c->port);
	return name;
}

static enum rc
listener_bind(struct listener *l, const struct conf_listen *c, unsigned reactors, struct err *e)
{
	enum rc rc;

	l->protocol = protocol_of(c->protocol);
	l->tls = conf_protocol_is_tls(c->protocol);
	l->is_unix = c->socket[0] != '\0';
	l->name = listener_name(c);
	l->fds = calloc(reactors, sizeof l->fds[0]);
	if (l->name == NULL || l->fds == NULL)
		return err_nomem(e);
	if (c->socket[0] == '\0') {
		rc = listener_bind_tcp(l, c, reactors, e);
	} else {
		rc = listener_bind_unix(c->socket, (unsigned)c->mode, &l->fds[0], e);
		if (rc == RC_OK) {
			l->fd_count = 1;
			l->path = strdup(c->socket);
			if (l->path == NULL)
				rc = err_nomem(e);
		}
	}
	if (rc == RC_OK)
		return RC_OK;
	err_add(e, "[listen %s] %s", c->name, l->name);
	return e->code = rc;
}

/* Our own sockets share ports, so two listeners on one address would not disturb each other: it must be asked. */
static bool
listed_before(const struct conf *conf, size_t i)
{
	const struct conf_listen *c = &conf->listens[i];

	for (size_t k = 0; k < i; k++)
		if (c->socket[0] == '\0' && conf->listens[k].socket[0] == '\0' && conf->listens[k].port == c->port &&
		    strcmp(conf->listens[k].address, c->address) == 0)
			return true;
	return false;
}

enum rc
listeners_bind(const struct conf *conf, unsigned reactors, struct listeners *out, struct err *e)
{
	*out = (struct listeners){ calloc(conf->n_listens, sizeof(struct listener)), 0 };
	if (out->all == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < conf->n_listens; i++) {
		enum rc rc;

		if (listed_before(conf, i))
			return err_set(e, RC_EXISTS, "[listen %s] another listener has %s port %u",
			               conf->listens[i].name, conf->listens[i].address,
			               (unsigned)conf->listens[i].port);
		out->count++;
		rc = listener_bind(&out->all[i], &conf->listens[i], reactors, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc
listeners_listen(struct listeners *ls, struct err *e)
{
	for (size_t i = 0; i < ls->count; i++)
		for (unsigned k = 0; k < ls->all[i].fd_count; k++)
			if (listen(ls->all[i].fds[k], BACKLOG) != 0)
				return err_os(e, errno, "listen on %s", ls->all[i].name);
	return RC_OK;
}

void
listeners_unlink(struct listeners *ls)
{
	for (size_t i = 0; i < ls->count; i++) {
		if (ls->all[i].path != NULL)
			(void)unlink(ls->all[i].path);
		free(ls->all[i].path);
		ls->all[i].path = NULL;
	}
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
	*ls = (struct listeners){ NULL, 0 };
}
