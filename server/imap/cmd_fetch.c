/* cmd_fetch - FETCH and UID FETCH [RFC 9051 s6.4.5, s6.4.9]: a machine that answers in pieces.
 * See fetch.h.
 *
 * Memory is bounded whatever is asked: rows come in pages with an arena of their own, one
 * message is under way at a time, and a literal is written in pieces of 64 KiB. Messages that
 * other sessions expunged, but this client was not told about, are answered from their
 * tombstones; beyond the retention there is NO [EXPUNGEISSUED].
 */
#include "lib/nowait.h"
#include "lib/preview.h"
#include "server/damage.h"
#include "server/imap/commands.h"
#include "server/imap/fetch.h"

#include <assert.h>

#define PAGE_ROWS        500u           /* rows alone are small */
#define PAGE_ROWS_LISTED 200u           /* with summaries */
#define PAGE_ROWS_PLACED 100u           /* with places too */
#define LISTED_MAX       65536u         /* octets of a message's answer that are written at once */
#define PAGE_ARENA_MAX   (16u << 20)
#define SCRATCH_MAX      (2u << 20)     /* decoded part table of one message, and room */
#define MEASURE_PIECES   8              /* pieces of FETCH_PIECE decoded per step */
#define STEP_COST        5000           /* see cost(): some 10 ms */
#define HEAD_MAX         512u           /* octets around a literal, mostly */
#define LIGHT_ARENA_MAX  (256u << 10)   /* rows of a light run */

static bool
has_kind(const struct fetch_request *r, enum fetch_kind kind)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].kind == kind)
			return true;
	return false;
}

/* An item that nobody asked for, in front, so that a client that stores a literal as it arrives
 * knows whose it is. */
static bool
add_first(struct fetch_request *r, enum fetch_kind kind)
{
	struct fetch_item it;

	if (has_kind(r, kind))
		return true;
	if (!fetch_add_item(r, kind))
		return false;
	it = r->items[r->count - 1];
	memmove(r->items + 1, r->items, (r->count - 1) * sizeof *r->items);
	r->items[0] = it;
	return true;
}

/* MODSEQ with CHANGEDSINCE [RFC 7162 s3.1.4.1]. UID in every answer to UID FETCH [RFC 9051 s6.4.9],
 * but for UIDFETCH, which begins with it [RFC 9586 s3.3]. */
static bool
add_implied(struct imap *im, struct fetch *f)
{
	if (f->mods.changedsince && !add_first(&f->req, FETCH_MODSEQ))
		return false;
	return !im->uid_command || im->uidonly || add_first(&f->req, FETCH_UID);
}

/* fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP
 * fetch-att) ")") [fetch-modifiers] [RFC 9051 s9, RFC 4466 s3] */
static bool
parse_fetch(struct imap *im, struct cursor *c)
{
	struct fetch *f = arena_zalloc(&im->arena, sizeof *f);

	if (f == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = f;
	if (!cur_space(c) || !parse_sequence_set(c, &im->arena, &f->set) || !cur_space(c)
	    || !fetch_parse_items(c, &im->arena, &f->req)
	    || !fetch_parse_modifiers(c, &f->mods) || !parse_end(c))
		return false;
	if (!add_implied(im, f))
		return cur_limit(c, "fewer data items");
	fetch_note_needs(&f->req);
	f->pieces = arena_array(&im->arena, f->req.count, sizeof *f->pieces);
	if (f->pieces == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	return true;
}

static bool
check_fetch(struct imap *im)
{
	const struct fetch *f = im->args;

	return !imap_refuse_command(im) && fetch_check_modifiers(im, &f->mods);
}

void
fetch_drop(struct imap *im)
{
	struct fetch *f = im->args;

	if (f == NULL || f->phase == FETCH_RESOLVE)
		return;
	uid_set_fini(&f->uids);
	uid_set_fini(&f->changed);
	uid_set_fini(&f->gone);
	uid_set_fini(&f->unseen);
	buf_fini(&f->rendered);
	buf_fini(&f->preview);
	arena_fini(&f->page);
	arena_fini(&f->scratch);
	buf_fini(&f->raw);
	buf_fini(&f->text);
	buf_fini(&f->lines);
	columns_give(im->volume, &f->columns);
	fetch_ahead_drop(f);
}

/* ---- pages of rows ---- */

static enum rc
read_page(struct imap *im, struct fetch *f, uint32_t limit, uint32_t want, struct err *e)
{
	const struct uid_set gap = { .ranges = &f->at_row.gap, .count = 1 };
	const struct uid_set *uids = f->at_row.gap.first != 0 ? &gap : &f->uids;
	bool recalled;
	enum rc rc;

	arena_reset(&f->page);
	f->row = f->row_count = 0;
	f->page.max = nowait_is_on() ? LIGHT_ARENA_MAX : PAGE_ARENA_MAX;
	rc = fetch_recall_page(im, f, want | WANT_EXPUNGED, &recalled, e);
	if (rc != RC_OK || recalled)
		return rc;
	return volume_read_messages(im->volume, im->mailbox, uids, f->at_row.next_uid, limit,
				    want | WANT_EXPUNGED, &f->page, &f->rows, &f->row_count, e);
}

static void
set_next_page(struct fetch *f, uint32_t limit)
{
	mail_uid last = f->row_count > 0 ? f->rows[f->row_count - 1].uid : UINT32_MAX;

	if (f->row_count < limit) {
		last = f->at_row.gap.first != 0 ? f->at_row.gap.last : UINT32_MAX;
		f->at_row.gap.first = 0;
	}
	f->at_row.next_uid = last == UINT32_MAX ? 0 : last + 1;
}

static void
note_trouble(struct fetch *f, enum fetch_trouble t, mail_uid uid)
{
	if (f->trouble != FETCH_FINE)
		return;
	f->trouble = t;
	f->trouble_uid = uid;
}

/* Not even one row fits: that message is left out. */
static void
skip_large_row(struct fetch *f)
{
	mail_uid uid = uid_set_next(&f->uids, f->at_row.next_uid);

	note_trouble(f, FETCH_TOO_LARGE, uid);
	f->row = f->row_count = 0;
	f->at_row.seen++;
	f->at_row.next_uid = uid == 0 || uid == UINT32_MAX ? 0 : uid + 1;
}

/* Does an answer of this page name keywords? Another session may have just made them. */
static bool
shows_keywords(const struct fetch *f)
{
	if (!has_kind(&f->req, FETCH_FLAGS) && f->unseen.count == 0)
		return false;
	for (size_t i = 0; i < f->row_count; i++)
		if (f->rows[i].keywords.len > 0)
			return true;
	return false;
}

/* The next page for answering; fewer rows where summaries or chunk tables are too large for the
 * arena. */
static enum rc
next_page(struct imap *im, struct fetch *f, struct err *e)
{
	uint32_t want =
	    (f->req.needs_summary ? WANT_SUMMARY : 0u) | (f->req.needs_place ? WANT_PLACE : 0u) |
	    (f->req.only_flags ? WANT_ONLY_FLAGS : 0u) | (f->req.only_content ? WANT_ONLY_CONTENT : 0u);
	enum rc rc;

	for (;;) {
		rc = read_page(im, f, f->page_limit, want, e);
		if ((rc != RC_LIMIT && rc != RC_NOMEM) || nowait_is_on())
			break;
		if (f->page_limit == 1) {
			skip_large_row(f);
			return RC_OK;
		}
		f->page_limit /= 2;
	}
	if (rc != RC_OK)
		return rc;
	set_next_page(f, f->page_limit);
	f->at_row.seen += f->row_count;
	fetch_ahead_page(im, f);
	return shows_keywords(f) ? imap_tell_keywords(im, false, e) : RC_OK;
}

/* ---- before the first answer ---- */

static void
init_fetch(struct fetch *f)
{
	uid_set_init(&f->changed, VIEW_RANGES_MAX);
	uid_set_init(&f->gone, VIEW_RANGES_MAX);
	uid_set_init(&f->unseen, VIEW_RANGES_MAX);
	arena_init(&f->page, PAGE_ARENA_MAX);
	arena_init(&f->scratch, SCRATCH_MAX);
	buf_init(&f->rendered, FETCH_HEADER_MAX + 2);  /* a header and a blank line, or a summary */
	buf_init(&f->preview, PREVIEW_MAX);
	buf_init(&f->raw, FETCH_PIECE);
	buf_init(&f->text, 2 * FETCH_PIECE);
	buf_init(&f->lines, 4 * FETCH_PIECE);
	f->page_limit = f->req.needs_place     ? PAGE_ROWS_PLACED
	                : f->req.needs_summary ? PAGE_ROWS_LISTED
	                                       : PAGE_ROWS;
	f->at_row.next_uid = 1;
}

/* Making previews costs: who asks for many is to be found [RFC 8970 s8]. */
static void
log_preview(struct imap *im, const struct fetch *f)
{
	struct logline l;

	session_log(im->s, &l, LOGLEVEL_DEBUG, "imap.fetch.preview");
	log_u64(&l, "messages", uid_set_size(&f->uids));
	log_end(&l);
}

static enum imap_result
resolve(struct imap *im, struct fetch *f)
{
	struct err e = ERR_INIT;
	enum rc rc;

	if (!imap_resolve_set(im, &f->set, &f->uids))
		return IMAP_DONE;       /* phase is still FETCH_RESOLVE: nothing to drop */
	init_fetch(f);
	f->phase = FETCH_NEXT_ROW;
	if (has_kind(&f->req, FETCH_PREVIEW))
		log_preview(im, f);
	if (has_kind(&f->req, FETCH_MODSEQ))
		imap_enable_condstore(im);      /* [RFC 7162 s3.1] */
	rc = fetch_apply_modifiers(im, f, &e);
	if (rc != RC_OK) {
		imap_reply_error(im, rc, &e);
		return IMAP_DONE;
	}
	f->phase = f->mods.changedsince ? FETCH_CHANGED : FETCH_VANISHED;
	return IMAP_MORE;
}

static enum imap_result
find_changed(struct imap *im, struct fetch *f)
{
	struct err e = ERR_INIT;
	bool done;
	enum rc rc = fetch_find_changed(im, f, &done, &e);

	if (rc != RC_OK) {
		imap_reply_error(im, rc, &e);
		return IMAP_DONE;
	}
	if (done)
		f->phase = FETCH_VANISHED;
	return IMAP_MORE;
}

/* "MUST be returned before any FETCH responses" [RFC 7162 s3.2.6] */
static void
tell_earlier(struct imap *im, struct fetch *f)
{
	imap_out_vanished_piece(im, &f->gone, &f->gone_told, true);
	if (f->gone_told < f->gone.count)
		return;
	f->phase = f->req.sets_seen && !im->read_only ? FETCH_FIND_UNSEEN : FETCH_NEXT_ROW;
}

/* \Seen is set first, so that the answers carry the flags as they then are [RFC 9051 s6.4.5].
 * Finding out which messages lack it costs less than to have the writer look at all. */
static enum imap_result
find_unseen(struct imap *im, struct fetch *f)
{
	struct err e = ERR_INIT;
	enum rc rc = read_page(im, f, PAGE_ROWS, WANT_ONLY_FLAGS, &e);

	for (size_t i = 0; rc == RC_OK && i < f->row_count; i++)
		if ((f->rows[i].flags & FLAG_SEEN) == 0 && !f->rows[i].expunged
		    && !uid_set_add(&f->unseen, f->rows[i].uid, f->rows[i].uid))
			rc = err_nomem(&e);
	if (rc != RC_OK) {
		imap_reply_error(im, rc, &e);
		return IMAP_DONE;
	}
	set_next_page(f, PAGE_ROWS);
	if (f->at_row.next_uid == 0) {
		f->phase = f->unseen.count > 0 ? FETCH_SET_SEEN : FETCH_NEXT_ROW;
		f->at_row.next_uid = 1;
		f->row_count = 0;
	}
	return IMAP_MORE;
}

static enum imap_result
set_seen(struct imap *im, struct fetch *f)
{
	struct change *c = change_new(CHANGE_STORE);
	struct mailbox_info box;
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	arena_reset(&f->scratch);
	if (c == NULL || !uid_set_copy(&c->u.store.uids, &f->unseen))
		rc = err_nomem(&e);
	if (rc == RC_OK)
		rc = volume_get_mailbox(im->volume, im->mailbox, &f->scratch, &box, &e);
	if (rc != RC_OK) {
		change_free(&c);
		imap_reply_error(im, rc, &e);
		return IMAP_DONE;
	}
	f->before = box.highestmodseq;
	c->u.store.mailbox = im->mailbox;
	c->u.store.op = STORE_ADD;
	c->u.store.flags = FLAG_SEEN;
	c->u.store.keywords = SLICE("");
	f->phase = FETCH_SEEN_SET;
	return imap_submit(im, c);
}

/* A volume that takes no changes is still read: a refused \Seen does not refuse the FETCH
 * [design, I4]. */
static enum imap_result
seen_set(struct imap *im, struct fetch *f)
{
	struct change_store *st = &im->change->u.store;
	struct uid_set t = f->unseen;

	if (im->change->rc != RC_OK) {
		uid_set_reset(&f->unseen);
	} else {
		(void)imap_view_own_change(&im->view, f->before, st->modseq);
		f->unseen = st->changed;
		st->changed = t;
	}
	change_free(&im->change);
	f->seen_set = true;
	f->phase = FETCH_NEXT_ROW;
	return IMAP_MORE;
}

/* ---- one message ---- */

static void
log_damaged(struct imap *im, const struct fetch *f)
{
	const struct message_row *row = fetch_row(f);
	const struct damaged_message m = {
		.volume = im->volume, .mailbox = im->mailbox, .uid = row->uid, .place = &row->place,
	};

	damage_log(im->s, "imap.fetch.damaged", &m);
}

/* The message under way is left out. */
static void
skip_message(struct imap *im, struct fetch *f, enum fetch_trouble t)
{
	if (fetch_give_up(f))
		return;
	if (t == FETCH_DAMAGED)
		log_damaged(im, f);
	note_trouble(f, t, fetch_row(f)->uid);
	f->row++;
	f->phase = FETCH_NEXT_ROW;
}

/* The blob is not in the log: nobody knows the message's hash, nor its size. */
static bool
asks_lost(const struct fetch *f)
{
	const struct message_row *row = fetch_row(f);

	if (f->req.needs_place && row->place.addr.seg.seq == 0)
		return true;
	return row->lost && has_kind(&f->req, FETCH_RFC822_SIZE);
}

/* Decode what the index keeps of the message, then look at each section. */
static void
begin_message(struct imap *im, struct fetch *f)
{
	struct err e = ERR_INIT;

	arena_reset(&f->scratch);
	if (asks_lost(f)) {
		skip_message(im, f, FETCH_DAMAGED);
		return;
	}
	if (fetch_is_recalled(f))
		f->summary = (struct mime_summary){ .size = fetch_row(f)->size };
	else if (f->req.needs_summary
	    && mime_summary_decode(fetch_row(f)->summary, &f->scratch, &f->summary, &e) != RC_OK) {
		skip_message(im, f, FETCH_DAMAGED);
		return;
	}
	f->item = 0;
	f->phase = FETCH_CHECK;
}

/* One item a time: each may read FETCH_VERIFY octets. */
static void
check_message(struct imap *im, struct fetch *f)
{
	enum fetch_trouble t;

	f->verified = 0;
	while (f->item < f->req.count && !fetch_reads_log(&f->req.items[f->item]))
		f->item++;
	if (f->item == f->req.count) {
		f->phase = FETCH_HEAD;
		return;
	}
	if (f->req.items[f->item].kind == FETCH_PREVIEW) {
		fetch_make_preview(im, f);
		f->item++;
		return;
	}
	if (!fetch_may_read(f, f->item)) {
		f->phase = FETCH_NEXT_ROW;      /* the pool looks at all of its items */
		return;
	}
	t = fetch_check_section(im, f, f->item);
	if (t != FETCH_FINE) {
		skip_message(im, f, t);
	} else if (fetch_must_measure(f, f->item)) {
		f->at = f->decoded = 0;
		f->phase = FETCH_MEASURE;
	} else {
		f->item++;
	}
}

static void
measure_section(struct imap *im, struct fetch *f)
{
	enum fetch_trouble t = FETCH_FINE;
	bool done = false;

	for (int n = 0; n < MEASURE_PIECES && !done && t == FETCH_FINE; n++)
		t = fetch_measure(im, f, f->item, &done);
	if (t != FETCH_FINE) {
		skip_message(im, f, t);
	} else if (done) {
		f->item++;
		f->phase = FETCH_CHECK;
	}
}

/* An item that the client did not ask for, in front of the others. */
static void
write_extra(struct imap *im, struct fetch *f, enum fetch_kind kind)
{
	struct fetch_item it = { .kind = kind };

	if (has_kind(&f->req, kind))
		return;
	fetch_write_item(im, f, &it);
	buf_append_byte(imap_out(im), ' ');
}

/* Flags that this FETCH has changed are told in the same answer [RFC 9051 s6.4.5], with all that
 * goes with a change of flags [RFC 7162 s3.2.4]. */
static void
write_head(struct imap *im, struct fetch *f)
{
	const struct message_row *row = fetch_row(f);

	if (f->light_octets > 0)
		(void)buf_reserve(imap_out(im), f->light_octets + HEAD_MAX);
	imap_out_fetch_begin(im, imap_view_seq(&im->view, &f->at_row.walk, row->uid), row->uid);
	if (f->unseen.count > 0 && uid_set_contains(&f->unseen, row->uid)) {
		if (!im->uidonly && (im->rev2 || im->condstore))
			write_extra(im, f, FETCH_UID);
		if (im->condstore)
			write_extra(im, f, FETCH_MODSEQ);
		write_extra(im, f, FETCH_FLAGS);
	}
	f->item = 0;
	f->phase = FETCH_ITEM;
}

/* False: damaged after the message was begun. */
static bool
write_item(struct imap *im, struct fetch *f)
{
	bool stream = false;

	if (f->item == f->req.count) {
		f->phase = FETCH_END;
		return true;
	}
	f->rest = SLICE_NONE;
	if (f->item > 0)
		buf_append_byte(imap_out(im), ' ');
	if (!fetch_is_section(&f->req.items[f->item])) {
		fetch_write_item(im, f, &f->req.items[f->item]);
	} else if (!fetch_write_section(im, f, f->item, &stream)) {
		return false;
	}
	f->at = f->decoded = 0;
	f->phase = stream ? FETCH_STREAM : FETCH_REST;
	return true;
}

static void
write_rest(struct imap *im, struct fetch *f)
{
	size_t n = f->rest.len < FETCH_PIECE ? f->rest.len : FETCH_PIECE;

	buf_append_slice(imap_out(im), slice_sub(f->rest, 0, n));
	f->rest = slice_sub(f->rest, n, f->rest.len);
	if (f->rest.len > 0)
		return;
	f->item++;
	f->phase = FETCH_ITEM;
}

static bool
stream_item(struct imap *im, struct fetch *f)
{
	bool done;

	if (!fetch_stream(im, f, f->item, &done))
		return false;
	if (done) {
		f->item++;
		f->phase = FETCH_ITEM;
	}
	return true;
}

/* All of a message's answer, where it comes from the index and is short: listings of whole
 * mailboxes are what clients ask for most. False: nothing was written, it goes item by item. */
static bool
write_listed(struct imap *im, struct fetch *f)
{
	const struct message_row *row = fetch_row(f);
	struct buf *out = imap_out(im);

	/* each item has at most all of the summary or all keywords; items may come again and again */
	if (f->req.reads_log ||
	    (row->summary.len + row->keywords.len) * f->req.count > LISTED_MAX ||
	    asks_lost(f) ||
	    (f->req.needs_summary && !mime_summary_decode_head(row->summary, &f->summary)))
		return false;
	write_head(im, f);
	for (size_t i = 0; i < f->req.count; i++) {
		f->rest = SLICE_NONE;
		if (i > 0)
			buf_append_byte(out, ' ');
		fetch_write_item(im, f, &f->req.items[i]);
		buf_append_slice(out, f->rest);
	}
	buf_append_str(out, ")\r\n");
	f->row++;
	f->phase = FETCH_NEXT_ROW;
	return true;
}

/* ---- the whole ---- */

static enum imap_result
finish(struct imap *im, const struct fetch *f)
{
	switch (f->trouble) {
	case FETCH_FINE:
		if (f->at_row.seen < uid_set_size(&f->uids))
			imap_reply(im, IMAP_NO,
				   "[EXPUNGEISSUED] Some of the messages no longer exist");
		else
			imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
		break;
	case FETCH_DAMAGED:
		imap_reply(im, IMAP_NO,
		           "[CORRUPTION] The message with UID %u is damaged in storage; "
		           "others were sent", f->trouble_uid);
		break;
	case FETCH_UNKNOWN_CTE:
		imap_reply(im, IMAP_NO,
			   "[UNKNOWN-CTE] A part of the message with UID %u cannot be decoded",
			   f->trouble_uid);
		break;
	case FETCH_TOO_LARGE:
		imap_reply(im, IMAP_NO,
			   "[LIMIT] The message with UID %u is too large to be described",
			   f->trouble_uid);
		break;
	}
	return IMAP_DONE;
}

static enum imap_result
next_row(struct imap *im, struct fetch *f)
{
	struct err e = ERR_INIT;
	enum rc rc;

	fetch_forget_recalled(f);
	if (f->row < f->row_count) {
		if (!write_listed(im, f))
			begin_message(im, f);
		return IMAP_MORE;
	}
	if (f->at_row.next_uid == 0)
		return finish(im, f);
	if (!fetch_from_columns(im, f, &rc, &e))
		rc = next_page(im, f, &e);
	if (rc == RC_OK)
		return IMAP_MORE;
	imap_reply_error(im, rc, &e);
	return IMAP_DONE;
}

/* In the middle of a literal nothing can be said but by closing. */
static enum imap_result
break_off(struct imap *im, struct fetch *f)
{
	if (fetch_give_up(f))
		return IMAP_MORE;
	log_damaged(im, f);
	return IMAP_BYE;
}

enum imap_result
fetch_advance(struct imap *im, struct fetch *f)
{
	switch (f->phase) {
	case FETCH_RESOLVE:
		return resolve(im, f);
	case FETCH_CHANGED:
		return find_changed(im, f);
	case FETCH_VANISHED:
		tell_earlier(im, f);
		return IMAP_MORE;
	case FETCH_FIND_UNSEEN:
		return find_unseen(im, f);
	case FETCH_SET_SEEN:
		return set_seen(im, f);
	case FETCH_SEEN_SET:
		return seen_set(im, f);
	case FETCH_NEXT_ROW:
		return next_row(im, f);
	case FETCH_CHECK:
		check_message(im, f);
		return IMAP_MORE;
	case FETCH_MEASURE:
		measure_section(im, f);
		return IMAP_MORE;
	case FETCH_HEAD:
		write_head(im, f);
		return IMAP_MORE;
	case FETCH_ITEM:
		return write_item(im, f) ? IMAP_MORE : break_off(im, f);
	case FETCH_REST:
		write_rest(im, f);
		return IMAP_MORE;
	case FETCH_STREAM:
		return stream_item(im, f) ? IMAP_MORE : break_off(im, f);
	case FETCH_END:
		buf_append_str(imap_out(im), ")\r\n");
		f->row++;
		f->phase = FETCH_NEXT_ROW;
		return IMAP_MORE;
	}
	assert(false && "unknown phase");
	return IMAP_DONE;
}

/* What one round of `advance` in that phase has cost, in units of writing a small item. */
static int
cost(const struct fetch *f, enum fetch_phase phase)
{
	switch (phase) {
	case FETCH_CHANGED:
		return STEP_COST;
	case FETCH_FIND_UNSEEN:
	case FETCH_MEASURE:
		return 1000;
	case FETCH_CHECK:
		return 10 + (int)(f->verified / 1024);
	case FETCH_RESOLVE:
	case FETCH_VANISHED:
	case FETCH_SET_SEEN:
	case FETCH_SEEN_SET:
	case FETCH_STREAM:
		return 100;
	case FETCH_NEXT_ROW:
		if (f->columns != NULL)
			return STEP_COST;
		/* A page was read, or only the next of its rows taken, or written. */
		return f->phase == FETCH_NEXT_ROW && f->row == 0 ? 1000 : 4;
	case FETCH_REST:
	case FETCH_HEAD:
	case FETCH_ITEM:
	case FETCH_END:
		return 1;
	}
	assert(false && "unknown phase");
	return 1;
}

/* What is left are the last octets of a message, or of the command: not worth a step of their own. */
static bool
is_ending(const struct fetch *f)
{
	return f->phase == FETCH_END || (f->phase == FETCH_ITEM && f->item == f->req.count) ||
	       (f->phase == FETCH_NEXT_ROW && f->row == f->row_count && f->at_row.next_uid == 0);
}

static enum imap_result
run_fetch(struct imap *im)
{
	struct fetch *f = im->args;
	enum imap_result r = IMAP_MORE;

	if (nowait_is_on())
		return fetch_run_light(im, f);
	for (int spent = 0; r == IMAP_MORE && spent < STEP_COST &&
	                    (!session_out_full(im->s) || is_ending(f));) {
		enum fetch_phase phase = f->phase;

		r = fetch_advance(im, f);
		spent += cost(f, phase);
	}
	return r;
}

const struct imap_command imap_cmd_fetch = {
	.name = "FETCH",
	.states = IMAP_SELECTED,
	.effect = EFFECT_USES_SEQ,
	.parse = parse_fetch,
	.check = check_fetch,
	.run = run_fetch,
	.reads_little = fetch_reads_little,
	.undo = fetch_undo,
	.drop = fetch_drop,
};

const struct imap_command imap_cmd_uid_fetch = {
	.name = "UID FETCH",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = parse_fetch,
	.check = check_fetch,
	.run = run_fetch,
	.reads_little = fetch_reads_little,
	.undo = fetch_undo,
	.drop = fetch_drop,
};
