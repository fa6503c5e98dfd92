/* log - opening (takeover), appending, closing. See log.h; batch.c collects, recover.c judges,
 * replay.c reads.
 *
 * Invariants: LSNs of one epoch are consecutive over its segments; at most one segment is open, the
 * last one; the root in memory is what the backend has durably. A failed write or sync makes the
 * log dead: nothing is retried as if nothing had happened. log_reopen goes through the same
 * sealing as a start.
 */
#include "store/log_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEPT_BYTES_MAX (4u << 20)       /* unsynced frames in memory; more are synced at once */

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec < 0 ? 0 : (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static enum rc
draw_random(void *dst, size_t len, struct err *e)
{
	return getentropy(dst, len) == 0 ? RC_OK
					 : err_set(e, RC_IO, "no random bytes from the system");
}

enum rc
log_create(const char *path, struct err *e)
{
	uint8_t id[VOLUME_ID_LEN];
	enum rc rc = draw_random(id, sizeof id, e);

	return rc == RC_OK ? backend_file.create(path, id, e) : rc;
}

/* ---- opening and closing ---- */

static enum rc
draw_takeover(uint64_t *id, struct err *e)
{
	enum rc rc;

	do
		rc = draw_random(id, sizeof *id, e);
	while (rc == RC_OK && *id == 0);
	return rc;
}

static bool
same_segment(const struct seg_id *a, const struct seg_id *b)
{
	return a->seq == b->seq && a->epoch == b->epoch;
}

/* Seal what is open in the root. `ours`: the segment this process appended to, known synced up
 * to synced_tail. */
static enum rc
seal_open(struct log *log, struct root *root, const struct seg_id *ours, log_lsn known_synced,
          const struct log_report *rep, struct err *e)
{
	for (uint32_t i = 0; i < root->segment_count; i++) {
		struct root_segment *seg = &root->segments[i];
		bool own = ours != NULL && same_segment(&seg->id, ours);
		log_lsn synced = own ? log->synced_lsn : known_synced;
		enum rc rc = RC_OK;

		if (seg->state != SEGMENT_OPEN)
			continue;
		if (LSN_EPOCH(synced) != seg->id.epoch)
			synced = 0;
		if (log->mode == LOG_WRITE)
			rc = log->b->ops->segment_settle(log->b, &seg->id, !own, e);
		if (rc == RC_OK)
			rc = recover_segment(
			    log, seg, synced, own ? log->synced_tail : UINT64_MAX, rep, e);
		if (rc == RC_NOT_FOUND) {
			report_found(
			    rep, seg->id, 0, 0, seg->first_lsn, 0, "the open segment is missing");
			seg->state = SEGMENT_SEALED;
			rc = RC_OK;
		}
		if (rc == RC_OK && log->mode == LOG_WRITE)
			rc = log->b->ops->segment_seal(log->b, seg, e);
		if (rc != RC_OK)
			return err_add(
			    e, "segment %llu-%u", (unsigned long long)seg->id.seq, seg->id.epoch);
	}
	return RC_OK;
}

/* At the open: is every segment there, as long as it was sealed? Bytes are looked at when
 * they are read. */
static void
look_at_segments(struct log *log, const struct root *root, const struct log_report *rep)
{
	for (uint32_t i = 0; i < root->segment_count; i++) {
		const struct root_segment *seg = &root->segments[i];
		struct err e = ERR_INIT;
		uint64_t len;
		enum rc rc;

		if (seg->state == SEGMENT_OPEN) {
			log->was_open = true;
			continue;       /* its end is judged, not known */
		}
		rc = log->b->ops->size(log->b, &seg->id, &len, &e);
		if (rc == RC_NOT_FOUND)
			report_found(rep, seg->id, 0, seg->len, seg->first_lsn, seg->last_lsn,
			    "the segment is missing");
		else if (rc != RC_OK)
			report_found(rep, seg->id, 0, seg->len, seg->first_lsn, seg->last_lsn,
			             e.text);
		else if (len < seg->len)
			report_found(rep, seg->id, len, seg->len - len, 0, seg->last_lsn,
			    "the segment is shorter than the head says");
	}
}

/* The log continues behind this root, all of which is sealed. Takes the root over. */
static void
continue_from(struct log *log, struct root *root)
{
	pthread_mutex_lock(&log->lock);
	root_fini(&log->root);
	log->root = *root;
	*root = (struct root){ .segments = NULL };
	if (log->root.compactions >= log->next_seq)
		log->next_seq = log->root.compactions + 1;
	for (uint32_t i = 0; i < log->root.dropped_count; i++)
		if (log->root.dropped[i].kind == SEG_LOG &&
		    log->root.dropped[i].seq >= log->next_seq)
			log->next_seq = log->root.dropped[i].seq + 1;
	log->has_open = false;
	log->tail = log->synced_tail = 0;
	log->last_lsn = log->synced_lsn;
	for (uint32_t i = 0; i < log->root.segment_count; i++) {
		const struct root_segment *s = &log->root.segments[i];

		if (s->last_lsn >= s->first_lsn && s->last_lsn > log->last_lsn)
			log->last_lsn = s->last_lsn;
		if (s->last_time_us > log->last_time_us)
			log->last_time_us = s->last_time_us;
		if (s->id.seq >= log->next_seq)
			log->next_seq = s->id.seq + 1;
	}
	log->synced_lsn = log->last_lsn;
	log->next_lsn = LSN_MAKE(log->root.epoch, 1);
	log->dead = false;
	pthread_mutex_unlock(&log->lock);
}

static void
free_kept(struct kept_frame *k)
{
	while (k != NULL) {
		struct kept_frame *next = k->next;

		free(k);
		k = next;
	}
}

static void
log_free(struct log *log)
{
	if (log->b != NULL)
		log->b->ops->release(&log->b);
	root_fini(&log->root);
	free_kept(log->kept);
	free(log->doubtful);
	pthread_mutex_destroy(&log->lock);
	pthread_mutex_destroy(&log->reaping);
	free(log);
}

/* What the index knows; it is asked with a root whose segments are not judged yet,
 * and so not shown. */
static log_lsn
ask_synced(struct log *log, const struct root *root, const struct log_params *p)
{
	if (p->ask_synced == NULL)
		return p->known_synced;
	log->root = *root;
	log->root.segments = NULL;
	log->root.segment_count = 0;
	log->root.dropped = NULL;
	log->root.dropped_count = 0;
	return p->ask_synced(p->ask_arg, log);
}

static enum rc
open_backend(
    struct log *log, const struct log_params *p, const struct log_report *rep, struct err *e)
{
	const struct backend_ops *ops = p->backend != NULL ? p->backend : &backend_file;
	struct backend_acquire how = { .mode = p->mode, .lock_wait_ms = p->lock_wait_ms };
	struct root root = { .segments = NULL };
	enum rc rc;

	rc = draw_takeover(&how.takeover_id, e);
	if (rc == RC_OK)
		rc = ops->acquire(p->path, &how, &log->b, e);
	if (rc != RC_OK)
		return rc;
	log->b->ops->caps(log->b, &log->caps);
	if (p->max_segment > 0)
		log->caps.max_segment = p->max_segment;
	rc = log->b->ops->root(log->b, &root, e);
	/* A backup that was cut leaves one; the next makes it whole. */
	if (rc == RC_OK && root.bad_slots > 0 && (root.flags & ROOT_COPY) == 0)
		report_found(rep, (struct seg_id){ 0, root.epoch, SEG_LOG }, 0, 0, 0, 0,
		    "a copy of the head does not hold");
	if (rc == RC_OK && root.kept > 0)
		report_found(rep, (struct seg_id){ 0, root.epoch, SEG_LOG }, 0, 0, 0, 0,
		    "a segment that no head lists was put aside, as it may hold mail: log/*.kept");
	if (rc == RC_OK)
		look_at_segments(log, &root, rep);
	if (rc == RC_OK)
		rc = seal_open(log, &root, NULL, ask_synced(log, &root, p), rep, e);
	if (rc == RC_OK)
		continue_from(log, &root);
	root_fini(&root);
	return rc;
}

enum rc
log_open(const struct log_params *p, const struct log_report *rep, struct log **out, struct err *e)
{
	struct log *log = calloc(1, sizeof *log);
	enum rc rc;

	*out = NULL;
	if (log == NULL)
		return err_nomem(e);
	pthread_mutex_init(&log->lock, NULL);
	pthread_mutex_init(&log->reaping, NULL);
	log->mode = p->mode;
	log->kept_end = &log->kept;
	log->next_seq = 1;
	rc = open_backend(log, p, rep, e);
	if (rc != RC_OK) {
		log_free(log);
		return rc;
	}
	*out = log;
	return RC_OK;
}

/* The last segment as it stands in memory, sealed at the tail. */
struct root_segment
log_sealed_tail(const struct log *log)
{
	struct root_segment seg = log->root.segments[log->root.segment_count - 1];

	seg.state = SEGMENT_SEALED;
	seg.len = log->tail;
	seg.last_lsn = log->tail > SEGMENT_HDR_LEN ? log->last_lsn : seg.first_lsn - 1;
	seg.last_time_us = log->last_time_us;
	return seg;
}

/* ---- appending ---- */

bool
log_is_starved(const struct log *log)
{
	return log->b->ops->starved(log->b);
}

bool
log_is_full(const struct log *log)
{
	return log->b->ops->full(log->b);
}

bool
log_give_up_reserve(struct log *log)
{
	return log->mode == LOG_WRITE && log->b->ops->give_up_reserve(log->b);
}

/* Waits for a backend's answer; with the file backend it is there already. */
struct waiter {
	pthread_mutex_t     lock;
	pthread_cond_t      cond;
	bool                answered;
	enum append_outcome outcome;
	struct err         *e;
};

static void
waiter_init(struct waiter *w, struct err *e)
{
	*w = (struct waiter){ .e = e };
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
}

static void
waiter_answer(void *arg, enum append_outcome outcome, const struct err *e)
{
	struct waiter *w = arg;

	pthread_mutex_lock(&w->lock);
	w->outcome = outcome;
	if (outcome != APPEND_DONE)
		*w->e = *e;
	w->answered = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static enum append_outcome
waiter_wait(struct waiter *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->answered)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	return w->outcome;
}

void
log_set_dead(struct log *log)
{
	pthread_mutex_lock(&log->lock);
	log->dead = true;
	pthread_mutex_unlock(&log->lock);
}

/* All that is written is durable now. */
static void
note_synced(struct log *log)
{
	free_kept(log->kept);
	log->kept = NULL;
	log->kept_end = &log->kept;
	log->kept_bytes = 0;
	pthread_mutex_lock(&log->lock);
	log->synced_lsn = log->last_lsn;
	log->synced_tail = log->tail;
	log->syncs++;
	pthread_mutex_unlock(&log->lock);
}

bool
log_is_synced(const struct log *log)
{
	return log->synced_tail == log->tail;
}

enum rc
log_sync(struct log *log, struct err *e)
{
	struct waiter w;

	if (log->dead)
		return err_set(e, RC_IO, "the log is dead after a failed write");
	if (log_is_synced(log))
		return RC_OK;
	waiter_init(&w, e);
	log->b->ops->sync(log->b, waiter_answer, &w);
	if (waiter_wait(&w) != APPEND_DONE) {
		log_set_dead(log);
		return e->code;
	}
	note_synced(log);
	return RC_OK;
}

uint64_t
log_take_seq(struct log *log)
{
	uint64_t seq;

	pthread_mutex_lock(&log->lock);
	seq = log->next_seq++;  /* also if nothing comes of it: a name is never tried twice */
	pthread_mutex_unlock(&log->lock);
	return seq;
}

static enum rc
new_segment(
    struct log *log, struct root_segment *seg, uint8_t header[SEGMENT_HDR_LEN], struct err *e)
{
	struct segment_hdr hdr = { .seq = log_take_seq(log), .epoch = log->root.epoch };
	enum rc rc = draw_random(hdr.key, sizeof hdr.key, e);

	if (rc != RC_OK)
		return rc;
	memcpy(hdr.volume_id, log->root.volume_id, sizeof hdr.volume_id);
	segment_hdr_encode(&hdr, header);
	*seg = (struct root_segment){
		.id = { hdr.seq, hdr.epoch, SEG_LOG },
		.state = SEGMENT_OPEN,
		.len = SEGMENT_HDR_LEN,
		.first_lsn = log->next_lsn,
		.last_lsn = log->next_lsn - 1,
		.last_time_us = log->last_time_us,
	};
	memcpy(seg->key, hdr.key, sizeof seg->key);
	return RC_OK;
}

/* The root in memory follows what the backend has just made durable. */
static enum rc
add_segment(struct log *log, const struct root_segment *seg, const struct root_segment *sealed,
    struct err *e)
{
	struct root_segment *s = NULL;

	pthread_mutex_lock(&log->lock);
	s = realloc(log->root.segments, (log->root.segment_count + 1u) * sizeof *s);
	if (s != NULL) {
		if (sealed != NULL)
			s[log->root.segment_count - 1] = *sealed;
		s[log->root.segment_count++] = *seg;
		log->root.segments = s;
		log->has_open = true;
		log->tail = log->synced_tail = SEGMENT_HDR_LEN;
	} else {
		log->dead = true;
	}
	pthread_mutex_unlock(&log->lock);
	return s != NULL ? RC_OK : err_nomem(e);
}

/* Make a fresh segment the open one; the one before is synced and sealed. */
static enum rc
roll(struct log *log, bool reserve_ok, struct err *e)
{
	uint8_t header[SEGMENT_HDR_LEN];
	struct root_segment seg, sealed;
	enum append_outcome outcome;
	enum rc rc = RC_OK;

	if (log->has_open) {
		rc = log_sync(log, e);
		sealed = log_sealed_tail(log);
	}
	if (rc == RC_OK)
		rc = new_segment(log, &seg, header, e);
	if (rc != RC_OK)
		return rc;
	outcome = log->b->ops->segment_create(log->b, &seg, slice_of(header, sizeof header),
	    reserve_ok, log->has_open ? &sealed : NULL, e);
	if (outcome == APPEND_DONE)
		return add_segment(log, &seg, log->has_open ? &sealed : NULL, e);
	if (outcome == APPEND_DEAD) {
		orphans_doubt(log, &seg.id, NULL, 0);
		log_set_dead(log);
	}
	return e->code;
}

/* Copies of the batch's frames, for a log that may die before they are synced. False: no memory. */
static bool
copy_frames(const struct log_batch *b, struct kept_frame **first, struct kept_frame ***end)
{
	*first = NULL;
	*end = first;
	for (size_t i = 0; i < b->frame_count; i++) {
		struct kept_frame *k = batch_keep(b, &b->frames[i]);

		if (k == NULL) {
			free_kept(*first);
			return false;
		}
		**end = k;
		*end = &k->next;
	}
	return true;
}

static void
note_written(struct log *log, struct log_batch *b, uint64_t time_us)
{
	b->appended = true;
	log->next_lsn = b->next_lsn;
	pthread_mutex_lock(&log->lock);
	log->last_time_us = time_us;
	log->tail += b->total;
	log->last_lsn = b->next_lsn - 1;
	log->appends++;
	pthread_mutex_unlock(&log->lock);
}

static enum rc
write_batch(struct log *log, struct log_batch *b, bool unsynced, bool reserve_ok, struct err *e)
{
	const struct root_segment *seg = &log->root.segments[log->root.segment_count - 1];
	struct backend_append what = { .offset = log->tail,
		.len = b->total,
		.first_lsn = log->next_lsn,
		.unsynced = unsynced,
		.reserve_ok = reserve_ok };
	uint64_t time_us = now_us();
	enum append_outcome outcome;
	struct waiter w;
	enum rc rc;

	if (time_us < log->last_time_us)
		time_us = log->last_time_us;
	rc = batch_seal(
	    b, seg, log->tail, log->synced_lsn, time_us, unsynced ? FRAME_UNSYNCED : 0, e);
	if (rc != RC_OK)
		return rc;
	what.iov = b->iov;
	what.iov_count = b->piece_count;
	waiter_init(&w, e);
	log->b->ops->append(log->b, &what, waiter_answer, &w);
	outcome = waiter_wait(&w);
	if (outcome == APPEND_DEAD)
		log_set_dead(log);
	if (outcome != APPEND_DONE)
		return e->code;
	note_written(log, b, time_us);
	if (!unsynced)
		note_synced(log);
	return RC_OK;
}

enum rc
log_append(struct log *log, struct log_batch *b, bool unsynced, bool reserve_ok, struct err *e)
{
	struct kept_frame *first = NULL, **end = &first;
	enum rc rc = RC_OK;

	if (log->mode != LOG_WRITE)
		return err_set(e, RC_DENIED, "the log is open for reading only");
	if (log->dead)
		return err_set(e, RC_IO, "the log is dead after a failed write");
	if (b->frame_count == 0)
		return RC_OK;
	assert(b->frames[0].first_lsn == log->next_lsn && !b->appended);
	if (unsynced &&
	    (log->kept_bytes + b->total > KEPT_BYTES_MAX || !copy_frames(b, &first, &end)))
		unsynced = false;
	if (!log->has_open ||
	    (log->tail + b->total > log->caps.max_segment && log->tail > SEGMENT_HDR_LEN))
		rc = roll(log, reserve_ok, e);
	if (rc == RC_OK)
		rc = write_batch(log, b, unsynced, reserve_ok, e);
	if (rc != RC_OK || first == NULL) {
		free_kept(first);
		return rc;
	}
	*log->kept_end = first;
	log->kept_end = end;
	log->kept_bytes += b->total;
	return RC_OK;
}

/* ---- the same process goes on ---- */

/* What was answered unsynced is still in memory: into the log with it, synced this time. */
static enum rc
append_kept(struct log *log, struct err *e)
{
	struct kept_frame *kept = log->kept, **kept_end = log->kept_end;
	size_t kept_bytes = log->kept_bytes;
	struct log_batch *b;
	enum rc rc;

	if (kept == NULL)
		return RC_OK;
	rc = log_batch_new(log, &b, e);
	for (const struct kept_frame *k = kept; k != NULL && rc == RC_OK; k = k->next)
		rc = batch_add_raw(b, k, e);
	log->kept = NULL;
	log->kept_end = &log->kept;
	log->kept_bytes = 0;
	if (rc == RC_OK)
		rc = log_append(log, b, false, true, e);
	if (rc == RC_OK) {
		free_kept(kept);
	} else {
		log->kept = kept;
		log->kept_end = kept_end;
		log->kept_bytes = kept_bytes;
	}
	log_batch_free(&b);
	return rc;
}

enum rc
log_reopen(struct log *log, const struct log_report *rep, struct err *e)
{
	struct root root = { .segments = NULL };
	struct seg_id ours = { 0, 0, SEG_LOG };
	uint64_t takeover;
	enum rc rc;

	assert(log->mode == LOG_WRITE);
	log_set_dead(log);
	if (log->has_open)
		ours = log->root.segments[log->root.segment_count - 1].id;
	rc = draw_takeover(&takeover, e);
	if (rc == RC_OK)
		rc = log->b->ops->reacquire(log->b, takeover, e);
	if (rc == RC_OK)
		rc = log->b->ops->root(log->b, &root, e);
	if (rc == RC_OK)
		rc = seal_open(log, &root, log->has_open ? &ours : NULL, 0, rep, e);
	if (rc == RC_OK) {
		continue_from(log, &root);
		orphans_settle(log);
		rc = append_kept(log, e);
		if (rc != RC_OK)
			log_set_dead(log);
	}
	root_fini(&root);
	return rc;
}

/* ---- closing ---- */

void
log_close(struct log **logp)
{
	struct log *log = *logp;
	struct root_segment seg;
	struct err e;

	if (log == NULL)
		return;
	*logp = NULL;
	/* Who dies with it knows best where it was synced, and has what was answered unsynced: a
	 * last try for both. */
	if (log->mode == LOG_WRITE && log->dead && log_reopen(log, NULL, &e) != RC_OK)
		log->dead = true;
	/* Sealing now spares the next start a scan; when it fails, that start does it. */
	if (log->mode == LOG_WRITE && log->has_open && !log->dead && log_sync(log, &e) == RC_OK) {
		seg = log_sealed_tail(log);
		if (log->b->ops->segment_seal(log->b, &seg, &e) != RC_OK)
			log->dead = true;
	}
	log_free(log);
}

/* ---- out-of-line bodies ---- */

struct log_body {
	struct log          *log;
	struct backend_body *body;
};

enum rc
log_body_begin(struct log *log, struct log_body **out, struct err *e)
{
	struct log_body *body;
	enum rc rc;

	*out = NULL;
	if (log->mode != LOG_WRITE)
		return err_set(e, RC_DENIED, "the log is open for reading only");
	body = calloc(1, sizeof *body);
	if (body == NULL)
		return err_nomem(e);
	body->log = log;
	rc = log->b->ops->body_begin(log->b, &body->body, e);
	if (rc != RC_OK) {
		free(body);
		return rc;
	}
	*out = body;
	return RC_OK;
}

enum rc
log_body_write(struct log_body *body, struct slice bytes, struct err *e)
{
	return body->log->b->ops->body_write(body->body, bytes, e);
}

enum rc
log_body_finish(struct log_body **body, struct log_addr *addr, struct err *e)
{
	enum rc rc = (*body)->log->b->ops->body_finish(&(*body)->body, addr, e);

	free(*body);
	*body = NULL;
	return rc;
}

void
log_body_abort(struct log_body **body)
{
	if (*body == NULL)
		return;
	(*body)->log->b->ops->body_abort(&(*body)->body);
	free(*body);
	*body = NULL;
}

enum rc
log_list_bodies(struct log *log, struct seg_id **ids, size_t *count, struct err *e)
{
	uint32_t epoch = log_epoch(log);
	size_t kept = 0;
	enum rc rc;

	*ids = NULL;
	*count = 0;
	rc = log->b->ops->body_list(log->b, ids, count, e);
	for (size_t i = 0; rc == RC_OK && i < *count; i++)
		if ((*ids)[i].epoch < epoch)
			(*ids)[kept++] = (*ids)[i];
	*count = kept;
	return rc;
}

enum rc
log_remove_body(struct log *log, const struct seg_id *id, struct err *e)
{
	if (log->mode != LOG_WRITE)
		return err_set(e, RC_DENIED, "the log is open for reading only");
	return log->b->ops->body_remove(log->b, id, e);
}
