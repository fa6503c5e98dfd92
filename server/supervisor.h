/* supervisor - the process that was started: it binds, keeps the listening sockets, and starts the server as its child.
 *
 * To its caller the two are one process: this one is signalled, its end is the end of both, its exit status is the
 * server's. A server that crashes is started again, while connections wait in the sockets. Small on purpose: one
 * thread, no OpenSSL, no SQLite; when root started it, it stays root, to open what the configuration names and only
 * root may read, and to remove its sockets at the end.
 */
#ifndef RESTANTE_SERVER_SUPERVISOR_H
#define RESTANTE_SERVER_SUPERVISOR_H

#include "lib/conf.h"

/* Serve until told to end; takes *conf over. `program` is how this program was called. Returns the exit status of the
 * process. */
int supervisor_run(struct conf **conf, const char *program);

#endif
