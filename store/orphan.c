/* orphan - segments that nothing lists, of an open log: a write of the root failed under way. What a start finds of them:
 * backend_orphan.c.
 *
 * Which of the two roots counts is known once it was read again and written to both copies. Until then what only the new
 * one lists is in doubt. All else that is unlisted may be under somebody's hands, and stays.
 */
#include "store/log_impl.h"

#include <stdlib.h>

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
