/* backend_body - out-of-line bodies of a local volume: a file each, made by any thread.
 *
 * A body is written with its space reserved ahead, synced with its directory by file_body_finish, and counts only once
 * a blob record names it. Names come from a counter of the epoch, so none is used twice.
 */
#define _GNU_SOURCE
#include "store/backend_local.h"
#include "store/fs.h"
#include "store/piece.h"
#include "store/space.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct backend_body {
	struct file_backend *b;
	int                  fd;
	struct seg_id        id;
	uint64_t             len, reserved_to;
};

enum rc
file_body_begin(struct backend *base, struct backend_body **out, struct err *e)
{
	struct file_backend *b = file_backend_of(base);
	struct backend_body *body = calloc(1, sizeof *body);

	*out = NULL;
	if (body == NULL)
		return err_nomem(e);
	body->b = b;
	pthread_mutex_lock(&b->lock);
	body->id = (struct seg_id){ ++b->body_next, b->body_epoch, SEG_BODY };
	pthread_mutex_unlock(&b->lock);
	body->fd = piece_create(b->logfd, &body->id);
	if (body->fd < 0) {
		enum rc rc = err_os(e, errno, "make body %u-%llu", body->id.epoch,
		    (unsigned long long)body->id.seq);

		free(body);
		return rc;
	}
	*out = body;
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
	return RC_OK;
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

/* b-EPOCH-N.blob, written as piece_name writes it. */
static bool
parse_body_name(const char *name, struct seg_id *id)
{
	char again[PIECE_NAME_LEN];
	unsigned long long n;
	unsigned epoch;

	if (sscanf(name, "b-%9u-%19llu.", &epoch, &n) != 2)
		return false;
	*id = (struct seg_id){ n, epoch, SEG_BODY };
	piece_name(id, again);
	return strcmp(name, again) == 0;
}

/* Calls back for each body until that fails. */
static enum rc
each_body(struct file_backend *b, bool (*body)(void *arg, const struct seg_id *id), void *arg,
    struct err *e)
{
	int fd = openat(b->logfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;
	enum rc rc = RC_OK;
	struct seg_id id;

	if (dir == NULL) {
		rc = err_os(e, errno, "list the log's directory");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == RC_OK && (errno = 0, d = readdir(dir)) != NULL)
		if (parse_body_name(d->d_name, &id) && !body(arg, &id))
			rc = err_nomem(e);
	if (rc == RC_OK && errno != 0)
		rc = err_os(e, errno, "list the log's directory");
	closedir(dir);
	return rc;
}

static bool
count_body(void *arg, const struct seg_id *id)
{
	(void)id;
	++*(uint64_t *)arg;
	return true;
}

uint64_t
file_body_count(struct backend *base)
{
	uint64_t count = 0;
	struct err e;

	return each_body(file_backend_of(base), count_body, &count, &e) == RC_OK ? count : 0;
}

struct body_ids {
	struct seg_id *ids;
	size_t         count, cap;
};

static bool
keep_body(void *arg, const struct seg_id *id)
{
	struct body_ids *l = arg;

	if (l->count == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 64;
		struct seg_id *p = realloc(l->ids, cap * sizeof *p);

		if (p == NULL)
			return false;
		l->ids = p;
		l->cap = cap;
	}
	l->ids[l->count++] = *id;
	return true;
}

enum rc
file_body_list(struct backend *base, struct seg_id **ids, size_t *count, struct err *e)
{
	struct body_ids l = { NULL, 0, 0 };
	enum rc rc = each_body(file_backend_of(base), keep_body, &l, e);

	if (rc != RC_OK) {
		free(l.ids);
		return rc;
	}
	*ids = l.ids;
	*count = l.count;
	return RC_OK;
}

enum rc
file_body_remove(struct backend *base, const struct seg_id *id, struct err *e)
{
	char name[PIECE_NAME_LEN];

	assert(id->kind == SEG_BODY);
	piece_name(id, name);
	if (fs->unlink(file_backend_of(base)->logfd, name) != 0 && errno != ENOENT)
		return err_os(e, errno, "remove body %u-%llu", id->epoch, (unsigned long long)id->seq);
	return RC_OK;
}
