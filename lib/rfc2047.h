/* rfc2047 - encoded-words in header text [RFC 2047] to UTF-8. Pure function. */
#ifndef RESTANTE_LIB_RFC2047_H
#define RESTANTE_LIB_RFC2047_H

#include "lib/buf.h"

/* Append an unfolded header value as UTF-8. White space between encoded-words goes; adjacent words of one charset and
 * encoding are joined before their bytes are converted, since mailers split characters across them. What is no valid
 * encoded-word stays as written; raw 8-bit is guessed as charset_to_utf8 does. Lenient: encoded-words longer than 75,
 * within quotes, without white space around, with spaces in Q. False if it did not fit: out then holds what did. */
bool rfc2047_decode(struct slice in, struct buf *out);

#endif
