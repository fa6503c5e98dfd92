/* verbs - what restantectl asks of the running server and not of its volumes: who is connected, and their end. */
#ifndef RESTANTE_SERVER_VERBS_H
#define RESTANTE_SERVER_VERBS_H

#include "index/admin.h"
#include "server/server.h"

/* For struct admin; `srv` must outlive it. Its verbs block: on the request's own thread. */
struct admin_live verbs_live(struct server *srv);

#endif
