/* backend - where a volume's bytes live: the one table between the log and its storage [SCALEOUT section 10].
 *
 * The backend knows heads, segments and bodies as bytes; frames and records are the log's. Its rules, for all of them:
 * - acquire fences every earlier owner and raises the epoch durably; it is the only way to open for writing, and
 *   reacquire is the same for an owner whose handle died.
 * - A segment is made once, appended to by the epoch that made it, sealed at a length, never changed after; it counts
 *   only when the root lists it. A name is never used twice. Nothing that is listed is renamed or truncated.
 * - One append or sync under way per volume. They answer through a callback, as a remote backend's come later; the file
 *   backend calls it before it returns. The callback must not block.
 * - Nobody above knows paths, or whether this is remote.
 *
 * The "sim" of SCALEOUT section 10 is no table beside `file`, but a simulated disk under it (store/fs.h): so the head's
 * slots, the syncs of directories and the reservation are themselves under test.
 *
 * Threads: read, size, body_*, segment_put, segment_settle, reap, room and full may be called from any thread; all else
 * by one thread at a time (the writer's).
 *
 * Not here yet, as nothing uses it: lease and watch (a remote backend). They add entries and change no caller.
 */
#ifndef RESTANTE_STORE_BACKEND_H
#define RESTANTE_STORE_BACKEND_H

#include "lib/err.h"
#include "store/log.h"

#include <sys/uio.h>

#define VOLUME_ID_LEN   16
#define LOG_FORMAT      1               /* major version: others are refused; stands in the head and in every segment */
#define SEGMENT_KEY_LEN 16
#define TAKEOVERS_MAX   1024

enum segment_state {
	SEGMENT_OPEN = 1,       /* its epoch may append; after a crash its end is unknown */
	SEGMENT_SEALED = 2,
	SEGMENT_COMPACTED = 3,  /* sealed; made by compaction out of others: its frames have gaps between their LSNs and
	                         * may be of several epochs */
};

#define ROOT_COPY 1u            /* flag: this volume is a copy of another one, see restante-log(5) */

/* What the root says of a segment. */
struct root_segment {
	struct seg_id      id;
	enum segment_state state;
	uint64_t           len;         /* sealed: where its valid bytes end */
	log_lsn            first_lsn;   /* that its first record has, if it has any */
	log_lsn            last_lsn;    /* sealed: of its last record; first_lsn - 1 when it has none */
	uint64_t           last_time_us;        /* sealed: of its last frame; else of the last before it */
	uint8_t            key[SEGMENT_KEY_LEN];        /* a copy: the segment stays readable if its header rots */
};

/* A volume's root: what the head holds. */
struct root {
	uint8_t   volume_id[VOLUME_ID_LEN];
	uint32_t  epoch;                /* of the last takeover */
	uint32_t  pid;                  /* of its owner */
	log_lsn   floor;                /* history below is dropped */
	uint64_t  takeovers[TAKEOVERS_MAX];     /* random ids, oldest first; the last is the present one's */
	uint32_t  takeover_count;
	struct root_segment *segments;  /* in LSN order; heap */
	uint32_t  segment_count;
	uint32_t  flags;                /* ROOT_COPY */
	uint64_t  compactions;          /* seq of the latest compacted segment that was listed; 0: none ever was */
	uint64_t  compacted_us;         /* when that was */
	struct seg_id *dropped;         /* pieces that count no more and are still on disk; heap */
	uint32_t  dropped_count;
	uint32_t  kept;                 /* not stored: segments that were put aside */
	unsigned  bad_slots;            /* not stored: how many copies of the root did not hold when it was read */
};

void root_fini(struct root *r);
static inline bool
seg_id_same(const struct seg_id *a, const struct seg_id *b)
{
	return a->seq == b->seq && a->epoch == b->epoch && a->kind == b->kind;
}
/* Is it a segment, or dropped? */
bool root_names(const struct root *r, const struct seg_id *id);
MUST_USE enum rc root_copy(struct root *dst, const struct root *src, struct err *e);  /* dst: fini'd or all zero */

/* A change of the root by compaction: all of it or none. */
struct root_change {
	const struct root_segment *add; /* takes the place of the dropped segments; NULL: none does */
	const struct seg_id *drop;      /* segments (neighbours in the list) and bodies that are only
	                                 * dropped from now on */
	uint32_t             drop_count;
	const struct seg_id *made;      /* bodies of `add`: of no use without it */
	uint32_t             made_count;
	const struct seg_id *forget;    /* of the dropped ones: reaped */
	uint32_t             forget_count;
	log_lsn              floor;     /* the root's is raised to it */
	uint64_t             time_us;   /* of `add`'s listing */
	bool                 clear_copy;        /* ROOT_COPY goes */
};

/* Make r as the change makes it. RC_BUSY: it is not as the change expects it. */
MUST_USE enum rc root_apply(struct root *r, const struct root_change *c, struct err *e);

struct backend_caps {
	uint32_t max_append;            /* bytes of one frame with its header */
	uint64_t max_segment;           /* bytes at which to roll */
	uint32_t body_piece;            /* best size of one body write */
	bool     remote;
};

enum append_outcome {
	APPEND_DONE,                    /* written, and durable if asked */
	APPEND_REFUSED,                 /* nothing was written: no space, no descriptor; the handle lives */
	APPEND_DEAD,                    /* may or may not be in the log: the handle is dead */
};

/* e is valid during the call only. */
typedef void (*backend_done)(void *arg, enum append_outcome outcome, const struct err *e);

struct backend_append {
	uint64_t      offset;           /* the open segment's tail */
	struct iovec *iov;              /* used up by the backend */
	size_t        iov_count;
	uint64_t      len;              /* of all */
	log_lsn       first_lsn;
	bool          unsynced;         /* done means written, not durable; a remote backend may ignore it */
	bool          reserve_ok;       /* may use the volume's reserve */
};

struct backend_acquire {
	enum log_mode mode;
	uint32_t      lock_wait_ms;
	uint64_t      takeover_id;
};

/* An implementation embeds it first. */
struct backend {
	const struct backend_ops *ops;
};

struct backend_body;

struct backend_ops {
	/* Make an empty volume in the existing directory; RC_EXISTS if there is one. */
	enum rc (*create)(const char *path, const uint8_t volume_id[VOLUME_ID_LEN], struct err *e);
	/* LOG_WRITE: RC_BUSY naming the owner's pid; afterwards root() shows the new epoch, durably. LOG_READ: changes
	 * nothing. */
	enum rc (*acquire)(const char *path, const struct backend_acquire *how,
	                   struct backend **out, struct err *e);
	/* Take over from ourselves after a failure, without letting go. */
	enum rc (*reacquire)(struct backend *b, uint64_t takeover_id, struct err *e);
	void (*release)(struct backend **b);
	void (*caps)(struct backend *b, struct backend_caps *out);
	enum rc (*root)(struct backend *b, struct root *out, struct err *e);

	/* Make the segment with these first bytes and list it in the root as open, both durably, with `sealed` (may be
	 * NULL) becoming sealed in the same step. It is the one append() writes to from now on. APPEND_REFUSED: there
	 * is no such segment; APPEND_DEAD: there may be one, empty. The id is never tried again. */
	enum append_outcome (*segment_create)(struct backend *b, const struct root_segment *seg,
	    struct slice header, bool reserve_ok, const struct root_segment *sealed, struct err *e);
	enum rc (*segment_seal)(struct backend *b, const struct root_segment *seg, struct err *e);
	/* Takeover: what was written to the segment is made durable (if `sync`) and is read from the
	 * disk from now on. */
	enum rc (*segment_settle)(struct backend *b, const struct seg_id *id, bool sync,
	                          struct err *e);
	/* The disk was found full: until there is room for the reserve and something beside it, appends and segments
	 * that are not reserve_ok are refused with ENOSPC. */
	bool (*starved)(struct backend *b);
	/* Whether such an append would be refused now: looks at the disk. Any thread. */
	bool (*full)(struct backend *b);
	/* Make the reserve's space free for what the owner must write beside the log. False: there was none. */
	bool (*give_up_reserve)(struct backend *b);
	void (*append)(struct backend *b, struct backend_append *what, backend_done done,
	               void *arg);
	void (*sync)(struct backend *b, backend_done done, void *arg);

	/* Up to len bytes at off of a segment or body; *got is less only at its end. */
	enum rc (*read)(struct backend *b, const struct seg_id *id, uint64_t off, void *dst,
	                size_t len, size_t *got, struct err *e);
	enum rc (*size)(struct backend *b, const struct seg_id *id, uint64_t *len, struct err *e);

	/* An immutable object of its own; durable after body_finish, which frees the handle also when it fails. */
	enum rc (*body_begin)(struct backend *b, struct backend_body **out, struct err *e);
	enum rc (*body_write)(struct backend_body *body, struct slice bytes, struct err *e);
	enum rc (*body_finish)(struct backend_body **body, struct log_addr *addr, struct err *e);
	void (*body_abort)(struct backend_body **body);
	uint64_t (*body_count)(struct backend *b);
	/* A compacted segment with these first bytes, to be written with body_write, ended with body_finish or
	 * body_abort: durable then, and listed nowhere until root_change names it. Any thread. */
	enum rc (*segment_put)(struct backend *b, const struct seg_id *id, struct slice header,
	                       struct backend_body **out, struct err *e);
	/* APPEND_REFUSED: the root is not as the change expects it, or the head has no room; nothing changed.
	 * APPEND_DEAD: the old root or the new one counts. */
	enum append_outcome (*root_change)(struct backend *b, const struct root_change *c,
	                                   struct err *e);
	/* Delete pieces that root() shows as dropped; what is gone already is none the worse. Durable. Any thread. */
	enum rc (*reap)(struct backend *b, const struct seg_id *ids, uint32_t count, struct err *e);
	/* Bytes that may be written before the disk is full, the reserve not counted, and those of the reserve.
	 * False: not known. */
	bool (*room)(struct backend *b, uint64_t *bytes, uint64_t *reserve);
	/* Every body there is, in any order; heap. */
	enum rc (*body_list)(struct backend *b, struct seg_id **ids, size_t *count, struct err *e);
	enum rc (*body_remove)(struct backend *b, const struct seg_id *id, struct err *e);
};

extern const struct backend_ops backend_file;

#endif
