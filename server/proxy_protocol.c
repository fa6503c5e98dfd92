/* proxy_protocol - see proxy_protocol.h. */
#include "server/proxy_protocol.h"

#include <string.h>

#define V4_LEN 12u                      /* two addresses, two ports */
#define V6_LEN 36u

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_NONE = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                                       0x54, 0x0a };

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Wrong from the first byte that is: a client that speaks first gets no further. */
static bool
begins_well(struct slice in)
{
	size_t n = in.len < sizeof signature ? in.len : sizeof signature;

	if (n > 0 && memcmp(in.ptr, signature, n) != 0)
		return false;
	return in.len < 13 || in.ptr[12] == COMMAND_LOCAL || in.ptr[12] == COMMAND_PROXY;
}

/* The addresses behind the fixed part. An origin without an address of IP is one
 * that is not told. */
static enum proxy_result
take_addresses(uint8_t family, const uint8_t *p, size_t len, struct proxy_header *out)
{
	switch (family) {
	case FAMILY_TCP4:
		if (len < V4_LEN)
			return PROXY_BAD;
		out->ip[10] = out->ip[11] = 0xff;
		memcpy(out->ip + 12, p, 4);
		out->port = be16(p + 8);
		out->has_ip = true;
		return PROXY_OK;
	case FAMILY_TCP6:
		if (len < V6_LEN)
			return PROXY_BAD;
		memcpy(out->ip, p, NETWORK_IP_LEN);
		out->port = be16(p + 32);
		out->has_ip = true;
		return PROXY_OK;
	case FAMILY_NONE:
	case FAMILY_UNIX:
		return PROXY_OK;
	default:                        /* datagrams, and what is not defined */
		return PROXY_BAD;
	}
}

enum proxy_result
proxy_parse(struct slice in, struct proxy_header *out, size_t *need)
{
	size_t len;

	*out = (struct proxy_header){ .has_ip = false };
	*need = 0;
	if (!begins_well(in))
		return PROXY_BAD;
	if (in.len < PROXY_FIXED_LEN) {
		*need = PROXY_FIXED_LEN - in.len;
		return PROXY_MORE;
	}
	len = be16(in.ptr + 14);
	out->len = PROXY_FIXED_LEN + len;
	if (out->len > PROXY_HEADER_MAX)
		return PROXY_BAD;
	if (in.len < out->len) {
		*need = out->len - in.len;
		return PROXY_MORE;
	}
	if (in.ptr[12] == COMMAND_LOCAL)
		return PROXY_OK;
	return take_addresses(in.ptr[13], in.ptr + PROXY_FIXED_LEN, len, out);
}
