/* history - random changes, several lives long. */
#ifndef RESTANTE_TESTS_CRASH_HISTORY_H
#define RESTANTE_TESTS_CRASH_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

bool history_run(uint64_t seed);

#endif
