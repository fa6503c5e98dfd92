/* threads - which thread a message belongs to: OBJECTID's THREADID [RFC 8474 s5.2].
 *
 * A message is known by keys: sums of its Message-ID (of its SHA-256, if it has none) and of the ids it refers to. A
 * table (account, key) -> thread says which thread knows them. The writer looks a new message up, by its own key first,
 * then by what it refers to, nearest first; the answer stands in the message's record. Applying the record, live or in
 * a replay, notes those keys that are not there yet for that thread, so that equal bytes always get the equal thread,
 * and a message that comes later than its answers joins them. Threads are never merged and never change: a THREADID
 * must not change once it was told. A key stays when its message is expunged, until its account goes; its own message
 * decides what thread it names, if one that refers to it has said otherwise.
 *
 * A record that was written before there were threads says none. Its thread is made of what the message itself says,
 * the first id that it refers to, else its own, and of nothing else: other messages may have been expunged and
 * compacted away when the index is made anew, and the answer must be the same. A conversation whose answers name only
 * the last message before them falls apart by that; looking such messages up would keep it together until then, and
 * change ids thereafter.
 *
 * Sums are SipHash with the volume's id as the key: whoever sends mail cannot make two ids with one sum.
 * Rejected: the subject, which would bring strangers together; a union of threads, which would have to change ids.
 */
#ifndef RESTANTE_INDEX_THREADS_H
#define RESTANTE_INDEX_THREADS_H

#include "index/db.h"
#include "lib/arena.h"
#include "store/types.h"

/* Looked at of References: the last ones, and the first one, which began it all. */
#define THREAD_REFS_LAST 16u

struct thread_keys {
	uint64_t own;
	uint32_t ref_count;
	uint64_t refs[THREAD_REFS_LAST + 1];    /* nearest first */
};

/* `summary` is the encoded one; one that cannot be read says nothing. `secret`: the volume's id. RC_NOMEM. */
MUST_USE enum rc threads_make_keys(const uint8_t secret[16], struct slice summary,
                                   const uint8_t *sha256, struct arena *a, struct thread_keys *out,
                                   struct err *e);
/* The own key of a message with this Message-ID, brackets included. */
uint64_t threads_id_key(const uint8_t secret[16], struct slice message_id);
/* The thread of a message whose record says none; never 0, nor the id of a blob. */
uint64_t threads_derive(const struct thread_keys *k);
/* *thread is 0 if no key is known. */
MUST_USE enum rc threads_find(struct db *db, account_id account, const struct thread_keys *k,
                              uint64_t *thread, struct err *e);
/* Has a message with this own key been noted in this account? RC_NOT_FOUND. */
MUST_USE enum rc threads_known(struct db *db, account_id account, uint64_t own, struct err *e);
/* This message is of this thread. */
MUST_USE enum rc threads_note(struct db *db, account_id account, const struct thread_keys *k,
                              uint64_t thread, struct err *e);

#endif
