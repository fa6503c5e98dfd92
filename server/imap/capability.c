/* capability - what we offer, as the state and the stream allow [RFC 9051 s6.1.1, s7.2.2].
 *
 * Only what is whole stands here: clients use what is advertised, and advertised-but-wrong hurts
 * more than missing. IMAP4rev2 and UTF8=ACCEPT are not: UIDs in all unsolicited FETCH and
 * OLDNAME belong to the first, "UTF8 (~{n}" in APPEND to the second.
 */
#include "server/imap/private.h"

static const char always[] = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE";
static const char logged_in[] =
    " NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE ESEARCH SEARCHRES BINARY MULTIAPPEND "
    "SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE";

/* AUTH=..., one for each mechanism sasl/ would take here. */
static bool
out_mechanisms(struct imap *im, struct buf *out)
{
	struct sasl_setup setup = imap_sasl_setup(im);
	struct slice list = slice_str(sasl_mechanisms(&setup));
	bool any = false;

	while (list.len > 0) {
		size_t n = slice_find_byte(list, ' ');

		if (n > 0) {
			buf_append_str(out, " AUTH=");
			buf_append_slice(out, slice_sub(list, 0, n));
			any = true;
		}
		list = slice_sub(list, n + 1, list.len);
	}
	return any;
}

void
imap_out_capabilities(struct imap *im, struct buf *out)
{
	buf_append_str(out, always);
	if (im->state == IMAP_NOT_AUTH) {
		if (session_can_starttls(im->s))
			buf_append_str(out, " STARTTLS");
		out_mechanisms(im, out);
		if (!session_plaintext_allowed(im->s))
			buf_append_str(out, " LOGINDISABLED");
		return;
	}
	buf_append_str(out, logged_in);
	buf_append_str(out, " APPENDLIMIT=");
	buf_append_u64(out, session_conf(im->s)->limits.message_size);
}
