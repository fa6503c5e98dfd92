/* fetch_ahead - BODY[] of messages in a row: their octets are read on another thread while others are sent.
 *
 * What is read so was found good, so that it need not be looked at twice; what could not be read is met, and told, where
 * messages are checked as ever. Not under COMPRESS, where what is stored goes out as it is.
 */
#include "server/ahead.h"
#include "lib/nowait.h"
#include "server/imap/fetch.h"
#include "server/imap/private.h"

#define WORTH_IT 262144u        /* octets of a page */
#define SEND_MIN 16384u         /* octets that are worth a call */

static bool
is_all(const struct fetch_item *it)
{
	return fetch_is_whole(it) && !it->partial;
}

static bool
asks_all(const struct fetch_request *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (is_all(&r->items[i]))
			return true;
	return false;
}

static bool
is_worth_it(const struct fetch *f)
{
	uint64_t octets = 0;

	for (size_t i = 0; i < f->row_count; i++)
		octets += f->rows[i].place.size;
	return octets >= WORTH_IT;
}

static void
begin(struct imap *im, struct fetch *f)
{
	struct pool *pool = session_helpers(im->s, AHEAD_HELD);

	if (pool == NULL)
		return;
	f->ahead = ahead_new(pool, im->volume);
	if (f->ahead != NULL)
		im->priv->ingests = AHEAD_HELD;
}

void
fetch_ahead_page(struct imap *im, struct fetch *f)
{
	if (nowait_is_on() || !asks_all(&f->req) || session_is_compressed(im->s))
		return;
	if (f->ahead == NULL && is_worth_it(f))
		begin(im, f);
	if (f->ahead != NULL && !ahead_set(f->ahead, f->rows, f->row_count))
		fetch_ahead_drop(f);
}

static bool
has_all(const struct fetch *f, size_t i)
{
	const struct fetch_piece *p = &f->pieces[i];

	return f->ahead != NULL && is_all(&f->req.items[i]) && p->range.off == 0 &&
	       p->range.len == fetch_row(f)->place.size;
}

bool
fetch_ahead_check(struct fetch *f, size_t i)
{
	return has_all(f, i) && ahead_whole(f->ahead, f->row);
}

/* Long ones go out from where they lie, with the head of the answer before them. */
bool
fetch_ahead_write(struct imap *im, struct fetch *f, size_t i, uint64_t *n)
{
	struct buf *out = imap_out(im);
	struct slice octets;
	size_t sent = 0;

	if (!has_all(f, i) || !ahead_take(f->ahead, f->row, f->at, &octets))
		return false;
	*n = octets.len;
	if (octets.len >= SEND_MIN && !out->failed &&
	    (out->len == 0 || ahead_prepend(f->ahead, buf_slice(out), &octets))) {
		buf_reset(out);
		sent = session_send_now(im->s, octets);
	}
	buf_append_slice(out, slice_sub(octets, sent, octets.len));
	return true;
}

void
fetch_ahead_drop(struct fetch *f)
{
	ahead_end(&f->ahead);
}
