/* base64_text where the processor has no SSSE3: the file is compiled here as if this one had none, so that whole lines go by
 * the table. Where it has, both ways make the same of every length of line. */
#include "tests/unit/unit.h"

#include <pthread.h>

#if defined(__x86_64__)
static bool
processor_has_it(void)
{
	return __builtin_cpu_supports("ssse3");
}
#endif

#define __builtin_cpu_supports(feature) false
#include "store/base64_text.c"

#define OCTETS (3 * BASE64_QUADS_MAX * 6 + STEP)

static uint8_t octets[OCTETS], text[2 * OCTETS], made[2 * OCTETS];

/* Every pair of letters stands in it, and every letter at each place of a step. */
static void
make_octets(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < OCTETS; i++) {
		x = x * 1664525u + 1013904223u;
		octets[i] = (uint8_t)(x >> 24);
	}
}

/* An encoder of its own, letter by letter. */
static void
spell(const uint8_t *in, size_t quads, uint8_t *dst)
{
	for (size_t bit = 0; bit < 24 * quads; bit += 6) {
		unsigned two = (unsigned)in[bit / 8] << 8 | (bit % 24 < 18 ? in[bit / 8 + 1] : 0u);

		*dst++ = (uint8_t)letters[two >> (10 - bit % 8) & 63];
	}
}

static void
test_whole_lines(void **state)
{
	(void)state;
	make_octets();
	need_tables();
	assert_true(tables.line == line_by_table);
	for (unsigned quads = 1; quads <= BASE64_QUADS_MAX; quads++) {
		struct base64_lines b = { .len = 6 * (4 * quads + 2), .quads = quads };

		for (size_t line = 0; line < 6; line++) {
			spell(octets + line * 3 * quads, quads, text + line * line_len(&b));
			memcpy(text + (line + 1) * line_len(&b) - 2, "\r\n", 2);
		}
		memset(made, 0xee, sizeof made);
		base64_encode_lines(octets, &b, 0, b.len, made);
		assert_memory_equal(made, text, b.len);
		assert_int_equal(made[b.len], 0xee);
	}
}

#if defined(__x86_64__)
static void
test_both_ways(void **state)
{
	(void)state;
	if (!processor_has_it())
		skip();
	make_octets();
	need_tables();
	for (size_t quads = 1; quads <= BASE64_QUADS_MAX; quads++) {
		for (size_t from = 0; from < OCTETS - 3 * quads - STEP; from += 1 + 3 * quads / 2) {
			line_by_table(octets + from, quads, text);
			line_by_ssse3(octets + from, quads, made);
			assert_memory_equal(made, text, 4 * quads);
			octets_by_ssse3(text, quads, made);
			assert_memory_equal(made, octets + from, 3 * quads);
			assert_true(is_letters_by_ssse3(text, quads));
		}
	}
}
#endif

#if defined(__x86_64__)
/* Any octet at any place of a line. */
static void
test_letters(void **state)
{
	static const size_t quads[] = { 1, 3, 4, 5, 7, 19 };

	(void)state;
	if (!processor_has_it())
		skip();
	need_tables();
	for (size_t k = 0; k < sizeof quads / sizeof *quads; k++) {
		memset(text, 'A', 4 * quads[k]);
		for (size_t at = 0; at < 4 * quads[k]; at++) {
			for (unsigned c = 0; c < 256; c++) {
				text[at] = (uint8_t)c;
				assert_int_equal(is_letters_by_ssse3(text, quads[k]),
				                 strchr(letters, (int)c) != NULL && c != 0);
				assert_int_equal(is_letters_by_table(text, quads[k]),
				                 strchr(letters, (int)c) != NULL && c != 0);
			}
			text[at] = 'A';
		}
	}
}
#endif

/* Numbers that no text has would be read beyond the octets, so these are refused. */
static void
test_what_is_possible(void **state)
{
	static const struct {
		size_t   len;
		unsigned quads, padding;
		bool     is;
	} some[] = {
		{ 78, 19, 0, true }, { 76, 19, 2, true }, { 4, 19, 2, true }, { 1022, 255, 0, true },
		{ 6, 1, 0, true }, { 0, 19, 0, false }, { 0, 19, 1, false }, { 78, 0, 0, false }, { 1026, 256, 0, false },
		{ 78, 19, 3, false }, { 1, 19, 0, false }, { 2, 19, 2, false }, { 77, 19, 0, false }, { 79, 19, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
		struct base64_lines b = { .len = some[i].len, .quads = some[i].quads, .padding = some[i].padding };

		assert_int_equal(base64_is_possible(&b), some[i].is);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_lines),
#if defined(__x86_64__)
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_letters),
#endif
		cmocka_unit_test(test_what_is_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
