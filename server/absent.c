/* absent - volumes that are not open, and why. See absent.h. */
#include "server/absent.h"

#include <stdio.h>
#include <string.h>

#include "lib/logging.h"

void
absent_init(struct absent *b)
{
	*b = (struct absent){ .count = 0 };
	pthread_mutex_init(&b->lock, NULL);
}

void
absent_fini(struct absent *b)
{
	pthread_mutex_destroy(&b->lock);
}

void
absent_add(struct absent_list *list, const char *volume, const struct err *why)
{
	struct admin_absent *a = &list->all[list->count++];
	struct logline l;

	(void)snprintf(a->volume, sizeof a->volume, "%s", volume);
	(void)snprintf(a->reason, sizeof a->reason, "%s",
	               why->text[0] != '\0' ? why->text : rc_name(why->code));
	log_begin(&l, LOGLEVEL_ERROR, "volume.unavailable");
	log_cstr(&l, "volume", volume);
	log_err(&l, why);
	log_cstr(&l, "do",
	         "mend it, then SIGHUP, or a restart if it lies neither beside another volume nor "
	         "below sandbox_paths; names that no other volume has get temporary answers");
	log_end(&l);
}

void
absent_replace(struct absent *b, const struct absent_list *list)
{
	pthread_mutex_lock(&b->lock);
	b->now = *list;
	atomic_store(&b->count, list->count);
	pthread_mutex_unlock(&b->lock);
}

size_t
absent_count(const struct absent *b)
{
	return atomic_load(&b->count);
}

void
absent_copy(struct absent *b, struct absent_list *out)
{
	pthread_mutex_lock(&b->lock);
	*out = b->now;
	pthread_mutex_unlock(&b->lock);
}

const char *
absent_names(struct absent *b, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->now.count && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s%s", i > 0 ? ", " : "",
		                        b->now.all[i].volume);
	pthread_mutex_unlock(&b->lock);
	return out;
}
