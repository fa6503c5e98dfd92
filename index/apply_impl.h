/* apply_impl - what the files of apply share. Of apply*.c. */
#ifndef RESTANTE_INDEX_APPLY_IMPL_H
#define RESTANTE_INDEX_APPLY_IMPL_H

#include "index/apply.h"

/* ---- apply.c ---- */

/* Room for one more element of an array that doubles. NULL: no memory, and the array is as it was. */
void *apply_grow(void *array, size_t count, size_t *cap, size_t size);
/* Somebody may wait for news of this mailbox. */
MUST_USE enum rc apply_touch(struct apply *ap, const struct touched_mailbox *how, struct err *e);

/* ---- apply_blob.c ---- */

MUST_USE enum rc apply_blob(struct apply *ap, const struct record *r, const struct log_addr *data,
                            struct err *e);
MUST_USE enum rc apply_purge(struct apply *ap, const struct record_purge *r, struct err *e);
MUST_USE enum rc apply_summary(struct apply *ap, const struct record_summary *r, struct err *e);
/* RFC822.SIZE of a blob, 0 if it is not known. */
MUST_USE enum rc apply_blob_size(struct apply *ap, blob_id id, uint64_t *size, struct err *e);
/* The thread of a message whose record says none; 0 if its blob is lost. */
MUST_USE enum rc apply_derive_thread(struct apply *ap, blob_id id, uint64_t *thread, struct err *e);
/* Of messages that came before their mailbox, and were noted for no account. */
MUST_USE enum rc apply_note_threads_of(struct apply *ap, mailbox_id mailbox, account_id account,
                                       struct err *e);

/* ---- apply_message.c ---- */

MUST_USE enum rc apply_messages(struct apply *ap, const struct record_messages *r, struct err *e);
MUST_USE enum rc apply_flags(struct apply *ap, const struct record_flags *r, struct err *e);
MUST_USE enum rc apply_expunge(struct apply *ap, const struct record_expunge *r, struct err *e);
MUST_USE enum rc apply_uidl(struct apply *ap, const struct record_uidl *r, struct err *e);

#endif
