/* scrubber - see scrubber.h, and volume_scrub in volume.h.
 *
 * It holds no lock of the volume: sealed segments do not change, and one that compaction takes away
 * is passed over. A round begins at most once an hour, so that a small volume is not read all day.
 */
#include "index/scrubber.h"

#include "index/concern.h"
#include "index/volume_impl.h"
#include "lib/logging.h"
#include "store/piece.h"
#include "store/scrub.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUND_MIN_S 3600u
#define PACE_BYTES  (64u << 10)         /* at least so many between two sleeps */
#define RETRY_S     60u

struct scrubber {
	struct volume      *v;
	pthread_t           thread;
	pthread_mutex_t     lock;       /* over what follows */
	pthread_cond_t      wake;
	bool                stop;
	uint64_t            rate;       /* bytes per second, 0: asleep */
	log_lsn             after;      /* the first LSN of the segment scrubbed last */
	struct scrub_status status;

	/* The thread alone. */
	uint64_t            owed;       /* bytes read and not slept for */
};

/* ---- what is found ---- */

/* Names whom it concerns, and hands it on. */
struct naming {
	struct volume             *v;
	const struct check_report *rep;
	uint64_t                   findings;
};

static void
tell_named(struct naming *n, struct concern *c, struct check_finding *f)
{
	f->first = c->first;
	f->last = c->last;
	f->records = c->records;
	f->mended = c->mended;
	f->named = c->named;
	f->named_count = c->count;
	f->more = c->more;
	n->findings++;
	if (n->rep != NULL && n->rep->found != NULL)
		n->rep->found(n->rep->arg, f);
}

/* With an index to ask, if there is one. */
static void
begin_naming(struct naming *n, struct concern *c, struct db **db)
{
	struct err e = ERR_INIT;

	*db = NULL;
	if (db_pool_borrow(n->v->pool, db, &e) != RC_OK)
		*db = NULL;
	concern_init(c, n->v->log, *db);
}

static void
end_naming(struct naming *n, struct concern *c, struct db **db)
{
	concern_fini(c);
	db_pool_return(n->v->pool, db);
}

static void
found(void *arg, const struct log_addr *stretch, log_lsn first, log_lsn last, const char *what)
{
	struct naming *n = arg;
	struct check_finding f = {
		.what = what, .seg = stretch->seg, .offset = stretch->offset, .len = stretch->len,
		.has_frame = stretch->len > 0 && stretch->offset > 0, .frame_seg = stretch->seg,
		.frame = stretch->offset
	};
	struct concern c;
	struct db *db;

	begin_naming(n, &c, &db);
	concern_find(&c, stretch, first, last);
	tell_named(n, &c, &f);
	end_naming(n, &c, &db);
}

static void
found_blob(void *arg, const struct frame_info *fi, const struct record *r,
           const struct log_addr *bad, const char *what)
{
	struct naming *n = arg;
	struct check_finding f = {
		.what = what, .seg = bad->seg, .offset = bad->offset, .len = bad->len,
		.has_frame = true,
		.frame_seg = fi->seg, .frame = fi->offset
	};
	struct concern c;
	struct db *db;

	begin_naming(n, &c, &db);
	concern_find_record(&c, r->type, r->lsn);
	tell_named(n, &c, &f);
	end_naming(n, &c, &db);
}

/* ---- once, when asked ---- */

struct once {
	struct naming naming;           /* first: found() gets it */
	bool        (*progress)(void *arg, uint64_t done, uint64_t total);
	void         *progress_arg;
	uint64_t      done, total;
};

static bool
once_progress(void *arg, uint64_t bytes)
{
	struct once *o = arg;

	o->done += bytes;
	if (o->total < o->done)
		o->total = o->done;     /* bodies are not in the sum */
	return o->progress == NULL || o->progress(o->progress_arg, o->done, o->total);
}

enum rc
volume_scrub(struct volume *v, const struct check_report *rep,
             bool (*progress)(void *arg, uint64_t done, uint64_t total), void *progress_arg,
             struct scrub_result *out, struct err *e)
{
	struct once o = { .naming = { v, rep, 0 }, .progress = progress,
	                  .progress_arg = progress_arg,
		          .total = log_scrub_total(v->log) };
	struct log_scrub s = { .arg = &o, .found = found, .found_blob = found_blob,
	                       .progress = once_progress };
	log_lsn after = 0;
	enum rc rc;

	do
		rc = log_scrub_next(v->log, &after, &s, e);
	while (rc == RC_OK);
	*out = (struct scrub_result){ s.segments, s.bytes, s.blobs, o.naming.findings };
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- where it was ---- */

#define STATE_FORMAT "scrub 1 " \
                     "after %" PRIu64 " done %" PRIu64 " findings %" PRIu64 " rounds %" PRIu64 \
	" ended %" PRIu64 " found %" PRIu64 "\n"
#define STATE_SCAN "scrub 1 " \
                   "after %" SCNu64 " done %" SCNu64 " findings %" SCNu64 " rounds %" SCNu64 \
	" ended %" SCNu64 " found %" SCNu64

static void
read_state(struct scrubber *s)
{
	struct scrub_status *st = &s->status;
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/scrub", s->v->path);
	f = fopen(path, "r");
	if (f == NULL)
		return;
	if (fscanf(f, STATE_SCAN, &s->after, &st->done, &st->findings, &st->rounds, &st->ended_us,
	           &st->last_findings) != 6) {
		*st = (struct scrub_status){ 0 };
		s->after = 0;
	}
	(void)fclose(f);
}

/* As good as it goes: a lost one costs a round. The lock is held. */
static void
write_state(const struct scrubber *s)
{
	const struct scrub_status *st = &s->status;
	char path[4096], temp[4104];
	bool ok;
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/scrub", s->v->path);
	(void)snprintf(temp, sizeof temp, "%s.new", path);
	f = fopen(temp, "w");
	if (f == NULL)
		return;
	ok = fprintf(f, STATE_FORMAT, s->after, st->done, st->findings, st->rounds, st->ended_us,
	             st->last_findings) > 0;
	ok = fclose(f) == 0 && ok;
	if (!ok || rename(temp, path) != 0)
		(void)remove(temp);
}

/* ---- round and round ---- */

static void
log_finding(void *arg, const struct check_finding *f)
{
	struct scrubber *s = arg;
	char file[PIECE_NAME_LEN];
	struct logline l;
	struct buf whom;

	if (!volume_note_found(s->v, f->seg, f->offset, f->len))
		return;
	piece_name(&f->seg, file);
	buf_init(&whom, 1u << 16);
	for (size_t i = 0; i < f->named_count; i++) {
		const struct check_named *n = &f->named[i];

		buf_append_str(&whom, i > 0 ? "; " : "");
		buf_append_slice(&whom, n->account_name.len > 0 ? n->account_name
		                                                : SLICE(CHECK_NOBODY));
		if (n->mailbox_name.len > 0) {
			buf_append_byte(&whom, '/');
			buf_append_slice(&whom, n->mailbox_name);
		}
		if (n->uids.count > 0) {
			buf_append_str(&whom, " UID ");
			(void)uid_set_format(&n->uids, &whom);
		}
	}
	log_begin(&l, LOGLEVEL_ERROR, "scrub.damage");
	log_cstr(&l, "volume", s->v->name);
	log_cstr(&l, "file", file);
	log_u64(&l, "offset", f->offset);
	log_u64(&l, "bytes", f->len);
	log_cstr(&l, "records", f->records);
	log_str(&l, "concerns", buf_slice(&whom));
	log_cstr(&l, "what", f->what);
	log_end(&l);
	buf_fini(&whom);
}

/* Until `seconds` have passed or there is something else to do. The lock is held. */
static void
nap(struct scrubber *s, double seconds)
{
	struct timespec until;
	uint64_t rate = s->rate;
	int os = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)seconds;
	until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (!s->stop && s->rate == rate && os != ETIMEDOUT)
		os = pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static bool
pace(void *arg, uint64_t bytes)
{
	struct scrubber *s = ((struct naming *)arg)->rep->arg;
	bool on;

	(void)pthread_mutex_lock(&s->lock);
	s->status.done += bytes;
	s->owed += bytes;
	if (s->owed >= PACE_BYTES && s->rate > 0) {
		nap(s, (double)s->owed / (double)s->rate);
		s->owed = 0;
	}
	while (!s->stop && s->rate == 0)
		(void)pthread_cond_wait(&s->wake, &s->lock);
	on = !s->stop;
	(void)pthread_mutex_unlock(&s->lock);
	return on;
}

static uint64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* Seconds until a round may begin, also behind a restart or another rate; 0: one is under way, or
 * due. A clock that was set back must not put it off. The lock is held. */
static double
until_round(const struct scrubber *s)
{
	const uint64_t pause = ROUND_MIN_S * UINT64_C(1000000);
	uint64_t now = now_us(), ended = s->status.ended_us;

	if (s->after != 0 || now < ended || now - ended >= pause)
		return 0;
	return (double)(pause - (now - ended)) / 1e6;
}

/* The lock is held. */
static void
end_round(struct scrubber *s)
{
	struct scrub_status *st = &s->status;
	struct logline l;

	log_begin(&l, LOGLEVEL_INFO, "scrub.round");
	log_cstr(&l, "volume", s->v->name);
	log_u64(&l, "bytes", st->done);
	log_u64(&l, "findings", st->findings);
	log_end(&l);
	st->rounds++;
	st->ended_us = now_us();
	st->last_findings = st->findings;
	st->findings = st->done = 0;
	s->after = 0;
	write_state(s);
}

/* One segment. Seconds that are to pass before the next: there was none, or a failure. */
static double
scrub_one(struct scrubber *s)
{
	const struct check_report rep = { s, log_finding };
	struct naming n = { s->v, &rep, 0 };
	struct log_scrub how = { .arg = &n, .found = found, .found_blob = found_blob,
	                         .progress = pace };
	struct err e = ERR_INIT;
	log_lsn after = s->after;
	double pause = 0;
	enum rc rc = log_scrub_next(s->v->log, &after, &how, &e);

	(void)pthread_mutex_lock(&s->lock);
	s->status.findings += n.findings;
	if (rc == RC_OK) {
		s->after = after;
		write_state(s);
	} else if (rc == RC_NOT_FOUND) {
		if (s->after != 0)
			end_round(s);
		pause = ROUND_MIN_S;
	} else if (rc != RC_CANCELLED) {
		pause = RETRY_S;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return pause;
}

static void *
run(void *arg)
{
	struct scrubber *s = arg;
	bool stop = false;

	while (!stop) {
		double pause;

		(void)pthread_mutex_lock(&s->lock);
		while (!s->stop && s->rate == 0)
			(void)pthread_cond_wait(&s->wake, &s->lock);
		stop = s->stop;
		pause = until_round(s);
		(void)pthread_mutex_unlock(&s->lock);
		if (!stop && pause == 0)
			pause = scrub_one(s);
		(void)pthread_mutex_lock(&s->lock);
		if (pause > 0)
			nap(s, pause);
		stop = s->stop;
		(void)pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

struct scrubber *
scrubber_start(struct volume *v)
{
	struct scrubber *s = calloc(1, sizeof *s);
	pthread_condattr_t attr;

	if (s == NULL)
		return NULL;
	s->v = v;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	read_state(s);
	if (pthread_create(&s->thread, NULL, run, s) == 0)
		return s;
	(void)pthread_cond_destroy(&s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

void
scrubber_stop(struct scrubber **sp)
{
	struct scrubber *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->stop = true;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	(void)pthread_cond_destroy(&s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

void
scrubber_set_rate(struct scrubber *s, uint64_t bytes_per_s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->rate = bytes_per_s;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
}

void
scrubber_get_status(struct scrubber *s, struct scrub_status *out)
{
	(void)pthread_mutex_lock(&s->lock);
	*out = s->status;
	out->rate = s->rate;
	(void)pthread_mutex_unlock(&s->lock);
	out->total = log_scrub_total(s->v->log);
}
