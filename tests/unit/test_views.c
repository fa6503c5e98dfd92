/* test_views - what is read of a mailbox: the view as of a MODSEQ, what changed since,
 * rows in pages. */
#include "tests/unit/volume_fixture.h"

#include <sqlite3.h>

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

static void
test_view_as_of(void **state)
{
	struct uid_set s;
	mail_modseq before;
	size_t count;
	struct message_row *rows;
	struct err e = ERR_INIT;

	(void)state;
	uid_set_init(&s, 100);
	fx_append_n(inbox, 10);
	(void)fx_expunge(inbox, 2, 2);
	before = fx_mailbox(anna, "INBOX").highestmodseq;
	(void)fx_expunge(inbox, 5, 7);
	fx_append_n(inbox, 2);
	assert_int_equal(volume_read_view(fx_v, inbox, 11, before, &s, &e), RC_OK);
	fx_assert_set(&s, "1,3:10");
	assert_int_equal(volume_read_view(fx_v, inbox, 13, fx_mailbox(anna, "INBOX").highestmodseq,
	                                  &s, &e),
	                 RC_OK);
	fx_assert_set(&s, "1,3:4,8:12");
	assert_int_equal(volume_read_view(fx_v, inbox, 4, 0, &s, &e), RC_OK);
	fx_assert_set(&s, "1:3");
	rows = fx_rows(inbox, WANT_EXPUNGED | WANT_PLACE | WANT_SUMMARY, &count);
	assert_int_equal(count, 12);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(rows[i].uid, i + 1);
		assert_int_equal(rows[i].expunged, i == 1 || (i >= 4 && i <= 6));
		assert_true(rows[i].place.chunk_count > 0 && rows[i].summary.len > 0);
	}
	(void)fx_rows(inbox, 0, &count);
	assert_int_equal(count, 8);
	uid_set_fini(&s);
}

static void
lose_tombstone(mail_uid uid)
{
	char path[300], sql[100];
	sqlite3 *db;

	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	(void)snprintf(sql, sizeof sql, "DELETE FROM expunged WHERE uid=%u", uid);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The same set by way of the tombstones, of the messages, and when a tombstone has gone. */
static void
test_view_with_gaps(void **state)
{
	static const struct {
		mail_uid    first, last;
		mail_uid    uidnext;
		const char *want;
	} steps[] = {
		{ 3, 3, 41, "1:2,4:40" },
		{ 50, 50, 41, "1:2,4:40" },
		{ 1, 1, 41, "2,4:40" },
		{ 40, 40, 41, "2,4:39" },
		{ 40, 40, 5, "2,4" },
		{ 40, 40, 4, "2" },
		{ 40, 40, 1, "" },
		{ 40, 40, 0, "" },
		{ 10, 30, 41, "2,4:9,31:39" },
		{ 2, 2, 4000000000u, "4:9,31:39" },
		{ 4, 38, 41, "39" },
		{ 39, 39, 41, "" },
	};
	struct uid_set s;
	struct err e = ERR_INIT;

	(void)state;
	uid_set_init(&s, 100);
	fx_append_n(inbox, 40);
	for (size_t i = 0; i < UNIT_COUNT(steps); i++) {
		if (i == 1)
			lose_tombstone(3);
		(void)fx_expunge(inbox, steps[i].first, steps[i].last);
		assert_int_equal(volume_read_view(fx_v, inbox, steps[i].uidnext, UINT64_MAX >> 1,
		                                  &s, &e),
		                 RC_OK);
		fx_assert_set(&s, steps[i].want);
	}
	uid_set_fini(&s);
}

static void
test_changes_since(void **state)
{
	struct view_changes vc;
	mail_modseq m0, m1;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(inbox, 6);
	m0 = fx_mailbox(anna, "INBOX").highestmodseq;
	m1 = fx_store(inbox, 2, 4, STORE_ADD, FLAG_SEEN, "");
	(void)fx_expunge(inbox, 3, 3);
	fx_append_n(inbox, 2);
	assert_int_equal(volume_read_changes(fx_v, inbox, m0, m0, 7, 100, &fx_arena, &vc, &e),
	                 RC_OK);
	fx_assert_set(&vc.added, "7:8");
	fx_assert_set(&vc.vanished, "3");
	assert_int_equal(vc.changed_count, 2);
	assert_int_equal(vc.changed[1].uid, 4);
	assert_int_equal(vc.changed[1].modseq, m1);
	assert_false(vc.more);
	assert_int_equal(vc.now.uidnext, 9);
	view_changes_fini(&vc);
	assert_int_equal(volume_read_changes(fx_v, inbox, m0, m0, 7, 1, &fx_arena, &vc, &e), RC_OK);
	assert_true(vc.more);
	view_changes_fini(&vc);
	assert_int_equal(volume_read_changes(fx_v, inbox, m1, m1 + 1, 9, 100, &fx_arena, &vc, &e),
	                 RC_OK);
	assert_int_equal(vc.added.count + vc.vanished.count + (vc.changed_count != 2), 0);
	view_changes_fini(&vc);
	assert_int_equal(volume_read_changes(fx_v, 4711, 0, 0, 1, 1, &fx_arena, &vc, &e), RC_OK);
	assert_true(vc.gone);
	view_changes_fini(&vc);
}

static void
test_paging(void **state)
{
	struct message_row *rows;
	struct uid_set uids;
	size_t count;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(inbox, 20);
	uid_set_init(&uids, 10);
	assert_true(uid_set_add(&uids, 3, 5) && uid_set_add(&uids, 9, 9) &&
	            uid_set_add(&uids, 12, 40));
	assert_int_equal(volume_read_messages(fx_v, inbox, &uids, 4, 4, 0, &fx_arena, &rows, &count,
	                                      &e),
	                 RC_OK);
	assert_int_equal(count, 4);
	assert_int_equal(rows[0].uid, 4);
	assert_int_equal(rows[2].uid, 9);
	assert_int_equal(rows[3].uid, 12);
	assert_int_equal(volume_read_messages(fx_v, inbox, &uids, 13, 100, 0, &fx_arena, &rows,
	                                      &count, &e),
	                 RC_OK);
	assert_int_equal(count, 8);
	uid_set_fini(&uids);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_view_as_of), CASE(test_view_with_gaps), CASE(test_changes_since), CASE(test_paging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
