/* fetch_modifiers - what stands behind the data items of a FETCH [RFC 4466 s2.4]: CHANGEDSINCE and
 * VANISHED [RFC 7162 s3.1.4.1, s3.2.6], PARTIAL [RFC 9394 s3.3].
 *
 * PARTIAL chooses among the messages of the set, then CHANGEDSINCE among those [RFC 9394 s3.4]. What
 * changed is found by the index, by MODSEQ, so that the cost is in the changes and not in the mailbox;
 * only where there are more than CHANGES_LISTED of them is every row of the set looked at instead.
 */
#include "server/imap/fetch.h"

#include <stdlib.h>

#define CHANGES_LISTED    8192u
#define CHANGES_ARENA_MAX (16u << 20)
#define NO_MODSEQ         ((mail_modseq)INT64_MAX)

/* "CHANGEDSINCE" SP mod-sequence-value. The grammar has no 0 here; clients that begin without a
 * MODSEQ send it, and it means what it says: everything. */
static bool
parse_changedsince(struct cursor *c, struct fetch_modifiers *m)
{
	if (m->changedsince)
		return cur_fail(c, "each modifier once");
	m->changedsince = true;
	return cur_space(c) && parse_number64(c, &m->since);
}

static bool
parse_partial(struct cursor *c, struct fetch_modifiers *m)
{
	if (m->partial)
		return cur_fail(c, "each modifier once");
	m->partial = true;
	return cur_space(c) && parse_partial_range(c, &m->range);
}

/* fetch-modifier */
static bool
parse_modifier(struct cursor *c, struct fetch_modifiers *m)
{
	if (cur_take_word(c, "CHANGEDSINCE"))
		return parse_changedsince(c, m);
	if (cur_take_word(c, "PARTIAL"))
		return parse_partial(c, m);
	if (!cur_take_word(c, "VANISHED"))
		return cur_fail(c, "CHANGEDSINCE, VANISHED or PARTIAL");
	if (m->vanished)
		return cur_fail(c, "each modifier once");
	m->vanished = true;
	return true;
}

/* fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")" [RFC 4466 s3] */
bool
fetch_parse_modifiers(struct cursor *c, struct fetch_modifiers *out)
{
	*out = (struct fetch_modifiers){ 0 };
	if (cur_at_end(c))
		return true;
	if (!cur_space(c) || !cur_want(c, '('))
		return false;
	do {
		if (!parse_modifier(c, out))
			return false;
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}

/* May they be used here? [RFC 7162 s3.2.6, RFC 9394 s3.3] */
bool
fetch_check_modifiers(struct imap *im, const struct fetch_modifiers *m)
{
	if (!im->uid_command && (m->vanished || m->partial)) {
		imap_reply(im, IMAP_BAD, "%s is for UID FETCH", m->vanished ? "VANISHED" : "PARTIAL");
		return false;
	}
	if (m->vanished && !m->changedsince) {
		imap_reply(im, IMAP_BAD, "VANISHED goes with CHANGEDSINCE");
		return false;
	}
	if (m->vanished && !im->qresync) {
		imap_reply(im, IMAP_BAD, "VANISHED needs ENABLE QRESYNC");
		return false;
	}
	return true;
}

/* ---- PARTIAL ---- */

static bool
apply_partial(struct fetch *f)
{
	struct uid_set chosen;

	uid_set_init(&chosen, VIEW_RANGES_MAX);
	if (!imap_partial_of(&f->uids, &f->mods.range, &chosen)) {
		uid_set_fini(&chosen);
		return false;
	}
	uid_set_fini(&f->uids);
	f->uids = chosen;
	return true;
}

/* ---- CHANGEDSINCE ---- */

static int
compare_uids(const void *a, const void *b)
{
	mail_uid x = ((const struct message_row *)a)->uid, y = ((const struct message_row *)b)->uid;

	return (x > y) - (x < y);
}

/* Only what changed is left of f->uids. The rows come by MODSEQ; in order they are added at the end. */
static bool
keep_changed(struct fetch *f, struct view_changes *c)
{
	struct uid_set changed, kept;
	bool ok = true;

	if (c->changed_count > 0)
		qsort(c->changed, c->changed_count, sizeof *c->changed, compare_uids);
	uid_set_init(&changed, CHANGES_LISTED);
	uid_set_init(&kept, VIEW_RANGES_MAX);
	for (size_t i = 0; ok && i < c->changed_count; i++)
		ok = uid_set_add(&changed, c->changed[i].uid, c->changed[i].uid);
	ok = ok && uid_set_intersect(&kept, &changed, &f->uids);
	uid_set_fini(&changed);
	if (!ok) {
		uid_set_fini(&kept);
		return false;
	}
	uid_set_fini(&f->uids);
	f->uids = kept;
	return true;
}

/* The UIDs as the client wrote them, "*" within a range being the highest one ever told: the messages
 * behind the last one may be those that are gone. */
static bool
asked_uids(const struct imap_view *view, const struct seq_set *set, struct uid_set *out)
{
	uint64_t top = view->uidnext > 1 ? view->uidnext - 1 : 1;

	if (set->saved_result)
		return uid_set_copy(out, &view->saved);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct seq_range *r = &set->ranges[i];
		uint64_t a = r->first != SEQ_STAR ? r->first : top;
		uint64_t b = r->last != SEQ_STAR ? r->last : top;

		if (r->first == SEQ_STAR && r->last == SEQ_STAR)
			continue;       /* the last message there is: it is not gone */
		if (!uid_set_add(out, (mail_uid)(a < b ? a : b), (mail_uid)(a < b ? b : a)))
			return false;
	}
	return true;
}

/* Take those out of `gone` that the client still counts: they are told without EARLIER when this
 * command ends [RFC 7162 s3.2.10.2]. */
static bool
drop_counted(const struct imap_view *view, struct uid_set *gone)
{
	struct uid_set counted;
	bool ok;

	uid_set_init(&counted, VIEW_RANGES_MAX);
	ok = uid_set_intersect(&counted, gone, &view->uids);
	for (size_t i = 0; ok && i < counted.count; i++)
		ok = uid_set_remove(gone, counted.ranges[i].first, counted.ranges[i].last);
	uid_set_fini(&counted);
	return ok;
}

/* Goes before every FETCH [RFC 7162 s3.2.6]. */
static bool
tell_earlier(struct imap *im, const struct fetch *f, const struct uid_set *vanished)
{
	struct uid_set asked, gone;
	bool ok;

	uid_set_init(&asked, SEQ_SET_MAX);
	uid_set_init(&gone, VIEW_RANGES_MAX);
	ok = asked_uids(&im->view, &f->set, &asked) && uid_set_intersect(&gone, &asked, vanished)
	     && drop_counted(&im->view, &gone);
	if (ok)
		imap_out_vanished(im, &gone, true);
	uid_set_fini(&asked);
	uid_set_fini(&gone);
	return ok;
}

/* One question to the index for both: what changed, what is gone. Long sets of keywords may fill the
 * arena before the list is full. */
static enum rc
read_changes(struct imap *im, const struct fetch *f, struct arena *a, struct view_changes *c,
	     struct err *e)
{
	mail_modseq since = f->mods.since, gone = f->mods.vanished ? since : NO_MODSEQ;
	uint32_t limit = CHANGES_LISTED;
	enum rc rc;

	for (;; limit /= 8) {
		rc = volume_read_changes(im->volume, im->mailbox, since, gone, im->view.uidnext,
					 limit, a, c, e);
		if ((rc != RC_LIMIT && rc != RC_NOMEM) || limit < 8)
			return rc;
		view_changes_fini(c);
		arena_reset(a);
	}
}

static enum rc
narrow(struct imap *im, struct fetch *f, struct arena *a, struct err *e)
{
	struct view_changes c;
	enum rc rc = read_changes(im, f, a, &c, e);

	/* A MODSEQ that the mailbox has not reached is of a state that was lost, and counts as 0
	 * [design, section 3]. */
	if (rc == RC_OK && f->mods.since > c.now.highestmodseq) {
		view_changes_fini(&c);
		arena_reset(a);
		f->mods.since = 0;
		rc = read_changes(im, f, a, &c, e);
	}
	if (rc == RC_OK && f->mods.vanished && !tell_earlier(im, f, &c.vanished))
		rc = err_nomem(e);
	if (rc == RC_OK && !c.more && !keep_changed(f, &c))
		rc = err_nomem(e);
	view_changes_fini(&c);
	return rc;
}

static enum rc
apply_changedsince(struct imap *im, struct fetch *f, struct err *e)
{
	struct arena a;
	enum rc rc;

	arena_init(&a, CHANGES_ARENA_MAX);
	rc = narrow(im, f, &a, e);
	arena_fini(&a);
	return rc;
}

enum rc
fetch_apply_modifiers(struct imap *im, struct fetch *f, struct err *e)
{
	if (f->mods.partial && !apply_partial(f))
		return err_nomem(e);
	return f->mods.changedsince ? apply_changedsince(im, f, e) : RC_OK;
}
