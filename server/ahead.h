/* ahead - the octets of messages that are about to be sent, read by another thread of the pool while those before them
 * are sent.
 *
 * The owner says which messages come, then asks for their octets in that order. They are made in pieces, each by whichever
 * thread comes to it first: the owner itself, when what it asks for is not begun or while it is not ready, or the helper,
 * which runs ahead as far as there is room. So nobody waits while there is work, and with one processor the owner does it
 * all. What cannot be read is not told here: the owner reads it itself and meets the error where it belongs.
 *
 * One owner at a time, a thread that may block. Memory: AHEAD_HELD.
 */
#ifndef RESTANTE_SERVER_AHEAD_H
#define RESTANTE_SERVER_AHEAD_H

#include "index/volume.h"
#include "server/pool.h"

#define AHEAD_OCTETS (512u << 10)       /* read and not yet passed, at most */
#define AHEAD_HELD   (AHEAD_OCTETS + (64u << 10))
#define AHEAD_FRONT  256u               /* octets free before the first ones of each message */
#define AHEAD_WHOLE  (256u << 10)       /* a message of so many octets can be held as a whole */

struct ahead;

/* The volume stays open until the pool has ended. NULL: no memory. */
struct ahead *ahead_new(struct pool *pool, struct volume *v);
/* Without waiting: a helper that is at it leaves by itself. Accepts a pointer to NULL. */
void          ahead_end(struct ahead **a);
/* These messages, numbered from 0 on, come next; those of before are done with. Copies the places. False: no memory, and
 * none come. */
MUST_USE bool ahead_set(struct ahead *a, const struct message_row *rows, size_t count);
/* All octets of the message, of at most AHEAD_WHOLE, are read and were found good. */
bool          ahead_whole(struct ahead *a, size_t message);
/* The octets of the message from `at` on, some; valid until the next call. What stands before them is done with. False:
 * they are not to be had here. */
bool          ahead_take(struct ahead *a, size_t message, uint64_t at, struct slice *out);
/* Put these octets before those that ahead_take has just given, so that they go out together: *taken has both. False: there is
 * no room. */
bool          ahead_prepend(struct ahead *a, struct slice head, struct slice *taken);

#endif
