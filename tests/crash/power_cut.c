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
#include <dirent.h>
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

#include "lib/clock.h"
#include "lib/logging.h"
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

static struct {
	char          root[256], path[280], templ[280];
	struct volume *v;
	bool          relaxed;
	uint64_t      max_segment;
	uint64_t      damage;
	bool          hit;              /* the fault of this trial has come */
	bool          recovering;       /* what happened before a cut is not told yet */

	struct model  base, now;        /* as last verified; with `ops`, as far as they are known to have happened */
	struct op     ops[HISTORY_MAX];
	unsigned      count;            /* of ops that happened, or may have */
	unsigned      durable;          /* of those, which must be there */
	struct told   told;             /* up to `base` */
	struct told   told_since;       /* and up to now */

	struct model  templ_model;
	struct told   templ_told;
	struct model_account fresh;     /* what a new account has */
} rig;

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
copy_file(const char *from, const char *to)
{
	static uint8_t block[256 << 10];
	struct stat st;
	ssize_t n;
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (in < 0 || out < 0 || fstat(in, &st) != 0 || ftruncate(out, st.st_size) != 0)
		abort();
	/* The reserve is a hole and stays one. */
	while (strstr(from, "/reserve") == NULL && (n = read(in, block, sizeof block)) > 0)
		if (write(out, block, (size_t)n) != n)
			abort();
	(void)close(in);
	(void)close(out);
}

static void
copy_dir(const char *from, const char *to)
{
	struct dirent *de;
	DIR *dir = opendir(from);

	if (dir == NULL || (mkdir(to, 0700) != 0 && access(to, F_OK) != 0))
		abort();
	while ((de = readdir(dir)) != NULL) {
		char a[600], b[600];

		if (de->d_name[0] == '.')
			continue;
		(void)snprintf(a, sizeof a, "%s/%s", from, de->d_name);
		(void)snprintf(b, sizeof b, "%s/%s", to, de->d_name);
		if (de->d_type == DT_DIR)
			copy_dir(a, b);
		else
			copy_file(a, b);
	}
	(void)closedir(dir);
}

static void
empty_dir(const char *path)
{
	struct dirent *de;
	DIR *dir = opendir(path);

	while (dir != NULL && (de = readdir(dir)) != NULL) {
		char sub[600];

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		(void)snprintf(sub, sizeof sub, "%s/%s", path, de->d_name);
		if (de->d_type == DT_DIR) {
			empty_dir(sub);
			(void)rmdir(sub);
		} else {
			(void)unlink(sub);
		}
	}
	if (dir != NULL)
		(void)closedir(dir);
}

static void
delete_index(void)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".new" };
	char path[512];

	for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
		(void)snprintf(path, sizeof path, "%s/index.db%s", rig.path, ends[i]);
		(void)unlink(path);
	}
	sim_reset();
}

/* ---- the volume ---- */

static struct volume_params
params(void)
{
	return (struct volume_params){ .name = "v", .path = rig.path, .mode = VOLUME_WRITE, .relaxed = rig.relaxed,
		                       .max_segment = rig.max_segment, .report = { NULL, found } };
}

static bool
open_volume(struct err *e)
{
	struct volume_params p = params();
	bool ok;

	sim_in_takeover(true);
	ok = volume_open(&p, &rig.v, e) == RC_OK;
	sim_in_takeover(false);
	return ok;
}

/* The power fails, if it has not, and what the disk kept is there. */
static void
cut_power(void)
{
	sim_cut();
	volume_close(&rig.v);
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
start_from_template(void)
{
	empty_dir(rig.path);
	copy_dir(rig.templ, rig.path);
	sim_reset();
	sim_arm(SIM_EIO, 0);
	rig.relaxed = false;
	rig.max_segment = 0;
	rig.told = rig.told_since = rig.templ_told;
	forget_history(&rig.templ_model);
}

/* ---- looking ---- */

static bool
check(void)
{
	struct check_result res;
	struct err e = ERR_INIT;
	struct check_report rep = { NULL, found_by_check };

	rig.damage = 0;
	if (volume_check(rig.v, &rep, NULL, NULL, &res, &e) != RC_OK)
		return wrong("check: %s", e.text);
	if (res.damage == 0 && res.differences == 0 && rig.damage == 0)
		return true;
	return wrong("check finds %llu damages, %llu differences between log and index",
	             (unsigned long long)res.damage, (unsigned long long)res.differences);
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

	if (!model_read(rig.v, &got, why, sizeof why))
		return wrong("%s", why);
	if (!match(from, &got))
		return false;
	if (model_resync_is_wrong(rig.v, &rig.base, &got, why, sizeof why))
		return wrong("%s", why);
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

	volume_close(&rig.v);
	delete_index();
	if (!open_volume(&e))
		return wrong("open without an index: %s", e.text);
	if (!model_read(rig.v, &got, why, sizeof why))
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

struct row {
	const char   *name;
	struct op     op;
	unsigned      before;           /* deliveries before it */
	bool          relaxed;
	bool          all_faults;       /* also in a short run */
	uint64_t      max_segment;
	const char   *phases;           /* that it must have been cut in, one letter each: see phase_letters */
};

/* One letter per enum sim_phase. */
static const char phase_letters[] = "bwmsyihtd";

#define TO(a, b) .target_count = 1, .targets = { { .account = a, .box = b } }
#define IN(a, b) .account = a, .box = b
#define LOGGED "bwmsyihd"

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

/* Cut somewhere in one more delivery, so that there is something to recover. */
static bool
leave_wreck(void)
{
	struct op op = { OP_DELIVER, TO("anna", "INBOX"), .mail = 1 };

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
		return leave_wreck() && recover_twice(fault, n);
	case OP_REINDEX:
		p = params();
		volume_close(&rig.v);
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
		break;
	}
	sim_arm(fault, n);
	return run_one(&op);
}

/* Between an error and the cut: the volume lives, and what it says is so. */
static bool
live_on(void)
{
	if (rig.v == NULL || sim_is_cut())
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
	bool ok;

	(void)snprintf(replay, sizeof replay, "--seed %llu --only '%s' --fault %s --n %llu", (unsigned long long)seed,
	               row->name, sim_fault_names[fault], (unsigned long long)n);
	set_seed(seed);
	start_from_template();
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
	ok = ok && verify();
	sim_cut();
	volume_close(&rig.v);
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
	start_from_template();
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
	volume_close(&rig.v);
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

static bool
loop_row(size_t r, uint64_t pass)
{
	uint64_t before = failures;

	for (unsigned f = 0; f < SIM_FAULTS && failures < before + (args.first ? 1 : 3); f++) {
		/* A short run cuts at every call, but lets only some fail with errors. */
		uint64_t step = f <= SIM_CUT_IN || rows[r].all_faults || args.cuts_wanted >= LONG_RUN ? 1 : 12;
		bool hit = true;

		for (uint64_t n = 1 + args.seed % step; hit && failures < before + (args.first ? 1 : 3); n += step) {
			if (n > CALLS_MAX)
				return wrong("the operation does not end");
			(void)trial(r, (enum sim_fault)f, n, seed_of(pass, r, (enum sim_fault)f, n), &hit);
		}
	}
	return failures == before;
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

static bool
make_template(void)
{
	static const char *const accounts[] = { "anna", "ben" };
	struct err e = ERR_INIT;
	char why[WHY_LEN];
	static struct model got;

	(void)snprintf(replay, sizeof replay, "(making the first volume)");
	if (volume_create(rig.path, &e) != RC_OK || !open_volume(&e))
		return wrong("%s", e.text);
	for (unsigned i = 0; i < 2; i++) {
		struct op op = { .kind = OP_ACCOUNT_CREATE };
		enum step_end end;

		(void)snprintf(op.account, sizeof op.account, "%s", accounts[i]);
		steps_run(rig.v, &op, 1, &end);
		if (end != STEP_DONE)
			return wrong("no account");
	}
	if (!model_read(rig.v, &got, why, sizeof why))
		return wrong("%s", why);
	rig.fresh = got.accounts[0];
	rig.fresh.id = 0;
	for (unsigned i = 0; i < rig.fresh.box_count; i++) {
		struct model_box *b = &rig.fresh.boxes[i];

		b->id = b->highest = 0;
		b->uidvalidity = 0;
	}
	for (unsigned i = 0; i < 12; i++) {
		struct op op = { .kind = i < 4 ? OP_CREATE : OP_DELIVER, .mail = i % MAIL_SMALL, .target_count = i >= 4 };
		enum step_end end;

		(void)snprintf(op.account, sizeof op.account, "%s", accounts[i % 2]);
		(void)snprintf(op.box, sizeof op.box, "%s", i < 2 ? "Work" : i < 4 ? "Work/2026" : "INBOX");
		(void)snprintf(op.targets[0].account, NAME_LEN, "%s", i < 9 ? "anna" : "ben");
		(void)snprintf(op.targets[0].box, NAME_LEN, "%s", "INBOX");
		steps_run(rig.v, &op, 1, &end);
		if (end != STEP_DONE)
			return wrong("no mail");
	}
	if (!model_read(rig.v, &rig.templ_model, why, sizeof why))
		return wrong("%s", why);
	model_tell(&rig.templ_model, &rig.templ_told);
	volume_close(&rig.v);
	copy_dir(rig.path, rig.templ);
	return true;
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
	(void)snprintf(rig.templ, sizeof rig.templ, "%s/template", rig.root);
	(void)snprintf(rig.path, sizeof rig.path, "%s/disk", rig.root);
	if (mkdir(rig.path, 0700) != 0)
		return 1;
	sim_vfs_install();
	sim_mount(rig.path);
	set_seed(args.seed);
	model_init_mails();
	began_ms = clock_mono_ms();
	if (make_template())
		status = args.one ? run_again() : run_all();
	sim_unmount();
	empty_dir(rig.root);
	(void)rmdir(rig.root);
	(void)snprintf(lost, sizeof lost, "%s.lost", rig.path);
	(void)rmdir(lost);
	return status;
}
