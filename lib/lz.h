/* lz - short bytes packed with the help of a base that both sides have; made to be unpacked in a fraction of a microsecond.
 *
 * What is packed is a row of steps, each: a byte whose high four bits count literals and whose low four bits are the
 * length of a match less LZ_MATCH_MIN; if the first is 15, an unsigned LEB128 number to be added; the literals; the
 * distance of the match (unsigned LEB128, at least 1) back from here in the base followed by all that was unpacked so
 * far; if the length was 15, a number to be added. A match that begins in the base ends in it. The last step ends
 * behind its literals. Lengths are not in it: who unpacks must know how many bytes come out.
 *
 * Unpacking is a pure function. LZ4 is much the same, but a library more, and its distances always take two bytes;
 * deflate with a preset dictionary makes summaries 1 % smaller and takes ten times as long to undo.
 */
#ifndef RESTANTE_LIB_LZ_H
#define RESTANTE_LIB_LZ_H

#include "lib/slice.h"

#define LZ_MATCH_MIN 4u
#define LZ_MAX       32768u     /* bytes of base and input together, beyond which nothing is packed */
#define LZ_SLACK     16u        /* bytes behind what is unpacked that may be overwritten */

/* The packer's tables, with its base; to be used by one thread at a time. NULL: no memory. _free accepts a pointer to NULL. */
struct lz_packer;
struct lz_packer *lz_packer_new(void);
void lz_packer_free(struct lz_packer **k);
/* What is packed from here on has this base, which is copied; nothing is packed with one beyond LZ_MAX bytes. */
void lz_packer_base(struct lz_packer *k, struct slice base);

/* Into at most `room` bytes; the length, at least 1, or 0: it does not fit, or there is nothing or too much. Equal
 * bytes for equal base and input. */
size_t lz_pack(struct lz_packer *k, struct slice in, uint8_t *out, size_t room);
/* The same with `front` behind the base: lz_unpack takes both, one behind the other, as its base. */
size_t lz_pack_behind(struct lz_packer *k, struct slice front, struct slice in, uint8_t *out, size_t room);
/* Into exactly len bytes; out has LZ_SLACK more. False: not what lz_pack makes of that many bytes. Any bytes may be given. */
MUST_USE bool lz_unpack(struct slice base, struct slice in, uint8_t *out, size_t len);

#endif
