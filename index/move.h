/* move - an account goes from one open volume to another, while both serve [design, section 3].
 *
 * The copy is made first, as an account that nobody finds; then, with one record, it becomes the owner, with a higher
 * generation; then the old one is deleted. Cut at any step, move_settle finds exactly one owner. Meanwhile the
 * account's changes are refused with RC_BUSY (LMTP answers 4xx, IMAP NO), reading goes on; at the end its sessions are
 * ended, as those of a deleted account are.
 *
 * Calls block: a thread of their own or a tool's.
 */
#ifndef RESTANTE_INDEX_MOVE_H
#define RESTANTE_INDEX_MOVE_H

#include "index/volume.h"

struct move_result {
	uint64_t mailboxes, messages, bytes;
};

/* RC_BUSY: another account of `from` is being moved. RC_EXISTS: `to` has an account of this name. RC_CANCELLED:
 * progress said false; as after any failure before the copy is the owner, the account is where it was. Damaged messages
 * stop it: RC_CORRUPT, e names the first. */
MUST_USE enum rc move_account(struct volume *from, struct volume *to, account_id account,
                              bool (*progress)(void *arg, uint64_t done, uint64_t total),
                              void *progress_arg, struct move_result *out, struct err *e);

/* What a cut left: copies that never became owners, and owners that were succeeded, are deleted. *removed counts them.
 * One that has changed since it was copied stays, and is told. For whoever has just opened these volumes for writing:
 * all that are configured, or one, of which only copies are looked at. */
MUST_USE enum rc move_settle(struct volume *const *volumes, size_t count, uint32_t *removed,
                             struct err *e);

#endif
