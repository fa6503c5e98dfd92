/* survey - what of a log is dead, by its records alone: the first step of compaction (compact.h).
 *
 * The log is read as it is when the survey begins, twice: forward for what holds for all records of an object, then
 * backward to judge each. Sums are verified on the way. Memory: a byte per record, twelve per frame, and the ranges of
 * UIDs that were expunged or flagged.
 */
#ifndef RESTANTE_STORE_SURVEY_H
#define RESTANTE_STORE_SURVEY_H

#include "store/backend.h"
#include "store/fate.h"

struct survey_frame {
	uint32_t offset, len;   /* in its segment, with the header */
	uint32_t first;         /* index of its first record's fate */
};

/* A range of UIDs that is left of a record with FATE_PART. Those of one record follow each other in the order of UIDs,
 * the kept ones first; records come from the last to the first. */
struct survey_part {
	uint32_t         record;        /* index of its fate */
	bool             bare;
	struct uid_range uids;
};

struct survey_segment {
	struct root_segment  root;
	bool                 damaged;   /* nothing of it may be rewritten */
	struct survey_frame *frames;
	uint32_t             frame_count, record_count;
	uint8_t             *fates;     /* enum fate of each record */
	struct survey_part  *parts;
	size_t               part_count, part_cap;
	blob_id             *dying;     /* blobs that go with it, falling */
	size_t               dying_count, dying_cap;
	uint64_t             bytes;     /* of the segment, and of the bodies its blobs have */
	uint64_t             dead;      /* of these, bytes that a rewrite gives back */
	uint64_t             dead_blobs;        /* of `dead`, what only a sound log gives back */
};

struct survey {
	struct survey_segment *segments;        /* as the root lists them */
	uint32_t               count;
	uint64_t               damage;          /* findings; not 0: no content is given up */
	uint64_t               bytes, dead;     /* of all */
	uint64_t               records, dying;
	uint64_t               gone;            /* of the records: that were gone before */
	log_lsn                last;            /* the log's end when it began */
	uint32_t               max_frame;
};

struct survey_params {
	uint64_t before_us;     /* frames older than this are beyond the retention */
	void    *arg;
	/* May be NULL: bytes read so far and in all; false cancels (RC_CANCELLED). It may sleep, to be slow. */
	bool   (*progress)(void *arg, uint64_t done, uint64_t total);
};

/* Damage goes to rep (may be NULL). Any thread, beside the writer. *out is the caller's also on failure. */
MUST_USE enum rc survey_take(struct log *log, const struct survey_params *p,
                             const struct log_report *rep, struct survey *out, struct err *e);
void survey_fini(struct survey *s);

/* The ranges left of a record: *parts of *count. */
void survey_find_parts(const struct survey_segment *seg, uint32_t record,
                       const struct survey_part **parts, size_t *count);

#endif
