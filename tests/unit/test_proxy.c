/* proxy_protocol: headers as haproxy writes them and others, each also cut at every byte. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "server/proxy_protocol.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4  "\xc0\x00\x02\x07" "\xc6\x33\x64\x01" "\x30\x39" "\x03\xe1"
#define V6  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x06" "\x30\x39" "\x03\xe1"

static const struct proxy_case {
	const char       *name;
	struct slice      in;
	enum proxy_result want;
	const char       *ip;           /* NULL: none */
	size_t            behind;       /* bytes of `in` that are not the header's */
} cases[] = {
	{ "IPv4", SLICE_INIT(SIG "\x21\x11\x00\x0c" V4), PROXY_OK, "192.0.2.7", 0 },
	{ "IPv6", SLICE_INIT(SIG "\x21\x21\x00\x24" V6), PROXY_OK, "2001:db8::5", 0 },
	{ "what follows is the client's", SLICE_INIT(SIG "\x21\x11\x00\x0c" V4 "a NOOP\r\n"), PROXY_OK, "192.0.2.7", 8 },
	{ "TLVs are passed over", SLICE_INIT(SIG "\x21\x11\x00\x12" V4 "\x01\x00\x03" "abc" "x"), PROXY_OK, "192.0.2.7", 1 },
	{ "LOCAL", SLICE_INIT(SIG "\x20\x00\x00\x00"), PROXY_OK, NULL, 0 },
	{ "LOCAL with an address that does not count", SLICE_INIT(SIG "\x20\x11\x00\x0c" V4), PROXY_OK, NULL, 0 },
	{ "origin not told", SLICE_INIT(SIG "\x21\x00\x00\x00"), PROXY_OK, NULL, 0 },
	{ "unix", SLICE_INIT(SIG "\x21\x31\x00\x01" "x"), PROXY_OK, NULL, 0 },
	{ "IPv4 too short", SLICE_INIT(SIG "\x21\x11\x00\x0b" V4), PROXY_BAD, NULL, 0 },
	{ "IPv6 too short", SLICE_INIT(SIG "\x21\x21\x00\x23" V6), PROXY_BAD, NULL, 0 },
	{ "datagrams", SLICE_INIT(SIG "\x21\x12\x00\x0c" V4), PROXY_BAD, NULL, 0 },
	{ "version 1", SLICE_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 12345 993\r\n"), PROXY_BAD, NULL, 0 },
	{ "version 3", SLICE_INIT(SIG "\x31\x11\x00\x0c" V4), PROXY_BAD, NULL, 0 },
	{ "unknown command", SLICE_INIT(SIG "\x22\x11\x00\x0c" V4), PROXY_BAD, NULL, 0 },
	{ "longer than we read", SLICE_INIT(SIG "\x21\x11\x0f\xf1"), PROXY_BAD, NULL, 0 },
	{ "TLS", SLICE_INIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), PROXY_BAD, NULL, 0 },
	{ "IMAP", SLICE_INIT("a"), PROXY_BAD, NULL, 0 },
	{ "wrong at the end of the signature", SLICE_INIT("\r\n\r\n\0\r\nQUIT\r"), PROXY_BAD, NULL, 0 },
};

static enum proxy_result
parse_copy(struct slice in, struct proxy_header *h, size_t *need)
{
	uint8_t *copy = malloc(in.len > 0 ? in.len : 1);
	enum proxy_result r;

	assert_non_null(copy);
	if (in.len > 0)
		memcpy(copy, in.ptr, in.len);
	r = proxy_parse(slice_of(copy, in.len), h, need);
	free(copy);
	return r;
}

static void
test_header(void **state)
{
	const struct proxy_case *k = *state;
	struct proxy_header h;
	struct network want;
	size_t need;

	assert_int_equal(parse_copy(k->in, &h, &need), k->want);
	if (k->want == PROXY_BAD)
		return;
	assert_int_equal(h.len, k->in.len - k->behind);
	assert_int_equal(h.has_ip, k->ip != NULL);
	if (k->ip != NULL) {
		assert_true(network_parse(slice_str(k->ip), &want));
		assert_memory_equal(h.ip, want.ip, sizeof h.ip);
		assert_int_equal(h.port, 12345);
	}
	/* Read as told, the header is whole without a byte too many. */
	for (size_t have = 0; have < h.len;) {
		assert_int_equal(parse_copy(slice_sub(k->in, 0, have), &h, &need), PROXY_MORE);
		assert_true(need > 0 && have + need <= k->in.len - k->behind);
		have += need;
		h.len = k->in.len - k->behind;
	}
	for (size_t cut = 0; cut < k->in.len - k->behind; cut++)
		assert_int_equal(parse_copy(slice_sub(k->in, 0, cut), &h, &need), PROXY_MORE);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases)];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, test_header, NULL, NULL,
		                                (void *)(uintptr_t)&cases[i] };
	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
