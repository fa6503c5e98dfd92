/* test_changed_order - what changed is found by an index of changed messages and by the order of UIDs: held against a
 * reading of every row, in mailboxes that came about at random; messages that do not come in the order of MODSEQs, as
 * those of an account that is moved here, are among them. */
#include "tests/unit/volume_fixture.h"

#include <sqlite3.h>

#define STEPS 120

static mailbox_id boxes[2];
static account_id anna;
static uint64_t   seed;

static uint32_t
below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % n);
}

static struct mailbox_info
info(unsigned i)
{
	return fx_mailbox(anna, i == 0 ? "INBOX" : "Other");
}

static void
compare(unsigned i, mail_modseq since, mail_uid uidnext)
{
	struct view_changes vc;
	struct err e = ERR_INIT;
	size_t count, n = 0;
	mail_modseq last = 0;
	const struct message_row *rows = fx_rows(boxes[i], 0, &count);

	assert_int_equal(volume_read_changes(fx_v, boxes[i], since, since, uidnext, 1u << 20,
	                                     &fx_arena, &vc, &e), RC_OK);
	assert_false(vc.more);
	for (size_t k = 0; k < count; k++) {
		bool want = rows[k].modseq > since && rows[k].uid < uidnext, got = false;

		for (size_t c = 0; c < vc.changed_count; c++)
			if (vc.changed[c].uid == rows[k].uid) {
				assert_int_equal(vc.changed[c].modseq, rows[k].modseq);
				got = true;
			}
		assert_int_equal(got, want);
		n += want;
	}
	assert_int_equal(vc.changed_count, n);
	for (size_t c = 0; c < vc.changed_count; c++) {
		assert_true(vc.changed[c].modseq >= last);
		last = vc.changed[c].modseq;
	}
	view_changes_fini(&vc);
}

static void
compare_found(unsigned i, mail_modseq since)
{
	struct uid_set all, got;
	struct err e = ERR_INIT;
	size_t count, n = 0;
	mail_uid from = 1;
	const struct message_row *rows = fx_rows(boxes[i], 0, &count);

	uid_set_init(&all, 1);
	uid_set_init(&got, 4096);
	assert_true(uid_set_add(&all, 1, UINT32_MAX));
	assert_int_equal(volume_find_changed(fx_v, boxes[i], &all, since, &from, &got, &e), RC_OK);
	for (size_t k = 0; k < count; k++) {
		assert_int_equal(uid_set_contains(&got, rows[k].uid), rows[k].modseq > since);
		n += rows[k].modseq > since;
	}
	assert_int_equal(uid_set_size(&got), n);
	uid_set_fini(&all);
	uid_set_fini(&got);
}

static void
compare_all(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct mailbox_info m = info(i);

		for (unsigned k = 0; k < 6; k++) {
			mail_modseq since = k == 0 ? 0 : m.highestmodseq - below(k < 4 ? 4 : 30);

			since = since > m.highestmodseq ? 0 : since;
			compare(i, since, k % 2 == 0 ? m.uidnext : 1 + below(m.uidnext));
			compare_found(i, since);
		}
	}
	arena_reset(&fx_arena);
}

/* A message that comes as those of an account from elsewhere do: with the MODSEQ that it has. */
static void
adopt(unsigned i)
{
	struct mailbox_info m = info(i);
	struct change *c = fx_change(CHANGE_ADOPT);
	struct message_row row = {
		.uid = below(2) == 0 ? m.uidnext + below(3) : 1 + below(m.uidnext + 3),
		.modseq = below(2) == 0 ? m.highestmodseq + below(3)
		                        : 1 + below((uint32_t)m.highestmodseq + 1),
		.keywords = SLICE(""),
	};
	struct adopt_message am = { .row = &row, .content = fx_ingest(SLICE(TEST_MAIL)) };

	c->u.adopt = (struct change_adopt){ .step = ADOPT_MESSAGES, .account = anna,
		                            .mailbox = boxes[i], .messages = &am,
		                            .message_count = 1 };
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	change_free(&c);
}

static void
step(bool strangers)
{
	unsigned i = below(2);
	mail_uid uidnext = info(i).uidnext, first = 1 + below(uidnext),
	         last = first + below(below(2) == 0 ? 3 : 30);

	switch (below(strangers ? 7 : 6)) {
	case 0:
		(void)fx_append(boxes[i], SLICE(TEST_MAIL), below(2) == 0 ? FLAG_SEEN : 0, "");
		break;
	case 1:
		(void)fx_store(boxes[i], first, last, STORE_REPLACE, below(32), below(4) == 0 ? "a" : "");
		break;
	case 2:
		(void)fx_store(boxes[i], first, first, STORE_ADD, 1u << below(5), "");
		break;
	case 3:
		(void)fx_expunge(boxes[i], first, first + below(4));
		break;
	case 4:
		(void)fx_run(fx_make_copy(CHANGE_COPY, boxes[i], first, last, boxes[below(2)]));
		break;
	case 5:
		(void)fx_run(fx_make_copy(CHANGE_MOVE, boxes[i], first, last, boxes[1 - i]));
		break;
	case 6:
		adopt(i);
		break;
	}
}

/* Of a closed index. */
static int64_t
count_of(const char *sql)
{
	char path[300];
	sqlite3_stmt *q;
	sqlite3 *h;
	int64_t n;

	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int64(q, 0);
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	assert_int_equal(sqlite3_close(h), SQLITE_OK);
	return n;
}

/* Of its own messages none comes out of order, neither when they come nor when they are read from the log. */
static void
build_anew(bool strangers)
{
	static const char changed[] = "SELECT count(*) FROM message WHERE changed",
	                  disorder[] = "SELECT count(*) FROM mailbox WHERE ordered_from != 0";
	char path[300];
	int64_t was;

	volume_close(&fx_v);
	was = count_of(changed);
	assert_int_equal(count_of(disorder) == 0, !strangers);
	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	assert_int_equal(unlink(path), 0);
	fx_reopen();
	volume_close(&fx_v);
	assert_int_equal(count_of(changed), was);
	assert_int_equal(count_of(disorder) == 0, !strangers);
	fx_open();
}

static void
run(bool strangers)
{
	anna = fx_account("anna");
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "Other", ""), RC_OK);
	boxes[0] = fx_box(anna, "INBOX");
	boxes[1] = fx_box(anna, "Other");
	fx_append_n(boxes[0], 20);
	for (int n = 0; n < STEPS; n++) {
		step(strangers);
		compare_all();
	}
	build_anew(strangers);
	compare_all();
	for (int n = 0; n < STEPS / 4; n++) {
		step(strangers);
		compare_all();
	}
}

static void
test_in_order(void **state)
{
	(void)state;
	seed = 5;
	run(false);
}

static void
test_strangers(void **state)
{
	(void)state;
	seed = 11;
	run(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_strangers, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests_name("changed_order", tests, NULL, NULL);
}
