/* session_core - the life of a session as reactor and acceptor see it. Protocols see session.h. Reactor thread. */
#ifndef RESTANTE_SERVER_SESSION_CORE_H
#define RESTANTE_SERVER_SESSION_CORE_H

#include <stdio.h>
#include <sys/socket.h>

#include "server/listener.h"
#include "server/reactor.h"
#include "server/refusal.h"
#include "server/session.h"

/* How a connection to this listener counts in the server's peers. */
enum peers_kind session_kind(const struct listener *l, enum refusal why);
/* A session on an accepted socket, which is its own from now on, as is one count in the server's peers. `peer` NULL:
 * unix socket. But for REFUSAL_NONE it is only told why it is one too many, and ends: no protocol
 * sees it. */
void session_begin(struct reactor *r, const struct listener *l, int fd,
                   const struct sockaddr_storage *peer, enum refusal why);
/* The server shuts down: end as soon as the command under way allows. */
void session_stop(struct session *s);
/* Patience is over: end unless a step is under way. */
void session_cut(struct session *s);
/* Its deadline has come. */
void session_expired(struct wheel_node *n);
/* It has been silent for long enough to give memory back. */
void session_rest_due(struct wheel_node *n);

/* The reactor's list. */
struct session *session_next_on_reactor(const struct session *s);
void session_link(struct session *s, struct session **head);
void session_unlink(struct session *s, struct session **head);

#endif
