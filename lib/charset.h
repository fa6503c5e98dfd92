/* charset - any mail charset to UTF-8, by what the label means in practice.
 *
 * Labels lie: shift_jis is CP932, gb2312 is GB18030, ks_c_5601-1987 is CP949, us-ascii with 8-bit is UTF-8 or
 * windows-1252, ISO-2022-JP carries NEC characters and half-width kana. Output is always valid UTF-8; what cannot be
 * converted becomes U+FFFD. Linear, bounded by the buf. Pure functions (iconv is opened and closed within).
 */
#ifndef RESTANTE_LIB_CHARSET_H
#define RESTANTE_LIB_CHARSET_H

#include "lib/buf.h"

/* Append `in`, which is said to be in `charset`, as UTF-8. False if it did not fit: out then holds what did, whole
 * characters. An unknown or empty charset: ISO-2022-JP if it has its escapes, UTF-8 if most of it is, EUC-JP or CP932
 * if it is without doubt Japanese, else windows-1252. */
bool charset_to_utf8(struct slice charset, struct slice in, struct buf *out);
/* Whether we can convert from it (SEARCH CHARSET, NO [BADCHARSET]). */
bool charset_known(struct slice charset);

#endif
