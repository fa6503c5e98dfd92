/* chunk - BDAT: mail data in counted pieces [RFC 3030; RFC 2033 s4.3]. See lmtp.h. In
 * steps on the pool.
 *
 * Whatever is wrong with a BDAT, the octets behind it are mail data and never commands: they are
 * read to the last one, and only then is the refusal said. Where their number cannot be known the
 * session ends, as anything else would execute what somebody wrote into a mail.
 *
 * A chunk has one answer, the last one an answer for each accepted recipient: with none, none at
 * all. So it is also where MAIL or all RCPTs were refused and the chunks came pipelined behind
 * them; who counts replies stays in step.
 */
#include "server/lmtp/lmtp.h"

/* chunk-size = 1*DIGIT, then perhaps SP "LAST". False: how many octets follow is unknown. *bad:
 * known, but the rest of the line is wrong. */
static bool
parse_bdat(struct slice arg, uint64_t *size, bool *last, bool *bad)
{
	size_t space = slice_find_byte(arg, ' ');
	struct slice rest = slice_trim(slice_sub(arg, space, arg.len));

	*last = slice_eq_nocase(rest, SLICE("LAST"));
	*bad = rest.len > 0 && !*last;
	return slice_to_u64(slice_sub(arg, 0, space), UINT64_MAX / 2, size);
}

/* Why the octets of this chunk are thrown away; NULL: they are not. */
static const char *
refusal(const struct lmtp *l)
{
	if (!l->helo_given)
		return "503 5.5.1 LHLO first";
	if (!l->mail_given)
		return l->mail_refused ? "503 5.5.1 MAIL was refused" : "503 5.5.1 MAIL first";
	if (l->rcpt_count == 0)
		return "503 5.5.1 No valid recipients";
	if (l->chunk_failed && !l->chunk_last)
		return "503 5.5.1 A chunk was refused: RSET first";
	return NULL;
}

static void
end_session(struct lmtp *l)
{
	lmtp_reply(l,
	           "421 4.5.4 Syntax: BDAT octets [LAST]; mail data cannot be told from commands");
	l->want = LMTP_QUIT;
}

bool
lmtp_bdat_garbled(struct lmtp *l, struct slice line)
{
	if (!slice_starts_nocase(line, SLICE("BDAT")))
		return false;
	end_session(l);
	return true;
}

void
lmtp_bdat(struct lmtp *l, struct slice arg)
{
	bool bad;

	if (!parse_bdat(arg, &l->chunk_left, &l->chunk_last, &bad)) {
		end_session(l);
		return;
	}
	l->mode = LMTP_CHUNK;
	l->chunk_size = l->chunk_left;
	l->chunk_refusal = refusal(l);
	if (l->chunk_refusal == NULL) {
		if (!l->chunked)
			lmtp_data_begin(l);
		l->chunked = true;
		lmtp_data_expect(l, l->chunk_size);
		if (bad)                /* without these octets it is not the message */
			lmtp_data_spoil(l);
	}
	if (bad)
		l->chunk_refusal = "501 5.5.4 Syntax: BDAT octets [LAST]";
}

/* Answers to a chunk that is not the last of a message: one, but none where no recipient
 * waits for one. */
static void
answer_chunk(struct lmtp *l)
{
	bool pipelined = l->mail_refused || (l->mail_given && l->rcpt_count == 0);

	if (l->chunk_refusal == NULL && lmtp_data_failed(l)) {
		l->chunk_failed = true;
		lmtp_data_answer_failure(l);
	} else if (l->chunk_refusal == NULL) {
		lmtp_reply(l, "250 2.0.0 %llu octets", (unsigned long long)l->chunk_size);
	} else if (!pipelined && !l->chunk_failed) {
		lmtp_bad(l, "%s", l->chunk_refusal);
		l->chunk_failed = l->chunked;
	} else if (!l->chunk_last) {    /* no mistake of a client that pipelines */
		lmtp_reply(l, "%s", l->chunk_refusal);
	}
	if (l->chunk_last && pipelined) {
		lmtp_transaction_reset(l);
		forward_reset(&l->forward);
	}
}

enum lmtp_chunk
lmtp_chunk_feed(struct lmtp *l)
{
	struct slice in = lmtp_input(l);
	struct slice piece = slice_sub(in, 0,
	                               l->chunk_left < in.len ? (size_t)l->chunk_left : in.len);

	if (l->chunk_refusal == NULL)
		lmtp_data_take(l, piece);
	l->used += piece.len;
	l->chunk_left -= piece.len;
	if (l->chunk_left > 0)
		return LMTP_CHUNK_MORE;
	if (l->chunk_last && l->chunk_refusal == NULL)
		return LMTP_CHUNK_LAST;
	answer_chunk(l);
	return LMTP_CHUNK_OVER;
}
