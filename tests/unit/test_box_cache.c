/* Names that were listed are given again until one of them, or a subscription, is another. */
#include "tests/unit/volume_fixture.h"

#include "index/box_cache.h"

static account_id anna;

static int
setup(void **state)
{
	int rc = fx_setup(state);

	anna = fx_account("anna");
	return rc;
}

static struct mailbox_info *
list(size_t *count)
{
	struct mailbox_info *boxes;
	struct err e;

	assert_int_equal(volume_list_names(fx_v, anna, &fx_arena, &boxes, count, &e), RC_OK);
	return boxes;
}

/* What is said of all of them is what the index says. */
static void
check_list(void)
{
	struct mailbox_info *fresh, *said;
	size_t n, count;
	struct err e;

	assert_int_equal(volume_list_mailboxes(fx_v, anna, &fx_arena, &fresh, &n, &e), RC_OK);
	for (int again = 0; again < 2; again++) {
		said = list(&count);
		assert_int_equal(count, n);
		for (size_t i = 0; i < n; i++) {
			assert_true(said[i].id == fresh[i].id && slice_eq(said[i].name, fresh[i].name));
			assert_true(said[i].subscribed == fresh[i].subscribed &&
			            said[i].has_children == fresh[i].has_children);
			assert_int_equal(said[i].special_use, fresh[i].special_use);
			assert_int_equal(said[i].uidvalidity, fresh[i].uidvalidity);
			assert_memory_equal(said[i].mailboxid, fresh[i].mailboxid, sizeof said[i].mailboxid);
			assert_int_equal(said[i].exists, 0);
			assert_true(volume_recall_mailbox(fx_v, anna, said[i].name, &fx_arena) == said[i].id);
		}
	}
}

static void
run(enum change_kind kind, const char *name, const char *new_name)
{
	assert_int_equal(fx_name_change(kind, anna, name, new_name), RC_OK);
	assert_true(volume_recall_mailbox(fx_v, anna, SLICE("INBOX"), &fx_arena) == 0);
	check_list();
}

static void
subscribe(const char *name, bool on)
{
	struct change *c = fx_change(CHANGE_SUBSCRIBE);

	c->u.subscribe.account = anna;
	c->u.subscribe.name = slice_str(name);
	c->u.subscribe.subscribed = on;
	assert_int_equal(fx_run(c), RC_OK);
	check_list();
}

static void
test_changes(void **state)
{
	(void)state;
	fx_append_n(fx_box(anna, "INBOX"), 2);
	check_list();
	run(CHANGE_MAILBOX_CREATE, "one", "");
	run(CHANGE_MAILBOX_CREATE, "one/two", "");
	subscribe("one/two", true);
	run(CHANGE_MAILBOX_RENAME, "one/two", "three");
	assert_true(volume_recall_mailbox(fx_v, anna, SLICE("one/two"), &fx_arena) == 0);
	subscribe("one/two", false);
	run(CHANGE_MAILBOX_DELETE, "three", "");
	assert_true(volume_recall_mailbox(fx_v, anna, SLICE("three"), &fx_arena) == 0);
	assert_true(volume_recall_mailbox(fx_v, anna, SLICE("inbox"), &fx_arena) == fx_box(anna, "INBOX"));
	assert_true(volume_recall_mailbox(fx_v, anna + 1, SLICE("INBOX"), &fx_arena) == 0);
}

/* A subscription is nobody else's concern. */
static void
test_subscription_of_another(void **state)
{
	account_id me = anna, ben = fx_account("ben");

	(void)state;
	check_list();
	anna = ben;
	check_list();
	anna = me;
	subscribe("INBOX", false);
	assert_true(volume_recall_mailbox(fx_v, ben, SLICE("INBOX"), &fx_arena) != 0);
}

/* More than are kept are read each time. */
static void
test_many(void **state)
{
	struct mailbox_info *boxes;
	char name[16];
	size_t n;

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof name, "box%d", i);
		assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, name, ""), RC_OK);
	}
	fx_append_n(fx_box(anna, "INBOX"), 1);
	for (int again = 0; again < 2; again++) {
		boxes = list(&n);
		assert_true(n > 100 && boxes[0].exists == 0 && boxes[0].uidnext == 0);
		assert_true(volume_recall_mailbox(fx_v, anna, SLICE("INBOX"), &fx_arena) == 0);
	}
	while (list(&n), n > 100)
		assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna,
		                                arena_cstr(&fx_arena, list(&n)[n - 1].name), ""), RC_OK);
	check_list();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_subscription_of_another, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
