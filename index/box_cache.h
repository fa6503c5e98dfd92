/* box_cache - which mailboxes accounts have and how they are called, as they were listed last.
 *
 * Kept are small lists, one for each account, and none counts any more once an account or a mailbox of the volume is
 * another (volume_places_version), nor one whose account has another subscription: they say what the index would say that was
 * asked a moment ago. Any thread.
 */
#ifndef RESTANTE_INDEX_BOX_CACHE_H
#define RESTANTE_INDEX_BOX_CACHE_H

#include "index/volume.h"

struct box_cache;

struct box_cache *box_cache_new(void);
void box_cache_free(struct box_cache **c);
/* Of the account, or one that it shares a slot with, nothing counts that was read before. */
void box_cache_forget(struct box_cache *c, account_id account);

/* As volume_list_mailboxes, but what is counted (uidnext, highestmodseq, exists ...) is 0: for who lists names. */
MUST_USE enum rc volume_list_names(struct volume *v, account_id account, struct arena *a,
                                   struct mailbox_info **out, size_t *count, struct err *e);
/* The mailbox of that name, 0 where the index is to be asked. It may be gone by now. */
mailbox_id volume_recall_mailbox(struct volume *v, account_id account, struct slice name, struct arena *a);

#endif
