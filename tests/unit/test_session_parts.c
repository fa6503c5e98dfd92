/* The small parts beside a session: the wheel of deadlines, counting of peers, requests of the
 * control socket. */
#include "tests/unit/unit.h"

#include <netinet/in.h>

#include "server/control.h"
#include "server/peers.h"
#include "server/wheel.h"

/* ---- wheel ---- */

static struct wheel wheel;
static struct wheel_node nodes[8];
static uint64_t expired_at[8];
static uint64_t now;
static bool renew;

static void
on_expired(struct wheel_node *n)
{
	expired_at[n - nodes] = now;
	if (renew)
		wheel_set(&wheel, n, now + 1000);
}

static int
start_wheel(void **state)
{
	(void)state;
	now = 1000000;
	renew = false;
	wheel_init(&wheel, now);
	memset(nodes, 0, sizeof nodes);
	memset(expired_at, 0, sizeof expired_at);
	return 0;
}

static void
run_to(uint64_t ms)
{
	for (; now < ms; now += 100)
		wheel_advance(&wheel, now, on_expired);
}

static void
test_deadlines(void **state)
{
	static const uint64_t after[] = { 0, 1, 499, 500, 5000, 64000, 200000, 1800000 };
	uint64_t begin = now;

	(void)state;
	for (unsigned i = 0; i < UNIT_COUNT(after); i++)
		wheel_set(&wheel, &nodes[i], begin + after[i]);
	run_to(begin + 1900000);
	for (unsigned i = 0; i < UNIT_COUNT(after); i++) {
		assert_true(expired_at[i] >= begin + after[i]);
		assert_true(expired_at[i] <= begin + after[i] + 2 * WHEEL_TICK_MS + 100);
	}
}

static void
test_moved(void **state)
{
	uint64_t begin = now;

	(void)state;
	wheel_set(&wheel, &nodes[0], begin + 2000);     /* later */
	wheel_set(&wheel, &nodes[1], begin + 90000);    /* sooner */
	wheel_set(&wheel, &nodes[2], begin + 2000);     /* never */
	run_to(begin + 1000);
	wheel_set(&wheel, &nodes[0], begin + 5000);
	wheel_set(&wheel, &nodes[1], begin + 3000);
	wheel_clear(&nodes[2]);
	wheel_clear(&nodes[2]);
	run_to(begin + 100000);
	assert_in_range(expired_at[0], begin + 5000, begin + 6200);
	assert_in_range(expired_at[1], begin + 3000, begin + 4200);
	assert_int_equal(expired_at[2], 0);
}

static void
test_long_pause(void **state)
{
	(void)state;
	wheel_set(&wheel, &nodes[0], now + 1000);
	wheel_set(&wheel, &nodes[1], now + 50000);
	wheel_set(&wheel, &nodes[2], now + 500000000);
	now += 100000000;
	wheel_advance(&wheel, now, on_expired);
	assert_int_equal(expired_at[0], now);
	assert_int_equal(expired_at[1], now);
	assert_int_equal(expired_at[2], 0);
}

static void
test_renewed(void **state)
{
	uint64_t begin = now;

	(void)state;
	renew = true;
	wheel_set(&wheel, &nodes[0], now + 1000);
	run_to(begin + 10000);
	assert_true(expired_at[0] > begin + 8000);
}

/* ---- peers ---- */

static struct peer_key
key_v4(uint32_t ip)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };
	struct peer_key key;

	((struct sockaddr_in *)(void *)&ss)->sin_addr.s_addr = htonl(ip);
	peer_key_set(&key, &ss);
	return key;
}

static void
test_peers(void **state)
{
	struct peer_key a = key_v4(0x7f000001), b = key_v4(0x7f000002);
	struct err e = ERR_INIT;
	struct peers *p;

	(void)state;
	assert_int_equal(peers_new(&p, &e), RC_OK);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, &a, 4, 2), PEERS_OK);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, &a, 4, 2), PEERS_OK);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, &a, 4, 2), PEERS_FULL_IP);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, &b, 4, 2), PEERS_OK);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, NULL, 4, 2), PEERS_OK);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, NULL, 4, 2), PEERS_FULL);
	/* each kind by itself */
	assert_int_equal(peers_enter(p, PEERS_LOCAL, NULL, 1, 2), PEERS_OK);
	assert_int_equal(peers_enter(p, PEERS_LOCAL, NULL, 1, 2), PEERS_FULL);
	assert_int_equal(peers_enter(p, PEERS_REFUSED, NULL, 1, 0), PEERS_OK);
	assert_int_equal(peers_count(p), 6);
	peers_leave(p, PEERS_LOCAL, NULL);
	peers_leave(p, PEERS_REFUSED, NULL);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, &b, 4, 2), PEERS_FULL);
	peers_leave(p, PEERS_REMOTE, &a);
	assert_int_equal(peers_enter(p, PEERS_REMOTE, &a, 4, 2), PEERS_OK);
	assert_int_equal(peers_count(p), 4);
	peers_leave(p, PEERS_REMOTE, &a);
	peers_leave(p, PEERS_REMOTE, &a);
	peers_leave(p, PEERS_REMOTE, &b);
	peers_leave(p, PEERS_REMOTE, NULL);
	assert_int_equal(peers_count(p), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		a = key_v4(i);
		assert_int_equal(peers_enter(p, PEERS_REMOTE, &a, 20000, 1), PEERS_OK);
		assert_int_equal(peers_enter(p, PEERS_REMOTE, &a, 20000, 1), PEERS_FULL_IP);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		a = key_v4(i);
		peers_leave(p, PEERS_REMOTE, &a);
	}
	peers_free(&p);
}

/* ---- control ---- */

static const struct request_case {
	const char *name;
	const char *line;
	const char *want;       /* words in brackets, or "" for an error */
} requests[] = {
	{ "one", "status", "[status]" },
	{ "several", "user add anna", "[user][add][anna]" },
	{ "encoded", "a%20b%41%c3%A4", "[a bA\xc3\xa4]" },
	{ "empty word", "a % b", "[a][][b]" },
	{ "percent", "%25", "[%]" },
	{ "nothing", "", "" },
	{ "two spaces", "a  b", "" },
	{ "trailing space", "a ", "" },
	{ "cut escape", "a%4", "" },
	{ "bad escape", "%zz", "" },
	{ "NUL", "a%00", "" },
	{ "too many", "1 2 3 4 5", "" },
};

static void
test_request(void **state)
{
	const struct request_case *k = *state;
	char *line = strdup(k->line), text[100] = "";
	const char *argv[4];
	int n = control_parse(line, argv, 4);

	for (int i = 0; i < n; i++) {
		strcat(text, "[");
		strcat(text, argv[i]);
		strcat(text, "]");
	}
	assert_string_equal(text, k->want);
	assert_int_equal(n < 0, k->want[0] == '\0');
	free(line);
}

#define N_FIXED 5

int
main(void)
{
	struct CMUnitTest tests[N_FIXED + UNIT_COUNT(requests)] = {
		cmocka_unit_test_setup(test_deadlines, start_wheel),
		cmocka_unit_test_setup(test_moved, start_wheel),
		cmocka_unit_test_setup(test_long_pause, start_wheel),
		cmocka_unit_test_setup(test_renewed, start_wheel),
		cmocka_unit_test(test_peers),
	};

	for (size_t i = 0; i < UNIT_COUNT(requests); i++)
		tests[N_FIXED + i] = (struct CMUnitTest){ requests[i].name, test_request, NULL,
		                                          NULL,
		                                          (void *)(uintptr_t)&requests[i] };
	return cmocka_run_group_tests_name("session_parts", tests, NULL, NULL);
}
