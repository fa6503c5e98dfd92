/* codec - the compressor behind one small interface: ISA-L where configure has found it, else zlib.
 *
 * What is deflated here ends on a byte boundary with a full flush and has no final block; any inflate reads it. Streams
 * are kept and reset, as making one costs more than a small mail. A codec is used by one thread at a time; codec_get
 * and codec_put may be called from any thread.
 */
#ifndef RESTANTE_STORE_CODEC_H
#define RESTANTE_STORE_CODEC_H

#include "lib/slice.h"

struct codec;
struct lz_packer;

enum codec_how {
	CODEC_TEXT,             /* zlib's level 4 */
	CODEC_BASE64,           /* zlib's Huffman only: as small as level 6 on base64 at five times the speed */
	CODEC_HEADER,           /* zlib's level 6 with the dictionary for mail headers */
	CODEC_SUMMARY,          /* zlib's level 6 with the dictionary for summaries */
};

/* Preset dictionaries: ids are on disk; a shipped one stays readable for ever, a better one gets a new id. */
enum dictionary_id {
	DICTIONARY_NONE = 0,
	DICTIONARY_HEADER = 1,
	DICTIONARY_SUMMARY = 2,
};
/* Empty for an id that is none. */
struct slice dictionary_get(uint8_t id);
uint8_t      codec_dictionary(enum codec_how how);      /* the one `how` uses now */

/* From the process's pool, made if it is empty; NULL: no memory. codec_put gives it back (NULL is accepted). */
struct codec *codec_get(void);
void          codec_put(struct codec *c);
/* One of three (0 to 2) pieces of memory of CODEC_ROOM bytes that go with it, for whoever has it. */
#define CODEC_ROOM 65536u
uint8_t      *codec_room(struct codec *c, unsigned which);

/* Deflate `in` into at most `room` bytes; the length written, or 0 if it does not fit (then store it as it is). */
size_t codec_deflate(struct codec *c, enum codec_how how, struct slice in, uint8_t *out,
                     size_t room);
/* The same by zlib at any of its levels (1 to 9) with that preset dictionary: what is compressed anew. */
size_t codec_deflate_again(struct codec *c, int level, uint8_t dictionary, struct slice in,
                           uint8_t *out, size_t room);
/* Inflate into exactly raw_len bytes. False: not deflate data, another length, unknown dictionary, or no memory. */
bool codec_inflate(struct codec *c, uint8_t dictionary, struct slice in, uint8_t *out,
                   size_t raw_len);
/* The first n bytes of what it inflates to, which are fewer than all: what is behind them is not looked at. */
bool codec_inflate_front(struct codec *c, uint8_t dictionary, struct slice in, uint8_t *out,
                         size_t n);

/* A packer (lib/lz.h) whose base is the dictionary for summaries; the codec's. NULL: no memory. */
struct lz_packer *codec_packer(struct codec *c);

/* So many bytes are deflated in some 0.2 ms. */
size_t codec_quick_len(void);

/* CRC-32 (as in zlib and PNG) of stored bytes. */
uint32_t codec_crc(struct slice s);

#endif
