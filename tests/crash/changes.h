/* changes - operations run on the rig, and kept in its history. False: something is wrong, which was said. */
#ifndef RESTANTE_TESTS_CRASH_CHANGES_H
#define RESTANTE_TESTS_CRASH_CHANGES_H

#include "tests/crash/model.h"

/* Up to STEPS_MAX at once. */
bool changes_run(struct op *ops, unsigned n);
bool changes_run_one(struct op *op);
/* The client of the last delivery goes on: it has read the answer. */
void changes_confirm(void);
/* Until the volume takes changes again, after an error that was no cut. */
bool changes_wait_idle(void);

#endif
