/* backend_body - out-of-line bodies of a local volume: a file each, made by any thread.
 *
 * A body is written with its space reserved ahead, synced with its directory by file_body_finish,
 * and counts only once a blob record names it. Names come from a counter of the epoch, so none
 * is used twice.
 */
#define _GNU_SOURCE
#include "store/backend_local.h"
#include "store/fs.h"
#include "store/piece.h"
#include "store/space.h"

#include <errno.h>
#include <stdlib.h>

struct backend_body {
	struct file_backend *b;
	int                  fd;
	struct seg_id        id;
	uint64_t             len, reserved_to, synced;
};

enum rc
file_piece_begin(struct file_backend *b, const struct seg_id *id, struct backend_body **out,
                 struct err *e)
{
	struct backend_body *body = calloc(1, sizeof *body);

	*out = NULL;
	if (body == NULL)
		return err_nomem(e);
	body->b = b;
	body->id = *id;
	body->fd = piece_create(b->logfd, id);
	if (body->fd < 0) {
		enum rc rc = err_os(e, errno, "make piece %llu-%u", (unsigned long long)id->seq,
		                    id->epoch);

		free(body);
		return rc;
	}
	*out = body;
	return RC_OK;
}

enum rc
file_body_begin(struct backend *base, struct backend_body **out, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	struct seg_id id = { 0, 0, SEG_BODY };

	pthread_mutex_lock(&b->lock);
	id.seq = ++b->body_next;
	id.epoch = b->body_epoch;
	pthread_mutex_unlock(&b->lock);
	return file_piece_begin(b, &id, out, e);
}

/* A segment that compaction makes. Nobody waits for it, but were it written back all at once at its
 * end, or when the kernel finds too much unwritten, deliveries that wait for the
 * same disk would. */
static enum rc
sync_behind(struct backend_body *body, struct err *e)
{
	if (body->len - body->synced < BODY_PIECE)
		return RC_OK;
	if (fs->fdatasync(body->fd) != 0)
		return err_os(e, errno, "sync segment %u-%llu", body->id.epoch,
		    (unsigned long long)body->id.seq);
	body->synced = body->len;
	return RC_OK;
}

enum rc
file_body_write(struct backend_body *body, struct slice bytes, struct err *e)
{
	struct iovec iov = { (void *)(uintptr_t)bytes.ptr, bytes.len };
	uint64_t end = body->len + bytes.len;
	enum rc rc;
	int os;

	if (end > body->reserved_to) {
		rc = space_reserve(
		    body->fd, body->reserved_to, end + BODY_PIECE, end + BODY_PIECE, e);
		if (rc != RC_OK)
			return rc;
		body->reserved_to = end + BODY_PIECE;
	}
	os = write_all(body->fd, &iov, 1, body->len);
	if (os != 0)
		return err_os(
		    e, os, "write body %u-%llu", body->id.epoch, (unsigned long long)body->id.seq);
	body->len = end;
	return body->id.kind == SEG_LOG ? sync_behind(body, e) : RC_OK;
}

void
file_body_abort(struct backend_body **body)
{
	if (*body == NULL)
		return;
	fs->close((*body)->fd);
	piece_unlink((*body)->b->logfd, &(*body)->id);
	free(*body);
	*body = NULL;
}

enum rc
file_body_finish(struct backend_body **bodyp, struct log_addr *addr, struct err *e)
{
	struct backend_body *body = *bodyp;
	enum rc rc = RC_OK;

	if (fs->ftruncate(body->fd, (off_t)body->len) != 0) /* what was reserved beyond goes back */
		rc = err_os(e, errno, "end body");
	else if (fs->fsync(body->fd) != 0)
		rc = err_os(e, errno, "sync body");
	if (rc == RC_OK)
		rc = dir_sync(body->b->logfd, e);
	if (rc != RC_OK) {
		file_body_abort(bodyp);
		return rc;
	}
	*addr = (struct log_addr){ body->id, 0, body->len };
	fs->close(body->fd);
	free(body);
	*bodyp = NULL;
	return RC_OK;
}

uint64_t
file_body_count(struct backend *base)
{
	struct seg_id *ids;
	size_t count;
	struct err e;

	if (piece_list(file_backend_of(base)->logfd, SEG_BODY, &ids, &count, &e) != RC_OK)
		return 0;
	free(ids);
	return count;
}

enum rc
file_body_list(struct backend *base, struct seg_id **ids, size_t *count, struct err *e)
{
	return piece_list(file_backend_of(base)->logfd, SEG_BODY, ids, count, e);
}

enum rc
file_body_remove(struct backend *base, const struct seg_id *id, struct err *e)
{
	int os = piece_remove(file_backend_of(base)->logfd, id);

	assert(id->kind == SEG_BODY);
	if (os != 0 && os != ENOENT)
		return err_os(e, os, "remove body %u-%llu", id->epoch, (unsigned long long)id->seq);
	return RC_OK;
}
