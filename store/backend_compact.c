/* backend_compact - what compaction asks of a local volume: a segment put beside the others, a root
 * that lists it, and deleting what the root lists no more. See struct backend_ops.
 *
 * A put segment has no name in the head before root_change, and a dropped one keeps its file until
 * the index knows the new places and nobody reads the old: a crash leaves either a segment that
 * nothing lists, which the next start removes, or a dropped one, which is still in the
 * head's list of them.
 */
#define _GNU_SOURCE
#include "store/backend_local.h"
#include "store/fdcache.h"
#include "store/piece.h"
#include "store/space.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum rc
file_segment_put(struct backend *base, const struct seg_id *id, struct slice header,
    struct backend_body **out, struct err *e)
{
	enum rc rc = file_piece_begin(file_backend_of(base), id, out, e);

	if (rc == RC_OK)
		rc = file_body_write(*out, header, e);
	if (rc != RC_OK)
		file_body_abort(out);
	return rc;
}

enum append_outcome
file_root_change(struct backend *base, const struct root_change *c, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	struct root next = { .segments = NULL };
	struct buf trial;
	enum rc rc = root_copy(&next, &b->root, e);

	buf_init(&trial, HEAD_SLOT_LEN);
	if (rc == RC_OK)
		rc = root_apply(&next, c, e);
	if (rc == RC_OK)
		/* before anything is touched */
		rc = head_encode(&next, b->generation + 1, &trial, e);
	buf_fini(&trial);
	if (rc != RC_OK) {
		root_fini(&next);
		return APPEND_REFUSED;
	}
	rc = head_write(b->headfd, &next, &b->generation, e);
	if (rc != RC_OK) {
		root_fini(&next);
		return APPEND_DEAD;     /* reacquire reads which of the two it is */
	}
	root_fini(&b->root);
	b->root = next;
	return APPEND_DONE;
}

enum rc
file_reap(struct backend *base, const struct seg_id *ids, uint32_t count, struct err *e)
{
	struct file_backend *b = file_backend_of(base);

	for (uint32_t i = 0; i < count; i++) {
		int os = piece_remove(b->logfd, &ids[i]);

		if (os != 0 && os != ENOENT)
			return err_os(e, os, "remove piece %llu-%u", (unsigned long long)ids[i].seq,
			    ids[i].epoch);
		fdcache_forget(b->readers, &ids[i]);    /* an open file keeps its space */
	}
	return dir_sync(b->logfd, e);
}

bool
file_room(struct backend *base, uint64_t *bytes, uint64_t *reserve)
{
	struct file_backend *b = file_backend_of(base);
	struct stat st;
	uint64_t disk;

	*reserve = b->have_reserve && fstat(b->reservefd, &st) == 0 ? (uint64_t)st.st_blocks * 512
	                                                            : 0;
	return space_measure(b->volfd, &disk, bytes);
}
