/* special_use - names of special uses [RFC 6154 s2, RFC 8457 s3, RFC 9979]. Pure functions, any thread. */
#ifndef RESTANTE_INDEX_SPECIAL_USE_H
#define RESTANTE_INDEX_SPECIAL_USE_H

#include "lib/buf.h"
#include "store/record.h"

/* What may be given to a mailbox: they say what is to be put there, by the client itself or a filter. \All and
 * \Flagged would promise a virtual mailbox. */
#define SPECIAL_USE_SETTABLE \
	(USE_ARCHIVE | USE_DRAFTS | USE_JUNK | USE_SENT | USE_TRASH | USE_IMPORTANT | \
	 USE_SNOOZED | USE_SCHEDULED \
	 | USE_MEMOS)

/* The bit of "Sent" (without the backslash, any case), 0 if unknown. */
uint32_t special_use_named(struct slice name);
/* "\\Sent" for the bit; NULL: it has no name. */
const char *special_use_name(uint32_t use);
/* Append " \Sent" for each bit. */
void special_use_out(struct buf *out, uint32_t uses);

#endif
