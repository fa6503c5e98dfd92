/* remember: nothing but the same account, credentials, service and password is found again,
 * and not for long. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "server/remember.h"

static struct remember *r;
static uint64_t until;

static int
start(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(remember_new(&r, &e), RC_OK);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	remember_free(&r);
	return 0;
}

#define TEXT(s) SLICE_INIT(s)

static const struct sasl_verifier two[2] = {
	{ TEXT("password"), SASL_SERVICE_ALL, TEXT("SCRAM-SHA-256$x") },
	{ TEXT("app:phone"), SASL_SERVICE_IMAP, TEXT("SHA-256$y") },
};

static const struct sasl_account anna = { .name = TEXT("anna"), .id = 7, .verifiers = two,
                                          .nverifiers = 2 };

static void
test_found(void **state)
{
	(void)state;
	assert_null(remember_find(r, &anna, SASL_SERVICE_IMAP, SLICE("secret"), 100, &until));
	remember_put(r, &anna, SASL_SERVICE_IMAP, SLICE("secret"), &two[1], 100, 60);
	assert_ptr_equal(remember_find(r, &anna, SASL_SERVICE_IMAP, SLICE("secret"), 100, &until), &two[1]);
	assert_ptr_equal(remember_find(r, &anna, SASL_SERVICE_IMAP, SLICE("secret"), 159, &until), &two[1]);
	assert_null(remember_find(r, &anna, SASL_SERVICE_IMAP, SLICE("secret"), 160, &until));
	remember_put(r, &anna, SASL_SERVICE_POP3, SLICE("secret"), &two[0], 100, 0);
	assert_null(remember_find(r, &anna, SASL_SERVICE_POP3, SLICE("secret"), 100, &until));
}

/* Each row differs in one thing from what is remembered. */
static void
test_not_found(void **state)
{
	static const struct sasl_verifier changed[2] = { { TEXT("password"), SASL_SERVICE_ALL,
	                                                 TEXT("SCRAM-SHA-256$z") },
		                                         { TEXT("app:phone"), SASL_SERVICE_IMAP, TEXT("SHA-256$y") } };
	static const struct sasl_verifier scoped[2] = { { TEXT("password"), SASL_SERVICE_ALL,
	                                                TEXT("SCRAM-SHA-256$x") },
		                                        { TEXT("app:phone"), SASL_SERVICE_ALL, TEXT("SHA-256$y") } };
	static const struct sasl_verifier moved[2] = { { TEXT("passwordS"), SASL_SERVICE_ALL,
	                                               TEXT("CRAM-SHA-256$x") },
		                                       { TEXT("app:phone"), SASL_SERVICE_IMAP, TEXT("SHA-256$y") } };
	const struct sasl_account others[] = {
		{ .name = TEXT("annb"), .id = 7, .verifiers = two, .nverifiers = 2 },
		{ .name = TEXT("anna"), .id = 8, .verifiers = two, .nverifiers = 2 },
		{ .name = TEXT("anna"), .id = 7, .verifiers = two, .nverifiers = 1 },
		{ .name = TEXT("anna"), .id = 7, .verifiers = NULL, .nverifiers = 0 },
		{ .name = TEXT("anna"), .id = 7, .verifiers = changed, .nverifiers = 2 },
		{ .name = TEXT("anna"), .id = 7, .verifiers = scoped, .nverifiers = 2 },
		{ .name = TEXT("anna"), .id = 7, .verifiers = moved, .nverifiers = 2 },
	};

	(void)state;
	remember_put(r, &anna, SASL_SERVICE_IMAP, SLICE("secret"), &two[0], 100, 60);
	for (size_t i = 0; i < UNIT_COUNT(others); i++)
		assert_null(remember_find(r, &others[i], SASL_SERVICE_IMAP, SLICE("secret"), 100, &until));
	assert_null(remember_find(r, &anna, SASL_SERVICE_POP3, SLICE("secret"), 100, &until));
	assert_null(remember_find(r, &anna, SASL_SERVICE_IMAP, SLICE("secret "), 100, &until));
	assert_null(remember_find(r, &anna, SASL_SERVICE_IMAP, SLICE(""), 100, &until));
	assert_non_null(remember_find(r, &anna, SASL_SERVICE_IMAP, SLICE("secret"), 100, &until));
}

/* The table is of a fixed size: the latest are there, and no wrong one ever. */
static void
test_many(void **state)
{
	unsigned found = 0;
	char password[24];

	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(password, sizeof password, "p%u", i);
		remember_put(r, &anna, SASL_SERVICE_IMAP, slice_str(password), &two[i & 1],
		             100 + i / 100, 1000);
		assert_ptr_equal(remember_find(r, &anna, SASL_SERVICE_IMAP, slice_str(password),
		                               100 + i / 100, &until),
		                 &two[i & 1]);
	}
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(password, sizeof password, "p%u", i);
		found += remember_find(r, &anna, SASL_SERVICE_IMAP, slice_str(password), 600, &until) !=
		         NULL;
	}
	assert_true(found > 6000 && found <= 8192);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = { ROW(test_found), ROW(test_not_found), ROW(test_many) };

	return cmocka_run_group_tests_name("remember", tests, NULL, NULL);
}
