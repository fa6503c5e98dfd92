/* parse_mailbox - mailbox names from the wire to what index/volume.h wants: UTF-8 in NFC, INBOX
 * in capitals.
 *
 * IMAP4rev1 clients send modified UTF-7 [RFC 3501 s5.1.3]; after UTF8=ACCEPT or IMAP4rev2 is
 * enabled names are UTF-8. Patterns of LIST go the same way: wildcards are plain ASCII in both.
 */
#include "lib/mutf7.h"
#include "lib/text.h"
#include "server/imap/imap.h"

/* NFC may be longer than what was sent, but not by more. */
#define NAME_WIRE_MAX (MAILBOX_NAME_MAX * 3u)

/* "inbox" in any case, alone or before "/", is INBOX. */
static void
fold_inbox(struct buf *name)
{
	if (slice_starts_nocase(buf_slice(name), SLICE("INBOX")) &&
	    (name->len == 5 || name->ptr[5] == '/'))
		memcpy(name->ptr, "INBOX", 5);
}

static bool
decode_name(const struct imap *im, struct cursor *c, struct slice wire, struct buf *utf8)
{
	enum mutf7_result r;

	if (im->utf8) {
		if (!text_utf8_valid(wire) || !buf_append_slice(utf8, wire))
			return cur_fail(c, "mailbox name in UTF-8, at most 1000 octets");
		return true;
	}
	r = mutf7_decode(wire, utf8);
	if (r == MUTF7_NO_ROOM)
		return cur_fail(c, "mailbox name of at most 1000 octets");
	return r == MUTF7_OK || cur_fail(c, "mailbox name in modified UTF-7");
}

bool
imap_name_from_wire(struct imap *im, struct cursor *c, struct slice wire, struct slice *out)
{
	struct buf utf8, nfc;
	bool ok;

	buf_init(&utf8, MAILBOX_NAME_MAX);
	buf_init(&nfc, NAME_WIRE_MAX);
	ok = decode_name(im, c, wire, &utf8);
	if (ok && !text_nfc(buf_slice(&utf8), &nfc))
		ok = cur_fail(c, "mailbox name in UTF-8");
	if (ok && nfc.len > MAILBOX_NAME_MAX)
		ok = cur_fail(c, "mailbox name of at most 1000 octets");
	if (ok) {
		fold_inbox(&nfc);
		*out = arena_dup(&im->arena, buf_slice(&nfc));
		ok = out->ptr != NULL || cur_fail(c, "shorter command (memory limit)");
	}
	buf_fini(&utf8);
	buf_fini(&nfc);
	return ok;
}

/* mailbox = "INBOX" / astring                                       [RFC 9051 s9] */
bool
parse_mailbox(struct imap *im, struct cursor *c, struct slice *out)
{
	struct slice wire;

	return parse_astring(c, &im->arena, &wire) && imap_name_from_wire(im, c, wire, out);
}
