/* admin_move - accounts between volumes: user move, volume retire. See admin.h and move.h. */
#include "index/admin_impl.h"

#include <stdio.h>

#include "index/move.h"

static bool
progress(void *arg, uint64_t done, uint64_t total)
{
	return admin_progress(arg, "moving", done, total);
}

/* A move changes both: neither may be at something else. */
struct moving {
	struct volume *from, *to;
	struct claim   here, there;
};

static bool
begin_work(struct admin_call *c, struct moving *m)
{
	const struct claim claim = { .kind = CLAIM_WORK, .what = "a move of accounts" };
	struct err e = ERR_INIT;

	m->here = m->there = claim;
	if (volume_claim(m->from, &m->here, &e) == RC_OK) {
		if (volume_claim(m->to, &m->there, &e) == RC_OK)
			return true;
		volume_release(m->from, &m->here);
	}
	(void)admin_fail(c, &e);
	return false;
}

static void
end_work(struct moving *m)
{
	volume_release(m->to, &m->there);
	volume_release(m->from, &m->here);
}

/* `name` is the caller's: what is in the call's arena may go. */
static enum admin_exit
move_one(struct admin_call *c, struct volume *from, struct volume *to, account_id id,
         const char *name)
{
	struct err e = ERR_INIT;
	struct move_result r;
	struct json j;

	if (move_account(from, to, id, progress, c, &r, &e) != RC_OK) {
		(void)err_add(&e, "%.255s", name);
		return admin_fail(c, &e);
	}
	if (c->json) {
		json_init(&j, &c->line);
		json_object(&j, NULL);
		json_cstr(&j, "name", name);
		json_cstr(&j, "from", volume_name(from));
		json_cstr(&j, "to", volume_name(to));
		json_u64(&j, "mailboxes", r.mailboxes);
		json_u64(&j, "messages", r.messages);
		json_u64(&j, "bytes", r.bytes);
		json_end(&j);
	} else {
		buf_printf(&c->line,
		    "%s: moved from %s to %s, %llu mailbox%s, %llu message%s, %llu byte%s", name,
		    volume_name(from), volume_name(to), (unsigned long long)r.mailboxes,
		    r.mailboxes == 1 ? "" : "es", (unsigned long long)r.messages,
		    admin_plural(r.messages), (unsigned long long)r.bytes, admin_plural(r.bytes));
	}
	return admin_send(c) ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit
admin_user_move(struct admin_call *c)
{
	struct account_info account;
	struct moving m = { .to = admin_find_volume(c, c->args[1]) };
	char name[ACCOUNT_NAME_MAX + 1];
	enum admin_exit status;

	if (m.to == NULL)
		return ADMIN_FAILED;
	status = admin_find(c, c->args[0], &m.from, &account);
	if (status != ADMIN_OK)
		return status;
	if (m.from == m.to) {
		admin_printf(c, "%s: is in %s already", c->args[0], volume_name(m.to));
		return ADMIN_OK;
	}
	if (!slice_to_cstr(account.name, name, sizeof name) || !begin_work(c, &m))
		return ADMIN_FAILED;
	status = move_one(c, m.from, m.to, account.id, name);
	end_work(&m);
	return status;
}

/* The first account that is left, until none is. */
static enum admin_exit
move_all(struct admin_call *c, struct volume *from, struct volume *to, uint64_t *moved)
{
	enum admin_exit status = ADMIN_OK;
	struct account_info *list;
	struct err e = ERR_INIT;
	size_t n;

	while (status == ADMIN_OK) {
		char name[ACCOUNT_NAME_MAX + 1];

		arena_reset(&c->arena);
		if (volume_list_accounts(from, SLICE(""), 1, &c->arena, &list, &n, &e) != RC_OK)
			return admin_fail(c, &e);
		if (n == 0)
			break;
		if (!slice_to_cstr(list[0].name, name, sizeof name))
			return ADMIN_DAMAGE;
		status = move_one(c, from, to, list[0].id, name);
		*moved += status == ADMIN_OK;
	}
	return status;
}

enum admin_exit
admin_volume_retire(struct admin_call *c)
{
	const char *to_name = admin_option(c, "--to");
	struct moving m = { .from = admin_find_volume(c, c->args[0]),
	                    .to = to_name != NULL ? admin_find_volume(c, to_name) : NULL };
	enum admin_exit status;
	uint64_t moved = 0;

	if (to_name == NULL || m.from == NULL || m.to == NULL || m.from == m.to) {
		if (to_name == NULL || (m.from != NULL && m.from == m.to))
			return ADMIN_USAGE;
		return ADMIN_FAILED;
	}
	if (!begin_work(c, &m))
		return ADMIN_FAILED;
	status = move_all(c, m.from, m.to, &moved);
	end_work(&m);
	if (status == ADMIN_OK && !c->json)
		admin_printf(c,
		    "%s: %llu account%s moved, none is left; take its section out of the "
		    "configuration and restart the server",
		    volume_name(m.from), (unsigned long long)moved, admin_plural(moved));
	return status;
}
