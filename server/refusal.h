/* refusal - what somebody is told whose connection is one too many, before it is closed.
 *
 * One line in the words of the protocol, so that a program or an MTA takes it for "later" and not
 * for a broken server [RFC 5530 s3 UNAVAILABLE, RFC 3206 s4, RFC 5321 s3.8]. In clear it is sent at
 * once. Where a proxy's header or TLS comes first, the connection becomes a session that says it,
 * hears nothing and ends (session_refuse): PEERS_REFUSED_MAX of them at a time, so that a crowd
 * costs no more than that. Of the others, those in TLS are closed without a word.
 */
#ifndef RESTANTE_SERVER_REFUSAL_H
#define RESTANTE_SERVER_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

#include "server/peers.h"

#define REFUSAL_TEXT 160

struct protocol;

enum refusal {
	REFUSAL_NONE,
	REFUSAL_TOTAL,
	REFUSAL_IP,
	REFUSAL_FILES,          /* no descriptors left */
	REFUSAL_MEMORY,
	REFUSAL_LOGIN_MEMORY,
};

/* What peers_enter or peers_attach came to. */
enum refusal refusal_of_peers(enum peers_result r);
/* For the log: the name of the limit, as in [limits], or else what is missing. */
const char *refusal_name(enum refusal why);
/* The line for the client; its length, 0: the protocol has none. */
size_t refusal_text(const struct protocol *p, enum refusal why, char out[REFUSAL_TEXT]);
/* In clear. Does not wait: a connection that takes not even this goes without. The descriptor stays
 * the caller's. */
void refusal_send(const struct protocol *p, int fd, enum refusal why);

#endif
