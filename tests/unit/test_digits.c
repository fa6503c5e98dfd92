#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/digits.h"

static void
check(uint64_t v)
{
	uint8_t got[DIGITS_MAX + 1], *end;
	char want[32];

	memset(got, 'x', sizeof got);
	end = digits_put(got, v);
	assert_int_equal(end - got, snprintf(want, sizeof want, "%" PRIu64, v));
	assert_memory_equal(got, want, (size_t)(end - got));
	assert_int_equal(*end, 'x');
	memset(got, '?', sizeof got);
	end = digits_put_hex(got, v);
	assert_int_equal(end - got, snprintf(want, sizeof want, "%" PRIx64, v));
	assert_memory_equal(got, want, (size_t)(end - got));
	assert_int_equal(*end, '?');
}

static void
test_digits(void **state)
{
	uint64_t x = 1;

	(void)state;
	for (uint64_t v = 0; v < 20000; v++)
		check(v);
	for (uint64_t p = 10; p < UINT64_MAX / 10; p *= 10)
		for (uint64_t v = p - 2; v < p + 2; v++)
			check(v);
	check(UINT32_MAX);
	check(UINT64_MAX);
	for (unsigned i = 0; i < 10000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		check(x >> i % 64);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
