/* privileges - who the process is and how many files it may open. Main thread, before any other thread. */
#ifndef RESTANTE_SERVER_PRIVILEGES_H
#define RESTANTE_SERVER_PRIVILEGES_H

#include <sys/types.h>

#include "lib/err.h"

/* Who the server is to be; fixed at the start, whatever the configuration says later. */
struct identity {
	bool  other;            /* we are root, and it is somebody else */
	uid_t uid;
	gid_t gid;
	char  name[65];         /* "" stays who one is */
};

/* RC_NOT_FOUND: no such user. */
MUST_USE enum rc privileges_find(const char *user, struct identity *out, struct err *e);
/* Raise the limit of open files as far as allowed, and as root to at least `wanted`. Never fails: what is reached is
 * returned. */
uint64_t privileges_raise_files(uint64_t wanted);
/* As root: become `user` (a name) for good, with its groups; "" or somebody else than root: stay. Logs a warning when
 * the process stays root. RC_NOT_FOUND: no such user. */
MUST_USE enum rc privileges_drop(const char *user, struct err *e);
/* For a moment: what is opened is opened as `id`, if it is somebody else: always the same. One thread only; false: it
 * failed. */
bool privileges_lend(const struct identity *id);
/* And back; the process ends if that fails. */
void privileges_return(const struct identity *id);

#endif
