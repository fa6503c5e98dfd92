/* digits - see digits.h. Two at once: a division takes longer than all the rest. */
#include "lib/digits.h"

#include <string.h>

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                            "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

static unsigned
count_digits(uint64_t v)
{
	unsigned n = 1;

	for (; v >= 10000; v /= 10000)
		n += 4;
	return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

uint8_t *
digits_put(uint8_t *p, uint64_t v)
{
	uint8_t *end = p + count_digits(v);

	for (p = end; v >= 100; v /= 100) {
		p -= 2;
		memcpy(p, pairs + v % 100 * 2, 2);
	}
	if (v >= 10)
		memcpy(p - 2, pairs + v * 2, 2);
	else
		p[-1] = (uint8_t)('0' + v);
	return end;
}

uint8_t *
digits_put_hex(uint8_t *p, uint64_t v)
{
	unsigned shift = 60;

	while (shift > 0 && v >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		*p++ = (uint8_t)"0123456789abcdef"[v >> shift & 15];
		if (shift == 0)
			return p;
	}
}
