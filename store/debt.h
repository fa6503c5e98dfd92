/* debt - what the volumes of this process lack of their reserves, per file system, so that none takes what
 * another gave up.
 *
 * All functions: any thread.
 */
#ifndef RESTANTE_STORE_DEBT_H
#define RESTANTE_STORE_DEBT_H

#include <stdint.h>
#include <sys/types.h>

/* Embedded in who may owe; starts zeroed. */
struct debt {
	struct debt *next;              /* of those that owe */
	dev_t        dev;
	uint64_t     bytes;             /* 0: not in the list */
};

/* What `d` lacks from now on; 0 before it goes away. */
void debt_set(struct debt *d, dev_t dev, uint64_t bytes);
/* What all but `d` lack on `dev`. */
uint64_t debt_of_others(const struct debt *d, dev_t dev);

#endif
