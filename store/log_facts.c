/* log_facts - what an open log says of itself. See log.h; log_root.c has what only compaction asks.
 *
 * Any thread may ask: a takeover in the same process and a compaction change the root meanwhile, so
 * nothing of it is read without the lock.
 */
#include "store/compact.h"
#include "store/log_impl.h"

/* A fact is asked of a const log, which no caller can change; its lock is ours. */
static void
lock(const struct log *log)
{
	pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&log->lock);
}

static void
unlock(const struct log *log)
{
	pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&log->lock);
}

uint32_t
log_epoch(const struct log *log)
{
	uint32_t epoch;

	lock(log);
	epoch = log->root.epoch;
	unlock(log);
	return epoch;
}

void
log_volume_id(const struct log *log, uint8_t id[VOLUME_ID_LEN])
{
	lock(log);
	memcpy(id, log->root.volume_id, VOLUME_ID_LEN);
	unlock(log);
}

uint64_t
log_takeover_id(const struct log *log)
{
	uint64_t id;

	lock(log);
	id = log->root.takeover_count > 0 ? log->root.takeovers[log->root.takeover_count - 1] : 0;
	unlock(log);
	return id;
}

bool
log_knows_takeover(const struct log *log, uint64_t id)
{
	bool known = false;

	lock(log);
	for (uint32_t i = log->root.takeover_count; i-- > 0 && !known;)
		known = log->root.takeovers[i] == id;
	unlock(log);
	return known;
}

log_lsn
log_floor(const struct log *log)
{
	log_lsn floor;

	lock(log);
	floor = log->root.floor;
	unlock(log);
	return floor;
}

log_lsn
log_last(const struct log *log)
{
	log_lsn lsn;

	lock(log);
	lsn = log->last_lsn;
	unlock(log);
	return lsn;
}

bool
log_has(const struct log *log, log_lsn lsn)
{
	bool has = false;

	lock(log);
	for (uint32_t i = log->root.segment_count; i-- > 0 && !has;) {
		const struct root_segment *s = &log->root.segments[i];
		log_lsn last = s->state == SEGMENT_OPEN ? log->last_lsn : s->last_lsn;

		has = s->first_lsn <= lsn && lsn <= last;
	}
	unlock(log);
	return has;
}

bool
log_is_copy(const struct log *log)
{
	bool is;

	lock(log);
	is = (log->root.flags & ROOT_COPY) != 0;
	unlock(log);
	return is;
}

bool
log_is_dead(const struct log *log)
{
	bool dead;

	lock(log);
	dead = log->dead;
	unlock(log);
	return dead;
}

bool
log_has_kept(const struct log *log)
{
	bool kept;

	lock(log);
	kept = log->root.kept > 0;
	unlock(log);
	return kept;
}

void
log_get_stats(struct log *log, struct log_stats *out)
{
	*out = (struct log_stats){ .bodies = log->b->ops->body_count(log->b) };
	pthread_mutex_lock(&log->lock);
	out->segments = log->root.segment_count;
	for (uint32_t i = 0; i < log->root.segment_count; i++)
		out->bytes += log->root.segments[i].state == SEGMENT_OPEN
				  ? log->tail
				  : log->root.segments[i].len;
	out->dropped = log->root.dropped_count;
	out->compacted_us = log->root.compacted_us;
	out->appends = log->appends;
	out->syncs = log->syncs;
	out->clean = !log->was_open;
	pthread_mutex_unlock(&log->lock);
	out->dropped_bytes = log_dropped_bytes(log);
}
