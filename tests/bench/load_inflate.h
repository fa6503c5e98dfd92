/* load_inflate - a raw deflate stream that never ends, inflated piece by piece: with ISA-L where
 * configure finds it (load_inflate_isal.c), else with zlib (load_inflate_zlib.c). A server that
 * sends faster than zlib inflates is to be measured, not zlib.
 */
#ifndef RESTANTE_BENCH_LOAD_INFLATE_H
#define RESTANTE_BENCH_LOAD_INFLATE_H

#include <stddef.h>
#include <stdint.h>

struct inflater;

/* The caller's; ended by inflater_free. Ends the program when there is no memory. */
struct inflater *inflater_new(void);
void inflater_free(struct inflater *inf);

/* Inflate from *in, which moves past what was taken, at most `max` octets into `out`; returns how
 * many came. 0 means that more must be put in. Ends the program when the stream is damaged, or has
 * ended (as it may with the answer to LOGOUT) and nothing more comes. */
size_t inflater_run(struct inflater *inf, const uint8_t **in, size_t *len, void *out, size_t max);

#endif
