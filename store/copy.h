/* copy - a copy of a volume's log in a directory: what a backup is, and what is put back from one.
 *
 * The copy is a volume: `head` and `log/`, no index. Its head lists what the original's root listed when the copying
 * began, the open segment sealed where it was synced, and is marked as a copy: whoever takes it over passes over the
 * numbers that the original may have told since (log_is_copy). Segments never change, so copying again writes only
 * those that are new and the rest of the one that was open.
 *
 * Every step leaves a valid copy, the former one or the new one: pieces are written under another name, synced and
 * renamed, or (the formerly open segment) written behind the end that the head tells; the head is written last; what it
 * lists no more goes afterwards. A copy that was cut is taken up by the next try. The first one has no `head` before
 * all of it is there, but `head.part`, which says of which volume it is.
 *
 * Rejected: frames copied one by one (bytes are simpler to verify, and keep damage as it is for whoever may mend it);
 * hard links (a disk that dies takes both).
 */
#ifndef RESTANTE_STORE_COPY_H
#define RESTANTE_STORE_COPY_H

#include "store/log.h"

#define COPY_EPOCHS 1024u       /* of the original, that the first takeover of a copy passes over */

struct copy_params {
	const char *path;               /* the copy's directory; made if missing, not the one it lies in */
	bool        fresh_only;         /* RC_EXISTS if there is a copy already */
	bool        dry_run;            /* say what would be copied, write nothing */
	/* The copy's epoch is at least this one: other volumes were made of the same bytes, and their numbers are
	 * passed over like the original's. 0: the original's. */
	uint32_t    epoch;
	uint64_t    rate;               /* bytes per second; 0: as fast as it goes */
	/* May be NULL: bytes copied and to be copied; false ends it (RC_CANCELLED). */
	bool      (*progress)(void *arg, uint64_t done, uint64_t total);
	void       *progress_arg;
};

struct copy_result {
	bool     fresh;                 /* there was no copy before */
	uint32_t epoch;                 /* of the copy; its first takeover passes over COPY_EPOCHS more */
	uint64_t segments, bodies, bytes;       /* in the copy */
	uint64_t pieces_copied, bytes_copied;   /* of them, or their rest, now */
	uint64_t removed;               /* pieces of the former copy that count no more */
	uint64_t damage;                /* findings in what was copied now: it was copied as it is */
	log_lsn  last_lsn;              /* of the copy */
	uint64_t last_time_us;
};

/* Make or complete the copy. What is copied is verified; damage goes to rep and is copied as it is, zeros where the
 * disk cannot read. Meanwhile nothing is reaped. Any thread.
 * RC_EXISTS: a volume that is no copy, or something else, is there. RC_DENIED: a copy of another volume, or
 * one that a copy of this volume has made since it was put back. RC_BUSY: it is in use. Of a full disk e->os tells; the
 * former copy counts then. */
MUST_USE enum rc log_copy(struct log *log, const struct copy_params *p,
                          const struct log_report *rep, struct copy_result *out, struct err *e);

#endif
