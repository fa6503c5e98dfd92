/* lz - see lz.h.
 *
 * Places are found by a hash of four bytes, with a chain of earlier places behind each. What is
 * copied is copied sixteen bytes at a time where that reads and writes nothing but the
 * buffers' own; else exactly.
 */
#include "lib/lz.h"

#include "lib/bytes.h"

#include <stdlib.h>

#define HASH_BITS  12u
#define CHAIN_MAX  8u          /* earlier places that are looked at */
#define LAZY_MAX   8u           /* a match of so many bytes waits for none */
#define NIBBLE_MAX 15u
#define NUMBER_MAX 3u           /* bytes of a number below 2 * LZ_MAX */

_Static_assert(LZ_MAX <= INT16_MAX + 1, "a place fits 16 bits");

/* ---- packing ---- */

struct lz_packer {
	size_t   base_len;
	size_t   start, len;            /* where the input begins and ends, behind base and front */
	size_t   noted;                 /* places below are in the chains */
	uint8_t *out;
	size_t   at, room;
	bool     full;
	uint16_t head[1u << HASH_BITS]; /* a place and one; 0: none */
	uint16_t base_head[1u << HASH_BITS];    /* the same, of the base alone */
	uint16_t before[LZ_MAX];        /* the same, of the place before this one in its chain */
	uint8_t  text[LZ_MAX];          /* base and input */
};

struct match {
	size_t place, len;
};

static uint32_t
hash(const uint8_t *p)
{
	return get_le32(p) * 2654435761u >> (32 - HASH_BITS);
}

static void
note_until(struct lz_packer *k, size_t end)
{
	size_t at = k->noted, last = k->len < LZ_MATCH_MIN ? 0 : k->len - (LZ_MATCH_MIN - 1);

	for (; at < end && at < last; at++) {
		uint16_t *h = &k->head[hash(k->text + at)];

		k->before[at] = *h;
		*h = (uint16_t)(at + 1);
	}
	k->noted = at;
}

static size_t
common(const struct lz_packer *k, size_t place, size_t at)
{
	size_t end = k->len - at, n = 0;

	if (place < k->start && end > k->start - place)
		end = k->start - place;
	for (; end - n >= sizeof(uint64_t); n += sizeof(uint64_t))
		if (get_le64(k->text + place + n) != get_le64(k->text + at + n))
			break;
	while (n < end && k->text[place + n] == k->text[at + n])
		n++;
	return n;
}

/* The longest match of what stands at `at`, the nearest of equal ones; its len is 0 if it is
 * not worth it. */
static struct match
find_match(struct lz_packer *k, size_t at)
{
	struct match best = { 0, 0 };
	size_t p;

	if (at + LZ_MATCH_MIN > k->len)
		return best;
	note_until(k, at);
	p = k->head[hash(k->text + at)];
	for (unsigned i = 0; i < CHAIN_MAX && p > 0; i++, p = k->before[p - 1]) {
		size_t n;

		if (best.len > 0 && at + best.len < k->len &&
		    k->text[p - 1 + best.len] != k->text[at + best.len])
			continue;
		n = common(k, p - 1, at);
		if (n >= LZ_MATCH_MIN && n > best.len)
			best = (struct match){ p - 1, n };
	}
	return best;
}

static void
put_byte(struct lz_packer *k, uint8_t c)
{
	if (k->at < k->room)
		k->out[k->at++] = c;
	else
		k->full = true;
}

static void
put_bytes(struct lz_packer *k, const uint8_t *p, size_t n)
{
	k->full = k->full || n > k->room - k->at;
	if (k->full)
		return;
	memcpy(k->out + k->at, p, n);
	k->at += n;
}

static void
put_number(struct lz_packer *k, size_t v)
{
	for (; v >= 0x80; v >>= 7)
		put_byte(k, (uint8_t)(v | 0x80));
	put_byte(k, (uint8_t)v);
}

/* m->len 0: the last step. */
static void
put_step(struct lz_packer *k, size_t from, size_t at, const struct match *m)
{
	size_t literals = at - from, extra = m->len > 0 ? m->len - LZ_MATCH_MIN : 0;

	put_byte(k, (uint8_t)((literals < NIBBLE_MAX ? literals : NIBBLE_MAX) << 4 |
	                      (extra < NIBBLE_MAX ? extra : NIBBLE_MAX)));
	if (literals >= NIBBLE_MAX)
		put_number(k, literals - NIBBLE_MAX);
	put_bytes(k, k->text + from, literals);
	if (m->len == 0)
		return;
	put_number(k, at - m->place);
	if (extra >= NIBBLE_MAX)
		put_number(k, extra - NIBBLE_MAX);
}

/* A match that the next byte's would make longer by two waits for that. */
static void
pack_all(struct lz_packer *k)
{
	size_t from = k->start, at = from;
	struct match m = find_match(k, at);

	while (at < k->len && !k->full) {
		struct match next = m.len < LAZY_MAX ? find_match(k, at + 1) : (struct match){ 0, 0 };

		if (m.len == 0 || next.len > m.len + 1) {
			at++;
			m = next;
			continue;
		}
		put_step(k, from, at, &m);
		at += m.len;
		from = at;
		m = find_match(k, at);
	}
	if (from < k->len)
		put_step(k, from, k->len, &(struct match){ 0, 0 });
}

struct lz_packer *
lz_packer_new(void)
{
	struct lz_packer *k = malloc(sizeof *k);

	if (k != NULL)
		lz_packer_base(k, SLICE_NONE);
	return k;
}

void
lz_packer_free(struct lz_packer **k)
{
	free(*k);
	*k = NULL;
}

void
lz_packer_base(struct lz_packer *k, struct slice base)
{
	k->base_len = k->start = k->len = base.len <= LZ_MAX ? base.len : LZ_MAX + 1;
	k->noted = 0;
	memset(k->head, 0, sizeof k->head);
	if (base.len > 0 && base.len <= LZ_MAX) {
		memcpy(k->text, base.ptr, base.len);
		note_until(k, base.len);
	}
	memcpy(k->base_head, k->head, sizeof k->head);
}

size_t
lz_pack(struct lz_packer *k, struct slice in, uint8_t *out, size_t room)
{
	return lz_pack_behind(k, SLICE_NONE, in, out, room);
}

size_t
lz_pack_behind(struct lz_packer *k, struct slice front, struct slice in, uint8_t *out, size_t room)
{
	if (in.len == 0 || k->base_len > LZ_MAX || front.len > LZ_MAX - k->base_len ||
	    in.len > LZ_MAX - k->base_len - front.len)
		return 0;
	k->start = k->base_len + front.len;
	if (front.len > 0)
		memcpy(k->text + k->base_len, front.ptr, front.len);
	memcpy(k->text + k->start, in.ptr, in.len);
	memcpy(k->head, k->base_head, sizeof k->head);
	k->len = k->start + in.len;
	k->noted = k->base_len < LZ_MATCH_MIN ? 0 : k->base_len - (LZ_MATCH_MIN - 1);
	k->out = out;
	k->at = 0;
	k->room = room;
	k->full = false;
	pack_all(k);
	return k->full ? 0 : k->at;
}

/* ---- unpacking ---- */

struct unpacker {
	const uint8_t *in, *in_end;
	uint8_t       *out, *start, *end;       /* LZ_SLACK bytes follow the end */
	struct slice   base;
	bool           bad;
};

static size_t
take_number(struct unpacker *u)
{
	size_t v = 0;

	for (unsigned i = 0; i < NUMBER_MAX && u->in < u->in_end; i++) {
		uint8_t c = *u->in++;

		v |= (size_t)(c & 0x7f) << (7 * i);
		if (c < 0x80)
			return v;
	}
	u->bad = true;
	return 0;
}

/* What may be read behind src ends at `limit`. Writes up to LZ_SLACK - 1 bytes more. */
static inline void
copy(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t *limit)
{
	if ((size_t)(limit - src) < n + LZ_SLACK) {
		memcpy(dst, src, n);
		return;
	}
	for (size_t i = 0; i < n; i += LZ_SLACK)
		memcpy(dst + i, src + i, LZ_SLACK);
}

static void
take_literals(struct unpacker *u, size_t n)
{
	if (n > (size_t)(u->end - u->out) || n > (size_t)(u->in_end - u->in)) {
		u->bad = true;
		return;
	}
	copy(u->out, u->in, n, u->in_end);
	u->in += n;
	u->out += n;
}

/* The two may overlap: a short distance repeats what it has just written. */
static void
copy_back(struct unpacker *u, size_t distance, size_t n)
{
	const uint8_t *src = u->out - distance;

	if (distance >= LZ_SLACK) {
		for (size_t i = 0; i < n; i += LZ_SLACK)
			memcpy(u->out + i, src + i, LZ_SLACK);
		return;
	}
	for (size_t i = 0; i < n; i++)
		u->out[i] = src[i];
}

static void
take_match(struct unpacker *u, size_t distance, size_t n)
{
	size_t done = (size_t)(u->out - u->start), back = distance - done;

	if (u->bad || distance == 0 || n > (size_t)(u->end - u->out)) {
		u->bad = true;
		return;
	}
	if (distance <= done)
		copy_back(u, distance, n);
	else if (back <= u->base.len && n <= back)
		copy(u->out, u->base.ptr + u->base.len - back, n, u->base.ptr + u->base.len);
	else
		u->bad = true;
	u->out += n;
}

bool
lz_unpack(struct slice base, struct slice in, uint8_t *out, size_t len)
{
	struct unpacker u = { in.ptr, in.ptr + in.len, out, out, out + len, base, len > LZ_MAX };

	while (u.out < u.end && u.in < u.in_end && !u.bad) {
		uint8_t step = *u.in++;
		size_t literals = step >> 4, n = (step & 0x0f) + LZ_MATCH_MIN, distance;

		if (literals == NIBBLE_MAX)
			literals += take_number(&u);
		take_literals(&u, literals);
		if (u.bad || u.out == u.end)
			break;
		distance = take_number(&u);
		if ((step & 0x0f) == NIBBLE_MAX)
			n += take_number(&u);
		take_match(&u, distance, n);
	}
	return !u.bad && u.out == u.end && u.in == u.in_end;
}
