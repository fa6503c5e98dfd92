/* work - rows that are no single change: compaction, copies, moves; and what must be so behind them.
 *
 * Each function: false if something is wrong, which was said. */
#ifndef RESTANTE_TESTS_CRASH_WORK_H
#define RESTANTE_TESTS_CRASH_WORK_H

#include "tests/crash/rows.h"

bool work_run(const struct row *row);
bool work_compact(const struct row *row);
/* The present log into this directory. *done: it worked; it may not when the fault came. */
bool work_copy(const char *to, bool fresh, bool *done);
/* The copy into an empty place. */
bool work_put_back(bool *done);

/* Behind the cut, before the volume is opened again, */
bool work_verify_copy(const struct row *row);
/* and after. `happened`: something was answered as durable. */
bool work_verify(const struct row *row, bool happened);

#endif
