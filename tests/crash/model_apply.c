/* model_apply - what an operation does, by its own rules. See model.h. */
#include "tests/crash/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
set_name(char dst[NAME_LEN], const char *name)
{
	size_t n = strlen(name);

	if (n >= NAME_LEN)
		abort();
	memmove(dst, name, n + 1);
}

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

	if (model_find_box(a, name) != NULL)
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
	} else if (op->kind == OP_LOCK) {
		a->flags = op->number != 0 ? ACCOUNT_LOCKED : 0;
	} else if (op->kind == OP_HIDE) {
		set_name(a->hidden, op->number != 0 ? "QRESYNC" : "");
	} else {
		(void)snprintf(a->password, sizeof a->password, "SCRAM-SHA-256$%llu",
		               (unsigned long long)op->number);
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
	(void)snprintf(a->password, sizeof a->password, "SCRAM-SHA-256$%llu",
	               (unsigned long long)op->number);
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
		struct model_box *b = model_find_box(a, op->box);
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
	case OP_LOCK:
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
