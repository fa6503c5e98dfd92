/* untagged - the forms of untagged answers about messages, as what the client has enabled asks for
 * them: one place that knows of IMAP4rev2, CONDSTORE, QRESYNC and UIDONLY. */
#include "server/imap/imap.h"

void
imap_out_fetch_begin(struct imap *im, uint32_t seq, mail_uid uid)
{
	if (im->uidonly)
		buf_printf(imap_out(im), "* %u UIDFETCH (", uid);       /* [RFC 9586 s3.2] */
	else
		buf_printf(imap_out(im), "* %u FETCH (", seq);
}

/* A FETCH that nobody asked for carries the UID where the client works by UIDs: for UID commands
 * [RFC 9051 s6.4.9], always in IMAP4rev2 [s7.5.2] and after QRESYNC [RFC 7162 s3.2.4]. */
static bool
shows_uid(const struct imap *im)
{
	return !im->uidonly && (im->uid_command || im->rev2 || im->qresync);
}

void
imap_out_fetch_flags(struct imap *im, uint32_t seq, const struct message_row *row)
{
	struct buf *out = imap_out(im);

	imap_out_fetch_begin(im, seq, row->uid);
	if (shows_uid(im))
		buf_printf(out, "UID %u ", row->uid);
	if (im->condstore) {
		buf_append_str(out, "MODSEQ (");
		buf_append_u64(out, row->modseq);
		buf_append_str(out, ") ");
	}
	buf_append_str(out, "FLAGS ");
	imap_out_flags(out, row->flags, row->keywords,
		       !im->rev2 && row->uid >= im->view.recent_from);
	buf_append_str(out, ")\r\n");
}

void
imap_out_vanished(struct imap *im, const struct uid_set *gone, bool earlier)
{
	struct buf *out = imap_out(im);

	if (gone->count == 0)
		return;
	buf_append_str(out, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
	uid_set_format(gone, out);
	buf_append_str(out, "\r\n");
}

void
imap_enable_condstore(struct imap *im)
{
	struct mailbox_info box;
	struct err e = ERR_INIT;
	struct arena a;

	if (im->condstore)
		return;
	im->condstore = true;
	if (im->mailbox == 0)
		return;
	/* "MUST ... include the HIGHESTMODSEQ response code" if it was not told at SELECT [RFC 7162
	 * s3.1]; never more than what has been told. */
	arena_init(&a, 64u << 10);
	if (volume_get_mailbox(im->volume, im->mailbox, &a, &box, &e) == RC_OK) {
		mail_modseq told = im->view.expunged_told;

		buf_append_str(imap_out(im), "* OK [HIGHESTMODSEQ ");
		buf_append_u64(imap_out(im), told < box.highestmodseq ? told : box.highestmodseq);
		buf_append_str(imap_out(im), "] MODSEQs are told from now on\r\n");
	}
	arena_fini(&a);
}
