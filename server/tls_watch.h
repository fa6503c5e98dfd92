/* tls_watch - notices that certificates have been renewed.
 *
 * A thread of its own looks at the files every other second. What it reads anew is for connections that
 * begin from then on.
 */
#ifndef RESTANTE_SERVER_TLS_WATCH_H
#define RESTANTE_SERVER_TLS_WATCH_H

#include "server/core.h"

struct tls_watch;

/* Main thread. Also says in the log what is served at first. Ended by tls_watch_stop, before the server is freed. */
MUST_USE enum rc tls_watch_start(struct server *srv, struct tls_watch **out, struct err *e);
void tls_watch_stop(struct tls_watch **w);      /* accepts a pointer to NULL, leaves NULL behind */

#endif
