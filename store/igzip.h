/* igzip - ISA-L's deflate and inflate, where configure has found the library; igzip_none.c stands in elsewhere.
 *
 * A second maker of what codec.h describes, four to ten times as fast as zlib: raw deflate that ends with a full flush,
 * with our preset dictionaries. Either build reads what the other has written; test_codec crosses them. An igzip is used by one
 * thread at a time.
 */
#ifndef RESTANTE_STORE_IGZIP_H
#define RESTANTE_STORE_IGZIP_H

#include "lib/slice.h"
#include "store/codec.h"

struct igzip;

bool          igzip_is_here(void);      /* in this build */
/* NULL: not in this build, or no memory; zlib does the work then. */
struct igzip *igzip_new(void);
void          igzip_free(struct igzip *g);      /* accepts NULL */

/* As codec_deflate: the length written, or 0 if it does not fit. */
size_t igzip_deflate(struct igzip *g, enum codec_how how, struct slice in, uint8_t *out,
                     size_t room);

struct igunzip;

/* NULL: not in this build, or no memory. */
struct igunzip *igunzip_new(void);
void            igunzip_free(struct igunzip *g);        /* accepts NULL */

/* Chunks shorter than this are zlib's, which makes its tables faster. */
#define IGUNZIP_MIN 2048u

/* As codec_inflate without a dictionary. False: zlib may know better. */
bool igzip_inflate(struct igunzip *g, struct slice in, uint8_t *out, size_t raw_len);
/* As codec_inflate_front without a dictionary. */
bool igzip_inflate_front(struct igunzip *g, struct slice in, uint8_t *out, size_t n);

/* CRC-32 as in zlib; *out is set only if true: this build has it. */
bool igzip_crc(struct slice s, uint32_t *out);

#endif
