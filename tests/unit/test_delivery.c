/* test_delivery - a delivery that comes again because its reply was lost is one message; whatever
 * else is equal is two. And the volume's secrets, which are records of no account too. */
#include "tests/unit/compact_fixture.h"

#include "store/log_impl.h"
#include "store/scan.h"

#include <sqlite3.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 3600u

enum { FIRST = 11, SECOND = 12, THIRD = 13 };   /* sessions */

static account_id anna, ben;
static mailbox_id inbox, other;
static uint64_t   alive[4];
static size_t     alive_count;

static time_t wall_ahead_s;

/* In place of the C library's: somebody sets the clock. */
int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	if (clock == CLOCK_REALTIME)
		t->tv_sec += wall_ahead_s;
	return r;
}

static bool
is_alive(void *arg, uint64_t session)
{
	assert_ptr_equal(arg, alive);
	for (size_t i = 0; i < alive_count; i++)
		if (alive[i] == session)
			return true;
	return false;
}

static void
live(size_t n, uint64_t a, uint64_t b)
{
	alive[0] = a;
	alive[1] = b;
	alive_count = n;
}

static void
open_asking(void)
{
	const struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE,
	                                 .max_segment = CF_SEGMENT,
		                         .report = { NULL, fx_found }, .session_alive = is_alive,
		                         .session_arg = alive };
	struct err e = ERR_INIT;

	volume_close(&fx_v);
	assert_int_equal(volume_open(&p, &fx_v, &e), RC_OK);
}

static int
setup(void **state)
{
	int r = fx_setup(state);

	anna = fx_account("anna");
	ben = fx_account("ben");
	inbox = fx_box(anna, "INBOX");
	other = fx_box(ben, "INBOX");
	open_asking();
	return r;
}

static const uint8_t *
key_of(uint8_t n)
{
	static uint8_t keys[256][DELIVERY_KEY_LEN];

	memset(keys[n], n, sizeof keys[n]);
	return keys[n];
}

/* True if it was suppressed. */
static bool
deliver(mailbox_id box, uint8_t key, uint64_t session, uint32_t window)
{
	struct change *c = fx_make_append(&box, 1, SLICE(TEST_MAIL), 0, "");
	bool suppressed;

	c->u.append.each_target = true;
	c->u.append.delivery_window = window;
	c->u.append.messages[0].targets[0].delivery_key = key_of(key);
	c->who = (struct frame_who){ .session = session, .protocol = PROTO_LMTP };
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.append.messages[0].targets[0].rc, RC_OK);
	suppressed = c->u.append.messages[0].targets[0].suppressed;
	assert_int_equal(c->u.append.messages[0].targets[0].uid == 0, suppressed);
	change_free(&c);
	return suppressed;
}

static void
confirm(uint8_t key, uint64_t session)
{
	uint8_t keys[1][DELIVERY_KEY_LEN];

	memcpy(keys[0], key_of(key), sizeof keys[0]);
	volume_confirm(fx_v, session, (const uint8_t (*)[DELIVERY_KEY_LEN])keys, 1);
}

static size_t
messages(mailbox_id box)
{
	size_t n;

	(void)fx_rows(box, 0, &n);
	return n;
}

static void
reindex(void)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
	struct reindex_result done;
	struct err e = ERR_INIT;

	volume_close(&fx_v);
	assert_int_equal(volume_reindex(&p, false, &done, &e), RC_OK);
	open_asking();
}

static void
test_lost_reply(void **state)
{
	(void)state;
	live(1, FIRST, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	/* the first one's connection is gone, and it never said a word after our 250 */
	live(1, SECOND, 0);
	assert_true(deliver(inbox, 1, SECOND, WINDOW));
	assert_int_equal(messages(inbox), 1);
	/* That reply too may be lost, */
	live(1, THIRD, 0);
	assert_true(deliver(inbox, 1, THIRD, WINDOW));
	assert_int_equal(messages(inbox), 1);
	/* and once one has arrived, what is equal is another message. */
	confirm(1, THIRD);
	live(0, 0, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	assert_int_equal(messages(inbox), 2);
	cf_check_clean();
}

static void
test_confirmed_are_two(void **state)
{
	(void)state;
	live(1, FIRST, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	confirm(1, FIRST);
	live(0, 0, 0);                  /* QUIT, and the next one at once */
	assert_false(deliver(inbox, 1, SECOND, WINDOW));
	assert_int_equal(messages(inbox), 2);
	cf_check_clean();
}

/* Two clients at the same time, neither has gone on yet; and the same session, which has. */
static void
test_alive_are_two(void **state)
{
	(void)state;
	live(2, FIRST, SECOND);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	assert_false(deliver(inbox, 1, SECOND, WINDOW));
	assert_false(deliver(inbox, 1, SECOND, WINDOW));
	assert_int_equal(messages(inbox), 3);
	/* One goes on: what is known of the other stays. */
	confirm(1, FIRST);
	live(0, 0, 0);
	assert_true(deliver(inbox, 1, THIRD, WINDOW));
	assert_int_equal(messages(inbox), 3);
	cf_check_clean();
}

static void
test_other_keys(void **state)
{
	(void)state;
	live(0, 0, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	assert_false(deliver(inbox, 2, SECOND, WINDOW));
	assert_false(deliver(other, 3, SECOND, WINDOW));
	assert_int_equal(messages(inbox), 2);
	assert_int_equal(messages(other), 1);
	confirm(9, FIRST);              /* nobody knows it */
	confirm(1, SECOND);             /* not his */
	assert_true(deliver(inbox, 1, THIRD, WINDOW));
}

static void
test_switched_off(void **state)
{
	(void)state;
	live(0, 0, 0);
	assert_false(deliver(inbox, 1, FIRST, 0));
	assert_false(deliver(inbox, 1, SECOND, WINDOW));
	assert_false(deliver(inbox, 1, THIRD, 0));
	assert_int_equal(messages(inbox), 3);
}

/* A retry after a restart, a reindex and a compaction finds what was delivered before. */
static void
test_survives(void **state)
{
	(void)state;
	live(1, FIRST, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	assert_false(deliver(inbox, 2, FIRST, WINDOW));
	confirm(2, FIRST);
	live(0, 0, 0);
	open_asking();
	cf_check_clean();
	reindex();
	cf_check_clean();
	(void)cf_compact_all();
	cf_check_clean();
	reindex();
	assert_true(deliver(inbox, 1, SECOND, WINDOW));
	assert_false(deliver(inbox, 2, SECOND, WINDOW));
	assert_int_equal(messages(inbox), 3);
	cf_check_clean();
}

/* A disk full of mail is no reason to refuse what is there already. */
static void
test_over_quota(void **state)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_QUOTA);

	(void)state;
	live(0, 0, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	c->u.account.id = anna;
	c->u.account.quota_messages = 1;
	assert_int_equal(fx_run(c), RC_OK);
	assert_true(deliver(inbox, 1, SECOND, WINDOW));
	c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	c->u.append.each_target = true;
	c->u.append.delivery_window = WINDOW;
	c->u.append.messages[0].targets[0].delivery_key = key_of(7);
	c->who.session = THIRD;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.append.messages[0].targets[0].rc, RC_LIMIT);
	change_free(&c);
	/* What was refused was not delivered. */
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = anna;
	assert_int_equal(fx_run(c), RC_OK);
	assert_false(deliver(inbox, 7, FIRST, WINDOW));
}

/* One of two recipients is known from before. */
static void
test_mixed_targets(void **state)
{
	const mailbox_id both[] = { inbox, other };
	struct change *c;

	(void)state;
	live(0, 0, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	c = fx_make_append(both, 2, SLICE(TEST_MAIL), 0, "");
	c->u.append.each_target = true;
	c->u.append.delivery_window = WINDOW;
	c->u.append.messages[0].targets[0].delivery_key = key_of(1);
	c->u.append.messages[0].targets[1].delivery_key = key_of(2);
	c->who.session = SECOND;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_true(c->u.append.messages[0].targets[0].suppressed);
	assert_false(c->u.append.messages[0].targets[1].suppressed);
	change_free(&c);
	assert_int_equal(messages(inbox), 1);
	assert_int_equal(messages(other), 1);
	cf_check_clean();
}

static uint64_t
rows_of(const char *table)
{
	sqlite3_stmt *q;
	char sql[64], path[300];
	sqlite3 *db;
	uint64_t n;

	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	(void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

/* The writer holds what is confirmed; a stop writes it. */
static void
test_confirmed_before_a_stop(void **state)
{
	(void)state;
	live(0, 0, 0);
	for (uint8_t key = 1; key <= 5; key++) {
		assert_false(deliver(inbox, key, FIRST, WINDOW));
		confirm(key, FIRST);
		open_asking();
		assert_int_equal(rows_of("delivery"), 0);
	}
	assert_false(deliver(inbox, 1, SECOND, WINDOW));
	assert_int_equal(messages(inbox), 6);
	cf_check_clean();
}

/* Beyond the window it is another message, and nothing is left of it: not in the index, and after a
 * compaction not in the log. */
static void
test_window(void **state)
{
	(void)state;
	live(0, 0, 0);
	assert_false(deliver(inbox, 1, FIRST, 1));
	assert_false(deliver(inbox, 2, FIRST, WINDOW));
	assert_int_equal(rows_of("delivery"), 2);
	sleep(3);
	assert_false(deliver(inbox, 1, SECOND, WINDOW));
	assert_int_equal(rows_of("delivery"), 2);       /* of 1 only the new one */
	reindex();
	assert_int_equal(rows_of("delivery"), 2);
	(void)cf_compact_all();
	cf_check_clean();
	reindex();
	assert_int_equal(rows_of("delivery"), 2);
	cf_check_clean();
	assert_true(deliver(inbox, 1, THIRD, WINDOW));
	assert_true(deliver(inbox, 2, THIRD, WINDOW));
}

/* A clock that is wrong for a moment, while the volume is open or when it is opened, does not end
 * the window, nor make it last for ever. */
static void
test_wrong_clock(void **state)
{
	const time_t years = 10 * 366 * 24 * 3600;

	(void)state;
	live(0, 0, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	wall_ahead_s = years;
	assert_false(deliver(inbox, 2, FIRST, WINDOW));
	wall_ahead_s = -years;
	assert_true(deliver(inbox, 1, SECOND, WINDOW));
	wall_ahead_s = years;
	open_asking();
	assert_false(deliver(inbox, 3, FIRST, 1));      /* all before is forgotten */
	assert_int_equal(rows_of("delivery"), 1);
	wall_ahead_s = 0;
	open_asking();
	assert_false(deliver(inbox, 4, FIRST, WINDOW));
	sleep(3);
	assert_false(deliver(inbox, 5, FIRST, WINDOW));
	assert_int_equal(rows_of("delivery"), 2);
	(void)cf_compact_all();
	cf_check_clean();
	reindex();
	assert_int_equal(rows_of("delivery"), 2);
}

/* Many, confirmed: the log does not keep them, and check finds no difference however often
 * it is compacted. */
static void
test_log_forgets(void **state)
{
	struct volume_status before, after;
	struct err e = ERR_INIT;

	(void)state;
	live(1, FIRST, 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_false(deliver(inbox, (uint8_t)i, FIRST, WINDOW));
		confirm((uint8_t)i, FIRST);
	}
	(void)fx_expunge(inbox, 1, 150);
	(void)cf_compact_all();
	cf_check_clean();
	assert_int_equal(volume_get_status(fx_v, &before, &e), RC_OK);
	(void)cf_compact_all();
	(void)cf_compact_all();
	cf_check_clean();               /* the latest time is still told by some record */
	assert_int_equal(volume_get_status(fx_v, &after, &e), RC_OK);
	assert_true(after.log_bytes <= before.log_bytes);
	reindex();
	assert_int_equal(rows_of("delivery"), 0);
	cf_check_clean();
}

/* ---- what is in the log ---- */

struct in_log {
	size_t frames, shared;          /* shared: a confirmation stands in it with something else */
};

static struct in_log
read_log(void)
{
	struct root_segment *segs;
	struct in_log in = { 0, 0 };
	struct err e = ERR_INIT;
	uint32_t count;

	assert_int_equal(log_list_segments(volume_log(fx_v), &segs, &count, &e), RC_OK);
	for (uint32_t i = 0; i < count; i++) {
		struct scan_item item = { .kind = SCAN_GAP };
		struct scan s;

		assert_int_equal(scan_init(&s, volume_log(fx_v)->b, &segs[i], UINT64_MAX, &e), RC_OK);
		while (item.kind != SCAN_END) {
			size_t deliveries = 0, others = 0;
			struct record_hdr h;
			struct slice body;

			assert_int_equal(scan_next(&s, &item, &e), RC_OK);
			while (item.kind == SCAN_FRAME && record_take(&item.body, &h, &body)) {
				deliveries += h.type == RECORD_STORED_DELIVERY;
				others += h.type != RECORD_STORED_DELIVERY;
			}
			in.frames += item.kind == SCAN_FRAME;
			in.shared += deliveries > 1 && others > 0;
		}
		scan_fini(&s);
	}
	free(segs);
	return in;
}

/* A client that goes on costs no frame of its own: it shares the next delivery's, if that comes before the writer has
 * waited long enough, which this machine may be too busy for. */
static void
test_confirmed_with_the_next(void **state)
{
	struct in_log before, after;
	unsigned turn = 0;

	(void)state;
	live(1, FIRST, 0);
	assert_false(deliver(inbox, 1, FIRST, WINDOW));
	do {
		assert_true(turn++ < 50);
		before = read_log();
		confirm(1, FIRST);
		assert_false(deliver(inbox, 1, FIRST, WINDOW));
		after = read_log();
	} while (after.shared == before.shared);
	assert_int_equal(after.frames, before.frames + 1);
	assert_int_equal(rows_of("delivery"), 1);       /* of the message behind it */
	cf_check_clean();
	reindex();
	assert_int_equal(rows_of("delivery"), 1);
	live(0, 0, 0);
	assert_true(deliver(inbox, 1, SECOND, WINDOW));
	(void)cf_compact_all();
	cf_check_clean();
}

static struct log *
open_log(void)
{
	const struct log_params p = { .path = fx_dir, .mode = LOG_WRITE };
	struct err e = ERR_INIT;
	struct log *log;

	assert_int_equal(log_open(&p, NULL, &log, &e), RC_OK);
	return log;
}

/* What an earlier release has noted, by the whole key, is known still, and goes when the client has its answer. */
static void
test_whole_key(void **state)
{
	struct record r = { .type = RECORD_DELIVERY, .u.delivery = {
		.key = slice_of(key_of(1), DELIVERY_KEY_LEN), .session = FIRST, .at_s = 5, .until_s = INT64_MAX } };
	const struct frame_who who = { 0, FIRST, PROTO_LMTP };
	struct err e = ERR_INIT;
	struct log_batch *b;
	struct log *log;

	(void)state;
	live(0, 0, 0);
	volume_close(&fx_v);
	log = open_log();
	assert_int_equal(log_batch_new(log, &b, &e), RC_OK);
	log_frame_begin(b, &who);
	assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
	log_frame_end(b);
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	log_batch_free(&b);
	log_close(&log);
	open_asking();
	assert_int_equal(rows_of("delivery"), 1);
	assert_true(deliver(inbox, 1, SECOND, WINDOW));
	assert_int_equal(rows_of("delivery"), 1);
	assert_false(deliver(inbox, 2, SECOND, WINDOW));
	confirm(1, SECOND);
	assert_false(deliver(inbox, 1, THIRD, WINDOW));
	cf_check_clean();
	reindex();
	assert_int_equal(messages(inbox), 2);
	cf_check_clean();
}

/* ---- secrets ---- */

static void
test_secret(void **state)
{
	uint8_t one[VOLUME_SECRET_LEN], two[VOLUME_SECRET_LEN], again[VOLUME_SECRET_LEN];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(volume_secret(fx_v, "sasl", one, &e), RC_OK);
	assert_int_equal(volume_secret(fx_v, "other", two, &e), RC_OK);
	assert_memory_not_equal(one, two, sizeof one);
	assert_int_equal(volume_secret(fx_v, "sasl", again, &e), RC_OK);
	assert_memory_equal(one, again, sizeof one);
	reindex();
	(void)cf_compact_all();
	reindex();
	assert_int_equal(volume_secret(fx_v, "sasl", again, &e), RC_OK);
	assert_memory_equal(one, again, sizeof one);
	cf_check_clean();
	volume_close(&fx_v);
	fx_open_as(VOLUME_READ);
	assert_int_equal(volume_secret(fx_v, "sasl", again, &e), RC_OK);
	assert_memory_equal(one, again, sizeof one);
	assert_int_equal(volume_secret(fx_v, "new", again, &e), RC_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lost_reply, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_confirmed_are_two, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_alive_are_two, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_other_keys, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_switched_off, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_survives, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_over_quota, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_mixed_targets, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_confirmed_before_a_stop, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_window, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_clock, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_log_forgets, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_confirmed_with_the_next, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_whole_key, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_secret, setup, fx_teardown),
	};

	return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
