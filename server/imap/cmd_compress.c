/* cmd_compress - COMPRESS [RFC 4978]. What it turns on is a filter of the stream
 * (server/deflate.h); no command knows of it.
 *
 * After login only, where the grammar has it (command-auth, s5), and offered only there: before
 * login there is nothing worth compressing, and nobody unknown gets the memory. TLS does not
 * compress here, so there is no other layer that could: COMPRESS twice is BAD, as s3 has it.
 */
#include "server/imap/commands.h"
#include "server/imap/private.h"

/* compress = "COMPRESS" SP algorithm; algorithm = "DEFLATE"                [RFC 4978 s5] */
static bool
compress_parse(struct imap *im, struct cursor *c)
{
	struct slice name;

	(void)im;
	if (!cur_space(c) || !parse_atom(c, &name))
		return false;
	return slice_eq_nocase(name, SLICE("DEFLATE")) || cur_fail(c, "DEFLATE");
}

static bool
compress_check(struct imap *im)
{
	if (session_is_compressed(im->s)) {
		imap_reply(im, IMAP_BAD, "[COMPRESSIONACTIVE] DEFLATE is active via COMPRESS");
		return false;
	}
	imap_reply(im, IMAP_OK, "DEFLATE active");
	im->priv->due = NEXT_COMPRESS;
	return true;
}

const struct imap_command imap_cmd_compress = {
	.name = "COMPRESS",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NO_VIEW,
	.parse = compress_parse,
	.check = compress_check,
};
