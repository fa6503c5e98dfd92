/* trial - one operation, one fault, one cut. */
#ifndef RESTANTE_TESTS_CRASH_TRIAL_H
#define RESTANTE_TESTS_CRASH_TRIAL_H

#include "tests/crash/rig.h"
#include "tests/crash/sim_disk.h"

/* False: something is wrong. *hit: the operation asks the disk at least n times. */
bool trial_run(size_t row, enum sim_fault fault, uint64_t n, uint64_t seed, bool *hit);
/* Between an error and the cut: the volume lives, and what it says is so. */
bool trial_live_on(void);

#endif
