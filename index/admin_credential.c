/* admin_credential - locks, app passwords, and what credentials there are. See admin.h.
 *
 * A value's words are the business of sasl/, which this folder does not stand on: here a word is
 * cut at its first "$", and what does not look like a scheme or an attribute is not shown at all.
 */
#include "index/admin_impl.h"

#include "lib/when.h"

#define APP_PREFIX    "app:"
#define LABEL_MAX     64u
#define CREDENTIALS_MAX 65u     /* of an account: its password and 64 app passwords */

/* ---- what is shown of a value ---- */

static bool
next_word(struct slice *rest, struct slice *word)
{
	size_t n = slice_find_byte(*rest, ' ');

	if (rest->len == 0)
		return false;
	*word = slice_sub(*rest, 0, n);
	*rest = slice_sub(*rest, n + 1, rest->len);
	return true;
}

static bool
is_scheme(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < 'A' || s.ptr[i] > 'Z') && (s.ptr[i] < '0' || s.ptr[i] > '9') &&
		    s.ptr[i] != '-')
			return false;
	return s.len > 0;
}

/* "SCRAM-SHA-256" of that scheme's word, "{CRYPT}$6$" of a hash; empty of anything else. */
static struct slice
kind_of(struct slice word)
{
	const struct slice crypt = SLICE("{CRYPT}$");
	size_t end = slice_find_byte(word, '$');

	if (slice_starts(word, crypt)) {
		end = crypt.len + slice_find_byte(slice_sub(word, crypt.len, word.len), '$');
		return end < word.len && end < crypt.len + 4 ? slice_sub(word, 0, end + 1)
		                                             : SLICE("{CRYPT}");
	}
	return end < word.len && is_scheme(slice_sub(word, 0, end)) ? slice_sub(word, 0, end)
	                                                            : SLICE_NONE;
}

void
admin_append_kinds(struct buf *out, struct slice value)
{
	struct slice rest = value, word;
	bool first = true;

	while (next_word(&rest, &word)) {
		bool only = slice_starts(word, SLICE("only="));

		if (!only)
			word = kind_of(word);
		if (word.len == 0)
			continue;
		if (!first)
			buf_append_str(out, only ? " " : ", ");
		buf_append_slice(out, word);
		first = false;
	}
}

static struct slice
attribute(struct slice value, struct slice name)
{
	struct slice rest = value, word;

	while (next_word(&rest, &word))
		if (slice_starts(word, name))
			return slice_sub(word, name.len, word.len);
	return SLICE_NONE;
}

void
admin_json_kinds(struct json *j, struct slice value)
{
	struct slice rest = value, word, only = attribute(value, SLICE("only="));
	uint64_t created;

	json_array(j, "kinds");
	while (next_word(&rest, &word))
		if (kind_of(word).len > 0)
			json_str(j, NULL, kind_of(word));
	json_end(j);
	json_array(j, "only");
	while (only.len > 0) {
		size_t n = slice_find_byte(only, ',');

		json_str(j, NULL, slice_sub(only, 0, n));
		only = slice_sub(only, n + 1, only.len);
	}
	json_end(j);
	if (slice_to_u64(attribute(value, SLICE("created=")), INT64_MAX / 1000000, &created))
		json_u64(j, "created_us", created * 1000000u);
}

static enum admin_exit
list_credentials(struct admin_call *c, struct volume *v, account_id id,
                 struct credential_info **list, size_t *n)
{
	struct err e = ERR_INIT;

	return volume_list_credentials(v, id, &c->arena, list, n, &e) == RC_OK ? ADMIN_OK
	                                                                       : admin_fail(c, &e);
}

enum admin_exit
admin_send_credentials(struct admin_call *c, struct volume *v, const struct account_info *a)
{
	struct credential_info *list;
	enum admin_exit status;
	size_t n;

	status = list_credentials(c, v, a->id, &list, &n);
	for (size_t i = 0; status == ADMIN_OK && i < n; i++) {
		buf_printf(&c->line, "%.*s\t", SLICE_ARG(list[i].name));
		admin_append_kinds(&c->line, list[i].value);
		status = admin_send(c) ? ADMIN_OK : ADMIN_FAILED;
	}
	return status;
}

enum admin_exit
admin_json_credentials(struct admin_call *c, struct volume *v, account_id id, struct json *j)
{
	struct credential_info *list;
	enum admin_exit status;
	size_t n;

	status = list_credentials(c, v, id, &list, &n);
	if (status != ADMIN_OK)
		return status;
	json_array(j, "credentials");
	for (size_t i = 0; i < n; i++) {
		json_object(j, NULL);
		json_str(j, "name", list[i].name);
		admin_json_kinds(j, list[i].value);
		json_end(j);
	}
	json_end(j);
	return ADMIN_OK;
}

/* ---- locks ---- */

static enum admin_exit
set_lock(struct admin_call *c, bool lock)
{
	struct account_info info;
	struct change *ch;
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &info);

	if (status != ADMIN_OK)
		return status;
	ch = change_new(CHANGE_ACCOUNT_FLAGS);
	if (ch == NULL) {
		admin_complain(c, "out of memory");
		return ADMIN_FAILED;
	}
	ch->u.account.id = info.id;
	ch->u.account.flags_set = lock ? ACCOUNT_LOCKED : 0;
	ch->u.account.flags_clear = lock ? 0 : ACCOUNT_LOCKED;
	status = admin_change(c, v, &ch, c->args[0]);
	if (status != ADMIN_OK)
		return status;
	admin_printf(c, "%s: %s", c->args[0],
	    lock ? "locked: nobody can log in, its sessions end, mail for it is refused"
	         : "unlocked");
	return ADMIN_OK;
}

enum admin_exit
admin_user_lock(struct admin_call *c)
{
	return set_lock(c, true);
}

enum admin_exit
admin_user_unlock(struct admin_call *c)
{
	return set_lock(c, false);
}

/* ---- app passwords ---- */

/* Writes "app:LABEL" of the second argument, or takes it away with an empty value. */
static enum admin_exit
change_app_password(struct admin_call *c, struct volume *v, account_id id, struct slice value)
{
	struct change *ch = change_new(CHANGE_CREDENTIAL);

	if (ch != NULL) {
		ch->u.account.id = id;
		ch->u.account.credential_name = arena_printf(&ch->arena, APP_PREFIX "%s",
		                                             c->args[1]);
		ch->u.account.credential_value = value.len > 0 ? arena_dup(&ch->arena, value)
		                                               : SLICE_NONE;
		ch->u.account.credential_new = value.len > 0;
	}
	if (ch == NULL || ch->u.account.credential_name.ptr == NULL ||
	    (value.len > 0 && ch->u.account.credential_value.ptr == NULL)) {
		admin_complain(c, "out of memory");
		change_free(&ch);
		return ADMIN_FAILED;
	}
	return admin_change(c, v, &ch, c->args[1]);
}

enum admin_exit
admin_app_password_add(struct admin_call *c)
{
	struct credential_info *list;
	struct account_info info;
	struct volume *v;
	size_t n;
	enum admin_exit status = admin_find(c, c->args[0], &v, &info);

	if (status == ADMIN_OK)
		status = list_credentials(c, v, info.id, &list, &n);
	if (status != ADMIN_OK)
		return status;
	if (!slice_starts(slice_str(c->args[2]), SLICE("SHA-256$")) ||
	    strlen(c->args[1]) > LABEL_MAX) {
		admin_complain(c, "that is no verifier of an app password, or no label");
		return ADMIN_FAILED;
	}
	if (n >= CREDENTIALS_MAX) {
		admin_complain(c,
		    "%s: has %zu credentials, which is the most: revoke one that is "
		    "not used any more",
		    c->args[0], n);
		return ADMIN_FAILED;
	}
	status = change_app_password(c, v, info.id, slice_str(c->args[2]));
	if (status == ADMIN_OK)
		admin_printf(c, "%s: app password %s added", c->args[0], c->args[1]);
	return status;
}

enum admin_exit
admin_app_password_revoke(struct admin_call *c)
{
	struct account_info info;
	struct volume *v;
	enum admin_exit status = admin_find(c, c->args[0], &v, &info);

	if (status == ADMIN_OK)
		status = change_app_password(c, v, info.id, SLICE_NONE);
	if (status == ADMIN_OK)
		admin_printf(c, "%s: app password %s revoked; the account's sessions end",
		    c->args[0], c->args[1]);
	return status;
}

static bool
send_app_password(struct admin_call *c, const struct credential_info *cred)
{
	struct slice label = slice_sub(cred->name, strlen(APP_PREFIX), cred->name.len);
	struct slice only = attribute(cred->value, SLICE("only="));
	char when[WHEN_TEXT_MAX];
	uint64_t created = 0;
	struct json j;

	if (c->json) {
		json_init(&j, &c->line);
		json_object(&j, NULL);
		json_str(&j, "label", label);
		admin_json_kinds(&j, cred->value);
		json_end(&j);
		return admin_send(c);
	}
	buf_printf(&c->line, "%.*s\t", SLICE_ARG(label));
	if (slice_to_u64(attribute(cred->value, SLICE("created=")), INT64_MAX / 1000000,
	                 &created)) {
		when_format(created * 1000000u, when);
		buf_append_str(&c->line, when);
	}
	buf_append_byte(&c->line, '\t');
	buf_append_slice(&c->line, only.len > 0 ? only : SLICE("all"));
	return admin_send(c);
}

enum admin_exit
admin_app_password_list(struct admin_call *c)
{
	struct credential_info *list;
	struct account_info info;
	struct volume *v;
	size_t n = 0;
	enum admin_exit status = admin_find(c, c->args[0], &v, &info);

	if (status == ADMIN_OK)
		status = list_credentials(c, v, info.id, &list, &n);
	for (size_t i = 0; status == ADMIN_OK && i < n; i++)
		if (slice_starts(list[i].name, SLICE(APP_PREFIX)) &&
		    !send_app_password(c, &list[i]))
			status = ADMIN_FAILED;
	return status;
}
