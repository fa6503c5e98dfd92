/* options: what is declared is taken, with its value; all else is told. */
#include "lib/options.h"
#include "tests/unit/unit.h"

static const char declared[] = "--json --since= --volume=";

static const struct take_case {
	const char *name, *word, *next;
	bool        took;
	const char *value;      /* NULL: none */
	const char *says;       /* of an error */
} takes[] = {
	{ "flag", "--json", "x", false, NULL, NULL },
	{ "value behind", "--since", "3d", true, "3d", NULL },
	{ "value inside", "--since=3d", "x", false, "3d", NULL },
	{ "empty value", "--since=", "x", false, "", NULL },
	{ "value with =", "--since=a=b", NULL, false, "a=b", NULL },
	{ "value missing", "--since", NULL, false, NULL, "a value is missing behind: --since" },
	{ "unknown", "--frob", "x", false, NULL, "unknown option: --frob" },
	{ "prefix of one", "--jso", NULL, false, NULL, "unknown option: --jso" },
	{ "longer than one", "--jsonx", NULL, false, NULL, "unknown option: --jsonx" },
	{ "only dashes", "--", NULL, false, NULL, "unknown option: --" },
	{ "flag with a value", "--json=1", NULL, false, NULL, "this option takes no value: --json=1" },
};

static void
test_take(void **state)
{
	const struct take_case *k = *state;
	struct options o = { .declared = declared };
	struct err e = ERR_INIT;
	bool took;
	enum rc rc = options_take(&o, k->word, k->next, &took, &e);

	if (k->says != NULL) {
		assert_int_equal(rc, RC_SYNTAX);
		assert_string_equal(e.text, k->says);
		return;
	}
	assert_int_equal(rc, RC_OK);
	assert_int_equal(took, k->took);
	if (k->value == NULL)
		assert_true(options_given(&o, "--json") && options_value(&o, "--json") == NULL);
	else
		assert_string_equal(options_value(&o, "--since"), k->value);
}

static void
test_last_counts(void **state)
{
	struct options o = { .declared = declared };
	struct err e = ERR_INIT;
	bool took;

	(void)state;
	assert_null(options_value(&o, "--since"));
	assert_false(options_given(&o, "--since"));
	assert_int_equal(options_take(&o, "--since", "1d", &took, &e), RC_OK);
	assert_int_equal(options_take(&o, "--since=2d", NULL, &took, &e), RC_OK);
	assert_string_equal(options_value(&o, "--since"), "2d");
	for (int i = o.count; i < OPTIONS_MAX; i++)
		assert_int_equal(options_take(&o, "--json", NULL, &took, &e), RC_OK);
	assert_int_equal(options_take(&o, "--json", NULL, &took, &e), RC_SYNTAX);
}

static void
test_declared(void **state)
{
	(void)state;
	assert_true(options_declared(declared, "--json"));
	assert_true(options_declared(declared, "--since"));
	assert_false(options_declared(declared, "--vol"));
	assert_false(options_declared("", "--json"));
}

int
main(void)
{
	struct CMUnitTest tests[2 + sizeof takes / sizeof takes[0]] = {
		cmocka_unit_test(test_last_counts),
		cmocka_unit_test(test_declared),
	};

	for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++)
		tests[2 + i] = (struct CMUnitTest){ takes[i].name, test_take, NULL, NULL,
			                            (void *)(uintptr_t)&takes[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
