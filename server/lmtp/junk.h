/* junk - does a header say that a spam filter has found something? Rules of [lmtp] junk_headers:
 *
 *     X-Spam-Flag: YES        the field with this value, in any case, blanks at its ends not counted
 *     X-Spam-Status: Yes*     "*" is any text
 *     X-Junk                  the field with any value
 *
 * Pure. Time grows with the header times the rules.
 */
#ifndef RESTANTE_SERVER_LMTP_JUNK_H
#define RESTANTE_SERVER_LMTP_JUNK_H

#include "lib/conf.h"

/* `header`: the beginning of a message; what is behind its empty line is not looked at. */
bool junk_header_matches(struct slice header, const struct conf_list *rules);

#endif
