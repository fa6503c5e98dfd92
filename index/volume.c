/* volume - opening, closing, submitting. See volume.h and volume_impl.h. */
#include "index/volume.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/past.h"
#include "index/relocate.h"
#include "index/scrubber.h"
#include "index/volume_impl.h"
#include "lib/logging.h"
#include "store/fs.h"
#include "store/replace.h"
#include "store/space.h"

#define READERS_DEFAULT   8u
#define RESOLVE_ARENA_MAX (256u << 20)
#define MEND_PAUSE        60      /* seconds */

/* A log whose head was lost is still all the mail there is: nothing new is put among it. */
static enum rc
refuse_log(const char *path, struct err *e)
{
	char name[4096];
	enum rc rc = RC_OK;
	struct dirent *d;
	DIR *dir;

	(void)snprintf(name, sizeof name, "%s/log", path);
	dir = opendir(name);
	if (dir == NULL)
		return errno == ENOENT ? RC_OK : err_os(e, errno, "open %s", name);
	while (rc == RC_OK && (d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = err_set(e, RC_EXISTS,
			             "%s is not empty: a volume was here, whose head is lost; "
			             "restore the head, or move the rest away first",
			             name);
	(void)closedir(dir);
	return rc;
}

enum rc
volume_create(const char *path, struct err *e)
{
	char head[4096];
	enum rc rc;

	if (fs->mkdir(AT_FDCWD, path, 0700) != 0 && errno != EEXIST)
		return err_os(e, errno, "make directory %s", path);
	rc = file_sync_dir(path, e);      /* of the directory it lies in */
	(void)snprintf(head, sizeof head, "%s/head", path);
	if (rc == RC_OK && access(head, F_OK) != 0)
		rc = refuse_log(path, e);
	return rc == RC_OK ? log_create(path, e) : rc;
}

static char *
join(const char *dir, const char *name)
{
	size_t n = strlen(dir) + strlen(name) + 2;
	char *p = malloc(n);

	if (p != NULL)
		(void)snprintf(p, n, "%s/%s", dir, name);
	return p;
}

/* Whether this stretch, or a part of it, was told before. */
static bool
was_told(struct volume *v, const struct seg_id *seg, uint64_t offset, uint64_t len)
{
	struct told new = { *seg, offset, offset + (len > 0 ? len : 1) };
	bool found = false;

	(void)pthread_mutex_lock(&v->told_lock);
	for (size_t i = 0; i < v->told_count && i < TOLD_MAX && !found; i++) {
		const struct told *t = &v->told[i];

		found = t->seg.seq == seg->seq && t->seg.epoch == seg->epoch &&
		        t->seg.kind == seg->kind && t->offset < new.end && new.offset < t->end;
	}
	if (!found)
		v->told[v->told_count++ % TOLD_MAX] = new;
	(void)pthread_mutex_unlock(&v->told_lock);
	return found;
}

/* Where the damage is, so that a later start can see whether it was mended. What has no length is
 * an end that the head has taken over: nothing mends it. */
static void
note_damaged(struct volume *v, const struct seg_id *seg, uint64_t len)
{
	uint64_t none = 0;

	if (len == 0)
		atomic_store(&v->damaged, INDEX_DAMAGED_FOR_GOOD);
	else
		(void)atomic_compare_exchange_strong(&v->damaged, &none, seg->seq);
}

/* Any thread. */
static void
count_damage(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first,
             log_lsn last, const char *what)
{
	struct volume *v = arg;

	if (seg.seq != 0) {     /* a torn copy of the head costs no record */
		note_damaged(v, &seg, len);
		if (was_told(v, &seg, offset, len))
			return;
		atomic_fetch_add(&v->damage, 1);
	}
	if (v->p.report.found != NULL)
		v->p.report.found(v->p.report.arg, seg, offset, len, first, last, what);
}

bool
volume_note_found(struct volume *v, struct seg_id seg, uint64_t offset, uint64_t len)
{
	if (was_told(v, &seg, offset, len))
		return false;
	atomic_fetch_add(&v->damage, 1);
	return true;
}

void
volume_found_unreadable(struct volume *v, struct seg_id seg, uint64_t offset, uint64_t len,
                        const char *what)
{
	if (!volume_note_found(v, seg, offset, len))
		return;
	if (v->p.report.found != NULL)
		v->p.report.found(v->p.report.arg, seg, offset, len, 0, 0, what);
}

struct volume *
volume_new(const struct volume_params *p)
{
	struct volume *v = calloc(1, sizeof *v);

	if (v == NULL)
		return NULL;
	v->p = *p;
	v->report = (struct log_report){ v, count_damage };
	(void)pthread_mutex_init(&v->told_lock, NULL);
	wal_init(&v->wal, &v->suspect);
	(void)pthread_mutex_init(&v->maintenance.lock, NULL);
	(void)pthread_mutex_init(&v->claims.lock, NULL);
	(void)pthread_cond_init(&v->claims.released, NULL);
	v->name = strdup(p->name != NULL ? p->name : "");
	v->path = strdup(p->path);
	v->index_path = join(p->path, "index.db");
	v->recent = recent_new();
	v->columns = column_store_new();
	v->places = place_cache_new();
	v->boxes = box_cache_new();
	arena_init(&v->resolver.scratch, RESOLVE_ARENA_MAX);
	if (v->name == NULL || v->path == NULL || v->index_path == NULL || v->recent == NULL ||
	    v->columns == NULL || v->places == NULL || v->boxes == NULL) {
		volume_close(&v);
		return NULL;
	}
	v->p.name = v->name;
	v->p.path = v->path;
	return v;
}

static void
asked(struct change *c, void *arg)
{
	(void)arg;
	change_free(&c);
}

/* A reader met a damaged index. The writer mends it before the next change: so it gets one, which
 * changes nothing. If that did not help, not again at once. */
static void
ask_to_mend(void *arg)
{
	struct volume *v = arg;
	int64_t last = atomic_load(&v->mend_asked);
	struct timespec t;
	struct change *c;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	if ((last != 0 && t.tv_sec + 1 - last < MEND_PAUSE) ||
	    !atomic_compare_exchange_strong(&v->mend_asked, &last, t.tv_sec + 1))
		return;
	c = change_new(CHANGE_STORE);
	if (c == NULL)
		return;
	c->done = asked;
	volume_submit(v, c);
}

/* What else an index that can be written is opened for. */
static enum rc
start_index(struct volume *v, struct err *e)
{
	struct err why = ERR_INIT;

	/* What a compaction did not come to. If it fails now, maintenance does it: the old places
	 * can be read until then. */
	if (index_relocate(v, &why) != RC_OK && why.code != RC_IO && why.code != RC_CORRUPT) {
		*e = why;
		return why.code;
	}
	orphans_drop(v);
	past_drop_scratch(v->path);
	return checkpointer_start(&v->wal, v->index_path, v->db, &v->checkpointer, e);
}

/* With nothing left on the disk the volume can still be read; the writer begins with
 * trying to recover. */
static enum rc
start_writing(struct volume *v, struct err *e)
{
	struct writer_params wp = {
		.log = v->log, .ops = &volume_writer_ops, .owner = v, .relaxed = v->p.relaxed
	};
	struct err full = ERR_INIT;
	enum rc rc;

	rc = index_open(v, e);
	if (rc != RC_OK && space_is_full(e->os) && log_give_up_reserve(v->log))
		rc = index_open(v, e);
	if (rc == RC_OK)
		rc = start_index(v, e);
	if (rc != RC_OK && space_is_full(e->os)) {
		checkpointer_stop(&v->checkpointer);
		index_close(v);
		if (!log_is_copy(v->log) && index_serve_still(v)) {
			full = *e;
			wp.broken_by = &full;
			rc = RC_OK;
		}
	}
	if (rc != RC_OK)
		return rc;
	v->resolver.ap = &v->apply;
	v->resolver.db = v->db;
	v->resolver.epoch = log_epoch(v->log);
	rc = writer_start(&wp, &v->writer, e);
	if (rc != RC_OK)
		return rc;
	db_pool_watch(v->pool, ask_to_mend, v);
	rc = volume_renew(v, e);
	if (rc == RC_OK && wp.broken_by == NULL)
		inboxes_mend(v);
	return rc;
}

/* The usual mistakes: a volume that is not mounted or was never made; and one whose head is lost,
 * where no new one may be made, as the log beside it is still of use. */
static enum rc
want_head(const struct volume *v, struct err *e)
{
	char head[4096], logdir[4096];

	(void)snprintf(head, sizeof head, "%s/head", v->path);
	(void)snprintf(logdir, sizeof logdir, "%s/log", v->path);
	if (access(head, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
		return RC_OK;   /* or the log says what is wrong */
	if (access(logdir, F_OK) == 0)
		return err_set(e, RC_NOT_FOUND,
		    "the volume in %s has lost its head (restantectl restore puts a backup back)",
		    v->path);
	return err_set(e, RC_NOT_FOUND, VOLUME_MISSING, v->path, v->name);
}

static enum rc
volume_start(struct volume *v, struct err *e)
{
	struct index_meta known;
	struct log_params lp = {
		.path = v->path,
		.mode = v->p.mode == VOLUME_WRITE ? LOG_WRITE : LOG_READ,
		.lock_wait_ms = v->p.lock_wait_ms,
		.max_segment = v->p.max_segment,
		.ask_synced = index_synced,
		.ask_arg = &known,
	};
	enum rc rc;

	rc = want_head(v, e);
	if (rc != RC_OK)
		return rc;
	index_peek(v, &known);
	rc = log_open(&lp, &v->report, &v->log, e);
	v->owner = rc == RC_OK && v->p.mode == VOLUME_WRITE;
	if (rc == RC_OK)
		rc = db_pool_new(v->index_path, v->p.readers > 0 ? v->p.readers : READERS_DEFAULT,
		                 &v->suspect, &v->pool, e);
	if (rc != RC_OK)
		return rc;
	atomic_store(&v->last_lsn, log_last(v->log));
	backup_note_read(v);
	if (v->p.mode == VOLUME_WRITE)
		return start_writing(v, e);
	if (known.damaged != 0 && atomic_load(&v->damaged) == 0)
		atomic_store(&v->damaged, known.damaged);
	return RC_OK;
}

enum rc
volume_open(const struct volume_params *p, struct volume **out, struct err *e)
{
	struct volume *v = volume_new(p);
	enum rc rc;

	*out = NULL;
	if (v == NULL)
		return err_nomem(e);
	rc = volume_start(v, e);
	if (rc != RC_OK) {
		volume_close(&v);
		return rc == RC_BUSY || strstr(e->text, p->path) != NULL ?
		               rc :
		               err_add(e, "volume %s", p->path);
	}
	*out = v;
	return RC_OK;
}

/* The next start must not trust it. Where no name may be removed the file may be emptied still. */
static void
drop_suspect(const struct volume *v)
{
	struct err e = ERR_INIT;
	struct logline l;

	if (db_unlink(v->index_path, &e) == RC_OK || db_empty(v->index_path, &e) == RC_OK)
		return;
	log_begin(&l, LOGLEVEL_ERROR, "volume.index_damaged");
	log_cstr(&l, "volume", v->name);
	log_err(&l, &e);
	log_cstr(&l, "text", "the damaged index is still there: remove it, so that the next start makes a new one from the log");
	log_end(&l);
}

/* The last act on a clean end: the WAL goes into the database, so that the next start has nothing
 * to recover. A damaged index is taken away, so that the next start makes a new one. */
static void
finish_index(struct volume *v)
{
	checkpointer_stop(&v->checkpointer);
	if (v->db != NULL)
		wal_finish(&v->wal, v->db);
	db_pool_free(&v->pool);
	index_close(v);
	if (v->owner && atomic_load(&v->suspect))
		drop_suspect(v);
}

void
volume_close(struct volume **vp)
{
	struct volume *v = *vp;
	struct scrubber *scrubber;

	*vp = NULL;
	if (v == NULL)
		return;
	scrubber = atomic_exchange(&v->scrubber, NULL);
	scrubber_stop(&scrubber);
	if (v->writer != NULL)
		writer_stop(&v->writer);
	finish_index(v);
	if (v->log != NULL)
		log_close(&v->log);
	recent_free(&v->recent);
	column_store_free(&v->columns);
	place_cache_free(&v->places);
	box_cache_free(&v->boxes);
	arena_fini(&v->resolver.scratch);
	(void)pthread_mutex_destroy(&v->told_lock);
	wal_fini(&v->wal);
	free(v->maintenance.backed_up_to);
	(void)pthread_mutex_destroy(&v->maintenance.lock);
	(void)pthread_mutex_destroy(&v->claims.lock);
	(void)pthread_cond_destroy(&v->claims.released);
	free(v->owed);
	free(v->owed_accounts.ids);
	free(v->resolver.changed.ids);
	free(v->index_path);
	free(v->path);
	free(v->name);
	free(v);
}

void
volume_get_start(const struct volume *v, struct volume_start *out)
{
	struct log_stats stats;

	log_get_stats(v->log, &stats);
	*out = v->start;
	out->clean = stats.clean;
}

const char *
volume_name(const struct volume *v)
{
	return v->name;
}

bool
volume_is_damaged(const struct volume *v)
{
	return atomic_load(&v->damaged) != 0;
}

struct log *
volume_log(struct volume *v)
{
	return v->log;
}

/* ---- changes ---- */

/* What frees space, and the mark that an expunge needs, may use the volume's reserve. */
static bool
frees_space(const struct change *c)
{
	switch (c->kind) {
	case CHANGE_EXPUNGE:
	case CHANGE_MAILBOX_DELETE:
	case CHANGE_ACCOUNT_DELETE:
	case CHANGE_PRUNE:
	case CHANGE_RENEW:              /* without it the volume cannot be served at all */
		return true;
	case CHANGE_PURGE:
		return true;
	case CHANGE_STORE:
		return c->u.store.op != STORE_REMOVE && (c->u.store.flags & FLAG_DELETED) != 0;
	case CHANGE_APPEND:
	case CHANGE_COPY:
	case CHANGE_MOVE:
	case CHANGE_MAILBOX_CREATE:
	case CHANGE_MAILBOX_RENAME:
	case CHANGE_MAILBOX_ADOPT:
	case CHANGE_SUBSCRIBE:
	case CHANGE_ACCOUNT_CREATE:
	case CHANGE_ACCOUNT_QUOTA:
	case CHANGE_ACCOUNT_HIDE:
	case CHANGE_ACCOUNT_RENAME:
	case CHANGE_ACCOUNT_FLAGS:
	case CHANGE_ADOPT:
	case CHANGE_CREDENTIAL:
	case CHANGE_RESTORE:
	case CHANGE_ACCOUNT_RESTORE:
	case CHANGE_REPARSE:
	case CHANGE_SECRET:
	case CHANGE_CONFIRM:
		return false;
	}
	return false;
}

void
volume_submit(struct volume *v, struct change *c)
{
	struct writer_request *req = (struct writer_request *)&c->queue;

	assert(v->writer != NULL);
	assert((void *)req == (void *)c);
	*req = (struct writer_request){
		.relaxed_ok = c->kind == CHANGE_STORE,
		.lazy = c->kind == CHANGE_CONFIRM,
		.reserve_ok = frees_space(c),
	};
	c->rc = RC_OK;
	c->durable = false;
	c->err = (struct err)ERR_INIT;
	writer_submit(v->writer, req);
}

bool
change_is_alone(const struct change *c)
{
	const struct writer_request *req = (const void *)c;

	return req->alone;
}

static void
confirmed(struct change *c, void *arg)
{
	(void)arg;
	change_free(&c);
}

void
volume_confirm(struct volume *v, uint64_t session, const uint8_t (*keys)[DELIVERY_KEY_LEN],
               uint32_t count)
{
	struct change *c = count > 0 ? change_new(CHANGE_CONFIRM) : NULL;
	struct change_confirm *cc;

	if (c == NULL)
		return;
	cc = &c->u.confirm;
	cc->keys = arena_array(&c->arena, count, sizeof *cc->keys);
	if (cc->keys == NULL) {
		change_free(&c);
		return;
	}
	memcpy(cc->keys, keys, (size_t)count * sizeof *keys);
	cc->count = count;
	c->who = (struct frame_who){ .session = session, .protocol = PROTO_LMTP };
	c->done = confirmed;
	volume_submit(v, c);
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t  done;
	bool            is_done;
};

static void
wake(struct change *c, void *arg)
{
	struct waiter *w = arg;

	(void)c;
	(void)pthread_mutex_lock(&w->lock);
	w->is_done = true;
	(void)pthread_cond_signal(&w->done);
	(void)pthread_mutex_unlock(&w->lock);
}

enum rc
volume_submit_wait(struct volume *v, struct change *c)
{
	struct waiter w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

	c->done = wake;
	c->done_arg = &w;
	volume_submit(v, c);
	(void)pthread_mutex_lock(&w.lock);
	while (!w.is_done)
		(void)pthread_cond_wait(&w.done, &w.lock);
	(void)pthread_mutex_unlock(&w.lock);
	(void)pthread_cond_destroy(&w.done);
	(void)pthread_mutex_destroy(&w.lock);
	return c->rc;
}

/* ---- maintenance ---- */

void
volume_set_scrub_rate(struct volume *v, uint64_t bytes_per_s)
{
	struct scrubber *s = atomic_load(&v->scrubber);

	if (s == NULL && bytes_per_s > 0) {
		s = scrubber_start(v);
		atomic_store(&v->scrubber, s);
	}
	if (s != NULL)
		scrubber_set_rate(s, bytes_per_s);
}

static uint64_t
file_size(const char *path, const char *end)
{
	char name[4096];
	struct stat st;

	(void)snprintf(name, sizeof name, "%s%s", path, end);
	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static enum rc
status_of_index(struct volume *v, struct volume_status *out, struct err *e)
{
	struct index_meta m = { 0 };
	sqlite3_stmt *q;
	struct db *db;
	enum rc rc;

	rc = db_pool_borrow(v->pool, &db, e);
	if (rc != RC_OK)
		return rc;
	rc = schema_read_meta(db, &m, e);
	if (rc == RC_OK)
		rc = db_first(db, &q,
		              "SELECT (SELECT count(*) FROM account), count(*), "
		              "coalesce(sum(exists_), 0),"
		              " coalesce(sum(size), 0) FROM mailbox",
		              DB_NO_ARGS, e);
	if (rc == RC_OK) {
		out->accounts = db_u64(q, 0);
		out->mailboxes = db_u64(q, 1);
		out->messages = db_u64(q, 2);
		out->message_bytes = db_u64(q, 3);
		db_end(q);
	}
	db_pool_return(v->pool, &db);
	out->applied_lsn = m.applied;
	out->blobs = m.blobs;
	out->expunged = m.expunged;
	return rc;
}

/* The index first: what it has applied is in the log by then. */
enum rc
volume_get_status(struct volume *v, struct volume_status *out, struct err *e)
{
	struct writer_stats ws = { 0 };
	struct log_stats ls = { 0 };
	enum rc rc;

	*out = (struct volume_status){ .name = v->name };
	rc = status_of_index(v, out, e);
	log_get_stats(v->log, &ls);
	out->epoch = log_epoch(v->log);
	out->damage = atomic_load(&v->damage);
	if (out->damage == 0 && volume_is_damaged(v))
		out->damage = 1;        /* found at an earlier start */
	if (v->writer != NULL)
		writer_get_stats(v->writer, &ws);
	out->last_lsn = atomic_load(&v->last_lsn);
	out->log_bytes = ls.bytes;
	out->segments = ls.segments;
	out->dropped = ls.dropped;
	out->dropped_bytes = ls.dropped_bytes;
	out->compacted_us = ls.compacted_us;
	(void)pthread_mutex_lock(&v->maintenance.lock);
	out->dead_bytes = v->maintenance.dead_bytes;
	out->surveyed_us = v->maintenance.surveyed_us;
	out->backed_up_us = v->maintenance.backed_up_us;
	(void)snprintf(out->backed_up_to, sizeof out->backed_up_to, "%s",
	               v->maintenance.backed_up_to != NULL ? v->maintenance.backed_up_to : "");
	(void)pthread_mutex_unlock(&v->maintenance.lock);
	out->maintenance = volume_claimed(v, CLAIM_MAINTENANCE);
	out->work = volume_claimed(v, CLAIM_WORK);
	out->moving = atomic_load(&v->frozen);
	out->index_bytes = file_size(v->index_path, "") + file_size(v->index_path, "-wal");
	out->changes = atomic_load(&v->changes);
	out->batches = ws.batches;
	out->syncs = ws.syncs;
	out->queued = ws.queued;
	out->stalled = ws.stalled;
	out->full = log_is_full(v->log);
	if (atomic_load(&v->scrubber) != NULL)
		scrubber_get_status(atomic_load(&v->scrubber), &out->scrub);
	return rc;
}
