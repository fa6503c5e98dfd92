/* rows - the operations that are cut, one a row of the table. */
#ifndef RESTANTE_TESTS_CRASH_ROWS_H
#define RESTANTE_TESTS_CRASH_ROWS_H

#include "index/compact.h"
#include "tests/crash/model.h"
#include "tests/crash/rig.h"

enum work {
	WORK_NONE,
	WORK_COMPACT,
	WORK_COMPACT_BESIDE,            /* with changes under way */
	WORK_COMPACT_WHOLE,             /* reaped; the cut comes when all is done */
	WORK_PURGE,                     /* and compact */
	WORK_REAP,
	WORK_PRUNE,
	WORK_BACKUP,
	WORK_PUT_BACK,                  /* a copy into an empty place */
	WORK_RENEW,                     /* the first start of one */
	WORK_MOVE,
	WORK_KILLED,                    /* the owner before; the power did not fail */
	WORK_REPARSE,
};

struct row {
	const char   *name;
	enum templ    templ;
	enum work     work;
	struct compact_params compact;
	unsigned      step;             /* a short run cuts at each so many-th call only; 0: 1 */
	unsigned      calls;            /* so many are tried at least: the cut before decides how many there are */
	struct op     op;
	unsigned      before;           /* deliveries before it */
	bool          relaxed;
	bool          confirmed;        /* the client of the last of these goes on, and nothing comes behind that */
	bool          all_faults;       /* also in a short run, at as many calls as cuts */
	uint64_t      max_segment;
	const char   *phases;           /* that it must have been cut in, one letter each: see phase_letters */
};

/* One letter per enum sim_phase. */
extern const char rows_phase_letters[];

#define TO(a, b) .target_count = 1, .targets = { { .account = a, .box = b } }
#define IN(a, b) .account = a, .box = b

extern const struct row rows[];
extern const size_t     rows_count;

#endif
