/* look - a volume against the oracle. Each function: false if something is wrong, which was said. */
#ifndef RESTANTE_TESTS_CRASH_LOOK_H
#define RESTANTE_TESTS_CRASH_LOOK_H

#include "tests/crash/rig.h"

/* The check of the product finds nothing. */
bool look_check(struct volume *v);
/* The open volume is what one of the possible histories gives: [from, count] of the operations. What it
 * tells is told then. */
bool look_at_volume(unsigned from, bool behind_cut);
/* An index made anew says the same. */
bool look_at_rebuilt(void);
/* Behind a cut: open it, look, and whether it takes changes. It stays open. */
bool look_behind_cut(void);

#endif
