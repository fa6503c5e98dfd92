/* secret - bytes that must not be left behind: passwords, keys, decoded SASL messages.
 *
 * A secret has its room from the start and never grows, so no copy stays behind in memory that a realloc gave back.
 * Whatever held a secret is wiped with explicit_bzero before it is freed. Comparing takes a time that depends on the
 * lengths only. Used by one thread at a time; the functions without a struct secret are good for any thread.
 */
#ifndef RESTANTE_LIB_SECRET_H
#define RESTANTE_LIB_SECRET_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/slice.h"

struct secret {
	uint8_t *ptr;
	size_t   len;
	size_t   cap;
};

/* Room for `cap` (> 0) bytes, empty. RC_OK or RC_NOMEM; either way secret_fini may be called. */
MUST_USE enum rc secret_init(struct secret *s, size_t cap, struct err *e);
void secret_fini(struct secret *s);            /* wipes and frees; harmless on a zeroed struct and when repeated */
void secret_reset(struct secret *s);           /* wipes, keeps the room */
/* Appends; false, with nothing appended, if it does not fit. */
MUST_USE bool secret_append(struct secret *s, struct slice bytes);

static inline struct slice
secret_slice(const struct secret *s)
{
	return (struct slice){ s->ptr, s->len };
}

void secret_wipe(void *ptr, size_t len);
/* Wipes all that the buffer ever held in its present memory, and empties it. A buf that had to grow while it held a
 * secret left copies behind: reserve its room first. */
void secret_wipe_buf(struct buf *b);
/* Equal lengths and bytes; the time does not tell where they differ. */
MUST_USE bool secret_equal(struct slice a, struct slice b);
/* Fills with random bytes fit for keys and salts. RC_OK or RC_IO. May block early in the boot of the machine only. */
MUST_USE enum rc secret_random(void *ptr, size_t len, struct err *e);

#endif
