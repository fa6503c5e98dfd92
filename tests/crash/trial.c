/* trial - see trial.h. */
#define _GNU_SOURCE
#include "tests/crash/trial.h"

#include <stdio.h>
#include <time.h>

#include "tests/crash/changes.h"
#include "tests/crash/look.h"
#include "tests/crash/rows.h"
#include "tests/crash/steps.h"
#include "tests/crash/tally.h"
#include "tests/crash/work.h"

static bool
deliver_before(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct op op = { OP_DELIVER, TO("anna", "Work"), .mail = i };

		if (rig.relaxed && i % 2 == 1)
			op = (struct op){ OP_STORE, IN("anna", "INBOX"), .first = 1, .last = i + 1,
			                  .flags = 1u << i };
		if (!changes_run_one(&op))
			return false;
	}
	return true;
}

/* Cut somewhere in one more delivery, or in a compaction, so that there is something to recover. */
static bool
leave_wreck(const struct row *row)
{
	struct op op = { OP_DELIVER, TO("anna", "INBOX"), .mail = 1 };

	if (row->work == WORK_RENEW) {          /* opening it is all */
		rig_close();
		(void)snprintf(rig.path, sizeof rig.path, "%s", rig.copy);
		rig_forget(&rig_templs[row->templ].copied);
		rig.ops[0] = (struct op){ .kind = OP_RENEW, .logged = true };
		rig.count = rig.durable = 1;
		return true;
	}
	if (row->work == WORK_COMPACT || row->work == WORK_COMPACT_WHOLE) {
		if (row->work == WORK_COMPACT)
			sim_arm(sim_random(2) == 0 ? SIM_CUT_IN : SIM_CUT_BEFORE,
			        1 + sim_random(320));
		if (!work_compact(row))
			return false;
		rig_cut();
		return true;
	}
	sim_arm(sim_random(2) == 0 ? SIM_CUT_IN : SIM_CUT_BEFORE, 1 + sim_random(24));
	if (!changes_run_one(&op))
		return false;
	if (row->work == WORK_KILLED)
		rig_kill();
	else
		rig_cut();
	rig.recovering = true;
	return true;
}

/* Open, with a fault; cut again, and once more somewhere in the open after that. */
static bool
recover_twice(const struct row *row, enum sim_fault fault, uint64_t n)
{
	struct err e = ERR_INIT;

	sim_arm(fault, n);
	if (!rig_open(&e) && !sim_hit())
		return rig_wrong("recovery: %s", e.text);
	rig.hit = sim_hit();
	if (!rig.hit)           /* what a takeover tells must outlive the cut that follows, too */
		return row->work != WORK_KILLED || trial_live_on();
	if (!trial_live_on())
		return false;
	rig_cut();
	sim_arm(SIM_CUT_IN, 1 + sim_random(60));
	(void)rig_open(&e);
	return true;
}

static bool
run_row(const struct row *row, enum sim_fault fault, uint64_t n)
{
	const struct timespec pause = { 0, 5000000 };
	struct op op = row->op;
	struct volume_params p;
	struct reindex_result res;
	struct err e = ERR_INIT;
	bool done;

	switch (op.kind) {
	case OP_OPEN:
		return leave_wreck(row) && recover_twice(row, fault, n);
	case OP_REINDEX:
		p = rig_params();
		rig_close();
		sim_arm(fault, n);
		done = volume_reindex(&p, false, &res, &e) == RC_OK;
		return done || sim_hit() || rig_wrong("rebuild: %s", e.text);
	case OP_CHECKPOINT:
		if (row->confirmed) {
			changes_confirm();
			(void)nanosleep(&pause, NULL);  /* the writer has seen it */
		}
		sim_arm(fault, n);
		return steps_checkpoint(rig.path) || sim_hit() || rig_wrong("checkpoint");
	case OP_CLOSE:
		sim_arm(fault, n);
		if (row->confirmed)
			changes_confirm();
		volume_close(&rig.v);
		return true;
	case OP_DELIVER:
	case OP_DELIVER_MANY:
	case OP_DELIVER_BIG:
	case OP_STORE:
	case OP_COPY:
	case OP_MOVE:
	case OP_EXPUNGE:
	case OP_REPLACE:
	case OP_CREATE:
	case OP_RENAME:
	case OP_DELETE:
	case OP_SUBSCRIBE:
	case OP_ACCOUNT_CREATE:
	case OP_ACCOUNT_DELETE:
	case OP_QUOTA:
	case OP_HIDE:
	case OP_LOCK:
	case OP_CREDENTIAL:
	case OP_IMPORT:
	case OP_UNDELETE:
	case OP_PURGE:
	case OP_ACCOUNT_RESTORE:
	case OP_RENEW:
	case OP_MOVE_ACCOUNT:
	case OP_KEEP:
		break;
	}
	sim_arm(fault, n);
	return row->work != WORK_NONE ? work_run(row) : changes_run_one(&op);
}

/* Between an error and the cut: the volume lives, and what it says is so. */
bool
trial_live_on(void)
{
	/* A move that failed half way has its end at the next start. */
	if (rig.v == NULL || sim_is_cut() || rig.other != NULL)
		return true;
	return changes_wait_idle() &&
	       look_at_volume(rig.recovering ? rig.durable : rig.count, rig.recovering);
}

/* False: something is wrong. *hit: the operation asks the disk at least n times. */
bool
trial_run(size_t r, enum sim_fault fault, uint64_t n, uint64_t seed, bool *hit)
{
	const struct row *row = &rows[r];
	struct err e = ERR_INIT;
	enum sim_phase phase;
	bool ok, happened;

	(void)snprintf(rig.replay, sizeof rig.replay, "--seed %llu --only '%s' --fault %s --n %llu",
	    (unsigned long long)seed, row->name, sim_fault_names[fault], (unsigned long long)n);
	rig_seed(seed);
	rig_start(row->templ);
	rig.relaxed = row->relaxed;
	rig.keeps_index = fault <= SIM_CUT_IN && !row->relaxed && row->op.kind != OP_REINDEX &&
	                  row->work != WORK_RENEW;      /* a copy comes without an index */
	rig.max_segment = row->max_segment;
	if (!rig_open(&e))
		return rig_wrong("open: %s", e.text);
	ok = deliver_before(row->before) && run_row(row, fault, n);
	if (row->op.kind != OP_OPEN)
		rig.hit = sim_hit();
	*hit = rig.hit;
	phase = !*hit ? SIM_DONE : row->op.kind == OP_OPEN ? SIM_TAKEOVER : sim_hit_phase();
	ok = ok && (!*hit || trial_live_on());
	rig_cut();
	if (fault <= SIM_CUT_IN)
		tally_add(r, phase);
	happened = rig.durable > 0;
	ok = ok && work_verify_copy(row) && look_behind_cut() && work_verify(row, happened);
	sim_cut();
	rig_close();
	return ok;
}
