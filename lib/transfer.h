/* transfer - content transfer encodings [RFC 2045 s6], decoded and encoded as a stream.
 *
 * Decoding is lenient, as mail needs it: it never stops, it skips what it cannot read and remembers that it did, so
 * that a caller who must be exact (BINARY: NO [UNKNOWN-CTE], RFC 3516) can tell. Input may be split anywhere. Output
 * goes to a bounded buf; decoding never yields more than 4 bytes above what went in. One thread at a time per object.
 */
#ifndef RESTANTE_LIB_TRANSFER_H
#define RESTANTE_LIB_TRANSFER_H

#include "lib/buf.h"

enum transfer_encoding {
	TRANSFER_7BIT,
	TRANSFER_8BIT,
	TRANSFER_BINARY,
	TRANSFER_BASE64,
	TRANSFER_QP,
	TRANSFER_UNKNOWN,       /* a name that we do not know: cannot be decoded */
};

/* The encoding that a Content-Transfer-Encoding value names; empty is 7bit. Comments are not skipped here. */
enum transfer_encoding transfer_encoding_of(struct slice name);
/* "7BIT", "BASE64", ...; "" for TRANSFER_UNKNOWN. */
const char *transfer_encoding_name(enum transfer_encoding enc);

struct transfer_decoder {
	enum transfer_encoding enc;
	bool     damaged;       /* something had to be skipped or guessed so far */
	bool     padded;        /* base64: padding was seen; more data behind it is decoded too, but is damage */
	uint32_t bits;          /* base64: sextets not yet given out */
	unsigned nbits;
	size_t   pending_len;   /* quoted-printable: white space or "=..." held back */
	uint8_t  pending[128];
};

void transfer_decode_init(struct transfer_decoder *d, enum transfer_encoding enc);
/* Decode the next piece into *out. If out fails (its maximum), the decoder is no longer usable. */
void transfer_decode(struct transfer_decoder *d, struct slice in, struct buf *out);
/* The end of the input. True when all of it was well-formed (TRANSFER_UNKNOWN never is). */
bool transfer_decode_finish(struct transfer_decoder *d, struct buf *out);

/* Quoted-printable of a complete text with CRLF line ends, lines of at most 76 [RFC 2045 s6.7]. */
bool transfer_encode_qp(struct slice in, struct buf *out);
/* Base64 in lines of 76 with CRLF after each [RFC 2045 s6.8]. */
bool transfer_encode_base64(struct slice in, struct buf *out);

#endif
