/* downgrade - a header with raw 8-bit octets as one in ASCII, for clients that did not ask for UTF-8 [RFC 6858].
 *
 * Fields in ASCII stay as they are, to the octet. In the others text becomes encoded-words, parameters of MIME fields
 * become extended ones [RFC 2231], an address that is not ASCII becomes one in .invalid whose display name shows it,
 * and what cannot be helped is left out. What is no UTF-8 is guessed as lib/charset.h does. Pure, linear.
 */
#ifndef RESTANTE_LIB_DOWNGRADE_H
#define RESTANTE_LIB_DOWNGRADE_H

#include "lib/buf.h"

/* Append the header block `in` (fields, and the blank line if it has one). False if it did not fit, or
 * without memory. */
bool downgrade_header(struct slice in, struct buf *out);

#endif
