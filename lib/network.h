/* network - ranges of IP addresses as an admin writes them: "192.0.2.0/24", "2001:db8::/32", "127.0.0.1".
 *
 * Both families are held as IPv6 addresses, IPv4 mapped into it (::ffff:192.0.2.1), so that a peer that comes by either
 * way is the same one. Pure functions, any thread.
 */
#ifndef RESTANTE_LIB_NETWORK_H
#define RESTANTE_LIB_NETWORK_H

#include <stdint.h>

#include "lib/slice.h"

#define NETWORK_IP_LEN   16
#define NETWORK_TEXT_MAX 51             /* "ffff:...:ffff/128" with its NUL, and some room */

struct network {
	uint8_t  ip[NETWORK_IP_LEN];    /* bits behind the prefix are 0 */
	uint8_t  bits;                  /* of the mapped form: an IPv4 /24 is 120 */
};

/* False: it is none. Without a "/" it is the one address. Bits set behind the prefix are refused: 192.0.2.1/24 is most
 * likely a mistake. */
bool network_parse(struct slice text, struct network *out);
/* Is it an IPv4 address, mapped? */
bool network_is_v4(const uint8_t ip[NETWORK_IP_LEN]);
/* What counts as one peer: an IPv4 address, or a /64, as whoever has one address of it has all. */
void network_of_peer(const uint8_t ip[NETWORK_IP_LEN], struct network *out);
bool network_has(const struct network *n, const uint8_t ip[NETWORK_IP_LEN]);
bool network_list_has(const struct network *list, size_t count, const uint8_t ip[NETWORK_IP_LEN]);
/* As it would be written; without "/" when it is one address. */
void network_format(const struct network *n, char out[NETWORK_TEXT_MAX]);

#endif
