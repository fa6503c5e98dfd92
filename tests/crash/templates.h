/* templates - the volumes that trials begin with. */
#ifndef RESTANTE_TESTS_CRASH_TEMPLATES_H
#define RESTANTE_TESTS_CRASH_TEMPLATES_H

#include <stdbool.h>

/* Once, before any trial. */
bool templates_make(void);

#endif
