/* A place that was read a moment ago is given again to who may not wait, and no longer than the index would give it. */
#include "tests/unit/volume_fixture.h"

#include "index/place_cache.h"
#include "lib/nowait.h"

#define BOTH (WANT_PLACE | WANT_SUMMARY)

static account_id anna;
static mailbox_id inbox;

static int
setup(void **state)
{
	int rc = fx_setup(state);

	anna = fx_account("anna");
	inbox = fx_box(anna, "INBOX");
	fx_append_n(inbox, 3);
	return rc;
}

static struct message_row *
read_one(mailbox_id box, mail_uid uid, uint32_t want)
{
	struct uid_range range = { uid, uid };
	const struct uid_set one = { .ranges = &range, .count = 1 };
	struct message_row *rows;
	struct err e;
	size_t n;

	assert_int_equal(volume_read_messages(fx_v, box, &one, 1, 10, want | WANT_EXPUNGED, &fx_arena, &rows, &n, &e),
	                 RC_OK);
	return n == 1 ? rows : NULL;
}

static bool
is_kept(mailbox_id box, mail_uid uid)
{
	struct message_row row;

	return place_cache_get(fx_v, box, uid, &fx_arena, &row);
}

static struct slice
summary_of(mailbox_id box, mail_uid uid)
{
	struct message_row row = { .uid = uid };

	assert_true(place_cache_summaries(fx_v, box, &fx_arena, &row, 1));
	return row.summary;
}

static void
test_kept(void **state)
{
	struct message_row *row, again;

	(void)state;
	row = read_one(inbox, 2, BOTH | WANT_ONLY_CONTENT);
	assert_non_null(row);
	assert_true(place_cache_get(fx_v, inbox, 2, &fx_arena, &again));
	assert_int_equal(again.uid, 2);
	assert_true(again.blob == row->blob && again.size == row->size);
	assert_memory_equal(again.sha256, row->sha256, sizeof again.sha256);
	assert_true(again.place.addr.offset == row->place.addr.offset && again.place.size == row->place.size);
	assert_int_equal(again.place.chunk_count, row->place.chunk_count);
	assert_memory_equal(again.place.chunks, row->place.chunks, row->place.chunk_count * sizeof *row->place.chunks);
	assert_true(row->summary.len > 0 && slice_eq(summary_of(inbox, 2), row->summary));
	assert_false(is_kept(inbox, 1));
	assert_false(is_kept(inbox + 1, 2));
	assert_int_equal(summary_of(inbox, 1).len + summary_of(inbox + 1, 2).len, 0);
}

/* Who lists messages where nothing may wait reads one of them next. */
static void
test_listed(void **state)
{
	struct message_row *row;

	(void)state;
	if (!nowait_is_possible())
		return;
	(void)read_one(inbox, 1, WANT_SUMMARY);
	assert_false(is_kept(inbox, 1));
	nowait_begin();
	row = read_one(inbox, 1, WANT_SUMMARY);
	assert_false(nowait_end());
	assert_non_null(row);
	assert_true(row->summary.len > 0);
	assert_true(is_kept(inbox, 1));
}

/* Of an expunged one the octets are there still, as its tombstone has them. */
static void
test_purged(void **state)
{
	struct change *c = fx_change(CHANGE_PURGE);

	(void)state;
	c->u.purge.blob = read_one(inbox, 2, BOTH)->blob;
	c->u.purge.reason = SLICE("");
	assert_true(is_kept(inbox, 2));
	(void)fx_expunge(inbox, 2, 2);
	assert_true(is_kept(inbox, 2));
	assert_true(summary_of(inbox, 2).len > 0);
	(void)fx_run(c);
	assert_int_equal(summary_of(inbox, 2).len, 0);
	assert_false(is_kept(inbox, 2));
	assert_null(read_one(inbox, 2, BOTH));
	assert_false(is_kept(inbox, 2));
}

static void
test_deleted(void **state)
{
	mailbox_id box;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "other", ""), RC_OK);
	box = fx_box(anna, "other");
	fx_append_n(box, 1);
	assert_non_null(read_one(box, 1, BOTH));
	assert_true(is_kept(box, 1));
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "other", ""), RC_OK);
	assert_false(is_kept(box, 1));
}

/* A subscription says nothing of where anything lies. */
static void
test_subscribed(void **state)
{
	struct change *c = fx_change(CHANGE_SUBSCRIBE);

	(void)state;
	c->u.subscribe.account = anna;
	c->u.subscribe.name = SLICE("INBOX");
	c->u.subscribe.subscribed = false;
	assert_non_null(read_one(inbox, 1, BOTH));
	assert_int_equal(fx_run(c), RC_OK);
	assert_true(is_kept(inbox, 1));
}

/* Flags are never those of a moment ago. */
static void
test_flags(void **state)
{
	struct message_row *row;

	(void)state;
	if (!nowait_is_possible())
		return;
	(void)read_one(inbox, 3, BOTH);
	(void)fx_store(inbox, 3, 3, STORE_ADD, FLAG_FLAGGED, "");
	nowait_begin();
	row = read_one(inbox, 3, BOTH);
	assert_false(nowait_end());
	assert_int_equal(row->flags, FLAG_FLAGGED);
}

/* What no run on a reactor reads is not worth a place. */
static void
test_large(void **state)
{
	static char mail[PLACE_CACHE_OCTETS + 2] = "Subject: x\r\n\r\n";
	size_t head = strlen(mail);
	mail_uid uid;

	(void)state;
	for (size_t i = head; i < sizeof mail; i++)
		mail[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	for (size_t more = 0; more < 3; more += 2) {
		memcpy(mail + sizeof mail - 4 + more, "\r\n", 2);
		uid = fx_append(inbox, slice_of(mail, sizeof mail - 2 + more), 0, "");
		assert_int_equal(read_one(inbox, uid, BOTH)->size, PLACE_CACHE_OCTETS + more);
		assert_int_equal(is_kept(inbox, uid), more == 0);
	}
}

/* What masks them stands in the summary. */
static void
test_nul(void **state)
{
	static const char mail[] = "Subject: x\r\n\r\na\0b\r\n";
	mail_uid uid = fx_append(inbox, slice_of(mail, sizeof mail - 1), 0, "");

	(void)state;
	assert_non_null(read_one(inbox, uid, BOTH));
	assert_false(is_kept(inbox, uid));
	assert_true(summary_of(inbox, uid).len > 0);
}

/* Another parser says something else of a message. */
static void
test_reparsed(void **state)
{
	struct change *c = fx_change(CHANGE_REPARSE);
	struct new_summary n = { .summary = read_one(inbox, 2, BOTH)->summary };

	(void)state;
	n.blob = read_one(inbox, 1, BOTH)->blob;
	c->u.reparse.list = &n;
	c->u.reparse.count = 1;
	assert_true(summary_of(inbox, 1).len > 0);
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(summary_of(inbox, 1).len, 0);
}

/* A long one is not kept, nor is a shorter one that stood in its place. */
static void
test_long_summary(void **state)
{
	static char mail[3 * PLACE_CACHE_SUMMARY] = "To: ";
	struct message_row *row, shorter;
	mail_uid uid;

	(void)state;
	for (size_t i = 4; i + 5 < sizeof mail; i++)
		mail[i] = "a@b.c,\r\n "[i % 6];
	memcpy(mail + sizeof mail - 5, "\r\n\r\n", 5);
	uid = fx_append(inbox, slice_str(mail), 0, "");
	row = read_one(inbox, uid, BOTH);
	assert_true(row->summary.len > PLACE_CACHE_SUMMARY);
	assert_true(is_kept(inbox, uid));
	assert_int_equal(summary_of(inbox, uid).len, 0);
	shorter = *row;
	shorter.summary = read_one(inbox, 1, BOTH)->summary;
	place_cache_put(fx_v, place_cache_age(fx_v), inbox, &shorter, 1);
	assert_true(summary_of(inbox, uid).len > 0);
	place_cache_put(fx_v, place_cache_age(fx_v), inbox, row, 1);
	assert_int_equal(summary_of(inbox, uid).len, 0);
}

/* Who takes a message's slot has a place of his own or none. */
static void
test_slot_taken(void **state)
{
	struct message_row other;

	(void)state;
	other = *read_one(inbox, 1, BOTH);
	other.place.addr.seg.seq = 0;
	for (other.uid = 2; summary_of(inbox, 1).len > 0; other.uid++)
		place_cache_put(fx_v, place_cache_age(fx_v), inbox, &other, 1);
	other.uid--;
	assert_true(summary_of(inbox, other.uid).len > 0);
	assert_false(is_kept(inbox, other.uid));
	assert_false(is_kept(inbox, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_listed, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_purged, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_deleted, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_nul, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_reparsed, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_slot_taken, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_long_summary, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_subscribed, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_flags, setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
