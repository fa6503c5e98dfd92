/* rig - the volume of a power-cut trial, on the simulated disk: opened, cut, opened again; and what is known of it.
 *
 * One per process, used by one thread. Every trial begins with rig_start, so nothing of the one before is left.
 */
#ifndef RESTANTE_TESTS_CRASH_RIG_H
#define RESTANTE_TESTS_CRASH_RIG_H

#include "index/volume.h"
#include "tests/crash/model.h"

#define HISTORY_MAX   64
#define WHY_LEN       512
#define SMALL_SEGMENT 8192

/* What a trial begins with. */
enum templ {
	TEMPL_PLAIN,
	TEMPL_WORN,             /* much of it is dead */
	TEMPL_DROPPED,          /* compacted, and what was replaced is still there */
	TEMPL_COPIED,           /* with a copy of what it was some changes before */
	TEMPL_PAIR,             /* with a second volume, empty */
	TEMPL_AGED,             /* an older release has parsed its messages */
	TEMPLS,
};

struct rig {
	char root[256], disk[270], path[280], other_path[280], copy[280], back[280], outside[280];
	struct volume *v, *other;       /* other: of a pair */
	bool          pair;
	const struct model *long_ago;   /* may be NULL: some client has seen this last */
	bool          relaxed;
	uint64_t      max_segment;
	uint64_t      damage;
	bool          hit;              /* the fault of this trial has come */
	bool          keeps_index;      /* a start behind the cut uses it as it is */
	bool          recovering;       /* what happened before a cut is not told yet */
	bool          copied;           /* a copy was answered OK */
	bool          reparsed;         /* and a reparse */

	struct model  base, now;        /* as last verified; with `ops`, as far as they are known to have happened */
	struct op     ops[HISTORY_MAX];
	unsigned      count;            /* of ops that happened, or may have */
	unsigned      durable;          /* of those, which must be there */
	struct heard  told;             /* up to `base` */
	struct heard  told_since;       /* and up to now */

	uint64_t      deliveries;       /* that have a name */
	struct op     unconfirmed;      /* answered, and its client has not gone on; delivery 0: none */
	struct op     unknown;          /* the last of `ops`, a delivery whose client would ask again;
	                                 * delivery 0: none */
	unsigned      matched;          /* so many of `ops` have happened, by the last look */
	uint8_t       secret[VOLUME_SECRET_LEN];        /* of the volume, from the first template on */

	struct model_account fresh;     /* what a new account has */
	blob_id       purged;           /* the content that OP_PURGE takes away in TEMPL_WORN */

	char          replay[256];      /* how to run the present trial again */
	uint64_t      cuts, failures, began_ms;
};

struct rig_templ {
	char         path[280];
	struct model model, long_ago, copied;
	struct heard told;
};

struct rig_args {
	uint64_t    seed, cuts_wanted, only_n;
	const char *only, *fault;
	bool        one;                /* a trial again, and tell more */
	bool        first;              /* end at the first failure */
};

extern struct rig rig;
extern struct rig_templ rig_templs[TEMPLS];
extern struct rig_args rig_args;

/* Chance, and the product's random keys and ids, from this seed. */
void rig_seed(uint64_t seed);
/* Something is not as it must be: say so, with how to run it again. Always false. */
__attribute__((format(printf, 1, 2))) bool rig_wrong(const char *fmt, ...);
/* The same when the program dies. */
void rig_on_signal(int sig);
/* A log_report: counts what was found. */
void rig_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first,
               log_lsn last, const char *what);

/* A fresh disk with the template on it, not open. */
void rig_start(enum templ t);
struct volume_params rig_params(void);
bool rig_open(struct err *e);           /* of a pair both */
void rig_close(void);
/* The power fails, if it has not, and what the disk kept is there. */
void rig_cut(void);
/* The process is killed: what it wrote is there, as long as the power does not fail. */
void rig_kill(void);
/* All that is known is this. */
void rig_forget(const struct model *base);

#endif
