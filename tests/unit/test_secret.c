/* Secrets: room, wiping, comparison, random bytes. */
#include "tests/unit/unit.h"

#include "lib/secret.h"

static void
test_append_within_room(void **state)
{
	struct err e = ERR_INIT;
	struct secret s;

	(void)state;
	assert_int_equal(secret_init(&s, 8, &e), RC_OK);
	assert_true(secret_append(&s, SLICE("open")));
	assert_true(secret_append(&s, SLICE("")));
	assert_false(secret_append(&s, SLICE("sesam")));
	assert_true(secret_append(&s, SLICE("sesa")));
	assert_true(slice_eq(secret_slice(&s), SLICE("opensesa")));
	assert_false(secret_append(&s, SLICE("m")));
	secret_fini(&s);
	assert_null(s.ptr);
	secret_fini(&s);
}

static void
test_reset_wipes_all_room(void **state)
{
	static const uint8_t zeros[8];
	struct err e = ERR_INIT;
	struct secret s;

	(void)state;
	assert_int_equal(secret_init(&s, 8, &e), RC_OK);
	assert_true(secret_append(&s, SLICE("opensesa")));
	s.len = 2;                      /* written beyond what is counted */
	secret_reset(&s);
	assert_int_equal(s.len, 0);
	assert_memory_equal(s.ptr, zeros, sizeof zeros);
	assert_true(secret_append(&s, SLICE("again")));
	secret_fini(&s);
}

static void
test_wipe_buf(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	secret_wipe_buf(&b);            /* never used: nothing to wipe */
	assert_true(buf_append_str(&b, "sesame"));
	secret_wipe_buf(&b);
	assert_int_equal(b.len, 0);
	for (size_t i = 0; i < b.cap && i < 6; i++)
		assert_int_equal(b.ptr[i], 0);
	buf_fini(&b);
}

static const struct equal_case {
	const char  *name;
	struct slice a, b;
	bool         want;
} equal_cases[] = {
	{ "equal",              SLICE_INIT("sesame"),   SLICE_INIT("sesame"),   true },
	{ "both empty",         SLICE_INIT(""),         SLICE_INIT(""),         true },
	{ "first differs",      SLICE_INIT("Sesame"),   SLICE_INIT("sesame"),   false },
	{ "last differs",       SLICE_INIT("sesame"),   SLICE_INIT("sesamE"),   false },
	{ "prefix",             SLICE_INIT("sesame"),   SLICE_INIT("sesam"),    false },
	{ "one empty",          SLICE_INIT("sesame"),   SLICE_INIT(""),         false },
	{ "equal past a NUL",   SLICE_INIT("se\0sam"),  SLICE_INIT("se\0sam"),  true },
	{ "differ past a NUL",  SLICE_INIT("se\0sam"),  SLICE_INIT("se\0san"),  false },
	/* Differences that a sum, not an or, would cancel. */
	{ "cancelling",         SLICE_INIT("\001\377"), SLICE_INIT("\377\001"), false },
};

static void
test_equal(void **state)
{
	const struct equal_case *k = *state;
	struct slice a = unit_copy(k->a), b = unit_copy(k->b);

	assert_int_equal(secret_equal(a, b), k->want);
	assert_int_equal(secret_equal(b, a), k->want);
	unit_drop(a);
	unit_drop(b);
}

static void
test_random(void **state)
{
	uint8_t a[300] = { 0 }, b[300] = { 0 };
	struct err e = ERR_INIT;
	size_t zeros = 0;

	(void)state;
	assert_int_equal(secret_random(a, sizeof a - 1, &e), RC_OK);
	assert_int_equal(secret_random(b, sizeof b - 1, &e), RC_OK);
	assert_int_equal(secret_random(b, 0, &e), RC_OK);
	assert_memory_not_equal(a, b, sizeof a);
	for (size_t i = 0; i < sizeof a - 1; i++)
		zeros += a[i] == 0;
	assert_true(zeros < 30);        /* 1.2 expected: the last bytes are filled as well */
	assert_int_equal(a[sizeof a - 1], 0);
}

int
main(void)
{
	struct CMUnitTest tests[4 + UNIT_COUNT(equal_cases)] = {
		cmocka_unit_test(test_append_within_room),
		cmocka_unit_test(test_reset_wipes_all_room),
		cmocka_unit_test(test_wipe_buf),
		cmocka_unit_test(test_random),
	};

	for (size_t i = 0; i < UNIT_COUNT(equal_cases); i++)
		tests[4 + i] = (struct CMUnitTest){ equal_cases[i].name, test_equal, NULL, NULL,
			                            (void *)(uintptr_t)&equal_cases[i] };
	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
