/* fuzz_proxy - any bytes as the header of a proxy.
 *
 * Held against: what is asked for is asked for to the end and not a byte beyond; a header once
 * whole is the same whatever follows; nothing that was good as a prefix turns bad before the byte
 * that makes it so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_proxy: broken: %s\n", what);
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, h;
	size_t need, have = 0;
	enum proxy_result r, all = proxy_parse(slice_of(data, size), &whole, &need);

	require(all != PROXY_OK || (whole.len >= PROXY_FIXED_LEN && whole.len <= size),
	        "a header within its bytes");
	require(all != PROXY_MORE || need > 0, "what is needed");
	for (;;) {
		uint8_t *copy = malloc(have + 1);

		if (copy == NULL)
			return 0;
		if (have > 0)
			memcpy(copy, data, have);
		r = proxy_parse(slice_of(copy, have), &h, &need);
		free(copy);
		if (r != PROXY_MORE || have + need > size)
			break;
		have += need;
	}
	require(r == all || (r == PROXY_MORE && all == PROXY_BAD), "the same piece by piece");
	require(r != PROXY_OK || (h.len == have && whole.len == have &&
	                          memcmp(h.ip, whole.ip, sizeof h.ip) == 0),
	        "not a byte beyond it");
	return 0;
}
