/* fate - which records of a log are dead. See fate.h.
 *
 * Objects without an id (a credential, a subscription, a keyword of a mailbox) are known by a sum with a random key:
 * nobody can make two of them meet.
 */
#include "store/fate.h"

#include "lib/siphash.h"
#include "store/idmap.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPUNGED_RANGES (4u << 20)      /* of one mailbox; what does not fit is not dead */
#define FLAGGED_RANGES  (64u << 10)     /* these are added at their front, which costs their number */

struct account {
	log_lsn  stated;        /* the newest old statement, */
	bool     deleted;       /* which is a tombstone */
	bool     met;           /* by a record other than that */
};

struct mailbox {
	mailbox_id  id;
	account_id  account;    /* 0: no record of it was met */
	log_lsn     stated;     /* the newest old statement, and what it says: */
	bool        deleted;
	mail_uid    uidnext;
	mail_modseq highestmodseq, expunge_floor, change_floor;
	mail_modseq floor;      /* of all its records */
	bool        met;        /* by a record other than its newest old statement */
	bool        met_all;    /* `met_uids` is not complete */
	struct uid_set expunged_old, expunged;  /* the latter: whatever the time */
	struct uid_set flagged; /* by newer old records */
	struct uid_set met_uids;        /* expunged ones that an older record names */
};

enum tombstone_kind { TOMB_ACCOUNT, TOMB_MAILBOX, TOMB_NAMED, TOMB_EXPUNGE };

struct tombstone {
	enum tombstone_kind kind;
	uint64_t            where;
	uint64_t            key;        /* account, mailbox, or sum of a name */
	size_t              range_at, range_count;
};

struct fates {
	uint8_t          secret[SIPHASH_KEY_LEN];
	struct idmap     accounts, mailboxes;   /* id -> index */
	struct account  *account;
	struct mailbox  *mailbox;
	size_t           account_count, account_cap, mailbox_count, mailbox_cap;
	struct idmap     named;         /* sum -> newest old statement */
	struct idmap     named_met;
	struct idmap     keywords;      /* that a surviving record names */
	struct idmap     wanted;        /* blobs that live messages name, whose record was not met yet */
	struct idmap     purged;
	struct idmap     summaries;     /* blob, whose record was not met yet -> where its newest old summary is */
	log_lsn          counters;      /* the newest old ones, */
	uint32_t         uidvalidity;   /* which say */
	struct tombstone *tombs;
	size_t           tomb_count, tomb_cap;
	struct uid_range *ranges;       /* of expunges among them */
	size_t           range_count, range_cap;
};

void
verdict_init(struct verdict *v)
{
	*v = (struct verdict){ .fate = FATE_KEEP };
	uid_set_init(&v->keep, EXPUNGED_RANGES);
	uid_set_init(&v->bare, EXPUNGED_RANGES);
}

void
verdict_fini(struct verdict *v)
{
	uid_set_fini(&v->keep);
	uid_set_fini(&v->bare);
}

enum rc
fates_new(struct fates **out, struct err *e)
{
	struct fates *f = calloc(1, sizeof *f);

	*out = f;
	if (f == NULL)
		return err_nomem(e);
	if (getentropy(f->secret, sizeof f->secret) == 0)
		return RC_OK;
	fates_free(out);
	return err_set(e, RC_IO, "no random bytes from the system");
}

void
fates_free(struct fates **fp)
{
	struct fates *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	for (size_t i = 0; i < f->mailbox_count; i++) {
		uid_set_fini(&f->mailbox[i].expunged_old);
		uid_set_fini(&f->mailbox[i].expunged);
		uid_set_fini(&f->mailbox[i].flagged);
		uid_set_fini(&f->mailbox[i].met_uids);
	}
	free(f->mailbox);
	free(f->account);
	free(f->tombs);
	free(f->ranges);
	idmap_fini(&f->accounts);
	idmap_fini(&f->mailboxes);
	idmap_fini(&f->named);
	idmap_fini(&f->named_met);
	idmap_fini(&f->keywords);
	idmap_fini(&f->wanted);
	idmap_fini(&f->purged);
	idmap_fini(&f->summaries);
	free(f);
}

/* ---- objects ---- */

/* Room for `more` elements behind `count`. */
static bool
grow(void **array, size_t *cap, size_t count, size_t more, size_t size)
{
	size_t want = *cap > 0 ? *cap : 16;
	void *p;

	while (want < count + more)
		want *= 2;
	if (want == *cap)
		return true;
	p = realloc(*array, want * size);
	if (p == NULL)
		return false;
	*array = p;
	*cap = want;
	return true;
}

static struct account *
account_of(struct fates *f, account_id id)
{
	uint64_t *at = idmap_add(&f->accounts, id != 0 ? id : UINT64_MAX);

	if (at == NULL)
		return NULL;
	if (*at == 0) {
		if (!grow((void **)&f->account, &f->account_cap, f->account_count, 1, sizeof *f->account))
			return NULL;
		f->account[f->account_count++] = (struct account){ .stated = 0 };
		*at = f->account_count;
	}
	return &f->account[*at - 1];
}

static struct mailbox *
mailbox_of(struct fates *f, mailbox_id id)
{
	uint64_t *at = idmap_add(&f->mailboxes, id != 0 ? id : UINT64_MAX);
	struct mailbox *m;

	if (at == NULL)
		return NULL;
	if (*at == 0) {
		if (!grow((void **)&f->mailbox, &f->mailbox_cap, f->mailbox_count, 1, sizeof *f->mailbox))
			return NULL;
		m = &f->mailbox[f->mailbox_count++];
		*m = (struct mailbox){ .id = id };
		uid_set_init(&m->expunged_old, EXPUNGED_RANGES);
		uid_set_init(&m->expunged, EXPUNGED_RANGES);
		uid_set_init(&m->flagged, FLAGGED_RANGES);
		uid_set_init(&m->met_uids, EXPUNGED_RANGES);
		*at = f->mailbox_count;
	}
	return &f->mailbox[*at - 1];
}

static bool
account_is_deleted(const struct fates *f, account_id id)
{
	const uint64_t *at = id != 0 ? idmap_find(&f->accounts, id) : NULL;

	return at != NULL && f->account[*at - 1].deleted;
}

/* Deleted beyond the retention, itself or its account. */
static bool
mailbox_is_deleted(const struct fates *f, const struct mailbox *m)
{
	return m->deleted || account_is_deleted(f, m->account);
}

static uint64_t
sum_name(const struct fates *f, uint8_t kind, uint64_t owner, struct slice name, bool fold)
{
	struct siphash h;
	uint64_t sum;

	siphash_init(&h, f->secret);
	siphash_add(&h, &kind, 1);
	siphash_add(&h, &owner, sizeof owner);
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = fold ? ascii_lower(name.ptr[i]) : name.ptr[i];

		siphash_add(&h, &c, 1);
	}
	sum = siphash_sum(&h);
	return sum != 0 ? sum : 1;
}

/* ---- keywords ---- */

/* The next word of text with one space between words. */
static bool
next_word(struct slice *text, struct slice *word)
{
	size_t n = 0;

	if (text->len == 0)
		return false;
	while (n < text->len && text->ptr[n] != ' ')
		n++;
	*word = slice_sub(*text, 0, n);
	*text = slice_sub(*text, n < text->len ? n + 1 : n, text->len);
	return true;
}

/* Is there a keyword in the text that no surviving record of the mailbox names? */
static bool
has_unnamed(const struct fates *f, mailbox_id mailbox, struct slice text)
{
	struct slice word;

	while (next_word(&text, &word))
		if (idmap_find(&f->keywords, sum_name(f, 'K', mailbox, word, true)) == NULL)
			return true;
	return false;
}

static enum rc
name_keywords(struct fates *f, mailbox_id mailbox, struct slice text, struct err *e)
{
	struct slice word;

	while (next_word(&text, &word))
		if (idmap_add(&f->keywords, sum_name(f, 'K', mailbox, word, true)) == NULL)
			return err_nomem(e);
	return RC_OK;
}

/* ---- the first pass ---- */

static enum rc
note_account(struct fates *f, const struct record *r, bool old, struct err *e)
{
	struct account *a = account_of(f, r->u.account.id);

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
	struct mailbox *m = mailbox_of(f, b->id);

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
	struct mailbox *m = mailbox_of(f, x->mailbox);

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
	return sum_name(f, 'C', c->account, c->name, false);
}

static uint64_t
sum_subscription(const struct fates *f, const struct record_subscription *s)
{
	return sum_name(f, 'S', s->account, s->name, false);
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
keep_tombstone(struct fates *f, enum tombstone_kind kind, uint64_t where, uint64_t key, struct err *e)
{
	if (!grow((void **)&f->tombs, &f->tomb_cap, f->tomb_count, 1, sizeof *f->tombs))
		return err_nomem(e);
	f->tombs[f->tomb_count++] = (struct tombstone){ kind, where, key, f->range_count, 0 };
	return RC_OK;
}

static enum rc
meet_account(struct fates *f, account_id id, struct err *e)
{
	struct account *a = account_of(f, id);

	if (a == NULL)
		return err_nomem(e);
	a->met = true;
	return RC_OK;
}

static enum rc
decide_account(struct fates *f, const struct record *r, uint64_t where, struct verdict *v, struct err *e)
{
	struct account *a = account_of(f, r->u.account.id);

	if (a == NULL)
		return err_nomem(e);
	if (r->lsn == a->stated && a->deleted)
		return keep_tombstone(f, TOMB_ACCOUNT, where, r->u.account.id, e);
	a->met = true;
	if (r->lsn < a->stated)
		v->fate = FATE_GONE;
	return RC_OK;
}

/* A credential or a subscription. `removal`: it says that there is none. */
static enum rc
decide_named(struct fates *f, const struct record *r, account_id account, uint64_t sum, bool removal, uint64_t where,
             struct verdict *v, struct err *e)
{
	const uint64_t *stated = idmap_find(&f->named, sum);
	enum rc rc = meet_account(f, account, e);

	if (rc != RC_OK)
		return rc;
	if (stated != NULL && r->lsn == *stated && removal && !account_is_deleted(f, account))
		return keep_tombstone(f, TOMB_NAMED, where, sum, e);
	if (idmap_add(&f->named_met, sum) == NULL)
		return err_nomem(e);
	if (account_is_deleted(f, account) || (stated != NULL && r->lsn < *stated))
		v->fate = FATE_GONE;
	return RC_OK;
}

/* The newest statement of a mailbox that is deleted, or whose account is, stays as long as anything of the mailbox does:
 * it says where that belongs, and that it is gone. */
static enum rc
decide_mailbox(struct fates *f, const struct record *r, uint64_t where, struct verdict *v, struct err *e)
{
	const struct record_mailbox *b = &r->u.mailbox;
	struct mailbox *m = mailbox_of(f, b->id);

	if (m == NULL)
		return err_nomem(e);
	if (meet_account(f, b->account, e) != RC_OK)
		return e->code;
	if (r->lsn == m->stated && mailbox_is_deleted(f, m))
		return keep_tombstone(f, TOMB_MAILBOX, where, b->id, e);
	if (r->lsn >= m->stated)
		return RC_OK;
	m->met = true;
	if (mailbox_is_deleted(f, m) || (b->uidnext <= m->uidnext && b->highestmodseq <= m->highestmodseq &&
	                      b->expunge_floor <= m->expunge_floor && b->change_floor <= m->change_floor))
		v->fate = FATE_GONE;
	return RC_OK;
}

static void
meet_uid(struct mailbox *m, mail_uid first, mail_uid last)
{
	if (!uid_set_add(&m->met_uids, first, last))
		m->met_all = true;
}

/* ---- messages ---- */

struct uid_walk {
	const struct record_messages *r;
	uint32_t                      i, range;
	mail_uid                      uid;
};

static bool
next_message(struct uid_walk *w, mail_uid *uid, const struct record_message **m)
{
	if (w->i == w->r->count)
		return false;
	if (w->i == 0)
		w->uid = w->r->first_uid;
	else if (w->r->uids == NULL || w->uid < w->r->uids[w->range].last)
		w->uid++;
	else
		w->uid = w->r->uids[++w->range].first;
	*uid = w->uid;
	*m = &w->r->messages[w->i++];
	return true;
}

static bool
message_is_dead(const struct fates *f, const struct mailbox *b, mail_uid uid, const struct record_message *m)
{
	return uid_set_contains(&b->expunged_old, uid) ||
	       (m->blob != 0 && f->purged.used > 0 && idmap_find(&f->purged, m->blob) != NULL &&
	        uid_set_contains(&b->expunged, uid));
}

/* The messages that live want their blobs, and name their keywords. */
static enum rc
keep_living(struct fates *f, const struct mailbox *b, const struct record_messages *r, struct verdict *v, struct err *e)
{
	struct uid_walk w = { .r = r };
	const struct record_message *m;
	mail_uid uid;

	while (next_message(&w, &uid, &m)) {
		if (message_is_dead(f, b, uid, m)) {
			v->dead++;
			continue;
		}
		if (!uid_set_add(&v->keep, uid, uid))
			return err_nomem(e);
		if (m->blob != 0 && idmap_add(&f->wanted, m->blob) == NULL)
			return err_nomem(e);
		if (name_keywords(f, b->id, m->keywords, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

static enum rc
bury_dead(struct fates *f, struct mailbox *b, const struct record_messages *r, struct verdict *v, struct err *e)
{
	struct uid_walk w = { .r = r };
	const struct record_message *m;
	mail_uid uid;

	while (next_message(&w, &uid, &m)) {
		if (!message_is_dead(f, b, uid, m))
			continue;
		meet_uid(b, uid, uid);
		if (!has_unnamed(f, b->id, m->keywords))
			continue;
		if (!uid_set_add(&v->bare, uid, uid))
			return err_nomem(e);
		if (name_keywords(f, b->id, m->keywords, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

static enum rc
decide_messages(struct fates *f, const struct record_messages *r, struct verdict *v, struct err *e)
{
	struct mailbox *b = mailbox_of(f, r->mailbox);
	enum rc rc;

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	v->all = r->count;
	if (mailbox_is_deleted(f, b)) {
		v->fate = FATE_GONE;
		return RC_OK;
	}
	rc = keep_living(f, b, r, v, e);
	if (rc == RC_OK && v->dead > 0)
		rc = bury_dead(f, b, r, v, e);
	if (v->dead == 0)
		v->fate = FATE_KEEP;
	else
		v->fate = v->keep.count == 0 && v->bare.count == 0 ? FATE_GONE : FATE_PART;
	return rc;
}

/* ---- flags, unique-ids, expunges ---- */

/* The first range of the set that ends at or behind uid. */
static size_t
first_range(const struct uid_set *s, mail_uid uid)
{
	size_t lo = 0, hi = s->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->ranges[mid].last < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Take the members of s that lie in [first, last] out of `from`, which holds that range; `met`: tell them. */
static bool
take_out(struct uid_set *from, struct uid_range r, const struct uid_set *s, struct mailbox *met)
{
	for (size_t i = first_range(s, r.first); i < s->count && s->ranges[i].first <= r.last; i++) {
		mail_uid first = s->ranges[i].first > r.first ? s->ranges[i].first : r.first;
		mail_uid last = s->ranges[i].last < r.last ? s->ranges[i].last : r.last;

		if (!uid_set_remove(from, first, last))
			return false;
		if (met != NULL)
			meet_uid(met, first, last);
	}
	return true;
}

static enum rc
decide_flags(struct fates *f, const struct record_flags *r, bool old, struct verdict *v, struct err *e)
{
	struct mailbox *b = mailbox_of(f, r->mailbox);
	uint64_t left;

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	if (mailbox_is_deleted(f, b)) {
		v->fate = FATE_GONE;
		return RC_OK;
	}
	for (uint32_t i = 0; i < r->range_count; i++) {
		v->all += (uint64_t)r->uids[i].last - r->uids[i].first + 1;
		if (!uid_set_add(&v->keep, r->uids[i].first, r->uids[i].last) ||
		    !take_out(&v->keep, r->uids[i], &b->expunged_old, b) ||
		    !take_out(&v->keep, r->uids[i], &b->flagged, NULL))
			return err_nomem(e);
		if (old)
			(void)uid_set_add(&b->flagged, r->uids[i].first, r->uids[i].last);
	}
	left = uid_set_size(&v->keep);
	v->dead = v->all - left;
	if (left == 0 && !has_unnamed(f, r->mailbox, r->keywords)) {
		v->fate = FATE_GONE;
		return RC_OK;
	}
	if (left == 0)
		v->dead = 0;    /* for its keywords, all of it */
	v->fate = v->dead == 0 ? FATE_KEEP : FATE_PART;
	return name_keywords(f, r->mailbox, r->keywords, e);
}

static enum rc
decide_uidl(struct fates *f, const struct record_uidl *r, struct verdict *v, struct err *e)
{
	struct mailbox *b = mailbox_of(f, r->mailbox);

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	if (mailbox_is_deleted(f, b)) {
		v->fate = FATE_GONE;
	} else if (uid_set_contains(&b->expunged_old, r->uid)) {
		v->fate = FATE_GONE;
		meet_uid(b, r->uid, r->uid);
	}
	return RC_OK;
}

static enum rc
decide_expunge(struct fates *f, const struct record_expunge *r, bool old, uint64_t where, struct verdict *v,
               struct err *e)
{
	struct mailbox *b = mailbox_of(f, r->mailbox);

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	if (mailbox_is_deleted(f, b)) {
		v->fate = FATE_GONE;
		return RC_OK;
	}
	if (!old || r->modseq > b->floor)
		return RC_OK;
	if (!grow((void **)&f->ranges, &f->range_cap, f->range_count, r->range_count, sizeof *f->ranges) ||
	    keep_tombstone(f, TOMB_EXPUNGE, where, r->mailbox, e) != RC_OK)
		return err_nomem(e);
	f->tombs[f->tomb_count - 1].range_count = r->range_count;
	for (uint32_t i = 0; i < r->range_count; i++)
		f->ranges[f->range_count++] = r->uids[i];
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
decide_summary(struct fates *f, blob_id blob, bool old, uint64_t where, struct verdict *v, struct err *e)
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
fates_decide(struct fates *f, const struct record *r, bool old, uint64_t where, struct verdict *v, struct err *e)
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
		return decide_named(f, r, r->u.credential.account, sum_credential(f, &r->u.credential),
		    r->u.credential.value.len == 0, where, v, e);
	case RECORD_MAILBOX:
		return decide_mailbox(f, r, where, v, e);
	case RECORD_SUBSCRIPTION:
		return decide_named(f, r, r->u.subscription.account, sum_subscription(f, &r->u.subscription),
		    !r->u.subscription.subscribed, where, v, e);
	case RECORD_BLOB:
		decide_blob(f, r->lsn, old, v);
		return RC_OK;
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		return decide_messages(f, &r->u.messages, v, e);
	case RECORD_FLAGS:
		return decide_flags(f, &r->u.flags, old, v, e);
	case RECORD_EXPUNGE:
		return decide_expunge(f, &r->u.expunge, old, where, v, e);
	case RECORD_GONE:
		v->fate = FATE_GONE;
		return RC_OK;
	case RECORD_PURGE:
		return RC_OK;
	case RECORD_UIDL:
		return decide_uidl(f, &r->u.uidl, v, e);
	case RECORD_SUMMARY:
		return decide_summary(f, r->u.summary.blob, old, where, v, e);
	}
	return RC_OK;
}

/* ---- the end ---- */

static bool
expunge_covers(const struct fates *f, const struct mailbox *b, const struct tombstone *t)
{
	if (b->met_all)
		return true;
	for (size_t i = 0; i < t->range_count; i++) {
		struct uid_range r = f->ranges[t->range_at + i];
		size_t k = first_range(&b->met_uids, r.first);

		if (k < b->met_uids.count && b->met_uids.ranges[k].first <= r.last)
			return true;
	}
	return false;
}

static bool
still_covers(struct fates *f, const struct tombstone *t)
{
	switch (t->kind) {
	case TOMB_ACCOUNT:
		return account_of(f, t->key)->met;
	case TOMB_MAILBOX:
		return mailbox_of(f, t->key)->met;
	case TOMB_NAMED:
		return idmap_find(&f->named_met, t->key) != NULL;
	case TOMB_EXPUNGE:
		return expunge_covers(f, mailbox_of(f, t->key), t);
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
