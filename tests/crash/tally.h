/* tally - how many cuts came in each phase of each row. */
#ifndef RESTANTE_TESTS_CRASH_TALLY_H
#define RESTANTE_TESTS_CRASH_TALLY_H

#include "tests/crash/sim_disk.h"

#include <stddef.h>

/* Row rows_count: random histories. */
void tally_add(size_t row, enum sim_phase phase);
/* Must the row be cut in this phase, and no cut has come there yet? */
bool tally_lacks(size_t row, enum sim_phase phase);
/* The table; the number of cells that should have some and have none. */
uint64_t tally_show(void);

#endif
