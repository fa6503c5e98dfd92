/* cmd_mailbox - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE [RFC 9051 s6.3.4 - s6.3.8, RFC
 * 6154].
 *
 * The writer decides; here a command becomes one change, and its outcome a sentence. Every
 * mailbox can be selected, so one that has children cannot be deleted [s6.3.5 leaves that to the
 * server]. Names with the wildcards of LIST are refused: no pattern could name them.
 */
#include "server/imap/commands.h"
#include "server/imap/special_use.h"

struct mailbox_args {
	struct slice name, new_name;
	uint32_t     special_use;
	bool         unknown_use;
	mailbox_id   id;                /* DELETE: found */
};

static struct mailbox_args *
new_args(struct imap *im, struct cursor *c)
{
	im->args = arena_zalloc(&im->arena, sizeof(struct mailbox_args));
	if (im->args == NULL)
		cur_fail(c, "shorter command (memory limit)");
	return im->args;
}

/* ... SP mailbox */
static bool
one_name_parse(struct imap *im, struct cursor *c)
{
	struct mailbox_args *args = new_args(im, c);

	return args != NULL && cur_space(c) && parse_mailbox(im, c, &args->name);
}

static bool
is_good_new_name(struct slice name)
{
	return slice_find_byte(name, '*') == name.len && slice_find_byte(name, '%') == name.len;
}

/* A trailing separator says that the client means to make names below it; it is no part of the
 * name [s6.3.4]. */
static struct slice
without_trailing_separator(struct slice name)
{
	if (name.len > 1 && name.ptr[name.len - 1] == '/')
		name.len--;
	return name;
}

/* Start the change, or say why not. */
static enum imap_result
submit(struct imap *im, enum change_kind kind)
{
	struct mailbox_args *args = im->args;
	struct change *c = change_new(kind);
	struct err e = ERR_INIT;

	if (c == NULL) {
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	c->u.mailbox = (struct change_mailbox){
		.account = im->account,
		.name = arena_dup(&c->arena, args->name),
		.new_name = arena_dup(&c->arena, args->new_name),
		.special_use = args->special_use,
	};
	if (c->u.mailbox.name.ptr == NULL || c->u.mailbox.new_name.ptr == NULL) {
		change_free(&c);
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	return imap_submit(im, c);
}

/* The outcome of im->change. */
static enum imap_result
conclude(struct imap *im)
{
	struct change *c = im->change;

	if (c->rc == RC_OK)
		imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	else if (c->rc == RC_LIMIT && !c->durable)
		imap_reply(im, IMAP_NO, "[LIMIT] Mailbox name is too long or has too many levels");
	else
		imap_reply_error(im, c->rc, &c->err);
	return IMAP_DONE;
}

/* ---- CREATE ---- */

/* use-attr = "\All" / "\Archive" / ...; behind the "\"               [RFC 6154 s6] */
static bool
parse_use_attr(struct cursor *c, struct mailbox_args *args)
{
	struct slice name;
	uint32_t use;

	if (!cur_take(c, '\\'))
		return cur_fail(c, "special-use attribute");
	if (!parse_atom(c, &name))
		return false;
	use = special_use_named(name);
	args->special_use |= use;
	if ((use & SPECIAL_USE_SETTABLE) == 0)
		args->unknown_use = true;
	return true;
}

/* create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")", in its own parentheses
 * [RFC 6154 s6] */
static bool
parse_create_use(struct cursor *c, struct mailbox_args *args)
{
	if (!cur_want(c, '('))
		return false;
	if (!cur_take_word(c, "USE"))
		return cur_fail(c, "USE");
	if (!cur_space(c) || !cur_want(c, '('))
		return false;
	if (!cur_take(c, ')')) {
		do {
			if (!parse_use_attr(c, args))
				return false;
		} while (cur_take(c, ' '));
		if (!cur_want(c, ')'))
			return false;
	}
	return cur_want(c, ')');
}

/* create = "CREATE" SP mailbox [create-params]                       [RFC 9051 s9] */
static bool
create_parse(struct imap *im, struct cursor *c)
{
	if (!one_name_parse(im, c))
		return false;
	return !cur_take(c, ' ') || parse_create_use(c, im->args);
}

static bool
create_check(struct imap *im)
{
	struct mailbox_args *args = im->args;

	args->name = without_trailing_separator(args->name);
	if (args->unknown_use)
		imap_reply(im, IMAP_NO, "[USEATTR] This special use cannot be given to a mailbox");
	else if (!is_good_new_name(args->name))
		imap_reply(im, IMAP_NO, "[CANNOT] Mailbox names hold no wildcards");
	else
		return true;
	return false;
}

static enum imap_result
create_run(struct imap *im)
{
	return im->change == NULL ? submit(im, CHANGE_MAILBOX_CREATE) : conclude(im);
}

/* ---- DELETE ---- */

/* True when the change may be tried. */
static bool
may_delete(struct imap *im, struct mailbox_args *args)
{
	struct mailbox_info box;
	struct err e = ERR_INIT;
	enum rc rc = volume_find_mailbox(im->volume, im->account, args->name, &im->arena, &box, &e);

	args->id = box.id;
	if (rc != RC_OK)
		imap_reply_error(im, rc, &e);
	else if (slice_eq(box.name, SLICE("INBOX")))
		imap_reply(im, IMAP_NO, "[CANNOT] INBOX cannot be deleted");
	else if (box.has_children)
		imap_reply(im, IMAP_NO, "[HASCHILDREN] Delete the mailboxes below it first");
	else
		return true;
	return false;
}

static enum imap_result
delete_run(struct imap *im)
{
	struct mailbox_args *args = im->args;

	if (im->change == NULL)
		return may_delete(im, args) ? submit(im, CHANGE_MAILBOX_DELETE) : IMAP_DONE;
	if (im->change->rc == RC_OK && args->id == im->mailbox) {
		imap_unselect(im);
		buf_append_str(imap_out(im), "* OK [CLOSED] The selected mailbox was deleted\r\n");
	}
	return conclude(im);
}

/* ---- RENAME ---- */

/* rename = "RENAME" SP mailbox SP mailbox                            [RFC 9051 s9] */
static bool
rename_parse(struct imap *im, struct cursor *c)
{
	struct mailbox_args *args = new_args(im, c);

	return args != NULL && cur_space(c) && parse_mailbox(im, c, &args->name) && cur_space(c) &&
	       parse_mailbox(im, c, &args->new_name);
}

static bool
rename_check(struct imap *im)
{
	struct mailbox_args *args = im->args;

	args->new_name = without_trailing_separator(args->new_name);
	if (is_good_new_name(args->new_name))
		return true;
	imap_reply(im, IMAP_NO, "[CANNOT] Mailbox names hold no wildcards");
	return false;
}

static enum imap_result
rename_run(struct imap *im)
{
	return im->change == NULL ? submit(im, CHANGE_MAILBOX_RENAME) : conclude(im);
}

/* ---- SUBSCRIBE and UNSUBSCRIBE ---- */

static enum imap_result
submit_subscribe(struct imap *im, bool subscribed)
{
	struct mailbox_args *args = im->args;
	struct change *c = change_new(CHANGE_SUBSCRIBE);
	struct err e = ERR_INIT;

	if (c == NULL) {
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	c->u.subscribe.account = im->account;
	c->u.subscribe.name = arena_dup(&c->arena, args->name);
	c->u.subscribe.subscribed = subscribed;
	if (c->u.subscribe.name.ptr == NULL) {
		change_free(&c);
		imap_reply_error(im, err_nomem(&e), &e);
		return IMAP_DONE;
	}
	return imap_submit(im, c);
}

/* Only names that are mailboxes now can be subscribed [s6.3.7 MAY]; the subscription outlives
 * the mailbox. */
static enum imap_result
subscribe_run(struct imap *im)
{
	struct mailbox_args *args = im->args;
	struct mailbox_info box;
	struct err e = ERR_INIT;
	enum rc rc;

	if (im->change != NULL)
		return conclude(im);
	args->name = without_trailing_separator(args->name);
	rc = volume_find_mailbox(im->volume, im->account, args->name, &im->arena, &box, &e);
	if (rc == RC_OK)
		return submit_subscribe(im, true);
	imap_reply_error(im, rc, &e);
	return IMAP_DONE;
}

static enum imap_result
unsubscribe_run(struct imap *im)
{
	struct mailbox_args *args = im->args;

	if (im->change == NULL) {
		args->name = without_trailing_separator(args->name);
		return submit_subscribe(im, false);
	}
	if (im->change->rc == RC_NOT_FOUND) {
		imap_reply(im, IMAP_OK, "UNSUBSCRIBE completed, it was not subscribed");
		return IMAP_DONE;
	}
	return conclude(im);
}

#define AFTER_LOGIN (IMAP_AUTH | IMAP_SELECTED)

const struct imap_command imap_cmd_create = {
	.name = "CREATE",
	.states = AFTER_LOGIN,
	.effect = EFFECT_NONE,
	.parse = create_parse,
	.check = create_check,
	.run = create_run,
};

const struct imap_command imap_cmd_delete = {
	.name = "DELETE",
	.states = AFTER_LOGIN,
	.effect = EFFECT_NONE,
	.parse = one_name_parse,
	.run = delete_run,
};

const struct imap_command imap_cmd_rename = {
	.name = "RENAME",
	.states = AFTER_LOGIN,
	.effect = EFFECT_NONE,
	.parse = rename_parse,
	.check = rename_check,
	.run = rename_run,
};

const struct imap_command imap_cmd_subscribe = {
	.name = "SUBSCRIBE",
	.states = AFTER_LOGIN,
	.effect = EFFECT_NONE,
	.parse = one_name_parse,
	.run = subscribe_run,
};

const struct imap_command imap_cmd_unsubscribe = {
	.name = "UNSUBSCRIBE",
	.states = AFTER_LOGIN,
	.effect = EFFECT_NONE,
	.parse = one_name_parse,
	.run = unsubscribe_run,
};
