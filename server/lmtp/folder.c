/* folder - in which mailbox of its account a message lies: the one that the address names, INBOX,
 * or that for junk. See lmtp.h.
 *
 * Mailboxes that mail may make ([lmtp] create_detail) are made when the message has come, not at
 * RCPT: who only asks whether an address exists leaves nothing behind. What cannot be made leaves
 * the message in INBOX.
 *
 * A mailbox that the address names is where junk goes too: the address was given to somebody so
 * that his mail comes there.
 */
#include "index/special_use.h"
#include "lib/text.h"
#include "server/lmtp/lmtp.h"

static const struct slice inbox = SLICE_INIT("INBOX");

/* ---- at RCPT ---- */

static bool
is_trouble(enum rc rc)
{
	return rc == RC_IO || rc == RC_NOMEM || rc == RC_CORRUPT;
}

/* The folder a detail names, in any case of ASCII letters; RC_NOT_FOUND if there is none: *boxes
 * then says how many there are. */
static enum rc
find_named(struct volume *v, account_id account, struct slice detail, struct arena *a,
           struct mailbox_info *out, uint32_t *boxes, struct err *e)
{
	struct mailbox_info *all;
	size_t count;
	enum rc rc = volume_find_mailbox(v, account, detail, a, out, e);

	if (rc == RC_OK || is_trouble(rc))
		return rc;
	rc = volume_list_mailboxes(v, account, a, &all, &count, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (slice_eq_nocase(all[i].name, detail)) {
			*out = all[i];
			return RC_OK;
		}
	}
	*boxes = (uint32_t)count;
	return RC_NOT_FOUND;
}

static bool
level_allowed(struct slice level, bool first)
{
	if (level.len == 0 || level.len > LMTP_DETAIL_LEVEL_MAX ||
	    level.len != slice_trim(level).len)
		return false;
	if (slice_eq(level, SLICE(".")) || slice_eq(level, SLICE("..")))
		return false;
	for (size_t i = 0; i < level.len; i++)
		if (level.ptr[i] < 32 || level.ptr[i] == 127 ||
		    strchr("%*\\\"", level.ptr[i]) != NULL)
			return false;
	return !first || (!slice_eq_nocase(level, inbox) && special_use_named(level) == 0);
}

bool
lmtp_folder_allowed(struct slice name)
{
	bool first = true, more = true;

	for (unsigned levels = 0; more; levels++) {
		size_t slash = slice_find_byte(name, '/');

		if (levels == LMTP_DETAIL_LEVELS ||
		    !level_allowed(slice_sub(name, 0, slash), first))
			return false;
		first = false;
		more = slash < name.len;
		name = slice_sub(name, slash + 1, name.len);
	}
	return true;
}

/* Those that this transaction is going to make are there already, as it were: each once, where it
 * was first wanted. */
static bool
is_room_for(const struct lmtp *l, struct lmtp_place *p, struct slice detail)
{
	uint64_t boxes = p->boxes;

	for (const struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next) {
		for (const struct lmtp_place *q = r->places; q != NULL; q = q->next) {
			if (q->group != p->group || q->account != p->account || q->wanted.len == 0)
				continue;
			if (slice_eq_nocase(q->wanted, detail)) {
				p->boxes = 0;
				return true;
			}
			boxes += q->boxes > 0;
		}
	}
	return boxes < session_conf(l->s)->lmtp.create_detail_limit;
}

enum rc
lmtp_folder_find(struct lmtp *l, struct lmtp_place *p, struct volume *v, struct slice detail,
                 struct err *e)
{
	struct mailbox_info box;
	struct arena a;
	enum rc rc = RC_NOT_FOUND;

	arena_init(&a, 16u << 20);
	if (detail.len > 0) {
		rc = find_named(v, p->account, detail, &a, &box, &p->boxes, e);
		p->named = rc == RC_OK;
		if (rc == RC_NOT_FOUND && session_conf(l->s)->lmtp.create_detail &&
		    lmtp_folder_allowed(detail) && is_room_for(l, p, detail))
			p->wanted = arena_dup(&l->arena, detail);
	}
	if (rc != RC_OK && !is_trouble(rc))
		rc = volume_find_mailbox(v, p->account, inbox, &a, &box, e);
	if (rc == RC_OK) {
		p->mailbox = box.id;
		p->folder = arena_dup(&l->arena, box.name);
		if (p->folder.ptr == NULL)
			rc = err_nomem(e);
	}
	arena_fini(&a);
	return rc;
}

/* ---- when the message has come ---- */

static void
to_junk(struct lmtp *l, struct lmtp_place *p)
{
	struct err e = ERR_INIT;
	struct mailbox_info *all;
	struct arena a;
	size_t count;

	arena_init(&a, 16u << 20);
	if (volume_list_mailboxes(p->group->volume, p->account, &a, &all, &count, &e) == RC_OK) {
		for (size_t i = 0; i < count; i++) {
			if ((all[i].special_use & USE_JUNK) == 0)
				continue;
			p->mailbox = all[i].id;
			p->folder = arena_dup(&l->arena, all[i].name);
			break;
		}
	}
	arena_fini(&a);
}

void
lmtp_folder_junk(struct lmtp *l)
{
	for (struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next) {
		for (struct lmtp_place *p = r->places; p != NULL; p = p->next) {
			if (!p->named && p->wanted.len == 0 && p->group->rc == RC_OK)
				to_junk(l, p);
		}
	}
}

static void
on_made(struct change *c, void *arg)
{
	(void)c;
	lmtp_answered(arg);
}

static struct change *
new_change(struct lmtp *l, const struct lmtp_place *p, enum change_kind kind)
{
	struct change *c = change_new(kind);

	if (c == NULL)
		return NULL;
	c->who = (struct frame_who){ p->account, session_id(l->s), PROTO_LMTP };
	c->done = on_made;
	c->done_arg = l;
	return c;
}

/* Subscribed too, as most clients show nothing else. */
static struct lmtp_making *
new_making(struct lmtp *l, struct lmtp_place *p)
{
	struct lmtp_making *m = arena_zalloc(&l->arena, sizeof *m);

	if (m == NULL)
		return NULL;
	m->place = p;
	m->create = new_change(l, p, CHANGE_MAILBOX_CREATE);
	m->subscribe = new_change(l, p, CHANGE_SUBSCRIBE);
	if (m->create == NULL || m->subscribe == NULL) {
		change_free(&m->create);
		change_free(&m->subscribe);
		return NULL;
	}
	m->create->u.mailbox = (struct change_mailbox){ .account = p->account, .name = p->wanted };
	m->subscribe->u.subscribe = (struct change_subscribe){ p->account, p->wanted, true };
	return m;
}

bool
lmtp_folder_make(struct lmtp *l)
{
	unsigned n = 0;

	for (struct lmtp_rcpt *r = l->rcpts; r != NULL; r = r->next) {
		for (struct lmtp_place *p = r->places; p != NULL; p = p->next) {
			struct lmtp_making *m = p->wanted.len > 0 && p->group->rc == RC_OK
			                            ? new_making(l, p)
			                            : NULL;

			if (m == NULL)
				continue;
			m->next = l->makings;
			l->makings = m;
			n += 2;
		}
	}
	if (n == 0)
		return false;
	lmtp_await(l, n);
	for (struct lmtp_making *m = l->makings; m != NULL; m = m->next) {
		volume_submit(m->place->group->volume, m->create);
		volume_submit(m->place->group->volume, m->subscribe);
	}
	return true;
}

static void
log_made(struct lmtp *l, const struct lmtp_place *p)
{
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_INFO, "lmtp.mailbox_created");
	log_str(&line, "account", p->name);
	log_str(&line, "mailbox", p->wanted);
	log_end(&line);
}

/* Also one that somebody else has made meanwhile, or an earlier recipient of the transaction. */
void
lmtp_folder_made(struct lmtp *l)
{
	for (struct lmtp_making *m = l->makings; m != NULL; m = m->next) {
		struct lmtp_place *p = m->place;
		struct mailbox_info box;
		struct err e = ERR_INIT;
		struct arena a;

		if (m->create->rc == RC_OK)
			log_made(l, p);
		arena_init(&a, 16u << 20);
		if (volume_find_mailbox(p->group->volume, p->account, p->wanted, &a, &box, &e) ==
		    RC_OK) {
			p->mailbox = box.id;
			p->folder = p->wanted;
		}
		arena_fini(&a);
	}
	lmtp_folder_forget(l);
}

void
lmtp_folder_forget(struct lmtp *l)
{
	for (; l->makings != NULL; l->makings = l->makings->next) {
		change_free(&l->makings->create);
		change_free(&l->makings->subscribe);
	}
}
