/* next_epoch - where the volumes that are made of one backup begin.
 *
 * Each volume made of a backup tells clients numbers of its own (UIDs, MODSEQs), and when it is lost too and the same
 * backup is put back again, the next one must not tell them for other messages. So the backup keeps, in the file
 * `next-epoch` beside its head, the epoch behind which the next volume begins. It is raised before anything is copied:
 * a try that is cut costs some epochs and nothing else. A later backup into the same place is of a volume that has gone
 * beyond it, and the number is without effect.
 */
#ifndef RESTANTE_TOOLS_NEXT_EPOCH_H
#define RESTANTE_TOOLS_NEXT_EPOCH_H

#include "lib/err.h"

/* *out is 0 if the backup in `dir` was never put back. RC_CORRUPT: the file is there, and no number. */
MUST_USE enum rc next_epoch_read(const char *dir, uint32_t *out, struct err *e);
/* Durable when it returns RC_OK; the former number stays on failure. */
MUST_USE enum rc next_epoch_write(const char *dir, uint32_t epoch, struct err *e);

#endif
