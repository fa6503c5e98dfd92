/* remember - passwords that were right a short while ago. See remember.h.
 *
 * Sets of WAYS places, the set chosen by the sum itself, which nobody outside can foresee. */
#include "server/remember.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/secret.h"
#include "server/keyed_sum.h"

#define SUM_LEN KEYED_SUM_LEN
#define WAYS    8u
#define SETS    1024u

struct place {
	uint8_t  sum[SUM_LEN];
	uint64_t until_s;               /* 0: empty */
	size_t   used;                  /* which of the verifiers */
};

struct remember {
	pthread_mutex_t lock;
	EVP_MAC_CTX    *keyed;          /* never used itself, only copied */
	struct place    places[SETS * WAYS];
};

enum rc
remember_new(struct remember **out, struct err *e)
{
	struct remember *r = calloc(1, sizeof *r);
	enum rc rc;

	*out = NULL;
	if (r == NULL)
		return err_nomem(e);
	pthread_mutex_init(&r->lock, NULL);
	rc = keyed_sum_key(&r->keyed, e);
	if (rc != RC_OK) {
		remember_free(&r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

void
remember_free(struct remember **rp)
{
	struct remember *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	EVP_MAC_CTX_free(r->keyed);
	pthread_mutex_destroy(&r->lock);
	secret_wipe(r, sizeof *r);
	free(r);
}

static bool
add_account(EVP_MAC_CTX *mac, const struct sasl_account *a)
{
	bool ok = keyed_sum_add(mac, a->name) && keyed_sum_add_number(mac, a->id) && keyed_sum_add_number(mac, a->nverifiers);

	for (size_t i = 0; ok && i < a->nverifiers; i++)
		ok = keyed_sum_add(mac, a->verifiers[i].name) && keyed_sum_add_number(mac, a->verifiers[i].scope) &&
		     keyed_sum_add(mac, a->verifiers[i].text);
	return ok;
}

/* False without memory: then nothing is remembered. */
static bool
sum_of(const struct remember *r, const struct sasl_account *a, unsigned service,
       struct slice password, uint8_t sum[SUM_LEN])
{
	EVP_MAC_CTX *mac = keyed_sum_begin(r->keyed);
	bool ok = add_account(mac, a) && keyed_sum_add_number(mac, service) &&
	          keyed_sum_add(mac, password);

	return keyed_sum_end(mac, ok, sum);
}

static struct place *
set_of(struct remember *r, const uint8_t sum[SUM_LEN])
{
	return &r->places[get_le32(sum) % SETS * WAYS];
}

const struct sasl_verifier *
remember_find(struct remember *r, const struct sasl_account *a, unsigned service,
              struct slice password, uint64_t now_s, uint64_t *until_s)
{
	const struct sasl_verifier *used = NULL;
	uint8_t sum[SUM_LEN];
	struct place *set;

	if (!sum_of(r, a, service, password, sum))
		return NULL;
	set = set_of(r, sum);
	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].until_s > now_s && set[i].used < a->nverifiers &&
		    secret_equal(slice_of(set[i].sum, SUM_LEN), slice_of(sum, SUM_LEN))) {
			used = &a->verifiers[set[i].used];
			*until_s = set[i].until_s;
		}
	}
	pthread_mutex_unlock(&r->lock);
	secret_wipe(sum, sizeof sum);
	return used;
}

void
remember_put(struct remember *r, const struct sasl_account *a, unsigned service,
             struct slice password, const struct sasl_verifier *used, uint64_t now_s,
             uint64_t seconds)
{
	struct place *set, *to;
	uint8_t sum[SUM_LEN];

	if (seconds == 0 || !sum_of(r, a, service, password, sum))
		return;
	set = to = set_of(r, sum);
	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < WAYS; i++) {
		if (memcmp(set[i].sum, sum, SUM_LEN) == 0) {
			to = &set[i];
			break;
		}
		if (set[i].until_s < to->until_s)
			to = &set[i];
	}
	memcpy(to->sum, sum, SUM_LEN);
	to->until_s = now_s + seconds;
	to->used = (size_t)(used - a->verifiers);
	pthread_mutex_unlock(&r->lock);
	secret_wipe(sum, sizeof sum);
}
