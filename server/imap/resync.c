/* resync - what a returning client missed [RFC 7162 s3.2.5]. See resync.h.
 *
 * Everything is told relative to the view that SELECT has just announced, and nothing of later:
 * what was expunged since then is still in the view, is told as any expunge later, and so is not in
 * VANISHED (EARLIER). The index remembers each expunge, so VANISHED is exact; where it cannot say
 * (a MODSEQ below the mailbox's expunge_floor or from a state that was lost, more gaps than are
 * worth reading) all UIDs that the client may know and that are not there are told, as the RFC
 * allows [s3.2.6, s5.1].
 *
 * Message sequence match data shortens VANISHED in either case: up to the last pair that fits, the
 * client knows what is gone [s3.2.5.2].
 */
#include "server/imap/resync.h"

#define PAGE_ROWS      1000u
#define PAGE_ARENA_MAX (8u << 20)       /* PAGE_ROWS rows with KEYWORDS_MAX each, and room */
#define NO_CHANGES     ((mail_modseq)INT64_MAX)

/* ---- the parameter ---- */

/* known-uids, known-sequence-set, known-uid-set: sequence-set, "*" is not allowed [RFC 7162 s7] */
static bool
parse_known_set(struct imap *im, struct cursor *c, struct seq_set *out)
{
	if (!parse_sequence_set(c, &im->arena, out))
		return false;
	if (out->saved_result)
		return cur_fail(c, "numbers");
	for (uint32_t i = 0; i < out->count; i++)
		if (out->ranges[i].first == SEQ_STAR || out->ranges[i].last == SEQ_STAR)
			return cur_fail(c, "numbers without *");
	return true;
}

/* The members of an ascending set; 0 if it is not ascending. */
static uint64_t
count_ascending(const struct seq_set *set)
{
	uint64_t count = 0, before = 0;

	for (uint32_t i = 0; i < set->count; i++) {
		const struct seq_range *r = &set->ranges[i];

		if (r->first <= before || r->last < r->first)
			return 0;
		count += r->last - r->first + 1;
		before = r->last;
	}
	return count;
}

/* seq-match-data = "(" known-sequence-set SP known-uid-set ")", behind the "(" */
static bool
parse_match(struct imap *im, struct cursor *c, struct resync *r)
{
	uint64_t count;

	r->has_match = true;
	if (!parse_known_set(im, c, &r->match_seqs) || !cur_space(c)
	    || !parse_known_set(im, c, &r->match_uids) || !cur_want(c, ')'))
		return false;
	count = count_ascending(&r->match_seqs);
	return (count > 0 && count == count_ascending(&r->match_uids))
	       || cur_fail(c, "as many sequence numbers as UIDs, ascending");
}

/* "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
 * A leniency: a mod-sequence of 0, from clients that have none yet; it means what it says. */
bool
parse_resync(struct imap *im, struct cursor *c, struct resync *r)
{
	if (!cur_space(c) || !cur_want(c, '(') || !parse_nz_number(c, &r->uidvalidity)
	    || !cur_space(c) || !parse_number64(c, &r->since))
		return false;
	if (cur_take(c, ')'))
		return true;
	if (!cur_space(c))
		return false;
	if (cur_peek(c) != '(') {
		r->has_known = true;
		if (!parse_known_set(im, c, &r->known))
			return false;
		if (cur_take(c, ')'))
			return true;
		if (!cur_space(c))
			return false;
	}
	return cur_want(c, '(') && parse_match(im, c, r) && cur_want(c, ')');
}

/* ---- what is gone ---- */

/* The UIDs that the client may know: as it says, or all that were ever given. */
static bool
collect_known(const struct resync *r, mail_uid uidnext, struct uid_set *out)
{
	mail_uid last = uidnext - 1;

	if (last == 0)
		return true;
	if (!r->has_known)
		return uid_set_add(out, 1, last);
	for (uint32_t i = 0; i < r->known.count; i++) {
		uint64_t a = r->known.ranges[i].first, b = r->known.ranges[i].last;
		uint64_t from = a < b ? a : b, to = a < b ? b : a;

		if (to > last)
			to = last;
		if (from <= to && !uid_set_add(out, (mail_uid)from, (mail_uid)to))
			return false;
	}
	return true;
}

/* The UID of the last pair that fits the view; 0 if none does. */
static mail_uid
last_match(const struct imap_view *view, const struct resync *r)
{
	struct view_walk walk = { 0, 0 };
	const struct seq_range *s = r->match_seqs.ranges, *u = r->match_uids.ranges;
	uint64_t seq = s->first, uid = u->first;
	mail_uid last = 0;

	while (seq <= view->exists) {
		if (imap_view_seq(view, &walk, (mail_uid)uid) == seq)
			last = (mail_uid)uid;
		if (seq++ == s->last) {
			if (++s == r->match_seqs.ranges + r->match_seqs.count)
				break;
			seq = s->first;
		}
		if (uid++ == u->last)
			uid = (++u)->first;     /* there are as many UIDs */
	}
	return last;
}

/* What was expunged since, as far as that is remembered; else all. */
static enum rc
narrow_to_vanished(struct imap *im, const struct resync *r, struct uid_set *gone, struct err *e)
{
	struct view_changes c;
	struct uid_set both;
	struct arena a;
	enum rc rc;

	if (r->since == 0 || gone->count == 0)
		return RC_OK;
	arena_init(&a, 64u << 10);
	rc = volume_read_changes(im->volume, im->mailbox, NO_CHANGES, r->since, im->view.uidnext, 1,
				 &a, &c, e);
	if (rc == RC_LIMIT) {
		*e = (struct err)ERR_INIT;
		rc = RC_OK;
	} else if (rc == RC_OK) {
		uid_set_init(&both, VIEW_RANGES_MAX);
		if (uid_set_intersect(&both, gone, &c.vanished)) {
			uid_set_fini(gone);
			*gone = both;
		} else {
			uid_set_fini(&both);
			rc = err_nomem(e);
		}
	}
	view_changes_fini(&c);
	arena_fini(&a);
	return rc;
}

/* Of those that are there, the ones that changed: the next of them. */
static enum rc
find_changed(struct imap *im, struct resync *r, struct err *e)
{
	enum rc rc = volume_find_changed(im->volume, im->mailbox, &r->here, r->since, &r->next_uid,
	                                 &r->changed, e);

	if (rc != RC_OK || r->next_uid != 0)
		return rc;
	r->next_uid = 1;
	r->phase = RESYNC_VANISHED;
	return RC_OK;
}

static enum rc
begin(struct imap *im, struct resync *r, struct err *e)
{
	struct imap_view *view = &im->view;
	struct uid_set known;
	mail_uid match;
	enum rc rc = imap_view_load(view, im->volume, im->mailbox, e);

	if (rc != RC_OK)
		return rc;
	if (r->since > view->expunged_told)
		r->since = 0;           /* of a state that was lost [design, section 3] */
	uid_set_init(&known, VIEW_RANGES_MAX);
	uid_set_init(&r->gone, VIEW_RANGES_MAX);
	uid_set_init(&r->here, VIEW_RANGES_MAX);
	uid_set_init(&r->changed, VIEW_RANGES_MAX);
	r->next_uid = 1;
	r->phase = RESYNC_CHANGED;
	if (!collect_known(r, view->uidnext, &known)
	    || !uid_set_subtract(&r->gone, &known, &view->uids)
	    || !uid_set_intersect(&r->here, &known, &view->uids))
		rc = err_nomem(e);
	uid_set_fini(&known);
	match = rc == RC_OK && r->has_match ? last_match(view, r) : 0;
	if (match > 0 && !uid_set_remove(&r->gone, 1, match))
		rc = err_nomem(e);
	return rc == RC_OK ? narrow_to_vanished(im, r, &r->gone, e) : rc;
}

/* ---- telling ---- */

/* The flags of the next messages. */
static enum rc
tell_flags(struct imap *im, struct resync *r, bool *done, struct err *e)
{
	struct view_walk walk = { 0, 0 };
	struct message_row *rows;
	struct arena a;
	size_t n;
	enum rc rc;

	arena_init(&a, PAGE_ARENA_MAX);
	rc = volume_read_messages(im->volume, im->mailbox, &r->changed, r->next_uid, PAGE_ROWS, 0,
	                          &a, &rows, &n, e);
	if (rc == RC_OK) {
		for (size_t i = 0; i < n; i++)
			imap_out_fetch_flags(im, imap_view_seq(&im->view, &walk, rows[i].uid),
					     &rows[i]);
		*done = n < PAGE_ROWS || rows[n - 1].uid == UINT32_MAX;
		if (!*done)
			r->next_uid = rows[n - 1].uid + 1;
	}
	arena_fini(&a);
	return rc;
}

enum rc
resync_tell(struct imap *im, struct resync *r, bool *done, struct err *e)
{
	*done = false;
	switch (r->phase) {
	case RESYNC_BEGIN:
		return begin(im, r, e);
	case RESYNC_CHANGED:
		return find_changed(im, r, e);
	case RESYNC_VANISHED:
		imap_out_vanished_piece(im, &r->gone, &r->gone_told, true);
		if (r->gone_told == r->gone.count)
			r->phase = RESYNC_FETCH;
		return RC_OK;
	case RESYNC_FETCH:
		return tell_flags(im, r, done, e);
	}
	return err_set(e, RC_SYNTAX, "unknown phase");
}

void
resync_drop(struct resync *r)
{
	if (r->phase == RESYNC_BEGIN)
		return;
	uid_set_fini(&r->gone);
	uid_set_fini(&r->here);
	uid_set_fini(&r->changed);
	r->phase = RESYNC_BEGIN;
}
