/* list_match - does a mailbox name match a pattern of LIST? [RFC 9051 s6.3.9]
 *
 * "*" matches anything, "%" anything but the separator "/". All ways to match are followed at once (a set of places in
 * the pattern), so the time is at most length of name times length of pattern, whatever the pattern; backtracking,
 * which some patterns make exponential, is not used. Pure, any thread.
 */
#ifndef RESTANTE_SERVER_IMAP_LIST_MATCH_H
#define RESTANTE_SERVER_IMAP_LIST_MATCH_H

#include "lib/arena.h"

#define LIST_PATTERN_MAX 2000u          /* octets: reference and pattern */

/* `reference` followed by `pattern`, runs of wildcards made one. False: longer than LIST_PATTERN_MAX, or no memory. */
bool list_pattern_make(struct slice reference, struct slice pattern, struct arena *a,
                       struct slice *out);
/* `pattern` is of list_pattern_make. INBOX, alone or as the top of a name, matches in any case. */
bool list_match(struct slice pattern, struct slice name);

#endif
