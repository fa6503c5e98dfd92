/* copy - a copy of a volume's log in a directory. See copy.h. */
#include "store/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"
#include "store/copy_dir.h"
#include "store/log_impl.h"
#include "store/piece.h"
#include "store/scan.h"

#define READ_LEN  (1u << 20)
#define BLOCK_LEN 4096u                 /* what is tried alone when the disk fails */

enum item_state {
	ITEM_THERE,
	ITEM_GROWN,                     /* the copy has its first `from` bytes */
	ITEM_NEW,
};

struct item {
	struct seg_id              id;
	const struct root_segment *seg;         /* of a segment */
	enum item_state            state;
	uint64_t                   from, len;
	log_lsn                    known;       /* frames up to this LSN were verified when
	                                         * they were copied */
};

struct copying {
	struct log               *log;
	const struct copy_params *p;
	const struct log_report  *rep;
	struct copy_result       *out;
	struct copy_dir           dir;
	struct root               root;         /* as it will be in the copy */
	struct item              *items;
	size_t                    count;
	struct seg_id            *ids;          /* of the items, sorted */
	uint8_t                  *buffer;
	uint64_t                  total, done, started_ms;
};

static void
found(struct copying *c, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first,
      log_lsn last, const char *what)
{
	c->out->damage++;
	report_found(c->rep, seg, offset, len, first, last, what);
}

/* ---- what there is to copy ---- */

/* The log as far as it is synced: no more of it is sure to stay. */
static enum rc
take_root(struct copying *c, struct err *e)
{
	struct log *log = c->log;
	struct root *r = &c->root;
	enum rc rc;

	pthread_mutex_lock(&log->lock);
	rc = root_copy(r, &log->root, e);
	if (rc == RC_OK && log->has_open) {
		struct root_segment *s = &r->segments[r->segment_count - 1];

		s->state = SEGMENT_SEALED;
		s->len = log->synced_tail;
		s->last_lsn = log->synced_tail > SEGMENT_HDR_LEN ? log->synced_lsn
		                                                 : s->first_lsn - 1;
		s->last_time_us = log->last_time_us;
	}
	pthread_mutex_unlock(&log->lock);
	if (rc != RC_OK || log->mode == LOG_WRITE || r->segment_count == 0)
		return rc;
	/* Nobody has it open: what a killed owner wrote last may be in the page cache only, and the
	 * copy must not know more than what the next owner finds. That it cannot be read is
	 * found out below. */
	(void)log->b->ops->segment_settle(log->b, &r->segments[r->segment_count - 1].id, true, e);
	return RC_OK;
}

static bool
is_dropped(const struct root *r, const struct seg_id *id)
{
	for (uint32_t i = 0; i < r->dropped_count; i++)
		if (seg_id_same(&r->dropped[i], id))
			return true;
	return false;
}

static const struct root_segment *
find_former(const struct copying *c, const struct root_segment *seg)
{
	for (uint32_t i = 0; i < c->dir.former.segment_count; i++) {
		const struct root_segment *f = &c->dir.former.segments[i];

		if (seg_id_same(&f->id, &seg->id) && memcmp(f->key, seg->key, SEGMENT_KEY_LEN) == 0)
			return f;
	}
	return NULL;
}

/* Does the file there hold this segment, and not another of its name? */
static bool
is_same_segment(const struct copying *c, const struct root_segment *seg)
{
	uint8_t bytes[SEGMENT_HDR_LEN];
	struct segment_hdr h;

	return copy_dir_peek(&c->dir, &seg->id, bytes, sizeof bytes) &&
	       segment_hdr_decode(slice_of(bytes, sizeof bytes), &h) &&
	       memcmp(h.key, seg->key, SEGMENT_KEY_LEN) == 0;
}

/* What has the right length is whole: it got its name when it was synced. Not so what is written
 * behind the former end: that counts only once a head has told it. */
static struct item
plan_segment(const struct copying *c, const struct root_segment *seg)
{
	struct item it = { .id = seg->id, .seg = seg, .state = ITEM_NEW, .len = seg->len };
	const struct root_segment *f = find_former(c, seg);
	uint64_t size = copy_dir_size(&c->dir, &seg->id);

	if (size == 0 || !is_same_segment(c, seg))
		return it;
	if (f == NULL || f->len >= seg->len) {
		it.state = size == (f != NULL ? f->len : seg->len) ? ITEM_THERE : ITEM_NEW;
	} else if (size >= f->len) {
		it.state = ITEM_GROWN;
		it.from = f->len;
		it.known = f->last_lsn;
	}
	return it;
}

/* Bodies that nothing names yet are copied too: the head cannot tell, and the copy's first
 * owner removes them. */
static enum rc
plan_bodies(struct copying *c, const struct root *source, const struct seg_id *ids, size_t count,
            struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct item it = { .id = ids[i], .state = ITEM_NEW };
		enum rc rc = c->log->b->ops->size(c->log->b, &ids[i], &it.len, e);

		if (rc == RC_NOT_FOUND || is_dropped(source, &ids[i]))
			continue;       /* given up meanwhile */
		if (rc != RC_OK)
			return rc;
		if (it.len > 0 && copy_dir_size(&c->dir, &ids[i]) == it.len)
			it.state = ITEM_THERE;
		c->items[c->count++] = it;
	}
	return RC_OK;
}

static void
add_up(struct copying *c)
{
	struct copy_result *out = c->out;

	for (size_t i = 0; i < c->count; i++) {
		const struct item *it = &c->items[i];

		out->bytes += it->len;
		out->segments += it->seg != NULL;
		out->bodies += it->seg == NULL;
		if (it->state != ITEM_THERE) {
			out->pieces_copied++;
			c->total += it->len - it->from;
		}
		if (it->seg != NULL && it->seg->last_lsn >= it->seg->first_lsn &&
		    it->seg->last_lsn > out->last_lsn) {
			out->last_lsn = it->seg->last_lsn;
			out->last_time_us = it->seg->last_time_us;
		}
	}
}

static enum rc
make_plan(struct copying *c, struct err *e)
{
	struct backend *b = c->log->b;
	struct seg_id *ids = NULL;
	size_t count = 0;
	enum rc rc;

	/* Behind the root: each body that a record of it names was there before. */
	rc = b->ops->body_list(b, &ids, &count, e);
	if (rc != RC_OK)
		return rc;
	c->items = calloc(c->root.segment_count + count + 1, sizeof *c->items);
	if (c->items == NULL)
		rc = err_nomem(e);
	for (uint32_t i = 0; rc == RC_OK && i < c->root.segment_count; i++)
		c->items[c->count++] = plan_segment(c, &c->root.segments[i]);
	if (rc == RC_OK)
		rc = plan_bodies(c, &c->root, ids, count, e);
	free(ids);
	if (rc == RC_OK)
		add_up(c);
	return rc;
}

/* ---- bytes ---- */

/* Read what can be read; a block that cannot becomes zeros. */
static enum rc
read_around(struct copying *c, const struct item *it, uint64_t at, size_t len, size_t *got,
            bool *holes, struct err *e)
{
	struct backend *b = c->log->b;

	for (size_t n = BLOCK_LEN; *got < len && n > 0;) {
		size_t want = len - *got < BLOCK_LEN ? len - *got : BLOCK_LEN;
		enum rc rc = b->ops->read(b, &it->id, at + *got, c->buffer + *got, want, &n, e);

		if (rc != RC_OK) {
			if (e->os != EIO)
				return rc;
			memset(c->buffer + *got, 0, want);
			found(c, it->id, at + *got, want, 0, 0,
			      "the disk cannot read this; zeros in the copy");
			*holes = true;
			n = want;
		}
		*got += n;
	}
	return RC_OK;
}

static enum rc
read_piece(struct copying *c, const struct item *it, uint64_t at, size_t *got, bool *holes,
           struct err *e)
{
	struct backend *b = c->log->b;
	size_t want = it->len - at < READ_LEN ? (size_t)(it->len - at) : READ_LEN;
	enum rc rc = b->ops->read(b, &it->id, at, c->buffer, want, got, e);

	if (rc == RC_IO && e->os == EIO) {
		*got = 0;
		rc = read_around(c, it, at, want, got, holes, e);
	}
	return rc;
}

/* Not faster than the rate. */
static enum rc
go_on(struct copying *c, struct err *e)
{
	uint64_t due = c->p->rate > 0 ? c->done / (c->p->rate / 1000 + 1) : 0;
	uint64_t now = clock_mono_ms() - c->started_ms;

	while (due > now) {
		uint64_t ms = due - now < 200 ? due - now : 200;
		struct timespec pause = { 0, (long)ms * 1000000L };

		nanosleep(&pause, NULL);
		now = clock_mono_ms() - c->started_ms;
		if (c->p->progress != NULL &&
		    !c->p->progress(c->p->progress_arg, c->done, c->total))
			break;
	}
	if (c->p->progress != NULL && !c->p->progress(c->p->progress_arg, c->done, c->total))
		return err_set(e, RC_CANCELLED, "stopped; the former backup counts");
	return RC_OK;
}

static enum rc
write_piece(struct copying *c, const struct item *it, int fd, struct err *e)
{
	uint64_t at = it->from;
	bool holes = false;
	size_t got;
	enum rc rc = RC_OK;

	for (got = 1; rc == RC_OK && at < it->len && got > 0; at += got) {
		struct iovec iov;
		int os;

		rc = read_piece(c, it, at, &got, &holes, e);
		if (rc != RC_OK)
			return rc;
		iov = (struct iovec){ c->buffer, got };
		os = write_all(fd, &iov, 1, at);
		if (os != 0)
			return err_os(e, os, "write to %s", c->p->path);
		c->done += got;
		c->out->bytes_copied += got;
		rc = go_on(c, e);
	}
	if (rc == RC_OK && at < it->len && it->seg != NULL)
		found(c, it->id, at, it->len - at, 0, it->seg->last_lsn,
		      "the segment is shorter than the head says");
	/* a length that is never right: the next try copies it again */
	if (rc == RC_OK && holes) {
		struct iovec iov = { (uint8_t[1]){ 0 }, 1 };
		int os = write_all(fd, &iov, 1, it->len);

		if (os != 0)
			rc = err_os(e, os, "write to %s", c->p->path);
	}
	return rc;
}

/* What is copied is looked at once: later it is too late to say that it was bad already. */
static enum rc
verify_segment(struct copying *c, const struct item *it, struct err *e)
{
	struct scan_item item = { .kind = SCAN_FRAME };
	struct scan s;
	enum rc rc = scan_init(&s, c->log->b, it->seg, it->len, e);

	if (rc != RC_OK)
		return rc;
	s.skip_upto = it->known;
	if (s.header_bad)
		found(c, it->id, 0, SEGMENT_HDR_LEN, 0, 0, "the segment's header does not hold");
	while (rc == RC_OK && item.kind != SCAN_END) {
		log_lsn before = s.last_lsn;

		rc = scan_next(&s, &item, e);
		if (rc == RC_OK && item.kind == SCAN_GAP && !item.unreadable)
			found(c, it->id, item.offset, item.len, before + 1, 0, item.what);
	}
	scan_fini(&s);
	return rc;
}

static enum rc
copy_item(struct copying *c, const struct item *it, struct err *e)
{
	bool begun = it->state == ITEM_NEW;
	int fd = begun ? copy_dir_begin(&c->dir, &it->id) : copy_dir_continue(&c->dir, &it->id);
	enum rc rc;

	if (fd < 0)
		return err_os(e, errno, "write to %s", c->p->path);
	rc = write_piece(c, it, fd, e);
	if (rc != RC_OK) {
		copy_dir_abandon(&c->dir, &it->id, fd, begun);
		return rc;
	}
	rc = copy_dir_finish(&c->dir, &it->id, fd, begun, e);
	return rc == RC_OK && it->seg != NULL ? verify_segment(c, it, e) : rc;
}

static enum rc
copy_items(struct copying *c, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < c->count; i++) {
		const struct item *it = &c->items[i];

		if (it->state == ITEM_THERE)
			continue;
		rc = copy_item(c, it, e);
		if (rc != RC_NOT_FOUND)
			continue;
		if (it->seg != NULL)
			found(c, it->id, 0, it->len, it->seg->first_lsn, it->seg->last_lsn,
			      "the segment is missing");
		rc = RC_OK;             /* a body: given up meanwhile */
	}
	return rc;
}

/* ---- the whole ---- */

static int
compare_ids(const void *pa, const void *pb)
{
	const struct seg_id *a = pa, *b = pb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

static bool
is_item(void *arg, const struct seg_id *id)
{
	const struct copying *c = arg;

	return bsearch(id, c->ids, c->count, sizeof *id, compare_ids) != NULL;
}

static enum rc
sort_ids(struct copying *c, struct err *e)
{
	c->ids = calloc(c->count + 1, sizeof *c->ids);
	if (c->ids == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < c->count; i++)
		c->ids[i] = c->items[i].id;
	qsort(c->ids, c->count, sizeof *c->ids, compare_ids);
	return RC_OK;
}

static enum rc
want_room(const struct copying *c, struct err *e)
{
	uint64_t room;

	if (!copy_dir_room(&c->dir, &room) || room >= c->total)
		return RC_OK;
	return err_os(e, ENOSPC, "%s: %llu bytes are to be copied, %llu are free", c->p->path,
	              (unsigned long long)c->total, (unsigned long long)room);
}

/* A copy of this volume that was put back passes over epochs: what it has backed up there is in no log of ours. */
static enum rc
want_no_later(const struct copying *c, struct err *e)
{
	uint32_t there = c->dir.former.epoch, here = c->root.epoch;

	if (there <= here)
		return RC_OK;
	return err_set(e, RC_DENIED,
	               "%s is of epoch %u, and this volume of %u: a copy that was put back has been backed up there, "
	               "and what it has would be removed; name another place", c->p->path, there, here);
}

static void
mark_copy(struct root *r)
{
	free(r->dropped);
	r->dropped = NULL;
	r->dropped_count = 0;
	r->flags |= ROOT_COPY;
	r->pid = 0;
}

static enum rc
run(struct copying *c, struct err *e)
{
	enum rc rc = make_plan(c, e);

	if (rc == RC_OK)
		rc = sort_ids(c, e);
	if (rc != RC_OK)
		return rc;
	if (c->p->epoch > c->root.epoch)
		c->root.epoch = c->p->epoch;
	if (c->root.epoch >= LSN_EPOCH_MAX - COPY_EPOCHS)
		return err_set(e, RC_LIMIT, "the volume has used up its %u epochs", LSN_EPOCH_MAX);
	c->out->fresh = c->dir.fresh;
	c->out->epoch = c->root.epoch;
	if (c->p->dry_run) {
		c->out->bytes_copied = c->total;
		c->out->removed = copy_dir_sweep(&c->dir, is_item, c, true);
		return rc;
	}
	c->buffer = malloc(READ_LEN);
	if (c->buffer == NULL)
		return err_nomem(e);
	mark_copy(&c->root);
	c->started_ms = clock_mono_ms();
	rc = want_room(c, e);
	if (rc == RC_OK)
		rc = copy_items(c, e);
	if (rc == RC_OK)
		rc = copy_dir_commit(&c->dir, &c->root, e);
	if (rc == RC_OK)
		c->out->removed = copy_dir_sweep(&c->dir, is_item, c, false);
	return rc;
}

enum rc
log_copy(struct log *log, const struct copy_params *p, const struct log_report *rep,
         struct copy_result *out, struct err *e)
{
	struct copying c = { .log = log, .p = p, .rep = rep, .out = out };
	uint8_t volume_id[VOLUME_ID_LEN];
	struct copy_dir_params dp = {
		.path = p->path, .volume_id = volume_id, .fresh_only = p->fresh_only,
		.dry_run = p->dry_run
	};
	enum rc rc;

	log_volume_id(log, volume_id);
	*out = (struct copy_result){ .fresh = false };
	rc = copy_dir_open(&dp, &c.dir, e);
	if (rc != RC_OK)
		return rc;
	log_hold(log);
	rc = take_root(&c, e);
	if (rc == RC_OK)
		rc = want_no_later(&c, e);
	if (rc == RC_OK)
		rc = run(&c, e);
	log_unhold(log);
	copy_dir_close(&c.dir);
	root_fini(&c.root);
	free(c.items);
	free(c.ids);
	free(c.buffer);
	return rc;
}
