/* octets - sixteen octets at a time: a vector, which the compiler makes of what the processor has. A loop over octets
 * takes as long as deflating noise. */
#ifndef RESTANTE_LIB_OCTETS_H
#define RESTANTE_LIB_OCTETS_H

#include <stdint.h>
#include <string.h>

typedef uint8_t octets16 __attribute__((vector_size(16)));

static inline octets16
octets_load(const uint8_t *p)
{
	octets16 v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* The bits that any of them has, by words of eight. */
static inline uint64_t
octets_fold(octets16 v)
{
	uint64_t words[2];

	memcpy(words, &v, sizeof words);
	return words[0] | words[1];
}

#endif
