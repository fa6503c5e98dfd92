/* steps - see steps.h. */
#include "tests/crash/steps.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/db.h"
#include "tests/crash/sim_disk.h"

static pthread_mutex_t wait_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  wait_cond = PTHREAD_COND_INITIALIZER;
static unsigned        waiting;

/* ---- making a change ---- */

static mailbox_id
find_id(struct volume *v, struct arena *a, const char *account, const char *box, account_id *owner)
{
	struct account_info acc;
	struct mailbox_info info = { 0 };
	struct err e = ERR_INIT;

	*owner = 0;
	if (volume_find_account(v, slice_str(account), a, &acc, &e) != RC_OK)
		return 0;
	*owner = acc.id;
	return volume_find_mailbox(v, acc.id, slice_str(box), a, &info, &e) == RC_OK ? info.id : 0;
}

static struct ingested *
ingest(struct volume *v, unsigned mail)
{
	struct ingest *in;
	struct ingested *m = NULL;
	struct err e = ERR_INIT;

	if (ingest_new(v, 0, &in, &e) != RC_OK)
		return NULL;
	if (ingest_feed(in, model_mail(mail), &e) != RC_OK) {
		ingest_abort(&in);
		return NULL;
	}
	return ingest_finish(&in, &m, &e) == RC_OK ? m : NULL;
}

/* Of one of its targets. */
static void
delivery_key(uint64_t delivery, unsigned target, uint8_t out[DELIVERY_KEY_LEN])
{
	memset(out, (int)target, DELIVERY_KEY_LEN);
	memcpy(out, &delivery, sizeof delivery);
}

static void
set_key(struct change *c, const struct op *op, unsigned i)
{
	uint8_t *key = arena_zalloc(&c->arena, DELIVERY_KEY_LEN);

	if (op->delivery == 0)
		return;
	delivery_key(op->delivery, i, key);
	c->u.append.messages[0].targets[i].delivery_key = key;
	c->u.append.delivery_window = 100000;
	c->who = (struct frame_who){ .session = op->session, .protocol = PROTO_LMTP };
}

void
steps_confirm(struct volume *v, const struct op *op)
{
	uint8_t keys[TARGETS][DELIVERY_KEY_LEN];

	for (unsigned i = 0; i < op->target_count; i++)
		delivery_key(op->delivery, i, keys[i]);
	volume_confirm(v, op->session, (const uint8_t (*)[DELIVERY_KEY_LEN])keys, op->target_count);
}

static bool
make_append(struct volume *v, struct change *c, const struct op *op)
{
	struct append_message *m = arena_zalloc(&c->arena, sizeof *m);
	account_id owner;

	m->targets = arena_zalloc(&c->arena, op->target_count * sizeof *m->targets);
	c->u.append.messages = m;
	m->target_count = op->target_count;
	m->flags = op->flags;
	m->keywords = slice_str(model_keywords[op->keyword]);
	m->internaldate = (struct mail_date){ model_date, 60 };
	c->u.append.each_target = op->kind != OP_REPLACE;
	for (unsigned i = 0; i < op->target_count; i++) {
		m->targets[i].mailbox =
			find_id(v, &c->arena, op->targets[i].account, op->targets[i].box, &owner);
		if (m->targets[i].mailbox == 0)
			return false;
		set_key(c, op, i);
	}
	if (op->kind == OP_REPLACE) {
		c->u.append.replaced_mailbox = m->targets[0].mailbox;
		c->u.append.replaced_uid = op->first;
	}
	m->uid = op->kind == OP_IMPORT ? op->first : 0;
	m->content = ingest(v, op->mail);
	c->u.append.message_count = m->content != NULL;
	return m->content != NULL;
}

/* The blob of a message that was expunged; 0: not known. */
static blob_id
find_expunged(struct volume *v, struct arena *a, const struct op *op)
{
	struct message_row *rows;
	struct uid_set uids;
	struct err e = ERR_INIT;
	account_id owner;
	mailbox_id box = find_id(v, a, op->account, op->box, &owner);
	size_t count = 0;
	blob_id id = 0;

	uid_set_init(&uids, 1);
	if (box != 0 && uid_set_add(&uids, op->first, op->first) &&
	    volume_read_messages(v, box, &uids, 1, 1, WANT_EXPUNGED, a, &rows, &count, &e) ==
	        RC_OK &&
	    count == 1)
		id = rows[0].blob;
	uid_set_fini(&uids);
	return id;
}

static bool
make_of_expunged(struct volume *v, struct change *c, const struct op *op)
{
	blob_id blob = find_expunged(v, &c->arena, op);
	struct restore_message *m = arena_zalloc(&c->arena, sizeof *m);
	account_id owner;

	if (op->kind == OP_PURGE) {
		c->u.purge = (struct change_purge){ blob, SLICE("a letter sent in error") };
		return blob != 0;
	}
	m->blob = blob;
	m->flags = op->flags;
	m->keywords = slice_str(model_keywords[op->keyword]);
	m->internaldate = (struct mail_date){ model_date, 60 };
	c->u.restore.mailbox = find_id(v, &c->arena, op->targets[0].account, op->targets[0].box,
	                               &owner);
	c->u.restore.messages = m;
	c->u.restore.count = 1;
	return blob != 0 && c->u.restore.mailbox != 0;
}

static bool
make_account_restore(struct change *c, const struct op *op)
{
	struct change_account_restore *r = &c->u.account_restore;
	struct credential_info *cred = arena_zalloc(&c->arena, sizeof *cred);
	struct slice *name = arena_zalloc(&c->arena, sizeof *name);

	cred->name = SLICE("password");
	cred->value = arena_printf(&c->arena, "SCRAM-SHA-256$%llu", (unsigned long long)op->number);
	*name = SLICE("INBOX");
	*r = (struct change_account_restore){
		.name = slice_str(op->account), .created_us = 1000000,
		.quota_bytes = op->number * 1000,
		.quota_messages = op->number, .credentials = cred, .credential_count = 1,
		.subscriptions = name,
		.subscription_count = 1,
		.mailboxes = arena_zalloc(&c->arena, 2 * sizeof *r->mailboxes), .mailbox_count = 2,
	};
	r->mailboxes[0].name = SLICE("INBOX");
	r->mailboxes[1].name = SLICE("Work");
	return true;
}

static bool
make_on_box(struct volume *v, struct change *c, const struct op *op)
{
	account_id owner;
	mailbox_id id = find_id(v, &c->arena, op->account, op->box, &owner);

	if (id == 0)
		return false;
	if (op->kind == OP_STORE) {
		c->u.store.mailbox = id;
		c->u.store.op = op->store;
		c->u.store.flags = op->flags;
		c->u.store.keywords = slice_str(
		    model_keywords[op->store == STORE_REPLACE ? op->keyword : 0]);
		return uid_set_add(&c->u.store.uids, op->first, op->last);
	}
	if (op->kind == OP_EXPUNGE) {
		c->u.expunge.mailbox = id;
		c->u.expunge.any = true;
		return uid_set_add(&c->u.expunge.uids, op->first, op->last);
	}
	c->u.copy.source = id;
	c->u.copy.target = find_id(v, &c->arena, op->account, op->to, &owner);
	return c->u.copy.target != 0 && uid_set_add(&c->u.copy.uids, op->first, op->last);
}

static bool
make_on_account(struct volume *v, struct change *c, const struct op *op)
{
	account_id owner;

	if (op->kind == OP_ACCOUNT_CREATE) {
		c->u.account.name = slice_str(op->account);
		c->u.account.credential_name = SLICE("password");
		c->u.account.credential_value = SLICE("SCRAM-SHA-256$x");
		return true;
	}
	(void)find_id(v, &c->arena, op->account, "INBOX", &owner);
	if (owner == 0)
		return false;
	if (op->kind == OP_SUBSCRIBE) {
		c->u.subscribe = (struct change_subscribe){ owner, slice_str(op->box),
		                                            op->number != 0 };
		return true;
	}
	if (op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_DELETE) {
		c->u.mailbox.account = owner;
		c->u.mailbox.name = slice_str(op->box);
		c->u.mailbox.new_name = slice_str(op->to);
		return true;
	}
	c->u.account.id = owner;
	c->u.account.quota_bytes = op->number * 1000;
	c->u.account.quota_messages = op->number;
	c->u.account.hidden = op->number != 0 ? SLICE("QRESYNC") : SLICE("");
	c->u.account.flags_set = op->number != 0 ? ACCOUNT_LOCKED : 0;
	c->u.account.flags_clear = op->number != 0 ? 0 : ACCOUNT_LOCKED;
	c->u.account.credential_name = SLICE("password");
	c->u.account.credential_value =
		arena_printf(&c->arena, "SCRAM-SHA-256$%llu", (unsigned long long)op->number);
	return true;
}

static bool
make(struct volume *v, struct change *c, const struct op *op)
{
	switch (op->kind) {
	case OP_DELIVER:
	case OP_DELIVER_MANY:
	case OP_DELIVER_BIG:
	case OP_REPLACE:
	case OP_IMPORT:
		return make_append(v, c, op);
	case OP_UNDELETE:
	case OP_PURGE:
		return make_of_expunged(v, c, op);
	case OP_ACCOUNT_RESTORE:
		return make_account_restore(c, op);
	case OP_STORE:
	case OP_COPY:
	case OP_MOVE:
	case OP_EXPUNGE:
		return make_on_box(v, c, op);
	case OP_CREATE:
	case OP_RENAME:
	case OP_DELETE:
	case OP_SUBSCRIBE:
	case OP_ACCOUNT_CREATE:
	case OP_ACCOUNT_DELETE:
	case OP_QUOTA:
	case OP_HIDE:
	case OP_LOCK:
	case OP_CREDENTIAL:
		return make_on_account(v, c, op);
	case OP_CHECKPOINT:
	case OP_CLOSE:
	case OP_REINDEX:
	case OP_OPEN:
	case OP_RENEW:
	case OP_MOVE_ACCOUNT:
	case OP_KEEP:
		break;
	}
	return false;
}

static const enum change_kind kinds[OP_CHANGES] = {
	[OP_DELIVER] = CHANGE_APPEND,
	[OP_DELIVER_MANY] = CHANGE_APPEND,
	[OP_DELIVER_BIG] = CHANGE_APPEND,
	[OP_STORE] = CHANGE_STORE,
	[OP_COPY] = CHANGE_COPY,
	[OP_MOVE] = CHANGE_MOVE,
	[OP_EXPUNGE] = CHANGE_EXPUNGE,
	[OP_REPLACE] = CHANGE_APPEND,
	[OP_CREATE] = CHANGE_MAILBOX_CREATE,
	[OP_RENAME] = CHANGE_MAILBOX_RENAME,
	[OP_DELETE] = CHANGE_MAILBOX_DELETE,
	[OP_SUBSCRIBE] = CHANGE_SUBSCRIBE,
	[OP_ACCOUNT_CREATE] = CHANGE_ACCOUNT_CREATE,
	[OP_ACCOUNT_DELETE] = CHANGE_ACCOUNT_DELETE,
	[OP_QUOTA] = CHANGE_ACCOUNT_QUOTA,
	[OP_HIDE] = CHANGE_ACCOUNT_HIDE,
	[OP_LOCK] = CHANGE_ACCOUNT_FLAGS,
	[OP_CREDENTIAL] = CHANGE_CREDENTIAL,
	[OP_IMPORT] = CHANGE_APPEND,
	[OP_UNDELETE] = CHANGE_RESTORE,
	[OP_PURGE] = CHANGE_PURGE,
	[OP_ACCOUNT_RESTORE] = CHANGE_ACCOUNT_RESTORE,
};

/* ---- running ---- */

static void
take_results(const struct change *c, struct op *op)
{
	op->answered = true;
	if (c->kind == CHANGE_APPEND) {
		for (unsigned i = 0; i < op->target_count; i++) {
			op->targets[i].uid = c->u.append.messages[0].targets[i].uid;
			op->targets[i].modseq = c->u.append.messages[0].targets[i].modseq;
			op->suppressed = op->suppressed ||
			                 c->u.append.messages[0].targets[i].suppressed;
		}
		op->modseq = c->u.append.replaced_modseq;
	} else if (c->kind == CHANGE_RESTORE) {
		op->targets[0].uid = c->u.restore.messages[0].uid;
		op->targets[0].modseq = c->u.restore.modseq;
	} else if (c->kind == CHANGE_STORE) {
		op->modseq = c->u.store.modseq;
	} else if (c->kind == CHANGE_EXPUNGE) {
		op->modseq = c->u.expunge.modseq;
	} else if (c->kind == CHANGE_COPY || c->kind == CHANGE_MOVE) {
		op->target_count = c->u.copy.count > 0;
		op->targets[0].uid = c->u.copy.first_uid;
		op->modseq = c->u.copy.source_modseq;
	}
}

static bool
targets_refused(const struct change *c)
{
	if (c->kind == CHANGE_RESTORE && c->u.restore.lost > 0)
		return true;
	for (uint32_t i = 0; c->kind == CHANGE_APPEND && i < c->u.append.messages[0].target_count;
	     i++)
		if (c->u.append.messages[0].targets[i].rc != RC_OK)
			return true;
	return false;
}

static enum step_end
end_of(const struct change *c, struct op *op)
{
	switch (c->rc) {
	case RC_OK:
		if (targets_refused(c))
			return STEP_REFUSED;
		take_results(c, op);
		return STEP_DONE;
	case RC_NOT_FOUND:
	case RC_EXISTS:
	case RC_DENIED:
	case RC_LIMIT:
	case RC_SYNTAX:
	case RC_CANCELLED:
		return STEP_REFUSED;
	case RC_NOMEM:
	case RC_IO:
	case RC_CORRUPT:
	case RC_BUSY:
	case RC_WAIT:
		break;
	}
	return c->durable ? STEP_HAPPENED : STEP_FAILED;
}

static void
answered(struct change *c, void *arg)
{
	(void)c, (void)arg;
	(void)pthread_mutex_lock(&wait_lock);
	waiting--;
	(void)pthread_cond_signal(&wait_cond);
	(void)pthread_mutex_unlock(&wait_lock);
}

void
steps_run(struct volume *v, struct op *ops, unsigned count, enum step_end *ends)
{
	struct change *changes[STEPS_MAX];

	for (unsigned i = 0; i < count; i++) {
		changes[i] = change_new(kinds[ops[i].kind]);
		changes[i]->done = answered;
		changes[i]->who.protocol = PROTO_IMAP;
		if (!make(v, changes[i], &ops[i]))
			change_free(&changes[i]);
	}
	waiting = 0;
	for (unsigned i = 0; i < count; i++)
		waiting += changes[i] != NULL;
	for (unsigned i = 0; i < count; i++)
		if (changes[i] != NULL)
			volume_submit(v, changes[i]);
	(void)pthread_mutex_lock(&wait_lock);
	while (waiting > 0)
		(void)pthread_cond_wait(&wait_cond, &wait_lock);
	(void)pthread_mutex_unlock(&wait_lock);
	for (unsigned i = 0; i < count; i++) {
		ends[i] = STEP_SKIPPED;
		if (changes[i] == NULL)
			continue;
		ends[i] = end_of(changes[i], &ops[i]);
		ops[i].logged = changes[i]->durable;
		change_free(&changes[i]);
	}
}

bool
steps_ask(struct volume *v)
{
	struct change *c = change_new(CHANGE_STORE);
	enum rc rc;

	c->u.store.mailbox = 1;
	rc = volume_submit_wait(v, c);
	change_free(&c);
	return rc == RC_OK || rc == RC_NOT_FOUND;
}

bool
steps_checkpoint(const char *volume_path)
{
	char path[512];
	struct err e = ERR_INIT;
	struct db *db;
	bool ok;

	(void)snprintf(path, sizeof path, "%s/index.db", volume_path);
	if (db_open(path, DB_WRITE, NULL, &db, &e) != RC_OK)
		return false;
	ok = sqlite3_wal_checkpoint_v2(db_handle(db), NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
	                               NULL) == SQLITE_OK;
	db_close(&db);
	return ok;
}

/* ---- drawing ---- */

#define PICK(a) (a)[sim_random(sizeof(a) / sizeof *(a))]

static const char *const names[] = { "Work", "Work/2026", "Work/2026/May", "Letters", "Letters/Old",
                                     "Tea" };

static bool
has_children(const struct model_account *a, const char *name)
{
	size_t n = strlen(name);

	for (unsigned i = 0; i < a->box_count; i++)
		if (strncmp(a->boxes[i].name, name, n) == 0 && a->boxes[i].name[n] == '/')
			return true;
	return false;
}

static bool
has_box(const struct model_account *a, const char *name)
{
	for (unsigned i = 0; i < a->box_count; i++)
		if (strcmp(a->boxes[i].name, name) == 0)
			return true;
	return false;
}

static void
draw_mailbox_op(const struct model_account *a, struct op *op)
{
	const char *name = PICK(names), *to = PICK(names);

	if (a->box_count > BOXES - 4 ||
	    (has_box(a, name) && !has_children(a, name) && sim_random(2) == 0)) {
		op->kind = OP_DELETE;
		for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
			if (has_box(a, names[i]) && !has_children(a, names[i]))
				name = names[i];
	} else if (has_box(a, name) && !has_children(a, name) && !has_box(a, to) &&
	           strncmp(to, name, strlen(name)) != 0 && strchr(to, '/') == NULL) {
		op->kind = OP_RENAME;
		(void)snprintf(op->to, sizeof op->to, "%s", to);
	} else if (!has_box(a, name)) {
		op->kind = OP_CREATE;
	} else {
		op->kind = OP_SUBSCRIBE;
		op->number = sim_random(2);
	}
	(void)snprintf(op->box, sizeof op->box, "%s", name);
}

static void
draw_account_op(const struct model *now, struct op *op)
{
	const struct model_account *a = &now->accounts[sim_random(now->count)];

	op->kind = OP_QUOTA + (enum op_kind)sim_random(4);
	op->number = op->kind == OP_HIDE || op->kind == OP_LOCK ? sim_random(2)
	                                                        : 100000 + sim_random(100000);
	(void)snprintf(op->account, sizeof op->account, "%s", a->name);
	if (sim_random(3) != 0)
		return;
	(void)snprintf(op->account, sizeof op->account, "carl");
	op->kind = OP_ACCOUNT_CREATE;
	for (unsigned i = 0; i < now->count; i++)
		if (strcmp(now->accounts[i].name, "carl") == 0)
			op->kind = OP_ACCOUNT_DELETE;
}

static void
set_target(struct op *op, unsigned i, const struct model_account *a, const struct model_box *b)
{
	(void)snprintf(op->targets[i].account, NAME_LEN, "%s", a->name);
	(void)snprintf(op->targets[i].box, NAME_LEN, "%s", b->name);
}

/* To one mailbox, or to the INBOXes of all. */
static void
draw_delivery(const struct model *now, const struct model_account *a, const struct model_box *b,
              struct op *op)
{
	op->kind = OP_DELIVER;
	op->mail = sim_random(60) == 0   ? MAIL_BIG
	           : sim_random(12) == 0 ? MAIL_SMALL
	                                 : (unsigned)sim_random(MAIL_SMALL);
	op->flags = (uint32_t)sim_random(32);
	op->keyword = (unsigned)sim_random(KEYWORDS);
	op->target_count = 1;
	set_target(op, 0, a, b);
	if (sim_random(3) != 0)
		return;
	op->kind = OP_DELIVER_MANY;
	op->target_count = 0;
	for (unsigned i = 0; i < now->count && i < TARGETS; i++)
		if (now->accounts[i].boxes[0].count < MESSAGES - 8)
			set_target(op, op->target_count++, &now->accounts[i],
			           &now->accounts[i].boxes[0]);
	if (op->target_count > 0)
		return;
	op->target_count = 1;
	set_target(op, 0, a, b);
}

static void
draw_message_op(const struct model *now, const struct model_account *a, const struct model_box *b,
                struct op *op)
{
	const struct model_box *to = &a->boxes[sim_random(a->box_count)];
	uint64_t what = sim_random(10);

	(void)snprintf(op->account, sizeof op->account, "%s", a->name);
	(void)snprintf(op->box, sizeof op->box, "%s", b->name);
	(void)snprintf(op->to, sizeof op->to, "%s", to->name);
	if (b->count > MESSAGES - 8)
		what = 9;
	if (b->count == 0 || what < 4) {
		draw_delivery(now, a, b, op);
		return;
	}
	op->first = b->messages[sim_random(b->count)].uid;
	op->last = op->first + (mail_uid)sim_random(b->count > MESSAGES - 8 ? MESSAGES : 4);
	op->flags = (uint32_t)sim_random(32);
	op->keyword = (unsigned)sim_random(KEYWORDS);
	op->store = (enum store_op)sim_random(3);
	op->kind = what < 6 ? OP_STORE : OP_EXPUNGE;
	if (what == 6 && to != b && to->count < MESSAGES - 8) {
		op->kind = sim_random(2) == 0 ? OP_COPY : OP_MOVE;
	} else if (what == 7) {
		op->kind = OP_REPLACE;
		op->last = op->first;
		op->target_count = 1;
		set_target(op, 0, a, b);
	} else if (what == 8) {
		op->kind = OP_STORE;
	}
}

void
steps_draw(const struct model *now, struct op *op)
{
	const struct model_account *a = &now->accounts[sim_random(now->count)];
	uint64_t what = sim_random(20);

	memset(op, 0, sizeof *op);
	if (what < 15) {
		draw_message_op(now, a, &a->boxes[sim_random(a->box_count)], op);
	} else if (what < 18) {
		(void)snprintf(op->account, sizeof op->account, "%s", a->name);
		draw_mailbox_op(a, op);
	} else {
		draw_account_op(now, op);
	}
}
