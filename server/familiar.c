/* familiar - whom a name and a password have let in. See familiar.h.
 *
 * Sets of WAYS places, the set chosen by the sum itself, which nobody outside can foresee. A place
 * keeps the strings of its guest in one block of the heap. */
#include "server/familiar.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/secret.h"
#include "server/keyed_sum.h"

#define WAYS      4u
#define SETS      1024u
#define TEXT_MAX  2048u         /* of a guest's strings; whoever has more is looked up each time */

struct place {
	uint8_t        sum[KEYED_SUM_LEN];
	uint64_t       until_s;         /* 0: empty */
	uint64_t       version;
	struct volume *volume;
	account_id     account;
	uint64_t       generation, created_us;
	uint32_t       flags;
	uint16_t       name_len, hidden_len;
	char          *text;            /* name, hidden, credential with its NUL */
};

struct familiar {
	pthread_mutex_t lock;           /* of `places` */
	EVP_MAC_CTX    *key;
	struct place    places[SETS * WAYS];
};

enum rc
familiar_new(struct familiar **out, struct err *e)
{
	struct familiar *f = calloc(1, sizeof *f);
	enum rc rc;

	*out = NULL;
	if (f == NULL)
		return err_nomem(e);
	pthread_mutex_init(&f->lock, NULL);
	rc = keyed_sum_key(&f->key, e);
	if (rc != RC_OK) {
		familiar_free(&f);
		return rc;
	}
	*out = f;
	return RC_OK;
}

void
familiar_free(struct familiar **fp)
{
	struct familiar *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	for (size_t i = 0; i < SETS * WAYS; i++)
		free(f->places[i].text);
	EVP_MAC_CTX_free(f->key);
	pthread_mutex_destroy(&f->lock);
	secret_wipe(f, sizeof *f);
	free(f);
}

static bool
sum_of(const struct familiar *f, unsigned service, struct slice name, struct slice password,
       uint8_t sum[KEYED_SUM_LEN])
{
	EVP_MAC_CTX *mac = keyed_sum_begin(f->key);
	bool ok = keyed_sum_add_number(mac, service) && keyed_sum_add(mac, name) &&
	          keyed_sum_add(mac, password);

	return keyed_sum_end(mac, ok, sum);
}

static struct place *
set_of(struct familiar *f, const uint8_t sum[KEYED_SUM_LEN])
{
	return &f->places[get_le32(sum) % SETS * WAYS];
}

/* Under the lock. */
static bool
copy_guest(const struct place *p, struct arena *a, struct guest *out)
{
	size_t names = (size_t)p->name_len + p->hidden_len;
	struct slice text = arena_dup(a, slice_of(p->text, names));

	*out = (struct guest){ .volume = p->volume };
	out->account.id = p->account;
	out->account.generation = p->generation;
	out->account.created_us = p->created_us;
	out->account.flags = p->flags;
	out->account.name = slice_sub(text, 0, p->name_len);
	out->account.hidden = slice_sub(text, p->name_len, names);
	return text.ptr != NULL &&
	       slice_to_cstr(slice_str(p->text + names), out->credential, sizeof out->credential);
}

bool
familiar_find(struct familiar *f, unsigned service, struct slice name, struct slice password,
              uint64_t version, uint64_t now_s, struct arena *a, struct guest *out)
{
	uint8_t sum[KEYED_SUM_LEN];
	bool found = false;
	struct place *set;

	if (!sum_of(f, service, name, password, sum))
		return false;
	set = set_of(f, sum);
	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < WAYS && !found; i++)
		found = set[i].until_s > now_s && set[i].version == version &&
		        secret_equal(slice_of(set[i].sum, sizeof sum), slice_of(sum, sizeof sum)) &&
		        copy_guest(&set[i], a, out);
	pthread_mutex_unlock(&f->lock);
	secret_wipe(sum, sizeof sum);
	return found;
}

/* NULL: they are too long, or there is no memory. */
static char *
texts_of(const struct guest *g)
{
	size_t name = g->account.name.len, hidden = g->account.hidden.len,
	       credential = strlen(g->credential) + 1;
	char *text = name + hidden <= TEXT_MAX ? malloc(name + hidden + credential) : NULL;

	if (text == NULL)
		return NULL;
	memcpy(text, g->account.name.ptr, name);
	if (hidden > 0)
		memcpy(text + name, g->account.hidden.ptr, hidden);
	memcpy(text + name + hidden, g->credential, credential);
	return text;
}

/* The same entry, else the one that ends first. */
static struct place *
choose(struct place *set, const uint8_t sum[KEYED_SUM_LEN])
{
	struct place *to = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (memcmp(set[i].sum, sum, KEYED_SUM_LEN) == 0)
			return &set[i];
		if (set[i].until_s < to->until_s)
			to = &set[i];
	}
	return to;
}

void
familiar_put(struct familiar *f, unsigned service, struct slice name, struct slice password,
             uint64_t version, uint64_t until_s, const struct guest *g)
{
	struct place fresh = {
		.until_s = until_s, .version = version, .volume = g->volume,
		.account = g->account.id, .generation = g->account.generation,
		.created_us = g->account.created_us, .flags = g->account.flags,
		.name_len = (uint16_t)g->account.name.len,
		.hidden_len = (uint16_t)g->account.hidden.len,
	};
	struct place *to;
	char *old;

	if (!sum_of(f, service, name, password, fresh.sum))
		return;
	fresh.text = texts_of(g);
	if (fresh.text == NULL)
		return;
	pthread_mutex_lock(&f->lock);
	to = choose(set_of(f, fresh.sum), fresh.sum);
	old = to->text;
	*to = fresh;
	pthread_mutex_unlock(&f->lock);
	free(old);
	secret_wipe(fresh.sum, sizeof fresh.sum);
}
