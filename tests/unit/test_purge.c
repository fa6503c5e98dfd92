/* Purge and what finds its prey: old messages piece by piece, contents by hash and Message-ID,
 * where they are; a content goes only when no message has it, and stays gone in an index
 * that is made anew. */
#include "tests/unit/volume_fixture.h"

#include <time.h>

#define MAIL(id, text) SLICE("From: a@example.org\r\nMessage-ID: " id "\r\n\r\n" text "\r\n")

static enum rc
purge(blob_id blob, const char *reason)
{
	struct change *c = fx_change(CHANGE_PURGE);

	c->u.purge.blob = blob;
	c->u.purge.reason = slice_str(reason);
	return fx_run(c);
}

static size_t
contents(const char *id, struct arena *a, struct found_content **out)
{
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(volume_find_contents(fx_v, NULL, slice_str(id), a, out, &n, &e), RC_OK);
	return n;
}

static void
test_content(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct found_content *found, *again;
	struct found_copy *copies;
	struct err e = ERR_INIT;
	struct arena a;
	char path[512];
	size_t n;

	(void)state;
	arena_init(&a, 1u << 20);
	fx_append(inbox, MAIL("<1@a>", "one"), 0, "");
	fx_append(inbox, MAIL("<1@a>", "two"), 0, "");
	fx_append(inbox, MAIL("<2@a>", "one"), 0, "");
	assert_int_equal(contents("<1@a>", &a, &found), 2);
	assert_int_equal(contents("<3@a>", &a, &again), 0);
	assert_int_equal(volume_find_contents(fx_v, found[1].sha256, SLICE_NONE, &a, &again, &n,
	                                      &e),
	                 RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(again->blob, found[1].blob);
	assert_int_equal(volume_find_copies(fx_v, found[0].blob, &a, &copies, &n, &e), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(copies->account, anna);
	assert_int_equal(copies->mailbox, inbox);
	assert_int_equal(copies->uid, 1);

	assert_int_equal(purge(found[0].blob, "why"), RC_EXISTS);
	fx_expunge(inbox, 1, 1);
	assert_int_equal(purge(found[0].blob, "why"), RC_OK);
	assert_int_equal(purge(found[0].blob, "why"), RC_NOT_FOUND);
	assert_int_equal(contents("<1@a>", &a, &again), 1);
	assert_int_equal(again->blob, found[1].blob);
	snprintf(path, sizeof path, "%s/index.db", fx_dir);
	volume_close(&fx_v);
	assert_int_equal(unlink(path), 0);
	fx_open();
	assert_int_equal(contents("<1@a>", &a, &again), 1);
	assert_int_equal(again->blob, found[1].blob);
	arena_fini(&a);
}

static void
test_reason(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	struct found_content *found;
	char text[PURGE_REASON_MAX + 2];
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 20);
	fx_append(inbox, MAIL("<1@a>", "one"), 0, "");
	assert_int_equal(contents("<1@a>", &a, &found), 1);
	fx_expunge(inbox, 1, 1);
	memset(text, 'x', sizeof text);
	text[PURGE_REASON_MAX + 1] = '\0';
	assert_int_equal(purge(found->blob, text), RC_LIMIT);
	text[PURGE_REASON_MAX] = '\0';
	assert_int_equal(purge(found->blob, text), RC_OK);
	arena_fini(&a);
}

/* Piece by piece; where to go on is never told twice and never lost. */
static void
test_old(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	int64_t later = (int64_t)time(NULL) + 10;
	struct err e = ERR_INIT;
	struct uid_set uids;
	uint64_t bytes = 0;
	mail_uid from = 1;

	(void)state;
	fx_append_n(inbox, 5);
	uid_set_init(&uids, 100);
	assert_int_equal(volume_find_old(fx_v, inbox, later, 2, &from, &uids, &bytes, &e), RC_OK);
	assert_int_equal(from, 3);
	assert_int_equal(volume_find_old(fx_v, inbox, later, 3, &from, &uids, &bytes, &e), RC_OK);
	assert_int_equal(from, 6);
	assert_int_equal(volume_find_old(fx_v, inbox, later, 3, &from, &uids, &bytes, &e), RC_OK);
	assert_int_equal(from, 0);
	assert_int_equal(uid_set_size(&uids), 5);
	assert_true(bytes > 0);
	uid_set_reset(&uids);
	from = 1;
	assert_int_equal(volume_find_old(fx_v, inbox, later - 3600, 2, &from, &uids, &bytes, &e),
	                 RC_OK);
	assert_int_equal(from, 0);
	assert_int_equal(uid_set_size(&uids), 0);
	uid_set_fini(&uids);
}

static void
test_totals(void **state)
{
	account_id anna = fx_account("anna"), boris = fx_account("boris");
	struct content_totals t;
	struct err e = ERR_INIT;

	(void)state;
	fx_append(fx_box(anna, "INBOX"), MAIL("<1@a>", "one"), 0, "");
	fx_append(fx_box(boris, "INBOX"), MAIL("<1@a>", "one"), 0, "");
	fx_append(fx_box(boris, "INBOX"), MAIL("<2@a>", "two"), 0, "");
	assert_int_equal(volume_count_contents(fx_v, 0, &t, &e), RC_OK);
	assert_int_equal(t.blobs, 3);
	assert_int_equal(t.contents, 2);
	assert_int_equal(t.doubled, 1);
	assert_int_equal(t.copies, 1);
	assert_int_equal(t.bytes, MAIL("<1@a>", "one").len);
	assert_int_equal(volume_count_contents(fx_v, anna, &t, &e), RC_OK);
	assert_int_equal(t.blobs, 1);
	assert_int_equal(t.copies, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_content, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_reason, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_old, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_totals, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
