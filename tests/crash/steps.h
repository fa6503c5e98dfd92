/* steps - operations of the power-cut tests, run against a volume. */
#ifndef RESTANTE_TESTS_CRASH_STEPS_H
#define RESTANTE_TESTS_CRASH_STEPS_H

#include "tests/crash/model.h"

#define STEPS_MAX 4

enum step_end {
	STEP_DONE,              /* answered OK: op->answered, and its results */
	STEP_HAPPENED,          /* not OK, but it is said to have happened */
	STEP_FAILED,            /* not OK, and nothing is said to have happened */
	STEP_REFUSED,           /* NO: it does not fit the state */
	STEP_SKIPPED,           /* was not asked for: its mailbox is not there, or its message could not be taken in */
};

/* Submit up to STEPS_MAX changes at once, in this order, and wait for all. ops[i].kind < OP_CHANGES. */
void steps_run(struct volume *v, struct op *ops, unsigned count, enum step_end *ends);
/* The client of this delivery has read its answer and goes on. */
void steps_confirm(struct volume *v, const struct op *op);
/* A change that changes nothing: whether the volume takes changes. */
bool steps_ask(struct volume *v);
/* What the checkpointer does, now. */
bool steps_checkpoint(const char *volume_path);

/* An operation that fits this state, by chance. */
void steps_draw(const struct model *now, struct op *op);

#endif
