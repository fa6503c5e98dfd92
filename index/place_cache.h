/* place_cache - where the octets of messages lie that were listed or read a short while ago, and their summaries, for who
 * reads or lists them next.
 *
 * What a message says never changes, so a place holds until compaction moves it; who finds nothing there asks the index.
 * All are forgotten when an account, a mailbox or what was purged is gone, so that nothing is served from here that
 * the index would not have.
 */
#ifndef RESTANTE_INDEX_PLACE_CACHE_H
#define RESTANTE_INDEX_PLACE_CACHE_H

#include "index/volume.h"

#define PLACE_CACHE_CHUNKS 8u           /* of a message; with more it is not kept, */
#define PLACE_CACHE_OCTETS 262144u      /* nor with more of these: a reactor reads no more in a run, 0.4 ms of inflating base64 */
#define PLACE_CACHE_SUMMARY 1024u       /* octets of a summary; of one with more only the place is kept */

struct place_cache;

struct place_cache *place_cache_new(void);
void place_cache_free(struct place_cache **c);

/* Of what is kept nothing counts from here on. Any thread. */
void place_cache_forget(struct place_cache *c);
/* What is read of the index from here on may be kept under this number. */
uint64_t place_cache_age(const struct volume *v);
/* Keep the summaries of rows read with WANT_PLACE and WANT_SUMMARY, and the places of messages that have no NULs: of these
 * nothing else need be known to send them. */
void place_cache_put(struct volume *v, uint64_t age, mailbox_id mailbox, const struct message_row *rows, size_t count);
/* True: *out has UID, blob, size, place (chunks in the arena) and sha256; all else is zero, the MODSEQ too, which no
 * row's is. */
bool place_cache_get(struct volume *v, mailbox_id mailbox, mail_uid uid, struct arena *a, struct message_row *out);
/* The summaries of messages that are there, by their UIDs, in the arena; those that are not known are empty. False: no
 * memory. */
bool place_cache_summaries(struct volume *v, mailbox_id mailbox, struct arena *a, struct message_row *rows, size_t count);

#endif
