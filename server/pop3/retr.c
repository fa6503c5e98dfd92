/* retr - RETR and TOP: a message from the log, dot-stuffed, in pieces [RFC 1939 s5, s7].
 *
 * A client that did not say UTF8 gets no raw 8-bit in headers, the message's or a part's
 * [RFC 6856 s2.1]: they are put into ASCII on the way [RFC 6858]. Refusing such messages, as the
 * RFC would also allow, would leave them where old clients never get at them, and much junk is of
 * that kind. Bodies go out as they are, as ever (8BITMIME). LIST and STAT tell the stored size,
 * which RFC 6858 s4 allows; the true one would take a look into each message's header
 * at every login.
 *
 * The octets go out as they are kept, but NUL as 0x80 (length unchanged), as some clients stop
 * at NUL. The first MiB is verified before "+OK" is said; damage found later ends the connection
 * without the final dot, so that no client takes half a message for a whole one.
 */
#define _GNU_SOURCE
#include "lib/downgrade.h"
#include "lib/nowait.h"
#include "lib/text.h"
#include "server/damage.h"
#include "server/pop3/pop3.h"

#define PIECE_MAX  65536u
#define NOW_MAX    262144u        /* of a message that is answered on the reactor */
#define VERIFY_LEN (1u << 20)
#define HEADER_NOW 16384u         /* of headers that may have to be put into ASCII there: some 1 ms */
#define HEADER_MAX (64u << 10)  /* a larger one is not put into ASCII: [UTF8] */
#define ASCII_MAX  (40 * HEADER_MAX)    /* what becomes of it: addresses of one letter get some
                                         * 30 times as long */

enum rc
pop3_find_message(const struct pop3 *p, uint32_t row, struct arena *a, struct message_row **rows, size_t *n, struct err *e)
{
	struct uid_range one = { p->drop.messages[row].uid, p->drop.messages[row].uid };
	struct uid_set set = { .ranges = &one, .count = 1, .cap = 1, .max = 1 };
	uint32_t want = WANT_PLACE | WANT_EXPUNGED | (p->utf8 ? 0 : WANT_SUMMARY);

	return volume_read_messages(p->volume, p->drop.mailbox, &set, one.first, 1, want, a, rows, n, e);
}

static bool
put_whole(struct pop3 *p, struct buf *out)
{
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t n = 0;

	if (pop3_find_message(p, p->row, &p->arena, &rows, &n, &e) != RC_OK || n == 0)
		return false;
	pop3_ok(p, "%llu octets", (unsigned long long)rows[0].size);
	return pop3_put_message(p, &rows[0], out, &e) == RC_OK && !out->failed;
}

/* A short message that is in memory is told at once, without a turn of the pool. False: nothing was said, and the step
 * says it, or what is wrong. */
static bool
retr_now(struct pop3 *p)
{
	struct buf *out = session_out(p->s);
	size_t had = out->len;
	bool ok;

	if (out->failed || session_out_full(p->s) || p->drop.messages[p->row].size > NOW_MAX || !nowait_is_possible())
		return false;
	session_took_long(p->s);
	nowait_begin();
	ok = put_whole(p, out);
	(void)nowait_end();
	if (ok)
		return true;
	out->len = had;
	out->failed = false;
	return false;
}

enum session_next
pop3_start_retr(struct pop3 *p, struct slice arg, bool has_arg)
{
	struct pop3_message *m;

	if (!has_arg)
		return pop3_err(p, "RETR needs a message number");
	m = pop3_maildrop_get(p, arg);
	if (m == NULL)
		return NEXT_AGAIN;
	p->row = (uint32_t)(m - p->drop.messages);
	pop3_ahead_note(p);
	if (pop3_ahead_take(p) || pop3_foreseen_take(p) || retr_now(p))
		return NEXT_AGAIN;
	if (!pop3_foreseen_begin(p))
		p->transfer = (struct pop3_transfer){ .lines_left = UINT64_MAX, .line_start = true };
	return NEXT_STEP;
}

enum session_next
pop3_start_top(struct pop3 *p, struct slice arg, bool has_arg)
{
	size_t space = slice_find_byte(arg, ' ');
	struct slice count = slice_trim(slice_sub(arg, space + 1, arg.len));
	struct pop3_message *m;
	uint64_t lines;

	if (!has_arg || !slice_to_u64(count, UINT32_MAX, &lines))
		return pop3_err(p, "TOP needs a message number and a number of lines");
	m = pop3_maildrop_get(p, slice_sub(arg, 0, space));
	if (m == NULL)
		return NEXT_AGAIN;
	p->row = (uint32_t)(m - p->drop.messages);
	p->transfer = (struct pop3_transfer){ .lines_left = lines, .line_start = true };
	return NEXT_STEP;
}

static void
log_damaged(struct pop3 *p, const struct err *e)
{
	const struct damaged_message m = {
		.volume = p->volume, .mailbox = p->drop.mailbox,
		.uid = p->drop.messages[p->row].uid,
		.place = &p->transfer.place, .why = e,
	};

	damage_log(p->s, "pop3.retr.damaged", &m);
}

/* Bytes that are wrong, or whose file is gone, do not come back by trying again [RFC 3206 s4]. */
static void
refuse_unreadable(struct pop3 *p, enum rc rc, const struct err *e)
{
	if (rc != RC_CORRUPT && rc != RC_NOT_FOUND) {
		pop3_internal_error(p, "pop3.retr.error", e);
		return;
	}
	log_damaged(p, e);
	pop3_err(p, "[SYS/PERM] The message is damaged");
}

/* Which headers there are to be put into ASCII: none in most messages. RC_DENIED:
 * one is too large. */
static enum rc
find_headers(struct pop3_transfer *t, const struct message_row *row, struct arena *a, struct err *e)
{
	struct mime_summary summary;
	enum rc rc = mime_summary_decode(row->summary, a, &summary, e);

	if (rc != RC_OK || (summary.flags & MIME_HAS_8BIT) == 0)
		return rc;
	t->part = (summary.flags & MIME_HAS_8BIT_HEADER) == 0;
	for (uint32_t i = t->part; i < summary.nparts; i++)
		if (summary.parts[i].header_len > HEADER_MAX)
			return err_set(e, RC_DENIED, "a header of %llu octets",
			               (unsigned long long)summary.parts[i].header_len);
	t->parts = summary.parts;
	t->nparts = summary.nparts;
	return RC_OK;
}

enum rc
pop3_verify_begin(const struct pop3 *p, const struct blob_place *place, struct err *e)
{
	return volume_verify_blob(p->volume, place, 0, VERIFY_LEN, e);
}

/* Find the message's place and verify its beginning. False: -ERR was written. */
static bool
transfer_begin(struct pop3 *p)
{
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t n = 0;
	enum rc rc = pop3_find_message(p, p->row, &p->arena, &rows, &n, &e);

	if (rc == RC_OK && n == 0) {
		pop3_err(p, "The message was expunged by another session");
		return false;
	}
	if (rc == RC_OK && message_row_check(&rows[0], &e) != RC_OK) {
		refuse_unreadable(p, e.code, &e);
		return false;
	}
	if (rc == RC_OK && !p->utf8)
		rc = find_headers(&p->transfer, &rows[0], &p->arena, &e);
	if (rc == RC_DENIED) {
		pop3_err(p, "[UTF8] The message needs UTF8");   /* [RFC 6856 s5] */
		return false;
	}
	if (rc != RC_OK) {
		pop3_internal_error(p, "pop3.retr.error", &e);
		return false;
	}
	p->transfer.place = rows[0].place;
	rc = pop3_verify_begin(p, &rows[0].place, &e);
	if (rc != RC_OK) {
		refuse_unreadable(p, rc, &e);
		return false;
	}
	p->transfer.started = true;
	pop3_ok(p, "%llu octets", (unsigned long long)rows[0].size);
	return true;
}

/* TOP: the header ends at the first empty line; from there on lines are counted. */
static void
count_line(struct pop3_transfer *t, struct slice run)
{
	for (size_t i = 0; i < run.len && !t->line_has_text; i++)
		t->line_has_text = run.ptr[i] != '\r' && run.ptr[i] != '\n';
	if (!t->line_start)
		return;
	if (t->in_body && t->lines_left > 0)
		t->lines_left--;
	if (!t->line_has_text)
		t->in_body = true;
	t->line_has_text = false;
	t->over = t->in_body && t->lines_left == 0;
}

/* A line, or the part of it that the piece holds. */
static void
put_run(struct pop3_transfer *t, struct buf *out, struct slice run)
{
	if (t->line_start && run.ptr[0] == '.')
		buf_append_byte(out, '.');
	buf_append_slice(out, run);
	t->line_start = run.ptr[run.len - 1] == '\n';
	if (t->lines_left != UINT64_MAX)
		count_line(t, run);
}

static void
mask_nul(struct buf *out, size_t from)
{
	uint8_t *nul;

	while ((nul = memchr(out->ptr + from, 0, out->len - from)) != NULL)
		*nul = 0x80;
}

static void
put_piece(struct pop3_transfer *t, struct buf *out, struct slice piece)
{
	size_t before = out->len;

	while (piece.len > 0 && !t->over) {
		size_t end = slice_find_byte(piece, '\n') + 1;

		if (end > piece.len)
			end = piece.len;
		put_run(t, out, slice_sub(piece, 0, end));
		piece = slice_sub(piece, end, piece.len);
	}
	mask_nul(out, before);
}

static bool
is_stuffed(const struct pop3_transfer *t, const uint8_t *from, const uint8_t *dot)
{
	return dot == from ? t->line_start : dot[-1] == '\n';
}

static size_t
count_stuffed(const struct pop3_transfer *t, struct slice s)
{
	size_t n = s.len > 0 && is_stuffed(t, s.ptr, s.ptr) && s.ptr[0] == '.' ? 1 : 0;

	for (size_t at = 0; (at += slice_find_pair(slice_sub(s, at, s.len), '\n', '.')) < s.len; at++)
		n++;
	return n;
}

/* Stuff what stands in the output from `from` on, where it stands: few lines begin with a dot. False: no
 * memory. */
static bool
stuff_output(struct pop3_transfer *t, struct buf *out, size_t from)
{
	size_t len = out->len - from, more = count_stuffed(t, slice_of(out->ptr + from, len));
	uint8_t *p;

	if (buf_reserve(out, more) == NULL)
		return false;
	buf_commit(out, more);
	for (p = out->ptr + from; more > 0;) {
		const uint8_t *dot = memrchr(p, '.', len);
		size_t at = (size_t)(dot - p);

		memmove(p + at + more, dot, len - at);
		if (is_stuffed(t, p, dot))
			p[at + --more] = '.';
		len = at;
	}
	t->line_start = out->ptr[out->len - 1] == '\n';
	mask_nul(out, from);
	return true;
}

/* How far a piece may go: to the next header that may have to be put into ASCII, whose part *part
 * becomes if it begins here. Headers lie in the order of parts, and none in another. */
static uint64_t
piece_end(struct pop3_transfer *t, const struct mime_part **part)
{
	while (t->part < t->nparts &&
	       (t->parts[t->part].header_len == 0 || t->parts[t->part].header_off < t->at))
		t->part++;
	*part = NULL;
	if (t->part == t->nparts || t->parts[t->part].header_off >= t->at + PIECE_MAX)
		return t->at + PIECE_MAX;
	if (t->parts[t->part].header_off > t->at)
		return t->parts[t->part].header_off;
	*part = &t->parts[t->part];
	return t->at + (*part)->header_len;
}

/* What goes out as it is kept, up to the end of a chunk, so that none is inflated twice. */
static enum rc
transfer_plain(const struct pop3 *p, struct pop3_transfer *t, uint64_t end, struct buf *out, struct err *e)
{
	size_t from = out->len;
	uint64_t chunk = blob_chunks_end(&t->place, t->at);
	enum rc rc;

	end = chunk < end ? chunk : end;
	rc = volume_read_blob(p->volume, &t->place, t->at, end - t->at, out, e);
	if (rc != RC_OK || out->len == from)
		return rc;
	t->at += out->len - from;
	return stuff_output(t, out, from) ? RC_OK : err_nomem(e);
}

enum rc
pop3_transfer_piece(const struct pop3 *p, struct pop3_transfer *t, struct buf *out, struct err *e)
{
	const struct mime_part *header;
	uint64_t end = piece_end(t, &header);
	struct buf piece, ascii;
	struct slice say;
	enum rc rc;

	if (header == NULL && t->lines_left == UINT64_MAX)
		return transfer_plain(p, t, end, out, e);
	buf_init(&piece, end - t->at);
	buf_init(&ascii, ASCII_MAX);
	rc = volume_read_blob(p->volume, &t->place, t->at, end - t->at, &piece, e);
	t->at += piece.len;
	say = buf_slice(&piece);
	if (rc == RC_OK && header != NULL && !text_is_ascii(say)) {
		if (!downgrade_header(say, &ascii))
			rc = err_nomem(e);
		say = buf_slice(&ascii);
	}
	if (rc == RC_OK && !buf_reserve(out, 2 * say.len))
		rc = err_nomem(e);
	if (rc == RC_OK)
		put_piece(t, out, say);
	buf_fini(&piece);
	buf_fini(&ascii);
	return rc;
}

void
pop3_transfer_end(const struct pop3_transfer *t, struct buf *out)
{
	buf_append_str(out, t->line_start ? ".\r\n" : "\r\n.\r\n");
}

enum rc
pop3_transfer_open(const struct pop3 *p, struct pop3_transfer *t, const struct message_row *row, struct arena *a, struct err *e)
{
	enum rc rc = message_row_check(row, e);

	if (rc != RC_OK)
		return rc;
	if (row->place.size != row->size)
		return err_set(e, RC_CORRUPT, "the message's blob is not in the log");
	*t = (struct pop3_transfer){ .lines_left = UINT64_MAX, .line_start = true, .started = true, .place = row->place };
	return p->utf8 ? RC_OK : find_headers(t, row, a, e);
}

bool
pop3_transfer_is_slow(const struct pop3_transfer *t)
{
	uint64_t octets = 0;

	for (uint32_t i = t->part; i < t->nparts; i++)
		if (t->parts[i].header_off >= t->at)
			octets += t->parts[i].header_len;
	return octets > HEADER_NOW;
}

enum rc
pop3_put_message(struct pop3 *p, const struct message_row *row, struct buf *out, struct err *e)
{
	struct pop3_transfer *t = &p->transfer;
	enum rc rc = pop3_transfer_open(p, t, row, &p->arena, e);

	if (rc == RC_OK && nowait_is_on() && pop3_transfer_is_slow(t))
		return nowait_refuse(e);
	while (rc == RC_OK && t->at < t->place.size)
		rc = pop3_transfer_piece(p, t, out, e);
	if (rc == RC_OK)
		pop3_transfer_end(t, out);
	return rc;
}

enum step_result
pop3_step_retr(struct pop3 *p)
{
	struct pop3_transfer *t = &p->transfer;
	struct buf *out = session_out(p->s);
	struct err e = ERR_INIT;

	if (t->said) {
		t->said = false;
		return STEP_MORE;
	}
	if (t->answered) {
		pop3_ahead_read(p);
		return STEP_DONE;
	}
	if (!t->started && !transfer_begin(p))
		return STEP_DONE;
	while (t->at < t->place.size && !t->over) {
		if (session_out_full(p->s))
			return STEP_MORE;
		if (pop3_transfer_piece(p, t, out, &e) != RC_OK) {
			log_damaged(p, &e);
			return STEP_CLOSE;
		}
	}
	pop3_transfer_end(t, out);
	t->answered = t->lines_left == UINT64_MAX && pop3_ahead_is_due(p);
	return t->answered ? STEP_MORE : STEP_DONE;
}
