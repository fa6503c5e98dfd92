/* proxy_protocol - the header of version 2 that a proxy puts before a connection's first byte (haproxy,
 * proxy-protocol.txt of 2020, section 2.2): whose connection it is.
 *
 *     0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A   signature
 *     ver (2) and command                   20: LOCAL, the proxy itself; 21: PROXY
 *     family and protocol                   11: TCP over IPv4; 21: TCP over IPv6; 31: a unix socket; 00: not told
 *     length, 16 bits                       of what follows: addresses, then TLVs
 *
 * TLVs are passed over: what they say of TLS between client and proxy is no TLS of ours. Version 1, in text, is not
 * understood. Pure, any thread.
 */
#ifndef RESTANTE_SERVER_PROXY_PROTOCOL_H
#define RESTANTE_SERVER_PROXY_PROTOCOL_H

#include "lib/network.h"
#include "lib/slice.h"

#define PROXY_FIXED_LEN  16u
#define PROXY_HEADER_MAX 4096u          /* with its TLVs */

enum proxy_result {
	PROXY_MORE,             /* *need more bytes are needed at least; no byte behind the header among them */
	PROXY_OK,
	PROXY_BAD,              /* this is no such header */
};

struct proxy_header {
	bool     has_ip;                        /* else it is the proxy's own, or not told */
	uint8_t  ip[NETWORK_IP_LEN];            /* of the client, IPv4 mapped into IPv6 */
	uint16_t port;
	size_t   len;                           /* of the whole header */
};

enum proxy_result proxy_parse(struct slice in, struct proxy_header *out, size_t *need);

#endif
