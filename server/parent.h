/* parent - the server's side of its tie to the supervisor that started it: what it asks for, and that it ends with it.
 *
 * In a process without a supervisor (restanted -t, unit tests) there is none, and files are opened directly.
 */
#ifndef RESTANTE_SERVER_PARENT_H
#define RESTANTE_SERVER_PARENT_H

#include "server/channel.h"
#include "server/listener.h"

/* `tie` is what the supervisor gave us (parent_tie): the channel, and how many reactors share the ports. First thing
 * in the process. */
MUST_USE enum rc parent_attach(const char *tie, struct err *e);
/* Such a text, by the supervisor. */
void parent_tie(int fd, unsigned reactors, char out[32]);
bool parent_present(void);
/* From now on this process dies with the supervisor. After the last change of user, which would undo it.
 * Starts a thread. */
MUST_USE enum rc parent_bind_life(struct err *e);
/* The configuration: ASK_STARTED, ASK_CURRENT or ASK_NEXT. */
MUST_USE enum rc parent_conf(enum channel_kind which, struct conf **out, struct err *e);
/* The listeners of the configuration of the start, with their sockets. RC_EXISTS: a port is in use; ask again later.
 * *out is always to be given to listeners_close. */
MUST_USE enum rc parent_listeners(const struct conf *started, struct listeners *out, struct err *e);
/* Requests of restantectl may come from now on. */
MUST_USE enum rc parent_listen_control(struct err *e);
/* A file that the configuration names, whoever may read it. */
MUST_USE enum rc parent_open(const char *path, int *fd, struct err *e);
/* TELL_READY, TELL_RELOADED, TELL_RELOAD_FAILED. */
void parent_tell(enum channel_kind what);

#endif
