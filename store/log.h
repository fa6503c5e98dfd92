/* log - the truth: one volume's append-only history of frames in segments, over a backend.
 *
 * Opening for writing is a takeover from oneself [design I3]: the head's epoch goes up, the open segment's valid frames
 * are found, synced, read again past the page cache and sealed; new frames go to a fresh segment, made at the first
 * append. Every sealed segment must be there and as long as the head says: at the open that is looked at, not its
 * bytes. Opening read-only (check, dump, backup) takes no lock and changes nothing.
 *
 * Threads: log_open, log_close and the append side belong to one thread at a time (the writer's); log_read and
 * log_replay may be called from any thread at any time.
 */
#ifndef RESTANTE_STORE_LOG_H
#define RESTANTE_STORE_LOG_H

#include "store/record.h"

struct log;
struct log_batch;
struct backend_ops;

enum log_mode {
	LOG_WRITE,              /* exclusive; RC_BUSY with the owner's pid in err.text if somebody has it */
	LOG_READ,               /* follow: no lock, nothing is written */
};

struct log_params {
	const char   *path;             /* the volume's directory: holds head and log/ */
	enum log_mode mode;
	uint32_t      lock_wait_ms;     /* how long to wait for the lock */
	uint64_t      max_segment;      /* bytes; 0: the backend's own size */
	log_lsn       known_synced;     /* an LSN that the index knows as synced, 0: none; what lies below is not
	                                 * torn but damaged */
	/* May be NULL; else its answer counts instead of known_synced. Asked once, when `log` can tell its volume,
	 * takeovers and floor, and before its end is judged: only an index of this log may answer. */
	log_lsn     (*ask_synced)(void *arg, const struct log *log);
	void         *ask_arg;
	const struct backend_ops *backend;      /* NULL: files; tests put a faulty one here */
};

/* Damage found on the way; each finding is one line of text for operators. */
struct log_report {
	void  *arg;
	/* Called once per finding. seg names the segment, offset where in it, len how many bytes are lost (0: unknown);
	 * first and last: LSNs known to be touched, 0 if unknown. seg.seq 0: no place in the log; `what` tells all. */
	void (*found)(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first,
	              log_lsn last, const char *what);
};

/* Make head and log/ in an existing directory; RC_EXISTS if there is a head. Draws the volume's id. */
MUST_USE enum rc log_create(const char *path, struct err *e);
MUST_USE enum rc log_open(const struct log_params *p, const struct log_report *rep,
                          struct log **out, struct err *e);
/* Seals, so that the next start need not scan. Of a dead log it tries once what log_reopen does. */
void log_close(struct log **log);
/* A dead log is taken over by the process that has it, in place: other threads may go on reading. The open segment is
 * sealed where it is known synced, what lies beyond counts as unwritten, and unsynced (relaxed) frames that are still
 * in memory are appended anew: they have new LSNs, so replay what the index lacks afterwards. The epoch and the
 * takeover id are new. On failure the log stays dead and this may be tried again. Batches must be reset. The
 * writer's thread. */
MUST_USE enum rc log_reopen(struct log *log, const struct log_report *rep, struct err *e);

uint32_t log_epoch(const struct log *log);
void     log_volume_id(const struct log *log, uint8_t id[16]);
/* The random id of this takeover, and whether `id` belongs to a takeover on this volume's chain: an index that names
 * one that is not, or that has applied less than log_floor(), is discarded. */
uint64_t log_takeover_id(const struct log *log);
bool     log_knows_takeover(const struct log *log, uint64_t id);
/* This volume is a copy that nobody has served yet: what the original may have told since is not to be told again, and
 * before anything is (log_settle_copy says that this is seen to). */
bool     log_is_copy(const struct log *log);
log_lsn  log_floor(const struct log *log);         /* below this LSN history has been dropped */
log_lsn  log_last(const struct log *log);          /* last LSN in the log, written and synced; 0: none */
bool     log_is_synced(const struct log *log);     /* nothing is owed a sync; the writer's thread */
/* Whether this LSN was given and is in the log (or was, and is damaged): an index that has applied one that was lost is
 * discarded. */
bool     log_has(const struct log *log, log_lsn lsn);
bool     log_is_dead(const struct log *log);       /* an append or sync failed: only reopening helps */

/* Who caused a frame. */
struct frame_who {
	account_id account;
	uint64_t   session;
	uint8_t    protocol;    /* enum frame_protocol */
};

enum frame_protocol {
	PROTO_SYSTEM,
	PROTO_LMTP,
	PROTO_IMAP,
	PROTO_POP3,
	PROTO_ADMIN,
};

/* The copy is a volume of its own now, durably. The writer's thread, or before there is one. */
MUST_USE enum rc log_settle_copy(struct log *log, struct err *e);

/* ---- appending: the writer's thread ---- */

/* A batch collects frames in memory. The batch is reused: log_batch_reset before each. */
MUST_USE enum rc log_batch_new(struct log *log, struct log_batch **out, struct err *e);
void log_batch_free(struct log_batch **b);
void log_batch_reset(struct log_batch *b);

/* Open a frame; its time is now, never earlier than the frame before. Frames do not nest. */
void    log_frame_begin(struct log_batch *b, const struct frame_who *who);
/* Who made the last frame of the batch; NULL: it has none. */
const struct frame_who *log_batch_last_who(const struct log_batch *b);
/* Open the batch's last frame once more: what is added joins it, and it is `who`'s from here on. To abandon it leaves it
 * as it was. */
void    log_frame_resume(struct log_batch *b, const struct frame_who *who);
/* The LSN the next record added will have: needed before encoding, as it may be the object's id. */
log_lsn log_next_lsn(const struct log_batch *b);
/* Add one record; r->lsn is set. Blob data is borrowed until the append is over. RC_LIMIT: the frame would pass
 * max_append. On any error the frame must be abandoned. */
MUST_USE enum rc log_frame_add(struct log_batch *b, struct record *r, struct err *e);
/* Close the frame; without records it vanishes. */
void    log_frame_end(struct log_batch *b);
/* Forget the open frame and give its LSNs back (nothing was told to anybody). */
void    log_frame_abandon(struct log_batch *b);
bool    log_batch_empty(const struct log_batch *b);
size_t  log_batch_bytes(const struct log_batch *b);

/* Write all frames with one vectored write, and sync unless `unsynced`. RC_OK: they are in the log (and durable).
 * RC_IO with err.os ENOSPC, EDQUOT: nothing was written and the log lives on. Anything else: the log is dead.
 * `reserve_ok`: this batch may use the reserve kept for expunge, compaction and takeover. Any other is refused with
 * ENOSPC from the first lack of space on, until there is room for the reserve and something beside it. */
MUST_USE enum rc log_append(struct log *log, struct log_batch *b, bool unsynced, bool reserve_ok,
                            struct err *e);
/* Were there segments at the start that a lost head may have listed? They were put aside, and may name bodies. */
bool log_has_kept(const struct log *log);
/* The disk was found full: see log_append. */
bool log_is_starved(const struct log *log);
/* Whether a batch without `reserve_ok` would be refused now for lack of space. Looks at the disk; any thread. */
bool log_is_full(const struct log *log);
/* Free the reserve for the index, whose commit must follow what is in the log. False: there was none to give up. */
bool log_give_up_reserve(struct log *log);
/* Settle what was appended unsynced. Failure: the log is dead. */
MUST_USE enum rc log_sync(struct log *log, struct err *e);
/* After log_append: where the blob record with this LSN lies (address of the record's body; the chunks begin at
 * *data_offset in it). False if the batch has no such blob. */
bool log_batch_blob_addr(const struct log_batch *b, blob_id id, struct log_addr *addr,
                         uint64_t *data_offset);

/* ---- out-of-line bodies: any thread ---- */

struct log_body;
/* A new object of its own, written piece by piece, synced by log_body_finish; unreferenced until a blob record names
 * it. log_body_abort removes it. */
MUST_USE enum rc log_body_begin(struct log *log, struct log_body **out, struct err *e);
MUST_USE enum rc log_body_write(struct log_body *body, struct slice bytes, struct err *e);
MUST_USE enum rc log_body_finish(struct log_body **body, struct log_addr *addr, struct err *e);
void log_body_abort(struct log_body **body);
/* The bodies that earlier epochs made; heap. A crash between a body and its record leaves one that no record names: an
 * owner who has just opened the log may remove it. Not later: a body that waits for its commit since before a
 * log_reopen is of an earlier epoch too. */
MUST_USE enum rc log_list_bodies(struct log *log, struct seg_id **ids, size_t *count,
                                 struct err *e);
MUST_USE enum rc log_remove_body(struct log *log, const struct seg_id *id, struct err *e);

/* ---- reading: any thread ---- */

/* Exactly `len` bytes at addr.offset + off into dst. RC_CORRUPT: the piece ends before. */
MUST_USE enum rc log_read(struct log *log, const struct log_addr *addr, uint64_t off, void *dst,
                          size_t len, struct err *e);

struct frame_info {
	struct seg_id    seg;
	uint64_t         offset;        /* of the frame in the segment */
	uint64_t         len;           /* with its header */
	log_lsn          first_lsn;
	log_lsn          synced_lsn;    /* all up to here was synced when the frame was written */
	uint32_t         record_count;
	uint64_t         time_us;       /* microseconds since 1970 UTC */
	struct frame_who who;
};

struct replay {
	void   *arg;
	log_lsn after;                  /* frames whose last LSN is <= after are skipped (by header, if possible) */
	struct { uint64_t seq, offset; } from;  /* in the segment of this seq, begin at this frame; seq 0: nowhere */
	uint64_t only;                  /* the segment of this seq alone; 0: all */
	uint32_t made_since;            /* segments that were made by this epoch or a later one; 0: all */
	bool     unheld;                /* dropped pieces may be deleted under it: for who is slow, and can
	                                 * live with that */
	/* One record of a valid frame, in LSN order. addr is the record body's place, so that a blob's chunks can be
	 * found at addr.offset + u.blob.data_offset. Any result but RC_OK ends the replay and is returned. */
	enum rc (*record)(void *arg, const struct frame_info *f, const struct record *r,
	                  const struct log_addr *addr, struct err *e);
	/* May be NULL: called after the last record of each frame. */
	enum rc (*frame)(void *arg, const struct frame_info *f, struct err *e);
	/* May be NULL: bytes read so far and in all, for progress bars; false cancels (RC_CANCELLED). */
	bool  (*progress)(void *arg, uint64_t done, uint64_t total);
};
/* Damage goes to rep and is skipped. Also verifies chunk CRCs of inline blobs if verify_chunks. */
MUST_USE enum rc log_replay(struct log *log, const struct replay *rp, bool verify_chunks,
                            const struct log_report *rep, struct err *e);

/* ---- dropped pieces: see compact.h for how they come about ---- */

/* While somebody holds reaping, no dropped piece is deleted: what a list of segments named can be read. Waits for a
 * reap that is under way. Counted; any thread. */
void log_hold(struct log *log);
void log_unhold(struct log *log);

struct log_stats {
	uint64_t segments;
	uint64_t bytes;                 /* of frames, in all segments */
	uint64_t bodies;                /* out-of-line objects */
	uint64_t appends, syncs;        /* since open */
	uint64_t dropped;               /* pieces that count no more and wait to be deleted */
	uint64_t dropped_bytes;
	uint64_t compacted_us;          /* when compaction last listed a segment; 0: never */
	bool     clean;                 /* the owner before closed the log: no segment was left open */
};
void log_get_stats(struct log *log, struct log_stats *out);

#endif
