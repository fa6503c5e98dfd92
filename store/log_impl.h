/* log_impl - what the log's files share: log.c (open, append), log_facts.c, batch.c, recover.c, replay.c,
 * log_root.c, orphan.c, survey.c, rewrite.c. Nobody else includes it. */
#ifndef RESTANTE_STORE_LOG_IMPL_H
#define RESTANTE_STORE_LOG_IMPL_H

#include "store/frame.h"

#include <pthread.h>

/* A frame that was appended unsynced: enough to append it anew. A body knows neither its LSNs nor its place. */
struct kept_frame {
	struct kept_frame *next;
	struct frame_who   who;
	uint32_t           record_count;
	size_t             len;
	uint8_t            body[];
};

struct log {
	struct backend     *b;
	struct backend_caps caps;
	enum log_mode       mode;

	/* The writer's thread changes what follows under the lock; other threads read it under the lock. */
	pthread_mutex_t     lock;
	struct root         root;
	bool                has_open;       /* the last segment of root is ours, open */
	uint64_t            tail;           /* of the open segment: written so far */
	log_lsn             last_lsn;       /* written */
	bool                dead;
	bool                was_open;       /* the root named an open segment when the log was opened: see log_stats */
	uint64_t            appends, syncs;
	uint64_t            next_seq;       /* any thread, under the lock */
	log_lsn             synced_lsn;
	uint64_t            synced_tail;    /* of the open segment */
	uint64_t            last_time_us;
	pthread_mutex_t     reaping;        /* over `holds`; held while files are deleted */
	uint32_t            holds;

	/* The writer's thread alone. */
	log_lsn             next_lsn;
	struct kept_frame  *kept, **kept_end;       /* appended, not yet synced */
	size_t              kept_bytes;
	struct seg_id      *doubtful;               /* the first stands in the root or not, the others need it: orphan.c */
	uint32_t            doubtful_count;
};

/* A run of bytes of a batch: in its buffer, or the caller's. */
struct piece {
	const uint8_t *borrowed;        /* NULL: in the buffer, at `at` */
	size_t         at;
	size_t         len;
};

struct batch_frame {
	struct frame_who who;
	size_t           first_piece;   /* of the header */
	size_t           pieces;
	size_t           hdr_at;        /* in the buffer */
	size_t           start;         /* of all frames' bytes so many are before it */
	size_t           body_len;
	uint32_t         record_count;
	log_lsn          first_lsn;
	uint64_t         offset;        /* once appended */
};

struct batch_blob {
	blob_id  id;
	size_t   frame;
	uint64_t offset;                /* of the record's body in the frame's body */
	uint64_t len;
	uint64_t data_offset;
};

struct log_batch {
	struct log         *log;
	struct buf          bytes;
	struct piece       *pieces;
	size_t              piece_count, piece_cap;
	struct batch_frame *frames;
	size_t              frame_count, frame_cap;
	struct batch_blob  *blobs;
	size_t              blob_count, blob_cap;
	size_t              total;      /* bytes of all frames */
	log_lsn             next_lsn;
	bool                open;       /* the last frame is being filled */
	bool                failed;     /* no memory in frame_begin: the next add says so */
	struct {
		size_t             bytes, pieces, last_len, frames, blobs, total;
		log_lsn            lsn;
		struct batch_frame last;
	} before;                       /* the open frame was opened */
	struct iovec       *iov;
	size_t              iov_cap;
	struct seg_id       seg;        /* once appended */
	bool                appended;
};

/* ---- batch.c ---- */

/* Fill in headers for a batch that goes to `seg` at `offset`, and the vectors for the write. */
MUST_USE enum rc batch_seal(struct log_batch *b, const struct root_segment *seg, uint64_t offset,
                            log_lsn synced, uint64_t time_us, uint8_t flags, struct err *e);
/* A frame whose body is known: kept ones, appended anew. */
MUST_USE enum rc batch_add_raw(struct log_batch *b, const struct kept_frame *k, struct err *e);
struct kept_frame *batch_keep(const struct log_batch *b, const struct batch_frame *f);  /* a copy, NULL: no memory */

/* ---- log.c ---- */

/* A number for a new segment, never given again. Any thread. */
uint64_t log_take_seq(struct log *log);
/* The log as it is now: the open segment ends at the tail. Any thread. */
MUST_USE enum rc log_snapshot(struct log *log, struct root *out, struct err *e);
/* The last segment as it stands in memory, sealed at the tail. The writer's thread. */
struct root_segment log_sealed_tail(const struct log *log);
/* The handle is dead from here on. The writer's thread. */
void log_set_dead(struct log *log);

/* ---- orphan.c: the writer's thread ---- */

/* The root may or may not list `first`, without which the others are of no use. */
void orphans_doubt(struct log *log, const struct seg_id *first, const struct seg_id *others, uint32_t count);
/* The root in memory is what is on disk: remove what it might have listed and does not. */
void orphans_settle(struct log *log);

/* ---- recover.c ---- */

/* Find where the segment's frames end, reporting damage on the way, and fill in len, last_lsn and last_time_us.
 * `synced`: an LSN known as synced, 0 if none. `limit`: where to stop, UINT64_MAX for the end of the file. */
MUST_USE enum rc recover_segment(struct log *log, struct root_segment *seg, log_lsn synced,
                                 uint64_t limit, const struct log_report *rep, struct err *e);
void report_found(const struct log_report *rep, struct seg_id seg, uint64_t offset, uint64_t len,
                  log_lsn first, log_lsn last, const char *what);

#endif
