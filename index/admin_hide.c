/* admin_hide - which IMAP capabilities an account is not shown. See admin.h and hidden.h.
 *
 * The list is read here and written whole: of two admins at the same moment the later one wins.
 */
#include "index/admin_impl.h"

#include "index/hidden.h"
#include "index/keywords.h"

/* The names given, as they stand in a list. */
static enum rc
given_names(struct admin_call *c, struct slice *out, struct err *e)
{
	struct slice text = SLICE("");

	for (int i = 1; i < c->argc; i++) {
		text = arena_printf(&c->arena, "%.*s%s%s", SLICE_ARG(text), i > 1 ? " " : "",
		                    c->args[i]);
		if (text.ptr == NULL)
			return err_nomem(e);
	}
	return hidden_normalise(text, &c->arena, out, e);
}

typedef enum rc (*combine)(const struct keyword_list *x, const struct keyword_list *y,
                           struct arena *a, struct keyword_list *out, struct err *e);

static enum rc
combine_names(struct admin_call *c, struct slice now, combine how, struct slice *out, struct err *e)
{
	struct keyword_list old, given, both;
	struct slice names;
	enum rc rc = given_names(c, &names, e);

	if (rc == RC_OK)
		rc = keywords_split(now, &c->arena, &old, e);
	if (rc == RC_OK)
		rc = keywords_split(names, &c->arena, &given, e);
	if (rc == RC_OK)
		rc = how(&old, &given, &c->arena, &both, e);
	return rc == RC_OK ? keywords_join(&both, &c->arena, out, e) : rc;
}

static enum admin_exit
write_list(struct admin_call *c, struct volume *v, account_id id, struct slice list)
{
	struct change *ch = change_new(CHANGE_ACCOUNT_HIDE);
	enum admin_exit status;

	if (ch == NULL) {
		admin_complain(c, "out of memory");
		return ADMIN_FAILED;
	}
	ch->u.account.id = id;
	ch->u.account.hidden = list;            /* the call's arena outlives the change */
	status = admin_change(c, v, &ch, c->args[0]);
	if (status != ADMIN_OK)
		return status;
	buf_printf(&c->line, "%s: ", c->args[0]);
	if (list.len == 0)
		buf_append_str(&c->line, "nothing is hidden");
	else
		buf_printf(&c->line, "hides %.*s", SLICE_ARG(list));
	admin_send(c);
	return ADMIN_OK;
}

static enum admin_exit
change_list(struct admin_call *c, combine how)
{
	struct account_info info;
	struct err e = ERR_INIT;
	struct slice list = SLICE("");
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &info);

	if (status != ADMIN_OK)
		return status;
	if (!admin_flag(c, "--all") && combine_names(c, info.hidden, how, &list, &e) != RC_OK)
		return admin_fail(c, &e);
	return write_list(c, v, info.id, list);
}

/* Most likely a slip of the pen; but a later release may have it. */
static void
warn_unknown(struct admin_call *c)
{
	struct slice names, word;
	struct err e = ERR_INIT;

	if (given_names(c, &names, &e) != RC_OK)
		return;
	for (; names.len > 0; names = slice_sub(names, word.len + 1, names.len)) {
		word = slice_sub(names, 0, slice_find_byte(names, ' '));
		if (!hidden_is_known(word))
			admin_complain(c, "%.*s: this server has no such capability",
			               SLICE_ARG(word));
	}
}

enum admin_exit
admin_user_hide(struct admin_call *c)
{
	enum admin_exit status = change_list(c, keywords_add);

	if (status == ADMIN_OK)
		warn_unknown(c);
	return status;
}

enum admin_exit
admin_user_unhide(struct admin_call *c)
{
	if (admin_flag(c, "--all") != (c->argc == 1))
		return ADMIN_USAGE;
	return change_list(c, keywords_remove);
}
