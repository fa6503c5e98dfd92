/* guard - against guessing passwords: who failed, how often and from where, and what follows from it.
 *
 * A failure counts for the pair of account and network (an IPv4 address, an IPv6 /64), for the network over all
 * accounts, and for the account over all networks. Counts leak away over `window`. What follows:
 *
 *     pair     answers come later with every failure; over `failures` it is blocked for `block`, doubled each time
 *     network  over `network_failures` it is blocked likewise, for all accounts
 *     account  over `account_failures` answers to networks it is not known from come as late as they can
 *
 * Its owner is never locked out from where he is known: a network from which an account logged in well within `known`
 * is blocked for it by neither rule. Trusted networks, loopback and unix sockets (a webmail host, where all the world
 * comes from one address) are never blocked and count for no network; the delays of a pair hold for them too. The same
 * wrong password again is one guess, however often an old phone sends it.
 *
 * Whether an account exists makes no difference to any of this. A blocked try is not checked at all and is answered
 * like a wrong password.
 *
 * Memory is bounded: tables of fixed size, addressed by keyed hashes. What must go when a place is needed is what
 * weighs least; somebody who is blocked, or near to it, is not forgotten for newcomers with one failure each, however
 * many names and addresses they have. Nothing is kept over a restart. Any thread; one lock, never held for long.
 */
#ifndef RESTANTE_SERVER_GUARD_H
#define RESTANTE_SERVER_GUARD_H

#include "lib/err.h"
#include "lib/network.h"
#include "lib/slice.h"

#define GUARD_NAME_MAX 255u

struct guard;

/* Of the configuration: [auth]. All times in seconds. */
struct guard_rules {
	uint64_t failures, network_failures, account_failures;  /* 0: that rule is off */
	uint64_t window;
	uint64_t block;
	uint64_t known;                         /* 0: no network is known */
	const struct network *trusted;
	size_t   trusted_count;
};

/* One try to log in. */
struct guard_try {
	const uint8_t *ip;                      /* NETWORK_IP_LEN bytes; NULL: a unix socket */
	struct slice   name;                    /* of the account, or as the client wrote it if there is none */
	uint64_t       password;                /* guard_password; 0: not known, as with SCRAM */
};

struct guard_outcome {
	unsigned failures;                      /* of the pair, rounded up: how late the answer comes; at least 1 */
	uint64_t blocked_s;                     /* this failure began a block of so many seconds; 0: none */
	bool     network;                       /* of the whole network, and not of the pair alone */
};

#define GUARD_FAILURES_MOST 100u                /* as late as it can */

MUST_USE enum rc guard_new(struct guard **out, struct err *e);
void guard_free(struct guard **g);

/* A number for a password, keyed with a secret of this process. Never 0. */
uint64_t guard_password(const struct guard *g, struct slice password);
/* Before anything is hashed: may this try be checked? Changes nothing. */
bool guard_allows(struct guard *g, const struct guard_rules *rules, const struct guard_try *t,
                  uint64_t now_s);
void guard_failed(struct guard *g, const struct guard_rules *rules, const struct guard_try *t,
                  uint64_t now_s, struct guard_outcome *out);
/* The pair's failures are forgotten, and the network is known for the account. */
void guard_succeeded(struct guard *g, const struct guard_rules *rules, const struct guard_try *t,
                     uint64_t now_s);

struct guard_block {
	char           name[GUARD_NAME_MAX + 1];        /* "": of the whole network */
	struct network network;
	uint64_t       until_s;
	unsigned       failures;
};

/* The blocks that hold, on the heap. RC_OK or RC_NOMEM. */
MUST_USE enum rc guard_list(struct guard *g, uint64_t now_s, struct guard_block **out,
                            size_t *count, struct err *e);
/* Forget failures and blocks: those of an account (`name`), of addresses within a network, or all (both empty); how
 * many blocks that were. What is known for good stays. */
size_t guard_clear(struct guard *g, struct slice name, const struct network *network,
                   uint64_t now_s);

#endif
