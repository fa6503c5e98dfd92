/* sim_faults - see sim_impl.h. */
#define _GNU_SOURCE
#include "tests/crash/sim_impl.h"

#include <errno.h>
#include <stdlib.h>

const char *const sim_fault_names[SIM_FAULTS] = { "cut-before", "cut-in", "eio", "enospc", "short",
                                                  "torn", "sync" };
const char *const sim_phase_names[SIM_PHASES] = { "before", "write", "written", "sync", "synced",
                                                  "index", "head",
	                                          "reap", "takeover", "done" };

struct sim sim = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
sim_lock(void)
{
	pthread_mutex_lock(&sim.lock);
}

int
sim_unlock(int result)
{
	int os = errno;

	pthread_mutex_unlock(&sim.lock);
	errno = os;
	return result;
}

void *
sim_must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

uint64_t
sim_draw(uint64_t below)
{
	uint64_t z = sim.random += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	return below > 0 ? z % below : z;
}

uint64_t
sim_random(uint64_t below)
{
	uint64_t r;

	sim_lock();
	r = sim_draw(below);
	sim_unlock(0);
	return r;
}

void
sim_seed(uint64_t seed)
{
	sim_lock();
	sim.random = seed;
	sim_unlock(0);
}

/* ---- faults ---- */

static enum sim_phase
phase_now(enum piece piece, bool is_write, bool is_sync, bool in)
{
	if (sim.takeover)
		return SIM_TAKEOVER;
	if (sim.reaping && piece != PIECE_INDEX)
		return SIM_REAP;
	if (piece == PIECE_HEAD)
		return SIM_HEAD;
	if (piece == PIECE_INDEX)
		return in || sim.index_touched || !sim.log_synced ? SIM_INDEX : SIM_SYNCED;
	if (in && piece == PIECE_LOG && is_write)
		return SIM_WRITE;
	if (in && piece == PIECE_LOG && is_sync)
		return SIM_IN_SYNC;
	if (sim.log_dirty)
		return SIM_WRITTEN;
	return sim.log_synced ? SIM_SYNCED : SIM_BEFORE;
}

static void
note_phases(enum piece piece, bool is_write, bool is_sync)
{
	if (sim.armed == 0 || sim.hit || sim.count >= CALLS_NOTED)
		return;
	sim.phases[0][sim.count] = (uint8_t)phase_now(piece, is_write, is_sync, false);
	sim.phases[1][sim.count] = (uint8_t)phase_now(piece, is_write, is_sync, true);
}

uint64_t
sim_call_in(enum sim_phase phase, enum sim_fault fault, uint64_t skip)
{
	const uint8_t *phases = sim.phases[fault != SIM_CUT_BEFORE];
	uint64_t count = 0;

	for (uint64_t i = 1; i <= sim.noted; i++)
		count += phases[i] == phase;
	if (count == 0)
		return 0;
	skip %= count;
	for (uint64_t i = 1;; i++)
		if (phases[i] == phase && skip-- == 0)
			return i;
}

enum verdict
sim_admit(enum piece piece, bool is_write, bool is_sync)
{
	bool in = sim.fault != SIM_CUT_BEFORE;

	errno = EIO;
	if (sim.cut)
		return FAIL;
	if (++sim.count != sim.armed || sim.hit) {
		note_phases(piece, is_write, is_sync);
		if (piece == PIECE_LOG && is_write)
			sim.log_dirty = true;
		if (piece == PIECE_LOG && is_sync && sim.log_dirty) {
			sim.log_dirty = false;
			sim.log_synced = true;
		}
		sim.index_touched = sim.index_touched || (piece == PIECE_INDEX && sim.log_synced);
		return GO;
	}
	sim.hit = true;
	sim.hit_phase = phase_now(piece, is_write, is_sync, in);
	switch (sim.fault) {
	case SIM_CUT_BEFORE:
		sim.cut = true;
		return FAIL;
	case SIM_CUT_IN:
		sim.cut = true;
		return FAIL_EFFECT;
	case SIM_ENOSPC:
		errno = ENOSPC;
		return FAIL;
	case SIM_SHORT:
		return is_write ? GO_PART : FAIL;
	case SIM_TORN:
	case SIM_SYNC:
		return (sim.fault == SIM_TORN ? is_write : is_sync) ? FAIL_EFFECT : FAIL;
	case SIM_EIO:
	case SIM_FAULTS:
		break;
	}
	return FAIL;
}

void
sim_arm(enum sim_fault fault, uint64_t n)
{
	sim_lock();
	if (sim.armed != 0 && !sim.hit)
		sim.noted = sim.count < CALLS_NOTED ? sim.count : CALLS_NOTED - 1;
	sim.fault = fault;
	sim.armed = n;
	sim.count = 0;
	sim.hit = sim.log_dirty = sim.log_synced = sim.index_touched = sim.reaping = false;
	sim.hit_phase = SIM_DONE;
	sim_unlock(0);
}

uint64_t
sim_count(void)
{
	uint64_t n;

	sim_lock();
	n = sim.count;
	sim_unlock(0);
	return n;
}

bool
sim_hit(void)
{
	sim_lock();
	return sim_unlock(sim.hit) != 0;
}

bool
sim_is_cut(void)
{
	sim_lock();
	return sim_unlock(sim.cut) != 0;
}

enum sim_phase
sim_hit_phase(void)
{
	return sim.hit_phase;
}

void
sim_in_takeover(bool yes)
{
	sim_lock();
	sim.takeover = yes;
	sim_unlock(0);
}

void
sim_pause(void)
{
	sim_lock();
	(void)sim_admit(PIECE_OTHER, false, false);
	sim_unlock(0);
}

void
sim_revive(void)
{
	sim_lock();
	sim.cut = false;
	sim_unlock(0);
}

void
sim_cut(void)
{
	sim_lock();
	sim.cut = true;
	sim_unlock(0);
}
