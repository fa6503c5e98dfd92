/* fetch_columns - a listing of what the columns of a mailbox hold (index/columns.h): flags, dates, sizes, MODSEQs.
 *
 * What clients ask at each beginning, FETCH 1:* (UID FLAGS), goes from there to the output with no row of the index
 * between. Columns are held for one piece of the answer: they are of a time within the command, or of one since which
 * nothing is news, and those that are taken for the next piece are as new or newer. A member of the set that they do
 * not have was expunged by others, who have not told this session yet: its row is read from the tombstones, as are
 * rows that say not enough. Where there are many of these, and where somebody else has the columns, rows are read as
 * ever.
 */
#include <assert.h>

#include "lib/date.h"
#include "lib/digits.h"
#include "lib/nowait.h"
#include "server/imap/fetch.h"

#define USE_MIN      64u        /* messages asked for: fewer rows are read as fast */
#define MAKE_MIN     200u       /* fresh columns for those who ask for so many, */
#define MAKE_SHARE   4u         /* and for more than 1/4 of the mailbox, */
#define MAKE_MAX     1250000u   /* if it has no more: the first answer waits for all of them */
#define GAPS_MAX     16u        /* rows read beside */
#define LIGHT_MAX    2000u      /* messages listed on the reactor: some 0.1 ms, and mostly one piece */
#define ROW_ROOM     64u        /* octets of an answer around its items */
#define ITEM_ROOM    80u        /* of one without keywords */
#define FULL_ROWS    16u        /* written between two looks at the output */

#define PUT(p, text) ((uint8_t *)memcpy(p, text, sizeof(text) - 1) + (sizeof(text) - 1))

static_assert(DIGITS_MAX + DATE_IMAP_LEN + 16 < ITEM_ROOM, "room for one item");

static bool
may_make(const struct imap *im, uint64_t messages)
{
	return messages >= MAKE_MIN && messages > im->view.exists / MAKE_SHARE &&
	       im->view.exists <= MAKE_MAX;
}

static bool
is_wanted(const struct fetch *f, uint64_t messages)
{
	return f->req.source == FETCH_OF_COLUMNS && !f->at_row.columns_left && messages >= USE_MIN;
}

enum fetch_listed
fetch_columns_light(struct imap *im, const struct fetch *f)
{
	uint64_t messages = uid_set_size(&f->uids);
	size_t rows;

	if (!is_wanted(f, messages))
		return FETCH_BY_ROWS;
	switch (columns_find(im->volume, im->mailbox, &rows)) {
	case COLUMNS_NONE:
		return may_make(im, messages) ? FETCH_MAKES_COLUMNS : FETCH_BY_ROWS;
	case COLUMNS_TAKEN:
		break;
	case COLUMNS_FREE:
		return messages <= LIGHT_MAX && rows <= COLUMNS_LIGHT_ROWS ? FETCH_BY_COLUMNS
		                                                           : FETCH_BY_ROWS;
	}
	return FETCH_BY_ROWS;
}

/* ---- one answer ---- */

struct writer {
	struct imap          *im;
	struct fetch         *f;
	const struct columns *columns;
	uint32_t              known;            /* of `texts` */
	bool                  keywords_told;
	struct {
		uint8_t len;
		uint8_t text[55];
	} texts[FLAG_ALL + 1];                  /* system flags, by their bits */
};

/* "\Seen \Draft" and the like. False: no memory. */
static bool
learn_flags(struct writer *w, uint32_t flags)
{
	struct buf out;
	bool ok;

	if ((w->known & 1u << flags) != 0)
		return true;
	buf_init(&out, sizeof w->texts[flags].text + 2);
	imap_out_flags(&out, flags, SLICE(""), false);
	ok = !out.failed;
	if (ok) {
		w->texts[flags].len = (uint8_t)(out.len - 2);
		memcpy(w->texts[flags].text, out.ptr + 1, out.len - 2);
		w->known |= 1u << flags;
	}
	buf_fini(&out);
	return ok;
}

static uint8_t *
put_flags(struct writer *w, uint8_t *p, const struct column_row *row, struct slice keywords)
{
	bool recent = !w->im->rev2 && row->uid >= w->im->view.recent_from;
	uint32_t flags = row->flags & FLAG_ALL;
	const uint8_t *begin;

	begin = p = PUT(p, "FLAGS (");
	memcpy(p, w->texts[flags].text, w->texts[flags].len);
	p += w->texts[flags].len;
	if (recent) {
		if (p > begin)
			*p++ = ' ';
		p = PUT(p, "\\Recent");
	}
	if (keywords.len > 0) {
		if (p > begin)
			*p++ = ' ';
		memcpy(p, keywords.ptr, keywords.len);
		p += keywords.len;
	}
	*p++ = ')';
	return p;
}

static uint8_t *
put_date(uint8_t *p, int64_t sec, int zone)
{
	char text[DATE_IMAP_LEN + 1];

	date_format_imap(sec, zone, text);
	*p++ = '"';
	memcpy(p, text, DATE_IMAP_LEN);
	p += DATE_IMAP_LEN;
	*p++ = '"';
	return p;
}

static uint8_t *
put_modseq(struct writer *w, uint8_t *p, mail_modseq modseq)
{
	if (modseq > w->im->view.shown)
		w->im->view.shown = modseq;
	p = digits_put(PUT(p, "MODSEQ ("), modseq);
	*p++ = ')';
	return p;
}

static uint8_t *
put_item(struct writer *w, uint8_t *p, enum fetch_kind kind, const struct column_row *row,
         struct slice keywords)
{
	switch (kind) {
	case FETCH_UID:
		return digits_put(PUT(p, "UID "), row->uid);
	case FETCH_FLAGS:
		return put_flags(w, p, row, keywords);
	case FETCH_INTERNALDATE:
		return put_date(PUT(p, "INTERNALDATE "), row->internaldate, row->zone);
	case FETCH_RFC822_SIZE:
		return digits_put(PUT(p, "RFC822.SIZE "), row->size);
	case FETCH_MODSEQ:
		return put_modseq(w, p, columns_modseq(w->columns, row));
	case FETCH_SAVEDATE:
		return put_date(PUT(p, "SAVEDATE "), row->savedate, row->savezone);
	case FETCH_ENVELOPE:
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE:
	case FETCH_SECTION:
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE:
	case FETCH_EMAILID:
	case FETCH_THREADID:
	case FETCH_PREVIEW:
		break;
	}
	assert(false && "not in columns");
	return p;
}

/* False: no memory; nothing is written. */
static bool
write_row(struct writer *w, const struct column_row *row)
{
	const struct fetch_request *r = &w->f->req;
	struct slice keywords = columns_keywords(w->columns, row);
	struct buf *out = imap_out(w->im);
	uint8_t *begin = buf_reserve(out, ROW_ROOM + r->count * (ITEM_ROOM + keywords.len));
	uint8_t *p = begin;
	uint32_t seq = imap_view_seq(&w->im->view, &w->f->at_row.walk, row->uid);

	if (begin == NULL || !learn_flags(w, row->flags & FLAG_ALL))
		return false;
	p = digits_put(PUT(p, "* "), w->im->uidonly ? row->uid : seq);
	p = w->im->uidonly ? PUT(p, " UIDFETCH (") : PUT(p, " FETCH (");
	for (size_t i = 0; i < r->count; i++) {
		if (i > 0)
			*p++ = ' ';
		p = put_item(w, p, r->items[i].kind, row, keywords);
	}
	p = PUT(p, ")\r\n");
	buf_commit(out, (size_t)(p - begin));
	w->f->at_row.seen++;
	return true;
}

/* ---- a piece of them ---- */

/* All of the answer comes from here, and is short. */
static bool
says_enough(const struct writer *w, const struct column_row *row)
{
	size_t each = ITEM_ROOM + columns_keywords(w->columns, row).len;

	return row->size > 0 && w->f->req.count * each <= FETCH_PIECE / FULL_ROWS;
}

/* Another session may have just made them. */
static enum rc
tell_keywords(struct writer *w, const struct column_row *row, struct err *e)
{
	if (row->keywords == 0 || w->keywords_told)
		return RC_OK;
	w->keywords_told = true;
	return imap_tell_keywords(w->im, false, e);
}

static void
set_gap(struct fetch *f, mail_uid first, mail_uid last)
{
	f->at_row.gap = (struct uid_range){ first, last };
	f->at_row.columns_left = ++f->at_row.gaps == GAPS_MAX;
}

/* The members r of the set, from row *k on, up to a gap or as many as the output takes: then f->at_row.next_uid is where to
 * go on, else 0. */
static enum rc
write_range(struct writer *w, struct uid_range r, size_t *k, struct err *e)
{
	struct fetch *f = w->f;
	size_t count, n = 0;
	const struct column_row *rows = columns_rows(w->columns, &count);
	uint64_t uid = r.first;

	for (; uid <= r.last; uid++, ++*k) {
		enum rc rc;

		f->at_row.next_uid = (mail_uid)uid;
		if (n++ % FULL_ROWS == 0 && session_out_full(w->im->s))
			return RC_OK;
		if (*k == count || rows[*k].uid > uid) {
			uint64_t end = *k == count ? UINT64_MAX : rows[*k].uid;

			set_gap(f, (mail_uid)uid, end > r.last ? r.last : (mail_uid)end - 1);
			return RC_OK;
		}
		if (!says_enough(w, &rows[*k])) {
			set_gap(f, (mail_uid)uid, (mail_uid)uid);
			return RC_OK;
		}
		rc = tell_keywords(w, &rows[*k], e);
		if (rc == RC_OK && !write_row(w, &rows[*k]))
			rc = err_nomem(e);
		if (rc != RC_OK)
			return rc;
	}
	f->at_row.next_uid = 0;
	return RC_OK;
}

static enum rc
write_piece(struct imap *im, struct fetch *f, struct err *e)
{
	struct writer w = { .im = im, .f = f, .columns = f->columns };
	mail_uid from = f->at_row.next_uid;
	size_t count, k = 0;
	const struct column_row *rows = columns_rows(f->columns, &count);

	f->at_row.next_uid = 0;
	for (size_t i = 0; i < f->uids.count && f->at_row.next_uid == 0; i++) {
		struct uid_range r = f->uids.ranges[i];
		enum rc rc;

		if (r.last < from)
			continue;
		if (r.first < from)
			r.first = from;
		if (k < count && rows[k].uid < r.first)
			k = columns_seek(f->columns, r.first);
		rc = write_range(&w, r, &k, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* Not older than what this command has said so far, or than all there is: nothing is news. */
static bool
are_new_enough(const struct imap *im, const struct fetch *f)
{
	mail_modseq at = columns_at(f->columns);

	if (f->at_row.columns_at != 0 && at >= f->at_row.columns_at)
		return true;
	return at != 0 && at == im->view.settled && imap_is_quiet(im, false);
}

static enum rc
refresh(struct imap *im, struct fetch *f, bool *done, struct err *e)
{
	enum rc rc = RC_OK;

	*done = are_new_enough(im, f);
	if (!*done)
		rc = columns_refresh(im->volume, f->columns, done, e);
	if (rc == RC_OK && *done)
		f->at_row.columns_at = columns_at(f->columns);
	return rc;
}

bool
fetch_from_columns(struct imap *im, struct fetch *f, enum rc *rc, struct err *e)
{
	uint64_t messages = uid_set_size(&f->uids);
	/* Not in the middle of the answer: the rest of it may be a row. */
	bool make = !nowait_is_on() && f->at_row.columns_at == 0 && may_make(im, messages), done;

	*rc = RC_OK;
	if (f->at_row.gap.first != 0 || !is_wanted(f, messages))
		return false;
	if (nowait_is_on() && fetch_columns_light(im, f) != FETCH_BY_COLUMNS)
		return false;
	if (f->columns == NULL)
		f->columns = columns_take(im->volume, im->mailbox,
		                          make ? COLUMNS_FIRST : COLUMNS_FULL);
	if (f->columns == NULL)
		return false;
	*rc = refresh(im, f, &done, e);
	if (*rc == RC_OK && !done && make)
		return true;
	if (*rc == RC_OK && done)
		*rc = write_piece(im, f, e);
	else if (*rc == RC_OK)
		*rc = err_set(e, RC_LIMIT, "too much has changed");
	columns_give(im->volume, &f->columns);
	if (*rc != RC_LIMIT && *rc != RC_NOMEM)
		return true;
	*rc = RC_OK;
	f->at_row.columns_left = true;         /* they would take longer than rows */
	return false;
}
