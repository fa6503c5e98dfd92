/* cmd_mailbox - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE [RFC 9051 s6.3.4 - s6.3.8, RFC 6154
 * s3, RFC 8474 s4.1].
 *
 * The writer decides; here a command becomes one change, and its outcome a sentence. Every
 * mailbox can be selected, so one that has children cannot be deleted [s6.3.5 leaves that to the
 * server]. Which names are possible: doc/design.md. A name that was not in NFC is answered in
 * IMAP4rev2 with the one that the mailbox has, and OLDNAME [s6.3.9.7].
 */
#include "server/imap/commands.h"
#include "server/imap/list_out.h"
#include "index/special_use.h"

struct mailbox_args {
	struct slice name, new_name;
	struct slice given, new_given;  /* of parse_mailbox_given */
	uint32_t     special_use;
	bool         unknown_use;
	mailbox_id   id;                /* DELETE: found */
};

static struct mailbox_args *
new_args(struct imap *im, struct cursor *c)
{
	im->args = arena_zalloc(&im->arena, sizeof(struct mailbox_args));
	if (im->args == NULL)
		cur_limit(c, "shorter command (memory limit)");
	return im->args;
}

/* mailbox, without its trailing separator: that says that the client means to make names below it,
 * and is no part of the name [s6.3.4]. Some clients keep it in all commands about folders. */
static bool
take_name(struct imap *im, struct cursor *c, struct slice *name, struct slice *given)
{
	if (!parse_mailbox_given(im, c, name, given))
		return false;
	if (name->len > 1 && name->ptr[name->len - 1] == '/') {
		name->len--;
		given->len -= given->ptr != NULL;
	}
	return true;
}

/* ... SP mailbox */
static bool
one_name_parse(struct imap *im, struct cursor *c)
{
	struct mailbox_args *args = new_args(im, c);

	return args != NULL && cur_space(c) && take_name(im, c, &args->name, &args->given);
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
	else if (c->rc == RC_DENIED && !c->durable)
		imap_reply(im, IMAP_NO, "[CANNOT] Not possible with this name");
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

	if (!args->unknown_use)
		return true;
	imap_reply(im, IMAP_NO, "[USEATTR] This special use cannot be given to a mailbox");
	return false;
}

/* A name with wildcards is refused here, as the index knows none; the rest is its decision. */
static enum imap_result
submit_new_name(struct imap *im, enum change_kind kind, struct slice name)
{
	if (slice_find_byte(name, '*') == name.len && slice_find_byte(name, '%') == name.len)
		return submit(im, kind);
	imap_reply(im, IMAP_NO, "[CANNOT] Mailbox names hold no wildcards");
	return IMAP_DONE;
}

static enum imap_result
create_run(struct imap *im)
{
	struct mailbox_args *args = im->args;
	struct mailbox_info box;
	struct err e = ERR_INIT;
	struct buf id;

	if (im->change == NULL)
		return submit_new_name(im, CHANGE_MAILBOX_CREATE, args->name);
	if (im->change->rc != RC_OK ||
	    volume_get_mailbox(im->volume, im->change->u.mailbox.id, &im->arena, &box, &e) != RC_OK)
		return conclude(im);
	if (args->given.ptr != NULL && im->rev2)
		imap_out_list(im, &box, args->given);
	buf_init(&id, 2 * MAILBOXID_LEN + 1);
	imap_out_mailboxid(&id, box.mailboxid);
	imap_reply(im, IMAP_OK, "[MAILBOXID (%.*s)] CREATE completed", SLICE_ARG(buf_slice(&id)));
	buf_fini(&id);
	return IMAP_DONE;
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
	if (im->change->rc == RC_OK && args->given.ptr != NULL && im->rev2)
		list_out_line(im, LIST_NONEXISTENT, NULL, args->name, args->given);
	return conclude(im);
}

/* ---- RENAME ---- */

/* rename = "RENAME" SP mailbox SP mailbox                            [RFC 9051 s9] */
static bool
rename_parse(struct imap *im, struct cursor *c)
{
	struct mailbox_args *args = new_args(im, c);

	return args != NULL && cur_space(c) && take_name(im, c, &args->name, &args->given) &&
	       cur_space(c) && take_name(im, c, &args->new_name, &args->new_given);
}

/* "If the normalized version of any of these 2 parameters differs [...] the OLDNAME value being
 * the supplied existing mailbox name" [RFC 9051 s6.3.6] */
static void
tell_renamed(struct imap *im, const struct mailbox_args *args)
{
	struct mailbox_info box;
	struct err e = ERR_INIT;

	if (!im->rev2 || (args->given.ptr == NULL && args->new_given.ptr == NULL))
		return;
	if (volume_get_mailbox(im->volume, im->change->u.mailbox.id, &im->arena, &box, &e) == RC_OK)
		imap_out_list(im, &box, args->given.ptr != NULL ? args->given : args->name);
}

static enum imap_result
rename_run(struct imap *im)
{
	struct mailbox_args *args = im->args;

	if (im->change == NULL)
		return submit_new_name(im, CHANGE_MAILBOX_RENAME, args->new_name);
	if (im->change->rc == RC_OK)
		tell_renamed(im, args);
	return conclude(im);
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
	rc = volume_find_mailbox(im->volume, im->account, args->name, &im->arena, &box, &e);
	if (rc == RC_OK)
		return submit_subscribe(im, true);
	imap_reply_error(im, rc, &e);
	return IMAP_DONE;
}

static enum imap_result
unsubscribe_run(struct imap *im)
{
	if (im->change == NULL)
		return submit_subscribe(im, false);
	if (im->change->rc == RC_DENIED || im->change->rc == RC_LIMIT) {        /* no name at all */
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
