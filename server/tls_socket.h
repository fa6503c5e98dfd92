/* tls_socket - the socket below a TLS connection. */
#ifndef RESTANTE_SERVER_TLS_SOCKET_H
#define RESTANTE_SERVER_TLS_SOCKET_H

#include "server/tls.h"

/* c->ssl reads and writes c->fd from now on; `c` must stay where it is. False without memory. Any thread. */
bool tls_socket_attach(struct tls_connection *c);

#endif
