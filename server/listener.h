/* listener - the listening sockets of the configuration.
 *
 * The supervisor binds them and keeps them open, so that connections queue while a server that crashed is started
 * again; the server gets them from it and lets them listen when everything behind them is ready. A TCP listener has one
 * socket for each reactor (SO_REUSEPORT: the kernel deals connections out); a unix one has a single socket. An IPv6
 * address takes IPv6 only (IPV6_V6ONLY), whatever the system's preset. Main thread; read only while reactors run.
 */
#ifndef RESTANTE_SERVER_LISTENER_H
#define RESTANTE_SERVER_LISTENER_H

#include "lib/conf.h"
#include "server/privileges.h"
#include "server/session.h"

struct listener {
	char                   *name;           /* "imaps 127.0.0.1:10993", "lmtp /run/lmtp.sock" */
	const struct protocol  *protocol;
	bool                    tls;            /* from the first byte on */
	bool                    is_unix;
	bool                    proxy;          /* connections begin with a header, see proxy_protocol.h */
	enum conf_listen_certificates client_certificates;
	char                   *path;           /* of a unix socket as long as it is ours to remove: the supervisor's */
	int                    *fds;
	unsigned                fd_count;
};

struct listeners {
	struct listener *all;
	size_t           count;
	unsigned         reactors;      /* so many sockets has each TCP listener */
	int              control;       /* the control socket, or -1 */
	char            *control_path;  /* like `path` above */
};

#define LISTENERS_INIT { NULL, 0, 0, -1, NULL }

/* The listeners of a configuration, without sockets yet, for so many reactors; 0: as the configuration has it. *out is
 * always to be given to listeners_close. */
MUST_USE enum rc listeners_prepare(const struct conf *conf, unsigned reactors,
                                   struct listeners *out, struct err *e);
/* Bind all and the control socket; as root, sockets in the file system are given to `owner`. RC_EXISTS: an address or
 * socket is in use. */
MUST_USE enum rc listeners_bind(const struct conf *conf, const struct identity *owner,
                                struct listeners *ls, struct err *e);
/* One more socket for a listener, from whoever bound it. False: there is no room for it; then it is the caller's. */
bool listeners_adopt(struct listeners *ls, size_t number, int fd);
MUST_USE enum rc listeners_listen(struct listeners *ls, struct err *e);
/* Take unix sockets out of the file system: nobody finds us any more. */
void listeners_unlink(struct listeners *ls);
/* The k-th socket is the caller's from now on. */
int listener_take_fd(struct listener *l, unsigned k);
/* Closes what is open, removes unix sockets. */
void listeners_close(struct listeners *ls);

/* A bound unix socket at `path` with these permissions; a stale socket there is replaced, a living one is RC_EXISTS. */
MUST_USE enum rc listener_bind_unix(const char *path, unsigned mode, int *fd, struct err *e);

#endif
