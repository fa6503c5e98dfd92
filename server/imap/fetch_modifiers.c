/* fetch_modifiers - what stands behind the data items of a FETCH [RFC 4466 s2.4]: CHANGEDSINCE and
 * VANISHED [RFC 7162 s3.1.4.1, s3.2.6], PARTIAL [RFC 9394 s3.3].
 *
 * PARTIAL chooses among the messages of the set, then CHANGEDSINCE among those [RFC 9394 s3.4].
 * What changed is found by the index, by MODSEQ, so that the cost is in the changes and not
 * in the mailbox.
 */
#include "server/imap/fetch.h"

#define NO_CHANGES ((mail_modseq)INT64_MAX)

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
		imap_reply(im, IMAP_BAD, "%s is for UID FETCH",
		           m->vanished ? "VANISHED" : "PARTIAL");
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

static void
swap_sets(struct uid_set *a, struct uid_set *b)
{
	struct uid_set t = *a;

	*a = *b;
	*b = t;
}

static bool
apply_partial(struct fetch *f)
{
	struct uid_set chosen;
	bool ok;

	uid_set_init(&chosen, VIEW_RANGES_MAX);
	ok = imap_partial_of(&f->uids, &f->mods.range, &chosen);
	if (ok)
		swap_sets(&f->uids, &chosen);
	uid_set_fini(&chosen);
	return ok;
}

/* ---- CHANGEDSINCE ---- */

/* The UIDs as the client wrote them, of those ever told; "*" within a range is the highest of
 * these: the messages behind the last one may be those that are gone. */
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
		if (a > b) {
			uint64_t t = a;

			a = b;
			b = t;
		}
		if (a <= top && !uid_set_add(out, (mail_uid)a, (mail_uid)(b < top ? b : top)))
			return false;
	}
	return true;
}

/* What was expunged since; RC_LIMIT where the index cannot list it: then everything that is asked
 * for and not there [RFC 7162 s3.2.6]. */
static enum rc
narrow_to_vanished(struct imap *im, const struct fetch *f, struct uid_set *gone, struct err *e)
{
	struct view_changes c;
	struct uid_set both;
	struct arena a;
	enum rc rc;

	arena_init(&a, 64u << 10);
	uid_set_init(&both, VIEW_RANGES_MAX);
	rc = volume_read_changes(im->volume, im->mailbox, NO_CHANGES, f->mods.since,
				 im->view.uidnext, 1, &a, &c, e);
	if (rc == RC_OK && !uid_set_intersect(&both, gone, &c.vanished))
		rc = err_nomem(e);
	if (rc == RC_OK)
		swap_sets(gone, &both);
	view_changes_fini(&c);
	uid_set_fini(&both);
	arena_fini(&a);
	if (rc != RC_LIMIT)
		return rc;
	*e = (struct err)ERR_INIT;
	return RC_OK;
}

/* Into f->gone. What the client still counts is not in it: that is told without EARLIER when this
 * command ends [RFC 7162 s3.2.10.2]. */
static enum rc
find_vanished(struct imap *im, struct fetch *f, struct err *e)
{
	struct uid_set asked;
	bool ok;

	uid_set_init(&asked, SEQ_SET_MAX);
	ok = asked_uids(&im->view, &f->set, &asked)
	     && uid_set_subtract(&f->gone, &asked, &im->view.uids);
	uid_set_fini(&asked);
	if (!ok)
		return err_nomem(e);
	/* With 0, all that the client may know [RFC 7162 s3.2.6]. */
	return f->mods.since > 0 && f->gone.count > 0 ? narrow_to_vanished(im, f, &f->gone, e)
						       : RC_OK;
}

/* A MODSEQ that the mailbox has not reached is of a state that was lost, and counts as 0
 * [design, section  3]. */
static enum rc
check_since(struct imap *im, struct fetch *f, struct err *e)
{
	struct mailbox_info box;
	struct arena a;
	enum rc rc;

	arena_init(&a, 64u << 10);
	rc = volume_get_mailbox(im->volume, im->mailbox, &a, &box, e);
	if (rc == RC_OK && f->mods.since > box.highestmodseq)
		f->mods.since = 0;
	arena_fini(&a);
	return rc;
}

enum rc
fetch_find_changed(struct imap *im, struct fetch *f, bool *done, struct err *e)
{
	enum rc rc = volume_find_changed(im->volume, im->mailbox, &f->uids, f->mods.since,
	                                 &f->at_row.next_uid, &f->changed, e);

	*done = rc == RC_OK && f->at_row.next_uid == 0;
	if (*done) {
		swap_sets(&f->uids, &f->changed);
		uid_set_fini(&f->changed);
		f->at_row.next_uid = 1;
	}
	return rc;
}

enum rc
fetch_apply_modifiers(struct imap *im, struct fetch *f, struct err *e)
{
	enum rc rc = RC_OK;

	if (f->mods.partial && !apply_partial(f))
		return err_nomem(e);
	if (f->mods.changedsince)
		rc = check_since(im, f, e);
	return rc == RC_OK && f->mods.vanished ? find_vanished(im, f, e) : rc;
}
