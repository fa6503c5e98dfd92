/* recent - from which UID on a mailbox's messages are \Recent. In memory only: after a restart none
 * are. Thread-safe. */
#ifndef RESTANTE_INDEX_RECENT_H
#define RESTANTE_INDEX_RECENT_H

#include "lib/err.h"
#include "store/types.h"

struct recent;

struct recent *recent_new(void);        /* NULL without memory */
void recent_free(struct recent **r);
/* Messages from `uid` on appear. Without memory they are just not recent. */
void recent_note(struct recent *r, mailbox_id mailbox, mail_uid uid);
/* The first recent UID; uidnext if none is. */
mail_uid recent_get(struct recent *r, mailbox_id mailbox, mail_uid uidnext);
/* The same, and from now on only those from uidnext on are. */
mail_uid recent_claim(struct recent *r, mailbox_id mailbox, mail_uid uidnext);

#endif
