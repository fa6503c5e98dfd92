/* base64_deflate - text in base64 as raw deflate, made from the octets that it says.
 *
 * Huffman codes alone, the same for every text: six bits for most characters, as base64 has no words to find again.
 * So a character costs a look into a table, and nothing is searched, counted or written twice. What comes out is as
 * small as what zlib's Z_HUFFMAN_ONLY makes of the text.
 */
#ifndef RESTANTE_STORE_BASE64_DEFLATE_H
#define RESTANTE_STORE_BASE64_DEFLATE_H

#include "store/base64_text.h"

/* Room that the whole takes at most for a text of `len` bytes with what is in front of and behind the lines. */
size_t base64_deflate_max(size_t len);
/* Whole blocks, none final, the last of which ends on an octet's boundary: `front`, the lines that say
 * `octets`, `back`. Front and back have less than 64 KiB. Returns the length. */
size_t base64_deflate(struct slice front, const uint8_t *octets, const struct base64_lines *b, struct slice back,
                      uint8_t *dst);

#endif
