/* cmd_quota - GETQUOTA and GETQUOTAROOT [RFC 9208 s4.1]. An account is one quota root, "user", that
 * governs all its mailboxes; its limits are set by the administrator, so there is no SETQUOTA.
 *
 * STORAGE counts in units of 1024 octets. Usage and limit are both rounded up: so usage is never
 * above the limit, and a limit below 1024 octets is not taken for "nothing allowed" [s3.1.2].
 */
#include "server/imap/commands.h"

#define QUOTA_ROOT SLICE("user")

struct quota_args {
	struct slice root, mailbox;
};

static struct quota_args *
new_args(struct imap *im, struct cursor *c)
{
	im->args = arena_zalloc(&im->arena, sizeof(struct quota_args));
	if (im->args == NULL)
		cur_limit(c, "shorter command (memory limit)");
	return im->args;
}

/* getquota = "GETQUOTA" SP quota-root-name; quota-root-name = astring  [RFC 9208 s7] */
static bool
getquota_parse(struct imap *im, struct cursor *c)
{
	struct quota_args *args = new_args(im, c);

	return args != NULL && cur_space(c) && parse_astring(c, &im->arena, &args->root);
}

/* getquotaroot = "GETQUOTAROOT" SP mailbox                            [RFC 9208 s7] */
static bool
getquotaroot_parse(struct imap *im, struct cursor *c)
{
	struct quota_args *args = new_args(im, c);

	return args != NULL && cur_space(c) && parse_mailbox(im, c, &args->mailbox);
}

static void
out_resource(struct buf *out, const char **gap, const char *name, uint64_t used, uint64_t limit)
{
	if (limit == 0)
		return; /* "Resources not named in the list are not limited" [s4.2.1] */
	buf_append_str(out, *gap);
	buf_append_str(out, name);
	buf_append_byte(out, ' ');
	buf_append_u64(out, used);
	buf_append_byte(out, ' ');
	buf_append_u64(out, limit);
	*gap = " ";
}

static uint64_t
kib(uint64_t octets)
{
	return octets / 1024 + (octets % 1024 != 0);
}

/* quota-response = "QUOTA" SP quota-root-name SP quota-list            [RFC 9208 s7] */
static void
out_quota(struct imap *im, const struct account_info *account)
{
	struct buf *out = imap_out(im);
	const char *gap = "";

	buf_append_str(out, "* QUOTA ");
	imap_out_astring(out, QUOTA_ROOT);
	buf_append_str(out, " (");
	out_resource(out, &gap, "STORAGE", kib(account->used_bytes), kib(account->quota_bytes));
	out_resource(out, &gap, "MESSAGE", account->used_messages, account->quota_messages);
	buf_append_str(out, ")\r\n");
}

static enum imap_result
done(struct imap *im, enum rc rc, const struct err *e)
{
	if (rc == RC_OK)
		imap_reply(im, IMAP_OK, "%s completed", im->cmd->name);
	else
		imap_reply_error(im, rc, e);
	return IMAP_DONE;
}

/* Roots of other users are as unknown as roots that are none [s8]. */
static bool
getquota_check(struct imap *im)
{
	struct quota_args *args = im->args;

	if (slice_eq(args->root, QUOTA_ROOT))
		return true;
	imap_reply(im, IMAP_NO, "[NONEXISTENT] No such quota root");
	return false;
}

static enum imap_result
getquota_run(struct imap *im)
{
	struct account_info account;
	struct err e = ERR_INIT;
	enum rc rc = volume_get_account(im->volume, im->account, &im->arena, &account, &e);

	if (rc == RC_OK)
		out_quota(im, &account);
	return done(im, rc, &e);
}

/* quotaroot-response = "QUOTAROOT" SP mailbox *(SP quota-root-name). "The mailbox name parameter
 * doesn't have to reference an existing mailbox." [RFC 9208 s4.1.2] */
static enum imap_result
getquotaroot_run(struct imap *im)
{
	struct quota_args *args = im->args;
	struct account_info account;
	struct err e = ERR_INIT;
	enum rc rc = volume_get_account(im->volume, im->account, &im->arena, &account, &e);

	if (rc == RC_OK) {
		buf_append_str(imap_out(im), "* QUOTAROOT ");
		imap_out_mailbox(im, args->mailbox);
		buf_append_byte(imap_out(im), ' ');
		imap_out_astring(imap_out(im), QUOTA_ROOT);
		buf_append_str(imap_out(im), "\r\n");
		out_quota(im, &account);
	}
	return done(im, rc, &e);
}

const struct imap_command imap_cmd_getquota = {
	.name = "GETQUOTA",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = getquota_parse,
	.check = getquota_check,
	.run = getquota_run,
};

const struct imap_command imap_cmd_getquotaroot = {
	.name = "GETQUOTAROOT",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = getquotaroot_parse,
	.run = getquotaroot_run,
};
