/* test_change - every kind of change: what it does, what it refuses, and what it answers. */
#include "tests/unit/volume_fixture.h"

#include <pthread.h>

static account_id anna;
static mailbox_id inbox;

static int
setup(void **state)
{
	int r = fx_setup(state);

	anna = fx_account("anna");
	inbox = fx_box(anna, "INBOX");
	return r;
}

/* ---- mailboxes ---- */

struct name_case {
	const char      *name;
	enum change_kind kind;
	const char      *from, *to;
	enum rc          want;
};

/* In this order, on the mailboxes of a new account. */
static const struct name_case name_cases[] = {
	{ "create",                CHANGE_MAILBOX_CREATE, "a/b/c",       "",          RC_OK },
	{ "parents exist now",     CHANGE_MAILBOX_CREATE, "a/b",         "",          RC_EXISTS },
	{ "inbox exists",          CHANGE_MAILBOX_CREATE, "iNbOx",       "",          RC_EXISTS },
	{ "below inbox",           CHANGE_MAILBOX_CREATE, "inbox/x",     "",          RC_OK },
	{ "below inbox again",     CHANGE_MAILBOX_CREATE, "INBOX/x",     "",          RC_EXISTS },
	{ "decomposed",            CHANGE_MAILBOX_CREATE, "A\xcc\x88",   "",          RC_OK },
	{ "composed",              CHANGE_MAILBOX_CREATE, "\xc3\x84",    "",          RC_EXISTS },
	{ "empty",                 CHANGE_MAILBOX_CREATE, "",            "",          RC_DENIED },
	{ "empty level",           CHANGE_MAILBOX_CREATE, "a//b",        "",          RC_DENIED },
	{ "slash at end",          CHANGE_MAILBOX_CREATE, "q/",          "",          RC_DENIED },
	{ "slash at start",        CHANGE_MAILBOX_CREATE, "/q",          "",          RC_DENIED },
	{ "control",               CHANGE_MAILBOX_CREATE, "a\x07",       "",          RC_DENIED },
	{ "C1 control",            CHANGE_MAILBOX_CREATE, "a\xc2\x85",   "",          RC_DENIED },
	{ "bad UTF-8",             CHANGE_MAILBOX_CREATE, "a\xff",       "",          RC_DENIED },
	{ "32 levels",             CHANGE_MAILBOX_CREATE,
	  "1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2", "",      RC_OK },
	{ "33 levels",             CHANGE_MAILBOX_CREATE,
	  "1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3", "",    RC_LIMIT },
	{ "rename missing",        CHANGE_MAILBOX_RENAME, "nope",        "new",       RC_NOT_FOUND },
	{ "rename to existing",    CHANGE_MAILBOX_RENAME, "a",           "Sent",      RC_EXISTS },
	{ "rename to itself",      CHANGE_MAILBOX_RENAME, "a",           "a",         RC_EXISTS },
	{ "rename below itself",   CHANGE_MAILBOX_RENAME, "a",           "a/b/d",     RC_DENIED },
	{ "rename to a bad name",  CHANGE_MAILBOX_RENAME, "a",           "b//c",      RC_DENIED },
	{ "children too deep",     CHANGE_MAILBOX_RENAME, "1/2",         "x/y/z",     RC_LIMIT },
	{ "rename",                CHANGE_MAILBOX_RENAME, "a",           "x/y",       RC_OK },
	{ "old name is gone",      CHANGE_MAILBOX_RENAME, "a/b",         "z",         RC_NOT_FOUND },
	{ "children moved",        CHANGE_MAILBOX_RENAME, "x/y/b/c",     "c",         RC_OK },
	{ "delete missing",        CHANGE_MAILBOX_DELETE, "a",           "",          RC_NOT_FOUND },
	{ "delete inbox",          CHANGE_MAILBOX_DELETE, "inbox",       "",          RC_DENIED },
	{ "delete with children",  CHANGE_MAILBOX_DELETE, "x",           "",          RC_DENIED },
	{ "delete",                CHANGE_MAILBOX_DELETE, "x/y/b",       "",          RC_OK },
	{ "delete parent now",     CHANGE_MAILBOX_DELETE, "x/y",         "",          RC_OK },
	{ "name may come back",    CHANGE_MAILBOX_CREATE, "x/y",         "",          RC_OK },
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(name_cases); i++) {
		const struct name_case *k = &name_cases[i];
		enum rc rc = fx_name_change(k->kind, anna, k->from, k->to);

		if (rc != k->want)
			fail_msg("%s: %s, not %s", k->name, rc_name(rc), rc_name(k->want));
	}
}

static void
test_name_too_long(void **state)
{
	char name[MAILBOX_NAME_MAX + 2];

	(void)state;
	memset(name, 'x', sizeof name);
	name[MAILBOX_NAME_MAX + 1] = '\0';
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, name, ""), RC_LIMIT);
	name[MAILBOX_NAME_MAX] = '\0';
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, name, ""), RC_OK);
}

static void
test_rename_keeps_identity(void **state)
{
	struct mailbox_info before, after;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "old/child", ""), RC_OK);
	fx_append_n(fx_box(anna, "old/child"), 3);
	before = fx_mailbox(anna, "old/child");
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_RENAME, anna, "old", "new"), RC_OK);
	after = fx_mailbox(anna, "new/child");
	assert_true(fx_mailbox(anna, "new").has_children);
	assert_int_equal(after.id, before.id);
	assert_int_equal(after.uidvalidity, before.uidvalidity);
	assert_int_equal(after.uidnext, before.uidnext);
	assert_int_equal(after.highestmodseq, before.highestmodseq);
	assert_memory_equal(after.mailboxid, before.mailboxid, MAILBOXID_LEN);
	assert_int_equal(after.exists, 3);
}

static void
test_rename_inbox(void **state)
{
	struct mailbox_info was = fx_mailbox(anna, "INBOX");
	struct mailbox_info now;

	(void)state;
	fx_append_n(inbox, 3);
	(void)fx_expunge(inbox, 1, 1);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "INBOX/kid", ""), RC_OK);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_RENAME, anna, "INBOX", "INBOX/2023"), RC_OK);
	now = fx_mailbox(anna, "INBOX");
	assert_int_equal(now.id, was.id);
	assert_int_equal(now.exists, 0);
	assert_int_equal(now.uidnext, 4);
	assert_true(fx_mailbox(anna, "INBOX/kid").id != 0);
	now = fx_mailbox(anna, "INBOX/2023");
	assert_int_equal(now.exists, 2);
	assert_int_equal(now.uidnext, 3);
	assert_true(now.uidvalidity > was.uidvalidity);
}

static void
test_recreated_mailbox_has_new_uidvalidity(void **state)
{
	struct mailbox_info first, second;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "m", ""), RC_OK);
	first = fx_mailbox(anna, "m");
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "m", ""), RC_OK);
	fx_reopen();
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "m", ""), RC_OK);
	second = fx_mailbox(anna, "m");
	assert_true(second.uidvalidity > first.uidvalidity);
	assert_int_not_equal(second.id, first.id);
}

static void
test_subscribe(void **state)
{
	struct change *c;
	struct slice *names;
	size_t count;
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 2; i++) {
		c = fx_change(CHANGE_SUBSCRIBE);
		c->u.subscribe.account = anna;
		c->u.subscribe.name = SLICE("Not/There");
		c->u.subscribe.subscribed = true;
		assert_int_equal(fx_run(c), RC_OK);
	}
	c = fx_change(CHANGE_SUBSCRIBE);
	c->u.subscribe.account = anna;
	c->u.subscribe.name = SLICE("inbox");
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(volume_list_subscriptions(fx_v, anna, &fx_arena, &names, &count, &e),
	                 RC_OK);
	assert_int_equal(count, 6);     /* six of the account's beginning, one more, INBOX less */
	assert_true(slice_eq(names[3], SLICE("Not/There")));
	assert_false(fx_mailbox(anna, "INBOX").subscribed);
}

/* ---- append ---- */

static void
test_quota_boundary(void **state)
{
	const uint64_t size = sizeof TEST_MAIL - 1;
	mailbox_id both[2] = { inbox, fx_box(anna, "Archive") };
	struct account_info a;
	struct change *c = fx_change(CHANGE_ACCOUNT_QUOTA);
	struct err e = ERR_INIT;

	(void)state;
	c->u.account.id = anna;
	c->u.account.quota_bytes = 3 * size;
	assert_int_equal(fx_run(c), RC_OK);
	fx_append_n(inbox, 2);
	/* Two more would be one too many: neither comes. */
	assert_int_equal(fx_run(fx_make_append(both, 2, SLICE(TEST_MAIL), 0, "")), RC_LIMIT);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 2);
	fx_append_first_of(both);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 1, both[1])), RC_LIMIT);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, 1, 1, both[1])), RC_OK);
	assert_int_equal(volume_get_account(fx_v, anna, &fx_arena, &a, &e), RC_OK);
	assert_int_equal(a.used_bytes, 3 * size);
	assert_int_equal(a.used_messages, 3);
	(void)fx_expunge(inbox, 2, 2);
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), 4);
}

static void
test_multiappend_all_or_nothing(void **state)
{
	struct change *c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	struct append_message *m = arena_array(&c->arena, 2, sizeof *m);
	mailbox_id nowhere = 12345;
	struct change *other = fx_make_append(&nowhere, 1, SLICE(TEST_MAIL), 0, "");
	struct volume_status st;
	struct err e = ERR_INIT;

	(void)state;
	m[0] = c->u.append.messages[0];
	m[1] = other->u.append.messages[0];
	ingested_ref(m[1].content);
	c->u.append.messages = m;
	c->u.append.message_count = 2;
	assert_int_equal(fx_run(c), RC_NOT_FOUND);
	change_free(&other);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.blobs, 0);
}

/* Larger than what shares a frame, and out of line. */
static void
test_large_messages(void **state)
{
	static const size_t sizes[] = { 200000, 1200000, 3000000 };
	struct message_row *rows;
	size_t count;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		uint8_t *p = malloc(sizes[i]);
		unsigned seed = 7;
		struct buf b;

		assert_non_null(p);
		memcpy(p, "Subject: x\r\n\r\n", 14);
		for (size_t k = 14; k < sizes[i]; k++) {
			seed = seed * 1103515245u + 12345u;
			p[k] = (uint8_t)(seed >> 16);
			if (p[k] == '\n')
				p[k] = 'x';
		}
		assert_int_equal(fx_append(inbox, slice_of(p, sizes[i]), 0, ""), i + 1);
		if (i == 1)
			fx_reopen();
		rows = fx_rows(inbox, WANT_PLACE, &count);
		buf_init(&b, 64u << 20);
		assert_int_equal(rows[i].size, sizes[i]);
		assert_int_equal(volume_read_blob(fx_v, &rows[i].place, 0, UINT64_MAX, &b, &e),
		                 RC_OK);
		assert_int_equal(b.len, sizes[i]);
		assert_memory_equal(b.ptr, p, sizes[i]);
		assert_int_equal(volume_verify_blob(fx_v, &rows[i].place, 0, UINT64_MAX, &e),
		                 RC_OK);
		buf_fini(&b);
		free(p);
	}
}

struct keyword_case {
	const char *name;
	const char *keywords;
	enum rc     want;
	const char *stored;
};

static const struct keyword_case keyword_cases[] = {
	{ "none",              "",                 RC_OK,     "" },
	{ "sorted",            "b $a A1",          RC_OK,     "$a A1 b" },
	{ "first spelling",    "B",                RC_OK,     "b" },
	{ "twice",             "New nEW",          RC_OK,     "New" },
	{ "spaces",            "  x   y ",         RC_OK,     "x y" },
	{ "no atom",           "a(b",              RC_DENIED, "" },
	{ "system flag",       "\\Seen",           RC_DENIED, "" },
	{ "8-bit",             "\xc3\xa4",         RC_DENIED, "" },
};

static void
test_keywords(void **state)
{
	struct slice *words;
	size_t count;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(keyword_cases); i++) {
		const struct keyword_case *k = &keyword_cases[i];
		enum rc rc = fx_run(fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, k->keywords));
		struct message_row *rows = fx_rows(inbox, 0, &count);

		if (rc != k->want ||
		    (rc == RC_OK && !slice_eq(rows[count - 1].keywords, slice_str(k->stored))))
			fail_msg("%s: %s", k->name, rc_name(rc));
	}
	assert_int_equal(volume_list_keywords(fx_v, inbox, &fx_arena, &words, &count, &e), RC_OK);
	assert_int_equal(count, 6);
	assert_true(slice_eq(words[0], SLICE("$a")));
	assert_true(slice_eq(words[1], SLICE("A1")));
	assert_true(slice_eq(words[2], SLICE("b")));
	assert_true(slice_eq(words[3], SLICE("New")));
}

static void
test_keywords_limit(void **state)
{
	char text[KEYWORDS_MAX + 200] = "";
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; n <= KEYWORDS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "word%0100u ", i);
	assert_int_equal(fx_run(fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, text)), RC_LIMIT);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
}

/* ---- flags ---- */

struct store_case {
	const char   *name;
	mail_uid      first, last;
	enum store_op op;
	uint32_t      flags;
	const char   *keywords;
	const char   *changed;
	uint32_t      unseen, deleted;  /* of the mailbox afterwards */
};

/* On five messages without flags, in this order. */
static const struct store_case store_cases[] = {
	{ "add",             1, 3, STORE_ADD,     FLAG_SEEN,                "",     "1:3", 2, 0 },
	{ "add again",       1, 4, STORE_ADD,     FLAG_SEEN,                "",     "4",   1, 0 },
	{ "same set",        5, 5, STORE_REPLACE, 0,                        "",     "",    1, 0 },
	{ "replace",         2, 3, STORE_REPLACE, FLAG_DELETED,             "k",    "2:3", 3, 2 },
	{ "keyword",         1, 5, STORE_ADD,     0,                        "K",    "1,4:5", 3, 2 },
	{ "remove keyword",  1, 2, STORE_REMOVE,  0,                        "k",    "1:2", 3, 2 },
	{ "remove flag",     1, 9, STORE_REMOVE,  FLAG_DELETED | FLAG_SEEN, "none", "1:4", 5, 0 },
};

static void
test_store(void **state)
{
	mail_modseq last = 0;

	(void)state;
	fx_append_n(inbox, 5);
	for (size_t i = 0; i < UNIT_COUNT(store_cases); i++) {
		const struct store_case *k = &store_cases[i];
		struct change *c = fx_make_store(inbox, k->first, k->last, k->op, k->flags,
		                                 k->keywords);
		struct mailbox_info m;

		assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
		fx_assert_set(&c->u.store.changed, k->changed);
		m = fx_mailbox(anna, "INBOX");
		if (m.unseen != k->unseen || m.deleted != k->deleted)
			fail_msg("%s: unseen %u deleted %u", k->name, m.unseen, m.deleted);
		if (k->changed[0] == '\0') {
			assert_int_equal(c->u.store.modseq, 0);
		} else {
			assert_true(c->u.store.modseq > last);
			last = c->u.store.modseq;
		}
		assert_true(m.highestmodseq >= last);
		change_free(&c);
	}
}

static void
test_store_unchangedsince(void **state)
{
	mail_modseq m1, m2;
	struct change *c;

	(void)state;
	fx_append_n(inbox, 4);
	m1 = fx_store(inbox, 1, 1, STORE_ADD, FLAG_SEEN, "");
	m2 = fx_store(inbox, 2, 2, STORE_ADD, FLAG_SEEN, "");
	(void)fx_expunge(inbox, 3, 3);
	c = fx_make_store(inbox, 1, 4, STORE_ADD, FLAG_FLAGGED, "");
	c->u.store.conditional = true;
	c->u.store.unchangedsince = m1;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	fx_assert_set(&c->u.store.changed, "1,4");
	fx_assert_set(&c->u.store.modified, "2");
	fx_assert_set(&c->u.store.missing, "3");
	assert_true(c->u.store.modseq > m2);
	change_free(&c);
	/* 0 fails for all: every message has a MODSEQ [RFC 7162 s3.1.3]. */
	c = fx_make_store(inbox, 1, 4, STORE_ADD, FLAG_DRAFT, "");
	c->u.store.conditional = true;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	fx_assert_set(&c->u.store.modified, "1:2,4");
	assert_int_equal(c->u.store.modseq, 0);
	change_free(&c);
}

/* Every message with other flags: more groups than are kept at once. */
static void
test_store_many_groups(void **state)
{
	struct change *c;
	size_t count;
	struct message_row *rows;

	(void)state;
	for (int i = 0; i < 150; i++) {
		char word[16];

		(void)snprintf(word, sizeof word, "k%d", i);
		(void)fx_append(inbox, SLICE(TEST_MAIL), 0, word);
	}
	c = fx_make_store(inbox, 1, 150, STORE_ADD, FLAG_SEEN, "zz");
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	fx_assert_set(&c->u.store.changed, "1:150");
	change_free(&c);
	assert_int_equal(fx_mailbox(anna, "INBOX").unseen, 0);
	rows = fx_rows(inbox, 0, &count);
	for (size_t i = 0; i < count; i++)
		assert_true(slice_ends_nocase(rows[i].keywords, SLICE(" zz")));
}

/* ---- expunge, copy, move ---- */

static void
test_expunge(void **state)
{
	struct change *c;

	(void)state;
	fx_append_n(inbox, 6);
	(void)fx_store(inbox, 2, 4, STORE_ADD, FLAG_DELETED, "");
	c = fx_change(CHANGE_EXPUNGE);
	c->u.expunge.mailbox = inbox;
	/* UID EXPUNGE: only what is \Deleted */
	assert_true(uid_set_add(&c->u.expunge.uids, 4, 6));
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	fx_assert_set(&c->u.expunge.expunged, "4");
	change_free(&c);
	c = fx_change(CHANGE_EXPUNGE);
	c->u.expunge.mailbox = inbox;
	c->u.expunge.all = true;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	fx_assert_set(&c->u.expunge.expunged, "2:3");
	change_free(&c);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 3);
	assert_int_equal(fx_mailbox(anna, "INBOX").deleted, 0);
	assert_int_equal(fx_expunge(inbox, 2, 4), 0);
	assert_true(fx_expunge(inbox, 1, 9) > 0);
	assert_int_equal(fx_mailbox(anna, "INBOX").size, 0);
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), 7);
}

/* What was remembered of its expunges goes with the mailbox [RFC 7162 s5.3]. */
static void
test_deleted_mailbox_forgets(void **state)
{
	struct volume_status st;
	struct err e = ERR_INIT;
	mailbox_id m;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "m", ""), RC_OK);
	m = fx_box(anna, "m");
	fx_append_n(m, 4);
	fx_append_n(inbox, 2);
	assert_true(fx_expunge(m, 1, 3) > 0);
	assert_true(fx_expunge(inbox, 1, 1) > 0);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.expunged, 4);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "m", ""), RC_OK);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.expunged, 1);
}

static void
test_copy_and_move(void **state)
{
	mailbox_id trash = fx_box(anna, "Trash");
	struct volume_status st;
	struct change *c;
	struct message_row *rows;
	size_t count;
	struct err e = ERR_INIT;

	(void)state;
	(void)fx_append(inbox, SLICE(TEST_MAIL), FLAG_SEEN, "Mine");
	fx_append_n(inbox, 4);
	(void)fx_append(trash, SLICE(TEST_MAIL), 0, "mINE");
	(void)fx_expunge(inbox, 3, 3);
	c = fx_make_copy(CHANGE_COPY, inbox, 1, 4, trash);
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	fx_assert_set(&c->u.copy.source_uids, "1:2,4");
	assert_int_equal(c->u.copy.first_uid, 2);
	assert_int_equal(c->u.copy.count, 3);
	assert_int_equal(c->u.copy.uidvalidity, fx_mailbox(anna, "Trash").uidvalidity);
	change_free(&c);
	rows = fx_rows(trash, 0, &count);
	assert_int_equal(count, 4);
	assert_int_equal(rows[1].flags, FLAG_SEEN);
	assert_true(slice_eq(rows[1].keywords, SLICE("mINE")));         /* the target's spelling */
	assert_int_equal(rows[1].internaldate.zone_min, -90);
	c = fx_make_copy(CHANGE_MOVE, inbox, 2, 9, trash);
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	fx_assert_set(&c->u.copy.source_uids, "2,4:5");
	assert_int_equal(c->u.copy.first_uid, 5);
	assert_int_equal(c->u.copy.source_modseq, fx_mailbox(anna, "INBOX").highestmodseq);
	change_free(&c);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	c = fx_make_copy(CHANGE_MOVE, inbox, 1, 1, inbox);              /* onto itself: a new UID */
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.copy.first_uid, 6);
	change_free(&c);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	c = fx_make_copy(CHANGE_COPY, inbox, 100, 200, trash);
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.copy.count, 0);
	change_free(&c);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 9, 4711)), RC_NOT_FOUND);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.blobs, 6);          /* copies add none */
}

/* ---- accounts ---- */

static void
test_account_changes(void **state)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_CREATE);
	struct credential_info *creds;
	struct account_info a;
	struct volume_status st;
	size_t count;
	struct err e = ERR_INIT;

	(void)state;
	c->u.account.name = SLICE("ANNA");
	assert_int_equal(fx_run(c), RC_EXISTS);
	c = fx_change(CHANGE_ACCOUNT_CREATE);
	assert_int_equal(fx_run(c), RC_DENIED);
	c = fx_change(CHANGE_CREDENTIAL);
	c->u.account.id = anna;
	c->u.account.credential_name = SLICE("password");
	c->u.account.credential_value = SLICE("new");
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(volume_list_credentials(fx_v, anna, &fx_arena, &creds, &count, &e), RC_OK);
	assert_int_equal(count, 1);
	assert_true(slice_eq(creds[0].value, SLICE("new")));
	fx_append_n(inbox, 3);
	c = fx_change(CHANGE_ACCOUNT_DELETE);
	c->u.account.id = anna;
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &a, &e), RC_NOT_FOUND);
	assert_int_equal(volume_list_credentials(fx_v, anna, &fx_arena, &creds, &count, &e), RC_OK);
	assert_int_equal(count, 0);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.mailboxes, 0);
	assert_int_equal(st.messages, 0);
	assert_int_equal(fx_run(fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "")), RC_NOT_FOUND);
	assert_int_not_equal(fx_account("anna"), anna);
}

/* ---- batches ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  all_done = PTHREAD_COND_INITIALIZER;
static unsigned        waiting, refused;

static void
count_done(struct change *c, void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&lock);
	refused += c->rc != RC_OK && !c->durable;
	if (--waiting == 0)
		(void)pthread_cond_signal(&all_done);
	(void)pthread_mutex_unlock(&lock);
	change_free(&c);
}

/* Changes refused in the middle of their frame, and others before and behind them in the same
 * batch: what is refused has not happened, though the batch is durable. */
static void
test_batches_with_refusals(void **state)
{
	enum { EACH = 60 };
	struct change *list[2 * EACH];
	struct check_result r;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna,
	                                "1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5", ""),
	                 RC_OK);
	for (int i = 0; i < 2 * EACH; i += 2) {
		list[i] = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
		list[i + 1] = fx_change(CHANGE_MAILBOX_RENAME);
		list[i + 1]->u.mailbox.account = anna;
		list[i + 1]->u.mailbox.name = SLICE("1");
		list[i + 1]->u.mailbox.new_name = SLICE("new/a/b/c/d/e/f/g/h/i/j");
	}
	waiting = 2 * EACH;
	refused = 0;
	for (int i = 0; i < 2 * EACH; i++) {
		list[i]->done = count_done;
		volume_submit(fx_v, list[i]);
	}
	(void)pthread_mutex_lock(&lock);
	while (waiting > 0)
		(void)pthread_cond_wait(&all_done, &lock);
	(void)pthread_mutex_unlock(&lock);
	assert_int_equal(refused, EACH);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, EACH);
	assert_int_equal(fx_mailbox(anna, "INBOX").uidnext, EACH + 1);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "new", ""), RC_NOT_FOUND);
}

static void
test_numbers_only_rise(void **state)
{
	mail_modseq last = 0;

	(void)state;
	for (mail_uid i = 1; i <= 5; i++) {
		struct mailbox_info m;

		assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), i);
		m = fx_mailbox(anna, "INBOX");
		assert_true(m.highestmodseq > last);
		last = m.highestmodseq;
		fx_reopen();
		m = fx_mailbox(anna, "INBOX");
		assert_int_equal(m.highestmodseq, last);
		assert_int_equal(m.uidnext, i + 1);
		assert_true(fx_store(inbox, i, i, STORE_ADD, FLAG_SEEN, "") >> 32 > last >> 32);
		last = fx_mailbox(anna, "INBOX").highestmodseq;
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_names), CASE(test_name_too_long), CASE(test_rename_keeps_identity),
		CASE(test_rename_inbox), CASE(test_recreated_mailbox_has_new_uidvalidity),
		CASE(test_deleted_mailbox_forgets), CASE(test_subscribe), CASE(test_quota_boundary),
		CASE(test_multiappend_all_or_nothing), CASE(test_large_messages),
		CASE(test_keywords), CASE(test_keywords_limit), CASE(test_store),
		CASE(test_store_unchangedsince), CASE(test_store_many_groups), CASE(test_expunge),
		CASE(test_copy_and_move), CASE(test_account_changes), CASE(test_numbers_only_rise),
		CASE(test_batches_with_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
