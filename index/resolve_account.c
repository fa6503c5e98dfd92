/* resolve_account - accounts, quotas and credentials.
 *
 * A new account comes with its mailboxes, their subscriptions and its credential in one frame:
 * after a crash it is there with all of them or not at all.
 */
#include "index/resolve.h"

#include "index/hidden.h"
#include "index/names.h"

static const struct {
	const char *name;
	uint32_t    special_use;
} first_mailboxes[] = {
	{ "INBOX",   0 },
	{ "Drafts",  USE_DRAFTS },
	{ "Sent",    USE_SENT },
	{ "Junk",    USE_JUNK },
	{ "Trash",   USE_TRASH },
	{ "Archive", USE_ARCHIVE },
};

static enum rc
add_first_mailboxes(struct resolver *rs, account_id account, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < sizeof first_mailboxes / sizeof first_mailboxes[0];
	     i++) {
		struct record r = { .type = RECORD_SUBSCRIPTION };
		struct slice name = slice_str(first_mailboxes[i].name);
		mailbox_id id;

		rc = resolve_new_mailbox(rs, account, name, first_mailboxes[i].special_use, &id, e);
		r.u.subscription = (struct record_subscription){ account, name, true };
		if (rc == RC_OK)
			rc = resolve_add(rs, &r, e);
	}
	return rc;
}

static enum rc
add_credential(struct resolver *rs, account_id account, struct err *e)
{
	struct change_account *c = &rs->c->u.account;
	struct record r = { .type = RECORD_CREDENTIAL };

	if (c->credential_name.len == 0)
		return RC_OK;
	r.u.credential =
		(struct record_credential){ account, c->credential_name, c->credential_value };
	return resolve_add(rs, &r, e);
}

enum rc
resolve_account_name(struct resolver *rs, struct slice name, struct slice *nfc, struct err *e)
{
	struct account_info there;
	struct slice key;
	enum rc rc;

	rc = name_account(name, &rs->scratch, nfc, &key, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		rs->refused = true;
	if (rc != RC_OK)
		return rc;
	rc = account_find(rs->db, key, &rs->scratch, &there, e);
	if (rc == RC_OK)
		return resolve_refuse(rs, RC_EXISTS, e, "account exists");
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* number64 = 1*DIGIT, at most 2^63-1 [RFC 9051 s9]; neither the index nor the log's
 * reader takes more. */
static enum rc
check_limits(struct resolver *rs, struct err *e)
{
	const struct change_account *c = &rs->c->u.account;

	if (c->quota_bytes > INT64_MAX || c->quota_messages > INT64_MAX)
		return resolve_refuse(rs, RC_LIMIT, e, "a quota of 2^63 or more");
	return RC_OK;
}

enum rc
resolve_account_create(struct resolver *rs, struct err *e)
{
	struct change_account *c = &rs->c->u.account;
	struct record r = { .type = RECORD_ACCOUNT };
	enum rc rc;

	r.u.account = (struct record_account){
		.generation = 1,
		.created_us = resolve_now_us(),
		.quota_bytes = c->quota_bytes,
		.quota_messages = c->quota_messages,
		.hidden = SLICE(""),
	};
	rc = check_limits(rs, e);
	if (rc == RC_OK)
		rc = resolve_account_name(rs, c->name, &r.u.account.name, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	if (rc == RC_OK)
		rc = add_first_mailboxes(rs, r.u.account.id, e);
	if (rc == RC_OK)
		rc = add_credential(rs, r.u.account.id, e);
	if (rc != RC_OK)
		return rc;
	c->id = r.u.account.id;
	return resolve_frame_end(rs, e);
}

/* The record that states this account as it is, for one who changes a field of it. */
static enum rc
restate_account(struct resolver *rs, struct record *r, struct err *e)
{
	struct account_info a;
	enum rc rc = resolve_account(rs, rs->c->u.account.id, &a, e);

	if (rc != RC_OK)
		return rc;
	*r = (struct record){ .type = RECORD_ACCOUNT };
	r->u.account = (struct record_account){
		.id = a.id,
		.generation = a.generation,
		.name = a.name,
		.created_us = a.created_us,
		.quota_bytes = a.quota_bytes,
		.quota_messages = a.quota_messages,
		.hidden = a.hidden,
		.flags = a.flags,
	};
	return RC_OK;
}

static enum rc
write_account(struct resolver *rs, struct record *r, struct err *e)
{
	enum rc rc = resolve_frame_begin(rs, e);

	if (rc == RC_OK)
		rc = resolve_add(rs, r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

enum rc
resolve_account_delete(struct resolver *rs, struct err *e)
{
	struct record r;
	enum rc rc = restate_account(rs, &r, e);

	if (rc != RC_OK)
		return rc;
	r.u.account.quota_bytes = r.u.account.quota_messages = 0;
	r.u.account.hidden = SLICE("");
	r.u.account.flags = 0;
	r.u.account.deleted = true;
	rc = write_account(rs, &r, e);
	if (rc == RC_OK)
		resolve_note_account(rs, r.u.account.id);
	return rc;
}

/* What is so already is not written again. */
enum rc
resolve_account_flags(struct resolver *rs, struct err *e)
{
	struct change_account *c = &rs->c->u.account;
	struct record r;
	uint32_t was;
	enum rc rc = restate_account(rs, &r, e);

	if (rc != RC_OK)
		return rc;
	was = r.u.account.flags;
	c->flags = r.u.account.flags = (was | c->flags_set) & ~c->flags_clear;
	if (c->flags == was)
		return RC_OK;
	rc = write_account(rs, &r, e);
	if (rc == RC_OK && (c->flags & ~was & ACCOUNT_LOCKED) != 0)
		resolve_note_account(rs, r.u.account.id);
	return rc;
}

enum rc
resolve_account_quota(struct resolver *rs, struct err *e)
{
	struct record r;
	enum rc rc = check_limits(rs, e);

	if (rc == RC_OK)
		rc = restate_account(rs, &r, e);
	if (rc != RC_OK)
		return rc;
	r.u.account.quota_bytes = rs->c->u.account.quota_bytes;
	r.u.account.quota_messages = rs->c->u.account.quota_messages;
	return write_account(rs, &r, e);
}

/* A name that differs in case only from its own is free too. */
enum rc
resolve_account_rename(struct resolver *rs, struct err *e)
{
	struct account_info there;
	struct record r;
	struct slice key;
	enum rc rc = restate_account(rs, &r, e);

	if (rc != RC_OK)
		return rc;
	rc = name_account(rs->c->u.account.name, &rs->scratch, &r.u.account.name, &key, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		rs->refused = true;
	if (rc != RC_OK)
		return rc;
	rc = account_find(rs->db, key, &rs->scratch, &there, e);
	if (rc == RC_OK && there.id != r.u.account.id)
		return resolve_refuse(rs, RC_EXISTS, e, "account exists");
	return rc == RC_OK || rc == RC_NOT_FOUND ? write_account(rs, &r, e) : rc;
}

enum rc
resolve_account_hide(struct resolver *rs, struct err *e)
{
	struct slice hidden;
	struct record r;
	enum rc rc = hidden_normalise(rs->c->u.account.hidden, &rs->scratch, &hidden, e);

	if (rc == RC_SYNTAX || rc == RC_DENIED || rc == RC_LIMIT)
		rs->refused = true;
	if (rc == RC_OK)
		rc = restate_account(rs, &r, e);
	if (rc != RC_OK)
		return rc;
	r.u.account.hidden = hidden;
	return write_account(rs, &r, e);
}

/* Does the credential stand as the change wants it? *there: it has a value. */
static enum rc
check_old(struct resolver *rs, account_id account, bool *there, struct err *e)
{
	const struct change_account *c = &rs->c->u.account;
	bool same = c->credential_old.len == 0;
	sqlite3_stmt *q;
	enum rc rc = db_first(rs->db, &q,
	                      "SELECT value FROM credential WHERE account=?1 AND name=?2",
	                      DB_ARGS(DB_NUM(account), DB_BYTES(c->credential_name)), e);

	*there = rc == RC_OK;
	if (rc == RC_OK) {
		same = same || slice_eq(db_bytes(q, 0), c->credential_old);
		db_end(q);
	} else if (rc != RC_NOT_FOUND) {
		return rc;
	}
	if (*there && c->credential_new)
		return resolve_refuse(rs, RC_EXISTS, e, "there is a credential of this name");
	if (!same)
		return resolve_refuse(rs, RC_CANCELLED, e, "the credential was changed meanwhile");
	if (!*there && c->credential_value.len == 0)
		return resolve_refuse(rs, RC_NOT_FOUND, e, "there is no credential of this name");
	return RC_OK;
}

enum rc
resolve_credential(struct resolver *rs, struct err *e)
{
	const struct change_account *c = &rs->c->u.account;
	struct account_info a;
	bool there = false;
	enum rc rc;

	rc = resolve_account(rs, c->id, &a, e);
	if (rc == RC_OK && c->credential_name.len == 0)
		rc = resolve_refuse(rs, RC_DENIED, e, "a credential needs a name");
	if (rc == RC_OK)
		rc = check_old(rs, a.id, &there, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = add_credential(rs, a.id, e);
	if (rc == RC_OK)
		rc = resolve_frame_end(rs, e);
	if (rc == RC_OK && there && !c->same_secret)
		resolve_note_account(rs, a.id);
	return rc;
}
