/* network: what is one, who is in it, and how it is written. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>

#include "lib/network.h"

static void
address(const char *text, uint8_t ip[NETWORK_IP_LEN])
{
	struct network n;

	assert_true(network_parse(slice_str(text), &n));
	assert_int_equal(n.bits, 128);
	memcpy(ip, n.ip, NETWORK_IP_LEN);
}

static void
test_has(void **state)
{
	static const struct {
		const char *network, *ip;
		bool        in;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", true },
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.0/24", "192.0.1.255", false },
		{ "192.0.2.4/31", "192.0.2.5", true },
		{ "192.0.2.4/31", "192.0.2.6", false },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7", "192.0.2.6", false },
		{ "192.0.2.0/24", "::ffff:192.0.2.9", true },
		{ "::ffff:192.0.2.0/120", "192.0.2.9", true },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "192.0.2.1", true },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/32", "2001:db9::", false },
		{ "2001:db8::/61", "2001:db8:0:7::", true },
		{ "2001:db8::/61", "2001:db8:0:8::", false },
		{ "::1", "::1", true },
		{ "::1", "127.0.0.1", false },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct network n;
		uint8_t ip[NETWORK_IP_LEN];

		assert_true(network_parse(slice_str(cases[i].network), &n));
		address(cases[i].ip, ip);
		if (network_has(&n, ip) != cases[i].in ||
		    network_list_has(&n, 1, ip) != cases[i].in)
			fail_msg("%s in %s: want %d", cases[i].ip, cases[i].network, cases[i].in);
		assert_false(network_list_has(&n, 0, ip));
	}
}

/* Whoever has one address of a /64 has all of it. */
static void
test_peer(void **state)
{
	static const struct {
		const char *ip, *counts_as;
		bool        v4;
	} cases[] = {
		{ "192.0.2.7", "192.0.2.7", true },
		{ "::ffff:192.0.2.7", "192.0.2.7", true },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", false },
		{ "::1", "::/64", false },
		{ "::fffe:c000:207", "::/64", false },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char out[NETWORK_TEXT_MAX];
		struct network n;
		uint8_t ip[NETWORK_IP_LEN];

		address(cases[i].ip, ip);
		assert_int_equal(network_is_v4(ip), cases[i].v4);
		network_of_peer(ip, &n);
		network_format(&n, out);
		assert_string_equal(out, cases[i].counts_as);
	}
}

static void
test_format(void **state)
{
	static const char *const texts[] = {
		"192.0.2.0/24", "192.0.2.7", "0.0.0.0/0", "::/0", "::1", "2001:db8::/32", "2001:db8::1", "::/96",
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(texts); i++) {
		char out[NETWORK_TEXT_MAX];
		struct network n;

		assert_true(network_parse(slice_str(texts[i]), &n));
		network_format(&n, out);
		assert_string_equal(out, texts[i]);
	}
}

static void
test_refused(void **state)
{
	static const char *const texts[] = {
		"", "/", "/8", "localhost", "192.0.2", "192.0.2.256", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1",
		"192.0.2.0/24 ", " 192.0.2.0", "192.0.2.1/24", "192.0.2.0/24/24", "192.0.2.0/+24", "2001:db8::/129",
		"2001:db8::1/64", "fe80::1%lo", "1:2:3:4:5:6:7:8:9", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa",
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(texts); i++) {
		struct network n;

		if (network_parse(slice_str(texts[i]), &n))
			fail_msg("taken: %s", texts[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
