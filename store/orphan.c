/* orphan - segments that nothing lists, of a log that is open or being opened.
 *
 * A segment counts from the moment that the root lists it, and nothing is acknowledged in it before both copies of the
 * root do. What was made and not listed is of no use, and may hold what somebody wants gone:
 * - Both copies hold at a start: what they do not list goes (backend_compact.c).
 * - One does not. Mostly the power failed while it was written. But the other might also be older than what was lost, and
 *   then an unlisted segment may be all there is of some mail. So we look: what begins with a record that the log has is a
 *   compaction's copy, and what has no record was never written to.
 * - A write of the root failed under way. Which of the two roots counts is known once it was read again and written to
 *   both copies. Until then what only the new one lists is in doubt. All else that is unlisted may be under somebody's
 *   hands, and stays.
 */
#include "store/log_impl.h"

#include <stdlib.h>

static bool
is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* Might it say what the log does not have? */
static bool
says_more(struct log *log, const struct seg_id *id)
{
	uint8_t bytes[SEGMENT_HDR_LEN + FRAME_HDR_LEN] = { 0 };
	struct err e = ERR_INIT;
	struct segment_hdr seg;
	struct frame_hdr frame;
	size_t got;

	if (log->b->ops->read(log->b, id, 0, bytes, sizeof bytes, &got, &e) != RC_OK)
		return true;
	if (is_zero(bytes + SEGMENT_HDR_LEN, FRAME_HDR_LEN))
		return false;
	return !segment_hdr_decode(slice_of(bytes, SEGMENT_HDR_LEN), &seg) ||
	       !frame_hdr_decode(bytes + SEGMENT_HDR_LEN, seg.key, SEGMENT_HDR_LEN, &frame) ||
	       frame.first_lsn > log->last_lsn;
}

void
orphans_drop_known(struct log *log)
{
	struct seg_id *ids = NULL;
	struct err e = ERR_INIT;
	size_t count = 0;
	uint32_t known = 0;

	if (log->b->ops->segment_list(log->b, &ids, &count, &e) != RC_OK)
		return;
	for (size_t i = 0; i < count; i++)
		if (!root_names(&log->root, &ids[i]) && !says_more(log, &ids[i]))
			ids[known++] = ids[i];
	/* What cannot be removed is left to the next start. */
	if (known > 0 && log->b->ops->reap(log->b, ids, known, &e) != RC_OK)
		known = 0;
	free(ids);
}

void
orphans_doubt(struct log *log, const struct seg_id *first, const struct seg_id *others, uint32_t count)
{
	struct seg_id *ids = malloc((count + 1u) * sizeof *ids);

	free(log->doubtful);    /* there is none: the log is not alive while there is a doubt */
	log->doubtful = ids;
	log->doubtful_count = ids != NULL ? count + 1 : 0;
	if (ids == NULL)
		return;         /* the next start does it */
	ids[0] = *first;
	if (count > 0)
		memcpy(ids + 1, others, count * sizeof *ids);
}

void
orphans_settle(struct log *log)
{
	struct err e = ERR_INIT;

	/* What cannot be removed is left to the next start. */
	if (log->doubtful_count > 0 && !root_names(&log->root, &log->doubtful[0]) &&
	    log->b->ops->reap(log->b, log->doubtful, log->doubtful_count, &e) != RC_OK)
		log->doubtful_count = 0;
	free(log->doubtful);
	log->doubtful = NULL;
	log->doubtful_count = 0;
}
