/* power_cut - the power fails at every call of the disk, in every operation; what was acknowledged
 * must be there.
 *
 *   power_cut [--cuts N] [--seed N]                 every operation at every call, then random histories, until N cuts
 *   power_cut --seed N --only ROW --fault F --n K   one again, as a failure prints it
 *
 * A trial begins with a copy of a small volume, arms the simulated disk for its n-th call, runs the
 * operation, lets the power fail (at that call; behind the operation when the call was to fail with
 * an error), makes the files what the disk kept, and opens the volume again. Then the properties of
 * DESIGN 3 are looked for: what was acknowledged is there, what was not is there as a whole or not
 * at all, of several a first part; no number is told twice; check finds nothing; a client that was
 * away is told the exact difference; an index made anew says the same; the volume takes changes.
 *
 * Rows and columns of the table at the end: cuts by operation and by where they came. A cell that
 * should have some and has none is a failure.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/logging.h"
#include "tests/crash/files.h"
#include "tests/crash/history.h"
#include "tests/crash/rig.h"
#include "tests/crash/rows.h"
#include "tests/crash/sim_disk.h"
#include "tests/crash/sim_vfs.h"
#include "tests/crash/tally.h"
#include "tests/crash/templates.h"
#include "tests/crash/trial.h"

#define CALLS_MAX 4000          /* no operation asks the disk so often */
#define LONG_RUN  10000         /* cuts */
#define SHORT_RUN 2000          /* with half of these, at every other call of each operation */
#define HISTORIES 10            /* at least */
#define FILL_TRIES 20

static uint64_t rows_failed;

static uint64_t
seed_of(uint64_t pass, size_t row, enum sim_fault fault, uint64_t n)
{
	uint64_t z = rig_args.seed + pass * 1000003u + row * 10007u + (uint64_t)fault * 101u +
	             n * 7919u;

	z = (z ^ (z >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);
	return z % UINT64_C(1000000000000);
}

/* The fault at every `step`th call, from the `first` on. */
static bool
loop_calls(size_t r, uint64_t pass, enum sim_fault fault, uint64_t first, uint64_t step)
{
	uint64_t before = rig.failures;
	bool hit = true;

	for (uint64_t n = first;
	     (hit || n <= rows[r].calls) && rig.failures < before + (rig_args.first ? 1 : 3);
	     n += step) {
		if (n > CALLS_MAX + step)
			return rig_wrong("the operation does not end");
		(void)trial_run(r, fault, n, seed_of(pass, r, fault, n), &hit);
	}
	return rig.failures == before;
}

/* Where the steps of a short run passed over a phase: at calls that were in it the last time. */
static bool
fill_cell(size_t r, uint64_t pass, enum sim_phase phase)
{
	bool hit, ok = true;

	for (uint64_t i = 0; i < FILL_TRIES && ok && tally_lacks(r, phase); i++) {
		enum sim_fault fault = i % 2 == 0 ? SIM_CUT_IN : SIM_CUT_BEFORE;
		uint64_t n = sim_call_in(phase, fault, i / 2 + rig_args.seed % 5);

		if (n > 0)
			ok = trial_run(r, fault, n, seed_of(pass, r, fault, n + i), &hit);
	}
	return ok;
}

/* A short run cuts at every call, or at so many that each phase has some, but lets only some
 * fail with errors. */
static bool
loop_row(size_t r, uint64_t pass)
{
	bool whole = rig_args.cuts_wanted >= LONG_RUN, ok = true;
	uint64_t each = rows[r].step > 0 && !whole ? rows[r].step : 1;

	if (rig_args.cuts_wanted > 0 && rig_args.cuts_wanted < SHORT_RUN)
		each *= SHORT_RUN / rig_args.cuts_wanted;
	for (unsigned f = 0; f < SIM_FAULTS && ok; f++) {
		uint64_t step = whole || rows[r].all_faults || f <= SIM_CUT_IN ? each : 12 * each;

		ok = loop_calls(r, pass, (enum sim_fault)f, 1 + rig_args.seed % step, step);
	}
	for (unsigned p = 0; p < SIM_PHASES && ok; p++)
		ok = fill_cell(r, pass, (enum sim_phase)p);
	return ok;
}

static int
run_all(void)
{
	uint64_t passed = 0, pass = 0, empty;

	for (size_t r = 0; r < rows_count; r++) {
		if (rig_args.only != NULL && strcmp(rig_args.only, rows[r].name) != 0)
			continue;
		if (loop_row(r, 0))
			passed++;
		else
			rows_failed++;
		if (rig_args.first && rows_failed > 0)
			break;
	}
	while ((rig.cuts < rig_args.cuts_wanted || pass == 0) && rows_failed == 0) {
		uint64_t at = ++pass;

		if (rig_args.only == NULL || strcmp(rig_args.only, "random") == 0) {
			for (unsigned i = 0;
			     i < 100 && (rig.cuts < rig_args.cuts_wanted || i < HISTORIES) &&
			     rows_failed == 0;
			     i++)
				if (!history_run(seed_of(at, rows_count, SIM_EIO, i)))
					rows_failed++;
		}
		for (size_t r = 0;
		     r < rows_count && rig.cuts < rig_args.cuts_wanted && rows_failed == 0; r++) {
			if (rig_args.only != NULL && strcmp(rig_args.only, rows[r].name) != 0)
				continue;
			if (!loop_row(r, at))
				rows_failed++;
		}
	}
	passed += rig_args.only == NULL && rows_failed == 0;
	if (isatty(2))
		(void)fprintf(stderr, "\r%60s\r", "");
	empty = tally_show();
	rig.failures += empty;
	rows_failed += empty;
	(void)printf("seed %llu: %llu cuts, %llu a minute\n", (unsigned long long)rig_args.seed,
	             (unsigned long long)rig.cuts,
	             (unsigned long long)(rig.cuts * 60000 / (clock_mono_ms() - rig.began_ms + 1)));
	(void)printf("power cut: %llu passed, %llu failed\n", (unsigned long long)passed,
	             (unsigned long long)rows_failed);
	return rig.failures == 0 ? 0 : 1;
}

static int
run_again(void)
{
	bool hit;

	if (strcmp(rig_args.only, "random") == 0)
		return history_run(rig_args.seed) ? 0 : 1;
	for (size_t r = 0; r < rows_count; r++)
		for (unsigned f = 0; f < SIM_FAULTS; f++)
			if (strcmp(rig_args.only, rows[r].name) == 0 &&
			    strcmp(rig_args.fault, sim_fault_names[f]) == 0)
				return trial_run(r, (enum sim_fault)f, rig_args.only_n,
				                 rig_args.seed, &hit)
				           ? 0
				           : 1;
	(void)fprintf(stderr, "power_cut: there is no such row or fault\n");
	return 2;
}

static void
usage(void)
{
	(void)fprintf(stderr,
	    "usage: power_cut [--cuts N] [--seed N] [--first] [--only ROW [--fault NAME --n K]]\n");
	exit(2);
}

static void
read_args(int argc, char **argv)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	rig_args.seed = (uint64_t)t.tv_nsec / 1000 + (uint64_t)t.tv_sec % 1000 * 1000000;
	for (int i = 1; i < argc; i += 2) {
		if (strcmp(argv[i], "--first") == 0) {
			rig_args.first = true;
			i--;
			continue;
		}
		if (i + 1 == argc)
			usage();
		if (strcmp(argv[i], "--cuts") == 0)
			rig_args.cuts_wanted = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			rig_args.seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			rig_args.only = argv[i + 1];
		else if (strcmp(argv[i], "--fault") == 0)
			rig_args.fault = argv[i + 1];
		else if (strcmp(argv[i], "--n") == 0)
			rig_args.only_n = strtoull(argv[i + 1], NULL, 10);
		else
			usage();
	}
	rig_args.one = rig_args.only != NULL &&
	               (rig_args.fault != NULL ||
	                (strcmp(rig_args.only, "random") == 0 && rig_args.cuts_wanted == 1));
}

int
main(int argc, char **argv)
{
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm"
	                  : getenv("TMPDIR") != NULL    ? getenv("TMPDIR")
	                                                : "/tmp";
	char lost[300];
	int status = 1;

	read_args(argc, argv);
	if (!rig_args.one)
		log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	(void)signal(SIGABRT, rig_on_signal);
	(void)signal(SIGSEGV, rig_on_signal);
	(void)snprintf(rig.root, sizeof rig.root, "%s/restante-cut-XXXXXX", tmp);
	if (mkdtemp(rig.root) == NULL)
		return 1;
	for (unsigned i = 0; i < TEMPLS; i++)
		(void)snprintf(rig_templs[i].path, sizeof rig_templs[i].path, "%s/template%u",
		               rig.root, i);
	(void)snprintf(rig.disk, sizeof rig.disk, "%s/disk", rig.root);
	(void)snprintf(rig.other_path, sizeof rig.other_path, "%s/two", rig.disk);
	(void)snprintf(rig.copy, sizeof rig.copy, "%s/copy", rig.disk);
	(void)snprintf(rig.back, sizeof rig.back, "%s/back", rig.disk);
	(void)snprintf(rig.outside, sizeof rig.outside, "%s/outside", rig.root);
	if (mkdir(rig.disk, 0700) != 0)
		return 1;
	sim_vfs_install();
	sim_mount(rig.disk);
	rig_seed(rig_args.seed);
	model_init_mails();
	rig.began_ms = clock_mono_ms();
	if (templates_make())
		status = rig_args.one ? run_again() : run_all();
	sim_unmount();
	files_empty(rig.root);
	(void)rmdir(rig.root);
	(void)snprintf(lost, sizeof lost, "%s.lost", rig.disk);
	(void)rmdir(lost);
	return status;
}
