/* test_changed - volume_find_changed: both ways of finding, held against a reading of every row. */
#include "tests/unit/volume_fixture.h"

#define MESSAGES 400u

static account_id anna;
static mailbox_id inbox;

static int
setup(void **state)
{
	int r = fx_setup(state);

	anna = fx_account("anna");
	inbox = fx_box(anna, "INBOX");
	fx_append_n(inbox, 4);
	while (fx_mailbox(anna, "INBOX").uidnext < MESSAGES)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 100, inbox)), RC_OK);
	return r;
}

/* What the rows say. */
static void
expect(const struct uid_set *uids, mail_modseq since)
{
	struct message_row *rows;
	struct uid_set got;
	struct err e = ERR_INIT;
	size_t count, want = 0;
	mail_uid from = 1;

	rows = fx_rows(inbox, 0, &count);
	uid_set_init(&got, 4096);
	assert_int_equal(volume_find_changed(fx_v, inbox, uids, since, &from, &got, &e), RC_OK);
	assert_int_equal(from, 0);
	for (size_t i = 0; i < count; i++) {
		bool in = rows[i].modseq > since && uid_set_contains(uids, rows[i].uid);

		assert_int_equal(uid_set_contains(&got, rows[i].uid), in);
		want += in;
	}
	assert_int_equal(uid_set_size(&got), want);
	uid_set_fini(&got);
	arena_reset(&fx_arena);
}

static void
expect_all(mail_modseq since)
{
	static const mail_uid ranges[][4] = {
		{ 1, UINT32_MAX, 0, 0 }, { 1, 1, 0, 0 }, { 7, 7, 9, 12 }, { 5, 200, 300, 5000 }, { 9000, 9001, 0, 0 },
	};

	for (size_t i = 0; i < UNIT_COUNT(ranges); i++) {
		struct uid_set uids;

		uid_set_init(&uids, 8);
		assert_true(uid_set_add(&uids, ranges[i][0], ranges[i][1]));
		if (ranges[i][2] != 0)
			assert_true(uid_set_add(&uids, ranges[i][2], ranges[i][3]));
		expect(&uids, since);
		uid_set_fini(&uids);
	}
}

static void
test_few_and_many(void **state)
{
	mail_modseq last = fx_mailbox(anna, "INBOX").highestmodseq;

	(void)state;
	expect_all(last);
	(void)fx_store(inbox, 11, 11, STORE_ADD, FLAG_SEEN, "");
	(void)fx_store(inbox, 7, 7, STORE_ADD, FLAG_SEEN, "");
	(void)fx_store(inbox, 310, 310, STORE_ADD, FLAG_SEEN, "");
	(void)fx_expunge(inbox, 11, 11);
	expect_all(last);
	(void)fx_store(inbox, 20, 390, STORE_ADD, FLAG_FLAGGED, "");
	expect_all(last);
	expect_all(0);
	expect_all(INT64_MAX);
}

static void
test_none(void **state)
{
	struct uid_set uids, got;
	struct err e = ERR_INIT;
	mail_uid from = 1;

	(void)state;
	uid_set_init(&uids, 8);
	uid_set_init(&got, 8);
	assert_int_equal(volume_find_changed(fx_v, inbox, &uids, 0, &from, &got, &e), RC_OK);
	assert_int_equal(got.count, 0);
	from = 1;
	assert_int_equal(volume_find_changed(fx_v, 999, &uids, 0, &from, &got, &e), RC_NOT_FOUND);
	uid_set_fini(&uids);
	uid_set_fini(&got);
}

/* Of many that changed a call finds some, and says where to go on. */
static void
test_pieces(void **state)
{
	struct uid_set uids, got;
	struct err e = ERR_INIT;
	mail_uid from = 1;
	uint32_t n;

	(void)state;
	while ((n = fx_mailbox(anna, "INBOX").uidnext - 1) < 41000)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, n, inbox)), RC_OK);
	uid_set_init(&uids, 8);
	uid_set_init(&got, 8);
	assert_true(uid_set_add(&uids, 3, 10002) && uid_set_add(&uids, 10004, 40004));
	assert_int_equal(volume_find_changed(fx_v, inbox, &uids, 0, &from, &got, &e), RC_OK);
	assert_int_equal(from, 20004);
	assert_int_equal(uid_set_size(&got), 20000);
	assert_int_equal(volume_find_changed(fx_v, inbox, &uids, 0, &from, &got, &e), RC_OK);
	assert_int_equal(from, 40004);
	assert_int_equal(volume_find_changed(fx_v, inbox, &uids, 0, &from, &got, &e), RC_OK);
	assert_int_equal(from, 0);
	assert_int_equal(got.count, 2);
	assert_int_equal(uid_set_size(&got), 40001);
	uid_set_fini(&uids);
	uid_set_fini(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_few_and_many, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, fx_teardown),
	};

	return cmocka_run_group_tests_name("changed", tests, NULL, NULL);
}
