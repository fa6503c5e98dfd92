/* search_answer - what SEARCH says of what it found [RFC 9051 s6.4.4, s7.3.4]: "SEARCH" numbers for
 * IMAP4rev1, ESEARCH [RFC 4731], the saved result [RFC 5182], PARTIAL [RFC 9394], the highest
 * MODSEQ [RFC 7162 s3.1.6, RFC 4731 s3.2].
 *
 * The same rule says what SAVE saves and what MODSEQ is the highest of: all found if ALL or COUNT
 * are asked for, or none of MIN, MAX and PARTIAL; else those that these return. Numbers go out in
 * pieces.
 */
#include "server/imap/search.h"

#include <assert.h>

static enum imap_result
fail(struct imap *im, const char *what)
{
	struct err e = ERR_INIT;

	imap_reply_error(im, err_set(&e, RC_NOMEM, "%s", what), &e);
	return IMAP_DONE;
}

/* rev2 knows ESEARCH only [RFC 9051 s6.4.4]. */
static bool
is_extended(const struct imap *im, const struct search *s)
{
	return s->program.extended || im->rev2;
}

static unsigned
returns(const struct search *s)
{
	return s->program.extended ? s->program.returns : RETURN_ALL;
}

static bool
chooses_all(const struct search *s)
{
	unsigned r = returns(s);

	return (r & (RETURN_ALL | RETURN_COUNT)) != 0
	    || (r & (RETURN_MIN | RETURN_MAX | RETURN_PARTIAL)) == 0;
}

/* ---- which messages ---- */

/* [RFC 5182 s2.4, RFC 9394 s3.2] */
static bool
choose(struct search *s)
{
	unsigned r = returns(s);
	mail_uid min = uid_set_next(&s->found, 1), max = uid_set_max(&s->found);

	if (max == 0 || chooses_all(s))
		return true;
	return uid_set_copy(&s->chosen, &s->partial)
	    && ((r & RETURN_MIN) == 0 || uid_set_add(&s->chosen, min, min))
	    && ((r & RETURN_MAX) == 0 || uid_set_add(&s->chosen, max, max));
}

/* A result that cannot be kept is refused [RFC 5182 s2.5]. */
static bool
save(struct imap *im, struct search *s)
{
	uid_set_reset(&im->view.saved);
	if (uid_set_copy(&im->view.saved, chooses_all(s) ? &s->found : &s->chosen))
		return true;
	imap_reply(im, IMAP_NO, "[NOTSAVED] The result is too large to be saved");
	return false;
}

static enum imap_result
make_result(struct imap *im, struct search *s)
{
	bool saves = (s->program.returns & RETURN_SAVE) != 0;

	if ((returns(s) & RETURN_PARTIAL) != 0
	    && !imap_partial_of(&s->found, &s->program.partial, &s->partial))
		return fail(im, "part of the result of a search");
	if (!choose(s))
		return fail(im, "result of a search");
	if (saves && !save(im, s))
		return IMAP_DONE;
	if (s->program.returns == RETURN_SAVE) {
		imap_reply(im, IMAP_OK, "%s completed, result saved", im->cmd->name);
		return IMAP_DONE;
	}
	s->phase = SEARCH_HEAD;
	if (s->program.modseq && !chooses_all(s)) {
		s->phase = SEARCH_MODSEQS;
		s->highest = 0;
		s->next_uid = 1;
	}
	return IMAP_MORE;
}

/* A page of the chosen ones, for the highest MODSEQ. */
static enum imap_result
read_modseqs(struct imap *im, struct search *s)
{
	struct err e = ERR_INIT;
	enum rc rc;

	arena_reset(&s->page);
	rc = volume_read_messages(im->volume, im->mailbox, &s->chosen, s->next_uid,
	    SEARCH_PAGE_ROWS, WANT_EXPUNGED, &s->page, &s->rows, &s->row_count, &e);
	if (rc != RC_OK) {
		imap_reply_error(im, rc, &e);
		return IMAP_DONE;
	}
	for (size_t i = 0; i < s->row_count; i++)
		if (s->rows[i].modseq > s->highest)
			s->highest = s->rows[i].modseq;
	if (s->row_count < SEARCH_PAGE_ROWS || s->rows[s->row_count - 1].uid == UINT32_MAX)
		s->phase = SEARCH_HEAD;
	else
		s->next_uid = s->rows[s->row_count - 1].uid + 1;
	return IMAP_MORE;
}

/* From UIDs to sequence numbers, in one pass over the view. */
static bool
to_sequence(struct imap *im, struct uid_set *set)
{
	struct view_walk walk = { 0, 0 };
	struct uid_set seqs;
	bool ok = true;

	uid_set_init(&seqs, VIEW_RANGES_MAX);
	for (size_t i = 0; i < set->count && ok; i++) {
		/* UIDs next to each other are next to each other in the view: all of them are in
		 * it. */
		uint32_t first = imap_view_seq(&im->view, &walk, set->ranges[i].first);

		ok = uid_set_add(&seqs, first,
		                 first + (set->ranges[i].last - set->ranges[i].first));
	}
	uid_set_fini(set);
	*set = seqs;
	return ok;
}

/* ---- how it is said ---- */

/* What is listed number by number or as a set: those of ALL, or those of PARTIAL. */
static const struct uid_set *
listed(const struct search *s)
{
	return (returns(s) & RETURN_PARTIAL) != 0 ? &s->partial : &s->found;
}

/* "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data), up to the set */
static void
write_esearch(struct imap *im, const struct search *s)
{
	struct buf *out = imap_out(im);
	unsigned r = returns(s);
	bool any = s->found.count > 0;

	buf_append_str(out, "* ESEARCH (TAG \"");
	buf_append_slice(out, im->tag);
	buf_append_str(out, im->uid_command ? "\") UID" : "\")");
	if (any && (r & RETURN_MIN) != 0)
		buf_printf(out, " MIN %u", uid_set_next(&s->found, 1));
	if (any && (r & RETURN_MAX) != 0)
		buf_printf(out, " MAX %u", uid_set_max(&s->found));
	if ((r & RETURN_COUNT) != 0)
		buf_printf(out, " COUNT %llu", (unsigned long long)uid_set_size(&s->found));
	if (any && (r & RETURN_ALL) != 0)
		buf_append_str(out, " ALL ");
	if ((r & RETURN_PARTIAL) == 0)
		return;
	buf_append_str(out, " PARTIAL (");
	buf_append_slice(out, s->program.partial_text);
	buf_append_str(out, s->partial.count > 0 ? " " : " NIL");
}

static enum imap_result
write_head(struct imap *im, struct search *s)
{
	bool lists = (returns(s) & (RETURN_ALL | RETURN_PARTIAL)) != 0;

	if (!im->uid_command && (!to_sequence(im, &s->found) || !to_sequence(im, &s->partial)))
		return fail(im, "sequence numbers of a search");
	if (is_extended(im, s))
		write_esearch(im, s);
	else
		buf_append_str(imap_out(im), "* SEARCH");
	s->range = 0;
	s->number = 0;
	s->phase = lists && listed(s)->count > 0 ? SEARCH_NUMBERS : SEARCH_TAIL;
	return IMAP_MORE;
}

/* "SEARCH": every number; true when the range is done. */
static bool
write_each(struct imap *im, struct search *s, const struct uid_range *r)
{
	uint32_t n = s->number > 0 ? s->number : r->first;

	for (; !session_out_full(im->s); n++) {
		buf_append_byte(imap_out(im), ' ');
		buf_append_u64(imap_out(im), n);
		if (n == r->last) {
			s->number = 0;
			return true;
		}
	}
	s->number = n;
	return false;
}

/* "SEARCH": every number of every range; true when all are written. */
static bool
write_list(struct imap *im, struct search *s, const struct uid_set *set)
{
	while (s->range < set->count && write_each(im, s, &set->ranges[s->range]))
		s->range++;
	return s->range == set->count;
}

static enum imap_result
write_numbers(struct imap *im, struct search *s)
{
	const struct uid_set *set = listed(s);

	if (is_extended(im, s) ? imap_out_set_piece(im, set, &s->range) : write_list(im, s, set))
		s->phase = SEARCH_TAIL;
	return IMAP_MORE;
}

/* The highest MODSEQ goes with a result that is not empty [RFC 7162 s3.1.6, RFC 4731 s3.2]. */
static enum imap_result
write_tail(struct imap *im, struct search *s)
{
	struct buf *out = imap_out(im);
	bool extended = is_extended(im, s);

	if (extended && (returns(s) & RETURN_PARTIAL) != 0)
		buf_append_byte(out, ')');
	if (s->program.modseq && s->highest > 0)
		buf_printf(out, extended ? " MODSEQ %llu" : " (MODSEQ %llu)",
			   (unsigned long long)s->highest);
	buf_append_str(out, "\r\n");
	imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	return IMAP_DONE;
}

enum imap_result
search_answer(struct imap *im, struct search *s)
{
	switch (s->phase) {
	case SEARCH_RESULT:
		return make_result(im, s);
	case SEARCH_MODSEQS:
		return read_modseqs(im, s);
	case SEARCH_HEAD:
		return write_head(im, s);
	case SEARCH_NUMBERS:
		return write_numbers(im, s);
	case SEARCH_TAIL:
		return write_tail(im, s);
	case SEARCH_PREPARE:
	case SEARCH_RECALL:
	case SEARCH_REFRESH:
	case SEARCH_SCAN:
	case SEARCH_LEARN:
	case SEARCH_AGAIN:
	case SEARCH_PAGE:
	case SEARCH_CLOSER:
	case SEARCH_MESSAGE:
	case SEARCH_LOOK:
		break;
	}
	assert(false && "not a phase of the answer");
	return IMAP_DONE;
}
