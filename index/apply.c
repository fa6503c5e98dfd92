/* apply - one record into the index. See apply.h. Here: what all records share, accounts
 * and mailboxes. */
#include "index/apply_impl.h"

#include <stdlib.h>

#include "index/incoming.h"
#include "index/learnt.h"
#include "index/names.h"
#include "index/volume.h"

#define SCRATCH_MAX (16u << 20)

enum rc
apply_init(struct apply *ap, struct db *db, struct err *e)
{
	enum rc rc = incoming_register(db, e);

	*ap = (struct apply){ .db = db };
	arena_init(&ap->scratch, SCRATCH_MAX);
	return rc == RC_OK ? schema_read_meta(db, &ap->meta, e) : rc;
}

void
apply_fini(struct apply *ap)
{
	arena_fini(&ap->scratch);
	free(ap->pending);
	free(ap->touched);
	lz_packer_free(&ap->packer);
	*ap = (struct apply){ 0 };
}

void
apply_forget(struct apply *ap)
{
	ap->pending_count = 0;
	ap->touched_count = 0;
	ap->accounts = ap->mailboxes = ap->purged = false;
	ap->subscribed_count = 0;
}

struct apply_mark
apply_get_mark(const struct apply *ap)
{
	return (struct apply_mark){ ap->meta, ap->pending_count };
}

void
apply_set_mark(struct apply *ap, const struct apply_mark *m)
{
	ap->meta = m->meta;
	ap->pending_count = m->pending_count;
}

void *
apply_grow(void *array, size_t count, size_t *cap, size_t size)
{
	size_t want = *cap > 0 ? *cap * 2 : 16;
	void *p;

	if (count < *cap)
		return array;
	p = realloc(array, want * size);
	if (p != NULL)
		*cap = want;
	return p;
}

enum rc
apply_touch(struct apply *ap, const struct touched_mailbox *how, struct err *e)
{
	struct touched_mailbox *t;

	if (!ap->track)
		return RC_OK;
	for (size_t i = ap->touched_count; i > 0; i--) {
		t = &ap->touched[i - 1];
		if (t->id == how->id) {
			t->modseq = how->modseq > t->modseq ? how->modseq : t->modseq;
			t->first_new = t->first_new != 0 ? t->first_new : how->first_new;
			return RC_OK;
		}
	}
	t = apply_grow(ap->touched, ap->touched_count, &ap->touched_cap, sizeof *t);
	if (t == NULL)
		return err_nomem(e);
	ap->touched = t;
	t[ap->touched_count++] = *how;
	return RC_OK;
}

/* ---- accounts ---- */

static enum rc
delete_mailbox_rows(struct apply *ap, mailbox_id id, struct err *e)
{
	enum rc rc;

	rc = db_run(ap->db, "DELETE FROM message WHERE mailbox=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM expunged WHERE mailbox=?1", DB_ARGS(DB_NUM(id)),
		            e);
	if (rc == RC_OK) {
		ap->meta.expunged -= db_changes(ap->db);
		rc = db_run(ap->db, "DELETE FROM expunge_run WHERE mailbox=?1",
		            DB_ARGS(DB_NUM(id)), e);
	}
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM mailbox_keyword WHERE mailbox=?1",
		            DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM uidl WHERE mailbox=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = learnt_forget_mailbox(ap->db, id, e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM mailbox WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	return rc;
}

static enum rc
delete_account(struct apply *ap, account_id id, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc;

	while ((rc = db_first(ap->db, &q,
	                      "SELECT id FROM mailbox WHERE account=?1 LIMIT 1",
	                      DB_ARGS(DB_NUM(id)), e)) == RC_OK) {
		const struct touched_mailbox m = { .id = db_u64(q, 0), .modseq = MODSEQ_GONE };

		db_end(q);
		rc = apply_touch(ap, &m, e);
		if (rc == RC_OK)
			rc = delete_mailbox_rows(ap, m.id, e);
		if (rc != RC_OK)
			return rc;
	}
	if (rc != RC_NOT_FOUND)
		return rc;
	rc = db_run(ap->db, "DELETE FROM credential WHERE account=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM subscription WHERE account=?1",
		            DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM thread WHERE account=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM account WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	return rc;
}

static enum rc
apply_account(struct apply *ap, const struct record_account *r, struct err *e)
{
	struct slice key;
	enum rc rc;

	if (r->deleted)
		return delete_account(ap, r->id, e);
	rc = name_account(r->name, &ap->scratch, NULL, &key, e);
	if (rc != RC_OK)
		return rc == RC_NOMEM ? rc :
		                        err_set(e, RC_SYNTAX, "account record with a bad name");
	return db_run(ap->db,
	              "INSERT INTO account VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7, ?8, ?9, "
	              "?10) ON CONFLICT(id)"
	              " DO UPDATE SET name=?2, name_key=?3, generation=?4, created=?5, quota=?6,"
	              " quota_messages=?7, hidden=?8, arriving=?9, flags=?10",
	              DB_ARGS(DB_NUM(r->id), DB_BYTES(r->name), DB_BYTES(key),
	                      DB_NUM(r->generation), DB_NUM(r->created_us), DB_NUM(r->quota_bytes),
	                      DB_NUM(r->quota_messages), DB_BYTES(r->hidden), DB_NUM(r->arriving),
	                      DB_NUM(r->flags)),
	              e);
}

static enum rc
apply_credential(struct apply *ap, const struct record_credential *r, struct err *e)
{
	if (r->value.len == 0)
		return db_run(ap->db, "DELETE FROM credential WHERE account=?1 AND name=?2",
		              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name)), e);
	return db_run(ap->db, "INSERT OR REPLACE INTO credential VALUES(?1, ?2, ?3)",
	              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name), DB_BYTES(r->value)), e);
}

static enum rc
apply_subscription(struct apply *ap, const struct record_subscription *r, struct err *e)
{
	if (!r->subscribed)
		return db_run(ap->db, "DELETE FROM subscription WHERE account=?1 AND name=?2",
		              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name)), e);
	return db_run(ap->db, "INSERT OR IGNORE INTO subscription VALUES(?1, ?2)",
	              DB_ARGS(DB_NUM(r->account), DB_BYTES(r->name)), e);
}

static void
note_subscribed(struct apply *ap, account_id account)
{
	for (uint32_t i = 0; i < ap->subscribed_count; i++)
		if (ap->subscribed[i] == account)
			return;
	if (ap->subscribed_count < SUBSCRIBED_MAX)
		ap->subscribed[ap->subscribed_count++] = account;
	else
		ap->mailboxes = true;
}

/* ---- what belongs to the volume ---- */

static enum rc
apply_secret(struct apply *ap, const struct record_secret *r, struct err *e)
{
	return db_run(ap->db, "INSERT OR REPLACE INTO secret VALUES(?1, ?2)",
	              DB_ARGS(DB_BYTES(r->name), DB_BYTES(r->value)), e);
}

/* The rows that are left follow from the records whatever their order, and whichever of those that
 * are superseded or forgotten compaction has dropped: the newest of each object, as far as it ends
 * no earlier than the latest time told. */
static enum rc
apply_delivery(struct apply *ap, const struct record_delivery *r, struct err *e)
{
	struct slice key = r->key;
	enum rc rc = RC_OK;

	if (r->at_s > ap->meta.delivery_clock) {
		ap->meta.delivery_clock = r->at_s;
		rc = db_run(ap->db, "DELETE FROM delivery WHERE until < ?1",
		            DB_ARGS(DB_NUM(r->at_s)), e);
	}
	if (rc != RC_OK)
		return rc;
	if (r->until_s == 0 || r->until_s < ap->meta.delivery_clock)
		return db_run(ap->db, "DELETE FROM delivery WHERE key=?1 AND session=?2",
		              DB_ARGS(DB_BYTES(key), DB_NUM(r->session)), e);
	return db_run(ap->db, "INSERT OR REPLACE INTO delivery VALUES(?1, ?2, ?3, ?4)",
	    DB_ARGS(DB_BYTES(key), DB_NUM(r->session), DB_NUM(r->at_s), DB_NUM(r->until_s)), e);
}

/* ---- mailboxes ---- */

static enum rc
delete_mailbox(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	const struct touched_mailbox m = { .id = r->id, .modseq = MODSEQ_GONE };
	enum rc rc;

	rc = db_run(ap->db,
	            "UPDATE account SET used_bytes=used_bytes-m.size, "
	            "used_messages=used_messages-m.exists_"
	            " FROM mailbox m WHERE m.id=?1 AND account.id=m.account",
	            DB_ARGS(DB_NUM(r->id)), e);
	if (rc == RC_OK)
		rc = delete_mailbox_rows(ap, r->id, e);
	return rc == RC_OK ? apply_touch(ap, &m, e) : rc;
}

/* ---- mailboxes of which there may be messages already ---- */

static enum rc
is_stub(struct apply *ap, mailbox_id id, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q, "SELECT 1 FROM mailbox WHERE id=?1 AND account=0",
	                      DB_ARGS(DB_NUM(id)), e);

	if (rc == RC_OK)
		db_end(q);
	return rc;
}

/* A stub's messages were counted for no account. */
static enum rc
adopt_stub(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	enum rc rc = db_run(ap->db,
	                    "UPDATE account SET used_bytes=used_bytes+m.size, "
	                    "used_messages=used_messages+m.exists_"
	                    " FROM mailbox m WHERE m.id=?1 AND account.id=?2",
	                    DB_ARGS(DB_NUM(r->id), DB_NUM(r->account)), e);

	return rc == RC_OK ? apply_note_threads_of(ap, r->id, r->account, e) : rc;
}

/* Expunges up to the floor are not remembered one by one. Of a rebuild index_tidy does it, once. */
static enum rc
drop_below_floor(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	enum rc rc;

	if (r->expunge_floor == 0 || ap->bulk)
		return RC_OK;
	rc = learnt_forget_pruned(ap->db, r->id, r->expunge_floor, e);
	if (rc == RC_OK)
		rc = db_run(ap->db,
		            "DELETE FROM expunged WHERE mailbox=?1 AND uid IN (SELECT x.uid FROM"
		            " expunge_run g CROSS JOIN expunged x ON x.mailbox=g.mailbox AND"
		            " x.uid BETWEEN g.first AND g.last"
		            " WHERE g.mailbox=?1 AND g.modseq <= ?2)",
		            DB_ARGS(DB_NUM(r->id), DB_NUM(r->expunge_floor)), e);
	if (rc != RC_OK)
		return rc;
	ap->meta.expunged -= db_changes(ap->db);
	return db_run(ap->db, "DELETE FROM expunge_run WHERE mailbox=?1 AND modseq <= ?2",
	              DB_ARGS(DB_NUM(r->id), DB_NUM(r->expunge_floor)), e);
}

static enum rc
apply_mailbox(struct apply *ap, const struct record_mailbox *r, struct err *e)
{
	enum rc rc;

	if (r->deleted)
		return delete_mailbox(ap, r, e);
	rc = is_stub(ap, r->id, e);
	if (rc == RC_OK)
		rc = adopt_stub(ap, r, e);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	rc = db_run(ap->db,
	    "INSERT INTO mailbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, 0, 0, ?7, ?8, ?9, ?10,"
	    " 0)"
	    " ON CONFLICT(id) DO UPDATE SET account=?2, name=?3, uidvalidity=?4, "
	    "uidnext=max(uidnext, ?5),"
	    " highestmodseq=max(highestmodseq, ?6), special_use=?7, mailboxid=?8,"
	    " expunge_floor=max(expunge_floor, ?9), change_floor=max(change_floor, ?10)",
	    DB_ARGS(DB_NUM(r->id), DB_NUM(r->account), DB_BYTES(r->name), DB_NUM(r->uidvalidity),
	        DB_NUM(r->uidnext), DB_NUM(r->highestmodseq), DB_NUM(r->special_use),
	        DB_BYTES(slice_of(r->mailboxid, sizeof r->mailboxid)), DB_NUM(r->expunge_floor),
	        DB_NUM(r->change_floor)),
	    e);
	return rc == RC_OK ? drop_below_floor(ap, r, e) : rc;
}

/* ---- the dispatcher ---- */

static enum rc
apply_any(struct apply *ap, const struct record *r, const struct log_addr *data, struct err *e)
{
	switch (r->type) {
	case RECORD_COUNTERS:
		if (r->u.counters.uidvalidity > ap->meta.uidvalidity)
			ap->meta.uidvalidity = r->u.counters.uidvalidity;
		return RC_OK;
	case RECORD_ACCOUNT:
		ap->accounts = true;
		return apply_account(ap, &r->u.account, e);
	case RECORD_CREDENTIAL:
		ap->accounts = true;
		return apply_credential(ap, &r->u.credential, e);
	case RECORD_MAILBOX:
		ap->mailboxes = true;
		return apply_mailbox(ap, &r->u.mailbox, e);
	case RECORD_SUBSCRIPTION:
		note_subscribed(ap, r->u.subscription.account);
		return apply_subscription(ap, &r->u.subscription, e);
	case RECORD_BLOB:
		return apply_blob(ap, r, data, e);
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		return apply_messages(ap, &r->u.messages, e);
	case RECORD_FLAGS:
		return apply_flags(ap, &r->u.flags, e);
	case RECORD_EXPUNGE:
		return apply_expunge(ap, &r->u.expunge, e);
	case RECORD_GONE:
		return RC_OK;
	case RECORD_PURGE:
		return apply_purge(ap, &r->u.purge, e);
	case RECORD_UIDL:
		return apply_uidl(ap, &r->u.uidl, e);
	case RECORD_SUMMARY:
		return apply_summary(ap, &r->u.summary, e);
	case RECORD_SECRET:
		return apply_secret(ap, &r->u.secret, e);
	case RECORD_DELIVERY:
		return apply_delivery(ap, &r->u.delivery, e);
	}
	return err_set(e, RC_SYNTAX, "record of unknown type %d", (int)r->type);
}

enum rc
apply_record(struct apply *ap, const struct record *r, const struct log_addr *data, struct err *e)
{
	enum rc rc;

	if (r->lsn <= ap->meta.applied)
		return RC_OK;
	rc = apply_any(ap, r, data, e);
	arena_reset(&ap->scratch);
	if (rc == RC_OK)
		ap->meta.applied = r->lsn;
	return rc;
}
