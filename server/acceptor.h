/* acceptor - takes connections from a reactor's listening sockets and makes sessions of them.
 *
 * Connections over a limit are told so in one line and closed (refusal.h). When descriptors run
 * out, a spare one is given up to accept a connection, tell it likewise and close it, and accepting
 * pauses for a while: a listening socket that stays readable must not spin. Belongs to its reactor's
 * thread; made before that starts.
 */
#ifndef RESTANTE_SERVER_ACCEPTOR_H
#define RESTANTE_SERVER_ACCEPTOR_H

#include "server/listener.h"
#include "server/reactor.h"

struct acceptor;

/* Reactor number `number` takes its share of all listeners: its socket of each TCP one, and number 0 the unix ones;
 * connections go to whichever reactor has the fewest. `ls` must stay as long as the reactor lives. */
MUST_USE enum rc acceptor_new(struct reactor *r, unsigned number, struct listeners *ls,
                              struct err *e);
/* Stop; harmless on NULL and when repeated. */
void acceptor_close(struct acceptor *a);
/* After the loop has ended. */
void acceptor_free(struct acceptor **a);

#endif
