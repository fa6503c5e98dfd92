/* history - see history.h. */
#define _GNU_SOURCE
#include "tests/crash/history.h"

#include <stdio.h>

#include "tests/crash/changes.h"
#include "tests/crash/look.h"
#include "tests/crash/rows.h"
#include "tests/crash/sim_disk.h"
#include "tests/crash/steps.h"
#include "tests/crash/tally.h"
#include "tests/crash/trial.h"

/* Changes, one or some at once, until the fault comes or enough. */
static bool
live(unsigned changes)
{
	struct op ops[STEPS_MAX];

	for (unsigned done = 0;
	     done < changes && !sim_is_cut() && rig.count + STEPS_MAX < HISTORY_MAX;) {
		static struct model then;
		unsigned n = !rig.relaxed && sim_random(3) == 0
		                 ? 1 + (unsigned)sim_random(STEPS_MAX)
		                 : 1;
		bool was_hit = sim_hit();

		then = rig.now;
		for (unsigned i = 0; i < n; i++) {
			do
				steps_draw(&then, &ops[i]);
			while (i > 0 && ops[i].kind >= OP_CREATE);
			(void)model_apply(&then, &ops[i], &rig.fresh);
			if (ops[0].kind >= OP_CREATE)
				n = 1;  /* what it makes has no id yet */
		}
		if (!changes_run(ops, n))
			return false;
		done += n;
		if (sim_random(12) == 0)
			(void)steps_checkpoint(rig.path);
		if (sim_hit() && !was_hit && !sim_is_cut())
			return trial_live_on();
	}
	return true;
}

bool
history_run(uint64_t seed)
{
	struct err e = ERR_INIT;
	bool ok = true;

	(void)snprintf(rig.replay, sizeof rig.replay, "--seed %llu --only random",
	               (unsigned long long)seed);
	rig_seed(seed);
	rig_start(TEMPL_PLAIN);
	rig.relaxed = sim_random(3) == 0;
	rig.max_segment = sim_random(2) == 0 ? SMALL_SEGMENT : 0;
	if (!rig_open(&e))
		return rig_wrong("open: %s", e.text);
	for (unsigned i = 0; ok && i < 10; i++) {
		enum sim_fault fault = sim_random(2) == 0 ? (enum sim_fault)sim_random(SIM_FAULTS)
		                                          : SIM_CUT_IN;

		sim_arm(fault, 1 + sim_random(150));
		ok = live(1 + (unsigned)sim_random(12));
		if (ok && sim_hit() && !sim_is_cut() && rig.count == 0)
			ok = live(3);
		if (sim_hit() || !sim_is_cut())
			tally_add(rows_count, sim_is_cut() ? sim_hit_phase() : SIM_DONE);
		rig_cut();
		ok = ok && look_behind_cut();
	}
	sim_cut();
	rig_close();
	return ok;
}
