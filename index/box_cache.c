/* box_cache - see box_cache.h. A table without chains: the account that falls on the same slot later takes it. */
#include "index/box_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "index/names.h"
#include "index/volume_impl.h"

#define SLOTS     1024u         /* a power of two */
#define BOXES_MAX 100u          /* of one account */
#define NAMES_MAX 8192u         /* octets of their names */

struct slot {
	_Atomic uint64_t     forgotten;     /* how often */
	account_id           account;
	uint64_t             version;
	size_t               count;
	struct mailbox_info *boxes;     /* on the heap, their names behind them; NULL: free */
};

struct box_cache {
	pthread_mutex_t lock;
	struct slot     slots[SLOTS];
};

struct box_cache *
box_cache_new(void)
{
	struct box_cache *c = calloc(1, sizeof *c);

	if (c != NULL)
		(void)pthread_mutex_init(&c->lock, NULL);
	return c;
}

void
box_cache_free(struct box_cache **cp)
{
	struct box_cache *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		free(c->slots[i].boxes);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct slot *
slot_of(struct box_cache *c, account_id account)
{
	return &c->slots[(account * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

_Static_assert(SLOTS == 1u << (64 - 54), "the hash names as many");

void
box_cache_forget(struct box_cache *c, account_id account)
{
	atomic_fetch_add(&slot_of(c, account)->forgotten, 1);
}

/* What is read of the index from here on may be kept under this number. */
static uint64_t
version_of(struct volume *v, account_id account)
{
	return volume_places_version(v) + atomic_load(&slot_of(v->boxes, account)->forgotten);
}

/* Under the lock. */
static bool
counts(const struct slot *s, account_id account, uint64_t version)
{
	return s->boxes != NULL && s->account == account && s->version == version;
}

static size_t
name_octets(const struct mailbox_info *boxes, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += boxes[i].name.len;
	return n;
}

static struct mailbox_info
without_counters(const struct mailbox_info *b)
{
	struct mailbox_info m = {
		.id = b->id, .account = b->account, .name = b->name, .uidvalidity = b->uidvalidity,
		.special_use = b->special_use, .subscribed = b->subscribed, .has_children = b->has_children,
	};

	memcpy(m.mailboxid, b->mailboxid, sizeof m.mailboxid);
	return m;
}

/* Copy the boxes, and their names to `names`. */
static void
copy_boxes(struct mailbox_info *to, uint8_t *names, const struct mailbox_info *boxes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = boxes[i].name.len;

		to[i] = without_counters(&boxes[i]);
		if (len > 0)
			memcpy(names, boxes[i].name.ptr, len);
		to[i].name = slice_of(names, len);
		names += len;
	}
}

static void
keep(struct box_cache *c, account_id account, uint64_t version, const struct mailbox_info *boxes, size_t count)
{
	size_t names = name_octets(boxes, count);
	struct slot *s = slot_of(c, account);
	struct mailbox_info *copy;

	if (count == 0 || count > BOXES_MAX || names > NAMES_MAX)
		return;
	copy = malloc(count * sizeof *copy + names);
	if (copy == NULL)
		return;
	copy_boxes(copy, (uint8_t *)(copy + count), boxes, count);
	(void)pthread_mutex_lock(&c->lock);
	free(s->boxes);
	s->account = account;
	s->version = version;
	s->count = count;
	s->boxes = copy;
	(void)pthread_mutex_unlock(&c->lock);
}

static bool
recall(struct box_cache *c, account_id account, uint64_t version, struct arena *a, struct mailbox_info **out,
       size_t *count)
{
	const struct slot *s = slot_of(c, account);
	uint8_t *names = NULL;
	bool found;

	(void)pthread_mutex_lock(&c->lock);
	found = counts(s, account, version);
	if (found) {
		*out = arena_array(a, s->count, sizeof **out);
		names = arena_array(a, name_octets(s->boxes, s->count) + 1, 1);
		found = *out != NULL && names != NULL;
	}
	if (found) {
		copy_boxes(*out, names, s->boxes, s->count);
		*count = s->count;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return found;
}

enum rc
volume_list_names(struct volume *v, account_id account, struct arena *a, struct mailbox_info **out, size_t *count,
                  struct err *e)
{
	uint64_t version = version_of(v, account);
	enum rc rc;

	if (recall(v->boxes, account, version, a, out, count))
		return RC_OK;
	rc = volume_list_mailboxes(v, account, a, out, count, e);
	if (rc != RC_OK)
		return rc;
	keep(v->boxes, account, version, *out, *count);
	for (size_t i = 0; i < *count; i++)
		(*out)[i] = without_counters(&(*out)[i]);
	return RC_OK;
}

mailbox_id
volume_recall_mailbox(struct volume *v, account_id account, struct slice name, struct arena *a)
{
	struct box_cache *c = v->boxes;
	const struct slot *s = slot_of(c, account);
	mailbox_id id = 0;
	struct slice nfc;
	struct err e = ERR_INIT;

	if (name_mailbox_find(name, a, &nfc, &e) != RC_OK)
		return 0;
	(void)pthread_mutex_lock(&c->lock);
	for (size_t i = 0; counts(s, account, version_of(v, account)) && i < s->count && id == 0; i++)
		if (slice_eq(s->boxes[i].name, nfc))
			id = s->boxes[i].id;
	(void)pthread_mutex_unlock(&c->lock);
	return id;
}
