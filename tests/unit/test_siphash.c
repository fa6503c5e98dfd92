/* siphash: the reference implementation's vectors (key 00..0f, input 00, 01, 02 ...), whole
 * and in pieces. */
#include "lib/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct sip_case {
	size_t   len;
	uint64_t want;
} cases[] = {
	{ 0, UINT64_C(0x726fdb47dd0e0e31) },  { 1, UINT64_C(0x74f839c593dc67fd) },  { 2, UINT64_C(0x0d6c8009d9a94f5a) },
	{ 7, UINT64_C(0xab0200f58b01d137) },  { 8, UINT64_C(0x93f5f5799a932462) },  { 15, UINT64_C(0xa129ca6149be45e5) },
	{ 63, UINT64_C(0x958a324ceb064572) },
};

static void
test_vectors(void **state)
{
	uint8_t key[SIPHASH_KEY_LEN], in[64];

	(void)state;
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(siphash(key, in, cases[i].len) == cases[i].want);
		for (size_t cut = 0; cut <= cases[i].len; cut++) {
			struct siphash h;

			siphash_init(&h, key);
			siphash_add(&h, in, cut);
			siphash_add(&h, in + cut, cases[i].len - cut);
			assert_true(siphash_sum(&h) == cases[i].want);
			assert_true(siphash_sum(&h) == cases[i].want);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
