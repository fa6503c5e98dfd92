/* peers - how many connections there are, in all and from each address. Any thread; one lock. */
#ifndef RESTANTE_SERVER_PEERS_H
#define RESTANTE_SERVER_PEERS_H

#include <sys/socket.h>

#include "lib/err.h"

#define PEER_KEY_LEN 16

/* An IPv6 address, or an IPv4 one mapped into it. */
struct peer_key {
	uint8_t ip[PEER_KEY_LEN];
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
/* One more connection; `key` NULL: from no address (unix socket), counted in the total only. */
enum peers_result peers_enter(struct peers *p, const struct peer_key *key, uint64_t max_total, uint64_t max_per_ip);
void peers_leave(struct peers *p, const struct peer_key *key);
uint64_t peers_count(struct peers *p);

#endif
