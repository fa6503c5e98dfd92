/* peers - how many connections there are, of each kind and from each address, of IPv6 from each /64.
 * Any thread; one lock. */
#ifndef RESTANTE_SERVER_PEERS_H
#define RESTANTE_SERVER_PEERS_H

#include <sys/socket.h>

#include "lib/err.h"

#define PEER_KEY_LEN      16
#define PEERS_REFUSED_MAX 16u           /* of PEERS_REFUSED, at a time */

/* An IPv6 address, or an IPv4 one mapped into it. */
struct peer_key {
	uint8_t ip[PEER_KEY_LEN];
};

/* Kinds of connections; each has a total of its own. */
enum peers_kind {
	PEERS_REMOTE,           /* by TCP, or through a proxy */
	PEERS_LOCAL,            /* by a unix socket: no crowd keeps this machine's MTA out */
	PEERS_REFUSED,          /* one too many, which stays until it has been told so */
	PEERS_KINDS
};

enum peers_result {
	PEERS_OK,
	PEERS_FULL,             /* max_total is reached */
	PEERS_FULL_IP,          /* max_per_ip is reached */
	PEERS_NOMEM,
};

struct peers;

/* From an AF_INET or AF_INET6 address. */
void peer_key_set(struct peer_key *key, const struct sockaddr_storage *ss);

MUST_USE enum rc peers_new(struct peers **out, struct err *e);
void peers_free(struct peers **p);
/* One more connection; `key` NULL: its address does not count, or is not known yet. */
enum peers_result peers_enter(struct peers *p, enum peers_kind kind, const struct peer_key *key,
                              uint64_t max_total, uint64_t max_per_ip);
/* A connection that is counted already, without an address, is from this one: leave with it. */
enum peers_result peers_attach(struct peers *p, const struct peer_key *key, uint64_t max_per_ip);
void peers_leave(struct peers *p, enum peers_kind kind, const struct peer_key *key);
/* Of all kinds. */
uint64_t peers_count(struct peers *p);

#endif
