/* copy_dir - the directory that a copy is written to. Of copy.c only. One thread.
 *
 * While it is open nobody else can copy to it, or take the copy over: the head is locked as an owner locks it.
 */
#ifndef RESTANTE_STORE_COPY_DIR_H
#define RESTANTE_STORE_COPY_DIR_H

#include "store/backend.h"

struct copy_dir {
	int         dirfd, logfd;       /* -1: a dry run, and it is not there */
	int         headfd;             /* of head, or of head.part while `fresh` */
	bool        fresh;              /* there is no head yet */
	struct root former;             /* of the copy that is there; else without segments */
	uint64_t    generation;
};

struct copy_dir_params {
	const char    *path;
	const uint8_t *volume_id;
	bool           fresh_only;
	bool           dry_run;
};

/* See log_copy for the errors. On failure nothing is open. */
MUST_USE enum rc copy_dir_open(const struct copy_dir_params *p, struct copy_dir *d, struct err *e);
void copy_dir_close(struct copy_dir *d);

/* Its size, 0 if it is not there. */
uint64_t copy_dir_size(const struct copy_dir *d, const struct seg_id *id);
/* The first `len` bytes of a piece; false: there are not so many. */
bool copy_dir_peek(const struct copy_dir *d, const struct seg_id *id, uint8_t *dst, size_t len);
/* A descriptor to write a piece: a new file that takes its name with copy_dir_finish; or the one there, to be
 * completed. -1 with errno. */
int copy_dir_begin(const struct copy_dir *d, const struct seg_id *id);
int copy_dir_continue(const struct copy_dir *d, const struct seg_id *id);
/* What was written is durable, under its name; closes fd. */
MUST_USE enum rc copy_dir_finish(const struct copy_dir *d, const struct seg_id *id, int fd,
                                 bool begun, struct err *e);
/* Closes fd; a new file goes. */
void copy_dir_abandon(const struct copy_dir *d, const struct seg_id *id, int fd, bool begun);

/* All pieces are there: from here on this root counts. */
MUST_USE enum rc copy_dir_commit(struct copy_dir *d, const struct root *root, struct err *e);
/* Remove pieces that are not wanted, and what is left of tries that were cut; `only_count`: say how
 * many. Best effort. */
uint64_t copy_dir_sweep(const struct copy_dir *d,
                        bool (*wanted)(void *arg, const struct seg_id *id), void *arg,
                        bool only_count);
/* Bytes free on its disk. False: not known. */
bool copy_dir_room(const struct copy_dir *d, uint64_t *bytes);

#endif
