/* view - what one session knows of its selected mailbox. See view.h.
 *
 * The cost of everything here follows the ranges of UIDs, not the messages: 100,000 messages
 * without a gap are one range. An array of UIDs indexed by sequence number was rejected for that
 * reason.
 */
#include "server/imap/view.h"

#include <assert.h>

#include "index/columns.h"

void
imap_view_init(struct imap_view *view)
{
	*view = (struct imap_view){ .loaded = false };
	uid_set_init(&view->uids, VIEW_RANGES_MAX);
	uid_set_init(&view->saved, VIEW_RANGES_MAX);
	uid_set_init(&view->gone, VIEW_RANGES_MAX);
}

void
imap_view_reset(struct imap_view *view)
{
	uid_set_fini(&view->uids);
	uid_set_fini(&view->saved);
	uid_set_fini(&view->gone);
	imap_view_init(view);
}

/* How many can be is known without looking at them: exact unless some were expunged. */
void
imap_view_recent(struct imap_view *view, mail_uid from)
{
	uint32_t n = from < view->uidnext ? view->uidnext - from : 0;

	view->recent_from = from;
	view->recent = n < view->exists ? n : view->exists;
}

void
imap_view_start(struct imap_view *view, const struct mailbox_info *box)
{
	imap_view_reset(view);
	view->uidnext = box->uidnext;
	view->exists = box->exists;
	imap_view_recent(view, box->recent_from);
	view->changed_told = box->highestmodseq;
	view->expunged_told = box->highestmodseq;
	view->settled = box->highestmodseq;
	view->uidvalidity = box->uidvalidity;
}

/* What was there at expunged_told and below uidnext is in the view, so if these are as many, these are all. */
static bool
recall(struct imap_view *view, struct volume *v, mailbox_id mailbox)
{
	uid_set_reset(&view->uids);
	return columns_uids(v, mailbox, view->expunged_told, view->uidnext, &view->uids) &&
	       uid_set_size(&view->uids) == view->exists;
}

enum rc
imap_view_load(struct imap_view *view, struct volume *v, mailbox_id mailbox, struct err *e)
{
	enum rc rc = RC_OK;

	if (view->loaded)
		return RC_OK;
	if (!recall(view, v, mailbox))
		rc = volume_read_view(v, mailbox, view->uidnext, view->expunged_told, &view->uids, e);
	if (rc != RC_OK)
		return err_add(e, "load view");
	if (uid_set_size(&view->uids) != view->exists)
		return err_set(e, RC_CORRUPT,
			       "view of mailbox %llu has %llu messages, told were %u",
			       (unsigned long long)mailbox,
			       (unsigned long long)uid_set_size(&view->uids), view->exists);
	view->loaded = true;
	return RC_OK;
}

uint32_t
imap_view_seq(const struct imap_view *view, struct view_walk *w, mail_uid uid)
{
	const struct uid_set *s = &view->uids;

	assert(view->loaded);
	while (w->range < s->count && s->ranges[w->range].last < uid) {
		w->before += s->ranges[w->range].last - s->ranges[w->range].first + 1;
		w->range++;
	}
	if (w->range == s->count || s->ranges[w->range].first > uid)
		return 0;
	return w->before + (uid - s->ranges[w->range].first) + 1;
}

/* How many members are \Recent in this session. */
static uint32_t
count_recent(const struct imap_view *view)
{
	assert(view->loaded);
	if (view->recent_from <= 1)
		return (uint32_t)uid_set_size(&view->uids);
	return (uint32_t)uid_set_size(&view->uids)
	       - uid_set_rank(&view->uids, view->recent_from - 1);
}

bool
imap_view_remove(struct imap_view *view, const struct uid_set *gone)
{
	struct uid_set rest;

	assert(view->loaded);
	uid_set_init(&rest, VIEW_RANGES_MAX);
	if (!uid_set_subtract(&rest, &view->uids, gone)) {
		uid_set_fini(&rest);
		return false;
	}
	uid_set_fini(&view->uids);
	view->uids = rest;
	view->exists = (uint32_t)uid_set_size(&rest);
	view->recent = count_recent(view);
	return true;
}

/* MODSEQs of a mailbox have no gaps but at the first change of an epoch, which gets a multiple
 * of 2^32. */
static bool
is_next(mail_modseq before, mail_modseq given)
{
	return given == before + 1 || (given > before && (uint32_t)given == 0);
}

bool
imap_view_own_change(struct imap_view *view, mail_modseq before, mail_modseq given)
{
	if (view->changed_told != before || !is_next(before, given))
		return false;
	if (view->expunged_told == view->changed_told)
		view->expunged_told = given;
	if (view->settled == view->changed_told)
		view->settled = given;
	view->changed_told = given;
	return true;
}

void
imap_view_own_expunge(struct imap_view *view, const struct uid_set *gone, mail_modseq before,
                      mail_modseq given)
{
	if (!view->loaded || view->expunged_told != before || view->changed_told != before
	    || view->gone_to != 0 || view->tell_from != 0 || !is_next(before, given))
		return;
	if (!uid_set_intersect(&view->gone, gone, &view->uids)) {
		uid_set_reset(&view->gone);
		return;
	}
	if (view->settled == before)
		view->settled = given;
	view->changed_told = view->gone_to = given;
	view->behind = true;
}
