/* leb128 - unsigned LEB128 numbers, seven bits a byte, the lowest first: what formats of ours call varint. */
#ifndef RESTANTE_LIB_LEB128_H
#define RESTANTE_LIB_LEB128_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/slice.h"

#define LEB128_MAX 10u          /* bytes of one of 64 bits */

/* In its shortest form. False: no memory, as buf_append. */
static inline bool
leb128_put(struct buf *b, uint64_t v)
{
	uint8_t bytes[LEB128_MAX];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	return buf_append(b, bytes, n);
}

/* From the front of *in, which then begins behind it. False: there is none of at most `bytes` bytes, nine or fewer,
 * that says at most `max`. */
static inline bool
leb128_take(struct slice *in, unsigned bytes, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && i < in->len; i++) {
		v |= (uint64_t)(in->ptr[i] & 0x7f) << (7 * i);
		if (in->ptr[i] < 0x80) {
			*in = slice_sub(*in, i + 1, in->len);
			*out = v;
			return v <= max;
		}
	}
	return false;
}

#endif
