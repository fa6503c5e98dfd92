/* sim_impl - what the parts of sim_disk share.
 *
 *   sim_names    names below the root, and which of them are durable
 *   sim_bytes    edits of files, and what of them the disk keeps
 *   sim_faults   counting calls, faults, phases, chance
 *   sim_calls    the calls of store/fs.h
 *   sim_disk     SQLite's calls; before and after
 *
 * All of it lies under one lock: what is declared here is called with it held, but sim_lock.
 */
#ifndef RESTANTE_TESTS_CRASH_SIM_IMPL_H
#define RESTANTE_TESTS_CRASH_SIM_IMPL_H

#include "tests/crash/sim_disk.h"

#include <pthread.h>
#include <sys/types.h>

#define PATH_LEN  512
#define FDS_MAX   4096
#define PAGE      4096u
#define SECTOR    512u
#define CALLS_NOTED 4096

enum piece { PIECE_LOG, PIECE_HEAD, PIECE_INDEX, PIECE_OTHER };

/* One change of a file's bytes or length. A truncation has no new bytes, a punch zeros. */
struct edit {
	struct edit *next, *prev;
	uint64_t     seq;               /* over the whole disk */
	uint64_t     off, old_size, new_size;
	size_t       len, old_len;
	uint8_t     *bytes;             /* new ones, then old ones */
	bool         truncates;
};

/* A page that counts as clean and is not what the disk holds. */
struct stale {
	struct stale *next;
	uint64_t      off;
	size_t        len;
	uint8_t       disk[PAGE];
};

struct sim_file {
	struct sim_file *next;
	char             real[PATH_LEN];        /* where its bytes are now: in the tree, or in the graveyard */
	int              fd;                    /* ours */
	enum piece       piece;
	bool             is_dir;
	struct edit     *first, *last;
	struct stale    *stale;
};

/* A name in the tree, relative to the root. */
struct entry {
	struct entry    *next;
	char             path[PATH_LEN];
	struct sim_file *file;
};

/* An entry made (file), removed (no file) or moved (from) and not synced. */
struct entry_op {
	struct entry_op *next;
	uint64_t         seq;
	char             path[PATH_LEN];
	char             from[PATH_LEN];
	struct sim_file *file;
};

struct sim {
	pthread_mutex_t  lock;
	char             root[PATH_LEN], grave[PATH_LEN];
	size_t           root_len;
	struct sim_file *files;
	struct entry    *now, *durable;
	struct entry_op *ops, **ops_end;
	struct sim_file *fds[FDS_MAX];
	uint64_t         random, seq, graves, boots;
	uint64_t         count, armed;
	enum sim_fault   fault;
	enum sim_phase   hit_phase;
	bool             hit, cut, takeover;
	bool             log_dirty, log_synced, index_touched, reaping;
	uint64_t         noted;                 /* calls of the last time that nothing came, with their phases: */
	uint8_t          phases[2][CALLS_NOTED];        /* of a fault before the call, and in it */
};

extern struct sim sim;

/* What a power cut leaves of what was not synced. */
enum mood {
	KEEP_NONE,
	KEEP_ALL,
	KEEP_FIRST,             /* up to one edit, which is torn */
	KEEP_SOME,              /* each for itself; some torn */
	KEEP_LENGTHS,           /* as KEEP_SOME, but bytes may be missing from what was made longer */
	KEEP_FILES,             /* of some files all, of others nothing */
	MOODS,
};

struct fate {
	enum mood mood;
	uint64_t  up_to;        /* KEEP_FIRST */
};

enum verdict { GO, GO_PART, FAIL_EFFECT, FAIL };

void sim_lock(void);
int  sim_unlock(int result);                    /* the result, with errno as it was */
void *sim_must(void *p);                        /* not NULL */
uint64_t sim_draw(uint64_t below);              /* 0: any number */

/* ---- sim_names ---- */

void sim_set_path(char *dst, size_t size, const char *dir, const char *name);
/* The path below the root; false: elsewhere, or a file that is no part of what is durable. "" is the root itself. */
bool sim_find_path(int dirfd, const char *path, char out[PATH_LEN]);
bool sim_is_shm(const char *path);
enum piece sim_piece_of(const char *path);
struct sim_file *sim_new_file(const char *path, bool is_dir);
struct entry *sim_find_entry(struct entry *list, const char *path);
void sim_set_entry(struct entry **list, const char *path, struct sim_file *f);
void sim_drop_entry(struct entry **list, const char *path);
void sim_free_entries(struct entry **list);
void sim_note_entry(const char *path, const char *from, struct sim_file *f);
void sim_apply_entry(struct entry **list, const struct entry_op *op);
/* The directory's entries are durable as they are. */
void sim_settle_entries(const char *dir);

/* ---- sim_bytes ---- */

int  sim_our_fd(struct sim_file *f);
uint64_t sim_size_of(struct sim_file *f);
/* A write that is about to be done, or zeros with bytes NULL. */
void sim_note_write(struct sim_file *f, uint64_t off, size_t len, const void *bytes);
void sim_note_truncate(struct sim_file *f, uint64_t len);
void sim_free_edits(struct sim_file *f);
void sim_free_stale(struct sim_file *f);
/* A sync that failed: by chance each edit is on the disk or not, and the pages that are not count as clean. */
void sim_fail_sync(struct sim_file *f);
bool sim_keeps(const struct fate *t, uint64_t seq);
/* Make the file what the disk kept of it. */
void sim_put_image(struct sim_file *f, const struct fate *t);

/* ---- sim_faults ---- */

/* One operation more. GO: it is to be done; GO_PART: a part of a write; FAIL_EFFECT: done (a sync: not), then EIO;
 * FAIL: errno says why. */
enum verdict sim_admit(enum piece piece, bool is_write, bool is_sync);

/* ---- sim_calls ---- */

extern const struct fs_ops sim_fs;

/* Write to the cache, noting it; *len may become less. */
int  sim_write_bytes(struct sim_file *f, const void *bytes, size_t *len, uint64_t off);
int  sim_sync_file(struct sim_file *f);
int  sim_truncate_to(struct sim_file *f, uint64_t len);
/* It has no name any more. Its bytes are kept: the entry may come back. */
void sim_bury(struct sim_file *f);

#endif
