/* preview - the first words of a message, for lists of messages [RFC 8970 s3.3]. Pure functions. */
#ifndef RESTANTE_LIB_PREVIEW_H
#define RESTANTE_LIB_PREVIEW_H

#include "lib/buf.h"

#define PREVIEW_CHARS   200u                    /* "SHOULD limit ... to 200" */
#define PREVIEW_MAX     (4u * PREVIEW_CHARS)    /* octets */

/* Append to `out` (empty, with room for PREVIEW_MAX) at most PREVIEW_CHARS characters of `text`, UTF-8 with LF or CRLF
 * line ends: white space of all kinds becomes single spaces; controls, marks of direction and characters that are not
 * seen are left out; so are quoted lines (">"), unless all are, and what follows the line "-- " of a signature. Output
 * is valid UTF-8 whatever comes in. True: no more of the text is needed. */
bool preview_make(struct slice text, struct buf *out);

#endif
