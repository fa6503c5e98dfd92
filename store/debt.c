/* debt - see debt.h.
 *
 * A process knows only its own volumes. That is all of a server's; a tool that runs without the
 * server opens one or a few, and never beside it.
 */
#include "store/debt.h"

#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct debt *debts;      /* few: volumes that have spent their reserve */

void
debt_set(struct debt *d, dev_t dev, uint64_t bytes)
{
	struct debt **p;

	pthread_mutex_lock(&lock);
	for (p = &debts; *p != NULL && *p != d; p = &(*p)->next)
		;
	if (*p == NULL && bytes > 0) {
		d->next = NULL;
		*p = d;
	} else if (*p != NULL && bytes == 0) {
		*p = d->next;
	}
	d->dev = dev;
	d->bytes = bytes;
	pthread_mutex_unlock(&lock);
}

uint64_t
debt_of_others(const struct debt *d, dev_t dev)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&lock);
	for (const struct debt *p = debts; p != NULL; p = p->next)
		bytes += p != d && p->dev == dev ? p->bytes : 0;
	pthread_mutex_unlock(&lock);
	return bytes;
}
