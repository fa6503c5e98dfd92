/* tell - untagged news of the selected mailbox.
 *
 * Who knows all up to the MODSEQ that the hub was last told asks nobody. Else one query asks the index what is newer than
 * the view's two MODSEQs. Told are, in this order:
 * FLAGS if the mailbox has new keywords, flags of known messages (by the sequence numbers that
 * the client still has), EXPUNGEs or VANISHED, then EXISTS and RECENT. The view moves on only with
 * what was written, so a piece may end anywhere and the next call goes on by asking again.
 *
 * Expunged messages are told from lower to higher numbers. The telling of a long list of flag
 * changes switches to a walk over the UIDs, since one STORE gives all its messages the same
 * MODSEQ and so no MODSEQ divides them.
 *
 * Told MODSEQs and HIGHESTMODSEQ: a client that has seen MODSEQ 104 takes it that it knows all up
 * to there [RFC 7162 s6]. While an expunge at 100 has to wait, it is told 99 before each tagged
 * answer [s3.2], and the new value once nothing waits.
 *
 * A mailbox that somebody deleted ends the session with BYE [RFC 2180 s3.3]. Answering NO to
 * everything from then on [s3.4] was rejected: clients retry it for hours, and all of them
 * survive a closed connection.
 */
#include "lib/nowait.h"
#include "server/imap/imap.h"

#include <assert.h>
#include <stdio.h>

#define TELL_ROWS      256u             /* flag changes told in one piece */
#define TELL_ARENA_MAX (4u << 20)       /* TELL_ROWS rows with KEYWORDS_MAX each, and room */
#define KEYWORDS_LISTED 65536u          /* octets of keywords in FLAGS */
#define NO_MODSEQ_YET  ((mail_modseq)INT64_MAX)

static void
log_failure(struct imap *im, const char *ev, const struct err *e)
{
	struct logline l;

	session_log(im->s, &l, LOGLEVEL_WARN, ev);
	log_err(&l, e);
	log_end(&l);
}

static void
out_keyword_list(struct buf *out, const char *begin, const struct slice *keywords, size_t count)
{
	buf_append_str(out, begin);
	buf_append_str(out, "\\Answered \\Flagged \\Deleted \\Seen \\Draft");
	for (size_t i = 0; i < count; i++) {
		buf_append_byte(out, ' ');
		buf_append_slice(out, keywords[i]);
	}
}

/* How many of them fit into a list. Beyond, it names no more: "at a minimum, the system-defined
 * flags" [RFC 9051 s7.3.5]. */
static size_t
listable(const struct slice *keywords, size_t count)
{
	size_t octets = 0, n = 0;

	while (n < count && (octets += keywords[n].len + 1) <= KEYWORDS_LISTED)
		n++;
	return n;
}

enum rc
imap_tell_keywords(struct imap *im, bool always, struct err *e)
{
	struct buf *out = imap_out(im);
	struct slice *keywords = NULL;
	struct arena a;
	size_t count = 0;
	enum rc rc;

	arena_init(&a, TELL_ARENA_MAX);
	rc = volume_list_keywords(im->volume, im->mailbox, &a, &keywords, &count, e);
	if (rc == RC_LIMIT || rc == RC_NOMEM) {
		rc = RC_OK;
		count = 0;
	}
	if (rc == RC_OK)
		count = listable(keywords, count);
	if (rc == RC_OK && (always || count != im->view.keywords_told)) {
		im->view.keywords_told = count;
		out_keyword_list(out, "* FLAGS (", keywords, count);
		buf_append_str(out, ")\r\n");
		if (im->read_only) {
			buf_append_str(out, "* OK [PERMANENTFLAGS ()] No flags can be changed\r\n");
		} else {
			out_keyword_list(out, "* OK [PERMANENTFLAGS (", keywords, count);
			buf_append_str(out, " \\*)] Flags are kept\r\n");
		}
	}
	arena_fini(&a);
	return rc;
}

static void
tell_changed(struct imap *im, const struct view_changes *c)
{
	const struct uid_set *uids = &im->view.uids;

	for (size_t i = 0; i < c->changed_count; i++)
		if (uid_set_contains(uids, c->changed[i].uid))
			imap_out_fetch_flags(im, uid_set_rank(uids, c->changed[i].uid),
					     &c->changed[i]);
}

/* The next piece of a long list of flag changes. */
static enum rc
tell_scan(struct imap *im, struct err *e)
{
	struct imap_view *view = &im->view;
	struct view_walk walk = { 0, 0 };
	struct message_row *rows;
	struct arena a;
	size_t n;
	enum rc rc;

	arena_init(&a, TELL_ARENA_MAX);
	rc = volume_read_messages(im->volume, im->mailbox, &view->uids, view->tell_from, TELL_ROWS,
				  0, &a, &rows, &n, e);
	if (rc == RC_OK) {
		for (size_t i = 0; i < n; i++)
			if (rows[i].modseq > view->changed_told)
				imap_out_fetch_flags(im, imap_view_seq(view, &walk, rows[i].uid),
						     &rows[i]);
		if (n < TELL_ROWS || rows[n - 1].uid == UINT32_MAX) {
			view->tell_from = 0;
			view->changed_told = view->tell_to;
		} else {
			view->tell_from = rows[n - 1].uid + 1;
		}
	}
	arena_fini(&a);
	return rc;
}

/* Write EXPUNGE for members of `gone`, all in the view, until the output is full; they come into
 * *told. Each number is that of the message once those before it are gone, so one range of UIDs
 * is one number again and again. */
static bool
write_expunges(struct imap *im, const struct uid_set *gone, struct uid_set *told)
{
	struct view_walk walk = { 0, 0 };
	struct buf *out = imap_out(im);
	uint32_t removed = 0;
	char line[32];

	for (size_t i = 0; i < gone->count; i++) {
		mail_uid first = gone->ranges[i].first, uid = first;
		size_t n;

		if (session_out_full(im->s))
			break;
		n = (size_t)snprintf(line, sizeof line, "* %u EXPUNGE\r\n",
				     imap_view_seq(&im->view, &walk, first) - removed);
		do {
			buf_append(out, line, n);
			removed++;
		} while (uid++ < gone->ranges[i].last && !session_out_full(im->s));
		if (!uid_set_add(told, first, uid - 1))
			return false;
	}
	return true;
}

/* VANISHED instead, for clients that work by UIDs: one line of bounded length. */
static bool
write_vanished(struct imap *im, const struct uid_set *gone, struct uid_set *told)
{
	size_t n = 0;

	imap_out_vanished_piece(im, gone, &n, false);
	for (size_t i = 0; i < n; i++)
		if (!uid_set_add(told, gone->ranges[i].first, gone->ranges[i].last))
			return false;
	return true;
}

/* The next piece of view->gone. */
static enum rc
tell_gone(struct imap *im, struct err *e)
{
	struct imap_view *view = &im->view;
	bool vanishes = im->qresync || im->uidonly;
	struct uid_set told, rest;
	enum rc rc = RC_OK;

	uid_set_init(&told, VIEW_RANGES_MAX);
	uid_set_init(&rest, VIEW_RANGES_MAX);
	if (!(vanishes ? write_vanished : write_expunges)(im, &view->gone, &told)
	    || !uid_set_subtract(&rest, &view->gone, &told) || !imap_view_remove(view, &told)) {
		uid_set_fini(&rest);
		rc = err_nomem(e);
	} else {
		uid_set_fini(&view->gone);
		view->gone = rest;
	}
	uid_set_fini(&told);
	if (rc == RC_OK && view->gone.count == 0) {
		view->expunged_told = view->gone_to;
		view->gone_to = 0;
		view->behind = false;
	}
	return rc;
}

/* What others expunged, all of it told: *done. */
static enum rc
tell_expunged(struct imap *im, const struct view_changes *c, bool *done, struct err *e)
{
	struct imap_view *view = &im->view;
	enum rc rc;

	if (c->vanished.count == 0) {
		view->expunged_told = c->now.highestmodseq;
		view->behind = false;
		return RC_OK;
	}
	if (!uid_set_intersect(&view->gone, &c->vanished, &view->uids))
		return err_nomem(e);
	view->gone_to = c->now.highestmodseq;
	view->behind = true;
	rc = tell_gone(im, e);
	*done = view->gone_to == 0;
	return rc;
}

/* Expunges may not be told now. If there are none, they count as told; else HIGHESTMODSEQ stays
 * behind. */
static enum rc
hold_expunges(struct imap *im, const struct view_changes *c, struct err *e)
{
	struct imap_view *view = &im->view;
	struct uid_set known;

	uid_set_init(&known, VIEW_RANGES_MAX);
	if (!uid_set_intersect(&known, &c->vanished, &view->uids))
		return err_nomem(e);
	view->behind = known.count > 0;
	if (!view->behind)
		view->expunged_told = c->now.highestmodseq;
	uid_set_fini(&known);
	return RC_OK;
}

/* EXISTS and RECENT; new messages count as told. */
static enum rc
tell_added(struct imap *im, const struct view_changes *c, struct err *e)
{
	struct imap_view *view = &im->view;
	uint32_t n = (uint32_t)uid_set_size(&c->added);

	if (view->loaded)
		for (size_t i = 0; i < c->added.count; i++)
			if (!uid_set_add(&view->uids, c->added.ranges[i].first,
					 c->added.ranges[i].last))
				return err_nomem(e);
	view->exists += n;
	view->uidnext = c->now.uidnext;
	if (n == 0)
		return RC_OK;
	buf_printf(imap_out(im), "* %u EXISTS\r\n", view->exists);
	if (!im->read_only)
		volume_claim_recent(im->volume, im->mailbox, c->now.uidnext);
	view->recent += n;
	if (!im->rev2)
		buf_printf(imap_out(im), "* %u RECENT\r\n", view->recent);
	return RC_OK;
}

/* No MODSEQ lies between what is told and this one, so nothing else has happened (view.c on gaps). */
static bool
is_all_there_is(const struct imap_view *view, mail_uid uid, mail_modseq modseq)
{
	bool all_told = view->tell_from == 0 && view->gone_to == 0 && !view->behind &&
	                view->settled == view->changed_told && view->settled == view->expunged_told;

	return all_told && modseq == view->settled + 1 && uid == view->uidnext && uid < UINT32_MAX;
}

void
imap_tell_own_append(struct imap *im, mail_uid uid, mail_modseq modseq)
{
	struct imap_view *view = &im->view;
	struct uid_range range = { uid, uid };
	struct view_changes c = { .added = { .ranges = &range, .count = 1 } };
	struct err e = ERR_INIT;

	if (!is_all_there_is(view, uid, modseq))
		return;
	c.now.uidnext = uid + 1;
	if (tell_added(im, &c, &e) == RC_OK)
		view->settled = view->changed_told = view->expunged_told = modseq;
}

/* Where MODSEQs are told it must be known whether expunges wait. Once they do, they go on. */
static bool
asks_for_held(const struct imap *im)
{
	return im->condstore && !im->view.behind;
}

/* True when nothing is left to tell. */
static enum rc
tell(struct imap *im, const struct view_changes *c, bool expunge, bool *done, struct err *e)
{
	struct imap_view *view = &im->view;
	bool changed = c->changed_count > 0 || c->more;
	enum rc rc = RC_OK;

	*done = true;
	/* Only with all expunges told may the ranges be loaded later: they are read as of
	 * expunged_told. */
	if (!expunge || changed || c->vanished.count > 0)
		rc = imap_view_load(view, im->volume, im->mailbox, e);
	if (rc == RC_OK && (changed || c->added.count > 0))
		rc = imap_tell_keywords(im, false, e);
	if (rc != RC_OK)
		return rc;
	if (c->more) {
		view->tell_from = 1;
		view->tell_to = c->now.highestmodseq;
		*done = false;
		return RC_OK;
	}
	tell_changed(im, c);
	view->changed_told = c->now.highestmodseq;
	if (expunge)
		rc = tell_expunged(im, c, done, e);
	else if (asks_for_held(im))
		rc = hold_expunges(im, c, e);
	if (rc == RC_OK && *done) {
		rc = tell_added(im, c, e);
		if (rc == RC_OK)
			view->settled = c->now.highestmodseq;
	}
	return rc;
}

static mail_modseq
since_expunged(const struct imap *im, bool expunge)
{
	return expunge || asks_for_held(im) ? im->view.expunged_told : NO_MODSEQ_YET;
}

static enum rc
tell_next(struct imap *im, bool expunge, bool *done, struct err *e)
{
	struct imap_view *view = &im->view;
	struct view_changes c;
	struct arena a;
	enum rc rc;

	*done = false;
	if (view->tell_from != 0)
		return tell_scan(im, e);
	if (expunge && view->gone_to != 0)
		return tell_gone(im, e);
	arena_init(&a, TELL_ARENA_MAX);
	rc = volume_read_changes(im->volume, im->mailbox, view->changed_told,
				 since_expunged(im, expunge), view->uidnext, TELL_ROWS, &a, &c, e);
	if (rc == RC_OK) {
		if (c.gone) {
			imap_bye(im, "The selected mailbox was deleted");
			*done = true;
		} else {
			rc = tell(im, &c, expunge, done, e);
		}
		view_changes_fini(&c);
	}
	arena_fini(&a);
	return rc;
}

bool
imap_is_quiet(const struct imap *im, bool expunge)
{
	const struct imap_view *view = &im->view;
	mail_modseq now;

	if (im->mailbox == 0)
		return true;
	now = session_watched_modseq(im->s);
	/* The index may show a change just before the hub is told of it. */
	if (now < view->shown)
		now = view->shown;
	if (view->tell_from != 0 || view->gone_to != 0 || now > view->settled)
		return false;
	return now <= view->expunged_told || !(expunge || asks_for_held(im));
}

bool
imap_tell_changes(struct imap *im, bool expunge)
{
	struct err e = ERR_INIT;
	bool done;
	enum rc rc;

	if (im->ended || imap_is_quiet(im, expunge))
		return true;
	rc = tell_next(im, expunge, &done, &e);
	if (rc == RC_OK)        /* own expunges may have been all there was */
		return done || imap_is_quiet(im, expunge);
	if (rc == RC_WAIT) {    /* of a read, before the view moved on */
		(void)nowait_refuse(&e);
		return false;
	}
	log_failure(im, "imap.tell.failed", &e);
	im->view.behind = true;
	return true;            /* nothing is lost: the next command asks again */
}

void
imap_tell_highest(struct imap *im)
{
	struct imap_view *view = &im->view;

	if (!im->condstore || im->mailbox == 0 || im->ended)
		return;
	if (view->behind || view->held_back)
		imap_out_highestmodseq(im, view->behind ? "Some expunges are not told yet"
						     : "All is told");
	view->held_back = view->behind;
}

enum imap_result
imap_tell_and_complete(struct imap *im)
{
	if (!imap_tell_changes(im, true))
		return IMAP_MORE;
	imap_reply(im, IMAP_OK, "[HIGHESTMODSEQ %llu] %s completed",
		   (unsigned long long)im->view.expunged_told, im->cmd->name);
	im->view.held_back = im->view.behind;
	return im->ended ? IMAP_BYE : IMAP_DONE;
}
