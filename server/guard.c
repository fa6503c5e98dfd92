/* guard - against guessing passwords. See guard.h.
 *
 * Three tables of counts (pairs, networks, accounts) and one of networks that accounts are known
 * from. All are sets of WAYS places, the set chosen by a keyed hash; an entry is found by its full
 * 64-bit hash, of which two alike do not happen to who does not know the key. Counts are
 * thousandths of a failure, as they leak by the second.
 *
 * Rejected: chains that grow (memory), one queue of all by their time (a flood of new names pushes
 * out who is blocked), a file (what is known for good is learned again within a day).
 */
#include "server/guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"
#include "lib/siphash.h"
#include "lib/text.h"

#define WAYS            8u
#define PAIR_SETS       8192u
#define NETWORK_SETS    2048u
#define ACCOUNT_SETS    4096u
#define KNOWN_SETS      8192u
#define KNOWN_EACH      6u              /* networks of one account */
#define FAILURE         1000u           /* in the unit of counts */
#define NEWCOMER        FAILURE         /* what weighs more is not given up for one
                                         * who failed once */
#define DOUBLINGS_MAX   6u              /* of the first block: 15 minutes become 16 hours */
#define BLOCK_MEMORY_S  86400u          /* a block counts towards the length of the
                                         * next for so long */
#define COUNT_MAX       (1u << 30)
#define FOLDED_MAX      4096u           /* of a name of GUARD_NAME_MAX: folding makes some
                                         * characters longer */

struct entry {
	uint64_t key;                   /* 0: empty */
	uint64_t account;               /* hash of the name; 0: of a network */
	uint64_t password;              /* the last wrong one of a pair */
	char    *name;                  /* of a blocked pair: for guard_list; heap */
	uint8_t  ip[NETWORK_IP_LEN];    /* of the network; of accounts unused */
	uint32_t count;
	uint32_t at_s;                  /* the count was so then */
	uint32_t until_s;               /* blocked */
	uint32_t blocks;                /* how often it was */
};

struct table {
	struct entry *places;
	size_t        sets;
};

struct known {
	uint64_t account;               /* 0: empty */
	uint64_t network;
	uint64_t at_s;                  /* the last good login */
};

struct guard {
	pthread_mutex_t lock;
	uint8_t         key[SIPHASH_KEY_LEN];
	struct table    pairs, networks, accounts;
	struct known   *known;
};

static enum rc
table_init(struct table *t, size_t sets, struct err *e)
{
	t->sets = sets;
	/* pages that are never touched cost nothing */
	t->places = calloc(sets * WAYS, sizeof *t->places);
	return t->places != NULL ? RC_OK : err_nomem(e);
}

static void
entry_clear(struct entry *en)
{
	free(en->name);
	*en = (struct entry){ 0 };
}

static void
table_fini(struct table *t)
{
	for (size_t i = 0; t->places != NULL && i < t->sets * WAYS; i++)
		free(t->places[i].name);
	free(t->places);
}

enum rc
guard_new(struct guard **out, struct err *e)
{
	struct guard *g = calloc(1, sizeof *g);
	enum rc rc;

	*out = NULL;
	if (g == NULL)
		return err_nomem(e);
	pthread_mutex_init(&g->lock, NULL);
	rc = secret_random(g->key, sizeof g->key, e);
	if (rc == RC_OK)
		rc = table_init(&g->pairs, PAIR_SETS, e);
	if (rc == RC_OK)
		rc = table_init(&g->networks, NETWORK_SETS, e);
	if (rc == RC_OK)
		rc = table_init(&g->accounts, ACCOUNT_SETS, e);
	if (rc == RC_OK) {
		g->known = calloc(KNOWN_SETS * WAYS, sizeof *g->known);
		rc = g->known != NULL ? RC_OK : err_nomem(e);
	}
	if (rc != RC_OK) {
		guard_free(&g);
		return rc;
	}
	*out = g;
	return RC_OK;
}

void
guard_free(struct guard **gp)
{
	struct guard *g = *gp;

	*gp = NULL;
	if (g == NULL)
		return;
	table_fini(&g->pairs);
	table_fini(&g->networks);
	table_fini(&g->accounts);
	free(g->known);
	pthread_mutex_destroy(&g->lock);
	secret_wipe(g, sizeof *g);
	free(g);
}

/* ---- keys ---- */

enum key_kind { KEY_OF_PASSWORD, KEY_OF_NAME, KEY_OF_NETWORK, KEY_OF_PAIR };

static uint64_t
key_of(const struct guard *g, enum key_kind kind, const void *a, size_t a_len, const void *b,
       size_t b_len)
{
	uint8_t k = (uint8_t)kind;
	struct siphash h;
	uint64_t sum;

	siphash_init(&h, g->key);
	siphash_add(&h, &k, 1);
	if (a_len > 0)
		siphash_add(&h, a, a_len);
	if (b_len > 0)
		siphash_add(&h, b, b_len);
	sum = siphash_sum(&h);
	return sum != 0 ? sum : 1;      /* 0 is for empty places */
}

uint64_t
guard_password(const struct guard *g, struct slice password)
{
	return key_of(g, KEY_OF_PASSWORD, password.ptr, password.len, NULL, 0);
}

/* Folded as accounts' names are when they are looked up: spellings of a name that no account has
 * count as one, too, or counting them would tell that. Without memory the name counts as
 * it is written. */
static uint64_t
key_of_name(const struct guard *g, struct slice name)
{
	struct buf folded;
	uint64_t key;

	name.len = name.len < GUARD_NAME_MAX ? name.len : GUARD_NAME_MAX;
	buf_init(&folded, FOLDED_MAX);
	if (text_casefold(name, &folded))
		name = buf_slice(&folded);
	key = key_of(g, KEY_OF_NAME, name.ptr, name.len, NULL, 0);
	buf_fini(&folded);
	return key;
}

static bool
is_loopback(const uint8_t ip[NETWORK_IP_LEN])
{
	static const uint8_t one[NETWORK_IP_LEN] = { [15] = 1 };

	return network_is_v4(ip) ? ip[12] == 127 : memcmp(ip, one, sizeof one) == 0;
}

/* Where a try comes from, as the tables name it. */
struct origin {
	struct network network;
	bool           trusted;
	uint64_t       name_key, network_key, pair_key;
};

static struct origin
origin_of(const struct guard *g, const struct guard_rules *rules, const struct guard_try *t)
{
	struct origin o = { .name_key = key_of_name(g, t->name) };

	if (t->ip != NULL)
		network_of_peer(t->ip, &o.network);
	o.trusted = t->ip == NULL || is_loopback(t->ip) ||
	            network_list_has(rules->trusted, rules->trusted_count, t->ip);
	o.network_key = key_of(g, KEY_OF_NETWORK, o.network.ip, NETWORK_IP_LEN, NULL, 0);
	o.pair_key = key_of(g, KEY_OF_PAIR, &o.name_key, sizeof o.name_key, &o.network_key,
	                    sizeof o.network_key);
	return o;
}

/* ---- counts ---- */

/* What has leaked away since: all of `limit` within `window`; where the rule is off, and counts
 * only delay answers, all after a window without a failure. */
static void
leak(struct entry *en, uint64_t limit, uint64_t window, uint32_t now_s)
{
	uint64_t passed = now_s - en->at_s, gone;

	if (now_s <= en->at_s)
		return;
	gone = window > 0 ? passed * limit * FAILURE / window : COUNT_MAX;
	if (limit == 0 && passed >= window)
		gone = COUNT_MAX;
	en->count = gone < en->count ? en->count - (uint32_t)gone : 0;
	en->at_s = now_s;
	if (now_s > en->until_s + BLOCK_MEMORY_S)
		en->blocks = 0;
}

static bool
is_blocked(const struct entry *en, uint32_t now_s)
{
	return en != NULL && en->until_s > now_s;
}

/* How much would be lost with it. */
static uint64_t
weight(const struct entry *en, uint64_t limit, uint64_t window, uint32_t now_s)
{
	struct entry copy = *en;

	if (en->key == 0)
		return 0;
	if (is_blocked(en, now_s))
		return UINT64_MAX;
	leak(&copy, limit, window, now_s);
	return 1 + (uint64_t)copy.count + (uint64_t)copy.blocks * 4 * FAILURE;
}

static struct entry *
find(const struct table *t, uint64_t key)
{
	struct entry *set = &t->places[key % t->sets * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* The entry of a key, a new one if need be; NULL: all that could go for it weighs more. */
static struct entry *
take(struct table *t, uint64_t key, uint64_t limit, uint64_t window, uint32_t now_s)
{
	struct entry *set = &t->places[key % t->sets * WAYS], *lightest = NULL, *en = find(t, key);
	uint64_t least = UINT64_MAX;

	if (en != NULL) {
		leak(en, limit, window, now_s);
		return en;
	}
	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t w = weight(&set[i], limit, window, now_s);

		if (w < least) {
			least = w;
			lightest = &set[i];
		}
	}
	if (lightest == NULL || least > 1 + NEWCOMER)
		return NULL;
	entry_clear(lightest);
	lightest->key = key;
	lightest->at_s = now_s;
	return lightest;
}

static unsigned
failures_of(const struct entry *en)
{
	return en != NULL ? (en->count + FAILURE - 1) / FAILURE : 0;
}

/* One more failure. True: a block begins. What it leaves is half of what it takes, so that the
 * next comes sooner. */
static bool
count(struct entry *en, uint64_t limit, uint64_t block_s, uint32_t now_s)
{
	if (en->count < COUNT_MAX)
		en->count += FAILURE;
	/* Less than half a failure has leaked from a handful of quick guesses: it is as many
	 * as it was told. */
	if (limit == 0 || block_s == 0 || is_blocked(en, now_s) ||
	    en->count + FAILURE / 2 < limit * FAILURE)
		return false;
	en->count = (uint32_t)(limit * FAILURE / 2);
	en->until_s = now_s + (uint32_t)(block_s << (en->blocks < DOUBLINGS_MAX ? en->blocks
	                                                                        : DOUBLINGS_MAX));
	en->blocks++;
	return true;
}

/* ---- networks that accounts are known from ---- */

static bool
is_known(const struct guard *g, const struct guard_rules *rules, const struct origin *o,
         uint64_t now_s)
{
	const struct known *set = &g->known[o->name_key % KNOWN_SETS * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].account == o->name_key && set[i].network == o->network_key)
			return now_s - set[i].at_s < rules->known;
	return false;
}

/* Its place, or the oldest: of the account's own when it has as many as it may, else of all here.
 * So who has one account cannot make the server forget more than a few places of others. */
static void
make_known(struct guard *g, const struct origin *o, uint64_t now_s)
{
	struct known *set = &g->known[o->name_key % KNOWN_SETS * WAYS], *own = NULL,
	             *oldest = &set[0];
	unsigned n = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].account == o->name_key && set[i].network == o->network_key) {
			set[i].at_s = now_s;
			return;
		}
		if (set[i].account == o->name_key) {
			n++;
			if (own == NULL || set[i].at_s < own->at_s)
				own = &set[i];
		}
		if (set[i].account == 0 || (oldest->account != 0 && set[i].at_s < oldest->at_s))
			oldest = &set[i];
	}
	*(n >= KNOWN_EACH ? own : oldest) = (struct known){ o->name_key, o->network_key, now_s };
}

/* ---- a try ---- */

bool
guard_allows(struct guard *g, const struct guard_rules *rules, const struct guard_try *t,
             uint64_t now_s)
{
	struct origin o = origin_of(g, rules, t);
	bool allowed;

	if (o.trusted)
		return true;
	pthread_mutex_lock(&g->lock);
	allowed = (!is_blocked(find(&g->pairs, o.pair_key), (uint32_t)now_s) &&
	           !is_blocked(find(&g->networks, o.network_key), (uint32_t)now_s)) ||
	          is_known(g, rules, &o, now_s);
	pthread_mutex_unlock(&g->lock);
	return allowed;
}

/* A block that just began. */
static void
note_block(struct entry *en, uint32_t now_s, bool network, struct guard_outcome *out)
{
	out->blocked_s = en->until_s - now_s;
	out->network = network;
}

static void
keep_name(struct entry *en, struct slice name)
{
	free(en->name);
	en->name = calloc(1, GUARD_NAME_MAX + 1);
	if (en->name != NULL && name.len > 0)
		memcpy(en->name, name.ptr, name.len < GUARD_NAME_MAX ? name.len : GUARD_NAME_MAX);
}

/* Under the lock, and not the same guess again. */
static void
count_pair(struct entry *en, const struct guard_rules *rules, const struct guard_try *t,
           const struct origin *o, bool exempt, uint32_t now_s, struct guard_outcome *out)
{
	memcpy(en->ip, o->network.ip, sizeof en->ip);
	en->account = o->name_key;
	en->password = t->password;
	if (!count(en, rules->failures, exempt ? 0 : rules->block, now_s))
		return;
	keep_name(en, t->name);
	note_block(en, now_s, false, out);
}

static void
count_network(struct guard *g, const struct guard_rules *rules, const struct origin *o,
              uint32_t now_s, struct guard_outcome *out)
{
	struct entry *en = take(&g->networks, o->network_key, rules->network_failures,
	                        rules->window, now_s);

	if (en == NULL)
		return;
	memcpy(en->ip, o->network.ip, sizeof en->ip);
	if (count(en, rules->network_failures, rules->block, now_s))
		note_block(en, now_s, true, out);
}

/* Is the account under attack from many places? */
static bool
count_account(struct guard *g, const struct guard_rules *rules, const struct origin *o, bool again,
              uint32_t now_s)
{
	struct entry *en = take(&g->accounts, o->name_key, rules->account_failures, rules->window,
	                        now_s);

	if (en == NULL)
		return false;
	en->account = o->name_key;
	if (!again)
		(void)count(en, 0, 0, now_s);
	return rules->account_failures > 0 && failures_of(en) > rules->account_failures;
}

void
guard_failed(struct guard *g, const struct guard_rules *rules, const struct guard_try *t,
             uint64_t now_s, struct guard_outcome *out)
{
	struct origin o = origin_of(g, rules, t);
	uint32_t now = (uint32_t)now_s;
	struct entry *en;
	bool again, known, attacked;

	*out = (struct guard_outcome){ .failures = 1 };
	pthread_mutex_lock(&g->lock);
	known = !o.trusted && is_known(g, rules, &o, now_s);
	en = take(&g->pairs, o.pair_key, rules->failures, rules->window, now);
	again = en != NULL && t->password != 0 && en->password == t->password;
	if (!again && !o.trusted)
		count_network(g, rules, &o, now, out);
	if (!again && en != NULL)
		count_pair(en, rules, t, &o, o.trusted || known, now, out);
	attacked = count_account(g, rules, &o, again, now);
	if (failures_of(en) > out->failures)
		out->failures = failures_of(en);
	if (attacked && !known && !o.trusted)
		out->failures = GUARD_FAILURES_MOST;
	pthread_mutex_unlock(&g->lock);
}

void
guard_succeeded(struct guard *g, const struct guard_rules *rules, const struct guard_try *t,
                uint64_t now_s)
{
	struct origin o = origin_of(g, rules, t);
	struct entry *en;

	pthread_mutex_lock(&g->lock);
	en = find(&g->pairs, o.pair_key);
	if (en != NULL)
		entry_clear(en);
	if (!o.trusted && rules->known > 0)
		make_known(g, &o, now_s);
	pthread_mutex_unlock(&g->lock);
}

/* ---- the admin ---- */

static void
list_table(const struct table *t, uint64_t now_s, struct guard_block *out, size_t *n, size_t max)
{
	for (size_t i = 0; i < t->sets * WAYS && *n < max; i++) {
		const struct entry *en = &t->places[i];
		struct guard_block *b = &out[*n];

		if (!is_blocked(en, (uint32_t)now_s))
			continue;
		if (en->name != NULL)
			memcpy(b->name, en->name, sizeof b->name);
		network_of_peer(en->ip, &b->network);
		b->until_s = en->until_s;
		b->failures = failures_of(en);
		(*n)++;
	}
}

static size_t
count_blocks(const struct table *t, uint64_t now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < t->sets * WAYS; i++)
		n += is_blocked(&t->places[i], (uint32_t)now_s);
	return n;
}

enum rc
guard_list(struct guard *g, uint64_t now_s, struct guard_block **out, size_t *count_out,
           struct err *e)
{
	enum rc rc = RC_OK;
	size_t max;

	*count_out = 0;
	pthread_mutex_lock(&g->lock);
	max = count_blocks(&g->networks, now_s) + count_blocks(&g->pairs, now_s);
	*out = calloc(max + 1, sizeof **out);
	if (*out != NULL) {
		list_table(&g->networks, now_s, *out, count_out, max);
		list_table(&g->pairs, now_s, *out, count_out, max);
	} else {
		rc = err_nomem(e);
	}
	pthread_mutex_unlock(&g->lock);
	return rc;
}

static size_t
clear_table(struct table *t, uint64_t account, const struct network *network, uint64_t now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < t->sets * WAYS; i++) {
		struct entry *en = &t->places[i];

		if (en->key == 0 || (account != 0 && en->account != account) ||
		    (network != NULL && !network_has(network, en->ip)))
			continue;
		n += is_blocked(en, (uint32_t)now_s);
		entry_clear(en);
	}
	return n;
}

size_t
guard_clear(struct guard *g, struct slice name, const struct network *network, uint64_t now_s)
{
	uint64_t account = name.len > 0 ? key_of_name(g, name) : 0;
	struct network wide;
	size_t n;

	/* One address of a /64 stands for all of it, as it does in the tables. */
	if (network != NULL && !network_is_v4(network->ip) && network->bits > 64) {
		network_of_peer(network->ip, &wide);
		network = &wide;
	}
	pthread_mutex_lock(&g->lock);
	n = clear_table(&g->pairs, account, network, now_s);
	if (account == 0)
		n += clear_table(&g->networks, 0, network, now_s);
	if (network == NULL)
		(void)clear_table(&g->accounts, account, NULL, now_s);
	pthread_mutex_unlock(&g->lock);
	return n;
}
