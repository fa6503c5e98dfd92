/* piece - the files of a local volume's log/ directory: segments `s-SEQ-EPOCH.seg`, bodies `b-EPOCH-N.blob`, and segments
 * that were put aside, `s-SEQ-EPOCH.kept`.
 *
 * `dirfd` is that directory. Names are never used twice, links are never followed. Any thread.
 */
#ifndef RESTANTE_STORE_PIECE_H
#define RESTANTE_STORE_PIECE_H

#include "lib/err.h"
#include "store/types.h"

#include <sys/uio.h>

#define PIECE_NAME_LEN 64

void piece_name(const struct seg_id *id, char name[PIECE_NAME_LEN]);
/* A descriptor, or -1 with errno. piece_create makes a file that is not there, for reading and writing. */
int  piece_open(int dirfd, const struct seg_id *id);
int  piece_create(int dirfd, const struct seg_id *id);
/* A failure leaves an orphan that nothing names. */
void piece_unlink(int dirfd, const struct seg_id *id);

int  piece_remove(int dirfd, const struct seg_id *id);          /* 0 or errno */
/* Every piece of this kind, in any order; heap. */
MUST_USE enum rc piece_list(int dirfd, enum seg_kind kind, struct seg_id **ids, size_t *count,
                            struct err *e);

MUST_USE enum rc dir_sync(int fd, struct err *e);
/* All of the vectors at `offset`; uses them up. 0 or errno. */
int write_all(int fd, struct iovec *iov, size_t count, uint64_t offset);

#endif
