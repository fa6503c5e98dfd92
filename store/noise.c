/* noise - see noise.h.
 *
 * Frequencies: the sum of the squares of n counts is n^2/256 + n where all octets are equally likely, and above the
 * first by half where Huffman codes save a sixteenth. Repeats: of eight octets in each GRID a sum is kept, by its
 * hash, one in each place; these, and those at every place of the samples, are compared with what is kept. Sums that
 * are the same by chance do no harm.
 *
 * Rejected: deflating a part for a trial, a third of it takes as long and says less.
 */
#include "store/noise.h"

#include <string.h>

#define LEN_MIN   1024u
#define SAMPLE    128u                  /* octets looked at of every STRIDE */
#define STRIDE    1024u
#define GRID      32u
#define HASH_BITS 12u

static uint64_t
sum_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v * 0x9e3779b97f4a7c15u;
}

static uint32_t *
place_of(uint32_t *kept, uint64_t sum)
{
	return &kept[sum >> (64 - HASH_BITS)];
}

/* Where the next sample begins; short ones are looked at all over. */
static size_t
next_sample(struct slice s, size_t at)
{
	return at + (s.len < 8 * STRIDE ? SAMPLE : STRIDE);
}

static bool
is_even(struct slice s)
{
	uint32_t count[2][256] = { { 0 } };
	uint64_t n = 0, squares = 0;

	for (size_t at = 0; at + SAMPLE <= s.len; at = next_sample(s, at)) {
		for (size_t i = at; i < at + SAMPLE; i += 2) {
			count[0][s.ptr[i]]++;
			count[1][s.ptr[i + 1]]++;
		}
		n += SAMPLE;
	}
	for (size_t i = 0; i < 256; i++) {
		uint64_t c = (uint64_t)count[0][i] + count[1][i];

		squares += c * c;
	}
	return squares * 256 <= n * n + n * n / 8 + 256 * n;
}

/* False: too many came before. */
static bool
keep_grid(struct slice s, uint32_t *kept)
{
	size_t came = 0;

	for (size_t at = 0; at + sizeof(uint64_t) <= s.len; at += GRID) {
		uint64_t sum = sum_at(s.ptr + at);
		uint32_t *place = place_of(kept, sum);

		came += *place == (uint32_t)sum;
		*place = (uint32_t)sum;
	}
	return came <= s.len / GRID / 64;
}

static bool
is_new(struct slice s)
{
	uint32_t kept[1u << HASH_BITS] = { 0 };
	size_t came = 0, n = 0;

	if (!keep_grid(s, kept))
		return false;
	for (size_t at = 0; at + SAMPLE + sizeof(uint64_t) <= s.len; at = next_sample(s, at)) {
		for (size_t i = at; i < at + SAMPLE; i++) {
			uint64_t sum = sum_at(s.ptr + i);

			came += *place_of(kept, sum) == (uint32_t)sum && i % GRID != 0;
		}
		n += SAMPLE;
	}
	return came * GRID <= n / 64;   /* one of GRID places that repeat has its like on the grid */
}

bool
noise_is(struct slice s)
{
	return s.len >= LEN_MIN && is_even(s) && is_new(s);
}
