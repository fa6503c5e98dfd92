/* absent - volumes that the configuration names and that are not open, and why.
 *
 * Nobody knows which accounts live there: while one is absent, a name that is found nowhere else may be
 * there, so the answer is "later" and never "no" (server_find_account). Any thread.
 */
#ifndef RESTANTE_SERVER_ABSENT_H
#define RESTANTE_SERVER_ABSENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/admin.h"
#include "lib/conf.h"

struct absent_list {
	struct admin_absent all[CONF_VOLUMES_MAX];
	size_t              count;
};

struct absent {
	pthread_mutex_t    lock;        /* of `now` */
	struct absent_list now;
	_Atomic size_t     count;       /* of it */
};

void absent_init(struct absent *b);
void absent_fini(struct absent *b);
/* Logs it as volume.unavailable. */
void absent_add(struct absent_list *list, const char *volume, const struct err *why);
/* What was before is forgotten. Whoever replaces it has made what is gone from it visible before. */
void absent_replace(struct absent *b, const struct absent_list *list);
/* Cheap. To be asked before the open volumes are: another may open meanwhile. */
size_t absent_count(const struct absent *b);
void absent_copy(struct absent *b, struct absent_list *out);
/* "v2, v3"; "" if none is absent. Returns `out`; cut if too long. */
const char *absent_names(struct absent *b, char *out, size_t cap);

#endif
