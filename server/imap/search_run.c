/* search_run - a SEARCH program against one message: leaves get their truth, the tree its value. See search.h.
 *
 * Dates compare as days: INTERNALDATE in the zone it was given in, Date as it was written [RFC 9051 s6.4.4:
 * "disregarding time and timezone"].
 */
#include "server/imap/search.h"

#include <assert.h>

#include "lib/charset.h"
#include "lib/date.h"
#include "lib/text.h"

/* ---- preparing ---- */

/* The text in UTF-8, folded as header_decode_text and search_text_next fold what they look in. */
static bool
fold_text(struct imap *im, const struct search_program *p, struct search_node *n)
{
	struct buf utf8, folded;
	bool ok;

	buf_init(&utf8, 4 * SEARCH_TEXT_MAX);
	buf_init(&folded, 32 * SEARCH_TEXT_MAX);
	ok = charset_to_utf8(p->charset.len > 0 ? p->charset : SLICE("UTF-8"), n->text, &utf8)
	  && text_casefold(buf_slice(&utf8), &folded);
	if (ok) {
		n->text = arena_dup(&im->arena, buf_slice(&folded));
		ok = n->text.ptr != NULL;
	}
	buf_fini(&utf8);
	buf_fini(&folded);
	return ok;
}

static bool
prepare_node(struct imap *im, struct search_program *p, struct search_node *n)
{
	struct err e = ERR_INIT;

	switch (n->key) {
	case SEARCH_SET:
		return imap_resolve_numbers(im, &n->set, n->set_is_uids, &n->uids);
	case SEARCH_HEADER:
	case SEARCH_BODY:
	case SEARCH_TEXT:
		if (fold_text(im, p, n))
			return true;
		imap_reply_error(im, err_nomem(&e), &e);
		return false;
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_ALL:
	case SEARCH_FLAG:
	case SEARCH_KEYWORD:
	case SEARCH_RECENT:
	case SEARCH_BEFORE:
	case SEARCH_ON:
	case SEARCH_SINCE:
	case SEARCH_LARGER:
	case SEARCH_SMALLER:
	case SEARCH_SENTBEFORE:
	case SEARCH_SENTON:
	case SEARCH_SENTSINCE:
		break;
	}
	return true;
}

bool
search_prepare(struct imap *im, struct search_program *p)
{
	if (p->charset.len > 0 && !charset_known(p->charset)) {
		imap_reply(im, IMAP_NO, "[BADCHARSET (US-ASCII UTF-8)] Charset not known");
		return false;
	}
	for (uint16_t i = 0; i < p->count; i++)
		if (!prepare_node(im, p, &p->nodes[i]))
			return false;
	return true;
}

void
search_fini(struct search_program *p)
{
	for (uint16_t i = 0; i < p->count; i++)
		uid_set_fini(&p->nodes[i].uids);
}

/* Sets among the keys that must all hold; others cannot be used to leave messages out. */
bool
search_candidates(const struct imap *im, const struct search_program *p, struct uid_set *out)
{
	struct uid_set narrowed;
	bool ok = uid_set_copy(out, &im->view.uids);

	for (uint16_t i = p->nodes[0].child; ok && i != 0; i = p->nodes[i].next) {
		if (p->nodes[i].key != SEARCH_SET || p->nodes[i].negate)
			continue;
		uid_set_init(&narrowed, VIEW_RANGES_MAX);
		ok = uid_set_intersect(&narrowed, out, &p->nodes[i].uids);
		uid_set_fini(out);
		*out = narrowed;
	}
	return ok;
}

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

static enum search_truth
row_truth(const struct imap *im, const struct search_node *n, const struct message_row *row)
{
	int64_t day = date_day_of(row->internaldate.sec, row->internaldate.zone_min);

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
		return truth_of(day < n->day);
	case SEARCH_ON:
		return truth_of(day == n->day);
	case SEARCH_SINCE:
		return truth_of(day >= n->day);
	case SEARCH_LARGER:
		return truth_of(row->size > n->number);
	case SEARCH_SMALLER:
		return truth_of(row->size < n->number);
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_SENTBEFORE:
	case SEARCH_SENTON:
	case SEARCH_SENTSINCE:
	case SEARCH_HEADER:
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
		p->nodes[i].truth = row_truth(im, &p->nodes[i], row);
}

void
search_summary(struct search_program *p, const struct message_row *row, const struct mime_summary *s)
{
	int64_t day = (s->flags & MIME_HAS_DATE) != 0
	            ? s->keys.sent_day : date_day_of(row->internaldate.sec, row->internaldate.zone_min);

	for (uint16_t i = 0; i < p->count; i++) {
		struct search_node *n = &p->nodes[i];

		if (n->key == SEARCH_SENTBEFORE)
			n->truth = truth_of(day < n->day);
		else if (n->key == SEARCH_SENTON)
			n->truth = truth_of(day == n->day);
		else if (n->key == SEARCH_SENTSINCE)
			n->truth = truth_of(day >= n->day);
	}
}

void
search_close(struct search_program *p)
{
	for (uint16_t i = 0; i < p->count; i++)
		if (p->nodes[i].truth == SEARCH_UNKNOWN)
			p->nodes[i].truth = SEARCH_FALSE;
}
