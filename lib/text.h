/* text - Unicode text in UTF-8: validity, normalisation, folding. Pure functions. */
#ifndef RESTANTE_LIB_TEXT_H
#define RESTANTE_LIB_TEXT_H

#include "lib/buf.h"

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is valid. */
bool text_utf8_valid(struct slice s);
/* Length 1..4 of the valid character that s starts with, *cp filled; 0 if none does. */
size_t text_utf8_next(struct slice s, uint32_t *cp);
/* Append one character; what is no Unicode scalar value becomes U+FFFD. */
bool text_utf8_append(struct buf *out, uint32_t cp);
bool text_is_ascii(struct slice s);
/* The longest prefix of at most max bytes that ends at a character. */
struct slice text_cut(struct slice s, size_t max);
/* Append s, each byte that is no part of a valid character replaced by U+FFFD. False if it did not fit. */
bool text_utf8_repair(struct slice s, struct buf *out);
/* Append s as a line that a terminal may be shown: what is no UTF-8 becomes U+FFFD, and each control character (C0 but
 * the tab, DEL, C1) "?", so that a name of somebody's cannot move the cursor or forge a line. False if
 * it did not fit. */
bool text_for_terminal(struct slice s, struct buf *out);

/* Append NFC(s). False when s is not UTF-8 or out has no room; out then is as before. */
bool text_nfc(struct slice s, struct buf *out);
/* Append NFKC_Casefold(s) [Unicode 3.13, UAX 31]; bytes that are not UTF-8 become U+FFFD. For comparing and
 * searching. False if it did not fit: out then holds what did, whole characters. Linear, also for long runs of
 * combining marks (they are normalised in stretches of at most 1 KiB). */
bool text_casefold(struct slice s, struct buf *out);
/* Append s as it is compared in searches: what is looked for and what it is looked for in go through this, then octets
 * decide. Decomposed (NFKD), case-folded, without what is invisible, and with what converters and keyboards take for
 * each other written one way. Whatever i;unicode-casemap [RFC 5051] finds equal, or a substring, is so here too: "e" is
 * found in "\u00e9", "\u304b" in "\u304c". Bounds and results as text_casefold. */
bool text_searchfold(struct slice s, struct buf *out);
/* Whose tables of Unicode these go by: another text may fold otherwise under another name. */
const char *text_unicode(void);

#endif
