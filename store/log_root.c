/* log_root - what compaction changes in the root of an open log. See compact.h.
 *
 * The root in memory is replaced only by what the backend has made durable. A change that may or
 * may not be makes the log dead: reopening it reads which of the two it is.
 */
#include "store/compact.h"
#include "store/log_impl.h"

#include <assert.h>
#include <stdlib.h>

/* The backend's root is the truth, but for the open segment's end, which is kept
 * apart in `tail`. */
static enum rc
take_root(struct log *log, struct err *e)
{
	struct root fresh = { .segments = NULL };
	enum rc rc = log->b->ops->root(log->b, &fresh, e);

	if (rc != RC_OK)
		return rc;
	pthread_mutex_lock(&log->lock);
	root_fini(&log->root);
	log->root = fresh;
	pthread_mutex_unlock(&log->lock);
	return RC_OK;
}

static enum rc
may_change(const struct log *log, struct err *e)
{
	if (log->mode != LOG_WRITE)
		return err_set(e, RC_DENIED, "the log is open for reading only");
	if (log->dead)
		return err_set(e, RC_IO, "the log is dead after a failed write");
	return RC_OK;
}

enum rc
log_change_root(struct log *log, const struct root_change *c, struct err *e)
{
	enum rc rc = may_change(log, e);

	if (rc != RC_OK)
		return rc;
	if (c->add != NULL && c->add->id.epoch != log->root.epoch)
		return err_set(e, RC_BUSY, "the volume was taken over since");
	switch (log->b->ops->root_change(log->b, c, e)) {
	case APPEND_DONE:
		rc = take_root(log, e);
		if (rc != RC_OK)
			log_set_dead(log);      /* the one in memory is the former one */
		return rc;
	case APPEND_REFUSED:
		return e->code;
	case APPEND_DEAD:
		if (c->add != NULL)
			orphans_doubt(log, &c->add->id, c->made, c->made_count);
		log_set_dead(log);
		return e->code;
	}
	return e->code;
}

enum rc
log_seal(struct log *log, struct err *e)
{
	struct root_segment seg;
	enum rc rc = may_change(log, e);

	if (rc == RC_OK)
		rc = log_sync(log, e);
	if (rc != RC_OK || !log->has_open)
		return rc;
	seg = log_sealed_tail(log);
	rc = log->b->ops->segment_seal(log->b, &seg, e);
	if (rc != RC_OK) {
		log_set_dead(log);
		return rc;
	}
	pthread_mutex_lock(&log->lock);
	log->root.segments[log->root.segment_count - 1] = seg;
	log->has_open = false;
	log->tail = log->synced_tail = 0;
	pthread_mutex_unlock(&log->lock);
	return RC_OK;
}

enum rc
log_settle_copy(struct log *log, struct err *e)
{
	const struct root_change c = { .clear_copy = true };

	return log_change_root(log, &c, e);
}

uint64_t
log_compactions(struct log *log)
{
	uint64_t n;

	pthread_mutex_lock(&log->lock);
	n = log->root.compactions;
	pthread_mutex_unlock(&log->lock);
	return n;
}

enum rc
log_list_dropped(struct log *log, struct seg_id **ids, uint32_t *count, struct err *e)
{
	size_t len;

	pthread_mutex_lock(&log->lock);
	*count = log->root.dropped_count;
	len = *count * sizeof **ids;
	*ids = malloc(len > 0 ? len : 1);
	if (*ids != NULL && len > 0)
		memcpy(*ids, log->root.dropped, len);
	pthread_mutex_unlock(&log->lock);
	return *ids != NULL ? RC_OK : err_nomem(e);
}

uint64_t
log_dropped_bytes(struct log *log)
{
	struct seg_id *ids;
	struct err e = ERR_INIT;
	uint64_t bytes = 0, len;
	uint32_t count;

	if (log_list_dropped(log, &ids, &count, &e) != RC_OK)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		if (log->b->ops->size(log->b, &ids[i], &len, &e) == RC_OK)
			bytes += len;
	free(ids);
	return bytes;
}

enum rc
log_list_segments(struct log *log, struct root_segment **out, uint32_t *count, struct err *e)
{
	struct root root;
	enum rc rc = log_snapshot(log, &root, e);

	if (rc != RC_OK)
		return rc;
	*out = root.segments;
	*count = root.segment_count;
	root.segments = NULL;
	root_fini(&root);
	return RC_OK;
}

uint64_t
log_max_segment(const struct log *log)
{
	return log->caps.max_segment;
}

bool
log_room(struct log *log, uint64_t *bytes, uint64_t *reserve)
{
	return log->b->ops->room(log->b, bytes, reserve);
}

/* ---- reaping ---- */

void
log_hold(struct log *log)
{
	pthread_mutex_lock(&log->reaping);
	log->holds++;
	pthread_mutex_unlock(&log->reaping);
}

void
log_unhold(struct log *log)
{
	pthread_mutex_lock(&log->reaping);
	assert(log->holds > 0);
	log->holds--;
	pthread_mutex_unlock(&log->reaping);
}

enum rc
log_delete_pieces(struct log *log, const struct seg_id *ids, uint32_t count, struct err *e)
{
	enum rc rc;

	if (log->mode != LOG_WRITE)
		return err_set(e, RC_DENIED, "the log is open for reading only");
	pthread_mutex_lock(&log->reaping);
	rc = log->holds > 0 ? err_set(e, RC_BUSY, "the dropped pieces are being read")
			    : log->b->ops->reap(log->b, ids, count, e);
	pthread_mutex_unlock(&log->reaping);
	return rc;
}
