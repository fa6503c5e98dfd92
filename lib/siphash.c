/* siphash - SipHash-2-4 in its incremental form. See siphash.h. */
#include "lib/siphash.h"

#include "lib/bytes.h"

static inline uint64_t
rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static inline void
sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

void
siphash_init(struct siphash *h, const uint8_t key[SIPHASH_KEY_LEN])
{
	uint64_t k0 = get_le64(key), k1 = get_le64(key + 8);

	h->v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
	h->v[1] = k1 ^ UINT64_C(0x646f72616e646f6d);
	h->v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
	h->v[3] = k1 ^ UINT64_C(0x7465646279746573);
	h->len = 0;
	h->word = 0;
}

/* One byte into the pending word. */
static void
add_byte(struct siphash *h, uint8_t c)
{
	h->word |= (uint64_t)c << (h->len % 8 * 8);
	h->len++;
	if (h->len % 8 == 0) {
		sip_word(h->v, h->word);
		h->word = 0;
	}
}

/* In registers: the octets could be those of `h`. */
static void
add_words(struct siphash *h, const uint8_t *p, size_t len)
{
	uint64_t v[4] = { h->v[0], h->v[1], h->v[2], h->v[3] };

	for (size_t i = 0; i < len; i += 8)
		sip_word(v, get_le64(p + i));
	memcpy(h->v, v, sizeof v);
	h->len += len;
}

void
siphash_add(struct siphash *h, const void *ptr, size_t len)
{
	const uint8_t *p = ptr;
	size_t n;

	while (len > 0 && h->len % 8 != 0) {
		add_byte(h, *p++);
		len--;
	}
	n = len & ~(size_t)7;
	add_words(h, p, n);
	for (p += n, len -= n; len > 0; len--)
		add_byte(h, *p++);
}

uint64_t
siphash_sum(const struct siphash *h)
{
	uint64_t v[4] = { h->v[0], h->v[1], h->v[2], h->v[3] };

	sip_word(v, h->word | h->len << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
siphash(const uint8_t key[SIPHASH_KEY_LEN], const void *ptr, size_t len)
{
	struct siphash h;

	siphash_init(&h, key);
	siphash_add(&h, ptr, len);
	return siphash_sum(&h);
}
