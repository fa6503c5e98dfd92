/* registry - all sessions, and by account. See registry.h.
 *
 * Buckets hold the members themselves, so nothing is allocated at a login. Keys are numbers that we
 * gave: no keyed hash.
 */
#include "server/registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 4096u
#define RECENT  1024u           /* changes that are remembered; with more of them during a login
                                 * it begins anew */

struct change_of {
	struct volume *volume;
	account_id     account;
};

struct registry {
	pthread_mutex_t  lock;
	struct member    all;           /* list head: the latest first */
	size_t           count;
	struct tie      *buckets[BUCKETS];
	struct change_of recent[RECENT];
	uint64_t         changes;       /* so far; change n lies in recent[n % RECENT] */
};

enum rc
registry_new(struct registry **out, struct err *e)
{
	struct registry *r = calloc(1, sizeof *r);

	*out = r;
	if (r == NULL)
		return err_nomem(e);
	pthread_mutex_init(&r->lock, NULL);
	r->all.prev = r->all.next = &r->all;
	return RC_OK;
}

void
registry_free(struct registry **rp)
{
	struct registry *r = *rp;

	if (r == NULL)
		return;
	assert(r->count == 0);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*rp = NULL;
}

void
registry_add(struct registry *r, struct member *m)
{
	m->owner = m->admin = (struct tie){ .m = m };
	pthread_mutex_lock(&r->lock);
	m->prev = &r->all;
	m->next = r->all.next;
	m->next->prev = m;
	r->all.next = m;
	r->count++;
	pthread_mutex_unlock(&r->lock);
}

static struct tie **
bucket_of(struct registry *r, const struct volume *v, account_id account)
{
	uint64_t x = (account ^ (uint64_t)(uintptr_t)v) * UINT64_C(0x9e3779b97f4a7c15);

	return &r->buckets[x >> 52];    /* 12 bits: BUCKETS */
}

/* Under the lock. */
static void
untie(struct registry *r, struct tie *t)
{
	if (t->volume == NULL)
		return;
	if (t->next != NULL)
		t->next->prev = t->prev;
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		*bucket_of(r, t->volume, t->account) = t->next;
	t->prev = t->next = NULL;
	t->volume = NULL;
}

static void
leave(struct registry *r, struct member *m)
{
	untie(r, &m->owner);
	untie(r, &m->admin);
}

void
registry_leave(struct registry *r, struct member *m)
{
	pthread_mutex_lock(&r->lock);
	leave(r, m);
	pthread_mutex_unlock(&r->lock);
}

void
registry_remove(struct registry *r, struct member *m)
{
	pthread_mutex_lock(&r->lock);
	leave(r, m);
	m->prev->next = m->next;
	m->next->prev = m->prev;
	r->count--;
	pthread_mutex_unlock(&r->lock);
}

/* ---- accounts ---- */

uint64_t
registry_moment(struct registry *r)
{
	uint64_t now;

	pthread_mutex_lock(&r->lock);
	now = r->changes;
	pthread_mutex_unlock(&r->lock);
	return now;
}

static bool
has_changed(const struct registry *r, const struct volume *v, account_id account, uint64_t moment)
{
	if (r->changes - moment > RECENT)
		return true;
	for (uint64_t n = moment; n < r->changes; n++) {
		const struct change_of *c = &r->recent[n % RECENT];

		if (c->volume == v && (c->account == account || c->account == 0))
			return true;
	}
	return false;
}

/* Has it `max` sessions already? */
static bool
is_full(struct registry *r, const struct volume *v, account_id account, uint64_t max)
{
	uint64_t n = 0;

	if (max == 0)
		return false;
	for (const struct tie *t = *bucket_of(r, v, account); t != NULL && n < max; t = t->next)
		n += t == &t->m->owner && t->volume == v && t->account == account;
	return n >= max;
}

static void
tie_to(struct registry *r, struct tie *t, struct volume *v, account_id account)
{
	struct tie **bucket = bucket_of(r, v, account);

	t->volume = v;
	t->account = account;
	t->prev = NULL;
	t->next = *bucket;
	if (*bucket != NULL)
		(*bucket)->prev = t;
	*bucket = t;
}

enum registry_result
registry_enter(struct registry *r, struct member *m, struct volume *v, account_id account,
               uint64_t moment, uint64_t max)
{
	enum registry_result result = REGISTRY_OK;

	assert(v != NULL && m->owner.volume == NULL);
	pthread_mutex_lock(&r->lock);
	if (has_changed(r, v, account, moment))
		result = REGISTRY_CHANGED;
	else if (is_full(r, v, account, max))
		result = REGISTRY_FULL;
	else
		tie_to(r, &m->owner, v, account);
	pthread_mutex_unlock(&r->lock);
	return result;
}

enum registry_result
registry_enter_admin(struct registry *r, struct member *m, struct volume *v, account_id account,
                     uint64_t moment)
{
	enum registry_result result = REGISTRY_OK;

	assert(v != NULL && m->owner.volume != NULL && m->admin.volume == NULL);
	pthread_mutex_lock(&r->lock);
	if (has_changed(r, v, account, moment))
		result = REGISTRY_CHANGED;
	else
		tie_to(r, &m->admin, v, account);
	pthread_mutex_unlock(&r->lock);
	return result;
}

/* Writer's thread: the walk is over the account's bucket, or once over all when there was no
 * memory to say which. */
void
registry_account_changed(void *arg, struct volume *v, account_id account)
{
	struct registry *r = arg;

	pthread_mutex_lock(&r->lock);
	r->recent[r->changes++ % RECENT] = (struct change_of){ v, account };
	if (account != 0) {
		for (struct tie *t = *bucket_of(r, v, account); t != NULL; t = t->next)
			if (t->volume == v && t->account == account)
				t->m->end(t->m, END_CHANGED);
	} else {
		for (struct member *m = r->all.next; m != &r->all; m = m->next)
			if (m->owner.volume == v || m->admin.volume == v)
				m->end(m, END_CHANGED);
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- the admin ---- */

static bool
is_tied(const struct tie *t, const struct registry_filter *f)
{
	return t->volume == f->volume && t->account == f->account;
}

static bool
fits(const struct member *m, const struct registry_filter *f)
{
	if (f->volume != NULL && !is_tied(&m->owner, f) && !is_tied(&m->admin, f))
		return false;
	if (f->id != 0 && m->id != f->id)
		return false;
	return f->network == NULL || (m->has_ip && network_has(f->network, m->ip));
}

size_t
registry_end(struct registry *r, const struct registry_filter *f, enum session_end why)
{
	size_t n = 0;

	pthread_mutex_lock(&r->lock);
	for (struct member *m = r->all.next; m != &r->all; m = m->next) {
		if (!fits(m, f))
			continue;
		m->end(m, why);
		n++;
	}
	pthread_mutex_unlock(&r->lock);
	return n;
}

enum rc
registry_list(struct registry *r, const struct registry_filter *f, struct registry_row **rows,
              size_t *count, struct err *e)
{
	size_t n = 0;

	*rows = NULL;
	*count = 0;
	pthread_mutex_lock(&r->lock);
	if (r->count > 0)
		*rows = calloc(r->count, sizeof **rows);
	for (struct member *m = r->all.prev; m != &r->all && *rows != NULL; m = m->prev) {
		struct registry_row *row = &(*rows)[n];

		if (!fits(m, f))
			continue;
		row->id = m->id;
		row->volume = m->owner.volume;
		row->account = m->owner.account;
		row->admin_volume = m->admin.volume;
		row->admin = m->admin.account;
		m->describe(m, row);
		n++;
	}
	*count = n;
	n = r->count;
	pthread_mutex_unlock(&r->lock);
	return n == 0 || *rows != NULL ? RC_OK : err_nomem(e);
}
