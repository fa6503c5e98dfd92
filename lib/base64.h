/* base64 - whole slices to and from base64 [RFC 4648 s4, s5]. Streams: lib/transfer.h. Pure functions. */
#ifndef RESTANTE_LIB_BASE64_H
#define RESTANTE_LIB_BASE64_H

#include "lib/buf.h"

/* Append `in` in base64 with padding, without line breaks. False if out has no room: nothing is appended. */
bool base64_encode(struct slice in, struct buf *out);
/* Append what `in` encodes. Strict, as SASL needs it: whole groups of four, padding at the end only, no other bytes,
 * no bits set beyond the data. False otherwise, or without room; out then is as before. */
bool base64_decode(struct slice in, struct buf *out);
/* The same for base64url as JOSE has it [RFC 7515 s2]: letters - and _ for + and /, and no padding at all. */
bool base64url_decode(struct slice in, struct buf *out);
/* 0..63 for a letter of the alphabet, or -1. */
int base64_value(uint8_t c);
extern const char base64_alphabet[65];

#endif
