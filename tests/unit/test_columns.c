/* test_columns - what a search reads from memory, held against the rows of the index after every
 * kind of change. */
#include "tests/unit/volume_fixture.h"

#include "index/columns.h"
#include "lib/nowait.h"

#define MESSAGES 300u
#define ROUNDS   200

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

static struct columns *
take(void)
{
	struct columns *c = columns_take(fx_v, inbox, COLUMNS_ANEW);
	struct err e = ERR_INIT;
	bool done = false;

	assert_non_null(c);
	while (!done)
		assert_int_equal(columns_refresh(fx_v, c, &done, &e), RC_OK);
	return c;
}

static void
expect_row(const struct columns *c, const struct column_row *got, const struct message_row *want)
{
	assert_int_equal(got->uid, want->uid);
	assert_int_equal(got->flags, want->flags);
	assert_int_equal(columns_modseq(c, got), want->modseq);
	assert_int_equal(got->internaldate, want->internaldate.sec);
	assert_int_equal(got->zone, want->internaldate.zone_min);
	assert_int_equal(got->savedate, want->savedate.sec);
	assert_int_equal(got->savezone, want->savedate.zone_min);
	assert_int_equal(got->threadid, want->threadid);
	assert_int_equal(got->size, want->size);
	assert_true(slice_eq(columns_keywords(c, got), want->keywords));
}

static void
expect_same(const struct columns *c)
{
	size_t count, n;
	struct message_row *rows = fx_rows(inbox, 0, &count);
	const struct column_row *got = columns_rows(c, &n);

	assert_int_equal(n, count);
	for (size_t i = 0; i < n; i++) {
		expect_row(c, &got[i], &rows[i]);
		assert_int_equal(columns_seek(c, rows[i].uid), i);
	}
	arena_reset(&fx_arena);
}

static void
change_something(void)
{
	static const char *const words[] = { "", "Work", "$Junk late", "Work late" };
	mail_uid end = fx_mailbox(anna, "INBOX").uidnext;
	mail_uid first = (mail_uid)rand() % end + 1, last = first + (mail_uid)rand() % 9;

	switch (rand() % 5) {
	case 0:
		(void)fx_store(inbox, first, last, STORE_ADD, 1u << rand() % 5, words[rand() % 4]);
		break;
	case 1:
		(void)fx_store(inbox, first, last, STORE_REPLACE, 1u << rand() % 5,
		               words[rand() % 4]);
		break;
	case 2:
		(void)fx_expunge(inbox, first, first + (last - first) / 2);
		break;
	case 3:
		fx_append_n(inbox, 2);
		break;
	case 4:
		assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, first, last, inbox)),
		                 RC_OK);
		break;
	}
}

static void
test_follows(void **state)
{
	(void)state;
	srand(7);
	for (int i = 0; i < ROUNDS; i++) {
		struct columns *c = take();

		expect_same(c);
		columns_give(fx_v, &c);
		for (int n = rand() % 4; n > 0; n--)
			change_something();
	}
}

static struct slice
text_of(const struct columns *c, mail_uid uid)
{
	size_t n, i = columns_seek(c, uid);
	const struct column_row *rows = columns_rows(c, &n);
	struct slice text = SLICE("unknown");

	assert_true(i < n && rows[i].uid == uid);
	(void)columns_text(c, &rows[i], &text);
	return text;
}

static void
test_learns(void **state)
{
	struct columns *c = take();

	(void)state;
	assert_true(slice_eq(text_of(c, 5), SLICE("unknown")));
	columns_learn(fx_v, c, 5, SLICE("tea"));
	columns_learn(fx_v, c, 7, SLICE("cake"));
	columns_learn(fx_v, c, 9, SLICE(""));
	columns_learn(fx_v, c, 1000000, SLICE("nobody"));
	columns_give(fx_v, &c);
	(void)fx_store(inbox, 7, 7, STORE_ADD, FLAG_SEEN, "");
	(void)fx_expunge(inbox, 1, 5);
	fx_append_n(inbox, 1);
	c = take();
	assert_true(slice_eq(text_of(c, 7), SLICE("cake")));
	assert_true(slice_eq(text_of(c, 9), SLICE("")));
	assert_true(slice_eq(text_of(c, 8), SLICE("unknown")));
	expect_same(c);
	columns_give(fx_v, &c);
}

/* What is known of a STORE needs not be read, if nothing came between. */
static void
test_peeks(void **state)
{
	struct columns *c = take();
	struct message_row rows[STORE_ROWS_MAX];
	mail_modseq at = columns_at(c);
	struct uid_set few;

	(void)state;
	uid_set_init(&few, 8);
	assert_true(uid_set_add(&few, 3, 4) && uid_set_add(&few, 7, 7));
	assert_false(columns_peek(fx_v, inbox, at, &few, &fx_arena, rows));     /* somebody has them */
	columns_give(fx_v, &c);
	assert_true(columns_peek(fx_v, inbox, at, &few, &fx_arena, rows));
	assert_false(columns_peek(fx_v, inbox, at + 1, &few, &fx_arena, rows));
	assert_false(columns_peek(fx_v, inbox, 0, &few, &fx_arena, rows));
	(void)fx_store(inbox, 4, 6, STORE_ADD, FLAG_DRAFT, "");
	assert_false(columns_peek(fx_v, inbox, at, &few, &fx_arena, rows));
	assert_true(columns_peek(fx_v, inbox, at + 1, &few, &fx_arena, rows));
	assert_int_equal(rows[1].uid, 4);
	assert_int_equal(rows[1].flags & FLAG_DRAFT, FLAG_DRAFT);
	assert_int_equal(rows[1].modseq, at + 1);
	assert_int_equal(rows[2].uid, 7);
	assert_int_equal(rows[2].flags & FLAG_DRAFT, 0);
	assert_true(rows[2].modseq <= at);
	(void)fx_store(inbox, 4, 4, STORE_ADD, 0, "other");     /* what is not known of a set is read */
	assert_false(columns_peek(fx_v, inbox, at + 2, &few, &fx_arena, rows));
	(void)fx_store(inbox, 3, 3, STORE_ADD, FLAG_DRAFT, "");
	assert_false(columns_peek(fx_v, inbox, at + 3, &few, &fx_arena, rows));
	c = take();
	expect_same(c);
	columns_give(fx_v, &c);
	assert_true(columns_peek(fx_v, inbox, at + 3, &few, &fx_arena, rows));
	assert_true(slice_eq(rows[1].keywords, SLICE("other")));
	(void)fx_expunge(inbox, 3, 3);
	c = take();
	columns_give(fx_v, &c);
	assert_false(columns_peek(fx_v, inbox, at + 4, &few, &fx_arena, rows));
	uid_set_fini(&few);
	arena_reset(&fx_arena);
}

static void
expect_at(mail_modseq at, mail_uid uid, bool there)
{
	struct message_row row;
	struct uid_set one;

	uid_set_init(&one, 1);
	assert_true(uid_set_add(&one, uid, uid));
	assert_int_equal(columns_peek(fx_v, inbox, at, &one, &fx_arena, &row), there);
	uid_set_fini(&one);
	arena_reset(&fx_arena);
}

/* Nor of messages that came or went. */
static void
test_follows_unread(void **state)
{
	struct columns *c = take();
	mail_modseq at = columns_at(c);
	mail_uid next = fx_mailbox(anna, "INBOX").uidnext;
	mailbox_id trash = fx_box(anna, "Trash");

	(void)state;
	columns_give(fx_v, &c);
	fx_append(inbox, SLICE("Subject: new\r\n\r\nx\r\n"), FLAG_FLAGGED, "");
	expect_at(at + 1, next, true);
	(void)fx_expunge(inbox, 9, 12);
	expect_at(at + 2, 9, false);
	expect_at(at + 2, 12, false);
	expect_at(at + 2, 13, true);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, 20, 20, trash)), RC_OK);
	expect_at(at + 3, 20, false);
	expect_at(at + 3, 21, true);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 21, 21, trash)), RC_OK);
	expect_at(at + 3, 21, true);
	c = columns_take(fx_v, inbox, COLUMNS_KEPT);
	assert_int_equal(columns_at(c), fx_mailbox(anna, "INBOX").highestmodseq);
	expect_same(c);
	columns_give(fx_v, &c);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, 30, 30, inbox)), RC_OK);
	c = take();
	expect_same(c);
	columns_give(fx_v, &c);
	fx_append(inbox, SLICE("Subject: new\r\n\r\nx\r\n"), 0, "word");
	c = take();
	expect_same(c);
	columns_give(fx_v, &c);
}

/* Of two the newer ones stay, whichever comes back first. */
static void
test_two(void **state)
{
	struct columns *old, *now;

	(void)state;
	assert_null(columns_take(fx_v, inbox, COLUMNS_KEPT));
	for (int round = 0; round < 2; round++) {
		old = take();
		fx_append_n(inbox, 1);
		now = take();
		columns_learn(fx_v, now, 6, SLICE("newer"));
		columns_give(fx_v, round == 0 ? &old : &now);
		columns_give(fx_v, round == 0 ? &now : &old);
		now = columns_take(fx_v, inbox, COLUMNS_KEPT);
		assert_non_null(now);
		assert_true(slice_eq(text_of(now, 6), SLICE("newer")));
		(void)fx_store(inbox, 3, 3, round == 0 ? STORE_ADD : STORE_REMOVE, FLAG_SEEN, "");
		columns_give(fx_v, &now);
		now = take();
		expect_same(now);
		columns_give(fx_v, &now);
	}
}

static enum columns_found
find(size_t *rows)
{
	return columns_find(fx_v, inbox, rows);
}

/* Who would rather read rows than make a second one. */
static void
test_first(void **state)
{
	struct columns *c, *other;
	size_t rows;

	(void)state;
	assert_int_equal(find(&rows), COLUMNS_NONE);
	c = columns_take(fx_v, inbox, COLUMNS_FIRST);
	assert_non_null(c);
	assert_int_equal(find(&rows), COLUMNS_TAKEN);
	assert_null(columns_take(fx_v, inbox, COLUMNS_FIRST));
	columns_give(fx_v, &c);                 /* not read: not kept */
	assert_int_equal(find(&rows), COLUMNS_NONE);
	c = take();
	other = take();
	columns_give(fx_v, &c);
	assert_int_equal(find(&rows), COLUMNS_FREE);
	assert_int_equal(rows, fx_mailbox(anna, "INBOX").exists);
	c = columns_take(fx_v, inbox, COLUMNS_FIRST);
	assert_non_null(c);
	columns_give(fx_v, &other);
	columns_give(fx_v, &c);
	assert_int_equal(find(&rows), COLUMNS_FREE);
}

/* Who may not wait takes over what is little, and loses nothing by what is not. */
static void
test_without_waiting(void **state)
{
	struct columns *c = columns_take(fx_v, inbox, COLUMNS_ANEW);
	struct err e = ERR_INIT;
	bool done;

	(void)state;
	nowait_begin();
	assert_int_equal(columns_refresh(fx_v, c, &done, &e), RC_WAIT);
	assert_true(nowait_end());
	columns_give(fx_v, &c);
	c = take();
	(void)fx_store(inbox, 3, 9, STORE_ADD, FLAG_FLAGGED, "green");
	(void)fx_expunge(inbox, 5, 6);
	nowait_begin();
	if (columns_refresh(fx_v, c, &done, &e) == RC_OK) {
		assert_true(done);
		assert_false(nowait_end());
		expect_same(c);
	} else {
		assert_true(nowait_end());
	}
	fx_append_n(inbox, 400);
	nowait_begin();
	assert_int_equal(columns_refresh(fx_v, c, &done, &e), RC_WAIT);
	assert_true(nowait_end());
	assert_int_not_equal(columns_at(c), 0);
	columns_give(fx_v, &c);
	c = take();
	expect_same(c);
	columns_give(fx_v, &c);
}

/* More than are read in one piece: half of them are as of no time, and not kept. */
static void
test_many(void **state)
{
	struct columns *c = columns_take(fx_v, inbox, COLUMNS_ANEW);
	struct err e = ERR_INIT;
	bool done;

	(void)state;
	while (fx_mailbox(anna, "INBOX").exists <= 20000)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, UINT32_MAX, inbox)), RC_OK);
	assert_int_equal(columns_refresh(fx_v, c, &done, &e), RC_OK);
	assert_false(done);
	assert_int_equal(columns_at(c), 0);
	columns_give(fx_v, &c);
	assert_null(columns_take(fx_v, inbox, COLUMNS_KEPT));
	c = take();
	assert_int_equal(columns_at(c), fx_mailbox(anna, "INBOX").highestmodseq);
	expect_same(c);
	columns_give(fx_v, &c);
}

/* Expunges that are not remembered, and changes that are too many to be taken over. */
static void
test_read_again(void **state)
{
	struct columns *c = take();
	struct change *prune = fx_change(CHANGE_PRUNE);

	(void)state;
	columns_give(fx_v, &c);
	(void)fx_expunge(inbox, 20, 60);
	prune->u.prune.mailbox = inbox;
	prune->u.prune.floor = fx_mailbox(anna, "INBOX").highestmodseq;
	assert_int_equal(fx_run(prune), RC_OK);
	c = take();
	expect_same(c);
	columns_give(fx_v, &c);
	fx_reopen();
	c = take();
	expect_same(c);
	columns_give(fx_v, &c);
}

/* No text of a message stays that is removed for good. */
static void
test_purged(void **state)
{
	struct columns *c, *other;
	struct change *purge = fx_change(CHANGE_PURGE);
	struct message_row *rows;
	size_t n;

	(void)state;
	fx_append(inbox, SLICE("Subject: secret\r\n\r\nx\r\n"), 0, "");
	rows = fx_rows(inbox, 0, &n);
	purge->u.purge.blob = rows[n - 1].blob;
	purge->u.purge.reason = SLICE("");
	c = take();
	columns_learn(fx_v, c, rows[n - 1].uid, SLICE("secret"));
	other = take();
	columns_give(fx_v, &c);
	(void)fx_expunge(inbox, rows[n - 1].uid, rows[n - 1].uid);
	assert_int_equal(fx_run(purge), RC_OK);
	assert_null(columns_take(fx_v, inbox, COLUMNS_KEPT));
	columns_give(fx_v, &other);
	assert_null(columns_take(fx_v, inbox, COLUMNS_KEPT));
	c = take();
	expect_same(c);
	columns_give(fx_v, &c);
}

static void
test_deleted_mailbox(void **state)
{
	struct change *delete = fx_change(CHANGE_MAILBOX_DELETE);
	struct err e = ERR_INIT;
	struct columns *c;
	bool done;
	size_t n;

	(void)state;
	inbox = fx_box(anna, "Drafts");
	fx_append_n(inbox, 3);
	c = take();
	delete->u.mailbox.account = anna;
	delete->u.mailbox.name = SLICE("Drafts");
	assert_int_equal(fx_run(delete), RC_OK);
	assert_int_equal(columns_refresh(fx_v, c, &done, &e), RC_OK);
	assert_true(done);
	(void)columns_rows(c, &n);
	assert_int_equal(n, 0);
	columns_give(fx_v, &c);
	assert_null(columns_take(fx_v, inbox, COLUMNS_KEPT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_follows, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_learns, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_peeks, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_follows_unread, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_two, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_first, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_without_waiting, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_read_again, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_purged, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_deleted_mailbox, setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
