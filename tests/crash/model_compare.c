/* model_compare - a picture against another, and against what clients were told. See model.h. */
#include "tests/crash/model.h"

#include <stdio.h>
#include <string.h>

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
compare_account(struct compare *c, const struct model_account *want,
                const struct model_account *got)
{
	uint64_t bytes = 0, messages = 0;

	c->account = want->name;
	if (want->id != 0)
		same(c, "account id", want->id, got->id);
	same(c, "quota of bytes", want->quota_bytes, got->quota_bytes);
	same(c, "quota of messages", want->quota_messages, got->quota_messages);
	same(c, "flags", want->flags, got->flags);
	same(c, "equality of what is hidden", 0, strcmp(want->hidden, got->hidden) != 0);
	same(c, "equality of the password", 0, strcmp(want->password, got->password) != 0);
	same(c, "number of subscriptions", want->subscribed_count, got->subscribed_count);
	for (unsigned i = 0; i < want->subscribed_count; i++)
		same(c, want->subscribed[i], 1, is_subscribed(got, want->subscribed[i]));
	same(c, "number of mailboxes", want->box_count, got->box_count);
	for (unsigned i = 0; i < want->box_count && !c->differs; i++) {
		const struct model_box *b = model_find_box((struct model_account *)(uintptr_t)got,
		                                           want->boxes[i].name);

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
model_differs(const struct model *want, const struct model *got, const struct heard *told,
              char *why, size_t size)
{
	struct compare c = { told, "", "", why, size, false };

	same(&c, "number of accounts", want->count, got->count);
	for (unsigned i = 0; i < want->count && !c.differs; i++) {
		struct model_account *a = model_account((struct model *)(uintptr_t)got,
		                                        want->accounts[i].name);

		c.account = want->accounts[i].name;
		if (a == NULL)
			differ(&c, "existence", 1, 0);
		else
			compare_account(&c, &want->accounts[i], a);
	}
	return c.differs;
}

static const struct model_box *
box_of(const struct model *m, mailbox_id id)
{
	for (unsigned i = 0; i < m->count; i++)
		for (unsigned k = 0; k < m->accounts[i].box_count; k++)
			if (m->accounts[i].boxes[k].id == id)
				return &m->accounts[i].boxes[k];
	return NULL;
}

const struct model_box *
model_tells_again(const struct model *was, const struct model *is, const struct heard *told)
{
	for (unsigned i = 0; i < is->count; i++) {
		for (unsigned k = 0; k < is->accounts[i].box_count; k++) {
			const struct model_box *b = &is->accounts[i].boxes[k],
			                       *old = box_of(was, b->id);

			if (b->id != 0 && old != NULL && b->highest != 0 &&
			    b->highest != old->highest && b->highest <= told_highest(told, b->id))
				return b;
		}
	}
	return NULL;
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
