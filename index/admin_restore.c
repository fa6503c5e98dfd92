/* admin_restore - a mailbox or an account as it was at a moment, into new folders beside what is
 * there. See admin.h.
 *
 * From the volume's own log, or from a backup's (any directory with a head and a log, or what
 * `backup` made of all volumes). Nothing that is there is changed; what a folder of the same name
 * has already is not put there again, so that a run that was cut can be run again.
 */
#include "index/admin_past.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct restoring {
	struct looking_back  lb;
	struct account_info  account;
	struct log          *from;              /* NULL: the volume's own */
	struct slice         mailbox, into;     /* empty: all; "Restored TIME" */
	uint64_t             at_us;
	bool                 dry_run;
	struct restore_counts sum;
	uint64_t             taken;
};

/* The folder for a mailbox: one that is asked for alone goes to --into itself. */
static struct slice
target_name(const struct restoring *r, const struct past_mailbox *m)
{
	if (r->mailbox.len > 0 && admin_option(r->lb.c, "--into") != NULL)
		return r->into;
	return arena_printf(&r->lb.c->arena, "%.*s/%.*s", SLICE_ARG(r->into), SLICE_ARG(m->name));
}

static enum admin_exit
restore_box(struct restoring *r, const struct past_mailbox *m)
{
	struct admin_call *c = r->lb.c;
	const struct past_select s = { .mailbox = m->id, .choice = PAST_LIVE };
	struct restore how = {
		.volume = r->lb.v, .past = r->lb.past, .account = r->account.id,
		.foreign = r->from != NULL,
		.dry_run = r->dry_run, .progress = admin_on_past, .progress_arg = &r->lb,
	};
	const struct restore_target to = { .name = target_name(r, m), .subscribe = true,
	                                   .make_empty = true };
	const struct restore_line line = { m->name, to.name, 0, r->dry_run };
	struct restore_counts k;
	struct err e = ERR_INIT;
	enum rc rc;

	if (to.name.ptr == NULL) {
		err_nomem(&e);
		return admin_fail(c, &e);
	}
	rc = restore_messages(&how, &s, &to, &k, &e);
	admin_add_counts(&r->sum, &k);
	if (!admin_tell_restored(c, &line, &k))
		return ADMIN_FAILED;
	if (rc == RC_OK)
		return ADMIN_OK;
	err_add(&e, "%.*s", SLICE_ARG(m->name));
	return admin_fail(c, &e);
}

/* One mailbox that cannot be made (its name is too long there) does not stop the others. */
static enum admin_exit
restore_boxes(struct restoring *r)
{
	struct admin_call *c = r->lb.c;
	struct past_mailbox *boxes;
	struct err e = ERR_INIT;
	enum admin_exit status = ADMIN_OK;
	char when[WHEN_TEXT_MAX];
	size_t n;

	if (past_mailboxes(r->lb.past, &c->arena, &boxes, &n, &e) != RC_OK)
		return admin_fail(c, &e);
	for (size_t i = 0; i < n && !c->stopped; i++) {
		if (boxes[i].deleted_us != 0 ||
		    (r->mailbox.len > 0 && !slice_eq(boxes[i].name, r->mailbox)))
			continue;
		r->taken++;
		status = admin_worse(status, restore_box(r, &boxes[i]));
	}
	if (r->taken > 0)
		return status;
	when_format(r->at_us < PAST_END ? r->at_us : r->lb.now_us, when);
	admin_complain(c, "%s: there was no mailbox \"%.*s\" at %s; %s", c->args[0],
	    SLICE_ARG(r->mailbox), when, admin_remembers(&r->lb));
	return ADMIN_FAILED;
}

static enum admin_exit
run_restore(struct restoring *r, account_id id)
{
	struct past_params pp = { .log = r->from, .account = id, .at_us = r->at_us };
	struct claim claim = { .kind = CLAIM_WORK, .what = "a restore" };
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (volume_claim(r->lb.v, &claim, &e) != RC_OK)
		return admin_fail(r->lb.c, &e);
	status = admin_open_past(&r->lb, &pp);
	r->lb.what = "restoring";
	if (status == ADMIN_OK)
		status = restore_boxes(r);
	if (r->taken > 0)
		status = admin_worse(status, admin_tell_sum(r->lb.c, &r->sum, r->dry_run));
	status = admin_worse(status, admin_close_past(&r->lb));
	volume_release(r->lb.v, &claim);
	return status;
}

/* ---- from where, and when ---- */

static enum admin_exit
restore_from(struct restoring *r, const char *dir)
{
	const struct log_params lp = { .path = dir, .mode = LOG_READ };
	const struct log_report rep = { .found = NULL };
	const struct past_params how = { .progress = admin_on_past, .progress_arg = &r->lb };
	struct admin_call *c = r->lb.c;
	struct past_owner owner;
	struct err e = ERR_INIT;
	enum admin_exit status;
	enum rc rc = log_open(&lp, &rep, &r->from, &e);

	if (rc == RC_OK)
		rc = past_begin_us(r->from, &r->lb.remembers_us, &e);
	if (rc == RC_OK)
		rc = past_find_owner(r->from, slice_str(c->args[0]), r->at_us, false, &how,
		                     &c->arena, &owner, &e);
	if (rc == RC_NOT_FOUND && r->from != NULL) {
		admin_complain(c, "%s: %s knows no such account then; %s", c->args[0], dir,
		    admin_remembers(&r->lb));
		status = ADMIN_FAILED;
	} else if (rc != RC_OK) {
		err_add(&e, "%s", dir);
		status = admin_fail(c, &e);
	} else {
		status = run_restore(r, owner.id);
	}
	log_close(&r->from);
	return status;
}

/* `backup DIR` makes DIR/VOLUME of each volume: both are taken. */
static const char *
find_backup(const char *dir, const struct volume *v, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%s/%s/head", dir, volume_name(v));

	if (len < 0 || len >= PATH_MAX || access(path, F_OK) != 0)
		return dir;
	path[len - (int)strlen("/head")] = '\0';
	return path;
}

static enum admin_exit
check_moment(const struct restoring *r)
{
	struct looking_back lb = r->lb;

	if (r->at_us > r->lb.now_us) {
		admin_complain(r->lb.c, "--at: this moment is yet to come");
		return ADMIN_FAILED;
	}
	if (r->at_us >= r->lb.remembers_us)
		return ADMIN_OK;
	admin_complain(r->lb.c, "--at: too long ago; %s", admin_remembers(&lb));
	return ADMIN_FAILED;
}

/* "Restored 2026-11-21 10:00:00", where nothing else is said. */
static enum admin_exit
choose_folder(struct restoring *r)
{
	char when[WHEN_TEXT_MAX];

	if (r->into.len > 0)
		return ADMIN_OK;
	when_format(r->at_us < PAST_END ? r->at_us : r->lb.now_us, when);
	r->into = arena_printf(&r->lb.c->arena, "Restored %s", when);
	return r->into.ptr != NULL ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit
admin_restore(struct admin_call *c)
{
	struct restoring r = { .at_us = PAST_END, .dry_run = admin_flag(c, "--dry-run") };
	const char *dir = admin_option(c, "--from");
	char path[PATH_MAX];
	struct volume *v;
	enum admin_exit status = ADMIN_OK;

	if (dir == NULL && admin_option(c, "--at") == NULL) {
		admin_complain(c, "--at says of what moment, --from of what backup");
		return ADMIN_USAGE;
	}
	status = admin_moment(c, "--at", &r.at_us);
	if (status == ADMIN_OK)
		status = admin_mailbox_name(c, "--mailbox", &r.mailbox);
	if (status == ADMIN_OK)
		status = admin_mailbox_name(c, "--into", &r.into);
	if (status == ADMIN_OK)
		status = admin_find_or_explain(c, c->args[0], &v, &r.account);
	if (status == ADMIN_OK)
		status = admin_look_back(c, v, &r.lb);
	if (status == ADMIN_OK)
		status = choose_folder(&r);
	if (status != ADMIN_OK || dir != NULL)
		return status == ADMIN_OK ? restore_from(&r, find_backup(dir, v, path)) : status;
	status = check_moment(&r);
	return status == ADMIN_OK ? run_restore(&r, r.account.id) : status;
}
