/* changes - see changes.h. */
#define _GNU_SOURCE
#include "tests/crash/changes.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "lib/clock.h"
#include "tests/crash/look.h"
#include "tests/crash/rig.h"
#include "tests/crash/sim_disk.h"
#include "tests/crash/steps.h"

#define IDLE_WAIT_MS 20000

static void
tell_op(const struct op *op, enum step_end end)
{
	static const char *const ends[] = { "done", "happened", "failed", "refused", "skipped" };

	if (!rig_args.one)
		return;
	(void)fprintf(stderr,
	              "  op kind %d %s %s/%s -> %s, %u targets %s, %u:%u modseq %llu (%llu)%s%s\n",
	              (int)op->kind, ends[end], op->account, op->box, op->to, op->target_count,
	              op->targets[0].box, op->first, op->last, (unsigned long long)op->modseq,
	              (unsigned long long)op->targets[0].modseq, sim_hit() ? " hit" : "",
	              sim_is_cut() ? " cut" : "");
}

static bool
is_delivery(const struct op *op)
{
	return op->kind == OP_DELIVER || op->kind == OP_DELIVER_MANY || op->kind == OP_DELIVER_BIG;
}

void
changes_confirm(void)
{
	if (rig.unconfirmed.delivery != 0 && !sim_is_cut())
		steps_confirm(rig.v, &rig.unconfirmed);
	rig.unconfirmed.delivery = rig.unknown.delivery = 0;
}

/* What an LMTP client would have the volume know: which delivery this is, and the above. */
static void
name_deliveries(struct op *ops, unsigned n)
{
	changes_confirm();
	for (unsigned i = 0; i < n; i++) {
		if (!is_delivery(&ops[i]))
			continue;
		if (!ops[i].again)
			ops[i].delivery = ++rig.deliveries;
		ops[i].session = ops[i].again ? ++rig.deliveries : ops[i].delivery;
	}
}

static bool
record(struct op *op, enum step_end end)
{
	static struct model was;
	const struct model_box *again;
	bool faulty = sim_hit() || sim_is_cut();
	const char *bad;

	tell_op(op, end);

	switch (end) {
	case STEP_SKIPPED:
	case STEP_REFUSED:
		return faulty || rig_wrong("an operation of kind %d was %s", (int)op->kind,
		                       end == STEP_REFUSED ? "refused" : "not made");
	case STEP_FAILED:
		if (!faulty)
			return rig_wrong("an operation of kind %d failed", (int)op->kind);
		if (!sim_is_cut())
			return true;    /* it is said not to have happened */
		break;
	case STEP_HAPPENED:
	case STEP_DONE:
		break;
	}
	if (op->suppressed)
		return op->again ||
		       rig_wrong("what came first is held for something that came again");
	rig.unknown = *op;
	if (!is_delivery(op))
		rig.unknown.delivery = 0;
	assert(rig.count < HISTORY_MAX);
	op->relaxed = rig.relaxed && op->kind == OP_STORE;
	rig.ops[rig.count++] = *op;
	if (end != STEP_FAILED && !op->relaxed && op->logged)
		rig.durable = rig.count;
	was = rig.now;
	bad = model_apply(&rig.now, op, &rig.fresh);
	if (!op->answered)
		return bad == NULL || rig_wrong("%s", bad);
	again = model_tells_again(&was, &rig.now, &rig.told_since);
	model_tell(&rig.now, &rig.told_since);
	if (again != NULL)
		return rig_wrong("%s: a MODSEQ is told that was told before", again->name);
	return bad == NULL || rig_wrong("%s", bad);
}

bool
changes_run(struct op *ops, unsigned n)
{
	enum step_end ends[STEPS_MAX];
	bool ok = true;

	name_deliveries(ops, n);
	steps_run(rig.v, ops, n, ends);
	for (unsigned i = 0; i < n; i++)
		ok = record(&ops[i], ends[i]) && ok;
	if (n == 1 && ends[0] == STEP_DONE && is_delivery(&ops[0]))
		rig.unconfirmed = ops[0];
	return ok;
}

bool
changes_run_one(struct op *op)
{
	return changes_run(op, 1);
}

/* After an error that was no cut: until the volume takes changes again. */
bool
changes_wait_idle(void)
{
	struct timespec pause = { 0, 2000000 };

	for (uint64_t until = clock_mono_ms() + IDLE_WAIT_MS; clock_mono_ms() < until;) {
		if (steps_ask(rig.v))
			return true;
		nanosleep(&pause, NULL);
	}
	return rig_wrong("the volume does not come back after one error");
}
