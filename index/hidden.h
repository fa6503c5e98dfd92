/* hidden - lists of IMAP capabilities that an account is not shown, as text: upper case, in ASCII order, one space
 * between. For clients that trip over one; a client's name is never looked at instead.
 *
 * Not to be hidden: IMAP4rev1, without which there is no protocol, and what is told before anybody has logged in
 * (STARTTLS, LOGINDISABLED, AUTH=...). Pure, any thread.
 */
#ifndef RESTANTE_INDEX_HIDDEN_H
#define RESTANTE_INDEX_HIDDEN_H

#include "lib/arena.h"
#include "lib/err.h"

/* Any order, any case, doubles, one space between. RC_SYNTAX: not a name; RC_DENIED: not to be hidden; RC_LIMIT: longer
 * than HIDDEN_MAX. */
MUST_USE enum rc hidden_normalise(struct slice text, struct arena *a, struct slice *out,
                                  struct err *e);
/* Does this server have a capability that the word, in upper case, hides? Of any other word it hides nothing. */
bool hidden_is_known(struct slice word);

#endif
