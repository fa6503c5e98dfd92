/* admin_move - accounts between volumes: user move, volume retire. See admin.h and move.h. */
#include "index/admin_impl.h"

#include <stdio.h>

#include "index/move.h"

static struct volume *
find_volume(struct admin_call *c, const char *name)
{
	for (size_t i = 0; i < c->ad->volume_count; i++)
		if (strcmp(volume_name(c->ad->volumes[i]), name) == 0)
			return c->ad->volumes[i];
	admin_complain(c, "there is no volume %s", name);
	return NULL;
}

static bool
progress(void *arg, uint64_t done, uint64_t total)
{
	return admin_progress(arg, "moving", done, total);
}

/* A move changes both: neither may be at something else. */
static bool
begin_work(struct admin_call *c, struct volume *from, struct volume *to)
{
	struct err e = ERR_INIT;

	if (volume_work_begin(from, "a move of accounts", &e) == RC_OK) {
		if (volume_work_begin(to, "a move of accounts", &e) == RC_OK)
			return true;
		volume_work_end(from);
	}
	(void)admin_fail(c, &e);
	return false;
}

static void
end_work(struct volume *from, struct volume *to)
{
	volume_work_end(to);
	volume_work_end(from);
}

/* `name` is the caller's: what is in the call's arena may go. */
static enum admin_exit
move_one(struct admin_call *c, struct volume *from, struct volume *to, account_id id, const char *name)
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
		buf_printf(&c->line, "%s: moved from %s to %s, %llu mailboxes, %llu messages, %llu bytes", name,
		    volume_name(from), volume_name(to), (unsigned long long)r.mailboxes, (unsigned long long)r.messages,
		    (unsigned long long)r.bytes);
	}
	return admin_send(c) ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit
admin_user_move(struct admin_call *c)
{
	struct account_info account;
	struct volume *from, *to = find_volume(c, c->args[1]);
	char name[ACCOUNT_NAME_MAX + 1];
	enum admin_exit status;

	if (to == NULL)
		return ADMIN_FAILED;
	status = admin_find(c, c->args[0], &from, &account);
	if (status != ADMIN_OK)
		return status;
	if (from == to) {
		admin_printf(c, "%s: is in %s already", c->args[0], volume_name(to));
		return ADMIN_OK;
	}
	if (!slice_to_cstr(account.name, name, sizeof name) || !begin_work(c, from, to))
		return ADMIN_FAILED;
	status = move_one(c, from, to, account.id, name);
	end_work(from, to);
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
	struct volume *from = find_volume(c, c->args[0]), *to = to_name != NULL ? find_volume(c, to_name) : NULL;
	enum admin_exit status;
	uint64_t moved = 0;

	if (to_name == NULL || from == NULL || to == NULL || from == to) {
		if (to_name == NULL || (from != NULL && from == to))
			return ADMIN_USAGE;
		return ADMIN_FAILED;
	}
	if (!begin_work(c, from, to))
		return ADMIN_FAILED;
	status = move_all(c, from, to, &moved);
	end_work(from, to);
	if (status == ADMIN_OK && !c->json)
		admin_printf(c, "%s: %llu accounts moved, none is left; take its section out of the configuration and restart "
		                "the server",
		    volume_name(from), (unsigned long long)moved);
	return status;
}
