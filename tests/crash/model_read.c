/* model_read - a picture of a volume, by what it tells. See model.h. */
#include "tests/crash/model.h"

#include <stdio.h>
#include <string.h>

static void
copy_name(char dst[NAME_LEN], struct slice s)
{
	(void)snprintf(dst, NAME_LEN, "%.*s", SLICE_ARG(s));
}

/* Which mail these bytes are; reads them all. MAILS: none, or unreadable. */
static unsigned
recognise(struct volume *v, const struct message_row *row)
{
	struct err e = ERR_INIT;
	struct buf b;
	unsigned found = MAILS;

	buf_init(&b, MODEL_MAIL_MAX);
	if (volume_read_blob(v, &row->place, 0, row->size, &b, &e) == RC_OK)
		for (unsigned i = 0; i < MAILS; i++)
			if (slice_eq(buf_slice(&b), model_mail(i)))
				found = i;
	buf_fini(&b);
	return found;
}

static bool
read_messages(struct volume *v, struct arena *a, struct model_box *b, char *why, size_t size)
{
	struct message_row *rows;
	struct uid_set all;
	size_t count;
	struct err e = ERR_INIT;
	enum rc rc;

	uid_set_init(&all, 4);
	(void)uid_set_add(&all, 1, UINT32_MAX);
	rc = volume_read_messages(v, b->id, &all, 1, MESSAGES + 1, WANT_PLACE, a, &rows, &count,
	                          &e);
	uid_set_fini(&all);
	if (rc != RC_OK || count > MESSAGES) {
		(void)snprintf(why, size, "%s: %s", b->name,
		               rc != RC_OK ? e.text : "too many messages");
		return false;
	}
	b->count = (unsigned)count;
	for (size_t i = 0; i < count; i++) {
		struct model_message *m = &b->messages[i];

		*m = (struct model_message){ rows[i].uid, rows[i].modseq, rows[i].flags, KEYWORDS,
			                     recognise(v, &rows[i]), rows[i].internaldate.sec, rows[i].savedate };
		for (unsigned k = 0; k < KEYWORDS; k++)
			if (slice_eq(rows[i].keywords, slice_str(model_keywords[k])))
				m->keyword = k;
		if (m->mail < MAILS && m->keyword < KEYWORDS)
			continue;
		(void)snprintf(why, size, "%s: message %u %s", b->name, m->uid,
		    m->mail == MAILS ? "does not have its bytes" : "has unknown keywords");
		return false;
	}
	return true;
}

static bool
read_boxes(struct volume *v, struct arena *a, struct model_account *acc, char *why, size_t size)
{
	struct mailbox_info *infos;
	struct err e = ERR_INIT;
	size_t count;

	if (volume_list_mailboxes(v, acc->id, a, &infos, &count, &e) != RC_OK || count > BOXES) {
		(void)snprintf(why, size, "mailboxes of %s: %s", acc->name, e.text);
		return false;
	}
	acc->box_count = (unsigned)count;
	for (size_t i = 0; i < count; i++) {
		struct model_box *b = &acc->boxes[i];

		*b = (struct model_box){ .id = infos[i].id, .uidvalidity = infos[i].uidvalidity,
			                 .uidnext = infos[i].uidnext,
			                 .highest = infos[i].highestmodseq };
		copy_name(b->name, infos[i].name);
		memcpy(b->mailboxid, infos[i].mailboxid, sizeof b->mailboxid);
		if (!read_messages(v, a, b, why, size))
			return false;
		if (infos[i].exists == b->count)
			continue;
		(void)snprintf(why, size, "%s: EXISTS says %u of %u", b->name, infos[i].exists,
		               b->count);
		return false;
	}
	return true;
}

static bool
read_rest(struct volume *v, struct arena *a, struct model_account *acc, char *why, size_t size)
{
	struct credential_info *creds;
	struct slice *names;
	struct err e = ERR_INIT;
	size_t count;

	if (volume_list_credentials(v, acc->id, a, &creds, &count, &e) != RC_OK || count > 1) {
		(void)snprintf(why, size, "credentials of %s: %s", acc->name, e.text);
		return false;
	}
	if (count == 1)
		copy_name(acc->password, creds[0].value);
	if (volume_list_subscriptions(v, acc->id, a, &names, &count, &e) != RC_OK ||
	    count > SUBSCRIBED) {
		(void)snprintf(why, size, "subscriptions of %s: %s", acc->name, e.text);
		return false;
	}
	acc->subscribed_count = (unsigned)count;
	for (size_t i = 0; i < count; i++)
		copy_name(acc->subscribed[i], names[i]);
	return read_boxes(v, a, acc, why, size);
}

bool
model_read(struct volume *v, struct model *out, char *why, size_t size)
{
	struct account_info *infos;
	struct err e = ERR_INIT;
	struct arena a;
	size_t count = 0;
	bool ok;

	memset(out, 0, sizeof *out);
	arena_init(&a, 16u << 20);
	ok = volume_list_accounts(v, SLICE(""), ACCOUNTS + 1, &a, &infos, &count, &e) == RC_OK &&
	     count <= ACCOUNTS;
	if (!ok)
		(void)snprintf(why, size, "accounts: %s", e.text);
	for (size_t i = 0; ok && i < count; i++) {
		struct model_account *acc = &out->accounts[out->count++];

		acc->id = infos[i].id;
		acc->flags = infos[i].flags;
		acc->quota_bytes = infos[i].quota_bytes;
		acc->quota_messages = infos[i].quota_messages;
		acc->used_bytes = infos[i].used_bytes;
		acc->used_messages = infos[i].used_messages;
		copy_name(acc->name, infos[i].name);
		copy_name(acc->hidden, infos[i].hidden);
		ok = read_rest(v, &a, acc, why, size);
	}
	arena_fini(&a);
	return ok;
}
