/* cmd_list - LIST with RFC 5258's options, LIST-STATUS, SPECIAL-USE; LSUB; NAMESPACE
 * [RFC 9051 s6.3.9, s6.3.10].
 *
 * A reference is put before the pattern as it is: our names have no leading separator to make
 * more of it. Every mailbox can be selected and every parent exists, so \Noselect appears only
 * where LSUB asks for it, and \NonExistent only for a name that is subscribed without a mailbox.
 * Children and special uses are told always; clients rely on it for finding Sent and Trash.
 *
 * The first steps read and match, the later ones write; the list is of one moment.
 */
#include "lib/nowait.h"
#include "server/imap/commands.h"
#include "server/imap/list_match.h"
#include "server/imap/list_out.h"
#include "server/imap/list_tree.h"
#include "server/imap/status.h"

#define LIGHT_NAMES 100u        /* as many are matched and told on the reactor */
#define PATTERNS_MAX 32u

struct list_args {
	struct slice      reference;
	struct slice      patterns[PATTERNS_MAX];
	struct list_query query;
	bool              lsub;
	bool              extended;             /* selection options, several patterns or RETURN */
	bool              remote;
	bool              return_subscribed;
	uint32_t          status;               /* items of RETURN (STATUS ...), 0: none */
	bool              read;
	bool              selected;
	struct list_tree  tree;
	size_t            next;
};

/* ---- grammar ---- */

/* list-select-opt = "SUBSCRIBED" / "REMOTE" / "RECURSIVEMATCH" / "SPECIAL-USE" [RFC 9051 s9, RFC
 * 6154 s6] */
static bool
parse_select_opt(struct cursor *c, struct list_args *args)
{
	struct slice opt;

	if (!parse_atom(c, &opt))
		return false;
	if (slice_eq_nocase(opt, SLICE("SUBSCRIBED")))
		args->query.subscribed = true;
	else if (slice_eq_nocase(opt, SLICE("REMOTE")))
		args->remote = true;            /* there are none */
	else if (slice_eq_nocase(opt, SLICE("RECURSIVEMATCH")))
		args->query.recursive = true;
	else if (slice_eq_nocase(opt, SLICE("SPECIAL-USE")))
		args->query.special_use = true;
	else
		return cur_fail(c, "SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE");
	return true;
}

/* list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")"; RECURSIVEMATCH needs a
 * base option [RFC 9051 s9] */
static bool
parse_select_opts(struct cursor *c, struct list_args *args)
{
	args->extended = true;
	if (cur_take(c, ')'))
		return true;
	do {
		if (!parse_select_opt(c, args))
			return false;
	} while (cur_take(c, ' '));
	if (!cur_want(c, ')'))
		return false;
	if (args->query.recursive && !args->query.subscribed && !args->query.special_use)
		return cur_fail(c, "SUBSCRIBED or SPECIAL-USE with RECURSIVEMATCH");
	return true;
}

/* An empty pattern is no pattern; alone, in the basic syntax, it asks for the separator. One that
 * is too long "MUST be silently ignored": it matches no name. [RFC 9051 s6.3.9] */
static bool
parse_pattern(struct imap *im, struct cursor *c, struct list_args *args)
{
	struct slice *made = &args->patterns[args->query.pattern_count];
	struct slice wire, text, reference = args->reference;

	if (args->query.pattern_count == PATTERNS_MAX)
		return cur_limit(c, "fewer patterns");
	if (!parse_list_mailbox(c, &im->arena, &wire) || !imap_name_from_wire(im, c, wire, &text))
		return false;
	if (text.len == 0)
		return true;
	if (reference.len + text.len > LIST_PATTERN_MAX) {
		reference = SLICE("");
		text = IMAP_NAME_OF_NONE;
	}
	if (!list_pattern_make(reference, text, &im->arena, made))
		return cur_limit(c, "shorter command (memory limit)");
	args->query.pattern_count++;
	return true;
}

/* mbox-or-pat = list-mailbox / patterns; patterns = "(" list-mailbox *(SP list-mailbox) ")"
 * [RFC 9051 s9] */
static bool
parse_patterns(struct imap *im, struct cursor *c, struct list_args *args)
{
	if (!cur_take(c, '('))
		return parse_pattern(im, c, args);
	args->extended = true;
	do {
		if (!parse_pattern(im, c, args))
			return false;
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}

/* return-option = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / "STATUS" SP "(" ... ")"
 * [RFC 9051 s9, RFC 5819, RFC 6154] */
static bool
parse_return_opt(struct imap *im, struct cursor *c, struct list_args *args)
{
	struct slice opt;

	if (!parse_atom(c, &opt))
		return false;
	if (slice_eq_nocase(opt, SLICE("SUBSCRIBED")))
		args->return_subscribed = true;
	else if (slice_eq_nocase(opt, SLICE("STATUS")))
		return cur_space(c) && parse_status_items(im, c, &args->status);
	else if (!slice_eq_nocase(opt, SLICE("CHILDREN")) &&
		 !slice_eq_nocase(opt, SLICE("SPECIAL-USE")))
		return cur_fail(c, "SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS");
	return true;
}

/* list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")" [RFC 9051 s9] */
static bool
parse_return_opts(struct imap *im, struct cursor *c, struct list_args *args)
{
	args->extended = true;
	if (!cur_take_word(c, "RETURN"))
		return cur_fail(c, "RETURN");
	if (!cur_space(c) || !cur_want(c, '('))
		return false;
	if (cur_take(c, ')'))
		return true;
	do {
		if (!parse_return_opt(im, c, args))
			return false;
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}

static struct list_args *
new_args(struct imap *im, struct cursor *c)
{
	struct list_args *args = arena_zalloc(&im->arena, sizeof *args);

	if (args == NULL)
		cur_limit(c, "shorter command (memory limit)");
	else
		args->query.patterns = args->patterns;
	im->args = args;
	return args;
}

/* list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
 * [RFC 9051 s9] */
static bool
list_parse(struct imap *im, struct cursor *c)
{
	struct list_args *args = new_args(im, c);

	if (args == NULL || !cur_space(c))
		return false;
	if (cur_take(c, '(') && (!parse_select_opts(c, args) || !cur_space(c)))
		return false;
	if (!parse_mailbox(im, c, &args->reference) || !cur_space(c) ||
	    !parse_patterns(im, c, args))
		return false;
	return !cur_take(c, ' ') || parse_return_opts(im, c, args);
}

/* lsub = "LSUB" SP mailbox SP list-mailbox                          [RFC 3501 s9] */
static bool
lsub_parse(struct imap *im, struct cursor *c)
{
	struct list_args *args = new_args(im, c);

	if (args == NULL || !cur_space(c) || !parse_mailbox(im, c, &args->reference) ||
	    !cur_space(c) || !parse_pattern(im, c, args))
		return false;
	args->lsub = true;
	args->query.subscribed = true;
	args->query.recursive = slice_find_byte(args->patterns[0], '%') < args->patterns[0].len;
	return true;
}

/* ---- answers ---- */

static unsigned
attributes_of(const struct list_args *args, const struct list_node *node)
{
	bool says_subscribed = args->return_subscribed || args->query.subscribed;
	unsigned bits = 0;

	if (args->lsub)
		return node->selected ? 0 : LIST_NOSELECT;
	if (node->box == NULL)
		bits |= LIST_NONEXISTENT;
	if (node->subscribed && says_subscribed)
		bits |= LIST_SUBSCRIBED;
	return bits;
}

static void
out_node(struct imap *im, const struct list_args *args, const struct list_node *node)
{
	struct buf *out = imap_out(im);

	buf_append_str(out, args->lsub ? "* LSUB (" : "* LIST (");
	list_out_attributes(out, attributes_of(args, node), node->box);
	buf_append_str(out, ") \"/\" ");
	imap_out_mailbox(im, node->name);
	if (!args->lsub && node->child_selected)      /* only with RECURSIVEMATCH */
		list_out_childinfo(out, &args->query);
	buf_append_str(out, "\r\n");
	if (args->status != 0 && node->box != NULL && node->selected)
		imap_out_status(im, node->box, args->status);
}

static bool
asks_for_separator(const struct list_args *args)
{
	return !args->extended && args->query.pattern_count == 0;
}

static enum imap_result
list_done(struct imap *im)
{
	imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	return IMAP_DONE;
}

/* Write what is returned, from args->next on. */
static enum imap_result
out_nodes(struct imap *im, struct list_args *args)
{
	for (; args->next < args->tree.count; args->next++) {
		const struct list_node *node = &args->tree.nodes[args->next];

		if (session_out_full(im->s))
			return IMAP_MORE;
		if (node->matched && (node->selected || node->child_hidden))
			out_node(im, args, node);
	}
	return list_done(im);
}

static bool
list_reads_little(struct imap *im)
{
	const struct list_args *args = im->args;

	return !args->read && args->status == 0;
}

static void
list_undo(struct imap *im)
{
	struct list_args *args = im->args;

	args->read = args->selected = false;
	args->next = 0;
}

static enum imap_result
list_run(struct imap *im)
{
	struct list_args *args = im->args;
	struct err e = ERR_INIT;

	if (!args->read) {
		unsigned reads = (args->query.subscribed ? LIST_SUBSCRIPTIONS : 0u) |
		                 (args->status != 0 ? LIST_COUNTERS : 0u);
		enum rc rc = list_tree_read(im->volume, im->account, reads, &im->arena, &args->tree, &e);

		if (rc != RC_OK) {
			imap_reply_error(im, rc, &e);
			return IMAP_DONE;
		}
		imap_status_enables(im, args->status);
		args->read = true;
		if (nowait_is_on() && args->tree.count > LIGHT_NAMES)
			return IMAP_MORE;       /* on the pool */
	}
	if (!args->selected) {
		if (!list_tree_match(&args->tree, &args->query))
			return IMAP_MORE;
		list_tree_select(&args->tree, &args->query);
		args->selected = true;
	}
	return out_nodes(im, args);
}

static enum imap_result
list_or_separator_run(struct imap *im)
{
	struct list_args *args = im->args;

	if (!asks_for_separator(args))
		return list_run(im);
	buf_printf(imap_out(im), "* %s (\\Noselect) \"/\" \"\"\r\n", im->cmd->name);
	return list_done(im);
}

/* One personal namespace, all of the names [RFC 9051 s6.3.10]. */
static bool
namespace_check(struct imap *im)
{
	buf_append_str(imap_out(im), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	imap_reply(im, IMAP_OK, "NAMESPACE completed");
	return true;
}

const struct imap_command imap_cmd_list = {
	.name = "LIST",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = list_parse,
	.run = list_or_separator_run,
	.reads_little = list_reads_little,
	.undo = list_undo,
};

const struct imap_command imap_cmd_lsub = {
	.name = "LSUB",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = lsub_parse,
	.run = list_or_separator_run,
	.reads_little = list_reads_little,
	.undo = list_undo,
};

const struct imap_command imap_cmd_namespace = {
	.name = "NAMESPACE",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.check = namespace_check,
};
