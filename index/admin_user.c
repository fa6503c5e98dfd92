/* admin_user - accounts: add, list, show, passwd, delete, and their quotas. See admin.h.
 *
 * A name is an account's in the whole of this server: it is looked for in every volume before it is
 * given out. Two adds of one name in two volumes at the same moment could both pass; nobody adds
 * accounts so, and a lookup answers with the first volume's.
 */
#include "index/admin_impl.h"

#include <stdio.h>

#include "lib/clock.h"
#include "lib/when.h"

#define LIST_PAGE 256u

/* restantectl made it; this catches only a caller that sent something else, such as a password in
 * clear. */
static bool
check_verifier(struct admin_call *c, const char *verifier)
{
	static const struct slice known[] = { SLICE_INIT("SCRAM-SHA-256$"),
	                                      SLICE_INIT("SCRAM-SHA-1$"),
		                              SLICE_INIT("{CRYPT}$") };

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (slice_starts(slice_str(verifier), known[i]))
			return true;
	admin_complain(c, "that is no verifier of a password");
	return false;
}

static struct change *
new_change(struct admin_call *c, enum change_kind kind, account_id id)
{
	struct change *ch = change_new(kind);

	if (ch == NULL)
		admin_complain(c, "out of memory");
	else
		ch->u.account.id = id;
	return ch;
}

/* The change, and one line that says what was done. */
static enum admin_exit
change_and_tell(struct admin_call *c, struct volume *v, struct change **ch, const char *name,
    const char *done)
{
	enum admin_exit status = admin_change(c, v, ch, name);

	if (status == ADMIN_OK)
		admin_printf(c, "%s: %s", name, done);
	return status;
}

static bool
put_password(struct change *ch, const char *verifier)
{
	ch->u.account.credential_name = SLICE("password");
	ch->u.account.credential_value = arena_dup(&ch->arena, slice_str(verifier));
	return ch->u.account.credential_value.ptr != NULL;
}

/* Is the name free in every volume? */
static enum admin_exit
check_free(struct admin_call *c, const char *name)
{
	struct account_info there;
	struct err e = ERR_INIT;
	size_t i = 0;

	if (admin_check_name(slice_str(name), &e) != RC_OK) {
		err_add(&e, "%.255s", name);
		return admin_fail(c, &e);
	}
	while (i < c->ad->volume_count) {
		struct volume *v = c->ad->volumes[i++];
		enum rc rc = volume_find_account(v, slice_str(name), &c->arena, &there, &e);

		if (rc == RC_NOT_FOUND)
			continue;
		if (rc != RC_OK)
			return admin_fail(c, &e);
		admin_complain(
		    c, "%s: there is an account %.*s already", name, SLICE_ARG(there.name));
		return ADMIN_FAILED;
	}
	return admin_may_give(c, name) ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit
admin_user_add(struct admin_call *c)
{
	struct volume *v = c->only != NULL ? c->only : c->ad->volumes[0];
	const char *quota = admin_option(c, "--quota");
	uint64_t bytes = 0;
	struct change *ch;
	char done[80];
	enum admin_exit status = check_free(c, c->args[0]);

	if (quota != NULL && !admin_parse_size(slice_str(quota), &bytes))
		return ADMIN_USAGE;
	if (status != ADMIN_OK)
		return status;
	if (!check_verifier(c, c->args[1]))
		return ADMIN_FAILED;
	ch = new_change(c, CHANGE_ACCOUNT_CREATE, 0);
	if (ch == NULL)
		return ADMIN_FAILED;
	ch->u.account.name = arena_dup(&ch->arena, slice_str(c->args[0]));
	ch->u.account.quota_bytes = bytes;
	if (ch->u.account.name.ptr == NULL || !put_password(ch, c->args[1])) {
		admin_complain(c, "out of memory");
		change_free(&ch);
		return ADMIN_FAILED;
	}
	snprintf(done, sizeof done, "added to %.60s", volume_name(v));
	return change_and_tell(c, v, &ch, c->args[0], done);
}

enum admin_exit
admin_user_passwd(struct admin_call *c)
{
	struct account_info info;
	struct change *ch;
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &info);

	if (status != ADMIN_OK)
		return status;
	if (!check_verifier(c, c->args[1]))
		return ADMIN_FAILED;
	ch = new_change(c, CHANGE_CREDENTIAL, info.id);
	if (ch == NULL)
		return ADMIN_FAILED;
	if (!put_password(ch, c->args[1])) {
		admin_complain(c, "out of memory");
		change_free(&ch);
		return ADMIN_FAILED;
	}
	return change_and_tell(c, v, &ch, c->args[0], "the password is set");
}

/* What the retention promises; a volume that is not compacted remembers for longer. */
static void
append_until(struct buf *out, uint64_t retention_us)
{
	char when[WHEN_TEXT_MAX];

	buf_append_str(out, "; undelete --account brings it back until ");
	when_format(clock_wall_us() + retention_us, when);
	buf_append_str(out, retention_us > 0 ? when : "the next compaction");
	buf_append_str(out, retention_us > 0 ? " at least" : "");
}

enum admin_exit
admin_user_delete(struct admin_call *c)
{
	struct account_info info;
	struct change *ch;
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &info);

	if (status != ADMIN_OK)
		return status;
	ch = new_change(c, CHANGE_ACCOUNT_DELETE, info.id);
	if (ch == NULL)
		return ADMIN_FAILED;
	status = admin_change(c, v, &ch, c->args[0]);
	if (status != ADMIN_OK)
		return status;
	buf_printf(&c->line, "%s: deleted, with its mail", c->args[0]);
	append_until(&c->line, c->ad->retention_us);
	admin_send(c);
	return ADMIN_OK;
}

/* "quota 1024, 10 messages", either alone, or "no quota". */
static void
append_limits(struct buf *out, uint64_t bytes, uint64_t messages, const char *unit)
{
	if (bytes == 0 && messages == 0) {
		buf_append_str(out, "no quota");
		return;
	}
	buf_append_str(out, "quota ");
	if (bytes != 0)
		buf_printf(out, "%llu%s", (unsigned long long)bytes, unit);
	if (messages != 0)
		buf_printf(out, "%s%llu message%s", bytes != 0 ? ", " : "",
		    (unsigned long long)messages, admin_plural(messages));
}

enum admin_exit
admin_quota_set(struct admin_call *c)
{
	struct account_info info;
	struct change *ch;
	struct volume *v;
	const char *limit = admin_option(c, "--messages");
	uint64_t bytes = 0, messages = 0;
	enum admin_exit status;

	if (c->argc == 2 ? !admin_parse_size(slice_str(c->args[1]), &bytes) : limit == NULL)
		return ADMIN_USAGE;
	if (limit != NULL && !admin_parse_count(slice_str(limit), &messages))
		return ADMIN_USAGE;
	status = admin_find(c, c->args[0], &v, &info);
	if (status != ADMIN_OK)
		return status;
	ch = new_change(c, CHANGE_ACCOUNT_QUOTA, info.id);
	if (ch == NULL)
		return ADMIN_FAILED;
	if (c->argc < 2)
		bytes = info.quota_bytes;
	ch->u.account.quota_bytes = bytes;
	ch->u.account.quota_messages = limit != NULL ? messages : info.quota_messages;
	info.quota_messages = ch->u.account.quota_messages;
	status = admin_change(c, v, &ch, c->args[0]);
	if (status != ADMIN_OK)
		return status;
	buf_printf(&c->line, "%s: ", c->args[0]);
	append_limits(&c->line, bytes, info.quota_messages, " bytes");
	admin_send(c);
	return ADMIN_OK;
}

/* ---- lists ---- */

/* One account's row. The columns of text are parted by tabs: no name holds one. */
static enum admin_exit
send_account(struct admin_call *c, struct volume *v, const struct account_info *a)
{
	struct json j;

	if (!c->json) {
		buf_append_slice(&c->line, a->name);
		buf_printf(&c->line, "\t%s\t%llu message%s\t%llu byte%s\t", volume_name(v),
		    (unsigned long long)a->used_messages, admin_plural(a->used_messages),
		    (unsigned long long)a->used_bytes, admin_plural(a->used_bytes));
		append_limits(&c->line, a->quota_bytes, a->quota_messages, "");
		if (a->hidden.len > 0)
			buf_printf(&c->line, "\thides %.*s", SLICE_ARG(a->hidden));
		if ((a->flags & ACCOUNT_LOCKED) != 0)
			buf_append_str(&c->line, "\tlocked");
		return admin_send(c) ? ADMIN_OK : ADMIN_FAILED;
	}
	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_str(&j, "name", a->name);
	json_cstr(&j, "volume", volume_name(v));
	admin_json_lsn(&j, "id", a->id);
	json_u64(&j, "created_us", a->created_us);
	json_u64(&j, "messages", a->used_messages);
	json_u64(&j, "bytes", a->used_bytes);
	json_u64(&j, "quota", a->quota_bytes);
	json_u64(&j, "quota_messages", a->quota_messages);
	json_array(&j, "hidden");
	for (struct slice rest = a->hidden; rest.len > 0;) {
		size_t n = slice_find_byte(rest, ' ');

		json_str(&j, NULL, slice_sub(rest, 0, n));
		rest = slice_sub(rest, n + 1, rest.len);
	}
	json_end(&j);
	json_bool(&j, "locked", (a->flags & ACCOUNT_LOCKED) != 0);
	if (admin_json_credentials(c, v, a->id, &j) != ADMIN_OK)
		return ADMIN_FAILED;
	json_end(&j);
	return admin_send(c) ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit
admin_each_account(struct admin_call *c, struct volume *v,
    enum admin_exit (*one)(struct admin_call *c, struct volume *v, const struct account_info *a))
{
	enum admin_exit status = ADMIN_OK;
	char last[ACCOUNT_NAME_MAX + 1] = "";
	struct account_info *list;
	struct err e = ERR_INIT;
	size_t n;

	do {
		arena_reset(&c->arena);
		if (volume_list_accounts(v, slice_str(last), LIST_PAGE, &c->arena, &list, &n, &e) !=
		    RC_OK)
			return admin_fail(c, &e);
		for (size_t i = 0; i < n && !c->stopped; i++)
			status = admin_worse(status, one(c, v, &list[i]));
		if (n > 0 && !slice_to_cstr(list[n - 1].name, last, sizeof last)) {
			admin_complain(c, "%s: an account's name is damaged; the list ends here",
			    volume_name(v));
			return ADMIN_DAMAGE;
		}
	} while (n == LIST_PAGE && !c->stopped);
	return status;
}

enum admin_exit
admin_user_list(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct volume *v;
	size_t i = 0;

	while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, admin_each_account(c, v, send_account));
	return status;
}

enum admin_exit
admin_quota_show(struct admin_call *c)
{
	struct account_info info;
	struct volume *v;
	enum admin_exit status;

	if (c->argc == 0)
		return admin_user_list(c);
	status = admin_find(c, c->args[0], &v, &info);
	return status == ADMIN_OK ? send_account(c, v, &info) : status;
}

enum admin_exit
admin_user_show(struct admin_call *c)
{
	struct account_info info;
	struct volume *v;
	enum admin_exit status;

	status = admin_find(c, c->args[0], &v, &info);
	if (status == ADMIN_OK)
		status = send_account(c, v, &info);
	return status == ADMIN_OK && !c->json ? admin_send_credentials(c, v, &info) : status;
}
