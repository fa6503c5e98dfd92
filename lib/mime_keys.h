/* mime_keys - what SORT and THREAD compare [RFC 5256, RFC 5957], made from a message's header.
 * Internal to lib/mime*. */
#ifndef RESTANTE_LIB_MIME_KEYS_H
#define RESTANTE_LIB_MIME_KEYS_H

#include "lib/mime.h"
#include "lib/mime_header.h"

/* Room for all keys of one message. */
#define MIME_KEYS_MAX (7u * MIME_KEY_MAX + MIME_REFS_MAX)

/* Fill *k with slices of `text`, which must be empty with a maximum of at least MIME_KEYS_MAX and outlive them.
 * Returns MIME_HAS_DATE and MIME_REPLY_OR_FWD as they apply. text->failed: no memory. */
uint32_t mime_keys_make(const struct mime_header *h, struct buf *text, struct mime_keys *k);

#endif
