/* ahead - see ahead.h.
 *
 * Pieces stand in a queue in the order in which they are asked for, their octets in a ring behind one another. A piece is
 * claimed under the lock and made without it. The helper is a job of the pool that ends when there is no room and is
 * submitted again when half of it is free, so that threads seldom wake each other; it gives way to other jobs now and then.
 *
 * A piece that is in the making keeps `places`: they are replaced when none is. Who ends first, owner or helper, leaves the
 * rest to the other.
 */
#include "server/ahead.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/clock.h"

#define PIECES   64u
#define SHARE_MS 5u             /* of the helper, when other jobs wait */

enum piece_state {
	PIECE_BUSY,             /* somebody makes it */
	PIECE_READY,
	PIECE_FAILED,
};

struct piece {
	size_t           message;
	uint64_t         from;          /* its first octet in the message */
	size_t           len;
	size_t           begin, at;     /* in the ring: its room, and its octets */
	enum piece_state state;
};

struct ahead {
	struct pool_job    job;
	struct pool       *pool;
	struct volume     *volume;
	pthread_mutex_t    lock;
	pthread_cond_t     made;        /* a piece, while `awaited` */
	bool               awaited;
	bool               helped;      /* the job is on the pool, or on its way there */
	bool               ended;       /* by the owner */

	struct blob_place *places;      /* with their chunks behind them */
	size_t             count;
	size_t             message;     /* the first octet that nobody has claimed */
	uint64_t           from;

	struct piece       pieces[PIECES];
	unsigned           first, queued;
	size_t             tail;        /* the ring is free from here on, up to the first piece */
	uint8_t            ring[AHEAD_OCTETS];
};

static void
destroy(struct ahead *a)
{
	pthread_cond_destroy(&a->made);
	pthread_mutex_destroy(&a->lock);
	free(a->places);
	free(a);
}

void
ahead_end(struct ahead **ap)
{
	struct ahead *a = *ap;
	bool helped;

	if (a == NULL)
		return;
	*ap = NULL;
	pthread_mutex_lock(&a->lock);
	a->ended = true;
	helped = a->helped;
	pthread_mutex_unlock(&a->lock);
	if (!helped)
		destroy(a);
}

/* ---- the queue and the ring, under the lock ---- */

static struct piece *
piece_at(struct ahead *a, unsigned i)
{
	return &a->pieces[(a->first + i) % PIECES];
}

/* n octets in a row. A piece never ends where the first one begins, so that full and empty differ. */
static bool
find_room(const struct ahead *a, size_t n, size_t *at)
{
	size_t head = a->pieces[a->first].begin;

	if (a->queued == PIECES)
		return false;
	*at = a->queued > 0 ? a->tail : 0;
	if (a->queued > 0 && a->tail <= head)
		return n < head - a->tail;
	if (n <= AHEAD_OCTETS - *at)
		return true;
	*at = 0;
	return n < head;
}

/* How many octets the next piece has; 0: there is none. A message whose chunks make no sense is passed over. */
static size_t
next_piece(struct ahead *a)
{
	for (; a->message < a->count; a->message++, a->from = 0) {
		const struct blob_place *p = &a->places[a->message];
		uint64_t end = p->addr.seg.seq != 0 && a->from < p->size ? blob_chunks_end(p, a->from) : 0;

		if (end > p->size)
			end = p->size;
		if (end > a->from && end - a->from <= BLOB_CHUNK_MAX)
			return (size_t)(end - a->from);
	}
	return 0;
}

/* The next piece is the caller's to make; NULL: there is none, or no room. */
static struct piece *
claim(struct ahead *a)
{
	size_t n = next_piece(a), front = a->from == 0 ? AHEAD_FRONT : 0, begin;
	struct piece *p;

	if (n == 0 || !find_room(a, front + n, &begin))
		return NULL;
	p = piece_at(a, a->queued++);
	*p = (struct piece){ a->message, a->from, n, begin, begin + front, PIECE_BUSY };
	a->tail = begin + front + n;
	a->from += n;
	return p;
}

static bool
half_is_free(const struct ahead *a)
{
	size_t head = a->pieces[a->first].begin;
	size_t used = a->queued == 0 ? 0 : a->tail > head ? a->tail - head : AHEAD_OCTETS - head + a->tail;

	return used <= AHEAD_OCTETS / 2 && a->queued <= PIECES / 2;
}

/* ---- making ---- */

/* Without the lock in between. */
static void
make(struct ahead *a, struct piece *p)
{
	const struct blob_place *place = &a->places[p->message];
	struct buf out = { .ptr = a->ring + p->at, .cap = p->len, .max = p->len };
	struct err e = ERR_INIT;
	enum rc rc;

	pthread_mutex_unlock(&a->lock);
	rc = volume_read_blob(a->volume, place, p->from, p->len, &out, &e);
	pthread_mutex_lock(&a->lock);
	p->state = rc == RC_OK && out.len == p->len ? PIECE_READY : PIECE_FAILED;
	if (a->awaited)
		pthread_cond_signal(&a->made);
}

/* Pool. */
static void
help(struct pool_job *job)
{
	struct ahead *a = (struct ahead *)(void *)((char *)job - offsetof(struct ahead, job));
	uint64_t began = clock_mono_ms();
	struct piece *p;
	bool ended;

	pthread_mutex_lock(&a->lock);
	while (!a->ended && (p = claim(a)) != NULL) {
		make(a, p);
		if (!a->ended && clock_mono_ms() - began >= SHARE_MS && pool_is_wanted(a->pool)) {
			pool_submit(a->pool, &a->job);
			pthread_mutex_unlock(&a->lock);
			return;
		}
	}
	a->helped = false;
	ended = a->ended;
	pthread_mutex_unlock(&a->lock);
	if (ended)
		destroy(a);
}

/* The owner is about to make a piece, or to send one. */
static void
call_helper(struct ahead *a)
{
	if (a->helped || !half_is_free(a) || next_piece(a) == 0)
		return;
	a->helped = true;
	pthread_mutex_unlock(&a->lock);
	pool_submit(a->pool, &a->job);
	pthread_mutex_lock(&a->lock);
}

/* Until it is ready or has failed the owner makes what comes behind it. */
static bool
await(struct ahead *a, const struct piece *p)
{
	while (p->state == PIECE_BUSY) {
		struct piece *other = claim(a);

		if (other != NULL) {
			make(a, other);
			continue;
		}
		a->awaited = true;
		pthread_cond_wait(&a->made, &a->lock);
		a->awaited = false;
	}
	return p->state == PIECE_READY;
}

/* ---- for the owner ---- */

struct ahead *
ahead_new(struct pool *pool, struct volume *v)
{
	struct ahead *a = malloc(sizeof *a);

	if (a == NULL)
		return NULL;
	memset(a, 0, offsetof(struct ahead, pieces));
	a->job.run = help;
	a->pool = pool;
	a->volume = v;
	a->first = a->queued = 0;
	a->tail = 0;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->made, NULL);
	return a;
}

static bool
is_before(size_t message, uint64_t from, size_t other, uint64_t at)
{
	return message < other || (message == other && from < at);
}

/* What stands before it is done with. */
static void
pass(struct ahead *a, size_t message, uint64_t at)
{
	if (is_before(a->message, a->from, message, at)) {
		a->message = message;
		a->from = at;
	}
	while (a->queued > 0) {
		struct piece *p = piece_at(a, 0);

		if (!is_before(p->message, p->from, message, at))
			break;
		(void)await(a, p);
		a->first = (a->first + 1) % PIECES;
		a->queued--;
	}
}

/* The piece that begins there, the i-th of the queue or the next one to be claimed; NULL: it is not to be had. */
static struct piece *
find(struct ahead *a, unsigned i, size_t message, uint64_t at)
{
	struct piece *p;

	if (i == a->queued)
		return next_piece(a) > 0 && a->message == message && a->from == at ? claim(a) : NULL;
	p = piece_at(a, i);
	return p->message == message && p->from == at ? p : NULL;
}

/* The same, made. */
static bool
get(struct ahead *a, unsigned i, size_t message, uint64_t at, struct piece **out)
{
	bool begun = i < a->queued;

	*out = find(a, i, message, at);
	if (*out == NULL)
		return false;
	call_helper(a);
	if (!begun)
		make(a, *out);
	return await(a, *out);
}

bool
ahead_whole(struct ahead *a, size_t message)
{
	uint64_t at = 0, size = a->places[message].size;
	struct piece *p;
	bool good = size <= AHEAD_WHOLE;

	pthread_mutex_lock(&a->lock);
	pass(a, message, 0);
	for (unsigned i = 0; good && at < size; i++) {
		good = get(a, i, message, at, &p);
		at += good ? p->len : 0;
	}
	pthread_mutex_unlock(&a->lock);
	return good;
}

bool
ahead_take(struct ahead *a, size_t message, uint64_t at, struct slice *out)
{
	struct piece *p;
	bool good;

	pthread_mutex_lock(&a->lock);
	pass(a, message, at);
	good = get(a, 0, message, at, &p);
	if (good)
		*out = slice_of(a->ring + p->at, p->len);
	pthread_mutex_unlock(&a->lock);
	return good;
}

bool
ahead_prepend(struct ahead *a, struct slice head, struct slice *taken)
{
	const struct piece *p = &a->pieces[a->first];

	if (p->from > 0 || head.len > AHEAD_FRONT)
		return false;
	memcpy(a->ring + p->at - head.len, head.ptr, head.len);
	*taken = slice_of(a->ring + p->at - head.len, head.len + p->len);
	return true;
}

/* Places and chunks in one piece of memory. NULL: there is none. */
static struct blob_place *
copy_places(const struct message_row *rows, size_t count)
{
	size_t n = count * sizeof(struct blob_place);
	struct blob_place *places;
	struct blob_chunk *chunks;

	for (size_t i = 0; i < count; i++)
		n += rows[i].place.chunk_count * sizeof *chunks;
	places = malloc(n);
	if (places == NULL)
		return NULL;
	chunks = (struct blob_chunk *)(void *)(places + count);
	for (size_t i = 0; i < count; i++) {
		size_t k = rows[i].place.chunk_count;

		places[i] = rows[i].place;
		places[i].chunks = chunks;
		if (k > 0)
			memcpy(chunks, rows[i].place.chunks, k * sizeof *chunks);
		chunks += k;
	}
	return places;
}

bool
ahead_set(struct ahead *a, const struct message_row *rows, size_t count)
{
	struct blob_place *places = copy_places(rows, count);

	pthread_mutex_lock(&a->lock);
	pass(a, SIZE_MAX, 0);
	free(a->places);
	a->places = places;
	a->count = places != NULL ? count : 0;
	a->message = 0;
	a->from = 0;
	call_helper(a);
	pthread_mutex_unlock(&a->lock);
	return places != NULL;
}
