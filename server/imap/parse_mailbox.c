/* parse_mailbox - mailbox names from the wire to what index/volume.h wants: UTF-8 in NFC, INBOX
 * in capitals.
 *
 * IMAP4rev1 clients send modified UTF-7 [RFC 3501 s5.1.3]; after UTF8=ACCEPT or IMAP4rev2 is
 * enabled names are UTF-8. Patterns of LIST go the same way: wildcards are plain ASCII in both.
 *
 * What breaks the grammar is BAD: octets above 0x7f before UTF-8 is enabled [RFC 3501 s9], or no
 * UTF-8 after it [RFC 9755 s3]. A name that is right by the grammar but can be no mailbox's (an
 * open "&", a shift that ASCII did not need, too long) becomes IMAP_NAME_OF_NONE, which the index
 * neither finds nor makes: CREATE answers NO [RFC 9051 s6.3.4], a pattern matches nothing
 * [s6.3.9]. The table of all cases is in doc/design.md.
 */
#include "index/names.h"
#include "lib/mutf7.h"
#include "lib/text.h"
#include "server/imap/imap.h"

/* "inbox" in any case, alone or before "/", is INBOX. */
static void
fold_inbox(struct buf *name)
{
	if (slice_starts_nocase(buf_slice(name), SLICE("INBOX")) &&
	    (name->len == 5 || name->ptr[5] == '/'))
		memcpy(name->ptr, "INBOX", 5);
}

/* The wire's octets as UTF-8. False: BAD. */
static bool
decode_name(const struct imap *im, struct cursor *c, struct slice wire, struct buf *utf8)
{
	if (im->utf8) {
		if (!text_utf8_valid(wire))
			return cur_fail(c, "mailbox name in UTF-8");
		return buf_append_slice(utf8, wire) || cur_limit(c, "shorter mailbox name");
	}
	for (size_t i = 0; i < wire.len; i++) {
		if (wire.ptr[i] > 0x7f)
			return cur_fail(c, "mailbox name in modified UTF-7");
	}
	if (mutf7_decode(wire, utf8) != MUTF7_OK)
		buf_append_slice(utf8, IMAP_NAME_OF_NONE);
	return true;
}

/* NFC can be three times as long as what was sent, UTF-8 half as long again as modified UTF-7.
 * name that is too long is cut behind the limit, so that it stays too long. */
static bool
normalise(struct imap *im, struct cursor *c, struct slice wire, struct buf *utf8, struct buf *nfc)
{
	size_t room = 4 * wire.len + 16;

	buf_init(utf8, room);
	buf_init(nfc, 4 * room);
	if (!decode_name(im, c, wire, utf8))
		return false;
	if (!text_nfc(buf_slice(utf8), nfc))
		return cur_limit(c, "shorter command (memory limit)");
	fold_inbox(nfc);
	return true;
}

/* `given` may be NULL. */
static bool
name_from_wire(struct imap *im, struct cursor *c, struct slice wire, struct slice *out,
               struct slice *given)
{
	struct buf utf8, nfc;
	bool ok = normalise(im, c, wire, &utf8, &nfc);

	if (ok) {
		*out = arena_dup(&im->arena, buf_slice(&nfc));
		ok = out->ptr != NULL || cur_limit(c, "shorter command (memory limit)");
	}
	if (ok && given != NULL) {
		*given = SLICE_NONE;
		if (!slice_eq(buf_slice(&utf8), *out))
			*given = arena_dup(&im->arena, buf_slice(&utf8));
	}
	buf_fini(&utf8);
	buf_fini(&nfc);
	return ok;
}

bool
imap_name_from_wire(struct imap *im, struct cursor *c, struct slice wire, struct slice *out)
{
	return name_from_wire(im, c, wire, out, NULL);
}

/* mailbox = "INBOX" / astring                                       [RFC 9051 s9] */
bool
parse_mailbox(struct imap *im, struct cursor *c, struct slice *out)
{
	struct slice wire;

	return parse_astring(c, &im->arena, &wire) && name_from_wire(im, c, wire, out, NULL);
}

bool
parse_mailbox_given(struct imap *im, struct cursor *c, struct slice *out, struct slice *given)
{
	struct slice wire;

	return parse_astring(c, &im->arena, &wire) && name_from_wire(im, c, wire, out, given);
}

/* A name with the wildcards of LIST is refused by CREATE: no pattern could name it alone. */
static bool
is_possible(struct imap *im, struct slice name)
{
	struct slice made;
	struct err e = ERR_INIT;

	return slice_find_byte(name, '*') == name.len && slice_find_byte(name, '%') == name.len &&
	       name_mailbox_make(name, &im->arena, &made, &e) == RC_OK;
}

void
imap_reply_no_target(struct imap *im, struct slice name)
{
	if (is_possible(im, name))
		imap_reply(im, IMAP_NO, "[TRYCREATE] No such mailbox");
	else
		imap_reply(im, IMAP_NO, "[CANNOT] No mailbox can have this name");
}
