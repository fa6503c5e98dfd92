/* parse_flags - flag lists [RFC 9051 s9]. System flags become bits, keywords a text of atoms
 * with one space between. */
#include "server/imap/imap.h"

static const struct system_flag {
	const char    *name;
	enum mail_flag flag;
} system_flags[] = {
	{ "Answered", FLAG_ANSWERED }, { "Flagged", FLAG_FLAGGED }, { "Deleted", FLAG_DELETED },
	{ "Seen", FLAG_SEEN },         { "Draft", FLAG_DRAFT },
};

/* The five system flags, behind the "\". \Recent cannot be set by clients; flag-extension: we
 * have none. */
static bool
parse_system_flag(struct cursor *c, uint32_t *flags)
{
	struct slice name;

	if (!parse_atom(c, &name))
		return false;
	for (size_t i = 0; i < sizeof system_flags / sizeof system_flags[0]; i++) {
		if (slice_eq_nocase(name, slice_str(system_flags[i].name))) {
			*flags |= system_flags[i].flag;
			return true;
		}
	}
	c->pos -= name.len + 1;
	return cur_fail(c, "\\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft or a keyword");
}

/* flag = "\Answered" / ... / flag-keyword; flag-keyword = atom */
static bool
parse_flag(struct cursor *c, uint32_t *flags, struct buf *keywords)
{
	struct slice name;

	if (cur_take(c, '\\'))
		return parse_system_flag(c, flags);
	if (!parse_atom(c, &name))
		return cur_fail(c, "flag");
	if (keywords->len > 0)
		buf_append_byte(keywords, ' ');
	if (!buf_append_slice(keywords, name))
		return cur_limit(c, "fewer keywords (4096 octets)");
	return true;
}

/* flag *(SP flag) */
static bool
parse_bare_list(struct cursor *c, uint32_t *flags, struct buf *keywords)
{
	do {
		if (!parse_flag(c, flags, keywords))
			return false;
	} while (cur_take(c, ' '));
	return true;
}

/* flag-list = "(" [flag *(SP flag)] ")"; store-att-flags allows a bare list too. */
bool
parse_flag_list(struct cursor *c, struct arena *a, uint32_t *flags, struct slice *keywords)
{
	struct buf text;
	bool ok;

	*flags = 0;
	*keywords = SLICE("");
	buf_init(&text, KEYWORDS_MAX);
	if (!cur_take(c, '('))
		ok = parse_bare_list(c, flags, &text);
	else if (cur_take(c, ')'))
		ok = true;
	else
		ok = parse_bare_list(c, flags, &text) && cur_want(c, ')');
	if (ok && text.len > 0) {
		*keywords = arena_dup(a, buf_slice(&text));
		ok = keywords->ptr != NULL || cur_limit(c, "shorter command (memory limit)");
	}
	buf_fini(&text);
	return ok;
}
