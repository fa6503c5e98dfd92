/* saslauthd - asking saslauthd(8) whether a password is right.
 *
 * libsasl2 can do so itself, but waits without an end for a saslauthd that hangs, and takes a password only up to its
 * first NUL.
 */
#ifndef RESTANTE_SASL_SASLAUTHD_H
#define RESTANTE_SASL_SASLAUTHD_H

#include "lib/err.h"
#include "lib/slice.h"

/* RC_OK: *match tells. RC_IO, RC_LIMIT, RC_NOMEM: it could not be asked. Blocks up to timeout_ms. */
MUST_USE enum rc saslauthd_check(const char *path, const char *service, struct slice name,
                                 struct slice password, int timeout_ms, bool *match, struct err *e);

#endif
