/* cmd_search - SEARCH and UID SEARCH [RFC 9051 s6.4.4, s6.4.9]: the messages that match. The answer
 * is search_answer.c.
 *
 * The columns of the mailbox (index/columns.h) answer the cheap keys, and SUBJECT where it is known
 * from an earlier search or the summary; where there are none, rows are read in pages. Messages that
 * these leave open are read with what the other keys need, from the log. Matches are kept as ranges of UIDs. Messages that were expunged
 * by others do not match [RFC 2180 s4.3]. What a message's damage hides does not match either.
 */
#include "server/imap/commands.h"
#include "server/imap/search.h"

#include "lib/clock.h"

#include <assert.h>

#define SCAN_ROWS      5000u
#define LOOK_ROWS      256u             /* scanned between two looks at the clock */
#define LOOK_ROWS_TEXT 8u
#define COLUMNS_SHARE  4u               /* columns are made for a search of a larger part than 1/4 */
#define LEARN_ROWS     500u             /* summaries read at once */
#define CLOSE_ROWS     50u              /* with summaries and places */
#define PAGE_ARENA_MAX (8u << 20)
#define SCRATCH_MAX    (2u << 20)
#define STEP_COST      5000             /* see cost(): some 20 ms of a fast machine */
#define STEP_MS        20u              /* of a slow one */

/* search = "SEARCH" [search-return-opts] SP search-program */
static bool
parse_search(struct imap *im, struct cursor *c)
{
	struct search *s = arena_zalloc(&im->arena, sizeof *s);

	if (s == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = s;
	if (search_parse(c, &im->arena, &s->program))
		return parse_end(c);
	if (c->limit && (s->program.returns & RETURN_SAVE) != 0)
		uid_set_reset(&im->view.saved); /* as with any NO [RFC 9051 s6.4.4.1] */
	return false;
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
	columns_give(im->volume, &s->columns);
	uid_set_fini(&s->uids);
	uid_set_fini(&s->open);
	uid_set_fini(&s->learnt);
	uid_set_fini(&s->found);
	uid_set_fini(&s->partial);
	uid_set_fini(&s->chosen);
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

/* Columns are made for a large part of the mailbox, and where they hold UIDs and Subjects alone, they are filled for it. */
static enum columns_wish
wish_of(const struct imap *im, const struct search *s)
{
	if (s->goal > uid_set_size(&im->view.uids) / COLUMNS_SHARE)
		return COLUMNS_ANEW;
	return s->program.asks_subject ? COLUMNS_KEPT : COLUMNS_FULL;
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
	uid_set_init(&s->learnt, VIEW_RANGES_MAX);
	uid_set_init(&s->found, VIEW_RANGES_MAX);
	uid_set_init(&s->partial, VIEW_RANGES_MAX);
	uid_set_init(&s->chosen, VIEW_RANGES_MAX);
	arena_init(&s->page, PAGE_ARENA_MAX);
	arena_init(&s->scratch, SCRATCH_MAX);
	search_text_init(&s->text);
	s->close_limit = CLOSE_ROWS;
	s->next_uid = 1;
	s->phase = SEARCH_PAGE;
	if (!search_candidates(im, &s->program, &s->uids))
		return fail(im, err_nomem(&e), &e);
	s->goal = uid_set_size(&s->uids);
	s->columns = columns_take(im->volume, im->mailbox, wish_of(im, s));
	if (s->columns != NULL)
		s->phase = s->program.asks_subject ? SEARCH_RECALL : SEARCH_REFRESH;
	search_sieve_make(&s->sieve, &s->program);
	if (s->program.modseq)
		imap_enable_condstore(im);      /* [RFC 7162 s3.1] */
	return IMAP_MORE;
}

/* A message has been judged. False without memory. */
static bool
settle(struct search *s, const struct message_row *row, enum search_truth t)
{
	s->done++;
	if (t != SEARCH_TRUE)
		return true;
	if (row->modseq > s->highest)
		s->highest = row->modseq;
	return uid_set_add(&s->found, row->uid, row->uid);
}

/* ---- columns ---- */

static enum imap_result
refresh_columns(struct imap *im, struct search *s)
{
	bool texts = s->phase == SEARCH_RECALL, done;
	struct err e = ERR_INIT;
	enum rc rc = (texts ? columns_refresh_texts : columns_refresh)(im->volume, s->columns, &done, &e);

	if (rc == RC_OK) {
		if (done)
			s->phase = texts && s->program.asks_more ? SEARCH_REFRESH : SEARCH_SCAN;
		return IMAP_MORE;
	}
	if (rc != RC_LIMIT && rc != RC_NOMEM)
		return fail(im, rc, &e);
	columns_give(im->volume, &s->columns);
	s->phase = SEARCH_PAGE;
	return IMAP_MORE;
}

/* `row` has nothing but what is set here. */
static bool
judge_column(struct imap *im, struct search *s, const struct column_row *c, struct message_row *row)
{
	struct slice subject;
	enum search_truth t;

	row->uid = c->uid;
	row->flags = c->flags;
	row->keywords = columns_keywords(s->columns, c);
	row->modseq = columns_modseq(s->columns, c);
	row->internaldate = (struct mail_date){ c->internaldate, c->zone };
	row->savedate = (struct mail_date){ c->savedate, c->savezone };
	row->threadid = c->threadid;
	row->size = c->size;
	search_row(im, &s->program, row);
	if (s->program.asks_subject && columns_text(s->columns, c, &subject))
		search_subject(&s->program, subject);
	t = search_eval(&s->program);
	return t == SEARCH_UNKNOWN ? uid_set_add(&s->open, row->uid, row->uid) : settle(s, row, t);
}

/* A row takes 10 ns, or a millisecond where each of many keys looks into a long text. */
static bool
is_scan_over(const struct search *s, size_t n, uint64_t began_ms)
{
	size_t look = s->program.texts > 0 ? LOOK_ROWS_TEXT : LOOK_ROWS;

	return n == SCAN_ROWS || (n % look == look - 1 && clock_mono_ms() - began_ms >= STEP_MS);
}

/* A piece of the rows, as far as they are members, from UID *next on; 0: that was the last. */
static bool
scan_columns(struct imap *im, struct search *s, const struct uid_set *uids, mail_uid *next)
{
	struct message_row row = { 0 };
	uint64_t began = clock_mono_ms();
	size_t count, n = 0;
	const struct column_row *rows = columns_rows(s->columns, &count);

	for (size_t i = 0; i < uids->count; i++) {
		struct uid_range r = uids->ranges[i];

		if (r.last < *next)
			continue;
		for (size_t k = columns_seek(s->columns, r.first > *next ? r.first : *next);
		     k < count && rows[k].uid <= r.last; k++) {
			if (is_scan_over(s, n++, began)) {
				*next = rows[k].uid;
				return true;
			}
			if (search_sieve_rejects(&s->sieve, &rows[k]))
				s->done++;
			else if (!judge_column(im, s, &rows[k], &row))
				return false;
		}
	}
	*next = 0;
	return true;
}

static enum imap_result
next_scan(struct imap *im, struct search *s)
{
	struct err e = ERR_INIT;

	if (s->next_uid == 0) {
		columns_give(im->volume, &s->columns);
		s->phase = SEARCH_RESULT;
		return IMAP_MORE;
	}
	uid_set_reset(&s->open);
	if (!scan_columns(im, s, &s->uids, &s->next_uid))
		return fail(im, err_nomem(&e), &e);
	s->next_open = 1;
	s->phase = s->open.count == 0 ? SEARCH_SCAN :
	           s->program.asks_subject ? SEARCH_LEARN : SEARCH_CLOSER;
	return IMAP_MORE;
}

static void
learn_subject(struct imap *im, struct search *s, const struct message_summary *m)
{
	struct mime_summary head;

	if (mime_summary_decode_head(m->summary, &head) &&
	    search_subject_of(&head, &s->text.shown, &s->text.subject))
		columns_learn(im->volume, s->columns, m->uid, buf_slice(&s->text.subject));
}

/* Summaries too large for the arena are left to the closer look. */
static enum imap_result
next_learn(struct imap *im, struct search *s)
{
	struct message_summary *m;
	struct err e = ERR_INIT;
	size_t count;
	enum rc rc;

	arena_reset(&s->page);
	rc = volume_list_summaries(im->volume, im->mailbox, &s->open, s->next_open, LEARN_ROWS,
				   &s->page, &m, &count, &e);
	if (rc != RC_OK && rc != RC_LIMIT && rc != RC_NOMEM)
		return fail(im, rc, &e);
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		learn_subject(im, s, &m[i]);
	if (rc == RC_OK && count == LEARN_ROWS && m[count - 1].uid < UINT32_MAX) {
		s->next_open = m[count - 1].uid + 1;
		return IMAP_MORE;
	}
	uid_set_reset(&s->learnt);
	if (!uid_set_copy(&s->learnt, &s->open))
		return fail(im, err_nomem(&e), &e);
	uid_set_reset(&s->open);
	s->next_open = 1;
	s->phase = SEARCH_AGAIN;
	return IMAP_MORE;
}

/* Those that were left open, with what was learnt of them. */
static enum imap_result
next_again(struct imap *im, struct search *s)
{
	struct err e = ERR_INIT;

	if (!scan_columns(im, s, &s->learnt, &s->next_open))
		return fail(im, err_nomem(&e), &e);
	if (s->next_open != 0)
		return IMAP_MORE;
	s->next_open = 1;
	s->phase = s->open.count > 0 ? SEARCH_CLOSER : SEARCH_SCAN;
	return IMAP_MORE;
}

/* ---- rows ---- */

static enum rc
judge_rows(struct imap *im, struct search *s, struct err *e)
{
	for (size_t i = 0; i < s->row_count; i++) {
		const struct message_row *row = &s->rows[i];
		enum search_truth t;

		search_row(im, &s->program, row);
		t = search_eval(&s->program);
		if (t == SEARCH_UNKNOWN ? !uid_set_add(&s->open, row->uid, row->uid)
		                        : !settle(s, row, t))
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
		s->phase = SEARCH_RESULT;
		return IMAP_MORE;
	}
	arena_reset(&s->page);
	uid_set_reset(&s->open);
	rc = volume_read_messages(im->volume, im->mailbox, &s->uids, s->next_uid,
				  SEARCH_PAGE_ROWS, 0, &s->page, &s->rows, &s->row_count, &e);
	if (rc == RC_OK)
		rc = judge_rows(im, s, &e);
	if (rc != RC_OK)
		return fail(im, rc, &e);
	s->next_uid = s->row_count < SEARCH_PAGE_ROWS || s->rows[s->row_count - 1].uid == UINT32_MAX
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
		s->phase = s->columns != NULL ? SEARCH_SCAN : SEARCH_PAGE;
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

	if (!settle(s, &s->rows[s->row], t))
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
	search_text_begin(&s->text, s->columns != NULL && s->program.asks_subject);
	s->phase = SEARCH_LOOK;
	return IMAP_MORE;
}

static enum imap_result
next_text(struct imap *im, struct search *s)
{
	enum search_truth t;

	if (!search_text_next(im, &s->program, &s->text, &s->rows[s->row], &s->summary))
		search_close(&s->program);
	if (s->text.learnt)
		columns_learn(im->volume, s->columns, s->rows[s->row].uid,
		              buf_slice(&s->text.subject));
	s->text.learnt = false;
	t = search_eval(&s->program);
	return t == SEARCH_UNKNOWN ? IMAP_MORE : judged(im, s, t);
}

static enum imap_result
advance(struct imap *im, struct search *s)
{
	switch (s->phase) {
	case SEARCH_PREPARE:
		return prepare(im, s);
	case SEARCH_RECALL:
	case SEARCH_REFRESH:
		return refresh_columns(im, s);
	case SEARCH_SCAN:
		return next_scan(im, s);
	case SEARCH_LEARN:
		return next_learn(im, s);
	case SEARCH_AGAIN:
		return next_again(im, s);
	case SEARCH_PAGE:
		return next_page(im, s);
	case SEARCH_CLOSER:
		return next_open(im, s);
	case SEARCH_MESSAGE:
		return next_message(im, s);
	case SEARCH_LOOK:
		return next_text(im, s);
	case SEARCH_RESULT:
	case SEARCH_MODSEQS:
	case SEARCH_HEAD:
	case SEARCH_NUMBERS:
	case SEARCH_TAIL:
		return search_answer(im, s);
	}
	assert(false && "unknown phase");
	return IMAP_DONE;
}

/* What one round of `advance` in that phase has cost, in units of some 4 microseconds. */
static int
cost(const struct search *s, enum search_phase phase)
{
	switch (phase) {
	case SEARCH_RECALL:
	case SEARCH_REFRESH:
		return 2500;
	case SEARCH_SCAN:
	case SEARCH_AGAIN:
		return 100;
	case SEARCH_LEARN:
	case SEARCH_PAGE:
	case SEARCH_CLOSER:
	case SEARCH_MODSEQS:
		return 1000;
	case SEARCH_MESSAGE:
		return s->program.needs_place ? 20 : 5;
	case SEARCH_LOOK:
		return 20 + (int)(s->text.raw.len / 64);
	case SEARCH_PREPARE:
	case SEARCH_RESULT:
	case SEARCH_HEAD:
	case SEARCH_NUMBERS:
	case SEARCH_TAIL:
		return 100;
	}
	assert(false && "unknown phase");
	return 1;
}

static bool
is_step_over(struct imap *im, int spent, uint64_t began_ms)
{
	return spent >= STEP_COST || session_out_full(im->s)
	    || clock_mono_ms() - began_ms >= STEP_MS;
}

static enum imap_result
run_search(struct imap *im)
{
	struct search *s = im->args;
	enum imap_result r;
	uint64_t began = clock_mono_ms();
	int spent = 0;

	do {
		enum search_phase phase = s->phase;

		r = advance(im, s);
		spent += cost(s, phase);
	} while (r == IMAP_MORE && !is_step_over(im, spent, began));
	/* Not between the numbers of an answer. */
	if (r == IMAP_MORE && s->phase < SEARCH_HEAD)
		imap_progress(im, s->done, s->goal);
	/* Until then "$" is what the keys of this very command may name. NO leaves nothing saved,
	 * BAD what there was [RFC 5182 s2.1]. */
	if (r == IMAP_DONE && im->status == IMAP_NO && (s->program.returns & RETURN_SAVE) != 0)
		uid_set_reset(&im->view.saved);
	return r;
}

/* A charset has no place where all text is UTF-8 [RFC 9755 s3], message numbers none with UIDONLY
 * [RFC 9586 s3.2]. */
static bool
check_search(struct imap *im)
{
	const struct search *s = im->args;

	if (im->utf8_accept && s->program.charset.len > 0) {
		imap_reply(im, IMAP_BAD, "CHARSET is not allowed after ENABLE UTF8=ACCEPT");
		return false;
	}
	return !imap_refuse_command(im);
}

const struct imap_command imap_cmd_search = {
	.name = "SEARCH",
	.states = IMAP_SELECTED,
	.effect = EFFECT_USES_SEQ,
	.parse = parse_search,
	.check = check_search,
	.run = run_search,
	.drop = drop_search,
};

const struct imap_command imap_cmd_uid_search = {
	.name = "UID SEARCH",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_search,
	.check = check_search,
	.run = run_search,
	.drop = drop_search,
};
