/* special_use - names of special uses [RFC 6154 s2, RFC 8457 s3]. */
#ifndef RESTANTE_SERVER_IMAP_SPECIAL_USE_H
#define RESTANTE_SERVER_IMAP_SPECIAL_USE_H

#include "lib/buf.h"
#include "store/record.h"

/* What a client may give to a mailbox; the others would promise virtual mailboxes. */
#define SPECIAL_USE_SETTABLE (USE_ARCHIVE | USE_DRAFTS | USE_JUNK | USE_SENT | USE_TRASH)

/* The bit of "Sent" (without the backslash, any case), 0 if unknown. */
uint32_t special_use_named(struct slice name);
/* Append " \Sent" for each bit. */
void special_use_out(struct buf *out, uint32_t uses);

#endif
