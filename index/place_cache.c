/* place_cache - see place_cache.h. A table without chains: what falls on the same slot later takes it. */
#include "index/place_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "index/volume_impl.h"
#include "lib/mime.h"

#define SLOTS 4096u             /* a power of two; some 1,060 KB if all are used, and 4 MB of summaries at most */

struct slot {
	mailbox_id        mailbox;      /* 0: free */
	mail_uid          uid;
	uint64_t          age;
	uint8_t          *summary;      /* on the heap; what was there before may have been longer */
	uint16_t          summary_len, summary_max;
	bool              placed;
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
	for (size_t i = 0; i < SLOTS; i++)
		free(c->slots[i].summary);
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

/* A row of the index has a summary that can be read. */
static bool
is_kept(const struct message_row *m, struct mime_summary *s)
{
	return !m->expunged && m->summary.len > 0 && mime_summary_decode_head(m->summary, s);
}

static bool
has_place(const struct message_row *m, const struct mime_summary *s)
{
	return (s->flags & MIME_HAS_NUL) == 0 && m->place.addr.seg.seq != 0 &&
	       m->place.chunk_count <= PLACE_CACHE_CHUNKS && m->place.size <= PLACE_CACHE_OCTETS;
}

static void
put_summary(struct slot *s, struct slice summary)
{
	uint8_t *p = s->summary;

	s->summary_len = 0;
	if (summary.len > PLACE_CACHE_SUMMARY)
		return;
	if (summary.len > s->summary_max) {
		p = realloc(p, summary.len);
		if (p == NULL)
			return;
		s->summary = p;
		s->summary_max = (uint16_t)summary.len;
	}
	memcpy(p, summary.ptr, summary.len);
	s->summary_len = (uint16_t)summary.len;
}

static void
put_place(struct slot *s, const struct message_row *m)
{
	s->placed = true;
	s->place = m->place;
	s->place.chunks = NULL;
	if (m->place.chunk_count > 0)
		memcpy(s->chunks, m->place.chunks, m->place.chunk_count * sizeof s->chunks[0]);
	memcpy(s->sha256, m->sha256, sizeof s->sha256);
}

static bool
is_of(const struct slot *s, uint64_t age, mailbox_id mailbox, mail_uid uid)
{
	return s->mailbox == mailbox && s->uid == uid && s->age == age;
}

static void
put(struct slot *s, uint64_t age, mailbox_id mailbox, const struct message_row *m)
{
	struct mime_summary summary;

	if (!is_kept(m, &summary))
		return;
	if (!is_of(s, age, mailbox, m->uid))
		s->placed = false;
	s->mailbox = mailbox;
	s->uid = m->uid;
	s->age = age;
	put_summary(s, m->summary);
	if (has_place(m, &summary))
		put_place(s, m);
}

void
place_cache_put(struct volume *v, uint64_t age, mailbox_id mailbox, const struct message_row *rows, size_t count)
{
	struct place_cache *c = v->places;

	(void)pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < count; i++)
		put(slot_of(c, mailbox, rows[i].uid), age, mailbox, &rows[i]);
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
	found = is_of(s, age, mailbox, uid) && s->placed;
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

static bool
get_summary(const struct slot *s, struct arena *a, struct slice *out)
{
	if (s->summary_len == 0)
		return true;
	*out = arena_dup(a, (struct slice){ s->summary, s->summary_len });
	return out->ptr != NULL;
}

bool
place_cache_summaries(struct volume *v, mailbox_id mailbox, struct arena *a, struct message_row *rows, size_t count)
{
	struct place_cache *c = v->places;
	uint64_t age = place_cache_age(v);
	bool ok = true;

	(void)pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < count && ok; i++) {
		const struct slot *s = slot_of(c, mailbox, rows[i].uid);

		rows[i].summary = SLICE("");
		if (is_of(s, age, mailbox, rows[i].uid))
			ok = get_summary(s, a, &rows[i].summary);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return ok;
}
