/* uidset: ranges against a table of numbers kept beside them, and the edges by hand. */
#include "lib/uidset.h"

#include "unit.h"

struct op {
	char     what;          /* + add, - remove, 0 ends */
	mail_uid first, last;
};

static const struct set_case {
	const char *name;
	struct op   ops[6];
	const char *want;
	uint64_t    size;
} cases[] = {
	{ "empty", { { 0, 0, 0 } }, "", 0 },
	{ "one", { { '+', 5, 5 } }, "5", 1 },
	{ "appended neighbour joins", { { '+', 1, 3 }, { '+', 4, 4 } }, "1:4", 4 },
	{ "neighbour before joins", { { '+', 4, 6 }, { '+', 2, 3 } }, "2:6", 5 },
	{ "gap of one stays", { { '+', 1, 3 }, { '+', 5, 5 } }, "1:3,5", 4 },
	{ "filled gap joins three", { { '+', 1, 3 }, { '+', 5, 7 }, { '+', 4, 4 } }, "1:7", 7 },
	{ "swallows several", { { '+', 2, 3 }, { '+', 6, 7 }, { '+', 10, 10 }, { '+', 1, 20 } }, "1:20", 20 },
	{ "inside changes nothing", { { '+', 1, 9 }, { '+', 3, 4 } }, "1:9", 9 },
	{ "inserted before all", { { '+', 9, 9 }, { '+', 1, 1 } }, "1,9", 2 },
	{ "remove splits", { { '+', 1, 9 }, { '-', 4, 6 } }, "1:3,7:9", 6 },
	{ "remove first", { { '+', 1, 9 }, { '-', 1, 1 } }, "2:9", 8 },
	{ "remove last", { { '+', 1, 9 }, { '-', 9, 12 } }, "1:8", 8 },
	{ "remove all", { { '+', 1, 9 }, { '+', 11, 12 }, { '-', 1, 12 } }, "", 0 },
	{ "remove across", { { '+', 1, 4 }, { '+', 6, 9 }, { '-', 3, 7 } }, "1:2,8:9", 4 },
	{ "remove nothing", { { '+', 5, 6 }, { '-', 1, 4 }, { '-', 7, 9 } }, "5:6", 2 },
	{ "largest number", { { '+', 4294967295u, 4294967295u } }, "4294967295", 1 },
	{ "all numbers", { { '+', 1, 4294967295u } }, "1:4294967295", 4294967295u },
	{ "joins up to the largest", { { '+', 4294967294u, 4294967294u }, { '+', 4294967295u, 4294967295u } },
	  "4294967294:4294967295", 2 },
	{ "largest removed", { { '+', 1, 4294967295u }, { '-', 2, 4294967295u } }, "1", 1 },
};

static void
check_text(const struct uid_set *s, const char *want)
{
	struct buf b;

	buf_init(&b, 4096);
	assert_true(uid_set_format(s, &b));
	assert_true(slice_eq(buf_slice(&b), slice_str(want)));
	buf_fini(&b);
}

static void
test_ops(void **state)
{
	const struct set_case *k = *state;
	struct uid_set s;

	uid_set_init(&s, 100);
	for (const struct op *o = k->ops; o < k->ops + 6 && o->what != 0; o++)
		assert_true(o->what == '+' ? uid_set_add(&s, o->first, o->last)
		                           : uid_set_remove(&s, o->first, o->last));
	check_text(&s, k->want);
	assert_int_equal(uid_set_size(&s), k->size);
	uid_set_fini(&s);
}

#define MODEL 64u

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

static void
compare_model(const struct uid_set *s, const bool *in)
{
	uint32_t rank = 0;

	for (mail_uid n = 1; n < MODEL; n++) {
		mail_uid next = n;

		rank += in[n];
		assert_int_equal(uid_set_contains(s, n), in[n]);
		assert_int_equal(uid_set_rank(s, n), rank);
		if (in[n])
			assert_int_equal(uid_set_nth(s, rank), n);
		while (next < MODEL && !in[next])
			next++;
		assert_int_equal(uid_set_next(s, n), next < MODEL ? next : 0);
	}
	assert_int_equal(uid_set_size(s), rank);
	assert_int_equal(uid_set_nth(s, rank + 1), 0);
	assert_int_equal(uid_set_nth(s, 0), 0);
	for (size_t i = 0; i + 1 < s->count; i++)
		assert_true(s->ranges[i].last + 1 < s->ranges[i + 1].first);
}

static void
test_model(void **state)
{
	bool in[2][MODEL] = { { false } };
	struct uid_set s[2], both;
	uint32_t seed = 7;

	(void)state;
	uid_set_init(&s[0], MODEL);
	uid_set_init(&s[1], MODEL);
	uid_set_init(&both, MODEL);
	for (int round = 0; round < 4000; round++) {
		uint32_t which = next_random(&seed) % 2;
		mail_uid a = 1 + next_random(&seed) % (MODEL - 1), b = a + next_random(&seed) % 9;
		bool add = next_random(&seed) % 2 == 0, meet[MODEL] = { false };

		if (b >= MODEL)
			b = MODEL - 1;
		assert_true(add ? uid_set_add(&s[which], a, b) : uid_set_remove(&s[which], a, b));
		for (mail_uid n = a; n <= b; n++)
			in[which][n] = add;
		compare_model(&s[which], in[which]);
		assert_true(uid_set_intersect(&both, &s[0], &s[1]));
		for (mail_uid n = 1; n < MODEL; n++)
			meet[n] = in[0][n] && in[1][n];
		compare_model(&both, meet);
		assert_true(uid_set_subtract(&both, &s[0], &s[1]));
		for (mail_uid n = 1; n < MODEL; n++)
			meet[n] = in[0][n] && !in[1][n];
		compare_model(&both, meet);
	}
	assert_true(uid_set_copy(&both, &s[0]));
	compare_model(&both, in[0]);
	uid_set_fini(&s[0]);
	uid_set_fini(&s[1]);
	uid_set_fini(&both);
}

/* The maximum refuses and changes nothing; `failed` sticks until the reset. */
static void
test_maximum(void **state)
{
	struct uid_set s;

	(void)state;
	uid_set_init(&s, 2);
	assert_true(uid_set_add(&s, 1, 3));
	assert_true(uid_set_add(&s, 5, 7));
	assert_false(uid_set_add(&s, 9, 9));
	assert_true(s.failed);
	assert_false(uid_set_remove(&s, 2, 2));
	check_text(&s, "1:3,5:7");
	assert_true(uid_set_add(&s, 4, 4));
	check_text(&s, "1:7");
	assert_true(s.failed);
	uid_set_reset(&s);
	assert_false(s.failed);
	assert_int_equal(uid_set_max(&s), 0);
	assert_false(uid_set_contains(&s, 0));
	uid_set_fini(&s);
}

static const struct parse_case {
	const char  *in;
	const char  *want;      /* NULL: refused */
} parse_cases[] = {
	{ "1", "1" }, { "4,7:9,12:*", "4,7:9,12:4294967295" }, { "3:3,1", "1,3" }, { "4294967295", "4294967295" },
	{ "1:2,2:5", "1:5" }, { "", NULL }, { "0", NULL }, { "*", NULL }, { "1:*:2", NULL }, { "5:4", NULL },
	{ "1,", NULL }, { ",1", NULL }, { "4294967296", NULL }, { "1 2", NULL }, { "1:", NULL }, { ":1", NULL },
	{ "1,2,4,6,8,10,12,14,16", NULL },      /* more ranges than the set's maximum */
};

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(parse_cases); i++) {
		const struct parse_case *k = &parse_cases[i];
		struct slice in = unit_copy(slice_str(k->in));
		struct uid_set s;
		struct buf out;

		uid_set_init(&s, 6);
		buf_init(&out, 100);
		if (uid_set_parse(in, &s) != (k->want != NULL))
			fail_msg("%s", k->in);
		if (k->want != NULL) {
			assert_true(uid_set_format(&s, &out));
			assert_true(slice_eq(buf_slice(&out), slice_str(k->want)));
		}
		buf_fini(&out);
		uid_set_fini(&s);
		unit_drop(in);
	}
}

/* Appended in any order and sorted is what adding one by one comes to. */
static void
test_append(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		struct uid_set added, appended;
		struct buf want;

		uid_set_init(&added, 100);
		uid_set_init(&appended, 100);
		for (unsigned n = next_random(&seed) % 12; n > 0; n--) {
			mail_uid base = next_random(&seed) % 8 == 0 ? UINT32_MAX - 32 : 1;
			mail_uid first = base + next_random(&seed) % 30,
			         last = first + next_random(&seed) % 4;

			assert_true(uid_set_add(&added, first, last) &&
			            uid_set_append(&appended, first, last));
		}
		uid_set_sort(&appended);
		buf_init(&want, 4096);
		assert_true(uid_set_format(&added, &want) && buf_append_byte(&want, '\0'));
		check_text(&appended, (const char *)want.ptr);
		assert_int_equal(uid_set_size(&appended), uid_set_size(&added));
		buf_fini(&want);
		uid_set_fini(&added);
		uid_set_fini(&appended);
	}
}

int
main(void)
{
	struct CMUnitTest tests[sizeof cases / sizeof *cases + 4];
	size_t n = 0;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_ops, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_parse);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_model);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_maximum);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_append);
	return _cmocka_run_group_tests("uidset", tests, n, NULL, NULL);
}
