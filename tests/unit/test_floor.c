/* test_floor - mailboxes that have forgotten expunges one by one, and such as were put back: what
 * is told of them. */
#include "tests/unit/volume_fixture.h"

#include <sqlite3.h>

#define MESSAGES  64u
#define FOUND_MAX 600u

static account_id anna;
static mailbox_id inbox;

static int
setup(void **state)
{
	int r = fx_setup(state);

	anna = fx_account("anna");
	inbox = fx_box(anna, "INBOX");
	fx_append_n(inbox, MESSAGES);
	return r;
}

static void
check_sound(void)
{
	struct check_report rep = { NULL, fx_check_found };
	struct check_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
}

static uint64_t
remembered(void)
{
	struct volume_status st;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	return st.expunged;
}

/* What is told as vanished to who was there at `since`: text of the set. */
static const char *
vanished_since(mail_modseq since, mail_uid uidnext)
{
	static char text[400];
	struct view_changes c;
	struct err e = ERR_INIT;
	struct buf b;

	assert_int_equal(volume_read_changes(fx_v, inbox, INT64_MAX, since, uidnext, 1, &fx_arena,
	                                     &c, &e),
	                 RC_OK);
	buf_init(&b, sizeof text);
	assert_true(uid_set_format(&c.vanished, &b));
	(void)snprintf(text, sizeof text, "%.*s", (int)b.len, b.len > 0 ? (const char *)b.ptr : "");
	buf_fini(&b);
	view_changes_fini(&c);
	return text;
}

static uint64_t
changed_since(mail_modseq since)
{
	struct uid_set all, got;
	struct err e = ERR_INIT;
	mail_uid from = 1;
	uint64_t n;

	uid_set_init(&all, 1);
	uid_set_init(&got, 4096);
	assert_true(uid_set_add(&all, 1, UINT32_MAX));
	while (from != 0)
		assert_int_equal(volume_find_changed(fx_v, inbox, &all, since, &from, &got, &e),
		                 RC_OK);
	n = uid_set_size(&got);
	uid_set_fini(&all);
	uid_set_fini(&got);
	return n;
}

static enum rc
prune_to(mail_modseq floor)
{
	struct change *c = fx_change(CHANGE_PRUNE);

	c->u.prune = (struct change_prune){ inbox, floor };
	return fx_run(c);
}

/* The same before and after a restart without the index. */
static void
rebuild(void)
{
	char cmd[512];

	volume_close(&fx_v);
	(void)snprintf(cmd, sizeof cmd, "rm -f '%s'/index.db*", fx_dir);
	assert_int_equal(system(cmd), 0);
	fx_open();
}

static void
test_below_the_floor_all_that_is_absent_is_told(void **state)
{
	mail_modseq a, b, c;

	(void)state;
	a = fx_expunge(inbox, 3, 4);
	b = fx_expunge(inbox, 10, 10);
	c = fx_expunge(inbox, 60, 64);
	assert_string_equal(vanished_since(a - 1, 65), "3:4,10,60:64");
	assert_string_equal(vanished_since(a, 65), "10,60:64");
	assert_int_equal(prune_to(b), RC_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(remembered(), 5);
		assert_string_equal(vanished_since(1, 65), "3:4,10,60:64");
		assert_string_equal(vanished_since(a, 65), "3:4,10,60:64");
		assert_string_equal(vanished_since(a, 11), "3:4,10");
		/* no UID that was never given */
		assert_string_equal(vanished_since(a, 5000), "3:4,10,60:64");
		assert_string_equal(vanished_since(b, 65), "60:64");
		assert_string_equal(vanished_since(b, 62), "60:61");
		assert_string_equal(vanished_since(b, 60), "");
		assert_string_equal(vanished_since(c, 65), "");
		check_sound();
		rebuild();
	}
}

static void
note_found(void *arg, const struct check_finding *f)
{
	(void)snprintf(arg, FOUND_MAX, "%s", f->what);
}

static void
test_check_compares_runs(void **state)
{
	char found[FOUND_MAX] = "", want[60];
	struct check_report rep = { found, note_found };
	mail_modseq gone;
	struct check_result r;
	struct err e = ERR_INIT;
	char path[300];
	sqlite3 *db;

	(void)state;
	(void)fx_expunge(inbox, 3, 4);
	gone = fx_expunge(inbox, 10, 12);
	check_sound();
	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE expunge_run SET last = 11 WHERE first = 10", NULL,
	                              NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.differences, 1);
	(void)snprintf(want, sizeof want, "(anna/INBOX) MODSEQ %llu: ", (unsigned long long)gone);
	assert_non_null(strstr(found, want));
}

static void
test_floor_only_grows(void **state)
{
	mail_modseq a = fx_expunge(inbox, 3, 4);
	mail_modseq b = fx_expunge(inbox, 10, 10);
	struct mailbox_info m;

	(void)state;
	assert_int_equal(prune_to(b), RC_OK);
	assert_int_equal(prune_to(a), RC_OK);
	m = fx_mailbox(anna, "INBOX");
	assert_int_equal(m.expunge_floor, b);
	assert_int_equal(m.highestmodseq, b);
	assert_int_equal(m.uidnext, 65);
	assert_int_equal(prune_to(b + 1), RC_DENIED);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "x", NULL), RC_OK);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_RENAME, anna, "x", "y"), RC_OK);
	assert_int_equal(fx_mailbox(anna, "INBOX").expunge_floor, b);
}

/* A floor stays when the mailbox gets another name. */
static void
test_rename_keeps_the_floor(void **state)
{
	mailbox_id box;
	mail_modseq a;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "x", NULL), RC_OK);
	box = fx_box(anna, "x");
	fx_append_n(box, 3);
	inbox = box;
	a = fx_expunge(box, 2, 2);
	assert_int_equal(prune_to(a), RC_OK);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_RENAME, anna, "x", "y"), RC_OK);
	rebuild();
	assert_int_equal(fx_mailbox(anna, "y").expunge_floor, a);
	assert_string_equal(vanished_since(a - 1, 4), "2");
}

static void
test_prune_keeps_the_newest(void **state)
{
	struct err e = ERR_INIT;
	uint64_t dropped;

	(void)state;
	for (mail_uid uid = 1; uid <= 40; uid++)
		(void)fx_expunge(inbox, uid, uid);
	assert_int_equal(volume_prune(fx_v, 10, 1000, &dropped, &e), RC_OK);  /* all are younger */
	assert_int_equal(dropped, 0);
	assert_int_equal(volume_prune(fx_v, 40, INT64_MAX, &dropped, &e), RC_OK);
	assert_int_equal(dropped, 0);
	assert_int_equal(volume_prune(fx_v, 10, INT64_MAX, &dropped, &e), RC_OK);
	assert_int_equal(dropped, 30);
	assert_int_equal(remembered(), 10);
	assert_string_equal(vanished_since(1, 65), "1:40");
	check_sound();
	rebuild();
	assert_int_equal(remembered(), 10);
	assert_string_equal(vanished_since(1, 65), "1:40");
	check_sound();
}

static void
fill(mail_uid upto)
{
	mail_uid next;

	while ((next = fx_mailbox(anna, "INBOX").uidnext) < upto)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1,
		                                     next > 4500 ? 4500 : next - 1, inbox)),
		                 RC_OK);
}

/* More than one step, and one expunge of many. */
static void
test_prune_in_steps(void **state)
{
	struct err e = ERR_INIT;
	uint64_t dropped;

	(void)state;
	fill(9000);
	for (mail_uid uid = 1; uid <= 5000; uid += 25)
		(void)fx_expunge(inbox, uid, uid + 24);
	(void)fx_expunge(inbox, 5001, 8000);
	assert_int_equal(volume_prune(fx_v, 3100, INT64_MAX, &dropped, &e), RC_OK);
	assert_int_equal(dropped, 4900);
	assert_int_equal(remembered(), 3100);
	assert_int_equal(volume_prune(fx_v, 100, INT64_MAX, &dropped, &e), RC_OK);
	assert_int_equal(remembered(), 0);
	assert_string_equal(vanished_since(1, 8500), "1:8000");
	check_sound();
}

/* A step that drops more than its share, as expunges of one command go together, leaves less
 * to the next one. */
static void
test_prune_no_more_than_is_due(void **state)
{
	struct err e = ERR_INIT;
	uint64_t dropped;

	(void)state;
	fill(5000);
	for (mail_uid uid = 1; uid <= 4500; uid += 1500)
		(void)fx_expunge(inbox, uid, uid + 1499);
	for (mail_uid uid = 4501; uid <= 4700; uid++)
		(void)fx_expunge(inbox, uid, uid);
	assert_int_equal(volume_prune(fx_v, 100, INT64_MAX, &dropped, &e), RC_OK);
	assert_int_equal(dropped, 4600);
	assert_int_equal(remembered(), 100);
	check_sound();
}

/* ---- a volume that was put back ---- */

static void
renew(void)
{
	struct change *c = fx_change(CHANGE_RENEW);

	c->u.renew.lives = 1;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.renew.last, 0);
	change_free(&c);
}

static void
test_put_back_all_counts_as_changed(void **state)
{
	struct mailbox_info was = fx_mailbox(anna, "INBOX"), is;
	struct message_row *rows;
	size_t count;

	(void)state;
	(void)fx_expunge(inbox, 5, 6);
	fx_reopen();
	renew();
	for (int i = 0; i < 2; i++) {
		is = fx_mailbox(anna, "INBOX");
		assert_int_equal(is.uidnext, was.uidnext + (1u << 20));
		assert_true(is.highestmodseq > was.highestmodseq + 1000);
		assert_int_equal(is.change_floor, is.highestmodseq);
		assert_int_equal(is.expunge_floor, is.highestmodseq);
		assert_int_equal(is.uidvalidity, was.uidvalidity);
		assert_int_equal(remembered(), 0);
		assert_int_equal(changed_since(is.highestmodseq), 0);
		assert_int_equal(changed_since(is.highestmodseq - 1), MESSAGES - 2);
		assert_int_equal(changed_since(1), MESSAGES - 2);
		assert_string_equal(vanished_since(is.highestmodseq - 1, 200), "5:6,65:199");
		assert_string_equal(vanished_since(is.highestmodseq, 200), "");
		rows = fx_rows(inbox, 0, &count);
		assert_int_equal(count, MESSAGES - 2);
		for (size_t k = 0; k < count; k++)
			assert_int_equal(rows[k].modseq, is.change_floor);
		check_sound();
		rebuild();
	}
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), is.uidnext);
}

/* A condition on a MODSEQ from the lost future fails; one on what is told now holds. */
static void
test_put_back_conditions(void **state)
{
	mail_modseq lost = fx_mailbox(anna, "INBOX").highestmodseq + 7;
	struct change *c;

	(void)state;
	fx_reopen();
	renew();
	c = fx_make_store(inbox, 1, 1, STORE_ADD, FLAG_SEEN, "");
	c->u.store.conditional = true;
	c->u.store.unchangedsince = lost;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(uid_set_size(&c->u.store.modified), 1);
	change_free(&c);
	c = fx_make_store(inbox, 1, 1, STORE_ADD, FLAG_SEEN, "");
	c->u.store.conditional = true;
	c->u.store.unchangedsince = fx_mailbox(anna, "INBOX").highestmodseq;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(uid_set_size(&c->u.store.changed), 1);
	change_free(&c);
}

static void
test_put_back_counters(void **state)
{
	uint32_t before;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "before", NULL), RC_OK);
	before = fx_mailbox(anna, "before").uidvalidity;
	renew();
	rebuild();
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "after", NULL), RC_OK);
	assert_int_equal(fx_mailbox(anna, "after").uidvalidity, before + (1u << 16) + 1);
}

/* More mailboxes than a change renews. */
static void
test_put_back_many(void **state)
{
	struct change *c = fx_change(CHANGE_RENEW);
	struct mailbox_info *boxes;
	struct err e = ERR_INIT;
	char name[16];
	size_t count;

	(void)state;
	for (int i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof name, "b%d", i);
		assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, name, NULL), RC_OK);
	}
	fx_reopen();
	c->u.renew.lives = 1;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_not_equal(c->u.renew.last, 0);
	c->u.renew.after = c->u.renew.last;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.renew.last, 0);
	change_free(&c);
	assert_int_equal(volume_list_mailboxes(fx_v, anna, &fx_arena, &boxes, &count, &e), RC_OK);
	assert_int_equal(count, 606);
	for (size_t i = 0; i < count; i++)
		assert_true(boxes[i].change_floor > 0 && boxes[i].uidnext > 1u << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_below_the_floor_all_that_is_absent_is_told, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_check_compares_runs, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_floor_only_grows, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_rename_keeps_the_floor, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_prune_keeps_the_newest, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_prune_in_steps, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_prune_no_more_than_is_due, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_put_back_all_counts_as_changed, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_put_back_conditions, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_put_back_counters, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_put_back_many, setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
