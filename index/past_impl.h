/* past_impl - the inside of a past. Of past.c, read_past.c. */
#ifndef RESTANTE_INDEX_PAST_IMPL_H
#define RESTANTE_INDEX_PAST_IMPL_H

#include "index/past.h"

struct id_list {
	uint64_t *ids;          /* ascending */
	size_t    count, cap;
};

struct past {
	struct past_params pp;
	struct log        *log;
	bool               foreign_log;         /* not the volume's own */
	struct db         *db;
	struct apply       ap;
	struct arena       scratch;
	struct id_list     foreign;             /* mailboxes of other accounts */
	struct id_list     purged;              /* blobs */
	struct id_list     frame_blobs;         /* that the frame being read has put somewhere */
	uint64_t           deleted_us;
	bool               enough;              /* the moment was reached */
	bool               damaged;
};

/* For struct replay: passes progress on; pp.progress is not NULL. */
bool past_on_progress(void *arg, uint64_t done, uint64_t total);

#endif
