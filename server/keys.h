/* keys - open files that the configuration names: certificates, private keys, lists of trusted ones.
 *
 * They may be readable by root only, and they may lie where the sandbox does not let the server look; then the
 * supervisor opens them for us, provided that the configuration names exactly this path. So whoever reads such a file,
 * at the start or at any time later, opens it here and not with open(2), and gives OpenSSL the bytes and not the path.
 */
#ifndef RESTANTE_SERVER_KEYS_H
#define RESTANTE_SERVER_KEYS_H

#include <sys/stat.h>

#include "lib/err.h"

/* Open the regular file `path`, as the configuration has it (absolute), for reading. The caller closes *fd; on failure
 * it is -1 and the error has the path. Blocks shortly: never on a reactor. Any thread. */
MUST_USE enum rc keys_open(const char *path, int *fd, struct err *e);
/* Its facts, as fstat(2) has them: for noticing that a file has changed. Likewise. */
MUST_USE enum rc keys_stat(const char *path, struct stat *st, struct err *e);

#endif
