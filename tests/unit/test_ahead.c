/* Reading ahead: FETCH answers the same with helpers and without, and what helper and owner do to each other. */
#include "server/ahead.h"
#include "tests/unit/damage_tools.h"
#include "tests/unit/imap_rig.h"

#define MESSAGES 40u

/* Sizes from some octets to several pieces; each 10th message is too large to be held as a whole, each 7th has NULs. */
static void
make_mail(struct buf *b, unsigned i)
{
	size_t n = i % 10 == 9 ? AHEAD_WHOLE + 70000 : i * 3571 % 90000;

	buf_reset(b);
	buf_printf(b, "Subject: message %u\r\n\r\n", i);
	fill_random(b, n, i + 1);
	if (i % 7 == 3)
		buf_append(b, "\0nul\0", 5);
	buf_printf(b, "NEEDLE%u.", i);
}

static void
fill_box(void)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	for (unsigned i = 0; i < MESSAGES; i++) {
		make_mail(&b, i);
		fx_append(rig_inbox(), buf_slice(&b), FLAG_SEEN, "");
	}
	buf_fini(&b);
}

/* What the command answers, to be freed. */
static char *
answer(unsigned threads, size_t soft, const char *command)
{
	struct session *s;
	const char *got;
	char *copy;

	imap_world_help(rig_world, threads);
	s = rig_selected();
	imap_set_out_soft(s, soft);
	got = rig_send(s, command);
	copy = malloc(rig_text.len);
	assert_non_null(copy);
	memcpy(copy, got, rig_text.len);
	rig_end(s);
	return copy;
}

static void
expect_same(const char *command, const char *in_it)
{
	char *want = answer(0, SESSION_OUT_SOFT, command);
	size_t n = rig_text.len;

	assert_non_null(strstr(want + n - 100, in_it));
	for (unsigned threads = 1; threads <= 3; threads++)
		for (size_t soft = 1; soft <= SESSION_OUT_SOFT; soft *= 256) {
			char *got = answer(threads, soft, command);

			assert_int_equal(rig_text.len, n);
			assert_memory_equal(got, want, n);
			free(got);
		}
	free(want);
}

static void
test_same_answers(void **state)
{
	(void)state;
	fill_box();
	expect_same("1 UID FETCH 1:* BODY.PEEK[]", "1 OK");
	expect_same("1 FETCH 2:30 (BODY.PEEK[HEADER] BODY.PEEK[] RFC822.SIZE RFC822 BODY.PEEK[]<10.20>)", "1 OK");
	expect_same("1 FETCH 1,3,10,20:25,40 (UID BODY.PEEK[])", "1 OK");
}

static void
test_damaged(void **state)
{
	(void)state;
	fill_box();
	damage_log("NEEDLE2.");
	damage_log("NEEDLE19.");
	damage_log("NEEDLE26.");
	expect_same("1 FETCH 1:* (UID BODY.PEEK[])", "1 NO [CORRUPTION] The message with UID 3 is");
}

/* In the middle of a literal the connection ends, and what runs ahead with it. */
static void
test_damaged_late(void **state)
{
	struct session *s;
	struct buf b;

	(void)state;
	buf_init(&b, 4u << 20);
	buf_append_str(&b, "Subject: x\r\n\r\n");
	fill_random(&b, 2u << 20, 3);
	buf_append_str(&b, "LATE");
	fx_append(rig_inbox(), buf_slice(&b), FLAG_SEEN, "");
	buf_fini(&b);
	fill_box();
	damage_log("LATE");
	imap_world_help(rig_world, 2);
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1:* BODY.PEEK[]");
	assert_true(imap_is_closed(s));
	rig_end(s);
}

/* ---- owner and helper ---- */

static struct message_row *
read_rows(size_t *count)
{
	struct uid_range range = { 1, MESSAGES };
	struct uid_set all = { .ranges = &range, .count = 1, .cap = 1, .max = 1 };
	struct message_row *rows;
	struct err e = ERR_INIT;

	assert_int_equal(volume_read_messages(fx_v, rig_inbox(), &all, 1, MESSAGES, WANT_PLACE, &fx_arena, &rows,
	                                      count, &e), RC_OK);
	assert_int_equal(*count, MESSAGES);
	return rows;
}

static struct ahead *
begin(unsigned threads)
{
	struct ahead *a;
	struct message_row *rows;
	size_t count;

	imap_world_help(rig_world, threads);
	rows = read_rows(&count);
	a = ahead_new(imap_world_pool(rig_world), fx_v);
	assert_non_null(a);
	assert_true(ahead_set(a, rows, count));
	return a;
}

static void
expect_message(struct ahead *a, unsigned i)
{
	struct slice piece;
	struct buf b;

	buf_init(&b, 1u << 20);
	make_mail(&b, i);
	assert_int_equal(ahead_whole(a, i), b.len <= AHEAD_WHOLE);
	for (uint64_t at = 0; at < b.len; at += piece.len) {
		assert_true(ahead_take(a, i, at, &piece));
		assert_true(piece.len > 0 && piece.len <= b.len - at);
		assert_memory_equal(piece.ptr, b.ptr + at, piece.len);
	}
	buf_fini(&b);
}

/* Some are never asked for, and one that was passed is not to be had again. */
static void
test_order(void **state)
{
	static const unsigned asked[] = { 2, 3, 9, 10, 19, 20, 29, 39 };
	struct slice piece;

	(void)state;
	fill_box();
	for (unsigned threads = 1; threads <= 2; threads++) {
		struct ahead *a = begin(threads);

		for (size_t i = 0; i < UNIT_COUNT(asked); i++)
			expect_message(a, asked[i]);
		assert_false(ahead_take(a, 3, 0, &piece));
		assert_false(ahead_take(a, 39, 1u << 30, &piece));
		ahead_end(&a);
		assert_null(a);
	}
}

/* What the helper has read needs the log no more. */
static void
test_helper_reads(void **state)
{
	struct ahead *a;

	(void)state;
	fill_box();
	a = begin(1);
	imap_world_help(rig_world, 0);          /* ends the pool: the helper has filled the ring */
	damage_log("NEEDLE1.");
	damage_log("NEEDLE2.");
	expect_message(a, 1);
	expect_message(a, 2);
	ahead_end(&a);
}

/* The owner leaves at any moment. */
static void
test_leaving(void **state)
{
	(void)state;
	fill_box();
	for (unsigned i = 0; i < 30; i++) {
		struct ahead *a = begin(1 + i % 2);

		for (unsigned k = 0; k < i; k++)
			expect_message(a, k);
		ahead_end(&a);
	}
	ahead_end(&(struct ahead *){ NULL });
}

static void
test_next_page(void **state)
{
	struct message_row *rows;
	struct ahead *a;
	size_t count;

	(void)state;
	fill_box();
	a = begin(2);
	rows = read_rows(&count);
	for (unsigned k = 0; k < 10; k++) {
		expect_message(a, k);
		assert_true(ahead_set(a, rows, count));
	}
	for (unsigned k = 0; k < MESSAGES; k++)
		expect_message(a, k);
	ahead_end(&a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_answers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_late, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_order, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_helper_reads, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_leaving, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_next_page, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
