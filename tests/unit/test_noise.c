/* noise: what cannot be deflated is told from what can, and nothing is looked at beyond the end. */
#include "tests/unit/unit.h"

#include "store/noise.h"

#define MAX 70000u

static uint8_t octets[MAX];

static void
make_octets(uint32_t seed)
{
	uint64_t x = seed;

	for (size_t i = 0; i < MAX; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		octets[i] = (uint8_t)(x >> 56);
	}
}

/* Exactly so many. */
static bool
is_noise(size_t len)
{
	struct slice s = unit_copy(slice_of(octets, len));
	bool is = noise_is(s);

	unit_drop(s);
	return is;
}

static void
test_random(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 200; seed++) {
		make_octets(seed);
		assert_true(is_noise(48000));
		assert_true(is_noise(8192));
		assert_true(is_noise(MAX));
	}
	for (size_t len = 0; len < 3000; len++) {
		bool is = is_noise(len);

		assert_true(len >= 1024 || !is);
		assert_true(len < 2048 || is);
	}
}

/* Fewer octets than there could be, or one of them too often. */
static void
test_uneven(void **state)
{
	(void)state;
	make_octets(1);
	for (size_t i = 0; i < MAX; i++)
		octets[i] %= 210;
	assert_false(is_noise(48000));
	make_octets(1);
	for (size_t i = 0; i < MAX; i += 16)
		octets[i] = 0;
	assert_false(is_noise(48000));
	make_octets(1);
	memset(octets + 30000, 'a', 3000);
	assert_false(is_noise(48000));
}

/* A sixteenth of it has come before, in whatever distance. */
static void
test_repeats(void **state)
{
	static const size_t distances[] = { 16, 24, 77, 333, 512, 4096, 5001, 20000, 31999 };

	(void)state;
	for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
		size_t d = distances[i];

		make_octets(1);
		for (size_t k = 40000; k < 43000; k++)
			octets[k] = octets[k - d];
		if (d > 256)    /* else uneven, too */
			assert_false(is_noise(48000));
		make_octets(1);
		for (size_t k = d; k < MAX; k++)
			octets[k] = octets[k - d];
		assert_false(is_noise(48000));
	}
}

/* Records of sixteen octets, of which half are the same in all. */
static void
test_records(void **state)
{
	(void)state;
	make_octets(1);
	for (size_t i = 16; i < MAX; i++)
		if (i % 16 < 8)
			octets[i] = octets[i - 16];
	assert_false(is_noise(48000));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_uneven),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
