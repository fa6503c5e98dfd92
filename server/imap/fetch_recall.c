/* fetch_recall - the list of the newest messages, which each client asks for at its beginning: on a reactor its rows come
 * from memory.
 *
 * What of a row can change columns say (index/columns.h), where nothing is news since; what never does is remembered
 * (index/place_cache.h). Messages of which it is not, mostly those that have come since the last listing, are read.
 */
#include "index/place_cache.h"
#include "lib/nowait.h"
#include "server/imap/fetch.h"

#define ROWS_MAX   64u          /* of a list */
#define UNSAID_MAX 8u           /* ranges that are read; with more all is */

/* All of a lost message has no octets. */
static bool
is_said(const struct message_row *m)
{
	return m->summary.len > 0 && m->size > 0;
}

/* Those of n rows that are to be read. False: too many. */
static bool
find_unsaid(const struct message_row *rows, size_t n, struct uid_set *out)
{
	for (size_t i = 0; i < n; i++)
		if (!is_said(&rows[i]) && !uid_set_add(out, rows[i].uid, rows[i].uid))
			return false;
	return true;
}

/* What was read takes its place in the order of UIDs; what the index has no more is left out. Returns how many there are. */
static size_t
put_between(struct message_row *rows, size_t n, const struct message_row *more, size_t more_count)
{
	size_t k = 0, kept = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < more_count && more[k].uid < rows[i].uid)
			k++;
		if (is_said(&rows[i]))
			rows[kept++] = rows[i];
		else if (k < more_count && more[k].uid == rows[i].uid)
			rows[kept++] = more[k];
	}
	return kept;
}

static enum rc
complete(struct imap *im, struct fetch *f, uint32_t want, struct message_row *rows, size_t n, bool *done, struct err *e)
{
	struct message_row *more = NULL;
	struct uid_set unsaid;
	size_t count = 0;
	enum rc rc = RC_OK;

	uid_set_init(&unsaid, UNSAID_MAX);
	*done = find_unsaid(rows, n, &unsaid);
	if (*done && unsaid.count > 0)
		rc = volume_read_messages(im->volume, im->mailbox, &unsaid, 1, ROWS_MAX, want, &f->page, &more, &count, e);
	uid_set_fini(&unsaid);
	if (rc != RC_OK || !*done)
		return rc;
	f->rows = rows;
	f->row_count = put_between(rows, n, more, count);
	return RC_OK;
}

static bool
is_wanted(const struct imap *im, const struct fetch *f)
{
	return f->req.source == FETCH_OF_SUMMARY && nowait_is_on() && f->at_row.gap.first == 0 && f->at_row.next_uid == 1 &&
	       uid_set_size(&f->uids) <= ROWS_MAX && imap_is_quiet(im, false);
}

enum rc
fetch_recall_page(struct imap *im, struct fetch *f, uint32_t want, bool *done, struct err *e)
{
	size_t n = (size_t)uid_set_size(&f->uids);
	struct message_row *rows;

	*done = false;
	if (!is_wanted(im, f))
		return RC_OK;
	rows = arena_array(&f->page, n, sizeof *rows);
	if (rows == NULL || !columns_peek(im->volume, im->mailbox, im->view.settled, &f->uids, &f->page, rows) ||
	    !place_cache_summaries(im->volume, im->mailbox, &f->page, rows, n))
		return RC_OK;
	return complete(im, f, want, rows, n, done, e);
}
