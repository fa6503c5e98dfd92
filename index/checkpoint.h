/* checkpoint - moving the index's WAL into its database on a thread of its own, so that no commit waits for it. */
#ifndef RESTANTE_INDEX_CHECKPOINT_H
#define RESTANTE_INDEX_CHECKPOINT_H

#include "index/wal.h"

struct checkpointer;

/* Watches the commits of `writer` (its WAL hook). The path's database exists. `wal` is told of them,
 * and outlives it. */
MUST_USE enum rc checkpointer_start(struct wal *wal, const char *path, struct db *writer,
                                    struct checkpointer **out, struct err *e);
/* Before the watched connection is closed. */
void checkpointer_stop(struct checkpointer **c);

#endif
