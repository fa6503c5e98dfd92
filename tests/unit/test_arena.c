/* arena: alignment, separateness, the ceiling, reset; and err, whose texts travel through it. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "lib/arena.h"
#include "lib/err.h"

static void
test_pieces_are_apart_and_aligned(void **state)
{
	struct arena a;
	uint8_t *p[200];

	(void)state;
	arena_init(&a, 1 << 20);
	for (size_t i = 0; i < UNIT_COUNT(p); i++) {
		p[i] = arena_alloc(&a, i * 17);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		memset(p[i], (int)i, i * 17);
	}
	for (size_t i = 0; i < UNIT_COUNT(p); i++)
		for (size_t j = 0; j < i * 17; j++)
			assert_int_equal(p[i][j], i);
	arena_fini(&a);
}

static void
test_ceiling(void **state)
{
	struct arena a;
	size_t n = 0;

	(void)state;
	arena_init(&a, 10000);
	assert_null(arena_alloc(&a, 10001));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	assert_null(arena_array(&a, SIZE_MAX / 4 + 2, 4));      /* the product wraps to 4 */
	while (arena_alloc(&a, 100) != NULL)
		n++;
	assert_in_range(n, 85, 100);
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 9000));
	arena_fini(&a);
	assert_int_equal(a.used, 0);
}

static void
test_copies(void **state)
{
	struct arena a;
	struct slice in = unit_copy(SLICE("a\0b")), out;
	uint8_t *zero;

	(void)state;
	arena_init(&a, 100000);
	out = arena_dup(&a, in);
	assert_true(slice_eq(in, out));
	assert_ptr_not_equal(in.ptr, out.ptr);
	assert_null(arena_cstr(&a, in));
	assert_string_equal(arena_cstr(&a, SLICE("abc")), "abc");
	assert_non_null(arena_dup(&a, SLICE_NONE).ptr);
	assert_true(slice_eq(arena_printf(&a, "%d-%s", 7, "x"), SLICE("7-x")));
	zero = arena_array(&a, 100, 7);
	assert_non_null(zero);
	for (int i = 0; i < 700; i++)
		assert_int_equal(zero[i], 0);
	arena_fini(&a);
	unit_drop(in);
}

static void
test_reset_reuses(void **state)
{
	struct arena a;
	void *first;

	(void)state;
	arena_init(&a, 1 << 20);
	first = arena_alloc(&a, 64);
	arena_alloc(&a, 50000);
	arena_reset(&a);
	assert_int_equal(a.used, 0);
	assert_ptr_equal(arena_alloc(&a, 64), first);
	arena_fini(&a);
}

static void
test_reset_keeps_the_larger_block(void **state)
{
	struct arena a;
	void *second;

	(void)state;
	arena_init(&a, 1 << 20);
	arena_alloc(&a, 200);
	second = arena_alloc(&a, 200);
	arena_reset(&a);
	assert_ptr_equal(arena_alloc(&a, 200), second);
	assert_in_range((uint8_t *)arena_alloc(&a, 200) - (uint8_t *)second, 200, 216);
	arena_fini(&a);
}

static void
test_errors_gather_context(void **state)
{
	struct err e = ERR_INIT;
	char big[2 * ERR_TEXT_MAX];

	(void)state;
	assert_int_equal(err_set(&e, RC_LIMIT, "at most %d", 5), RC_LIMIT);
	assert_int_equal(err_add(&e, "reading %s", "x"), RC_LIMIT);
	assert_string_equal(e.text, "reading x: at most 5");
	assert_int_equal(err_os(&e, ENOSPC, "write"), RC_IO);
	assert_int_equal(e.os, ENOSPC);
	assert_string_equal(e.text, "write: No space left on device");
	assert_int_equal(err_os(&e, ENOENT, "open"), RC_NOT_FOUND);
	assert_int_equal(err_os(&e, EACCES, "open"), RC_DENIED);
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	err_set(&e, RC_IO, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_add(&e, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_are_apart_and_aligned),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_reset_reuses),
		cmocka_unit_test(test_reset_keeps_the_larger_block),
		cmocka_unit_test(test_errors_gather_context),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
