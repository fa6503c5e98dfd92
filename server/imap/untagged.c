/* untagged - the forms of untagged answers about messages, as what the client has enabled asks for
 * them: one place that knows of IMAP4rev2, CONDSTORE, QRESYNC and UIDONLY. */
#include "server/imap/imap.h"

#define VANISHED_RANGES 2048u           /* in one line: at most 44 KiB */

void
imap_out_fetch_begin(struct imap *im, uint32_t seq, mail_uid uid)
{
	struct buf *out = imap_out(im);

	buf_append_str(out, "* ");
	buf_append_u64(out, im->uidonly ? uid : seq);
	buf_append_str(out, im->uidonly ? " UIDFETCH (" : " FETCH (");  /* [RFC 9586 s3.2] */
}

/* A FETCH that nobody asked for carries the UID where the client works by UIDs: for UID commands
 * [RFC 9051 s6.4.9], always in IMAP4rev2 [s7.5.2], and from a CONDSTORE-enabling command on
 * [RFC 7162 s3.2.4]. UIDFETCH begins with it. */
static bool
shows_uid(const struct imap *im)
{
	return !im->uidonly && (im->uid_command || im->rev2 || im->condstore);
}

void
imap_out_modseq(struct imap *im, mail_modseq modseq)
{
	struct buf *out = imap_out(im);

	if (modseq > im->view.shown)
		im->view.shown = modseq;
	buf_append_str(out, "MODSEQ (");
	buf_append_u64(out, modseq);
	buf_append_byte(out, ')');
}

void
imap_out_fetch_flags(struct imap *im, uint32_t seq, const struct message_row *row)
{
	struct buf *out = imap_out(im);

	imap_out_fetch_begin(im, seq, row->uid);
	if (shows_uid(im))
		buf_printf(out, "UID %u ", row->uid);
	if (im->condstore) {
		imap_out_modseq(im, row->modseq);
		buf_append_byte(out, ' ');
	}
	buf_append_str(out, "FLAGS ");
	imap_out_flags(out, row->flags, row->keywords,
		       !im->rev2 && row->uid >= im->view.recent_from);
	buf_append_str(out, ")\r\n");
}

void
imap_out_fetch_modseq(struct imap *im, uint32_t seq, const struct message_row *row)
{
	struct buf *out = imap_out(im);

	imap_out_fetch_begin(im, seq, row->uid);
	if (shows_uid(im))
		buf_printf(out, "UID %u ", row->uid);
	imap_out_modseq(im, row->modseq);
	buf_append_str(out, ")\r\n");
}

static void
out_vanished(struct imap *im, const struct uid_set *gone, bool earlier)
{
	struct buf *out = imap_out(im);

	if (gone->count == 0)
		return;
	buf_append_str(out, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
	uid_set_format(gone, out);
	buf_append_str(out, "\r\n");
}

void
imap_out_vanished_piece(struct imap *im, const struct uid_set *gone, size_t *from, bool earlier)
{
	size_t left = gone->count - *from;
	struct uid_set piece = { .ranges = left > 0 ? gone->ranges + *from : NULL,
				 .count = left < VANISHED_RANGES ? left : VANISHED_RANGES };

	out_vanished(im, &piece, earlier);
	*from += piece.count;
}

bool
imap_out_set_piece(struct imap *im, const struct uid_set *set, size_t *from)
{
	struct buf *out = imap_out(im);

	for (; *from < set->count && !session_out_full(im->s); ++*from) {
		const struct uid_range *r = &set->ranges[*from];

		if (*from > 0)
			buf_append_byte(out, ',');
		buf_append_u64(out, r->first);
		if (r->last > r->first) {
			buf_append_byte(out, ':');
			buf_append_u64(out, r->last);
		}
	}
	return *from == set->count;
}

void
imap_out_highestmodseq(struct imap *im, const char *text)
{
	struct buf *out = imap_out(im);

	buf_append_str(out, "* OK [HIGHESTMODSEQ ");
	buf_append_u64(out, im->view.expunged_told);
	buf_printf(out, "] %s\r\n", text);
}

void
imap_enable_condstore(struct imap *im)
{
	if (im->condstore)
		return;
	im->condstore = true;
	/* "MUST cause the server to return HIGHESTMODSEQ" [RFC 7162 s3.1]. */
	if (im->mailbox != 0)
		imap_out_highestmodseq(im, "MODSEQs are told from now on");
}
