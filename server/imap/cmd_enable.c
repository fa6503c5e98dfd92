/* cmd_enable - ENABLE [RFC 9051 s6.3.1, RFC 5161]. Unknown extensions, and those that are not
 * whole here yet, are passed over in silence, as the RFC asks: the untagged answer names what is
 * on now. */
#include "server/imap/commands.h"

static bool
enable_parse(struct imap *im, struct cursor *c)
{
	struct slice name;

	(void)im;
	/* enable = "ENABLE" 1*(SP capability)                        [RFC 9051 s9] */
	do {
		if (!cur_space(c) || !parse_atom(c, &name))
			return false;
	} while (!cur_at_end(c));
	return true;
}

static bool
enable_check(struct imap *im)
{
	buf_append_str(imap_out(im), "* ENABLED\r\n");
	imap_reply(im, IMAP_OK, "ENABLE completed");
	return true;
}

const struct imap_command imap_cmd_enable = {
	.name = "ENABLE",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = enable_parse,
	.check = enable_check,
};
