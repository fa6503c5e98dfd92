/* base64_chunk - a chunk whose text is mostly base64, kept as the octets that it says: a quarter fewer to store, and
 * encoding is several times as fast as inflating. doc/restante-log.5 has the bytes.
 *
 * All rooms are of CODEC_ROOM bytes. Used by whoever has the codec.
 */
#ifndef RESTANTE_STORE_BASE64_CHUNK_H
#define RESTANTE_STORE_BASE64_CHUNK_H

#include "lib/buf.h"
#include "store/codec.h"

/* `raw` as it is to be stored, in `out`; its length, or 0: it is not of that kind, or something is to be gained in no
 * way. `level` is zlib's for what can be deflated, 0 for codec_deflate's own. Making the text again was tried. */
size_t base64_pack(struct codec *c, struct slice raw, int level, uint8_t *out);
/* Bytes [from, to) of the chunk's raw_len to dst, which is not in the codec's rooms unless it is in the
 * second. False: corrupt. */
bool   base64_unpack(struct codec *c, struct slice stored, size_t raw_len, size_t from, size_t to, uint8_t *dst);
/* All of it as raw deflate: see blob_read_deflated. *fits is false if the buffer is full. False: corrupt. */
bool   base64_unpack_deflated(struct codec *c, struct slice stored, size_t raw_len, struct buf *out, bool *fits);

#endif
