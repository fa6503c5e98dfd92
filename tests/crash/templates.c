/* templates - see templates.h. */
#define _GNU_SOURCE
#include "tests/crash/templates.h"

#include <stdio.h>

#include "lib/mime.h"
#include "tests/crash/files.h"
#include "tests/crash/rows.h"
#include "tests/crash/steps.h"
#include "tests/crash/work.h"

/* One change of a template. */
static bool
make(struct op op)
{
	enum step_end end;

	steps_run(rig.v, &op, 1, &end);
	return end == STEP_DONE ||
	       rig_wrong("an operation of kind %d does not make the first volume", (int)op.kind);
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

	if (!model_read(rig.v, &rig_templs[t].model, why, sizeof why))
		return rig_wrong("%s", why);
	model_tell(&rig_templs[t].model, &rig_templs[t].told);
	if (t == TEMPL_WORN || t == TEMPL_DROPPED) {
		rig_templs[t].long_ago = rig_templs[TEMPL_WORN].long_ago;
		model_tell(&rig_templs[t].long_ago, &rig_templs[t].told);
	}
	rig_close();
	files_copy(rig.disk, rig_templs[t].path);
	return true;
}

static bool
begin_template(enum templ t)
{
	struct err e = ERR_INIT;

	rig_start(t);
	rig.max_segment = SMALL_SEGMENT;
	return rig_open(&e) || rig_wrong("open: %s", e.text);
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
	if (volume_create(rig.path, &e) != RC_OK || !rig_open(&e))
		return rig_wrong("%s", e.text);
	if (!make_all(ops, 2))
		return false;
	if (volume_secret(rig.v, "sasl", rig.secret, &e) != RC_OK)
		return rig_wrong("%s", e.text);
	if (!model_read(rig.v, &got, why, sizeof why))
		return rig_wrong("%s", why);
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
	    volume_read_messages(rig.v,
	        model_box(&rig_templs[TEMPL_WORN].long_ago, "anna", "Work")->id, &uids, 1, 1,
	        WANT_EXPUNGED, &a, &row, &count, &e) == RC_OK &&
	    count == 1)
		rig.purged = row->blob;
	arena_fini(&a);
	uid_set_fini(&uids);
	return rig.purged != 0 || rig_wrong("there is nothing to purge");
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
		/* Tombstones where much is dead, of a mailbox and messages that began
		 * where little is. */
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
		if (!make((struct op){ OP_DELIVER_BIG, TO("anna", "Work"),
		                       .mail = i == 0 ? MAIL_SMALL : MAIL_BIG }))
			return false;
	if (!model_read(rig.v, &rig_templs[TEMPL_WORN].long_ago, why, sizeof why))
		return rig_wrong("%s", why);
	if (!find_purged() || !make_all(ops, sizeof ops / sizeof *ops / 2))
		return false;
	rig_close();
	return (rig_open(&e) || rig_wrong("%s", e.text)) &&
	       make_all(ops + sizeof ops / sizeof *ops / 2,
	           sizeof ops / sizeof *ops - sizeof ops / sizeof *ops / 2) &&
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
		return rig_wrong("compaction: %s", e.text);
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
	rig_templs[TEMPL_COPIED].copied = rig_templs[TEMPL_PLAIN].model;
	return work_copy(rig.copy, false, &done) && done &&
	       make_all(ops, sizeof ops / sizeof *ops) && keep_template(TEMPL_COPIED);
}

static bool
make_pair(void)
{
	struct err e = ERR_INIT;

	if (!begin_template(TEMPL_PLAIN))
		return false;
	if (!make(
	        (struct op){ OP_COPY, IN("ben", "INBOX"), .to = "Work", .first = 1, .last = 2 }) ||
	    !make((struct op){ OP_EXPUNGE, IN("ben", "INBOX"), .first = 2, .last = 2 }) ||
	    !make((struct op){ OP_QUOTA, .account = "ben", .number = 90000 }))
		return false;
	if (volume_create(rig.other_path, &e) != RC_OK)
		return rig_wrong("%s", e.text);
	return keep_template(TEMPL_PAIR);
}

/* The same summary, of an older parser. */
static bool
age(const struct message_row *row, struct arena *a)
{
	struct change *c = change_new(CHANGE_REPARSE);
	struct new_summary n = { .blob = row->blob };
	struct mime_summary s;
	struct err e = ERR_INIT;
	struct buf out;
	bool ok;

	buf_init(&out, MIME_SUMMARY_MAX);
	ok = c != NULL && mime_summary_decode(row->summary, a, &s, &e) == RC_OK;
	s.version = 1;
	ok = ok && mime_summary_encode(&s, &out);
	n.summary = buf_slice(&out);
	if (ok) {
		c->u.reparse.list = &n;
		c->u.reparse.count = 1;
		ok = volume_submit_wait(rig.v, c) == RC_OK && c->u.reparse.made == 1;
	}
	change_free(&c);
	buf_fini(&out);
	return ok || rig_wrong("a summary cannot be made older");
}

static bool
make_aged(void)
{
	static const char *const accounts[] = { "anna", "ben" };
	struct message_row *list;
	struct uid_set uids;
	struct err e = ERR_INIT;
	struct arena a;
	bool ok = begin_template(TEMPL_PLAIN);

	uid_set_init(&uids, 1);
	arena_init(&a, 1u << 20);
	ok = ok && uid_set_add(&uids, 1, UINT32_MAX);
	for (unsigned i = 0; ok && i < 2; i++) {
		mailbox_id box =
		    model_box(&rig_templs[TEMPL_PLAIN].model, accounts[i], "INBOX")->id;
		size_t count = 0;

		ok = volume_read_messages(rig.v, box, &uids, 1, MESSAGES, WANT_SUMMARY, &a, &list,
		         &count, &e) == RC_OK;
		for (size_t k = 0; ok && k < count; k++)
			ok = age(&list[k], &a);
	}
	arena_fini(&a);
	uid_set_fini(&uids);
	return ok && keep_template(TEMPL_AGED);
}

bool
templates_make(void)
{
	(void)snprintf(rig.replay, sizeof rig.replay, "(making the first volumes)");
	return make_plain() && make_worn() && make_dropped() && make_copied() && make_pair() &&
	       make_aged();
}
