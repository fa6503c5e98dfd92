/* cmd_search - SEARCH and UID SEARCH [RFC 9051 s6.4.4, s6.4.9], ESEARCH [RFC 4731], SEARCHRES
 * [RFC 5182].
 *
 * Rows are read in pages without opening the log; those that the cheap keys leave open are read
 * again with what the others need. Matches are kept as ranges of UIDs and written at the end, in
 * pieces. Messages that were expunged by others do not match [RFC 2180 s4.3]. What a message's
 * damage hides does not match either.
 */
#include "server/imap/commands.h"
#include "server/imap/search.h"

#include <assert.h>

#define PAGE_ROWS      1000u
#define CLOSE_ROWS     50u              /* with summaries and places */
#define PAGE_ARENA_MAX (8u << 20)
#define SCRATCH_MAX    (2u << 20)
#define STEP_COST      5000             /* see cost(): at most some 20 ms */

enum search_phase {
	SEARCH_PREPARE,
	SEARCH_PAGE,
	SEARCH_CLOSER,           /* the next page of what a page of rows left open */
	SEARCH_MESSAGE,
	SEARCH_LOOK,
	SEARCH_HEAD,
	SEARCH_NUMBERS,
	SEARCH_TAIL,
};

struct search {
	struct search_program program;

	enum search_phase   phase;
	struct uid_set      uids;               /* to look at */
	struct uid_set      open;               /* of this page: the cheap keys left them open */
	struct uid_set      found;              /* UIDs; from SEARCH_HEAD on as they are written */
	mail_uid            next_uid;           /* of the pages of rows; 0: no more */
	mail_uid            next_open;

	struct arena        page;
	uint32_t            close_limit;
	struct message_row *rows;
	size_t              row_count, row;
	struct arena        scratch;            /* of the message under way */
	struct mime_summary summary;
	struct search_text  text;

	size_t              range;              /* being written, and the next number in it */
	uint32_t            number;
};

/* search = "SEARCH" [search-return-opts] SP search-program */
static bool
parse_search(struct imap *im, struct cursor *c)
{
	struct search *s = arena_zalloc(&im->arena, sizeof *s);

	if (s == NULL)
		return cur_fail(c, "shorter command (memory limit)");
	im->args = s;
	return search_parse(c, &im->arena, &s->program) && parse_end(c);
}

static void
drop_search(struct imap *im)
{
	struct search *s = im->args;

	if (s == NULL)
		return;
	search_fini(&s->program);
	if (s->phase == SEARCH_PREPARE)
		return;
	uid_set_fini(&s->uids);
	uid_set_fini(&s->open);
	uid_set_fini(&s->found);
	arena_fini(&s->page);
	arena_fini(&s->scratch);
	search_text_fini(&s->text);
}

static enum imap_result
fail(struct imap *im, enum rc rc, const struct err *e)
{
	imap_reply_error(im, rc, e);
	return IMAP_DONE;
}

static enum imap_result
prepare(struct imap *im, struct search *s)
{
	struct err e = ERR_INIT;
	enum rc rc;

	rc = imap_view_load(&im->view, im->volume, im->mailbox, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	if (!search_prepare(im, &s->program))
		return IMAP_DONE;
	uid_set_init(&s->uids, VIEW_RANGES_MAX);
	uid_set_init(&s->open, VIEW_RANGES_MAX);
	uid_set_init(&s->found, VIEW_RANGES_MAX);
	arena_init(&s->page, PAGE_ARENA_MAX);
	arena_init(&s->scratch, SCRATCH_MAX);
	search_text_init(&s->text);
	s->close_limit = CLOSE_ROWS;
	s->next_uid = 1;
	s->phase = SEARCH_PAGE;
	if (!search_candidates(im, &s->program, &s->uids))
		return fail(im, err_nomem(&e), &e);
	return IMAP_MORE;
}

/* ---- rows ---- */

static enum rc
judge_rows(struct imap *im, struct search *s, struct err *e)
{
	for (size_t i = 0; i < s->row_count; i++) {
		mail_uid uid = s->rows[i].uid;
		struct uid_set *to = NULL;

		search_row(im, &s->program, &s->rows[i]);
		switch (search_eval(&s->program)) {
		case SEARCH_TRUE:
			to = &s->found;
			break;
		case SEARCH_UNKNOWN:
			to = &s->open;
			break;
		case SEARCH_FALSE:
			break;
		}
		if (to != NULL && !uid_set_add(to, uid, uid))
			return err_nomem(e);
	}
	return RC_OK;
}

static enum imap_result
next_page(struct imap *im, struct search *s)
{
	struct err e = ERR_INIT;
	enum rc rc;

	if (s->next_uid == 0) {
		s->phase = SEARCH_HEAD;
		return IMAP_MORE;
	}
	arena_reset(&s->page);
	uid_set_reset(&s->open);
	rc = volume_read_messages(im->volume, im->mailbox, &s->uids, s->next_uid, PAGE_ROWS, 0,
				  &s->page, &s->rows, &s->row_count, &e);
	if (rc == RC_OK)
		rc = judge_rows(im, s, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	s->next_uid = s->row_count < PAGE_ROWS || s->rows[s->row_count - 1].uid == UINT32_MAX
	            ? 0 : s->rows[s->row_count - 1].uid + 1;
	s->row = s->row_count = 0;
	s->next_open = 1;
	s->phase = s->open.count > 0 ? SEARCH_CLOSER : SEARCH_PAGE;
	return IMAP_MORE;
}

/* ---- messages that need a closer look ---- */

/* Fewer rows at once where summaries or chunk tables are too large for the arena; a single one
 * that is does not match. */
static enum rc
read_open(struct imap *im, struct search *s, struct err *e)
{
	uint32_t want = WANT_SUMMARY | (s->program.needs_place ? WANT_PLACE : 0u);
	enum rc rc;

	for (;;) {
		arena_reset(&s->page);
		rc = volume_read_messages(im->volume, im->mailbox, &s->open, s->next_open,
					  s->close_limit, want, &s->page, &s->rows, &s->row_count,
					  e);
		if ((rc != RC_LIMIT && rc != RC_NOMEM) || s->close_limit == 1)
			break;
		s->close_limit /= 2;
	}
	s->row = 0;
	if (rc != RC_LIMIT && rc != RC_NOMEM)
		return rc;
	s->row_count = 0;
	s->next_open = uid_set_next(&s->open, s->next_open);
	s->next_open += s->next_open == 0 || s->next_open == UINT32_MAX ? 0 : 1;
	return RC_OK;
}

static enum imap_result
next_open(struct imap *im, struct search *s)
{
	struct err e = ERR_INIT;
	mail_uid before = s->next_open, last;
	enum rc rc;

	if (s->next_open == 0) {
		s->phase = SEARCH_PAGE;
		return IMAP_MORE;
	}
	rc = read_open(im, s, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	if (s->row_count > 0) {
		last = s->rows[s->row_count - 1].uid;
		s->next_open = s->row_count < s->close_limit || last == UINT32_MAX ? 0 : last + 1;
		s->phase = SEARCH_MESSAGE;
	} else if (s->next_open == before) {
		s->next_open = 0;               /* all the rest was expunged meanwhile */
	}
	return IMAP_MORE;
}

/* The message under way is judged. */
static enum imap_result
judged(struct imap *im, struct search *s, enum search_truth t)
{
	struct err e = ERR_INIT;
	mail_uid uid = s->rows[s->row].uid;

	if (t == SEARCH_TRUE && !uid_set_add(&s->found, uid, uid))
		return fail(im, err_nomem(&e), &e);
	s->row++;
	s->phase = SEARCH_MESSAGE;
	return IMAP_MORE;
}

static enum imap_result
next_message(struct imap *im, struct search *s)
{
	const struct message_row *row = &s->rows[s->row];
	struct err e = ERR_INIT;
	enum search_truth t;

	if (s->row == s->row_count) {
		s->phase = SEARCH_CLOSER;
		return IMAP_MORE;
	}
	arena_reset(&s->scratch);
	search_row(im, &s->program, row);
	if (mime_summary_decode(row->summary, &s->scratch, &s->summary, &e) != RC_OK)
		return judged(im, s, SEARCH_FALSE);
	search_summary(&s->program, row, &s->summary);
	t = search_eval(&s->program);
	if (t != SEARCH_UNKNOWN)
		return judged(im, s, t);
	search_headers(im, &s->program, row, &s->summary);
	t = search_eval(&s->program);
	if (t != SEARCH_UNKNOWN)
		return judged(im, s, t);
	search_text_begin(&s->text);
	s->phase = SEARCH_LOOK;
	return IMAP_MORE;
}

static enum imap_result
next_text(struct imap *im, struct search *s)
{
	enum search_truth t;

	if (!search_text_next(im, &s->program, &s->text, &s->rows[s->row], &s->summary))
		search_close(&s->program);
	t = search_eval(&s->program);
	return t == SEARCH_UNKNOWN ? IMAP_MORE : judged(im, s, t);
}

/* ---- the answer ---- */

/* MIN and MAX without ALL or COUNT save only what they return [RFC 5182 s2.4]. */
static bool
save_result(struct imap *im, const struct search *s)
{
	unsigned r = s->program.returns;
	struct uid_set *saved = &im->view.saved;
	mail_uid min = uid_set_next(&s->found, 1), max = uid_set_max(&s->found);

	if ((r & (RETURN_ALL | RETURN_COUNT)) != 0 || (r & (RETURN_MIN | RETURN_MAX)) == 0)
		return uid_set_copy(saved, &s->found);
	uid_set_reset(saved);
	if (max == 0)
		return true;
	return ((r & RETURN_MIN) == 0 || uid_set_add(saved, min, min))
	    && ((r & RETURN_MAX) == 0 || uid_set_add(saved, max, max));
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

/* "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data), up to ALL */
static void
write_head(struct imap *im, const struct search *s)
{
	struct buf *out = imap_out(im);
	unsigned r = returns(s);
	bool any = s->found.count > 0;

	if (!is_extended(im, s)) {
		buf_append_str(out, "* SEARCH");
		return;
	}
	buf_append_str(out, "* ESEARCH (TAG \"");
	buf_append_slice(out, im->tag);
	buf_append_str(out, im->uid_command ? "\") UID" : "\")");
	if (any && (r & RETURN_MIN) != 0)
		buf_printf(out, " MIN %u", uid_set_next(&s->found, 1));
	if (any && (r & RETURN_MAX) != 0)
		buf_printf(out, " MAX %u", uid_set_max(&s->found));
	if ((r & RETURN_COUNT) != 0)
		buf_printf(out, " COUNT %llu", (unsigned long long)uid_set_size(&s->found));
}

static enum imap_result
begin_answer(struct imap *im, struct search *s)
{
	struct err e = ERR_INIT;

	if ((s->program.returns & RETURN_SAVE) != 0 && !save_result(im, s))
		return fail(im, err_nomem(&e), &e);
	if (!im->uid_command && !to_sequence(im, &s->found))
		return fail(im, err_nomem(&e), &e);
	if (s->program.returns == RETURN_SAVE) {
		imap_reply(im, IMAP_OK, "%s completed, result saved", im->cmd->name);
		return IMAP_DONE;
	}
	write_head(im, s);
	s->range = 0;
	s->number = 0;
	s->phase = SEARCH_NUMBERS;
	if (is_extended(im, s) && (s->found.count == 0 || (returns(s) & RETURN_ALL) == 0))
		s->phase = SEARCH_TAIL;
	else if (is_extended(im, s))
		buf_append_str(imap_out(im), " ALL ");
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

static void
write_range(struct imap *im, size_t i, const struct uid_range *r)
{
	struct buf *out = imap_out(im);

	if (i > 0)
		buf_append_byte(out, ',');
	buf_append_u64(out, r->first);
	if (r->last > r->first) {
		buf_append_byte(out, ':');
		buf_append_u64(out, r->last);
	}
}

static enum imap_result
write_numbers(struct imap *im, struct search *s)
{
	bool extended = is_extended(im, s);

	while (s->range < s->found.count && !session_out_full(im->s)) {
		const struct uid_range *r = &s->found.ranges[s->range];

		if (extended)
			write_range(im, s->range, r);
		else if (!write_each(im, s, r))
			return IMAP_MORE;
		s->range++;
	}
	if (s->range == s->found.count)
		s->phase = SEARCH_TAIL;
	return IMAP_MORE;
}

static enum imap_result
advance(struct imap *im, struct search *s)
{
	switch (s->phase) {
	case SEARCH_PREPARE:
		return prepare(im, s);
	case SEARCH_PAGE:
		return next_page(im, s);
	case SEARCH_CLOSER:
		return next_open(im, s);
	case SEARCH_MESSAGE:
		return next_message(im, s);
	case SEARCH_LOOK:
		return next_text(im, s);
	case SEARCH_HEAD:
		return begin_answer(im, s);
	case SEARCH_NUMBERS:
		return write_numbers(im, s);
	case SEARCH_TAIL:
		buf_append_str(imap_out(im), "\r\n");
		imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
		return IMAP_DONE;
	}
	assert(false && "unknown phase");
	return IMAP_DONE;
}

/* What one round of `advance` in that phase has cost, in units of some 4 microseconds. */
static int
cost(const struct search *s, enum search_phase phase)
{
	switch (phase) {
	case SEARCH_PAGE:
	case SEARCH_CLOSER:
		return 1000;
	case SEARCH_MESSAGE:
		return s->program.needs_place ? 20 : 5;
	case SEARCH_LOOK:
		return 20 + (int)(s->text.raw.len / 64);
	case SEARCH_PREPARE:
	case SEARCH_HEAD:
	case SEARCH_NUMBERS:
	case SEARCH_TAIL:
		return 100;
	}
	assert(false && "unknown phase");
	return 1;
}

static enum imap_result
run_search(struct imap *im)
{
	struct search *s = im->args;
	enum imap_result r = IMAP_MORE;

	for (int spent = 0; r == IMAP_MORE && spent < STEP_COST && !session_out_full(im->s);) {
		enum search_phase phase = s->phase;

		r = advance(im, s);
		spent += cost(s, phase);
	}
	/* Until then "$" is what the keys of this very command may name. NO leaves nothing saved,
	 * BAD what there was [RFC 5182 s2.1]. */
	if (r == IMAP_DONE && im->status == IMAP_NO && (s->program.returns & RETURN_SAVE) != 0)
		uid_set_reset(&im->view.saved);
	return r;
}

const struct imap_command imap_cmd_search = {
	.name = "SEARCH",
	.states = IMAP_SELECTED,
	.effect = EFFECT_USES_SEQ,
	.parse = parse_search,
	.run = run_search,
	.drop = drop_search,
};

const struct imap_command imap_cmd_uid_search = {
	.name = "UID SEARCH",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_search,
	.run = run_search,
	.drop = drop_search,
};
