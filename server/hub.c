/* hub - who watches which mailbox. See hub.h.
 *
 * Buckets hold the watchers themselves, so watching allocates nothing. The table has a fixed size,
 * as mailboxes are watched by sessions: with 10^5 sessions a bucket holds 25. Locks are shared by
 * groups of buckets, so that writers of several volumes and sessions that SELECT do not meet often.
 * Keys are numbers that we gave ourselves: no keyed hash.
 */
#include "server/hub.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 4096u
#define LOCKS   64u

struct hub {
	pthread_mutex_t locks[LOCKS];
	struct watcher *buckets[BUCKETS];
};

enum rc
hub_new(struct hub **out, struct err *e)
{
	struct hub *h = calloc(1, sizeof *h);

	*out = h;
	if (h == NULL)
		return err_nomem(e);
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_init(&h->locks[i], NULL);
	return RC_OK;
}

void
hub_free(struct hub **h)
{
	if (*h == NULL)
		return;
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&(*h)->locks[i]);
	free(*h);
	*h = NULL;
}

static unsigned
bucket_of(const struct volume *v, mailbox_id mailbox)
{
	uint64_t x = (mailbox ^ (uint64_t)(uintptr_t)v) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(x >> 52);     /* 12 bits: BUCKETS */
}

void
hub_watch(struct hub *h, struct watcher *w, struct volume *v, mailbox_id mailbox)
{
	unsigned b = bucket_of(v, mailbox);

	hub_unwatch(h, w);
	w->volume = v;
	w->mailbox = mailbox;
	w->prev = NULL;
	atomic_store(&w->latest, 0);
	pthread_mutex_lock(&h->locks[b % LOCKS]);
	w->next = h->buckets[b];
	if (w->next != NULL)
		w->next->prev = w;
	h->buckets[b] = w;
	pthread_mutex_unlock(&h->locks[b % LOCKS]);
}

void
hub_unwatch(struct hub *h, struct watcher *w)
{
	unsigned b;

	if (w->volume == NULL)
		return;
	b = bucket_of(w->volume, w->mailbox);
	pthread_mutex_lock(&h->locks[b % LOCKS]);
	if (w->next != NULL)
		w->next->prev = w->prev;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		h->buckets[b] = w->next;
	pthread_mutex_unlock(&h->locks[b % LOCKS]);
	w->volume = NULL;
	w->prev = w->next = NULL;
}

void
hub_listen(struct watcher *w, bool wanted)
{
	atomic_store(&w->listens, wanted);
}

mail_modseq
hub_latest(const struct watcher *w)
{
	return atomic_load(&w->latest);
}

/* The order here, and that of hub_listen and hub_latest elsewhere: one of the two sees the other. */
static void
tell(struct watcher *w, mail_modseq modseq)
{
	if (modseq > atomic_load(&w->latest))
		atomic_store(&w->latest, modseq);
	if (atomic_load(&w->listens))
		w->changed(w);
}

void
hub_notify(void *hub, struct volume *v, mailbox_id mailbox, mail_modseq modseq)
{
	struct hub *h = hub;
	unsigned b = bucket_of(v, mailbox);

	pthread_mutex_lock(&h->locks[b % LOCKS]);
	for (struct watcher *w = h->buckets[b]; w != NULL; w = w->next)
		if (w->volume == v && w->mailbox == mailbox)
			tell(w, modseq);
	pthread_mutex_unlock(&h->locks[b % LOCKS]);
}
