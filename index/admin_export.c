/* admin_export - the verb behind restantectl export: gives an account's messages as a stream
 * (parcel.h), exact octets.
 *
 * Each page of a mailbox is one snapshot. A message that is damaged is told and left out, the
 * others are given. With --dry-run no bytes of messages are read or sent.
 */
#include "index/admin_impl.h"

#include "index/parcel.h"

#define PAGE     200u
#define SEND_AT  32768u
#define SEND_MAX (SEND_AT + 2 * PARCEL_BODY_MAX)

struct export_run {
	struct admin_call *c;
	struct volume     *v;
	struct account_info account;
	struct uid_set     uids;
	bool               dry_run;
	struct buf         out;
	struct buf         piece;
	struct arena       page;        /* c->arena holds the list of mailboxes */
	uint64_t           seq;
	uint64_t           damaged;
};

/* RC_CANCELLED: nobody takes it any more. */
static enum rc
send_some(struct export_run *r, size_t at_least, struct err *e)
{
	const struct admin_output *out = r->c->ad->out;

	if (r->out.failed)
		return err_nomem(e);
	if (r->out.len < at_least || r->out.len == 0)
		return RC_OK;
	if (!out->data(out->arg, buf_slice(&r->out))) {
		r->c->stopped = true;
		return err_set(e, RC_CANCELLED, "nobody reads any more");
	}
	buf_reset(&r->out);
	return RC_OK;
}

static enum rc
put_bytes(struct export_run *r, const struct message_row *m, struct err *e)
{
	enum rc rc = message_row_check(m, e);

	for (uint64_t at = 0; rc == RC_OK && at < m->size && !r->dry_run;) {
		uint64_t n = m->size - at < PARCEL_DATA_MAX ? m->size - at : PARCEL_DATA_MAX;

		buf_reset(&r->piece);
		rc = volume_read_blob(r->v, &m->place, at, n, &r->piece, e);
		if (rc != RC_OK)
			return rc;
		at += n;
		parcel_put_data(&r->out, buf_slice(&r->piece));
		rc = send_some(r, SEND_AT, e);
	}
	return rc;
}

static enum rc
put_message(struct export_run *r, const struct mailbox_info *box, const struct message_row *m,
            struct slice uidl, struct err *e)
{
	struct parcel_message pm = {
		.seq = ++r->seq,
		.flags = m->flags,
		.keywords = m->keywords,
		.internaldate = m->internaldate,
		.uid = m->uid,
		.uidl = uidl,
		.size = m->size,
	};
	enum rc rc;

	parcel_put_message(&r->out, &pm);
	rc = put_bytes(r, m, e);
	if (admin_is_lost(rc)) {
		admin_complain(r->c, "%.*s UID %u: %s", SLICE_ARG(box->name), m->uid, e->text);
		r->damaged++;
		rc = RC_OK;
		parcel_put_end(&r->out, false);
	} else if (rc == RC_OK) {
		parcel_put_end(&r->out, true);
	}
	return rc == RC_OK ? send_some(r, SEND_AT, e) : rc;
}

/* Unique-ids from some UID on. */
struct uidl_page {
	struct message_uidl *list;
	size_t               count, at;
	bool                 more;      /* behind them, perhaps */
};

/* That of a message behind those asked for before; empty: it has none. Of the UIDs between, which
 * nobody wants, there may be more than a page. */
static enum rc
find_uidl(struct export_run *r, mailbox_id mailbox, mail_uid uid, struct uidl_page *u,
          struct slice *out, struct err *e)
{
	while (u->at < u->count && u->list[u->at].uid < uid)
		u->at++;
	if (u->at == u->count && u->more) {
		enum rc rc = volume_list_uidls(r->v, mailbox, uid, PAGE, &r->page, &u->list,
		                               &u->count, e);

		if (rc != RC_OK)
			return rc;
		u->at = 0;
		u->more = u->count == PAGE;
	}
	*out = u->at < u->count && u->list[u->at].uid == uid ? u->list[u->at].text : SLICE_NONE;
	return RC_OK;
}

static enum rc
put_page(struct export_run *r, const struct mailbox_info *box, mail_uid *from, struct err *e)
{
	struct uidl_page u = { .more = true };
	struct message_row *rows;
	struct slice uidl;
	size_t n = 0;
	enum rc rc;

	arena_reset(&r->page);
	rc = volume_read_messages(r->v, box->id, &r->uids, *from, PAGE, WANT_PLACE, &r->page, &rows,
	                          &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = find_uidl(r, box->id, rows[i].uid, &u, &uidl, e);
		if (rc == RC_OK)
			rc = put_message(r, box, &rows[i], uidl, e);
	}
	*from = n == PAGE ? rows[n - 1].uid + 1 : 0;
	return rc;
}

static enum rc
put_mailbox(struct export_run *r, const struct mailbox_info *box, struct err *e)
{
	struct parcel_mailbox pm = {
		.name = box->name,
		.uidvalidity = box->uidvalidity,
		.uidnext = box->uidnext,
		.special_use = box->special_use,
		.messages = box->exists,
	};
	mail_uid from = 1;
	enum rc rc = RC_OK;

	parcel_put_mailbox(&r->out, &pm);
	while (rc == RC_OK && from != 0)
		rc = put_page(r, box, &from, e);
	return rc;
}

static enum rc
put_subscriptions(struct export_run *r, struct err *e)
{
	struct slice *names;
	size_t n = 0;
	enum rc rc = volume_list_subscriptions(r->v, r->account.id, &r->c->arena, &names, &n, e);

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		parcel_put_subscription(&r->out, names[i]);
		rc = send_some(r, SEND_AT, e);
	}
	return rc;
}

static enum rc
put_all(struct export_run *r, struct err *e)
{
	const char *only = admin_option(r->c, "--mailbox");
	struct mailbox_info *boxes, one;
	size_t n = 0;
	enum rc rc;

	parcel_put_begin(&r->out);
	if (only != NULL) {
		rc = volume_find_mailbox(r->v, r->account.id, slice_str(only), &r->c->arena, &one,
		                         e);
		if (rc == RC_NOT_FOUND)
			return err_set(e, rc, "there is no mailbox %s", only);
		if (rc == RC_OK)
			rc = put_mailbox(r, &one, e);
	} else {
		rc = volume_list_mailboxes(r->v, r->account.id, &r->c->arena, &boxes, &n, e);
		for (size_t i = 0; rc == RC_OK && i < n; i++)
			rc = put_mailbox(r, &boxes[i], e);
		if (rc == RC_OK)
			rc = put_subscriptions(r, e);
	}
	if (rc == RC_OK) {
		parcel_put_close(&r->out);
		rc = send_some(r, 1, e);
	}
	return rc;
}

static enum admin_exit
run_export(struct export_run *r)
{
	const char *set = admin_option(r->c, "--uid");
	struct err e = ERR_INIT;

	if (set == NULL)
		(void)uid_set_add(&r->uids, 1, UINT32_MAX);
	else if (!uid_set_parse(slice_str(set), &r->uids))
		return ADMIN_USAGE;
	if (put_all(r, &e) != RC_OK)
		return admin_fail(r->c, &e);
	return r->damaged > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
admin_export(struct admin_call *c)
{
	struct export_run r = { .c = c, .dry_run = admin_flag(c, "--dry-run") };
	enum admin_exit status;

	if (c->ad->out->data == NULL) {
		admin_complain(c, "export needs somebody who takes its bytes");
		return ADMIN_FAILED;
	}
	status = admin_find(c, c->args[0], &r.v, &r.account);
	if (status != ADMIN_OK)
		return status;
	uid_set_init(&r.uids, 1u << 16);
	buf_init(&r.out, SEND_MAX);
	buf_init(&r.piece, PARCEL_DATA_MAX);
	arena_init(&r.page, 64u << 20);
	status = run_export(&r);
	arena_fini(&r.page);
	buf_fini(&r.piece);
	buf_fini(&r.out);
	uid_set_fini(&r.uids);
	return status;
}
