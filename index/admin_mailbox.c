/* admin_mailbox - the mailboxes of an account. See admin.h. */
#include "index/admin_impl.h"
#include "index/special_use.h"

/* The name comes last: it may hold spaces. */
static bool
send_text(struct admin_call *c, const struct mailbox_info *m)
{
	buf_printf(&c->line, "%8u %-8s %8u unseen %12llu %-5s  ", m->exists,
	    m->exists == 1 ? "message" : "messages", m->unseen, (unsigned long long)m->size,
	    m->size == 1 ? "byte" : "bytes");
	buf_append_slice(&c->line, m->name);
	for (uint32_t use = 1; use != 0; use <<= 1)
		if ((m->special_use & use) != 0 && special_use_name(use) != NULL)
			buf_printf(&c->line, " (%s)", special_use_name(use));
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
	for (uint32_t use = 1; use != 0; use <<= 1)
		if ((m->special_use & use) != 0 && special_use_name(use) != NULL)
			json_cstr(&j, NULL, special_use_name(use));
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
