/* work_look - what must be so behind the work of a row: dead bytes gone, copies
 * whole. See work.h. */
#define _GNU_SOURCE
#include <stdio.h>

#include "tests/crash/files.h"
#include "tests/crash/look.h"
#include "tests/crash/sim_disk.h"
#include "tests/crash/work.h"

#define DAY_US UINT64_C(86400000000)

static enum rc
see_blob(void *arg, const struct frame_info *f, const struct record *r, const struct log_addr *addr,
         struct err *e)
{
	bool *seen = arg;

	(void)f, (void)addr, (void)e;
	*seen = *seen || (r->type == RECORD_BLOB && r->lsn == rig.purged);
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
			return rig_wrong("compaction afterwards: %s", e.text);
		p.dry_run = true;
		if (volume_compact(rig.v, &p, &r, &e) != RC_OK)
			return rig_wrong("survey afterwards: %s", e.text);
	}
	if (volume_get_status(rig.v, &st, &e) != RC_OK)
		return rig_wrong("status: %s", e.text);
	if (r.dead_bytes > 0 || st.dropped > 0)
		return rig_wrong("%llu dead bytes and %llu dropped pieces stay",
		                 (unsigned long long)r.dead_bytes, (unsigned long long)st.dropped);
	if (files_count(rig.path, "s-") != st.segments)
		return rig_wrong("there are %u segments, and %llu are listed",
		                 files_count(rig.path, "s-"), (unsigned long long)st.segments);
	return look_at_volume(rig.count, false);
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
	if (gone && (!look_at_space(DAY_US) ||
	             log_replay(volume_log(rig.v), &rp, false, NULL, &e) != RC_OK || seen))
		return rig_wrong("a purged content is in the log");
	if (!look_at_space(0))
		return false;
	if (files_count(rig.path, "b-") != count_big(&rig.base) && row->templ == TEMPL_WORN)
		return rig_wrong("there are %u bodies, and %u messages that have one",
		                 files_count(rig.path, "b-"), count_big(&rig.base));
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
	struct volume_params p = { .name = "copy", .path = at, .mode = VOLUME_READ,
	                           .report = { NULL, rig_found } };
	struct err e = ERR_INIT;
	struct volume *v;
	bool ok;

	files_empty(at);
	files_copy(path, at);
	if (volume_open(&p, &v, &e) != RC_OK)
		return rig_wrong("open the copy: %s", e.text);
	ok = look_check(v);
	volume_close(&v);
	p.mode = VOLUME_WRITE;
	rig.damage = 0;
	if (!ok || volume_open(&p, &v, &e) != RC_OK)
		return rig_wrong("serve the copy: %s", e.text);
	ok = model_read(v, &got, why, sizeof why) || rig_wrong("the copy: %s", why);
	for (unsigned i = 0; ok && i < 2; i++) {
		want = i == 0 ? *one : *other;
		(void)model_apply(&want, &renew, NULL);
		if (!model_differs(&want, &got, &nothing, why, sizeof why))
			break;
		ok = i == 0 || rig_wrong("the copy: %s", why);
	}
	ok = ok && look_check(v) && (rig.damage == 0 || rig_wrong("the copy is damaged"));
	volume_close(&v);
	return ok;
}

static bool
look_at_backup(void)
{
	bool done;

	if (!work_copy(rig.copy, false, &done) || !done)
		return false;
	return look_at_copy(rig.copy, &rig.base, &rig.base);
}

static bool
look_at_put_back(const struct model *was)
{
	bool done;

	if (files_exist(rig.back, "head"))
		return look_at_copy(rig.back, was, was);
	if (rig.copied)
		return rig_wrong("what was restored is not there");
	return work_put_back(&done) && done && look_at_copy(rig.back, was, was);
}

/* What was answered is done; the rest is done by the next one, and then every summary is what
 * the parser makes. */
static bool
look_at_reparsed(void)
{
	struct reparse_params p = { .dry_run = true };
	struct reparse_result r;
	struct err e = ERR_INIT;

	if (volume_reparse(rig.v, &p, &r, &e) != RC_OK || (rig.reparsed && r.other > 0))
		return rig_wrong("%llu summaries that were answered are not there",
		                 (unsigned long long)r.other);
	p.dry_run = false;
	if (volume_reparse(rig.v, &p, &r, &e) != RC_OK || r.made != r.other || r.contents == 0)
		return rig_wrong("reparse afterwards: %s", e.text);
	p.all = p.dry_run = true;
	if (volume_reparse(rig.v, &p, &r, &e) != RC_OK || r.made > 0)
		return rig_wrong("%llu summaries are not what the parser makes",
		                 (unsigned long long)r.made);
	return look_check(rig.v) && (sim_random(4) != 0 || look_at_rebuilt());
}

/* Behind the cut, before the volume is opened again. */
bool
work_verify_copy(const struct row *row)
{
	const struct model *now = &rig_templs[row->templ].model,
	                   *was = &rig_templs[row->templ].copied;

	sim_arm(SIM_EIO, 0);
	return row->work != WORK_BACKUP || look_at_copy(rig.copy, rig.copied ? now : was, now);
}

bool
work_verify(const struct row *row, bool happened)
{
	switch (row->work) {
	case WORK_COMPACT:
	case WORK_COMPACT_BESIDE:
	case WORK_COMPACT_WHOLE:
	case WORK_REAP:
	case WORK_PURGE:
		return look_at_compacted(row, row->work == WORK_PURGE && happened);
	case WORK_BACKUP:
		return look_at_backup();
	case WORK_PUT_BACK:
		return look_at_put_back(&rig_templs[row->templ].copied);
	case WORK_PRUNE:
		return look_at_space(0);
	case WORK_REPARSE:
		return look_at_reparsed();
	case WORK_MOVE:
	case WORK_RENEW:
	case WORK_KILLED:
	case WORK_NONE:
		break;
	}
	return true;
}
