/* forward - XCLIENT and XFORWARD, by which a trusted peer says for whom it speaks (Postfix's XCLIENT_README and
 * XFORWARD_README). XCLIENT is about the connection, as a proxy's: it begins anew, and traces name that client.
 * XFORWARD is about the next message: where the MTA had it from, and its name in the MTA's queue; for logs, and for
 * telling a delivery that comes again.
 *
 * Neither gives a right: who may deliver is decided by who is connected.
 */
#ifndef RESTANTE_SERVER_LMTP_FORWARD_H
#define RESTANTE_SERVER_LMTP_FORWARD_H

#include "lib/arena.h"

enum forward_attribute {
	FORWARD_NAME,           /* host name */
	FORWARD_ADDR,           /* "192.0.2.1", "2001:db8::1" */
	FORWARD_PORT,
	FORWARD_PROTO,
	FORWARD_HELO,
	FORWARD_IDENT,          /* XFORWARD: in the MTA's queue */
	FORWARD_SOURCE,         /* XFORWARD: LOCAL or REMOTE */
	FORWARD_LOGIN,          /* XCLIENT from here on */
	FORWARD_DESTADDR,
	FORWARD_DESTPORT,
	FORWARD_COUNT,
};

#define FORWARD_VALUE_MAX 255u          /* octets, decoded */

/* Values are empty if they are not known ([UNAVAILABLE], [TEMPUNAVAIL]); all are printable ASCII. */
struct forward {
	struct arena arena;
	struct slice value[FORWARD_COUNT];
};

void forward_init(struct forward *f);
void forward_reset(struct forward *f);
void forward_fini(struct forward *f);
/* 1*(attribute-name "=" xtext), one space between; later ones replace earlier ones. False: nothing has changed. */
bool forward_parse(struct forward *f, struct slice args, bool xclient);

#endif
