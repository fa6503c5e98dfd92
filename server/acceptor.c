/* acceptor - takes connections from a reactor's listening sockets. See acceptor.h. */
#define _GNU_SOURCE
#include "server/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/logging.h"
#include "server/core.h"
#include "server/refusal.h"
#include "server/session_core.h"

#define ACCEPTS_PER_TURN 64u
#define PAUSE_MS         200u
#define COMPLAINT_MS     5000u          /* one line for many refusals */

struct source {
	struct acceptor *acceptor;
	struct listener *listener;
	uv_poll_t        poll;
	int              fd;
};

struct acceptor {
	struct reactor *reactor;
	struct source  *sources;
	unsigned        count;
	uv_timer_t      pause;
	int             spare;          /* a descriptor to give up when there are no more */
	bool            closed;
	uint64_t        complained_at;  /* ms; 0: never */
};

/* A connection on its way to the reactor that will own it. */
struct arrival {
	struct post             post;
	struct reactor         *reactor;
	const struct listener  *listener;
	struct sockaddr_storage peer;           /* of TCP */
	int                     fd;
};

static const struct sockaddr_storage *
peer_of(const struct listener *l, const struct sockaddr_storage *ss)
{
	return l->is_unix ? NULL : ss;
}

static void
arrival_run(struct post *p, unsigned bits)
{
	struct arrival *a = (struct arrival *)(void *)p;        /* post is the first member */

	(void)bits;
	reactor_arrived(a->reactor);
	session_begin(a->reactor, a->listener, a->fd, peer_of(a->listener, &a->peer), REFUSAL_NONE);
	free(a);
}

/* The kernel deals TCP connections out by chance: of four that work all may have come to one reactor. */
static void
deal_out(struct acceptor *ac, const struct listener *l, int fd, const struct sockaddr_storage *ss)
{
	struct reactor *to = server_lightest_reactor(reactor_server(ac->reactor), ac->reactor);
	struct arrival *a = to == ac->reactor ? NULL : malloc(sizeof *a);

	if (a == NULL) {
		session_begin(ac->reactor, l, fd, peer_of(l, ss), REFUSAL_NONE);
		return;
	}
	*a = (struct arrival){ { .run = arrival_run }, to, l, *ss, fd };
	reactor_expect(to);
	reactor_post(to, &a->post, 0);
}

static void
complain(struct acceptor *ac, const char *what, int os, const struct listener *l)
{
	uint64_t now = reactor_now(ac->reactor);
	struct logline line;

	if (ac->complained_at != 0 && now - ac->complained_at < COMPLAINT_MS)
		return;
	ac->complained_at = now;
	log_begin(&line, LOGLEVEL_WARN, "server.refused");
	log_cstr(&line, "why", what);
	if (os != 0)
		log_cstr(&line, "os", strerror(os));
	log_cstr(&line, "listener", l->name);
	log_end(&line);
}

/* The limit that leaves no room for one more; REFUSAL_NONE: it is counted. */
static enum refusal
enter(struct server *srv, const struct conf_limits *lim, const struct listener *l,
      const struct peer_key *key)
{
	enum peers_kind kind = session_kind(l, REFUSAL_NONE);
	bool stranger = kind != PEERS_LOCAL && l->protocol != &lmtp_protocol;
	enum refusal spent = budget_passed(server_budget(srv), lim, stranger);

	if (spent != REFUSAL_NONE)
		return spent;
	if (l->is_unix || l->proxy)
		key = NULL;
	return refusal_of_peers(peers_enter(server_peers(srv), kind, key, lim->max_connections,
	                                    lim->max_connections_per_ip));
}

/* Takes the socket. Behind a proxy's header and in TLS it takes a session to say it. */
static void
refuse(struct acceptor *ac, const struct listener *l, int fd, const struct sockaddr_storage *ss,
       enum refusal why)
{
	struct peers *p = server_peers(reactor_server(ac->reactor));

	complain(ac, refusal_name(why), 0, l);
	if ((l->tls || l->proxy) &&
	    peers_enter(p, PEERS_REFUSED, NULL, PEERS_REFUSED_MAX, 0) == PEERS_OK) {
		session_begin(ac->reactor, l, fd, peer_of(l, ss), why);
		return;
	}
	if (!l->tls)
		refusal_send(l->protocol, fd, why);
	close(fd);
}

static void
admit(struct acceptor *ac, const struct listener *l, int fd, const struct sockaddr_storage *ss)
{
	struct server *srv = reactor_server(ac->reactor);
	struct settings *set = server_settings(srv);
	enum refusal why;
	struct peer_key key;
	int one = 1;

	if (!l->is_unix)
		peer_key_set(&key, ss);
	if (l->proxy && !l->is_unix &&
	    !network_list_has(set->conf->server.proxy_networks.list,
	                      set->conf->server.proxy_networks.count, key.ip)) {
		settings_unref(&set);
		complain(ac, "not one of proxy_networks", 0, l);
		close(fd);
		return;
	}
	why = enter(srv, &set->conf->limits, l, &key);
	settings_unref(&set);
	if (why != REFUSAL_NONE) {
		refuse(ac, l, fd, ss, why);
		return;
	}
	if (!l->is_unix)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	deal_out(ac, l, fd, ss);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void
on_pause_over(uv_timer_t *timer)
{
	struct acceptor *ac = timer->data;

	if (ac->spare < 0)
		ac->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < ac->count; i++)
		uv_poll_start(&ac->sources[i].poll, UV_READABLE, on_readable);
}

static void
accept_failed(struct acceptor *ac, struct source *src, int os)
{
	const struct listener *l = src->listener;

	complain(ac, "accept failed", os, l);
	if ((os == EMFILE || os == ENFILE) && ac->spare >= 0) {
		int fd;

		close(ac->spare);
		fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			if (!l->tls)
				refusal_send(l->protocol, fd, REFUSAL_FILES);
			close(fd);
		}
		ac->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	for (unsigned i = 0; i < ac->count; i++)
		uv_poll_stop(&ac->sources[i].poll);
	uv_timer_start(&ac->pause, on_pause_over, PAUSE_MS, 0);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct source *src = poll->data;
	struct acceptor *ac = src->acceptor;

	(void)status;
	(void)events;
	for (unsigned n = 0; n < ACCEPTS_PER_TURN && !ac->closed; n++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof ss;
		int fd = accept4(src->fd, (struct sockaddr *)&ss, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(ac, src->listener, fd, &ss);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		/* Errors of the connection that was about to be accepted [accept(2)]. */
		if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO ||
		    errno == ENETDOWN || errno == EHOSTDOWN || errno == EHOSTUNREACH ||
		    errno == ENETUNREACH || errno == EPERM)
			continue;
		accept_failed(ac, src, errno);
		return;
	}
}

static enum rc
add_source(struct acceptor *ac, struct listener *l, unsigned k, struct err *e)
{
	struct source *src = &ac->sources[ac->count];
	int failed;

	src->acceptor = ac;
	src->listener = l;
	src->fd = l->fds[k];
	failed = uv_poll_init(reactor_loop(ac->reactor), &src->poll, src->fd);
	if (failed != 0)
		return err_os(e, -failed, "polling %s", l->name);
	(void)listener_take_fd(l, k);
	src->poll.data = src;
	ac->count++;
	failed = uv_poll_start(&src->poll, UV_READABLE, on_readable);
	return failed == 0 ? RC_OK : err_os(e, -failed, "polling %s", l->name);
}

enum rc
acceptor_new(struct reactor *r, unsigned number, struct listeners *ls, struct err *e)
{
	struct acceptor *ac = calloc(1, sizeof *ac);
	enum rc rc = RC_OK;

	if (ac == NULL)
		return err_nomem(e);
	ac->sources = calloc(ls->count + 1, sizeof ac->sources[0]);
	if (ac->sources == NULL) {
		free(ac);
		return err_nomem(e);
	}
	ac->reactor = r;
	ac->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uv_timer_init(reactor_loop(r), &ac->pause);
	ac->pause.data = ac;
	*reactor_acceptor(r) = ac;
	for (size_t i = 0; i < ls->count && rc == RC_OK; i++)
		if (number < ls->all[i].fd_count)
			rc = add_source(ac, &ls->all[i], number, e);
	return rc;
}

static void
on_closed(uv_handle_t *handle)
{
	struct source *src = handle->data;

	close(src->fd);
}

void
acceptor_close(struct acceptor *ac)
{
	if (ac == NULL || ac->closed)
		return;
	ac->closed = true;
	for (unsigned i = 0; i < ac->count; i++)
		uv_close((uv_handle_t *)&ac->sources[i].poll, on_closed);
	uv_close((uv_handle_t *)&ac->pause, NULL);
}

void
acceptor_free(struct acceptor **ac)
{
	if (*ac == NULL)
		return;
	if ((*ac)->spare >= 0)
		close((*ac)->spare);
	free((*ac)->sources);
	free(*ac);
	*ac = NULL;
}
