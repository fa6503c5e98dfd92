/* siphash - SipHash-2-4, a keyed 64-bit sum (Aumasson and Bernstein, 2012).
 *
 * Who does not know the key cannot make bytes with a given sum: that is why the log's frames are summed with it and not
 * with a CRC. Incremental, so that scattered bytes are summed without gathering them. Pure, any thread.
 */
#ifndef RESTANTE_LIB_SIPHASH_H
#define RESTANTE_LIB_SIPHASH_H

#include "lib/slice.h"

#define SIPHASH_KEY_LEN 16

struct siphash {
	uint64_t v[4];
	uint64_t len;           /* bytes so far */
	uint64_t word;          /* the last len % 8 of them, lowest byte first */
};

void     siphash_init(struct siphash *h, const uint8_t key[SIPHASH_KEY_LEN]);
void     siphash_add(struct siphash *h, const void *ptr, size_t len);
uint64_t siphash_sum(const struct siphash *h);          /* h may go on being added to */
/* All at once. */
uint64_t siphash(const uint8_t key[SIPHASH_KEY_LEN], const void *ptr, size_t len);

#endif
