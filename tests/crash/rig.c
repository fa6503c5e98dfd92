/* rig - see rig.h. */
#define _GNU_SOURCE
#include "tests/crash/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/move.h"
#include "lib/clock.h"
#include "tests/crash/files.h"
#include "tests/crash/sim_disk.h"

struct rig rig;
struct rig_templ rig_templs[TEMPLS];
struct rig_args rig_args = { .cuts_wanted = 2000 };

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

void
rig_seed(uint64_t seed)
{
	sim_seed(seed);
	entropy = seed ^ UINT64_C(0x6A09E667F3BCC908);
}

/* ---- telling ---- */

bool
rig_wrong(const char *fmt, ...)
{
	va_list ap;

	rig.failures++;
	(void)fprintf(stderr, "\nFAIL  ");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "\n      again: tests/crash/power_cut %s (after %llu cuts)\n",
	              rig.replay, (unsigned long long)rig.cuts);
	return false;
}

void
rig_on_signal(int sig)
{
	static const char text[] = "\nFAIL  the program died; again: tests/crash/power_cut ";

	(void)!write(2, text, sizeof text - 1);
	(void)!write(2, rig.replay, strlen(rig.replay));
	(void)!write(2, "\n", 1);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

void
rig_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
          const char *what)
{
	(void)arg, (void)offset, (void)len, (void)first, (void)last;
	if (seg.seq == 0)
		return;         /* one copy of the head: that is what the other is for */
	rig.damage++;
	if (rig_args.one)
		(void)fprintf(stderr, "damage: segment %llu-%u at %llu: %s\n",
		    (unsigned long long)seg.seq, seg.epoch, (unsigned long long)offset, what);
}

static void
show_progress(void)
{
	static uint64_t last_ms;
	uint64_t now = clock_mono_ms(), ms = now - rig.began_ms;

	if (rig_args.one || now - last_ms < 1000 || !isatty(2) || rig.cuts == 0)
		return;
	last_ms = now;
	(void)fprintf(stderr, "\r%llu of %llu cuts, %llu a minute, %llu s left   ",
	    (unsigned long long)rig.cuts, (unsigned long long)rig_args.cuts_wanted,
	    (unsigned long long)(rig.cuts * 60000 / (ms + 1)),
	    (unsigned long long)(rig.cuts < rig_args.cuts_wanted
	                             ? (rig_args.cuts_wanted - rig.cuts) * ms / rig.cuts / 1000
	                             : 0));
}

/* ---- the volume ---- */

struct volume_params
rig_params(void)
{
	return (struct volume_params){ .name = "v", .path = rig.path, .mode = VOLUME_WRITE,
	                               .relaxed = rig.relaxed,
		                       .max_segment = rig.max_segment,
		                       .report = { NULL, rig_found } };
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

bool
rig_open(struct err *e)
{
	struct volume_params p = rig_params();
	bool ok;

	sim_in_takeover(true);
	ok = volume_open(&p, &rig.v, e) == RC_OK && (!rig.pair || open_pair(p, e));
	sim_in_takeover(false);
	return ok;
}

void
rig_close(void)
{
	volume_close(&rig.v);
	volume_close(&rig.other);
}

/* The power fails, if it has not, and what the disk kept is there. */
void
rig_cut(void)
{
	sim_cut();
	rig_close();
	sim_restore();
	rig.cuts++;
	show_progress();
}

void
rig_kill(void)
{
	sim_cut();
	rig_close();
	sim_revive();
}

void
rig_forget(const struct model *base)
{
	rig.base = rig.now = *base;
	rig.recovering = false;
	rig.count = rig.durable = 0;
}

void
rig_start(enum templ t)
{
	files_empty(rig.disk);
	files_copy(rig_templs[t].path, rig.disk);
	sim_reset();
	sim_arm(SIM_EIO, 0);
	(void)snprintf(rig.path, sizeof rig.path, "%s", rig.disk);
	rig.pair = t == TEMPL_PAIR;
	rig.long_ago = t == TEMPL_WORN || t == TEMPL_DROPPED ? &rig_templs[t].long_ago : NULL;
	rig.relaxed = rig.keeps_index = false;
	rig.max_segment = 0;
	rig.deliveries = 0;
	rig.unconfirmed.delivery = rig.unknown.delivery = 0;
	rig.told = rig.told_since = rig_templs[t].told;
	rig_forget(&rig_templs[t].model);
}
