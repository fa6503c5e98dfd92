/* work - see work.h. */
#define _GNU_SOURCE
#include "tests/crash/work.h"

#include <stdio.h>
#include <time.h>

#include "index/move.h"
#include "store/copy.h"
#include "tests/crash/changes.h"
#include "tests/crash/sim_disk.h"

static struct {
	bool     beside;
	unsigned calls;
	bool     ok;
} course;

static const struct op beside[] = {
	{ OP_STORE, IN("anna", "Work"), .first = 7, .last = 9, .store = STORE_ADD, .flags = FLAG_DRAFT },
	{ OP_DELIVER, TO("anna", "Work"), .mail = 1 },
	{ OP_UNDELETE, IN("anna", "Work"), TO("anna", "INBOX"), .first = 2, .flags = FLAG_SEEN, .mail = 1 },
	{ OP_EXPUNGE, IN("anna", "Work"), .first = 8, .last = 9 },
	{ OP_DELETE, IN("anna", "Work/2026") },
	{ OP_UNDELETE, IN("anna", "Work"), TO("anna", "INBOX"), .first = 4, .mail = 3 },
	{ OP_CREATE, IN("anna", "Tea") },
	{ OP_ACCOUNT_DELETE, .account = "ben" },
};

/* A cut can come here too; and changes, between any two steps. */
static bool
on_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	unsigned n = course.calls++;

	(void)arg, (void)what, (void)done, (void)total;
	sim_pause();
	if (course.beside && n % 4 == 3 && n / 4 < sizeof beside / sizeof *beside && !sim_hit()) {
		struct op op = beside[n / 4];

		course.ok = changes_run_one(&op) && course.ok;
	}
	return true;
}

bool
work_compact(const struct row *row)
{
	struct compact_params p = row->compact;
	struct compact_result r;
	struct err e = ERR_INIT;

	course.beside = row->work == WORK_COMPACT_BESIDE;
	course.calls = 0;
	course.ok = true;
	p.progress = on_progress;
	if (volume_compact(rig.v, &p, &r, &e) != RC_OK)
		return sim_hit() || rig_wrong("compaction: %s", e.text);
	if (rig_args.one)
		(void)fprintf(stderr,
		              "  compaction: %llu segments, %llu made, %llu left alone, %llu of "
		              "%llu bytes dead\n",
		              (unsigned long long)r.segments, (unsigned long long)r.rewritten,
		              (unsigned long long)r.left_alone, (unsigned long long)r.dead_bytes,
		              (unsigned long long)r.bytes);
	return course.ok;
}

static bool
prune(void)
{
	uint64_t dropped;
	struct err e = ERR_INIT;

	return volume_prune(rig.v, 1, (uint64_t)time(NULL) + 10, &dropped, &e) == RC_OK ||
	       sim_hit() || rig_wrong("pruning: %s", e.text);
}

/* The present log into this directory. False: it did not work, and nothing had been broken. */
bool
work_copy(const char *to, bool fresh, bool *done)
{
	struct copy_params p = { .path = to, .fresh_only = fresh };
	struct copy_result r;
	struct err e = ERR_INIT;

	*done = log_copy(volume_log(rig.v), &p, NULL, &r, &e) == RC_OK;
	if (*done && r.damage > 0)
		return rig_wrong("what was copied to %s is damaged", to);
	return *done || sim_hit() || rig_wrong("copy: %s", e.text);
}

bool
work_put_back(bool *done)
{
	struct log_params p = { .path = rig.copy, .mode = LOG_READ };
	struct copy_params cp = { .path = rig.back, .fresh_only = true };
	struct copy_result r;
	struct err e = ERR_INIT;
	struct log *log;

	*done = log_open(&p, NULL, &log, &e) == RC_OK;
	if (*done) {
		*done = log_copy(log, &cp, NULL, &r, &e) == RC_OK;
		log_close(&log);
	}
	return *done || sim_hit() || rig_wrong("restore: %s", e.text);
}

/* Who is told that it went wrong does not know how far it came. */
static bool
move(struct op *op)
{
	struct move_result r;
	struct account_info info;
	struct err e = ERR_INIT;
	struct arena a;
	bool done;

	arena_init(&a, 1u << 20);
	done = volume_find_account(rig.v, slice_str(op->account), &a, &info, &e) == RC_OK &&
	       move_account(rig.v, rig.other, info.id, NULL, NULL, &r, &e) == RC_OK;
	arena_fini(&a);
	if (!done && !sim_hit())
		return rig_wrong("move: %s", e.text);
	op->logged = op->answered = done;
	rig.ops[rig.count++] = *op;
	if (done)
		rig.durable = rig.count;
	return model_apply(&rig.now, op, &rig.fresh) == NULL;
}

static bool
reparse(bool *done)
{
	const struct reparse_params p = { .all = false };
	struct reparse_result r;
	struct err e = ERR_INIT;

	*done = volume_reparse(rig.v, &p, &r, &e) == RC_OK && r.unreadable == 0;
	return *done || sim_hit() || rig_wrong("reparse: %s", e.text);
}

bool
work_run(const struct row *row)
{
	struct op op = row->op;
	struct err e = ERR_INIT;

	rig.copied = rig.reparsed = false;
	switch (row->work) {
	case WORK_PURGE:
		return changes_run_one(&op) && (sim_hit() || work_compact(row));
	case WORK_COMPACT:
	case WORK_COMPACT_BESIDE:
	case WORK_COMPACT_WHOLE:
		return work_compact(row);
	case WORK_REAP:
		return compact_settle(rig.v, &e) == RC_OK || sim_hit() ||
		       rig_wrong("reaping: %s", e.text);
	case WORK_PRUNE:
		return prune();
	case WORK_BACKUP:
		return work_copy(rig.copy, false, &rig.copied);
	case WORK_PUT_BACK:
		return work_put_back(&rig.copied);
	case WORK_MOVE:
		return move(&op);
	case WORK_REPARSE:
		return reparse(&rig.reparsed);
	case WORK_RENEW:
	case WORK_KILLED:
	case WORK_NONE:
		break;
	}
	return true;
}
