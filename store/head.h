/* head - a volume's root as bytes: two checksummed slots, written in turn.
 *
 * The file is HEAD_FILE_LEN bytes, written in full once, so that no later write needs space. A change is written to one
 * slot, synced, then to the other and synced: a torn write leaves the other slot, and one that rots later loses
 * nothing. Of two good slots the one with the higher generation counts. doc/restante-log.5 has the bytes.
 */
#ifndef RESTANTE_STORE_HEAD_H
#define RESTANTE_STORE_HEAD_H

#include "store/backend.h"

#define HEAD_SLOT_LEN (512u << 10)
#define HEAD_FILE_LEN (2 * (size_t)HEAD_SLOT_LEN)

/* Append the slot's bytes to out. RC_LIMIT: more segments than a slot holds. */
MUST_USE enum rc head_encode(const struct root *r, uint64_t generation, struct buf *out,
                             struct err *e);
/* r: all zero or fini'd; filled on RC_OK. RC_CORRUPT: not a good slot. RC_DENIED: a good one of a newer format. */
MUST_USE enum rc head_decode(struct slice slot, struct root *r, uint64_t *generation,
                             struct err *e);

/* Read both slots of an open head file; *bad_slots counts those that do not hold. RC_CORRUPT: neither does.
 * RC_DENIED: one is of a newer format, so nothing here is for us to judge or to write. */
MUST_USE enum rc head_read(int fd, struct root *r, uint64_t *generation, unsigned *bad_slots,
                           struct err *e);
/* Write r to both slots, each synced; *generation is raised. After a failure the old or the new root counts. */
MUST_USE enum rc head_write(int fd, const struct root *r, uint64_t *generation, struct err *e);

#endif
