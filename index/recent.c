/* recent - see recent.h. A hash table with open addressing; entries are never removed (16 bytes per
 * mailbox used). */
#include "index/recent.h"

#include <pthread.h>
#include <stdlib.h>

struct entry {
	mailbox_id mailbox;     /* 0: free */
	mail_uid   from;
};

struct recent {
	pthread_mutex_t lock;
	struct entry   *table;
	size_t          size;   /* a power of two */
	size_t          used;
};

struct recent *
recent_new(void)
{
	struct recent *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->size = 64;
	r->table = calloc(r->size, sizeof *r->table);
	if (r->table == NULL) {
		free(r);
		return NULL;
	}
	(void)pthread_mutex_init(&r->lock, NULL);
	return r;
}

void
recent_free(struct recent **rp)
{
	struct recent *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	(void)pthread_mutex_destroy(&r->lock);
	free(r->table);
	free(r);
}

/* The entry of a mailbox, or the free one where it belongs. */
static struct entry *
slot(struct entry *table, size_t size, mailbox_id mailbox)
{
	size_t i = (size_t)((mailbox * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (size - 1);

	while (table[i].mailbox != 0 && table[i].mailbox != mailbox)
		i = (i + 1) & (size - 1);
	return &table[i];
}

static bool
make_room(struct recent *r)
{
	struct entry *bigger;

	if (r->used < r->size / 2)
		return true;
	bigger = calloc(r->size * 2, sizeof *bigger);
	if (bigger == NULL)
		return false;
	for (size_t i = 0; i < r->size; i++) {
		if (r->table[i].mailbox != 0)
			*slot(bigger, r->size * 2, r->table[i].mailbox) = r->table[i];
	}
	free(r->table);
	r->table = bigger;
	r->size *= 2;
	return true;
}

static void
set(struct recent *r, mailbox_id mailbox, mail_uid from)
{
	struct entry *e = slot(r->table, r->size, mailbox);

	if (e->mailbox == 0) {
		if (!make_room(r))
			return;
		e = slot(r->table, r->size, mailbox);
		e->mailbox = mailbox;
		r->used++;
	}
	e->from = from;
}

void
recent_note(struct recent *r, mailbox_id mailbox, mail_uid uid)
{
	(void)pthread_mutex_lock(&r->lock);
	if (slot(r->table, r->size, mailbox)->mailbox == 0)
		set(r, mailbox, uid);
	(void)pthread_mutex_unlock(&r->lock);
}

static mail_uid
get(const struct recent *r, mailbox_id mailbox, mail_uid uidnext)
{
	const struct entry *e = slot(r->table, r->size, mailbox);

	return e->mailbox != 0 && e->from < uidnext ? e->from : uidnext;
}

mail_uid
recent_get(struct recent *r, mailbox_id mailbox, mail_uid uidnext)
{
	mail_uid from;

	(void)pthread_mutex_lock(&r->lock);
	from = get(r, mailbox, uidnext);
	(void)pthread_mutex_unlock(&r->lock);
	return from;
}

mail_uid
recent_claim(struct recent *r, mailbox_id mailbox, mail_uid uidnext)
{
	const struct entry *e;
	mail_uid from;

	(void)pthread_mutex_lock(&r->lock);
	from = get(r, mailbox, uidnext);
	e = slot(r->table, r->size, mailbox);
	/* A claim from an older snapshot does not take back what a newer one has claimed. */
	if (e->mailbox == 0 || e->from < uidnext)
		set(r, mailbox, uidnext);
	(void)pthread_mutex_unlock(&r->lock);
	return from;
}
