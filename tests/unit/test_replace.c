/* test_replace - REPLACE in one frame, and the limits of an account with it. */
#include "tests/unit/volume_fixture.h"

#define SIZE (sizeof TEST_MAIL - 1)

static account_id anna;
static mailbox_id inbox, archive;

static int
setup(void **state)
{
	int r = fx_setup(state);

	anna = fx_account("anna");
	inbox = fx_box(anna, "INBOX");
	archive = fx_box(anna, "Archive");
	return r;
}

static struct change *
make_replace(mailbox_id target, struct slice mail, mailbox_id replaced, mail_uid uid)
{
	struct change *c = fx_make_append(&target, 1, mail, FLAG_DRAFT, "");

	c->u.append.replaced_mailbox = replaced;
	c->u.append.replaced_uid = uid;
	return c;
}

static void
set_quota(uint64_t bytes, uint64_t messages)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_QUOTA);

	c->u.account.id = anna;
	c->u.account.quota_bytes = bytes;
	c->u.account.quota_messages = messages;
	assert_int_equal(fx_run(c), RC_OK);
}

static void
test_same_mailbox(void **state)
{
	struct change *c;
	struct mailbox_info m;
	struct view_changes vc;
	struct err e = ERR_INIT;
	mail_modseq appended;

	(void)state;
	fx_append_n(inbox, 3);
	c = make_replace(inbox, SLICE("Subject: new\r\n\r\nx\r\n"), inbox, 2);
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.append.messages[0].targets[0].uid, 4);
	appended = c->u.append.messages[0].targets[0].modseq;
	assert_true(c->u.append.replaced_modseq > appended);
	m = fx_mailbox(anna, "INBOX");
	assert_int_equal(m.exists, 3);
	assert_int_equal(m.highestmodseq, c->u.append.replaced_modseq);
	assert_int_equal(volume_read_changes(fx_v, inbox, appended - 1, appended - 1, 4, 100,
	                                     &fx_arena, &vc, &e),
	                 RC_OK);
	assert_true(uid_set_contains(&vc.vanished, 2));
	assert_true(uid_set_contains(&vc.added, 4));
	view_changes_fini(&vc);
	change_free(&c);
}

static void
test_other_mailbox(void **state)
{
	struct change *c;

	(void)state;
	fx_append_n(inbox, 2);
	c = make_replace(archive, SLICE(TEST_MAIL), inbox, 1);
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.append.messages[0].targets[0].uid, 1);
	change_free(&c);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	assert_int_equal(fx_mailbox(anna, "Archive").exists, 1);
}

/* Its blob goes in a frame of its own. */
static void
test_large(void **state)
{
	size_t size = 1300000;
	uint8_t *p = malloc(size);
	struct change *c;

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)('a' + (i * i >> 7) % 26);
	fx_append_n(inbox, 1);
	c = make_replace(inbox, slice_of(p, size), inbox, 1);
	free(p);
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	change_free(&c);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").uidnext, 3);
}

/* Refused, and nothing of it is there: no message, no blob. */
static void
test_gone(void **state)
{
	struct volume_status was, now;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(inbox, 2);
	(void)fx_expunge(inbox, 1, 1);
	assert_int_equal(volume_get_status(fx_v, &was, &e), RC_OK);
	assert_int_equal(fx_run(make_replace(inbox, SLICE(TEST_MAIL), inbox, 1)), RC_CANCELLED);
	assert_int_equal(fx_run(make_replace(inbox, SLICE(TEST_MAIL), inbox, 3)), RC_CANCELLED);
	assert_int_equal(fx_run(make_replace(inbox, SLICE(TEST_MAIL), 999, 1)), RC_CANCELLED);
	assert_int_equal(fx_run(make_replace(999, SLICE(TEST_MAIL), inbox, 2)), RC_NOT_FOUND);
	assert_int_equal(volume_get_status(fx_v, &now, &e), RC_OK);
	assert_int_equal(now.last_lsn, was.last_lsn);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").uidnext, 3);
}

/* Only the difference counts; who is over the limit may still put like in the place of like. */
static void
test_quota_sees_the_difference(void **state)
{
	(void)state;
	fx_append_n(inbox, 2);
	set_quota(2 * SIZE, 2);
	assert_int_equal(fx_run(fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "")), RC_LIMIT);
	assert_int_equal(fx_run(make_replace(inbox, SLICE(TEST_MAIL), inbox, 1)), RC_OK);
	assert_int_equal(fx_run(make_replace(inbox, SLICE(TEST_MAIL "more"), inbox, 2)), RC_LIMIT);
	set_quota(SIZE, 1);
	assert_int_equal(fx_run(make_replace(archive, SLICE(TEST_MAIL), inbox, 2)), RC_OK);
	assert_int_equal(fx_run(make_replace(archive, SLICE(TEST_MAIL "more"), inbox, 3)),
	                 RC_LIMIT);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 1);
}

static void
test_message_limit(void **state)
{
	mailbox_id both[2] = { inbox, archive };
	struct account_info a;
	struct err e = ERR_INIT;

	(void)state;
	set_quota(0, 3);
	fx_append_n(inbox, 2);
	assert_int_equal(fx_run(fx_make_append(both, 2, SLICE(TEST_MAIL), 0, "")), RC_LIMIT);
	fx_append_first_of(both);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 1, archive)), RC_LIMIT);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, 1, 1, archive)), RC_OK);
	(void)fx_expunge(inbox, 2, 2);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 9, archive)), RC_OK);
	assert_int_equal(volume_get_account(fx_v, anna, &fx_arena, &a, &e), RC_OK);
	assert_int_equal(a.quota_bytes, 0);
	assert_int_equal(a.quota_messages, 3);
	assert_int_equal(a.used_messages, 3);
}

/* What takes no room is not refused; a limit that is hit exactly holds; none is as
 * large as it gets. */
static void
test_limits_at_their_edges(void **state)
{
	struct change *c;

	(void)state;
	fx_append_n(inbox, 2);
	set_quota(SIZE, 1);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 3, 9, archive)), RC_OK);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 1, archive)), RC_LIMIT);
	set_quota(3 * SIZE, 3);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 2, archive)), RC_LIMIT);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 1, archive)), RC_OK);
	set_quota(INT64_MAX, INT64_MAX);
	assert_int_equal(fx_run(make_replace(inbox, SLICE(TEST_MAIL "more"), archive, 1)), RC_OK);
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = anna;
	c->u.account.quota_messages = (uint64_t)INT64_MAX + 1;
	assert_int_equal(fx_run(c), RC_LIMIT);
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = anna;
	c->u.account.quota_bytes = UINT64_MAX;
	assert_int_equal(fx_run(c), RC_LIMIT);
	fx_reopen();
	assert_int_equal(fx_findings, 0);
}

static void
test_deleted_size(void **state)
{
	(void)state;
	fx_append_n(inbox, 3);
	(void)fx_append(inbox, SLICE(TEST_MAIL "x"), FLAG_DELETED, "");
	assert_int_equal(fx_mailbox(anna, "INBOX").deleted_size, SIZE + 1);
	(void)fx_store(inbox, 1, 4, STORE_ADD, FLAG_DELETED, "");
	assert_int_equal(fx_mailbox(anna, "INBOX").deleted_size, 4 * SIZE + 1);
	(void)fx_store(inbox, 2, 2, STORE_REMOVE, FLAG_DELETED, "");
	assert_int_equal(fx_mailbox(anna, "INBOX").deleted_size, 3 * SIZE + 1);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, 4, 4, archive)), RC_OK);
	assert_int_equal(fx_mailbox(anna, "INBOX").deleted_size, 2 * SIZE);
	assert_int_equal(fx_mailbox(anna, "Archive").deleted_size, SIZE + 1);
	(void)fx_expunge(inbox, 1, 3);
	assert_int_equal(fx_mailbox(anna, "INBOX").deleted_size, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_same_mailbox),
		CASE(test_other_mailbox),
		CASE(test_large),
		CASE(test_gone),
		CASE(test_quota_sees_the_difference),
		CASE(test_message_limit),
		CASE(test_limits_at_their_edges),
		CASE(test_deleted_size),
	};

	return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
