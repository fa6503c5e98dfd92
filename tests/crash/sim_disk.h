/* sim_disk - a disk that loses what was not synced: store/fs.h over real files, with a shadow that knows
 * what is durable.
 *
 * The real files are what the running system sees (its page cache). The shadow keeps, per file, the edits since its
 * last sync with the bytes they covered, and per directory the entries made, removed and renamed since its last sync.
 * At a power cut every such edit is kept, dropped or torn at a sector, by chance: all, none, the first so many, each
 * for itself, of some files all, or lengths without their bytes. An entry not synced may be missing, whatever happened
 * to its file; a rename is there or not, as a whole. What was synced stays.
 *
 * A sync that fails does what Linux does: each page has reached the disk or not, and all count as clean. A later sync
 * passes over them; a cut loses them, and so does dropping the page cache.
 *
 * One seed drives all. One disk per process; any thread. SQLite's files come in through sim_vfs.
 */
#ifndef RESTANTE_TESTS_CRASH_SIM_DISK_H
#define RESTANTE_TESTS_CRASH_SIM_DISK_H

#include "store/fs.h"

#include <stddef.h>

/* What befalls the operation that was armed for. */
enum sim_fault {
	SIM_CUT_BEFORE,         /* the power fails before it has any effect, */
	SIM_CUT_IN,             /* or while it is under way */
	SIM_EIO,
	SIM_ENOSPC,
	SIM_SHORT,              /* a write: a part of it, told as such; else EIO */
	SIM_TORN,               /* a write: some of its sectors, then EIO; else EIO */
	SIM_SYNC,               /* a sync: fails as described above; else EIO */
	SIM_FAULTS,
};

/* Where in an operation a fault came, by what the disk was asked for since sim_arm. */
enum sim_phase {
	SIM_BEFORE,             /* nothing is written yet: a compaction's survey */
	SIM_WRITE,              /* in a write to a segment or a body, */
	SIM_WRITTEN,            /* behind it, before its sync, */
	SIM_IN_SYNC,            /* in its sync, */
	SIM_SYNCED,             /* behind that, before the index is written: a compaction reads back */
	SIM_INDEX,              /* in the index: commit, checkpoint, rebuild, relocation */
	SIM_HEAD,               /* in the head: takeover, roll, seal, swap */
	SIM_REAP,               /* behind the first removal of a segment or body */
	SIM_TAKEOVER,           /* anywhere while a volume is being opened */
	SIM_DONE,               /* behind the answer */
	SIM_PHASES,
};

extern const char *const sim_fault_names[SIM_FAULTS];
extern const char *const sim_phase_names[SIM_PHASES];

/* What lies in the existing directory `root` is durable; `fs` leads here from now on. */
void sim_mount(const char *root);
void sim_unmount(void);
/* The chances that follow come from this seed. */
void sim_seed(uint64_t seed);
uint64_t sim_random(uint64_t below);

/* The n-th operation from now (from 1) gets the fault; 0: none. Counting and phases begin anew. */
void sim_arm(enum sim_fault fault, uint64_t n);
/* A call at which this fault would have come in this phase, the last time that one was armed and did not come; of
 * several the one behind `skip` others. 0: none. */
uint64_t sim_call_in(enum sim_phase phase, enum sim_fault fault, uint64_t skip);
uint64_t sim_count(void);                       /* operations since */
bool sim_hit(void);                             /* whether the fault has come */
bool sim_is_cut(void);
enum sim_phase sim_hit_phase(void);             /* where it came */
void sim_in_takeover(bool yes);                 /* what follows is one */
void sim_pause(void);                           /* counts as an operation: so a cut can come where nothing is written */
/* The power fails now, unless it has. From a cut on every operation fails with EIO. */
void sim_cut(void);
/* Behind a sim_cut: it was only the process that died. Nothing is lost, and nobody has a file open any more. */
void sim_revive(void);
/* Behind a cut, when nobody has a file open any more: make the files what the disk kept, with the power back. */
void sim_restore(void);
/* Forget what is not durable: all files are as they are, durably. Nobody has one open. */
void sim_reset(void);

/* ---- for sim_vfs ---- */

struct sim_file;

/* The file at this path in the tree, NULL if it lies elsewhere. `made`: it was not there before. */
struct sim_file *sim_vfs_file(const char *path, bool made);
/* Each: 0, or the errno the caller is to fail with. sim_vfs_write may take a part only: *len. */
int  sim_vfs_open(const char *path);            /* about to be made */
int  sim_vfs_write(struct sim_file *f, const void *bytes, size_t *len, uint64_t off);
int  sim_vfs_truncate(struct sim_file *f, uint64_t len);
int  sim_vfs_sync(struct sim_file *f);
int  sim_vfs_sync_dir(const char *path);        /* the directory that this file lies in */
int  sim_vfs_read(void);

#endif
