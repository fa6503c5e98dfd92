/* admin_lint - lint of the messages of a mailbox, as they stand in the log. See lib/lint.h.
 *
 * Messages are read in pieces, a row of the mailbox at a time, so that neither their number nor
 * their size costs memory. One that is damaged in the log is told, and the others are looked
 * at all the same.
 */
#include "index/admin_impl.h"

#include <stdio.h>

#include "lib/lint_output.h"

#define ROWS_ONCE      100u
#define CHUNK          65536u
#define UID_RANGES_MAX 10000u

struct run {
	struct admin_call *c;
	struct volume     *v;
	mailbox_id         mailbox;
	struct slice       name;        /* of the mailbox */
	mail_uid           uid;         /* of the message that is looked at */
	enum admin_exit    status;
	uint64_t           done, total;
};

static void
tell_finding(void *arg, const struct lint_finding *f)
{
	struct run *r = arg;
	struct json j;
	char uid[16];

	if (admin_flag(r->c, "--json")) {
		json_init(&j, &r->c->line);
		json_object(&j, NULL);
		json_str(&j, "mailbox", r->name);
		json_u64(&j, "uid", r->uid);
		lint_append_json(&j, f);
		json_end(&j);
	} else {
		snprintf(uid, sizeof uid, "%u", r->uid);
		lint_append_text(&r->c->line, uid, f);
	}
	admin_send(r->c);
}

static enum rc
feed_blob(struct run *r, const struct message_row *m, struct lint *l, struct buf *chunk,
          struct err *e)
{
	enum rc rc = message_row_check(m, e);

	for (uint64_t at = 0; rc == RC_OK && at < m->size; at += CHUNK) {
		uint64_t left = m->size - at;

		buf_reset(chunk);
		rc = volume_read_blob(r->v, &m->place, at, left < CHUNK ? left : CHUNK, chunk, e);
		if (rc == RC_OK)
			lint_feed(l, buf_slice(chunk));
	}
	return rc;
}

static enum rc
lint_message(struct run *r, const struct message_row *m, struct err *e)
{
	struct lint *l = lint_new();
	struct buf chunk;
	enum rc rc;

	if (l == NULL)
		return err_nomem(e);
	buf_init(&chunk, CHUNK);
	r->uid = m->uid;
	rc = feed_blob(r, m, l, &chunk, e);
	if (rc == RC_OK && !lint_finish(l, tell_finding, r))
		rc = err_nomem(e);
	if (lint_count(l, LINT_ERROR) > 0)
		r->status = admin_worse(r->status, ADMIN_DAMAGE);
	lint_free(&l);
	buf_fini(&chunk);
	return rc;
}

/* False: stop; the status says why. */
static bool
lint_rows(struct run *r, const struct message_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err e = ERR_INIT;
		enum rc rc = lint_message(r, &rows[i], &e);

		if (rc != RC_OK) {
			err_add(&e, "UID %u", rows[i].uid);
			r->status = admin_worse(r->status,
			                        admin_is_lost(rc) ? ADMIN_DAMAGE : ADMIN_FAILED);
			(void)admin_fail(r->c, &e);
		}
		if ((rc != RC_OK && !admin_is_lost(rc)) ||
		    !admin_progress(r->c, "messages looked at", ++r->done, r->total))
			return false;
	}
	return true;
}

static enum admin_exit
lint_mailbox(struct run *r, const struct uid_set *uids)
{
	struct err e = ERR_INIT;
	mail_uid from = 1;
	size_t n = ROWS_ONCE;
	struct message_row *rows;
	struct arena a;
	bool more = true;

	arena_init(&a, 64u << 20);
	while (more && n == ROWS_ONCE) {
		arena_reset(&a);
		if (volume_read_messages(r->v, r->mailbox, uids, from, ROWS_ONCE, WANT_PLACE, &a,
		        &rows, &n, &e) != RC_OK) {
			r->status = admin_fail(r->c, &e);
			break;
		}
		more = lint_rows(r, rows, n) && (n == 0 || rows[n - 1].uid < UINT32_MAX);
		from = n > 0 && more ? rows[n - 1].uid + 1 : from;
	}
	arena_fini(&a);
	return r->c->stopped ? ADMIN_FAILED : r->status;
}

enum admin_exit
admin_lint(struct admin_call *c)
{
	const char *mailbox = admin_option(c, "--mailbox"), *set = admin_option(c, "--uid");
	struct run r = { .c = c };
	struct account_info account;
	struct mailbox_info box;
	struct uid_set uids;
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (mailbox == NULL)
		return ADMIN_USAGE;
	status = admin_find(c, c->args[0], &r.v, &account);
	if (status != ADMIN_OK)
		return status;
	if (volume_find_mailbox(r.v, account.id, slice_str(mailbox), &c->arena, &box, &e) !=
	    RC_OK) {
		err_add(&e, "mailbox %s of %s", mailbox, c->args[0]);
		return admin_fail(c, &e);
	}
	r.mailbox = box.id;
	r.name = box.name;
	r.total = box.exists;
	uid_set_init(&uids, UID_RANGES_MAX);
	if (!uid_set_parse(slice_str(set != NULL ? set : "1:*"), &uids)) {
		admin_complain(c, "%s: no set of UIDs like 4,7:9,12:*", set);
		status = ADMIN_USAGE;
	} else {
		status = lint_mailbox(&r, &uids);
	}
	uid_set_fini(&uids);
	return status;
}
