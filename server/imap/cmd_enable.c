/* cmd_enable - ENABLE [RFC 9051 s6.3.1, RFC 5161].
 *
 * Names that are unknown, that need no enabling, or that are hidden for the account are passed over
 * in silence, as the RFC asks. The untagged answer names what this command turned on, of what it
 * named. A selected mailbox is no obstacle: the RFC lets a server be lenient there, and what is
 * enabled holds from the next answer on.
 */
#include "server/imap/commands.h"

enum extension {                /* bits */
	EXT_REV2 = 1 << 0,
	EXT_UTF8 = 1 << 1,
	EXT_CONDSTORE = 1 << 2,
	EXT_QRESYNC = 1 << 3,
	EXT_UIDONLY = 1 << 4,
};

static const struct {
	const char    *name;
	enum extension bit;
} extensions[] = {
	{ "IMAP4rev2", EXT_REV2 },    { "UTF8=ACCEPT", EXT_UTF8 }, { "CONDSTORE", EXT_CONDSTORE },
	{ "QRESYNC", EXT_QRESYNC },   { "UIDONLY", EXT_UIDONLY },
};

#define EXTENSIONS (sizeof extensions / sizeof extensions[0])

struct enable_args {
	unsigned wanted;
};

static unsigned
find_extension(const struct imap *im, struct slice name)
{
	for (size_t i = 0; i < EXTENSIONS; i++)
		if (slice_eq_nocase(name, slice_str(extensions[i].name)))
			return imap_is_hidden(im, name) ? 0 : extensions[i].bit;
	return 0;
}

/* enable = "ENABLE" 1*(SP capability)                               [RFC 9051 s9] */
static bool
enable_parse(struct imap *im, struct cursor *c)
{
	struct enable_args *args = arena_zalloc(&im->arena, sizeof *args);
	struct slice name;

	if (args == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = args;
	do {
		if (!cur_space(c) || !parse_atom(c, &name))
			return false;
		args->wanted |= find_extension(im, name);
	} while (!cur_at_end(c));
	return true;
}

static unsigned
enabled(const struct imap *im)
{
	return (im->rev2 ? EXT_REV2 : 0u) | (im->utf8_accept ? EXT_UTF8 : 0u)
	       | (im->condstore ? EXT_CONDSTORE : 0u) | (im->qresync ? EXT_QRESYNC : 0u)
	       | (im->uidonly ? EXT_UIDONLY : 0u);
}

static void
turn_on(struct imap *im, unsigned bits)
{
	if ((bits & EXT_REV2) != 0)
		im->rev2 = im->utf8 = true;
	if ((bits & EXT_UTF8) != 0)
		im->utf8_accept = im->utf8 = true;
	if ((bits & EXT_UIDONLY) != 0)
		im->uidonly = true;
	if ((bits & EXT_QRESYNC) != 0)
		im->qresync = true;     /* "ENABLE QRESYNC" is "ENABLE QRESYNC CONDSTORE" */
	if ((bits & (EXT_QRESYNC | EXT_CONDSTORE)) != 0)
		imap_enable_condstore(im);
}

static bool
enable_check(struct imap *im)
{
	struct enable_args *args = im->args;
	unsigned new = args->wanted & ~enabled(im);
	struct buf *out = imap_out(im);

	turn_on(im, new);
	buf_append_str(out, "* ENABLED");
	for (size_t i = 0; i < EXTENSIONS; i++)
		if ((new & extensions[i].bit) != 0)
			buf_printf(out, " %s", extensions[i].name);
	buf_append_str(out, "\r\n");
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
