/* regulars: an address is found as it was put, at the same version, and not for long. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "server/regulars.h"

#define VERSION 7u
#define NOW     1000u

static struct regulars *r;
static struct arena a;

static int
start(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	arena_init(&a, 1u << 20);
	assert_int_equal(regulars_new(&r, &e), RC_OK);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	regulars_free(&r);
	assert_null(r);
	arena_fini(&a);
	return 0;
}

static void
put(struct slice local, struct slice domain, account_id account)
{
	struct regular to = { NULL, account, 2 * account, SLICE("anna"), SLICE("INBOX") };

	regulars_put(r, local, domain, VERSION, NOW, &to);
}

/* The account; 0: none. */
static account_id
find(struct slice local, struct slice domain, uint64_t version, uint64_t now_ms)
{
	struct regular out;

	if (!regulars_find(r, local, domain, version, now_ms, &a, &out))
		return 0;
	assert_int_equal(out.mailbox, 2 * out.account);
	assert_true(slice_eq(out.name, SLICE("anna")) && slice_eq(out.folder, SLICE("INBOX")));
	return out.account;
}

static void
test_found_as_put(void **state)
{
	(void)state;
	put(SLICE("anna"), SLICE("a.example"), 5);
	assert_int_equal(find(SLICE("anna"), SLICE("a.example"), VERSION, NOW), 5);
	assert_int_equal(find(SLICE("annaa"), SLICE(".example"), VERSION, NOW), 0);
	assert_int_equal(find(SLICE("anna"), SLICE_NONE, VERSION, NOW), 0);
	assert_int_equal(find(SLICE("Anna"), SLICE("a.example"), VERSION, NOW), 0);
	put(SLICE("anna"), SLICE("a.example"), 6);
	assert_int_equal(find(SLICE("anna"), SLICE("a.example"), VERSION, NOW), 6);
}

static void
test_version_and_time(void **state)
{
	(void)state;
	put(SLICE("anna"), SLICE_NONE, 5);
	assert_int_equal(find(SLICE("anna"), SLICE_NONE, VERSION + 1, NOW), 0);
	assert_int_equal(find(SLICE("anna"), SLICE_NONE, VERSION, NOW + REGULARS_LIFE_MS - 1), 5);
	assert_int_equal(find(SLICE("anna"), SLICE_NONE, VERSION, NOW + REGULARS_LIFE_MS), 0);
}

/* Who needs more room than there is is not kept; just as much is. */
static void
test_long(void **state)
{
	uint8_t text[REGULARS_TEXT];
	size_t most = REGULARS_TEXT - strlen("annaINBOX");

	(void)state;
	memset(text, 'x', sizeof text);
	put(slice_of(text, most + 1), SLICE_NONE, 5);
	assert_int_equal(find(slice_of(text, most + 1), SLICE_NONE, VERSION, NOW), 0);
	put(slice_of(text, 1), slice_of(text, most - 1), 5);
	assert_int_equal(find(slice_of(text, 1), slice_of(text, most - 1), VERSION, NOW), 5);
}

/* However many come, the last one is there. */
static void
test_many(void **state)
{
	char name[16];

	(void)state;
	for (unsigned i = 1; i <= 20000; i++) {
		struct slice local = slice_of(name, (size_t)snprintf(name, sizeof name, "u%u", i));

		put(local, SLICE("a.example"), i);
		assert_int_equal(find(local, SLICE("a.example"), VERSION, NOW), i);
		arena_reset(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_as_put, start, end),
		cmocka_unit_test_setup_teardown(test_version_and_time, start, end),
		cmocka_unit_test_setup_teardown(test_long, start, end),
		cmocka_unit_test_setup_teardown(test_many, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
