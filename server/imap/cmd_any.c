/* cmd_any - commands of every state: CAPABILITY, NOOP, LOGOUT, ID [RFC 9051 s6.1, RFC 2971]; and
 * CHECK [RFC 3501 s6.4.1], which is NOOP here, as what was answered is on disk. */
#include "server/imap/commands.h"
#include "server/imap/private.h"

#define ANY_STATE   (IMAP_NOT_AUTH | IMAP_AUTH | IMAP_SELECTED)
#define ID_PAIRS    30u         /* RFC 2971 s3.3 */
#define ID_KEY_MAX  30u
#define ID_VALUE_MAX 1024u

static bool
completed(struct imap *im)
{
	imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	return true;
}

/* IMAP4rev2 has it no more [RFC 9051 appendix E]. */
static bool
check_check(struct imap *im)
{
	if (!im->rev2)
		return completed(im);
	imap_reply(im, IMAP_BAD, "CHECK is not in IMAP4rev2, use NOOP");
	return false;
}

static bool
capability_check(struct imap *im)
{
	struct buf *out = imap_out(im);

	buf_append_str(out, "* CAPABILITY ");
	imap_out_capabilities(im, out);
	buf_append_str(out, "\r\n");
	return completed(im);
}

/* The untagged BYE comes before the tagged OK [RFC 9051 s6.1.3]. */
static bool
logout_check(struct imap *im)
{
	buf_append_str(imap_out(im), "* BYE Logging out\r\n");
	imap_unselect(im);
	im->state = IMAP_LOGOUT;
	return completed(im);
}

struct id_args {
	struct slice name, version, event;
};

/* string SP nstring, as often as there are */
static bool
parse_id_pairs(struct imap *im, struct cursor *c, struct id_args *args)
{
	struct slice key, value;

	for (unsigned n = 0; !cur_take(c, ')'); n++) {
		if (n == ID_PAIRS)
			return cur_fail(c, "at most 30 pairs");
		if ((n > 0 && !cur_space(c)) || !parse_string(c, &im->arena, &key) ||
		    !cur_space(c) || !parse_nstring(c, &im->arena, &value))
			return false;
		if (key.len > ID_KEY_MAX || value.len > ID_VALUE_MAX)
			return cur_fail(c, "shorter fields and values");
		if (slice_eq_nocase(key, SLICE("name")))
			args->name = value;
		if (slice_eq_nocase(key, SLICE("version")))
			args->version = value;
		if (slice_eq_nocase(key, SLICE("event")))
			args->event = value;
	}
	return true;
}

/* id = "ID" SP id-params-list; id-params-list = "(" [string SP nstring *(SP string SP nstring)]
 * ")" / nil [RFC 2971 s4] */
static bool
id_parse(struct imap *im, struct cursor *c)
{
	struct id_args *args = arena_zalloc(&im->arena, sizeof *args);

	if (args == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = args;
	if (!cur_space(c))
		return false;
	if (cur_take_word(c, "NIL"))
		return true;
	return cur_want(c, '(') && parse_id_pairs(im, c, args);
}

/* Apple's Mail says by a list of words why it comes, and puts off for about a day what need not be
 * now if ID is answered NO [UNAVAILABLE]: load shedding for when many phones fetch everything anew
 * at once (Apple, TN3189). The words of others mean nothing. */
static bool
is_background(const struct id_args *args)
{
	struct slice list = args->event;

	if (!slice_starts(args->name, SLICE("com.apple.")))
		return false;
	while (list.len > 0) {
		size_t n = slice_find_byte(list, ',');
		struct slice word = slice_trim(slice_sub(list, 0, n));

		if (slice_eq(word, SLICE("indexer")) || slice_eq(word, SLICE("back-fill")))
			return true;
		list = slice_sub(list, n + 1, list.len);
	}
	return false;
}

/* Our version stays out of it: it helps attackers more than clients. */
static bool
id_check(struct imap *im)
{
	struct id_args *args = im->args;
	struct logline l;

	if (args->name.len > 0) {
		session_log(im->s, &l, LOGLEVEL_DEBUG, "imap.id");
		log_str(&l, "name", args->name);
		log_str(&l, "version", args->version);
		log_end(&l);
	}
	if (session_conf(im->s)->limits.defer_backfill && is_background(args)) {
		imap_reply(im, IMAP_NO,
		           "[UNAVAILABLE] Not now: download in the background tomorrow");
		return false;
	}
	buf_append_str(imap_out(im), "* ID (\"name\" \"" SERVER_NAME "\")\r\n");
	return completed(im);
}

const struct imap_command imap_cmd_capability = {
	.name = "CAPABILITY",
	.states = ANY_STATE,
	.effect = EFFECT_NONE,
	.check = capability_check,
};

const struct imap_command imap_cmd_noop = {
	.name = "NOOP",
	.states = ANY_STATE,
	.effect = EFFECT_NONE,
	.check = completed,
};

const struct imap_command imap_cmd_check = {
	.name = "CHECK",
	.states = IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.check = check_check,
};

const struct imap_command imap_cmd_logout = {
	.name = "LOGOUT",
	.states = ANY_STATE,
	.effect = EFFECT_NO_VIEW,
	.check = logout_check,
};

const struct imap_command imap_cmd_id = {
	.name = "ID",
	.states = ANY_STATE,
	.effect = EFFECT_NONE,
	.parse = id_parse,
	.check = id_check,
};
