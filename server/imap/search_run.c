/* search_run - a SEARCH program against one message: leaves get their truth, the tree its value.
 * See search.h.
 *
 * Dates compare as days: INTERNALDATE in the zone it was given in, Date as it was written [RFC
 * 9051 s6.4.4: "disregarding time and timezone"].
 */
#include "server/imap/search.h"

#include "lib/date.h"

/* ---- the tree ---- */

static enum search_truth
negated(enum search_truth t, bool negate)
{
	if (t == SEARCH_UNKNOWN || !negate)
		return t;
	return t == SEARCH_TRUE ? SEARCH_FALSE : SEARCH_TRUE;
}

/* Recursion is bounded by SEARCH_DEPTH_MAX. `decisive` ends it: FALSE for AND, TRUE for OR. */
static enum search_truth
eval_node(const struct search_program *p, uint16_t i)
{
	const struct search_node *n = &p->nodes[i];
	enum search_truth decisive, t, all;

	if (n->key != SEARCH_AND && n->key != SEARCH_OR)
		return negated(n->truth, n->negate);
	decisive = n->key == SEARCH_AND ? SEARCH_FALSE : SEARCH_TRUE;
	all = n->key == SEARCH_AND ? SEARCH_TRUE : SEARCH_FALSE;
	for (uint16_t k = n->child; k != 0; k = p->nodes[k].next) {
		t = eval_node(p, k);
		if (t == decisive)
			return negated(t, n->negate);
		if (t == SEARCH_UNKNOWN)
			all = SEARCH_UNKNOWN;
	}
	return negated(all, n->negate);
}

enum search_truth
search_eval(const struct search_program *p)
{
	return eval_node(p, 0);
}

/* ---- leaves ---- */

static enum search_truth
truth_of(bool b)
{
	return b ? SEARCH_TRUE : SEARCH_FALSE;
}

/* Keywords are atoms with one space between; they compare without case. */
static bool
has_keyword(struct slice keywords, struct slice name)
{
	size_t from = 0;

	while (from < keywords.len) {
		struct slice rest = slice_sub(keywords, from, keywords.len);
		size_t n = slice_find_byte(rest, ' ');

		if (slice_eq_nocase(slice_sub(rest, 0, n), name))
			return true;
		from += n + 1;
	}
	return false;
}

static bool
has_id(struct slice id, void (*render)(struct buf *, const struct message_row *),
       const struct message_row *row)
{
	struct buf text;
	bool same;

	buf_init(&text, 256);
	render(&text, row);
	same = slice_eq(buf_slice(&text), id);
	buf_fini(&text);
	return same;
}

static void
render_threadid(struct buf *out, const struct message_row *row)
{
	if (row->threadid != 0)         /* else NIL: no ObjectID is equal to it */
		imap_out_threadid(out, row->threadid);
}

static void
render_emailid(struct buf *out, const struct message_row *row)
{
	imap_out_emailid(out, row->sha256);
}

static int64_t
day_of(struct mail_date d)
{
	return date_day_of(d.sec, d.zone_min);
}

static enum search_truth
row_truth(const struct imap *im, const struct search_program *p, const struct search_node *n,
	  const struct message_row *row)
{
	switch (n->key) {
	case SEARCH_ALL:
		return SEARCH_TRUE;
	case SEARCH_FLAG:
		return truth_of((row->flags & n->flags) != 0);
	case SEARCH_KEYWORD:
		return truth_of(has_keyword(row->keywords, n->name));
	case SEARCH_RECENT:
		return truth_of(row->uid >= im->view.recent_from);
	case SEARCH_SET:
		return truth_of(uid_set_contains(&n->uids, row->uid));
	case SEARCH_BEFORE:
		return truth_of(day_of(row->internaldate) < n->day);
	case SEARCH_ON:
		return truth_of(day_of(row->internaldate) == n->day);
	case SEARCH_SINCE:
		return truth_of(day_of(row->internaldate) >= n->day);
	case SEARCH_LARGER:
		return truth_of(row->size > n->number);
	case SEARCH_SMALLER:
		return truth_of(row->size > 0 && row->size < n->number);   /* 0: it is lost */
	case SEARCH_OLDER:
		return truth_of(row->internaldate.sec <= p->now - (int64_t)n->number);
	case SEARCH_YOUNGER:
		return truth_of(row->internaldate.sec >= p->now - (int64_t)n->number);
	case SEARCH_SAVEDBEFORE:
		return truth_of(day_of(row->savedate) < n->day);
	case SEARCH_SAVEDON:
		return truth_of(day_of(row->savedate) == n->day);
	case SEARCH_SAVEDSINCE:
		return truth_of(day_of(row->savedate) >= n->day);
	case SEARCH_MODSEQ:
		return truth_of(row->modseq >= n->number);
	case SEARCH_THREADID:
		return truth_of(has_id(n->name, render_threadid, row));
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_SENTBEFORE:
	case SEARCH_SENTON:
	case SEARCH_SENTSINCE:
	case SEARCH_EMAILID:
	case SEARCH_HEADER:
	case SEARCH_ADDRESS:
	case SEARCH_BODY:
	case SEARCH_TEXT:
		break;
	}
	return SEARCH_UNKNOWN;
}

void
search_row(const struct imap *im, struct search_program *p, const struct message_row *row)
{
	for (uint16_t i = 0; i < p->count; i++)
		p->nodes[i].truth = row_truth(im, p, &p->nodes[i], row);
}

void
search_summary(struct search_program *p, const struct message_row *row,
	       const struct mime_summary *s)
{
	int64_t day = (s->flags & MIME_HAS_DATE) != 0
			  ? s->keys.sent_day
			  : date_day_of(row->internaldate.sec, row->internaldate.zone_min);

	for (uint16_t i = 0; i < p->count; i++) {
		struct search_node *n = &p->nodes[i];

		if (n->key == SEARCH_SENTBEFORE)
			n->truth = truth_of(day < n->day);
		else if (n->key == SEARCH_SENTON)
			n->truth = truth_of(day == n->day);
		else if (n->key == SEARCH_SENTSINCE)
			n->truth = truth_of(day >= n->day);
		else if (n->key == SEARCH_EMAILID)
			n->truth = truth_of(has_id(n->name, render_emailid, row));
	}
}

void
search_subject(struct search_program *p, struct slice learnt)
{
	for (uint16_t i = 0; i < p->count; i++) {
		struct search_node *n = &p->nodes[i];

		if (n->is_subject)
			n->truth = truth_of(learnt.len > 0 && search_contains(learnt, n->text));
	}
}

void
search_close(struct search_program *p)
{
	for (uint16_t i = 0; i < p->count; i++)
		if (p->nodes[i].truth == SEARCH_UNKNOWN)
			p->nodes[i].truth = SEARCH_FALSE;
}
