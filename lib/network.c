/* network - see network.h. */
#include "lib/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define MAPPED_BITS 96u

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void
mask(uint8_t ip[NETWORK_IP_LEN], unsigned bits)
{
	for (unsigned i = 0; i < NETWORK_IP_LEN; i++) {
		unsigned keep = bits <= 8 * i ? 0 : bits - 8 * i;

		if (keep < 8)
			ip[i] &= (uint8_t)(0xff00u >> keep);
	}
}

/* Digits only: *max is how many bits the family has, *add what the mapping puts before them. */
static bool
parse_ip(const char *text, uint8_t ip[NETWORK_IP_LEN], unsigned *max, unsigned *add)
{
	if (inet_pton(AF_INET, text, ip + sizeof mapped) == 1) {
		memcpy(ip, mapped, sizeof mapped);
		*max = 32;
		*add = MAPPED_BITS;
		return true;
	}
	*max = 128;
	*add = 0;
	return inet_pton(AF_INET6, text, ip) == 1;
}

bool
network_parse(struct slice text, struct network *out)
{
	size_t slash = slice_find_byte(text, '/');
	uint8_t whole[NETWORK_IP_LEN];
	char ip[INET6_ADDRSTRLEN];
	unsigned max, add;
	uint64_t bits;

	*out = (struct network){ .bits = 0 };
	if (!slice_to_cstr(slice_sub(text, 0, slash), ip, sizeof ip) ||
	    !parse_ip(ip, out->ip, &max, &add))
		return false;
	bits = max;
	if (slash < text.len && !slice_to_u64(slice_sub(text, slash + 1, text.len), max, &bits))
		return false;
	out->bits = (uint8_t)(bits + add);
	memcpy(whole, out->ip, sizeof whole);
	mask(out->ip, out->bits);
	return memcmp(whole, out->ip, sizeof whole) == 0;
}

bool
network_is_v4(const uint8_t ip[NETWORK_IP_LEN])
{
	return memcmp(ip, mapped, sizeof mapped) == 0;
}

void
network_of_peer(const uint8_t ip[NETWORK_IP_LEN], struct network *out)
{
	memcpy(out->ip, ip, NETWORK_IP_LEN);
	out->bits = network_is_v4(ip) ? 128 : 64;
	mask(out->ip, out->bits);
}

bool
network_has(const struct network *n, const uint8_t ip[NETWORK_IP_LEN])
{
	uint8_t masked[NETWORK_IP_LEN];

	memcpy(masked, ip, sizeof masked);
	mask(masked, n->bits);
	return memcmp(masked, n->ip, sizeof masked) == 0;
}

bool
network_list_has(const struct network *list, size_t count, const uint8_t ip[NETWORK_IP_LEN])
{
	for (size_t i = 0; i < count; i++)
		if (network_has(&list[i], ip))
			return true;
	return false;
}

void
network_format(const struct network *n, char out[NETWORK_TEXT_MAX])
{
	bool v4 = n->bits >= MAPPED_BITS && network_is_v4(n->ip);
	unsigned bits = v4 ? n->bits - MAPPED_BITS : n->bits;
	char ip[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? n->ip + sizeof mapped : n->ip, ip, sizeof ip);
	if (n->bits == 128)
		(void)snprintf(out, NETWORK_TEXT_MAX, "%s", ip);
	else
		(void)snprintf(out, NETWORK_TEXT_MAX, "%s/%u", ip, bits);
}
