/* test_volume - the mailbox API from end to end: create, account, deliver, select, read,
 * reopen, rebuild. */
#include "tests/unit/volume_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/mime.h"

static struct slice
read_all(const struct message_row *m)
{
	static struct buf b;
	struct err e = ERR_INIT;

	buf_fini(&b);
	buf_init(&b, 64u << 20);
	assert_int_equal(volume_read_blob(fx_v, &m->place, 0, m->size, &b, &e), RC_OK);
	return buf_slice(&b);
}

static void
test_create_refuses_second(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(volume_create(fx_dir, &e), RC_EXISTS);
}

static void
test_account(void **state)
{
	struct account_info a;
	struct credential_info *creds;
	struct mailbox_info *boxes;
	struct slice *subs;
	size_t count;
	struct err e = ERR_INIT;
	account_id id = fx_account("B\xc3\xa4rbel");

	(void)state;
	/* Decomposed, and in capitals. */
	assert_int_equal(volume_find_account(fx_v, SLICE("BA\xcc\x88RBEL"), &fx_arena, &a, &e),
	                 RC_OK);
	assert_int_equal(a.id, id);
	assert_int_equal(volume_find_account(fx_v, SLICE("barbel"), &fx_arena, &a, &e),
	                 RC_NOT_FOUND);
	assert_int_equal(volume_list_credentials(fx_v, id, &fx_arena, &creds, &count, &e), RC_OK);
	assert_int_equal(count, 1);
	assert_true(slice_eq(creds[0].value, SLICE("SCRAM-SHA-256$x")));
	assert_int_equal(volume_list_mailboxes(fx_v, id, &fx_arena, &boxes, &count, &e), RC_OK);
	assert_int_equal(count, 6);
	assert_true(slice_eq(boxes[0].name, SLICE("INBOX")));
	assert_true(slice_eq(boxes[1].name, SLICE("Archive")));
	assert_int_equal(boxes[1].special_use, USE_ARCHIVE);
	assert_true(boxes[1].subscribed);
	assert_true(boxes[0].highestmodseq >= 1);
	assert_int_equal(boxes[0].uidnext, 1);
	assert_int_equal(volume_list_subscriptions(fx_v, id, &fx_arena, &subs, &count, &e), RC_OK);
	assert_int_equal(count, 6);
}

static void
test_deliver_and_read(void **state)
{
	account_id id = fx_account("anna");
	mailbox_id inbox = fx_box(id, "inbox");
	struct mime_summary s;
	struct message_row *m;
	struct mailbox_info box;
	size_t count;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), FLAG_FLAGGED, "$Work alpha"), 1);
	box = fx_mailbox(id, "INBOX");
	assert_int_equal(box.exists, 1);
	assert_int_equal(box.unseen, 1);
	assert_int_equal(box.uidnext, 2);
	assert_int_equal(box.size, sizeof TEST_MAIL - 1);
	assert_int_equal(box.recent_from, 1);
	assert_int_equal(volume_claim_recent(fx_v, inbox, 2), 1);
	assert_int_equal(volume_claim_recent(fx_v, inbox, 2), 2);
	m = fx_rows(inbox, WANT_PLACE | WANT_SUMMARY, &count);
	assert_int_equal(count, 1);
	assert_int_equal(m->flags, FLAG_FLAGGED);
	assert_true(slice_eq(m->keywords, SLICE("$Work alpha")));
	assert_int_equal(m->internaldate.sec, 1700000000);
	assert_int_equal(m->internaldate.zone_min, -90);
	assert_int_equal(m->modseq, box.highestmodseq);
	assert_true(slice_eq(read_all(m), SLICE(TEST_MAIL)));
	assert_int_equal(mime_summary_decode(m->summary, &fx_arena, &s, &e), RC_OK);
	assert_true(slice_find(s.envelope, SLICE("\"Tea\"")) < s.envelope.len);
	fx_reopen();
	m = fx_rows(inbox, WANT_PLACE, &count);
	assert_int_equal(count, 1);
	assert_true(slice_eq(read_all(m), SLICE(TEST_MAIL)));
}

/* One message to many mailboxes is one blob; a refused target leaves the others. */
static void
test_many_targets(void **state)
{
	mailbox_id boxes[4];
	struct change *c;
	struct volume_status st;
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 3; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "u%d", i);
		boxes[i] = fx_box(fx_account(name), "INBOX");
	}
	boxes[3] = 999;
	c = fx_make_append(boxes, 4, SLICE(TEST_MAIL), 0, "");
	assert_int_equal(volume_submit_wait(fx_v, c), RC_NOT_FOUND);
	change_free(&c);
	c = fx_make_append(boxes, 4, SLICE(TEST_MAIL), 0, "");
	c->u.append.each_target = true;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(c->u.append.messages[0].targets[i].uid, 1);
	assert_int_equal(c->u.append.messages[0].targets[3].rc, RC_NOT_FOUND);
	change_free(&c);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.blobs, 1);
	assert_int_equal(st.messages, 3);
	assert_int_equal(st.accounts, 3);
	assert_int_equal(st.applied_lsn, st.last_lsn);
}

/* Where the index file is damaged, in bytes from its start; -1: cut the file there instead. */
struct damage_case {
	const char *name;
	off_t       at;
	off_t       cut;
};

static const struct damage_case damage_cases[] = {
	{ "missing",          0,   -1 },
	{ "empty",            0,    0 },
	{ "cut at half",      0, 4096 * 3 },
	{ "cut inside page",  0,  700 },
	{ "header garbage",   0,   -2 },
	{ "schema garbage", 100,   -2 },
};

static void
damage_index(const struct damage_case *k)
{
	char path[300];
	char noise[3000];
	int fd;

	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	if (k->cut == -1) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	memset(noise, 0x5a, sizeof noise);
	if (k->cut >= 0)
		assert_int_equal(ftruncate(fd, k->cut), 0);
	else
		assert_int_equal(pwrite(fd, noise, sizeof noise, k->at), sizeof noise);
	close(fd);
}

static void
test_damaged_index_is_rebuilt(void **state)
{
	account_id id = fx_account("anna");
	mailbox_id inbox = fx_box(id, "INBOX");

	(void)state;
	fx_append_n(inbox, 20);
	for (size_t i = 0; i < UNIT_COUNT(damage_cases); i++) {
		struct mailbox_info before = fx_mailbox(id, "INBOX");
		struct mailbox_info after;
		size_t count;

		volume_close(&fx_v);
		damage_index(&damage_cases[i]);
		fx_open();
		after = fx_mailbox(id, "INBOX");
		if (after.exists != before.exists || after.highestmodseq != before.highestmodseq)
			fail_msg("%s: not rebuilt", damage_cases[i].name);
		assert_int_equal(fx_rows(inbox, WANT_PLACE | WANT_SUMMARY, &count)[0].uid, 1);
		assert_int_equal(count, before.exists);
		(void)fx_append(inbox, SLICE(TEST_MAIL), 0, "");
	}
}

/* The index holds credentials. */
static void
test_index_is_private(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char path[300];
	struct stat st;

	(void)state;
	(void)fx_account("anna");
	for (size_t i = 0; i < UNIT_COUNT(ends); i++) {
		(void)snprintf(path, sizeof path, "%s/index.db%s", fx_dir, ends[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 077, 0);
	}
}

static void
test_reindex(void **state)
{
	account_id id = fx_account("anna");
	mailbox_id inbox = fx_box(id, "INBOX");
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
	struct reindex_result r;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(inbox, 3);
	assert_int_equal(volume_reindex(&p, false, &r, &e), RC_BUSY);
	volume_close(&fx_v);
	assert_int_equal(volume_reindex(&p, false, &r, &e), RC_OK);
	assert_true(r.damage == 0 && r.kept[0] == '\0');
	fx_open();
	assert_int_equal(fx_mailbox(id, "INBOX").exists, 3);
}

/* What has no head is no volume; a log without one is not an empty place either. */
static void
test_head_missing(void **state)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
	struct volume *v;
	struct err e = ERR_INIT;
	const char *at;
	char path[400];

	(void)state;
	(void)fx_account("anna");
	volume_close(&fx_v);
	(void)snprintf(path, sizeof path, "%s/head", fx_dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(volume_open(&p, &v, &e), RC_NOT_FOUND);
	at = strstr(e.text, fx_dir);
	assert_non_null(at);
	assert_null(strstr(at + 1, fx_dir));    /* once */
	assert_non_null(strstr(e.text, "has lost its head"));
	assert_int_equal(volume_create(fx_dir, &e), RC_EXISTS);
	assert_non_null(strstr(e.text, "/log is not empty"));
	assert_int_not_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof path, "rm '%s'/log/*", fx_dir);
	assert_int_equal(system(path), 0);
	assert_int_equal(volume_create(fx_dir, &e), RC_OK);
	fx_open();
}

static void
test_read_only(void **state)
{
	account_id id = fx_account("anna");
	mailbox_id inbox = fx_box(id, "INBOX");
	struct volume *writer = fx_v;
	struct message_row *m;
	size_t count;

	(void)state;
	fx_append_n(inbox, 3);
	fx_open_as(VOLUME_READ);        /* beside the writer */
	m = fx_rows(inbox, WANT_PLACE, &count);
	assert_int_equal(count, 3);
	assert_true(slice_eq(read_all(m), SLICE(TEST_MAIL)));
	volume_close(&fx_v);
	volume_close(&writer);
	fx_open_as(VOLUME_READ);        /* alone */
	(void)fx_rows(inbox, WANT_PLACE, &count);
	assert_int_equal(count, 3);
}

static void
test_check(void **state)
{
	account_id id = fx_account("anna");
	mailbox_id inbox = fx_box(id, "INBOX");
	struct check_result r;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(inbox, 10);
	(void)fx_store(inbox, 2, 5, STORE_ADD, FLAG_SEEN, "Blue");
	(void)fx_expunge(inbox, 4, 7);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage, 0);
	assert_int_equal(r.differences, 0);
	assert_int_equal(r.blobs, 10);
	assert_int_equal(r.messages, 6);
	assert_int_equal(r.accounts, 1);
	assert_int_equal(r.mailboxes, 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create_refuses_second, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_account, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_deliver_and_read, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_many_targets, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_index_is_rebuilt, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_reindex, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_index_is_private, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_head_missing, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_read_only, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_check, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
