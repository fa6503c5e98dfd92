/* guard: who is slowed down and blocked, who never is, and what a flood of names and
 * addresses cannot do. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/guard.h"

static struct network webmail;
static struct guard_rules rules;
static struct guard *g;

static int
start(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_true(network_parse(SLICE("192.0.2.128/25"), &webmail));
	rules = (struct guard_rules){ .failures = 4, .network_failures = 12, .account_failures = 10,
	                              .window = 1000,
		                      .block = 60, .known = 3600, .trusted = &webmail,
		                      .trusted_count = 1 };
	assert_int_equal(guard_new(&g, &e), RC_OK);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	guard_free(&g);
	return 0;
}

static struct guard_try
try_from(const char *name, const char *ip, const char *password)
{
	static struct network last;
	struct guard_try t = { .name = slice_str(name) };

	if (ip != NULL) {
		assert_true(network_parse(slice_str(ip), &last));
		t.ip = last.ip;
	}
	if (password != NULL)
		t.password = guard_password(g, slice_str(password));
	return t;
}

static bool
allowed(const char *name, const char *ip, uint64_t now)
{
	struct guard_try t = try_from(name, ip, NULL);

	return guard_allows(g, &rules, &t, now);
}

static struct guard_outcome
fail_with(const char *name, const char *ip, const char *password, uint64_t now)
{
	struct guard_try t = try_from(name, ip, password);
	struct guard_outcome o;

	guard_failed(g, &rules, &t, now, &o);
	return o;
}

/* `n` failures, each with another password. */
static struct guard_outcome
fail_times(const char *name, const char *ip, unsigned n, uint64_t now)
{
	struct guard_outcome o = { 0 };
	char password[24];
	static unsigned k;

	for (unsigned i = 0; i < n; i++) {
		snprintf(password, sizeof password, "guess %u", k++);
		o = fail_with(name, ip, password, now);
	}
	return o;
}

static void
good(const char *name, const char *ip, uint64_t now)
{
	struct guard_try t = try_from(name, ip, NULL);

	guard_succeeded(g, &rules, &t, now);
}

static void
test_pair(void **state)
{
	struct guard_outcome o;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		o = fail_times("anna", "198.51.100.1", 1, 100);
		assert_int_equal(o.failures, i);
		assert_int_equal(o.blocked_s, 0);
		assert_true(allowed("anna", "198.51.100.1", 100));
	}
	o = fail_times("anna", "198.51.100.1", 1, 100);
	assert_int_equal(o.blocked_s, 60);
	assert_false(o.network);
	assert_false(allowed("anna", "198.51.100.1", 100));
	assert_false(allowed("ANNA", "198.51.100.1", 159));
	assert_true(allowed("anna", "198.51.100.2", 100));
	assert_true(allowed("bert", "198.51.100.1", 100));
	assert_true(allowed("anna", "198.51.100.1", 160));
}

/* Nobody may have the name: capitals, a decomposed letter and a wide one are the same account
 * as at a look-up. */
static void
test_spellings(void **state)
{
	static const char *const names[] = { "j\xc3\xb6rg", "J\xc3\x96RG", "jo\xcc\x88rg",
	                                     "\xef\xbd\x8a\xc3\xb6rg" };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		fail_times(names[i], "198.51.100.1", 1, 100);
	for (size_t i = 0; i < 4; i++)
		assert_false(allowed(names[i], "198.51.100.1", 100));
	assert_true(allowed("jorg", "198.51.100.1", 100));
}

/* Some seconds between them do not make four less than four. */
static void
test_pair_in_a_while(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		fail_times("anna", "198.51.100.1", 1, 100 + i * 20);
	assert_false(allowed("anna", "198.51.100.1", 161));
}

static void
test_blocks_grow(void **state)
{
	uint64_t now = 100, want = 60;

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		struct guard_outcome o = fail_times("anna", "198.51.100.1", 1, now);

		while (o.blocked_s == 0)
			o = fail_times("anna", "198.51.100.1", 1, now);
		assert_int_equal(o.blocked_s, want);
		now += want;
		assert_true(allowed("anna", "198.51.100.1", now));
		want = want < 60 * 64 ? want * 2 : want;
	}
	now += 2 * 86400;
	assert_int_equal(fail_times("anna", "198.51.100.1", 4, now).blocked_s, 60);
}

static void
test_failures_leak(void **state)
{
	(void)state;
	for (uint64_t now = 0; now < 100000; now += 250)        /* one in the time in which
	                                                         * one is forgotten */
		assert_int_equal(fail_times("anna", "198.51.100.1", 1, now).failures, 1);
	assert_true(allowed("anna", "198.51.100.1", 100000));
}

/* An old phone. */
static void
test_the_same_password_again(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fail_with("anna", "198.51.100.1", "last year's", 100).failures, 1);
	assert_true(allowed("anna", "198.51.100.1", 100));
	for (int i = 0; i < 3; i++)
		fail_with("anna", "198.51.100.1", i % 2 == 0 ? "a" : "b", 100);
	assert_false(allowed("anna", "198.51.100.1", 100));
}

/* With SCRAM it is not known which password it was: each counts. */
static void
test_unknown_passwords_count(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		fail_with("anna", "198.51.100.1", NULL, 100);
	assert_false(allowed("anna", "198.51.100.1", 100));
}

static void
test_good_login_forgets(void **state)
{
	(void)state;
	fail_times("anna", "198.51.100.1", 3, 100);
	good("anna", "198.51.100.1", 100);
	assert_int_equal(fail_times("anna", "198.51.100.1", 1, 100).failures, 1);
}

static void
test_known_networks_are_not_blocked(void **state)
{
	struct guard_outcome o;

	(void)state;
	good("anna", "198.51.100.1", 100);
	o = fail_times("anna", "198.51.100.1", 30, 200);
	assert_int_equal(o.failures, 30);
	assert_true(allowed("anna", "198.51.100.1", 200));
	/* the network is blocked, for all but those known there */
	assert_false(allowed("bert", "198.51.100.1", 200));
	fail_times("anna", "203.0.113.1", 4, 200);
	assert_false(allowed("anna", "203.0.113.1", 200));
	rules.known = 0;
	assert_false(allowed("anna", "198.51.100.1", 200));     /* as the network is */
	rules.known = 3600;
	good("bert", "203.0.113.7", 1000);
	fail_times("bert", "203.0.113.7", 8, 1000 + 3599);
	assert_true(allowed("bert", "203.0.113.7", 1000 + 3599));
	fail_times("bert", "203.0.113.7", 8, 1000 + 3600);
	assert_false(allowed("bert", "203.0.113.7", 1000 + 3600));
}

/* The last six, and no more of others' places than that. */
static void
test_known_networks_are_few(void **state)
{
	char ip[40];

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(ip, sizeof ip, "203.0.113.%u", i);
		good("anna", ip, 100 + i);
	}
	for (unsigned i = 0; i < 20; i++) {
		snprintf(ip, sizeof ip, "203.0.113.%u", i);
		fail_times("anna", ip, 8, 130);
		assert_int_equal(allowed("anna", ip, 130), i >= 14);
	}
}

static void
test_network(void **state)
{
	struct guard_outcome o;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "user%u", i);
		assert_true(allowed(name, "198.51.100.7", 100));
		o = fail_with(name, "198.51.100.7", "Summer2026", 100);
	}
	assert_true(o.network && o.blocked_s == 60);
	assert_false(allowed("anybody", "198.51.100.7", 100));
	assert_true(allowed("anybody", "198.51.100.8", 100));
}

static void
test_ipv6(void **state)
{
	char ip[64];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(ip, sizeof ip, "2001:db8:1:2:%x::%x", i * 77, i);
		fail_times("anna", ip, 1, 100);
	}
	assert_false(allowed("anna", "2001:db8:1:2:ffff::1", 100));
	assert_true(allowed("anna", "2001:db8:1:3::1", 100));
}

static void
test_trusted(void **state)
{
	static const char *const ips[] = { "192.0.2.200", "127.0.0.1", "::1", NULL };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(ips); i++) {
		struct guard_outcome o = fail_times("anna", ips[i], 40, 100);

		assert_int_equal(o.failures, 40);       /* answers come late all the same */
		assert_int_equal(o.blocked_s, 0);
		assert_true(allowed("anna", ips[i], 100) && allowed("bert", ips[i], 100));
		good("anna", ips[i], 100);
		assert_int_equal(fail_times("anna", ips[i], 1, 100).failures, 1);
		good("anna", ips[i], 100);              /* ::1 and unix sockets are one network */
	}
}

static void
test_account(void **state)
{
	struct guard_outcome o;
	char ip[40];

	(void)state;
	good("anna", "203.0.113.1", 50);
	for (unsigned i = 0; i < 11; i++) {
		snprintf(ip, sizeof ip, "198.51.100.%u", i);
		o = fail_times("anna", ip, 1, 100);
		assert_int_equal(o.failures, i < 10 ? 1 : GUARD_FAILURES_MOST);
	}
	assert_true(allowed("anna", "198.51.100.77", 100));     /* a new place is slow, not shut */
	assert_int_equal(fail_times("anna", "203.0.113.1", 1, 100).failures, 1);
	assert_int_equal(fail_times("bert", "198.51.100.1", 1, 100).failures, 1);
}

static void
test_rules_off(void **state)
{
	(void)state;
	rules.failures = rules.network_failures = rules.account_failures = 0;
	assert_int_equal(fail_times("anna", "198.51.100.1", 500, 100).blocked_s, 0);
	assert_true(allowed("anna", "198.51.100.1", 100));
	assert_int_equal(fail_times("anna", "198.51.100.1", 1, 1099).failures, 501);
	/* the delays end too */
	assert_int_equal(fail_times("anna", "198.51.100.1", 1, 2099).failures, 1);
}

/* Half a million names and addresses, each with one failure, do not make the server forget who is
 * blocked, nor who is about to be, nor where somebody is known. */
static void
test_flood(void **state)
{
	char name[24], ip[40];

	(void)state;
	rules.network_failures = 0;
	rules.block = 100000;
	good("carl", "203.0.113.9", 100);
	fail_times("anna", "198.51.100.1", 4, 100);
	fail_times("bert", "198.51.100.1", 3, 100);
	for (unsigned i = 0; i < 500000; i++) {
		snprintf(name, sizeof name, "x%u", i);
		snprintf(ip, sizeof ip, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		fail_with(name, ip, NULL, 100);
	}
	assert_false(allowed("anna", "198.51.100.1", 100));
	fail_times("bert", "198.51.100.1", 1, 100);
	assert_false(allowed("bert", "198.51.100.1", 100));
	fail_times("carl", "203.0.113.9", 10, 100);
	assert_true(allowed("carl", "203.0.113.9", 100));
}

static void
test_list_and_clear(void **state)
{
	struct guard_block *b;
	struct network net;
	struct err e = ERR_INIT;
	size_t n;

	(void)state;
	fail_times("anna", "198.51.100.1", 4, 100);
	fail_times("bert", "2001:db8::5", 4, 100);
	fail_times("nobody", "2001:db8::5", 8, 100);
	assert_int_equal(guard_list(g, 100, &b, &n, &e), RC_OK);
	assert_int_equal(n, 4);
	assert_string_equal(b[0].name, "");                     /* networks first */
	assert_int_equal(b[0].network.bits, 64);
	assert_int_equal(b[0].until_s, 160);
	free(b);
	assert_int_equal(guard_clear(g, SLICE("Anna"), NULL, 100), 1);
	assert_true(allowed("anna", "198.51.100.1", 100));
	assert_true(network_parse(SLICE("2001:db8::99"), &net));
	assert_int_equal(guard_clear(g, SLICE_NONE, &net, 100), 3);
	assert_true(allowed("bert", "2001:db8::5", 100));
	fail_times("anna", "198.51.100.1", 4, 100);
	assert_int_equal(guard_clear(g, SLICE_NONE, NULL, 100), 1);
	assert_int_equal(guard_list(g, 100, &b, &n, &e), RC_OK);
	assert_int_equal(n, 0);
	free(b);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_pair), ROW(test_spellings),
		ROW(test_pair_in_a_while),
		ROW(test_blocks_grow),
		ROW(test_failures_leak),
		ROW(test_the_same_password_again),
		ROW(test_unknown_passwords_count),
		ROW(test_good_login_forgets),
		ROW(test_known_networks_are_not_blocked),
		ROW(test_known_networks_are_few),
		ROW(test_network),
		ROW(test_ipv6),
		ROW(test_trusted),
		ROW(test_account),
		ROW(test_rules_off),
		ROW(test_flood),
		ROW(test_list_and_clear),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
