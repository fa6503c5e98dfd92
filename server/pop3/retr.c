/* retr - RETR and TOP: a message from the log, dot-stuffed, in pieces [RFC 1939 s5, s7].
 *
 * The octets go out as they are kept, but NUL as 0x80 (length unchanged), as some clients stop
 * at NUL. The first MiB is verified before "+OK" is said; damage found later ends the connection
 * without the final dot, so that no client takes half a message for a whole one.
 */
#include "server/damage.h"
#include "server/pop3/pop3.h"

#define PIECE_MAX  65536u
#define VERIFY_LEN (1u << 20)

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
		.volume = p->volume, .mailbox = p->drop.mailbox, .uid = p->drop.messages[p->row].uid,
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

/* Find the message's place and verify its beginning. False: -ERR was written. */
static bool
transfer_begin(struct pop3 *p)
{
	struct uid_range one = { p->drop.messages[p->row].uid, p->drop.messages[p->row].uid };
	struct uid_set set = { .ranges = &one, .count = 1, .cap = 1, .max = 1 };
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t n = 0;
	enum rc rc;

	rc = volume_read_messages(p->volume, p->drop.mailbox, &set, one.first, 1,
	                          WANT_PLACE | WANT_EXPUNGED, &p->arena, &rows, &n, &e);
	if (rc == RC_OK && n == 0) {
		pop3_err(p, "The message was expunged by another session");
		return false;
	}
	if (rc != RC_OK) {
		pop3_internal_error(p, "pop3.retr.error", &e);
		return false;
	}
	p->transfer.place = rows[0].place;
	rc = volume_verify_blob(p->volume, &rows[0].place, 0, VERIFY_LEN, &e);
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
put_piece(struct pop3_transfer *t, struct buf *out, struct slice piece)
{
	size_t before = out->len;
	uint8_t *nul;

	while (piece.len > 0 && !t->over) {
		size_t end = slice_find_byte(piece, '\n') + 1;

		if (end > piece.len)
			end = piece.len;
		put_run(t, out, slice_sub(piece, 0, end));
		piece = slice_sub(piece, end, piece.len);
	}
	while ((nul = memchr(out->ptr + before, 0, out->len - before)) != NULL)
		*nul = 0x80;
}

/* The next piece of the message, stuffed. */
static enum rc
transfer_piece(struct pop3 *p, struct err *e)
{
	struct pop3_transfer *t = &p->transfer;
	struct buf piece;
	enum rc rc;

	buf_init(&piece, PIECE_MAX);
	rc = volume_read_blob(p->volume, &t->place, t->at, PIECE_MAX, &piece, e);
	if (rc == RC_OK && !buf_reserve(session_out(p->s), 2 * piece.len))
		rc = err_nomem(e);
	if (rc == RC_OK)
		put_piece(t, session_out(p->s), buf_slice(&piece));
	t->at += piece.len;
	buf_fini(&piece);
	return rc;
}

enum step_result
pop3_step_retr(struct pop3 *p)
{
	struct pop3_transfer *t = &p->transfer;
	struct err e = ERR_INIT;

	if (!t->started && !transfer_begin(p))
		return STEP_DONE;
	while (t->at < t->place.size && !t->over) {
		if (session_out_full(p->s))
			return STEP_MORE;
		if (transfer_piece(p, &e) != RC_OK) {
			log_damaged(p, &e);
			return STEP_CLOSE;
		}
	}
	buf_append_str(session_out(p->s), t->line_start ? ".\r\n" : "\r\n.\r\n");
	return STEP_DONE;
}
