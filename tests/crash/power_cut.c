/* power_cut - the power fails at every call of the disk, in every operation; what was acknowledged must be there.
 *
 *   power_cut [--cuts N] [--seed N]                 every operation at every call, then random histories, until N cuts
 *   power_cut --seed N --only ROW --fault F --n K   one again, as a failure prints it
 *
 * A trial begins with a copy of a small volume, arms the simulated disk for its n-th call, runs the operation, lets the
 * power fail (at that call; behind the operation when the call was to fail with an error), makes the files what the disk
 * kept, and opens the volume again. Then the properties of DESIGN 3 are looked for: what was acknowledged is there, what
 * was not is there as a whole or not at all, of several a first part; no number is told twice; check finds nothing; a
 * client that was away is told the exact difference; an index made anew says the same; the volume takes changes.
 *
 * Rows and columns of the table at the end: cuts by operation and by where they came. A cell that should have some and has
 * none is a failure.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "index/compact.h"
#include "index/move.h"
#include "lib/clock.h"
#include "lib/logging.h"
#include "store/copy.h"
#include "tests/crash/files.h"
#include "tests/crash/sim_disk.h"
#include "tests/crash/sim_vfs.h"
#include "tests/crash/steps.h"

#define HISTORY_MAX  64
#define WHY_LEN      512
#define CALLS_MAX    4000       /* no operation asks the disk so often */
#define LONG_RUN     10000      /* cuts */
#define HISTORIES    10         /* at least */
#define IDLE_WAIT_MS 20000
#define SMALL_SEGMENT 8192
#define DAY_US       UINT64_C(86400000000)
#define IDS_OF_OTHER (UINT64_C(1) << 40)        /* what the model adds to the ids of the second volume */

/* What a trial begins with. */
enum templ {
	TEMPL_PLAIN,
	TEMPL_WORN,             /* much of it is dead */
	TEMPL_DROPPED,          /* compacted, and what was replaced is still there */
	TEMPL_COPIED,           /* with a copy of what it was some changes before */
	TEMPL_PAIR,             /* with a second volume, empty */
	TEMPLS,
};

static struct {
	char          root[256], disk[270], path[280], other_path[280], copy[280], back[280], outside[280];
	struct volume *v, *other;       /* other: of a pair */
	bool          pair;
	const struct model *long_ago;   /* may be NULL: some client has seen this last */
	bool          relaxed;
	uint64_t      max_segment;
	uint64_t      damage;
	bool          hit;              /* the fault of this trial has come */
	bool          recovering;       /* what happened before a cut is not told yet */

	struct model  base, now;        /* as last verified; with `ops`, as far as they are known to have happened */
	struct op     ops[HISTORY_MAX];
	unsigned      count;            /* of ops that happened, or may have */
	unsigned      durable;          /* of those, which must be there */
	struct heard   told;             /* up to `base` */
	struct heard   told_since;       /* and up to now */

	struct model_account fresh;     /* what a new account has */
} rig;

static struct {
	char         path[280];
	struct model model, long_ago, copied;
	struct heard  told;
} templs[TEMPLS];

static blob_id purged;                  /* the content that OP_PURGE takes away in TEMPL_WORN */

static struct {
	uint64_t seed, cuts_wanted, only_n;
	const char *only, *fault;
	bool one;               /* a trial again, and tell more */
	bool first;             /* end at the first failure */
} args = { .cuts_wanted = 2000 };

static char     replay[256];            /* how to run the present trial again */
static uint64_t cuts, failures, rows_failed, began_ms;

/* ---- chance ---- */

/* The product's random keys and ids, from the seed as well. */
static _Atomic uint64_t entropy;

int
getentropy(void *dst, size_t len)
{
	uint8_t *p = dst;

	for (size_t i = 0; i < len; i++) {
		uint64_t z = atomic_fetch_add(&entropy, UINT64_C(0x9E3779B97F4A7C15));

		z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
		p[i] = (uint8_t)(z >> 56);
	}
	return 0;
}

static void
set_seed(uint64_t seed)
{
	sim_seed(seed);
	entropy = seed ^ UINT64_C(0x6A09E667F3BCC908);
}

/* ---- telling ---- */

__attribute__((format(printf, 1, 2))) static bool
wrong(const char *fmt, ...)
{
	va_list ap;

	failures++;
	(void)fprintf(stderr, "\nFAIL  ");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "\n      again: tests/crash/power_cut %s (after %llu cuts)\n", replay,
	              (unsigned long long)cuts);
	return false;
}

static void
on_signal(int sig)
{
	static const char text[] = "\nFAIL  the program died; again: tests/crash/power_cut ";

	(void)!write(2, text, sizeof text - 1);
	(void)!write(2, replay, strlen(replay));
	(void)!write(2, "\n", 1);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

static void
found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last, const char *what)
{
	(void)arg, (void)offset, (void)len, (void)first, (void)last;
	if (seg.seq == 0)
		return;         /* one copy of the head: that is what the other is for */
	rig.damage++;
	if (args.one)
		(void)fprintf(stderr, "damage: segment %llu-%u at %llu: %s\n", (unsigned long long)seg.seq, seg.epoch,
		              (unsigned long long)offset, what);
}

static void
found_by_check(void *arg, const struct check_finding *f)
{
	(void)arg;
	rig.damage++;
	if (args.one)
		(void)fprintf(stderr, "check: %s\n", f->what);
}

static void
show_progress(void)
{
	static uint64_t last_ms;
	uint64_t now = clock_mono_ms(), ms = now - began_ms;

	if (args.one || now - last_ms < 1000 || !isatty(2) || cuts == 0)
		return;
	last_ms = now;
	(void)fprintf(stderr, "\r%llu of %llu cuts, %llu a minute, %llu s left   ", (unsigned long long)cuts,
	              (unsigned long long)args.cuts_wanted, (unsigned long long)(cuts * 60000 / (ms + 1)),
	              (unsigned long long)(cuts < args.cuts_wanted ? (args.cuts_wanted - cuts) * ms / cuts / 1000 : 0));
}

/* ---- files ---- */

static void
delete_index(const char *volume_path)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".new" };
	char path[512];

	for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
		(void)snprintf(path, sizeof path, "%s/index.db%s", volume_path, ends[i]);
		(void)unlink(path);
	}
}

/* ---- the volume ---- */

static struct volume_params
params(void)
{
	return (struct volume_params){ .name = "v", .path = rig.path, .mode = VOLUME_WRITE, .relaxed = rig.relaxed,
		                       .max_segment = rig.max_segment, .report = { NULL, found } };
}

static bool
open_pair(struct volume_params p, struct err *e)
{
	struct volume *both[2];
	uint32_t removed;

	p.path = rig.other_path;
	p.name = "v2";
	if (volume_open(&p, &rig.other, e) != RC_OK)
		return false;
	both[0] = rig.v;
	both[1] = rig.other;
	return move_settle(both, 2, &removed, e) == RC_OK;
}

static bool
open_volume(struct err *e)
{
	struct volume_params p = params();
	bool ok;

	sim_in_takeover(true);
	ok = volume_open(&p, &rig.v, e) == RC_OK && (!rig.pair || open_pair(p, e));
	sim_in_takeover(false);
	return ok;
}

static void
close_volume(void)
{
	volume_close(&rig.v);
	volume_close(&rig.other);
}

/* The power fails, if it has not, and what the disk kept is there. */
static void
cut_power(void)
{
	sim_cut();
	close_volume();
	sim_restore();
	cuts++;
	show_progress();
}

static void
forget_history(const struct model *base)
{
	rig.base = rig.now = *base;
	rig.recovering = false;
	rig.count = rig.durable = 0;
}

static void
start_from_template(enum templ t)
{
	files_empty(rig.disk);
	files_copy(templs[t].path, rig.disk);
	sim_reset();
	sim_arm(SIM_EIO, 0);
	(void)snprintf(rig.path, sizeof rig.path, "%s", rig.disk);
	rig.pair = t == TEMPL_PAIR;
	rig.long_ago = t == TEMPL_WORN || t == TEMPL_DROPPED ? &templs[t].long_ago : NULL;
	rig.relaxed = false;
	rig.max_segment = 0;
	rig.told = rig.told_since = templs[t].told;
	forget_history(&templs[t].model);
}

/* ---- looking ---- */

static bool
check_one(struct volume *v)
{
	struct check_result res;
	struct err e = ERR_INIT;
	struct check_report rep = { NULL, found_by_check };

	rig.damage = 0;
	if (volume_check(v, &rep, NULL, NULL, &res, &e) != RC_OK)
		return wrong("check: %s", e.text);
	if (res.damage == 0 && res.differences == 0 && rig.damage == 0)
		return true;
	return wrong("check finds %llu damages, %llu differences between log and index",
	             (unsigned long long)res.damage, (unsigned long long)res.differences);
}

static bool
check(void)
{
	return check_one(rig.v) && (rig.other == NULL || check_one(rig.other));
}

/* Of a pair both, as if they were one. */
static bool
read_all(struct model *out, char *why, size_t size)
{
	static struct model more;

	if (!model_read(rig.v, out, why, size))
		return false;
	if (rig.other == NULL)
		return true;
	if (!model_read(rig.other, &more, why, size))
		return false;
	for (unsigned i = 0; i < more.count && out->count < ACCOUNTS; i++) {
		struct model_account *a = &out->accounts[out->count++];

		*a = more.accounts[i];
		a->id += IDS_OF_OTHER;
		for (unsigned k = 0; k < a->box_count; k++)
			a->boxes[k].id += IDS_OF_OTHER;
	}
	return true;
}

/* Which of the histories that may be has come true: [from, count] of the operations. */
static bool
match(unsigned from, const struct model *got)
{
	static struct model want;
	char why[WHY_LEN] = "";
	const char *bad;

	want = rig.base;
	for (unsigned i = 0;; i++) {
		char text[WHY_LEN];

		if (i >= from) {
			if (!model_differs(&want, got, &rig.told, text, sizeof text))
				return true;
			if (i == from || i == rig.count)
				(void)snprintf(why + strlen(why), sizeof why - strlen(why),
				               "; after %u of %u operations: %.150s", i, rig.count, text);
		}
		if (i == rig.count)
			break;
		bad = model_apply(&want, &rig.ops[i], &rig.fresh);
		if (bad != NULL)
			return wrong("%s", bad);
	}
	return wrong("%u operations must be there%s", from, why);
}

/* The open volume against the oracle; what it tells is told then. */
static bool
look(unsigned from, bool behind_cut)
{
	static struct model got;
	char why[WHY_LEN];

	if (!read_all(&got, why, sizeof why))
		return wrong("%s", why);
	if (!match(from, &got))
		return false;
	if (model_resync_is_wrong(rig.v, &rig.base, &got, why, sizeof why))
		return wrong("%s", why);
	if (rig.long_ago != NULL && model_resync_is_wrong(rig.v, rig.long_ago, &got, why, sizeof why))
		return wrong("since long ago: %s", why);
	if (behind_cut || rig.durable == rig.count) {   /* else what was answered relaxed may still be lost */
		model_tell(&got, &rig.told_since);
		rig.told = rig.told_since;
		forget_history(&got);
	}
	return check();
}

static bool
look_at_rebuilt(void)
{
	static struct model got;
	struct err e = ERR_INIT;
	char why[WHY_LEN];

	close_volume();
	delete_index(rig.path);
	delete_index(rig.other_path);
	sim_reset();
	if (!open_volume(&e))
		return wrong("open without an index: %s", e.text);
	if (!read_all(&got, why, sizeof why))
		return wrong("rebuilt: %s", why);
	if (model_differs(&rig.base, &got, &rig.told, why, sizeof why))
		return wrong("rebuilt index: %s", why);
	return check();
}

static bool run_one(struct op *op);

/* After a cut. The volume stays open. */
static bool
verify(void)
{
	struct err e = ERR_INIT;
	struct op op = { .kind = OP_DELIVER, .target_count = 1 };

	rig.damage = 0;
	sim_arm(SIM_EIO, 0);
	if (!open_volume(&e))
		return wrong("open after the cut: %s", e.text);
	if (rig.damage > 0)
		return wrong("the open finds damage");
	if (!look(rig.durable, true) || (sim_random(3) == 0 && !look_at_rebuilt()))
		return false;
	if (rig.base.count == 0)
		return true;
	(void)snprintf(op.targets[0].account, NAME_LEN, "%s", rig.base.accounts[0].name);
	(void)snprintf(op.targets[0].box, NAME_LEN, "INBOX");
	if (model_box(&rig.base, op.targets[0].account, "INBOX")->count >= MESSAGES - 4)
		return true;
	return run_one(&op) && look(rig.count, false);
}

/* ---- operations ---- */

static void
tell_op(const struct op *op, enum step_end end)
{
	static const char *const ends[] = { "done", "happened", "failed", "refused", "skipped" };

	if (!args.one)
		return;
	(void)fprintf(stderr, "  op kind %d %s %s/%s -> %s, %u targets %s, %u:%u modseq %llu (%llu)%s%s\n", (int)op->kind,
	              ends[end], op->account, op->box, op->to, op->target_count, op->targets[0].box, op->first, op->last,
	              (unsigned long long)op->modseq, (unsigned long long)op->targets[0].modseq,
	              sim_hit() ? " hit" : "", sim_is_cut() ? " cut" : "");
}

static bool
record(struct op *op, enum step_end end)
{
	bool faulty = sim_hit() || sim_is_cut();
	const char *bad;

	tell_op(op, end);

	switch (end) {
	case STEP_SKIPPED:
	case STEP_REFUSED:
		return faulty || wrong("an operation of kind %d was %s", (int)op->kind,
		                       end == STEP_REFUSED ? "refused" : "not made");
	case STEP_FAILED:
		if (!faulty)
			return wrong("an operation of kind %d failed", (int)op->kind);
		if (!sim_is_cut())
			return true;    /* it is said not to have happened */
		break;
	case STEP_HAPPENED:
	case STEP_DONE:
		break;
	}
	assert(rig.count < HISTORY_MAX);
	op->relaxed = rig.relaxed && op->kind == OP_STORE;
	rig.ops[rig.count++] = *op;
	if (end != STEP_FAILED && !op->relaxed && op->logged)
		rig.durable = rig.count;
	bad = model_apply(&rig.now, op, &rig.fresh);
	if (op->answered)
		model_tell(&rig.now, &rig.told_since);
	return bad == NULL || wrong("%s", bad);
}

static bool
run_several(struct op *ops, unsigned n)
{
	enum step_end ends[STEPS_MAX];
	bool ok = true;

	steps_run(rig.v, ops, n, ends);
	for (unsigned i = 0; i < n; i++)
		ok = record(&ops[i], ends[i]) && ok;
	return ok;
}

static bool
run_one(struct op *op)
{
	return run_several(op, 1);
}

/* After an error that was no cut: until the volume takes changes again. */
static bool
wait_idle(void)
{
	struct timespec pause = { 0, 2000000 };

	for (uint64_t until = clock_mono_ms() + IDLE_WAIT_MS; clock_mono_ms() < until;) {
		if (steps_ask(rig.v))
			return true;
		nanosleep(&pause, NULL);
	}
	return wrong("the volume does not come back after one error");
}

/* ---- rows: one operation each ---- */

enum work {
	WORK_NONE,
	WORK_COMPACT,
	WORK_COMPACT_BESIDE,            /* with changes under way */
	WORK_PURGE,                     /* and compact */
	WORK_REAP,
	WORK_PRUNE,
	WORK_BACKUP,
	WORK_PUT_BACK,                  /* a copy into an empty place */
	WORK_RENEW,                     /* the first start of one */
	WORK_MOVE,
};

struct row {
	const char   *name;
	enum templ    templ;
	enum work     work;
	struct compact_params compact;
	unsigned      step;             /* a short run cuts at each so many-th call only; 0: 1 */
	struct op     op;
	unsigned      before;           /* deliveries before it */
	bool          relaxed;
	bool          all_faults;       /* also in a short run */
	uint64_t      max_segment;
	const char   *phases;           /* that it must have been cut in, one letter each: see phase_letters */
};

/* One letter per enum sim_phase. */
static const char phase_letters[] = "bwmsyihrtd";

#define TO(a, b) .target_count = 1, .targets = { { .account = a, .box = b } }
#define IN(a, b) .account = a, .box = b
#define LOGGED "bwmsyihd"
#define KEEP   .op = { .kind = OP_KEEP }
#define COMPACTED LOGGED "r"

static const struct row rows[] = {
	{ .name = "delivery", .op = { OP_DELIVER, TO("anna", "INBOX"), .mail = 2 }, .phases = LOGGED },
	{ .name = "delivery to an open segment", .op = { OP_DELIVER, TO("anna", "INBOX"), .flags = FLAG_SEEN, .mail = 3 },
	  .before = 1, .phases = "bwmsyid" },
	{ .name = "several recipients",
	  .op = { OP_DELIVER_MANY, .mail = 4, .target_count = 3,
	          .targets = { { .account = "anna", .box = "INBOX" }, { .account = "ben", .box = "INBOX" },
	                       { .account = "ben", .box = "Work" } } }, .phases = LOGGED },
	{ .name = "big message", .op = { OP_DELIVER_BIG, TO("ben", "INBOX"), .mail = MAIL_BIG }, .phases = LOGGED },
	{ .name = "roll-over", .op = { OP_DELIVER, TO("anna", "Work"), .mail = MAIL_SMALL }, .before = 2,
	  .max_segment = SMALL_SEGMENT, .phases = LOGGED },
	{ .name = "STORE", .op = { OP_STORE, IN("anna", "INBOX"), .first = 1, .last = 3, .flags = FLAG_FLAGGED, .keyword = 1 },
	  .phases = LOGGED },
	{ .name = "STORE relaxed", .relaxed = true, .phases = LOGGED,
	  .op = { OP_STORE, IN("anna", "INBOX"), .first = 1, .last = 3, .store = STORE_ADD, .flags = FLAG_SEEN } },
	{ .name = "delivery behind relaxed", .op = { OP_DELIVER, TO("anna", "Work"), .mail = 2 }, .before = 2,
	  .relaxed = true, .all_faults = true, .phases = "bwmsyid" },
	{ .name = "COPY", .op = { OP_COPY, IN("anna", "INBOX"), .to = "Work", .first = 1, .last = 3 }, .phases = LOGGED },
	{ .name = "MOVE", .op = { OP_MOVE, IN("anna", "INBOX"), .to = "Work/2026", .first = 2, .last = 4 }, .phases = LOGGED },
	{ .name = "EXPUNGE", .op = { OP_EXPUNGE, IN("anna", "INBOX"), .first = 2, .last = 3 }, .phases = LOGGED },
	{ .name = "REPLACE", .phases = LOGGED,
	  .op = { OP_REPLACE, IN("anna", "INBOX"), TO("anna", "INBOX"), .first = 2, .last = 2, .mail = 5 } },
	{ .name = "CREATE", .op = { OP_CREATE, IN("anna", "Letters/Old/May") }, .phases = LOGGED },
	{ .name = "RENAME", .op = { OP_RENAME, IN("anna", "Work"), .to = "Tea" }, .phases = LOGGED },
	{ .name = "DELETE", .op = { OP_DELETE, IN("anna", "Work/2026") }, .phases = LOGGED },
	{ .name = "SUBSCRIBE", .op = { OP_SUBSCRIBE, IN("anna", "Work"), .number = 1 }, .phases = LOGGED },
	{ .name = "account create", .op = { OP_ACCOUNT_CREATE, .account = "carl" }, .phases = LOGGED },
	{ .name = "account delete", .op = { OP_ACCOUNT_DELETE, .account = "ben" }, .phases = LOGGED },
	{ .name = "quota", .op = { OP_QUOTA, .account = "anna", .number = 50000 }, .phases = LOGGED },
	{ .name = "hide", .op = { OP_HIDE, .account = "anna", .number = 1 }, .phases = LOGGED },
	{ .name = "credential", .op = { OP_CREDENTIAL, .account = "ben", .number = 7 }, .phases = LOGGED },
	{ .name = "index checkpoint", .op = { .kind = OP_CHECKPOINT }, .before = 3, .phases = "id" },
	{ .name = "close", .op = { .kind = OP_CLOSE }, .before = 2, .phases = "ihd" },
	{ .name = "rebuild", .op = { .kind = OP_REINDEX }, .before = 2, .phases = "ihd" },
	{ .name = "recovery", .op = { .kind = OP_OPEN }, .before = 2, .phases = "td" },
	{ .name = "recovery, relaxed", .op = { .kind = OP_OPEN }, .before = 2, .relaxed = true, .phases = "td" },

	{ .name = "import of a UID", .phases = LOGGED,
	  .op = { OP_IMPORT, TO("anna", "INBOX"), .first = 500, .flags = FLAG_ANSWERED, .mail = 2 } },
	{ .name = "undelete", .templ = TEMPL_WORN, .phases = LOGGED,
	  .op = { OP_UNDELETE, IN("anna", "Work"), TO("anna", "INBOX"), .first = 3, .flags = FLAG_SEEN, .mail = 2 } },
	{ .name = "account restore", .phases = LOGGED, .op = { OP_ACCOUNT_RESTORE, .account = "carl", .number = 5 } },
	{ .name = "compaction", .templ = TEMPL_WORN, .work = WORK_COMPACT, KEEP, .compact = { .all = true },
	  .max_segment = SMALL_SEGMENT, .step = 8, .phases = COMPACTED },
	{ .name = "compaction by threshold", .templ = TEMPL_WORN, .work = WORK_COMPACT, KEEP, .compact = { .threshold = 30 },
	  .max_segment = SMALL_SEGMENT, .step = 8, .phases = "bwmsyihrd" },
	{ .name = "compaction and changes", .templ = TEMPL_WORN, .work = WORK_COMPACT_BESIDE, KEEP,
	  .compact = { .all = true }, .step = 8, .phases = COMPACTED },
	{ .name = "recompression", .templ = TEMPL_WORN, .work = WORK_COMPACT, KEEP,
	  .compact = { .retention_us = DAY_US, .level = 1 }, .step = 8, .phases = COMPACTED },
	{ .name = "purge and compaction", .templ = TEMPL_WORN, .work = WORK_PURGE, .max_segment = SMALL_SEGMENT,
	  .compact = { .retention_us = DAY_US, .all = true }, .step = 10, .phases = COMPACTED,
	  .op = { OP_PURGE, IN("anna", "Work"), .first = 6 } },
	{ .name = "reaping", .templ = TEMPL_DROPPED, .work = WORK_REAP, KEEP, .phases = "ird" },
	{ .name = "recovery of a compaction", .templ = TEMPL_WORN, .work = WORK_COMPACT, .op = { .kind = OP_OPEN },
	  .compact = { .all = true }, .max_segment = SMALL_SEGMENT, .step = 8, .phases = "td" },
	{ .name = "pruning", .templ = TEMPL_WORN, .work = WORK_PRUNE, KEEP, .phases = LOGGED },
	{ .name = "backup", .templ = TEMPL_COPIED, .work = WORK_BACKUP, KEEP, .step = 2, .phases = "bwmsyhd" },
	{ .name = "restore of a volume", .templ = TEMPL_COPIED, .work = WORK_PUT_BACK, KEEP, .step = 2,
	  .phases = "bwmsyhd" },
	{ .name = "takeover of a copy", .templ = TEMPL_COPIED, .work = WORK_RENEW, .op = { .kind = OP_OPEN }, .step = 6,
	  .phases = "td" },
	{ .name = "account move", .templ = TEMPL_PAIR, .work = WORK_MOVE, .step = 6, .phases = LOGGED,
	  .op = { OP_MOVE_ACCOUNT, .account = "ben" } },
};

#define ROWS (sizeof rows / sizeof *rows)

static uint64_t table[ROWS + 1][SIM_PHASES];    /* the last: random histories */

static bool
deliver_before(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct op op = { OP_DELIVER, TO("anna", "Work"), .mail = i };

		if (rig.relaxed && i % 2 == 1)
			op = (struct op){ OP_STORE, IN("anna", "INBOX"), .first = 1, .last = i + 1, .flags = 1u << i };
		if (!run_one(&op))
			return false;
	}
	return true;
}

/* ---- rows: what is no single change ---- */

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

		course.ok = run_one(&op) && course.ok;
	}
	return true;
}

static bool
compact(const struct row *row)
{
	struct compact_params p = row->compact;
	struct compact_result r;
	struct err e = ERR_INIT;

	course.beside = row->work == WORK_COMPACT_BESIDE;
	course.calls = 0;
	course.ok = true;
	p.progress = on_progress;
	if (volume_compact(rig.v, &p, &r, &e) != RC_OK)
		return sim_hit() || wrong("compaction: %s", e.text);
	if (args.one)
		(void)fprintf(stderr, "  compaction: %llu segments, %llu made, %llu left alone, %llu of %llu bytes dead\n",
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
	       sim_hit() || wrong("pruning: %s", e.text);
}

/* The present log into this directory. False: it did not work, and nothing had been broken. */
static bool
copy_to(const char *to, bool fresh, bool *done)
{
	struct copy_params p = { .path = to, .fresh_only = fresh };
	struct copy_result r;
	struct err e = ERR_INIT;

	*done = log_copy(volume_log(rig.v), &p, NULL, &r, &e) == RC_OK;
	if (*done && r.damage > 0)
		return wrong("what was copied to %s is damaged", to);
	return *done || sim_hit() || wrong("copy: %s", e.text);
}

static bool
put_back(bool *done)
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
	return *done || sim_hit() || wrong("restore: %s", e.text);
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
		return wrong("move: %s", e.text);
	op->logged = op->answered = done;
	rig.ops[rig.count++] = *op;
	if (done)
		rig.durable = rig.count;
	return model_apply(&rig.now, op, &rig.fresh) == NULL;
}

static bool copied;                     /* a copy was answered OK */

static bool
run_work(const struct row *row)
{
	struct op op = row->op;
	struct err e = ERR_INIT;

	copied = false;
	switch (row->work) {
	case WORK_PURGE:
		return run_one(&op) && (sim_hit() || compact(row));
	case WORK_COMPACT:
	case WORK_COMPACT_BESIDE:
		return compact(row);
	case WORK_REAP:
		return compact_settle(rig.v, &e) == RC_OK || sim_hit() || wrong("reaping: %s", e.text);
	case WORK_PRUNE:
		return prune();
	case WORK_BACKUP:
		return copy_to(rig.copy, false, &copied);
	case WORK_PUT_BACK:
		return put_back(&copied);
	case WORK_MOVE:
		return move(&op);
	case WORK_RENEW:
	case WORK_NONE:
		break;
	}
	return true;
}

/* ---- and what must be so behind it ---- */

static enum rc
see_blob(void *arg, const struct frame_info *f, const struct record *r, const struct log_addr *addr, struct err *e)
{
	bool *seen = arg;

	(void)f, (void)addr, (void)e;
	*seen = *seen || (r->type == RECORD_BLOB && r->lsn == purged);
	return RC_OK;
}

/* What is dead goes, once a compaction is let through, and nothing that is not listed stays. */
static bool
look_at_space(uint64_t retention_us)
{
	struct compact_params p = { .all = true, .retention_us = retention_us };
	struct compact_result r = { .dead_bytes = 1 };
	struct volume_status st;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < 4 && r.dead_bytes > 0; i++) {
		p.dry_run = false;
		if (volume_compact(rig.v, &p, &r, &e) != RC_OK)
			return wrong("compaction afterwards: %s", e.text);
		p.dry_run = true;
		if (volume_compact(rig.v, &p, &r, &e) != RC_OK)
			return wrong("survey afterwards: %s", e.text);
	}
	if (volume_get_status(rig.v, &st, &e) != RC_OK)
		return wrong("status: %s", e.text);
	if (r.dead_bytes > 0 || st.dropped > 0)
		return wrong("%llu dead bytes and %llu dropped pieces stay", (unsigned long long)r.dead_bytes,
		             (unsigned long long)st.dropped);
	if (files_count(rig.path, "s-") != st.segments)
		return wrong("there are %u segments, and %llu are listed", files_count(rig.path, "s-"),
		             (unsigned long long)st.segments);
	return look(rig.count, false);
}

static unsigned
count_big(const struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->count; i++)
		for (unsigned k = 0; k < m->accounts[i].box_count; k++)
			for (unsigned j = 0; j < m->accounts[i].boxes[k].count; j++)
				n += m->accounts[i].boxes[k].messages[j].mail == MAIL_BIG;
	return n;
}

static bool
look_at_compacted(const struct row *row, bool gone)
{
	struct replay rp = { .record = see_blob };
	struct err e = ERR_INIT;
	bool seen = false;

	rp.arg = &seen;
	if (gone && (!look_at_space(DAY_US) || log_replay(volume_log(rig.v), &rp, false, NULL, &e) != RC_OK || seen))
		return wrong("a purged content is in the log");
	if (!look_at_space(0))
		return false;
	if (files_count(rig.path, "b-") != count_big(&rig.base) && row->templ == TEMPL_WORN)
		return wrong("there are %u bodies, and %u messages that have one", files_count(rig.path, "b-"),
		             count_big(&rig.base));
	return sim_random(4) != 0 || look_at_rebuilt();
}

/* A copy at `path` must be a volume that holds one of these. */
static bool
look_at_copy(const char *path, const struct model *one, const struct model *other)
{
	static struct model got, want;
	const struct op renew = { .kind = OP_RENEW };
	const struct heard nothing = { 0 };
	char why[WHY_LEN], *at = rig.outside;
	struct volume_params p = { .name = "copy", .path = at, .mode = VOLUME_READ, .report = { NULL, found } };
	struct err e = ERR_INIT;
	struct volume *v;
	bool ok;

	files_empty(at);
	files_copy(path, at);
	if (volume_open(&p, &v, &e) != RC_OK)
		return wrong("open the copy: %s", e.text);
	ok = check_one(v);
	volume_close(&v);
	p.mode = VOLUME_WRITE;
	rig.damage = 0;
	if (!ok || volume_open(&p, &v, &e) != RC_OK)
		return wrong("serve the copy: %s", e.text);
	ok = model_read(v, &got, why, sizeof why) || wrong("the copy: %s", why);
	for (unsigned i = 0; ok && i < 2; i++) {
		want = i == 0 ? *one : *other;
		(void)model_apply(&want, &renew, NULL);
		if (!model_differs(&want, &got, &nothing, why, sizeof why))
			break;
		ok = i == 0 || wrong("the copy: %s", why);
	}
	ok = ok && check_one(v) && (rig.damage == 0 || wrong("the copy is damaged"));
	volume_close(&v);
	return ok;
}

static bool
look_at_backup(void)
{
	bool done;

	if (!copy_to(rig.copy, false, &done) || !done)
		return false;
	return look_at_copy(rig.copy, &rig.base, &rig.base);
}

static bool
look_at_put_back(const struct model *was)
{
	bool done;

	if (files_exist(rig.back, "head"))
		return look_at_copy(rig.back, was, was);
	if (copied)
		return wrong("what was restored is not there");
	return put_back(&done) && done && look_at_copy(rig.back, was, was);
}

/* Behind the cut, before the volume is opened again. */
static bool
verify_copy(const struct row *row)
{
	const struct model *now = &templs[row->templ].model, *was = &templs[row->templ].copied;

	sim_arm(SIM_EIO, 0);
	return row->work != WORK_BACKUP || look_at_copy(rig.copy, copied ? now : was, now);
}

static bool
verify_work(const struct row *row, bool happened)
{
	switch (row->work) {
	case WORK_COMPACT:
	case WORK_COMPACT_BESIDE:
	case WORK_REAP:
	case WORK_PURGE:
		return look_at_compacted(row, row->work == WORK_PURGE && happened);
	case WORK_BACKUP:
		return look_at_backup();
	case WORK_PUT_BACK:
		return look_at_put_back(&templs[row->templ].copied);
	case WORK_PRUNE:
		return look_at_space(0);
	case WORK_MOVE:
	case WORK_RENEW:
	case WORK_NONE:
		break;
	}
	return true;
}

/* Cut somewhere in one more delivery, or in a compaction, so that there is something to recover. */
static bool
leave_wreck(const struct row *row)
{
	struct op op = { OP_DELIVER, TO("anna", "INBOX"), .mail = 1 };

	if (row->work == WORK_RENEW) {          /* opening it is all */
		close_volume();
		(void)snprintf(rig.path, sizeof rig.path, "%s", rig.copy);
		forget_history(&templs[row->templ].copied);
		rig.ops[0] = (struct op){ .kind = OP_RENEW, .logged = true };
		rig.count = rig.durable = 1;
		return true;
	}
	if (row->work == WORK_COMPACT) {
		sim_arm(sim_random(2) == 0 ? SIM_CUT_IN : SIM_CUT_BEFORE, 1 + sim_random(200));
		if (!compact(row))
			return false;
		cut_power();
		return true;
	}
	sim_arm(sim_random(2) == 0 ? SIM_CUT_IN : SIM_CUT_BEFORE, 1 + sim_random(24));
	if (!run_one(&op))
		return false;
	cut_power();
	rig.recovering = true;
	return true;
}

/* Open, with a fault; cut again, and once more somewhere in the open after that. */
static bool
recover_twice(enum sim_fault fault, uint64_t n)
{
	struct err e = ERR_INIT;

	sim_arm(fault, n);
	if (!open_volume(&e) && !sim_hit())
		return wrong("recovery: %s", e.text);
	rig.hit = sim_hit();
	if (!rig.hit)
		return true;
	cut_power();
	sim_arm(SIM_CUT_IN, 1 + sim_random(60));
	(void)open_volume(&e);
	return true;
}

static bool
run_row(const struct row *row, enum sim_fault fault, uint64_t n)
{
	struct op op = row->op;
	struct volume_params p;
	struct reindex_result res;
	struct err e = ERR_INIT;
	bool done;

	switch (op.kind) {
	case OP_OPEN:
		return leave_wreck(row) && recover_twice(fault, n);
	case OP_REINDEX:
		p = params();
		close_volume();
		sim_arm(fault, n);
		done = volume_reindex(&p, false, &res, &e) == RC_OK;
		return done || sim_hit() || wrong("rebuild: %s", e.text);
	case OP_CHECKPOINT:
		sim_arm(fault, n);
		return steps_checkpoint(rig.path) || sim_hit() || wrong("checkpoint");
	case OP_CLOSE:
		sim_arm(fault, n);
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
	return row->work != WORK_NONE ? run_work(row) : run_one(&op);
}

/* Between an error and the cut: the volume lives, and what it says is so. */
static bool
live_on(void)
{
	/* A move that failed half way has its end at the next start. */
	if (rig.v == NULL || sim_is_cut() || rig.other != NULL)
		return true;
	return wait_idle() && look(rig.recovering ? rig.durable : rig.count, rig.recovering);
}

/* False: something is wrong. *hit: the operation asks the disk at least n times. */
static bool
trial(size_t r, enum sim_fault fault, uint64_t n, uint64_t seed, bool *hit)
{
	const struct row *row = &rows[r];
	struct err e = ERR_INIT;
	enum sim_phase phase;
	bool ok, happened;

	(void)snprintf(replay, sizeof replay, "--seed %llu --only '%s' --fault %s --n %llu", (unsigned long long)seed,
	               row->name, sim_fault_names[fault], (unsigned long long)n);
	set_seed(seed);
	start_from_template(row->templ);
	rig.relaxed = row->relaxed;
	rig.max_segment = row->max_segment;
	if (!open_volume(&e))
		return wrong("open: %s", e.text);
	ok = deliver_before(row->before) && run_row(row, fault, n);
	if (row->op.kind != OP_OPEN)
		rig.hit = sim_hit();
	*hit = rig.hit;
	phase = !*hit ? SIM_DONE : row->op.kind == OP_OPEN ? SIM_TAKEOVER : sim_hit_phase();
	ok = ok && (!*hit || live_on());
	cut_power();
	if (fault <= SIM_CUT_IN)
		table[r][phase]++;
	happened = rig.durable > 0;
	ok = ok && verify_copy(row) && verify() && verify_work(row, happened);
	sim_cut();
	close_volume();
	return ok;
}

/* ---- random histories ---- */

/* Changes, one or some at once, until the fault comes or enough. */
static bool
live(unsigned changes)
{
	struct op ops[STEPS_MAX];

	for (unsigned done = 0; done < changes && !sim_is_cut() && rig.count + STEPS_MAX < HISTORY_MAX;) {
		static struct model then;
		unsigned n = !rig.relaxed && sim_random(3) == 0 ? 1 + (unsigned)sim_random(STEPS_MAX) : 1;
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
		if (!run_several(ops, n))
			return false;
		done += n;
		if (sim_random(12) == 0)
			(void)steps_checkpoint(rig.path);
		if (sim_hit() && !was_hit && !sim_is_cut())
			return live_on();
	}
	return true;
}

static bool
history(uint64_t seed)
{
	struct err e = ERR_INIT;
	bool ok = true;

	(void)snprintf(replay, sizeof replay, "--seed %llu --only random", (unsigned long long)seed);
	set_seed(seed);
	start_from_template(TEMPL_PLAIN);
	rig.relaxed = sim_random(3) == 0;
	rig.max_segment = sim_random(2) == 0 ? SMALL_SEGMENT : 0;
	if (!open_volume(&e))
		return wrong("open: %s", e.text);
	for (unsigned i = 0; ok && i < 10; i++) {
		enum sim_fault fault = sim_random(2) == 0 ? (enum sim_fault)sim_random(SIM_FAULTS) : SIM_CUT_IN;

		sim_arm(fault, 1 + sim_random(150));
		ok = live(1 + (unsigned)sim_random(12));
		if (ok && sim_hit() && !sim_is_cut() && rig.count == 0)
			ok = live(3);
		if (sim_hit() || !sim_is_cut())
			table[ROWS][sim_is_cut() ? sim_hit_phase() : SIM_DONE]++;
		cut_power();
		ok = ok && verify();
	}
	sim_cut();
	close_volume();
	return ok;
}

/* ---- everything ---- */

static uint64_t
seed_of(uint64_t pass, size_t row, enum sim_fault fault, uint64_t n)
{
	uint64_t z = args.seed + pass * 1000003u + row * 10007u + (uint64_t)fault * 101u + n * 7919u;

	z = (z ^ (z >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);
	return z % UINT64_C(1000000000000);
}

/* Has the row a phase in which no cut has come yet? */
static bool
lacks_cuts(size_t r)
{
	for (unsigned p = 0; p < SIM_PHASES; p++)
		if (table[r][p] == 0 && strchr(rows[r].phases, phase_letters[p]) != NULL)
			return true;
	return false;
}

/* The fault at every `step`th call, from the `first` on. */
static bool
loop_calls(size_t r, uint64_t pass, enum sim_fault fault, uint64_t first, uint64_t step)
{
	uint64_t before = failures;
	bool hit = true;

	for (uint64_t n = first; hit && failures < before + (args.first ? 1 : 3); n += step) {
		if (n > CALLS_MAX)
			return wrong("the operation does not end");
		(void)trial(r, fault, n, seed_of(pass, r, fault, n), &hit);
	}
	return failures == before;
}

/* A short run cuts at every call, or at so many that each phase has some, but lets only some fail with errors. */
static bool
loop_row(size_t r, uint64_t pass)
{
	bool whole = args.cuts_wanted >= LONG_RUN || rows[r].all_faults, ok = true;
	uint64_t each = rows[r].step > 0 && !whole ? rows[r].step : 1;

	for (unsigned f = 0; f < SIM_FAULTS && ok; f++) {
		uint64_t step = whole || f <= SIM_CUT_IN ? each : 12 * each;

		ok = loop_calls(r, pass, (enum sim_fault)f, 1 + args.seed % step, step);
	}
	for (uint64_t shift = 1; shift < each && ok && lacks_cuts(r); shift++)
		for (unsigned f = 0; f <= SIM_CUT_IN && ok; f++)
			ok = loop_calls(r, pass, (enum sim_fault)f, 1 + (args.seed + shift) % each, each);
	return ok;
}

static void
show_table(void)
{
	(void)printf("%-28s", "cuts in");
	for (unsigned p = 0; p < SIM_PHASES; p++)
		(void)printf("%9s", sim_phase_names[p]);
	(void)printf("\n");
	for (size_t r = 0; r <= ROWS; r++) {
		const char *phases = r < ROWS ? rows[r].phases : phase_letters;

		(void)printf("%-28s", r < ROWS ? rows[r].name : "random histories");
		for (unsigned p = 0; p < SIM_PHASES; p++) {
			bool wanted = strchr(phases, phase_letters[p]) != NULL;

			if (table[r][p] == 0 && !wanted)
				(void)printf("%9s", "-");
			else
				(void)printf("%9llu", (unsigned long long)table[r][p]);
			if (table[r][p] == 0 && wanted && r < ROWS && args.only == NULL) {
				failures++;
				rows_failed++;
			}
		}
		(void)printf("\n");
	}
}

static int
run_all(void)
{
	uint64_t passed = 0, pass = 0;

	for (size_t r = 0; r < ROWS; r++) {
		if (args.only != NULL && strcmp(args.only, rows[r].name) != 0)
			continue;
		if (loop_row(r, 0))
			passed++;
		else
			rows_failed++;
		if (args.first && rows_failed > 0)
			break;
	}
	while ((cuts < args.cuts_wanted || pass == 0) && rows_failed == 0) {
		uint64_t at = ++pass;

		if (args.only == NULL || strcmp(args.only, "random") == 0) {
			for (unsigned i = 0; i < 100 && (cuts < args.cuts_wanted || i < HISTORIES) && rows_failed == 0; i++)
				if (!history(seed_of(at, ROWS, SIM_EIO, i)))
					rows_failed++;
		}
		for (size_t r = 0; r < ROWS && cuts < args.cuts_wanted && rows_failed == 0; r++) {
			if (args.only != NULL && strcmp(args.only, rows[r].name) != 0)
				continue;
			if (!loop_row(r, at))
				rows_failed++;
		}
	}
	passed += args.only == NULL && rows_failed == 0;
	if (isatty(2))
		(void)fprintf(stderr, "\r%60s\r", "");
	show_table();
	(void)printf("seed %llu: %llu cuts, %llu a minute\n", (unsigned long long)args.seed, (unsigned long long)cuts,
	             (unsigned long long)(cuts * 60000 / (clock_mono_ms() - began_ms + 1)));
	(void)printf("power cut: %llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)rows_failed);
	return failures == 0 ? 0 : 1;
}

static int
run_again(void)
{
	bool hit;

	if (strcmp(args.only, "random") == 0)
		return history(args.seed) ? 0 : 1;
	for (size_t r = 0; r < ROWS; r++)
		for (unsigned f = 0; f < SIM_FAULTS; f++)
			if (strcmp(args.only, rows[r].name) == 0 && strcmp(args.fault, sim_fault_names[f]) == 0)
				return trial(r, (enum sim_fault)f, args.only_n, args.seed, &hit) ? 0 : 1;
	(void)fprintf(stderr, "power_cut: there is no such row or fault\n");
	return 2;
}

/* ---- beginning and end ---- */

/* One change of a template. */
static bool
make(struct op op)
{
	enum step_end end;

	steps_run(rig.v, &op, 1, &end);
	return end == STEP_DONE || wrong("an operation of kind %d does not make the first volume", (int)op.kind);
}

static bool
make_all(const struct op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!make(ops[i]))
			return false;
	return true;
}

/* What stands on the disk is the template; it is closed. */
static bool
keep_template(enum templ t)
{
	char why[WHY_LEN];

	if (!model_read(rig.v, &templs[t].model, why, sizeof why))
		return wrong("%s", why);
	model_tell(&templs[t].model, &templs[t].told);
	if (t == TEMPL_WORN || t == TEMPL_DROPPED) {
		templs[t].long_ago = templs[TEMPL_WORN].long_ago;
		model_tell(&templs[t].long_ago, &templs[t].told);
	}
	close_volume();
	files_copy(rig.disk, templs[t].path);
	return true;
}

static bool
begin_template(enum templ t)
{
	struct err e = ERR_INIT;

	start_from_template(t);
	rig.max_segment = SMALL_SEGMENT;
	return open_volume(&e) || wrong("open: %s", e.text);
}

static bool
make_plain(void)
{
	static const struct op ops[] = {
		{ OP_ACCOUNT_CREATE, .account = "anna" }, { OP_ACCOUNT_CREATE, .account = "ben" },
		{ OP_CREATE, IN("anna", "Work") }, { OP_CREATE, IN("ben", "Work") },
		{ OP_CREATE, IN("anna", "Work/2026") }, { OP_CREATE, IN("ben", "Work/2026") },
		{ OP_DELIVER, TO("anna", "INBOX"), .mail = 4 }, { OP_DELIVER, TO("anna", "INBOX"), .mail = 5 },
		{ OP_DELIVER, TO("anna", "INBOX"), .mail = 0 }, { OP_DELIVER, TO("anna", "INBOX"), .mail = 1 },
		{ OP_DELIVER, TO("anna", "INBOX"), .mail = 2 }, { OP_DELIVER, TO("ben", "INBOX"), .mail = 3 },
		{ OP_DELIVER, TO("ben", "INBOX"), .mail = 4 }, { OP_DELIVER, TO("ben", "INBOX"), .mail = 5 },
	};
	static struct model got;
	struct err e = ERR_INIT;
	char why[WHY_LEN];

	(void)snprintf(rig.path, sizeof rig.path, "%s", rig.disk);
	if (volume_create(rig.path, &e) != RC_OK || !open_volume(&e))
		return wrong("%s", e.text);
	if (!make_all(ops, 2))
		return false;
	if (!model_read(rig.v, &got, why, sizeof why))
		return wrong("%s", why);
	rig.fresh = got.accounts[0];
	rig.fresh.id = 0;
	for (unsigned i = 0; i < rig.fresh.box_count; i++) {
		struct model_box *b = &rig.fresh.boxes[i];

		b->id = b->highest = 0;
		b->uidvalidity = 0;
	}
	return make_all(ops + 2, sizeof ops / sizeof *ops - 2) && keep_template(TEMPL_PLAIN);
}

static bool
find_purged(void)
{
	struct message_row *row;
	struct uid_set uids;
	struct err e = ERR_INIT;
	struct arena a;
	size_t count = 0;

	uid_set_init(&uids, 1);
	arena_init(&a, 1u << 20);
	if (uid_set_add(&uids, 6, 6) &&
	    volume_read_messages(rig.v, model_box(&templs[TEMPL_WORN].long_ago, "anna", "Work")->id, &uids, 1, 1,
	                         WANT_EXPUNGED, &a, &row, &count, &e) == RC_OK && count == 1)
		purged = row->blob;
	arena_fini(&a);
	uid_set_fini(&uids);
	return purged != 0 || wrong("there is nothing to purge");
}

/* UIDs 1 to 15 of anna's Work: small mails, one of 60 KB, two that lie out of line. */
static bool
make_worn(void)
{
	static const struct op ops[] = {
		{ OP_STORE, IN("anna", "Work"), .first = 1, .last = 9, .store = STORE_ADD, .flags = FLAG_SEEN },
		{ OP_STORE, IN("anna", "Work"), .first = 5, .last = 12, .store = STORE_REPLACE, .flags = FLAG_FLAGGED,
		  .keyword = 1 },
		{ OP_EXPUNGE, IN("anna", "Work"), .first = 2, .last = 4 },
		{ OP_EXPUNGE, IN("anna", "Work"), .first = 6, .last = 6 },
		{ OP_CREATE, IN("anna", "Letters") },
		{ OP_DELIVER, TO("anna", "Letters"), .mail = 3 }, { OP_DELIVER, TO("anna", "Letters"), .mail = 4 },
		{ OP_COPY, IN("anna", "Work"), .to = "Letters", .first = 7, .last = 8 },
		{ OP_DELETE, IN("anna", "Letters") },
		{ OP_ACCOUNT_CREATE, .account = "carl" }, { OP_DELIVER, TO("carl", "INBOX"), .mail = 2 },
		{ OP_ACCOUNT_DELETE, .account = "carl" },
		{ OP_SUBSCRIBE, IN("anna", "Work"), .number = 1 }, { OP_SUBSCRIBE, IN("anna", "Work") },
		{ OP_QUOTA, .account = "ben", .number = 70000 }, { OP_QUOTA, .account = "ben", .number = 80000 },
		{ OP_HIDE, .account = "ben", .number = 1 }, { OP_CREDENTIAL, .account = "anna", .number = 3 },
		{ OP_CREDENTIAL, .account = "anna", .number = 4 },
		{ OP_MOVE, IN("anna", "Work"), .to = "Work/2026", .first = 10, .last = 10 },
		{ OP_EXPUNGE, IN("anna", "Work"), .first = 13, .last = 14 },
		{ OP_STORE, IN("anna", "Work"), .first = 1, .last = 9, .store = STORE_REMOVE, .flags = FLAG_SEEN },
		/* Tombstones where much is dead, of a mailbox and messages that began where little is. */
		{ OP_DELIVER, TO("ben", "INBOX"), .mail = MAIL_SMALL },
		{ OP_DELETE, IN("ben", "Work/2026") }, { OP_EXPUNGE, IN("ben", "INBOX"), .first = 2, .last = 4 },
	};
	struct err e = ERR_INIT;
	char why[WHY_LEN];

	if (!begin_template(TEMPL_PLAIN))
		return false;
	for (unsigned i = 0; i < 12; i++)
		if (!make((struct op){ OP_DELIVER, TO("anna", "Work"), .mail = i % MAIL_SMALL }))
			return false;
	for (unsigned i = 0; i < 3; i++)
		if (!make((struct op){ OP_DELIVER_BIG, TO("anna", "Work"), .mail = i == 0 ? MAIL_SMALL : MAIL_BIG }))
			return false;
	if (!model_read(rig.v, &templs[TEMPL_WORN].long_ago, why, sizeof why) || !find_purged())
		return wrong("%s", why);
	if (!make_all(ops, sizeof ops / sizeof *ops / 2))
		return false;
	close_volume();
	return (open_volume(&e) || wrong("%s", e.text)) &&
	       make_all(ops + sizeof ops / sizeof *ops / 2, sizeof ops / sizeof *ops - sizeof ops / sizeof *ops / 2) &&
	       keep_template(TEMPL_WORN);
}

static bool
make_dropped(void)
{
	const struct compact_params p = { .all = true };
	struct compact_result r;
	struct err e = ERR_INIT;

	if (!begin_template(TEMPL_WORN))
		return false;
	log_hold(volume_log(rig.v));
	if (volume_compact(rig.v, &p, &r, &e) != RC_OK || r.rewritten == 0)
		return wrong("compaction: %s", e.text);
	log_unhold(volume_log(rig.v));
	return keep_template(TEMPL_DROPPED);
}

static bool
make_copied(void)
{
	static const struct op ops[] = {
		{ OP_DELIVER, TO("anna", "INBOX"), .mail = 3 }, { OP_EXPUNGE, IN("anna", "INBOX"), .first = 2, .last = 2 },
		{ OP_DELIVER_BIG, TO("ben", "INBOX"), .mail = MAIL_BIG },
		{ OP_DELIVER, TO("ben", "INBOX"), .mail = MAIL_SMALL },
		{ OP_STORE, IN("ben", "INBOX"), .first = 1, .last = 3, .store = STORE_ADD, .flags = FLAG_SEEN },
		{ OP_CREATE, IN("anna", "Tea") },
	};
	bool done;

	if (!begin_template(TEMPL_PLAIN))
		return false;
	templs[TEMPL_COPIED].copied = templs[TEMPL_PLAIN].model;
	return copy_to(rig.copy, false, &done) && done && make_all(ops, sizeof ops / sizeof *ops) &&
	       keep_template(TEMPL_COPIED);
}

static bool
make_pair(void)
{
	struct err e = ERR_INIT;

	if (!begin_template(TEMPL_PLAIN))
		return false;
	if (!make((struct op){ OP_COPY, IN("ben", "INBOX"), .to = "Work", .first = 1, .last = 2 }) ||
	    !make((struct op){ OP_EXPUNGE, IN("ben", "INBOX"), .first = 2, .last = 2 }) ||
	    !make((struct op){ OP_QUOTA, .account = "ben", .number = 90000 }))
		return false;
	if (volume_create(rig.other_path, &e) != RC_OK)
		return wrong("%s", e.text);
	return keep_template(TEMPL_PAIR);
}

static bool
make_templates(void)
{
	(void)snprintf(replay, sizeof replay, "(making the first volumes)");
	return make_plain() && make_worn() && make_dropped() && make_copied() && make_pair();
}

static void
usage(void)
{
	(void)fprintf(stderr, "usage: power_cut [--cuts N] [--seed N] [--first] [--only ROW [--fault NAME --n K]]\n");
	exit(2);
}

static void
read_args(int argc, char **argv)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	args.seed = (uint64_t)t.tv_nsec / 1000 + (uint64_t)t.tv_sec % 1000 * 1000000;
	for (int i = 1; i < argc; i += 2) {
		if (strcmp(argv[i], "--first") == 0) {
			args.first = true;
			i--;
			continue;
		}
		if (i + 1 == argc)
			usage();
		if (strcmp(argv[i], "--cuts") == 0)
			args.cuts_wanted = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			args.seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			args.only = argv[i + 1];
		else if (strcmp(argv[i], "--fault") == 0)
			args.fault = argv[i + 1];
		else if (strcmp(argv[i], "--n") == 0)
			args.only_n = strtoull(argv[i + 1], NULL, 10);
		else
			usage();
	}
	args.one = args.only != NULL && (args.fault != NULL || (strcmp(args.only, "random") == 0 && args.cuts_wanted == 1));
}

int
main(int argc, char **argv)
{
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
	char lost[300];
	int status = 1;

	read_args(argc, argv);
	if (!args.one)
		log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	(void)signal(SIGABRT, on_signal);
	(void)signal(SIGSEGV, on_signal);
	(void)snprintf(rig.root, sizeof rig.root, "%s/restante-cut-XXXXXX", tmp);
	if (mkdtemp(rig.root) == NULL)
		return 1;
	for (unsigned i = 0; i < TEMPLS; i++)
		(void)snprintf(templs[i].path, sizeof templs[i].path, "%s/template%u", rig.root, i);
	(void)snprintf(rig.disk, sizeof rig.disk, "%s/disk", rig.root);
	(void)snprintf(rig.other_path, sizeof rig.other_path, "%s/two", rig.disk);
	(void)snprintf(rig.copy, sizeof rig.copy, "%s/copy", rig.disk);
	(void)snprintf(rig.back, sizeof rig.back, "%s/back", rig.disk);
	(void)snprintf(rig.outside, sizeof rig.outside, "%s/outside", rig.root);
	if (mkdir(rig.disk, 0700) != 0)
		return 1;
	sim_vfs_install();
	sim_mount(rig.disk);
	set_seed(args.seed);
	model_init_mails();
	began_ms = clock_mono_ms();
	if (make_templates())
		status = args.one ? run_again() : run_all();
	sim_unmount();
	files_empty(rig.root);
	(void)rmdir(rig.root);
	(void)snprintf(lost, sizeof lost, "%s.lost", rig.disk);
	(void)rmdir(lost);
	return status;
}
