/* trusted - files that root opens for a server that may not: only where nobody but root could have put another.
 *
 * Single-threaded: the supervisor.
 */
#ifndef RESTANTE_SERVER_TRUSTED_H
#define RESTANTE_SERVER_TRUSTED_H

#include "server/privileges.h"

/* Open the regular file `path` (absolute) for reading: as the server's user, and if that user may not and we are root,
 * as root. As root only where the server's user could not replace it, nor a link or directory on the way: else a server
 * that was broken into would put a link to /etc/shadow there and get it. RC_DENIED then names what is
 * in whose hands. */
MUST_USE enum rc trusted_open(const char *path, const struct identity *id, int *fd, struct err *e);
/* Could nobody but root have put this file there, by the same rule? */
bool trusted_is_safe(const char *path, const struct identity *id, struct err *why);

#endif
