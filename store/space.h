/* space - disk space before it is needed: what is best effort stands here. All on open descriptors. */
#ifndef RESTANTE_STORE_SPACE_H
#define RESTANTE_STORE_SPACE_H

#include "lib/err.h"

/* Whether this errno means that there is no room (full disk, quota, file size limit). */
bool space_is_full(int os);
/* The file system's size and what is free in it for us, in bytes; quotas are not counted. False: not known. */
bool space_measure(int fd, uint64_t *total, uint64_t *avail);
/* Allocate [from, to) of the file without changing its size, then fill [zero_from, to) with zeros: a sync of bytes
 * written over zeros has no metadata to journal. Where allocating is not supported, all of [from, to) is filled. */
MUST_USE enum rc space_reserve(int fd, uint64_t from, uint64_t to, uint64_t zero_from,
                               struct err *e);
/* Give [from, to) back, as far as the system can; what is read there are zeros then. Best effort. */
void space_release(int fd, uint64_t from, uint64_t to);
/* Forget what the page cache holds of the file, so that reads come from the disk. Best effort. */
void space_drop_cache(int fd);

#endif
