/* privileges - who the process is and how many files it may open. Main thread, before any other thread. */
#ifndef RESTANTE_SERVER_PRIVILEGES_H
#define RESTANTE_SERVER_PRIVILEGES_H

#include "lib/err.h"

/* Raise the limit of open files as far as allowed, and as root to at least `wanted`. Never fails: what is reached is
 * returned. */
uint64_t privileges_raise_files(uint64_t wanted);
/* As root: become `user` (a name) for good, with its groups; "" or somebody else than root: stay. Logs a warning when
 * the process stays root. RC_NOT_FOUND: no such user. */
MUST_USE enum rc privileges_drop(const char *user, struct err *e);

#endif
