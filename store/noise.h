/* noise - octets of which deflating would take hardly anything away: what is packed or a picture already. A pure
 * function, any thread. */
#ifndef RESTANTE_STORE_NOISE_H
#define RESTANTE_STORE_NOISE_H

#include "lib/slice.h"

/* All octets are about as frequent, and next to nothing comes twice. Told from samples, some 13 us for 48 KiB; in doubt
 * it is false: where Huffman codes would save a thirtieth, or where a thirtieth has come before. */
bool noise_is(struct slice s);

#endif
