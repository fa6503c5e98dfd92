/* sim_vfs - SQLite on the simulated disk: its default VFS wrapped, so that writes, syncs, truncations, deletions and
 * new files go through sim_disk. Locks, shared memory and temporary files without a name go to the real one. */
#ifndef RESTANTE_TESTS_CRASH_SIM_VFS_H
#define RESTANTE_TESTS_CRASH_SIM_VFS_H

/* Becomes the default VFS of the process. Once, before anything opens. */
void sim_vfs_install(void);

#endif
