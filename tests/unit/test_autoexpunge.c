/* autoexpunge: what has been in a mailbox for too long goes, in pieces, and nothing else does. */
#include "index/autoexpunge.h"
#include "index/special_use.h"
#include "index/volume_impl.h"
#include "tests/unit/volume_fixture.h"

#include <sqlite3.h>

#define DAY INT64_C(86400)

/* As if these had come into the mailbox so long ago. */
static void
make_older(mailbox_id box, mail_uid first, mail_uid last, int64_t seconds)
{
	char sql[256];
	sqlite3 *h;

	assert_int_equal(sqlite3_open(fx_v->index_path, &h), SQLITE_OK);
	(void)sqlite3_busy_timeout(h, 10000);
	(void)snprintf(sql, sizeof sql,
	               "UPDATE message SET savedate=savedate-%lld WHERE mailbox=%llu AND uid "
	               "BETWEEN %u AND %u",
	               (long long)seconds, (unsigned long long)box, first, last);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

static uint64_t
left_in(account_id account, const char *name)
{
	return fx_mailbox(account, name).exists;
}

/* `n` messages, in few changes. */
static void
fill(mailbox_id box, uint32_t n)
{
	uint32_t have = 1;

	fx_append_n(box, 1);
	while (have < n) {
		uint32_t more = n - have < have ? n - have : have;

		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, box, 1, more, box)), RC_OK);
		have += more;
	}
}

/* ---- what a rule names ---- */

static const struct called_case {
	const char *name, *special_use, *word;
	bool        is;
} called[] = {
	{ "Old things", "",      "Old things", true },
	{ "Old things", "",      "old things", false },         /* names have case, */
	{ "INBOX",      "",      "inbox",      true },          /* but for this one, */
	{ "Bin",        "Trash", "\\Trash",    true },
	{ "Bin",        "Trash", "trash",      true },          /* and special uses have none */
	{ "Bin",        "Trash", "\\Junk",     false },
	{ "Bin",        "Trash", "Bin",        true },
	{ "Trash",      "",      "Trash",      true },
	{ "Trash",      "",      "\\Trash",    false },         /* its name alone */
	{ "Bin",        "Trash", "",           false },
	{ "Bin",        "Trash", "\\",         false },
	{ "INBOX",      "",      "",           false },
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(called); i++) {
		const struct called_case *k = &called[i];
		struct mailbox_info m = { .name = slice_str(k->name) };

		if (k->special_use[0] != '\0')
			m.special_use = special_use_named(slice_str(k->special_use));
		if (mailbox_is_called(&m, k->word) != k->is)
			fail_msg("\"%s\" (%s) by \"%s\"", k->name, k->special_use, k->word);
	}
}

/* ---- one mailbox ---- */

struct pieces {
	unsigned told, allowed;
};

static bool
count_piece(void *arg, uint64_t messages)
{
	struct pieces *p = arg;

	(void)messages;
	return ++p->told < p->allowed;
}

static void
test_the_old_ones_alone(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id box = fx_box(anna, "Trash");
	struct expunge_old x = { .v = fx_v, .who = { .protocol = PROTO_SYSTEM },
	                         .before = (int64_t)time(NULL) - DAY };
	struct err e = ERR_INIT;

	(void)state;
	fill(box, 10);
	make_older(box, 3, 4, 2 * DAY);
	make_older(box, 7, 7, DAY + 60);
	make_older(box, 8, 8, DAY - 60);
	x.dry_run = true;
	assert_int_equal(expunge_old(&x, box, &e), RC_OK);
	assert_int_equal(x.messages, 3);
	assert_int_equal(x.bytes, 3 * strlen(TEST_MAIL));
	assert_int_equal(left_in(anna, "Trash"), 10);
	x.dry_run = false;
	assert_int_equal(expunge_old(&x, box, &e), RC_OK);
	assert_int_equal(x.messages, 6);                /* added to */
	assert_int_equal(left_in(anna, "Trash"), 7);
	x.messages = 0;
	assert_int_equal(expunge_old(&x, box, &e), RC_OK);
	assert_int_equal(x.messages, 0);
}

static void
test_in_pieces_that_stay_done(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id box = fx_box(anna, "Trash");
	struct pieces p = { .allowed = 1 };
	struct expunge_old x = { .v = fx_v, .who = { .protocol = PROTO_SYSTEM },
	                         .before = (int64_t)time(NULL) + 3600,
		                 .progress = count_piece, .arg = &p };
	struct err e = ERR_INIT;

	(void)state;
	fill(box, 1100);
	assert_int_equal(expunge_old(&x, box, &e), RC_CANCELLED);
	assert_int_equal(x.messages, 500);
	assert_int_equal(left_in(anna, "Trash"), 600);
	p = (struct pieces){ .allowed = 100 };
	e = (struct err)ERR_INIT;
	assert_int_equal(expunge_old(&x, box, &e), RC_OK);
	assert_int_equal(p.told, 2);
	assert_int_equal(x.messages, 1100);
	assert_int_equal(left_in(anna, "Trash"), 0);
}

/* ---- all accounts by rules ---- */

static enum rc
run(const char *mailbox, uint64_t age_s, bool stopped)
{
	struct autoexpunge rules = { .count = 1, .rules[0].age_s = age_s };
	atomic_bool stop = stopped;
	struct err e = ERR_INIT;

	(void)snprintf(rules.rules[0].mailbox, sizeof rules.rules[0].mailbox, "%s", mailbox);
	return autoexpunge_run(fx_v, &rules, &stop, &e);
}

static account_id
account_with_old(const char *name, uint32_t messages)
{
	account_id id = fx_account(name);
	mailbox_id box = fx_box(id, "Trash");

	fx_append_n(box, messages);
	make_older(box, 1, UINT32_MAX, 2 * DAY);
	return id;
}

static void
test_by_rule(void **state)
{
	account_id anna = account_with_old("anna", 3), ben = account_with_old("ben", 2);
	mailbox_id junk = fx_box(anna, "Junk");

	(void)state;
	fx_append_n(junk, 1);
	make_older(junk, 1, 1, 2 * DAY);
	assert_int_equal(run("\\Trash", 3 * (uint64_t)DAY, false), RC_OK);
	assert_int_equal(left_in(anna, "Trash"), 3);
	assert_int_equal(run("\\Trash", UINT64_MAX, false), RC_OK);     /* older than time itself */
	assert_int_equal(left_in(anna, "Trash"), 3);
	assert_int_equal(run("\\Trash", (uint64_t)DAY, true), RC_CANCELLED);
	assert_int_equal(left_in(anna, "Trash"), 3);
	assert_int_equal(run("\\Trash", (uint64_t)DAY, false), RC_OK);
	assert_int_equal(left_in(anna, "Trash"), 0);
	assert_int_equal(left_in(ben, "Trash"), 0);
	assert_int_equal(left_in(anna, "Junk"), 1);
}

/* One that is on its way to another volume is left for the next time, the others are not. */
static void
test_an_account_that_moves_waits(void **state)
{
	account_id anna = account_with_old("anna", 3), ben = account_with_old("ben", 2);

	(void)state;
	atomic_store(&fx_v->frozen, anna);
	assert_int_equal(run("Trash", (uint64_t)DAY, false), RC_OK);
	assert_int_equal(left_in(anna, "Trash"), 3);
	assert_int_equal(left_in(ben, "Trash"), 0);
	atomic_store(&fx_v->frozen, 0);
	assert_int_equal(run("Trash", (uint64_t)DAY, false), RC_OK);
	assert_int_equal(left_in(anna, "Trash"), 0);
}

/* They are read a hundred at a time: the last one is not forgotten, nor the hundredth. */
static void
test_many_accounts(void **state)
{
	account_id last = 0, hundredth = 0;
	char name[16];

	(void)state;
	for (unsigned i = 0; i <= 100; i++) {
		(void)snprintf(name, sizeof name, "user%03u", i);
		if (i == 99)
			hundredth = account_with_old(name, 1);
		else if (i == 100)
			last = account_with_old(name, 1);
		else
			(void)fx_account(name);
	}
	assert_int_equal(run("Trash", (uint64_t)DAY, false), RC_OK);
	assert_int_equal(left_in(hundredth, "Trash"), 0);
	assert_int_equal(left_in(last, "Trash"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_the_old_ones_alone, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_in_pieces_that_stay_done, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_by_rule, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_an_account_that_moves_waits, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_many_accounts, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
