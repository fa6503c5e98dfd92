/* maintenance - what a volume needs now and then, done by a thread of low priority beside the daily work: see the table
 * in maintenance.c. One thing at a time, and never while the admin does one (CLAIM_MAINTENANCE). */
#ifndef RESTANTE_INDEX_MAINTENANCE_H
#define RESTANTE_INDEX_MAINTENANCE_H

#include "index/autoexpunge.h"
#include "index/volume.h"

/* As in [maintenance] of restante.conf(5). */
struct maintenance_params {
	uint64_t retention_s;           /* no session may be silent for longer: it is told expunges
	                                 * that are not older */
	uint64_t compact_threshold;     /* percent; 0: off */
	uint64_t compact_rate;          /* bytes per second; 0: no limit */
	uint64_t compact_interval_s;
	uint64_t scrub_rate;            /* bytes per second; 0: off */
	uint64_t tombstones;
	struct autoexpunge autoexpunge;
};

struct maintainer;

/* Begin; the volume is open for writing. */
MUST_USE enum rc maintainer_start(struct volume *v, const struct maintenance_params *p,
                                  struct maintainer **out, struct err *e);
/* From now on with these. Any thread. */
void maintainer_configure(struct maintainer *m, const struct maintenance_params *p);
/* End what is under way, soon. Before volume_close. */
void maintainer_stop(struct maintainer **m);

/* The calling thread gives way to all others, for good: for a thread, or a process, that ends with its work. */
void maintenance_be_low(void);

/* A task: does what is due and returns. `stop` is set when it must end; RC_CANCELLED then. RC_BUSY: not now. */
struct maintenance_task {
	const char *name;       /* for logs */
	enum rc   (*run)(struct volume *v, const struct maintenance_params *p, atomic_bool *stop,
	                 struct err *e);
};

#endif
