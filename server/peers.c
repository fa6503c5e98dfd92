/* peers - connections counted by address. See peers.h.
 *
 * The table is hashed with a random key: whoever owns a /64 must not be able to choose addresses
 * that collide. It has a fixed number of buckets, as it holds no more than max_connections entries.
 */
#include "server/peers.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/network.h"
#include "lib/secret.h"
#include "lib/siphash.h"

#define BUCKETS 4096u

struct peer {
	struct peer    *next;
	struct peer_key key;
	uint64_t        count;
};

struct peers {
	pthread_mutex_t lock;
	uint64_t        total[PEERS_KINDS];
	uint8_t         hash_key[16];
	struct peer    *buckets[BUCKETS];
};

enum rc
peers_new(struct peers **out, struct err *e)
{
	struct peers *p = calloc(1, sizeof *p);
	enum rc rc;

	*out = NULL;
	if (p == NULL)
		return err_nomem(e);
	rc = secret_random(p->hash_key, sizeof p->hash_key, e);
	if (rc != RC_OK) {
		free(p);
		return rc;
	}
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return RC_OK;
}

void
peers_free(struct peers **pp)
{
	struct peers *p = *pp;

	if (p == NULL)
		return;
	assert(peers_count(p) == 0);
	pthread_mutex_destroy(&p->lock);
	free(p);
	*pp = NULL;
}

void
peer_key_set(struct peer_key *key, const struct sockaddr_storage *ss)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (ss->ss_family == AF_INET6) {
		memcpy(key->ip, &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr,
		       PEER_KEY_LEN);
		return;
	}
	memcpy(key->ip, mapped, sizeof mapped);
	memcpy(key->ip + 12, &((const struct sockaddr_in *)(const void *)ss)->sin_addr, 4);
}

/* Whoever has one address of a /64 has all of it. */
static struct peer_key
counted_as(const struct peer_key *key)
{
	struct network net;
	struct peer_key k;

	network_of_peer(key->ip, &net);
	memcpy(k.ip, net.ip, sizeof k.ip);
	return k;
}

/* Where the entry of this address hangs, or would. */
static struct peer **
peers_find(struct peers *p, const struct peer_key *key)
{
	uint64_t hash = siphash(p->hash_key, key->ip, sizeof key->ip);
	struct peer **at = &p->buckets[hash % BUCKETS];

	while (*at != NULL && memcmp((*at)->key.ip, key->ip, PEER_KEY_LEN) != 0)
		at = &(*at)->next;
	return at;
}

static enum peers_result
enter_ip(struct peers *p, const struct peer_key *whole, uint64_t max_per_ip)
{
	struct peer_key net = counted_as(whole), *key = &net;
	struct peer **at = peers_find(p, key);

	if (*at == NULL) {
		*at = calloc(1, sizeof **at);
		if (*at == NULL)
			return PEERS_NOMEM;
		(*at)->key = *key;
	}
	if ((*at)->count >= max_per_ip)
		return PEERS_FULL_IP;
	(*at)->count++;
	return PEERS_OK;
}

enum peers_result
peers_enter(struct peers *p, enum peers_kind kind, const struct peer_key *key, uint64_t max_total,
            uint64_t max_per_ip)
{
	enum peers_result result = PEERS_FULL;

	pthread_mutex_lock(&p->lock);
	if (p->total[kind] < max_total)
		result = key == NULL ? PEERS_OK : enter_ip(p, key, max_per_ip);
	if (result == PEERS_OK)
		p->total[kind]++;
	pthread_mutex_unlock(&p->lock);
	return result;
}

enum peers_result
peers_attach(struct peers *p, const struct peer_key *key, uint64_t max_per_ip)
{
	enum peers_result result;

	pthread_mutex_lock(&p->lock);
	result = enter_ip(p, key, max_per_ip);
	pthread_mutex_unlock(&p->lock);
	return result;
}

void
peers_leave(struct peers *p, enum peers_kind kind, const struct peer_key *key)
{
	pthread_mutex_lock(&p->lock);
	assert(p->total[kind] > 0);
	p->total[kind]--;
	if (key != NULL) {
		struct peer_key net = counted_as(key);
		struct peer **at = peers_find(p, &net), *gone = *at;

		assert(gone != NULL && gone->count > 0);
		if (--gone->count == 0) {
			*at = gone->next;
			free(gone);
		}
	}
	pthread_mutex_unlock(&p->lock);
}

uint64_t
peers_count(struct peers *p)
{
	uint64_t n = 0;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < PEERS_KINDS; i++)
		n += p->total[i];
	pthread_mutex_unlock(&p->lock);
	return n;
}
