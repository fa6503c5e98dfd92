/* move: an account in another volume is what it was, and a cut at any step leaves one owner. */
#include "index/move.h"
#include "tests/unit/describe.h"
#include "tests/unit/volume_fixture.h"

static struct volume *other;
static char           other_dir[300];

static void
open_other(void)
{
	struct volume_params p = { .name = "v2", .path = other_dir, .mode = VOLUME_WRITE,
	                           .report = { NULL, fx_found } };
	struct err e = ERR_INIT;

	if (volume_open(&p, &other, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static int
setup(void **state)
{
	struct err e = ERR_INIT;

	fx_setup(state);
	(void)snprintf(other_dir, sizeof other_dir, "%s/other", fx_dir);
	assert_int_equal(volume_create(other_dir, &e), RC_OK);
	open_other();
	return 0;
}

static int
teardown(void **state)
{
	volume_close(&other);
	return fx_teardown(state);
}

static account_id
make_account(void)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX"), sent = fx_box(anna, "Sent");
	const mailbox_id both[] = { inbox, sent };

	fx_append_n(inbox, 150);
	{
		struct change *c = fx_make_append(both, 2, SLICE(TEST_MAIL), 0, "");

		assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
		change_free(&c);
	}
	fx_store(inbox, 3, 9, STORE_ADD, FLAG_SEEN, "$Junk Work");
	fx_expunge(inbox, 20, 30);
	fx_expunge(inbox, 151, 151);
	fx_append(sent, SLICE("Subject: other\r\n\r\nbody\r\n"), FLAG_FLAGGED, "");
	return anna;
}

static uint64_t
differences(struct volume *v)
{
	struct check_result r;
	struct err e = ERR_INIT;

	if (volume_check(v, NULL, NULL, NULL, &r, &e) != RC_OK)
		fail_msg("%s", e.text);
	return r.damage + r.differences;
}

static void
test_moves(void **state)
{
	account_id anna = make_account();
	struct account_info info;
	struct move_result r;
	struct err e = ERR_INIT;
	struct buf before, after;
	uint32_t removed;

	(void)state;
	buf_init(&before, 8u << 20);
	buf_init(&after, 8u << 20);
	describe_account(fx_v, SLICE("anna"), false, &before);
	if (move_account(fx_v, other, anna, NULL, NULL, &r, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(r.mailboxes, 6);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e),
	                 RC_NOT_FOUND);
	describe_account(other, SLICE("anna"), false, &after);
	assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
	assert_int_equal(differences(fx_v) + differences(other), 0);
	{
		struct volume *const both[] = { fx_v, other };

		assert_int_equal(move_settle(both, 2, &removed, &e), RC_OK);
		assert_int_equal(removed, 0);
	}
	/* And back, where the old ids are taken. */
	assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(info.generation, 2);
	assert_int_equal(move_account(other, fx_v, info.id, NULL, NULL, &r, &e), RC_OK);
	buf_reset(&after);
	describe_account(fx_v, SLICE("anna"), false, &after);
	assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
	buf_fini(&before);
	buf_fini(&after);
}

static unsigned steps_left;

static bool
stop_after(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return steps_left-- > 0;
}

static void
test_cancelled(void **state)
{
	account_id anna = make_account();
	struct account_info info;
	struct move_result r;
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		steps_left = k;
		assert_int_equal(move_account(fx_v, other, anna, stop_after, NULL, &r, &e),
		                 RC_CANCELLED);
		assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e),
		                 RC_NOT_FOUND);
		fx_append_n(fx_box(anna, "INBOX"), 1);          /* it takes mail again */
	}
	assert_int_equal(differences(fx_v) + differences(other), 0);
}

/* The progress calls try what others might do meanwhile. */
static bool
disturb(void *arg, uint64_t done, uint64_t total)
{
	const mailbox_id *box = arg;
	struct change *c = fx_make_append(box, 1, SLICE(TEST_MAIL), 0, "");
	struct change *s = fx_make_store(*box, 1, 1, STORE_ADD, FLAG_FLAGGED, "");

	(void)done, (void)total;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_BUSY);
	assert_int_equal(volume_submit_wait(fx_v, s), RC_BUSY);
	change_free(&c);
	change_free(&s);
	return true;
}

static void
test_changes_wait(void **state)
{
	account_id anna = make_account(), ben = fx_account("ben");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct move_result r;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(move_account(fx_v, other, anna, disturb, &inbox, &r, &e), RC_OK);
	fx_append_n(fx_box(ben, "INBOX"), 1);
}

static struct ingested *
take(const struct message_row *row)
{
	struct ingested *content;
	struct ingest *in;
	struct buf bytes;
	struct err e = ERR_INIT;

	buf_init(&bytes, 1 << 20);
	assert_int_equal(ingest_new(other, 0, &in, &e), RC_OK);
	assert_int_equal(volume_read_blob(fx_v, &row->place, 0, row->size, &bytes, &e), RC_OK);
	assert_int_equal(ingest_feed(in, buf_slice(&bytes), &e), RC_OK);
	assert_int_equal(ingest_finish(&in, &content, &e), RC_OK);
	buf_fini(&bytes);
	return content;
}

static void
adopt_messages(const struct account_info *from, account_id copy, mailbox_id box, mailbox_id twin)
{
	struct message_row *rows;
	struct uid_set all;
	struct err e = ERR_INIT;
	size_t n;

	uid_set_init(&all, 1);
	assert_true(uid_set_add(&all, 1, UINT32_MAX));
	assert_int_equal(volume_read_messages(fx_v, box, &all, 1, 1000, WANT_PLACE, &fx_arena, &rows,
	                                      &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++) {
		struct change *c = change_new(CHANGE_ADOPT);
		struct adopt_message m = { .row = &rows[i], .content = take(&rows[i]) };

		c->u.adopt = (struct change_adopt){ .step = ADOPT_MESSAGES, .from = from,
		                                    .account = copy, .mailbox = twin,
		                                    .messages = &m, .message_count = 1 };
		assert_int_equal(volume_submit_wait(other, c), RC_OK);
		change_free(&c);
	}
	uid_set_fini(&all);
}

static void
adopt_mailboxes(const struct account_info *from, account_id copy)
{
	struct mailbox_info *list;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(volume_list_mailboxes(fx_v, from->id, &fx_arena, &list, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++) {
		struct change *c = change_new(CHANGE_ADOPT);
		mailbox_id twin;

		c->u.adopt.step = ADOPT_MAILBOX;
		c->u.adopt.from = from;
		c->u.adopt.account = copy;
		c->u.adopt.box = &list[i];
		assert_int_equal(volume_submit_wait(other, c), RC_OK);
		twin = c->u.adopt.mailbox;
		change_free(&c);
		adopt_messages(from, copy, list[i].id, twin);
	}
}

/* An account as a move that was cut has it at the other volume. */
static void
adopt(account_id anna, bool finished)
{
	struct change *c = change_new(CHANGE_ADOPT);
	struct account_info from;
	struct err e = ERR_INIT;
	account_id copy;

	assert_int_equal(volume_get_account(fx_v, anna, &fx_arena, &from, &e), RC_OK);
	c->u.adopt.step = ADOPT_BEGIN;
	c->u.adopt.from = &from;
	assert_int_equal(volume_submit_wait(other, c), RC_OK);
	copy = c->u.adopt.account;
	change_free(&c);
	if (!finished)
		return;
	adopt_mailboxes(&from, copy);
	c = change_new(CHANGE_ADOPT);
	c->u.adopt.step = ADOPT_END;
	c->u.adopt.from = &from;
	c->u.adopt.account = copy;
	assert_int_equal(volume_submit_wait(other, c), RC_OK);
	change_free(&c);
}

static void
settle(uint32_t want)
{
	struct volume *const both[] = { fx_v, other };
	struct err e = ERR_INIT;
	uint32_t removed;

	volume_close(&other);
	open_other();
	assert_int_equal(move_settle((struct volume *const[]){ both[0], other }, 2, &removed, &e),
	                 RC_OK);
	assert_int_equal(removed, want);
}

static void
test_settle(void **state)
{
	account_id anna = make_account();
	struct account_info info;
	struct err e = ERR_INIT;

	(void)state;
	adopt(anna, false);
	assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e),
	                 RC_NOT_FOUND);
	settle(1);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	adopt(anna, true);
	settle(1);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e),
	                 RC_NOT_FOUND);
	assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	settle(0);
}

/* Made while the owner's volume was away: no leftover of a move. */
static void
test_a_namesake_stays(void **state)
{
	account_id anna = make_account();
	struct account_info info;
	struct err e = ERR_INIT;

	(void)state;
	adopt(anna, true);
	settle(1);
	fx_append_n(fx_box(fx_account("anna"), "INBOX"), 2);
	settle(0);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(info.used_messages, 2);
	assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
}

/* It was found, and took mail, while the owner's volume was away. */
static void
test_a_predecessor_that_served_stays(void **state)
{
	account_id anna = make_account();
	struct account_info info;
	struct err e = ERR_INIT;

	(void)state;
	adopt(anna, true);
	fx_append_n(fx_box(anna, "INBOX"), 1);
	settle(0);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(info.id, anna);
	assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
}

/* Makes the twin's expunge floor higher than any MODSEQ of the first volume. */
static void
raise_floor(mailbox_id twin)
{
	struct volume *const first = fx_v;
	struct change *c = change_new(CHANGE_PRUNE);
	struct mailbox_info info;
	struct err e = ERR_INIT;

	fx_v = other;
	fx_store(twin, 1, 1, STORE_ADD, FLAG_FLAGGED, "");
	fx_v = first;
	assert_int_equal(volume_get_mailbox(other, twin, &fx_arena, &info, &e), RC_OK);
	c->u.prune = (struct change_prune){ .mailbox = twin, .floor = info.highestmodseq };
	assert_int_equal(volume_submit_wait(other, c), RC_OK);
	change_free(&c);
}

/* Pruning has raised what the owner's mailboxes say of expunges above all that the predecessor did
 * while the owner was away: its mail is still its own. */
static void
test_a_raised_floor_deletes_no_mail(void **state)
{
	account_id anna = make_account();
	struct account_info info;
	struct mailbox_info *list;
	struct err e = ERR_INIT;
	size_t n;

	(void)state;
	adopt(anna, true);
	fx_append_n(fx_box(anna, "INBOX"), 1);
	volume_close(&other);
	open_other();
	assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(volume_list_mailboxes(other, info.id, &fx_arena, &list, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++)
		raise_floor(list[i].id);
	settle(0);
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(info.id, anna);
}

/* A new thread is not called as one that came along. */
static void
test_thread_names(void **state)
{
	account_id anna = fx_account("anna");
	struct account_info info;
	struct mailbox_info box;
	struct message_row *rows;
	struct move_result r;
	struct err e = ERR_INIT;
	struct uid_set all;
	size_t n;

	(void)state;
	uid_set_init(&all, 1);
	assert_true(uid_set_add(&all, 1, UINT32_MAX));
	for (int i = 0; i < 40; i++) {
		char mail[128];

		(void)snprintf(mail, sizeof mail, "Message-ID: <a%d@example.org>\r\n\r\nx\r\n", i);
		fx_append(fx_box(anna, "INBOX"), slice_str(mail), 0, "");
	}
	assert_int_equal(move_account(fx_v, other, anna, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(volume_find_account(other, SLICE("anna"), &fx_arena, &info, &e), RC_OK);
	assert_int_equal(volume_find_mailbox(other, info.id, SLICE("INBOX"), &fx_arena, &box, &e),
	                 RC_OK);
	for (int i = 0; i < 40; i++) {
		struct volume *first = fx_v;
		char mail[128];

		(void)snprintf(mail, sizeof mail, "Message-ID: <b%d@example.org>\r\n\r\nx\r\n", i);
		fx_v = other;
		fx_append(box.id, slice_str(mail), 0, "");
		fx_v = first;
	}
	assert_int_equal(volume_read_messages(other, box.id, &all, 1, 100, 0, &fx_arena, &rows, &n,
	                                      &e),
	                 RC_OK);
	assert_int_equal(n, 80);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(rows[i].threadid != rows[k].threadid);
	uid_set_fini(&all);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_moves), CASE(test_cancelled), CASE(test_changes_wait), CASE(test_settle), CASE(test_a_namesake_stays),
		CASE(test_a_predecessor_that_served_stays), CASE(test_a_raised_floor_deletes_no_mail),
		CASE(test_thread_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
