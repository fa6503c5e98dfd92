/* admin_mailbox - the mailboxes of an account. See admin.h. */
#include "index/admin_impl.h"

static const struct {
	uint32_t    bit;
	const char *name;
} uses[] = {
	{ USE_ALL, "\\All" },         { USE_ARCHIVE, "\\Archive" }, { USE_DRAFTS, "\\Drafts" },
	{ USE_FLAGGED, "\\Flagged" }, { USE_JUNK, "\\Junk" },       { USE_SENT, "\\Sent" },
	{ USE_TRASH, "\\Trash" },     { USE_IMPORTANT, "\\Important" },
	{ USE_SNOOZED, "\\Snoozed" }, { USE_SCHEDULED, "\\Scheduled" }, { USE_MEMOS, "\\Memos" },
};

#define USES (sizeof uses / sizeof uses[0])

/* The name comes last: it may hold spaces. */
static bool
send_text(struct admin_call *c, const struct mailbox_info *m)
{
	buf_printf(&c->line, "%8u messages %8u unseen %12llu bytes  ", m->exists, m->unseen,
	    (unsigned long long)m->size);
	buf_append_slice(&c->line, m->name);
	for (size_t i = 0; i < USES; i++)
		if ((m->special_use & uses[i].bit) != 0)
			buf_printf(&c->line, " (%s)", uses[i].name);
	return admin_send(c);
}

static bool
send_json(struct admin_call *c, const struct mailbox_info *m)
{
	struct json j;

	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_str(&j, "name", m->name);
	admin_json_lsn(&j, "id", m->id);
	json_u64(&j, "messages", m->exists);
	json_u64(&j, "unseen", m->unseen);
	json_u64(&j, "deleted", m->deleted);
	json_u64(&j, "bytes", m->size);
	json_u64(&j, "uidvalidity", m->uidvalidity);
	json_u64(&j, "uidnext", m->uidnext);
	json_u64(&j, "highestmodseq", m->highestmodseq);
	json_bool(&j, "subscribed", m->subscribed);
	json_array(&j, "special_use");
	for (size_t i = 0; i < USES; i++)
		if ((m->special_use & uses[i].bit) != 0)
			json_cstr(&j, NULL, uses[i].name);
	json_end(&j);
	json_end(&j);
	return admin_send(c);
}

enum admin_exit
admin_mailbox_list(struct admin_call *c)
{
	struct account_info account;
	struct mailbox_info *list;
	struct err e = ERR_INIT;
	struct volume *v;
	size_t n;
	enum admin_exit status = admin_find(c, c->args[0], &v, &account);

	if (status != ADMIN_OK)
		return status;
	if (volume_list_mailboxes(v, account.id, &c->arena, &list, &n, &e) != RC_OK)
		return admin_fail(c, &e);
	for (size_t i = 0; i < n; i++)
		if (!(c->json ? send_json(c, &list[i]) : send_text(c, &list[i])))
			return ADMIN_FAILED;
	return ADMIN_OK;
}
