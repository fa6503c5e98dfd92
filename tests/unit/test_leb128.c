/* leb128: what is put is taken again, and nothing else is taken. */
#include "lib/leb128.h"
#include "tests/unit/unit.h"

static const struct {
	uint64_t     v;
	struct slice bytes;
} numbers[] = {
	{ 0, { (const uint8_t *)"", 1 } },
	{ 127, { (const uint8_t *)"\177", 1 } },
	{ 128, { (const uint8_t *)"\200\001", 2 } },
	{ 16383, { (const uint8_t *)"\377\177", 2 } },
	{ UINT32_MAX, { (const uint8_t *)"\377\377\377\377\017", 5 } },
	{ UINT64_MAX, { (const uint8_t *)"\377\377\377\377\377\377\377\377\377\001", 10 } },
};

static void
test_put(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, LEB128_MAX);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		buf_reset(&b);
		assert_true(leb128_put(&b, numbers[i].v));
		assert_true(slice_eq(buf_slice(&b), numbers[i].bytes));
	}
	assert_false(leb128_put(&b, 0));
	buf_fini(&b);
}

static void
test_take(void **state)
{
	struct slice in = { (const uint8_t *)"\377\377\377\377\017\005", 6 };
	uint64_t v = 0;

	(void)state;
	assert_true(leb128_take(&in, 5, UINT32_MAX, &v));
	assert_true(v == UINT32_MAX && in.len == 1);
	assert_true(leb128_take(&in, 1, 5, &v));
	assert_true(v == 5 && in.len == 0);
	assert_false(leb128_take(&in, 5, UINT32_MAX, &v));
}

static void
test_not_taken(void **state)
{
	struct slice cut = { (const uint8_t *)"\200\200", 2 }, much = { (const uint8_t *)"\200\002", 2 },
	             longer = { (const uint8_t *)"\200\200\001", 3 };
	uint64_t v = 0;

	(void)state;
	assert_false(leb128_take(&cut, 5, UINT32_MAX, &v));
	assert_false(leb128_take(&much, 5, 255, &v));
	assert_false(leb128_take(&longer, 2, UINT32_MAX, &v));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
