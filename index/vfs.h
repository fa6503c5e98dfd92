/* vfs - what SQLite asks of the system, for threads that may not wait for a disk (lib/nowait.h). */
#ifndef RESTANTE_INDEX_VFS_H
#define RESTANTE_INDEX_VFS_H

#include <stdbool.h>

/* Once, before the first connection, with no thread in SQLite. */
void vfs_install(void);
/* A read in the mode is refused where it would wait. False: this SQLite cannot be taught. */
bool vfs_can_refuse(void);

#endif
