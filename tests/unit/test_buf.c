/* buf: growth, the ceiling, the sticky failure. */
#include "tests/unit/unit.h"

#include "lib/buf.h"

static void
test_grows_to_its_ceiling(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (int i = 0; i < 1000; i++)
		assert_true(buf_append_byte(&b, (uint8_t)i));
	assert_int_equal(b.len, 1000);
	assert_int_equal(buf_room(&b), 0);
	assert_true(b.cap <= 1000);
	assert_false(buf_append_byte(&b, 0));
	assert_true(b.failed);
	assert_int_equal(b.len, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(b.ptr[i], i & 0xff);
	buf_fini(&b);
	assert_null(b.ptr);
	assert_true(buf_append_str(&b, "again"));
	buf_fini(&b);
}

static void
test_failure_sticks_until_reset(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	assert_true(buf_append_str(&b, "abc"));
	assert_false(buf_append_str(&b, "de"));
	assert_true(buf_append_str(&b, "d"));
	assert_true(b.failed);
	assert_true(slice_eq(buf_slice(&b), SLICE("abcd")));
	buf_reset(&b);
	assert_false(b.failed);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static void
test_kinds(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_true(buf_append_u64(&b, 0));
	assert_true(buf_append_byte(&b, ' '));
	assert_true(buf_append_u64(&b, UINT64_MAX));
	assert_true(buf_printf(&b, " %s=%d", "x", -1));
	assert_true(buf_append_slice(&b, SLICE_NONE));
	assert_true(buf_append(&b, "a\0b", 3));
	assert_true(slice_eq(buf_slice(&b), SLICE("0 18446744073709551615 x=-1a\0b")));
	buf_fini(&b);
}

static void
test_printf_over_the_ceiling(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	assert_false(buf_printf(&b, "%s", "123456789"));
	assert_int_equal(b.len, 0);
	assert_true(b.failed);
	buf_fini(&b);
}

static void
test_reserve_and_commit(void **state)
{
	struct buf b;
	uint8_t *p;

	(void)state;
	buf_init(&b, 600);
	assert_true(buf_append_str(&b, "ab"));
	p = buf_reserve(&b, 598);
	assert_non_null(p);
	memset(p, 'x', 598);
	assert_int_equal(b.len, 2);
	buf_commit(&b, 1);
	assert_true(slice_eq(buf_slice(&b), SLICE("abx")));
	assert_null(buf_reserve(&b, 598));
	buf_fini(&b);
}

static void
test_consume(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_append_str(&b, "abcdef");
	buf_consume(&b, 0);
	buf_consume(&b, 2);
	assert_true(slice_eq(buf_slice(&b), SLICE("cdef")));
	buf_consume(&b, 4);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_to_its_ceiling),
		cmocka_unit_test(test_failure_sticks_until_reset),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_printf_over_the_ceiling),
		cmocka_unit_test(test_reserve_and_commit),
		cmocka_unit_test(test_consume),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
