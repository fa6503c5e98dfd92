/* names - mailbox and account names as they are compared and stored. Pure functions, any thread. */
#ifndef RESTANTE_INDEX_NAMES_H
#define RESTANTE_INDEX_NAMES_H

#include "lib/arena.h"
#include "lib/err.h"

#define MAILBOX_LEVELS_MAX 32

/* NFC, and a first level that is INBOX in any case in capitals [RFC 9051 s5.1]. Names that could be no mailbox's give
 * RC_NOT_FOUND: for looking up. */
MUST_USE enum rc name_mailbox_find(struct slice name, struct arena *a, struct slice *out,
                                   struct err *e);
/* The same for a name to be made. RC_DENIED: empty, an empty level, a control character, not UTF-8; RC_LIMIT: too long
 * or too deep. */
MUST_USE enum rc name_mailbox_make(struct slice name, struct arena *a, struct slice *out,
                                   struct err *e);
bool name_is_inbox(struct slice name);          /* of a normalised name */
/* The name without its last level; empty if it has one only. */
struct slice name_parent(struct slice name);
/* Does `name` lie below `top`? */
bool name_is_below(struct slice name, struct slice top);

/* NFC and the key that names are equal by: case-folded. RC_DENIED, RC_LIMIT as above. `folded` and
 * `nfc` may be NULL. */
MUST_USE enum rc name_account(struct slice name, struct arena *a, struct slice *nfc,
                              struct slice *folded, struct err *e);

#endif
