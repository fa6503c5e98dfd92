/* front - a summary packed with what it was made from: the raw bytes of the message's first chunk, its header block.
 *
 * Nearly all that a summary says stands there already, so this takes half of what deflate with the dictionary alone does, and
 * less time. The base is that dictionary with the front behind it. It does not matter how the chunk itself is stored, which
 * recompression may change. Pure functions but for the codec's memory.
 */
#ifndef RESTANTE_STORE_FRONT_H
#define RESTANTE_STORE_FRONT_H

#include "lib/buf.h"
#include "store/codec.h"
#include "store/record.h"

#define FRONT_MAX 16384u        /* bytes of a first chunk that can be a base */
#define FRONT_SUMMARY_MAX 8192u /* and of a summary that is packed so */
#define FRONT_MORE 8u           /* bytes that stand before it */

/* Append what stands behind the form's byte in the record. False: there is nothing to gain, or no memory. */
bool front_pack(struct codec *c, struct slice front, struct slice summary, struct buf *out);
/* Is this blob's summary to stand in its record packed so? */
bool front_is_base(const struct record_blob *r);
/* Exactly len bytes into out, which has LZ_SLACK more. `stored`: of the first chunk. False: corrupt. */
MUST_USE bool front_unpack(struct codec *c, const struct blob_chunk *first, struct slice stored, uint8_t dictionary,
                           struct slice packed, uint8_t *out, size_t len);

#endif
