/* look - see look.h. */
#define _GNU_SOURCE
#include "tests/crash/look.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/changes.h"
#include "tests/crash/sim_disk.h"

#define IDS_OF_OTHER (UINT64_C(1) << 40)  /* what the model adds to the ids of the second volume */

static void
found_by_check(void *arg, const struct check_finding *f)
{
	(void)arg;
	rig.damage++;
	if (rig_args.one)
		(void)fprintf(stderr, "check: %s\n", f->what);
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

/* ---- looking ---- */

bool
look_check(struct volume *v)
{
	struct check_result res;
	struct err e = ERR_INIT;
	struct check_report rep = { NULL, found_by_check };

	rig.damage = 0;
	if (volume_check(v, &rep, NULL, NULL, &res, &e) != RC_OK)
		return rig_wrong("check: %s", e.text);
	if (res.damage == 0 && res.differences == 0 && rig.damage == 0)
		return true;
	return rig_wrong("check finds %llu damages, %llu differences between log and index",
	             (unsigned long long)res.damage, (unsigned long long)res.differences);
}

static bool
secret_is_kept(void)
{
	uint8_t secret[VOLUME_SECRET_LEN];
	struct err e = ERR_INIT;

	if (volume_secret(rig.v, "sasl", secret, &e) != RC_OK)
		return rig_wrong("secret: %s", e.text);
	return memcmp(secret, rig.secret, sizeof secret) == 0 ||
	       rig_wrong("the volume has another secret");
}

static bool
check_all(void)
{
	return look_check(rig.v) && (rig.other == NULL || look_check(rig.other));
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
			rig.matched = i;
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
			return rig_wrong("%s", bad);
	}
	return rig_wrong("%u operations must be there%s", from, why);
}

/* The open volume against the oracle; what it tells is told then. */
bool
look_at_volume(unsigned from, bool behind_cut)
{
	static struct model got;
	char why[WHY_LEN];

	if (!read_all(&got, why, sizeof why))
		return rig_wrong("%s", why);
	if (!match(from, &got))
		return false;
	if (model_resync_is_wrong(rig.v, &rig.base, &got, why, sizeof why))
		return rig_wrong("%s", why);
	if (rig.long_ago != NULL &&
	    model_resync_is_wrong(rig.v, rig.long_ago, &got, why, sizeof why))
		return rig_wrong("since long ago: %s", why);
	/* else what was answered relaxed may still be lost */
	if (behind_cut || rig.durable == rig.count) {
		model_tell(&got, &rig.told_since);
		rig.told = rig.told_since;
		rig_forget(&got);
	}
	return secret_is_kept() && check_all();
}

bool
look_at_rebuilt(void)
{
	static struct model got;
	struct err e = ERR_INIT;
	char why[WHY_LEN];

	rig_close();
	delete_index(rig.path);
	delete_index(rig.other_path);
	sim_reset();
	if (!rig_open(&e))
		return rig_wrong("open without an index: %s", e.text);
	if (!read_all(&got, why, sizeof why))
		return rig_wrong("rebuilt: %s", why);
	if (model_differs(&rig.base, &got, &rig.told, why, sizeof why))
		return rig_wrong("rebuilt index: %s", why);
	return check_all();
}

static bool
has_room(const struct op *op)
{
	for (unsigned i = 0; i < op->target_count; i++) {
		const struct model_box *b = model_box(&rig.base, op->targets[i].account,
		                                      op->targets[i].box);

		if (b == NULL || b->count >= MESSAGES - 4)
			return false;
	}
	return true;
}

/* The client of the last delivery lost its connection, and asks again: that it was delivered is
 * known if it was, and only then. Twice: the answer to that may be lost as well. */
static bool
deliver_again(struct op op, bool happened)
{
	for (unsigned i = 0; i < 2 && has_room(&op); i++) {
		op.again = true;
		op.answered = op.suppressed = op.logged = false;
		if (!changes_run_one(&op))
			return false;
		if (op.suppressed != happened)
			return rig_wrong("a delivery that %s when it comes again",
			    happened ? "happened is doubled" : "did not happen is suppressed");
		if (!look_at_volume(rig.count, false))
			return false;
		rig.unconfirmed.delivery = 0;   /* not a word behind this one either */
		happened = true;
	}
	return true;
}

/* After a cut. The volume stays open. */
bool
look_behind_cut(void)
{
	struct err e = ERR_INIT;
	struct op op = { .kind = OP_DELIVER, .target_count = 1 }, unknown = rig.unknown;
	struct volume_start start;
	unsigned count = rig.count;
	bool happened;

	rig.unconfirmed.delivery = rig.unknown.delivery = 0;
	rig.damage = 0;
	sim_arm(SIM_EIO, 0);
	if (!rig_open(&e))
		return rig_wrong("open after the cut: %s", e.text);
	if (rig.damage > 0)
		return rig_wrong("the open finds damage");
	volume_get_start(rig.v, &start);
	if (start.rebuilt && rig.keeps_index)
		return rig_wrong("the index is made anew");
	if (!look_at_volume(rig.durable, true))
		return false;
	happened = rig.matched == count;
	if (sim_random(3) == 0 && !look_at_rebuilt())
		return false;
	if (unknown.delivery != 0 && count > 0 && !deliver_again(unknown, happened))
		return false;
	if (rig.base.count == 0)
		return true;
	(void)snprintf(op.targets[0].account, NAME_LEN, "%s", rig.base.accounts[0].name);
	(void)snprintf(op.targets[0].box, NAME_LEN, "INBOX");
	if (model_box(&rig.base, op.targets[0].account, "INBOX")->count >= MESSAGES - 4)
		return true;
	return changes_run_one(&op) && look_at_volume(rig.count, false);
}
