/* base64_text - lines of base64 in the middle of a text: found, decoded, and made again octet by octet.
 *
 * What is found is canonical: every line but the last is of one length, ends in CRLF and has no padding; the last one
 * may be shorter, and padded. So the octets, the length of a line and that of the text are all that is needed to make
 * it again. Pure functions, any thread.
 */
#ifndef RESTANTE_STORE_BASE64_TEXT_H
#define RESTANTE_STORE_BASE64_TEXT_H

#include "lib/slice.h"

#define BASE64_QUADS_MAX 255u           /* 1020 characters a line */

/* The lines: `len` bytes of text behind `front` bytes of something else. CRLF follows each full line, but may
 * be missing behind the last. */
struct base64_lines {
	size_t   front, len;
	unsigned quads;                 /* of four characters in a full line, 1 to BASE64_QUADS_MAX */
	unsigned padding;               /* 0 to 2 characters "=" at the end of the last line */
};

/* The first lines of base64 in `text` that are at least half of it. */
bool   base64_find(struct slice text, struct base64_lines *b);
/* How many octets they say. */
size_t base64_octets(const struct base64_lines *b);
/* The octets to dst, which has room for 3 more. `text` is the lines alone. */
void   base64_decode_lines(struct slice text, const struct base64_lines *b, uint8_t *dst);
/* Bytes [from, to) of the lines that say `octets`, to dst. */
void   base64_encode_lines(const uint8_t *octets, const struct base64_lines *b, size_t from, size_t to,
                           uint8_t *dst);
/* They can be: every number is within its bounds. */
bool   base64_is_possible(const struct base64_lines *b);

#endif
