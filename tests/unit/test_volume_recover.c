/* test_volume_recover - the commit fails after the append was durable: it has happened, and the index catches up
 * [design I1]. SQLite's commit hook makes the failure. */
#include "tests/unit/volume_fixture.h"

#include <stdatomic.h>

#include "index/volume_impl.h"

static atomic_int fail_commits;

static int
on_commit(void *arg)
{
	(void)arg;
	return atomic_fetch_sub(&fail_commits, 1) > 0;
}

/* The writer has nothing to do now: its connection may be touched. */
static void
arm(int commits)
{
	atomic_store(&fail_commits, commits);
	(void)sqlite3_commit_hook(db_handle(fx_v->db), on_commit, NULL);
}

static void
test_commit_fails(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct ingest *in;
	struct ingested *m;
	struct check_result r;
	struct change *c;
	struct err e = ERR_INIT;
	uint32_t epoch;
	struct volume_status st;

	(void)state;
	fx_append_n(inbox, 2);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	epoch = st.epoch;
	assert_int_equal(ingest_new(fx_v, 0, &in, &e), RC_OK);
	assert_int_equal(ingest_feed(in, SLICE("Subject: interrupted\r\n"), &e), RC_OK);
	c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	arm(1);
	assert_int_not_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_true(c->durable);
	change_free(&c);
	/* The next change comes after the recovery, and finds what has happened. */
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), 4);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 4);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_true(st.epoch > epoch);
	assert_false(st.stalled);
	/* What was streaming into the old log fails, once and for all. */
	assert_int_equal(ingest_feed(in, SLICE("\r\n"), &e), RC_IO);
	assert_int_equal(ingest_finish(&in, &m, &e), RC_IO);
	assert_null(m);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
	fx_reopen();
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 4);
}

/* A change that was ingested before the recovery may be committed after it. */
static void
test_ingested_outlives_recovery(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct change *late = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	struct change *c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	size_t count;

	(void)state;
	arm(1);
	assert_int_not_equal(volume_submit_wait(fx_v, c), RC_OK);
	change_free(&c);
	assert_int_equal(fx_run(late), RC_OK);
	(void)fx_rows(inbox, 0, &count);
	assert_int_equal(count, 2);
}

/* A batch of refused changes writes nothing. */
static void
test_refused_writes_nothing(void **state)
{
	account_id anna = fx_account("anna");
	struct volume_status before, after;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(volume_get_status(fx_v, &before, &e), RC_OK);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "INBOX", ""), RC_DENIED);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_RENAME, anna, "Sent", "x//y"), RC_DENIED);
	assert_int_equal(volume_get_status(fx_v, &after, &e), RC_OK);
	assert_int_equal(after.last_lsn, before.last_lsn);
	assert_int_equal(after.log_bytes, before.log_bytes);
	assert_int_equal(after.applied_lsn, before.applied_lsn);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit_fails, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_ingested_outlives_recovery, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_refused_writes_nothing, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
