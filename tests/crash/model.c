/* model - see model.h. */
#include "tests/crash/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG_LEN    (1400u << 10)
#define MIDDLE_LEN (60u << 10)

const char *const model_keywords[KEYWORDS] = { "", "red", "$Forwarded" };
const int64_t model_date = 1700000000;

static struct buf mails[MAILS];

/* Text that deflate cannot make small. */
static void
add_noise(struct buf *b, size_t len)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		char c;

		x = x * 1664525u + 1013904223u;
		c = i % 76 == 74 ? '\r' : i % 76 == 75 ? '\n' : (char)(33 + (x >> 16) % 94);
		if (!buf_append(b, &c, 1))
			abort();
	}
}

void
model_init_mails(void)
{
	for (unsigned i = 0; i < MAILS; i++) {
		char text[512];

		buf_init(&mails[i], BIG_LEN + 4096);
		(void)snprintf(text, sizeof text,
		               "From: Anna <anna@example.org>\r\nTo: ben@example.org\r\nSubject: Letter %u\r\n"
		               "Message-ID: <%u@example.org>\r\n\r\nThis is letter %u.\r\n",
		               i, i, i);
		if (!buf_append_str(&mails[i], text))
			abort();
		if (i >= MAIL_SMALL)
			add_noise(&mails[i], i == MAIL_BIG ? BIG_LEN : MIDDLE_LEN);
	}
}

struct slice
model_mail(unsigned mail)
{
	return buf_slice(&mails[mail]);
}

struct model_account *
model_account(struct model *m, const char *name)
{
	for (unsigned i = 0; i < m->count; i++)
		if (strcmp(m->accounts[i].name, name) == 0)
			return &m->accounts[i];
	return NULL;
}

static struct model_box *
find_box(struct model_account *a, const char *name)
{
	for (unsigned i = 0; a != NULL && i < a->box_count; i++)
		if (strcmp(a->boxes[i].name, name) == 0)
			return &a->boxes[i];
	return NULL;
}

struct model_box *
model_box(struct model *m, const char *account, const char *name)
{
	return find_box(model_account(m, account), name);
}

static void
set_name(char dst[NAME_LEN], const char *name)
{
	size_t n = strlen(name);

	if (n >= NAME_LEN)
		abort();
	memmove(dst, name, n + 1);
}

/* ---- applying ---- */

static bool
add_message(struct model_box *b, const struct model_message *msg, mail_modseq modseq)
{
	if (b->count == MESSAGES)
		abort();                /* the generator is to leave room */
	b->messages[b->count] = *msg;
	b->messages[b->count].uid = b->uidnext++;
	b->messages[b->count].modseq = modseq;
	b->messages[b->count].savedate = (struct mail_date){ 0, 0 };
	b->count++;
	b->highest = modseq;
	return true;
}

static const char *
apply_append(struct model *m, const struct op *op)
{
	struct model_message msg = { .flags = op->flags, .keyword = op->keyword, .mail = op->mail,
		                     .internaldate = model_date };

	for (unsigned i = 0; i < op->target_count; i++) {
		struct model_box *b = model_box(m, op->targets[i].account, op->targets[i].box);

		if (b == NULL)
			return "answered for a mailbox that is not there";
		if (op->kind == OP_IMPORT)
			b->uidnext = op->first;
		if (op->answered && op->targets[i].uid != b->uidnext)
			return "a UID was told that is not the next one";
		(void)add_message(b, &msg, op->answered ? op->targets[i].modseq : 0);
	}
	return NULL;
}

static bool
in_range(const struct op *op, const struct model_message *msg)
{
	return op->first <= msg->uid && msg->uid <= op->last;
}

static void
store_one(struct model_message *msg, const struct op *op, bool *changed)
{
	struct model_message was = *msg;

	switch (op->store) {
	case STORE_REPLACE:
		msg->flags = op->flags;
		msg->keyword = op->keyword;
		break;
	case STORE_ADD:
		msg->flags |= op->flags;
		break;
	case STORE_REMOVE:
		msg->flags &= ~op->flags;
		break;
	}
	if (was.flags == msg->flags && was.keyword == msg->keyword)
		return;
	msg->modseq = op->answered ? op->modseq : 0;
	*changed = true;
}

static const char *
apply_store(struct model_box *b, const struct op *op)
{
	bool changed = false;

	for (unsigned i = 0; i < b->count; i++)
		if (in_range(op, &b->messages[i]))
			store_one(&b->messages[i], op, &changed);
	if (changed)
		b->highest = op->answered ? op->modseq : 0;
	return op->answered && changed != (op->modseq != 0) ? "STORE told a MODSEQ wrongly" : NULL;
}

static void
apply_expunge(struct model_box *b, const struct op *op)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < b->count; i++)
		if (!in_range(op, &b->messages[i]))
			b->messages[kept++] = b->messages[i];
	if (kept != b->count)
		b->highest = op->answered ? op->modseq : 0;
	b->count = kept;
}

static const char *
apply_copy(struct model *m, struct model_box *b, const struct op *op)
{
	struct model_box *to = model_box(m, op->account, op->to);
	unsigned before = b->count;

	if (to == NULL)
		return "copied to a mailbox that is not there";
	if (op->answered && op->target_count > 0 && op->targets[0].uid != to->uidnext)
		return "a UID was told that is not the next one";
	for (unsigned i = 0; i < before; i++)
		if (in_range(op, &b->messages[i]))
			(void)add_message(to, &b->messages[i], 0);
	if (op->kind == OP_MOVE)
		apply_expunge(b, op);
	return NULL;
}

static void
add_box(struct model_account *a, const char *name)
{
	struct model_box *b;

	if (find_box(a, name) != NULL)
		return;
	if (a->box_count == BOXES)
		abort();
	b = &a->boxes[a->box_count++];
	memset(b, 0, sizeof *b);
	set_name(b->name, name);
	b->uidnext = 1;
}

/* With its parents. */
static void
apply_create(struct model_account *a, const char *name)
{
	char part[NAME_LEN];

	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		(void)snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
		add_box(a, part);
	}
	add_box(a, name);
}

/* With what lies below. */
static void
apply_rename(struct model_account *a, const struct op *op)
{
	size_t n = strlen(op->box);

	for (unsigned i = 0; i < a->box_count; i++) {
		struct model_box *b = &a->boxes[i];
		char name[2 * NAME_LEN];

		if (strncmp(b->name, op->box, n) != 0 || (b->name[n] != '\0' && b->name[n] != '/'))
			continue;
		(void)snprintf(name, sizeof name, "%s%s", op->to, b->name + n);
		(void)snprintf(b->name, sizeof b->name, "%.*s", NAME_LEN - 1, name);
	}
}

static void
apply_subscribe(struct model_account *a, const struct op *op)
{
	unsigned i = 0;

	while (i < a->subscribed_count && strcmp(a->subscribed[i], op->box) != 0)
		i++;
	if (op->number == 0 && i < a->subscribed_count)
		set_name(a->subscribed[i], a->subscribed[--a->subscribed_count]);
	else if (op->number != 0 && i == a->subscribed_count && i < SUBSCRIBED)
		set_name(a->subscribed[a->subscribed_count++], op->box);
}

static void
apply_account(struct model *m, const struct op *op, const struct model_account *fresh)
{
	struct model_account *a = model_account(m, op->account);

	if (op->kind == OP_ACCOUNT_CREATE) {
		if (m->count == ACCOUNTS)
			abort();
		a = &m->accounts[m->count++];
		*a = *fresh;
		set_name(a->name, op->account);
		return;
	}
	if (a == NULL)
		return;
	if (op->kind == OP_ACCOUNT_DELETE) {
		struct model_account *end = &m->accounts[--m->count];

		if (a != end)
			memcpy(a, end, sizeof *a);
	} else if (op->kind == OP_QUOTA) {
		a->quota_bytes = op->number * 1000;
		a->quota_messages = op->number;
	} else if (op->kind == OP_HIDE) {
		set_name(a->hidden, op->number != 0 ? "QRESYNC" : "");
	} else {
		(void)snprintf(a->password, sizeof a->password, "SCRAM-SHA-256$%llu", (unsigned long long)op->number);
	}
}

static void
apply_account_restore(struct model *m, const struct op *op)
{
	struct model_account *a = &m->accounts[m->count++];

	if (m->count > ACCOUNTS)
		abort();
	memset(a, 0, sizeof *a);
	set_name(a->name, op->account);
	a->quota_bytes = op->number * 1000;
	a->quota_messages = op->number;
	(void)snprintf(a->password, sizeof a->password, "SCRAM-SHA-256$%llu", (unsigned long long)op->number);
	add_box(a, "INBOX");
	add_box(a, "Work");
	set_name(a->subscribed[a->subscribed_count++], "INBOX");
}

/* All numbers are new and higher; the UIDs of what is there stay. */
static void
apply_renew(struct model *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		for (unsigned k = 0; k < m->accounts[i].box_count; k++) {
			struct model_box *b = &m->accounts[i].boxes[k];

			b->uidnext = 0;
			b->highest = 0;
			for (unsigned n = 0; n < b->count; n++)
				b->messages[n].modseq = 0;
		}
	}
}

/* It has other ids there. */
static void
apply_move_account(struct model_account *a)
{
	if (a == NULL)
		return;
	a->id = 0;
	for (unsigned k = 0; k < a->box_count; k++)
		a->boxes[k].id = 0;
}

static const char *
apply_to_box(struct model *m, const struct op *op)
{
	struct model_box *b = model_box(m, op->account, op->box);

	if (b == NULL)
		return "answered for a mailbox that is not there";
	if (op->kind == OP_STORE)
		return apply_store(b, op);
	if (op->kind == OP_EXPUNGE)
		apply_expunge(b, op);
	else
		return apply_copy(m, b, op);
	return NULL;
}

static const char *
apply_replace(struct model *m, const struct op *op)
{
	const char *wrong = apply_append(m, op);
	struct model_box *b = model_box(m, op->account, op->box);

	if (wrong == NULL && b != NULL) {
		apply_expunge(b, op);
		b->highest = 0;
	}
	return wrong;
}

const char *
model_apply(struct model *m, const struct op *op, const struct model_account *fresh)
{
	struct model_account *a = model_account(m, op->account);

	switch (op->kind) {
	case OP_DELIVER:
	case OP_DELIVER_MANY:
	case OP_DELIVER_BIG:
	case OP_IMPORT:
	case OP_UNDELETE:
		return apply_append(m, op);
	case OP_ACCOUNT_RESTORE:
		apply_account_restore(m, op);
		return NULL;
	case OP_RENEW:
		apply_renew(m);
		return NULL;
	case OP_MOVE_ACCOUNT:
		apply_move_account(a);
		return NULL;
	case OP_REPLACE:
		return apply_replace(m, op);
	case OP_STORE:
	case OP_EXPUNGE:
	case OP_COPY:
	case OP_MOVE:
		return apply_to_box(m, op);
	case OP_CREATE:
		if (a != NULL)
			apply_create(a, op->box);
		return NULL;
	case OP_RENAME:
		if (a != NULL)
			apply_rename(a, op);
		return NULL;
	case OP_DELETE: {
		struct model_box *b = find_box(a, op->box);
		struct model_box *end = b != NULL ? &a->boxes[--a->box_count] : NULL;

		if (b != end)
			memcpy(b, end, sizeof *b);
		return NULL;
	}
	case OP_SUBSCRIBE:
		if (a != NULL)
			apply_subscribe(a, op);
		return NULL;
	case OP_ACCOUNT_CREATE:
	case OP_ACCOUNT_DELETE:
	case OP_QUOTA:
	case OP_HIDE:
	case OP_CREDENTIAL:
		apply_account(m, op, fresh);
		return NULL;
	case OP_CHECKPOINT:
	case OP_CLOSE:
	case OP_REINDEX:
	case OP_OPEN:
	case OP_PURGE:
	case OP_KEEP:
		break;
	}
	return NULL;
}

/* ---- reading ---- */

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

	buf_init(&b, BIG_LEN + 8192);
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
	rc = volume_read_messages(v, b->id, &all, 1, MESSAGES + 1, WANT_PLACE, a, &rows, &count, &e);
	uid_set_fini(&all);
	if (rc != RC_OK || count > MESSAGES) {
		(void)snprintf(why, size, "%s: %s", b->name, rc != RC_OK ? e.text : "too many messages");
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
			                 .uidnext = infos[i].uidnext, .highest = infos[i].highestmodseq };
		copy_name(b->name, infos[i].name);
		memcpy(b->mailboxid, infos[i].mailboxid, sizeof b->mailboxid);
		if (!read_messages(v, a, b, why, size))
			return false;
		if (infos[i].exists == b->count)
			continue;
		(void)snprintf(why, size, "%s: EXISTS says %u of %u", b->name, infos[i].exists, b->count);
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
	if (volume_list_subscriptions(v, acc->id, a, &names, &count, &e) != RC_OK || count > SUBSCRIBED) {
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
	ok = volume_list_accounts(v, SLICE(""), ACCOUNTS + 1, &a, &infos, &count, &e) == RC_OK && count <= ACCOUNTS;
	if (!ok)
		(void)snprintf(why, size, "accounts: %s", e.text);
	for (size_t i = 0; ok && i < count; i++) {
		struct model_account *acc = &out->accounts[out->count++];

		acc->id = infos[i].id;
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

/* ---- comparing ---- */

struct compare {
	const struct heard *told;
	const char        *account, *box;
	char              *why;
	size_t             size;
	bool               differs;
};

static void
differ(struct compare *c, const char *what, uint64_t want, uint64_t got)
{
	if (c->differs)
		return;
	c->differs = true;
	(void)snprintf(c->why, c->size, "%s/%s: %s is %llu, not %llu", c->account, c->box, what,
	               (unsigned long long)got, (unsigned long long)want);
}

static void
same(struct compare *c, const char *what, uint64_t want, uint64_t got)
{
	if (want != got)
		differ(c, what, want, got);
}

/* A number that the volume chose: as told, or above all that was told. */
static void
chosen(struct compare *c, const char *what, uint64_t want, uint64_t got, uint64_t told)
{
	if (want != 0)
		same(c, what, want, got);
	else if (got <= told)
		differ(c, what, told + 1, got);
}

static mail_uid
told_uidnext(const struct heard *told, mailbox_id id)
{
	for (unsigned i = 0; i < told->count; i++)
		if (told->boxes[i].id == id)
			return told->boxes[i].uidnext;
	return 0;
}

static mail_modseq
told_highest(const struct heard *told, mailbox_id id)
{
	for (unsigned i = 0; i < told->count; i++)
		if (told->boxes[i].id == id)
			return told->boxes[i].highest;
	return 0;
}

static void
compare_box(struct compare *c, const struct model_box *want, const struct model_box *got)
{
	mail_modseq told = told_highest(c->told, got->id);

	if (want->id != 0) {
		same(c, "mailbox id", want->id, got->id);
		if (memcmp(want->mailboxid, got->mailboxid, MAILBOXID_LEN) != 0)
			differ(c, "MAILBOXID", 0, 1);
	}
	chosen(c, "UIDVALIDITY", want->uidvalidity, got->uidvalidity, c->told->uidvalidity);
	chosen(c, "UIDNEXT", want->uidnext, got->uidnext, told_uidnext(c->told, got->id));
	chosen(c, "HIGHESTMODSEQ", want->highest, got->highest, told);
	same(c, "number of messages", want->count, got->count);
	for (unsigned i = 0; i < want->count && !c->differs; i++) {
		const struct model_message *w = &want->messages[i], *g = &got->messages[i];

		same(c, "UID", w->uid, g->uid);
		chosen(c, "MODSEQ", w->modseq, g->modseq, told);
		if (g->modseq > got->highest)
			differ(c, "MODSEQ above HIGHESTMODSEQ", got->highest, g->modseq);
		same(c, "flags", w->flags, g->flags);
		same(c, "keyword", w->keyword, g->keyword);
		same(c, "content", w->mail, g->mail);
		same(c, "INTERNALDATE", (uint64_t)w->internaldate, (uint64_t)g->internaldate);
		if (w->savedate.sec != 0 || g->savedate.sec <= 0)
			same(c, "SAVEDATE", (uint64_t)w->savedate.sec, (uint64_t)g->savedate.sec);
	}
}

static bool
is_subscribed(const struct model_account *a, const char *name)
{
	for (unsigned i = 0; i < a->subscribed_count; i++)
		if (strcmp(a->subscribed[i], name) == 0)
			return true;
	return false;
}

static void
compare_account(struct compare *c, const struct model_account *want, const struct model_account *got)
{
	uint64_t bytes = 0, messages = 0;

	c->account = want->name;
	if (want->id != 0)
		same(c, "account id", want->id, got->id);
	same(c, "quota of bytes", want->quota_bytes, got->quota_bytes);
	same(c, "quota of messages", want->quota_messages, got->quota_messages);
	same(c, "equality of what is hidden", 0, strcmp(want->hidden, got->hidden) != 0);
	same(c, "equality of the password", 0, strcmp(want->password, got->password) != 0);
	same(c, "number of subscriptions", want->subscribed_count, got->subscribed_count);
	for (unsigned i = 0; i < want->subscribed_count; i++)
		same(c, want->subscribed[i], 1, is_subscribed(got, want->subscribed[i]));
	same(c, "number of mailboxes", want->box_count, got->box_count);
	for (unsigned i = 0; i < want->box_count && !c->differs; i++) {
		const struct model_box *b = find_box((struct model_account *)(uintptr_t)got, want->boxes[i].name);

		c->box = want->boxes[i].name;
		if (b == NULL)
			differ(c, "existence", 1, 0);
		else
			compare_box(c, &want->boxes[i], b);
		for (unsigned k = 0; k < want->boxes[i].count; k++)
			bytes += model_mail(want->boxes[i].messages[k].mail).len;
		messages += want->boxes[i].count;
	}
	c->box = "";
	same(c, "used bytes", bytes, got->used_bytes);
	same(c, "used messages", messages, got->used_messages);
}

bool
model_differs(const struct model *want, const struct model *got, const struct heard *told, char *why, size_t size)
{
	struct compare c = { told, "", "", why, size, false };

	same(&c, "number of accounts", want->count, got->count);
	for (unsigned i = 0; i < want->count && !c.differs; i++) {
		struct model_account *a = model_account((struct model *)(uintptr_t)got, want->accounts[i].name);

		c.account = want->accounts[i].name;
		if (a == NULL)
			differ(&c, "existence", 1, 0);
		else
			compare_account(&c, &want->accounts[i], a);
	}
	return c.differs;
}

void
model_tell(const struct model *m, struct heard *told)
{
	for (unsigned i = 0; i < m->count; i++) {
		for (unsigned k = 0; k < m->accounts[i].box_count; k++) {
			const struct model_box *b = &m->accounts[i].boxes[k];
			unsigned at = 0;

			if (b->uidvalidity > told->uidvalidity)
				told->uidvalidity = b->uidvalidity;
			while (at < told->count && told->boxes[at].id != b->id)
				at++;
			if (b->id == 0 || at == sizeof told->boxes / sizeof told->boxes[0])
				continue;
			if (at == told->count)
				told->boxes[told->count++].id = b->id;
			if (b->uidnext > told->boxes[at].uidnext)
				told->boxes[at].uidnext = b->uidnext;
			if (b->highest > told->boxes[at].highest)
				told->boxes[at].highest = b->highest;
		}
	}
}

/* ---- resynchronising ---- */

static const struct model_message *
find_message(const struct model_box *b, mail_uid uid)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->messages[i].uid == uid)
			return &b->messages[i];
	return NULL;
}

static bool
is_told_changed(const struct view_changes *c, mail_uid uid)
{
	for (size_t i = 0; i < c->changed_count; i++)
		if (c->changed[i].uid == uid)
			return true;
	return false;
}

static const char *
compare_changes(const struct model_box *then, const struct model_box *now, const struct view_changes *c)
{
	uint64_t vanished = 0, added = 0;
	bool all = then->highest < c->now.expunge_floor;        /* what is not there may be told too */

	for (unsigned i = 0; i < then->count; i++) {
		const struct model_message *was = &then->messages[i], *is = find_message(now, was->uid);

		vanished += is == NULL;
		if ((is == NULL) != uid_set_contains(&c->vanished, was->uid))
			return "VANISHED is not the difference";
		if (is != NULL && (is->flags != was->flags || is->keyword != was->keyword) &&
		    !is_told_changed(c, was->uid))
			return "changed flags are not told";
	}
	for (unsigned i = 0; i < now->count; i++) {
		bool is_new = now->messages[i].uid >= then->uidnext;

		added += is_new;
		if (uid_set_contains(&c->vanished, now->messages[i].uid))
			return "VANISHED names a message that is there";
		if (is_new != uid_set_contains(&c->added, now->messages[i].uid))
			return "a new message is not told";
	}
	return !all && vanished != uid_set_size(&c->vanished) ? "VANISHED tells too much" :
	       added != uid_set_size(&c->added)       ? "there are more new messages than there are" :
	                                                NULL;
}

static const char *
resync_box(struct volume *v, const struct model_box *then, const struct model_box *now)
{
	struct view_changes changes;
	struct err e = ERR_INIT;
	const char *wrong;
	struct arena a;

	arena_init(&a, 1u << 20);
	if (volume_read_changes(v, then->id, then->highest, then->highest, then->uidnext, 1000, &a, &changes, &e) !=
	    RC_OK) {
		arena_fini(&a);
		return "changes cannot be read";
	}
	wrong = compare_changes(then, now, &changes);
	view_changes_fini(&changes);
	arena_fini(&a);
	return wrong;
}

bool
model_resync_is_wrong(struct volume *v, const struct model *then, const struct model *now, char *why, size_t size)
{
	for (unsigned i = 0; i < then->count; i++) {
		for (unsigned k = 0; k < then->accounts[i].box_count; k++) {
			const struct model_box *was = &then->accounts[i].boxes[k], *is = NULL;
			const char *wrong;

			for (unsigned n = 0; n < now->count && is == NULL; n++)
				for (unsigned b = 0; b < now->accounts[n].box_count && is == NULL; b++)
					if (now->accounts[n].boxes[b].id == was->id)
						is = &now->accounts[n].boxes[b];
			wrong = is != NULL ? resync_box(v, was, is) : NULL;
			if (wrong == NULL)
				continue;
			(void)snprintf(why, size, "%s/%s: %s", then->accounts[i].name, was->name, wrong);
			return true;
		}
	}
	return false;
}
