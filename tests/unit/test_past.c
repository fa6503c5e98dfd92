/* past: what an account was, and its messages coming back. */
#include "tests/unit/volume_fixture.h"

#include "index/past.h"
#include "index/restore.h"
#include "lib/clock.h"

#define MAIL(id) "From: a@example.org\r\nMessage-ID: <" id "@example.org>\r\nSubject: " id "\r\n\r\n" id "\r\n"

/* A moment that lies between what was done and what will be. */
static uint64_t
between(void)
{
	uint64_t now = clock_wall_us();

	while (clock_wall_us() <= now + 1)
		continue;
	return now + 1;
}

static struct past *
open_past(account_id account, uint64_t at_us)
{
	struct past_params pp = { .volume = fx_v, .account = account, .at_us = at_us };
	struct err e = ERR_INIT;
	struct past *p;
	enum rc rc = past_open(&pp, &p, &e);

	if (rc != RC_OK)
		(void)fprintf(stderr, "past: %s\n", e.text);
	assert_int_equal(rc, RC_OK);
	return p;
}

static struct past_mailbox
past_box(struct past *p, const char *name)
{
	struct past_mailbox *list, found = { 0 };
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(past_mailboxes(p, &fx_arena, &list, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++)
		if (slice_eq(list[i].name, slice_str(name)))
			found = list[i];
	return found;
}

static struct restore_counts
bring_back(struct past *p, account_id account, const struct past_select *s, const char *to)
{
	struct restore r = { .volume = fx_v, .past = p, .account = account };
	struct restore_target t = { .name = slice_str(to) };
	struct restore_counts counts;
	struct err e = ERR_INIT;
	enum rc rc = restore_messages(&r, s, &t, &counts, &e);

	if (rc != RC_OK)
		(void)fprintf(stderr, "restore: %s\n", e.text);
	assert_int_equal(rc, RC_OK);
	return counts;
}

static struct restore_counts
undelete(account_id account, mailbox_id box, uint64_t since_us, const char *to)
{
	struct past *p = open_past(account, PAST_END);
	struct past_select s = { .mailbox = box, .choice = PAST_EXPUNGED, .since_us = since_us };
	struct restore_counts counts = bring_back(p, account, &s, to);

	past_close(&p);
	return counts;
}

static void
test_expunged_come_back(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct restore_counts k;
	struct message_row *rows;
	size_t n;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), FLAG_SEEN, "$Forwarded");
	(void)fx_append(inbox, SLICE(MAIL("two")), 0, "");
	(void)fx_append(inbox, SLICE(MAIL("three")), FLAG_FLAGGED, "");
	(void)fx_store(inbox, 1, 1, STORE_ADD, FLAG_DELETED | FLAG_ANSWERED, "");
	(void)fx_expunge(inbox, 1, 2);
	k = undelete(anna, inbox, 0, "INBOX");
	assert_int_equal(k.restored, 2);
	assert_int_equal(k.present, 0);
	rows = fx_rows(inbox, 0, &n);
	assert_int_equal(n, 3);
	assert_int_equal(rows[1].uid, 4);
	assert_int_equal(rows[1].flags, FLAG_SEEN | FLAG_ANSWERED);
	assert_true(slice_eq(rows[1].keywords, SLICE("$Forwarded")));
	assert_int_equal(rows[1].internaldate.sec, 1700000000);
	assert_int_equal(rows[1].internaldate.zone_min, -90);
	assert_int_equal(rows[2].uid, 5);
	/* Again: nothing is doubled. */
	k = undelete(anna, inbox, 0, "INBOX");
	assert_int_equal(k.restored, 0);
	assert_int_equal(k.present, 2);
	(void)fx_rows(inbox, 0, &n);
	assert_int_equal(n, 3);
}

static void
test_expunged_twice(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct message_row *rows;
	struct restore_counts k;
	size_t n;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	(void)fx_expunge(inbox, 1, 1);
	assert_int_equal(undelete(anna, inbox, 0, "INBOX").restored, 1);
	(void)fx_store(inbox, 2, 2, STORE_ADD, FLAG_FLAGGED, "");
	(void)fx_expunge(inbox, 2, 2);
	k = undelete(anna, inbox, 0, "INBOX");
	assert_int_equal(k.restored, 1);
	rows = fx_rows(inbox, 0, &n);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].uid, 3);
	assert_int_equal(rows[0].flags, FLAG_FLAGGED);          /* as it was last */
}

static void
test_since(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	uint64_t t;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	(void)fx_append(inbox, SLICE(MAIL("two")), 0, "");
	(void)fx_expunge(inbox, 1, 1);
	t = between();
	(void)fx_expunge(inbox, 2, 2);
	assert_int_equal(undelete(anna, inbox, between(), "INBOX").restored, 0);
	assert_int_equal(undelete(anna, inbox, t, "INBOX").restored, 1);
	assert_int_equal(undelete(anna, inbox, 0, "INBOX").restored, 1);
}

static void
test_moved_are_left(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX"), trash = fx_box(anna, "Trash");
	struct past_select s = { .mailbox = inbox, .choice = PAST_EXPUNGED, .moved = true };
	struct restore_counts k;
	struct past *p;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	(void)fx_append(inbox, SLICE(MAIL("two")), 0, "");
	assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, 1, 1, trash)), RC_OK);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 2, 2, trash)), RC_OK);
	(void)fx_expunge(inbox, 2, 2);
	k = undelete(anna, inbox, 0, "INBOX");
	assert_int_equal(k.restored, 1);        /* copied and expunged is deleted here */
	assert_int_equal(k.moved, 1);
	p = open_past(anna, PAST_END);
	k = bring_back(p, anna, &s, "INBOX");
	assert_int_equal(k.restored, 1);
	assert_int_equal(k.present, 1);
	past_close(&p);
}

static void
test_uids(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct past_select s = { .mailbox = inbox, .choice = PAST_EXPUNGED };
	struct uid_set some;
	struct past *p;

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)fx_append(inbox, SLICE(MAIL("same")), 0, "");
	(void)fx_expunge(inbox, 1, 5);
	uid_set_init(&some, 8);
	assert_true(uid_set_add(&some, 2, 2) && uid_set_add(&some, 4, 9));
	s.uids = &some;
	p = open_past(anna, PAST_END);
	assert_int_equal(bring_back(p, anna, &s, "INBOX").restored, 3);
	past_close(&p);
	uid_set_fini(&some);
}

static void
test_message_id(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct past_select s = { .mailbox = inbox, .choice = PAST_EXPUNGED };
	struct restore_target t = { .name = SLICE("INBOX") };
	struct restore_counts k;
	struct err e = ERR_INIT;
	struct restore r;
	struct past *p;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	(void)fx_append(inbox, SLICE(MAIL("two")), 0, "");
	(void)fx_append(inbox, SLICE("Subject: none\r\n\r\nx\r\n"), 0, "");
	(void)fx_expunge(inbox, 1, 3);
	p = open_past(anna, PAST_END);
	r = (struct restore){ .volume = fx_v, .past = p, .account = anna,
	                      .message_id = SLICE("two@example.or") };
	assert_int_equal(restore_messages(&r, &s, &t, &k, &e), RC_OK);
	assert_int_equal(k.restored, 0);
	r.message_id = SLICE("<two@example.org>");
	r.dry_run = true;
	assert_int_equal(restore_messages(&r, &s, &t, &k, &e), RC_OK);
	assert_int_equal(k.restored, 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
	r.dry_run = false;
	r.message_id = SLICE("two@example.org");
	assert_int_equal(restore_messages(&r, &s, &t, &k, &e), RC_OK);
	assert_int_equal(k.restored, 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	past_close(&p);
}

/* A Message-ID longer than what the summary keeps is found in the header. */
static void
test_long_message_id(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct past_select s = { .mailbox = inbox, .choice = PAST_EXPUNGED };
	struct restore_target t = { .name = SLICE("INBOX") };
	struct restore_counts k;
	struct err e = ERR_INIT;
	static char id[1600], mail[2000];
	struct restore r;
	struct past *p;

	(void)state;
	memset(id, 'x', sizeof id - 1);
	(void)snprintf(mail, sizeof mail, "Message-ID: <%s@a>\r\n\r\nbody\r\n", id);
	(void)fx_append(inbox, slice_str(mail), 0, "");
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	(void)fx_expunge(inbox, 1, 2);
	(void)snprintf(mail, sizeof mail, "<%s@a>", id);
	p = open_past(anna, PAST_END);
	r = (struct restore){ .volume = fx_v, .past = p, .account = anna,
	                      .message_id = slice_str(mail) };
	assert_int_equal(restore_messages(&r, &s, &t, &k, &e), RC_OK);
	assert_int_equal(k.restored, 1);
	past_close(&p);
}

static void
test_deleted_mailbox(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id first, second;
	struct past_mailbox m;
	struct past *p;
	struct past_select s = { .choice = PAST_LIVE };

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "Work", ""), RC_OK);
	first = fx_box(anna, "Work");
	(void)fx_append(first, SLICE(MAIL("one")), 0, "");
	(void)fx_append(first, SLICE(MAIL("two")), FLAG_SEEN, "");
	(void)fx_append(first, SLICE(MAIL("three")), 0, "");
	(void)fx_expunge(first, 3, 3);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "Work", ""), RC_OK);
	/* Another of that name was made meanwhile. */
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "Work", ""), RC_OK);
	second = fx_box(anna, "Work");
	(void)fx_append(second, SLICE(MAIL("four")), 0, "");
	p = open_past(anna, PAST_END);
	m = past_box(p, "Work");
	assert_int_equal(m.id, second);         /* the one that is there comes last */
	assert_int_equal(m.deleted_us, 0);
	s.mailbox = first;
	assert_int_equal(bring_back(p, anna, &s, "Work").restored, 2);
	past_close(&p);
	assert_int_equal(fx_mailbox(anna, "Work").exists, 3);
	assert_int_equal(fx_mailbox(anna, "Work").unseen, 2);
}

static void
test_at_a_moment(void **state)
{
	account_id anna = fx_account("anna"), ben = fx_account("ben");
	mailbox_id inbox = fx_box(anna, "INBOX"), other = fx_box(ben, "INBOX");
	struct past_select s = { .mailbox = inbox, .choice = PAST_LIVE };
	struct past_params pp = { .volume = fx_v, .account = ben };
	struct err e = ERR_INIT;
	struct message_row *rows;
	struct past *p;
	uint64_t t;
	size_t n;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");      /* two of a kind */
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 1, inbox)), RC_OK);
	(void)fx_append(other, SLICE(MAIL("ben")), 0, "");
	t = between();
	(void)fx_store(inbox, 1, 1, STORE_ADD, FLAG_SEEN, "");
	(void)fx_append(inbox, SLICE(MAIL("late")), 0, "");
	(void)fx_expunge(inbox, 2, 3);
	p = open_past(anna, t);
	assert_int_equal(past_box(p, "INBOX").exists, 3);
	assert_int_equal(bring_back(p, anna, &s, "Restored/INBOX").restored, 3);
	rows = fx_rows(fx_box(anna, "Restored/INBOX"), 0, &n);
	assert_int_equal(n, 3);
	assert_int_equal(rows[0].flags, 0);
	assert_int_equal(rows[0].blob, rows[2].blob);
	/* Cut after two and run again. */
	(void)fx_expunge(fx_box(anna, "Restored/INBOX"), 3, 3);
	assert_int_equal(bring_back(p, anna, &s, "Restored/INBOX").restored, 1);
	past_close(&p);
	pp.at_us = 1000;
	assert_int_equal(past_open(&pp, &p, &e), RC_NOT_FOUND);
	assert_null(p);
}

static void
test_deleted_account(void **state)
{
	account_id anna = fx_account("anna"), again;
	struct change *c = fx_change(CHANGE_ACCOUNT_QUOTA);
	struct past_params pp = { .volume = fx_v, .at_us = PAST_END };
	struct past_owner owner;
	struct credential_info *creds;
	struct account_info info;
	struct err e = ERR_INIT;
	struct slice *subs;
	struct past *p;
	size_t n;

	(void)state;
	c->u.account.id = anna;
	c->u.account.quota_bytes = 4711;
	assert_int_equal(fx_run(c), RC_OK);
	c = fx_change(CHANGE_ACCOUNT_DELETE);
	c->u.account.id = anna;
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(past_find_owner(volume_log(fx_v), SLICE("ANNA"), PAST_END, false, &pp,
	                                 &fx_arena, &owner, &e),
	                 RC_OK);
	assert_int_equal(owner.id, anna);
	assert_int_not_equal(owner.deleted_us, 0);
	p = open_past(owner.id, PAST_END);
	assert_int_equal(past_deleted_us(p), owner.deleted_us);
	assert_int_equal(past_account(p, &fx_arena, &info, &e), RC_OK);
	assert_int_equal(info.quota_bytes, 4711);
	assert_int_equal(past_credentials(p, &fx_arena, &creds, &n, &e), RC_OK);
	assert_int_equal(n, 1);
	assert_true(slice_eq(creds[0].value, SLICE("SCRAM-SHA-256$x")));
	assert_int_equal(past_subscriptions(p, &fx_arena, &subs, &n, &e), RC_OK);
	assert_int_equal(n, 6);
	past_close(&p);
	/* One that is there comes before one that was deleted. */
	again = fx_account("anna");
	assert_int_equal(past_find_owner(volume_log(fx_v), SLICE("anna"), PAST_END, false, &pp,
	                                 &fx_arena, &owner, &e),
	                 RC_OK);
	assert_int_equal(owner.id, again);
	assert_int_equal(past_find_owner(volume_log(fx_v), SLICE("anna"), PAST_END, true, &pp,
	                                 &fx_arena, &owner, &e),
	                 RC_OK);
	assert_int_equal(owner.id, anna);
	assert_int_equal(past_find_owner(volume_log(fx_v), SLICE("ben"), PAST_END, false, &pp,
	                                 &fx_arena, &owner, &e),
	                 RC_NOT_FOUND);
}

static void
test_restore_account(void **state)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_RESTORE);
	struct change_account_restore *r = &c->u.account_restore;
	struct restore_mailbox boxes[] = { { .name = SLICE("INBOX") },
	                                   { .name = SLICE("Bin"), .special_use = USE_TRASH } };
	const struct credential_info creds[] = { { SLICE("password"), SLICE("SCRAM-SHA-256$y") } };
	const struct slice subs[] = { SLICE("Bin") };
	struct account_info info;
	struct credential_info *got;
	struct mailbox_info m;
	struct err e = ERR_INIT;
	size_t n;

	(void)state;
	*r = (struct change_account_restore){
		.name = SLICE("anna"), .created_us = 99, .quota_bytes = 5, .quota_messages = 6,
		.hidden = SLICE("IDLE"),
		.credentials = creds, .credential_count = 1, .subscriptions = subs,
		.subscription_count = 1,
		.mailboxes = boxes, .mailbox_count = 2,
	};
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(info.id, r->id);
	assert_int_equal(info.created_us, 99);
	assert_int_equal(info.quota_messages, 6);
	assert_true(slice_eq(info.hidden, SLICE("IDLE")));
	m = fx_mailbox(info.id, "Bin");
	assert_int_equal(m.id, boxes[1].id);
	assert_int_equal(m.special_use, USE_TRASH);
	assert_true(m.subscribed);
	assert_int_equal(volume_list_credentials(fx_v, info.id, &fx_arena, &got, &n, &e), RC_OK);
	assert_int_equal(n, 1);
	/* The name is taken now. */
	assert_int_equal(volume_submit_wait(fx_v, c), RC_EXISTS);
	change_free(&c);
	fx_reopen();
	assert_int_equal(fx_mailbox(info.id, "Bin").id, m.id);
}

/* What is refused leaves nothing; a lost blob loses its message only. */
static void
test_change_restore(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct message_row *rows;
	struct change *c;
	struct restore_message *m;
	size_t n;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	rows = fx_rows(inbox, 0, &n);
	c = fx_change(CHANGE_RESTORE);
	m = arena_array(&c->arena, 3, sizeof *m);
	m[0] = (struct restore_message){ .blob = 77, .keywords = SLICE("") };
	m[1] = (struct restore_message){ .blob = rows[0].blob, .keywords = SLICE("B a"),
	                                 .flags = FLAG_DRAFT };
	m[2] = (struct restore_message){ .content = fx_ingest(SLICE(MAIL("new"))),
	                                 .keywords = SLICE("") };
	c->u.restore = (struct change_restore){ .mailbox = inbox, .messages = m, .count = 3 };
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.restore.lost, 1);
	assert_int_equal(m[0].uid, 0);
	assert_int_equal(m[1].uid, 2);
	assert_int_equal(m[2].uid, 3);
	rows = fx_rows(inbox, 0, &n);
	assert_int_equal(n, 3);
	assert_int_equal(rows[1].threadid, rows[0].threadid);
	assert_int_not_equal(rows[2].threadid, 0);
	m[1].keywords = SLICE("not(an)atom");
	assert_int_equal(volume_submit_wait(fx_v, c), RC_DENIED);
	c->u.restore.mailbox = 12345;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_NOT_FOUND);
	c->u.restore.mailbox = inbox;
	c->u.restore.count = RESTORE_MAX + 1;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_LIMIT);
	c->u.restore.count = 3;
	change_free(&c);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 3);
}

/* More than one piece, over quota, and the log says what the index says. */
static void
test_many(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct check_result cr;
	struct err e = ERR_INIT;
	struct change *c;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	(void)fx_append(inbox, SLICE(MAIL("two")), 0, "");
	for (int i = 0; i < 10; i++)
		(void)fx_append(inbox, SLICE(TEST_MAIL), 0, "k");
	(void)fx_expunge(inbox, 1, 12);
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = anna;
	c->u.account.quota_bytes = 1;
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(undelete(anna, inbox, 0, "Back").restored, 12);
	for (int i = 0; i < 8; i++)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, fx_box(anna, "Back"), 1,
		                                     UINT32_MAX, inbox)),
		                 RC_LIMIT);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &cr, &e), RC_OK);
	assert_int_equal(cr.damage + cr.differences, 0);
}

static void
test_pieces(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct past_select s = { .mailbox = inbox, .choice = PAST_LIVE };
	struct past *p;

	(void)state;
	(void)fx_append(inbox, SLICE(MAIL("one")), 0, "");
	for (int i = 0; i < 12; i++)    /* 4096 messages */
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, UINT32_MAX, inbox)),
		                 RC_OK);
	p = open_past(anna, PAST_END);
	assert_int_equal(bring_back(p, anna, &s, "Work").restored, 4096);
	assert_int_equal(fx_mailbox(anna, "Work").exists, 4096);
	assert_int_equal(bring_back(p, anna, &s, "Work").present, 4096);
	past_close(&p);
}

/* No file is left, nor one that a killed process has left. */
static void
test_scratch(void **state)
{
	account_id anna = fx_account("anna");
	struct past *p = open_past(anna, PAST_END);
	char cmd[600];
	FILE *f;

	(void)state;
	(void)snprintf(cmd, sizeof cmd, "ls '%s' | grep -q past-", fx_dir);
	assert_int_not_equal(system(cmd), 0);
	past_close(&p);
	(void)snprintf(cmd, sizeof cmd, "%s/past-1-1", fx_dir);
	f = fopen(cmd, "w");
	assert_non_null(f);
	(void)fclose(f);
	fx_reopen();
	assert_int_not_equal(access(cmd, F_OK), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_expunged_come_back),
		TEST(test_expunged_twice),
		TEST(test_since),
		TEST(test_moved_are_left),
		TEST(test_uids),
		TEST(test_message_id),
		TEST(test_long_message_id),
		TEST(test_deleted_mailbox),
		TEST(test_at_a_moment),
		TEST(test_deleted_account),
		TEST(test_restore_account),
		TEST(test_change_restore),
		TEST(test_many),
		TEST(test_pieces),
		TEST(test_scratch),
	};

	return cmocka_run_group_tests_name("past", tests, NULL, NULL);
}
