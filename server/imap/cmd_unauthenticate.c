/* cmd_unauthenticate - UNAUTHENTICATE [RFC 8437]: the connection is nobody's again, TLS stays.
 *
 * It must be possible to turn it off (s8): for all by `unauthenticate = no`, for an account by
 * hiding the capability. Then it is BAD, which s3 has for a server that does not advertise it; NO
 * is never said.
 */
#include "server/imap/commands.h"
#include "server/imap/private.h"

static bool
unauthenticate_check(struct imap *im)
{
	struct logline l;

	if (!imap_offers_unauthenticate(im)) {
		imap_reply(im, IMAP_BAD, "UNAUTHENTICATE is turned off");
		return false;
	}
	session_log(im->s, &l, LOGLEVEL_INFO, "imap.unauthenticate");
	log_end(&l);
	imap_logged_out(im);
	imap_reply(im, IMAP_OK, "Log in again, if you like");
	/* Compression ends behind the answer, and for the client behind the command (s4.1). */
	if (session_is_compressed(im->s))
		im->priv->due = NEXT_PLAIN;
	return true;
}

const struct imap_command imap_cmd_unauthenticate = {
	.name = "UNAUTHENTICATE",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NO_VIEW,
	.check = unauthenticate_check,
};
