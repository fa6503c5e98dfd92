/* fate_message - the second pass over what a mailbox holds: messages, flags, unique-ids, expunges.
 * See fate.h for the rules.
 *
 * Nothing is kept per message: sets of UIDs, as ranges, say what newer records have told of them.
 */
#include "store/fate_impl.h"

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
message_is_dead(const struct fates *f, const struct mailbox *b, mail_uid uid,
                const struct record_message *m)
{
	return uid_set_contains(&b->expunged_old, uid) ||
	       (m->blob != 0 && f->purged.used > 0 && idmap_find(&f->purged, m->blob) != NULL &&
	        uid_set_contains(&b->expunged, uid));
}

/* The messages that live want their blobs, and name their keywords. */
static enum rc
keep_living(struct fates *f, const struct mailbox *b, const struct record_messages *r,
            struct verdict *v, struct err *e)
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
		if (fates_name_keywords(f, b->id, m->keywords, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

static enum rc
bury_dead(struct fates *f, struct mailbox *b, const struct record_messages *r, struct verdict *v,
          struct err *e)
{
	struct uid_walk w = { .r = r };
	const struct record_message *m;
	mail_uid uid;

	while (next_message(&w, &uid, &m)) {
		if (!message_is_dead(f, b, uid, m))
			continue;
		meet_uid(b, uid, uid);
		if (!fates_has_unnamed(f, b->id, m->keywords))
			continue;
		if (!uid_set_add(&v->bare, uid, uid))
			return err_nomem(e);
		if (fates_name_keywords(f, b->id, m->keywords, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

enum rc
fates_decide_messages(struct fates *f, const struct record_messages *r, struct verdict *v,
                      struct err *e)
{
	struct mailbox *b = fates_mailbox(f, r->mailbox);
	enum rc rc;

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	v->all = r->count;
	if (fates_mailbox_is_deleted(f, b)) {
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

/* Take the members of s that lie in [first, last] out of `from`, which holds that range;
 * `met`: tell them. */
static bool
take_out(struct uid_set *from, struct uid_range r, const struct uid_set *s, struct mailbox *met)
{
	for (size_t i = first_range(s, r.first); i < s->count && s->ranges[i].first <= r.last;
	     i++) {
		mail_uid first = s->ranges[i].first > r.first ? s->ranges[i].first : r.first;
		mail_uid last = s->ranges[i].last < r.last ? s->ranges[i].last : r.last;

		if (!uid_set_remove(from, first, last))
			return false;
		if (met != NULL)
			meet_uid(met, first, last);
	}
	return true;
}

enum rc
fates_decide_flags(struct fates *f, const struct record_flags *r, bool old, struct verdict *v,
                   struct err *e)
{
	struct mailbox *b = fates_mailbox(f, r->mailbox);
	uint64_t left;

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	if (fates_mailbox_is_deleted(f, b)) {
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
	if (left == 0 && !fates_has_unnamed(f, r->mailbox, r->keywords)) {
		v->fate = FATE_GONE;
		return RC_OK;
	}
	if (left == 0)
		v->dead = 0;    /* for its keywords, all of it */
	v->fate = v->dead == 0 ? FATE_KEEP : FATE_PART;
	return fates_name_keywords(f, r->mailbox, r->keywords, e);
}

enum rc
fates_decide_uidl(struct fates *f, const struct record_uidl *r, struct verdict *v, struct err *e)
{
	struct mailbox *b = fates_mailbox(f, r->mailbox);

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	if (fates_mailbox_is_deleted(f, b)) {
		v->fate = FATE_GONE;
	} else if (uid_set_contains(&b->expunged_old, r->uid)) {
		v->fate = FATE_GONE;
		meet_uid(b, r->uid, r->uid);
	}
	return RC_OK;
}

enum rc
fates_decide_expunge(struct fates *f, const struct record_expunge *r, bool old, uint64_t where,
                     struct verdict *v, struct err *e)
{
	struct mailbox *b = fates_mailbox(f, r->mailbox);

	if (b == NULL)
		return err_nomem(e);
	b->met = true;
	if (fates_mailbox_is_deleted(f, b)) {
		v->fate = FATE_GONE;
		return RC_OK;
	}
	if (!old || r->modseq > b->floor)
		return RC_OK;
	if (!fates_grow((void **)&f->ranges, &f->range_cap, f->range_count, r->range_count,
	        sizeof *f->ranges) ||
	    fates_keep_tombstone(f, TOMB_EXPUNGE, where, r->mailbox, e) != RC_OK)
		return err_nomem(e);
	f->tombs[f->tomb_count - 1].range_count = r->range_count;
	for (uint32_t i = 0; i < r->range_count; i++)
		f->ranges[f->range_count++] = r->uids[i];
	return RC_OK;
}

bool
fates_expunge_covers(const struct fates *f, const struct mailbox *b, const struct tombstone *t)
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
