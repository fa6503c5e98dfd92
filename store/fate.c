/* fate - which records of a log are dead: the two passes over them, and the end. See fate.h. */
#include "store/fate_impl.h"

/* ---- the first pass ---- */

static enum rc
note_account(struct fates *f, const struct record *r, bool old, struct err *e)
{
	struct account *a = fates_account(f, r->u.account.id);

	if (a == NULL)
		return err_nomem(e);
	if (old && r->lsn > a->stated) {
		a->stated = r->lsn;
		a->deleted = r->u.account.deleted;
	}
	return RC_OK;
}

static enum rc
note_mailbox(struct fates *f, const struct record *r, bool old, struct err *e)
{
	const struct record_mailbox *b = &r->u.mailbox;
	struct mailbox *m = fates_mailbox(f, b->id);

	if (m == NULL)
		return err_nomem(e);
	m->account = b->account;
	m->floor = b->expunge_floor > m->floor ? b->expunge_floor : m->floor;
	if (old && r->lsn > m->stated) {
		m->stated = r->lsn;
		m->deleted = b->deleted;
		m->uidnext = b->uidnext;
		m->highestmodseq = b->highestmodseq;
		m->expunge_floor = b->expunge_floor;
		m->change_floor = b->change_floor;
	}
	return RC_OK;
}

static enum rc
note_named(struct fates *f, uint64_t sum, log_lsn lsn, bool old, struct err *e)
{
	uint64_t *at = old ? idmap_add(&f->named, sum) : NULL;

	if (old && at == NULL)
		return err_nomem(e);
	if (old && lsn > *at)
		*at = lsn;
	return RC_OK;
}

/* A set that is full says of no more messages that they are dead. */
static enum rc
note_expunge(struct fates *f, const struct record_expunge *x, bool old, struct err *e)
{
	struct mailbox *m = fates_mailbox(f, x->mailbox);

	if (m == NULL)
		return err_nomem(e);
	for (uint32_t i = 0; i < x->range_count; i++) {
		(void)uid_set_add(&m->expunged, x->uids[i].first, x->uids[i].last);
		if (old)
			(void)uid_set_add(&m->expunged_old, x->uids[i].first, x->uids[i].last);
	}
	return RC_OK;
}

static uint64_t
sum_credential(const struct fates *f, const struct record_credential *c)
{
	return fates_sum_name(f, 'C', c->account, c->name, false);
}

static uint64_t
sum_subscription(const struct fates *f, const struct record_subscription *s)
{
	return fates_sum_name(f, 'S', s->account, s->name, false);
}

static uint64_t
sum_secret(const struct fates *f, const struct record_secret *s)
{
	return fates_sum_name(f, 'X', 0, s->name, false);
}

static uint64_t
sum_delivery(const struct fates *f, const struct record_delivery *d)
{
	return fates_sum_name(f, 'D', d->session, d->key, false);
}

static enum rc
note_delivery(struct fates *f, const struct record *r, bool old, struct err *e)
{
	const struct record_delivery *d = &r->u.delivery;

	if (d->at_s > f->clock || (d->at_s == f->clock && r->lsn > f->clock_at)) {
		f->clock = d->at_s;
		f->clock_at = r->lsn;
	}
	if (old && d->at_s > f->clock_old)
		f->clock_old = d->at_s;
	return note_named(f, sum_delivery(f, d), r->lsn, old, e);
}

enum rc
fates_note(struct fates *f, const struct record *r, bool old, struct err *e)
{
	switch (r->type) {
	case RECORD_COUNTERS:
		if (old && r->lsn > f->counters) {
			f->counters = r->lsn;
			f->uidvalidity = r->u.counters.uidvalidity;
		}
		return RC_OK;
	case RECORD_ACCOUNT:
		return note_account(f, r, old, e);
	case RECORD_CREDENTIAL:
		return note_named(f, sum_credential(f, &r->u.credential), r->lsn, old, e);
	case RECORD_MAILBOX:
		return note_mailbox(f, r, old, e);
	case RECORD_SUBSCRIPTION:
		return note_named(f, sum_subscription(f, &r->u.subscription), r->lsn, old, e);
	case RECORD_EXPUNGE:
		return note_expunge(f, &r->u.expunge, old, e);
	case RECORD_PURGE:
		if (r->u.purge.blob != 0 && idmap_add(&f->purged, r->u.purge.blob) == NULL)
			return err_nomem(e);
		return RC_OK;
	case RECORD_SECRET:
		return note_named(f, sum_secret(f, &r->u.secret), r->lsn, old, e);
	case RECORD_DELIVERY:
		return note_delivery(f, r, old, e);
	case RECORD_BLOB:
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
	case RECORD_FLAGS:
	case RECORD_GONE:
	case RECORD_UIDL:
	case RECORD_SUMMARY:
		return RC_OK;
	}
	return RC_OK;
}

/* ---- the second pass ---- */

static enum rc
meet_account(struct fates *f, account_id id, struct err *e)
{
	struct account *a = fates_account(f, id);

	if (a == NULL)
		return err_nomem(e);
	a->met = true;
	return RC_OK;
}

static enum rc
decide_account(struct fates *f, const struct record *r, uint64_t where, struct verdict *v,
               struct err *e)
{
	struct account *a = fates_account(f, r->u.account.id);

	if (a == NULL)
		return err_nomem(e);
	if (r->lsn == a->stated && a->deleted)
		return fates_keep_tombstone(f, TOMB_ACCOUNT, where, r->u.account.id, e);
	a->met = true;
	if (r->lsn < a->stated)
		v->fate = FATE_GONE;
	return RC_OK;
}

/* A credential or a subscription. `removal`: it says that there is none. */
static enum rc
decide_named(struct fates *f, const struct record *r, account_id account, uint64_t sum,
             bool removal, uint64_t where, struct verdict *v, struct err *e)
{
	const uint64_t *stated = idmap_find(&f->named, sum);
	enum rc rc = meet_account(f, account, e);

	if (rc != RC_OK)
		return rc;
	if (stated != NULL && r->lsn == *stated && removal && !fates_account_is_deleted(f, account))
		return fates_keep_tombstone(f, TOMB_NAMED, where, sum, e);
	if (idmap_add(&f->named_met, sum) == NULL)
		return err_nomem(e);
	if (fates_account_is_deleted(f, account) || (stated != NULL && r->lsn < *stated))
		v->fate = FATE_GONE;
	return RC_OK;
}

static void
decide_secret(struct fates *f, const struct record *r, struct verdict *v)
{
	const uint64_t *stated = idmap_find(&f->named, sum_secret(f, &r->u.secret));

	if (stated != NULL && r->lsn < *stated)
		v->fate = FATE_GONE;
}

/* A row that is over, taken away or forgotten, is told so by its newest old record as long as there
 * is an older one. */
static enum rc
decide_delivery(struct fates *f, const struct record *r, uint64_t where, struct verdict *v,
                struct err *e)
{
	uint64_t sum = sum_delivery(f, &r->u.delivery);
	const uint64_t *stated = idmap_find(&f->named, sum);
	bool over = r->u.delivery.until_s < f->clock_old || r->u.delivery.until_s == 0;

	if (r->lsn != f->clock_at && stated != NULL && r->lsn == *stated && over)
		return fates_keep_tombstone(f, TOMB_NAMED, where, sum, e);
	if (idmap_add(&f->named_met, sum) == NULL)
		return err_nomem(e);
	if (r->lsn != f->clock_at && stated != NULL && r->lsn < *stated)
		v->fate = FATE_GONE;
	return RC_OK;
}

/* The newest statement of a mailbox that is deleted, or whose account is, stays as long as anything
 * of the mailbox does: it says where that belongs, and that it is gone. */
static enum rc
decide_mailbox(struct fates *f, const struct record *r, uint64_t where, struct verdict *v,
               struct err *e)
{
	const struct record_mailbox *b = &r->u.mailbox;
	struct mailbox *m = fates_mailbox(f, b->id);

	if (m == NULL)
		return err_nomem(e);
	if (meet_account(f, b->account, e) != RC_OK)
		return e->code;
	if (r->lsn == m->stated && fates_mailbox_is_deleted(f, m))
		return fates_keep_tombstone(f, TOMB_MAILBOX, where, b->id, e);
	if (r->lsn >= m->stated)
		return RC_OK;
	m->met = true;
	if (fates_mailbox_is_deleted(f, m) ||
	    (b->uidnext <= m->uidnext && b->highestmodseq <= m->highestmodseq &&
	        b->expunge_floor <= m->expunge_floor && b->change_floor <= m->change_floor))
		v->fate = FATE_GONE;
	return RC_OK;
}

static void
decide_blob(struct fates *f, log_lsn id, bool old, struct verdict *v)
{
	if (idmap_find(&f->purged, id) != NULL)
		v->fate = FATE_GONE;
	else if (idmap_find(&f->wanted, id) == NULL && old)
		v->fate = FATE_BLOB;
	idmap_remove(&f->wanted, id);
	idmap_remove(&f->summaries, id);
}

/* Its blob's record lies before it, so what is left at the end has none. */
static enum rc
decide_summary(struct fates *f, blob_id blob, bool old, uint64_t where, struct verdict *v,
               struct err *e)
{
	uint64_t *at;

	if (blob == 0)
		return RC_OK;
	if (idmap_find(&f->purged, blob) != NULL || idmap_find(&f->summaries, blob) != NULL) {
		v->fate = FATE_GONE;
		return RC_OK;
	}
	if (!old)
		return RC_OK;
	at = idmap_add(&f->summaries, blob);
	if (at == NULL)
		return err_nomem(e);
	*at = where;
	return RC_OK;
}

enum rc
fates_decide(struct fates *f, const struct record *r, bool old, uint64_t where, struct verdict *v,
             struct err *e)
{
	v->fate = FATE_KEEP;
	v->dead = v->all = 0;
	uid_set_reset(&v->keep);
	uid_set_reset(&v->bare);
	switch (r->type) {
	case RECORD_COUNTERS:
		if (r->lsn < f->counters && r->u.counters.uidvalidity <= f->uidvalidity)
			v->fate = FATE_GONE;
		return RC_OK;
	case RECORD_ACCOUNT:
		return decide_account(f, r, where, v, e);
	case RECORD_CREDENTIAL:
		return decide_named(f, r, r->u.credential.account,
		    sum_credential(f, &r->u.credential), r->u.credential.value.len == 0, where, v,
		    e);
	case RECORD_MAILBOX:
		return decide_mailbox(f, r, where, v, e);
	case RECORD_SUBSCRIPTION:
		return decide_named(f, r, r->u.subscription.account,
		    sum_subscription(f, &r->u.subscription), !r->u.subscription.subscribed, where,
		    v, e);
	case RECORD_BLOB:
		decide_blob(f, r->lsn, old, v);
		return RC_OK;
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		return fates_decide_messages(f, &r->u.messages, v, e);
	case RECORD_FLAGS:
		return fates_decide_flags(f, &r->u.flags, old, v, e);
	case RECORD_EXPUNGE:
		return fates_decide_expunge(f, &r->u.expunge, old, where, v, e);
	case RECORD_GONE:
		v->fate = FATE_GONE;
		return RC_OK;
	case RECORD_PURGE:
		return RC_OK;
	case RECORD_UIDL:
		return fates_decide_uidl(f, &r->u.uidl, v, e);
	case RECORD_SUMMARY:
		return decide_summary(f, r->u.summary.blob, old, where, v, e);
	case RECORD_SECRET:
		decide_secret(f, r, v);
		return RC_OK;
	case RECORD_DELIVERY:
		return decide_delivery(f, r, where, v, e);
	}
	return RC_OK;
}

/* ---- the end ---- */

static bool
still_covers(struct fates *f, const struct tombstone *t)
{
	switch (t->kind) {
	case TOMB_ACCOUNT:
		return fates_account(f, t->key)->met;
	case TOMB_MAILBOX:
		return fates_mailbox(f, t->key)->met;
	case TOMB_NAMED:
		return idmap_find(&f->named_met, t->key) != NULL;
	case TOMB_EXPUNGE:
		return fates_expunge_covers(f, fates_mailbox(f, t->key), t);
	}
	return true;
}

void
fates_settle(struct fates *f, void (*dies)(void *arg, uint64_t where), void *arg)
{
	for (size_t i = 0; i < f->tomb_count; i++)
		if (!still_covers(f, &f->tombs[i]))
			dies(arg, f->tombs[i].where);
	for (size_t i = 0; i < f->summaries.size; i++)
		if (f->summaries.slots[2 * i] != 0)
			dies(arg, f->summaries.slots[2 * i + 1]);
}
