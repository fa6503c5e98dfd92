/* familiar: who came is found by the same service, name and password alone, at the same version, and
 * not for long. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "server/familiar.h"

#define VERSION 7u

static struct familiar *f;
static struct arena a;

static int
start(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	arena_init(&a, 1u << 20);
	assert_int_equal(familiar_new(&f, &e), RC_OK);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	familiar_free(&f);
	arena_fini(&a);
	return 0;
}

static struct guest
anna(void)
{
	struct guest g = { .volume = NULL, .credential = "app:phone" };

	g.account.id = 12;
	g.account.generation = 3;
	g.account.name = SLICE("anna");
	g.account.hidden = SLICE("IDLE NOTIFY");
	return g;
}

static bool
find(unsigned service, const char *name, const char *password, uint64_t version, uint64_t now_s,
     struct guest *out)
{
	return familiar_find(f, service, slice_str(name), slice_str(password), version, now_s, &a,
	                     out);
}

static void
put(const char *name, const char *password, uint64_t until_s, const struct guest *g)
{
	familiar_put(f, SASL_SERVICE_IMAP, slice_str(name), slice_str(password), VERSION, until_s, g);
}

static void
test_all_of_a_guest(void **state)
{
	struct guest in = anna(), out;

	(void)state;
	assert_false(find(SASL_SERVICE_IMAP, "Anna", "secret", VERSION, 100, &out));
	put("Anna", "secret", 160, &in);
	assert_true(find(SASL_SERVICE_IMAP, "Anna", "secret", VERSION, 100, &out));
	assert_int_equal(out.account.id, 12);
	assert_int_equal(out.account.generation, 3);
	assert_true(slice_eq(out.account.name, SLICE("anna")));
	assert_true(slice_eq(out.account.hidden, SLICE("IDLE NOTIFY")));
	assert_string_equal(out.credential, "app:phone");
}

/* Each row differs in one thing from what was put. */
static void
test_strangers(void **state)
{
	static const struct {
		unsigned    service;
		const char *name, *password;
		uint64_t    version, now_s;
	} rows[] = {
		{ SASL_SERVICE_POP3, "anna", "secret", VERSION, 100 },
		{ SASL_SERVICE_IMAP, "anna ", "secret", VERSION, 100 },
		{ SASL_SERVICE_IMAP, "Anna", "secret", VERSION, 100 },
		{ SASL_SERVICE_IMAP, "annas", "ecret", VERSION, 100 },
		{ SASL_SERVICE_IMAP, "anna", "secre", VERSION, 100 },
		{ SASL_SERVICE_IMAP, "anna", "", VERSION, 100 },
		{ SASL_SERVICE_IMAP, "anna", "secret", VERSION + 1, 100 },
		{ SASL_SERVICE_IMAP, "anna", "secret", VERSION - 1, 100 },
		{ SASL_SERVICE_IMAP, "anna", "secret", VERSION, 160 },
	};
	struct guest in = anna(), out;

	(void)state;
	put("anna", "secret", 160, &in);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_false(find(rows[i].service, rows[i].name, rows[i].password, rows[i].version,
		                  rows[i].now_s, &out));
	assert_true(find(SASL_SERVICE_IMAP, "anna", "secret", VERSION, 159, &out));
}

/* The latest is found, whoever else came; strings that are too long are not kept. */
static void
test_bounds(void **state)
{
	struct guest in = anna(), out;
	char name[24], hidden[4096];
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "n%u", i);
		in.account.id = i;
		put(name, "secret", 1000 + i, &in);
		assert_true(find(SASL_SERVICE_IMAP, name, "secret", VERSION, 100, &out));
		assert_int_equal(out.account.id, i);
		arena_reset(&a);
	}
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "n%u", i);
		found += find(SASL_SERVICE_IMAP, name, "secret", VERSION, 100, &out);
		arena_reset(&a);
	}
	assert_in_range(found, 3500, 4096);
	memset(hidden, 'X', sizeof hidden);
	in.account.hidden = slice_of(hidden, sizeof hidden);
	put("long", "secret", 1000, &in);
	assert_false(find(SASL_SERVICE_IMAP, "long", "secret", VERSION, 100, &out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_of_a_guest, start, end),
		cmocka_unit_test_setup_teardown(test_strangers, start, end),
		cmocka_unit_test_setup_teardown(test_bounds, start, end),
	};

	return cmocka_run_group_tests_name("familiar", tests, NULL, NULL);
}
