/* listener - the listening sockets of the configuration.
 *
 * Made and bound before privileges are dropped, set to listen when everything behind them is ready. A TCP listener has
 * one socket for each reactor (SO_REUSEPORT: the kernel deals connections out); a unix one has a single socket.
 * Main thread; read only while reactors run.
 */
#ifndef RESTANTE_SERVER_LISTENER_H
#define RESTANTE_SERVER_LISTENER_H

#include "lib/conf.h"
#include "server/session.h"

struct listener {
	char                   *name;           /* "imaps 127.0.0.1:10993", "lmtp /run/lmtp.sock" */
	const struct protocol  *protocol;
	bool                    tls;            /* from the first byte on */
	bool                    is_unix;
	char                   *path;           /* of a unix socket as long as it is ours to remove; main thread */
	int                    *fds;
	unsigned                fd_count;
};

struct listeners {
	struct listener *all;
	size_t           count;
};

/* Bind all. RC_EXISTS: the address or socket is in use. *out is always to be given to listeners_close. */
MUST_USE enum rc listeners_bind(const struct conf *conf, unsigned reactors, struct listeners *out, struct err *e);
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
