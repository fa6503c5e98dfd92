/* place_cache - see place_cache.h. A table without chains: what falls on the same slot later takes it. */
#include "index/place_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "index/volume_impl.h"
#include "lib/mime.h"

#define SLOTS 4096u             /* a power of two; some 700 KB if all are used */

struct slot {
	mailbox_id        mailbox;      /* 0: free */
	mail_uid          uid;
	uint64_t          age;
	struct blob_place place;        /* its chunks are these: */
	struct blob_chunk chunks[PLACE_CACHE_CHUNKS];
	uint8_t           sha256[SHA256_LEN];
};

struct place_cache {
	pthread_mutex_t  lock;
	_Atomic uint64_t forgotten;     /* how often */
	struct slot      slots[SLOTS];
};

struct place_cache *
place_cache_new(void)
{
	struct place_cache *c = calloc(1, sizeof *c);

	if (c != NULL)
		(void)pthread_mutex_init(&c->lock, NULL);
	return c;
}

void
place_cache_free(struct place_cache **cp)
{
	struct place_cache *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

void
place_cache_forget(struct place_cache *c)
{
	atomic_fetch_add(&c->forgotten, 1);
}

uint64_t
place_cache_age(const struct volume *v)
{
	return volume_places_version(v) + atomic_load(&v->places->forgotten);
}

static struct slot *
slot_of(struct place_cache *c, mailbox_id mailbox, mail_uid uid)
{
	uint64_t h = mailbox * UINT64_C(0x9e3779b97f4a7c15) + uid;

	return &c->slots[(h * UINT64_C(0x9e3779b97f4a7c15)) >> 52];
}

_Static_assert(SLOTS == 1u << (64 - 52), "the hash names as many");

static bool
is_kept(const struct message_row *m)
{
	struct mime_summary s;

	return !m->expunged && m->summary.len > 0 && mime_summary_decode_head(m->summary, &s) &&
	       (s.flags & MIME_HAS_NUL) == 0 && m->place.addr.seg.seq != 0 && m->place.chunk_count <= PLACE_CACHE_CHUNKS &&
	       m->place.size <= PLACE_CACHE_OCTETS;
}

static void
fill(struct slot *s, uint64_t age, mailbox_id mailbox, const struct message_row *m)
{
	s->mailbox = mailbox;
	s->uid = m->uid;
	s->age = age;
	s->place = m->place;
	s->place.chunks = NULL;
	if (m->place.chunk_count > 0)
		memcpy(s->chunks, m->place.chunks, m->place.chunk_count * sizeof s->chunks[0]);
	memcpy(s->sha256, m->sha256, sizeof s->sha256);
}

void
place_cache_put(struct volume *v, uint64_t age, mailbox_id mailbox, const struct message_row *rows, size_t count)
{
	struct place_cache *c = v->places;

	(void)pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < count; i++)
		if (is_kept(&rows[i]))
			fill(slot_of(c, mailbox, rows[i].uid), age, mailbox, &rows[i]);
	(void)pthread_mutex_unlock(&c->lock);
}

bool
place_cache_get(struct volume *v, mailbox_id mailbox, mail_uid uid, struct arena *a, struct message_row *out)
{
	struct blob_chunk *chunks = arena_array(a, PLACE_CACHE_CHUNKS, sizeof *chunks);
	struct place_cache *c = v->places;
	uint64_t age = place_cache_age(v);
	const struct slot *s = slot_of(c, mailbox, uid);
	bool found;

	if (chunks == NULL)
		return false;
	(void)pthread_mutex_lock(&c->lock);
	found = s->mailbox == mailbox && s->uid == uid && s->age == age;
	if (found) {
		*out = (struct message_row){
			.uid = uid, .blob = s->place.id, .size = s->place.size, .place = s->place
		};
		memcpy(chunks, s->chunks, sizeof s->chunks);
		memcpy(out->sha256, s->sha256, sizeof out->sha256);
		out->place.chunks = chunks;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return found;
}
