/* regulars - for whom mail came a moment ago. See regulars.h. */
#include "server/regulars.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "lib/siphash.h"

#define WAYS 4u
#define SETS 1024u

struct place {
	uint64_t       sum, until_ms;           /* until_ms 0: empty */
	uint64_t       version;
	struct volume *volume;
	account_id     account;
	mailbox_id     mailbox;
	uint8_t        local_len, domain_len, name_len, folder_len;
	uint8_t        text[REGULARS_TEXT];     /* local, domain, name, folder */
};

_Static_assert(REGULARS_TEXT <= UINT8_MAX, "lengths are octets");

struct regulars {
	pthread_mutex_t lock;           /* of `places` */
	uint8_t         key[SIPHASH_KEY_LEN];
	struct place    places[SETS * WAYS];
};

enum rc
regulars_new(struct regulars **out, struct err *e)
{
	struct regulars *r = calloc(1, sizeof *r);

	*out = NULL;
	if (r == NULL)
		return err_nomem(e);
	if (RAND_bytes(r->key, sizeof r->key) != 1) {
		free(r);
		return err_set(e, RC_IO, "no random octets");
	}
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return RC_OK;
}

void
regulars_free(struct regulars **rp)
{
	struct regulars *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static uint64_t
sum_of(const struct regulars *r, struct slice local, struct slice domain)
{
	struct siphash h;

	siphash_init(&h, r->key);
	siphash_add(&h, &local.len, sizeof local.len);
	siphash_add(&h, local.ptr, local.len);
	siphash_add(&h, domain.ptr, domain.len);
	return siphash_sum(&h);
}

static struct place *
set_of(struct regulars *r, uint64_t sum)
{
	return &r->places[sum % SETS * WAYS];
}

static bool
is_of(const struct place *p, uint64_t sum, struct slice local, struct slice domain)
{
	return p->sum == sum && slice_eq(slice_of(p->text, p->local_len), local) &&
	       slice_eq(slice_of(p->text + p->local_len, p->domain_len), domain);
}

/* Under the lock. */
static bool
copy_out(const struct place *p, struct arena *a, struct regular *out)
{
	const uint8_t *name = p->text + p->local_len + p->domain_len;

	*out = (struct regular){ p->volume, p->account, p->mailbox,
	                         arena_dup(a, slice_of(name, p->name_len)),
	                         arena_dup(a, slice_of(name + p->name_len, p->folder_len)) };
	return out->name.ptr != NULL && out->folder.ptr != NULL;
}

bool
regulars_find(struct regulars *r, struct slice local, struct slice domain, uint64_t version,
              uint64_t now_ms, struct arena *a, struct regular *out)
{
	uint64_t sum = sum_of(r, local, domain);
	const struct place *set = set_of(r, sum);
	bool found = false;

	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < WAYS && !found; i++)
		found = set[i].until_ms > now_ms && set[i].version == version &&
		        is_of(&set[i], sum, local, domain) && copy_out(&set[i], a, out);
	pthread_mutex_unlock(&r->lock);
	return found;
}

/* The same entry, else the one that ends first. */
static struct place *
choose(struct place *set, uint64_t sum, struct slice local, struct slice domain)
{
	struct place *to = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (is_of(&set[i], sum, local, domain))
			return &set[i];
		if (set[i].until_ms < to->until_ms)
			to = &set[i];
	}
	return to;
}

static uint8_t
put_text(struct place *p, size_t *at, struct slice s)
{
	if (s.len > 0)
		memcpy(p->text + *at, s.ptr, s.len);
	*at += s.len;
	return (uint8_t)s.len;
}

void
regulars_put(struct regulars *r, struct slice local, struct slice domain, uint64_t version,
             uint64_t now_ms, const struct regular *to)
{
	struct place fresh = {
		.sum = sum_of(r, local, domain), .until_ms = now_ms + REGULARS_LIFE_MS,
		.version = version, .volume = to->volume, .account = to->account,
		.mailbox = to->mailbox,
	};
	size_t at = 0;

	if (local.len + domain.len + to->name.len + to->folder.len > REGULARS_TEXT)
		return;
	fresh.local_len = put_text(&fresh, &at, local);
	fresh.domain_len = put_text(&fresh, &at, domain);
	fresh.name_len = put_text(&fresh, &at, to->name);
	fresh.folder_len = put_text(&fresh, &at, to->folder);
	pthread_mutex_lock(&r->lock);
	*choose(set_of(r, fresh.sum), fresh.sum, local, domain) = fresh;
	pthread_mutex_unlock(&r->lock);
}
