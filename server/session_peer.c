/* session_peer - who is at the other end of a session, and the session as the registry sees it.
 *
 * Behind a proxy that is known only when its header has come. Until then the session is the
 * proxy's, has no protocol's state yet, and counts for no address. A connection that came through a
 * proxy is never one of this machine's own. That holds with LOCAL too, where the peer is the proxy
 * itself [proxy-protocol.txt s2.2]: haproxy also says LOCAL for those of its clients that
 * have no address.
 */
#include "server/session_state.h"

#include <arpa/inet.h>
#include <errno.h>

#include "server/proxy_protocol.h"
#include "server/refusal.h"

void
session_set_peer(struct session *s, const struct sockaddr_storage *ss)
{
	if (ss == NULL) {
		s->is_unix = s->loopback = true;
		strcpy(s->peer, "unix");
		return;
	}
	peer_key_set(&s->key, ss);
	if (ss->ss_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr;

		s->loopback = IN6_IS_ADDR_LOOPBACK(a);
		inet_ntop(AF_INET6, a, s->peer, sizeof s->peer);
		return;
	}
	s->loopback = s->key.ip[12] == 127;
	inet_ntop(AF_INET, s->key.ip + 12, s->peer, sizeof s->peer);
}

/* ---- as the registry sees it: any thread ---- */

static struct session *
session_of(const struct member *m)
{
	return (struct session *)(void *)((char *)(uintptr_t)m - offsetof(struct session, member));
}

static void
member_end(struct member *m, enum session_end why)
{
	struct session *s = session_of(m);

	atomic_store(&s->ordered, why);
	reactor_post(s->reactor, &s->post, EVENT_END);
}

static void
member_describe(const struct member *m, struct registry_row *row)
{
	const struct session *s = session_of(m);

	row->protocol = s->protocol->name;
	row->activity = atomic_load_explicit(&s->activity, memory_order_relaxed);
	row->tls = atomic_load_explicit(&s->tls_version, memory_order_relaxed);
	row->began_us = s->began_us;
	row->bytes_in = atomic_load_explicit(&s->bytes_in, memory_order_relaxed);
	row->bytes_out = atomic_load_explicit(&s->bytes_out, memory_order_relaxed);
	memcpy(row->peer, s->peer, sizeof s->peer);
	if (m->owner.volume == NULL)
		return;
	row->mailbox = atomic_load_explicit(&s->mailbox, memory_order_relaxed);
	memcpy(row->mechanism, s->mechanism, sizeof row->mechanism);
}

void
session_join_registry(struct session *s)
{
	s->member = (struct member){ .id = s->id, .has_ip = !s->is_unix, .end = member_end,
	                             .describe = member_describe };
	memcpy(s->member.ip, s->key.ip, sizeof s->member.ip);
	registry_add(server_registry(s->srv), &s->member);
	s->is_member = true;
}

_Static_assert(sizeof ((struct registry_row *)0)->peer == INET6_ADDRSTRLEN, "a peer fits");

/* ---- behind a proxy ---- */

/* Members are described by other threads: the session is none while its peer becomes another. */
static void
become(struct session *s, const struct proxy_header *h)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET6 };
	char via[INET6_ADDRSTRLEN];
	struct logline l;

	memcpy(via, s->peer, sizeof via);
	memcpy(&((struct sockaddr_in6 *)(void *)&ss)->sin6_addr, h->ip, sizeof h->ip);
	registry_remove(server_registry(s->srv), &s->member);
	s->is_unix = false;
	session_set_peer(s, &ss);
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)s->key.ip))
		inet_ntop(AF_INET, s->key.ip + 12, s->peer, sizeof s->peer);
	s->loopback = false;
	session_join_registry(s);
	session_log(s, &l, LOGLEVEL_DEBUG, "session.proxied");
	log_cstr(&l, "via", via);
	log_end(&l);
}

bool
session_turn_away(struct session *s, enum refusal why)
{
	struct peers *p = server_peers(s->srv);
	struct logline l;

	session_log(s, &l, LOGLEVEL_WARN, "server.refused");
	log_cstr(&l, "why", refusal_name(why));
	log_end(&l);
	if (peers_enter(p, PEERS_REFUSED, NULL, PEERS_REFUSED_MAX, 0) != PEERS_OK)
		return false;
	peers_leave(p, s->kind, s->counted ? &s->key : NULL);
	s->kind = PEERS_REFUSED;
	s->counted = false;
	session_refuse(s, why);
	return true;
}

/* The address counts as if it had come itself. False: the end. */
static bool
count_peer(struct session *s)
{
	uint64_t max = s->settings->conf->limits.max_connections_per_ip;
	enum refusal why;

	if (s->refused != REFUSAL_NONE)
		return true;
	why = refusal_of_peers(peers_attach(server_peers(s->srv), &s->key, max));
	s->counted = why == REFUSAL_NONE;
	if (s->counted || session_turn_away(s, why))
		return true;
	if (!s->tls_first)
		refusal_send(s->protocol, s->stream.fd, why);
	return false;
}

enum proxy_result
session_read_proxy(struct session *s)
{
	uint8_t *scratch = reactor_scratch(s->reactor);
	struct proxy_header h;
	enum proxy_result r;
	size_t need;

	while ((r = proxy_parse(buf_slice(&s->in), &h, &need)) == PROXY_MORE) {
		ssize_t n = recv(s->stream.fd, scratch, need, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return PROXY_MORE;
		if (n <= 0 || !buf_append(&s->in, scratch, (size_t)n))
			return PROXY_BAD;
	}
	if (r == PROXY_BAD)
		return r;
	buf_fini(&s->in);
	if (!h.has_ip)
		return PROXY_OK;
	become(s, &h);
	return count_peer(s) ? PROXY_OK : PROXY_BAD;
}
